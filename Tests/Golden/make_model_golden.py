"""Writes Tests/ModelZooTests/Resources/models.json: logits of ResNets, filled by `reference_models.fill`, on a hash-made
image, in double precision. usage: python Tests/Golden/make_model_golden.py   (needs torch, numpy; some minutes)
"""
import torch

from golden_files import numbers, save
from hash_values import input_image
from reference_models import ResNet, fill

rows = []


def add(depth, head, dim, flavour, classes, size=224, batch=1):
    network = fill(ResNet(depth, head, dim, classes, flavour)).double()
    with torch.no_grad():
        pooled = network.pooled(torch.from_numpy(input_image(batch, size)).double())
        logits = network.fc(pooled)
    stride = pooled.shape[1] // 37
    rows.append({
        "model": f"resnet{depth}" + ("" if head == "gap" else f"-{head}"), "flavour": flavour,
        "reducedDimension": None if head == "gap" else dim, "classes": classes, "inputSize": size, "batch": batch,
        "parameters": sum(p.numel() for p in network.parameters()),
        "pooledScale": float(pooled.abs().max()), "pooled": [numbers(row[::stride], 8) for row in pooled],
        "pooledStride": stride, "logitsScale": float(logits.abs().max()), "top5": logits.topk(5, 1).indices.tolist(),
        "logits": [numbers(row[::25], 8) for row in logits],
    })


for depth in (18, 34, 50, 101):
    for head in ("gap", "fastmpn", "mpn", "dropcov"):
        for dim in ((256,) if head == "gap" else (256, 128)):
            add(depth, head, dim, "torch", 1000)
for depth in (18, 34, 50):
    for head in ("gap", "fastmpn", "dropcov"):
        add(depth, head, 128, "mindspore", 1001)
add(18, "fastmpn", 256, "torch", 10, size=97, batch=2)
add(50, "dropcov", 128, "mindspore", 10, size=97, batch=2)
note = ("float64 reference; logits holds every 25th class, pooled every pooledStride-th component of the vector before fc; "
        "compare |got - want| <= 2e-4 * the scale")
save("ModelZooTests/Resources/models.json", {"note": note, "rows": rows}, indent=0)
