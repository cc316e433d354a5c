"""Makes some hundred pictures of every kind, whole and damaged, and corpus.json: what Pillow makes of each.

usage: make_corpus.py OUT [PHOTOGRAPHS]...   Needs Pillow 13 and NumPy; cjpeg (libjpeg-turbo-progs) for more sampling factors.
COVPOOL_PICTURES=OUT swift test --filter CorpusTests compares. PHOTOGRAPHS, JPEGs, are damaged at random, 500 in all.
Those of at most 1,000 bytes, one of each kind, are also written to ../Resources/corpus, which is tested always.
"""
import io, json, pathlib, random, shutil, struct, subprocess, sys, warnings, zlib

import numpy as np
from PIL import Image

warnings.simplefilter("ignore")
out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
chance = random.Random(1)
files = {}


def draw(width, height, seed=0):
    y, x = np.mgrid[:height, :width].astype(float)
    noise = np.random.default_rng(seed).normal(0, 12, (height, width, 3))
    planes = [127 + 90 * np.sin(x / (5 + c) + seed) * np.cos(y / (7 + 2 * c)) for c in range(3)]
    return np.clip(np.stack(planes, 2) + noise, 0, 255).astype(np.uint8)


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


rgb = Image.fromarray(draw(67, 45, 1))
ink = Image.fromarray(np.dstack([draw(67, 45, 2), draw(67, 45, 3)[:, :, :1]]), "CMYK")
grey = rgb.convert("L")

# JPEG: modes, sampling, progression, restarts, sizes.
for mode, image in (("rgb", rgb), ("grey", grey), ("ink", ink)):
    for progressive in (False, True):
        for sampling in (0, 1, 2):
            for quality in (20, 95):
                files[f"{mode}_{progressive:d}_{sampling}_{quality}.jpg"] = saved(
                    image, "JPEG", quality=quality, subsampling=sampling, progressive=progressive)
    files[f"{mode}_restarts.jpg"] = saved(image, "JPEG", restart_marker_blocks=3)
    files[f"{mode}_keep_rgb.jpg"] = saved(image, "JPEG", keep_rgb=True)
    files[f"{mode}_comment_icc.jpg"] = saved(image, "JPEG", comment=b"c" * 70, icc_profile=b"x" * 70000)
for width, height in ((1, 1), (1, 9), (9, 1), (7, 8), (8, 7), (16, 16), (17, 33), (255, 3)):
    for sampling in (0, 2):
        files[f"size_{width}x{height}_{sampling}.jpg"] = saved(
            Image.fromarray(draw(width, height)), "JPEG", subsampling=sampling)
if shutil.which("cjpeg"):
    source = b"P6\n67 45\n255\n" + rgb.tobytes()
    for factors in ("4x1", "1x2", "2x2", "4x2", "2x4", "1x4", "3x1", "1x3", "3x3", "4x4", "3x2", "2x1,1x1,2x1", "2x2,2x1,1x1",
                    "1x1,2x2,2x2", "2x2,1x2,2x1", "1x1,2x1,1x2", "2x1,1x2,1x1", "4x1,2x1,1x1"):
        for extra in ((), ("-progressive",), ("-arithmetic",)):
            made = subprocess.run(["cjpeg", "-sample", factors, *extra], input=source, capture_output=True)
            if made.returncode == 0:
                files[f"cjpeg_{factors.replace(',', '_')}{''.join(extra)}.jpg"] = made.stdout

# PNG by hand: every colour type, depth, filter, interlacing, and what may stand around the data.
def chunk(kind, data, crc=None):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) if crc is None else crc)


SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = chunk(b"IEND", b"")


def header(width, height, depth, color, interlace=0, method=0, filters=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, method, filters, interlace))


