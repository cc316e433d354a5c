"""Writes Tests/CheckpointsTests/Resources/mindspore_tiny.ckpt with MindSpore itself, and its contents to mindspore.json
there. usage: python Tests/Golden/make_mindspore_golden.py   (needs mindspore, numpy)
"""
import mindspore as ms
import mindspore.nn as nn
import numpy as np

from golden_files import save, tests

path = str(tests / "CheckpointsTests" / "Resources" / "mindspore_tiny.ckpt")
ms.set_context(mode=ms.PYNATIVE_MODE)
ms.set_device("CPU")


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, pad_mode="same")
        self.bn1 = nn.BatchNorm2d(8, eps=1e-4)
        self.layer_reduce = nn.Conv2d(8, 4, 1, pad_mode="same")
        self.layer_reduce_bn = nn.BatchNorm2d(4, eps=1e-4)
        self.eca = nn.Conv1d(1, 1, 3, padding=1, pad_mode="pad")
        self.fc = nn.Dense(10, 5)

    def construct(self, x):
        return self.layer_reduce_bn(self.layer_reduce(self.bn1(self.conv1(x))))


ms.set_seed(5)
net = Net()
net.set_train(False)
rng = np.random.default_rng(5)
for parameter in net.get_parameters():
    parameter.set_data(ms.Tensor(rng.random(parameter.shape).astype("float32")))
optimizer = nn.Momentum(net.trainable_params(), 0.1, 0.9)
items = [{"name": p.name, "data": p} for p in [*net.get_parameters(), *optimizer.moments]] + [
    {"name": "half", "data": ms.Tensor(rng.random((2, 3)).astype("float16"))},
    {"name": "count", "data": ms.Tensor(np.array([7, -8], "int32"))},
    {"name": "flag", "data": ms.Tensor(np.array([True, False]))},
]
ms.save_checkpoint(items, path, append_dict={"epoch_num": 100, "step_num": 500400})
x = ms.Tensor(rng.random((1, 3, 10, 11)).astype("float32"))
y = net(x).asnumpy()


def values(array):
    return [float("%.9g" % value) for value in np.asarray(array, "float64").reshape(-1)]


save("CheckpointsTests/Resources/mindspore.json", {
    "tensors": {
        name: {"shape": list(p.shape), "dtype": str(p.dtype), "values": values(p.asnumpy())}
        for name, p in ms.load_checkpoint(path).items()
    },
    "inputShape": [1, 3, 10, 11], "input": values(x.asnumpy()), "outputShape": list(y.shape), "output": values(y),
})
