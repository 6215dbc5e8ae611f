#include "kernels/ops_profile.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/range.h"
#include "runtime/memory.h"

#define MAX_ROWS 64
#define MAX_PENDING (MV_PROFILE_MARKS / 2)

struct mv_profile {
  mv_ops ops; /* the device's own, with timed operations */
  const mv_ops *inner;
  mv_device *device;
  mv_profile_row rows[MAX_ROWS];
  int n_row;
  int pending[MAX_PENDING]; /* rows of operations that may not be done yet: marks 2i and 2i + 1 */
  int n_pending;
};

/* Adds the times of what is pending. */
static void drain(mv_profile *p) {
  for (int i = 0; i < p->n_pending; i++)
    p->rows[p->pending[i]].ms += p->inner->elapsed(p->device, 2 * i, 2 * i + 1);
  p->n_pending = 0;
}

/* The last row takes what does not fit. */
static int row_of(mv_profile *p, const char *op, int n_row) {
  int rows = n_row == 1 ? 1 : n_row > 0 && n_row <= 64 ? 64 : 0, i = 0;
  while (i < p->n_row && !(p->rows[i].rows == rows && strcmp(p->rows[i].op, op) == 0)) i++;
  if (i == MAX_ROWS) return MAX_ROWS - 1;
  if (i == p->n_row) p->rows[p->n_row++] = (mv_profile_row){.op = op, .rows = rows};
  return i;
}

static mv_profile *begin(mv_device *device, const char *op) {
  mv_profile *p = device->profile;
  if (p->n_pending == MAX_PENDING) drain(p);
  p->inner->mark(device, 2 * p->n_pending);
  mv_range_begin(device, op);
  return p;
}

static void end(mv_profile *p, const char *op, int n_row, mv_cost cost) {
  mv_range_end(p->device);
  p->inner->mark(p->device, 2 * p->n_pending + 1);
  int i = row_of(p, op, n_row);
  p->rows[i].n_call++;
  p->rows[i].bytes += cost.bytes;
  p->rows[i].flops += cost.flops;
  p->pending[p->n_pending++] = i;
}

/* ---- the timed table ---- */

static void linear_timed(mv_device *device, const mv_linear_dims *dims, const mv_linear *linear,
                         const void *x, void *y) {
  mv_profile *p = begin(device, "linear");
  p->inner->linear(device, dims, linear, x, y);
  end(p, "linear", dims->n_row, mv_linear_cost(dims, linear));
}

static void rmsnorm_timed(mv_device *device, const mv_rmsnorm_dims *dims, const void *x,
                          const float *w, void *y) {
  mv_profile *p = begin(device, "rmsnorm");
  p->inner->rmsnorm(device, dims, x, w, y);
  end(p, "rmsnorm", dims->n_row, mv_rmsnorm_cost(dims));
}

static void rope_table_timed(mv_device *device, const mv_rope_table_dims *dims,
                             const int32_t *position, const float *inv_freq, const uint8_t *axis,
                             float *table) {
  mv_profile *p = begin(device, "rope_table");
  p->inner->rope_table(device, dims, position, inv_freq, axis, table);
  end(p, "rope_table", dims->n_row, mv_rope_table_cost(dims));
}

static void rope_timed(mv_device *device, const mv_rope_dims *dims, const float *table, void *x) {
  mv_profile *p = begin(device, "rope");
  p->inner->rope(device, dims, table, x);
  end(p, "rope", dims->n_row, mv_rope_cost(dims));
}

static void rope_kv_timed(mv_device *device, const mv_attention_dims *dims, const mv_seq_plan *plan,
                          const float *table, void *qkv, void *cache) {
  mv_profile *p = begin(device, "rope_kv");
  p->inner->rope_kv(device, dims, plan, table, qkv, cache);
  end(p, "rope_kv", dims->n_row, mv_rope_kv_cost(dims));
}

