"""Write the bundled sample pictures and their questions: python samples.py [--out DIR].

Six phantoms of the held-out seeds 1..6, taken in order, whatever they look like and however the model
does on them; four are saved as 512 on the longer side, one as 640x480 and one as 480x640, the last two
with pixels that are not square. Each is asked every kind of question it can answer, once.
"""
import argparse
import json
import os

import numpy as np
from PIL import Image

import phantom
import questions
import evaluate

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = os.path.join(HERE, "..", "..", "tests", "data", "samples")
FORCED = {5: (640, 480), 6: (480, 640)}
KEEP = ("label", "name", "landmarks", "line1", "line2", "description")


def line(scene, task, picture, size):
    rng = np.random.default_rng([scene["seed"], 3])
    q = questions.ask(scene, rng, task, questions.some_label(scene, rng, task))
    if q is None:
        return None
    row = {"id": f"{picture[:-4]}-{task}", "task": task, "image": picture}
    row |= {k: q[k] for k in KEEP if q.get(k)}
    if task != "detect":
        row |= {"unit": "mm" if task != "angle" else "degree",
                "pixel_size": [round(scene["fov"][k] / size[k], 6) for k in (0, 1)]}
    return row | {"truth": [round(float(v), 4) for v in q["truth"]]}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--out", default=SAMPLES)
    out = p.parse_args().out
    os.makedirs(out, exist_ok=True)
    rows = []
    for seed in range(1, 7):
        scene = phantom.make_scene(seed)
        size = FORCED.get(seed, evaluate.file_size(scene))
        picture = f"phantom{seed}.png"
        Image.fromarray(phantom.render(scene, *size)).save(os.path.join(out, picture), optimize=True)
        rows += [r for t in evaluate.TASKS if (r := line(scene, t, picture, size))]
    with open(os.path.join(out, "samples.jsonl"), "w", encoding="utf-8") as f:
        f.writelines(json.dumps(r) + "\n" for r in rows)
    print(len(rows), "questions about 6 pictures")


if __name__ == "__main__":
    main()
