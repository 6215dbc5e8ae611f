"""Write bench/RESULTS.md, its pictures and the README's figures from bench/results/. Standard library only.

    results.py                 all of it; pictures are drawn by PROGRAM (build/medvision) bench plot
    results.py --check         exit code 1 where RESULTS.md or the README says something else
    results.py --machine NAME  writes machine-NAME.json: what the benches run on

    machine-*.json      the machine
    peers-*.jsonl       one line an engine (bench/peers/run.sh)
    kernels-*.json      medvision bench kernels --json
    gpu-*.json          all of `make gpu-test`
    latency-*.jsonl, throughput-*.jsonl, serve-*.jsonl, startup-*.jsonl   the other benchmarks' lines

Every table says which file it is made from and which commands made that. Exit code 1 also when engines on
one prompt disagree on the first greedy tokens: they did not run the same model.
"""
import datetime
import glob
import json
import os
import platform
import subprocess
import sys
import tempfile

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


def ms_text(value):
    return "%.3g" % value if value < 100 else "%.0f" % value


# ---- tables -----------------------------------------------------------------------------------

def peers_on(lines):
    """(text, whether engines disagree) of one checkpoint."""
    n = lines[0]
    rows = [[n["engine"], n["version"], ms_text(n["prefill_ms"]), ms_text(n["decode_ms"]),
             *("%.2f" % n["first_takes"][phase] for phase in ("prefill", "decode"))] for n in lines]
    first = {tuple(n["greedy_ids"][:4]) for n in lines}
    text = "*%s*: %d tokens in, then runs of %d decode steps, in turns, %d rounds. " % (
        n["model"], n["prefill_tokens"], n["steps"], n["rounds"])
    text += "All engines gave the same first tokens.\n\n" if len(first) == 1 else \
        "**The engines disagree on the first tokens: they did not run the same model.**\n\n"
    return text + table(["engine", "version", "prefill, ms", "decode step, ms", "prefill ratio", "decode ratio"],
                        rows), len(first) > 1


def peers(lines):
    text = ("bf16, %d threads (`bench/peers/run.sh`); *fullwidth* has the 7B's widths and 2 layers, *tiny* is the "
            "embedded checkpoint. The last two columns: what %s takes, as a part of what the engine of the row "
            "takes, median over rounds.\n" % (lines[0]["threads"], lines[0]["engine"]))
    disagree = False
    for model in dict.fromkeys(n["model"] for n in lines):
        part, differ = peers_on([n for n in lines if n["model"] == model])
        text += "\n" + part
        disagree |= differ
    return text, disagree


def kernels(doc):
    m = doc["machine"]
    text = commands([doc]) + "%s" % ", ".join(
        "%s %s" % (k, round(v) if isinstance(v, float) else v) for k, v in m.items()) + ".\n\n"
    rows = [[r["phase"], r["op"], r["what"], "%.4f" % r["median_ms"],
             "%.1f" % (r["bytes"] / r["median_ms"] / 1e6), "%.1f" % (r["flops"] / r["median_ms"] / 1e6),
             "%.0f %%" % (100 * r["limit_ms"] / r["median_ms"])] for r in doc["results"]]
    return text + table(["phase", "operation", "what", "median, ms", "GB/s", "GFLOP/s", "of the limit"], rows)


def commands(lines):
    """The commands of the lines, each once, as a block."""
    found = list(dict.fromkeys(n["command"] for n in lines if "command" in n))
    return "```\n%s\n```\n\n" % "\n".join(found) if found else ""


def name_of(line):
    """Model, workload and how much of it at a time."""
    load = ""
    if "batch_size" in line:
        load = "batch %d%s" % (line["batch_size"], ", drafts" if line["speculate"] else "")
    elif line["bench"] == "serve":
        load = "%s requests/s" % line["request_rate"]
    elif "num_prompts" in line:
        load = "%d at once" % line["num_prompts"]
    return [line["engine"], line["model"], os.path.basename(line["workload"]), load]


