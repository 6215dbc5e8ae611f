"""Installs the library, builds the C example against it both ways, and runs both examples.

    python3 tests/smoke/library_test.py BUILD_DIR
"""
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TINY = os.path.join(ROOT, "weights", "tiny")
PICTURE = os.path.join(ROOT, "tests", "data", "samples", "phantom1.png")


def run(*words, **options):
    p = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       timeout=300, check=False, **options)
    if p.returncode:
        sys.exit("%s: exit %d\n%s" % (" ".join(words), p.returncode, p.stdout))
    return p.stdout


def check_symbols(library):
    names = [line.split()[-1].split("@")[0]
             for line in run("nm", "-D", "--defined-only", library).splitlines()]
    strangers = [n for n in names if not n.startswith("mv_") and n != "MEDVISION_0"]
    if strangers or "mv_engine_submit" not in names or "mv_job_new" in names:
        sys.exit("the shared library shows: %s" % " ".join(strangers or names))


def compile_example(prefix, lib, how):
    flags = ["pkg-config", "--cflags", "--libs"]
    env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(lib, "pkgconfig"))
    words = run(*flags, *(["--static"] if how == "static" else []), "medvision", env=env).split()
    if how == "static":
        words = [os.path.join(lib, "libmedvision.a") if w == "-lmedvision" else w for w in words]
    program = os.path.join(prefix, "ask_" + how)
    run(os.environ.get("CC", "cc"), "-std=c11", os.path.join(ROOT, "bench", "examples", "ask.c"),
        *words, "-o", program)
    return program


def main():
    build = os.path.abspath(sys.argv[1])
    for tool in ("cc", "pkg-config", "nm"):
        if not shutil.which(tool):
            print("skip: no %s" % tool)
            return 77
    with tempfile.TemporaryDirectory() as prefix:
        run("cmake", "--install", build, "--prefix", prefix)
        found = [os.path.join(d, "libmedvision.so") for d, _, files in os.walk(prefix)
                 if "libmedvision.so" in files]
        shared, lib = found[0], os.path.dirname(found[0])
        check_symbols(shared)
        env = dict(os.environ, LD_LIBRARY_PATH=lib)
        answers = {run(compile_example(prefix, lib, how), TINY, PICTURE, "Where is the tumor?",
                       env=env) for how in ("shared", "static")}
        if len(answers) != 1 or not answers.pop().strip():
            sys.exit("the two examples answer differently, or nothing")
        example = os.path.join(ROOT, "bench", "examples", "ask.py")
        said = run(sys.executable, example, shared, TINY, "Hello", "How long is it?")
        if said.count(" -> ") != 2:
            sys.exit("ask.py printed: " + said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
