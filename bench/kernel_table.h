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

/* The row as the forward pass asks it of a device: where what lies between two operations is bf16
 * (mv_ops.between), so are those tensors of the row. */
bench_case bench_case_for(const bench_case *row, const mv_ops *ops);

#endif
