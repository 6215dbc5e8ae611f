"""Prints the operand layouts of tensor-core instructions as NVIDIA's own headers have them, into
tests/data/cudasim/layouts.txt, which test_layouts holds the emulator against.

    pip download nvidia-cutlass==4.2.0.0 --no-deps && unzip nvidia_cutlass-*.whl
    python3 tests/cudasim/make_layouts.py cutlass_library/source/include [CUDA include directory]

The CuTe headers describe layouts in types, so a host compiler (g++ 12 was used) can evaluate them; no
GPU is involved. Each line of the table is NAME ROWS COLUMNS and the numbers, row by row:

    A16816 B16816 C16816   mma.m16n8k16: [lane][value] -> index in the operand, column by column
    LDSM_N LDSM_T          ldmatrix.x4 (.trans): [lane][16-bit value] -> index in the 4 matrices
    C64x16 A64x16          wgmma.m64n16k16: [thread][value] -> index, column by column
    K_SW128 K_SW64 MN_SW128  swizzled tiles of wgmma: [row][column] -> place, in elements
"""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

SOURCE = r"""
#include <cute/tensor.hpp>
#include <cute/atom/copy_traits_sm75.hpp>
#include <cute/atom/mma_traits_sm80.hpp>
#include <cute/atom/mma_traits_sm90_gmma.hpp>
#include <cstdio>
using namespace cute;

template <class Layout>
void print(const char *name, Layout layout, int column_step = 1) {
  int rows = size<0>(layout), columns = size<1>(layout) / column_step;
  printf("%s %d %d", name, rows, columns);
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < columns; c++) printf(" %d", int(layout(r, c * column_step)) / column_step);
  printf("\n");
}

int main() {
  using mma = MMA_Traits<SM80_16x8x16_F32BF16BF16F32_TN>;
  using bf16 = cutlass::bfloat16_t;
  print("A16816", typename mma::ALayout{});
  print("B16816", typename mma::BLayout{});
  print("C16816", typename mma::CLayout{});
  print("LDSM_N", typename Copy_Traits<SM75_U32x4_LDSM_N>::DstLayout{}, 16); // counts bits
  print("LDSM_T", typename Copy_Traits<SM75_U16x8_LDSM_T>::DstLayout{}, 16);
  print("C64x16", SM90::GMMA::CLayout_64x16{});
  print("A64x16", SM90::GMMA::ALayout_64x16{});
  print("K_SW128", as_position_independent_swizzle_layout(SM90::GMMA::Layout_K_SW128_Atom<bf16>{}));
  print("K_SW64", as_position_independent_swizzle_layout(SM90::GMMA::Layout_K_SW64_Atom<bf16>{}));
  print("MN_SW128", as_position_independent_swizzle_layout(SM90::GMMA::Layout_MN_SW128_Atom<bf16>{}));
}
"""


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    cuda = sys.argv[2] if len(sys.argv) > 2 else "/usr/local/cuda/include"
    out = os.path.join(ROOT, "tests", "data", "cudasim", "layouts.txt")
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "layouts.cpp"), os.path.join(folder, "layouts")
        with open(source, "w", encoding="utf-8") as f:
            f.write(SOURCE)
        subprocess.run(["g++", "-std=c++17", "-w", "-I", sys.argv[1], "-isystem", cuda,
                        "-isystem", os.path.join(cuda, "cccl"), source, "-o",
                        program], check=True)
        table = subprocess.run([program], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with open(out, "w", encoding="utf-8") as f:
        f.write(table)


main()
