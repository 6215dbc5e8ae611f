"""Print the lines that run.sh wrote as a Markdown table: table.py FILE.jsonl. Standard library only.

Exit code 1 when engines disagree on the first greedy tokens: they did not run the same model.
"""
import json
import platform
import sys


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def figures(line):
    """(prefill ms, decode ms): medians."""
    if line["engine"] == "medvision":
        return line["median_prefill_ms"], line["median_tpot_ms"]
    return line["prefill_ms"], line["decode_ms"]


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        lines = [json.loads(text) for text in f if text.strip()]
    threads = max(line["threads"] for line in lines)
    print("%s, %d threads, full width, 2 layers, bf16: 700 tokens in, 20 decode steps\n" % (cpu_name(), threads))
    print("| engine | version | prefill, ms | decode step, ms |\n|---|---|---|---|")
    for line in lines:
        print("| %s | %s | %.0f | %.1f |" % (line["engine"], line["version"], *figures(line)))
    first = {tuple(line["greedy_ids"][:4]) for line in lines}
    if len(first) > 1:
        print("\nthe engines disagree on the first tokens: %s" % sorted(first))
    return len(first) > 1


if __name__ == "__main__":
    sys.exit(main())
