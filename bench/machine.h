/* What this machine can do at best: the limits that operations are measured against. */
#ifndef MV_BENCH_MACHINE_H
#define MV_BENCH_MACHINE_H

#include <stddef.h>

#include "kernels/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bench_machine {
  size_t cache_bytes; /* last-level cache */
  double read_gbs;    /* reading memory with all threads, GB/s */
  double f32_gflops;  /* multiplying f32 from registers, first- and second-level cache */
  double bf16_gflops; /* the same for bf16; equal to f32 where the device has no bf16 arithmetic */
} bench_machine;

/* Measures for about `seconds` each. MV_ERR_MEMORY when the buffers cannot be had. */
mv_status bench_machine_measure(bench_machine *machine, const mv_device *device, double seconds,
                                mv_error *err);

/* The same of a GPU, by its own operations: the best copy, the best product (for f32, too: the
 * tensor cores are what attention is measured against). */
mv_status bench_machine_measure_gpu(bench_machine *machine, mv_device *device, const mv_ops *ops,
                                    double seconds, mv_error *err);

/* The largest cache the system speaks of; 32 MiB when it does not. */
size_t bench_cache_bytes(void);

#ifdef __cplusplus
}
#endif
#endif
