"""Measure the exported checkpoint on held-out phantoms: python evaluate.py [--model DIR] [--count 200].

Greedy decoding with the stock transformers model, the stored bf16 weights widened to fp32, pictures
through the whole chain (file size -> 504x504 -> 168x168), image before text, system prompt set. Two
readings of each answer: the printed values, and those recomputed from the model's own landmarks.
"""
import argparse
import json
import math
import os
import re

import numpy as np
import torch
from transformers import Qwen2_5_VLForConditionalGeneration

import data
import phantom
import prompts
import questions
import tokenizer
import vocab

HERE = os.path.dirname(os.path.abspath(__file__))
TASKS = {"detect": 4, "size": 2, "distance": 1, "angle": 1}      # task -> numbers in an answer
NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")
f32 = np.float32


# ---- cases -----------------------------------------------------------------------------------

def file_size(scene):
    """Width and height of the picture file: the longer side 512, square pixels."""
    w, h = scene["fov"]
    return (512, round(512 * h / w)) if w >= h else (round(512 * w / h), 512)


def adjusted(raw_mm, raw_px, side=data.SIDE):
    """Pixel size after 504x504 and after this model's own resize, in the contract's float32 steps."""
    reshaped = f32(f32(raw_mm) / f32(504 / raw_px))
    return f32(f32(1 / f32(f32(side) / f32(504))) * reshaped)


def case(seed, task):
    scene = phantom.make_scene(seed)
    rng = np.random.default_rng([seed, 2])
    q = questions.ask(scene, rng, task, questions.some_label(scene, rng, task))
    if q is None:
        return None
    size = file_size(scene)
    raw = [f32(scene["fov"][k] / size[k]) for k in (0, 1)]
    q["pixel"] = [adjusted(raw[k], size[k]) for k in (0, 1)]
    q["prompt"], q["target"] = questions.texts(q, vocab.IMAGE_SIZE, q["pixel"])
    q["seen"] = data.as_seen(phantom.render(scene, *size))
    return q


def cases(task, count, first):
    seed, out = first, []
    while len(out) < count:
        q = case(seed, task)
        seed += 1
        out += [q] if q else []
    return out


# ---- decoding --------------------------------------------------------------------------------

def prompt_ids(tok, text, image_last=False):
    head = tok.encode(f"<|im_start|>system\n{prompts.SYSTEM_PROMPT}<|im_end|>\n<|im_start|>user\n").ids
    body, turn = tok.encode(text).ids, tok.encode(data.TURN).ids
    return head + (body + data.BLOCK if image_last else data.BLOCK + body) + turn


@torch.no_grad()
def answer(net, tok, batch, image_last=False, limit=320):
    ids = [prompt_ids(tok, q["prompt"], image_last) for q in batch]
    n = max(map(len, ids))
    rows = torch.tensor([[data.PAD] * (n - len(r)) + r for r in ids])
    seen = torch.tensor([[0] * (n - len(r)) + [1] * len(r) for r in ids])
    pixels = torch.from_numpy(data.patches(np.stack([q["seen"] for q in batch])))
    out = net.generate(
        input_ids=rows, attention_mask=seen, pixel_values=pixels,
        image_grid_thw=torch.tensor([[1, data.GRID, data.GRID]] * len(batch)),
        mm_token_type_ids=(rows == data.IMAGE).int(), do_sample=False, max_new_tokens=limit)
    texts = tok.decode_batch(out[:, n:].tolist(), skip_special_tokens=False)
    return [t.split("<|im_end|>")[0] for t in texts]


# ---- reading ---------------------------------------------------------------------------------

def parse(text, k):
    """The benchmark's rule: the last k numbers of the first answer tag, or None."""
    tag = re.search(r"<answer>(.*?)</answer>", text, re.S)
    found = NUMBER.findall(tag.group(1)) if tag else []
    return [float(v.replace(",", "")) for v in found[-k:]] if len(found) >= k else None


def points(text):
    """Landmarks of the step answers, in order."""
    steps = re.findall(r"<step-[12]-answer>(.*?)</step-[12]-answer>", text, re.S)
    return [(float(x), float(y)) for s in steps for x, y in re.findall(r"\((-?\d+\.\d+), (-?\d+\.\d+)\)", s)]


