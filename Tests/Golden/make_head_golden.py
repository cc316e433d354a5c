"""Writes Tests/CovariancePoolingTests/Resources/heads.json: covariance pooling and its normalisations in double precision,
forward and gradient. usage: python Tests/Golden/make_head_golden.py   (needs torch, numpy)

Features are `unit("features")` shaped [2, d, h, w]; the loss is Σ v · unit("direction"), where v is the upper triangle (row
by row, with the diagonal) of the normalised covariance. The gradient of the exact root is written out, because automatic
differentiation of an eigendecomposition fails on the singular covariance of the last case. Every gradient is checked against
a finite difference.
"""
import torch

from golden_files import numbers, save
from hash_values import unit
from reference_models import covariance, newton_schulz


def upper(c):
    d = c.shape[1]
    return c.reshape(c.shape[0], -1)[:, torch.triu(torch.ones(d, d)).reshape(-1).nonzero().flatten()]


class ExactRoot(torch.autograd.Function):
    """C^(1/2), with eigenvalues below 1e-12 of the largest taken as 0; pairs with one zero keep their term 1 / √other."""

    @staticmethod
    def forward(ctx, c):
        w, u = torch.linalg.eigh(c)
        s = torch.where(w > 1e-12 * w[:, -1:], w, 0).sqrt()
        ctx.save_for_backward(s, u)
        return (u * s.unsqueeze(1)) @ u.mT

    @staticmethod
    def backward(ctx, g):
        s, u = ctx.saved_tensors
        k = s.unsqueeze(1) + s.unsqueeze(2)
        k = torch.where(k > 0, 1 / k, 0)
        return u @ (k * (u.mT @ ((g + g.mT) / 2) @ u)) @ u.mT


def check(x, gradient, loss):
    v = torch.from_numpy(unit("probe", x.numel()).reshape(x.shape)).double()
    with torch.no_grad():
        slope = (loss(x + 1e-6 * v) - loss(x - 1e-6 * v)) / 2e-6
    assert abs(slope - (gradient * v).sum()) < 1e-6 * max(1, abs(slope)), (slope, (gradient * v).sum())


def normalized(c, kind):
    if kind == "plain":
        return c
    return newton_schulz(c, int(kind[2:])) if kind.startswith("ns") else ExactRoot.apply(c)


cases = []
for d, h, w in ((6, 4, 5), (16, 7, 7), (24, 3, 3)):  # the last is rank deficient: 8 < 24
    for kind in ("plain", "ns1", "ns2", "ns3", "ns5", "ns7", "eig0.5"):
        x = torch.from_numpy(unit("features", 2 * d * h * w).reshape(2, d, h, w)).double().requires_grad_()
        v = upper(normalized(covariance(x), kind))
        g = torch.from_numpy(unit("direction", v.numel()).reshape(v.shape)).double()
        (v * g).sum().backward()
        check(x.detach(), x.grad, lambda y: (upper(normalized(covariance(y), kind)) * g).sum())
        cases.append({
            "kind": kind, "batch": 2, "channels": d, "height": h, "width": w, "vector": numbers(v, 12),
            "gradient": numbers(x.grad, 12),
        })
note = "float64; in float32 compare |got - want| <= 2e-5 * max|want| (ns, plain) and 2e-4 * max|want| (eig gradient)"
save("CovariancePoolingTests/Resources/heads.json", {"note": note, "cases": cases})
