"""Writes Tests/CovariancePoolingTests/Resources/roots.json with PyTorch in double precision: what each normalisation
makes of a covariance, and its gradient with respect to the features, for covariances of full rank and a singular one.
usage: python Tests/Golden/make_root_golden.py   (needs torch, numpy)

Features come from a generator that any program can write; see Tests/TestSupport/HashValues.swift. Gradients are those
of sum(value · unit("direction")). Each is checked against finite differences after the file is written.
"""
import fractions
import json
import pathlib

import numpy as np
import torch

here = pathlib.Path(__file__).parent
torch.set_default_dtype(torch.float64)
SHAPES = (2, 5, 12), (1, 6, 4)


def hash32(name):
    h = 2166136261
    for byte in name.encode():
        h = (h ^ byte) * 16777619 & 0xFFFFFFFF
    return h


def unit(name, *shape):
    """Numbers in [-1, 1), rounded to single precision."""
    with np.errstate(over="ignore"):
        h = np.arange(np.prod(shape), dtype=np.uint32) * np.uint32(2654435761) + np.uint32(hash32(name))
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            h = (h ^ h >> np.uint32(shift)) * np.uint32(factor)
        h ^= h >> np.uint32(16)
    return torch.from_numpy((h.astype(np.float64) / 2**31 - 1).astype(np.float32).astype(np.float64)).reshape(shape)


def centered(x):
    return x - x.mean(2, keepdim=True)


def covariance(x):
    x = centered(x)
    return x @ x.mT / x.shape[2]


def trace(sigma):
    return sigma.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]


def frobenius(sigma):
    return sigma.square().sum((1, 2), keepdim=True).sqrt()


def newton_schulz(x, iterations, scaling):
    sigma, identity = covariance(x), torch.eye(x.shape[1])
    factor = scaling(sigma)
    a = sigma / factor
    p = (3 * identity - a) / 2
    y, z = a @ p, p
    for _ in range(iterations - 2):
        p = (3 * identity - z @ y) / 2
        y, z = y @ p, p @ z
    return factor.sqrt() * y @ (3 * identity - z @ y) / 2


def root_series(count):
    """Coefficients of √(1 − x) = Σ cₖ xᵏ."""
    series = [fractions.Fraction(1)]
    for k in range(1, count):
        series.append(series[-1] * (k - 1 - fractions.Fraction(1, 2)) / k)
    return series


def polynomial(coefficients, e):
    """Σ coefficients[k] Eᵏ."""
    power, result = torch.eye(e.shape[1]).expand_as(e), 0
    for coefficient in coefficients:
        result = result + float(coefficient) * power
        power = power @ e
    return result


def distance_from_identity(x):
    sigma = covariance(x)
    factor = frobenius(sigma)
    return factor, torch.eye(x.shape[1]) - sigma / factor


def taylor(x, degree):
    factor, e = distance_from_identity(x)
    return factor.sqrt() * polynomial(root_series(degree + 1), e)


def solve_rational(rows, right):
    """The solution of a square linear system, by Gauss–Jordan elimination of fractions."""
    system = [row + [value] for row, value in zip(rows, right)]
    for i in range(len(system)):
        pivot = next(k for k in range(i, len(system)) if system[k][i] != 0)
        system[i], system[pivot] = system[pivot], system[i]
        system[i] = [value / system[i][i] for value in system[i]]
        for k in range(len(system)):
            if k != i:
                system[k] = [a - system[k][i] * b for a, b in zip(system[k], system[i])]
    return [row[-1] for row in system]


def pade_table(degree):
    """P and Q with P/Q = √(1 − x) up to x^(2 degree), Q(0) = 1."""
    c = root_series(2 * degree + 1)
    rows = [[c[k - j] for j in range(1, degree + 1)] for k in range(degree + 1, 2 * degree + 1)]
    q = [fractions.Fraction(1)] + solve_rational(rows, [-value for value in c[degree + 1:]])
    return [sum(q[j] * c[k - j] for j in range(k + 1)) for k in range(degree + 1)], q


def pade(x, degree):
    factor, e = distance_from_identity(x)
    p, q = pade_table(degree)
    return factor.sqrt() * torch.linalg.solve(polynomial(q, e), polynomial(p, e))


def spectral(x, function):
    """U diag(function(λ)) Uᵀ over the λ that are not 0, from the singular values of the features of each sample."""
    result = []
    for index, features in enumerate(centered(x)):
        u, values, _ = torch.linalg.svd(features, full_matrices=False)
        rank = int((values > 1e-9 * values[0]).sum())
        u, eigenvalues = u[:, :rank], values[:rank] ** 2 / x.shape[2]
        result.append(u * function(eigenvalues, index) @ u.T)
    return torch.stack(result)


