#!/usr/bin/env python3
"""`medvision bench` from outside: fields, exit codes, comparisons, pictures. Standard library only.

program_test.py PROGRAM [ARGUMENT OF unittest]...
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

PROGRAM = None
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHORT = os.path.join(ROOT, "bench/workloads/short.jsonl")
FORCED = os.path.join(ROOT, "bench/workloads/medvision-forced.jsonl")
PICTURE = os.path.join(ROOT, "tests/data/samples/phantom1.png")
SMALL = ("--device", "cpu", "--input-len", "40", "--output-len", "5")
STATISTICS = ("mean", "median", "std", "p25", "p75", "p90", "p99", "p99.9")


def run(*arguments, code=0):
    done = subprocess.run([PROGRAM, "bench", *arguments], capture_output=True, text=True, timeout=300,
                          cwd=ROOT)
    assert done.returncode == code, (arguments, done.returncode, done.stdout[-500:], done.stderr)
    return done


def lines(*arguments):
    return [json.loads(line) for line in run(*arguments, "--json").stdout.splitlines()]


class Fields(unittest.TestCase):
    def statistics(self, line, *names):
        for name in names:
            values = {s: line["%s_%s_ms" % (s, name)] for s in STATISTICS}
            self.assertTrue(values["p25"] <= values["median"] <= values["p75"] <= values["p90"] <=
                            values["p99"] <= values["p99.9"], (name, values))
            self.assertGreaterEqual(values["std"], 0)

    def head(self, line, bench):
        self.assertEqual((line["bench"], line["engine"], line["device"]), (bench, "medvision", "cpu"))
        self.assertIn(line["dtype"], ("bf16", "fp32"))
        self.assertGreater(line["peak_rss_bytes"], 1 << 20)
        parts = line["memory_bytes"]
        self.assertEqual(parts["total"], sum(v for k, v in parts.items() if k != "total"))
        self.assertNotIn("energy_j", line)  # a CPU's driver gives none

    def test_latency(self):
        one, three = lines("latency", *SMALL, "--runs", "4", "--batch-size", "1,3")
        for line, batch in (one, 1), (three, 3):
            self.head(line, "latency")
            self.statistics(line, "ttft", "tpot", "itl", "e2el", "queue", "prefill", "decode")
            self.assertEqual(line["batch_size"], batch)
            self.assertEqual(line["completed"], 4 * batch)
            self.assertEqual((line["input_len"], line["output_len"]), (40, 5))
            self.assertEqual(line["total_input_tokens"], 160 * batch)
            self.assertGreater(line["tpot_roofline_percent"], 0)
            self.assertAlmostEqual(line["output_throughput"] * line["duration"],
                                   line["total_output_tokens"], 3)
        self.assertGreater(one["prefill_roofline_percent"], 0)
        self.assertGreater(three["mean_queue_ms"] + three["mean_prefill_ms"], 0)

    def test_latency_of_a_workload_with_pictures(self):
        line, = lines("latency", "--device", "cpu", "--workload", SHORT, "--runs", "4")
        self.assertEqual(line["workload"], "short.jsonl")
        self.assertGreater(line["images"], 0)
        self.assertGreater(line["mean_vision_ms"], 0)
        line, = lines("latency", *SMALL[:2], "--input-len", "100", "--image", PICTURE, "--runs", "1")
        self.assertEqual((line["images"], line["input_len"]), (1, 100))

    def test_latency_writes_ids(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "ids.json")
            line, = lines("latency", *SMALL, "--runs", "1", "--write-ids", path)
            with open(path, encoding="utf-8") as f:
                self.assertEqual(len(json.load(f)), 40)
            self.assertEqual(len(line["greedy_ids"]), 5)

    def test_throughput(self):
        line, = lines("throughput", "--device", "cpu", "--workload", SHORT, "--num-prompts", "6",
                      "--runs", "2")
        self.head(line, "throughput")
        self.statistics(line, "ttft", "tpot", "e2el")
        self.assertEqual((line["completed"], line["num_prompts"], line["runs"]), (12, 6, 2))
        self.assertGreater(line["images"], line["images_seen"])
        self.assertLessEqual(line["p25_request_throughput"], line["p75_request_throughput"])
        self.assertTrue(0 < line["cpu_busy_percent"] < 110, line["cpu_busy_percent"])

    def test_gains_of_each_mode(self):
        for path, reused in (SHORT, "images_seen"), (FORCED, "cached_tokens"):
            found = lines("throughput", "--gains", "--device", "cpu", "--workload", path, "--num-prompts", "6")
            self.assertEqual([line["mode"] for line in found],
                             ["one at a time", "batching", "reuse", "drafts", "all of them", "drafts, all wrong",
                              "all wrong, batched"])
            plain, batched, reuse, drafts, everything, wrong, wrong_batched = found
            self.assertEqual(plain["times"], 1)
            self.assertEqual((wrong["times_of"], wrong_batched["times_of"]), (plain["mode"], batched["mode"]))
            for line in wrong, wrong_batched:
                self.assertEqual(line["accepted_tokens"], 0)
                self.assertGreater(line["drafted_tokens"], 0)
            for line in plain, batched, reuse:
                self.assertEqual(line["drafted_tokens"], 0)
            for line in drafts, everything:
                self.assertGreater(line["drafted_tokens"], 0)
                if path == FORCED:  # the others' answers are short, and drafts of them luck
                    self.assertGreater(line["accepted_tokens"], 0)
            for line in plain, batched, drafts:
                self.assertEqual((line["images_seen"], line["cached_tokens"]), (plain["images_seen"], 0))
            self.assertNotEqual(reuse[reused], plain[reused])

    def test_lengths_are_exact(self):
        for name in ("medvision", "medvision-text-first", "medvision-shuffled"):
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                path, want = os.path.join(folder, "w.jsonl"), 0
                with open(os.path.join(ROOT, "bench/workloads/%s.jsonl" % name)) as f:
                    kinds = [json.loads(x) for x in f]
                with open(path, "w") as f:
                    for kind in kinds:
                        if "name" in kind:
                            kind.update(output_len=2, share=1)
                            want += kind["input_len"]
                        f.write(json.dumps(kind) + "\n")
                line, = lines("throughput", "--device", "cpu", "--workload", path, "--num-prompts", "4")
                self.assertEqual(line["total_input_tokens"], want)
                self.assertEqual(line["total_output_tokens"], 8)

    def test_forced_answers_price_speculation(self):
        bench = ("latency", "--device", "cpu", "--workload", FORCED, "--runs", "4", "--warmup", "3")
        plain, = lines(*bench)
        drafted, = lines(*bench, "--speculate")
        self.assertEqual(plain["total_output_tokens"], drafted["total_output_tokens"])
        self.assertAlmostEqual(plain["tokens_per_step"], 1)
        self.assertGreater(drafted["tokens_per_step"], 2)
        self.assertGreater(drafted["accepted_tokens"], 0.5 * drafted["drafted_tokens"])
        done = run(*bench[:5], "--runs", "30", "--speculate", code=2)
        self.assertIn("24 answers are recorded", done.stderr)

    def test_startup(self):
        warm, cold = lines("startup", "--device", "cpu", "--runs", "2")
        for line, cache in (warm, "warm"), (cold, "cold"):
            self.assertEqual((line["page_cache"], line["runs"], line["bench"]), (cache, 2, "startup"))
            self.statistics(line, "startup", "exit")
            self.assertGreater(line["mean_exit_ms"], line["mean_startup_ms"])
        self.assertGreaterEqual(warm["resident_percent"], cold["resident_percent"])

    def test_kernels(self):
        done = run("kernels", "--quick", "--op", "rmsnorm", "--json")
        doc = json.loads(done.stdout)
        self.assertEqual(doc["bench"], "kernels")
        for row in doc["results"]:
            self.assertLessEqual(row["p25_ms"], row["p75_ms"])
            self.assertTrue(row["right"])

    def test_tables_are_for_people(self):
        for arguments in (("latency", *SMALL, "--runs", "1"), ("throughput", *SMALL, "--num-prompts", "2"),
                          ("startup", "--runs", "1", "--page-cache", "warm")):
            out = run(*arguments).stdout
            self.assertIn("median", out)
            self.assertNotIn("{", out)


class Arguments(unittest.TestCase):
    def test_wrong_ones_are_refused(self):
        for arguments in (("latency", "--runs", "0"), ("latency", "--batch-size", "0"),
                          ("latency", "--runs", "x"), ("latency", "--runs"), ("latency", "extra"),
                          ("latency", "--dtype", "int3"), ("latency", "--input-len", "3"),
                          ("throughput", "--num-prompts", "0"), ("throughput", "--nothing"),
                          ("startup", "--page-cache", "lukewarm"), ("startup", "--runs", "0"),
                          ("serve",), ("serve", "--base-url", "x", "--burstiness", "0"),
                          ("serve", "--base-url", "x", "--request-rate", "0"),
                          ("serve", "--base-url", "x", "--goodput", "itl:3"),
                          ("kernels", "--op", "none"), ("kernels", "--threads", "9999"),
                          ("plot",), ("nothing",)):
            if arguments[0] == "serve" and not has_client():
                continue
            with self.subTest(arguments):
                done = run(*arguments, code=2)
                self.assertEqual(done.stdout, "")
                self.assertIn("medvision: bench", done.stderr)

    def test_missing_files_are_failures(self):
        for arguments in (("latency", "--workload", "none.jsonl"), ("plot", "none.json"),
                          ("latency", "--model", "none"), ("startup", "--model", "none", "--runs", "1")):
            with self.subTest(arguments):
                run(*arguments, code=1)

    def test_help_names_every_option(self):
        for name in "kernels", "latency", "throughput", "serve", "startup", "plot":
            if name == "serve" and not has_client():
                continue
            text = run(name, "--help").stdout
            self.assertTrue(text.startswith("usage: medvision bench " + name), text[:60])
            sources = glob.glob(os.path.join(ROOT, "bench/bench_%s.c" % name))
            if name in ("latency", "throughput"):
                sources.append(os.path.join(ROOT, "bench/subject.h"))
            for path in sources:
                with open(path, encoding="utf-8") as f:
                    for option in re.findall(r'\{"(--[a-z-]+)"', f.read()):
                        if option != "--help":
                            self.assertIn(option, text)


class Plot(unittest.TestCase):
    def draw(self, *files):
        """{name: root of the SVG}"""
        with tempfile.TemporaryDirectory() as folder:
            names = run("plot", "--out", os.path.join(folder, "new"), *files).stdout.split("\n")[:-1]
            return {os.path.basename(n): xml.etree.ElementTree.parse(n).getroot() for n in names}

    def test_pictures_of_real_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for i, bench in enumerate((("latency", *SMALL, "--runs", "2", "--batch-size", "1,2"),
                                       ("throughput", *SMALL, "--num-prompts", "3"),
                                       ("kernels", "--quick", "--op", "swiglu"))):
                files.append(os.path.join(folder, "%d.json" % i))
                with open(files[-1], "w") as f:
                    f.write(run(*bench, "--json").stdout)
            pictures = self.draw(*files)
        self.assertEqual(sorted(pictures), ["latency-throughput.svg", "roofline-cpu.svg", "stages.svg"])
        ns = "{http://www.w3.org/2000/svg}"
        count = lambda name, tag: len(list(pictures[name].iter(ns + tag)))
        self.assertEqual(count("roofline-cpu.svg", "circle"), 3 + 4)  # three rows, four in the legend
        self.assertEqual(count("latency-throughput.svg", "circle"), 2 * 2 + 1)
        self.assertGreaterEqual(count("stages.svg", "rect"), 3 * 2 + 5)

    def test_texts_are_escaped(self):
        row = {"bench": "latency", "model": "<a>&\"b\"", "workload": "\u00e9\u0001<", "batch_size": 1,
               "output_throughput": 5, "median_ttft_ms": 3, "median_tpot_ms": 2, "p99_ttft_ms": 4,
               "p99_tpot_ms": 3, "mean_prefill_ms": 3}
        kernels = {"machine": {"device": "../x:1 & <", "read_gbs": 10, "bf16_gflops": 5},
                   "results": [{"phase": "decode", "op": "<&>", "what": "", "flops": 3, "bytes": 2,
                                "median_ms": 1, "limit_ms": 1}]}
        with tempfile.TemporaryDirectory() as folder:
            for name, doc in ("a.json", row), ("b.json", kernels):
                with open(os.path.join(folder, name), "w") as f:
                    json.dump(doc, f)
            pictures = self.draw(*glob.glob(os.path.join(folder, "*.json")))
        self.assertEqual(sorted(pictures), ["latency-throughput.svg", "roofline-x1.svg", "stages.svg"])
        self.assertIn('<a>&"b"', " ".join(pictures["stages.svg"].itertext()))

    def test_odd_numbers_are_drawn_or_refused(self):
        for value in "0", "-1", "1e308", "NaN", "Infinity", "\"x\"", "1e-300":
            row = ('{"bench": "latency", "batch_size": %s, "output_throughput": %s, "median_ttft_ms": %s, '
                   '"median_tpot_ms": %s, "mean_prefill_ms": %s, "p99_ttft_ms": 1}\n' % ((value,) * 5))
            doc = ('{"machine": {"read_gbs": 1, "bf16_gflops": %s}, "results": [{"flops": %s, "bytes": 2, '
                   '"median_ms": 1}, {"flops": 5, "bytes": %s, "median_ms": %s}]}' % ((value,) * 4))
            for text in row, doc:
                with self.subTest(value), tempfile.TemporaryDirectory() as folder:
                    path = os.path.join(folder, "x.json")
                    with open(path, "w") as f:
                        f.write(text)
                    done = subprocess.run([PROGRAM, "bench", "plot", "--out", folder, path],
                                          capture_output=True, text=True, timeout=20)
                    self.assertIn(done.returncode, (0, 1), done.stderr)
                    for name in done.stdout.split("\n")[:-1]:
                        xml.etree.ElementTree.parse(name)

    def test_nothing_to_draw(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            f.write("{}")
            f.flush()
            run("plot", f.name, code=1)


class Compare(unittest.TestCase):
    """The exit code on one's own output, made better or worse on purpose."""

    def compare(self, factor, code, *bench):
        line, = lines(*[b for b in bench if b != "--json"])
        for key, value in line.items():
            if key.endswith("_ms"):
                line[key] = value * factor
            elif key.endswith("_throughput"):
                line[key] = value / factor
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "old.json")
            with open(path, "w") as f:
                json.dump(line, f)
            return run(*bench, "--compare", path, code=code)

    def test_latency(self):
        bench = ("latency", *SMALL, "--runs", "9")
        self.assertIn("better", self.compare(1000, 0, *bench).stdout)
        self.assertIn("WORSE", self.compare(1e-6, 1, *bench).stdout)

    def test_throughput(self):
        bench = ("throughput", *SMALL, "--num-prompts", "4", "--runs", "3")
        self.compare(1000, 0, *bench)
        self.assertIn("request_throughput", self.compare(1e-6, 1, *bench).stdout)

    def test_startup(self):
        bench = ("startup", "--device", "cpu", "--runs", "2", "--page-cache", "warm")
        self.compare(1000, 0, *bench)
        self.compare(1e-6, 1, *bench)

    def test_json_stays_alone_on_standard_output(self):
        done = self.compare(1e-6, 1, "latency", *SMALL, "--runs", "2", "--json")
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertIn("WORSE", done.stderr)

    def test_another_measurement_is_no_comparison(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "old.json")
            with open(path, "w") as f:
                json.dump({"bench": "latency", "device": "cuda", "median_ttft_ms": 1}, f)
            run("latency", *SMALL, "--runs", "1", "--compare", path, code=2)
            run("latency", *SMALL, "--runs", "1", "--compare", path + "x", code=1)


def has_client():
    done = subprocess.run([PROGRAM, "bench", "serve", "--help"], capture_output=True)
    return done.returncode == 0


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
