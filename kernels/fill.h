/* fill: random numbers from a seed, the same on every device: weights of a model that is measured
 * without a checkpoint
 *
 *   x      f32 | bf16 [n_row, ld]
 *
 * Element (r, c) with r < n_value_row and c < n_col is uniform in [-spread, spread): the top 24
 * bits of a hash of the seed and r * n_col + c. All others are zero (the padding of a weight).
 *
 * Rounding  one product in f32, one rounding at the store: the same bits everywhere.
 * Cost      every element written once: memory bound.
 */
#ifndef MV_KERNELS_FILL_H
#define MV_KERNELS_FILL_H

#include <stdint.h>

#include "kernels/cost.h"
#include "runtime/device.h"
#include "runtime/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_fill_dims {
  int n_row, ld;          /* elements of a row, padding included */
  int n_value_row, n_col; /* at most as many */
  mv_dtype dtype;
  float spread;
  uint64_t seed;
} mv_fill_dims;

mv_cost mv_fill_cost(const mv_fill_dims *dims);
void mv_fill_cpu(mv_device *device, const mv_fill_dims *dims, void *x);

/* Value number i of a seed, for spread 1: a multiple of 2^-23. */
#ifdef __CUDACC__
__host__ __device__
#endif
    static inline float
    mv_fill_value(uint64_t seed, uint64_t i) {
  uint64_t z = seed * 0xD1342543DE82EF95u + (i + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  return (float)((int32_t)(z >> 40) - (1 << 23)) * 0x1p-23f;
}

#ifdef __cplusplus
}
#endif
#endif
