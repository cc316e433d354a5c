"""Numbers that any program can make from a name, so that networks and inputs need no files: Tests/TestSupport/HashValues.swift
makes the same. Needs NumPy."""
import math

import numpy as np


def fnv1a(name):
    h = 2166136261
    for byte in name.encode():
        h = (h ^ byte) * 16777619 & 0xFFFFFFFF
    return h


def unit(name, count, seed=0):
    """`count` float32 values in [-1, 1): MurmurHash3's finaliser of index · 2654435761 + fnv1a(name) + seed, as an integer
    of 32 bits, divided by 2³¹, less 1."""
    with np.errstate(over="ignore"):
        h = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32((fnv1a(name) + seed) & 0xFFFFFFFF)
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            h = (h ^ h >> np.uint32(shift)) * np.uint32(factor)
        h ^= h >> np.uint32(16)
    return (h.astype(np.float64) / 2**31 - 1).astype(np.float32)


def value_for(name, shape, seed=0, gain=1):
    """A parameter or buffer from its name in a checkpoint and its shape; `gain` multiplies 1-D weights (BatchNorm's)."""
    u = unit(name, int(np.prod(shape)), seed).reshape(shape)
    leaf = name.rsplit(".", 1)[-1]
    if leaf in ("running_mean", "moving_mean"):
        return 0.1 * u
    if leaf in ("running_var", "moving_variance"):
        return 1.0 + 0.5 * u
    if name in ("fc.bias", "end_point.bias"):
        return 0.001 * u
    if leaf in ("bias", "beta"):
        return 0.1 * u
    if len(shape) == 1:
        return gain * (0.6 + 0.2 * u)
    return (math.sqrt(6.0 / np.prod(shape[1:])) * u.astype(np.float64)).astype(np.float32)


def input_image(batch, size, seed=0):
    """[batch, 3, size, size], float32: 2 · a 14 × 14 grid of `unit("coarse")` blown up to blocks + `unit("fine")` for each pixel.

    Pixel (y, x) of channel c of image b takes the grid's cell (14 y // size, 14 x // size).
    """
    coarse = unit("coarse", batch * 3 * 14 * 14, seed).reshape(batch, 3, 14, 14)
    cell = np.arange(size) * 14 // size
    return 2 * coarse[:, :, cell][:, :, :, cell] + unit("fine", batch * 3 * size * size, seed).reshape(batch, 3, size, size)
