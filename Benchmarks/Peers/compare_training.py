"""Times training steps of this package and of PyTorch eager in turn, and writes a table and training.csv.

Run by `make training-benchmark`. usage: compare_training.py TRAINING_STEP [--rounds 5] [--steps 5] [--threads N] [--output DIR]
"""
import argparse
import csv
import json
import os
import pathlib
import statistics
import subprocess
import sys

here = pathlib.Path(__file__).parent
arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
arguments.add_argument("training_step")
arguments.add_argument("--jobs", default="resnet20:128,resnet18-fastmpn:16")
arguments.add_argument("--rounds", type=int, default=5)
arguments.add_argument("--steps", type=int, default=5)
arguments.add_argument("--threads", type=int, default=os.cpu_count())
arguments.add_argument("--output", default=str(here.parent / "Results"))
options = arguments.parse_args()

# A wrong OPENBLAS_CORETYPE would slow OpenBLAS down several times; everybody runs without it.
environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}


def run(*command):
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def processor():
    with open("/proc/cpuinfo") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")


rows = []
for job in options.jobs.split(","):
    model, batch = job.split(":")
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(run(options.training_step, model, "--batch-size", batch, "--threads", options.threads, "--steps",
                        options.steps))
        theirs.append(run(sys.executable, here / "time_training_pytorch.py", model, batch, options.threads,
                          options.steps))
    speed = [statistics.median(r["imagesPerSecond"] for r in side) for side in (ours, theirs)]
    memory = [statistics.median(r["peakMemoryMB"] for r in side) for side in (ours, theirs)]
    rows.append(dict(
        model=model, batch=batch, threads=options.threads, images_per_second=round(speed[0], 2),
        pytorch_images_per_second=round(speed[1], 2), ratio=round(speed[0] / speed[1], 2),
        ratio_lowest=round(min(a["imagesPerSecond"] / b["imagesPerSecond"] for a, b in zip(ours, theirs)), 2),
        peak_memory_mb=round(memory[0]), pytorch_peak_memory_mb=round(memory[1]), rounds=options.rounds,
        processor=processor(), pytorch=theirs[0]["version"], blas=ours[0]["blas"], blas_kernel=ours[0]["kernel"]))
    print(f"{model} batch {batch}: {rows[-1]['ratio']}x", file=sys.stderr)

output = pathlib.Path(options.output)
output.mkdir(parents=True, exist_ok=True)
with open(output / "training.csv", "w", newline="") as file:
    writer = csv.DictWriter(file, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
print(f"{rows[0]['processor']}, {options.threads} threads, OpenBLAS {rows[0]['blas']} ({rows[0]['blas_kernel']}), "
      f"PyTorch {rows[0]['pytorch']}; median of {options.rounds} rounds\n")
print("| training step | batch | images/s | PyTorch eager | ratio (lowest) | peak memory | PyTorch |")
print("|---|---|---|---|---|---|---|")
for row in rows:
    print(f"| {row['model']} | {row['batch']} | {row['images_per_second']:.1f} | {row['pytorch_images_per_second']:.1f} "
          f"| {row['ratio']:.2f}x ({row['ratio_lowest']:.2f}x) | {row['peak_memory_mb']} MB "
          f"| {row['pytorch_peak_memory_mb']} MB |")
