"""MobileNetV2 and ShuffleNetV2 with covariance heads in PyTorch, written from the papers and the published
names, used to make golden values.

Parameter names are those of the published checkpoints (which for the trunk are torchvision's). Weights are not trained: `fill`
sets every parameter and buffer from `hash_values.value_for(name, shape)`; `num_batches_tracked` is left out. A depthwise weight
[h, 1, 3, 3] has fan-in 9, `classifier.1.bias` is an ordinary bias (0.1 * u). One thing is added: every BatchNorm scale (1-D tensor
whose name ends in `.weight`) is the float32 value 0.6 + 0.2 * u times the model's `gain` (1.5 or 1.375). Without it the signal dies
between the linear bottlenecks: another image would change the logits by 0.1 % only and no ReLU6 would ever reach 6. With it another
image changes them by 5-70 % and up to 14 % (MobileNetV2) of the values after a ReLU6 are 6.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from hash_values import value_for
from reference_models import covariance, eig_power, newton_schulz

HEADS = {"fastmpn": newton_schulz, "mpn": eig_power, "dropcov": lambda c: c}   # "dropcov": plain covariance, as at inference


def fill(model, seed=0):
    for name, t in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            t.copy_(torch.from_numpy(value_for(name, tuple(t.shape), seed, model.gain)))
    return model.eval()


def conv(i, o, k=1, s=1, groups=1):
    return nn.Conv2d(i, o, k, s, k // 2, groups=groups, bias=False)


class CovarianceNet(nn.Module):
    """trunk -> (1x1 reduction, BatchNorm, ReLU6 -> covariance -> normalisation -> upper triangle, row by row) or the mean -> linear."""

    def add_head(self, head, channels, dim):
        self.head = head
        if head == "gap":
            return channels
        self.dimension_reduction = nn.Sequential(conv(channels, dim), nn.BatchNorm2d(dim), nn.ReLU6())
        self.upper = torch.triu(torch.ones(dim, dim)).reshape(-1).nonzero().flatten()
        return dim * (dim + 1) // 2

    def pooled(self, x):
        x = self.trunk(x)
        if self.head == "gap":
            return x.mean((2, 3))
        c = HEADS[self.head](covariance(self.dimension_reduction(x)))
        return c.reshape(c.shape[0], -1)[:, self.upper]

    def forward(self, x):
        return self.classify(self.pooled(x))


# ---------------------------------------------------------------- MobileNetV2
def conv_bn_relu6(i, o, k=1, s=1, groups=1):
    return nn.Sequential(conv(i, o, k, s, groups), nn.BatchNorm2d(o), nn.ReLU6())


class InvertedResidual(nn.Module):
    """1x1 expansion (none for t = 1), 3x3 depthwise with the stride, 1x1 projection without activation; shortcut where the shape allows."""

    def __init__(self, i, o, s, t):
        super().__init__()
        h = i * t
        expand = [conv_bn_relu6(i, h)] if t > 1 else []
        self.conv = nn.Sequential(*expand, conv_bn_relu6(h, h, 3, s, groups=h), conv(h, o), nn.BatchNorm2d(o))
        self.shortcut = s == 1 and i == o

    def forward(self, x):
        return x + self.conv(x) if self.shortcut else self.conv(x)


class MobileNetV2(CovarianceNet):
    gain = 1.5
    ROWS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]  # t, out, repeats, stride

    def __init__(self, head="gap", dim=256, classes=1000):
        super().__init__()
        rows, i = [conv_bn_relu6(3, 32, 3, 2)], 32
        for t, o, n, s in self.ROWS:
            for j in range(n):
                rows.append(InvertedResidual(i, o, s if j == 0 else 1, t))
                i = o
        self.features = nn.Sequential(*rows, conv_bn_relu6(i, 1280))
        length = self.add_head(head, 1280, dim)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(length, classes))

    def trunk(self, x):
        return self.features(x)

    def classify(self, v):
        return self.classifier(v)


# ---------------------------------------------------------------- ShuffleNetV2
def shuffle(x, groups=2):
    """Channel j of group g goes to place groups * j + g."""
    b, c, h, w = x.shape
    return x.view(b, groups, c // groups, h, w).transpose(1, 2).reshape(b, c, h, w)


class ShuffleUnit(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        half = o // 2
        bn = nn.BatchNorm2d
        self.stride = s
        self.branch1 = nn.Sequential(*([conv(i, i, 3, 2, i), bn(i), conv(i, half), bn(half), nn.ReLU()] if s == 2 else []))
        self.branch2 = nn.Sequential(conv(i if s == 2 else half, half), bn(half), nn.ReLU(),
                                     conv(half, half, 3, s, half), bn(half), conv(half, half), bn(half), nn.ReLU())

    def forward(self, x):
        a, b = (x, x) if self.stride == 2 else x.chunk(2, 1)
        return shuffle(torch.cat([self.branch1(a), self.branch2(b)], 1))


class ShuffleNetV2(CovarianceNet):
    gain = 1.375
    WIDTHS = {"x0_5": (24, 48, 96, 192, 1024), "x1_0": (24, 116, 232, 464, 1024)}

    def __init__(self, width="x1_0", head="gap", dim=256, classes=1000):
        super().__init__()
        c = self.WIDTHS[width]
        self.conv1 = nn.Sequential(conv(3, c[0], 3, 2), nn.BatchNorm2d(c[0]), nn.ReLU())
        for n, repeats in ((2, 4), (3, 8), (4, 4)):
            i, o = c[n - 2], c[n - 1]
            setattr(self, f"stage{n}", nn.Sequential(*[ShuffleUnit(i if j == 0 else o, o, 2 if j == 0 else 1) for j in range(repeats)]))
        self.conv5 = nn.Sequential(conv(c[3], c[4]), nn.BatchNorm2d(c[4]), nn.ReLU())
        self.fc = nn.Linear(self.add_head(head, c[4], dim), classes)

    def trunk(self, x):
        x = F.max_pool2d(self.conv1(x), 3, 2, 1)
        return self.conv5(self.stage4(self.stage3(self.stage2(x))))

    def classify(self, v):
        return self.fc(v)
