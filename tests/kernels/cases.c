#include "tests/kernels/cases.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/memory.h"
#include "tests/tolerances.h"

#define GUARD 64 /* elements before and after the output: keeps it 64-byte aligned */
#define CANARY 0xA5

const kernel_op *const kernel_all_ops[] = {
    &kernel_linear,  &kernel_rmsnorm,   &kernel_rope_table, &kernel_rope,
    &kernel_rope_kv, &kernel_attention, &kernel_kv_copy,    &kernel_window_attention,
    &kernel_swiglu,  &kernel_gelu,      &kernel_embed,      &kernel_gather_rows,
    &kernel_patches, &kernel_fill,      &kernel_sample,     NULL};

const kernel_op *kernel_op_find(const char *name) {
  for (size_t i = 0; kernel_all_ops[i]; i++)
    if (strcmp(kernel_all_ops[i]->name, name) == 0) return kernel_all_ops[i];
  return NULL;
}

static void add(char *out, size_t size, const char *format, int a, int b) {
  size_t at = strlen(out);
  if (at + 1 < size) snprintf(out + at, size - at, format, a, b);
}

void kernel_case_print(const kernel_case *c, char *out, size_t size) {
  snprintf(out, size, "%s %d", c->op, c->n_row);
  if (c->n_in) add(out, size, "x%d -> %d", c->n_in, c->n_out[0]);
  for (int i = 1; i < MV_LINEAR_PARTS && c->n_out[i]; i++) add(out, size, "+%d", c->n_out[i], 0);
  if (c->d) add(out, size, "x%d", c->d, 0);
  if (c->n_head) add(out, size, " heads %d/%d", c->n_head, c->n_kv);
  if (c->d_head) add(out, size, " x %d", c->d_head, 0);
  if (c->n_span) add(out, size, " spans %d: %d", c->n_span, c->spans[0].n_row);
  if (c->n_span && c->spans[0].pos0) add(out, size, " at %d", c->spans[0].pos0, 0);
  size_t at = strlen(out);
  snprintf(out + at, size - at, " %s/%s/%s", mv_dtype_name(c->x), mv_dtype_name(c->w),
           mv_dtype_name(c->y));
  if (c->pad) add(out, size, " pad %d", c->pad, 0);
  if (c->bias) add(out, size, " bias", 0, 0);
  if (c->accumulate) add(out, size, " accumulate", 0, 0);
  if (c->tree) add(out, size, " tree", 0, 0);
  if (c->n_layer) add(out, size, " layers %d", c->n_layer, 0);
  if (c->height) add(out, size, " of %d x %d", c->height, c->width);
  if (c->n_best) add(out, size, " best %d", c->n_best, 0);
  if (c->holes) add(out, size, " holes %d", c->holes, 0);
}

/* ---- arrays ---- */

