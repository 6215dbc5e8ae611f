#include "kernels/linear_lt.h"

#include <string.h>

#include "runtime/memory.h"

/* Rows whose sums lie in scratch while the library cannot finish them itself. */
#define ROUND_ROWS 1024

int mv_lt_check(mv_device *device, cublasStatus_t status, const char *what) {
  if (status != CUBLAS_STATUS_SUCCESS && device->error.code == MV_OK)
    mv_fail(&device->error, status == CUBLAS_STATUS_ALLOC_FAILED ? MV_ERR_MEMORY : MV_ERR_DEVICE,
            "%s: cuBLASLt: %s: %s", device->name, what, cublasLtGetStatusString(status));
  return device->error.code == MV_OK;
}

/* ---- products: row-major y = x W^T is column-major D [n_out, n_row] = A^T B ---- */

/* The library asks for candidates and checks algorithms by the alignment of the bias: a pointer
 * with the least there can be (nobody reads through it) until mv_lt_run sets the true one. */
static int set_desc(mv_device *device, mv_lt_product *p) {
  const void *some_bias = (const void *)(uintptr_t)16;
  cublasOperation_t transposed = CUBLAS_OP_T;
  cublasLtEpilogue_t epilogue =
      p->key.has_bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  cudaDataType_t bias_type = p->key.y_is_bf16 ? CUDA_R_16BF : CUDA_R_32F;
  const struct {
    cublasLtMatmulDescAttributes_t attribute;
    const void *value;
    size_t n_bytes;
  } set[] = {{CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed},
             {CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue},
             {CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias_type, sizeof bias_type},
             {CUBLASLT_MATMUL_DESC_BIAS_POINTER, &some_bias, sizeof some_bias}};
  for (size_t i = 0; i < (p->key.has_bias ? 4u : 2u); i++)
    if (!mv_lt_check(
            device,
            cublasLtMatmulDescSetAttribute(p->desc, set[i].attribute, set[i].value, set[i].n_bytes),
            "describing a product"))
      return 0;
  return 1;
}

