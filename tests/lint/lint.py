"""Rules that must not decay, as tests: `lint.py RULE`, or all of them. Standard library only.

Looks at the files git knows (at all files below the source directories where there is no git).
Every offence is one line, "file:line: what is wrong"; the exit code is 1 when there is any.
"""
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MIDDLE = ("kernels", "weights", "vision", "tokenizer")
LIBRARIES = ("runtime",) + MIDDLE
SOURCES = LIBRARIES + ("tasks", "bench", "tests")

MAX_FUNCTION_LINES = 120
MAX_FILE_LINES = 600
MAX_COLUMNS = 100


# ---- files ----------------------------------------------------------------------------------

def list_files():
    try:
        out = subprocess.run(["git", "-C", ROOT, "ls-files", *SOURCES], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, check=True, encoding="utf-8").stdout
        names = [n for n in out.splitlines() if os.path.exists(os.path.join(ROOT, n))]
    except (OSError, subprocess.CalledProcessError):
        names = []
    if names:
        return names
    return sorted(os.path.relpath(os.path.join(folder, name), ROOT)
                  for top in SOURCES for folder, _, files in os.walk(os.path.join(ROOT, top))
                  for name in files)


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


FILES = list_files()


def c_files(*folders, endings=(".c", ".h", ".inc")):
    return [n for n in FILES if n.endswith(endings) and n.split("/")[0] in folders]


LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'')
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|' + LITERAL.pattern, re.S)


def code_of(text, keep_strings=False):
    """The text without comments and literals, line by line where it was."""
    def blank(match):
        piece = match.group(0)
        if keep_strings and piece[0] in "\"'":
            return piece
        if piece[0] in "\"'":
            return piece[0] * 2
        return " " + "\n" * piece.count("\n")
    return TOKEN.sub(blank, text)


def find(pattern, text):
    """(line number, matched text) of every match."""
    for match in re.finditer(pattern, text, re.M):
        yield text.count("\n", 0, match.start()) + 1, match.group(0).strip()


def forbid(names, pattern, reason):
    return ["%s:%d: %s (%s)" % (name, line, found, reason)
            for name in names for line, found in find(pattern, code_of(read(name)))]


# ---- rules ----------------------------------------------------------------------------------

def base_modules():
    """Names of the modules of the runtime base: the sources of mv_base, and headers alone."""
    listed = re.search(r"add_library\(mv_base STATIC([^)]*)\)", read("runtime/CMakeLists.txt"))
    base = {os.path.splitext(n)[0] for n in listed.group(1).split()}
    all_names = [os.path.basename(n) for n in c_files("runtime")]
    alone = {n[:-2] for n in all_names if n.endswith(".h") and n[:-2] + ".c" not in all_names}
    return base | (alone - {"medvision"})


def layer_of(name, base):
    """base, kernels, weights, vision, tokenizer, engine, tasks, bench or tests."""
    folder, module = name.split("/")[0], os.path.splitext(os.path.basename(name))[0]
    if folder != "runtime":
        return folder
    return "base" if module in base or re.sub(r"_[a-z]+$", "", module) in base else "engine"


def rule_arrows():
    """includes point one way: tasks, engine, {vision tokenizer weights kernels}, base"""
    base = base_modules()
    may = {"base": {"base"}, "engine": {"base", "engine", *MIDDLE}}
    may["tasks"] = may["engine"] | {"tasks"}
    may["bench"] = may["tests"] = may["tasks"] | {"bench", "tests"}
    for folder in MIDDLE:
        may[folder] = {"base", folder}
    bad = []
    for name in c_files(*SOURCES, endings=(".c", ".h", ".inc", ".cu", ".cuh")):
        layer = layer_of(name, base)
        for line, found in find(r'^\s*#\s*include\s+"[^"]+"', code_of(read(name), True)):
            target = found.split('"')[1]
            if not os.path.exists(os.path.join(ROOT, target)):
                if layer != "tests":  # the GPU simulator there has its own include path
                    bad.append("%s:%d: %s is not a path from the source root" %
                               (name, line, target))
            elif layer_of(target, base) not in may[layer]:
                bad.append("%s:%d: %s includes %s (%s)" %
                           (name, line, layer, layer_of(target, base), target))
    return bad


