"""Phantoms: toy abdominal slices with everything the four questions ask about, and its exact truth.

A scene is a small dict in millimetres (origin top left, y down); render() rasters it at any size, so
the same scene gives a 512x512 file, a 640x480 file and a training picture. All randomness of a scene,
noise included, comes from its seed. Truth is analytic, in relative coordinates (origin lower left).
"""
import math

import numpy as np
from PIL import Image

import vocab

# organ: centre, semi-axes (in body semi-axes, x to the right, y down), tilt in degrees
ANATOMY = {
    "liver": ((-0.42, -0.20), (0.36, 0.36), -25),
    "stomach": ((0.30, -0.42), (0.25, 0.17), 20),
    "spleen": ((0.64, -0.02), (0.14, 0.27), -8),
    "right kidney": ((-0.40, 0.46), (0.15, 0.20), 18),
    "left kidney": ((0.40, 0.46), (0.15, 0.20), -18),
}
# brightness by modality: fat, soft tissue, bone, lesions and organs
LOOK = {
    "ct": dict(fat=.20, soft=.45, bone=.95, tumor=.85, cyst=.12, liver=.58, spleen=.66,
               stomach=.30, kidney=.74),
    "t1": dict(fat=.85, soft=.42, bone=.20, tumor=.80, cyst=.08, liver=.56, spleen=.34,
               stomach=.25, kidney=.50),
    "t2": dict(fat=.60, soft=.32, bone=.15, tumor=.10, cyst=.98, liver=.40, spleen=.55,
               stomach=.75, kidney=.65),
}
NOISE_GRID = 224


# ---- scenes ----------------------------------------------------------------------------------

def ellipse(cx, cy, a, b, tilt):
    return {"c": (cx, cy), "r": (a, b), "t": tilt}


def outline(e, n=24):
    """n points on the ellipse, in its own units of length."""
    s = np.linspace(0, 2 * np.pi, n, endpoint=False)
    c, k = math.cos(e["t"]), math.sin(e["t"])
    u, v = e["r"][0] * np.cos(s), e["r"][1] * np.sin(s)
    return np.stack([e["c"][0] + u * c - v * k, e["c"][1] + u * k + v * c], 1)


def radius(e, xy):
    """1 on the ellipse, less inside."""
    d = np.asarray(xy, np.float64) - e["c"]
    c, k = math.cos(e["t"]), math.sin(e["t"])
    return np.hypot((d[..., 0] * c + d[..., 1] * k) / e["r"][0],
                    (d[..., 1] * c - d[..., 0] * k) / e["r"][1])


def _fov(rng):
    """Width and height of the picture in mm: square more often than not."""
    w = rng.uniform(160, 440)
    return w, w * (1.0 if rng.random() < 0.6 else math.exp(rng.uniform(-0.288, 0.288)))


def _body(rng, fov):
    cx, cy = (f * (0.5 + rng.uniform(-0.025, 0.025)) for f in fov)
    return ellipse(cx, cy, fov[0] * rng.uniform(0.41, 0.465), fov[1] * rng.uniform(0.38, 0.46), 0.0)


def _organ(rng, body, spec):
    (u, v), (a, b), tilt = spec
    (bx, by), scale = body["r"], rng.uniform(0.88, 1.12)
    return ellipse(body["c"][0] + bx * (u + rng.uniform(-0.05, 0.05)),
                   body["c"][1] + by * (v + rng.uniform(-0.05, 0.05)),
                   bx * a * scale * rng.uniform(0.92, 1.08), by * b * scale * rng.uniform(0.92, 1.08),
                   math.radians(tilt + rng.uniform(-12, 12)))


def _lesion(rng, body, fov, others):
    for _ in range(60):
        a = min(fov) * rng.uniform(0.075, 0.17)
        s, p = math.sqrt(rng.random()) * 0.75, rng.uniform(0, 2 * np.pi)
        e = ellipse(body["c"][0] + body["r"][0] * s * math.cos(p),
                    body["c"][1] + body["r"][1] * s * math.sin(p),
                    a, a * rng.uniform(0.45, 0.80), rng.uniform(0, np.pi))
        clear = all(math.dist(e["c"], o["c"]) > a + o["r"][0] + 0.03 * min(fov) for o in others)
        if clear and radius(body, outline(e)).max() < 0.93:
            return e
    return None


