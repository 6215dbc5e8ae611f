/* The operations at the shapes MedVision-V0-7B gives them. */
#ifndef MV_BENCH_KERNEL_TABLE_H
#define MV_BENCH_KERNEL_TABLE_H

#include "tests/kernels/cases.h"

typedef struct bench_case {
  const char *phase; /* "decode": 1 row; "prefill": 700 rows; "vision": a 504 x 504 image */
  const char *what;  /* the product's name in runtime/model.h, or empty */
  kernel_case c;
} bench_case;

extern const bench_case bench_kernel_table[];
extern const int bench_n_kernel_case;

#endif
