"""The medvision program from outside: exit codes, messages, what goes to which stream, JSON lines,
files that are written or not.

    python3 cli_test.py PROGRAM [TestClass.test_name ...]

Runs in the source tree. Standard library only.
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else "build/medvision"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.path.join(ROOT, "tests", "data")
RANDOM = os.path.join(DATA, "reference", "gqa2-head32-bf16")  # random weights: never a real answer
PICTURE = os.path.join(DATA, "vision", "image_path-00005.png")  # a grey slice, 512 x 512
COMMANDS = ("detect size distance angle generate prompt parse info image tokenize bench completion "
            "help").split()


def run(*args, stdin=b"", **kwargs):
    if isinstance(stdin, str):
        stdin = stdin.encode()
    kwargs.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([PROGRAM, *args], input=stdin, stderr=subprocess.PIPE, timeout=300,
                          **kwargs)


def rows(*path):
    with open(os.path.join(DATA, *path), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def file(self, name, content=None):
        path = os.path.join(self.folder, name)
        if content is not None:
            with open(path, "wb") as f:
                f.write(content)
        return path

    def succeeds(self, *args, code=0, **kwargs):
        p = run(*args, **kwargs)
        self.assertEqual(p.returncode, code, p.stderr.decode(errors="replace"))
        return p.stdout.decode()

    def fails(self, code, words, *args, **kwargs):
        """Exit code, an empty standard output, one line on standard error that says `words`."""
        p = run(*args, **kwargs)
        message = p.stderr.decode(errors="replace")
        self.assertEqual(p.returncode, code, message)
        self.assertFalse(p.stdout)
        self.assertEqual(message.count("\n"), 1, message)
        self.assertTrue(message.startswith("medvision: ") and message.endswith("\n"), message)
        self.assertIn(words, message)

    def lines(self, args, inputs, code=0):
        """JSON lines in, as many JSON lines out."""
        text = "".join(x if isinstance(x, str) else json.dumps(x) + "\n" for x in inputs)
        out = self.succeeds(*args, "--jsonl", stdin=text, code=code)
        self.assertTrue(out.endswith("\n"))
        answers = [json.loads(line) for line in out.split("\n")[:-1]]
        self.assertEqual(len(answers), len(inputs))
        return answers


class Help(Case):
    def test_shows_an_overview_and_each_command(self):
        overview = self.succeeds("help")
        self.assertEqual(overview, self.succeeds("--help"))
        self.assertEqual(overview, self.succeeds("-h"))
        for name in COMMANDS:
            self.assertIn("\n  %s " % name, overview)
            text = self.succeeds("help", name)
            self.assertTrue(text.startswith("medvision %s: " % name))
            self.assertEqual(text, self.succeeds(name, "--help"))
            self.assertEqual(text, self.succeeds(name, "-h"))

    def test_says_that_this_is_no_medical_device(self):
        for args in (["help"], ["size", "--help"], ["help", "--man"]):
            self.assertIn("not for clinical use", self.succeeds(*args))

    def test_prints_the_version(self):
        self.assertRegex(self.succeeds("--version"), r"^medvision \d+\.\d+\.\d+\n$")
        self.assertEqual(self.succeeds("--version"), self.succeeds("detect", "--version"))

    def test_completes_in_bash(self):
        script = self.file("m.bash", self.succeeds("completion", "bash").encode())
        probe = """source %s
complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _medvision; echo "${COMPREPLY[@]}"; }
compopt() { :; }
complete_words medvision ang
complete_words medvision size --resh
complete_words medvision size --resampler p
complete_words medvision prompt det
complete_words medvision completion ""
""" % script
        p = subprocess.run(["bash", "-c", probe], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, check=False)
        self.assertEqual(p.stderr, "")
        self.assertEqual(p.stdout.split("\n")[:-1],
                         ["angle", "--reshape", "pillow", "detect", "bash zsh fish"])

    def test_writes_scripts_that_each_shell_can_read(self):
        for shell in ("bash", "zsh", "fish"):
            script = self.file(shell, self.succeeds("completion", shell).encode())
            if not shutil.which(shell):
                continue
            p = subprocess.run([shell, "-n", script], stderr=subprocess.PIPE, check=False)
            self.assertEqual((p.returncode, p.stderr), (0, b""), shell)


class Usage(Case):
    def test_refuses_wrong_usage_with_one_line(self):
        self.fails(2, "expected a command")
        self.fails(2, "did you mean 'detect'", "detct")
        self.fails(2, "did you mean --label", "size", PICTURE, "--lable", "x")
        self.fails(2, "--pixel-size W[xH] is needed", "size", PICTURE, "--label", "x")
        self.fails(2, "IMAGE is missing", "image")
        self.fails(2, "TASK is missing", "prompt")
        self.fails(2, "--unit: expected mm, cm or degree", "size", PICTURE, "--label", "x",
                   "--pixel-size", "1", "--unit", "inch")
        self.fails(2, "one of them", "generate")
        self.fails(2, "one of them", "generate", "--prompt", "a", "--prompt-file", "b")
        self.fails(2, "--dump takes one picture", "detect", PICTURE, PICTURE, "--label", "x",
                   "--dump", self.folder)
        self.fails(2, "name the picture or give --image-size", "prompt", "size", "--label", "x",
                   "--pixel-size", "1")
        self.fails(2, "--points is not an option of 'detect'", "prompt", "detect", "--label", "x",
                   "--points", "a;b")

    def test_refuses_text_that_is_not_utf8(self):
        self.fails(2, "not valid UTF-8 (byte 2)", "detect", PICTURE, "--label", b"x\xff")
        self.fails(2, "not valid UTF-8", "generate", "--prompt", b"\xc3")
        self.fails(1, "not valid UTF-8 (byte 1)", "parse", stdin=b"\xff<answer>1</answer>")
        self.fails(1, "not valid UTF-8", "generate", "--prompt-file", self.file("p", b"a\xe9"))

    def test_keeps_messages_to_one_line_whatever_a_name_holds(self):
        self.fails(1, "a?b", "image", "a\nb")
        self.fails(2, "unknown command", "a\nb\x1b[2J")

    def test_says_when_standard_output_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            p = run("help", stdout=full)
        self.assertEqual(p.returncode, 1)
        self.assertEqual(p.stderr, b"medvision: cannot write to standard output: "
                                   b"No space left on device\n")
        with open("/dev/full", "wb") as full:
            p = run("parse", "--jsonl", stdout=full, stdin=b'{"text":"","k":1}\n' * 9)
        self.assertEqual((p.returncode, p.stderr.count(b"\n")), (1, 1))

    def test_ends_quietly_enough_on_a_closed_pipe(self):
        reader, writer = os.pipe()
        os.close(reader)
        p = run("help", stdout=writer)
        os.close(writer)
        self.assertEqual(p.returncode, 1)
        self.assertEqual(p.stderr, b"medvision: cannot write to standard output: Broken pipe\n")

    def test_opens_no_file_in_the_place_of_a_closed_stream(self):
        out = self.file("out")
        command = 'exec "$0" image "$1" --out "$2" >&-'
        p = subprocess.run(["sh", "-c", command, PROGRAM, PICTURE, out], stderr=subprocess.PIPE,
                           check=False)
        self.assertEqual(p.returncode, 1)
        with open(out, "rb") as f:
            png = f.read()
        self.assertEqual((png[:4], png[-8:-4]), (b"\x89PNG", b"IEND"))


class Parse(Case):
    def test_prints_values_or_says_that_there_are_none(self):
        text = "<answer> (24.130, 11.070) </answer>"
        self.assertEqual(self.succeeds("parse", "--numbers", "2", stdin=text), "24.13\n11.07\n")
        path = self.file("answer.txt", text.encode())
        self.assertEqual(self.succeeds("parse", path), "11.07\n")
        self.assertEqual(json.loads(self.succeeds("parse", "--numbers", "2", "--json", stdin=text)),
                         {"answer": "24.130,11.070", "values": [24.13, 11.07], "parsed": True})
        self.fails(3, "at least 4 numbers", "parse", "--numbers", "4", stdin=text)
        out = self.succeeds("parse", "--json", stdin="", code=3)
        self.assertEqual(json.loads(out), {"answer": "", "values": None, "parsed": False})
        self.fails(1, "No such file", "parse", "nowhere.txt")

    def test_agrees_with_the_benchmark(self):
        cases = rows("tasks", "parse.jsonl")
        answers = self.lines(["parse"], [{"text": c["text"], "k": c["k"]} for c in cases])
        for case, got in zip(cases, answers):
            self.assertEqual(got["answer"], case["answer"], case["id"])
            self.assertEqual(got["parsed"], case["parse_ok"], case["id"])
            if not got["parsed"]:
                self.assertIsNone(got["values"])
                continue
            expected = [float(str(x).replace("Infinity", "inf")) for x in case["answer_f32"]]
            as_f32 = [struct.unpack("f", struct.pack("f", v))[0] for v in got["values"]]
            self.assertEqual(as_f32, expected, case["id"])


class Prompt(Case):
    def test_agrees_with_the_benchmark(self):
        cases = [r for r in rows("tasks", "prompts.jsonl")
                 if r["stack"] == "benchmark" and not r.get("error")]
        answers = self.lines(["prompt"], [manifest_of(r) for r in cases])
        for case, got in zip(cases, answers):
            self.assertEqual(got.get("prompt"), case["prompt"], (case["id"], got))

    def test_gives_the_same_text_from_options(self):
        args = ["--label", "tumor", "--pixel-size", "0.5x0.75", "--description", "scan"]
        text = self.succeeds("prompt", "size", PICTURE, *args)
        line = {"task": "size", "image": PICTURE, "label": "tumor", "pixel_size": [0.5, 0.75],
                "description": "scan"}
        self.assertEqual(text, self.lines(["prompt"], [line])[0]["prompt"] + "\n")
        got = json.loads(self.succeeds("prompt", "size", PICTURE, *args, "--json"))
        self.assertEqual(got["prompt"] + "\n", text)
        self.assertEqual(got["image_size"], [504, 504])

    def test_needs_no_picture_for_a_box(self):
        got = json.loads(self.succeeds("prompt", "detect", "--label", "liver", "--json"))
        self.assertIn("bounding box for the liver", got["prompt"])
        self.assertEqual((got["image_size"], got["pixel_size"]), (None, None))

    def test_works_at_the_sizes_of_the_model_it_is_given(self):
        text = self.succeeds("prompt", "size", "--image-size", "504x504", "--label", "x",
                             "--pixel-size", "1", "--model", os.path.join(ROOT, "weights/tiny"))
        self.assertIn("The image size is 168 pixels (width) x 168 pixels (height).", text)
        self.fails(1, "nowhere", "prompt", "detect", "--label", "x", "--model", "nowhere")


def manifest_of(row):
    """A manifest line from a row of prompts.jsonl."""
    variant = row["variant"]
    task = {"d": "detect", "t": "size"}.get(variant[0]) or row["metric_type"]
    line = {"task": task, "label": row.get("label_name"), "unit": row.get("metric_unit"),
            "description": row.get("image_description"), "name": row.get("metric_name"),
            "cot": "no-steps" if "wo_" in variant else variant.endswith("cot")}
    marks = row.get("landmarks")
    if marks and task == "distance":
        line["landmarks"] = marks
    elif marks:
        line["line1"], line["line2"] = marks[:2], marks[2:]
    if row.get("raw_shape_hw"):
        line["image_size"] = row["raw_shape_hw"][::-1]
        line["reshape"] = row["reshape_hw"]
        line["pixel_size"] = [struct.unpack(">f", bytes.fromhex(h))[0]
                              for h in row["zooms_hw_f32hex"][::-1]]
    return line


class Image(Case):
    KEYS = ["image_size", "pixel_size", "resized", "grid_thw", "image_sha256", "resized_sha256",
            "pixel_values_sha256"]

    def test_decodes_every_kind_of_file(self):
        cases = rows("vision", "files.jsonl")
        answers = self.lines(["image"], [{"image": os.path.join(DATA, "vision", c["file"]),
                                          "reshape": None, "id": i} for i, c in enumerate(cases)])
        for i, (case, got) in enumerate(zip(cases, answers)):
            self.assertEqual(list(got), ["id"] + self.KEYS, got)
            self.assertEqual(got["id"], i)
            self.assertEqual(got["image_size"], case["hw"][::-1], case["file"])
            self.assertEqual(got["image_sha256"], case["sha256"], case["file"])

    def test_follows_the_spacing_through_the_reshape(self):
        line = {"image": PICTURE, "pixel_size": [0.5, 0.25], "reshape": [252, 504]}
        got = self.lines(["image"], [line])[0]
        self.assertEqual((got["image_size"], got["resized"]), ([504, 252], [504, 252]))
        self.assertEqual(got["grid_thw"], [1, 18, 36])
        raw = self.lines(["image"], [{"image": PICTURE, "reshape": None}])[0]["image_size"]
        self.assertAlmostEqual(got["pixel_size"][0], 0.5 * raw[0] / 504, places=6)
        self.assertAlmostEqual(got["pixel_size"][1], 0.25 * raw[1] / 252, places=6)

    def test_writes_what_the_model_sees(self):
        out = self.file("seen.png")
        got = json.loads(self.succeeds("image", PICTURE, "--out", out, "--json"))
        again = self.lines(["image"], [{"image": out, "reshape": None}])[0]
        self.assertEqual(again["image_sha256"], got["resized_sha256"])
        self.assertEqual(os.listdir(self.folder), ["seen.png"])

    def test_says_what_became_of_the_samples(self):
        p = run("image", os.path.join(DATA, "vision", "png_c4_d16.png"))
        self.assertIn(b"16-bit samples scaled to 8 bits", p.stderr)
        self.assertIn(b"transparency composited on black", p.stderr)
        p = run("image", os.path.join(DATA, "vision", "png_c4_d16.png"), "--quiet")
        self.assertEqual((p.returncode, p.stderr), (0, b""))

    def test_refuses_what_is_no_picture(self):
        with open(PICTURE, "rb") as f:
            png = f.read()
        self.fails(1, "No such file", "image", "nowhere.png")
        self.fails(1, "cut.png", "image", self.file("cut.png", png[:len(png) // 2]))
        self.fails(1, "PNG or JPEG", "image", self.file("text.png", b"hello, world"))
        self.fails(1, self.folder, "image", self.folder)
        self.fails(1, "cannot", "image", PICTURE, "--out", self.file("no/such/folder.png"))
        got = self.lines(["image"], [{"volume": "v.nii", "plane": "axial", "index": 0, "id": "v"},
                                     {"image": "a\0b"}, {"image": 7}, {"id": 1}, {"image": "-"}])
        self.assertEqual([sorted(g) for g in got],
                         [["error", "id"], ["error"], ["error"], ["error", "id"], ["error"]])
        self.assertIn("No such file", got[0]["error"])


class Tokenize(Case):
    TINY = ["--model", os.path.join(ROOT, "weights", "tiny")]

    def test_round_trips_text(self):
        text = "Hello, \u00e9\u4eee\U0001f600 <answer> 3.14\n"
        ids = json.loads(self.succeeds("tokenize", "--json", *self.TINY, stdin=text))["ids"]
        listed = self.succeeds("tokenize", *self.TINY, stdin=text)
        self.assertEqual([int(line.split()[0]) for line in listed.splitlines()], ids)
        back = self.succeeds("tokenize", "--decode", *self.TINY, stdin=" ".join(map(str, ids)))
        self.assertEqual(back, text)
        back = self.succeeds("tokenize", "--decode", *self.TINY, *map(str, ids[:5]))
        self.assertEqual(back, "Hello")

    def test_agrees_with_the_reference(self):
        cases = rows("tokenizer", "texts.jsonl")
        small = ["--model", os.path.join(DATA, "tokenizer", "small")]
        answers = self.lines(["tokenize", *small], [{"text": c["text"]} for c in cases])
        for case, got in zip(cases, answers):
            self.assertEqual(got.get("ids"), case["ids"], repr(case["text"]))
        answers = self.lines(["tokenize", "--decode", *small], [{"ids": c["ids"]} for c in cases])
        for case, got in zip(cases, answers):
            self.assertEqual(got.get("text"), case["decoded"], repr(case["text"]))

    def test_refuses_what_are_no_ids(self):
        self.fails(1, "found 'x'", "tokenize", "--decode", "1", "x", *self.TINY)
        self.fails(1, "found '-1'", "tokenize", "--decode", "--", "-1")
        self.fails(1, "found '99999999999'", "tokenize", "--decode", "99999999999", *self.TINY)


class JsonLines(Case):
    def test_answers_every_line_in_order(self):
        got = self.lines(["parse"], [{"id": 1, "text": "<answer>5</answer>", "k": 1}, "\n", "nope\n",
                                     "[]\n", "{\"id\": [1, NaN]}\n", {"id": None, "text": 5},
                                     {"id": "k", "text": "", "k": 0}, "\xff\n",
                                     {"text": "<answer>6</answer>"}])
        self.assertEqual([("error" in g) for g in got], [False] + [True] * 7 + [False])
        self.assertEqual([g.get("id", "-") for g in got[:1] + got[5:7]], [1, None, "k"])
        self.assertEqual(str(got[4]["id"]), "[1, nan]")
        self.assertEqual((got[0]["values"], got[8]["values"]), ([5], [6]))

    def test_takes_a_last_line_without_newline_and_no_lines_at_all(self):
        out = self.succeeds("parse", "--jsonl", stdin='{"text":"<answer>1</answer>"}')
        self.assertEqual(json.loads(out)["values"], [1])
        self.assertEqual(self.succeeds("parse", "--jsonl", stdin=""), "")

    def test_passes_over_a_byte_order_mark_and_carriage_returns(self):
        line = b'{"text": "<answer>5</answer>"}\r\n'
        out = self.succeeds("parse", "--jsonl", stdin=b"\xef\xbb\xbf" + line + line)
        self.assertEqual(out.count('"answer":"5"'), 2)

    def test_survives_lines_that_are_too_long(self):
        text = b'{"text":"' + b"x" * (65 << 20) + b'"}\n{"text":"<answer>2</answer>"}\n'
        out = self.succeeds("parse", "--jsonl", stdin=text).split("\n")
        self.assertIn("longer than 64 MiB", json.loads(out[0])["error"])
        self.assertEqual(json.loads(out[1])["values"], [2])

    def test_keeps_what_strings_hold(self):
        text = "<answer>a\0\u2028\U0001f600 7</answer>"
        self.assertEqual(self.lines(["parse"], [{"id": text, "text": text}])[0]["id"], text)
        out = self.succeeds("parse", "--jsonl", stdin='{"id":"\\ud800","text":""}\n')
        self.assertEqual(json.loads(out)["id"], "\ud800")

    def test_answers_before_the_next_line_comes(self):
        with subprocess.Popen([PROGRAM, "parse", "--jsonl"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as p:
            for value in (3, 4):
                p.stdin.write(b'{"text":"<answer>%d</answer>"}\n' % value)
                p.stdin.flush()
                self.assertEqual(json.loads(p.stdout.readline())["values"], [value])
            p.stdin.close()
            self.assertEqual(p.wait(), 0)

    def test_fails_when_the_stream_itself_fails(self):
        fd = os.open(self.folder, os.O_RDONLY)
        p = subprocess.run([PROGRAM, "parse", "--jsonl"], stdin=fd, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, check=False)
        os.close(fd)
        self.assertEqual(p.returncode, 1)
        self.assertIn(b"cannot read standard input", p.stderr)


class Info(Case):
    def test_describes_a_checkpoint(self):
        text = self.succeeds("info", RANDOM)
        self.assertIn("4 heads of 32, 2 key-value heads", text)
        got = json.loads(self.succeeds("info", RANDOM, "--json", "--plan", "--context", "10"))
        self.assertEqual(got["all"]["bytes"], sum(p["bytes"] for p in got["parts"].values()))
        plan = got["plan"]
        self.assertEqual(plan["kv_bytes"], 64 * plan["kv_token_bytes"])  # whole pages
        self.assertEqual(plan["total_bytes"],
                         sum(plan[part + "_bytes"] for part in
                             ("weights", "kv", "decoder", "vision", "image", "logits", "scratch",
                              "host")))
        self.assertEqual(got["plan"]["kv_token_bytes"], 2 * 2 * 2 * 32 * 2)

    def test_plans_for_shapes_without_their_files(self):
        seven = json.loads(self.succeeds("info", "--random-weights", "7b", "--plan", "--json"))
        self.assertEqual(seven["all"]["parameters"], 8292166656)
        self.assertEqual(seven["decoder"]["rope_theta"], 1e6)
        self.assertEqual(seven["plan"]["weights_bytes"], 16584333312)
        self.fails(2, "expected 3b, 7b, 32b or config", "info", "--random-weights", "8b")

    def test_describes_the_checkpoint_of_the_program_by_default(self):
        self.assertIn("weights/tiny: Qwen2.5-VL", self.succeeds("info"))

    def test_names_what_is_wrong_with_a_checkpoint(self):
        self.fails(1, "nowhere", "info", "nowhere")
        self.fails(1, "config.json", "info", self.folder)
        self.fails(2, "both name a checkpoint", "info", RANDOM, "--model", RANDOM)
        broken = os.path.join(self.folder, "broken")
        shutil.copytree(RANDOM, broken)
        weights = os.path.join(broken, "model.safetensors")
        with open(weights, "rb") as f:
            content = f.read()
        with open(weights, "wb") as f:
            f.write(content[:-100])
        self.fails(1, "model.safetensors", "info", broken)
        self.fails(1, "model.safetensors", "generate", "--prompt", "x", "--model", broken)


class Generate(Case):
    FAST = ["--model", RANDOM, "--max-new-tokens", "6", "--dtype", "fp32",
            "--threads", "1"]

    def test_prints_the_text_and_nothing_else(self):
        p = run("generate", "--prompt", "Hello", *self.FAST)
        self.assertEqual((p.returncode, p.stderr), (0, b""))
        got = json.loads(self.succeeds("generate", "--prompt", "Hello", *self.FAST, "--json"))
        self.assertEqual(p.stdout.decode(), got["text"] + "\n")

    def test_writes_the_documented_object(self):
        image = os.path.join(DATA, "reference", "images", "small90x60.png")
        got = json.loads(self.succeeds("generate", "--prompt", "Hello", "--image", image,
                                       *self.FAST, "--json", "--logprobs", "3"))
        self.assertEqual(list(got), ["prompt_ids", "token_ids", "text", "finish_reason", "usage",
                                     "timings_ms", "speculation", "logprobs"])
        self.assertEqual(len(got["prompt_ids"]), got["usage"]["prompt_tokens"])
        self.assertEqual(len(got["token_ids"]), got["usage"]["completion_tokens"])
        self.assertEqual(list(got["timings_ms"]),
                         ["queue", "image", "vision", "prefill", "decode", "total", "ttft"])
        for id_, entry in zip(got["token_ids"], got["logprobs"]):
            self.assertEqual(list(entry), ["token_id", "logprob", "top"])
            self.assertEqual(entry["token_id"], id_)
            self.assertEqual(len(entry["top"]), 3)
            self.assertEqual(entry["top"][0], {"token_id": id_, "logprob": entry["logprob"]})

    def test_answers_with_made_up_weights(self):
        args = ["generate", "--prompt", "Hi", "--max-new-tokens", "4", "--ignore-eos", "--json"]
        real = json.loads(self.succeeds(*args))
        made_up = json.loads(self.succeeds(*args, "--random-weights", "config"))
        self.assertEqual(real["prompt_ids"], made_up["prompt_ids"])
        self.assertEqual(len(made_up["token_ids"]), 4)
        self.assertNotEqual(real["token_ids"], made_up["token_ids"])

    def test_tells_an_empty_system_prompt_from_none(self):
        args = ["generate", "--prompt", "Hi", "--max-new-tokens", "1", "--json"]
        default = json.loads(self.succeeds(*args))["prompt_ids"]
        words = json.loads(self.succeeds("tokenize", "You are a helpful assistant.", "--json"))["ids"]
        at = next(i for i in range(len(default)) if default[i:i + len(words)] == words)
        empty = default[:at] + default[at + len(words):]
        self.assertEqual(json.loads(self.succeeds(*args, "--system", ""))["prompt_ids"], empty)
        lines = [{"prompt": "Hi", "max_new_tokens": 1}, {"prompt": "Hi", "max_new_tokens": 1, "system": None},
                 {"prompt": "Hi", "max_new_tokens": 1, "system": ""}]
        self.assertEqual([a["prompt_ids"] for a in self.lines(["generate"], lines)], [default, default, empty])

    def test_answers_lines_as_it_answers_options(self):
        one = json.loads(self.succeeds("generate", "--prompt", "Hello", "--system", "Be kind.",
                                       *self.FAST, "--json"))
        got = self.lines(["generate", *self.FAST],
                         [{"id": "a", "prompt": "Hello", "system": "Be kind."},
                          {"id": "b", "prompt": "Hello", "images": ["nowhere.png"]},
                          {"id": "c", "prompt": "Hello", "max_new_tokens": 2},
                          {"id": "d"}, {"id": "e", "prompt": "x", "max_new_tokens": 0}])
        self.assertEqual(got[0]["token_ids"], one["token_ids"])
        self.assertEqual(got[0]["prompt_ids"], one["prompt_ids"])
        self.assertEqual([g["id"] for g in got], list("abcde"))
        self.assertIn("nowhere.png", got[1]["error"])
        self.assertEqual(len(got[2]["token_ids"]), 2)
        self.assertIn("prompt", got[3]["error"])
        self.assertIn("max_new_tokens", got[4]["error"])

    def test_reads_the_prompt_from_a_file_or_standard_input(self):
        path = self.file("prompt.txt", "Gr\u00fc\u00dfe\n".encode())
        got = [json.loads(self.succeeds("generate", "--prompt-file", name, *self.FAST, "--json",
                                        stdin="Gr\u00fc\u00dfe\n"))["prompt_ids"]
               for name in (path, "-")]
        self.assertEqual(got[0], got[1])
        self.fails(1, "No such file", "generate", "--prompt-file", "nowhere.txt", *self.FAST)

    def test_repeats_itself_with_a_seed_and_not_without_it(self):
        hot = ["generate", "--prompt", "Hello", "--model", RANDOM, "--temperature", "2",
               "--max-new-tokens", "12", "--ignore-eos", "--threads", "1", "--json", "--seed"]
        ids = [json.loads(self.succeeds(*hot, seed))["token_ids"] for seed in ("1", "1", "2")]
        self.assertEqual(ids[0], ids[1])
        self.assertNotEqual(ids[0], ids[2])

    def test_refuses_what_the_model_cannot_do(self):
        self.fails(2, "logprobs", "generate", "--prompt", "x", *self.FAST, "--logprobs", "100000")
        self.fails(1, "CUDA", "generate", "--prompt", "x", *self.FAST, "--device", "cuda")
        self.fails(1, "No such file", "generate", "--prompt", "x", "--image", "nowhere.png",
                   *self.FAST)

    def test_dumps_tensors(self):
        self.succeeds("generate", "--prompt", "x", *self.FAST, "--dump", self.file("dump"))
        names = os.listdir(self.file("dump"))
        self.assertTrue(names and all(n.endswith(".safetensors") for n in names), names)
        self.fails(1, "dump", "generate", "--prompt", "x", *self.FAST, "--dump",
                   self.file("no/such/dump"))


class Measure(Case):
    FAST = ["--model", RANDOM, "--max-new-tokens", "4", "--threads", "1"]
    QUESTIONS = {
        "detect": ["--label", "liver"],
        "size": ["--label", "tumor", "--pixel-size", "0.5"],
        "distance": ["--points", "a;b", "--pixel-size", "0.5"],
        "angle": ["--line1", "a;b", "--line2", "c;d", "--pixel-size", "0.5"],
    }

    def test_prints_what_there_is_when_the_answer_does_not_parse(self):
        for task, question in self.QUESTIONS.items():
            out = self.succeeds(task, PICTURE, *question, *self.FAST, code=3)
            self.assertTrue(out.startswith(PICTURE + "  "), out)
            self.assertIn("no answer: expected ", out)
            self.assertIn("cut off after 4 tokens", out)

    def test_writes_the_documented_object(self):
        rest = ["values", "parsed", "answer", "answer_text", "response", "steps", "landmarks",
                "recomputed", "arithmetic_error", "usage", "finish_reason", "timings_ms",
                "speculation"]
        spaced = ["unit", "image_size", "pixel_size"]
        asked = {"detect": ["label", "image_size"], "size": ["label"] + spaced,
                 "distance": ["name", "points"] + spaced,
                 "angle": ["name", "line1", "line2"] + spaced}
        for task, question in self.QUESTIONS.items():
            out = self.succeeds(task, PICTURE, *question, *self.FAST, "--json", code=3)
            got = json.loads(out)
            self.assertEqual(list(got), ["task", "image"] + asked[task] + rest)
            self.assertEqual((got["task"], got["image"], got["parsed"]), (task, PICTURE, False))
            self.assertEqual((got["values"], got["answer"]), (None, ""))
            self.assertEqual(got["image_size"], [504, 504])
            self.assertEqual(list(got["speculation"]), ["steps", "drafted", "accepted"])
            spoken = got["speculation"]
            self.assertEqual(spoken["steps"] + spoken["accepted"], 4)
            plain = json.loads(self.succeeds(task, PICTURE, *question, *self.FAST, "--json",
                                             "--speculate", "off", "--prefix-cache", "off",
                                             code=3))
            self.assertEqual(plain["speculation"], {"steps": 4, "drafted": 0, "accepted": 0})
            self.assertEqual(plain["response"], got["response"])

    def test_keeps_what_it_learned_in_a_bank_of_drafts(self):
        bank, question = self.file("drafts.jsonl"), ["--label", "tumor", "--pixel-size", "0.5"]
        asked = ["size", "tests/data/samples/phantom1.png", *question, "--json", "--draft-bank", bank]
        first, second = (json.loads(self.succeeds(*asked)) for _ in range(2))
        self.assertEqual(first["response"], second["response"])
        self.assertLess(second["speculation"]["steps"], first["speculation"]["steps"])
        with open(bank) as f:
            head, pattern = (json.loads(line) for line in list(f)[:2])
        self.assertEqual((head["format"], head["version"]), ("medvision drafts", 1))
        self.assertEqual(pattern["family"], "size")
        with open(bank, "w") as f:
            f.write("not drafts")
        self.fails(1, "drafts.jsonl: line 1", *asked)
        with open(bank) as f:
            self.assertEqual(f.read(), "not drafts")

    def test_answers_manifest_lines_of_any_task(self):
        lines = [{"id": 1, "task": "size", "image": PICTURE, "label": "tumor",
                  "pixel_size": [0.5, 0.5]},
                 {"id": 2, "image": PICTURE, "label": "liver", "reshape": [56, 84]},
                 {"id": 3, "task": "size", "image": PICTURE, "label": "tumor"},
                 {"id": 4, "task": "count", "image": PICTURE},
                 {"id": 5, "task": "angle", "image": PICTURE, "line1": ["a", "b"],
                  "line2": ["c", "d"], "pixel_size": [1, 1]}]
        got = self.lines(["detect", *self.FAST], lines)
        self.assertEqual([g["id"] for g in got], [1, 2, 3, 4, 5])
        self.assertEqual([g.get("task") for g in got], ["size", "detect", None, None, "angle"])
        self.assertEqual(got[1]["image_size"], [84, 56])
        self.assertIn("pixel_size", got[2]["error"])
        self.assertIn("task", got[3]["error"])

    def test_goes_on_after_a_picture_that_fails(self):
        p = run("detect", PICTURE, "nowhere.png", PICTURE, "--label", "x", *self.FAST, "--json")
        self.assertEqual(p.returncode, 1)
        self.assertEqual(p.stdout.count(b"\n"), 2)
        self.assertEqual(p.stderr.count(b"\n"), 1)
        self.assertIn(b"nowhere.png", p.stderr)

    def test_draws_overlays(self):
        out = self.file("seen.png")
        self.succeeds("detect", PICTURE, "--label", "x", *self.FAST, "--overlay", out, code=3)
        self.assertEqual(os.listdir(self.folder), ["seen.png"])
        self.succeeds("detect", PICTURE, PICTURE, "--label", "x", *self.FAST, "--overlay",
                      self.file("two.png"), code=3)
        self.assertEqual(sorted(os.listdir(self.folder)), ["seen.png", "two-1.png", "two-2.png"])
        self.fails(1, "overlay.png", "detect", PICTURE, "--label", "x", *self.FAST, "--overlay",
                   self.file("no/overlay.png"))

    def test_leaves_nothing_half_written_on_a_full_disk(self):
        self.fails(1, "/dev/full", "detect", PICTURE, "--label", "x", *self.FAST, "--overlay",
                   "/dev/full/overlay.png")

    def test_asks_what_prompt_shows(self):
        question = self.QUESTIONS["size"]
        prompt = self.succeeds("prompt", "size", PICTURE, *question, "--model", RANDOM)[:-1]
        ids = json.loads(self.succeeds("tokenize", "--json", "--model", RANDOM, stdin=prompt))["ids"]
        got = json.loads(self.succeeds("size", PICTURE, *question, *self.FAST, "--json", code=3))
        room = got["usage"]["prompt_tokens"] - got["usage"]["image_tokens"]
        self.assertGreater(room, len(ids))


if __name__ == "__main__":
    os.chdir(ROOT)
    unittest.main(verbosity=1)
