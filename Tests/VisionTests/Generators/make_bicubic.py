"""Writes Resources/bicubic.json: pictures made by formula, resized by Pillow's BICUBIC.  usage: python make_bicubic.py"""
import json
import pathlib

from PIL import Image


def picture(width, height, factor):
    image = Image.new("RGB", (width, height))
    image.putdata([tuple((x * 37 * factor + y * 91 + c * 53 + x * y * factor) % 256 for c in range(3))
                   for y in range(height) for x in range(width)])
    return image


cases = []
for width, height, factor, size in [(7, 5, 1, (4, 9)), (7, 5, 3, (13, 3)), (40, 31, 1, (9, 8)), (9, 64, 5, (20, 7)), (6, 6, 7, (6, 17))]:
    result = picture(width, height, factor).resize(size, Image.BICUBIC)
    cases.append({"width": width, "height": height, "factor": factor, "newWidth": size[0], "newHeight": size[1],
                  "pixels": list(result.tobytes())})
path = pathlib.Path(__file__).parent.parent / "Resources/bicubic.json"
path.write_text(json.dumps(cases, separators=(",", ":")))