def ms(line, name, which="median"):
    value = line.get("%s_%s_ms" % (which, name))
    return "" if value is None else ms_text(value)


def latency(lines):
    rows = [name_of(n) + [ms(n, "ttft"), ms(n, "ttft", "p99"), ms(n, "tpot"), ms(n, "tpot", "p99"), ms(n, "e2el"),
                          "%.0f" % n["output_throughput"], "%.2f" % n["tokens_per_step"],
                          "%.0f %%" % n["tpot_roofline_percent"],
                          "%.0f" % (n["peak_rss_bytes"] / 2**20)] for n in lines]
    return commands(lines) + table(["engine", "model", "workload", "load", "TTFT, ms", "p99", "TPOT, ms", "p99",
                                    "whole, ms", "output tokens/s", "tokens a step", "of the roofline",
                                    "peak memory, MiB"], rows)


def throughput(lines):
    rows = [name_of(n) + ["%.3f" % n["request_throughput"], "%.0f" % n["output_throughput"],
                          "%.0f" % n["total_token_throughput"], ms(n, "ttft"),
                          "%.0f %%" % (100 * n.get("cached_tokens", 0) / n["total_input_tokens"]),
                          "%d of %d" % (n.get("images", 0) - n.get("images_seen", 0), n.get("images", 0))]
            for n in lines]
    return commands(lines) + table(["engine", "model", "workload", "load", "requests/s", "output tokens/s",
                                    "all tokens/s", "TTFT, ms", "prompt cached", "pictures cached"], rows)


def gains(lines):
    rows = [name_of(n)[:3] + [n["mode"], "%.3f" % n["request_throughput"], "%.2f" % n["times"], n["times_of"],
                              "%.0f %%" % (100 * n["cached_tokens"] / n["prompt_tokens"]), n["images_seen"],
                              "%d of %d" % (n["accepted_tokens"], n["drafted_tokens"])] for n in lines]
    return commands(lines) + table(["engine", "model", "workload", "mode", "requests/s", "times", "as fast as",
                                    "prompt cached", "pictures seen", "drafts accepted"], rows)


def serve(lines):
    rows = [name_of(n) + ["%.3f" % n["request_throughput"], "%.0f" % n["output_throughput"], ms(n, "ttft"),
                          ms(n, "ttft", "p99"), ms(n, "tpot"), ms(n, "tpot", "p99"), ms(n, "e2el"),
                          "%.3f" % n["request_goodput"] if "request_goodput" in n else "",
                          n["failed"]] for n in lines]
    return commands(lines) + table(["engine", "model", "workload", "load", "requests/s", "output tokens/s", "TTFT, ms",
                                    "p99", "TPOT, ms", "p99", "whole, ms", "goodput", "failed"], rows)


def startup(lines):
    rows = [[n["model"], n["page_cache"], "%.0f %%" % n["resident_percent"], ms(n, "startup"),
             ms(n, "startup", "p90")] for n in lines]
    return commands(lines) + table(["model", "page cache", "of the files in it", "to the first token, ms", "p90"], rows)


KINDS = {"kernels": kernels, "latency": latency, "throughput": throughput, "gains": gains, "serve": serve, "startup": startup}


def draw(folder, name, inputs):
    """results/plots-NAME/*.svg"""
    program = os.environ.get("PROGRAM", os.path.join(HERE, "..", "build", "medvision"))
    if inputs and os.access(program, os.X_OK):
        subprocess.run([program, "bench", "plot", "--out", os.path.join(folder, "plots-" + name), *inputs],
                       check=True, stdout=subprocess.DEVNULL)


def draw_all(folder):
    for machine in files(folder, "machine-*.json"):
        name = os.path.basename(machine)[len("machine-"):-len(".json")]
        draw(folder, name, [p for kind in KINDS if kind not in ("gains", "startup")
                            for p in files(folder, "%s-%s.json*" % (kind, name))])
    for path in files(folder, "gpu-*.json"):
        with tempfile.TemporaryDirectory() as apart:
            for i, doc in enumerate(benches(load(path))):
                with open(os.path.join(apart, "%d.json" % i), "w", encoding="utf-8") as f:
                    json.dump(doc, f)
            draw(folder, os.path.basename(path)[:-len(".json")], files(apart, "*.json"))