def rows(width, height, depth, color, interlace, filters):
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    data = b""
    passes = [(0, 0, 1, 1)] if not interlace else [
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    for x0, y0, dx, dy in passes:
        w, h = (width - x0 + dx - 1) // dx, (height - y0 + dy - 1) // dy
        if w <= 0:
            continue
        for y in range(max(h, 0)):
            data += bytes([filters if filters < 5 else y % 5]) + chance.randbytes((w * samples * depth + 7) // 8)
    return data


kinds = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8), (4, 8), (4, 16), (6, 8), (6, 16)]
for color, depth in kinds:
    for interlace in (0, 1):
        for filters in (0, 5):
            palette = chunk(b"PLTE", chance.randbytes(3 * min(2 ** depth, 200))) if color == 3 else b""
            data = zlib.compress(rows(13, 11, depth, color, interlace, filters))
            files[f"kind_{color}_{depth}_{interlace}_{filters}.png"] = (
                SIGNATURE + header(13, 11, depth, color, interlace) + palette + chunk(b"IDAT", data) + END)
for filters in (1, 2, 3, 4):
    files[f"filter_{filters}.png"] = SIGNATURE + header(13, 11, 8, 2) + chunk(b"IDAT", zlib.compress(rows(13, 11, 8, 2, 0, filters))) + END
for width, height in ((1, 1), (3, 2), (5, 1), (1, 5), (8, 8)):
    files[f"interlaced_{width}x{height}.png"] = SIGNATURE + header(width, height, 4, 0, 1) + chunk(
        b"IDAT", zlib.compress(rows(width, height, 4, 0, 1, 5))) + END

