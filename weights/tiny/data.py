"""Training data: shards of rendered phantoms on disk, and sequences packed from their questions.

One picture is asked several questions at once. They share its vision features and, where the image
comes first, the same prefix: the questions are branches of one sequence, each seeing the prefix and
itself (`segment` tells them apart). That is four times cheaper than one sequence a question.
"""
import os
import pickle
import sys
import time

import numpy as np
import torch
from torchvision.transforms.v2 import functional as F

import phantom
import prompts
import questions
import tokenizer
import vocab

SIDE, PATCH, MERGE = 168, 14, 2
GRID = SIDE // PATCH
N_IMAGE = (GRID // MERGE) ** 2
SHARD = 1024
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
PAD, IMAGE = 256, 262
COORDINATE = ("0.", ", 0.", ",0.", "), (0.")
DIGIT_WEIGHT = (2.0, 1.5, 0.7)


# ---- pictures --------------------------------------------------------------------------------

def shrink(picture, side):
    """The contract's resize: torchvision's 8-bit antialiased bicubic."""
    t = F.resize(torch.from_numpy(picture)[None], [side, side], interpolation=3, antialias=True)
    return t[0].numpy()


def as_seen(picture):
    """A picture file the way a measurement command shows it to this model."""
    return shrink(shrink(picture, 504), SIDE)


def patches(u8):
    """[n, 168, 168] grey bytes -> [n * 144, 1176] float32, in Qwen2.5-VL's patch order."""
    n = len(u8)
    x = (u8[:, None].astype(np.float32) - (MEAN * 255)[:, None, None]) / (STD * 255)[:, None, None]
    g, m, p = GRID // MERGE, MERGE, PATCH
    x = x.reshape(n, 3, g, m, p, g, m, p).transpose(0, 2, 5, 3, 6, 1, 4, 7)   # n gy gx my mx C p p
    x = np.repeat(x[:, :, :, :, :, :, None], 2, axis=6)                         # the same frame twice
    return np.ascontiguousarray(x).reshape(n * GRID * GRID, -1)


def write_shard(folder, k):
    base = 1_000_000 + k * SHARD          # held-out seeds are below 1,000,000
    scenes = [phantom.make_scene(base + i) for i in range(SHARD)]
    pictures = np.stack([shrink(phantom.render(s, 336, 336), SIDE) for s in scenes])
    path = os.path.join(folder, f"shard{k:05d}.pkl")
    with open(path + ".part", "wb") as f:
        pickle.dump((pictures, scenes), f, protocol=5)
    os.rename(path + ".part", path)


# ---- sequences -------------------------------------------------------------------------------

class Packer:
    def __init__(self, length):
        self.length = length
        self.tok = tokenizer.load()
        self.text = {t["id"]: t["content"] for t in tokenizer.build()["added_tokens"]}
        self.coordinate = {i for i, t in self.text.items() if t in COORDINATE}
        self.arithmetic = {i for i, t in self.text.items() if "<step-3-reasoning>" in t}
        self.answer = {i for i, t in self.text.items() if t.endswith("</think> <answer> ")}
        self.pieces = {s: self.encode(s) for s in ("user\n", "<|im_end|>\n<|im_start|>assistant\n")}

    def encode(self, text):
        return self.tok.encode(text, add_special_tokens=False).ids

    def system(self, text):
        return self.encode(f"<|im_start|>system\n{text}<|im_end|>\n<|im_start|>user\n")

    def weights(self, ids, mode):
        """Loss weight of each target token: the first digits of a coordinate matter most."""
        w, since, digits = [], 9, 0
        late = False
        for t in ids:
            late = late or t in self.arithmetic or t in self.answer
            since = 0 if t in self.coordinate else since + 1
            w.append(0.2 if late else DIGIT_WEIGHT[since - 1] if 1 <= since <= 3 else 0.1)
        return w

    def cut(self, ids):
        """Drop everything after the last landmark: the rest is arithmetic and needs no eyes."""
        for k, t in enumerate(ids):
            if t in self.arithmetic or t in self.answer:
                return ids[:k + 1]
        return ids

    def question(self, scene, rng, q, full):
        roll = rng.random()
        mode = "plain" if roll < 0.05 else "no-steps" if roll < 0.08 and q["task"] != "detect" else "cot"
        pixel = (scene["fov"][0] / SIDE, scene["fov"][1] / SIDE)
        prompt, target = questions.texts(q, vocab.IMAGE_SIZE, pixel, mode)
        ids = self.encode(target + "<|im_end|>")
        if mode != "plain" and not full:
            ids = self.cut(ids)
        return self.encode(prompt), ids, self.weights(ids, mode)


TURN = "<|im_end|>\n<|im_start|>assistant\n"
BLOCK = [259] + [IMAGE] * N_IMAGE + [260]


def positions(ids, start):
    """M-RoPE positions of a run of tokens from `start`: [3, n] and the next free position."""
    out, at, k = [], start, 0
    g = GRID // MERGE
    while k < len(ids):
        if ids[k] == IMAGE:
            out += [(at, at + r, at + c) for r in range(g) for c in range(g)]
            at, k = at + g, k + N_IMAGE
        else:
            out.append((at, at, at))
            at, k = at + 1, k + 1
    return out, at


class Sequence:
    def __init__(self, length):
        self.ids, self.pos, self.seg, self.shared, self.label, self.weight = [], [], [], [], [], []
        self.length, self.branches = length, 0

    def add(self, ids, start, n_target=0, weights=(), shared=False, segment=None):
        """Append a run; the last n_target tokens are learned. False when it does not fit."""
        if len(self.ids) + len(ids) > self.length:
            return False
        pos, self.next = positions(ids, start)
        if segment is None:
            self.branches += 1
            segment = self.branches
        n = len(ids)
        self.ids += ids
        self.pos += pos
        self.seg += [segment] * n
        self.shared += [shared] * n
        learned = [0.0] * n
        if n_target:
            learned[n - n_target - 1:n - 1] = weights
        self.label += ids[1:] + [PAD]
        self.weight += learned
        return True

    def arrays(self):
        n, pad = len(self.ids), self.length - len(self.ids)
        ids = np.array(self.ids + [PAD] * pad, np.int64)
        return {"ids": ids,
                "pos": np.pad(np.array(self.pos, np.int64).T, ((0, 0), (0, pad))),
                "seg": np.array(self.seg + [-1] * pad, np.int64),
                "shared": np.array(self.shared + [False] * pad, bool),
                "label": np.array(self.label + [PAD] * pad, np.int64),
                "weight": np.array(self.weight + [0.0] * pad, np.float32)}


def candidates(scene, rng):
    """A shuffled list of (task, label) for one picture."""
    lesions, organs = list(scene["lesions"]), list(scene["organs"])
    out = [("size", n) for n in lesions] + [("detect", n) for n in lesions if rng.random() < 0.7]
    out += [("detect", str(n)) for n in rng.permutation(organs)[:2]]
    out += [("distance", None)] * 2 + [("angle", None)]
    return [out[i] for i in rng.permutation(len(out))]


def pack(packer, scene, rng, full_share):
    seq = Sequence(packer.length)
    system = prompts.SYSTEM_PROMPT if rng.random() < 0.9 else tokenizer.DEFAULT_SYSTEM
    head, turn = packer.system(system), packer.encode(TURN)
    seq.add(head + BLOCK, 0, segment=0)
    start = seq.next
    for task, label in candidates(scene, rng):
        q = questions.ask(scene, rng, task, label)
        if q is None:
            continue
        prompt, target, w = packer.question(scene, rng, q, rng.random() < full_share)
        if rng.random() < 0.15:       # the benchmark's order: text, then image
            ids = head + prompt + BLOCK + turn + target
            seq.add(ids, 0, len(target), w)
        else:
            seq.add(prompt + turn + target, start, len(target), w, shared=True)
    return seq.arrays()


OBJECTS = vocab.MARKERS + vocab.LESIONS + vocab.ORGANS
OBJECT_IDS = [next(t["id"] for t in tokenizer.build()["added_tokens"] if t["content"] == n) for n in OBJECTS]


def objects(scene):
    """[12, 6] for the training-time helper head: present, centre x y, half extents, correlation.

    In the picture's own frame (y down), relative to its size."""
    out = np.zeros((len(OBJECTS), 6), np.float32)
    for k, name in enumerate(OBJECTS):
        if name in scene["markers"]:
            m = scene["markers"][name]
            half, rho = [m["r"] / f for f in scene["fov"]], 0.0
            centre = m["c"]
        elif name in phantom.shapes(scene):
            e = phantom.shapes(scene)[name]
            b = phantom.box(scene, e)
            half, centre = [(b[2] - b[0]) / 2, (b[3] - b[1]) / 2], e["c"]
            cross = (e["r"][0] ** 2 - e["r"][1] ** 2) * np.sin(e["t"]) * np.cos(e["t"])
            rho = cross / (half[0] * half[1] * scene["fov"][0] * scene["fov"][1])
        else:
            continue
        out[k] = [1, *(centre[i] / scene["fov"][i] for i in (0, 1)), *half, rho]
    return out


class Stream(torch.utils.data.IterableDataset):
    """Endless batches from whatever shards exist by now, newest first, never waiting for more."""

    def __init__(self, folder, batch, length, seed, full_share):
        self.folder, self.batch, self.length, self.seed = folder, batch, length, seed
        self.full_share = full_share

    def _shards(self, rng):
        """Every shard once a pass; the pass grows as the generator adds shards."""
        seen = set()
        while True:
            names = {n for n in os.listdir(self.folder) if n.endswith(".pkl")}
            fresh = sorted(names - seen)
            if not fresh:
                if not names:
                    time.sleep(1)
                seen.clear()
                continue
            name = str(rng.choice(fresh))
            seen.add(name)
            with open(os.path.join(self.folder, name), "rb") as f:
                yield pickle.load(f)

    def __iter__(self):
        os.nice(10)
        torch.set_num_threads(1)
        rng = np.random.default_rng([self.seed, int(time.time())])
        packer = Packer(self.length)
        for pictures, scenes in self._shards(rng):
            order = rng.permutation(len(scenes))
            for k in range(0, len(order) - self.batch + 1, self.batch):
                pick = order[k:k + self.batch]
                rows = [pack(packer, scenes[i], rng, self.full_share) for i in pick]
                out = {n: torch.from_numpy(np.stack([r[n] for r in rows])) for n in rows[0]}
                out["objects"] = torch.from_numpy(np.stack([objects(scenes[i]) for i in pick]))
                out["pixels"] = torch.from_numpy(patches(pictures[pick]))
                yield out


if __name__ == "__main__":      # python data.py FOLDER FIRST COUNT
    folder, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    os.makedirs(folder, exist_ok=True)
    os.nice(10)
    torch.set_num_threads(1)
    for k in range(first, first + count):
        if not os.path.exists(os.path.join(folder, f"shard{k:05d}.pkl")):
            write_shard(folder, k)
