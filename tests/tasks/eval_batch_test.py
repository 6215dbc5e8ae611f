"""eval batch from outside: a manifest to requests, requests to answers, answers to scores.

    eval_batch_test.py MEDVISION
"""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import nifti_data  # noqa: E402

PROGRAM = os.path.abspath(sys.argv[1])


def read(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


class Batch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp()
        nifti_data.main(cls.top, 2, 6)
        cls.manifest = os.path.join(cls.top, "size.jsonl")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    def run_program(self, *args, code=0):
        p = subprocess.run([PROGRAM, "eval", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           encoding="utf-8", cwd=self.top)
        self.assertEqual(p.returncode, code, p.stderr)
        return p.stdout, p.stderr

    def path(self, name):
        return os.path.join(self.top, name)

    def requests(self):
        if not os.path.exists(self.path("requests.jsonl")):
            self.run_program("batch", "--manifest", self.manifest, "--out", "requests.jsonl",
                             "--max-new-tokens", "24", "--use-system-prompt", "--model", self.tiny())
        return read(self.path("requests.jsonl"))

    def tiny(self):
        return os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "weights", "tiny")

    def test_writes_requests(self):
        first = self.requests()[0]
        self.assertEqual((first["custom_id"], first["url"]), ("size::0", "/v1/chat/completions"))
        system, user = first["body"]["messages"]
        self.assertTrue(system["content"].startswith("A conversation between"))
        self.assertEqual([p["type"] for p in user["content"]], ["text", "image_url"])
        png = base64.b64decode(user["content"][1]["image_url"]["url"].split(",")[1])
        self.assertEqual(png[1:4], b"PNG")
        self.assertEqual(int.from_bytes(png[16:20], "big"), 512)

    def test_answers_as_eval_run_does_and_resumes(self):
        self.requests()
        self.run_program("batch", "requests.jsonl", "--out", "answers.jsonl", "--threads", "1")
        answers = read(self.path("answers.jsonl"))
        self.assertEqual([a["custom_id"] for a in answers], ["size::%d" % i for i in range(6)])
        self.assertTrue(all(a["error"] is None and a["response"]["status_code"] == 200 for a in answers))
        self.run_program("run", "size.jsonl", "--results-dir", "run", "--max-new-tokens", "24",
                         "--use-system-prompt", "--threads", "1")
        folder = self.path("run/tiny")
        log = next(n for n in os.listdir(folder) if "_samples_" in n)
        texts = [r["resps"][0][0] for r in read(os.path.join(folder, log))]
        self.assertEqual([a["response"]["body"]["choices"][0]["message"]["content"] for a in answers], texts)
        with open(self.path("answers.jsonl"), "r+b") as f:
            f.truncate(os.path.getsize(self.path("answers.jsonl")) - 30)
        self.run_program("batch", "requests.jsonl", "--out", "answers.jsonl", "--threads", "1")
        self.assertEqual(read(self.path("answers.jsonl")), answers)

    def test_scores_another_models_answers(self):
        lines = read(self.manifest)
        with open(self.path("other.jsonl"), "w", encoding="utf-8") as f:
            for i, line in enumerate(lines[:5]):
                body = {"choices": [{"message": {"content": "<answer>%s, %s</answer>" % tuple(line["truth"])}}]}
                f.write(json.dumps({"custom_id": line["id"], "response": {"status_code": 200, "body": body},
                                    "error": None} if i else
                                   {"custom_id": line["id"], "response": None,
                                    "error": {"message": "was refused"}}) + "\n")
        _, err = self.run_program("batch", "--manifest", self.manifest, "--answers", "other.jsonl",
                                  "--results-dir", "scored", "--model-name", "other", code=1)
        self.assertIn("4 answers scored, 2 failed", err)
        folder = self.path("scored/other")
        failures = read(os.path.join(folder, next(n for n in os.listdir(folder) if "_failures_" in n)))
        self.assertEqual([(f["doc_id"], f["error"]) for f in failures],
                         [(0, "was refused"), (5, "the file of answers has none for it")])
        records = read(os.path.join(folder, next(n for n in os.listdir(folder) if "_samples_" in n)))
        self.assertEqual([r["SuccessRate"]["success"] for r in records], [False] + [True] * 4 + [False])
        self.assertLess(records[1]["avgMAE"]["MAE"], 1e-5)

    def test_bad_requests_get_an_error_line(self):
        bad = [{"custom_id": "a", "body": {}}, {"body": {"messages": []}},
               {"custom_id": "b", "url": "/v1/embeddings", "body": {"messages": []}},
               {"custom_id": "c", "body": {"messages": [{"role": "user", "content": [
                   {"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}]}},
               {"custom_id": "d", "body": {"messages": [{"role": "user", "content": [
                   {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA="}}]}]}},
               {"custom_id": "e", "body": {"messages": [{"role": "user", "content": "hi"}],
                                           "temperature": -1}},
               {"custom_id": "f", "body": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}}]
        with open(self.path("bad.jsonl"), "w", encoding="utf-8") as f:
            f.write("".join(json.dumps(b) + "\n" for b in bad))
        out, _ = self.run_program("batch", "bad.jsonl", code=1)
        got = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(len(got), 7)
        self.assertTrue(all(g["error"]["message"] for g in got[:6]))
        self.assertIsNone(got[6]["error"])
        self.assertEqual(got[6]["response"]["body"]["usage"]["completion_tokens"], 3)

    def ask(self, bodies, name):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write("".join(json.dumps({"custom_id": str(i), "body": b}) + "\n" for i, b in enumerate(bodies)))
        out, _ = self.run_program("batch", name, "--threads", "1")
        return [json.loads(line) for line in out.splitlines()]

    def test_takes_conversations_as_the_server_does(self):
        text = lambda t: [{"type": "text", "text": t}]  # noqa: E731
        system, user = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is it?"}
        turns = [user, {"role": "assistant", "content": "There."}, {"role": "user", "content": text("Really?")}]
        got = self.ask([{"messages": m, "max_tokens": 6} for m in (
            [system, user], [{"role": "developer", "content": text("Be brief.")}, user], [user], turns)], "talk.jsonl")
        bodies = [g["response"]["body"] for g in got]
        self.assertEqual(bodies[0]["choices"], bodies[1]["choices"])
        tokens = [b["usage"]["prompt_tokens"] for b in bodies]
        self.assertEqual(tokens[0], tokens[1])
        self.assertGreater(tokens[3], tokens[2])

    def test_answers_many_at_once_in_the_order_of_the_file(self):
        bodies = [{"messages": [{"role": "user", "content": "question %d" % i}], "max_tokens": 1 + 7 * i % 23}
                  for i in range(70)]
        together = self.ask(bodies, "many.jsonl")
        self.assertEqual([g["custom_id"] for g in together], [str(i) for i in range(70)])
        for i in (0, 33, 69):
            alone = self.ask([bodies[i]], "one.jsonl")[0]["response"]["body"]
            self.assertEqual(alone["choices"], together[i]["response"]["body"]["choices"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