raw = rows(13, 11, 8, 2, 0, 5)
packed = zlib.compress(raw)
HEAD = header(13, 11, 8, 2)
IDAT = chunk(b"IDAT", packed)
for name, data in {
    "no_palette": header(13, 11, 8, 3) + chunk(b"IDAT", zlib.compress(rows(13, 11, 8, 3, 0, 0))) + END,
    "late_palette": header(13, 11, 8, 3) + chunk(b"IDAT", zlib.compress(rows(13, 11, 8, 3, 0, 0))) + chunk(b"PLTE", bytes(range(96))) + END,
    "short_palette": header(13, 11, 8, 3) + chunk(b"PLTE", bytes(range(50, 57))) + chunk(b"IDAT", zlib.compress(rows(13, 11, 8, 3, 0, 0))) + END,
    "long_palette": header(13, 11, 8, 3) + chunk(b"PLTE", bytes(900)) + chunk(b"IDAT", zlib.compress(rows(13, 11, 8, 3, 0, 0))) + END,
    "palette_alpha": header(13, 11, 8, 3) + chunk(b"PLTE", bytes(range(96))) + chunk(b"tRNS", b"\xff\0\xff") + chunk(b"IDAT", zlib.compress(rows(13, 11, 8, 3, 0, 0))) + END,
    "grey_transparent": header(13, 11, 8, 0) + chunk(b"tRNS", b"\0\x09") + chunk(b"IDAT", zlib.compress(rows(13, 11, 8, 0, 0, 0))) + END,
    "rgb_transparent": HEAD + chunk(b"tRNS", bytes(6)) + IDAT + END,
    "short_transparent": HEAD + chunk(b"tRNS", bytes(5)) + IDAT + END,
    "late_short_transparent": HEAD + IDAT + chunk(b"tRNS", bytes(5)) + END,
    "no_iend": HEAD + IDAT, "cut_iend": HEAD + IDAT + END[:7], "no_idat": HEAD + END, "nothing": b"", "head_only": HEAD,
    "trailing": HEAD + IDAT + END + b"more", "garbage_behind": HEAD + IDAT + b"\0\0\0\4\x01\x02\x03\x04abcd",
    "idat_crc": HEAD + chunk(b"IDAT", packed, 0) + END, "ihdr_crc": header(13, 11, 8, 2)[:-1] + b"\0" + IDAT + END,
    "text_crc": HEAD + chunk(b"tEXt", b"k\0v", 0) + IDAT + END, "late_text_crc": HEAD + IDAT + chunk(b"tEXt", b"k\0v", 0) + END,
    "two_idat": HEAD + chunk(b"IDAT", packed[:50]) + chunk(b"IDAT", packed[50:]) + END,
    "many_idat": HEAD + b"".join(chunk(b"IDAT", packed[i:i + 1]) for i in range(len(packed))) + END,
    "empty_idat": HEAD + chunk(b"IDAT", b"") + IDAT + chunk(b"IDAT", b"") + END,
    "split_idat": HEAD + chunk(b"IDAT", packed[:50]) + chunk(b"tEXt", b"k\0v") + chunk(b"IDAT", packed[50:]) + END,
    "spare_idat": HEAD + IDAT + chunk(b"IDAT", b"spare") + END, "cut_spare_idat": HEAD + IDAT + chunk(b"IDAT", b"spare")[:10],
    "no_adler": HEAD + chunk(b"IDAT", packed[:-4]) + END, "half_adler": HEAD + chunk(b"IDAT", packed[:-2]) + END,
    "wrong_adler": HEAD + chunk(b"IDAT", packed[:-4] + b"abcd") + END,
    "more_rows": HEAD + chunk(b"IDAT", zlib.compress(raw + raw)) + END,
    "fewer_rows": HEAD + chunk(b"IDAT", zlib.compress(raw[:5 * 40])) + END,
    "no_rows": HEAD + chunk(b"IDAT", zlib.compress(b"")) + END,
    "part_of_row": HEAD + chunk(b"IDAT", zlib.compress(raw[:-7])) + END,
    "fewer_rows_then_more": HEAD + chunk(b"IDAT", zlib.compress(raw[:5 * 40])) + chunk(b"IDAT", packed) + END,
    "wrong_filter": HEAD + chunk(b"IDAT", zlib.compress(b"\x07" + raw[1:])) + END,
    "wrong_method": header(13, 11, 8, 2, 0, 3) + IDAT + END, "wrong_filters": header(13, 11, 8, 2, 0, 0, 1) + IDAT + END,
    "interlace_2": header(13, 11, 8, 2, 2) + chunk(b"IDAT", zlib.compress(rows(13, 11, 8, 2, 1, 0))) + END,
    "zero_width": header(0, 11, 8, 2) + IDAT + END, "depth_3": header(13, 11, 3, 2) + IDAT + END,
    "color_1": header(13, 11, 8, 1) + IDAT + END, "rgb_4": header(13, 11, 4, 2) + IDAT + END,
    "short_header": chunk(b"IHDR", bytes(12)) + IDAT + END, "long_header": chunk(b"IHDR", HEAD[8:21] + b"xx") + IDAT + END,
    "header_twice": HEAD + header(13, 11, 8, 2) + IDAT + END, "no_header": IDAT + END,
    "unknown_before": HEAD + chunk(b"abCd", b"x") + IDAT + END, "unknown_critical": HEAD + chunk(b"ABCD", b"x") + IDAT + END,
    "bad_name": HEAD + chunk(b"ab-d", b"x") + IDAT + END, "underscore": HEAD + chunk(b"ab_d", b"x") + IDAT + END,
    "gamma_short": HEAD + chunk(b"gAMA", b"x") + IDAT + END, "late_gamma_short": HEAD + IDAT + chunk(b"gAMA", b"x") + END,
    "physical_short": HEAD + chunk(b"pHYs", b"x") + IDAT + END, "intent_empty": HEAD + chunk(b"sRGB", b"") + IDAT + END,
    "profile": HEAD + chunk(b"iCCP", b"n\0\0" + zlib.compress(b"x" * 9)) + IDAT + END,
    "profile_damaged": HEAD + chunk(b"iCCP", b"n\0\0abc") + IDAT + END, "profile_method": HEAD + chunk(b"iCCP", b"n\0\1abc") + IDAT + END,
    "profile_empty": HEAD + chunk(b"iCCP", b"") + IDAT + END, "profile_large": HEAD + chunk(b"iCCP", b"n\0\0" + zlib.compress(bytes(3 << 20))) + IDAT + END,
    "profile_1mb": HEAD + chunk(b"iCCP", b"n\0\0" + zlib.compress(bytes(1 << 20))) + IDAT + END,
    "ztext_method": HEAD + chunk(b"zTXt", b"k\0\1x") + IDAT + END, "ztext_damaged": HEAD + chunk(b"zTXt", b"k\0\0x") + IDAT + END,
    "ztext_large": HEAD + chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(3 << 20))) + IDAT + END,
    "late_ztext_method": HEAD + IDAT + chunk(b"zTXt", b"k\0\1x") + END,
    "itext": HEAD + chunk(b"iTXt", b"k\0\1\0l\0t\0" + zlib.compress(b"v")) + IDAT + END,
    "itext_large": HEAD + chunk(b"iTXt", b"k\0\1\0l\0t\0" + zlib.compress(bytes(3 << 20))) + IDAT + END,
    "texts_64mb": HEAD + b"".join(chunk(b"zTXt", b"k%d\0\0" % i + zlib.compress(bytes(1 << 20))) for i in range(65)) + IDAT + END,
    "late_cut_text": HEAD + IDAT + chunk(b"tEXt", b"key\0value")[:14], "late_cut_unknown": HEAD + IDAT + chunk(b"abCd", b"value")[:10],
    "frame": HEAD + chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 13, 11, 0, 0, 1, 1, 0, 0)) + IDAT
        + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 1, 13, 11, 0, 0, 1, 1, 0, 0)) + chunk(b"fdAT", b"\0\0\0\2" + packed) + END,
    "frame_part": HEAD + chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 5, 4, 3, 2, 1, 1, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows(5, 4, 8, 2, 0, 5))) + END,
    "frame_only": HEAD + chunk(b"acTL", struct.pack(">II", 1, 0)) + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 13, 11, 0, 0, 1, 1, 0, 0)) + chunk(b"fdAT", b"\0\0\0\1" + packed) + END,
    "frame_sequence": HEAD + chunk(b"acTL", struct.pack(">II", 1, 0)) + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 1, 13, 11, 0, 0, 1, 1, 0, 0)) + IDAT + END,
    "frame_outside": HEAD + chunk(b"acTL", struct.pack(">II", 1, 0)) + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 13, 11, 1, 0, 1, 1, 0, 0)) + IDAT + END,
    "frame_default": HEAD + chunk(b"acTL", struct.pack(">II", 1, 0)) + IDAT + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 5, 99, 11, 0, 0, 1, 1, 0, 0)) + END,
    "animation_short": HEAD + chunk(b"acTL", b"x") + IDAT + END,
}.items():
    files[f"{name}.png"] = SIGNATURE + data
