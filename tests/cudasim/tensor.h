/* Fragments of tensor-core instructions, shared by mma.sync and wgmma. */
#ifndef MV_CUDASIM_TENSOR_H
#define MV_CUDASIM_TENSOR_H

#include <stdint.h>
#include <string.h>

namespace sim {

typedef float v8f __attribute__((vector_size(32)));

static inline float bf16_low(uint32_t pair) {
  pair <<= 16;
  float x;
  memcpy(&x, &pair, sizeof x);
  return x;
}
static inline float bf16_high(uint32_t pair) { return bf16_low(pair >> 16); }

/* Lane l's four registers into the 16 x 16 operand A. */
static inline void a_from_registers(float (*a)[16], int l, const uint32_t *r) {
  for (int i = 0; i < 4; i++) {
    int row = l / 4 + (i & 1) * 8, col = l % 4 * 2 + (i >> 1) * 8;
    a[row][col] = bf16_low(r[i]);
    a[row][col + 1] = bf16_high(r[i]);
  }
}

}  // namespace sim
#endif
