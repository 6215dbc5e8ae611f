"""Makes tests/data/vision/: small image files and what the reference makes of pixels.

    python3 tests/vision/make_golden.py tests/data/vision [GOLDEN]

Made with Python 3.11, numpy 2.4.6, pillow 13.0.0, torch 2.15.0, torchvision 0.29.2 and
transformers 5.23.0. GOLDEN is the folder of contract cases (image_path.jsonl and its volumes);
without it planes.jsonl is left as it is.

Most inputs are made by a formula (`noise`), which the C test repeats, so that only checksums of
results are kept. Every checksum is the sha256 of the C-order bytes.

  files.jsonl      image files (beside it) -> shape, flags, checksum of the decoded pixels
  resize.jsonl     noise -> checksum after torchvision's and Pillow's bicubic
  processor.jsonl  noise -> grid, checksum of the patches of Qwen2VLImageProcessor
  window.jsonl     grids -> window order, segments, positions of the vision tower
  planes.jsonl     8-bit slices of the contract's volumes (PNG) -> checksums down to the patches
"""

import gzip
import hashlib
import io
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def sha(a):
    return hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()


def noise(h, w, c, seed):
    """uint8 [h, w, c]; tests/vision/noise.h is the same in C."""
    v = np.arange(h * w * c, dtype=np.uint64) * 2654435761 + seed * 40503
    v &= 0xFFFFFFFF
    v ^= v >> np.uint64(15)
    v = v * 2246822519 & 0xFFFFFFFF
    return (v >> np.uint64(24)).astype(np.uint8).reshape(h, w, c)


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))


# --- PNG files, written here so that every depth and order is covered -----------------------------


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_rows(a, depth):
    """Samples [h, w, n] -> filter type 0 and packed bytes for each row."""
    if depth == 16 and a.size == 65536:  # filter type 2, "up": far smaller
        b = np.frombuffer(a.astype(">u2").tobytes(), np.uint8).reshape(len(a), -1)
        b = b - np.vstack([np.zeros_like(b[:1]), b[:-1]])
        return b"".join(b"\2" + row.tobytes() for row in b)
    out = b""
    for row in a.reshape(a.shape[0], -1):
        if depth == 16:
            out += b"\0" + row.astype(">u2").tobytes()
        elif depth == 8:
            out += b"\0" + row.astype(np.uint8).tobytes()
        else:
            bits = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :]
            out += b"\0" + np.packbits(bits.reshape(-1)).tobytes()
    return out


def png(a, color, depth, interlace=False, palette=None, trns=None, exif=None):
    h, w = a.shape[:2]
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, interlace))
    if exif:
        out += chunk(b"eXIf", exif)
    if palette is not None:
        out += chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    if trns is not None:
        out += chunk(b"tRNS", trns)
    data = b""
    if interlace:
        for x0, y0, dx, dy in ADAM7:
            part = a[y0::dy, x0::dx]
            if part.size:
                data += pack_rows(part, depth)
    else:
        data = pack_rows(a, depth)
    return out + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")


def exact_8bit(a, depth):
    return np.round(a.astype(np.float64) * 255 / (2**depth - 1)).astype(np.uint8)


