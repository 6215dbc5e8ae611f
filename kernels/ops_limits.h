/* What a device can do at best, through its own operations: a copy of rows that are far larger than
 * its caches, and a large product. */
#ifndef MV_KERNELS_OPS_LIMITS_H
#define MV_KERNELS_OPS_LIMITS_H

#include "kernels/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_limits {
  double gbs;    /* bytes read and written by the best copy, GB/s  */
  double gflops; /* the best bf16 product, GFLOP/s                 */
} mv_limits;

/* Makes buffers of up to 2 GiB for it; each measurement stops growing once it takes `enough_ms`. 2
 * is plenty; less is for tests. A failure is the device's, too. */
mv_status mv_limits_measure(mv_limits *limits, mv_device *device, const mv_ops *ops,
                            double enough_ms, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