static void attention_timed(mv_device *device, const mv_attention_dims *dims,
                            const mv_seq_plan *plan, const void *q, const void *cache, void *out) {
  mv_profile *p = begin(device, "attention");
  p->inner->attention(device, dims, plan, q, cache, out);
  end(p, "attention", dims->n_row, mv_attention_cost(dims, plan->seqs, plan->n_seq));
}

static void kv_copy_timed(mv_device *device, const mv_kv_copy_dims *dims, const mv_kv_move *moves,
                          int n_move, void *cache) {
  mv_profile *p = begin(device, "kv_copy");
  p->inner->kv_copy(device, dims, moves, n_move, cache);
  end(p, "kv_copy", n_move, mv_kv_copy_cost(dims, moves, n_move));
}

static void window_attention_timed(mv_device *device, const mv_attention_dims *dims,
                                   const int32_t *segments, int n_segment, const void *q,
                                   const void *k, const void *v, void *out) {
  mv_profile *p = begin(device, "window_attention");
  p->inner->window_attention(device, dims, segments, n_segment, q, k, v, out);
  end(p, "window_attention", dims->n_row, mv_window_attention_cost(dims, segments, n_segment));
}

static void swiglu_timed(mv_device *device, const mv_activation_dims *dims, const void *gate_up,
                         void *out) {
  mv_profile *p = begin(device, "swiglu");
  p->inner->swiglu(device, dims, gate_up, out);
  end(p, "swiglu", dims->n_row, mv_swiglu_cost(dims));
}

static void gelu_timed(mv_device *device, const mv_activation_dims *dims, void *x) {
  mv_profile *p = begin(device, "gelu");
  p->inner->gelu(device, dims, x);
  end(p, "gelu", dims->n_row, mv_gelu_cost(dims));
}

static void embed_timed(mv_device *device, const mv_gather_dims *dims, const int32_t *ids,
                        const void *table, const void *image, void *out) {
  mv_profile *p = begin(device, "embed");
  p->inner->embed(device, dims, ids, table, image, out);
  end(p, "embed", dims->n_row, mv_embed_cost(dims));
}

static void gather_rows_timed(mv_device *device, const mv_gather_dims *dims, const int32_t *index,
                              const void *x, void *out) {
  mv_profile *p = begin(device, "gather_rows");
  p->inner->gather_rows(device, dims, index, x, out);
  end(p, "gather_rows", dims->n_row, mv_gather_rows_cost(dims));
}

static void patches_timed(mv_device *device, const mv_patches_dims *dims, const uint8_t *pixels,
                          const float *value, const int32_t *order, void *out) {
  mv_profile *p = begin(device, "patches");
  p->inner->patches(device, dims, pixels, value, order, out);
  end(p, "patches", mv_patches_rows(dims), mv_patches_cost(dims));
}

static void sample_timed(mv_device *device, const mv_sample_dims *dims, const mv_sample_row *rows,
                         const float *logits, mv_pick *picks, mv_pick *best) {
  mv_profile *p = begin(device, "sample");
  p->inner->sample(device, dims, rows, logits, picks, best);
  end(p, "sample", dims->n_row, mv_sample_cost(dims));
}

static void fill_timed(mv_device *device, const mv_fill_dims *dims, void *x) {
  mv_profile *p = begin(device, "fill");
  p->inner->fill(device, dims, x);
  end(p, "fill", 0, mv_fill_cost(dims));
}

static void upload_timed(mv_device *device, void *dst, const void *src, size_t n_bytes) {
  mv_profile *p = begin(device, "upload");
  p->inner->upload(device, dst, src, n_bytes);
  end(p, "upload", 0, (mv_cost){(double)n_bytes, 0});
}

static void download_timed(mv_device *device, void *dst, const void *src, size_t n_bytes) {
  mv_profile *p = begin(device, "download");
  p->inner->download(device, dst, src, n_bytes);
  end(p, "download", 0, (mv_cost){(double)n_bytes, 0});
}

