"""The zoo's networks in PyTorch, as a peer to time, to train beside and to compare outputs with.

Names of parameters are those of the published checkpoints, so a state dict saved here loads in zoo-eval.
"""
import math

import torch
from torch import nn

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def conv_bn(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)


class Block(nn.Module):
    def __init__(self, inputs, width, stride, bottleneck):
        super().__init__()
        outputs = 4 * width if bottleneck else width
        if bottleneck:
            self.conv1, self.bn1 = conv_bn(inputs, width, 1)
            self.conv2, self.bn2 = conv_bn(width, width, 3, stride)
            self.conv3, self.bn3 = conv_bn(width, outputs, 1)
        else:
            self.conv1, self.bn1 = conv_bn(inputs, width, 3, stride)
            self.conv2, self.bn2 = conv_bn(width, width, 3)
            self.conv3 = None
        self.downsample = nn.Sequential(*conv_bn(inputs, outputs, 1, stride)) if stride > 1 or inputs != outputs else None

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.conv3 is not None:
            y = self.bn3(self.conv3(torch.relu(y)))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


def covariance(x):
    x = x.flatten(2)
    x = x - x.mean(2, keepdim=True)
    return x @ x.transpose(1, 2) / x.shape[2]


def newton_schulz(sigma, iterations=5):
    identity = torch.eye(sigma.shape[1], dtype=sigma.dtype)
    trace = sigma.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    y = sigma / trace
    t = (3 * identity - y) / 2
    y, z = y @ t, t
    for _ in range(iterations - 2):
        t = (3 * identity - z @ y) / 2
        y, z = y @ t, t @ z
    return y @ (3 * identity - z @ y) / 2 * trace.sqrt()


class ExactRoot(torch.autograd.Function):
    """The square root of symmetric matrices. Eigenvalues below 1e-12 of the largest count as 0; in the derivative only pairs
    of two such are left out (automatic differentiation of eigh would divide by 0)."""

    @staticmethod
    def forward(context, sigma):
        values, vectors = torch.linalg.eigh(sigma)
        roots = torch.where(values > 1e-12 * values[:, -1:], values, 0).sqrt()
        context.save_for_backward(roots, vectors)
        return (vectors * roots[:, None]) @ vectors.transpose(1, 2)

    @staticmethod
    def backward(context, gradient):
        roots, vectors = context.saved_tensors
        sums = roots[:, :, None] + roots[:, None]
        slopes = torch.where(sums > 0, 1 / sums, 0)
        inner = vectors.transpose(1, 2) @ ((gradient + gradient.transpose(1, 2)) / 2) @ vectors
        return vectors @ (slopes * inner) @ vectors.transpose(1, 2)


class CovarianceHead(nn.Module):
    """Covariance, normalisation, upper triangle. `uniform`, a tensor [B, d] in [0, 1), decides what DropCov drops."""

    def __init__(self, kind, dimension):
        super().__init__()
        self.kind, self.uniform, self.rate = kind, None, None
        self.register_buffer("triangle", torch.triu_indices(dimension, dimension, device="cpu"), persistent=False)

    def forward(self, x, attention=None):
        if self.kind == "dropcov" and self.training:
            x = self.drop(x, attention)
        x = covariance(x)
        if self.kind == "fastmpn":
            x = newton_schulz(x)
        elif self.kind == "mpn":
            x = ExactRoot.apply(x)
        return x[:, self.triangle[0], self.triangle[1]]

    def drop(self, x, attention):
        weights = torch.softmax(attention(x.mean((2, 3))[:, None])[:, 0], 1)
        x = x + weights[:, :, None, None] * x
        with torch.no_grad():
            agreement = torch.cosine_similarity(weights, covariance(x).sum(2), dim=1).mean()
            self.rate = float((1 - 10 / math.log2(x.shape[1]) * agreement).clamp(0, 1))
            uniform = torch.rand_like(weights) if self.uniform is None else self.uniform
            mask = (uniform >= self.rate) / (1 - self.rate) if self.rate < 1 else torch.zeros_like(weights)
        return x * mask[:, :, None, None]


