"""ResNets with covariance heads in PyTorch, written from the papers and the published figures: what golden values are made with.

Two flavours of the same networks:
  * "torch":     ResNet v1.5 as in torchvision, symmetric padding, BatchNorm eps 1e-5, parameter names `layer1.0.bn1.weight`, …
  * "mindspore": the MindSpore release; ResNet-50 uses pad_mode "same" (asymmetric for stride 2), BatchNorm eps 1e-4 but for
                 stem and shortcuts of the basic-block networks, parameter names `layer1.0.bn1d.gamma`, …, 1001 classes.
Weights are not trained: `fill(module)` sets every parameter and buffer from its name (hash_values.py).
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from hash_values import value_for

LAYERS = {18: ("basic", [2, 2, 2, 2]), 34: ("basic", [3, 4, 6, 3]), 50: ("bottleneck", [3, 4, 6, 3]), 101: ("bottleneck", [3, 4, 23, 3])}


# ---------------------------------------------------------------- layers
class Conv(nn.Conv2d):
    """Convolution with symmetric padding, or MindSpore's "same": output ceil(in/stride), the odd pixel of padding at the end."""
    def __init__(self, i, o, k, s=1, same=False):
        super().__init__(i, o, k, s, 0 if same else k // 2, bias=False)
        self.same = same

    def forward(self, x):
        if self.same:
            x = F.pad(x, sum((same_pad(n, self.kernel_size[0], self.stride[0]) for n in (x.shape[3], x.shape[2])), ()))
        return super().forward(x)


def same_pad(n, k, s):
    total = max((-(-n // s) - 1) * s + k - n, 0)
    return (total // 2, total - total // 2)


class Basic(nn.Module):
    expansion = 1

    def __init__(self, i, p, s, f):
        super().__init__()
        self.conv1, self.bn1 = Conv(i, p, 3, s), nn.BatchNorm2d(p, f.eps)
        self.conv2, self.bn2 = Conv(p, p, 3, 1), nn.BatchNorm2d(p, f.eps)
        self.downsample = nn.Sequential(Conv(i, p, 1, s), nn.BatchNorm2d(p, f.eps_basic_stem)) if s != 1 or i != p else None

    def forward(self, x):
        r = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + r)


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, i, p, s, f):
        super().__init__()
        self.conv1, self.bn1 = Conv(i, p, 1), nn.BatchNorm2d(p, f.eps)
        self.conv2, self.bn2 = Conv(p, p, 3, s, f.same), nn.BatchNorm2d(p, f.eps)
        self.conv3, self.bn3 = Conv(p, 4 * p, 1), nn.BatchNorm2d(4 * p, f.eps)
        self.downsample = nn.Sequential(Conv(i, 4 * p, 1, s), nn.BatchNorm2d(4 * p, f.eps)) if s != 1 or i != 4 * p else None

    def forward(self, x):
        r = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + r)


class Flavour:
    def __init__(self, name, basic):
        ms = name == "mindspore"
        self.mindspore = ms
        self.same = ms and not basic          # the 18- and 34-layer MindSpore nets pad symmetrically
        self.eps = 1e-4 if ms else 1e-5
        self.eps_basic_stem = 1e-5            # stem and downsample BatchNorm of the basic-block nets, in both flavours


# ---------------------------------------------------------------- covariance pooling
def covariance(x):
    """[B, d, h, w] -> [B, d, d]: mean removed per channel, divided by N = h*w."""
    b, d, h, w = x.shape
    x = x.reshape(b, d, h * w)
    x = x - x.mean(2, keepdim=True)
    return x.bmm(x.transpose(1, 2)) / (h * w)


def newton_schulz(c, iterations=5):
    """Approximate C^(1/2): trace pre-normalisation, coupled iteration, post-compensation by sqrt(trace)."""
    d = c.shape[1]
    tr = c.diagonal(dim1=1, dim2=2).sum(1).view(-1, 1, 1)
    a, eye = c / tr, torch.eye(d, dtype=c.dtype)
    if iterations < 2:
        return a @ (0.5 * (3 * eye - a)) * tr.sqrt()
    zy = 0.5 * (3 * eye - a)
    y, z = a @ zy, zy
    for _ in range(1, iterations - 1):
        zy = 0.5 * (3 * eye - z @ y)
        y, z = y @ zy, zy @ z
    return 0.5 * y @ (3 * eye - z @ y) * tr.sqrt()


def eig_power(c, alpha=0.5):
    """Exact C^alpha by eigendecomposition, eigenvalues below 0 taken as 0."""
    w, u = torch.linalg.eigh(c)
    return (u * w.clamp_min(0).pow(alpha).unsqueeze(1)) @ u.transpose(1, 2)


class ResNet(nn.Module):
    """head: "gap", "fastmpn" (5 Newton-Schulz iterations), "mpn" (exact, eigendecomposition), "dropcov" (plain covariance at inference)."""

    def __init__(self, depth, head="gap", dim=256, classes=1000, flavour="torch"):
        super().__init__()
        kind, layers = LAYERS[depth]
        f = Flavour(flavour, kind == "basic")
        block = Basic if kind == "basic" else Bottleneck
        self.head, self.f = head, f
        self.conv1 = Conv(3, 64, 7, 2, f.same)
        self.bn1 = nn.BatchNorm2d(64, f.eps_basic_stem if kind == "basic" else f.eps)
        i = 64
        for n, (p, s) in enumerate([(64, 1), (128, 2), (256, 2), (512, 2 if head == "gap" else 1)]):
            row = []
            for j in range(layers[n]):
                row.append(block(i, p, s if j == 0 else 1, f)); i = p * block.expansion
            setattr(self, f"layer{n + 1}", nn.Sequential(*row))
        if head == "gap":
            self.fc = nn.Linear(i, classes)
        else:
            self.layer_reduce = Conv(i, dim, 1)
            self.layer_reduce_bn = nn.BatchNorm2d(dim, f.eps)
            self.fc = nn.Linear(dim * (dim + 1) // 2, classes)
            self.upper = torch.triu(torch.ones(dim, dim)).reshape(-1).nonzero().flatten()

    def pooled(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if self.f.same:
            x = F.pad(x, sum((same_pad(n, 3, 2) for n in (x.shape[3], x.shape[2])), ()), value=-math.inf)
            x = F.max_pool2d(x, 3, 2)
        else:
            x = F.max_pool2d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        if self.head == "gap":
            return x.mean((2, 3))
        x = F.relu(self.layer_reduce_bn(self.layer_reduce(x)))
        c = covariance(x)
        c = {"fastmpn": newton_schulz, "mpn": eig_power, "dropcov": lambda m: m}[self.head](c)
        return c.reshape(c.shape[0], -1)[:, self.upper]

    def forward(self, x):
        return self.fc(self.pooled(x))


def checkpoint_names(model: ResNet):
    """state_dict name -> the name the flavour's checkpoint uses (num_batches_tracked has none)."""
    out = {}
    for k in model.state_dict():
        if k.endswith("num_batches_tracked"):
            continue
        n = k
        if model.f.mindspore:
            basic = isinstance(model.layer1[0], Basic)
            n = n.replace(".downsample.", ".down_sample_layer.")
            if basic and n.startswith("layer") and not n.startswith("layer_reduce"):
                n = n.replace(".bn1.", ".bn1d.").replace(".bn2.", ".bn2d.")
            is_bn = ".bn" in n or n.startswith("bn1.") or "_bn." in n or "down_sample_layer.1." in n
            if is_bn:
                n = (n.replace(".running_mean", ".moving_mean").replace(".running_var", ".moving_variance")
                      .replace(".weight", ".gamma").replace(".bias", ".beta"))
            if model.head == "gap":
                n = n.replace("fc.", "end_point.")
        out[k] = n
    return out


def fill(model: ResNet, seed=0):
    sd = model.state_dict()
    for k, n in checkpoint_names(model).items():
        sd[k].copy_(torch.from_numpy(value_for(n, tuple(sd[k].shape), seed)))
    return model.eval()
