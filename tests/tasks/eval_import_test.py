"""eval import from outside: generated volumes with landmarks, lesions and boxes to manifests, which
eval run then answers.

    eval_import_test.py MEDVISION
"""
import gzip
import json
import math
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import nifti_data  # noqa: E402

PROGRAM = os.path.abspath(sys.argv[1])


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def f16(x):
    return struct.unpack("e", struct.pack("e", x))[0]


class Import(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp()
        rng = random.Random(4)
        cls.zooms, cls.shapes = {}, {}
        for folder in ("volumes", "landmarks", "lesions", "boxes"):
            os.mkdir(os.path.join(cls.top, folder))
        for i in range(3):
            shape, zooms, _, data = nifti_data.volume(rng, i)
            name = "case%d" % i
            with open(os.path.join(cls.top, "volumes", name + ".nii.gz"), "wb") as f:
                f.write(gzip.compress(data, mtime=0))
            cls.zooms[name], cls.shapes[name] = [f32(z) for z in zooms], shape
        cls.save("landmarks/case0.json", {"slice_landmarks_z": [{"slice_idx": 5, "landmarks": {
            "P1": [2, 3, 5], "P2": [12, 9, 5], "P3": [4, 4, 5], "P4": [4, 15, 5]}}]})
        cls.save("landmarks/case1.json.gz", {"slice_landmarks_y": [{"slice_idx": 7, "landmarks": {
            "P5": [1, 7, 2], "P6": [9, 7, 11]}}]})
        cls.save("lesions/case1.json", {"slice_landmarks_x": [
            {"slice_idx": 3, "landmarks": [{"P1": [3, 2, 2], "P2": [3, 12, 10], "P3": [3, 5, 8], "P4": [3, 9, 5]}]},
            {"slice_idx": 4, "landmarks": [{}, {}]}]})
        cls.save("boxes/case2.json", {"slice_boxes_z": [
            {"slice_idx": 4, "label": 1, "min_coords": [[2, 3]], "max_coords": [[15, 14]]},
            {"slice_idx": 5, "label": 1, "min_coords": [[2, 3]], "max_coords": [[8, 14]]},
            {"slice_idx": 6, "label": 1, "min_coords": [[2, 3], [1, 1]], "max_coords": [[15, 14], [12, 12]]},
            {"slice_idx": 999, "label": 1, "min_coords": [[2, 3]], "max_coords": [[15, 14]]}]})

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    @classmethod
    def save(cls, name, data):
        text = json.dumps(data).encode()
        with open(os.path.join(cls.top, name), "wb") as f:
            f.write(gzip.compress(text) if name.endswith(".gz") else text)

    def run_import(self, out, *options, code=0):
        p = subprocess.run([PROGRAM, "eval", "import", os.path.join(self.top, "volumes"), "--data-dir",
                            os.path.join(self.top, out), *options], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, encoding="utf-8")
        self.assertEqual(p.returncode, code, p.stderr)
        found = {}
        if os.path.isdir(os.path.join(self.top, out)):
            for name in os.listdir(os.path.join(self.top, out)):
                with open(os.path.join(self.top, out, name), encoding="utf-8") as f:
                    found[name] = [json.loads(line) for line in f]
        return found, p.stderr

    def folder(self, name):
        return os.path.join(self.top, name)

    def test_distances_and_angles(self):
        found, _ = self.run_import("ad", "--dataset", "FeTA24", "--landmarks", self.folder("landmarks"))
        self.assertEqual(sorted(found), ["FeTA24_BiometricsFromLandmarks_Task01_Axial.jsonl",
                                         "FeTA24_BiometricsFromLandmarks_Task01_Coronal.jsonl"])
        lines = found["FeTA24_BiometricsFromLandmarks_Task01_Axial.jsonl"]
        self.assertEqual([q["doc"]["biometric_profile"]["metric_key"] for q in lines], ["L-1-2", "L-3-4", "A-x"])
        z = self.zooms["case0"]
        a = [10 * z[0], 6 * z[1], 0]
        self.assertEqual(lines[0]["truth"], [f16(math.sqrt(a[0] ** 2 + a[1] ** 2))])
        degrees = math.degrees(math.acos(abs(a[1]) / math.hypot(a[0], a[1])))
        self.assertAlmostEqual(lines[2]["truth"][0], degrees, delta=0.05)
        coronal = found["FeTA24_BiometricsFromLandmarks_Task01_Coronal.jsonl"][0]
        self.assertEqual(coronal["landmarks"], ["right parietal eminence ", "left parietal eminence"])
        self.assertEqual(coronal["doc"]["image_size_2d"],
                         [self.shapes["case1"][0], self.shapes["case1"][2]])

    def test_lesions(self):
        found, _ = self.run_import("tl", "--dataset", "BraTS24", "--task-id", "03", "--landmarks",
                                   self.folder("lesions"))
        (name, lines), = found.items()
        self.assertEqual(name, "BraTS24_TumorLesionSize_Task03_Sagittal.jsonl")
        z = self.zooms["case1"]
        self.assertEqual(len(lines), 1)
        self.assertEqual(lines[0]["truth"], [f16(math.hypot(10 * z[1], 8 * z[2])), f16(math.hypot(4 * z[1], 3 * z[2]))])
        self.assertEqual(lines[0]["label"], "enhancing brain tumor tissue")

    def test_boxes_and_a_run(self):
        found, _ = self.run_import("det", "--dataset", "BraTS24", "--boxes", self.folder("boxes"))
        (name, lines), = found.items()
        h, w = self.shapes["case2"][:2]
        self.assertEqual(len(lines), 1) # too small, two of a label, no such slice
        self.assertEqual(lines[0]["truth"], [3 / w, (h - 15) / h, 14 / w, (h - 2) / h])
        self.assertEqual(lines[0]["doc"]["bounding_boxes"]["dimensions"], [[14, 12]])
        tasks = self.folder("tasks.json")
        with open(tasks, "w", encoding="utf-8") as f:
            json.dump({name[:-6] + "-CoT": 1}, f)
        p = subprocess.run([PROGRAM, "eval", "run", "--tasks-list-json-path", tasks, "--data-dir",
                            self.folder("det"), "--results-dir", self.folder("run"), "--max-new-tokens",
                            "16"], stderr=subprocess.PIPE, encoding="utf-8", cwd=self.top)
        self.assertEqual(p.returncode, 0, p.stderr)
        p = subprocess.run([PROGRAM, "eval", "parse", "--task", "detect", "--task-dir", self.folder("run")],
                           stderr=subprocess.PIPE, encoding="utf-8")
        self.assertEqual((p.returncode, p.stderr), (0, ""))

    def test_says_what_is_wrong(self):
        _, err = self.run_import("x", "--dataset", "Nothing", "--boxes", self.folder("boxes"), code=2)
        self.assertIn("no detection task 01 of 'Nothing'", err)
        with open(os.path.join(self.top, "volumes", "broken.nii"), "wb") as f:
            f.write(b"broken")
        found, err = self.run_import("y", "--dataset", "BraTS24", "--boxes", self.folder("boxes"), code=1)
        os.remove(os.path.join(self.top, "volumes", "broken.nii"))
        self.assertIn("broken.nii: expected a NIfTI header", err)
        self.assertEqual(len(found), 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