class Attention(nn.Module):
    """DropCov's convolution along the channels, under its name in checkpoints."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x):
        return self.conv(x)


class Network(nn.Module):
    """resnet18/34/50/101[-fastmpn|-mpn|-dropcov], PyTorch flavour."""

    def __init__(self, name, dimension=256, classes=1000):
        super().__init__()
        base, _, head = name.partition("-")
        depth = int(base.removeprefix("resnet"))
        bottleneck = depth >= 50
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        channels = 64
        for stage, blocks in enumerate(STAGES[depth]):
            width, layers = 64 << stage, []
            for block in range(blocks):
                stride = 2 if block == 0 and 0 < stage < (3 if head else 4) else 1
                layers.append(Block(channels, width, stride, bottleneck))
                channels = 4 * width if bottleneck else width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        add_head(self, head, channels, dimension, classes, "fc")

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        return classify(self, self.layer4(self.layer3(self.layer2(self.layer1(x)))))


class SmallBlock(nn.Module):
    """A basic block whose shortcut drops pixels and adds channels of zeros (He et al. 2015, option A)."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = conv_bn(inputs, outputs, 3, stride)
        self.conv2, self.bn2 = conv_bn(outputs, outputs, 3)
        self.stride, self.added = stride, (outputs - inputs) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        x = x[:, :, ::self.stride, ::self.stride]
        if self.added:
            x = nn.functional.pad(x, (0, 0, 0, 0, self.added, self.added))
        return torch.relu(y + x)


class SmallNetwork(nn.Module):
    """resnet20/32/44/56[-fastmpn|-mpn|-dropcov] for images of 28 or 32 pixels."""

    def __init__(self, name, dimension=64, classes=10, input_channels=3):
        super().__init__()
        base, _, head = name.partition("-")
        blocks = (int(base.removeprefix("resnet")) - 2) // 6
        self.conv1, self.bn1 = conv_bn(input_channels, 16, 3)
        channels = 16
        for stage, width in enumerate((16, 32, 64)):
            layers = []
            for block in range(blocks):
                stride = 2 if block == 0 and 0 < stage < (2 if head else 3) else 1
                layers.append(SmallBlock(channels, width, stride))
                channels = width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        add_head(self, head, channels, dimension, classes, "fc" if head else "linear")

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        return classify(self, self.layer3(self.layer2(self.layer1(x))))


class Head(nn.Module):
    """head-fastmpn and its like: from the last features of a ResNet-18 to logits."""

    input_shape = (512, 14, 14)

    def __init__(self, name, dimension=256, classes=1000):
        super().__init__()
        add_head(self, name.partition("-")[2], self.input_shape[0], dimension, classes, "fc")

    def forward(self, x):
        return classify(self, x)


def add_head(network, head, channels, dimension, classes, classifier):
    network.head, network.classifier = head, classifier
    if head:
        network.layer_reduce, network.layer_reduce_bn = conv_bn(channels, dimension, 1)
        network.pooling = CovarianceHead(head, dimension)
        if head == "dropcov":
            network.eca_layer = Attention()
        channels = dimension * (dimension + 1) // 2
    setattr(network, classifier, nn.Linear(channels, classes))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def classify(network, x):
    if network.head:
        x = torch.relu(network.layer_reduce_bn(network.layer_reduce(x)))
        x = network.pooling(x, getattr(network, "eca_layer", None))
    else:
        x = x.mean((2, 3))
    return getattr(network, network.classifier)(x)


def make_network(name, **arguments):
    """The network of this name, of whichever architecture, or a head."""
    if name.startswith("head-"):
        return Head(name, **arguments)
    if not name.startswith("resnet"):
        from light_networks import make_light_network

        return make_light_network(name, **arguments)
    depth = int(name.partition("-")[0].removeprefix("resnet"))
    return Network(name, **arguments) if depth in STAGES else SmallNetwork(name, **arguments)
