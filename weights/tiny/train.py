"""Train the tiny checkpoint. Resumable: run it again and it goes on from the last save.

python train.py --work DIR [--minutes 120] [--batch 8] [--seed 1]

DIR/shards is filled by `data.py` (a second process); DIR/last.pt holds weights, their moving average,
optimizer and clock; DIR/loss.csv is the loss curve. The learning rate follows the training clock, not
a step count, so that a time budget is always used to its end.
"""
import argparse
import csv
import math
import os
import time

import numpy as np
import torch

import data
import model

LENGTH, PEAK, WARM_S, DECAY = 416, 1.2e-3, 90, 0.9995


def options():
    p = argparse.ArgumentParser()
    p.add_argument("--work", required=True)
    p.add_argument("--minutes", type=float, default=120)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--full", type=float, default=0.3, help="share of targets kept past the landmarks")
    return p.parse_args()


def rate(elapsed, total):
    warm = min(1.0, elapsed / WARM_S)
    return PEAK * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, elapsed / total))))


class Run:
    def __init__(self, opt):
        self.opt, self.path = opt, os.path.join(opt.work, "last.pt")
        self.net = model.new(opt.seed)
        self.adam = torch.optim.AdamW(self.net.parameters(), lr=PEAK, betas=(0.9, 0.98),
                                      weight_decay=0.02, fused=True)
        self.ema = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.elapsed, self.step = 0.0, 0
        if os.path.exists(self.path):
            s = torch.load(self.path, weights_only=False)
            self.net.load_state_dict(s["net"])
            self.adam.load_state_dict(s["adam"])
            self.ema, self.elapsed, self.step = s["ema"], s["elapsed"], s["step"]

    def save(self):
        torch.save({"net": self.net.state_dict(), "adam": self.adam.state_dict(), "ema": self.ema,
                    "elapsed": self.elapsed, "step": self.step}, self.path + ".part")
        os.rename(self.path + ".part", self.path)

    def update(self, batch):
        loss, weight, labels, logits = model.losses(self.net, batch)
        total = (loss * weight).sum() / weight.sum()
        self.adam.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        for g in self.adam.param_groups:
            g["lr"] = rate(self.elapsed, self.opt.minutes * 60)
        self.adam.step()
        with torch.no_grad():
            decay = min(DECAY, (1 + self.step) / (10 + self.step))
            for k, v in self.net.state_dict().items():
                self.ema[k].lerp_(v, 1 - decay)
        self.step += 1
        return total.item(), digit_accuracy(weight, labels, logits)


def digit_accuracy(weight, labels, logits):
    """Share of right first, second, third coordinate digits, and of everything else."""
    right = (logits.argmax(-1) == labels).float()
    groups = [weight == w for w in data.DIGIT_WEIGHT] + [weight <= 0.2]
    return [right[g].mean().item() if g.any() else float("nan") for g in groups]


def main():
    opt = options()
    torch.set_num_threads(opt.threads)
    run = Run(opt)
    stream = data.Stream(os.path.join(opt.work, "shards"), opt.batch, LENGTH, opt.seed, opt.full)
    loader = torch.utils.data.DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=8)
    log = csv.writer(open(os.path.join(opt.work, "loss.csv"), "a", newline="", buffering=1))
    if run.step == 0:
        log.writerow(["step", "minutes", "loss", "digit1", "digit2", "digit3", "rest"])
    window, saved, t = [], time.time(), time.time()
    for batch in loader:
        loss, acc = run.update(batch)
        window.append([loss, *acc])
        now = time.time()
        run.elapsed, t = run.elapsed + now - t, now
        if run.step % 100 == 0:
            log.writerow([run.step, f"{run.elapsed / 60:.2f}",
                          *(f"{v:.4f}" for v in np.nanmean(window, axis=0))])
            window = []
        if now - saved > 150:
            run.save()
            saved = now
        if run.elapsed > opt.minutes * 60:
            break
    run.save()


if __name__ == "__main__":
    main()
