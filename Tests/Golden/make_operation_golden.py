"""Writes ../TensorsTests/Resources/operations.json: operations and their gradients by PyTorch in float64.

Tensor t of a case is scale * unit(t, number of elements) in its shape, row-major; the loss is sum(output * unit("g", ...)).
Needs PyTorch (CPU) and NumPy. Run from any directory.
"""
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F


def unit(name, count):
    """Numbers in [-1, 1) that any program makes alike: MurmurHash3's finaliser of index * 2654435761 + FNV-1a(name)."""
    offset = 2166136261
    for byte in name.encode():
        offset = (offset ^ byte) * 16777619 % 2**32
    with np.errstate(over="ignore"):
        h = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(offset)
        h ^= h >> np.uint32(16)
        h *= np.uint32(0x85EBCA6B)
        h ^= h >> np.uint32(13)
        h *= np.uint32(0xC2B2AE35)
        h ^= h >> np.uint32(16)
    # As single-precision numbers, which is what networks are filled with.
    return (h.astype(np.float64) / 2**31 - 1).astype(np.float32).astype(np.float64)


def make(name, shape, scale=1.0):
    return scale * torch.from_numpy(unit(name, math.prod(shape)).reshape(shape))


cases = []


def add(op, forward, shapes, scales={}, **parameters):
    tensors = {n: make(n, s, scales.get(n, 1.0)).requires_grad_() for n, s in shapes}
    y = forward(*tensors.values())
    (y * make("g", tuple(y.shape))).sum().backward()
    digits = lambda t: [float("%.10g" % v) for v in t.detach().reshape(-1).tolist()]
    cases.append(dict(
        op=op, parameters=parameters, outputShape=list(y.shape), output=digits(y),
        tensors=[dict(name=n, shape=list(s), scale=scales.get(n, 1.0)) for n, s in shapes],
        gradients=[digits(t.grad) for t in tensors.values()]))


def convolution(x, weight, bias=False, **parameters):
    shapes = [("x", x), ("weight", weight)] + ([("bias", (weight[0],))] if bias else [])
    add("convolution", lambda x, w, b=None: F.conv2d(x, w, b, **parameters), shapes, **parameters)


for stride, x in ((1, (2, 5, 6, 7)), (2, (2, 5, 7, 7)), (2, (1, 4, 6, 8))):
    convolution(x, (x[1], 1, 3, 3), stride=stride, padding=1, dilation=1, groups=x[1])
convolution((1, 3, 9, 8), (3, 1, 5, 5), bias=True, stride=1, padding=2, dilation=1, groups=3)
convolution((2, 2, 9, 8), (2, 1, 3, 3), stride=2, padding=2, dilation=2, groups=2)
convolution((2, 6, 5, 6), (4, 3, 3, 3), bias=True, stride=1, padding=1, dilation=1, groups=2)
convolution((1, 6, 7, 6), (9, 2, 3, 2), stride=2, padding=0, dilation=1, groups=3)
convolution((2, 4, 4, 5), (8, 2, 1, 1), stride=1, padding=0, dilation=1, groups=2)
convolution((1, 2, 4, 5), (4, 1, 3, 3), stride=1, padding=1, dilation=1, groups=2)
convolution((2, 3, 9, 8), (2, 3, 3, 3), bias=True, stride=1, padding=2, dilation=2, groups=1)
convolution((1, 2, 10, 9), (3, 2, 2, 3), stride=2, padding=1, dilation=3, groups=1)

for groups in (2, 3):
    add("channelShuffle", lambda x: x.reshape(2, groups, 6 // groups, 2, 3).transpose(1, 2).reshape(2, 6, 2, 3),
        [("x", (2, 6, 2, 3))], groups=groups)
add("relu6", F.relu6, [("x", (2, 3, 4, 5))], dict(x=8.0))
for scale in (1.0, 1 / 256):  # the second: a variance about as large as eps
    add("layerNorm", lambda x, w, b: F.layer_norm(x, (10,), w, b, 1e-5),
        [("x", (2, 3, 10)), ("weight", (10,)), ("bias", (10,))], dict(x=scale))
add("linear", F.linear, [("x", (2, 3, 5)), ("weight", (4, 5)), ("bias", (4,))])
add("matmul", torch.matmul, [("a", (2, 1, 3, 4)), ("b", (3, 4, 5))])
add("permute", lambda x: x.permute(0, 2, 1), [("x", (2, 3, 4))])
add("concatenate", lambda a, b: torch.cat([a, b], 1), [("a", (2, 3, 2)), ("b", (2, 1, 2))])
add("slice", lambda x: x[:, 1:3], [("x", (2, 4, 3))])
add("mean", lambda x: x.mean((0, 2)), [("x", (2, 3, 4))])

path = pathlib.Path(__file__).resolve().parent.parent / "TensorsTests" / "Resources" / "operations.json"
path.parent.mkdir(exist_ok=True)
path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
print(len(cases), "cases")
