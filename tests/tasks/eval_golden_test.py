"""Replays the benchmark's golden runs through eval parse, summarize and boxsize and compares every
file byte for byte; takes the golden slices of volumes to the model's pixels and compares checksums.

    eval_golden_test.py MEDVISION GOLDEN_DIR...     folders that are not there are passed over
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

PROGRAM = os.path.abspath(sys.argv[1])
TOOLS = {"parse_outputs": "parse", "summarize_AD_task": "summarize", "summarize_TL_task": "summarize",
         "summarize_detection_task": "summarize", "analyze_detection_task_boxsize": "boxsize"}
FAMILY = {"AD": "ad", "TL": "size", "Detection": "detect", "summarize_AD_task": "ad",
          "summarize_TL_task": "size", "summarize_detection_task": "detect",
          "analyze_detection_task_boxsize": "detect"}


def command(step):
    args = dict(step["args"])
    family = FAMILY[args.pop("task_type", None) or step["tool"]]
    line = [PROGRAM, "eval", TOOLS[step["tool"]], "--task", family]
    for key, value in args.items():
        name = "--" + key.replace("_", "-")
        if value is True:
            line.append(name)
        elif isinstance(value, list):
            line += [name] + value
        elif value is not None and value is not False:
            line += [name, str(value)]
    return line


def files(top):
    return sorted(os.path.relpath(os.path.join(folder, name), top)
                  for folder, _, names in os.walk(top) for name in names)


def replay(golden, name, work):
    case = os.path.join(golden, "metrics", name)
    with open(os.path.join(case, "case.json"), encoding="utf-8") as f:
        steps = json.load(f)["steps"]
    for part in os.listdir(os.path.join(case, "in")):
        shutil.copytree(os.path.join(case, "in", part), os.path.join(work, part))
    for folder, _, _ in os.walk(work):
        os.chmod(folder, 0o755)
    os.symlink(os.path.join(golden, "nii"), os.path.join(work, "nii"))
    before = set(files(os.path.join(work, "task")))
    for step in steps:
        p = subprocess.run(command(step), cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if p.returncode or p.stdout or p.stderr:
            return ["%s: exit %d, %s" % (" ".join(command(step)[1:]), p.returncode, p.stderr)]
    wrong = []
    expected = files(os.path.join(case, "out", "task"))
    for extra in sorted(set(files(os.path.join(work, "task"))) - before - set(expected)):
        wrong.append("%s: made, but not by the original" % extra)
    for path in expected:
        made = os.path.join(work, "task", path)
        with open(os.path.join(case, "out", "task", path), "rb") as f:
            want = f.read()
        if not os.path.exists(made):
            wrong.append("%s: not made" % path)
            continue
        with open(made, "rb") as f:
            got = f.read()
        if got != want:
            at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b),
                      min(len(got), len(want)))
            wrong.append("%s: byte %d: %r, expected %r" %
                         (path, at, got[max(0, at - 60):at + 60], want[max(0, at - 60):at + 60]))
    return wrong


def manifest_line(golden, row):
    return json.dumps({
        "volume": os.path.join(golden, row["nii"]), "index": row["slice_idx"],
        "plane": ("sagittal", "coronal", "axial")[row["slice_dim"]], "dataset": row["dataset_name"],
        "taskID": row["taskID"], "taskType": row["taskType"], "label_name": row["label_name"],
        "modality": row["modality"], "reshape": row["reshape_hw"]})


def compare_pixels(golden):
    with open(os.path.join(golden, "image_path.jsonl"), encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    text = "".join(manifest_line(golden, row) + "\n" for row in rows)
    p = subprocess.run([PROGRAM, "image", "--jsonl"], input=text, stdout=subprocess.PIPE, encoding="utf-8")
    wrong = []
    for row, line in zip(rows, p.stdout.splitlines()):
        got = json.loads(line)
        hexes = [struct.pack(">f", v).hex() for v in got.get("pixel_size") or []][::-1]
        if (got.get("image_sha256"), got.get("resized_sha256"), got.get("pixel_values_sha256"),
                got.get("grid_thw"), hexes) != (
                    row["image_u8_sha256"], row["resized_u8_sha256"], row["pixel_values_sha256"],
                    row["grid_thw"], row["pixel_size_hw_f32hex"]):
            wrong.append("%s: %s" % (row["id"], line))
    return wrong, len(rows)


def main():
    bad = n_case = n_file = n_slice = 0
    for golden in filter(os.path.isdir, map(os.path.abspath, sys.argv[2:])):
        cases = sorted(os.listdir(os.path.join(golden, "metrics")))
        wrong, n = compare_pixels(golden)
        for name in cases:
            with tempfile.TemporaryDirectory() as work:
                wrong += ["%s: %s" % (name, line) for line in replay(golden, name, work)]
            n_file += len(files(os.path.join(golden, "metrics", name, "out")))
        print("\n".join(wrong), end="\n" if wrong else "")
        bad, n_case, n_slice = bad + len(wrong), n_case + len(cases), n_slice + n
    print("%d golden runs, %d files, %d slices, %d differences" % (n_case, n_file, n_slice, bad))
    return 1 if bad or not n_case else 0


sys.exit(main())
