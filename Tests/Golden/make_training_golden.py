"""Writes Tests/TrainingTests/Resources/training.json with PyTorch in double precision: one step of resnet18 with each head, and
the losses of 50 steps of a small covariance network. usage: python Tests/Golden/make_training_golden.py   (needs torch, numpy)

Weights, images and random numbers come from generators that any program can write; see Tests/TestSupport/HashValues.swift and
Sources/Tensors/Random.swift.
"""
import json
import pathlib
import sys

import numpy as np
import torch

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent.parent / "Benchmarks" / "Peers"))
from networks import make_network  # noqa: E402

torch.set_default_dtype(torch.float64)


def hash32(name):
    h = 2166136261
    for byte in name.encode():
        h = (h ^ byte) * 16777619 & 0xFFFFFFFF
    return h


def unit(name, count):
    """`count` numbers in [-1, 1), rounded to single precision."""
    with np.errstate(over="ignore"):
        h = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(hash32(name))
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            h = (h ^ h >> np.uint32(shift)) * np.uint32(factor)
        h ^= h >> np.uint32(16)
    return (h.astype(np.float64) / 2**31 - 1).astype(np.float32)


def value(name, shape):
    """What TestSupport's hashValues gives."""
    u, leaf = unit(name, int(np.prod(shape))), name.rsplit(".", 1)[-1]
    if leaf == "running_mean":
        u = np.float32(0.1) * u
    elif leaf == "running_var":
        u = 1 + np.float32(0.5) * u
    elif leaf == "bias":
        u = np.float32(0.001 if name == "fc.bias" else 0.1) * u
    elif len(shape) == 1:
        u = np.float32(0.6) + np.float32(0.2) * u
    else:
        u = (np.sqrt(6 / np.prod(shape[1:])) * u.astype(np.float64)).astype(np.float32)
    return torch.from_numpy(u.astype(np.float64)).reshape(shape)


def uniform(seed, name, count):
    """Tensors' RandomStream(seed: seed, name: name).uniform in [0, 1)."""
    mask = 2**64 - 1

    def mix(x):
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ x >> 27) * 0x94D049BB133111EB & mask
        return x ^ x >> 31

    key = 0xCBF29CE484222325
    for byte in name.encode():
        key = (key ^ byte) * 0x100000001B3 & mask
    key ^= seed * 0x9E3779B97F4A7C15 & mask
    return np.array([(mix(mix(key) + i * 0x9E3779B97F4A7C15 & mask) >> 11) * 2.0**-53 for i in range(count)])


def fill(network):
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                tensor.copy_(value(name, tuple(tensor.shape)))


def sample(tensor):
    """Five elements spread over the tensor, and its norm."""
    flat = tensor.detach().reshape(-1)
    return [round_(flat[i * (len(flat) - 1) // 4]) for i in range(5)] + [round_(flat.norm())]


def round_(x):
    return float("%.10g" % float(torch.as_tensor(x).detach()))


def images(batch, size):
    cell = np.arange(size) * 14 // size
    coarse = unit("coarse", batch * 3 * 14 * 14).reshape(batch, 3, 14, 14)
    fine = unit("fine", batch * 3 * size * size).reshape(batch, 3, size, size)
    return torch.from_numpy((2 * coarse[:, :, cell][:, :, :, cell] + fine).astype(np.float32).astype(np.float64))


def one_step(model, batch=3, size=64, dimension=64, classes=10):
    network = make_network(model, dimension=dimension, classes=classes)
    fill(network)
    network.train()
    if model.endswith("dropcov"):
        network.pooling.uniform = torch.from_numpy(uniform(5, "golden", batch * dimension).reshape(batch, dimension))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True)
    labels = torch.tensor([3, 1, 7])
    loss = torch.nn.functional.cross_entropy(network(images(batch, size)), labels, label_smoothing=0.1)
    loss.backward()
    gradients = {name: sample(parameter.grad) for name, parameter in network.named_parameters()}
    optimizer.step()
    after = {name: sample(tensor) for name, tensor in network.state_dict().items() if "num_batches" not in name}
    return dict(model=model, batch=batch, size=size, dimension=dimension, classes=classes, labels=labels.tolist(),
                loss=round_(loss), dropRate=getattr(getattr(network, "pooling", None), "rate", None), gradients=gradients,
                after=after)


def fifty_steps(model="resnet20-fastmpn", batch=16, size=16, dimension=16):
    network = make_network(model, dimension=dimension, classes=10)
    fill(network)
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.002, momentum=0.9, weight_decay=5e-4)
    losses = []
    for step in range(50):
        x = torch.from_numpy(unit(f"batch {step % 5}", batch * 3 * size * size).astype(np.float64))
        labels = torch.tensor([(3 * i + step % 5) % 10 for i in range(batch)])
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(x.reshape(batch, 3, size, size)), labels)
        loss.backward()
        optimizer.step()
        losses.append(round_(loss))
    return dict(model=model, batch=batch, size=size, dimension=dimension, losses=losses)


goldens = dict(torch=torch.__version__.split("+")[0],
               steps=[one_step(f"resnet18-{head}") for head in ("fastmpn", "mpn", "dropcov")], run=fifty_steps())
target = here.parent / "TrainingTests" / "Resources" / "training.json"
target.write_text(json.dumps(goldens, indent=1) + "\n")
print(target, [s["loss"] for s in goldens["steps"]], [s["dropRate"] for s in goldens["steps"]], goldens["run"]["losses"][::7])