static void step_begin_timed(mv_device *device) { (void)device; }

static int step_end_timed(mv_device *device) {
  (void)device;
  return 0;
}

mv_status mv_profile_open(mv_profile **out, mv_device *device, const mv_ops **ops, mv_error *err) {
  mv_profile *p = *out = mv_calloc(1, sizeof *p);
  if (!p) return mv_fail(err, MV_ERR_MEMORY, "no memory for a profile");
  p->inner = *ops;
  p->device = device;
  p->ops = **ops;
  p->ops.step_begin = step_begin_timed;
  p->ops.step_end = step_end_timed;
  p->ops.upload = upload_timed;
  p->ops.download = download_timed;
  p->ops.linear = linear_timed;
  p->ops.rmsnorm = rmsnorm_timed;
  p->ops.rope_table = rope_table_timed;
  p->ops.rope = rope_timed;
  p->ops.rope_kv = rope_kv_timed;
  p->ops.attention = attention_timed;
  p->ops.kv_copy = kv_copy_timed;
  p->ops.window_attention = window_attention_timed;
  p->ops.swiglu = swiglu_timed;
  p->ops.gelu = gelu_timed;
  p->ops.embed = embed_timed;
  p->ops.gather_rows = gather_rows_timed;
  p->ops.patches = patches_timed;
  p->ops.sample = sample_timed;
  p->ops.fill = fill_timed;
  device->profile = p;
  *ops = &p->ops;
  return MV_OK;
}

void mv_profile_close(mv_profile *profile) {
  if (profile) profile->device->profile = NULL;
  mv_free(profile);
}

const mv_ops *mv_profile_inner(const mv_profile *profile) { return profile->inner; }

/* ---- what it found ---- */

static int longest_first(const void *a, const void *b) {
  double x = ((const mv_profile_row *)a)->ms, y = ((const mv_profile_row *)b)->ms;
  return x > y ? -1 : x < y;
}

const mv_profile_row *mv_profile_rows(mv_profile *profile, int *n) {
  drain(profile);
  qsort(profile->rows, (size_t)profile->n_row, sizeof *profile->rows, longest_first);
  *n = profile->n_row;
  return profile->rows;
}

static double limit_ms(const mv_profile_row *row, const mv_limits *limits) {
  double moving = limits->gbs > 0 ? row->bytes / limits->gbs * 1e-6 : 0;
  double computing = limits->gflops > 0 ? row->flops / limits->gflops * 1e-6 : 0;
  return moving > computing ? moving : computing;
}

void mv_profile_print(mv_profile *profile, const mv_limits *limits, mv_buf *out) {
  int n;
  const mv_profile_row *rows = mv_profile_rows(profile, &n);
  double total = 0;
  for (int i = 0; i < n; i++) total += rows[i].ms;
  mv_buf_printf(out, "%s: copies %.1f GB/s, multiplies %.1f GFLOP/s; %.1f ms in operations\n",
                profile->device->name, limits->gbs, limits->gflops, total);
  mv_buf_printf(out, "%-17s %-7s %8s %10s %10s %7s %9s %10s %8s\n", "operation", "rows", "calls",
                "ms", "us a call", "% time", "GB/s", "GFLOP/s", "% limit");
  for (int i = 0; i < n; i++) {
    const mv_profile_row *r = &rows[i];
    double ms = r->ms > 0 ? r->ms : 1e-9;
    mv_buf_printf(out, "%-17s %-7s %8ld %10.2f %10.1f %6.1f%% %9.1f %10.1f %7.0f%%\n", r->op,
                  r->rows == 1    ? "1"
                  : r->rows == 64 ? "2-64"
                                  : "",
                  r->n_call, r->ms, 1e3 * r->ms / (double)r->n_call,
                  total > 0 ? 100 * r->ms / total : 0, r->bytes / ms * 1e-6, r->flops / ms * 1e-6,
                  100 * limit_ms(r, limits) / ms);
  }
}
