"""What nvcc makes of the kernels, without a GPU. Standard library only.

    static_check.py [--update] [--arch 80,89,90a,100] [kernels/*.cu ...]

Compiles every .cu for every architecture. A kernel with a stack frame or a spill fails, unless the
.cu says why in a comment: "may spill: NAME (reason)", or for one architecture "may spill@100: ...". Registers and shared memory are compared with
the committed table, tests/data/cudasim/resources.txt: more of either than the same nvcc gave then
fails; a kernel or a file not yet in the table is named. --update writes the table anew.

Where nvdisasm is found (on PATH, or of PyPI's nvidia-cuda-nvdisasm), the machine code is searched:
no kernel may touch local memory, and a comment of the .cu can ask for more:

    sass prefill_kernel: HMMA LDSM LDG.128      every kernel of that name has these instructions
    sass@90a gemm_kernel: HGMMA not HMMA        ... on that architecture; and lacks those after "not"
    sass@90a some_kernel: LDG>ACQBULK           the one before the other: loads ahead of a wait

A kernel that waits for those ahead of it (ACQBULK) writes nothing before, and reads no more of global
memory than a line like the last says: what no kernel of a step writes.

Exit code 77: no nvcc, or no kernels.
"""
import concurrent.futures
import glob
import os
import re
import shutil
import site
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABLE = os.path.join(ROOT, "tests", "data", "cudasim", "resources.txt")
ARCHITECTURES = "80,89,90a,100"
WRITES = ("STG", "ST", "RED", "ATOMG", "ATOM", "UTMASTG")  # global memory, or any
READS = ("LDG", "LD", "LDGSTS", "UTMALDG", "UBLKCP")
FIELDS = ("registers", "shared", "stack", "spill_stores", "spill_loads")


def skip(reason):
    print("skip: " + reason)
    sys.exit(77)


def find_nvcc():
    found = shutil.which("nvcc")
    usual = "/usr/local/cuda/bin/nvcc"
    return found or (usual if os.path.exists(usual) else None)


def nvcc_version(nvcc):
    text = subprocess.run([nvcc, "--version"], stdout=subprocess.PIPE, encoding="utf-8").stdout
    return re.search(r"V([\d.]+)", text).group(1)


def find_nvdisasm():
    found = shutil.which("nvdisasm")
    folders = [] if found else site.getsitepackages() + [site.getusersitepackages()]
    for folder in folders:
        for path in glob.glob(os.path.join(folder, "nvidia", "*", "bin", "nvdisasm")):
            return path
    return found


# ---- compiling ------------------------------------------------------------------------------

def shorten(text):
    """A demangled name without the return type and the parameters."""
    depth = 0
    for i, char in enumerate(text):
        depth += {"<": 1, ">": -1}.get(char, 0)
        if char == "(" and depth == 0 and not text.startswith("(anonymous", i):
            text = text[:i]
            break
    text = re.sub(r"^void ", "", text)
    text = re.sub(r"\((?:unsigned )?(?:int|bool|\w+)\)", "", text)  # casts of template arguments
    return text.replace(" ", "")


def demangle(names):
    if not names or not shutil.which("c++filt"):
        return dict(zip(names, names))
    out = subprocess.run(["c++filt"], input="\n".join(names), stdout=subprocess.PIPE,
                         encoding="utf-8").stdout.splitlines()
    return {name: shorten(text) for name, text in zip(names, out)}


def parse_ptxas(text):
    """{mangled kernel: {field: number}} of ptxas -v."""
    kernels, current = {}, None
    for line in text.splitlines():
        match = re.search(r"Compiling entry function '(\w+)'", line)
        if match:
            current = kernels.setdefault(match.group(1), dict.fromkeys(FIELDS, 0))
        match = re.search(r"Function properties for (\w+)", line)
        if match:
            current = kernels.get(match.group(1))
        if current is None:
            continue
        for field, pattern in (("stack", r"(\d+) bytes stack frame"),
                               ("spill_stores", r"(\d+) bytes spill stores"),
                               ("spill_loads", r"(\d+) bytes spill loads"),
                               ("registers", r"Used (\d+) registers"),
                               ("shared", r"(\d+) bytes smem")):
            match = re.search(pattern, line)
            if match:
                current[field] = int(match.group(1))
    return kernels


