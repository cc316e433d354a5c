"""Square roots of covariances in PyTorch, from features on: the other side of mpn-bench. Prints a line of JSON when it
is ready, and another after each line that it reads.

usage: time_roots.py THREADS
    load PATH B d N          reads [B, d, N] little-endian float32 features
    time METHOD COUNT        times COUNT rounds after one to warm up: milliseconds for the whole batch
    values METHOD PATH       writes the roots, [B, d, d] as float32
METHOD is eigh, svd or newton-schulz (5 iterations, scaled by the trace). Autograd's gradient is taken by eigh-autograd,
svd-autograd and newton-schulz, one written by hand by eigh, svd and newton-schulz-manual.
Set MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296, or page faults slow PyTorch down.
"""
import json
import sys
import time

import numpy
import torch

from networks import covariance, newton_schulz


def with_roots(u, values, vh):
    """U diag(√values) Vᵀ, and the roots."""
    roots = values.clamp(min=0).sqrt()
    return torch.bmm(u * roots[:, None], vh), roots


def eigh_autograd(sigma):
    values, vectors = torch.linalg.eigh(sigma)
    return with_roots(vectors, values, vectors.mT)[0]


def svd_autograd(sigma):
    return with_roots(*torch.linalg.svd(sigma))[0]


class EigenRoot(torch.autograd.Function):
    """The gradient by divided differences, 1/(√λᵢ + √λⱼ), 0 where both are: finite where autograd's is not."""

    @staticmethod
    def forward(context, sigma):
        values, vectors = torch.linalg.eigh(sigma)
        root, roots = with_roots(vectors, values, vectors.mT)
        context.save_for_backward(vectors, roots)
        return root

    @staticmethod
    def backward(context, gradient):
        vectors, roots = context.saved_tensors
        sums = roots[:, :, None] + roots[:, None]
        slopes = torch.where(sums > 0, 0.5 / sums, 0)  # the half is that of (G + Gᵀ)/2
        inner = torch.bmm(torch.bmm(vectors.mT, gradient + gradient.mT), vectors).mul_(slopes)
        return torch.bmm(torch.bmm(vectors, inner), vectors.mT)


class SingularValueRoot(EigenRoot):
    @staticmethod
    def forward(context, sigma):
        u, values, vh = torch.linalg.svd(sigma)
        root, roots = with_roots(u, values, vh)
        context.save_for_backward(u, roots)
        return root


class NewtonSchulzRoot(torch.autograd.Function):
    """12 products forward and 16 backward, where autograd needs 24: all iterates and their gradients are symmetric, so
    two of a step's six products are transposes of others. To `half` of a gradient its transpose is added."""

    @staticmethod
    def forward(context, sigma):
        identity = torch.eye(sigma.shape[1], dtype=sigma.dtype)
        trace = sigma.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
        a = sigma / trace
        z = torch.sub(1.5 * identity, a, alpha=0.5)
        y = torch.bmm(a, z)
        iterates = [a]
        for is_last in (False, False, False, True):
            if context.needs_input_grad[0]:
                iterates += [y, z]
            t = torch.baddbmm(identity, z, y, beta=1.5, alpha=-0.5)
            y, z = torch.bmm(y, t), None if is_last else torch.bmm(t, z)
        root = y.mul_(trace.sqrt())
        if context.needs_input_grad[0]:
            context.save_for_backward(sigma, trace, root, *iterates)
        return root

    @staticmethod
    def backward(context, gradient):
        sigma, trace, root, a, *iterates = context.saved_tensors
        dy, dz = (gradient + gradient.mT).mul_(trace.sqrt() / 2), None
        while iterates:
            z, y = iterates.pop(), iterates.pop()
            h = torch.bmm(y, dy)
            if dz is None:
                half = torch.baddbmm(dy, z, h, beta=0.75, alpha=-0.5)
                dz = torch.bmm(h, y).mul_(-0.5)
            else:
                j = torch.bmm(dz, z)
                half = torch.baddbmm(dy, z, torch.add(h, j, alpha=0.5), beta=0.75, alpha=-0.5)
                dz = torch.baddbmm(dz, j.add_(h, alpha=0.5), y, beta=0.75, alpha=-0.5)
                dz = dz + dz.mT
            dy = half + half.mT
        # The first Z is I, and its gradient is not needed.
        half = torch.baddbmm(dy, a, dy, beta=0.75, alpha=-0.5).sub_(dz, alpha=0.25)
        dy = (half + half.mT).div_(trace)
        slope = ((gradient * root).sum((1, 2)) / 2 - (dy * sigma).sum((1, 2)))[:, None] / trace[:, :, 0]
        dy.diagonal(dim1=1, dim2=2).add_(slope)
        return dy


METHODS = {
    "eigh": EigenRoot.apply,
    "eigh-autograd": eigh_autograd,
    "svd": SingularValueRoot.apply,
    "svd-autograd": svd_autograd,
    "newton-schulz": newton_schulz,
    "newton-schulz-manual": NewtonSchulzRoot.apply,
}


def measure(method, count):
    leaf = features.detach().requires_grad_()
    torch.manual_seed(0)
    slope = torch.randn(*features.shape[:2], features.shape[1])
    times = dict(forward=[], backward=[], both=[])
    for _ in range(count + 1):
        start = time.perf_counter()
        with torch.inference_mode():
            method(covariance(features))
        forward = time.perf_counter() - start
        start = time.perf_counter()
        root = method(covariance(leaf))
        middle = time.perf_counter()
        torch.autograd.grad(root, leaf, slope)
        end = time.perf_counter()
        del root
        for name, seconds in zip(times, (forward, end - middle, end - start)):
            times[name].append(1000 * seconds)
    return {name: values[1:] for name, values in times.items()}


def answer(command="", *words):
    global features
    if command == "load":
        path, *shape = words
        features = torch.from_numpy(numpy.fromfile(path, "<f4").reshape([int(size) for size in shape]))
        return {}
    if command not in ("time", "values"):
        return dict(error=f"unknown command {command}")
    name, last = words
    if name not in METHODS:
        return dict(error=f"unknown method {name}; there are {', '.join(METHODS)}")
    if command == "time":
        return measure(METHODS[name], int(last))
    with torch.inference_mode():
        METHODS[name](covariance(features)).numpy().tofile(last)
    return {}


features = None
torch.set_num_threads(int(sys.argv[1]))
print(json.dumps(dict(version=torch.__version__)), flush=True)
for line in sys.stdin:
    print(json.dumps(answer(*line.split())), flush=True)
