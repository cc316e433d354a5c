"""Makes the pictures beside it and pictures.json, what Pillow makes of them. Needs Pillow 13 and NumPy
(earlier versions resize tall images in another order of the axes).

Each row: CRC-32 of the decoded RGB bytes and of the 224x224 evaluation crop, and three values of the normalised tensor;
or the fact that Pillow refuses the file. The pictures are drawn by formula, so they belong to nobody.
"""
import io
import json
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

here = pathlib.Path(__file__).parent


def draw(width, height, seed):
    """Waves, edges and a little noise: something for a DCT and a filter to work on."""
    y, x = np.mgrid[:height, :width].astype(float)
    random = np.random.default_rng(seed)
    planes = [127 + 90 * np.sin(x / (7 + c + seed % 5) + c) * np.cos(y / (9 + 2 * c)) + 30 * ((x + y * (c + 1)) % 40 > 20)
              for c in range(3)]
    return np.clip(np.stack(planes, 2) + random.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, interlaced=0, extra=b""):
    """A PNG written by hand, for kinds that Pillow does not write."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows, 9))
            + chunk(b"IEND", b""))


def adam7(pixels):
    """The seven passes of an interlaced 8-bit image."""
    out = b""
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        part = pixels[y0::dy, x0::dx]
        if part.size:
            out += b"".join(b"\0" + row.tobytes() for row in part)
    return out


files = {}


def save(name, image, **options):
    stream = io.BytesIO()
    image.save(stream, name.rsplit(".", 1)[1].replace("jpg", "jpeg").replace("JPEG", "png"), **options)
    files[name] = stream.getvalue()


picture = Image.fromarray(draw(151, 113, 1))
save("grey.jpg", picture.convert("L"), quality=85)
save("cmyk.jpg", Image.fromarray(draw(97, 80, 2)).convert("CMYK"), quality=80)
save("progressive.jpg", picture, quality=80, progressive=True)
save("odd_420.jpg", Image.fromarray(draw(131, 97, 3)), quality=85, subsampling=2)
save("full_444.jpg", Image.fromarray(draw(90, 121, 4)), quality=85, subsampling=0)
save("half_422.jpg", Image.fromarray(draw(99, 70, 5)), quality=85, subsampling=1)
save("small.jpg", Image.fromarray(draw(40, 31, 6)), quality=85)
save("tall.jpg", Image.fromarray(draw(9, 200, 7)), quality=90)
save("tall_shrunk.jpg", Image.fromarray(draw(270, 700, 18)), quality=20)
save("large.jpg", Image.fromarray(draw(700, 460, 8)), quality=30)
exif = Image.Exif()
exif[0x0112] = 6
save("exif_rotated.jpg", Image.fromarray(draw(120, 80, 9)), quality=85, exif=exif)
save("with_profile.jpg", picture, quality=70, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
save("restart.jpg", Image.fromarray(draw(64, 64, 10)), quality=75, restart_marker_blocks=2)
save("png_named.JPEG", Image.fromarray(draw(70, 90, 11)))
save("palette.png", picture.quantize(32))
save("palette_transparent.png", picture.quantize(16), transparency=bytes(range(0, 256, 16)))
rgba = np.dstack([draw(60, 60, 12), np.arange(3600).reshape(60, 60) % 256]).astype(np.uint8)
save("alpha.png", Image.fromarray(rgba))
save("grey_alpha.png", Image.fromarray(rgba).convert("LA"))
save("bits_1.png", picture.convert("1"))
save("gamma.png", Image.fromarray(draw(50, 40, 13)))
files["gamma.png"] = files["gamma.png"].replace(b"IDAT", b"IDAT", 1)
head, tail = files["gamma.png"][:33], files["gamma.png"][33:]
files["gamma.png"] = head + chunk(b"gAMA", struct.pack(">I", 100000)) + tail
wide = (draw(30, 20, 14).astype(np.uint16) * 256 + 77).astype(">u2")
files["bits_16_rgb.png"] = png(30, 20, 16, 2, b"".join(b"\0" + row.tobytes() for row in wide))
files["bits_16_grey.png"] = png(30, 20, 16, 0, b"".join(b"\0" + (row[:, 0] // 100).astype(">u2").tobytes() for row in wide))
nibbles = (draw(31, 20, 15)[:, :, 0] >> 4)
packed = b"".join(b"\0" + bytes((a << 4) | b for a, b in zip(row[::2], np.append(row[1::2], 0))) for row in nibbles)
files["bits_4_grey.png"] = png(31, 20, 4, 0, packed)
files["interlaced.png"] = png(37, 29, 8, 2, adam7(draw(37, 29, 16)), interlaced=1)
files["grey_with_transparent_value.png"] = png(
    20, 20, 8, 0, b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(draw(20, 20, 17)[:, :, 0])),
    extra=chunk(b"tRNS", b"\0\x80"))
files["truncated.jpg"] = files["full_444.jpg"][: len(files["full_444.jpg"]) // 2]
files["truncated.png"] = files["alpha.png"][: len(files["alpha.png"]) // 2]
files["empty.jpg"] = b""
files["text.jpg"] = b"this is not a picture\n"
files["huge_header.png"] = png(60000, 60000, 8, 2, b"\0")

rows = []
for name, data in sorted(files.items()):
    (here / name).write_bytes(data)
    try:
        if name == "huge_header.png":
            raise OSError("too many pixels")
        image = Image.open(io.BytesIO(data)).convert("RGB")
    except OSError:
        rows.append(dict(file=name, refused=True))
        continue
    pixels = np.asarray(image)
    width, height = image.size
    size = (256, int(256 * height / width)) if width <= height else (int(256 * width / height), 256)
    top, left = round((size[1] - 224) / 2), round((size[0] - 224) / 2)
    crop = np.asarray(image.resize(size, Image.BILINEAR).crop((left, top, left + 224, top + 224)))
    tensor = (crop.astype(np.float32) / 255 - np.array([.485, .456, .406], np.float32)) / np.array([.229, .224, .225], np.float32)
    grey = np.asarray(image.convert("L").resize((28, 28), Image.BILINEAR))
    rows.append(dict(file=name, width=width, height=height, decoded="%08x" % zlib.crc32(pixels.tobytes()),
                     crop="%08x" % zlib.crc32(crop.tobytes()), grey28="%08x" % zlib.crc32(grey.tobytes()),
                     tensor=[float(tensor[0, 0, 0]), float(tensor[100, 37, 1]), float(tensor[223, 223, 2])]))
(here / "pictures.json").write_text(json.dumps(rows, indent=0) + "\n")
print(len(rows), "pictures,", sum(map(len, files.values())), "bytes")
