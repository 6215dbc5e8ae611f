/* cuBLASLt behind mv_linear_wide: products, the table of algorithms, and how it is made. Private to
 * kernels/linear_lt*.c.
 *
 *   linear_lt.c        products and mv_linear_wide
 *   linear_lt_tune.c   times the library's candidates on this card
 *   linear_lt_table.c  what was chosen, in memory and in a file
 *
 * The library chooses a kernel by size, and kernels differ in speed and in the order of their sums.
 * Contract (linear.h): one order for many rows, whatever their number. So per shape one algorithm,
 * the fastest at MV_LT_FIRST rows that does not cut the sum, sets the order; for other numbers of
 * rows the fastest of those that give the very same bits is taken.
 */
#ifndef MV_KERNELS_LINEAR_LT_H
#define MV_KERNELS_LINEAR_LT_H

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <stdint.h>

#include "kernels/linear_cuda.h"

#define MV_LT_WORKSPACE ((size_t)64 << 20) /* 32 MiB is what Hopper's kernels need in practice */
#define MV_LT_FIRST 512 /* rows: enough for the kernels made for large products */

/* One kind of product. n_row is rounded up (mv_lt_rows): one choice serves a range. */
typedef struct mv_lt_key {
  int32_t n_in, n_out, n_row;
  int32_t y_is_bf16, has_bias, accumulate;
} mv_lt_key;

typedef struct mv_lt_choice {
  mv_lt_key key;
  cublasLtMatmulAlgo_t algo; /* plain bytes */
  float us; /* measured; 0: taken untimed, not worth keeping; below 0: the library has none */
} mv_lt_choice;

struct mv_cuda_lt {
  cublasLtHandle_t handle;
  void *workspace[MV_LANES]; /* owns: device memory, MV_LT_WORKSPACE bytes each */
  mv_lt_choice *choices;     /* owns */
  size_t n_choice, max_choice;
  char *path;            /* owns: the table's file, or NULL */
  char device_name[256]; /* whose times these are */
  size_t version;        /* of the library */
};

/* The descriptors of a product with exactly `key.n_row` rows. */
typedef struct mv_lt_product {
  mv_lt_key key;
  cublasLtMatmulDesc_t desc;
  cublasLtMatrixLayout_t w, x, y;
} mv_lt_product;

/* Makes the device sticky on failure; returns whether all is well. */
int mv_lt_check(mv_device *device, cublasStatus_t status, const char *what);

/* Fills *p; close also after a failure (which is sticky: 0). */
int mv_lt_product_open(mv_device *device, mv_lt_product *p, const mv_lt_key *key, int ldx, int ldy);
void mv_lt_product_close(mv_lt_product *p);
cublasStatus_t mv_lt_run(mv_device *device, const mv_lt_product *p,
                         const cublasLtMatmulAlgo_t *algo, const void *w, const void *x,
                         const void *bias, void *y);

/* Rows rounded up to 16, 32, 64, 96, 128, 192, 256, 384, ... 4096; more are 4096. */
int mv_lt_rows(int n_row);

/* The algorithm for a product of these weights: from the table, else chosen now by timing. NULL
 * when the library has none (or the device failed). Valid until the next call. */
const cublasLtMatmulAlgo_t *mv_lt_choose(mv_device *device, const mv_lt_key *key, const void *w);

/* Times the candidates for `key` and fills *out. `like`: an algorithm whose bits they must give, or
 * NULL. Returns 0 when there is none. */
int mv_lt_tune(mv_device *device, const mv_lt_key *key, const void *w,
               const cublasLtMatmulAlgo_t *like, mv_lt_choice *out);

void mv_lt_table_load(mv_device *device); /* from lt->path; nothing when damaged or not ours */
char *mv_lt_table_default(const struct mv_cuda_lt *lt, mv_error *err);
void mv_lt_table_save(const struct mv_cuda_lt *lt);
mv_lt_choice *mv_lt_table_find(struct mv_cuda_lt *lt, const mv_lt_key *key);
mv_lt_choice *mv_lt_table_put(struct mv_cuda_lt *lt, const mv_lt_choice *choice); /* NULL: memory */

#endif