files["signature.png"] = SIGNATURE[:7]

# WebP: lossy, lossless, alpha, animated, small.
alpha = Image.fromarray(np.dstack([draw(67, 45, 5), draw(67, 45, 6)[:, :, :1]]), "RGBA")
for name, image in (("rgb", rgb), ("alpha", alpha), ("grey", grey)):
    for lossless in (False, True):
        for quality in (10, 90):
            files[f"{name}_{lossless:d}_{quality}.webp"] = saved(image, "WEBP", lossless=lossless, quality=quality)
files["exact.webp"] = saved(alpha, "WEBP", lossless=True, exact=True)
files["profile.webp"] = saved(rgb, "WEBP", icc_profile=b"x" * 300, exif=b"Exif\0\0" + bytes(30))
for width, height in ((1, 1), (1, 30), (15, 16), (17, 17)):
    files[f"size_{width}x{height}.webp"] = saved(Image.fromarray(draw(width, height)), "WEBP")
frames = [Image.fromarray(draw(67, 45, seed)).convert("RGBA") for seed in range(3)]
files["animated.webp"] = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=50)
files["animated_alpha.webp"] = saved(alpha, "WEBP", save_all=True, append_images=frames, duration=50, lossless=True)

# Others, by content and by name.
files["a.gif"] = files["gif_named.jpg"] = saved(rgb.convert("P"), "GIF")
files["png_named.jpg"], files["jpg_named.png"], files["webp_named.png"] = (
    files["filter_1.png"], files["rgb_0_0_95.jpg"], files["rgb_0_90.webp"])
