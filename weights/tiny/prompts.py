"""The contract's prompts and chain-of-thought targets, rendered as plain text.

Strings are data (prompt_strings.json, from MedVision, CC-BY 4.0); this file only puts values into them.
Byte-exact against the original for every prompt and target it covers: `python prompts.py --check DIR`.
"""
import json
import math
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "prompt_strings.json"), encoding="utf-8") as f:
    S = json.load(f)

SYSTEM_PROMPT = S["SYSTEM_PROMPT"]
FOLLOW = "\nFollow the reasoning steps to get the final answer in the required format."
UNIT_WORD = {"mm": "millimeters", "cm": "centimeters", "degree": "degrees"}
f32 = np.float32


# ---- prompts -------------------------------------------------------------------------------

def _head(description):
    return "Task:\nGiven the input medical image" + (f": {description}" if description else "") + ", "


def _steps(name):
    return f"\nReasoning steps:\n{S['COT_INSTRUCT_' + name]}{FOLLOW}"


def _spacing(size, pixel, unit):
    return (f"Additional information:\n"
            f"The image size is {size[0]} pixels (width) x {size[1]} pixels (height).\n"
            f"The pixel size for this image is {pixel[0]:.3f} {unit} (width)"
            f" x {pixel[1]:.3f} {unit} (height).\n")


def _tail(mode, plain, reasoning, steps):
    """mode: 'cot' (steps asked for), 'no-steps' (format only), 'plain' (short answer)."""
    if mode == "plain":
        return f"Format requirement:\n{S[plain]}"
    end = _steps(steps) if mode == "cot" else "\n"
    return f"Format requirement:\n{S[reasoning]}{end}"


def detect_prompt(label, description="", mode="cot", training_text=False):
    corner = "corner" if training_text else "corners"
    form = ("FORMAT_PROMPT_DETECTION_REASONING" if training_text and mode == "cot"
            else "FORMAT_PROMPT_BOX_COORDINATES")
    return (f"{_head(description)}return the coordinates of the lower-left and upper-right {corner}"
            f" of the bounding box for the {label}.\n"
            + _tail("cot" if mode == "cot" else "plain", form, form, "DETECTION"))


def size_prompt(label, size, pixel, unit="mm", description="", mode="cot"):
    unit = UNIT_WORD[unit]
    return (f"{_head(description)}estimate the major and minor axis lengths of the ellipse enclosing"
            f" the {label}, in {unit}.\n{_spacing(size, pixel, unit)}"
            + _tail(mode, "FORMAT_PROMPT_TUMOR_LESION_SIZE", "FORMAT_PROMPT_TL_REASONING", "TL_NORM"))


def distance_prompt(points, size, pixel, unit="mm", name="", description="", mode="cot"):
    unit = UNIT_WORD[unit]
    pair = f"(landmark 1) {points[0]}, (landmark 2) {points[1]}.\n"
    task = (f"estimate the distance of {name} in {unit}, which is the distance between 2 landmark"
            f" points: {pair}" if name else
            f"estimate the distance between 2 landmark points in {unit}: {pair}")
    return (_head(description) + task + _spacing(size, pixel, unit)
            + _tail(mode, "FORMAT_PROMPT_BIOMETRICS", "FORMAT_PROMPT_AD_REASONING", "DISTANCE"))


def angle_prompt(points, size, pixel, name="", description="", mode="cot", training_text=False):
    lines = (f"(line 1) the line connecting {points[0]} and {points[1]},"
             f" (line 2) the line connecting {points[2]} and {points[3]}.\n")
    task = (f"estimate the angle of {name} in degrees, which is the angle between 2 lines: {lines}"
            if name else f"estimate the angle between 2 lines in degrees: {lines}")
    pixel_unit = "degrees" if training_text else "millimeters"
    return (_head(description) + task + _spacing(size, pixel, pixel_unit)
            + _tail(mode, "FORMAT_PROMPT_BIOMETRICS", "FORMAT_PROMPT_AD_REASONING", "ANGLE"))


# ---- lengths and angles, with the original's float32 steps -----------------------------------

def span(p, q, size, pixel):
    """The physical vector from p to q; p, q relative, pixel float32 (width, height)."""
    return tuple(f32(f32(f32(q[k] - p[k]) * f32(size[k])) * f32(pixel[k])) for k in (0, 1))


def _square_sum(v):
    return f32(f32(v[0] * v[0]) + f32(v[1] * v[1]))


def length_f64(p, q, size, pixel):
    return math.sqrt(float(_square_sum(span(p, q, size, pixel))))


def length_f32(p, q, size, pixel):
    return np.sqrt(_square_sum(span(p, q, size, pixel)))


def angle_f32(a, b):
    """Acute angle of two vectors: (radians, degrees), all float32 as the original has it."""
    a, b = np.array(a, f32), np.array(b, f32)
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    with np.errstate(invalid="ignore", divide="ignore"):
        rad = np.arccos(np.abs(np.dot(a, b)) / norms)
    return rad, np.degrees(rad)


# ---- targets ---------------------------------------------------------------------------------

def _fill(template, values):
    text = S["COT_TEMPLATE_" + template]
    for slot, value in values.items():
        text = text.replace(slot, value if isinstance(value, str) else f"{value:.3f}")
    return text


