/* Rotary position embedding, in the reference's rotate-half form: with c, s the cosine and sine of
 * frequency i, values i and i + d_head/2 of a head become
 *
 *   x[i]            * c - x[i + d_head/2] * s
 *   x[i + d_head/2] * c + x[i]            * s
 *
 * The angle of frequency i is position * inv_freq[i], where the position is that of one axis:
 * temporal, height or width. M-RoPE gives contiguous runs of frequencies to the three axes
 * (mrope_section); the vision tower's 2-D rope gives half to height, half to width.
 *
 * rope_table: table[r][i] = {cos, sin} of position[axis[i]][r] * inv_freq[i]
 *
 *   position  int32 [3, n_row]            inv_freq  f32 [n_freq]      axis  uint8 [n_freq], 0..2
 *   table     f32 [n_row, n_freq, 2]      n_freq = d_head / 2
 *
 * Rounding  angle in f32 as the reference computes it, then cos and sin of that f32.
 *
 * rope: rotates n_head consecutive heads of each row in place
 *
 *   x         f32 | bf16 [n_row, n_head * d_head], rows ldx elements apart
 *
 * Rounding  f32, one rounding at the store.
 * Cost      x read and written once; 3*n flop: memory bound.
 */
#ifndef MV_KERNELS_ROPE_H
#define MV_KERNELS_ROPE_H

#include <stdint.h>

#include "kernels/cost.h"
#include "runtime/device.h"
#include "runtime/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_rope_table_dims {
  int n_row, n_freq;
} mv_rope_table_dims;

mv_cost mv_rope_table_cost(const mv_rope_table_dims *dims);
void mv_rope_table_cpu(mv_device *device, const mv_rope_table_dims *dims, const int32_t *position,
                       const float *inv_freq, const uint8_t *axis, float *table);

typedef struct mv_rope_dims {
  int n_row, n_head, d_head;
  int ldx; /* elements */
  mv_dtype dtype;
} mv_rope_dims;

mv_cost mv_rope_cost(const mv_rope_dims *dims);
void mv_rope_cpu(mv_device *device, const mv_rope_dims *dims, const float *table, void *x);

#ifdef __cplusplus
}
#endif
#endif