files["empty.jpg"], files["text.png"], files["html.webp"] = b"", b"no picture", b"<!DOCTYPE html>"
for name in ("a.gif", "gif_named.jpg"):
    del files[name]  # Pillow reads them, and here they are no images

# Damage: cut anywhere, bytes changed, blocks lost, zeros, trailers.
whole = [name for name in files if name.endswith((".jpg", ".webp")) or name.startswith(("kind", "filter", "interlaced"))]
for number in range(300):
    name = chance.choice(whole)
    data = bytearray(files[name])
    if len(data) < 40:
        continue
    way = number % 6
    if way == 0:
        data = data[:chance.randrange(4, len(data))]
    elif way == 1:
        for _ in range(chance.choice((1, 1, 5))):
            data[chance.randrange(len(data))] = chance.choice((0, 0xFF, chance.randrange(256)))
    elif way == 2:
        start = chance.randrange(len(data))
        del data[start:start + chance.randrange(1, 40)]
    elif way == 3:
        start = chance.randrange(len(data) // 3, len(data))
        data[start:start] = bytes(chance.randrange(1, 50))
    elif way == 4:
        data = data[:-2] + chance.choice((b"", b"\0" * 99, files["rgb_0_0_20.jpg"], chance.randbytes(300)))
    else:
        data += chance.choice((b"\0", b"\xff\xd8", files["rgb_1_2_20.jpg"], chance.randbytes(70000)))
    files[f"damaged_{number:03d}_{name}"] = bytes(data)
photographs = [pathlib.Path(path) for path in sys.argv[2:]]
for number in range(500 if photographs else 0):
    data = bytearray(photographs[number % len(photographs)].read_bytes())
    way = number % 5
    place = chance.randrange(2, len(data)) if number % 2 else chance.randrange(2, min(len(data), 2000))
    if way == 0:
        data = data[:place]
    elif way == 1:
        data[place] = 0xFF
    elif way == 2:
        data[place] ^= 1 << chance.randrange(8)
    elif way == 3:
        data[place:place + 200] = chance.randbytes(200)
    else:
        del data[place:place + chance.randrange(1, 3000)]
    files[f"photograph_{number:03d}.jpg"] = bytes(data)

table = []
for name, data in files.items():
    (out / name).write_bytes(data)
    row = {"file": name}
    try:
        with Image.open(out / name) as image:
            if image.format not in ("JPEG", "PNG", "WEBP", "MPO"):
                continue
            pixels = image.convert("RGB")
        row |= {"width": pixels.width, "height": pixels.height, "crc": f"{zlib.crc32(pixels.tobytes()):08x}"}
    except Exception as error:
        row["refused"] = f"{type(error).__name__}: {error}"
    table.append(row)
(out / "corpus.json").write_text(json.dumps(table, indent=0))
small = pathlib.Path(__file__).parent.parent / "Resources" / "corpus"
shutil.rmtree(small, ignore_errors=True)
small.mkdir()
few = [row for row in table if len(files[row["file"]]) <= 1000 and not row["file"].startswith("photograph")
       and not (row["file"].startswith("damaged") and int(row["file"][8:11]) % 5)]
for row in few:
    (small / row["file"]).write_bytes(files[row["file"]])
(small / "corpus.json").write_text(json.dumps(few, indent=0) + "\n")
print(f"{len(few)} of them in ../Resources/corpus")
print(f"{len(table)} pictures, {sum('refused' in row for row in table)} of them refused by Pillow")
