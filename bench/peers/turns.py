"""Engines on the CPU in bf16, taking turns on one prompt: one JSON line an engine.

    python turns.py CHECKPOINT [--threads N] [--rounds 8] [--engines medvision,transformers,llama_cpp]

A shared machine's memory is not equally fast from one minute to the next, and a decode step is the
time to read the weights. So the engines stay loaded side by side and change places every second:
a round is one prefill each, then a run of greedy decode steps each, and what is compared is the
ratio of two engines' times within a round. While one works the others sleep.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "..", "..", "build", "medvision")
REST_S = 0.3  # until the threads of the engine that worked last have stopped spinning


class Worker:
    def __init__(self, name, a, prompt):
        command = [sys.executable, os.path.join(HERE, name + "_cpu.py"), a.model, "--threads", str(a.threads),
                   "--prompt", prompt, "--context", str(a.tokens + a.steps + 64)]
        if name == "medvision":
            version = subprocess.check_output([PROGRAM, "--version"], encoding="utf-8")
            command += ["--version", version.split()[-1]]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, encoding="utf-8")
        self.line = self.hear()
        self.prefill_ms, self.decode_ms = [], []

    def hear(self):
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("%s ended: run it alone to see why" % " ".join(self.process.args))
        return json.loads(answer)

    def ask(self, words):
        time.sleep(REST_S)
        print(words, file=self.process.stdin, flush=True)
        return self.hear()


def write_prompt(a, path):
    """Digits, of which every one is a token, as text and as ids."""
    text = "".join(str(i * i * 7919 // 13 % 10) for i in range(a.tokens))
    line = subprocess.check_output([PROGRAM, "tokenize", "--model", a.model, "--json", text], encoding="utf-8")
    ids = json.loads(line)["ids"]
    if len(ids) != a.tokens:
        raise SystemExit("%d digits are %d tokens of %s" % (a.tokens, len(ids), a.model))
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"text": text, "ids": ids}, f)


def run_round(workers, steps):
    """The engine to begin with moves on from round to round: no one always follows the same."""
    for w in workers:
        w.prefill_ms += w.ask("prefill")
    for w in workers:
        w.decode_ms.append(statistics.median(w.ask("decode %d" % steps)))
    workers.append(workers.pop(0))


def result(worker, first, a):
    ratio = {phase: statistics.median(x / y for x, y in zip(getattr(first, phase), getattr(worker, phase)))
             for phase in ("prefill_ms", "decode_ms")}
    return dict(worker.line, model=os.path.basename(os.path.normpath(a.model)), dtype="bf16", threads=a.threads, prefill_tokens=a.tokens, steps=a.steps,
                rounds=a.rounds, prefill_ms=round(statistics.median(worker.prefill_ms), 2),
                decode_ms=round(statistics.median(worker.decode_ms), 3),
                prefills_ms=[round(ms, 1) for ms in worker.prefill_ms],
                decodes_ms=[round(ms, 2) for ms in worker.decode_ms],
                first_takes={"prefill": round(ratio["prefill_ms"], 3), "decode": round(ratio["decode_ms"], 3)},
                greedy_ids=worker.ask("finish")[:8])


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("model", help="checkpoint folder, bf16")
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    ap.add_argument("--tokens", type=int, default=700, help="length of the prefill")
    ap.add_argument("--steps", type=int, default=20, help="decode steps of a turn")
    ap.add_argument("--rounds", type=int, default=8, help="measured, after one to warm up")
    ap.add_argument("--engines", default="medvision,transformers,llama_cpp",
                    help="the first is the one the others are compared with")
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prompt = os.path.join(folder, "prompt.json")
        write_prompt(a, prompt)
        workers = [Worker(name, a, prompt) for name in a.engines.split(",")]
        order = list(workers)
        for k in range(a.rounds + 1):
            run_round(order, a.steps)
            if k == 0:
                for w in workers:
                    w.prefill_ms, w.decode_ms = [], []
    for w in workers:
        print(json.dumps(result(w, workers[0], a)), flush=True)


if __name__ == "__main__":
    main()
