"""Tests that compare_dumps.py finds the first stage that departs, and why. Needs numpy (77 and
`skip: reason` without it); prints `N passed, N failed`."""
import contextlib
import importlib.util
import io
import json
import os
import struct
import sys
import tempfile
from unittest import mock

import goldens

if importlib.util.find_spec("numpy"):
    import numpy as np
    import compare_dumps


def write(folder, tensors):
    header, blob = {}, b""
    for name, x in tensors.items():
        data = x.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(x.shape),
                        "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header).encode()
    with open(os.path.join(folder, "prefill.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + blob)


def stages():
    rng = np.random.default_rng(3)
    names = ["logits", "vision.block.10", "vision.block.2", "patches", "embed", "vision.merged",
             "decoder.layer.0", "vision.patch_embed", "decoder.norm"]
    return {n: rng.standard_normal((6, 8)).astype(np.float32) for n in names}


def run(change):
    """(exit code, output) of comparing changed stages with the right ones."""
    with tempfile.TemporaryDirectory() as got, tempfile.TemporaryDirectory() as want:
        right = stages()
        write(want, right)
        change(right)
        write(got, right)
        out = io.StringIO()
        with contextlib.redirect_stdout(out), mock.patch.object(sys, "argv", ["", got, want]):
            return compare_dumps.main(), out.getvalue()


def nothing(t): pass
def tiny(t): t["embed"] = t["embed"] * np.float32(1.00001)
def extra(t): t["scratch"] = t["embed"]
def nan(t): t["embed"][2, 3] = np.nan
def infinite(t): t["vision.block.2"][0, 0] = np.inf
def missing(t): del t["vision.merged"]
def shape(t): t["logits"] = t["logits"][:1]
def rows(t): t["vision.block.2"] = t["vision.block.2"][[0, 1, 3, 2, 4, 5]]
def late_and_early(t): t["vision.block.10"][1] += 1; t["vision.block.2"][1] += 1


def main():
    if not importlib.util.find_spec("numpy"):
        print("skip: Python lacks numpy")
        return 77
    tally = goldens.Tally()
    for change, code, words in (
            (nothing, 0, ["9 stages agree"]), (tiny, 0, ["9 stages agree"]),
            (extra, 0, ["9 stages agree"]),
            (nan, 1, ["first departure: embed", "at [2, 3]", "1 not finite"]),
            (infinite, 1, ["first departure: vision.block.2", "1 not finite"]),
            (missing, 1, ["first departure: vision.merged", "missing"]),
            (shape, 1, ["first departure: logits", "shape [1, 8], expected [6, 8]"]),
            (rows, 1, ["first departure: vision.block.2", "2 of 6 rows off, first [2, 3]"]),
            (late_and_early, 1, ["first departure: vision.block.2", "1 of 6 rows off"])):
        got, out = run(change)
        tally.note(change.__name__, ([] if got == code else ["exit code %d" % got]) +
                   ["no %r in:\n%s" % (w, out) for w in words if w not in out])
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
