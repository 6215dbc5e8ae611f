#!/usr/bin/env python3
"""`medvision serve` from outside, with the standard library alone.

server_test.py PROGRAM [ARGUMENT OF unittest]...
"""
import argparse
import base64
import concurrent.futures
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PROGRAM = None
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PICTURE = os.path.join(ROOT, "tests/data/samples/phantom1.png")
LONG = "Count from one to a thousand."
QUESTIONS = ["Hello", "What is this?", "Tumour or cyst?", "Digits: 1 2 3", "déjà vu 🩻", LONG]


def data_url(path, kind="image/png"):
    with open(path, "rb") as f:
        return "data:%s;base64,%s" % (kind, base64.b64encode(f.read()).decode())


def readme():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        return f.read()


class Server:
    def __init__(self, *options):
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--port", "0", "--dtype", "fp32", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if "listening on" not in line:
            raise AssertionError("no server: %r %s" % (line, self.process.stderr.read()))
        self.port = int(line.rsplit(":", 1)[1].strip("/\n"))
        self.log = []
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()

    def read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def ask(self, method, path, body=None, headers=None, timeout=120):
        """(status, headers, bytes)"""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def post(self, path, body, **kw):
        status, _, data = self.ask("POST", path, body, **kw)
        return status, json.loads(data)

    def events(self, path, body):
        """The data of a stream's events."""
        status, headers, data = self.ask("POST", path, dict(body, stream=True))
        assert status == 200, (status, data)
        assert headers["Content-Type"].startswith("text/event-stream"), headers
        lines = [x[6:] for x in data.decode().split("\n\n") if x.startswith("data: ")]
        assert lines[-1] == "[DONE]", lines[-1:]
        return [json.loads(x) for x in lines[:-1]]

    def metric(self, name):
        text = self.ask("GET", "/metrics")[2].decode()
        return sum(float(x.rsplit(" ", 1)[1]) for x in text.splitlines()
                   if x.startswith(name + "{"))

    def stop(self, number=signal.SIGTERM, timeout=60):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout)
        self.reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


def chat(text, **more):
    return dict({"messages": [{"role": "user", "content": text}], "max_tokens": 24}, **more)


