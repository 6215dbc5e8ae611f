/* The three ways a CUDA device multiplies; linear_cuda.c chooses. Private to kernels/. C and C++.
 *
 *   skinny  linear_skinny.cu  bf16 x and W, few rows: W streamed once
 *   wide    linear_lt.c       bf16 x and W, more rows: cuBLASLt with algorithms timed on this card
 *   plain   linear_plain.cu   any format, size and alignment
 */
#ifndef MV_KERNELS_LINEAR_CUDA_H
#define MV_KERNELS_LINEAR_CUDA_H

#include "kernels/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

void mv_linear_skinny(mv_device *device, const mv_linear_dims *dims, const mv_linear *linear,
                      const void *x, void *y);
void mv_linear_plain(mv_device *device, const mv_linear_dims *dims, const mv_linear *linear,
                     const void *x, void *y);
void mv_linear_wide(mv_device *device, const mv_linear_dims *dims, const mv_linear *linear,
                    const void *x, void *y);
/* Chooses the library's algorithms for such products with up to dims->n_row rows. */
void mv_linear_wide_ready(mv_device *device, const mv_linear_dims *dims, const mv_linear *linear);

/* y = bf16(x), or bf16(y + x): the end of a wide product that cuBLASLt could not finish. x is
 * [n_row, n_col] without gaps. */
void mv_linear_round(mv_device *device, int n_row, int n_col, const float *x, void *y, int ldy,
                     int accumulate);

#ifdef __cplusplus
}

/* Where every product of ours ends: bias, residual, one rounding. `a` has y, ldy, bias, y_is_bf16
 * and accumulate. (For .cu files, after kernels/cuda_port.h.) */
#ifdef MV_KERNELS_CUDA_PORT_H
template <class Args>
static __device__ __forceinline__ void mv_linear_store(const Args &a, int row, int col, float sum) {
  if (a.bias) sum += a.bias[col];
  const size_t at = (size_t)row * a.ldy + col;
  if (!a.y_is_bf16) {
    float *y = (float *)a.y;
    y[at] = a.accumulate ? y[at] + sum : sum;
  } else {
    mv_bf16 *y = (mv_bf16 *)a.y;
    y[at] = mv_bf16_round(a.accumulate ? mv_bf16_widen(y[at]) + sum : sum);
  }
}
#endif
#endif
#endif
