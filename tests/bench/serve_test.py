#!/usr/bin/env python3
"""`medvision bench serve` against a server with known delays, which keeps its own times: both clocks are
the machine's monotonic one, so that what the client says is held against when bytes were really sent.

serve_test.py PROGRAM [ARGUMENT OF unittest]...
"""
import base64
import http.server
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PROGRAM = None
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TEMPLATE = 20  # tokens of a prompt beside its digits
PICTURE = 324


class Stub(http.server.ThreadingHTTPServer):
    """Streams answers: `ttft` seconds to the first text, `itl` between texts, as many as were asked."""
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, ttft=0.03, itl=0.004, port=0, **behaviour):
        super().__init__(("127.0.0.1", port), Handler)
        self.ttft, self.itl, self.behaviour = ttft, itl, behaviour
        self.lock, self.records, self.n_running, self.most_running = threading.Lock(), [], 0, 0
        self.url = "http://127.0.0.1:%d" % self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *what):
        pass  # a client that went away

    def __exit__(self, *what):
        self.shutdown()
        self.server_close()

    def measured(self):
        """The records without those sent to find lengths and to warm up."""
        return [r for r in self.records if r["measured"]]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 0

    def log_message(self, *what):
        pass

    def parse_request(self):
        self.came = time.monotonic()  # the first line is here; the headers take a while to read
        return super().parse_request()

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.reply(200, {"data": [{"id": "stub-7b"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        s = self.server
        text, n_picture = prompt_of(body)
        record = {"came": self.came, "sent": [], "body": body, "headers": dict(self.headers),
                  "measured": body["max_tokens"] > 1}
        with s.lock:
            n = sum(r["measured"] for r in s.records)
            s.records.append(record)
            s.n_running += 1
            s.most_running = max(s.most_running, s.n_running)
        if s.behaviour.get("status") and record["measured"]:
            self.reply(s.behaviour["status"], {"error": {"message": "out of slots"}})
        else:
            self.stream(record, body, n, text, n_picture)
        with s.lock:
            s.n_running -= 1

    def stream(self, record, body, n, text, n_picture):
        s, chat = self.server, "messages" in body
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if chat:
            self.event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
        slow = s.behaviour.get("slow_every")
        time.sleep(s.behaviour["slow"] if slow and n % slow == 0 else s.ttft)
        for i in range(body["max_tokens"]):
            if i:
                time.sleep(s.itl)
            if s.behaviour.get("breaks") and i == 2:
                self.close_connection = True
                return self.wfile.write(b"12\r\ndata: {\"choi")
            if s.behaviour.get("error") and i == 1:
                self.event({"error": {"message": "device lost"}})
            delta = {"delta": {"content": "x"}} if chat else {"text": "x"}
            self.event({"choices": [delta]}, record["sent"])
        if not s.behaviour.get("no_usage"):
            tokens = len(text) + TEMPLATE + PICTURE * n_picture
            self.event({"choices": [], "usage": {"prompt_tokens": tokens,
                                                 "completion_tokens": body["max_tokens"]}})
        self.chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def event(self, event, times=None):
        data = b"data: " + json.dumps(event).encode() + b"\n\n"
        data = b"%x\r\n%s\r\n" % (len(data), data)
        if times is not None:
            times.append(time.monotonic())
        self.wfile.write(data)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def prompt_of(body):
    """(all text, number of pictures)"""
    if "prompt" in body:
        return body["prompt"], 0
    text, n = "", 0
    for message in body["messages"]:
        parts = message["content"]
        for part in parts if isinstance(parts, list) else [{"type": "text", "text": parts}]:
            text += part.get("text", "")
            n += part["type"] == "image_url"
    return text, n


def serve(stub, *arguments, code=0):
    done = subprocess.run([PROGRAM, "bench", "serve", "--base-url", stub.url, "--json", *arguments],
                          capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == code, (done.returncode, done.stdout[-500:], done.stderr)
    return json.loads(done.stdout) if done.stdout else {}, done.stderr


def median_ms(values):
    return 1e3 * statistics.median(values)


class Times(unittest.TestCase):
    def measure(self, *arguments):
        """(line, records, the largest difference of a median in ms)"""
        with Stub() as stub:
            line, _ = serve(stub, "--num-prompts", "60", "--request-rate", "12", "--input-len", "60",
                            "--output-len", "12", *arguments)
            records = stub.measured()
        self.assertEqual(len(records), 60)
        sent = [r["sent"] for r in records]
        want = {"ttft": [r["sent"][0] - r["came"] for r in records],
                "e2el": [r["sent"][-1] - r["came"] for r in records],
                "itl": [b - a for s in sent for a, b in zip(s, s[1:])],
                "tpot": [(s[-1] - s[0]) / 11 for s in sent]}
        errors = {n: line["median_%s_ms" % n] - median_ms(values) for n, values in want.items()}
        print("client minus server, ms:", {n: round(e, 3) for n, e in errors.items()})
        return line, records, max(map(abs, errors.values()))

    def check(self, *arguments):
        """Up to three times: a machine busy with something else delays either side."""
        for _ in range(3):
            line, records, error = self.measure(*arguments)
            if error < 1:
                return line, records
        self.fail("the client is %.3f ms off" % error)

    def test_chat_is_timed_within_a_millisecond(self):
        line, _ = self.check()
        self.assertEqual((line["completed"], line["failed"]), (60, 0))
        self.assertEqual((line["total_input_tokens"], line["total_output_tokens"]), (3600, 720))
        self.assertEqual((line["model"], line["bench"]), ("stub-7b", "serve"))
        self.assertAlmostEqual(line["output_throughput"] * line["duration"], 720, 3)
        self.assertAlmostEqual(line["total_token_throughput"] * line["duration"], 4320, 3)

    def test_fields_are_vllms(self):
        with Stub(ttft=0, itl=0) as stub:
            line, _ = serve(stub, "--num-prompts", "3", "--output-len", "3", "--goodput", "e2el:9000")
        names = ("date num_prompts request_rate burstiness max_concurrency duration completed failed "
                 "total_input_tokens total_output_tokens request_throughput request_goodput output_throughput "
                 "total_token_throughput max_concurrent_requests").split()
        names += ["%s_%s_ms" % (s, n) for n in ("ttft", "tpot", "itl", "e2el")
                  for s in ("mean", "median", "std", "p90", "p99", "p99.9")]
        self.assertEqual([n for n in names if n not in line], [])
        self.assertEqual(line["request_rate"], "inf")

    def test_completions_are_timed_within_a_millisecond(self):
        line, records = self.check("--endpoint", "/v1/completions", "--burstiness", "inf")
        came = sorted(r["came"] for r in records)
        gaps = [b - a for a, b in zip(came, came[1:])]
        self.assertAlmostEqual(median_ms(gaps), 1000 / 12, delta=1)
        self.assertAlmostEqual(came[-1] - came[0], 59 / 12, delta=0.05)
        self.assertLess(line["median_wait_ms"], 1)

    def test_the_rate_is_the_clients_not_the_servers(self):
        with Stub(ttft=0.5) as stub:  # an open loop goes on sending
            line, _ = serve(stub, "--num-prompts", "40", "--request-rate", "100", "--output-len", "2")
            came = [r["came"] for r in stub.measured()]
        self.assertLess(max(came) - min(came), 2)
        self.assertGreater(line["max_concurrent_requests"], 10)

    def test_concurrency_is_limited(self):
        with Stub() as stub:
            line, _ = serve(stub, "--num-prompts", "20", "--max-concurrency", "3", "--output-len", "3")
        self.assertEqual(line["max_concurrent_requests"], 3)
        self.assertLessEqual(stub.most_running, 3)
        self.assertGreater(line["p99_wait_ms"], 60)  # the last waited for the others

    def test_goodput_counts_what_is_within_the_limits(self):
        with Stub(slow_every=4, slow=0.6) as stub:
            line, _ = serve(stub, "--num-prompts", "20", "--output-len", "3", "--request-rate", "20",
                            "--goodput", "ttft:400,tpot:300")
        self.assertAlmostEqual(line["request_goodput"] * line["duration"], 15, 3)


class Requests(unittest.TestCase):
    def bodies(self, *arguments, kinds=None):
        with tempfile.TemporaryDirectory() as folder:
            if kinds:
                path = os.path.join(folder, "w.jsonl")
                with open(path, "w") as f:
                    f.write("\n".join(map(json.dumps, kinds)))
                arguments += ("--workload", path)
            with Stub(ttft=0, itl=0) as stub:
                line, _ = serve(stub, *arguments)
                return line, sorted(stub.measured(), key=lambda r: r["came"])

    def test_chat_with_pictures(self):
        kinds = [{"name": "a", "input_len": 450, "output_len": 3, "image": 504, "share": 2,
                  "system_len": 30},
                 {"name": "b", "input_len": 420, "output_len": 2, "image": 56, "text_first": True,
                  "shared_len": 20}]
        line, records = self.bodies("--num-prompts", "6", "--max-concurrency", "1", kinds=kinds)
        self.assertEqual(line["total_input_tokens"], 4 * 450 + 2 * 420)
        urls, texts = [], []
        for i, r in enumerate(records):
            body, first = r["body"], i % 3 < 2  # two of the first kind, one of the second
            self.assertEqual(body["max_tokens"], 3 if first else 2)
            self.assertEqual((body["stream"], body["temperature"], body["ignore_eos"]), (True, 0, True))
            self.assertEqual(body["stream_options"], {"include_usage": True})
            self.assertEqual(body["model"], "stub-7b")
            self.assertEqual([m["role"] for m in body["messages"]],
                             ["system", "user"] if first else ["user"])
            parts = body["messages"][-1]["content"]
            self.assertEqual([p["type"] for p in parts],
                             ["image_url", "text"] if first else ["text", "image_url"])
            url = next(p["image_url"]["url"] for p in parts if p["type"] == "image_url")
            self.assertTrue(url.startswith("data:image/png;base64,"))
            png = base64.b64decode(url.split(",")[1])
            self.assertEqual(struct.unpack(">II", png[16:24]), (504, 504) if first else (56, 56))
            urls.append(url)
            texts.append(next(p["text"] for p in parts if p["type"] == "text"))
        self.assertEqual(urls[0], urls[1])
        self.assertEqual(len(set(urls)), 4)
        self.assertEqual(len(set(texts)), 6)
        self.assertEqual(texts[2][:20], texts[5][:20])

    def test_options_reach_the_server(self):
        with tempfile.NamedTemporaryFile("w") as key:
            key.write("secret\n")
            key.flush()
            line, records = self.bodies("--num-prompts", "2", "--model", "mine", "--api-key-file", key.name,
                                        "--no-ignore-eos", "--label", "vllm", "--input-len", "50")
        self.assertEqual(records[0]["headers"]["Authorization"], "Bearer secret")
        self.assertNotIn("ignore_eos", records[0]["body"])
        self.assertEqual((records[0]["body"]["model"], line["engine"]), ("mine", "vllm"))

    def test_warm_up_is_not_counted(self):
        with Stub(ttft=0, itl=0) as stub:
            line, _ = serve(stub, "--num-prompts", "2", "--warmup", "3", "--input-len", "50")
        self.assertEqual((len(stub.records), line["completed"]), (1 + 3 + 2, 2))


class Failures(unittest.TestCase):
    def test_refusals_are_counted_and_told(self):
        with Stub(status=503) as stub:
            line, error = serve(stub, "--num-prompts", "3", "--input-len", "50", code=1)
        self.assertEqual((line["completed"], line["failed"]), (0, 3))
        self.assertEqual(line["first_error"], "HTTP 503: out of slots")
        self.assertIn("3 of 3 requests failed: HTTP 503: out of slots", error)

    def test_errors_within_a_stream(self):
        with Stub(ttft=0, error=True) as stub:
            line, _ = serve(stub, "--num-prompts", "2", "--output-len", "5", code=1)
        self.assertEqual((line["failed"], line["first_error"]), (2, "device lost"))

    def test_a_stream_that_breaks_off(self):
        with Stub(ttft=0, breaks=True) as stub:
            line, _ = serve(stub, "--num-prompts", "2", "--output-len", "5", code=1)
        self.assertEqual(line["failed"], 2)

    def test_tokens_are_chunks_where_the_server_does_not_count(self):
        with Stub(ttft=0, itl=0, no_usage=True) as stub:
            line, _ = serve(stub, "--num-prompts", "2", "--output-len", "5", "--input-len", "30")
        self.assertEqual((line["output_tokens_from"], line["total_output_tokens"]), ("chunks", 10))

    def test_time_limits(self):
        with Stub(ttft=3) as stub:
            # the request that finds the length is the first to meet the limit
            serve(stub, "--num-prompts", "1", "--timeout", "1", "--input-len", "50", code=1)

    def test_nobody_there(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            done = subprocess.run([PROGRAM, "bench", "serve", "--base-url",
                                   "http://127.0.0.1:%d" % s.getsockname()[1]],
                                  capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("medvision: bench serve: ", done.stderr)

    def test_waits_for_the_server_to_come_up(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        client = subprocess.Popen([PROGRAM, "bench", "serve", "--base-url", "http://127.0.0.1:%d" % port,
                                   "--num-prompts", "1", "--input-len", "50", "--ready-timeout", "60"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(1)
        self.assertIsNone(client.poll())
        with Stub(ttft=0, itl=0, port=port):
            _, err = client.communicate(timeout=60)
        self.assertEqual(client.returncode, 0, err)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    if subprocess.run([PROGRAM, "bench", "serve", "--help"], capture_output=True).returncode:
        print("skip: built without libcurl")
        sys.exit(77)
    unittest.main()
