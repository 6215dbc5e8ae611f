"""What the peers' benches share: the request, the timing and the result line.

The request is the same everywhere: the prefill of n token ids (those `medvision bench latency
--write-ids` wrote, or else a fixed arithmetic sequence below the tokenizer's special ids; no
picture), then greedy steps of one token. Weights stay in bf16.
"""
import argparse
import json
import os
import statistics
import time

PREFILL_TOKENS = 700


def arguments(text):
    ap = argparse.ArgumentParser(description=text)
    ap.add_argument("model", help="checkpoint folder")
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    ap.add_argument("--tokens", type=int, default=PREFILL_TOKENS, help="length of the prefill")
    ap.add_argument("--ids", help="JSON file with the ids of the prompt")
    ap.add_argument("--prefills", type=int, default=5, help="timed runs, after one to warm up")
    ap.add_argument("--steps", type=int, default=20, help="timed decode steps, after two")
    return ap


def prompt_ids(a):
    """--ids, or n ids that exist in the checkpoint's vocabulary and are ordinary text."""
    if a.ids:
        with open(a.ids, encoding="utf-8") as f:
            ids = json.load(f)
        a.tokens = len(ids)
        return ids
    with open(os.path.join(a.model, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    first_special = config["vision_start_token_id"] - 9
    return [(7 + 7919 * i) % first_special for i in range(a.tokens)]


def timed(function, *args):
    """(milliseconds, result)"""
    begin = time.perf_counter()
    result = function(*args)
    return 1e3 * (time.perf_counter() - begin), result


def measure(prefill, step, a):
    """prefill() returns the logits after the prompt from an empty cache; step(id) those after
    one more token. Returns the medians and the greedy ids, by which peers can be held together."""
    timed(prefill)
    runs = [timed(prefill) for _ in range(a.prefills)]
    ids, steps = [best(runs[-1][1])], []
    for _ in range(a.steps + 2):
        ms, logits = timed(step, ids[-1])
        ids.append(best(logits))
        steps.append(ms)
    return {"prefill_ms": statistics.median(r[0] for r in runs),
            "decode_ms": statistics.median(steps[2:]), "greedy_ids": ids[:8]}


def best(logits):
    return int(logits.argmax())


def report(engine, version, a, load_ms, result):
    line = {"engine": engine, "version": version, "dtype": "bf16", "threads": a.threads,
            "prefill_tokens": a.tokens, "prefill_ms": round(result["prefill_ms"], 2),
            "decode_ms": round(result["decode_ms"], 3), "load_ms": round(load_ms, 1),
            "prefills": a.prefills, "steps": a.steps, "greedy_ids": result["greedy_ids"]}
    print(json.dumps(line), flush=True)
