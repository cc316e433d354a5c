"""MobileNetV2 and ShuffleNetV2 in PyTorch, with the heads of `networks.py`; parameters are called as in the published
checkpoints. Weights keep the scale of what they are given, so that a random network does not say the same of every picture."""
import torch
from torch import nn

from networks import CovarianceHead

# Expansion, channels, repeats, stride of the first.
BOTTLENECKS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
WIDTHS = {"x0_5": (48, 96, 192, 1024), "x1_0": (116, 232, 464, 1024), "x1_5": (176, 352, 704, 1024),
          "x2_0": (244, 488, 976, 2048)}


def conv_norm(inputs, outputs, kernel=1, stride=1, groups=1, activation=None):
    """The layers of a sequence."""
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)]
    return layers + ([activation()] if activation else [])


class Light(nn.Module):
    """What both share: the reduction and pooling before the classifier."""

    def add_head(self, head, channels, dimension):
        """Returns how long the pooled vector is."""
        self.head = head
        if not head:
            return channels
        self.dimension_reduction = nn.Sequential(*conv_norm(channels, dimension, activation=nn.ReLU6))
        self.pooling = CovarianceHead(head, dimension)
        return dimension * (dimension + 1) // 2

    def pooled(self, x):
        return self.pooling(self.dimension_reduction(x)) if self.head else x.mean((2, 3))

    def initialize(self):
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


class Bottleneck(nn.Module):
    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        layers = [nn.Sequential(*conv_norm(inputs, hidden, activation=nn.ReLU6))] if expansion > 1 else []
        layers.append(nn.Sequential(*conv_norm(hidden, hidden, 3, stride, hidden, nn.ReLU6)))
        self.conv = nn.Sequential(*layers, *conv_norm(hidden, outputs))
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.conv(x) if self.is_residual else self.conv(x)


class MobileNetV2(Light):
    def __init__(self, head, dimension=256, classes=1000):
        super().__init__()
        layers, channels = [nn.Sequential(*conv_norm(3, 32, 3, 2, activation=nn.ReLU6))], 32
        for expansion, outputs, repeats, stride in BOTTLENECKS:
            for index in range(repeats):
                layers.append(Bottleneck(channels, outputs, stride if index == 0 else 1, expansion))
                channels = outputs
        layers.append(nn.Sequential(*conv_norm(channels, 1280, activation=nn.ReLU6)))
        self.features = nn.Sequential(*layers)
        length = self.add_head(head, 1280, dimension)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(length, classes))
        self.initialize()

    def forward(self, x):
        return self.classifier(self.pooled(self.features(x)))


class Unit(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        half = outputs // 2
        self.stride = stride
        self.branch1 = nn.Sequential(
            *conv_norm(inputs, inputs, 3, 2, inputs), *conv_norm(inputs, half, activation=nn.ReLU)) if stride == 2 else None
        self.branch2 = nn.Sequential(
            *conv_norm(inputs if stride == 2 else half, half, activation=nn.ReLU), *conv_norm(half, half, 3, stride, half),
            *conv_norm(half, half, activation=nn.ReLU))

    def forward(self, x):
        if self.stride == 2:
            parts = self.branch1(x), self.branch2(x)
        else:
            first, second = x.chunk(2, 1)
            parts = first, self.branch2(second)
        return nn.functional.channel_shuffle(torch.cat(parts, 1), 2)


class ShuffleNetV2(Light):
    def __init__(self, width, head, dimension=256, classes=1000):
        super().__init__()
        self.conv1 = nn.Sequential(*conv_norm(3, 24, 3, 2, activation=nn.ReLU))
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels, last = 24, WIDTHS[width][-1]
        for stage, (units, outputs) in enumerate(zip((4, 8, 4), WIDTHS[width])):
            layers = [Unit(channels if index == 0 else outputs, outputs, 2 if index == 0 else 1) for index in range(units)]
            setattr(self, f"stage{stage + 2}", nn.Sequential(*layers))
            channels = outputs
        self.conv5 = nn.Sequential(*conv_norm(channels, last, activation=nn.ReLU))
        self.fc = nn.Linear(self.add_head(head, last, dimension), classes)
        self.initialize()

    def forward(self, x):
        x = self.stage4(self.stage3(self.stage2(self.maxpool(self.conv1(x)))))
        return self.fc(self.pooled(self.conv5(x)))


def make_light_network(name, **arguments):
    """mobilenet_v2 or shufflenet_v2_x…, [-fastmpn|-mpn]; `None` for other names."""
    base, _, head = name.partition("-")
    if base == "mobilenet_v2":
        return MobileNetV2(head, **arguments)
    if base.startswith("shufflenet_v2_"):
        return ShuffleNetV2(base.removeprefix("shufflenet_v2_"), head, **arguments)
    return None
