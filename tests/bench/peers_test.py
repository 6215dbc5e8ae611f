#!/usr/bin/env python3
"""The scripts around the benchmarks: peers that are not here are skipped with a reason, ours runs, and the
pages say what the results say. Standard library only.

peers_test.py PROGRAM [ARGUMENT OF unittest]...
"""
import ast
import glob
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import unittest

PROGRAM = None
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
for folder in "bench", "bench/examples", "bench/peers":
    sys.path.insert(0, os.path.join(ROOT, folder))
import ask  # noqa: E402
import medvision_cpu  # noqa: E402
import results  # noqa: E402
SERVER = os.path.join(ROOT, "bench/peers/server.sh")
PEERS = ("vllm vllm-encoder-graphs vllm-ngram vllm-suffix vllm-fp8 sglang sglang-ngram llama-cpp-cpu "
         "llama-cpp-cuda").split()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def members(name):
    """The names in a structure of the public header, in order."""
    with open(os.path.join(ROOT, "runtime/medvision.h"), encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    body = re.search(r"typedef struct %s {(.*?)\n} %s;" % (name, name), text, re.S).group(1)
    return [re.findall(r"\w+", re.sub(r"\(\*(\w+)\)\(.*", r"\1", part))[-1]
            for line in body.split(";") if line.strip() for part in line.split("," if "(" not in line else ";")]


class Structures(unittest.TestCase):
    """A member more in the header, and Python would write no_prefix_cache where another is read."""

    def test_python_has_those_of_the_header(self):
        for name, structure in (("mv_engine_options", medvision_cpu.EngineOptions), ("mv_request", ask.Request),
                                ("mv_model_options", ask.ModelOptions), ("mv_sampling", ask.Sampling)):
            with self.subTest(name):
                self.assertEqual([field[0] for field in structure._fields_], members(name))
        ours = [field[0] for field in ask.Result._fields_][:-1]
        self.assertEqual(ours, members("mv_result")[:len(ours)])


class Peers(unittest.TestCase):
    def run_server(self, *arguments, **more):
        environment = dict(os.environ, PROGRAM=PROGRAM, PYTHON="/nonexistent/python", PORT=free_port(), **more)
        return subprocess.run([SERVER, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True,
                              timeout=300)

    def test_absent_engines_are_skipped_with_a_reason(self):
        with tempfile.TemporaryDirectory() as tools:  # no engine, no driver in the path
            for name in "sh", "mkdir":
                os.symlink(subprocess.check_output(["which", name], text=True).strip(),
                           os.path.join(tools, name))
            for engine in PEERS:
                with self.subTest(engine):
                    done = self.run_server(engine, "weights/tiny", PATH=tools)
                    self.assertEqual(done.returncode, 77, done.stderr)
                    self.assertIn("skip: %s: " % engine, done.stderr)

    def test_unknown_engines_are_refused(self):
        self.assertEqual(self.run_server("nobody", "weights/tiny").returncode, 2)
        self.assertNotEqual(self.run_server().returncode, 0)

    def test_documented_engines_are_those_of_the_script(self):
        with open(os.path.join(ROOT, "bench/peers/README.md"), encoding="utf-8") as f:
            text = f.read()
        with open(SERVER, encoding="utf-8") as f:
            script = f.read()
        for engine in PEERS:
            self.assertIn("`%s`" % engine, text)
            self.assertIn("\n  %s) " % engine, script)

    def test_our_server_is_measured(self):
        if subprocess.run([PROGRAM, "bench", "serve", "--help"], capture_output=True).returncode:
            self.skipTest("built without libcurl")
        if subprocess.run([PROGRAM, "serve", "--help"], capture_output=True).returncode:
            self.skipTest("built without libmicrohttpd")
        machine = "test-%d" % os.getpid()
        path = os.path.join(ROOT, "bench/results/serve-%s.jsonl" % machine)
        try:
            done = self.run_server("medvision", "weights/tiny", "20", "inf", MACHINE=machine, PROMPTS="4",
                                   WORKLOAD="bench/workloads/short.jsonl", SERVER_OPTIONS="--device cpu")
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(path, encoding="utf-8") as f:
                lines = [json.loads(line) for line in f]
        finally:
            if os.path.exists(path):
                os.remove(path)
        self.assertEqual([(n["completed"], n["engine"], n["request_rate"]) for n in lines],
                         [(4, "medvision", 20), (4, "medvision", "inf")])

    def test_scripts_are_whole(self):
        for path in glob.glob(os.path.join(ROOT, "bench/**/*.py"), recursive=True):
            with open(path, encoding="utf-8") as f:
                ast.parse(f.read(), path)
        for path in glob.glob(os.path.join(ROOT, "bench/**/*.sh"), recursive=True):
            with open(path, encoding="utf-8") as f:
                shell = f.readline()[2:].split()[-1]
            subprocess.run([os.path.basename(shell), "-n", path], check=True)


class Pages(unittest.TestCase):
    def test_pages_say_what_the_results_say(self):
        done = subprocess.run([sys.executable, "-B", os.path.join(ROOT, "bench/results.py"), "--check"],
                              capture_output=True, text=True, cwd=ROOT)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_results_of_a_card_are_shown(self):
        folder = os.path.join(ROOT, "bench/results")
        with open(os.path.join(folder, "kernels-cpu.json"), encoding="utf-8") as f:
            kernels = json.load(f)
        with open(os.path.join(folder, "latency-cpu.jsonl"), encoding="utf-8") as f:
            lines = [json.loads(line) for line in f]
        with tempfile.TemporaryDirectory() as apart:
            path = os.path.join(apart, "gpu-some-card.json")
            with open(path, "w", encoding="utf-8") as f:
                json.dump({"when": "today", "card": "Some card", "parts": [], "kernels": kernels,
                           "latency-7b": lines, "failed": {"error": "no"}}, f)
            os.environ["PROGRAM"] = PROGRAM
            results.draw_all(apart)
            text = results.gpu_section(path)
        self.assertIn("## Some card", text)
        rows = sum((row["phase"], row["op"]) == ("decode", "attention") for row in kernels["results"])
        self.assertEqual(text.count("| decode | attention |"), rows)
        self.assertEqual(text.count("| medvision |"), len(lines))
        self.assertIn("results/plots-gpu-some-card/roofline-cpu.svg", text)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