def operations():
    """(operation, contract header) of the table in kernels/ops.h."""
    for names, header in re.findall(r"^ \*   ([a-z_]+(?:, [a-z_]+)*)\s+(kernels/\w+\.h)",
                                    read("kernels/ops.h"), re.M):
        for name in names.split(", "):
            yield name, header


def rule_operations():
    """every operation has contract, cost, CPU twin, test and bench"""
    twins = "".join(read(n) for n in c_files("kernels") if n.endswith("_cpu.c"))
    cases = "".join(read(n) for n in FILES if n.startswith("tests/kernels/case_"))
    tests, bench = read("tests/kernels/test_kernels.c"), read("bench/kernel_table.c")
    bad, named = [], dict(operations())
    for op, header in named.items():
        contract = read(header)
        for what, where, missing in (
                (r"(?:^/?| )\*? ?%s[:,]" % op, contract, "head comment of " + header),
                (r"\bmv_%s_cpu\(" % op, contract, "declaration in " + header),
                (r"\bmv_%s_cost\(" % op, contract, "cost in " + header),
                (r"^void mv_%s_cpu\(" % op, twins, "CPU twin in kernels/*_cpu.c"),
                (r'\{"%s",' % op, cases, "case in tests/kernels/case_*.c"),
                (r'"%s"' % op, tests, "test in tests/kernels/test_kernels.c"),
                (r'\.op = "%s"' % op, bench, "bench in bench/kernel_table.c")):
            if not re.search(what, where, re.M):
                bad.append("kernels/ops.h: %s has no %s" % (op, missing))
    struct = re.search(r"typedef struct mv_ops \{(.*?)\n\} mv_ops;", read("kernels/ops.h"), re.S)
    pointers = re.findall(r"\(\*(\w+)\)\(mv_device \*, const mv_\w+_dims", struct.group(1))
    bad += ["kernels/ops.h: %s is not in the list of operations" % p
            for p in pointers if p not in named]
    return bad if named and pointers else ["kernels/ops.h: found no operations"]


def rule_getenv():
    """getenv only in runtime/env.c"""
    names = [n for n in c_files(*LIBRARIES, "tasks", "bench") if n != "runtime/env.c"]
    return forbid(names, r"\b(secure_)?getenv\s*\(", "only runtime/env.c reads the environment")


def rule_cuda():
    """the CUDA #ifdef only where the table of operations is chosen"""
    pattern = r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*\bMV_(?:HAVE_)?CUDA\b.*$"
    found = [(n, line) for n in c_files(*SOURCES) for line, _ in find(pattern, code_of(read(n)))]
    files = sorted({n for n, _ in found})
    return ["%s:%d: a second place that asks for CUDA (the first is %s)" % (n, line, files[0])
            for n, line in found if n != files[0]]