int mv_lt_product_open(mv_device *device, mv_lt_product *p, const mv_lt_key *key, int ldx,
                       int ldy) {
  static const char what[] = "describing a product";
  uint64_t n_in = (uint64_t)key->n_in, n_out = (uint64_t)key->n_out, n_row = (uint64_t)key->n_row;
  cudaDataType_t y_type = key->y_is_bf16 ? CUDA_R_16BF : CUDA_R_32F;
  memset(p, 0, sizeof *p);
  p->key = *key;
  return mv_lt_check(device, cublasLtMatmulDescCreate(&p->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                     what) &&
         set_desc(device, p) &&
         mv_lt_check(device, cublasLtMatrixLayoutCreate(&p->w, CUDA_R_16BF, n_in, n_out, key->n_in),
                     what) &&
         mv_lt_check(device, cublasLtMatrixLayoutCreate(&p->x, CUDA_R_16BF, n_in, n_row, ldx),
                     what) &&
         mv_lt_check(device, cublasLtMatrixLayoutCreate(&p->y, y_type, n_out, n_row, ldy), what);
}

void mv_lt_product_close(mv_lt_product *p) {
  if (p->desc) cublasLtMatmulDescDestroy(p->desc);
  if (p->w) cublasLtMatrixLayoutDestroy(p->w);
  if (p->x) cublasLtMatrixLayoutDestroy(p->x);
  if (p->y) cublasLtMatrixLayoutDestroy(p->y);
}

cublasStatus_t mv_lt_run(mv_device *device, const mv_lt_product *p,
                         const cublasLtMatmulAlgo_t *algo, const void *w, const void *x,
                         const void *bias, void *y) {
  const mv_cuda *cuda = mv_cuda_of(device);
  const float one = 1, beta = p->key.accumulate ? 1 : 0;
  if (p->key.has_bias) {
    cublasStatus_t status = cublasLtMatmulDescSetAttribute(
        p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
  }
  return cublasLtMatmul(cuda->lt->handle, p->desc, &one, w, p->w, x, p->x, &beta, y, p->y, y, p->y,
                        algo, cuda->lt->workspace[cuda->lane], MV_LT_WORKSPACE, cuda->stream);
}

int mv_lt_rows(int n_row) {
  int rows = 16;
  while (rows < n_row && rows < 4096) rows *= 2;
  return rows > 64 && n_row <= rows / 4 * 3 ? rows / 4 * 3 : rows;
}

/* ---- the library of one device ---- */

static void close_lt(struct mv_cuda_lt *lt) {
  if (lt->handle) cublasLtDestroy(lt->handle);
  for (int i = 0; i < MV_LANES; i++)
    if (lt->workspace[i]) cudaFree(lt->workspace[i]);
  mv_free(lt->choices);
  mv_free(lt->path);
  mv_free(lt);
}

static int open_library(mv_device *device, struct mv_cuda_lt *lt) {
  struct cudaDeviceProp prop;
  mv_cuda *cuda = mv_cuda_of(device);
  if (!mv_cuda_check(device, cudaGetDeviceProperties(&prop, cuda->ordinal), "properties")) return 0;
  memcpy(lt->device_name, prop.name, sizeof lt->device_name);
  lt->device_name[sizeof lt->device_name - 1] = 0;
  lt->version = cublasLtGetVersion();
  if (!mv_lt_check(device, cublasLtCreate(&lt->handle), "starting")) return 0;
  for (int i = 0; i < MV_LANES; i++)
    if (!mv_cuda_check(device, cudaMalloc(&lt->workspace[i], MV_LT_WORKSPACE), "workspace"))
      return 0;
  return 1;
}

/* NULL with a sticky error. Never first asked for while a step is recorded: the pass before it, in
 * which nothing is launched, comes here too. */
static struct mv_cuda_lt *library(mv_device *device) {
  mv_cuda *cuda = mv_cuda_of(device);
  if (cuda->lt || device->error.code != MV_OK) return cuda->lt;
  struct mv_cuda_lt *lt = mv_calloc(1, sizeof *lt);
  if (!lt) {
    mv_fail(&device->error, MV_ERR_MEMORY, "%s: no memory for the table of algorithms",
            device->name);
    return NULL;
  }
  if (!open_library(device, lt)) {
    close_lt(lt);
    return NULL;
  }
  cuda->lt = lt;
  cuda->lt_close = close_lt;
  return lt;
}

mv_status mv_linear_cuda_table(mv_device *device, const char *path, mv_error *err) {
  struct mv_cuda_lt *lt = library(device);
  if (!lt) return mv_device_status(device, err);
  char *copy = path ? mv_alloc(strlen(path) + 1) : mv_lt_table_default(lt, err);
  if (!copy) return path ? mv_fail(err, MV_ERR_MEMORY, "%s: out of memory", path) : err->code;
  if (path) memcpy(copy, path, strlen(path) + 1);
  mv_free(lt->path);
  lt->path = copy;
  mv_lt_table_load(device);
  return mv_device_status(device, err);
}

/* ---- the operation ---- */

/* One part: what a step's fingerprint must know of it. No padding. */
typedef struct call {
  mv_lt_key key; /* with the exact number of rows */
  int32_t ldx, ldy;
  const void *w, *x;
  const void *bias;      /* in the format the library wants */
  const float *bias_f32; /* the same                        */
  void *y;
  cublasLtMatmulAlgo_t algo;
} call;

static void run_plain(mv_device *device, const call *c) {
  mv_linear linear = {.n_in = c->key.n_in,
                      .n_out = c->key.n_out,
                      .n_part = 1,
                      .part = {{c->w, c->key.n_out}},
                      .dtype = MV_DTYPE_BF16,
                      .bias = c->bias_f32};
  mv_dtype y_dtype = c->key.y_is_bf16 ? MV_DTYPE_BF16 : MV_DTYPE_F32;
  mv_linear_dims dims = {c->key.n_row,      c->ldx,        c->ldy, MV_DTYPE_BF16, y_dtype,
                         c->key.accumulate, MV_LINEAR_MANY};
  mv_linear_plain(device, &dims, &linear, c->x, c->y);
}

static void run_call(mv_device *device, call *c) {
  if (!library(device)) return;
  mv_lt_key rounded = c->key;
  rounded.n_row = mv_lt_rows(c->key.n_row);
  const cublasLtMatmulAlgo_t *algo = mv_lt_choose(device, &rounded, c->w);
  if (device->error.code != MV_OK) return;
  if (!algo) {
    run_plain(device, c);
    return;
  }
  c->algo = *algo;
  if (!mv_cuda_may_launch(device, c, sizeof *c)) return;
  mv_cuda_may_overlap(device, 0);
  mv_lt_product p;
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  if (mv_lt_product_open(device, &p, &c->key, c->ldx, c->ldy))
    status = mv_lt_run(device, &p, &c->algo, c->w, c->x, c->bias, c->y);
  mv_lt_product_close(&p);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) /* for so few rows: other bits rather than none */
    run_plain(device, c);
  else
    mv_lt_check(device, status, "product");
}

/* Sums in f32, then rounded: for an f32 bias under a bf16 result, which the library does not add.
 */
static void run_rounded(mv_device *device, const call *whole) {
  int n_out = whole->key.n_out;
  for (int row = 0; row < whole->key.n_row; row += ROUND_ROWS) {
    call c = *whole;
    c.key.n_row = whole->key.n_row - row < ROUND_ROWS ? whole->key.n_row - row : ROUND_ROWS;
    c.key.y_is_bf16 = c.key.accumulate = 0;
    c.x = (const uint16_t *)whole->x + (size_t)row * (size_t)whole->ldx;
    c.y = mv_cuda_scratch(device, (size_t)c.key.n_row * (size_t)n_out * sizeof(float), 0);
    c.ldy = n_out;
    if (!c.y) return;
    run_call(device, &c);
    mv_linear_round(device, c.key.n_row, n_out, c.y,
                    (uint16_t *)whole->y + (size_t)row * (size_t)whole->ldy, whole->ldy,
                    whole->key.accumulate);
  }
}

/* Parts from `first` on that lie one after another in memory are one matrix of *n_row rows. Returns
 * the first part that is not of them. */
static int join(const mv_linear *linear, int first, int *n_row) {
  size_t row_bytes = (size_t)linear->n_in * sizeof(uint16_t);
  const char *end = linear->part[first].w;
  int i = first;
  *n_row = 0;
  do {
    *n_row += linear->part[i].n_row;
    end += (size_t)linear->part[i].n_row * row_bytes;
  } while (++i < linear->n_part && linear->part[i].w == (const void *)end);
  return i;
}

static mv_lt_key key_of(const mv_linear_dims *dims, const mv_linear *linear, int n_out) {
  return (mv_lt_key){linear->n_in,         n_out,
                     dims->n_row,          dims->y_dtype == MV_DTYPE_BF16,
                     linear->bias != NULL, dims->accumulate != 0};
}

static int must_round(const mv_linear_dims *dims, const mv_linear *linear) {
  return dims->y_dtype == MV_DTYPE_BF16 && linear->bias && !linear->bias_bf16;
}

void mv_linear_wide_ready(mv_device *device, const mv_linear_dims *dims, const mv_linear *linear) {
  for (int i = 0, next, n_out; i < linear->n_part && library(device); i = next) {
    next = join(linear, i, &n_out);
    mv_lt_key key = key_of(dims, linear, n_out);
    if (must_round(dims, linear)) key.y_is_bf16 = key.accumulate = 0;
    for (int n = 1; n <= dims->n_row && n <= mv_lt_rows(INT32_MAX); n = key.n_row + 1) {
      key.n_row = mv_lt_rows(n);
      mv_lt_choose(device, &key, linear->part[i].w);
    }
  }
}

void mv_linear_wide(mv_device *device, const mv_linear_dims *dims, const mv_linear *linear,
                    const void *x, void *y) {
  int y_is_bf16 = dims->y_dtype == MV_DTYPE_BF16, has_bias = linear->bias != NULL, n_out = 0;
  int rounds = must_round(dims, linear);
  for (int i = 0, next, col = 0; i < linear->n_part; i = next, col += n_out) {
    next = join(linear, i, &n_out);
    call c;
    memset(&c, 0, sizeof c);
    c.key = key_of(dims, linear, n_out);
    c.ldx = dims->ldx;
    c.ldy = dims->ldy;
    c.w = linear->part[i].w;
    c.x = x;
    c.y = (char *)y + (size_t)col * mv_dtype_bytes(dims->y_dtype);
    if (has_bias) c.bias = c.bias_f32 = linear->bias + col;
    if (has_bias && y_is_bf16 && !rounds) c.bias = linear->bias_bf16 + col;
    if (rounds)
      run_rounded(device, &c);
    else
      run_call(device, &c);
  }
}
