"""Train the tiny checkpoint. Resumable: run it again and it goes on from the last save.

python train.py --work DIR [--minutes 120] [--batch 8] [--seed 1] [--phase NAME --clock M]

DIR/shards is filled by `data.py` (a second process); DIR/last.pt holds weights, their moving average,
optimizer and clock; DIR/loss.csv is the loss curve. The learning rate follows the training clock, not
a step count, so that a time budget is always used to its end. A phase of another name than the saved
one starts with its clock at M minutes.
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
from muon import Muon, is_hidden

WARM_S, DECAY = 60, 0.998
PEAK_ADAM, PEAK_MUON = 1.5e-3, 0.012


def options():
    p = argparse.ArgumentParser()
    p.add_argument("--work", required=True)
    p.add_argument("--minutes", type=float, default=120)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--length", type=int, default=240, help="tokens of a packed sequence")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--full", type=float, default=0.3, help="share of targets kept past the landmarks")
    p.add_argument("--phase", default="first")
    p.add_argument("--clock", type=float, default=0, help="minutes on the clock when the phase starts")
    return p.parse_args()


def rate(elapsed, total):
    warm = min(1.0, elapsed / WARM_S)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, elapsed / total))))


class Run:
    def __init__(self, opt):
        self.opt, self.path = opt, os.path.join(opt.work, "last.pt")
        self.net = model.new(opt.seed)
        self.helper = model.Helper()
        named = list(self.net.named_parameters())
        rest = [p for n, p in named if not is_hidden(n, p)] + list(self.helper.parameters())
        self.adam = torch.optim.AdamW(rest, lr=PEAK_ADAM, betas=(0.9, 0.98), weight_decay=0.02, fused=True)
        self.muon = Muon(named, PEAK_MUON)
        self.ema = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.elapsed, self.spent, self.step = 0.0, 0.0, 0   # seconds: on the clock, in all
        if os.path.exists(self.path):
            s = torch.load(self.path, weights_only=False)
            self.net.load_state_dict(s["net"])
            self.helper.load_state_dict(s["helper"])
            self.adam.load_state_dict(s["adam"])
            self.muon.load_state_dict(s["muon"])
            self.ema, self.elapsed, self.step = s["ema"], s["elapsed"], s["step"]
            self.spent = s.get("spent", self.elapsed)
            if s.get("phase", "first") != opt.phase:
                self.elapsed = opt.clock * 60

    def save(self):
        torch.save({"net": self.net.state_dict(), "helper": self.helper.state_dict(), "adam": self.adam.state_dict(),
                    "muon": self.muon.state_dict(), "ema": self.ema,
                    "elapsed": self.elapsed, "spent": self.spent, "step": self.step, "phase": self.opt.phase}, self.path + ".part")
        os.rename(self.path + ".part", self.path)

    def help(self):
        """Weight of the helper's loss: high at first, a fourth from half of the time on."""
        return max(0.25, 1 - self.elapsed / (self.opt.minutes * 40))

    def update(self, batch):
        loss, weight, labels, logits, vision, middle = model.losses(self.net, batch)
        total = (loss * weight).sum() / weight.sum()
        eyes = self.helper.eyes(vision, batch["objects"])
        words = self.helper.words(middle, batch)
        self.net.zero_grad(set_to_none=True)
        self.helper.zero_grad(set_to_none=True)
        (total + self.help() * (eyes + 2 * words)).backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        now = rate(self.elapsed, self.opt.minutes * 60)
        for optimizer, peak in ((self.adam, PEAK_ADAM), (self.muon, PEAK_MUON)):
            optimizer.param_groups[0]["lr"] = peak * now
            optimizer.step()
        with torch.no_grad():
            decay = min(DECAY, (1 + self.step) / (10 + self.step))
            for k, v in self.net.state_dict().items():
                self.ema[k].lerp_(v, 1 - decay)
        self.step += 1
        return total.item(), [eyes.item(), words.item()] + digit_accuracy(weight, labels, logits)


def digit_accuracy(weight, labels, logits):
    """Share of right first, second, third coordinate digits, and of everything else."""
    right = (logits.argmax(-1) == labels).float()
    groups = [weight == w for w in data.DIGIT_WEIGHT] + [weight <= 0.2]
    return [right[g].mean().item() if g.any() else float("nan") for g in groups]


def main():
    opt = options()
    torch.set_num_threads(opt.threads)
    run = Run(opt)
    stream = data.Stream(os.path.join(opt.work, "shards"), opt.batch, opt.length, opt.seed, opt.full)
    loader = torch.utils.data.DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=8)
    log = csv.writer(open(os.path.join(opt.work, "loss.csv"), "a", newline="", buffering=1))
    if run.step == 0:
        log.writerow(["step", "minutes", "loss", "eyes", "words", "digit1", "digit2", "digit3", "rest"])
    window, saved, t = [], time.time(), time.time()
    for batch in loader:
        loss, acc = run.update(batch)
        window.append([loss, *acc])
        now = time.time()
        run.elapsed, run.spent, t = run.elapsed + now - t, run.spent + now - t, now
        if run.step % 100 == 0:
            log.writerow([run.step, f"{run.spent / 60:.2f}",
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