def _marker(rng, body, fov, taken):
    r = min(fov) * rng.uniform(0.034, 0.042)
    for _ in range(60):
        p = tuple(f * rng.uniform(0.07, 0.93) for f in fov)
        if radius(body, p) < 1.05 and all(math.dist(p, c) > m + r * 1.4 for c, m in taken):
            return {"c": p, "r": r}
    return None


def make_scene(seed):
    rng = np.random.default_rng(seed)
    fov = _fov(rng)
    scene = {"seed": int(seed), "fov": fov, "modality": str(rng.choice(list(vocab.SCANS))),
             "inverted": bool(rng.random() < 0.12), "body": _body(rng, fov),
             "lesions": {}, "organs": {}, "markers": {}}
    wanted = [n for n in vocab.LESIONS if rng.random() < 0.7] or [str(rng.choice(vocab.LESIONS))]
    for name in wanted:
        e = _lesion(rng, scene["body"], fov, scene["lesions"].values())
        if e:
            scene["lesions"][name] = e
    for name, spec in ANATOMY.items():
        e = _organ(rng, scene["body"], spec)
        if rng.random() < 0.9 and _visible(e, scene["lesions"].values()):
            scene["organs"][name] = e
    _place_markers(rng, scene)
    scene["look"] = _appearance(rng)
    return scene


def _visible(organ, lesions):
    """An organ that a lesion covers by more than a nibble is left out, so that its box stays true."""
    rim = np.concatenate([outline(organ), [organ["c"]]])
    return all((radius(e, rim) < 1.1).mean() < 0.15 for e in lesions)


def _place_markers(rng, scene):
    taken = [(e["c"], e["r"][0]) for e in scene["lesions"].values()]
    names = list(rng.permutation(vocab.MARKERS))[:rng.integers(2, 6)]
    for name in names:
        m = _marker(rng, scene["body"], scene["fov"], taken)
        if m:
            scene["markers"][str(name)] = m
            taken.append((m["c"], m["r"] * 2.0))


def _appearance(rng):
    return {"noise": float(rng.uniform(0.008, 0.05)), "gain": float(rng.uniform(0.85, 1.05)),
            "gamma": float(rng.uniform(0.85, 1.2)), "jitter": float(rng.uniform(0.0, 0.05)),
            "bias": [float(v) for v in rng.uniform(-0.12, 0.12, 2)], "blur": float(rng.uniform(0.6, 1.4)),
            "marker": float(rng.random() < 0.75), "power": float(rng.uniform(2.0, 2.6))}


# ---- raster ----------------------------------------------------------------------------------

class Canvas:
    """A float picture with the soft edge of one pixel; shapes are given in mm."""

    def __init__(self, fov, width, height, soft):
        self.img = np.zeros((height, width), np.float32)
        self.step = (fov[0] / width, fov[1] / height)
        self.x = (np.arange(width, dtype=np.float32) + 0.5) * self.step[0]
        self.y = (np.arange(height, dtype=np.float32) + 0.5) * self.step[1]
        self.soft = soft

    def window(self, c, reach):
        lo = [int(max(0, (c[k] - reach) / self.step[k])) for k in (0, 1)]
        hi = [int((c[k] + reach) / self.step[k]) + 2 for k in (0, 1)]
        ys, xs = slice(lo[1], hi[1]), slice(lo[0], hi[0])
        return (ys, xs), self.x[None, xs] - c[0], self.y[ys, None] - c[1]

    def blend(self, at, distance, value):
        cover = np.clip(0.5 - distance / self.soft, 0, 1)
        self.img[at] += cover * (value - self.img[at])

    def ellipse(self, e, value, power=2.0):
        """value: a number or a full-size texture. The distance is first order, exact on the edge."""
        reach = max(e["r"]) + 2 * self.soft
        at, dx, dy = self.window(e["c"], reach)
        c, k = math.cos(e["t"]), math.sin(e["t"])
        u, v = np.abs(dx * c + dy * k) / e["r"][0], np.abs(dy * c - dx * k) / e["r"][1]
        if power == 2.0:
            q = np.sqrt(u * u + v * v) + 1e-6
            d = (q - 1) * q / np.sqrt((u / e["r"][0]) ** 2 + (v / e["r"][1]) ** 2 + 1e-12)
        else:
            d = ((u ** power + v ** power + 1e-9) ** (1 / power) - 1) * min(e["r"])
        self.blend(at, d, value[at] if isinstance(value, np.ndarray) else value)

    def disc(self, c, r, value):
        at, dx, dy = self.window(c, r + 2 * self.soft)
        self.blend(at, np.sqrt(dx * dx + dy * dy) - r, value)

    def marker(self, name, m, value):
        r = m["r"]
        self.disc(m["c"], r * 1.3, 1 - value)
        at, dx, dy = self.window(m["c"], r * 1.3)
        self.blend(at, MARKER_SHAPE[name](dx / r, dy / r) * r, value)


