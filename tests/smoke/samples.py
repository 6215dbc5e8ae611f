"""The sample pictures through the program, as a newcomer would: each question once by options and
once as a JSON line, with the checkpoint that comes with the program.

    python3 samples.py PROGRAM [--min-parsed N]

Both ways must give the same answer; answers are printed beside the truth. Fails when fewer than N
of the answers parse. Standard library only.
"""
import argparse
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SAMPLES = os.path.join(ROOT, "tests", "data", "samples")
VARIES = ("timings_ms", "speculation")  # what may differ between two runs; so may cached_tokens


def options(line):
    """The command line that asks what a manifest line asks."""
    words = [line["task"], line["image"]]
    for key in ("label", "description", "unit", "name"):
        if line.get(key) and not (key == "unit" and line["task"] == "detect"):
            words += ["--" + key, line[key]]
    if "pixel_size" in line:
        words += ["--pixel-size", "%r x%r" % tuple(line["pixel_size"])]
        words[-1] = words[-1].replace(" ", "")
    for key, option in (("landmarks", "--points"), ("line1", "--line1"), ("line2", "--line2")):
        if key in line:
            words += [option, ";".join(line[key])]
    return words


def run(program, words, text=""):
    p = subprocess.run([program, *words, "--max-new-tokens", "800"], input=text, cwd=SAMPLES,
                       stdout=subprocess.PIPE, text=True, timeout=900, check=False)
    return p.returncode, [json.loads(out) for out in p.stdout.split("\n")[:-1]]


def comparable(result):
    kept = {k: v for k, v in result.items() if k not in VARIES + ("id",)}
    kept["usage"] = {k: v for k, v in result["usage"].items() if k != "cached_tokens"}
    return kept


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    ap.add_argument("program", type=os.path.abspath)
    ap.add_argument("--min-parsed", type=int, default=0)
    a = ap.parse_args()
    with open(os.path.join(SAMPLES, "samples.jsonl"), encoding="utf-8") as f:
        text = f.read()
    lines = [json.loads(line) for line in text.splitlines()]
    code, results = run(a.program, ["detect", "--jsonl"], text)
    failed, parsed = [], 0
    if code != 0 or len(results) != len(lines):
        failed.append("--jsonl: exit code %d, %d results of %d" % (code, len(results), len(lines)))
    for line, result in zip(lines, results):
        code, alone = run(a.program, options(line) + ["--json"])
        if "error" in result or len(alone) != 1 or comparable(alone[0]) != comparable(result):
            failed.append("%s: %s\n  %s" % (line["id"], result, alone))
            continue
        if code != (0 if result["parsed"] else 3):
            failed.append("%s: exit code %d" % (line["id"], code))
        parsed += result["parsed"]
        print("%-18s %-36s recomputed %-24s truth %s" % (
            line["id"], result["values"], result["recomputed"], line["truth"]))
    print("%d of %d parsed" % (parsed, len(lines)))
    if parsed < a.min_parsed:
        failed.append("expected at least %d to parse" % a.min_parsed)
    for reason in failed:
        print("FAIL", reason)
    return 1 if failed or not lines else 0


if __name__ == "__main__":
    sys.exit(main())
