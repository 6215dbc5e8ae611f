"""Write bench/RESULTS.md from bench/results/: results.py [FOLDER]. Standard library only.

    machine-*.json    what benches ran on: written by `results.py --machine NAME`
    peers-*.jsonl     one line an engine (bench/peers/run.sh)
    kernels-*.json    medvision bench kernels --json
    throughput-*.jsonl  medvision bench throughput --json

Every table says which file it is made from. Exit code 1 when engines on one prompt disagree on the
first greedy tokens: they did not run the same model.
"""
import datetime
import glob
import json
import os
import platform
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def load(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if path.endswith(".jsonl"):
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    return json.loads(text)


def files(folder, pattern):
    return sorted(glob.glob(os.path.join(folder, pattern)))


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(c) for c in row) + " |" for row in rows]) + "\n"


# ---- the machine ------------------------------------------------------------------------------

def output(*command):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
                              encoding="utf-8").stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def write_machine(folder, name):
    gpu = output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    load_1m = os.getloadavg()[0]
    machine = {"cpu": cpu_name(), "cores": os.cpu_count(), "gpu": gpu or None,
               "system": platform.platform(), "load": round(load_1m, 2),
               "date": datetime.date.today().isoformat(),
               "commit": output("git", "-C", HERE, "rev-parse", "--short", "HEAD")}
    with open(os.path.join(folder, "machine-%s.json" % name), "w", encoding="utf-8") as f:
        json.dump(machine, f, indent=1)
        f.write("\n")


def describe(path):
    m = load(path)
    where = "%s, %d cores" % (m["cpu"], m["cores"]) + (", " + m["gpu"] if m["gpu"] else "")
    busy = ""
    if m["load"] > 0.5:
        busy = " Other jobs ran beside the bench (load %.1f at its start): read it with care." % m["load"]
    return "%s; %s; commit %s; %s.%s\n" % (where, m["system"], m["commit"], m["date"], busy)


# ---- tables -----------------------------------------------------------------------------------

def peers(path):
    lines = load(path)
    n = lines[0]
    rows = [[n["engine"], n["version"], "%.0f" % n["prefill_ms"], "%.1f" % n["decode_ms"],
             *("%.2f" % n["first_takes"][phase] for phase in ("prefill", "decode"))] for n in lines]
    first = {tuple(n["greedy_ids"][:4]) for n in lines}
    text = ("7B's widths, 2 layers, bf16, %d threads: %d tokens in, then runs of %d decode steps, in turns, %d rounds "
            "(`bench/peers/run.sh`). The last two columns: what %s takes, as a part of what the engine of "
            "the row takes, median over rounds. " % (n["threads"], n["prefill_tokens"], n["steps"], n["rounds"], n["engine"]))
    text += "All engines gave the same first tokens.\n\n" if len(first) == 1 else \
        "**The engines disagree on the first tokens: they did not run the same model.**\n\n"
    return text + table(["engine", "version", "prefill, ms", "decode step, ms", "prefill ratio", "decode ratio"],
                        rows), len(first) > 1


def kernels(path):
    doc = load(path)
    m = doc["machine"]
    text = "`medvision bench kernels --json`; %s" % ", ".join(
        "%s %s" % (k, round(v) if isinstance(v, float) else v) for k, v in m.items()) + ".\n\n"
    rows = [[r["phase"], r["op"], r["what"], "%.4f" % r["median_ms"],
             "%.1f" % (r["bytes"] / r["median_ms"] / 1e6), "%.1f" % (r["flops"] / r["median_ms"] / 1e6),
             "%.0f %%" % (100 * r["limit_ms"] / r["median_ms"])] for r in doc["results"]]
    return text + table(["phase", "operation", "what", "median, ms", "GB/s", "GFLOP/s", "of the limit"], rows)


def throughput(path):
    rows = [[os.path.basename(n["workload"]), n["device"], n["dtype"], n["completed"],
             "%.3f" % n["request_throughput"], "%.0f" % n["output_throughput"],
             "%.0f" % n["total_token_throughput"], "%.0f" % n["median_ttft_ms"]] for n in load(path)]
    return "`medvision bench throughput`\n\n" + table(
        ["workload", "device", "dtype", "requests", "requests/s", "output tokens/s", "all tokens/s",
         "median TTFT, ms"], rows)


def page(folder):
    parts, disagree = ["# Results\n", "Made by `bench/results.py` from the files named; nothing by hand.\n"], False
    for machine in files(folder, "machine-*.json"):
        name = os.path.basename(machine)[len("machine-"):-len(".json")]
        parts += ["## %s\n" % name, describe(machine)]
        for path in files(folder, "*-%s.json*" % name):
            kind = os.path.basename(path).split("-")[0]
            if kind == "peers":
                text, differ = peers(path)
                disagree |= differ
            elif kind in ("kernels", "throughput"):
                text = {"kernels": kernels, "throughput": throughput}[kind](path)
            else:
                continue
            parts += ["### %s\n" % os.path.basename(path), text]
    return "\n".join(parts), disagree


def main():
    arguments = sys.argv[1:]
    folder = os.path.join(HERE, "results")
    if arguments[:1] == ["--machine"]:
        write_machine(folder, arguments[1])
        return 0
    text, disagree = page(arguments[0] if arguments else folder)
    with open(os.path.join(HERE, "RESULTS.md"), "w", encoding="utf-8") as f:
        f.write(text)
    print(text)
    return int(disagree)


if __name__ == "__main__":
    sys.exit(main())
