"""static_check.py finds what it is for: kernels that each have one fault, and one that has none."""
import os
import subprocess
import sys
import tempfile

CHECK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static_check.py")

# A frame: an array that is indexed at run time.
FRAME = """
__global__ void frame_kernel(const int *x, int *y) {
  int a[64];
  for (int i = 0; i < 64; i++) a[x[i] & 63] = x[i + 64];
  y[threadIdx.x] = a[threadIdx.x & 63];
}
"""
CLEAN = """
/* sass clean_kernel: LDG.E FFMA not LDG.128 */
__global__ void clean_kernel(const float *x, float *y) {
  y[threadIdx.x] = x[threadIdx.x] * x[threadIdx.x + 1] + x[threadIdx.x + 2];
}
"""
WAITS = """
/* sass clean_kernel: LDG>ACQBULK */
__global__ void clean_kernel(const float *x, float *y, int n) {
  EARLY
  const float first = x[threadIdx.x];
  if (n) asm volatile("griddepcontrol.wait;" ::: "memory");
  y[threadIdx.x] = first * 2;
}
"""
SOURCES = (
    (WAITS.replace("EARLY", ""), 0, ""),
    (WAITS.replace("EARLY", "y[n] = 0;"), 1, "STG.E before ACQBULK"),
    (WAITS.replace("EARLY", "").replace("LDG>ACQBULK", "LDG.128>ACQBULK"), 1, "LDG.E before ACQBULK"),
    (WAITS.replace("EARLY", "").replace("LDG>ACQBULK", "ACQBULK"), 1, "LDG.E before ACQBULK"),
    (WAITS.replace("EARLY", "").replace("LDG>ACQBULK", "ACQBULK>LDG"), 1, "no ACQBULK>LDG"),
    (FRAME, 1, "bytes of stack"),
    ("/* may spill: frame_kernel (a test) */" + FRAME, 0, ""),
    (CLEAN, 0, ""),
    (CLEAN.replace("LDG.E FFMA", "HMMA"), 1, "no HMMA"),
    (CLEAN.replace("not LDG.128", "not LDG"), 1, "has LDG"),
    (CLEAN.replace("sass clean_kernel", "sass other_kernel"), 1, "not there"),
    ("not CUDA", 1, "error"),
)


def main():
    failed = 0
    for text, code, word in SOURCES:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "planted.cu")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            run = subprocess.run([sys.executable, "-B", CHECK, "--arch", "90a", path],
                                 stdout=subprocess.PIPE, encoding="utf-8")
        if run.returncode == 77:
            print(run.stdout)
            return 77
        if (word in ("no HMMA", "has LDG", "not there") or "ACQBULK" in word) and \
                "not searched" in run.stdout:
            continue
        if run.returncode != code or word not in run.stdout:
            failed += 1
            print("expected %d with '%s', got %d:\n%s" % (code, word, run.returncode, run.stdout))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
