"""Times zoo-eval and other runtimes by turns on the same random weights, checks that all outputs agree, and writes a table,
inference.csv and inference.svg.

Run by `make benchmark`, which builds zoo-eval and makes the Python environment.
usage: compare.py ZOO_EVAL [--models A,B] [--batches 1,8] [--rounds 5] [--peers A,B] [--threads N] [--output DIR]
"""
import argparse
import csv
import math
import os
import pathlib
import statistics
import sys
import tempfile
import time

import matplotlib
import numpy
import torch
from PIL import Image

from networks import make_network
from peers import NAMES, Peer, here, print_table, processor, run, timed_by, write_csv

arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
arguments.add_argument("zoo_eval")
arguments.add_argument("--models", default="resnet18-fastmpn,resnet34-fastmpn,resnet50-fastmpn,resnet101-fastmpn")
arguments.add_argument("--batches", default="1,8")
arguments.add_argument("--rounds", type=int, default=5)
arguments.add_argument("--seconds", type=float, default=2, help="for each measurement of a peer")
arguments.add_argument("--peers", default=",".join(NAMES))
arguments.add_argument("--threads", type=int, default=os.cpu_count())
arguments.add_argument("--output", default=str(here.parent / "Results"))
arguments.add_argument("--name", default="inference", help="of the table that is written; `inference` has a chart too")
options = arguments.parse_args()
output = pathlib.Path(options.output)


def save_random_network(model, path):
    """Random weights, the classifier's scaled so that logits have a deviation of 1: of others only one class would be left in
    the probabilities that are compared."""
    torch.manual_seed(0)
    network = make_network(model).eval()
    with torch.no_grad():
        deviation = network(torch.rand(2, 3, 224, 224) * 4 - 2).std()
        classifier = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]
        classifier.weight /= deviation
        classifier.bias /= deviation
    torch.save(network.state_dict(), path)


def our_probabilities(model, weights, folder):
    """zoo-eval's five likeliest classes of four pictures, and the tensors that the pictures become."""
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    random, inputs = numpy.random.default_rng(0), []
    for index in range(4):
        pixels = random.integers(0, 256, (16, 16, 3), dtype=numpy.uint8)
        pixels = numpy.asarray(Image.fromarray(pixels).resize((256, 256), Image.BICUBIC))
        Image.fromarray(pixels).save(pictures / f"{index}.png")
        crop = pixels[16:240, 16:240].astype(numpy.float32) / 255
        inputs.append(((crop - [.485, .456, .406]) / [.229, .224, .225]).astype(numpy.float32).transpose(2, 0, 1))
    numpy.save(folder / "inputs.npy", numpy.stack(inputs))
    run(options.zoo_eval, model, "--checkpoint", weights, "--data", pictures, "--predictions", folder / "predictions.csv")
    with open(folder / "predictions.csv") as file:
        rows = list(csv.DictReader(file))
    return [[(int(row[f"class{k}"]), float(row[f"probability{k}"])) for k in range(1, 6)] for row in rows]


def check_agreement(peer, ours, name, folder):
    """Stops unless the peer finds the same five classes likeliest, and their probabilities as far as zoo-eval prints them:
    six decimals. Returns the largest difference of their logarithms."""
    peer.ask("logits", folder / "inputs.npy", folder / "logits.npy")
    theirs = torch.log_softmax(torch.from_numpy(numpy.load(folder / "logits.npy")).double(), 1)
    worst = max(abs(theirs[i, label].item() - math.log(p)) for i, row in enumerate(ours) for label, p in row)
    same = all(set(theirs[i].topk(5).indices.tolist()) == {label for label, _ in row} for i, row in enumerate(ours))
    if len(ours) != 4 or not same or not worst <= 1e-3:
        sys.exit(f"{name}: the outputs do not agree: {worst:.2e}")
    return worst


