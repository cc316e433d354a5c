"""Times zoo-eval and PyTorch in turn on the same random weights, checks that their outputs agree, and writes a table.

Run by `make benchmark`, which builds zoo-eval and makes the Python environment.
usage: compare.py ZOO_EVAL [--models A,B] [--batches 1,8] [--rounds 5] [--threads N] [--output DIR]
"""
import argparse
import csv
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

import numpy
import torch
from PIL import Image

from networks import Network

here = pathlib.Path(__file__).parent
arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
arguments.add_argument("zoo_eval")
arguments.add_argument("--models", default="resnet18-fastmpn,resnet50-fastmpn")
arguments.add_argument("--batches", default="8")
arguments.add_argument("--rounds", type=int, default=5)
arguments.add_argument("--threads", type=int, default=os.cpu_count())
arguments.add_argument("--output", default=str(here.parent / "Results"))
options = arguments.parse_args()

# A wrong OPENBLAS_CORETYPE would slow OpenBLAS down several times; everybody runs without it.
environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}


def run(command):
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return done.stdout


def check_agreement(model, weights, folder):
    """Both classify the same pictures; the five probabilities must agree to 1e-4."""
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    random = numpy.random.default_rng(0)
    inputs = []
    for index in range(4):
        small = random.integers(0, 256, (8, 8, 3), dtype=numpy.uint8)
        pixels = numpy.asarray(Image.fromarray(small).resize((256, 256), Image.BICUBIC))
        Image.fromarray(pixels).save(pictures / f"{index}.png")
        crop = pixels[16:240, 16:240].astype(numpy.float32) / 255
        inputs.append(((crop - [.485, .456, .406]) / [.229, .224, .225]).astype(numpy.float32).transpose(2, 0, 1))
    numpy.save(folder / "inputs.npy", numpy.stack(inputs))
    run([sys.executable, here / "time_pytorch.py", model, weights, "4", str(options.threads), "--logits",
         folder / "inputs.npy", folder / "logits.npy"])
    theirs = torch.softmax(torch.from_numpy(numpy.load(folder / "logits.npy")).double(), 1)
    predictions = folder / "predictions.csv"
    run([options.zoo_eval, model, "--checkpoint", weights, "--data", pictures, "--predictions", predictions])
    with open(predictions) as file:
        rows = list(csv.DictReader(file))
    worst = max(abs(float(row[f"probability{k}"]) - theirs[i, int(row[f"class{k}"])].item())
                for i, row in enumerate(rows) for k in range(1, 6))
    if len(rows) != 4 or worst > 1e-4:
        sys.exit(f"{model}: the outputs do not agree: {worst:.2e}")
    return worst


def measure(model, weights, batch, folder):
    ours, theirs = [], []
    for _ in range(options.rounds):
        run([options.zoo_eval, model, "--checkpoint", weights, "--batch-size", str(batch), "--threads",
             str(options.threads), "--results", folder / "ours.json"])
        ours.append(json.loads((folder / "ours.json").read_text()))
        theirs.append(json.loads(run([sys.executable, here / "time_pytorch.py", model, weights, str(batch),
                                      str(options.threads)])))
    return ours, theirs


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


rows = []
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    for model in options.models.split(","):
        torch.manual_seed(0)
        weights = folder / f"{model}.pth"
        torch.save(Network(model).state_dict(), weights)
        difference = check_agreement(model, weights, folder)
        for batch in map(int, options.batches.split(",")):
            ours, theirs = measure(model, weights, batch, folder)
            speed = [statistics.median(run["imagesPerSecond"] for run in side) for side in (ours, theirs)]
            memory = [statistics.median(run["peakMemoryMB"] for run in side) for side in (ours, theirs)]
            rows.append(dict(
                model=model, batch=batch, threads=options.threads, images_per_second=round(speed[0], 2),
                pytorch_images_per_second=round(speed[1], 2), ratio=round(speed[0] / speed[1], 2),
                ratio_lowest=round(min(a["imagesPerSecond"] / b["imagesPerSecond"] for a, b in zip(ours, theirs)), 2),
                peak_memory_mb=round(memory[0]), pytorch_peak_memory_mb=round(memory[1]),
                largest_probability_difference=f"{difference:.1e}", rounds=options.rounds, processor=processor(),
                pytorch=theirs[0]["version"], blas=ours[0]["blas"], blas_kernel=ours[0]["blasKernel"]))
            print(f"{model} batch {batch}: {rows[-1]['ratio']}x", file=sys.stderr)

output = pathlib.Path(options.output)
output.mkdir(parents=True, exist_ok=True)
with open(output / "inference.csv", "w", newline="") as file:
    writer = csv.DictWriter(file, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
print(f"{rows[0]['processor']}, {options.threads} threads, {rows[0]['blas']} ({rows[0]['blas_kernel']}), "
      f"PyTorch {rows[0]['pytorch']}; median of {options.rounds} rounds\n")
print("| network | batch | images/s | PyTorch eager | ratio (lowest) | peak memory | PyTorch |")
print("|---|---|---|---|---|---|---|")
for row in rows:
    print(f"| {row['model']} | {row['batch']} | {row['images_per_second']:.1f} | {row['pytorch_images_per_second']:.1f} "
          f"| {row['ratio']:.2f}x ({row['ratio_lowest']:.2f}x) | {row['peak_memory_mb']} MB "
          f"| {row['pytorch_peak_memory_mb']} MB |")
