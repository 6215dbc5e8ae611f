"""Small NIfTI-1 volumes and manifests over them, with the standard library alone.

    python3 tests/tasks/nifti_data.py FOLDER [VOLUMES [SLICES]]

writes volumes of every orientation (all 48 axis codes in turn), anisotropic spacing and every
integer and float type into FOLDER, and one manifest each for detect, size, distance and angle over
slices of them in all three planes."""
import gzip
import itertools
import json
import os
import random
import struct
import sys

TYPES = [(2, "B", 1), (4, "h", 2), (8, "i", 4), (16, "f", 4), (64, "d", 8), (256, "b", 1),
         (512, "H", 2), (768, "I", 4)]


def affine_of(code, zooms):
    """Rows of the sform of an axis code: ((axis, sign), ...) for the stored axes."""
    rows = [[0.0, 0.0, 0.0, -10.0] for _ in range(3)]
    for stored, (axis, sign) in enumerate(code):
        rows[axis][stored] = sign * zooms[stored]
    return rows


def orientations():
    return [tuple(zip(order, signs)) for order in itertools.permutations(range(3))
            for signs in itertools.product((1, -1), repeat=3)]


def nifti(shape, zooms, code, data_type, voxels, slope=0.0, inter=0.0, frames=1):
    number, letter, size = data_type
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    dims = [4 if frames > 1 else 3, *shape, frames, 1, 1, 1]
    struct.pack_into("<8h", head, 40, *dims)
    struct.pack_into("<hh", head, 70, number, 8 * size)
    struct.pack_into("<8f", head, 76, 1.0, *zooms, 1.0, 0.0, 0.0, 0.0)
    struct.pack_into("<fff", head, 108, 352.0, slope, inter)
    head[123] = 2
    struct.pack_into("<hh", head, 252, 0, 1)
    for i, row in enumerate(affine_of(code, zooms)):
        struct.pack_into("<4f", head, 280 + 16 * i, *row)
    head[344:348] = b"n+1\0"
    return bytes(head) + struct.pack("<%d%s" % (len(voxels), letter), *voxels)


def volume(rng, index):
    shape = [rng.randint(20, 40) for _ in range(3)]
    zooms = [round(rng.uniform(0.4, 3.0), 3) for _ in range(3)]
    code = orientations()[index % 48]
    data_type = TYPES[index % len(TYPES)]
    n = shape[0] * shape[1] * shape[2]
    top = 100 if data_type[1] in "bB" else 1000
    cx, cy, cz = [s / 2 for s in shape]
    voxels = []
    for k in range(shape[2]):
        for j in range(shape[1]):
            for i in range(shape[0]):
                r = ((i - cx) / cx) ** 2 + ((j - cy) / cy) ** 2 + ((k - cz) / cz) ** 2
                voxels.append(int(max(0.0, 1 - r) * top * 0.9 + rng.random() * top * 0.1))
    if data_type[1] in "fd":
        voxels = [float(v) for v in voxels]
    slope, inter = [(0.0, 0.0), (1.0, 0.0), (2.0, -1024.0), (0.5, 3.25)][index % 4]
    assert len(voxels) == n
    return shape, zooms, code, nifti(shape, zooms, code, data_type, voxels, slope, inter)


def questions(rng, name, shape, zooms, number):
    plane = rng.randrange(3)
    index = rng.randrange(shape[plane])
    base = {"volume": name, "plane": ("sagittal", "coronal", "axial")[plane], "index": index,
            "modality": "MRI", "dataset": "BraTS24"}
    size = {"taskID": "01", "taskType": "Tumor-Lesion-Size"}
    box = [round(rng.uniform(0, 0.4), 3), round(rng.uniform(0, 0.4), 3),
           round(rng.uniform(0.6, 1), 3), round(rng.uniform(0.6, 1), 3)]
    return {
        "detect": dict(base, id=number, task="detect", taskID="01", taskType="Box-Size", label=1,
                       label_name="non-enhancing brain tumor core", truth=box),
        "size": dict(base, id="s%d" % number, task="size", label="enhancing brain tumor tissue",
                     truth=[round(rng.uniform(10, 60), 3), round(rng.uniform(5, 10), 3)], **size),
        "distance": dict(base, id=number, task="distance", name="d", landmarks=["P1", "P2"],
                         truth=[round(rng.uniform(5, 60), 3)]),
        "angle": dict(base, id=number, task="angle", line1=["P1", "P2"], line2=["P3", "P4"],
                      unit="degree", truth=[round(rng.uniform(1, 90), 3)]),
    }


def main(folder, n_volume=8, n_slice=24):
    rng = random.Random(1)
    os.makedirs(folder, exist_ok=True)
    volumes, lines = [], {}
    for i in range(n_volume):
        shape, zooms, _, data = volume(rng, i)
        name = "v%03d.nii%s" % (i, ".gz" if i % 2 else "")
        with open(os.path.join(folder, name), "wb") as f:
            f.write(gzip.compress(data, mtime=0) if i % 2 else data)
        volumes.append((name, shape, zooms))
    for number in range(n_slice):
        name, shape, zooms = volumes[number % n_volume]
        for task, line in questions(rng, name, shape, zooms, number).items():
            lines.setdefault(task, []).append(json.dumps(line))
    for task, all_lines in lines.items():
        with open(os.path.join(folder, task + ".jsonl"), "w", encoding="utf-8") as f:
            f.write("\n".join(all_lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], *[int(n) for n in sys.argv[2:]])
