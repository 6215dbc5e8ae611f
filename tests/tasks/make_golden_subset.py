"""Picks the rows of the full golden files that are kept in tests/data/tasks and bench/workloads.

    python3 tests/tasks/make_golden_subset.py ../shared/golden

The full files were made by running the original (medvision-bm 1.2.1); rows are copied unchanged.
"""
import collections
import json
import sys

golden, = sys.argv[1:]
out = "tests/data/tasks"


def pick(name, keep):
    with open(f"{golden}/{name}.jsonl", encoding="utf-8") as f, open(f"{out}/{name}.jsonl", "w", encoding="utf-8") as g:
        for line in f:
            if keep(json.loads(line), line):
                g.write(line)


def first(n, *keys):
    """Keeps the first n rows of each combination of the named fields."""
    seen = collections.Counter()

    def keep(row, line):
        kind = tuple(str(row.get(k)) for k in keys)
        seen[kind] += 1
        return seen[kind] <= n
    return keep


pick("parse", lambda row, line: len(row["text"]) < 2000)
prompts = first(2, "stack", "variant", "metric_type", "error")
pick("prompts", lambda row, line: prompts(row, line) or not row.get("image_description"))
pick("pixel_size", lambda row, line: int(row["id"][-5:]) % 9 == 0)
pick("cot_targets", first(2, "variant"))
pick("geometry", first(20, "kind"))
boxes = first(25, "category")
pick("sample_metrics", lambda row, line: row["metrics"] and "avgIoU" in row["metrics"] and boxes(row, line))

# Questions with the answers training gives to them: what the bench forces, to price speculation.
with open("weights/tiny/prompt_strings.json", encoding="utf-8") as f:
    system = json.load(f)["SYSTEM_PROMPT"]
with open(f"{golden}/cot_targets.jsonl", encoding="utf-8") as f, open("bench/workloads/forced-size.jsonl", "w", encoding="utf-8") as g:
    for row in map(json.loads, f):
        if row["variant"] == "tl_cot":
            g.write(json.dumps({"system": system, "prompt": row["prompt"], "answer": row["target"]}) + "\n")
