"""Compares two dumps stage by stage and names the first stage that departs.

    python compare_dumps.py GOT WANT [--tolerance 1e-4] [--all]

GOT and WANT are folders with prefill.safetensors (or such files) written by `medvision --dump` and
dump_reference.py. One line a stage: relative L2, largest difference and where, non-finite count.
Exit code 0 when every stage of WANT is in GOT, with its shape and within the tolerance (relative
L2), else 1. In fp32 every stage should stay below 1e-4; a wrong one is usually above 1e-2.
Needs numpy.
"""
import argparse
import json
import os
import re
import struct
import sys

import numpy as np

ORDER = ("patches", "vision.patch_embed", "vision.block.", "vision.merged", "embed",
         "decoder.layer.", "decoder.norm", "logits")
DTYPES = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "I64": "<i8", "I32": "<i4"}


def load(path):
    """{name: array} of a safetensors file or of the prefill.safetensors in a folder."""
    if os.path.isdir(path):
        path = os.path.join(path, "prefill.safetensors")
    data = np.fromfile(path, np.uint8).tobytes()
    size, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    out = {}
    for name, e in header.items():
        begin, end = (8 + size + x for x in e["data_offsets"])
        out[name] = np.frombuffer(data[begin:end], DTYPES[e["dtype"]]).reshape(e["shape"])
    return out


def stage_key(name):
    """Sorts names in the order the stages run."""
    match = re.fullmatch(r"(.*?)(\d+)?", name)
    known = match.group(1) in ORDER
    return (ORDER.index(match.group(1)) if known else len(ORDER), int(match.group(2) or 0), name)


def compare(got, want, tolerance):
    """Returns (departs, text) for one stage."""
    if got is None:
        return True, "missing"
    if got.shape != want.shape:
        return True, "shape %s, expected %s" % (list(got.shape), list(want.shape))
    bad = int((~np.isfinite(got)).sum())
    diff = np.abs(got.astype(np.float64) - want)
    diff[~np.isfinite(diff)] = np.inf
    worst = np.unravel_index(int(diff.argmax()), diff.shape)
    norm = float(np.linalg.norm(want.astype(np.float64)))
    rel = float(np.linalg.norm(diff)) / norm if norm else float(diff.max())
    rows = np.linalg.norm(diff.reshape(len(diff), -1), axis=1)
    wide = np.linalg.norm(want.astype(np.float64).reshape(len(diff), -1), axis=1) * tolerance * 10
    text = "rel L2 %.2e  max %.2e at %s (%.6g, expected %.6g)" % (
        rel, diff[worst], list(map(int, worst)), got[worst], want[worst])
    if not rel <= tolerance:
        off = np.flatnonzero(~(rows <= wide))
        text += "  %d of %d rows off, first %s" % (len(off), len(rows), list(map(int, off[:5])))
    if bad:
        text += "  %d not finite" % bad
    return not rel <= tolerance or bad > 0, text


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("got")
    ap.add_argument("want")
    ap.add_argument("--tolerance", type=float, default=1e-4)
    ap.add_argument("--all", action="store_true", help="go on after the first stage that departs")
    a = ap.parse_args()
    got, want = load(a.got), load(a.want)
    first = None
    for name in sorted(want, key=stage_key):
        departs, text = compare(got.get(name), want[name], a.tolerance)
        print("%s %-22s %s" % ("DEPARTS" if departs else "ok     ", name, text))
        if departs and first is None:
            first = name
            if not a.all:
                break
    if first:
        print("first departure: %s" % first)
        return 1
    print("%d stages agree" % len(want))
    return 0


if __name__ == "__main__":
    sys.exit(main())