def offline(text, tokens=24, images=(), extra=()):
    done = subprocess.run(
        [PROGRAM, "generate", "--json", "--quiet", "--dtype", "fp32", "--max-new-tokens",
         str(tokens), "--prompt", text, *extra,
         *sum((["--image", i] for i in images), [])], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


class ServerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--max-queue", "1024", "--read-timeout", "20")

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        assert code == 0, (code, cls.server.log[-5:])

    def error(self, status, method, path, body=None, **kw):
        got, _, data = self.server.ask(method, path, body, **kw)
        self.assertEqual(got, status, data)
        e = json.loads(data)["error"]
        self.assertEqual(sorted(e), ["code", "message", "param", "type"])
        self.assertTrue(e["message"])
        return e

    # ---- the plain endpoints ----

    def test_plain_endpoints_answer(self):
        for path in ("/health", "/version", "/v1/models", "/openapi.json"):
            status, headers, data = self.server.ask("GET", path)
            self.assertEqual(status, 200)
            json.loads(data)
            self.assertTrue(headers["X-Request-Id"])
        for path in ("/", "/page.css", "/page.js", "/metrics"):
            self.assertEqual(self.server.ask("GET", path)[0], 200)
        self.assertEqual(self.server.ask("HEAD", "/health")[2], b"")

    def test_the_description_has_every_route(self):
        with open(os.path.join(ROOT, "tasks/server.c"), encoding="utf-8") as f:
            served = set(re.findall(r'{"(GET|POST)", "([^"]+)", mv_serve', f.read()))
        paths = json.loads(self.server.ask("GET", "/openapi.json")[2])["paths"]
        told = {(m.upper(), p) for p, methods in paths.items() for m in methods}
        self.assertEqual(told, served)
        for path, methods in paths.items():
            if "post" in methods:
                example = methods["post"]["requestBody"]["content"]["application/json"]["example"]
                self.assertEqual(self.server.post(path, example)[0], 200, path)

    def test_tokens_go_there_and_back(self):
        text = "Länge <|im_end|> 12"
        status, got = self.server.post("/tokenize", {"prompt": text})
        self.assertEqual(status, 200)
        self.assertEqual(got["count"], len(got["tokens"]))
        self.assertEqual(self.server.post("/detokenize", {"tokens": got["tokens"]})[1]["prompt"],
                         text)

    # ---- chat ----

    def test_chat_equals_generate(self):
        for text in QUESTIONS[:4]:
            want = offline(text)
            status, got = self.server.post("/v1/chat/completions", chat(text, model="any name"))
            self.assertEqual(status, 200, got)
            self.assertEqual(got["choices"][0]["message"]["content"], want["text"])
            self.assertEqual(got["choices"][0]["finish_reason"], want["finish_reason"])
            self.assertEqual(got["usage"]["prompt_tokens"], want["usage"]["prompt_tokens"])
            self.assertEqual(got["usage"]["completion_tokens"], len(want["token_ids"]))
            self.assertEqual(got["model"], "any name")
            self.assertGreater(got["timings"]["total_ms"], 0)

    def test_pictures_in_both_orders_equal_generate(self):
        part = {"type": "image_url", "image_url": {"url": data_url(PICTURE)}}
        text = {"type": "text", "text": "Where is the tumor?"}
        for order, parts in (("first", [part, text]), ("last", [text, part])):
            want = offline("Where is the tumor?", images=[PICTURE],
                           extra=["--image-order", order, "--system", "Be brief."])
            status, got = self.server.post("/v1/chat/completions", {
                "messages": [{"role": "system", "content": "Be brief."},
                             {"role": "user", "content": parts}], "max_completion_tokens": 24})
            self.assertEqual(status, 200, got)
            self.assertEqual(got["choices"][0]["message"]["content"], want["text"])
            self.assertEqual(got["usage"]["prompt_tokens"], want["usage"]["prompt_tokens"])
            self.assertEqual(got["usage"]["prompt_tokens_details"]["image_tokens"],
                             want["usage"]["image_tokens"])

    def test_conversations_of_many_turns_and_pictures(self):
        part = {"type": "image_url", "image_url": {"url": data_url(PICTURE)}}
        status, got = self.server.post("/v1/chat/completions", {"max_tokens": 4, "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [part, {"type": "text", "text": "One"}, part]},
            {"role": "assistant", "content": "Two"}, {"role": "user", "content": "Three"}]})
        self.assertEqual(status, 200, got)
        self.assertGreater(got["usage"]["prompt_tokens_details"]["image_tokens"], 0)

    def test_stream_equals_whole(self):
        for text in QUESTIONS:
            whole = self.server.post("/v1/chat/completions", chat(text))[1]
            events = self.server.events("/v1/chat/completions",
                                        chat(text, stream_options={"include_usage": True}))
            self.assertEqual(events[0]["choices"][0]["delta"]["role"], "assistant")
            joined = "".join(e["choices"][0]["delta"].get("content", "")
                             for e in events if e["choices"])
            self.assertEqual(joined, whole["choices"][0]["message"]["content"])
            self.assertEqual(events[-2]["choices"][0]["finish_reason"],
                             whole["choices"][0]["finish_reason"])
            for key in ("prompt_tokens", "completion_tokens", "total_tokens"):
                self.assertEqual(events[-1]["usage"][key], whole["usage"][key])

    def test_n_answers_of_a_seed_are_those_of_each_seed(self):
        body = chat("Hello", temperature=1.5, seed=7)
        many = self.server.post("/v1/chat/completions", dict(body, n=3))[1]["choices"]
        self.assertEqual([c["index"] for c in many], [0, 1, 2])
        for i, c in enumerate(many):
            one = self.server.post("/v1/chat/completions", dict(body, seed=7 + i))[1]
            self.assertEqual(one["choices"][0]["message"]["content"], c["message"]["content"])
        self.assertGreater(len({c["message"]["content"] for c in many}), 1)

    def test_stop_texts_end_the_answer_before_them(self):
        whole = self.server.post("/v1/chat/completions", chat("Hello"))[1]
        text = whole["choices"][0]["message"]["content"]
        got = self.server.post("/v1/chat/completions", chat("Hello", stop=[text[4:7]]))[1]
        self.assertEqual(got["choices"][0]["message"]["content"], text[:text.index(text[4:7])])
        self.assertEqual(got["choices"][0]["finish_reason"], "stop")

    def test_logprobs_equal_those_of_generate(self):
        want = offline("Hello", 8, extra=["--logprobs", "3"])["logprobs"]
        body = chat("Hello", max_tokens=8, logprobs=True, top_logprobs=3)
        got = self.server.post("/v1/chat/completions", body)[1]["choices"][0]
        entries = got["logprobs"]["content"]
        self.assertEqual("".join(e["token"] for e in entries), got["message"]["content"])
        for e, w in zip(entries, want):
            self.assertEqual(e["logprob"], w["logprob"])
            self.assertEqual([t["logprob"] for t in e["top_logprobs"]],
                             [t["logprob"] for t in w["top"]])
        self.assertEqual(self.streamed_logprobs(body), entries)

    def streamed_logprobs(self, body):
        """Of all chunks, each holding the tokens that its text came from."""
        entries = []
        for e in self.server.events("/v1/chat/completions", body):
            c = e["choices"][0]
            content = (c["logprobs"] or {"content": []})["content"]
            text = c["delta"].get("content", "")
            self.assertTrue(content or not text)
            if text and "\ufffd" not in text:
                said = b"".join(bytes(x["bytes"]) for x in content).decode(errors="replace")
                self.assertIn(text, re.sub(r"<\|\w+\|>", "", said))  # special ones are no text
            entries += content
        return entries

    def test_streamed_logprobs_are_those_of_the_whole(self):
        for more in ({}, {"stop": ["e", "quite another"]}, {"temperature": 3, "seed": 5},
                     {"temperature": 3, "seed": 6, "ignore_eos": True}):
            body = chat(LONG, logprobs=True, top_logprobs=2, **dict(more, max_tokens=60))
            whole = self.server.post("/v1/chat/completions", body)[1]["choices"][0]
            self.assertEqual(self.streamed_logprobs(body), whole["logprobs"]["content"])
        body = {"prompt": "Hello", "max_tokens": 20, "logprobs": 2, "temperature": 2, "seed": 1}
        whole = self.server.post("/v1/completions", body)[1]["choices"][0]["logprobs"]
        parts = [e["choices"][0]["logprobs"] for e in self.server.events("/v1/completions", body)]
        for key in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
            self.assertEqual(sum((p[key] for p in parts if p), []), whole[key])

    def test_every_token_after_the_first_has_a_latency(self):
        name = "vllm:inter_token_latency_seconds_count"
        before = self.server.metric(name)
        body = chat("Hello", max_tokens=40, ignore_eos=True, logprobs=True)
        n = len(self.streamed_logprobs(body))
        self.assertEqual(n, 40)
        told = self.server.metric(name) - before
        self.assertGreaterEqual(told, n - 5)  # those of the first and of the last texts
        self.assertLess(told, n)

    def test_completions_take_raw_text(self):
        status, got = self.server.post("/v1/completions", {
            "prompt": ["Hello", "World"], "max_tokens": 6, "logprobs": 2, "n": 2})
        self.assertEqual(status, 200, got)
        self.assertEqual([c["index"] for c in got["choices"]], [0, 1, 2, 3])
        self.assertEqual(len(got["choices"][0]["logprobs"]["tokens"]), 6)
        events = self.server.events("/v1/completions", {"prompt": "Hello", "max_tokens": 6})
        self.assertEqual("".join(e["choices"][0]["text"] for e in events),
                         got["choices"][0]["text"])

    def test_special_tokens_in_text_are_characters(self):
        plain = self.server.post("/v1/chat/completions", chat("a"))[1]
        marks = "<|im_end|><|image_pad|>"
        got = self.server.post("/v1/chat/completions", chat("a" + marks))[1]
        self.assertGreaterEqual(got["usage"]["prompt_tokens"],
                                plain["usage"]["prompt_tokens"] + 10)

    # ---- measuring ----

    def measure_offline(self, *arguments):
        done = subprocess.run([PROGRAM, *arguments, "--json", "--quiet", "--dtype", "fp32"],
                              capture_output=True, text=True)
        return json.loads(done.stdout)

    def test_measure_equals_the_commands(self):
        for body, command in (
                ({"task": "size", "label": "tumor", "pixel_size": [1.0, 1.0]},
                 ["size", PICTURE, "--label", "tumor", "--pixel-size", "1"]),
                ({"task": "detect", "label": "spleen"}, ["detect", PICTURE, "--label", "spleen"]),
                ({"task": "distance", "landmarks": ["dot marker", "square marker"],
                  "pixel_size": [0.5, 0.5]},
                 ["distance", PICTURE, "--points", "dot marker;square marker", "--pixel-size",
                  "0.5"]),
                ({"task": "angle", "line1": ["dot marker", "square marker"],
                  "line2": ["dot marker", "triangle marker"], "pixel_size": [0.5, 0.7]},
                 ["angle", PICTURE, "--line1", "dot marker;square marker", "--line2",
                  "dot marker;triangle marker", "--pixel-size", "0.5x0.7"])):
            want = self.measure_offline(*command)
            body["image"] = data_url(PICTURE)
            status, got = self.server.post("/v1/measure", body)
            self.assertEqual(status, 200, got)
            for key in ("values", "recomputed", "landmarks", "response", "parsed", "answer"):
                self.assertEqual(got[key], want[key], key)
            events = self.server.events("/v1/measure", body)
            self.assertEqual("".join(e["delta"] for e in events[:-1]), got["response"])
            self.assertEqual(events[-1]["values"], got["values"])

    def test_measure_needs_what_the_task_needs(self):
        url = data_url(PICTURE)
        for body in ({"task": "size", "label": "tumor", "image": url}, {"task": "size"},
                     {"task": "cook", "image": url}, {"image": url},
                     {"task": "detect", "label": "x", "image": "/etc/passwd"},
                     {"task": "detect", "label": "x", "image": "file:///etc/passwd"},
                     {"task": "detect", "label": "x", "image": "http://localhost/a.png"},
                     {"task": "detect", "label": "x", "image": "data:image/png;base64,!!"},
                     {"task": "detect", "label": "x", "image": "data:image/png;base64,AAAA"}):
            e = self.error(400, "POST", "/v1/measure", body)
            self.assertNotIn("/dev/shm", e["message"])

    def test_previews_show_pictures(self):
        status, got = self.server.post("/v1/preview", {"image": data_url(PICTURE)})
        self.assertEqual(status, 200)
        self.assertTrue(base64.b64decode(got["png"].split(",")[1]).startswith(b"\x89PNG"))
        self.assertIsNone(got["pixel_size"])

    def test_dicom_brings_its_pixel_size(self):
        path = os.path.join(ROOT, "tests/data/dicom/xray.dcm")
        status, got = self.server.post("/v1/preview", {"image": data_url(path)})
        if status == 400 and "DICOM" in got["error"]["message"]:
            self.skipTest("no DICOM in this build")
        self.assertEqual(status, 200, got)
        self.assertEqual(len(got["pixel_size"]), 2)

    def test_readme_s_commands_work(self):
        lines = [x for x in readme().replace("\\\n", "").splitlines() if "curl http" in x]
        self.assertEqual(len(lines), 2)
        if not shutil.which("curl"):
            self.skipTest("no curl")
        for line in lines:
            line = line.replace(":8000", ":%d" % self.server.port).replace("ct.png", PICTURE)
            done = subprocess.run(["sh", "-c", line.replace("curl ", "curl -sS ")],
                                  capture_output=True, text=True)
            got = json.loads(done.stdout)
            self.assertTrue(got.get("choices") or got.get("values"), (line, got))

    def test_errors_have_openai_s_form(self):
        self.error(404, "GET", "/v1/none")
        self.error(405, "GET", "/v1/chat/completions")
        self.error(405, "DELETE", "/health")
        self.error(400, "POST", "/v1/chat/completions", "{")
        self.error(400, "POST", "/v1/chat/completions", "[]")
        self.error(400, "POST", "/v1/chat/completions", "[" * 100000)
        self.error(400, "POST", "/v1/chat/completions", "[" + "1," * 2000000 + "1]")
        self.error(400, "POST", "/v1/chat/completions", "")
        e = self.error(400, "POST", "/v1/chat/completions", chat("a", temperature="hot"))
        self.assertEqual(e["param"], "temperature")
        for wrong in ({"max_tokens": 0}, {"max_tokens": 10 ** 9}, {"n": 0}, {"n": 99},
                      {"top_p": 0}, {"top_p": 2}, {"stop": [""]}, {"stop": ["a"] * 17},
                      {"stream": 1}, {"stream_options": {}}, {"top_logprobs": 2},
                      {"logprobs": True, "top_logprobs": 21}, {"tools": [{"a": 1}]},
                      {"response_format": {"type": "json_object"}}, {"presence_penalty": 1},
                      {"messages": []}, {"messages": [{"role": "tool", "content": "a"}]},
                      {"messages": [{"role": "user"}]}, {"messages": [3]},
                      {"messages": [{"role": "user", "content": [{"type": "audio"}]}]},
                      {"seed": 1.5}, {"model": 3}, {"repetition_penalty": 0}):
            self.error(400, "POST", "/v1/chat/completions", chat("a", **wrong))
        self.error(400, "POST", "/v1/chat/completions", chat("word " * 20000))
        self.error(400, "POST", "/detokenize", {"tokens": [-1]})
        self.error(400, "POST", "/v1/completions", {"prompt": [1, 2]})
        self.error(403, "GET", "/health", headers={"Origin": "http://evil.example"})
        self.error(403, "GET", "/health", headers={"Host": "evil.example"})

    def test_body_that_is_too_long_is_not_read(self):
        c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        c.putrequest("POST", "/tokenize")
        c.putheader("Content-Length", str(10 ** 12))
        c.endheaders()
        self.assertEqual(c.getresponse().status, 413)
        c.close()

    def test_disconnect_frees_the_request(self):
        before = self.server.metric("vllm:num_requests_running")
        self.assertEqual(before, 0)
        for stream in (True, False):
            s = socket.create_connection(("127.0.0.1", self.server.port))
            body = json.dumps(chat(LONG, max_tokens=4000, ignore_eos=True, stream=stream)).encode()
            s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                      b"Content-Length: %d\r\n\r\n" % len(body) + body)
            deadline = time.time() + 30
            while not self.server.metric("vllm:num_requests_running"):
                self.assertLess(time.time(), deadline)
            ended = self.server.metric("vllm:request_success_total")
            s.close()
            start = time.time()
            while self.server.metric("vllm:num_requests_running"):
                self.assertLess(time.time() - start, 5, "it computes for nobody")
            lines = self.server.ask("GET", "/metrics")[2].decode().splitlines()
            aborted = [x for x in lines if 'finished_reason="abort"' in x]
            self.assertGreater(float(aborted[0].split()[-1]), 0)
            self.assertGreater(self.server.metric("vllm:request_success_total"), ended)
            print("freed %.0f ms after the disconnect (stream: %s)" %
                  ((time.time() - start) * 1e3, stream))

    def test_log_holds_nothing_of_the_requests(self):
        self.server.post("/v1/chat/completions", chat("Mrs Jones has a mass"))
        self.server.ask("GET", "/v1/Jones?name=Jones")
        self.server.post("/v1/measure", {"task": "detect", "label": "Jones", "max_tokens": 2,
                                         "description": "Jones", "image": data_url(PICTURE)})
        self.server.post("/v1/measure", {"task": "Jones", "image": "/home/Jones.png"})
        name = self.server.ask("GET", "/health", headers={"User-Agent": "Jones"})[1]["X-Request-Id"]
        time.sleep(0.2)
        log = "".join(self.server.log)
        self.assertNotIn("Jones", log)
        lines = [json.loads(x) for x in self.server.log if x.startswith("{")]
        self.assertTrue(any(x["path"] == "/v1/chat/completions" and x["status"] == 200
                            for x in lines))
        self.assertEqual([x["path"] for x in lines if x["id"] == name], ["/health"])

    def test_concurrent_answers_are_the_offline_ones(self):
        want = {t: offline(t)["text"] for t in QUESTIONS}

        def one(i):
            text = QUESTIONS[i % len(QUESTIONS)]
            if i % 2:
                got = self.server.post("/v1/chat/completions", chat(text))[1]
                return text, got["choices"][0]["message"]["content"]
            events = self.server.events("/v1/chat/completions", chat(text))
            return text, "".join(e["choices"][0]["delta"].get("content", "") for e in events)

        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            for text, got in pool.map(one, range(96)):
                self.assertEqual(got, want[text])


