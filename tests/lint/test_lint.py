"""The rules of lint.py catch what they are for. Standard library only."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint  # noqa: E402

BASE = {"runtime/CMakeLists.txt": "add_library(mv_base STATIC error.c text.c)\n",
        "runtime/error.h": "#ifndef MV_RUNTIME_ERROR_H\n#define MV_RUNTIME_ERROR_H\n#endif\n",
        "runtime/error.c": '#include "runtime/error.h"\n',
        "runtime/engine.h": "#ifndef MV_RUNTIME_ENGINE_H\n#define MV_RUNTIME_ENGINE_H\n#endif\n",
        "runtime/engine.c": '#include "runtime/engine.h"\n',
        "vision/png.h": "#ifndef MV_VISION_PNG_H\n#define MV_VISION_PNG_H\n#endif\n"}


def offences(rule, files):
    """What a rule says about a small source tree."""
    with tempfile.TemporaryDirectory() as root:
        for name, text in {**BASE, **files}.items():
            os.makedirs(os.path.join(root, os.path.dirname(name)), exist_ok=True)
            with open(os.path.join(root, name), "w", encoding="utf-8") as f:
                f.write(text)
        lint.ROOT = root
        lint.FILES = lint.list_files()
        return lint.RULES[rule]()


class Rules(unittest.TestCase):
    def check(self, rule, name, good, bad):
        self.assertEqual(offences(rule, {name: good}), [])
        found = offences(rule, {name: bad})
        self.assertEqual(len(found), 1, found)
        self.assertIn(name, found[0])

    def test_arrows(self):
        for name in ("runtime/text.c", "vision/jpeg.c", "kernels/x.c"):
            self.check("arrows", name, '#include "runtime/error.h"\n',
                       '#include "runtime/engine.h"\n')
        self.check("arrows", "kernels/x.c", "", '#include "vision/png.h"\n')
        self.check("arrows", "runtime/run.c", '#include "vision/png.h"\n',
                   '#include "tasks/t.h"\n')
        self.check("arrows", "vision/a.c", '#include "vision/png.h"\n', '#include "png.h"\n')
        self.check("arrows", "vision/a.c", '/*\n#include "runtime/engine.h"\n*/\n',
                   '#  include "runtime/engine.h"\n')

    def test_getenv(self):
        self.check("getenv", "kernels/x.c", "/* getenv(1) */ my_getenv(2);\n", 'f(getenv("A"));\n')
        self.assertEqual(offences("getenv", {"runtime/env.c": 'getenv("A");\n'}), [])

    def test_cuda(self):
        one = {"runtime/a.c": "#ifdef MV_HAVE_CUDA\n#endif\n"}
        two = {**one, "runtime/b.c": "#if defined(MV_HAVE_CUDA)\n#endif\n"}
        self.assertEqual(offences("cuda", one), [])
        self.assertEqual(len(offences("cuda", two)), 1)

    def test_headers(self):
        guard = "#ifndef MV_VISION_X_H\n#define MV_VISION_X_H\n%s\n#endif\n"
        self.check("headers", "vision/x.h", guard % "#include <stddef.h>\nsize_t f(void);",
                   guard % "size_t f(void);")
        self.check("headers", "vision/x.h", guard % "", (guard % "").replace("MV_VISION_X_H", "X_H"))
        self.check("headers", "vision/x.h", guard % "", guard % "void f(int *restrict x);")

    def test_quiet(self):
        for bad in ("printf(1);", "fprintf(stderr, 1);", "exit(1);", "abort();", "puts(1);"):
            self.check("quiet", "weights/a.c", 'mv_buf_printf("exit(1)"); w->exit(1); // puts(1)\n',
                       bad + "\n")
        self.check("quiet", "tasks/parse.c", "", "puts(1);\n")
        self.assertEqual(offences("quiet", {"tasks/cmd_a.c": "puts(1);\n"}), [])

    def test_allocation(self):
        self.check("allocation", "vision/a.c", "mv_free(p); ops->free(p);\n", "p = malloc(1);\n")

    def test_sizes(self):
        body = "  f();\n"
        fits = "int g(int a,\n      int b) {\n" + body * 117 + "}\n"
        self.check("sizes", "vision/a.c", fits, fits.replace("}\n", body + "}\n"))
        self.check("sizes", "vision/a.c", "struct a {\n" + body * 130 + "};\n", body * 601)
        self.check("sizes", "vision/a.c", "x" * 100 + "\n", "x" * 101 + "\n")
        self.assertEqual(offences("sizes", {"vision/a.c": "/* generated */\n" + body * 700}), [])

    def test_operations(self):
        files = {
            "kernels/ops.h": "/*\n *   add    kernels/add.h  sums\n */\ntypedef struct mv_ops {\n"
                             "  void (*add)(mv_device *, const mv_add_dims *);\n} mv_ops;\n",
            "kernels/add.h": "/* add: a + b */\nmv_cost mv_add_cost(int);\nvoid mv_add_cpu(int);\n",
            "kernels/add_cpu.c": "void mv_add_cpu(int a) {}\n",
            "tests/kernels/case_add.c": '= {"add", go};\n',
            "tests/kernels/test_kernels.c": '.op = "add"\n',
            "bench/kernel_table.c": '{.op = "add"}\n'}
        self.assertEqual(offences("operations", files), [])
        for name in files:
            if name != "kernels/ops.h":
                found = offences("operations", {**files, name: "\n"})
                self.assertGreater(len(found), 0, name)
        more = files["kernels/ops.h"].replace("} mv_ops", "  void (*sub)(mv_device *, const "
                                              "mv_sub_dims *);\n} mv_ops")
        self.assertEqual(len(offences("operations", {**files, "kernels/ops.h": more})), 1)


if __name__ == "__main__":
    unittest.main()
