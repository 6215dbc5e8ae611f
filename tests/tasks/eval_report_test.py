"""eval report from outside: tables, and the page in a headless browser where there is one.

    eval_report_test.py MEDVISION
"""
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv[1])
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def record(i, target, answer, doc):
    return {"doc_id": i, "doc": dict(doc, dataset_name="MSD", image_file="none.nii.gz", slice_dim=2,
                                     slice_idx=i, image_size_2d=[100, 100]),
            "target": str(target), "resps": [["<think> <step-1-answer> (0.1, 0.1), (0.5, 0.5) "
                                              "</step-1-answer> </think> <answer> %s </answer>" % answer]],
            "filtered_resps": [answer], "input": "a </script> prompt"}


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp()
        parsed = os.path.join(cls.top, "results", "my model", "parsed")
        os.makedirs(parsed)
        box = {"taskID": "01", "taskType": "Box-Size", "label": 1}
        size = {"taskID": "01", "taskType": "Tumor-Lesion-Size", "label": 1}
        rows = [record(i, [0.1, 0.1, 0.5, 0.5], "0.1,0.1,0.5,%.2f" % (0.3 if i % 2 else 0.5), box)
                for i in range(60)]
        for r in rows:
            r["box_img_ratio"] = 0.16
        cls.write(parsed, "20260101_000000_samples_MSD_BoxCoordinate_Task01_Axial.jsonl", rows)
        rows = [record(i, [20.0, 10.0], "" if i % 4 == 3 else "22.0,11.0", size) for i in range(40)]
        cls.write(parsed, "20260101_000001_samples_MSD_TumorLesionSize_Task01_Axial.jsonl", rows)
        cls.out = [os.path.join(cls.top, "b" + e) for e in (".md", ".csv", ".json", ".html")]
        args = [PROGRAM, "eval", "report", os.path.join(cls.top, "results") + "/", "--out", cls.out[3]]
        for path in cls.out[:3]:
            args += ["--table", path]
        p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        assert (p.returncode, p.stdout, p.stderr) == (0, "", ""), p

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    @staticmethod
    def write(folder, name, rows):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write("".join(json.dumps(r) + "\n" for r in rows))

    def read(self, i):
        with open(self.out[i], encoding="utf-8") as f:
            return f.read()

    def values(self):
        return {(r["table"], r["part"], r["column"]): r for r in csv.DictReader(self.read(1).splitlines())
                if r["source"] == "here"}

    def test_values_and_intervals(self):
        v = self.values()
        iou = v["Detection", "Tumor/Lesion", "IoU"]
        self.assertAlmostEqual(float(iou["value"]), 75, 3)
        self.assertLess(float(iou["low"]), 75)
        self.assertGreater(float(iou["high"]), 75)
        self.assertEqual(iou["samples"], "60")
        self.assertAlmostEqual(float(v["Tumor/lesion size", "Tumor/Lesion size", "MRE"]["value"]), 10, 3)
        self.assertAlmostEqual(float(v["Tumor/lesion size", "Tumor/Lesion size", "SR"]["value"]), 75, 3)
        self.assertNotIn(("Detection", "Anatomy", "IoU"), v)

    def test_breakdowns(self):
        data = json.loads(self.read(2))
        self.assertEqual(len(data["published"]), 13)
        kinds = {(b["task"], b["by"]) for b in data["models"][0]["breakdown"]}
        self.assertEqual(kinds, {("detect", "label"), ("detect", "anatomy"), ("detect", "plane"),
                                 ("detect", "box size"), ("size", "label"), ("size", "anatomy"),
                                 ("size", "plane")})

    def test_markdown_has_the_published_rows(self):
        text = self.read(0)
        self.assertIn("| **my model** |", text)
        self.assertIn("| MedVision-V0 (7B) | 81.3 | 80.4 | 79.1 | 72.0 | 100.0 | 80.1 |", text)

    def test_page_is_whole_and_asks_nobody(self):
        page = self.read(3)
        self.assertEqual(page.count("</script>"), page.count("<script"))
        self.assertFalse(re.findall(r"(?:src|href)=\"(?!#|data:)[^\"]", page))
        self.assertNotIn("http", re.sub(r"http://www.w3.org/2000/svg", "", page).replace("http-equiv", ""))

    def test_page_runs_in_a_browser(self):
        browser = next(filter(None, map(shutil.which, BROWSERS)), None)
        if not browser:
            self.skipTest("no headless browser")
        p = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
                            "file://" + self.out[3]], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, encoding="utf-8", timeout=120)
        self.assertRegex(p.stdout, 'data-ready="[0-9]+"')
        self.assertIn("100 of 100", p.stdout)
        self.assertEqual(p.stdout.count("<figure>"), 4)
        self.assertIn("a &lt;/script&gt; prompt", p.stdout)

    def test_refuses_a_folder_without_answers(self):
        p = subprocess.run([PROGRAM, "eval", "report", self.top + "/results/my model/parsed", "--out",
                            "x.html"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        self.assertEqual(p.returncode, 1)
        self.assertIn("no parsed logs", p.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
