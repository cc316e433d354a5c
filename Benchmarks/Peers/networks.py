"""The zoo's ImageNet networks in PyTorch, as a peer to time and to compare outputs with.

Names of parameters are those of the published checkpoints, so a state dict saved here loads in zoo-eval.
"""
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


class Network(nn.Module):
    """resnet<depth>[-fastmpn|-dropcov], PyTorch flavour, d = 256, 1000 classes."""

    def __init__(self, name):
        super().__init__()
        base, _, self.head = name.partition("-")
        depth = int(base.removeprefix("resnet"))
        bottleneck = depth >= 50
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        channels = 64
        for stage, blocks in enumerate(STAGES[depth]):
            width, layers = 64 << stage, []
            for block in range(blocks):
                stride = 2 if block == 0 and 0 < stage < (3 if self.head else 4) else 1
                layers.append(Block(channels, width, stride, bottleneck))
                channels = 4 * width if bottleneck else width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        if self.head:
            self.layer_reduce, self.layer_reduce_bn = conv_bn(channels, 256, 1)
            self.register_buffer("triangle", torch.triu_indices(256, 256), persistent=False)
        self.fc = nn.Linear(256 * 257 // 2 if self.head else channels, 1000)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        if not self.head:
            return self.fc(x.mean((2, 3)))
        x = covariance(torch.relu(self.layer_reduce_bn(self.layer_reduce(x))))
        if self.head == "fastmpn":
            x = newton_schulz(x)
        return self.fc(x[:, self.triangle[0], self.triangle[1]])
