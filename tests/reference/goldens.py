"""Holds the program's answers against expected.jsonl. Standard library only.

The bounds are the project's definition of right. fp32: greedy tokens equal unless the reference's
two best tokens lie within NEAR_TIE of each other, log-probabilities within TOLERANCE. bf16: the
logits after the prompt are no further from the reference's fp32 ones than those of the reference in
bf16 are (root mean square of the relative L2 distances over a checkpoint's cases).
"""
import array
import base64
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

TOLERANCE = 1e-3
NEAR_TIE = 2e-3
SECONDS = 300


def load_expected(folder):
    with open(os.path.join(folder, "expected.jsonl"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def checkpoint_folders(root):
    return sorted(os.path.join(root, n) for n in os.listdir(root)
                  if os.path.exists(os.path.join(root, n, "expected.jsonl")))


# ---- one answer -----------------------------------------------------------------------------

def compare_top(step, want, got, problems):
    """Best tokens of one step, by rank and by token; returns the largest difference."""
    if len(got) != len(want):
        problems.append("token %d: %d best tokens, expected %d" % (step, len(got), len(want)))
        return math.inf
    by_id = {t["token_id"]: t["logprob"] for t in got}
    worst = 0.0
    for rank, w in enumerate(want):
        # A token that fell out of the list must be tied with the last one in it.
        value = by_id.get(w["token_id"], got[-1]["logprob"])
        for name, value in (("rank %d" % rank, got[rank]["logprob"]),
                            ("token_id %d" % w["token_id"], value)):
            if not isinstance(value, (int, float)) or not math.isfinite(value):
                problems.append("token %d, %s: log-probability %r" % (step, name, value))
                return math.inf
            error = abs(value - w["logprob"])
            if not error <= TOLERANCE:
                problems.append("token %d, %s: log-probability %.6f, expected %.6f" %
                                (step, name, value, w["logprob"]))
            worst = max(worst, error)
    return worst


def compare_usage(want, usage, n_token, problems):
    images = sum(t * h * w // 4 for t, h, w in want["image_grids"])
    for name, value in (("prompt_tokens", len(want["prompt_ids"])), ("image_tokens", images),
                        ("completion_tokens", n_token)):
        if usage.get(name) != value:
            problems.append("usage.%s: %r, expected %d" % (name, usage.get(name), value))


def compare_answer(want, got):
    """Returns (problems, largest log-probability difference, tokens compared)."""
    if "error" in got:
        return ["error: %s" % got["error"]], math.inf, 0
    for key in ("prompt_ids", "token_ids", "logprobs", "finish_reason", "usage"):
        if key not in got:
            return ["the answer has no \"%s\"" % key], math.inf, 0
    if got["prompt_ids"] != want["prompt_ids"]:
        pairs = list(zip(got["prompt_ids"], want["prompt_ids"]))
        first = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
        return ["prompt_ids depart at %d of %d (got %d): %s, expected %s" % (
            first, len(want["prompt_ids"]), len(got["prompt_ids"]),
            got["prompt_ids"][first:first + 4], want["prompt_ids"][first:first + 4])], math.inf, 0
    problems, worst, n = [], 0.0, 0
    tokens, logprobs = got["token_ids"], got["logprobs"]
    if len(logprobs) != len(tokens):
        problems.append("%d logprobs for %d tokens" % (len(logprobs), len(tokens)))
    for i, token in enumerate(want["token_ids"]):
        if i >= len(tokens) or i >= len(logprobs):
            problems.append("ends after %d tokens, expected %d" % (i, len(want["token_ids"])))
            return problems, worst, n
        worst = max(worst, compare_top(i, want["logprobs"][i]["top"], logprobs[i]["top"], problems))
        if tokens[i] != token:
            if want["gaps"][i] >= NEAR_TIE:
                problems.append("token %d: %d, expected %d (gap %.4f)" %
                                (i, tokens[i], token, want["gaps"][i]))
            return problems, worst, n  # what follows has another prefix
        if logprobs[i]["token_id"] != token or not (
                abs(logprobs[i]["logprob"] - want["logprobs"][i]["logprob"]) <= TOLERANCE):
            problems.append("token %d: logprobs entry %r" % (i, logprobs[i]))
        n += 1
    if len(tokens) != len(want["token_ids"]):
        problems.append("%d tokens, expected %d" % (len(tokens), len(want["token_ids"])))
    if got["finish_reason"] != want["finish_reason"]:
        problems.append("finish_reason %r, expected %r" %
                        (got["finish_reason"], want["finish_reason"]))
    compare_usage(want, got["usage"], len(tokens), problems)
    return problems, worst, n


# ---- running the program --------------------------------------------------------------------

def command(program, folder, dtype):
    return list(program) + ["generate", "--device", "cpu", "--dtype", dtype, "--quiet",
                            "--model", folder]


def run(argv, stdin=None):
    """Returns (stdout, problem or None)."""
    try:
        done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=SECONDS, encoding="utf-8")
    except subprocess.TimeoutExpired:
        return "", "no answer in %d s" % SECONDS
    if done.returncode != 0:
        return done.stdout, "exit code %d: %s" % (done.returncode, done.stderr.strip()[-300:])
    return done.stdout, None


def case_arguments(case, root):
    out = ["--prompt", case["prompt"], "--image-order", case["image_order"],
           "--max-new-tokens", str(case["max_new_tokens"])]
    if case["system"] is not None:
        out += ["--system", case["system"]]
    for image in case["images"]:
        out += ["--image", os.path.join(root, image)]
    return out


def ask_one(program, folder, root, case, dtype="fp32", extra=()):
    argv = command(program, folder, dtype) + ["--json", "--logprobs", "5", *extra]
    out, problem = run(argv + case_arguments(case, root))
    if problem:
        return {"error": problem}
    try:
        return json.loads(out)
    except ValueError as e:
        return {"error": "stdout is not one JSON object (%s): %.200r" % (e, out)}


def ask_batch(program, folder, root, cases, order):
    """All cases through one --jsonl stream; one answer a case, in order."""
    lines = "".join(json.dumps({
        "id": c["id"], "prompt": c["prompt"], "max_new_tokens": c["max_new_tokens"],
        "images": [os.path.join(root, i) for i in c["images"]],
        **({} if c["system"] is None else {"system": c["system"]})}) + "\n" for c in cases)
    argv = command(program, folder, "fp32") + ["--jsonl", "--logprobs", "5",
                                               "--image-order", order]
    out, problem = run(argv, lines)
    try:
        answers = [json.loads(x) for x in out.splitlines()]
    except ValueError as e:
        problem = "stdout is not JSON lines (%s): %.200r" % (e, out)
    if not problem and [a.get("id") for a in answers] != [c["id"] for c in cases]:
        problem = "ids of the answers: %s" % [a.get("id") for a in answers]
    return [{"error": problem}] * len(cases) if problem else answers


def read_tensor(path, name):
    """float32 values of one tensor of a safetensors file."""
    with open(path, "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        entry = json.loads(f.read(size))[name]
        if entry["dtype"] != "F32":
            raise ValueError("%s: %s is %s, expected F32" % (path, name, entry["dtype"]))
        begin, end = entry["data_offsets"]
        f.seek(8 + size + begin)
        return floats(f.read(end - begin))


def floats(data):
    values = array.array("f", data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def relative_l2(got, want):
    if len(got) != len(want):
        raise ValueError("%d logits, expected %d" % (len(got), len(want)))
    top = math.fsum((a - b) ** 2 for a, b in zip(got, want))
    return math.sqrt(top / math.fsum(b * b for b in want))


def bf16_distance(program, folder, root, case):
    """Relative L2 distance of the program's bf16 logits from the reference's fp32 ones."""
    with tempfile.TemporaryDirectory() as dump:
        got = ask_one(program, folder, root, case, "bf16", ("--dump", dump))
        if "error" in got:
            raise ValueError(got["error"])
        logits = read_tensor(os.path.join(dump, "prefill.safetensors"), "logits")
    return relative_l2(logits, floats(base64.b64decode(case["logits_f32_b64"])))


# ---- a whole checkpoint ---------------------------------------------------------------------

class Tally:
    def __init__(self, say=print):
        self.passed, self.failed, self.say = 0, 0, say

    def note(self, name, problems):
        if problems:
            self.failed += 1
            self.say("FAIL %s\n     %s" % (name, "\n     ".join(problems[:6])))
        else:
            self.passed += 1

    def finish(self):
        self.say("%d passed, %d failed" % (self.passed, self.failed))
        return 1 if self.failed else 0


def check_fp32(program, folder, root, tally):
    """Every case by itself, then all of them in one batched stream for each image order."""
    cases, name = load_expected(folder), os.path.basename(folder)
    answers = [(c, "one", ask_one(program, folder, root, c)) for c in cases]
    for order in ("first", "last"):
        some = [c for c in cases if c["image_order"] == order]
        answers += [(c, "batch", a) for c, a in
                    zip(some, ask_batch(program, folder, root, some, order))]
    worst, n_token = 0.0, 0
    for case, how, answer in answers:
        problems, error, n = compare_answer(case, answer)
        tally.note("%s/%s (%s)" % (name, case["id"], how), problems)
        worst, n_token = max(worst, error), n_token + n
    tally.say("%-24s fp32: %d tokens compared, largest log-probability difference %.1e" %
              (name, n_token, worst))


def check_bf16(program, folder, root, tally):
    cases, name = load_expected(folder), os.path.basename(folder)
    ours, theirs, problems, rows = [], [], [], []
    for c in cases:
        try:
            ours.append(bf16_distance(program, folder, root, c))
        except (OSError, ValueError, KeyError) as e:
            problems.append("%s: %s" % (c["id"], e))
            continue
        theirs.append(c["bf16_rel_l2"])
        rows.append("%s: relative L2 %.4f, reference %.4f" % (c["id"], ours[-1], theirs[-1]))
    rms = [math.sqrt(math.fsum(x * x for x in v) / max(len(v), 1)) for v in (ours, theirs)]
    if not rms[0] <= rms[1]:
        problems += ["further from fp32 than the reference's own bf16"] + rows
    tally.note("%s bf16" % name, problems)
    tally.say("%-24s bf16: relative L2 of the logits %.4f, reference %.4f" % (name, *rms))
