/* What an operation must move and compute: one set of numbers for docs, benches and profiler. */
#ifndef MV_KERNELS_COST_H
#define MV_KERNELS_COST_H

typedef struct mv_cost {
  double bytes; /* read and written once, caches perfect */
  double flops; /* multiply and add count as two         */
} mv_cost;

#endif
