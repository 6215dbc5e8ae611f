#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "kernels/cpu.h"
#include "kernels/linear.h"

/* One packed panel of W: L2-resident, read once per six rows of x. 32 KB measured 6 % slower (more
 * passes over the sums), 256 KB 10 % slower. */
#define PANEL_BYTES 65536
/* Rows whose f32 sums one thread keeps (64 columns each: 256 KB of its L2). */
#define ROW_BLOCK 1024
/* Weight rows of one work item of the dot products, at most and at least: what all variants take at
 * a time divides them, and the lanes of a register the larger. */
#define DOT_COLS 48
#define DOT_COLS_LEAST 12

mv_cost mv_linear_cost(const mv_linear_dims *dims, const mv_linear *linear) {
  double n_row = dims->n_row, n_in = linear->n_in, n_out = linear->n_out;
  mv_cost cost = {
      n_out * n_in * (double)mv_dtype_bytes(linear->dtype) +
          n_row * n_in * (double)mv_dtype_bytes(dims->x_dtype) +
          n_row * n_out * (double)mv_dtype_bytes(dims->y_dtype) * (dims->accumulate ? 2 : 1),
      2 * n_row * n_in * n_out,
  };
  return cost;
}

/* One call's operands after the choice of number formats: either both bf16 (native), or f32 x. */
typedef struct product {
  const mv_cpu_simd *simd;
  const mv_linear_dims *dims;
  const mv_linear *linear;
  const void *x; /* f32 unless native_bf16 */
  size_t ldx;
  int native_bf16;
  void *y;
  int width;     /* columns of a work item */
  char *scratch; /* [thread], of many rows */
} product;

static const void *weight_at(const product *p, int part, int row, int col) {
  size_t at = (size_t)row * (size_t)p->linear->n_in + (size_t)col;
  return (const char *)p->linear->part[part].w + at * mv_dtype_bytes(p->linear->dtype);
}

/* A work item: n columns of the product from column `out` on, by rows of one part of W. */
typedef struct columns {
  int part, w_row, n, out;
} columns;

static int items_of(const mv_linear *w, int part, int width) {
  return (w->part[part].n_row + width - 1) / width;
}

static int count_items(const mv_linear *w, int width) {
  int n = 0;
  for (int part = 0; part < w->n_part; part++) n += items_of(w, part, width);
  return n;
}

static columns nth_item(const mv_linear *w, int width, int i) {
  int part = 0, out = 0;
  for (; i >= items_of(w, part, width); part++) {
    i -= items_of(w, part, width);
    out += w->part[part].n_row;
  }
  int w_row = i * width, left = w->part[part].n_row - w_row;
  return (columns){part, w_row, left < width ? left : width, out + w_row};
}

/* Adds bias (and y), rounds and stores n columns of one row, starting at output column col. */
static void store_row(const product *p, int row, int col, int n, const float *acc) {
  const float *bias = p->linear->bias;
  size_t at = (size_t)row * (size_t)p->dims->ldy + (size_t)col;
  if (p->dims->y_dtype == MV_DTYPE_F32) {
    float *y = (float *)p->y + at;
    for (int i = 0; i < n; i++)
      y[i] = (p->dims->accumulate ? y[i] : 0.0f) + (acc[i] + (bias ? bias[col + i] : 0.0f));
    return;
  }
  uint16_t *y = (uint16_t *)p->y + at;
  for (int i = 0; i < n; i++) {
    float sum = acc[i] + (bias ? bias[col + i] : 0.0f);
    y[i] = mv_f32_to_bf16((p->dims->accumulate ? mv_bf16_to_f32(y[i]) : 0.0f) + sum);
  }
}

/* ---- few rows: stream W once, dot every row with it ---- */

/* n_row (at most MV_DOT_ROWS) rows from `row` on. */
static void dot_block(const product *p, int row, int n_row, const columns *c, float *acc) {
  const void *w = weight_at(p, c->part, c->w_row, 0);
  const float *x = (const float *)p->x + (p->native_bf16 ? 0 : (size_t)row * p->ldx);
  int n = p->linear->n_in;
  if (p->native_bf16)
    p->simd->dot_bf16((const uint16_t *)p->x + (size_t)row * p->ldx, p->ldx, n_row, w, c->n, n,
                      acc);
  else if (p->linear->dtype == MV_DTYPE_BF16)
    p->simd->dot_f32_bf16(x, p->ldx, n_row, w, c->n, n, acc);
  else
    p->simd->dot_f32(x, p->ldx, n_row, w, c->n, n, acc);
}

static void dot_columns(const product *p, columns c) {
  float acc[MV_DOT_ROWS * DOT_COLS];
  for (int row = 0; row < p->dims->n_row; row += MV_DOT_ROWS) {
    int left = p->dims->n_row - row, n_row = left < MV_DOT_ROWS ? left : MV_DOT_ROWS;
    dot_block(p, row, n_row, &c, acc);
    for (int r = 0; r < n_row; r++) store_row(p, row + r, c.out, c.n, acc + r * c.n);
  }
}

static void dot_items(const void *loop, int first, int end, int thread) {
  const product *p = loop;
  (void)thread;
  for (int i = first; i < end; i++) dot_columns(p, nth_item(p->linear, p->width, i));
}

static int dot_width(const mv_linear *linear, int n_thread) {
  int width = DOT_COLS;
  while (width > DOT_COLS_LEAST && count_items(linear, width) < 3 * n_thread) width /= 2;
  return width;
}

/* ---- many rows: pack a panel of W, multiply all rows with it, next panel ---- */

