"""What is made: small checkpoints, pictures and prompts, as plain data.

Every checkpoint is Qwen2.5-VL with random weights; between them they cover the shapes and file
forms that loaders get wrong. `committed` ones live in tests/data/reference; the rest are made on
demand.
"""

# rows: rows of the embedding (the tokenizer has 534 ids, so some rows are never text, as in the
# published checkpoint). heads: query, key-value; the head dimension is d / query heads, in the
# vision tower dv / vheads. stored: dtype of the files. form: "nested" (config and names of
# transformers 5) or "flat" (those of transformers <= 4.51, which the published checkpoint uses).
# shards: files. eps: one is large, so that it matters which norms take it (those of the vision
# tower never do: 1e-6).
SPECS = {
    "gqa2-head32-bf16": dict(
        committed=True, seed=11, d=128, heads=(4, 2), ff=104, layers=2, rows=536, tied=False,
        sections=[4, 6, 6], theta=1e6, eps=1e-6, dv=32, vheads=2, ffv=60, depth=3, fullatt=[1],
        window=112, stored="bfloat16", form="nested", shards=1),
    "flat-tied-sharded-bf16": dict(
        committed=True, seed=12, d=64, heads=(2, 2), ff=176, layers=3, rows=534, tied=True,
        sections=[2, 6, 8], theta=1e4, eps=1e-6, dv=48, vheads=3, ffv=76, depth=2, fullatt=[0],
        window=112, stored="bfloat16", form="flat", shards=3),
    "mqa-head64-f16": dict(
        committed=True, seed=47, d=128, heads=(2, 1), ff=88, layers=2, rows=544, tied=False,
        sections=[8, 12, 12], theta=1e6, eps=1e-2, dv=80, vheads=1, ffv=108, depth=2, fullatt=[1],
        window=112, stored="float16", form="nested", shards=1),
    "head128-f32": dict(
        committed=True, seed=14, d=128, heads=(1, 1), ff=92, layers=1, rows=536, tied=True,
        sections=[16, 24, 24], theta=1e6, eps=1e-6, dv=32, vheads=1, ffv=60, depth=2,
        fullatt=[0, 1], window=112, stored="float32", form="flat", shards=1),
    "gqa3-head32-f32": dict(
        committed=False, seed=21, d=192, heads=(6, 2), ff=312, layers=3, rows=537, tied=False,
        sections=[4, 6, 6], theta=1e6, eps=1e-6, dv=48, vheads=3, ffv=100, depth=4, fullatt=[],
        window=112, stored="float32", form="nested", shards=2),
    "mqa8-head32-bf16": dict(
        committed=False, seed=22, d=256, heads=(8, 1), ff=512, layers=2, rows=536, tied=True,
        sections=[6, 5, 5], theta=5e5, eps=1e-6, dv=160, vheads=2, ffv=228, depth=3,
        fullatt=[0, 2], window=56, stored="bfloat16", form="nested", shards=1),
    "gqa2-head64-f16": dict(
        committed=False, seed=23, d=256, heads=(4, 2), ff=344, layers=4, rows=600, tied=False,
        sections=[8, 12, 12], theta=1e6, eps=1e-6, dv=160, vheads=2, ffv=212, depth=4,
        fullatt=[1, 3], window=112, stored="float16", form="flat", shards=1),
    "gqa7-head32-bf16": dict(
        committed=False, seed=24, d=224, heads=(7, 1), ff=592, layers=2, rows=536, tied=False,
        sections=[4, 6, 6], theta=1e6, eps=1e-6, dv=96, vheads=3, ffv=140, depth=2, fullatt=[1],
        window=112, stored="bfloat16", form="flat", shards=2),
    "pairs-head128-bf16": dict(
        committed=False, seed=45, d=512, heads=(4, 4), ff=320, layers=1, rows=536, tied=False,
        sections=[16, 24, 24], theta=1e6, eps=1e-6, dv=240, vheads=3, ffv=340, depth=3,
        fullatt=[2], window=224, stored="bfloat16", form="nested", shards=1),
    "two-heads-limits-f32": dict(
        committed=False, seed=26, d=256, heads=(2, 2), ff=256, layers=2, rows=536, tied=False,
        sections=[16, 24, 24], theta=1e6, eps=1e-6, dv=64, vheads=4, ffv=92, depth=3,
        fullatt=[1], window=112, stored="float32", form="nested", shards=1,
        min_pixels=12544, max_pixels=50176),
}

# name: width, height, mode, seed. Smooth, so that the files stay small.
IMAGES = {
    "exact56": (56, 56, "RGB", 1),
    "slice504": (504, 504, "L", 2),
    "wide300x200": (300, 200, "RGB", 3),
    "thin37x211": (37, 211, "L", 4),
    "small90x60": (90, 60, "RGB", 5),
    "tiny20x20": (20, 20, "RGB", 6),
    "odd253x140": (253, 140, "L", 7),
}

SYSTEM = ("A conversation between User and Assistant. The user asks a question, and the "
          "Assistant solves it.")
LONG = " ".join("Step %d: the landmark %d lies at (%.3f, %.3f) of the image." %
                (i, i, 0.37 * i % 1, 0.61 * i % 1) for i in range(1, 19))


def case(name, prompt, images=(), order="first", system=None, max_new_tokens=12):
    return dict(id=name, system=system, prompt=prompt, images=["images/%s.png" % i for i in images],
                image_order=order, max_new_tokens=max_new_tokens)


CASES = [
    case("text", "How long is the major axis of the lesion?"),
    case("text-system-unicode", "Größe: 12,5 mm\n\n  naïve café — 病变 ≥ 3½?\t\U0001fa7b don't",
         system=SYSTEM),
    case("text-long", LONG, system=SYSTEM, max_new_tokens=6),
    case("image-first", "Return the box of the liver.", ["exact56"]),
    case("image-last", "Return the box of the liver.", ["exact56"], order="last"),
    case("image-only", "", ["small90x60"], max_new_tokens=4),
    case("slice504", "Task:\nGiven the input medical image, estimate the axis lengths.",
         ["slice504"], order="last", system=SYSTEM),
    case("resized-wide", "What is shown?", ["wide300x200"]),
    case("resized-thin", "What is shown?", ["thin37x211"], order="last"),
    case("grown-tiny", "Which is larger, left or right?", ["tiny20x20"]),
    case("two-images", "Compare both.", ["odd253x140", "small90x60"]),
    case("three-images-last", "Before the pictures.", ["tiny20x20", "odd253x140", "exact56"],
         order="last", system=SYSTEM, max_new_tokens=24),
    case("same-image-twice", "Same or different?", ["wide300x200", "wide300x200"]),
]

# What the tokenizer's merges are learnt from.
CORPUS = """Given the input medical image, return the coordinates of the lower-left and upper-right
corners of the bounding box for the liver. Estimate the major and minor axis lengths of the ellipse
enclosing the tumor, in millimeters. The image size is 504 pixels (width) x 504 pixels (height). The
pixel size for this image is 0.711 millimeters (width) x 0.711 millimeters (height). The distance
between two landmark points and the angle between two lines in degrees. Step 1: the landmark lies at
the left of the image. What is shown? Which is larger, left or right? Compare both pictures, before
and after. A conversation between User and Assistant. The user asks a question, and the Assistant
solves it. The answer is a number, the reasoning comes first: system user assistant helpful."""
