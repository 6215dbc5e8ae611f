#include "kernels/ops_limits.h"

#include <string.h>

#include "runtime/memory.h"

#define D 8192       /* row of the copy: 32 KiB */
#define MIN_ROWS 128 /* 4 MiB */
#define MAX_ROWS 32768
#define N_TRY 5
#define BLOCK ((size_t)1 << 20) /* elements made on the host, repeated */

/* What is timed: `go` of its state; the best of a few is taken. */
typedef struct timed {
  mv_device *device;
  const mv_ops *ops;
  void (*go)(const struct timed *t);
  int rows, nk; /* of the product */
  void *a, *b, *c;
} timed;

static double best_ms(const timed *t) {
  double best = 0;
  t->go(t);
  for (int i = 0; i < N_TRY; i++) {
    t->ops->mark(t->device, 0);
    t->go(t);
    t->ops->mark(t->device, 1);
    double ms = t->ops->elapsed(t->device, 0, 1);
    if (i == 0 || ms < best) best = ms;
  }
  return best > 0 ? best : 1e-6;
}

static void copy_rows(const timed *t) {
  mv_gather_dims dims = {t->rows, D, MV_DTYPE_F32, MV_DTYPE_F32};
  t->ops->gather_rows(t->device, &dims, t->a, t->b, t->c);
}

static void multiply(const timed *t) {
  mv_linear_dims dims = {.n_row = t->rows,
                         .ldx = t->nk,
                         .ldy = t->nk,
                         .x_dtype = MV_DTYPE_BF16,
                         .y_dtype = MV_DTYPE_BF16};
  mv_linear linear = {.n_in = t->nk, .n_out = t->nk, .n_part = 1, .dtype = MV_DTYPE_BF16};
  linear.part[0].w = t->b;
  linear.part[0].n_row = t->nk;
  if (t->ops->between(MV_DTYPE_BF16) == MV_DTYPE_F32) dims.y_dtype = MV_DTYPE_F32;
  t->ops->linear(t->device, &dims, &linear, t->a, t->c);
}

static int get_memory(timed *t, size_t a, size_t b, size_t c) {
  t->a = t->ops->alloc(t->device, a);
  t->b = t->a ? t->ops->alloc(t->device, b) : NULL;
  t->c = t->b ? t->ops->alloc(t->device, c) : NULL;
  return t->c != NULL;
}

static void free_memory(timed *t) {
  void *all[] = {t->a, t->b, t->c};
  for (int i = 0; i < 3; i++)
    if (all[i]) t->ops->free(t->device, all[i]);
  t->a = t->b = t->c = NULL;
}

/* Random bits would be NaN; products of zeros draw less power than real ones, and run faster. */
static void fill_bf16(const timed *t, const uint16_t *block, void *dst, size_t n) {
  for (size_t at = 0; at < n; at += BLOCK)
    t->ops->upload(t->device, (uint16_t *)dst + at, block, 2 * (n - at < BLOCK ? n - at : BLOCK));
}

static double measure_copy(timed *t, double enough_ms, uint16_t *block) {
  double gbs = 0, ms = 0;
  memset(block, 0, BLOCK * sizeof *block);
  for (t->rows = MIN_ROWS; t->rows <= MAX_ROWS && ms < enough_ms; t->rows *= 2) {
    size_t n_bytes = (size_t)t->rows * D * sizeof(float);
    int32_t *index = (int32_t *)block;
    for (int i = 0; i < t->rows; i++) index[i] = i;
    int fits = get_memory(t, (size_t)t->rows * sizeof *index, n_bytes, n_bytes);
    if (fits) {
      t->ops->upload(t->device, t->a, index, (size_t)t->rows * sizeof *index);
      memset(block, 0, BLOCK * sizeof *block);
      fill_bf16(t, block, t->b, n_bytes / 2);
      ms = best_ms(t);
      gbs = 2 * (double)n_bytes / ms * 1e-6;
    }
    free_memory(t);
    if (!fits && gbs > 0) mv_device_recover(t->device); /* a model is there, too: so much must do */
    if (!fits) break;
    if (t->device->error.code != MV_OK) break;
  }
  return gbs;
}

static double measure_product(timed *t, double enough_ms, uint16_t *block) {
  static const int sizes[][2] = {{64, 256}, {128, 1024}, {512, 2048}, {4096, 4096}, {8192, 8192}};
  double gflops = 0, ms = 0;
  uint64_t z = 1;
  for (size_t i = 0; i < BLOCK; i++) {
    z = z * 6364136223846793005u + 1442695040888963407u;
    block[i] = mv_f32_to_bf16((float)(z >> 40) * 0x1p-23f - 1);
  }
  int at_least = enough_ms >= 1 ? 3 : 1; /* a small product says little, however long it took */
  for (int i = 0; i < 5 && t->device->error.code == MV_OK; i++) {
    if (i >= at_least && ms >= enough_ms) break;
    t->rows = sizes[i][0];
    t->nk = sizes[i][1];
    size_t mk = (size_t)t->rows * (size_t)t->nk, nk = (size_t)t->nk * (size_t)t->nk;
    int fits = get_memory(t, 2 * mk, 2 * nk, 4 * mk);
    if (fits) {
      fill_bf16(t, block, t->a, mk);
      fill_bf16(t, block, t->b, nk);
      ms = best_ms(t);
      double reached = 2 * (double)mk * (double)t->nk / ms * 1e-6;
      if (reached > gflops) gflops = reached;
    }
    free_memory(t);
    if (!fits && gflops > 0) mv_device_recover(t->device);
    if (!fits) break;
  }
  return gflops;
}

mv_status mv_limits_measure(mv_limits *limits, mv_device *device, const mv_ops *ops,
                            double enough_ms, mv_error *err) {
  timed copy = {.device = device, .ops = ops, .go = copy_rows};
  timed product = {.device = device, .ops = ops, .go = multiply};
  memset(limits, 0, sizeof *limits);
  uint16_t *block = mv_alloc(BLOCK * sizeof *block);
  if (!block) return mv_fail(err, MV_ERR_MEMORY, "no memory to measure the device");
  limits->gbs = measure_copy(&copy, enough_ms, block);
  limits->gflops = measure_product(&product, enough_ms, block);
  mv_free(block);
  return mv_device_status(device, err);
}