def compile_alone(names, compiler, arguments):
    bad = []
    for name in names:
        done = subprocess.run([compiler, *arguments, "-fsyntax-only", "-I", ROOT,
                               "-D_POSIX_C_SOURCE=200809L", os.path.join(ROOT, name)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
        if done.returncode != 0:
            bad.append("%s does not compile alone (%s):\n%s" %
                       (name, compiler, "\n".join(done.stdout.splitlines()[:4])))
    return bad


def rule_headers():
    """every header compiles alone as C11, and those of kernels and base as C++17"""
    names = [n for n in c_files(*SOURCES, endings=(".h",))
             if not n.startswith(("kernels/cuda_", "tests/cudasim/"))]
    base = base_modules()
    shared = [n for n in names if n.startswith("kernels/") and not n.startswith("kernels/cpu") or
              n.startswith("runtime/") and layer_of(n, base) == "base"]
    c, cxx = os.environ.get("CC") or "cc", os.environ.get("CXX") or "c++"
    if not shutil.which(c):
        return ["no C compiler"]
    bad = compile_alone(names, c, ["-x", "c", "-std=c11", "-Wall", "-Wextra", "-Wno-unused-function",
                                   "-Werror"])
    if shutil.which(cxx):
        bad += compile_alone(shared, cxx, ["-x", "c++", "-std=c++17", "-Wall", "-Werror"])
    for name in names:
        guard = "MV_" + re.sub(r"[/.]", "_", name).upper()
        if "#ifndef %s\n#define %s\n" % (guard, guard) not in read(name):
            bad.append("%s: expected the guard %s" % (name, guard))
    return bad + forbid(names, r"\brestrict\b", "nvcc does not know it")


def library_sources():
    return c_files(*LIBRARIES) + [
        n for n in c_files("tasks")
        if not os.path.basename(n).startswith(("cli_", "cli.", "cmd_", "main.", "server"))]


def rule_quiet():
    """libraries neither print nor exit"""
    pattern = (r"(?<![\w.>])(?:v?printf|puts|putchar|perror|exit|_exit|_Exit|abort|system)\s*\(|"
               r"\b(?:stdout|stderr)\b")
    return forbid(library_sources(), pattern, "errors are values; output is the command's")


def rule_allocation():
    """libraries allocate only through runtime/memory.h"""
    names = [n for n in library_sources() if n != "runtime/memory.c"]
    pattern = r"(?<![\w.>])(?:malloc|calloc|realloc|free|aligned_alloc|strdup|strndup)\s*\("
    return forbid(names, pattern, "allocate with runtime/memory.h")


def functions(code):
    """(first line, lines, head) of every function: a top-level block after a parameter list."""
    code = re.sub(r'^extern "" \{$', "", code, flags=re.M)
    depth, start, statement = 0, 0, 0
    for match in re.finditer(r"[{};]|^[ \t]*#(?:.*\\\n)*.*$", code, re.M):
        token = match.group(0)
        if token == "{":
            if depth == 0:
                start = match.start()
            depth += 1
        elif token == "}" and depth > 0:
            depth -= 1
            head = code[statement:start].strip()
            if depth == 0 and head.endswith(")") and "=" not in head:
                first = code.count("\n", 0, start) - head.count("\n") + 1
                yield first, code.count("\n", 0, match.start()) + 2 - first, head
        if depth == 0:
            statement = match.end()


def rule_sizes():
    """functions, files and lines stay readable"""
    bad, longest = [], (0, "")
    for name in c_files(*SOURCES, endings=(".c", ".h", ".cu", ".cuh")):
        text = read(name)
        lines = text.splitlines()
        generated = "generated" in "\n".join(lines[:3]).lower()
        if len(lines) > MAX_FILE_LINES and not generated:
            bad.append("%s: %d lines (at most %d)" % (name, len(lines), MAX_FILE_LINES))
        bad += ["%s:%d: %d columns" % (name, i + 1, len(line))
                for i, line in enumerate(lines) if len(line) > MAX_COLUMNS]
        for first, n, head in functions(code_of(text)):
            title = re.sub(r"^START_TEST\((\w+)\)$|\(.*", r"\1", head, flags=re.S).split()[-1]
            where = "%s:%d: %s" % (name, first, title)
            longest = max(longest, (n, where))
            if n > MAX_FUNCTION_LINES:
                bad.append("%s has %d lines (at most %d)" % (where, n, MAX_FUNCTION_LINES))
    print("longest function: %d lines, %s" % longest)
    return bad


RULES = {name[5:]: value for name, value in sorted(globals().items())
         if name.startswith("rule_")}


def main(arguments):
    failed = 0
    for name in arguments or RULES:
        if name not in RULES:
            print("no rule %s; there are: %s" % (name, " ".join(RULES)))
            return 2
        bad = RULES[name]()
        print("%s: %s" % (name, RULES[name].__doc__))
        for line in bad:
            print("  " + line)
        failed += len(bad)
    print("%d offences in %d files" % (failed, len(FILES)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
