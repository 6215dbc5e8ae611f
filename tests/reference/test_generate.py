"""Makes every checkpoint of cases.py anew with the reference implementation and checks the built
program against it: the committed fixtures, and larger and odder shapes.

    python test_generate.py [--program build/medvision] [--folder build/reference] [--reuse]

Needs requirements.txt; without it prints `skip: reason` and exits 77. Prints every departure and
`N passed, N failed`. --reuse keeps checkpoints made by an earlier run.
"""
import argparse
import importlib.util
import os
import subprocess
import sys

import goldens
from cases import SPECS
from check_goldens import ROOT, check, find_program

HERE = os.path.dirname(os.path.abspath(__file__))
NEEDED = ("torch", "torchvision", "transformers", "tokenizers", "safetensors", "numpy", "PIL")


def make(folder, names):
    """In a process of its own: torch stays out of this one."""
    argv = [sys.executable, "-B", os.path.join(HERE, "make_checkpoints.py"), folder, "--only",
            ",".join(names)]
    return subprocess.run(argv, env=dict(os.environ, HF_HUB_OFFLINE="1")).returncode


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--program", default=os.path.join(ROOT, "build", "medvision"))
    ap.add_argument("--folder", default=os.path.join(ROOT, "build", "reference"))
    ap.add_argument("--reuse", action="store_true")
    a = ap.parse_args()
    missing = [m for m in NEEDED if importlib.util.find_spec(m) is None]
    program = find_program(a.program)
    if missing or not program:
        print("skip: %s" % ("Python lacks " + ", ".join(missing) if missing else
                            "%s is not built" % a.program))
        return 77
    made = {os.path.basename(f) for f in goldens.checkpoint_folders(a.folder)} if (
        a.reuse and os.path.isdir(a.folder)) else set()
    todo = [n for n in SPECS if n not in made]
    if todo and make(a.folder, todo) != 0:
        print("FAIL the reference could not make its checkpoints")
        return 1
    tally = goldens.Tally()
    check(program, a.folder, "both", None, tally)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
