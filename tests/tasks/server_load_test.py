#!/usr/bin/env python3
"""Many clients at once against `medvision serve`: streams, disconnects, broken requests.

server_load_test.py PROGRAM [--clients N] [--seconds S] [--broken N]
"""
import argparse
import http.client
import json
import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import server_test
from server_test import Server, chat, data_url, offline, PICTURE

QUESTIONS = ["Hello", "What is this?", "Digits: 1 2 3", "Where is the liver?", "déjà vu 🩻"]
TOKENS = 16


class Client(threading.Thread):
    def __init__(self, server, want, until, number):
        super().__init__(daemon=True)
        self.server, self.want, self.until, self.number = server, want, until, number
        self.first, self.errors, self.done = [], [], 0

    def run(self):
        rng = random.Random(self.number)
        while time.time() < self.until:
            try:
                self.stream(rng)
            except Exception as e:
                self.errors.append(repr(e))

    def stream(self, rng):
        text = rng.choice(QUESTIONS)
        c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        start, said = time.time(), ""
        leaves = rng.random() < 0.05
        c.request("POST", "/v1/chat/completions",
                  json.dumps(chat(text, stream=True, max_tokens=TOKENS)))
        r = c.getresponse()
        if r.status != 200:
            raise AssertionError("%d %r" % (r.status, r.read()))
        last = ""
        for line in r:
            if not line.startswith(b"data: "):
                continue
            last = line[6:].strip()
            if last == b"[DONE]":
                break
            part = json.loads(last)["choices"][0]["delta"].get("content", "")
            if part and not said:
                self.first.append(time.time() - start)
                if leaves:
                    c.close()
                    return
            said += part
        c.close()
        if last != b"[DONE]" or said != self.want[text]:
            raise AssertionError("%r is not %r" % (said, self.want[text]))
        self.done += 1


def load(server, n_client, seconds):
    want = {t: offline(t, TOKENS)["text"] for t in QUESTIONS}
    until = time.time() + seconds
    clients = [Client(server, want, until, i) for i in range(n_client)]
    for c in clients:
        c.start()
    for c in clients:
        c.join(seconds + 120)
    assert not any(c.is_alive() for c in clients), "a request is stuck"
    errors = sum((c.errors for c in clients), [])
    first = sorted(sum((c.first for c in clients), []))
    done = sum(c.done for c in clients)
    assert not errors, (len(errors), errors[:3])
    assert done
    print("%d clients, %.0f s: %d answers equal to the offline ones, %.0f a second; time to first "
          "token p50 %.0f ms, p99 %.0f ms" % (n_client, seconds, done, done / seconds,
                                               first[len(first) // 2] * 1e3,
                                               first[int(len(first) * .99)] * 1e3))


# ---- broken requests ----

def mutate(rng, data):
    data = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data))
        kind = rng.randrange(5)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at:at + rng.randrange(1, 30)]
        elif kind == 2:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 20)))
        elif kind == 3:
            data[at:at] = data[at:at + 50]
        else:
            data[at:at] = rng.choice([b"\0", b"[" * 600, b'{"a":' * 300, b"1e999", b"NaN", b"-1",
                                      b'"\\ud800"', b"\xff\xfe", b"\r\n\r\n", b"A" * 5000,
                                      b"99999999999999999999"])
        if not data:
            data = bytearray(b"x")
    return bytes(data)


def seeds():
    part = {"type": "image_url", "image_url": {"url": data_url(PICTURE)[:3000]}}
    bodies = [("/v1/chat/completions", chat("Hello", max_tokens=2, temperature=0.5, seed=1, n=2,
                                            stop=["a"], logprobs=True, top_logprobs=1)),
              ("/v1/chat/completions", chat("Hello", max_tokens=2, stream=True)),
              ("/v1/chat/completions", chat([part, {"type": "text", "text": "a"}], max_tokens=2)),
              ("/v1/completions", {"prompt": "Hello", "max_tokens": 2, "logprobs": 1}),
              ("/tokenize", {"prompt": "Hello"}), ("/detokenize", {"tokens": [1, 2, 3]}),
              ("/v1/measure", {"task": "size", "label": "a", "pixel_size": [1, 1], "max_tokens": 2,
                               "image": data_url(PICTURE)[:2000]}),
              ("/v1/preview", {"volume": "data:;base64," + "XAEAAA" * 100, "plane": "axial"})]
    for path, body in bodies:
        yield path, json.dumps(body).encode()


def read_status(s):
    data = b""
    while b"\r\n" not in data:
        more = s.recv(4096)
        if not more:
            return None
        data += more
    return int(data.split()[1])


def broken(server, n):
    """n requests with bytes changed in head, body or both: an error or an answer, never silence
    where the request was whole, and the server stays up."""
    rng, kinds = random.Random(1), list(seeds())
    statuses = {}
    for i in range(n):
        path, body = rng.choice(kinds)
        if rng.random() < 0.7:
            body = mutate(rng, body)
        head = ("POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                "Content-Length: %d\r\n\r\n" % (path, len(body))).encode()
        whole = rng.random() < 0.8
        if not whole:
            head = mutate(rng, head)
        s = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        try:
            s.sendall(head + body)
            if not whole:
                s.shutdown(socket.SHUT_WR)
            status = read_status(s)
        except (ConnectionError, ValueError, IndexError):
            status = None
        s.close()
        assert not whole or status in (200, 400), (status, body[:300])
        assert status is None or status < 500 or status in (501, 503, 505), (status, head, body[:300])
        statuses[status] = statuses.get(status, 0) + 1
        if i % 500 == 0:
            assert server.process.poll() is None, "".join(server.log[-40:])
    assert server.ask("GET", "/health")[0] == 200
    print("%d broken requests: %s" % (n, {str(k): v for k, v in sorted(
        statuses.items(), key=lambda x: str(x[0]))}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--clients", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--broken", type=int, default=1000)
    args = parser.parse_args()
    server_test.PROGRAM = args.program
    try:
        server = Server("--max-queue", "1024", "--quiet", "--request-timeout", "60")
    except AssertionError as e:
        if "no server" not in str(e):
            raise
        print("skip: this build has no server")
        return 77
    try:
        if args.seconds:
            load(server, args.clients, args.seconds)
        broken(server, args.broken)
        deadline = time.time() + 20
        while server.metric("vllm:num_requests_running") + server.metric("vllm:num_requests_waiting"):
            assert time.time() < deadline, "something is stuck"
            time.sleep(0.05)
    finally:
        code = server.stop(timeout=120)
    assert code == 0, (code, "".join(server.log[-40:]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
