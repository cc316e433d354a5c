"""Times training steps of this package and of PyTorch eager in turn, and writes a table and training.csv.

Run by `make benchmark`. usage: compare_training.py TRAINING_STEP [--rounds 5] [--steps 5] [--threads N] [--output DIR]
"""
import argparse
import json
import os
import pathlib
import statistics
import sys

from peers import here, print_table, processor, run, write_csv

arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
arguments.add_argument("training_step")
arguments.add_argument("--jobs", default="resnet20:128,resnet18-fastmpn:16")
arguments.add_argument("--rounds", type=int, default=5)
arguments.add_argument("--steps", type=int, default=5)
arguments.add_argument("--threads", type=int, default=os.cpu_count())
arguments.add_argument("--output", default=str(here.parent / "Results"))
options = arguments.parse_args()

rows = []
for job in options.jobs.split(","):
    model, batch = job.split(":")
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(json.loads(run(options.training_step, model, "--batch-size", batch, "--threads", options.threads,
                                   "--steps", options.steps)))
        theirs.append(json.loads(run(sys.executable, here / "time_training_pytorch.py", model, batch, options.threads,
                                     options.steps)))
    speed = [statistics.median(r["imagesPerSecond"] for r in side) for side in (ours, theirs)]
    memory = [statistics.median(r["peakMemoryMB"] for r in side) for side in (ours, theirs)]
    rows.append(dict(
        model=model, batch=batch, threads=options.threads, images_per_second=round(speed[0], 2),
        pytorch_images_per_second=round(speed[1], 2), ratio=round(speed[0] / speed[1], 2),
        ratio_lowest=round(min(a["imagesPerSecond"] / b["imagesPerSecond"] for a, b in zip(ours, theirs)), 2),
        peak_memory_mb=round(memory[0]), pytorch_peak_memory_mb=round(memory[1]), rounds=options.rounds,
        processor=processor(), pytorch=theirs[0]["version"], blas=ours[0]["blas"], blas_kernel=ours[0]["kernel"]))
    print(f"{model} batch {batch}: {rows[-1]['ratio']}x", file=sys.stderr)

write_csv(pathlib.Path(options.output) / "training.csv", rows)
print(f"{rows[0]['processor']}, {options.threads} threads, OpenBLAS {rows[0]['blas']} ({rows[0]['blas_kernel']}), "
      f"PyTorch {rows[0]['pytorch']}; median of {options.rounds} rounds\n")
print_table(["training step", "batch", "images/s", "PyTorch eager", "ratio (lowest)", "peak memory", "PyTorch"],
            [[row["model"], str(row["batch"]), f"{row['images_per_second']:.1f}", f"{row['pytorch_images_per_second']:.1f}",
              f"{row['ratio']:.2f}x ({row['ratio_lowest']:.2f}x)", f"{row['peak_memory_mb']} MB",
              f"{row['pytorch_peak_memory_mb']} MB"] for row in rows])
