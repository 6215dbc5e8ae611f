"""Replays the benchmark's golden runs through eval parse, summarize and boxsize and compares every
file: eval_golden_test.py MEDVISION GOLDEN_DIR. Text and JSON are compared byte for byte."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

PROGRAM, GOLDEN = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
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


def replay(name, work):
    case = os.path.join(GOLDEN, "metrics", name)
    with open(os.path.join(case, "case.json"), encoding="utf-8") as f:
        steps = json.load(f)["steps"]
    for part in os.listdir(os.path.join(case, "in")):
        shutil.copytree(os.path.join(case, "in", part), os.path.join(work, part))
    for folder, _, _ in os.walk(work):
        os.chmod(folder, 0o755)
    os.symlink(os.path.join(GOLDEN, "nii"), os.path.join(work, "nii"))
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


def main():
    if not os.path.isdir(os.path.join(GOLDEN, "metrics")):
        print("skip: no golden runs in %s" % GOLDEN)
        return 77
    bad = 0
    cases = sorted(os.listdir(os.path.join(GOLDEN, "metrics")))
    n_file = 0
    for name in cases:
        with tempfile.TemporaryDirectory() as work:
            wrong = replay(name, work)
        n_file += len(files(os.path.join(GOLDEN, "metrics", name, "out")))
        for line in wrong:
            print("%s: %s" % (name, line))
        bad += len(wrong)
    print("%d golden runs, %d files, %d differences" % (len(cases), n_file, bad))
    return 1 if bad else 0


sys.exit(main())