def recompute(q, pts):
    task, size, pixel = q["task"], vocab.IMAGE_SIZE, q["pixel"]
    need = {"detect": 2, "size": 4, "distance": 2, "angle": 4}[task]
    if len(pts) < need:
        return None
    if task == "detect":
        return [*pts[0], *pts[1]]
    if task == "angle":
        a, b = (prompts.span(pts[k], pts[k + 1], size, pixel) for k in (0, 2))
        return [float(prompts.angle_f32(a, b)[1])]
    return [prompts.length_f64(pts[k], pts[k + 1], size, pixel) for k in range(0, need, 2)]


def iou(a, b):
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = [max(0.0, r[2] - r[0]) * max(0.0, r[3] - r[1]) for r in (a, b)]
    return w * h / (sum(area) - w * h + 1e-12)


def error(q, values):
    """IoU for boxes, mean relative error for lengths, degrees for angles."""
    if values is None or any(map(math.isnan, values)):
        return 0.0 if q["task"] == "detect" else math.inf
    if q["task"] == "detect":
        return iou(values, q["truth"])
    wrong = [abs(v - t) for v, t in zip(values, q["truth"])]
    if q["task"] == "angle":
        return wrong[0]
    return float(np.mean([w / t for w, t in zip(wrong, q["truth"])]))


def landmark_error(q, pts):
    """Median-able displacement, relative to the picture, of landmarks in the order asked."""
    truth = q.get("points") or [p for a in q.get("axes", []) for p in a]
    return [math.dist(p, t) for p, t in zip(pts, truth)]


def finite(value):
    """JSON has no infinity: where most answers were not parsed, there is no median error."""
    return float(value) if np.isfinite(value) else None


def report(task, batch, texts):
    k = TASKS[task]
    values = [parse(t, k) for t in texts]
    marks = [points(t) for t in texts]
    own = [recompute(q, m) for q, m in zip(batch, marks)]
    printed = np.array([error(q, v) for q, v in zip(batch, values)])
    redone = np.array([error(q, v) for q, v in zip(batch, own)])
    out = {"count": len(batch), "parsed": float(np.mean([v is not None for v in values])),
           "printed_median": finite(np.median(printed)), "recomputed_median": finite(np.median(redone))}
    if task == "detect":
        out |= {"printed_mean_iou": float(printed.mean()), "recomputed_mean_iou": float(redone.mean()),
                "iou_above_0.5": float((printed > 0.5).mean()),
                "by_label": {n: float(np.mean([p for p, q in zip(printed, batch) if q["label"] == n]))
                             for n in sorted({q["label"] for q in batch})}}
    else:
        d = [e for q, m in zip(batch, marks) for e in landmark_error(q, m)]
        out |= {"landmark_median_displacement": float(np.median(d)) if d else None,
                "recomputed_90th_percentile": finite(np.quantile(redone, 0.9))}
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", default=HERE)
    p.add_argument("--count", type=int, default=200)
    p.add_argument("--first-seed", type=int, default=20_000)
    p.add_argument("--image-last", action="store_true", help="the benchmark's message order")
    p.add_argument("--out", default=None)
    p.add_argument("--texts", default=None, help="also write every answer here, one JSON line each")
    opt = p.parse_args()
    torch.set_num_threads(1)
    net = Qwen2_5_VLForConditionalGeneration.from_pretrained(opt.model, dtype=torch.float32).eval()
    tok, result = tokenizer.load(opt.model), {}
    lines = open(opt.texts, "w") if opt.texts else None
    for k, task in enumerate(TASKS):
        todo = cases(task, opt.count, opt.first_seed + 10_000 * k)
        texts = []
        for a in range(0, len(todo), 50):
            texts += answer(net, tok, todo[a:a + 50], opt.image_last)
        result[task] = report(task, todo, texts)
        print(task, json.dumps(result[task]), flush=True)
        for q, t in zip(todo, texts):
            if lines:
                lines.write(json.dumps({"task": task, "truth": q["truth"], "text": t}) + "\n")
    if opt.out:
        with open(opt.out, "w") as f:
            json.dump(result, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
