"""Questions about a phantom, as manifest lines with their truth, and the text of prompt and target."""
import math

import numpy as np

import phantom
import prompts
import vocab

f32 = np.float32


def _name_or_none(rng, name):
    return name if rng.random() < 0.3 else ""


def _description(rng, scene):
    return vocab.SCANS[scene["modality"]] if rng.random() < 0.75 else ""


def detect(scene, rng, label):
    return {"task": "detect", "label": label, "truth": phantom.box(scene, phantom.shapes(scene)[label])}


def size(scene, rng, label):
    e = scene["lesions"][label]
    return {"task": "size", "label": label, "axes": phantom.axes(scene, e),
            "truth": [2 * e["r"][0], 2 * e["r"][1]]}


def _pick(scene, rng, count):
    """Landmark names, markers preferred; None when the scene has too few."""
    markers, organs = phantom.landmarks(scene)
    pool = {**markers, **organs}
    weight = np.array([1.0] * len(markers) + [0.35] * len(organs))
    if len(pool) < count:
        return None, pool
    names = rng.choice(list(pool), count, replace=False, p=weight / weight.sum())
    return [str(n) for n in names], pool


def _mm(scene, p, q):
    return [(q[k] - p[k]) * scene["fov"][k] for k in (0, 1)]


def distance(scene, rng, _=None):
    for _ in range(8):
        names, pool = _pick(scene, rng, 2)
        if names is None:
            return None
        pts = [pool[n] for n in names]
        if math.dist(*pts) > 0.12:
            return {"task": "distance", "landmarks": names, "points": pts,
                    "name": _name_or_none(rng, vocab.DISTANCE_NAME),
                    "truth": [math.hypot(*_mm(scene, *pts))]}
    return None


def angle(scene, rng, _=None):
    for _ in range(12):
        names, pool = _pick(scene, rng, 3 if rng.random() < 0.4 else 4)
        if names is None:
            continue
        if len(names) == 3:       # two lines that share a point
            names = [names[0], names[1], names[1], names[2]]
        pts = [pool[n] for n in names]
        a, b = _mm(scene, *pts[:2]), _mm(scene, *pts[2:])
        long_enough = min(math.dist(*pts[:2]), math.dist(*pts[2:])) > 0.2
        deg = math.degrees(math.acos(min(1, abs(np.dot(a, b)) / (math.hypot(*a) * math.hypot(*b)))))
        if long_enough and deg > 8:
            return {"task": "angle", "line1": names[:2], "line2": names[2:], "points": pts,
                    "name": _name_or_none(rng, vocab.ANGLE_NAME), "truth": [deg]}
    return None


def ask(scene, rng, task, label=None):
    """One question, or None where the scene cannot answer it."""
    q = {"detect": detect, "size": size, "distance": distance, "angle": angle}[task](scene, rng, label)
    if q:
        q["description"] = _description(rng, scene)
    return q


def some_label(scene, rng, task):
    names = list(scene["lesions"] if task == "size" else phantom.shapes(scene))
    return str(rng.choice(names)) if names else None


def texts(q, size_px, pixel, mode="cot"):
    """(prompt, target) for a question about a picture of size_px with this pixel size."""
    d, task = q["description"], q["task"]
    pixel = (f32(pixel[0]), f32(pixel[1]))
    if task == "detect":
        return (prompts.detect_prompt(q["label"], d, mode),
                prompts.detect_target(q["label"], q["truth"]) if mode == "cot"
                else prompts.short_answer(q["truth"]))
    if task == "size":
        return (prompts.size_prompt(q["label"], size_px, pixel, "mm", d, mode),
                prompts.size_target(q["label"], *q["axes"], size_px, pixel) if mode != "plain"
                else prompts.short_answer(q["truth"]))
    plain = str(float(np.float16(q["truth"][0])))
    if task == "distance":
        return (prompts.distance_prompt(q["landmarks"], size_px, pixel, "mm", q["name"], d, mode),
                prompts.distance_target(q["landmarks"], *q["points"], size_px, pixel)
                if mode != "plain" else plain)
    names = q["line1"] + q["line2"]
    return (prompts.angle_prompt(names, size_px, pixel, q["name"], d, mode),
            prompts.angle_target(names, q["points"], size_px, pixel) if mode != "plain" else plain)