def pictures(folder, name):
    return "".join("![%s](results/plots-%s/%s)\n\n" % (os.path.basename(p)[:-4], name, os.path.basename(p))
                   for p in files(folder, "plots-%s/*.svg" % name))


def section(folder, name):
    """(text, whether engines disagree)"""
    parts, disagree = ["## %s\n" % name, describe(os.path.join(folder, "machine-%s.json" % name))], False
    for kind in ("peers", *KINDS):
        for path in files(folder, "%s-%s.json*" % (kind, name)):
            if kind == "peers":
                text, differ = peers(load(path))
                disagree |= differ
            else:
                text = KINDS[kind](load(path))
            parts += ["### %s\n" % os.path.basename(path), text]
    return "\n".join(parts + [pictures(folder, name)]), disagree


# ---- bench/gpu.sh puts all of a card into one file ------------------------------------------------

def benches(doc):
    """The results of benchmarks in it, in their order."""
    found = [n for value in doc.values() for n in (value if isinstance(value, list) else [value])]
    return [n for n in found if isinstance(n, dict) and "bench" in n]


def gpu_section(path):
    doc, name = load(path), os.path.basename(path)[:-len(".json")]
    parts = ["## %s\n" % doc["card"], "`make gpu-test`, %s; `%s`.\n" % (doc["when"], os.path.basename(path))]
    for kind, tabulate in KINDS.items():
        found = [n for n in benches(doc) if n["bench"] == kind]
        if found:
            parts += ["### %s\n" % kind, tabulate(found[0] if kind == "kernels" else found)]
    return "\n".join(parts + [pictures(os.path.dirname(path), name)])


def page(folder):
    parts, disagree = ["# Results\n", "Made by `bench/results.py` from the files named; nothing by hand. What the fields "
                                      "mean: [README.md](README.md).\n"], False
    for machine in files(folder, "machine-*.json"):
        text, differ = section(folder, os.path.basename(machine)[len("machine-"):-len(".json")])
        parts.append(text)
        disagree |= differ
    parts += [gpu_section(path) for path in files(folder, "gpu-*.json")]
    return "\n".join(parts).rstrip() + "\n", disagree


# ---- the README ---------------------------------------------------------------------------------

README = os.path.join(HERE, "..", "README.md")
BEGIN, END = "<!-- made by bench/results.py -->", "<!-- end -->"


def summary(folder):
    """The block of the README: the peers on this kind of machine."""
    text = ""
    for path in files(folder, "peers-*.jsonl"):
        name = os.path.basename(path)[len("peers-"):-len(".jsonl")]
        m = load(os.path.join(folder, "machine-%s.json" % name))
        text += "On %s, %d cores, %s; %s" % (m["cpu"], m["cores"], m["date"], peers(load(path))[0])
    return text.rstrip()


def with_summary(readme, text):
    start, end = readme.index(BEGIN) + len(BEGIN), readme.index(END)
    return readme[:start] + "\n" + text + "\n" + readme[end:]


def update(path, text, check):
    """Whether the file was as it should be."""
    old = ""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            old = f.read()
    if old != text and check:
        print("%s is not what bench/results.py makes of bench/results/" % os.path.relpath(path))
    elif old != text:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    return old == text


def main():
    arguments = sys.argv[1:]
    folder = os.path.join(HERE, "results")
    if arguments[:1] == ["--machine"]:
        write_machine(folder, arguments[1])
        return 0
    check = arguments[:1] == ["--check"]
    if not check:
        draw_all(folder)
    text, disagree = page(folder)
    with open(README, encoding="utf-8") as f:
        readme = f.read()
    same = update(os.path.join(HERE, "RESULTS.md"), text, check)
    same &= update(README, with_summary(readme, summary(folder)), check)
    return int(disagree or (check and not same))


if __name__ == "__main__":
    sys.exit(main())
