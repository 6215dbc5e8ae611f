"""Checks the built program against the committed checkpoints in tests/data/reference.

    python3 tests/reference/check_goldens.py [--program build/medvision] [--dtype fp32|bf16|both]
                                             [--data tests/data/reference] [--only NAME]

Needs only Python's standard library. Prints every departure and `N passed, N failed`; exit code
1 when something failed, 77 with `skip: reason` when there is nothing to run.
"""
import argparse
import os
import shlex
import shutil
import sys

import goldens

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def find_program(text):
    """The command as a list, or None when it is not there."""
    argv = shlex.split(text)
    return argv if argv and shutil.which(argv[0]) else None


def check(program, root, dtype, only, tally):
    for folder in goldens.checkpoint_folders(root):
        if only and os.path.basename(folder) != only:
            continue
        if dtype in ("fp32", "both"):
            goldens.check_fp32(program, folder, root, tally)
        if dtype in ("bf16", "both"):
            goldens.check_bf16(program, folder, root, tally)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--program", default=os.path.join(ROOT, "build", "medvision"))
    ap.add_argument("--data", default=os.path.join(ROOT, "tests", "data", "reference"))
    ap.add_argument("--dtype", choices=("fp32", "bf16", "both"), default="both")
    ap.add_argument("--only")
    a = ap.parse_args()
    program = find_program(a.program)
    if not program:
        print("skip: %s is not built" % a.program)
        return 77
    tally = goldens.Tally()
    check(program, a.data, a.dtype, a.only, tally)
    if not tally.passed + tally.failed:
        print("no checkpoint %s in %s" % (a.only or "", a.data))
        return 1
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
