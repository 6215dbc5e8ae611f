"""Seeds of the fuzz targets `answer` and `json`, from the kept golden rows.

    python3 tests/tasks/make_fuzz_corpus.py          from the source root
"""
import json
import random

random.seed(3)
DATA, OUT = "tests/data", "tests/fuzz/corpus"


def rows(name):
    return [json.loads(line) for line in open(f"{DATA}/{name}.jsonl", encoding="utf-8")]


def write(target, name, text):
    with open(f"{OUT}/{target}/{name}", "wb") as f:
        f.write(text.encode("utf-8"))


seen = {}
for row in rows("tasks/parse"):
    kept = seen.setdefault((row["category"], row["k"]), 0)
    if kept < (4 if row["category"] in ("adversarial", "fuzz", "tags") else 1):
        write("answer", row["id"], row["text"])
        seen[(row["category"], row["k"])] = kept + 1
for row in rows("tasks/cases")[::6]:
    write("answer", "case-" + row["id"], row["response"])

for i, row in enumerate(random.sample([r for r in rows("json/texts") if len(r["text"]) < 2000], 30)):
    write("json", f"text-{i:02}", row["text"])
LINES = [
    {"id": 1, "task": "size", "image": "a.png", "label": "tumor", "pixel_size": [0.7, 0.7], "cot": "no-steps", "truth": [1, 2.5]},
    {"task": "detect", "volume": "v.nii.gz", "plane": "axial", "index": 57, "image_size": [512, 400], "label": 3, "reshape": None},
    {"task": "angle", "image_size": [182, 218], "pixel_size": [1, 1.0], "line1": ["A", "B"], "line2": ["A", "C"], "unit": ["degree"],
     "reshape": [256, 256], "cot": False},
    {"task": "distance", "image_size": [182, 218], "pixel_size": [1e-5, 3], "landmarks": ["P\u0000", "\ud800"], "name": "x", "unit": "cm",
     "dataset": "d", "taskID": "01", "taskType": "t", "label_name": "l", "modality": "CT", "description": "é"},
]
for i, line in enumerate(LINES):
    write("json", f"manifest-{i}", json.dumps(line))