uint64_t kernel_hash(uint64_t seed, uint64_t i) {
  uint64_t z = seed * 0xD1342543DE82EF95u + (i + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

double kernel_value(const kernel_array *array, size_t i) {
  if (array->dtype == MV_DTYPE_F32) return (double)((const float *)array->host)[i];
  return (double)mv_bf16_to_f32(((const uint16_t *)array->host)[i]);
}

double kernel_rounded(mv_dtype dtype, double value) {
  if (dtype == MV_DTYPE_F32) return value;
  return (double)mv_bf16_to_f32(mv_f32_to_bf16((float)value));
}

static void put(void *data, mv_dtype dtype, size_t i, float value) {
  if (dtype == MV_DTYPE_F32)
    ((float *)data)[i] = value;
  else
    ((uint16_t *)data)[i] = mv_f32_to_bf16(value);
}

/* n random values; big arrays repeat a block of a prime length, which is as good and quicker. */
static void fill(void *data, mv_dtype dtype, size_t n, uint64_t seed, double spread) {
  enum { BLOCK = 1000003 };
  size_t n_fresh = n < BLOCK ? n : BLOCK, size = mv_dtype_bytes(dtype);
  for (size_t i = 0; i < n_fresh; i++) {
    double unit = (double)(kernel_hash(seed, i) >> 11) * 0x1p-52 - 1;
    put(data, dtype, i, (float)(unit * spread));
  }
  for (size_t at = n_fresh; at < n; at += BLOCK) {
    size_t m = n - at < BLOCK ? n - at : BLOCK;
    memcpy((char *)data + at * size, data, m * size);
  }
}

static int on_host(const kernel_run *run) { return run->ops == &mv_ops_cpu; }

static int array_alloc(kernel_run *run, kernel_array *array, mv_dtype dtype, size_t n) {
  size_t bytes = n * mv_dtype_bytes(dtype);
  array->dtype = dtype;
  array->n = n;
  array->dev = run->ops->alloc(run->device, bytes);
  if (!array->dev) return 0;
  array->host = on_host(run) ? array->dev : mv_alloc(bytes);
  if (!array->host) mv_fail(&run->device->error, MV_ERR_MEMORY, "no memory for a case");
  return array->host != NULL;
}

static void array_upload(kernel_run *run, kernel_array *array) {
  if (!on_host(run))
    run->ops->upload(run->device, array->dev, array->host, array->n * mv_dtype_bytes(array->dtype));
}

static void array_free(kernel_run *run, kernel_array *array) {
  if (array->host != array->dev) mv_free(array->host);
  if (array->dev) run->ops->free(run->device, array->dev);
  memset(array, 0, sizeof *array);
}

void kernel_input(kernel_run *run, int which, mv_dtype dtype, size_t n, double spread) {
  kernel_array *array = &run->in[which];
  if (!array_alloc(run, array, dtype, n)) return;
  fill(array->host, dtype, n, run->seed * 16 + (uint64_t)which, spread);
  array_upload(run, array);
}

void kernel_input_from(kernel_run *run, int which, mv_dtype dtype, size_t n, const float *values) {
  kernel_array *array = &run->in[which];
  if (!array_alloc(run, array, dtype, n)) return;
  for (size_t i = 0; i < n; i++) put(array->host, dtype, i, values[i]);
  array_upload(run, array);
}

size_t kernel_out_bytes(const kernel_run *run) {
  return run->out.n * mv_dtype_bytes(run->out.dtype);
}

void kernel_output(kernel_run *run, mv_dtype dtype, size_t n_row, int n_col, int ld, int keep) {
  run->n_out_row = n_row;
  run->n_col = n_col;
  run->ld = ld;
  if (!array_alloc(run, &run->out, dtype, n_row * (size_t)ld + 2 * GUARD)) return;
  run->initial = mv_alloc(kernel_out_bytes(run));
  if (!run->initial) {
    mv_fail(&run->device->error, MV_ERR_MEMORY, "no memory for a case");
    return;
  }
  memset(run->initial, CANARY, kernel_out_bytes(run));
  double spread = run->c->spread != 0 ? (double)run->c->spread : 1;
  for (size_t r = 0; keep && r < n_row; r++) {
    size_t at = (GUARD + r * (size_t)ld) * mv_dtype_bytes(dtype);
    fill((char *)run->initial + at, dtype, (size_t)n_col, run->seed * 77 + r, spread);
  }
  kernel_run_reset(run);
}

void *kernel_out(const kernel_run *run) {
  return (char *)run->out.dev + GUARD * mv_dtype_bytes(run->out.dtype);
}

double kernel_initial(const kernel_run *run, size_t row, int col) {
  kernel_array view = {.dtype = run->out.dtype, .host = run->initial};
  return kernel_value(&view, GUARD + row * (size_t)run->ld + (size_t)col);
}

void kernel_ints(kernel_run *run, size_t n) {
  run->ints = mv_calloc(n, sizeof *run->ints);
  run->dev_ints = run->ops->alloc(run->device, n * sizeof *run->ints);
  if (!run->ints) mv_fail(&run->device->error, MV_ERR_MEMORY, "no memory for a case");
}

void kernel_upload_ints(kernel_run *run, size_t n) {
  run->ops->upload(run->device, run->dev_ints, run->ints, n * sizeof *run->ints);
}

/* ---- runs ---- */

mv_status kernel_run_init(kernel_run *run, const kernel_case *c, mv_device *device,
                          const mv_ops *ops, uint64_t seed, mv_error *err) {
  memset(run, 0, sizeof *run);
  run->c = c;
  run->op = kernel_op_find(c->op);
  run->device = device;
  run->ops = ops;
  run->seed = seed;
  if (!run->op) return mv_fail(err, MV_ERR_USAGE, "%s: no such operation", c->op);
  run->op->prepare(run);
  return mv_device_status(device, err);
}

void kernel_run_go(kernel_run *run) { run->op->go(run); }

void kernel_run_reset(kernel_run *run) {
  run->ops->upload(run->device, run->out.dev, run->initial, kernel_out_bytes(run));
}

void kernel_run_free(kernel_run *run) {
  for (int i = 0; i < KERNEL_INPUTS; i++) array_free(run, &run->in[i]);
  array_free(run, &run->out);
  mv_free(run->initial);
  mv_free(run->ints);
  if (run->dev_ints) run->ops->free(run->device, run->dev_ints);
  mv_free(run->seqs);
  mv_free(run->trees);
  mv_free(run->rows);
  memset(run, 0, sizeof *run);
}

/* ---- comparison ---- */

void kernel_run_download(kernel_run *run, void *copy) {
  run->ops->download(run->device, copy, run->out.dev, kernel_out_bytes(run));
}

static void take_worst(kernel_verdict *v, double share, size_t row, int col, double got,
                       double want) {
  if (v->n != 0 && !(share > v->share)) return;
  v->share = share;
  v->worst_row = row;
  v->worst_col = col;
  v->got = got;
  v->want = want;
}

static double value_at(const kernel_run *run, const void *out, size_t row, int col) {
  kernel_array view = {.dtype = run->out.dtype, .host = (void *)(uintptr_t)out};
  size_t i = GUARD + row * (size_t)run->ld + (size_t)col;
  if (col >= run->n_int_col) return kernel_value(&view, i);
  int32_t bits;
  memcpy(&bits, (const char *)out + i * sizeof bits, sizeof bits);
  return (double)bits;
}

/* What is not finite is the same or wrong. */
static double error_of(double got, double want) {
  if (isfinite(want)) return fabs(got - want);
  return got == want || (isnan(got) && isnan(want)) ? 0 : INFINITY;
}

void kernel_compare(const kernel_run *run, const void *out, size_t row, int col, int n,
                    const double *want, const double *slack, kernel_verdict *v) {
  double unit = mv_tol_unit(run->out.dtype);
  for (int i = 0; i < n; i++) {
    double got = value_at(run, out, row, col + i), error = error_of(got, want[i]), allowed;
    if (isnan(slack[i]) || col + i < run->n_int_col) /* the exact bits, no rounding at all */
      allowed = 0;
    else
      allowed = slack[i] + unit * fabs(want[i]) + MV_TOL_TINY;
    double share = error == 0 ? 0 : allowed > 0 ? error / allowed : INFINITY;
    if (isfinite(want[i]) && !isfinite(got)) {
      v->n_nonfinite++;
      share = INFINITY;
    }
    take_worst(v, share, row, col + i, got, want[i]);
    v->n++;
    if (!isfinite(want[i])) continue;
    if (error > v->max_abs) v->max_abs = error;
    v->sum_error2 += error * error;
    v->sum_want2 += want[i] * want[i];
  }
  v->rel_l2 = v->sum_want2 > 0 ? sqrt(v->sum_error2 / v->sum_want2) : sqrt(v->sum_error2);
}

void kernel_check_guards(const kernel_run *run, const void *copy, kernel_verdict *v) {
  size_t size = mv_dtype_bytes(run->out.dtype);
  const char *now = copy, *was = run->initial;
  if (memcmp(now, was, GUARD * size) != 0) v->damage = "elements before the output were written";
  size_t end = (GUARD + run->n_out_row * (size_t)run->ld) * size;
  if (memcmp(now + end, was + end, GUARD * size) != 0)
    v->damage = "elements after the output were written";
  size_t gap = (size_t)(run->ld - run->n_col) * size;
  for (size_t r = 0; r < run->n_out_row; r++) {
    size_t at = (GUARD + r * (size_t)run->ld + (size_t)run->n_col) * size;
    if (memcmp(now + at, was + at, gap) != 0) v->damage = "columns between rows were written";
  }
}

int kernel_verdict_ok(const kernel_verdict *v) {
  return !v->damage && v->n_nonfinite == 0 && v->share <= 1;
}

void kernel_verdict_print(const kernel_verdict *v, char *out, size_t size) {
  snprintf(out, size,
           "%s%sworst [%zu,%d]: got %.9g, expected %.9g (%.0f %% of the tolerance); max abs %.3g, "
           "relative L2 %.3g, %zu of %zu not finite",
           v->damage ? v->damage : "", v->damage ? "; " : "", v->worst_row, v->worst_col, v->got,
           v->want, 100 * v->share, v->max_abs, v->rel_l2, v->n_nonfinite, v->n);
}