class ReadmeTest(unittest.TestCase):
    def block(self, beginning):
        return next(b for b in readme().split("```\n") if b.startswith(beginning))

    def options_of(self, command):
        """Whether a command line is one that the program takes, up to the model and key it names."""
        words = [w for w in shlex.split(command)]
        known = subprocess.run([PROGRAM, "help", "serve"], capture_output=True, text=True).stdout
        self.assertEqual(words[1], "serve")
        for word in words:
            if word.startswith("--"):
                self.assertIn(word + " ", known)

    def test_the_systemd_unit_is_one(self):
        unit = self.block("[Service]")
        lines = dict(x.split("=", 1) for x in unit.splitlines() if "=" in x)
        self.options_of(lines["ExecStart"])
        if not shutil.which("systemd-analyze"):
            self.skipTest("no systemd")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "medvision.service")
            with open(path, "w", encoding="utf-8") as f:
                f.write(unit.replace("/usr/local/bin/medvision", os.path.abspath(PROGRAM)))
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", path],
                                  capture_output=True, text=True)
            if "Failed to" in done.stderr and "manager" in done.stderr:
                self.skipTest("systemd-analyze does not run here: " + done.stderr.strip())
            self.assertNotIn("medvision.service", done.stderr)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_dockerfile_builds_what_it_runs(self):
        lines = self.block("FROM").replace("\\\n", " ").strip().splitlines()
        words = [x.split() for x in lines]
        self.assertEqual([w[0] for w in words], ["FROM", "RUN", "COPY", "RUN", "FROM", "RUN", "COPY",
                                                 "USER", "EXPOSE", "ENTRYPOINT"])
        with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as f:
            targets = [x.split(":")[0] for x in f if ":" in x and not x.startswith("\t")]
        for target in re.findall(r"make (\w+)", lines[3]):
            self.assertIn(target, targets)
        self.options_of(shlex.join(json.loads(lines[-1].split(" ", 1)[1])))
        if not shutil.which("apt-cache") or not shutil.which("ldd"):
            self.skipTest("no apt")
        with open("/etc/debian_version", encoding="ascii") as f:
            if f.read().split(".")[0] != words[0][1].split(":")[1].split("-")[0]:
                self.skipTest("another release of Debian")
        packages = [w for w in lines[5].split("install -y")[1].split()]
        given = subprocess.run(["apt-cache", "depends", "--recurse", "--important", *packages],
                               capture_output=True, text=True).stdout
        linked = subprocess.run(["ldd", PROGRAM], capture_output=True, text=True).stdout
        for path in re.findall(r"=> (/\S+)", linked):
            path = os.path.realpath(path)
            owner = ""
            for name in (path, path[4:] if path.startswith("/usr/") else "/usr" + path):
                owner = owner or subprocess.run(["dpkg", "-S", name], capture_output=True,
                                                text=True).stdout.split(":")[0]
            if owner and "san" not in os.path.basename(path):
                self.assertIn("\n%s\n" % owner, "\n" + given, path)