def compile_for(nvcc, source, arch, cubin):
    run = subprocess.run([nvcc, "-std=c++17", "-O3", "-I", ROOT, "-arch=sm_" + arch, "-cubin",
                          "-Xptxas", "-v", "-o", cubin, source], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, encoding="utf-8")
    if run.returncode:
        return None, ["%s, sm_%s:\n%s" % (os.path.relpath(source, ROOT), arch, run.stdout)]
    return parse_ptxas(run.stdout), []


# ---- machine code ---------------------------------------------------------------------------

def sass_rules(text, arch):
    """[(kernel name, wanted, unwanted)] from the comments of a .cu."""
    spilling = {kernel for at, kernel in re.findall(r"may spill(?:@(\w+))?: (\w+) \(", text)
                if not at or at == arch}
    rules = []
    for at, name, want, _, unwanted in re.findall(
            r"^[ */]*sass(?:@(\w+))? (\w+):([ \w.>]*?)( not ([ \w.]*))?(?: \*/)?$", text, re.M):
        if not at or at == arch:
            rules.append((name, want.split(), unwanted.split()))
    return spilling, rules


def has_word(kernel, name):
    return kernel in re.split(r"\W+", name)


def is_op(found, op):
    """LDG.E.128.CONSTANT is "LDG.128"."""
    head, *rest = op.split(".")
    return found[0] == head and set(rest) <= set(found)


def find_op(ops, op):
    return next((i for i, found in enumerate(ops) if is_op(found, op)), len(ops))


def has_op(ops, op):
    """Whether "A" is there, or "A>B": and before any B."""
    first, _, then = op.partition(">")
    return find_op(ops, first) < (find_op(ops, then) if then else len(ops))


def early_ops(ops, rules):
    """What comes before the wait and must not; `rules` are the kernel's own."""
    wait = find_op(ops, "ACQBULK")
    if wait == len(ops):
        return set()
    meant = [op[:-len(">ACQBULK")] for _, wanted, _ in rules for op in wanted
             if op.endswith(">ACQBULK")]
    return {".".join(op) for op in ops[:wait]
            if op[0] in WRITES or op[0] in READS and not any(is_op(op, m) for m in meant)}


def check_sass(text, arch, cubin, nvdisasm, short):
    out = subprocess.run([nvdisasm, "-c", cubin], stdout=subprocess.PIPE, encoding="utf-8",
                         check=True).stdout
    problems, matched = [], set()
    spilling, rules = sass_rules(text, arch)
    for section in re.split(r"^\s*\.section\s+\.text\.", out, flags=re.M)[1:]:
        name = short.get(re.match(r"[\w$]+", section).group(0), "?")
        ops = [op.split(".") for op in
               re.findall(r"/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", section)]
        local = {"LDL", "STL"} & {op[0] for op in ops}
        early = early_ops(ops, [rule for rule in rules if has_word(rule[0], name)])
        problems += ["%s, sm_%s: %s before ACQBULK" % (name, arch, op) for op in sorted(early)]
        if local and not any(has_word(kernel, name) for kernel in spilling):
            problems.append("%s, sm_%s: touches local memory (%s)" % (name, arch, " ".join(local)))
        for kernel, wanted, unwanted in rules:
            if not has_word(kernel, name):
                continue
            matched.add(kernel)
            if len(ops) < 8:  # a body left empty for this architecture
                continue
            problems += ["%s, sm_%s: no %s" % (name, arch, op) for op in wanted if not has_op(ops, op)]
            problems += ["%s, sm_%s: has %s" % (name, arch, op) for op in unwanted if has_op(ops, op)]
    problems += ["a sass line names %s, which is not there" % kernel
                 for kernel, _, _ in rules if kernel not in matched]
    return problems


