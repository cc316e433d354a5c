"""Writes small PyTorch checkpoints in every container to Tests/CheckpointsTests/Resources, and their contents to
checkpoints.json there. usage: python Tests/Golden/make_checkpoint_golden.py   (needs torch)
"""
import collections

import torch

from golden_files import save, tests

folder = tests / "CheckpointsTests" / "Resources"
torch.manual_seed(3)
base = torch.arange(24, dtype=torch.float32)
state = collections.OrderedDict()
state["module.conv1.weight"] = torch.randn(4, 3, 3, 3)
state["module.bn1.weight"] = torch.rand(4)
state["module.bn1.num_batches_tracked"] = torch.tensor(1234567890123, dtype=torch.int64)
state["module.shared.rows"] = base.view(4, 6)[1:3]  # an offset into the storage
state["module.shared.transposed"] = base.view(4, 6).t()  # strides
state["module.half"] = torch.randn(5).half()
state["module.bfloat16"] = torch.randn(5).bfloat16()
state["module.double"] = torch.randn(2, 2).double()
state["module.uint8"] = torch.arange(7, dtype=torch.uint8)
state["module.bool"] = torch.tensor([True, False, True])
state["module.empty"] = torch.zeros(0, 3)
state["module.scalar"] = torch.tensor(2.5)
group = {"lr": 0.1, "momentum": 0.9, "nesterov": False, "betas": (0.9, 0.999), "foreach": None, "params": [0]}
optimizer = {"state": {0: {"momentum_buffer": torch.randn(4, 3, 3, 3)}}, "param_groups": [group]}
checkpoint = {
    "epoch": 100, "arch": "resnet18_mpncov", "state_dict": state, "best_acc1": torch.tensor(75.48),
    "optimizer": optimizer,
}
torch.save(checkpoint, folder / "torch_zip.pth.tar")
torch.save(checkpoint, folder / "torch_legacy.pth.tar", _use_new_zipfile_serialization=False)
# As saved from a GPU, where the storages' location reads cuda:0.
legacy = (folder / "torch_legacy.pth.tar").read_bytes()
(folder / "torch_legacy_cuda.pth.tar").write_bytes(legacy.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"))
torch.save(state, folder / "torch_bare_state_dict.pth")
parameters = {k: torch.nn.Parameter(v) if v.is_floating_point() else v for k, v in state.items()}
torch.save(parameters, folder / "torch_parameters.pth")


def values(tensor):
    # An integer may be more than a double can hold.
    if not tensor.is_floating_point():
        return [int(value) for value in tensor.reshape(-1).tolist()]
    return [float("%.9g" % value) for value in tensor.double().reshape(-1).tolist()]


files = ["torch_zip.pth.tar", "torch_legacy.pth.tar", "torch_legacy_cuda.pth.tar", "torch_bare_state_dict.pth",
         "torch_parameters.pth"]
save("CheckpointsTests/Resources/checkpoints.json", {
    "files": files, "epoch": 100,
    "tensors": {
        name: {"dtype": str(t.dtype).split(".")[1], "shape": list(t.shape), "values": values(t)} for name, t in state.items()
    },
})