class OptionsTest(unittest.TestCase):
    def test_key_is_asked_for(self):
        server = Server("--api-key", "s3cret")
        try:
            for headers, status in (({}, 401), ({"Authorization": "Bearer wrong"}, 401),
                                    ({"Authorization": "Bearer s3cret1"}, 401),
                                    ({"Authorization": "Bearer "}, 401),
                                    ({"Authorization": "Bearer s3cret"}, 200)):
                self.assertEqual(server.ask("GET", "/v1/models", headers=headers)[0], status)
            self.assertEqual(server.ask("GET", "/health")[0], 200)
        finally:
            self.assertEqual(server.stop(), 0)

    def test_full_queue_is_429(self):
        server = Server("--max-batch", "1", "--max-queue", "1")
        try:
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                body = chat(LONG, max_tokens=2000, ignore_eos=True)
                got = list(pool.map(lambda _: server.ask("POST", "/v1/chat/completions", body),
                                    range(8)))
            codes = sorted(g[0] for g in got)
            self.assertEqual(set(codes), {200, 429})
            busy = next(g for g in got if g[0] == 429)
            self.assertTrue(busy[1]["Retry-After"])
        finally:
            self.assertEqual(server.stop(), 0)

    def test_slow_clients_are_cut_off(self):
        server = Server("--read-timeout", "1")
        try:
            start = time.time()
            s = socket.create_connection(("127.0.0.1", server.port))
            s.settimeout(15)
            try:
                for c in "GET /health HTTP/1.1\r\nA: " + "a" * 100:
                    s.sendall(c.encode())
                    time.sleep(0.1)
                self.assertEqual(s.recv(10), b"")
            except (ConnectionError, BrokenPipeError):
                pass
            self.assertLess(time.time() - start, 8)
            s.close()
            self.assertEqual(server.ask("GET", "/health")[0], 200)
        finally:
            self.assertEqual(server.stop(), 0)

    def test_clients_that_do_not_read_are_cut_off(self):
        server = Server("--read-timeout", "1", "--max-new-tokens", "8000")
        try:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", server.port))
            body = json.dumps(chat(LONG, max_tokens=8000, ignore_eos=True, stream=True,
                                   logprobs=True, top_logprobs=20)).encode()
            s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                      b"Content-Length: %d\r\n\r\n" % len(body) + body)
            deadline = time.time() + 60
            while not any('"completed":false' in x for x in server.log):
                self.assertLess(time.time(), deadline, "it waits for ever")
                time.sleep(0.05)
            self.assertEqual(server.metric("vllm:num_requests_running"), 0)
            s.close()
        finally:
            self.assertEqual(server.stop(), 0)

    def test_time_limit_returns_what_there_is(self):
        server = Server("--request-timeout", "1", "--max-new-tokens", "8000")
        try:
            status, got = server.post("/v1/chat/completions",
                                      chat(LONG, max_tokens=8000, ignore_eos=True))
            self.assertEqual(status, 200, got)
            self.assertIn(got["choices"][0]["finish_reason"], ("abort", "length"))
            self.assertTrue(got["choices"][0]["message"]["content"])
        finally:
            self.assertEqual(server.stop(), 0)

    def test_sigterm_lets_requests_finish(self):
        server = Server("--grace", "60")
        want = offline(LONG, 400, extra=["--ignore-eos"])["text"]
        body = chat(LONG, max_tokens=400, ignore_eos=True)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            whole = pool.submit(server.post, "/v1/chat/completions", body)
            stream = pool.submit(server.events, "/v1/chat/completions", body)
            while server.metric("vllm:num_requests_running") < 2 and not stream.done():
                pass
            code = server.stop()
            status, got = whole.result()
            said = "".join(e["choices"][0]["delta"].get("content", "") for e in stream.result())
        self.assertEqual(code, 0)
        self.assertEqual(status, 200)
        self.assertEqual(got["choices"][0]["message"]["content"], want)
        self.assertEqual(said, want)

    def test_files_are_read_only_below_the_folders_allowed(self):
        folder = os.path.dirname(PICTURE)
        server = Server("--allow-files", folder)
        try:
            body = {"task": "detect", "label": "spleen", "image": PICTURE}
            self.assertEqual(server.post("/v1/measure", body)[0], 200)
            body["image"] = "file://" + PICTURE
            self.assertEqual(server.post("/v1/measure", body)[0], 200)
            for path in (folder + "/../vision/png_1x1.png", "/etc/passwd", folder, "/nowhere",
                         folder + "/phantom1.png\0.png"):
                body["image"] = path
                self.assertEqual(server.post("/v1/measure", body)[0], 400)
        finally:
            self.assertEqual(server.stop(), 0)


def main():
    global PROGRAM
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    args, rest = parser.parse_known_args()
    PROGRAM = args.program
    help_text = subprocess.run([PROGRAM, "serve", "--host", "nowhere"], capture_output=True,
                               text=True)
    if "no server" in help_text.stderr:
        print("skip: this build has no server (libmicrohttpd)")
        return 77
    unittest.main(argv=[sys.argv[0]] + rest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