static void pack_panel(const product *p, const columns *c, int k, int n_k, void *panel) {
  const void *w = weight_at(p, c->part, c->w_row, k);
  size_t ldw = (size_t)p->linear->n_in;
  if (p->native_bf16)
    p->simd->pack_bf16(w, ldw, c->n, n_k, panel);
  else if (p->linear->dtype == MV_DTYPE_BF16)
    p->simd->pack_f32_bf16(w, ldw, c->n, n_k, panel);
  else
    p->simd->pack_f32(w, ldw, c->n, n_k, panel);
}

static void multiply_panel(const product *p, int row, int n_row, int k, int n_k, const void *panel,
                           float *acc) {
  size_t n_panel = (size_t)p->simd->n_panel;
  for (int r = 0; r < n_row; r += MV_GEMM_ROWS) {
    int n = n_row - r < MV_GEMM_ROWS ? n_row - r : MV_GEMM_ROWS;
    size_t x_at = (size_t)(row + r) * p->ldx + (size_t)k;
    float *out = acc + (size_t)r * n_panel;
    if (p->native_bf16)
      p->simd->gemm_bf16((const uint16_t *)p->x + x_at, p->ldx, n, panel, n_k, out);
    else
      p->simd->gemm_f32((const float *)p->x + x_at, p->ldx, n, panel, n_k, out);
  }
}

/* All rows of one block times the weight rows of c, of which n_panel make a panel. */
static void panel_columns(const product *p, columns c, void *panel, float *acc) {
  int n_panel = p->simd->n_panel, k_step = PANEL_BYTES / n_panel / (p->native_bf16 ? 2 : 4);
  for (int row = 0; row < p->dims->n_row; row += ROW_BLOCK) {
    int n_row = p->dims->n_row - row < ROW_BLOCK ? p->dims->n_row - row : ROW_BLOCK;
    memset(acc, 0, (size_t)n_row * (size_t)n_panel * sizeof *acc);
    for (int k = 0; k < p->linear->n_in; k += k_step) {
      int n_k = p->linear->n_in - k < k_step ? p->linear->n_in - k : k_step;
      pack_panel(p, &c, k, n_k, panel);
      multiply_panel(p, row, n_row, k, n_k, panel, acc);
    }
    for (int r = 0; r < n_row; r++)
      store_row(p, row + r, c.out, c.n, acc + (size_t)r * (size_t)n_panel);
  }
}

static size_t thread_bytes(const mv_cpu_simd *simd) {
  return PANEL_BYTES + (size_t)ROW_BLOCK * (size_t)simd->n_panel * sizeof(float);
}

static void panel_items(const void *loop, int first, int end, int thread) {
  const product *p = loop;
  char *mine = p->scratch + (size_t)thread * thread_bytes(p->simd);
  for (int i = first; i < end; i++)
    panel_columns(p, nth_item(p->linear, p->width, i), mine, (float *)(void *)(mine + PANEL_BYTES));
}

/* ---- */

typedef struct widen_loop {
  const product *p;
  float *wide;
} widen_loop;

static void widen_rows(const void *loop, int first, int end, int thread) {
  const widen_loop *l = loop;
  const product *p = l->p;
  size_t n_in = (size_t)p->linear->n_in;
  (void)thread;
  for (int r = first; r < end; r++)
    p->simd->widen((const uint16_t *)p->x + (size_t)r * p->ldx, l->wide + (size_t)r * n_in,
                   p->linear->n_in);
}

void mv_linear_cpu(mv_device *device, const mv_linear_dims *dims, const mv_linear *linear,
                   const void *x, void *y) {
  assert(dims->n_row >= 0 && linear->n_in > 0 && linear->n_out > 0);
  assert(linear->dtype != MV_DTYPE_F16);
  if (dims->n_row == 0 || device->error.code != MV_OK) return;
  product p = {mv_cpu_simd_of(device), dims, linear, x, (size_t)dims->ldx, 0, y, 0, NULL};
  int few = dims->order == MV_LINEAR_BY_ROWS ? dims->n_row <= MV_LINEAR_SKINNY_ROWS_CPU
                                             : dims->order == MV_LINEAR_FEW;
  p.width = few ? dot_width(linear, device->n_thread) : p.simd->n_panel;
  p.native_bf16 = p.simd->has_bf16 && dims->x_dtype == MV_DTYPE_BF16 &&
                  linear->dtype == MV_DTYPE_BF16 && (few || linear->n_in % 2 == 0);
  int must_widen = dims->x_dtype == MV_DTYPE_BF16 && !p.native_bf16; /* no bf16 products here */
  size_t wide_bytes =
      must_widen ? (size_t)dims->n_row * (size_t)linear->n_in * sizeof(float) + 64 : 0;
  wide_bytes &= ~(size_t)63;
  size_t work_bytes = few ? 0 : (size_t)device->n_thread * thread_bytes(p.simd);
  p.scratch = mv_device_scratch(device, wide_bytes + work_bytes);
  if (!p.scratch && wide_bytes + work_bytes) return;
  double flops = mv_linear_cost(dims, linear).flops;
  if (must_widen) {
    widen_loop loop = {&p, (float *)(void *)(p.scratch + work_bytes)};
    mv_cpu_run(device, flops, dims->n_row, widen_rows, &loop);
    p.x = loop.wide;
    p.ldx = (size_t)linear->n_in;
  }
  mv_cpu_run(device, flops, count_items(linear, p.width), few ? dot_items : panel_items, &p);
}
