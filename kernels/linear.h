/* linear: y[r,:] = x[r,:] W^T + b, or y += ... for the residual stream
 *
 *   x      f32 | bf16 [n_row, n_in]    rows ldx elements apart
 *   W      f32 | bf16 [n_out, n_in]    row-major as in the checkpoint, 1..3 matrices stacked
 *   b      f32 [n_out] or none
 *   y      f32 | bf16 [n_row, n_out]   rows ldy elements apart; not x
 *   n_row  1 (decode) ... thousands (prefill, vision); 0 does nothing
 *
 * Rounding  products and sums in f32, one rounding at the store; bf16 x and W are multiplied
 *           exactly. There may be two summation orders, one for few rows and one for many; within
 *           an order a row's bits do not depend on the other rows or their number. The caller
 *           chooses one (tokens being generated: few; prompts: many) or leaves it to n_row: few
 *           up to MV_LINEAR_SKINNY_ROWS_<backend>.
 * Cost      W once, x and y once; 2*n_row*n_in*n_out flop: memory bound below ~64 rows.
 * Plan      CPU: few rows are dot products streaming W once; many rows are a packed panel product.
 *           CUDA: bf16 x and W whose rows begin at multiples of 16 bytes use tensor cores, few rows
 *           by a kernel that streams W once, many by cuBLASLt; all else is one plain kernel.
 */
#ifndef MV_KERNELS_LINEAR_H
#define MV_KERNELS_LINEAR_H

#include <stdint.h>

#include "kernels/cost.h"
#include "runtime/device.h"
#include "runtime/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_LINEAR_PARTS 3
/* Rows from which many is faster than few. */
#define MV_LINEAR_SKINNY_ROWS_CPU 64
#define MV_LINEAR_SKINNY_ROWS_CUDA 64

/* The weights of one product, borrowed from the checkpoint. Stacked parts (q|k|v, gate|up) behave
 * as one matrix of n_out rows. */
typedef struct mv_linear {
  int n_in, n_out;
  int n_part;
  struct {
    const void *w; /* [n_row, n_in] */
    int n_row;
  } part[MV_LINEAR_PARTS];
  mv_dtype dtype;            /* of every part: F32 or BF16 */
  const float *bias;         /* [n_out] or NULL */
  const uint16_t *bias_bf16; /* the same in bf16 when nothing is lost by it, or NULL: for libraries
                                that add no f32 bias to a bf16 result */
} mv_linear;

typedef enum mv_linear_order {
  MV_LINEAR_BY_ROWS = 0,
  MV_LINEAR_FEW, /* any number of rows, in the order of few */
  MV_LINEAR_MANY /* any number of rows, in the order of many */
} mv_linear_order;

typedef struct mv_linear_dims {
  int n_row;
  int ldx, ldy; /* elements */
  mv_dtype x_dtype, y_dtype;
  int accumulate; /* add to y instead of overwriting it */
  mv_linear_order order;
} mv_linear_dims;

mv_cost mv_linear_cost(const mv_linear_dims *dims, const mv_linear *linear);
void mv_linear_cpu(mv_device *device, const mv_linear_dims *dims, const mv_linear *linear,
                   const void *x, void *y);

/* CUDA: keeps the times by which library algorithms are chosen in the file `path`, or without one
 * in the user's cache (XDG_CACHE_HOME), named after the card and the library's version. What it
 * holds is not measured again; a damaged file is replaced. Without this call every process measures
 * anew.
 */
mv_status mv_linear_cuda_table(mv_device *device, const char *path, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
