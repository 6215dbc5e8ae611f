"""One engine of bench/peers/turns.py: a process that works when it is told to.

An engine has prefill(prompt), which starts from an empty cache and decides the first token,
step(), which decides the next one, and finish(), which returns the tokens decided. The prompt has
"ids" and the "text" they are. On standard input come the lines `prefill`, `decode N` and `finish`;
each is answered by one JSON line, with the milliseconds of every call or with the tokens.
"""
import argparse
import json
import os
import sys
import time


def arguments(text):
    ap = argparse.ArgumentParser(description=text)
    ap.add_argument("model", help="checkpoint folder, bf16")
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    ap.add_argument("--prompt", required=True, help="JSON file with the prompt's text and ids")
    ap.add_argument("--context", type=int, default=1024, help="tokens of prompt and answer")
    return ap


def timed(function, *args):
    """(milliseconds, result)"""
    begin = time.perf_counter()
    result = function(*args)
    return 1e3 * (time.perf_counter() - begin), result


def say(line):
    print(json.dumps(line), flush=True)


def serve(name, version, make, a):
    with open(a.prompt, encoding="utf-8") as f:
        prompt = json.load(f)
    load_ms, engine = timed(make)
    say({"engine": name, "version": version, "load_ms": round(load_ms, 1)})
    for line in sys.stdin:
        verb, *count = line.split()
        if verb == "prefill":
            say([timed(engine.prefill, prompt)[0]])
        elif verb == "decode":
            say([timed(engine.step)[0] for _ in range(int(count[0]))])
        else:
            say(engine.finish())