def on_black(c, alpha):
    return ((c.astype(np.uint32) * alpha.astype(np.uint32) + 127) // 255).astype(np.uint8)


def samples(h, w, color, depth, seed):
    n = SAMPLES[color]
    if depth == 16:
        hi, lo = noise(h, w, n, seed), noise(h, w, n, seed + 1)
        return hi.astype(np.uint16) * 256 + lo
    return noise(h, w, n, seed) >> (8 - depth)


def tiff(orientation, little):
    e = "<" if little else ">"
    head = b"II*\0" if little else b"MM\0*"
    return head + struct.pack(e + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def png_cases():
    h, w = 11, 13
    for color, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            for interlace in (False, True):
                a = samples(h, w, color, depth, 7 * color + depth)
                eight = exact_8bit(a, depth)
                has_alpha = color in (4, 6)
                want = on_black(eight[..., :-1], eight[..., -1:]) if has_alpha else eight
                name = f"png_c{color}_d{depth}{'_i' if interlace else ''}.png"
                yield name, png(a, color, depth, interlace), want, depth == 16, has_alpha, 1
    for depth in (1, 2, 4, 8):
        a = samples(h, w, 3, depth, depth)
        palette = noise(2**depth, 1, 3, 99).reshape(-1, 3)
        yield f"png_c3_d{depth}.png", png(a, 3, depth, palette=palette), palette[a[..., 0]], False, False, 1
        alpha = noise(2**depth, 1, 1, 98).reshape(-1)
        want = on_black(palette[a[..., 0]], alpha[a[..., 0]][..., None])
        yield (f"png_c3_d{depth}_trns.png", png(a, 3, depth, depth == 8, palette, alpha.tobytes()), want, False, True, 1)
    a = samples(h, w, 0, 16, 5)
    a[2:5, 3:9] = 0x1234  # this value alone is transparent; 0x1235 is not
    a[6, 1:5] = 0x1235
    want = exact_8bit(a, 16)
    want[a == 0x1234] = 0
    yield "png_c0_d16_trns.png", png(a, 0, 16, trns=struct.pack(">H", 0x1234)), want, True, True, 1
    a = samples(h, w, 2, 8, 5)
    a[2:5, 3:9] = (10, 20, 30)
    want = a.copy()
    want[2:5, 3:9] = 0
    yield "png_c2_d8_trns.png", png(a, 2, 8, trns=struct.pack(">HHH", 10, 20, 30)), want, False, True, 1
    a = np.arange(65536).reshape(256, 256, 1)
    yield "png_c0_d16_all.png", png(a, 0, 16), exact_8bit(a, 16), True, False, 1
    a = samples(5, 9, 2, 8, 3)
    yield "png_exif_6.png", png(a, 2, 8, exif=tiff(6, False)), np.rot90(a, -1), False, False, 6
    for size in ((1, 1), (1, 7), (7, 1)):
        a = samples(*size, 0, 8, 1)
        yield f"png_{size[1]}x{size[0]}.png", png(a, 0, 8, True), a, False, False, 1


def jpeg_cases():
    y, x = np.mgrid[0:37, 0:53]
    rgb = np.stack([x * 4, y * 6, 255 - x - 3 * y], -1).clip(0, 255).astype(np.uint8)
    rgb[8:20, 10:30] = (230, 40, 90)
    grey = rgb[..., 0]

    def save(img, **kw):
        out = io.BytesIO()
        img.save(out, "JPEG", **kw)
        return out.getvalue()

    def seen(data):
        img = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        a = np.asarray(img.convert("RGB") if img.mode == "CMYK" else img)
        return a if a.ndim == 3 else a[..., None]

    def case(name, data, orientation=1):
        return name, data, seen(data), False, False, orientation

    yield case("jpeg_grey.jpg", save(Image.fromarray(grey), quality=85))
    for sub in (0, 1, 2):
        yield case(f"jpeg_sub{sub}.jpg", save(Image.fromarray(rgb), quality=88, subsampling=sub))
    yield case("jpeg_progressive.jpg", save(Image.fromarray(rgb), quality=80, progressive=True))
    yield case("jpeg_restart.jpg", save(Image.fromarray(rgb), quality=80, restart_marker_blocks=2))
    cmyk = np.dstack([rgb, noise(37, 53, 1, 4) // 3])
    yield case("jpeg_cmyk.jpg", save(Image.fromarray(cmyk, "CMYK"), quality=92))
    small = rgb[4:21, 6:31]
    for o in range(1, 9):
        exif = b"Exif\0\0" + tiff(o, o % 2 == 0)
        yield case(f"jpeg_exif_{o}.jpg", save(Image.fromarray(small), quality=90, subsampling=0, exif=exif), o)


def make_files(out):
    rows = []
    for name, data, want, was_16bit, had_alpha, orientation in [*png_cases(), *jpeg_cases()]:
        (out / name).write_bytes(data)
        rows.append(
            {"file": name, "hw": list(want.shape[:2]), "channels": want.shape[2], "was_16bit": int(was_16bit),
             "had_alpha": int(had_alpha), "orientation": orientation, "sha256": sha(want)}
        )
        if name.endswith(".png") and not was_16bit and not had_alpha and orientation == 1 and "_c3_" not in name:
            got = np.asarray(Image.open(out / name).convert("RGB" if want.shape[2] == 3 else "L"))
            assert np.array_equal(got.reshape(want.shape), want), name
    write_jsonl(out / "files.jsonl", rows)


# --- resize and processor --------------------------------------------------------------------------

RESIZES = [
    ((512, 512), (504, 504)), ((37, 211), (56, 196)), ((300, 200), (308, 196)), ((1, 1), (56, 56)), ((1, 9), (5, 1)),
    ((600, 7), (28, 28)), ((64, 64), (64, 56)), ((64, 64), (56, 64)), ((64, 64), (64, 64)), ((2, 3), (301, 17)),
    ((1000, 30), (3, 2)), ((97, 89), (96, 88)), ((5, 5), (504, 504)), ((1024, 768), (504, 504)),
    ((100, 100), (80, 90)), ((100, 100), (80, 91)), ((400, 180), (252, 252)),
]


def make_resize(out):
    import torch
    from torchvision.transforms.v2 import functional as F

    rows = []
    for i, ((h, w), size) in enumerate(RESIZES):
        for c in (1, 3):
            a = noise(h, w, c, i)
            t = F.resize(torch.from_numpy(a).permute(2, 0, 1).contiguous(), list(size), F.InterpolationMode.BICUBIC, antialias=True)
            p = np.asarray(Image.fromarray(a if c == 3 else a[..., 0]).resize(size[::-1], Image.Resampling.BICUBIC))
            for name, got in (("torchvision", t.permute(1, 2, 0).numpy()), ("pillow", p)):
                rows.append({"hw": [h, w], "channels": c, "seed": i, "resampler": name, "out_hw": list(size), "sha256": sha(got)})
    write_jsonl(out / "resize.jsonl", rows)


PICTURES = [(1, 1), (14, 14), (37, 211), (300, 200), (504, 504), (512, 512), (1000, 30), (168, 168), (700, 3), (2, 401), (640, 480)]


def make_processor(out):
    from transformers import Qwen2VLImageProcessor

    rows = []
    for i, (h, w) in enumerate(PICTURES):
        for c in (1, 3):
            for lo, hi in ((3136, 12845056), (3136, 28224)):
                a = noise(h, w, c, 50 + i)
                row = {"hw": [h, w], "channels": c, "seed": 50 + i, "min_pixels": lo, "max_pixels": hi}
                processor = Qwen2VLImageProcessor(min_pixels=lo, max_pixels=hi)
                try:
                    image = Image.fromarray(a if c == 3 else a[..., 0])
                    got = processor(images=[image], return_tensors="pt")
                    row["grid"] = got["image_grid_thw"][0].tolist()
                    row["sha256"] = sha(got["pixel_values"].numpy())
                except ValueError as error:
                    row["error"] = str(error)
                rows.append(row)
    write_jsonl(out / "processor.jsonl", rows)


def make_window(out):
    import torch
    from transformers.vision_utils import get_vision_cu_seqlens, get_vision_position_ids, get_vision_window_index

    rows = []
    for grids, window, patch, merge in [
        ([[1, 36, 36]], 112, 14, 2), ([[1, 12, 12]], 112, 14, 2), ([[1, 2, 2]], 112, 14, 2), ([[1, 8, 8]], 112, 14, 2),
        ([[1, 16, 24]], 112, 14, 2), ([[1, 4, 36], [1, 10, 6]], 112, 14, 2), ([[2, 10, 14]], 112, 14, 2),
        ([[1, 4, 4], [1, 8, 18], [3, 6, 2]], 56, 14, 2), ([[1, 5, 7]], 42, 14, 1), ([[1, 9, 12]], 112, 14, 3),
    ]:
        t = torch.tensor(grids)
        index, cu = get_vision_window_index(t, merge, window, patch)
        rows.append(
            {"grids": grids, "window_size": window, "patch": patch, "merge": merge, "index": index.tolist(),
             "inverse": torch.argsort(index).tolist(), "cu_window": cu.tolist(),
             "cu_full": get_vision_cu_seqlens(t).tolist(),
             "position_sha256": sha(get_vision_position_ids(t, merge).numpy().astype("<i4"))}
        )
    write_jsonl(out / "window.jsonl", rows)


# --- slices of the contract's volumes, after its 2.1 to 2.3 ----------------------------------------

DTYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 512: "u2"}


def load_volume(path):
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    e = "<" if struct.unpack("<i", data[:4])[0] == 348 else ">"
    dim = struct.unpack(e + "8h", data[40:56])
    code = struct.unpack(e + "h", data[70:72])[0]
    offset, slope, inter = struct.unpack(e + "fff", data[108:120])
    raw = np.frombuffer(data, e + DTYPES[code], int(np.prod(dim[1 : dim[0] + 1])), int(offset))
    v = raw.reshape(dim[1 : dim[0] + 1], order="F").astype(np.float64)
    if np.isfinite(slope) and slope != 0 and (slope, inter) != (1, 0):
        v = v * np.float64(slope) + np.float64(inter)
    return v.astype(np.float32)


def zoom_axis(n_in, n_out):
    c = np.arange(n_out) * ((n_in - 1) / (n_out - 1))
    lo = np.floor(c).astype(int)
    w0 = 1 - (c - lo)
    return lo, np.minimum(lo + 1, n_in - 1), w0, 1 - w0


def zoom(a, size):
    if a.shape == tuple(size):
        return a
    if len(np.unique(a)) <= 2:
        iy, ix = (np.floor(np.arange(n) * ((m - 1) / (n - 1)) + 0.5).astype(int) for n, m in zip(size, a.shape))
        return a[np.ix_(iy, ix)]
    (y0, y1, wy0, wy1), (x0, x1, wx0, wx1) = (zoom_axis(m, n) for m, n in zip(a.shape, size))
    d = a.astype(np.float64)
    wy0, wy1 = wy0[:, None], wy1[:, None]
    s = d[np.ix_(y0, x0)] * wy0 * wx0 + d[np.ix_(y0, x1)] * wy0 * wx1
    return (s + d[np.ix_(y1, x0)] * wy1 * wx0 + d[np.ix_(y1, x1)] * wy1 * wx1).astype(np.float32)


def percentile(a, p):
    """numpy 2.2's linear percentile in float32, every step rounded."""
    f = np.float32
    s = np.sort(a.reshape(-1))
    v = f(f(len(s) - 1) * f(f(p) / f(100)))
    lo = int(np.floor(v))
    if lo >= len(s) - 1:
        return s[-1]
    g, d = f(v - f(lo)), f(s[lo + 1] - s[lo])
    return f(s[lo] + f(d * g)) if g < 0.5 else f(s[lo + 1] - f(d * f(f(1) - g)))


def to_bytes(a, row, windows, exempt):
    name = row["label_name"]
    if (row["modality"].lower() == "ct" and name and row["regroup"].lower() != "others"
            and not (row["dataset_name"] == "KiPA22" and row["taskID"] == "01" and row["taskType"] in exempt)):
        width, level = windows[row["regroup"]]
        lo, hi = np.float32(level - width / 2), np.float32(level + width / 2)
    else:
        lo, hi = percentile(a, 0.5), percentile(a, 99.5)
        if hi - lo == 0:
            return np.zeros(a.shape, np.uint8)
    x = np.clip(a, lo, hi)
    return ((x - lo) / (hi - lo) * np.float32(255)).astype(np.uint8)


def make_planes(out, golden):
    windows = json.loads((golden.parent / "medvision/tables/ct_windows.json").read_text())
    exempt = ("Tumor-Lesion-Size", "Box-Size", "Mask-Size")
    rows, n_same = [], 0
    for line in (golden / "image_path.jsonl").read_text().splitlines():
        row = json.loads(line)
        v = load_volume(golden / row["nii"])
        a = np.take(v, row["slice_idx"], axis=row["slice_dim"])
        a = to_bytes(zoom(a, row["reshape_hw"]) if row["reshape_hw"] else a, row, windows, exempt)
        if sha(a) != row["image_u8_sha256"]:
            print("departs:", row["id"])
            continue
        n_same += 1
        small = a.size < 20000 and row["nii"] not in {r["nii"] for r in rows}
        if small or row["id"] in ("image_path-00005", "image_path-00028"):
            name = row["id"] + ".png"
            Image.fromarray(a).save(out / name, optimize=True)
            keys = ("id", "nii", "image_hw", "image_u8_sha256", "resized_hw", "resized_u8_sha256", "grid_thw", "pixel_values_sha256")
            rows.append({"file": name, **{k: row[k] for k in keys}})
    print(n_same, "planes equal their checksum,", len(rows), "kept")
    write_jsonl(out / "planes.jsonl", rows)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    make_files(folder)
    make_resize(folder)
    make_processor(folder)
    make_window(folder)
    if len(sys.argv) > 2:
        make_planes(folder, Path(sys.argv[2]))
