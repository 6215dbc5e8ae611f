/* Which of the three ways a product goes on a CUDA device. */
#include <assert.h>
#include <stdint.h>

#include "kernels/linear_cuda.h"

static int is_aligned(const void *p) { return (uintptr_t)p % 16 == 0; }

/* Loads of 16 bytes from x and W. */
static int tensor_cores_take(const mv_linear_dims *dims, const mv_linear *linear, const void *x) {
  if (dims->x_dtype != MV_DTYPE_BF16 || linear->dtype != MV_DTYPE_BF16) return 0;
  if (linear->n_in % 8 || dims->ldx % 8 || !is_aligned(x)) return 0;
  for (int i = 0; i < linear->n_part; i++)
    if (!is_aligned(linear->part[i].w)) return 0;
  return 1;
}

/* The library's kernels also want y and bias at multiples of 16 bytes, for each part. */
static int library_takes(const mv_linear_dims *dims, const mv_linear *linear, const void *y) {
  if (dims->ldy % 8 || !is_aligned(y) || !is_aligned(linear->bias)) return 0;
  for (int i = 0; i < linear->n_part; i++)
    if (linear->part[i].n_row % 8) return 0;
  return is_aligned(linear->bias_bf16);
}

void mv_linear_cuda(mv_device *device, const mv_linear_dims *dims, const mv_linear *linear,
                    const void *x, void *y) {
  assert(dims->n_row >= 0 && linear->n_in > 0 && linear->n_out > 0);
  assert(linear->dtype != MV_DTYPE_F16);
  if (dims->n_row == 0 || device->error.code != MV_OK) return;
  int few = dims->order == MV_LINEAR_BY_ROWS ? dims->n_row <= MV_LINEAR_SKINNY_ROWS_CUDA
                                             : dims->order == MV_LINEAR_FEW;
  if (!tensor_cores_take(dims, linear, x))
    mv_linear_plain(device, dims, linear, x, y);
  else if (few)
    mv_linear_skinny(device, dims, linear, x, y);
  else if (library_takes(dims, linear, y))
    mv_linear_wide(device, dims, linear, x, y);
  else
    mv_linear_plain(device, dims, linear, x, y);
}

void mv_linear_ready_cuda(mv_device *device, const mv_linear *linear, const mv_linear_dims *dims) {
  if (device->error.code != MV_OK || !tensor_cores_take(dims, linear, NULL)) return;
  if (library_takes(dims, linear, NULL)) mv_linear_wide_ready(device, dims, linear);
}