def _box(x, y, a, b):
    return np.maximum(np.abs(x) - a, np.abs(y) - b)


MARKER_SHAPE = {  # signed distances, unit radius
    "cross marker": lambda x, y: np.minimum(_box(x, y, 1.0, 0.26), _box(x, y, 0.26, 1.0)),
    "ring marker": lambda x, y: np.abs(np.hypot(x, y) - 0.72) - 0.24,
    "square marker": lambda x, y: _box(x, y, 0.74, 0.74),
    "triangle marker": lambda x, y: np.maximum(y - 0.55, np.abs(x) * 0.87 - y * 0.5 - 0.5),
    "dot marker": lambda x, y: np.hypot(x, y) - 0.45,
}


def _noise(rng, shape, grid):
    field = Image.fromarray(rng.standard_normal((grid, grid), np.float32))
    return np.asarray(field.resize(shape[::-1], Image.BILINEAR))


def _draw_anatomy(canvas, scene, rng, tone):
    body, look = scene["body"], scene["look"]
    (cx, cy), (bx, by) = body["c"], body["r"]
    canvas.ellipse(body, tone["fat"], look["power"])
    rim = rng.uniform(0.86, 0.94)
    texture = tone["soft"] + 0.05 * _noise(rng, canvas.img.shape, 28)
    canvas.ellipse({**body, "r": (bx * rim, by * rim)}, texture, look["power"])
    for s in rng.uniform(-0.7, 1.3, 4):      # ribs: short arcs under the rim, on both sides
        for side in (-1, 1):
            p = (cx + bx * 0.8 * math.cos(s) * side, cy - by * 0.8 * math.sin(s))
            canvas.ellipse(ellipse(*p, 0.06 * bx, 0.022 * by, side * (1.57 - s)), tone["bone"])
    spine = (cx + bx * rng.uniform(-0.03, 0.03), cy + by * 0.62)
    canvas.ellipse(ellipse(*spine, 0.15 * bx, 0.13 * by, 0), tone["bone"])
    canvas.disc((spine[0], spine[1] + 0.16 * by), 0.05 * by, tone["fat"])
    canvas.disc((spine[0] + 0.1 * bx, spine[1] - 0.2 * by), 0.055 * bx, tone["spleen"])   # aorta


def _draw_organs(canvas, scene, rng, tone):
    for name, e in scene["organs"].items():
        kind = name.split()[-1]
        value = tone[kind] + rng.uniform(-1, 1) * scene["look"]["jitter"]
        canvas.ellipse(e, value + 0.03 * _noise(rng, canvas.img.shape, 40))
        if kind == "kidney":      # pelvis
            canvas.ellipse({**e, "r": (e["r"][0] * 0.4, e["r"][1] * 0.45)}, tone["fat"] * 0.8 + 0.1)
        if kind == "stomach":     # gas above fluid
            gas = (e["c"][0], e["c"][1] - e["r"][1] * 0.35)
            canvas.ellipse(ellipse(*gas, e["r"][0] * 0.5, e["r"][1] * 0.35, 0), 0.04)


