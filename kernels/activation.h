/* swiglu: out[r,i] = silu(gate[r,i]) * up[r,i],  silu(x) = x / (1 + exp(-x))
 *
 *   gate_up  f32 | bf16 [n_row, 2 * d]   dtype; gate in columns [0, d), up in [d, 2d)
 *   out      f32 | bf16 [n_row, d]       out_dtype
 *
 * gelu: x = x/2 * (1 + erf(x / sqrt 2)) in place
 *
 *   x        f32 | bf16 [n_row, d]
 *
 * Rounding  f32, one rounding at the store.
 * Cost      every element once: memory bound (gelu on a CPU: bound by erf).
 */
#ifndef MV_KERNELS_ACTIVATION_H
#define MV_KERNELS_ACTIVATION_H

#include "kernels/cost.h"
#include "runtime/device.h"
#include "runtime/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_activation_dims {
  int n_row, d;
  mv_dtype dtype;
  mv_dtype out_dtype; /* swiglu only */
} mv_activation_dims;

mv_cost mv_swiglu_cost(const mv_activation_dims *dims);
void mv_swiglu_cpu(mv_device *device, const mv_activation_dims *dims, const void *gate_up,
                   void *out);

mv_cost mv_gelu_cost(const mv_activation_dims *dims);
void mv_gelu_cpu(mv_device *device, const mv_activation_dims *dims, void *x);

#ifdef __cplusplus
}
#endif
#endif
