"""eval run from outside: logs, resume after kills, shards, ranks, failures.

    eval_run_test.py MEDVISION [KILLS]     KILLS: how often a run is killed (4)
"""
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import nifti_data  # noqa: E402

PROGRAM = os.path.abspath(sys.argv[1])
KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else 4
TASKS = ("detect", "size", "distance", "angle")


def final_files(folder):
    """What a finished run leaves, by name without the time stamp."""
    out = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            with open(path, "rb") as f:
                text = f.read()
            key = name[16:]
            if key == "results.json":
                key = "results of " + next(iter(json.loads(text)["results"]))
            assert key not in out, "two files for %s" % key
            out[key] = text
    return out


class EvalRun(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp()
        cls.data = os.path.join(cls.top, "data")
        nifti_data.main(cls.data, 8, 24)
        cls.whole = cls.run_all("whole")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    @classmethod
    def command(cls, results, *more):
        manifests = [os.path.join(cls.data, t + ".jsonl") for t in TASKS]
        return [PROGRAM, "eval", "run", *manifests, "--data-dir", cls.data, "--results-dir",
                os.path.join(cls.top, results), "--use-system-prompt", "--max-new-tokens", "64",
                "--threads", "1", *more]

    @classmethod
    def run_all(cls, results, *more, code=0, prefix=()):
        p = subprocess.run([*prefix, *cls.command(results, *more)], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, encoding="utf-8")
        assert p.returncode == code, (p.returncode, p.stderr)
        return final_files(os.path.join(cls.top, results, "tiny"))

    def one(self, lines, results, *more, code=0, name="t"):
        """Runs a manifest of these lines; returns standard error and the result folder."""
        folder = os.path.join(self.top, results)
        os.makedirs(folder, exist_ok=True)
        manifest = os.path.join(folder, name + ".jsonl")
        with open(manifest, "w", encoding="utf-8") as f:
            f.write("".join(line + "\n" for line in lines))
        p = subprocess.run([PROGRAM, "eval", "run", manifest, "--data-dir", self.data,
                            "--results-dir", folder, "--max-new-tokens", "16", "--threads", "1",
                            *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           encoding="utf-8")
        self.assertEqual(p.returncode, code, p.stderr)
        self.assertEqual(p.stdout, "")
        return p.stderr, os.path.join(folder, "tiny")

    def lines(self, task):
        with open(os.path.join(self.data, task + ".jsonl"), encoding="utf-8") as f:
            return f.read().splitlines()

    def kill_ranks(self, results):
        """mpirun's ranks outlive it for a moment: ends those that write to `results`."""
        for _ in range(50):
            left = 0
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open("/proc/%s/cmdline" % pid, "rb") as f:
                        if results.encode() in f.read().split(b"\0"):
                            os.kill(int(pid), signal.SIGKILL)
                            left += 1
                except OSError:
                    pass
            if not left:
                return
            time.sleep(0.1)

    def test_writes_the_benchmarks_logs(self):
        self.assertEqual(sorted(self.whole),
                         sorted(["samples_%s.jsonl" % t for t in TASKS] +
                                ["results of %s" % t for t in TASKS]))
        records = [json.loads(line) for line in self.whole["samples_size.jsonl"].splitlines()]
        self.assertEqual([r["doc_id"] for r in records], list(range(24)))
        self.assertEqual(list(records[0]),
                         ["doc_id", "doc", "target", "arguments", "resps", "filtered_resps",
                          "doc_hash", "prompt_hash", "target_hash", "avgMAE", "avgMRE",
                          "SuccessRate", "nMAE", "input"])
        angle = json.loads(self.whole["samples_angle.jsonl"].splitlines()[0])
        self.assertIn("MRE", angle)
        self.assertIn("degrees", angle["input"])
        self.assertEqual(angle["doc"]["biometric_profile"]["metric_type"], "angle")

    def test_a_finished_run_is_left_as_it_is(self):
        folder = os.path.join(self.top, "whole", "tiny")
        before = sorted(os.listdir(folder))
        self.run_all("whole")
        self.assertEqual(sorted(os.listdir(folder)), before)

    def test_killed_at_any_moment_it_goes_on(self):
        rng = random.Random(os.getpid())
        kills = rounds = 0
        while kills < KILLS:
            rounds += 1
            results = "killed%d" % rounds
            for _ in range(1000):
                p = subprocess.Popen(self.command(results), stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
                time.sleep(rng.uniform(0.02, 0.9))
                p.send_signal(signal.SIGKILL)
                if p.wait() == 0 or kills >= KILLS:
                    break
                kills += 1
                if rng.random() < 0.3:
                    break
            self.assertEqual(self.run_all(results), self.whole)
            self.assertFalse([n for n in os.listdir(os.path.join(self.top, results, "tiny"))
                              if ".tmp." in n])

    def test_drops_a_torn_line(self):
        self.run_all("torn")
        cache = os.path.join(self.top, "torn", "tiny", "response_cache", "size_rank0.jsonl")
        with open(cache, "rb") as f:
            text = f.read()
        with open(cache, "wb") as f:
            f.write(text[:-37])
        self.assertEqual(self.run_all("torn"), self.whole)
        with open(cache, "rb") as f:
            again = f.read()
        self.assertEqual(sorted(again.splitlines()), sorted(text.splitlines()))

    def test_shards_give_the_same(self):
        self.run_all("shards", "--shard", "1/3")
        self.run_all("shards", "--shard", "0/3")
        self.assertEqual(final_files(os.path.join(self.top, "shards", "tiny")), {})
        self.assertEqual(self.run_all("shards", "--shard", "2/3"), self.whole)

    def test_ranks_give_the_same(self):
        if not shutil.which("mpirun"):
            self.skipTest("no mpirun")
        prefix = ("mpirun", "-n", "4", "--oversubscribe", "--allow-run-as-root")
        self.assertEqual(self.run_all("ranks", prefix=prefix), self.whole)
        cache = os.path.join(self.top, "ranks", "tiny", "response_cache")
        self.assertEqual([n for n in os.listdir(cache) if "_claims_" in n], [])

    def test_a_dead_launch_is_taken_up(self):
        if not shutil.which("mpirun"):
            self.skipTest("no mpirun")
        prefix = ["mpirun", "-n", "3", "--oversubscribe", "--allow-run-as-root"]
        p = subprocess.Popen(prefix + self.command("dead"), stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True)
        time.sleep(1.2)
        p.kill()
        p.wait()
        self.kill_ranks(os.path.join(self.top, "dead"))
        self.assertEqual(self.run_all("dead", prefix=prefix), self.whole)

    def test_failures_are_listed_and_tried_again(self):
        lines = self.lines("detect")[:6]
        broken = dict(json.loads(lines[2]), volume="gone.nii")
        shutil.copy(os.path.join(self.data, "v001.nii.gz"), os.path.join(self.data, "cut.nii.gz"))
        with open(os.path.join(self.data, "cut.nii.gz"), "r+b") as f:
            f.truncate(2000)
        cut = dict(json.loads(lines[3]), volume="cut.nii.gz", plane="axial", index=19)
        bad = lines[:2] + [json.dumps(broken), json.dumps(cut), "{no json", lines[4], lines[4]]
        err, folder = self.one(bad, "failing", code=1)
        self.assertIn("gone.nii: No such file", err)
        self.assertIn("truncated or damaged", err)
        self.assertIn("\"id\": the same as line", err)
        files = final_files(folder)
        failed = [json.loads(line) for line in files["failures_t.ndjson"].splitlines()]
        self.assertEqual([f["doc_id"] for f in failed], [2, 3, 4, 6])
        records = [json.loads(line) for line in files["samples_t.jsonl"].splitlines()]
        self.assertEqual([r["doc_id"] for r in records if r.get("error")], [2, 3, 6])
        self.assertTrue(all(r["resps"] == [[""]] for r in records if r.get("error")))
        shutil.copy(os.path.join(self.data, "v001.nii.gz"), os.path.join(self.data, "cut.nii.gz"))
        shutil.copy(os.path.join(self.data, "v002.nii"), os.path.join(self.data, "gone.nii"))
        err, folder = self.one(bad, "failing", code=1)
        failed = final_files(folder)["failures_t.ndjson"].splitlines()
        self.assertEqual([json.loads(f)["doc_id"] for f in failed], [4, 6])

    def test_a_full_disk_ends_the_run_and_loses_nothing(self):
        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
        p = subprocess.run(self.command("full"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           encoding="utf-8", preexec_fn=small_files)
        self.assertEqual(p.returncode, 1)
        self.assertIn("cannot write: File too large", p.stderr)
        self.assertEqual(self.run_all("full"), self.whole)

    def test_refuses_a_folder_it_cannot_make(self):
        with open(os.path.join(self.top, "file"), "w", encoding="utf-8"):
            pass
        p = subprocess.run(self.command("file"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           encoding="utf-8")
        self.assertEqual(p.returncode, 1)
        self.assertIn("cannot make this folder", p.stderr)

    def test_refuses_other_settings_on_the_same_answers(self):
        p = subprocess.run(self.command("whole", "--image-order", "first"), stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, encoding="utf-8")
        self.assertEqual(p.returncode, 1)
        self.assertIn("image-order \"last\", not \"first\"", p.stderr)

    def test_an_edited_line_is_asked_again(self):
        lines = self.lines("detect")[:3]
        err, folder = self.one(lines, "edited")
        self.assertIn("3 answered, 0 known", err)
        lines[1] = lines[1].replace('"index": ', '"index":  ')
        err, folder = self.one(lines, "edited")
        self.assertIn("1 answered, 2 known", err)
        self.assertEqual(len(final_files(folder)), 2)

    def test_tasks_list_and_status(self):
        tasks = os.path.join(self.top, "tasks.json")
        status = os.path.join(self.top, "status.json")
        with open(tasks, "w", encoding="utf-8") as f:
            json.dump({"size-CoT": 1, "missing": 2, "detect-CoT": 3}, f)
        args = [PROGRAM, "eval", "run", "--tasks-list-json-path", tasks, "--task-status-json-path",
                status, "--data-dir", self.data, "--results-dir", os.path.join(self.top, "list"),
                "--sample-limit", "4", "--max-new-tokens", "16", "--model-name", "m"]
        p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        self.assertEqual(p.returncode, 1)
        self.assertIn("missing.jsonl: no such manifest", p.stderr)
        with open(status, encoding="utf-8") as f:
            text = f.read()
        self.assertEqual(text, json.dumps({"m": {"size-CoT": True, "detect-CoT": True}}, indent=4))
        p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        self.assertIn("size-CoT: done already", p.stderr)

    def test_a_manifest_of_ones_own_is_scored_to_the_end(self):
        lines = [json.dumps({"id": i, "task": "size", "volume": "v000.nii", "plane": "axial", "index": i,
                             "label": "my marker", "truth": [10, 5]}) for i in range(3)]
        lines.append(json.dumps({"id": 9, "task": "detect", "volume": "v000.nii", "plane": "axial",
                                 "index": 1, "label": "liver", "truth": [0, 0, 1, 1]}))
        err, folder = self.one(lines, "own", code=1)
        self.assertIn("line 4: \"task\": detect among questions of size", err)
        self.assertIn("failures_t.ndjson", final_files(folder))
        for tool in ("parse", "summarize"):
            p = subprocess.run([PROGRAM, "eval", tool, "--task", "size", "--task-dir",
                                os.path.dirname(folder)], stderr=subprocess.PIPE, encoding="utf-8")
            self.assertEqual((p.returncode, p.stderr), (0, ""))
        with open(os.path.join(folder, "parsed", "summary_values_TL_Task.json"), encoding="utf-8") as f:
            self.assertEqual(list(json.load(f)), ["my marker @  (A)"])

    def test_limits_and_indices(self):
        lines = self.lines("detect")
        for i, (option, ids) in enumerate((
                (("--sample-limit", "2"), [0, 1]), (("--sample-limit", "0.1"), [0, 1, 2]),
                (("--sample-indices", "[5:8]"), [5, 6, 7]),
                (("--sample-indices", "[0,10,3]"), [0, 3, 6, 9]))):
            _, folder = self.one(lines, "limit%d" % i, *option)
            records = final_files(folder)["samples_t.jsonl"].splitlines()
            self.assertEqual([json.loads(r)["doc_id"] for r in records], ids)
        for wrong in ("[1]", "[0,10,0]", "[1,2,3,4]", "x"):
            p = subprocess.run(self.command("x", "--sample-indices", wrong), stderr=subprocess.PIPE)
            self.assertEqual(p.returncode, 2)

    def test_scores_with_the_parser(self):
        folder = os.path.join(self.top, "scored")
        for family, tasks in (("detect", ("detect",)), ("size", ("size",))):
            results = os.path.join(folder, family)
            os.makedirs(os.path.join(results, "tiny"))
            for key, text in self.whole.items():
                for task in tasks:
                    if key == "samples_%s.jsonl" % task:
                        name = "20260101_000000_samples_BraTS24_%s.jsonl" % task
                    elif key == "results of %s" % task:
                        name = "20260101_000000_results.json"
                    else:
                        continue
                    with open(os.path.join(results, "tiny", name), "wb") as f:
                        f.write(text)
            for tool in ("parse", "summarize"):
                p = subprocess.run([PROGRAM, "eval", tool, "--task", family, "--task-dir", results],
                                   stderr=subprocess.PIPE, encoding="utf-8")
                self.assertEqual((p.returncode, p.stderr), (0, ""))
        with open(os.path.join(folder, "size", "summary_TL_task.txt"), encoding="utf-8") as f:
            self.assertIn("Model: tiny", f.read())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
