/* rope_table, rope. */
#include <math.h>

#include "runtime/memory.h"
#include "tests/kernels/cases.h"
#include "tests/tolerances.h"

enum { INV_FREQ, AXIS, TABLE = 0 };

/* Axes in three runs, as mrope_section gives them. */
static int axis_of(int i, int n_freq) { return i < n_freq / 4 ? 0 : i < 5 * n_freq / 8 ? 1 : 2; }

/* ---- rope_table ---- */

static mv_rope_table_dims table_dims(const kernel_case *c) {
  mv_rope_table_dims dims = {c->n_row, c->d_head / 2};
  return dims;
}

static void table_prepare(kernel_run *run) {
  int n_row = run->c->n_row, n_freq = run->c->d_head / 2;
  float inv_freq[128];
  for (int i = 0; i < n_freq; i++) inv_freq[i] = powf(1e6f, -(float)i / (float)n_freq);
  kernel_input_from(run, INV_FREQ, MV_DTYPE_F32, (size_t)n_freq, inv_freq);
  size_t n = 3 * (size_t)n_row, n_axis = ((size_t)n_freq + 3) / 4;
  kernel_ints(run, n + n_axis); /* positions, then one byte a frequency */
  if (run->device->error.code != MV_OK) return;
  for (size_t i = 0; i < n; i++) run->ints[i] = (int32_t)(kernel_hash(run->seed, i) % 100000);
  for (int i = 0; i < n_freq; i++) ((uint8_t *)(run->ints + n))[i] = (uint8_t)axis_of(i, n_freq);
  kernel_upload_ints(run, n + n_axis);
  kernel_output(run, MV_DTYPE_F32, (size_t)n_row, 2 * n_freq, 2 * n_freq, 0);
}

static void table_go(kernel_run *run) {
  mv_rope_table_dims dims = table_dims(run->c);
  const int32_t *position = run->dev_ints;
  run->ops->rope_table(run->device, &dims, position, run->in[INV_FREQ].dev,
                       (const uint8_t *)(position + 3 * (size_t)run->c->n_row), kernel_out(run));
}

static void table_expect(const kernel_run *run, size_t row, int col, int n, double *want,
                         double *slack) {
  int n_freq = run->c->d_head / 2;
  for (int i = 0; i < n; i++) {
    int f = (col + i) / 2;
    size_t axis = (size_t)axis_of(f, n_freq);
    int32_t position = run->ints[axis * (size_t)run->c->n_row + row];
    float inv_freq = (float)kernel_value(&run->in[INV_FREQ], (size_t)f);
    float angle = (float)position * inv_freq; /* in f32: that is the contract */
    want[i] = (col + i) % 2 == 0 ? cos((double)angle) : sin((double)angle);
    slack[i] = MV_TOL_TRIG;
  }
}

static mv_cost table_cost(const kernel_run *run) {
  mv_rope_table_dims dims = table_dims(run->c);
  return mv_rope_table_cost(&dims);
}

const kernel_op kernel_rope_table = {"rope_table", table_prepare, table_go, table_expect,
                                     table_cost};

/* ---- rope ---- */

static mv_rope_dims rope_dims(const kernel_case *c) {
  mv_rope_dims dims = {c->n_row, c->n_head, c->d_head, c->n_head * c->d_head + c->pad, c->y};
  return dims;
}

static void rope_prepare(kernel_run *run) {
  const kernel_case *c = run->c;
  size_t n = (size_t)c->n_row * (size_t)(c->d_head / 2);
  float *table = mv_alloc(2 * n * sizeof *table);
  if (!table) {
    mv_fail(&run->device->error, MV_ERR_MEMORY, "no memory for a case");
    return;
  }
  for (size_t i = 0; i < n; i++) {
    double angle = (double)(kernel_hash(run->seed, i) % 6283) * 1e-3;
    table[2 * i] = (float)cos(angle);
    table[2 * i + 1] = (float)sin(angle);
  }
  kernel_input_from(run, TABLE, MV_DTYPE_F32, 2 * n, table);
  mv_free(table);
  kernel_output(run, c->y, (size_t)c->n_row, c->n_head * c->d_head, rope_dims(c).ldx, 1);
}

static void rope_go(kernel_run *run) {
  mv_rope_dims dims = rope_dims(run->c);
  run->ops->rope(run->device, &dims, run->in[TABLE].dev, kernel_out(run));
}

static void rope_expect(const kernel_run *run, size_t row, int col, int n, double *want,
                        double *slack) {
  int d = run->c->d_head, half = d / 2;
  for (int i = 0; i < n; i++) {
    int at = (col + i) % d, f = at % half, head = (col + i) - at;
    size_t t = 2 * (row * (size_t)half + (size_t)f);
    double c = kernel_value(&run->in[TABLE], t), s = kernel_value(&run->in[TABLE], t + 1);
    double a = kernel_initial(run, row, head + f), b = kernel_initial(run, row, head + f + half);
    want[i] = at < half ? a * c - b * s : b * c + a * s;
    slack[i] = MV_TOL_FEW * (fabs(a) + fabs(b));
  }
}

static mv_cost rope_cost(const kernel_run *run) {
  mv_rope_dims dims = rope_dims(run->c);
  return mv_rope_cost(&dims);
}

const kernel_op kernel_rope = {"rope", rope_prepare, rope_go, rope_expect, rope_cost};