def power(x, exponent):
    return spectral(x, lambda values, _: values**exponent)


def logarithm(x, shift):
    added = shift * trace(covariance(x)) / x.shape[1]
    rest = spectral(x, lambda values, index: torch.log(values + added[index, 0]) - torch.log(added[index, 0]))
    return torch.log(added) * torch.eye(x.shape[1]) + rest


def upper(matrix):
    i, j = torch.triu_indices(*matrix.shape[1:])
    return matrix[:, i, j]


def normalized(vector):
    return vector / vector.norm(dim=1, keepdim=True).clamp(min=1e-12)


def signed_root(vector):
    return vector.sign() * (vector.abs() + 1e-8).sqrt()


def bilinear(x):
    return normalized(signed_root(upper(x @ x.mT / x.shape[2])))


def largest_root(x, vector):
    sigma = covariance(x)
    u = sigma @ vector[:, None]
    u = u / u.norm(dim=1, keepdim=True)
    w = sigma.mT @ u
    value = w.norm(dim=1, keepdim=True)
    leading = u @ (w / value).mT
    return value.sqrt() * leading + (sigma - value * leading) / (value.sqrt() + 1e-5)


def layer_norm(x):
    vector = upper(covariance(x))
    return (vector - vector.mean(1, keepdim=True)) / (vector.var(1, keepdim=True, correction=0) + 1e-5).sqrt()


def scale(x):
    vector = upper(covariance(x))
    return normalized(vector) * vector.shape[1] ** 0.5


CASES = {
    "newton-schulz:iterations=5,scaling=frobenius": lambda x: newton_schulz(x, 5, frobenius),
    "newton-schulz:iterations=7,scaling=trace": lambda x: newton_schulz(x, 7, trace),
    "taylor:degree=10": lambda x: taylor(x, 10),
    "taylor:degree=4": lambda x: taylor(x, 4),
    "pade:degree=5": lambda x: pade(x, 5),
    "pade:degree=3": lambda x: pade(x, 3),
    "power:exponent=0.5": lambda x: power(x, 0.5),
    "power:exponent=0.3": lambda x: power(x, 0.3),
    "power:exponent=1.5": lambda x: power(x, 1.5),
    "log:shift=0.001": lambda x: logarithm(x, 0.001),
    "epn": lambda x: normalized(signed_root(upper(covariance(x)))),
    "bcnn": bilinear,
    "svpn": largest_root,
    "layernorm": layer_norm,
    "scale": scale,
}


def inputs(name, batch, channels, positions):
    """The features, and svPN's vector."""
    features = unit("features", batch, channels, positions)
    return [features, unit("vector", channels)] if name == "svpn" else [features]


def probe(name, tensors):
    value = CASES[name](*tensors)
    return value, (value * unit("direction", *value.shape)).sum()


def gradients(name, tensors):
    tensors = [tensor.clone().requires_grad_() for tensor in tensors]
    value, total = probe(name, tensors)
    return value, torch.autograd.grad(total, tensors)


def numbers(tensor):
    return [float("%.13g" % value) for value in tensor.detach().flatten().tolist()]


def golden(name, batch, channels, positions):
    value, found = gradients(name, inputs(name, batch, channels, positions))
    case = dict(name=name, batch=batch, channels=channels, positions=positions, value=numbers(value),
                gradient=numbers(found[0]))
    if len(found) == 2:
        case["vectorGradient"] = numbers(found[1])
    return case


def difference(name, shape, step=1e-6):
    """How far the gradients are from central differences along random directions, the worst of the inputs."""
    tensors, worst = inputs(name, *shape), 0
    for index, gradient in enumerate(gradients(name, tensors)[1]):
        direction = torch.randn_like(gradient)
        ends = []
        for sign in (1, -1):
            moved = list(tensors)
            moved[index] = tensors[index] + sign * step * direction
            ends.append(probe(name, moved)[1].item())
        slope = (gradient * direction).sum().item()
        worst = max(worst, abs((ends[0] - ends[1]) / (2 * step) - slope) / abs(slope))
    return worst


cases = [golden(name, *shape) for name in CASES for shape in SHAPES]
target = here.parent / "CovariancePoolingTests" / "Resources" / "roots.json"
target.write_text(json.dumps(dict(torch=torch.__version__.split("+")[0], cases=cases), separators=(",", ":")) + "\n")

torch.manual_seed(0)
errors = {(name, shape): difference(name, shape) for name in CASES for shape in SHAPES}
for (name, shape), error in errors.items():
    assert error < 1e-5, f"{name} {shape}: {error:.1e} from finite differences"
print(f"{target}: {target.stat().st_size} bytes, {len(errors)} cases; gradients within {max(errors.values()):.1e}")