def _draw_distractors(canvas, scene, rng, tone):
    body, small = scene["body"], min(scene["fov"])
    for _ in range(rng.integers(3, 10)):       # vessels
        s, p = math.sqrt(rng.random()) * 0.8, rng.uniform(0, 2 * np.pi)
        at = (body["c"][0] + body["r"][0] * s * math.cos(p), body["c"][1] + body["r"][1] * s * math.sin(p))
        canvas.disc(at, small * rng.uniform(0.006, 0.013), tone["spleen"] + rng.uniform(-0.1, 0.25))
    for _ in range(rng.integers(0, 5)):        # bowel gas
        at = (body["c"][0] + body["r"][0] * rng.uniform(-0.3, 0.3), body["c"][1] + body["r"][1] * rng.uniform(-0.1, 0.35))
        canvas.ellipse(ellipse(*at, small * rng.uniform(0.012, 0.03), small * rng.uniform(0.01, 0.02),
                               rng.uniform(0, 3)), tone["stomach"] * 0.7)


def _draw_lesions(canvas, scene, rng, tone):
    for name, e in scene["lesions"].items():
        if name == "cyst":        # even, sharp
            canvas.ellipse(e, tone["cyst"])
            continue
        other = 0.55 * tone["tumor"] + 0.45 * tone["soft"]
        canvas.ellipse(e, tone["tumor"] + 0.05 * _noise(rng, canvas.img.shape, 60))
        core = ellipse(*e["c"], e["r"][0] * 0.5, e["r"][1] * 0.45, e["t"] + rng.uniform(-0.3, 0.3))
        canvas.ellipse(core, other + 0.05 * _noise(rng, canvas.img.shape, 60))


def render(scene, width, height):
    """The scene as an 8-bit grey picture of any size."""
    rng = np.random.default_rng([scene["seed"], 1])
    look, tone = scene["look"], LOOK[scene["modality"]]
    pixel = 0.5 * (scene["fov"][0] / 168 + scene["fov"][1] / 168)
    canvas = Canvas(scene["fov"], width, height, pixel * look["blur"])
    _draw_anatomy(canvas, scene, rng, tone)
    _draw_organs(canvas, scene, rng, tone)
    _draw_distractors(canvas, scene, rng, tone)
    _draw_lesions(canvas, scene, rng, tone)
    img = _scanner(canvas, look, rng)
    img = 1 - img if scene["inverted"] else img
    canvas.img[:] = img
    canvas.soft = pixel
    for name, m in scene["markers"].items():
        canvas.marker(name, m, look["marker"])
    return (np.clip(canvas.img, 0, 1) * 255 + 0.5).astype(np.uint8)


def _scanner(canvas, look, rng):
    """Shading, contrast and noise of the machine."""
    img = np.clip(canvas.img, 0, 1) ** look["gamma"] * look["gain"]
    ramp = (np.linspace(-1, 1, img.shape[1])[None] * look["bias"][0]
            + np.linspace(-1, 1, img.shape[0])[:, None] * look["bias"][1])
    img = img * (1 + ramp.astype(np.float32))
    return np.clip(img + look["noise"] * _noise(rng, img.shape, NOISE_GRID), 0, 1)


# ---- truth -----------------------------------------------------------------------------------

def relative(scene, p):
    return p[0] / scene["fov"][0], 1 - p[1] / scene["fov"][1]


def box(scene, e):
    """[x0, y0, x1, y1], lower left and upper right, exact for a rotated ellipse."""
    c, k = math.cos(e["t"]), math.sin(e["t"])
    ex = math.hypot(e["r"][0] * c, e["r"][1] * k)
    ey = math.hypot(e["r"][0] * k, e["r"][1] * c)
    x, y = e["c"]
    return [*relative(scene, (x - ex, y + ey)), *relative(scene, (x + ex, y - ey))]


def axes(scene, e):
    """End points of the major and the minor axis, each with the leftmost first."""
    out = []
    for r, t in ((e["r"][0], e["t"]), (e["r"][1], e["t"] + math.pi / 2)):
        d = (r * math.cos(t), r * math.sin(t))
        ends = [relative(scene, (e["c"][0] + s * d[0], e["c"][1] + s * d[1])) for s in (-1, 1)]
        out.append(tuple(sorted(ends)))
    return out


def landmarks(scene):
    points = {n: relative(scene, m["c"]) for n, m in scene["markers"].items()}
    organs = {vocab.CENTER + n: relative(scene, e["c"]) for n, e in scene["organs"].items()}
    return points, organs


def shapes(scene):
    return {**scene["lesions"], **scene["organs"]}
