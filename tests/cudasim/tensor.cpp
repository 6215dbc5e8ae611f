/* ldmatrix and mma.sync. The layouts are those of kernels/cuda_ptx.h, and are held against NVIDIA's
 * own tables by test_layouts. */
#include <string.h>

#include "internal.h"
#include "tensor.h"

namespace sim {

namespace {

struct ldmatrix_arg {
  uint32_t *r;
  const unsigned char *row;
  int n_matrix;
};

template <bool transposed>
void op_ldmatrix(void **args, unsigned mask) {
  ldmatrix_arg **a = (ldmatrix_arg **)args;
  if (mask != ~0u) return report("ldmatrix", "mask %08x, needs the whole warp", mask);
  for (int i = 0; i < a[0]->n_matrix; i++)
    for (int l = 0; l < 32; l++) {
      if (!transposed) {
        memcpy(&a[l]->r[i], a[i * 8 + l / 4]->row + l % 4 * 4, 4);
      } else {
        uint16_t pair[2];
        for (int k = 0; k < 2; k++) memcpy(&pair[k], a[i * 8 + l % 4 * 2 + k]->row + l / 4 * 2, 2);
        a[l]->r[i] = pair[0] | (uint32_t)pair[1] << 16;
      }
    }
}

struct mma_arg {
  float *d;
  const uint32_t *a, *b;
};

void op_mma(void **args, unsigned mask) {
  mma_arg **x = (mma_arg **)args;
  if (mask != ~0u) return report("mma", "mask %08x, needs the whole warp", mask);
  float a[16][16], d[16][8];
  v8f b[16];
  for (int l = 0; l < 32; l++) {
    int g = l / 4, t = l % 4 * 2;
    a_from_registers(a, l, x[l]->a);
    b[t][g] = bf16_low(x[l]->b[0]);
    b[t + 1][g] = bf16_high(x[l]->b[0]);
    b[t + 8][g] = bf16_low(x[l]->b[1]);
    b[t + 9][g] = bf16_high(x[l]->b[1]);
    const float *c = x[l]->d;
    d[g][t] = c[0], d[g][t + 1] = c[1], d[g + 8][t] = c[2], d[g + 8][t + 1] = c[3];
  }
  for (int i = 0; i < 16; i++) {
    v8f even, odd = {};
    memcpy(&even, d[i], sizeof even);
    for (int k = 0; k < 16; k += 2) {
      even += a[i][k] * b[k];
      odd += a[i][k + 1] * b[k + 1];
    }
    even += odd;
    memcpy(d[i], &even, sizeof even);
  }
  for (int l = 0; l < 32; l++) {
    int g = l / 4, t = l % 4 * 2;
    float *out = x[l]->d;
    out[0] = d[g][t], out[1] = d[g][t + 1], out[2] = d[g + 8][t], out[3] = d[g + 8][t + 1];
  }
}

}  // namespace

void ldmatrix(uint32_t *r, uint32_t addr, int n_matrix, bool transposed) {
  ldmatrix_arg a = {r, nullptr, n_matrix};
  if (current->lane < 8 * n_matrix) { /* the other lanes' addresses are not used */
    a.row = (const unsigned char *)shared_pointer(addr);
    if (addr % 16)
      report("misaligned", "ldmatrix row %08x at %s", addr, place_of(SIM_CALLER).c_str());
    if (checking) check_access(a.row, 16, READ, SIM_CALLER);
    if (__asan_region_is_poisoned((void *)(uintptr_t)a.row, 16))
      report("shared out of bounds", "ldmatrix row %08x at %s", addr, place_of(SIM_CALLER).c_str());
  }
  warp_collective(~0u, transposed ? op_ldmatrix<true> : op_ldmatrix<false>, &a);
}

void mma_m16n8k16(float *d, const uint32_t *a, const uint32_t *b) {
  mma_arg x = {d, a, b};
  warp_collective(~0u, op_mma, &x);
}

}  // namespace sim
