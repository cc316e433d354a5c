"""Measures what the table of networks leaves out: the covariance head alone, the time to a first prediction, threads, batch
sizes, and the cost of reading JPEGs. Writes aspects.csv and a table.

Run by `make benchmark`. usage: aspects.py ZOO_EVAL [--rounds 5] [--threads N] [--output DIR]
"""
import argparse
import os
import pathlib
import statistics
import sys
import tempfile
import time

import numpy
import torch
from PIL import Image

from networks import make_network
from peers import Peer, here, print_table, processor, run, timed_by, write_csv

arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
arguments.add_argument("zoo_eval")
arguments.add_argument("--rounds", type=int, default=5)
arguments.add_argument("--threads", type=int, default=os.cpu_count())
arguments.add_argument("--output", default=str(here.parent / "Results"))
options = arguments.parse_args()
rows = []


def report(aspect, network, batch, ours, unit, other, theirs, larger_is_better=True, threads=options.threads):
    """A row from the values of all rounds: the medians, and the median and the worst of the rounds' ratios."""
    ratios = [a / b if larger_is_better else b / a for a, b in zip(ours, theirs)]
    rows.append(dict(
        aspect=aspect, network=network, batch=batch, threads=threads, value=f"{statistics.median(ours):.4g}",
        unit=unit, compared_with=other, other_value=f"{statistics.median(theirs):.4g}",
        ratio=round(statistics.median(ratios), 3), ratio_lowest=round(min(ratios), 3), rounds=options.rounds,
        processor=processor(), pytorch=torch.__version__))
    print(f"{aspect}, {network}: {rows[-1]['ratio']}x", file=sys.stderr)


def saved(model, folder):
    torch.manual_seed(0)
    torch.save(make_network(model).state_dict(), folder / f"{model}.pth")
    return folder / f"{model}.pth"


def pictures(count, folder):
    """JPEGs of the size of ImageNet's."""
    folder.mkdir()
    random = numpy.random.default_rng(0)
    for index in range(count):
        smooth = Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=numpy.uint8)).resize((500, 375), Image.BICUBIC)
        noisy = numpy.asarray(smooth).astype(int) + random.integers(-12, 13, (375, 500, 3))
        Image.fromarray(noisy.clip(0, 255).astype(numpy.uint8)).save(folder / f"{index:03d}.jpg", quality=92)
    return folder


def head(folder):
    """From 512 × 14 × 14 features to logits: here the steps of a ResNet-18 from the reduction on, there a module of its own."""
    weights, batch = saved("head-fastmpn", folder), 8
    peer = Peer("pytorch", "head-fastmpn", weights, folder / "head.onnx", batch, options.threads, 1)
    ours, theirs = [], []
    for _ in range(options.rounds):
        steps = timed_by(options.zoo_eval, folder, "resnet18-fastmpn", "--explain", "--batch-size", batch, "--threads",
                         options.threads)
        first = next(i for i, step in enumerate(steps) if step["layer"] == "layer_reduce")
        ours.append(1000 * sum(step["seconds"] for step in steps[first:]))
        theirs.append(1000 * batch / peer.ask("time")["imagesPerSecond"])
    peer.close()
    report("covariance head alone", "d = 256", batch, ours, "ms", "PyTorch eager", theirs, larger_is_better=False)


def start(model, folder, picture):
    def seconds(*command):
        begin = time.perf_counter()
        run(*command)
        return time.perf_counter() - begin

    weights, ours, theirs = saved(model, folder), [], []
    for _ in range(options.rounds):
        ours.append(seconds(options.zoo_eval, model, "--checkpoint", weights, "--threads", options.threads, picture))
        theirs.append(seconds(sys.executable, here / "first_prediction.py", model, weights, picture, options.threads))
    report("start to first prediction", model, 1, ours, "s", "PyTorch eager", theirs, larger_is_better=False)


def speed(model, folder, **arguments):
    flags = [text for name, value in arguments.items() for text in (f"--{name.replace('_', '-')}", value)]
    return timed_by(options.zoo_eval, folder, model, "--checkpoint", folder / f"{model}.pth", *flags)["imagesPerSecond"]


def scaling(model, folder):
    one, two = [], []
    for _ in range(options.rounds):
        one.append(speed(model, folder, batch_size=8, threads=1))
        two.append(speed(model, folder, batch_size=8, threads=2))
    report("two threads", model, 8, two, "images/s", "one thread", one, threads=2)


def batches(model, folder):
    values = {batch: [] for batch in (8, 16, 32)}
    for _ in range(options.rounds):
        for batch in values:
            values[batch].append(speed(model, folder, batch_size=batch, threads=options.threads))
    for batch in (16, 32):
        report("larger batches", model, batch, values[batch], "images/s", "a batch of 8", values[8])


def reading(model, folder, data):
    ours, network = [], []
    for _ in range(options.rounds):
        ours.append(speed(model, folder, data=data, batch_size=16, threads=options.threads))
        network.append(speed(model, folder, batch_size=16, threads=options.threads))
    report("evaluation of JPEGs of 500 × 375", model, 16, ours, "images/s", "the network alone", network)


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    data = pictures(192, folder / "pictures")
    head(folder)
    for model in ("resnet18-fastmpn", "resnet101-fastmpn"):
        start(model, folder, data / "000.jpg")
    saved("resnet50-fastmpn", folder)
    for model in ("resnet18-fastmpn", "resnet50-fastmpn"):
        scaling(model, folder)
    batches("resnet18-fastmpn", folder)
    reading("resnet18-fastmpn", folder, data)

write_csv(pathlib.Path(options.output) / "aspects.csv", rows)
print_table(["", "network", "batch", "here", "compared with", "", "ratio (lowest)"],
            [[row["aspect"], row["network"], str(row["batch"]), f"{row['value']} {row['unit']}", row["compared_with"],
              f"{row['other_value']} {row['unit']}", f"{row['ratio']:.2f}x ({row['ratio_lowest']:.2f}x)"] for row in rows])