def measure(model, batch, weights, onnx, ours, folder):
    """Rows of the table: this package and each peer, timed by turns."""
    peers = {name: Peer(name, model, weights, onnx, batch, options.threads, options.seconds)
             for name in options.peers.split(",")}
    differences = {name: check_agreement(peer, ours, f"{model}, {name}", folder) for name, peer in peers.items()}
    runs = {name: [] for name in ["covpool", *peers]}
    order = list(runs)
    for _ in range(options.rounds):
        for name in order:
            time.sleep(0.5)  # for threads that spin after their last work
            runs[name].append(peers[name].ask("time") if name in peers else timed_by(
                options.zoo_eval, folder, model, "--checkpoint", weights, "--batch-size", batch, "--threads",
                options.threads))
        order = order[1:] + order[:1]  # nobody always comes after the same one
    for peer in peers.values():
        peer.close()
    first = runs["covpool"][0]
    versions = dict(covpool=f"{first['blas']} ({first['blasKernel']})", **{n: p.version for n, p in peers.items()})
    for name, measured in runs.items():
        ratios = [a["imagesPerSecond"] / b["imagesPerSecond"] for a, b in zip(runs["covpool"], measured)]
        yield dict(
            model=model, batch=batch, runtime=name, threads=options.threads,
            images_per_second=round(statistics.median(r["imagesPerSecond"] for r in measured), 2),
            our_ratio=round(statistics.median(ratios), 3), our_ratio_lowest=round(min(ratios), 3),
            peak_memory_mb=round(max(r["peakMemoryMB"] for r in measured)),
            largest_log_probability_difference=f"{differences.get(name, 0):.1e}", rounds=options.rounds,
            processor=processor(), version=versions[name])


def draw(rows, path):
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "path", "svg.hashsalt": "covpool", "font.size": 9})
    from matplotlib import pyplot

    runtimes = list(dict.fromkeys(row["runtime"] for row in rows))
    groups = list(dict.fromkeys((row["model"], row["batch"]) for row in rows))
    colors = dict(covpool="#d1495b", openvino="#00798c", onnxruntime="#66a182", compiled="#edae49", pytorch="#b8b8b8")
    figure, axes = pyplot.subplots(figsize=(8.5, 3.6), layout="constrained")
    width = 0.8 / len(runtimes)
    for position, runtime in enumerate(runtimes):
        heights = [next(r["images_per_second"] for r in rows if (r["model"], r["batch"], r["runtime"]) == (*g, runtime))
                   for g in groups]
        places = [i + (position - (len(runtimes) - 1) / 2) * width for i in range(len(groups))]
        bars = axes.bar(places, heights, width, color=colors[runtime], label=NAMES.get(runtime, "swift-covpool"))
        axes.bar_label(bars, [f"{h:.0f}" for h in heights], fontsize=6, padding=1)
    axes.set_xticks(range(len(groups)), [f"{model.replace('-', chr(10) + '-')}\nbatch {batch}" for model, batch in groups], fontsize=7)
    axes.set_ylabel("images per second")
    axes.set_title(f"224 px, float32, {options.threads} threads of {processor()}", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=len(runtimes), fontsize=8)
    figure.savefig(path, metadata={"Date": None})


rows = []
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    for model in options.models.split(","):
        weights, onnx = folder / f"{model}.pth", folder / f"{model}.onnx"
        save_random_network(model, weights)
        run(sys.executable, here / "export_onnx.py", model, weights, onnx)
        ours = our_probabilities(model, weights, folder)
        for batch in map(int, options.batches.split(",")):
            found = list(measure(model, batch, weights, onnx, ours, folder))
            rows += found
            print(f"{model} batch {batch}: {found[0]['images_per_second']} images/s; " +
                  ", ".join(f"{row['our_ratio']}x {row['runtime']}" for row in found[1:]), file=sys.stderr)
        for file in folder.glob(f"{model}.*"):
            file.unlink()

write_csv(output / f"{options.name}.csv", rows)
if options.name == "inference":
    draw(rows, output / "inference.svg")
peers = options.peers.split(",")
versions = {row["runtime"]: row["version"] for row in rows}
print(f"{processor()}, {options.threads} threads, {versions['covpool']}, "
      + ", ".join(f"{NAMES[peer]} {versions[peer]}" for peer in peers if peer != "compiled")
      + f"; median of {options.rounds} rounds, the lowest ratio of a round in brackets\n")
cells, memory = {}, {}
for row in rows:
    if row["runtime"] == "covpool":
        text = f"**{row['images_per_second']:.1f}**"
        memory[row["model"], row["batch"]] = f"{row['peak_memory_mb']} MB"
    else:
        text = f"{row['images_per_second']:.1f}: {row['our_ratio']:.2f}× ({row['our_ratio_lowest']:.2f}×)"
    cells.setdefault((row["model"], row["batch"]), []).append(text)
print_table(["network", "batch", "images/s", *(NAMES[peer] for peer in peers), "memory"],
            [[model, str(batch), *texts, memory[model, batch]] for (model, batch), texts in cells.items()])
