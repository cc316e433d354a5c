"""Writes Tests/ModelZooTests/Resources/light.json: feature maps, pooled vectors and logits of MobileNetV2 and ShuffleNetV2,
filled by `reference_light.fill`, on a hash-made image, in double precision.
usage: python Tests/Golden/make_light_golden.py   (needs torch, numpy; a minute)
"""
import torch

from golden_files import numbers, save
from hash_values import input_image
from reference_light import MobileNetV2, ShuffleNetV2, fill

rows = []


def add(name, make, head, dim, classes=1000, size=224, batch=1):
    network = fill(make(head, dim, classes)).double()
    with torch.no_grad():
        trunk = network.trunk(torch.from_numpy(input_image(batch, size)).double())
        pooled = network.pooled(torch.from_numpy(input_image(batch, size)).double())
        logits = network.classify(pooled)
    trunk_stride, pooled_stride = trunk[0].numel() // 37, pooled.shape[1] // 37
    rows.append({
        "model": name + ("" if head == "gap" else f"-{head}"), "batchNormGain": network.gain,
        "reducedDimension": None if head == "gap" else dim, "classes": classes, "inputSize": size, "batch": batch,
        "parameters": sum(p.numel() for p in network.parameters()), "trunkShape": list(trunk.shape[1:]),
        "trunkScale": float(trunk.abs().max()), "trunkStride": trunk_stride,
        "trunk": [numbers(image.flatten()[::trunk_stride], 8) for image in trunk],
        "pooledScale": float(pooled.abs().max()), "pooledStride": pooled_stride,
        "pooled": [numbers(vector[::pooled_stride], 8) for vector in pooled],
        "logitsScale": float(logits.abs().max()), "top5": logits.topk(5, 1).indices.tolist(),
        "logits": [numbers(row[::25 if classes > 25 else 1], 8) for row in logits],
    })


families = [("mobilenet_v2", MobileNetV2)]
families += [(f"shufflenet_v2_{width}", lambda *a, width=width: ShuffleNetV2(width, *a)) for width in ("x1_0", "x0_5")]
for name, make in families:
    heads = [("gap", 256), ("fastmpn", 256), ("fastmpn", 128), ("mpn", 256), ("dropcov", 256)]
    for head, dim in heads[:2] if name.endswith("x0_5") else heads:
        add(name, make, head, dim)
for name, make in families[:2]:
    for head in ("gap", "fastmpn"):
        add(name, make, head, 256, classes=10, size=97, batch=2)
note = ("float64 reference; trunk (last feature map, flattened), pooled (vector before the classifier) and logits (every 25th "
        "class of 1000, all of 10) are every trunkStride-th, pooledStride-th value; compare |got - want| <= 1e-4 * the scale "
        "(mpn: 2e-4)")
save("ModelZooTests/Resources/light.json", {"note": note, "rows": rows}, indent=0)