# ---- one .cu, one architecture --------------------------------------------------------------

def check(tools, source, arch):
    """({(file, arch, kernel): fields}, problems)"""
    nvcc, nvdisasm = tools
    name = os.path.relpath(source, ROOT)
    with open(source, encoding="utf-8") as f:
        text = f.read()
    with tempfile.TemporaryDirectory() as folder:
        cubin = os.path.join(folder, "kernels.cubin")
        kernels, problems = compile_for(nvcc, source, arch, cubin)
        if kernels is None:
            return {}, problems
        short = demangle(list(kernels))
        if nvdisasm:
            problems += [name + ": " + p for p in check_sass(text, arch, cubin, nvdisasm, short)]
    rows = {}
    spilling = sass_rules(text, arch)[0]
    for mangled, fields in kernels.items():
        rows[(name, arch, short[mangled])] = fields
        if any(has_word(kernel, short[mangled]) for kernel in spilling):
            continue
        problems += ["%s, sm_%s, %s: %d bytes of %s" % (name, arch, short[mangled], fields[f], f)
                     for f in ("stack", "spill_stores", "spill_loads") if fields[f]]
    return rows, problems


# ---- the table ------------------------------------------------------------------------------

def read_table():
    version, rows = None, {}
    if os.path.exists(TABLE):
        with open(TABLE, encoding="utf-8") as f:
            for line in f:
                words = line.split()
                if line.startswith("# nvcc"):
                    version = words[2]
                elif words and not line.startswith("#"):
                    rows[tuple(words[:3])] = dict(zip(FIELDS, map(int, words[3:])))
    return version, rows


def write_table(rows, version):
    with open(TABLE, "w", encoding="utf-8") as f:
        f.write("# nvcc %s\n# file arch kernel %s (bytes but for registers)\n" %
                (version, " ".join(FIELDS)))
        for key in sorted(rows):
            f.write("%s %s\n" % (" ".join(key), " ".join(str(rows[key][k]) for k in FIELDS)))


def compare(rows, table):
    problems = []
    for key, now in sorted(rows.items()):
        before = table.get(key)
        if before is None:
            print("note: %s, sm_%s, %s is not in the table (--update)" % key)
            continue
        problems += ["%s, sm_%s, %s" % key + ": %s %d, the table says %d" % (f, now[f], before[f])
                     for f in FIELDS if now[f] > before[f]]
    return problems


def main():
    args = sys.argv[1:]
    update = "--update" in args
    architectures = ARCHITECTURES
    if "--arch" in args:
        at = args.index("--arch")
        architectures = args[at + 1]
        del args[at:at + 2]
    sources = [os.path.abspath(a) for a in args if not a.startswith("-")]
    whole = not sources and architectures == ARCHITECTURES
    sources = sources or sorted(glob.glob(os.path.join(ROOT, "kernels", "*.cu")))
    tools = (find_nvcc(), find_nvdisasm())
    if not tools[0]:
        skip("no nvcc")
    if not sources:
        skip("no kernels")
    rows, problems = {}, []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(check, tools, source, arch)
                for source in sources for arch in architectures.split(",")]
        for job in jobs:
            more, bad = job.result()
            rows.update(more)
            problems += bad
    version, table = read_table()
    now = nvcc_version(tools[0])
    if update:
        write_table(rows if whole else {**table, **rows}, now)
        version, table = read_table()
    if version == now:
        problems += compare(rows, table)
    else:
        print("note: the table is of nvcc %s, this is %s" % (version, now))
    print("\n".join(problems))
    print("%d kernels, %d problems%s" % (len(rows), len(problems),
                                         "" if tools[1] else "; machine code not searched"))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
