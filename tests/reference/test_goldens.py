"""Tests that goldens.py accepts what it should and catches every kind of departure, with a stand-in
for the program. Standard library only; prints `N passed, N failed`.

Run with FAULT as the first argument, the script is the stand-in: it answers from expected.jsonl and
spoils its answer as FAULT says.
"""
import argparse
import base64
import copy
import json
import math
import os
import struct
import sys
import tempfile

import goldens

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(os.path.dirname(HERE), "data", "reference")
NAME = "gqa2-head32-bf16"


def right_answer(want):
    images = sum(t * h * w // 4 for t, h, w in want["image_grids"])
    return {"prompt_ids": want["prompt_ids"], "token_ids": want["token_ids"], "text": "",
            "finish_reason": want["finish_reason"], "logprobs": copy.deepcopy(want["logprobs"]),
            "usage": {"prompt_tokens": len(want["prompt_ids"]), "image_tokens": images,
                      "cached_tokens": 0, "completion_tokens": len(want["token_ids"])}}


# ---- spoiled answers for the comparison itself ------------------------------------------------

def spoil_prompt(g): g["prompt_ids"] = g["prompt_ids"][:3] + [7] + g["prompt_ids"][4:]
def spoil_long_prompt(g): g["prompt_ids"] = g["prompt_ids"] + [198]
def spoil_short(g): g["token_ids"] = g["token_ids"][:-1]; g["logprobs"].pop()
def spoil_long(g): g["token_ids"] = g["token_ids"] + [1]; g["logprobs"].append(g["logprobs"][0])
def spoil_finish(g): g["finish_reason"] = "error"
def spoil_usage(g): g["usage"]["image_tokens"] += 1
def spoil_missing(g): del g["logprobs"]
def spoil_error(g): g["error"] = "out of memory"
def spoil_own_logprob(g): g["logprobs"][1]["logprob"] -= 0.002
def spoil_last_top(g): g["logprobs"][2]["top"][4]["logprob"] -= 0.002
def spoil_nan(g): g["logprobs"][2]["top"][3]["logprob"] = math.nan
def spoil_null(g): g["logprobs"][2]["top"][3]["logprob"] = None
def spoil_top_id(g): g["logprobs"][2]["top"][1]["token_id"] = 3
def spoil_few_top(g): g["logprobs"][2]["top"].pop()


def spoil_token(g):
    second = g["logprobs"][3]["top"][1]
    g["token_ids"] = g["token_ids"][:3] + [second["token_id"]] + g["token_ids"][4:]


WRONG = [spoil_prompt, spoil_long_prompt, spoil_short, spoil_long, spoil_finish, spoil_usage,
         spoil_missing, spoil_error, spoil_own_logprob, spoil_last_top, spoil_nan, spoil_null,
         spoil_top_id, spoil_few_top, spoil_token]


def test_comparison(tally):
    for want in goldens.load_expected(os.path.join(DATA, NAME)):
        problems, worst, n = goldens.compare_answer(want, right_answer(want))
        tally.note("accepts %s" % want["id"], problems or
                   ([] if worst == 0 and n == len(want["token_ids"]) else ["compared too little"]))
    want = goldens.load_expected(os.path.join(DATA, NAME))[3]
    for spoil in WRONG:
        got = right_answer(want)
        spoil(got)
        problems, _, _ = goldens.compare_answer(want, got)
        tally.note("catches %s" % spoil.__name__, [] if problems else ["accepted"])
    near = copy.deepcopy(want)
    top = near["logprobs"][3]["top"]
    top[1]["logprob"] = top[0]["logprob"] - 0.0005
    near["gaps"][3] = 0.0005
    got = right_answer(near)
    spoil_token(got)
    got["logprobs"][3]["top"][:2] = [dict(top[1], logprob=top[0]["logprob"]),
                                     dict(top[0], logprob=top[1]["logprob"])]
    got["token_ids"] = got["token_ids"][:4] + [1] * (len(got["logprobs"]) - 4)
    tally.note("a near tie may go either way and ends the comparison",
               goldens.compare_answer(near, got)[0])


# ---- the stand-in, run as a program ----------------------------------------------------------

def write_dump(folder, logits):
    header = json.dumps({"logits": {"dtype": "F32", "shape": [1, len(logits)],
                                    "data_offsets": [0, 4 * len(logits)]}}).encode()
    with open(os.path.join(folder, "prefill.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(header)) + header)
        f.write(struct.pack("<%df" % len(logits), *logits))


def stand_in(argv):
    fault = argv[0]
    ap = argparse.ArgumentParser()
    for flag in ("--device", "--dtype", "--model", "--logprobs", "--prompt", "--system", "--dump",
                 "--image-order", "--max-new-tokens"):
        ap.add_argument(flag)
    ap.add_argument("--image", action="append", default=[])
    for flag in ("--quiet", "--json", "--jsonl"):
        ap.add_argument(flag, action="store_true")
    a = ap.parse_args(argv[2:])

    def key(prompt, system, order, images):
        return prompt, system, order, tuple(map(os.path.basename, images))
    table = {key(c["prompt"], c["system"], c["image_order"], c["images"]): c
             for c in goldens.load_expected(a.model)}

    def answer(prompt, system, images):
        return table[key(prompt, system, a.image_order, images)]
    if fault == "crash":
        return 1
    if fault == "garbage":
        print("Loading...")
    if a.jsonl:
        lines = [json.loads(x) for x in sys.stdin]
        for x in lines[1:] if fault == "lose-line" else lines:
            want = answer(x["prompt"], x.get("system"), x["images"])
            print(json.dumps(dict(right_answer(want), id=x["id"])))
        return 0
    want = answer(a.prompt, a.system, a.image)
    if a.dump:
        logits = goldens.floats(base64.b64decode(want["logits_f32_b64"]))
        scale = want["bf16_rel_l2"] * (1.2 if fault == "coarse" else 0.9)
        write_dump(a.dump, [x * (1 + scale) for x in logits])
    print(json.dumps(right_answer(want)))
    return 0


def test_program(tally, folder):
    for fault, dtype, fails in (("none", "fp32", 0), ("none", "bf16", 0), ("crash", "fp32", 8),
                                ("garbage", "fp32", 8), ("lose-line", "fp32", 4),
                                ("coarse", "bf16", 1), ("crash", "bf16", 1)):
        quiet = goldens.Tally(say=lambda text: None)
        check = goldens.check_fp32 if dtype == "fp32" else goldens.check_bf16
        check([sys.executable, "-B", os.path.abspath(__file__), fault], folder, DATA, quiet)
        tally.note("stand-in with fault %s, %s" % (fault, dtype), [] if quiet.failed == fails else
                   ["%d failed, expected %d" % (quiet.failed, fails)])


def test_program_on_four_cases(tally):
    cases = {c["id"]: c for c in goldens.load_expected(os.path.join(DATA, NAME))}
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "expected.jsonl"), "w", encoding="utf-8") as f:
            f.writelines(json.dumps(cases[name]) + "\n" for name in (
                "text", "text-system-unicode", "image-last", "two-images"))
        test_program(tally, folder)


def main():
    if len(sys.argv) > 1:
        return stand_in(sys.argv[1:])
    tally = goldens.Tally()
    test_comparison(tally)
    test_program_on_four_cases(tally)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
