"""Draw loss.svg from a training log: python curve.py LOSS.CSV. The log is kept beside it, thinned."""
import csv
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LINES = (("loss", "#c0392b", "loss (weighted cross entropy, left scale)"),
         ("digit1", "#2c3e50", "first coordinate digit right"),
         ("digit2", "#2980b9", "second digit right"),
         ("digit3", "#7fb3d5", "third digit right"))
WIDE, HIGH, EDGE = 720, 320, 44


def read(path):
    rows = [{k: float(v) for k, v in r.items()} for r in csv.DictReader(open(path))]
    last = {}
    for r in rows:            # a resumed run repeats a few steps: keep the later ones
        last[int(r["step"])] = r
    return [last[k] for k in sorted(last)]


def polyline(rows, key, colour):
    end, top = rows[-1]["minutes"], 3.5 if key == "loss" else 1.0
    x = [EDGE + (WIDE - 2 * EDGE) * r["minutes"] / end for r in rows]
    y = [HIGH - EDGE - (HIGH - 2 * EDGE) * min(1.0, r[key] / top) for r in rows]
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y))
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{points}"/>'


def label(x, y, text, colour="#333", anchor="start"):
    return f'<text x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}">{text}</text>'


def draw(rows):
    end = rows[-1]["minutes"]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDE}" height="{HIGH}" '
             'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>']
    for k in range(6):
        y = HIGH - EDGE - (HIGH - 2 * EDGE) * k / 5
        parts += [f'<line x1="{EDGE}" x2="{WIDE - EDGE}" y1="{y}" y2="{y}" stroke="#ddd"/>',
                  label(EDGE - 6, y + 4, f"{3.5 * k / 5:.1f}", anchor="end"),
                  label(WIDE - EDGE + 6, y + 4, f"{k * 20} %")]
    for k in range(7):
        x = EDGE + (WIDE - 2 * EDGE) * k / 6
        parts.append(label(x, HIGH - EDGE + 16, f"{end * k / 6:.0f}", anchor="middle"))
    parts.append(label(WIDE / 2, HIGH - 8, "minutes of training on one core", anchor="middle"))
    for k, (key, colour, text) in enumerate(LINES):
        parts += [polyline(rows, key, colour), label(EDGE + 8 + 170 * (k if k else 0) + (90 if k else 0), 18,
                                                     text, colour)]
    return "\n".join(parts + ["</svg>"]) + "\n"


def thin(rows, most=60):
    return rows[:: max(1, len(rows) // most)] + [rows[-1]]


def main():
    rows = read(sys.argv[1])
    if not rows:
        sys.exit("%s has no row yet: training ended before its first one" % sys.argv[1])
    with open(os.path.join(HERE, "loss.svg"), "w") as f:
        f.write(draw(rows))
    with open(os.path.join(HERE, "loss.csv"), "w", newline="") as f:
        out = csv.DictWriter(f, rows[0].keys())
        out.writeheader()
        out.writerows(thin(rows))


if __name__ == "__main__":
    main()