def _sizes(size, pixel):
    return {"<pixel_width>": pixel[0], "<pixel_height>": pixel[1],
            "<image_width>": str(size[0]), "<image_height>": str(size[1])}


def detect_target(label, box):
    slots = ("<coor0_w>", "<coor0_h>", "<coor1_w>", "<coor1_h>")
    return _fill("DETECTION", {"<label_name>": label, **dict(zip(slots, box))})


def size_target(label, major, minor, size, pixel):
    values = {"<label>": label}
    for axis, (p, q) in (("major", major), ("minor", minor)):
        values |= {f"<x1_{axis}>": p[0], f"<y1_{axis}>": p[1],
                   f"<x2_{axis}>": q[0], f"<y2_{axis}>": q[1]}
    values |= _sizes(size, pixel)
    values["<major_axis_length>"] = length_f64(*major, size, pixel)
    values["<minor_axis_length>"] = length_f64(*minor, size, pixel)
    return _fill("TL_NORM", values)


def distance_target(names, p, q, size, pixel):
    values = {"<landmark 1>": names[0], "<landmark 2>": names[1],
              "<x1>": p[0], "<y1>": p[1], "<x2>": q[0], "<y2>": q[1]}
    values |= _sizes(size, pixel)
    values["<distance>"] = float(length_f32(p, q, size, pixel))
    return _fill("DISTANCE", values)


def angle_target(names, pts, size, pixel):
    values = {f"<landmark {k + 1}>": names[k] for k in range(4)}
    for k, slot in enumerate(("1_line1", "2_line1", "1_line2", "2_line2")):
        values |= {f"<x{slot}>": pts[k][0], f"<y{slot}>": pts[k][1]}
    values |= _sizes(size, pixel)
    a, b = span(pts[0], pts[1], size, pixel), span(pts[2], pts[3], size, pixel)
    rad, deg = angle_f32(a, b)
    values |= {"<Ax>": float(a[0]), "<Ay>": float(a[1]), "<Bx>": float(b[0]), "<By>": float(b[1]),
               "<angle>": float(rad), "<angle_degree>": float(deg)}
    return _fill("ANGLE", values)


def short_answer(values):
    """What the model answers when no reasoning is asked for: bare numbers."""
    return ", ".join(f"{v:.3f}" for v in values)


# ---- check against recorded prompts and targets of the original --------------------------------

def _unit(row):
    unit = row["metric_unit"]
    return unit[0] if isinstance(unit, list) else unit


def _relative(row, point):
    kept = [v for k, v in enumerate(point) if k != row["slice_dim"]]
    h, w = row["raw_shape_hw"]
    return kept[1] / w, 1 - kept[0] / h


def _hex_wh(row):
    values = [np.frombuffer(bytes.fromhex(h), ">f4")[0] for h in row["adjusted_px_hw_f32hex"]]
    return f32(values[1]), f32(values[0])


def _render_prompt(row, training_text):
    variant, d = row["variant"], row.get("image_description")
    mode = "cot" if variant.endswith("_cot") or "_cot_" in variant else "plain"
    if variant.endswith("wo_instruct"):
        mode = "no-steps"
    if variant.startswith("detection"):
        return detect_prompt(row["label_name"], d, mode, training_text)
    size, pixel = row["resized_hw"][::-1], _hex_wh(row)
    if variant.startswith("tl"):
        return size_prompt(row["label_name"], size, pixel, _unit(row), d, mode)
    names = row.get("landmark_names") or row["landmarks"]
    if row["metric_type"] == "distance":
        return distance_prompt(names, size, pixel, _unit(row), row["metric_name"], d, mode)
    return angle_prompt(names, size, pixel, row["metric_name"], d, mode, training_text)


def _check(folder):
    for name in ("prompts.jsonl", "cot_targets.jsonl"):
        good = bad = skipped = 0
        for line in open(os.path.join(folder, name), encoding="utf-8"):
            row = json.loads(line)
            if row.get("error"):
                skipped += 1
                continue
            try:
                ok = _check_row(row, name)
            except Exception as error:
                print(row["id"], row["variant"], repr(error))
                ok = False
            good, bad = good + ok, bad + (not ok)
        print(f"{name}: {good} equal, {bad} different, {skipped} skipped (the original raises)")


def _check_row(row, name):
    if name == "prompts.jsonl":
        return _render_prompt(row, row["stack"] == "sft") == row["prompt"]
    if not row["variant"].count("_cot"):
        return True
    return _render_target(row) == row["target"]


def _render_target(row):
    if row["variant"] == "detection_cot":
        return detect_target(row["label_name"], [float(v) for v in json.loads(row["target_list_str"])])
    size, pixel = row["resized_hw"][::-1], _hex_wh(row)
    pts = {k: _relative(row, v) for k, v in row["landmarks"].items()}
    if row["variant"] == "tl_cot":
        return size_target(row["label_name"], (pts["P1"], pts["P2"]), (pts["P3"], pts["P4"]), size, pixel)
    p = [pts[k] for k in row["landmark_order"]]
    if row["variant"] == "ad_cot_distance":
        return distance_target(row["landmark_names"], p[0], p[1], size, pixel)
    return angle_target(row["landmark_names"], p, size, pixel)


if __name__ == "__main__":
    _check(sys.argv[2])
