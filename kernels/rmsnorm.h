/* rmsnorm: y[r,:] = x[r,:] / sqrt(mean(x[r,:]^2) + eps) * w
 *
 *   x      f32 | bf16 [n_row, d]   row-major; the residual stream is f32 in either precision
 *   y      f32 | bf16 [n_row, d]   may be x when the formats agree
 *   w      f32 [d]
 *   n_row  1 (decode) ... 65536 (vision of a large image); 0 does nothing
 *
 * Rounding  sums in f32, one rounding at the store. (The reference also rounds before the product
 *           with w; one rounding less is nearer to fp32.)
 * Cost      x and y once, w once; 4*n_row*d flop: memory bound.
 */
#ifndef MV_KERNELS_RMSNORM_H
#define MV_KERNELS_RMSNORM_H

#include "kernels/cost.h"
#include "runtime/device.h"
#include "runtime/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_rmsnorm_dims {
  int n_row, d;
  mv_dtype x_dtype, y_dtype;
  float eps;
} mv_rmsnorm_dims;

mv_cost mv_rmsnorm_cost(const mv_rmsnorm_dims *dims);
void mv_rmsnorm_cpu(mv_device *device, const mv_rmsnorm_dims *dims, const void *x, const float *w,
                    void *y);

#ifdef __cplusplus
}
#endif
#endif
