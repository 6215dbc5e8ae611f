/* Operations on rows: rmsnorm, swiglu, gelu, embed, gather_rows, patches, fill. */
#include <math.h>

#include "tests/kernels/cases.h"
#include "tests/tolerances.h"

static double spread_of(const kernel_case *c) { return c->spread != 0 ? (double)c->spread : 1; }

static size_t size_of(const kernel_case *c) { return (size_t)c->n_row * (size_t)c->d; }

/* ---- rmsnorm ---- */

#define EPS 1e-6f

static mv_rmsnorm_dims norm_dims(const kernel_case *c) {
  mv_rmsnorm_dims dims = {c->n_row, c->d, c->x, c->y, EPS};
  return dims;
}

static void norm_prepare(kernel_run *run) {
  const kernel_case *c = run->c;
  kernel_input(run, 0, c->x, size_of(c), spread_of(c));
  kernel_input(run, 1, MV_DTYPE_F32, (size_t)c->d, 2);
  kernel_output(run, c->y, (size_t)c->n_row, c->d, c->d, 0);
}

static void norm_go(kernel_run *run) {
  mv_rmsnorm_dims dims = norm_dims(run->c);
  run->ops->rmsnorm(run->device, &dims, run->in[0].dev, run->in[1].dev, kernel_out(run));
}

static void norm_expect(const kernel_run *run, size_t row, int col, int n, double *want,
                        double *slack) {
  int d = run->c->d;
  double sum = 0;
  for (int i = 0; i < d; i++) {
    double x = kernel_value(&run->in[0], row * (size_t)d + (size_t)i);
    sum += x * x;
  }
  double scale = 1 / sqrt(sum / d + (double)EPS);
  for (int i = 0; i < n; i++) {
    double x = kernel_value(&run->in[0], row * (size_t)d + (size_t)(col + i));
    want[i] = x * scale * kernel_value(&run->in[1], (size_t)(col + i));
    slack[i] = mv_tol_sum(d, fabs(want[i])) + MV_TOL_FEW * fabs(want[i]);
  }
}

static mv_cost norm_cost(const kernel_run *run) {
  mv_rmsnorm_dims dims = norm_dims(run->c);
  return mv_rmsnorm_cost(&dims);
}

const kernel_op kernel_rmsnorm = {"rmsnorm", norm_prepare, norm_go, norm_expect, norm_cost};

/* ---- swiglu, gelu ---- */

static mv_activation_dims act_dims(const kernel_case *c) {
  mv_activation_dims dims = {c->n_row, c->d, c->x, c->y};
  return dims;
}

static void swiglu_prepare(kernel_run *run) {
  const kernel_case *c = run->c;
  kernel_input(run, 0, c->x, 2 * size_of(c), spread_of(c));
  kernel_output(run, c->y, (size_t)c->n_row, c->d, c->d, 0);
}

static void swiglu_go(kernel_run *run) {
  mv_activation_dims dims = act_dims(run->c);
  run->ops->swiglu(run->device, &dims, run->in[0].dev, kernel_out(run));
}

static void swiglu_expect(const kernel_run *run, size_t row, int col, int n, double *want,
                          double *slack) {
  size_t d = (size_t)run->c->d, at = row * 2 * d + (size_t)col;
  for (int i = 0; i < n; i++) {
    double gate = kernel_value(&run->in[0], at + (size_t)i);
    double up = kernel_value(&run->in[0], at + d + (size_t)i);
    want[i] = gate / (1 + exp(-gate)) * up;
    slack[i] = MV_TOL_FEW * fabs(want[i]) + MV_TOL_SILU_TAIL * fabs(gate * up);
  }
}

static mv_cost swiglu_cost(const kernel_run *run) {
  mv_activation_dims dims = act_dims(run->c);
  return mv_swiglu_cost(&dims);
}

const kernel_op kernel_swiglu = {"swiglu", swiglu_prepare, swiglu_go, swiglu_expect, swiglu_cost};

static void gelu_prepare(kernel_run *run) {
  const kernel_case *c = run->c;
  kernel_output(run, c->y, (size_t)c->n_row, c->d, c->d, 1);
}

static void gelu_go(kernel_run *run) {
  mv_activation_dims dims = act_dims(run->c);
  run->ops->gelu(run->device, &dims, kernel_out(run));
}

static void gelu_expect(const kernel_run *run, size_t row, int col, int n, double *want,
                        double *slack) {
  for (int i = 0; i < n; i++) {
    double x = kernel_initial(run, row, col + i);
    want[i] = x / 2 * (1 + erf(x / sqrt(2.0)));
    slack[i] = MV_TOL_FEW * fabs(x); /* 1 + erf cancels where x is negative */
  }
}

static mv_cost gelu_cost(const kernel_run *run) {
  mv_activation_dims dims = act_dims(run->c);
  return mv_gelu_cost(&dims);
}

const kernel_op kernel_gelu = {"gelu", gelu_prepare, gelu_go, gelu_expect, gelu_cost};

/* ---- embed, gather_rows: exact, so the bits are compared (slack NaN) ---- */

#define TABLE_ROWS 61
#define IMAGE_ROWS 17

static mv_gather_dims gather_dims(const kernel_case *c) {
  mv_gather_dims dims = {c->n_row, c->d, c->x, c->y};
  return dims;
}

static void gather_prepare(kernel_run *run, int n_image) {
  const kernel_case *c = run->c;
  size_t d = (size_t)c->d;
  kernel_input(run, 0, c->x, TABLE_ROWS * d, spread_of(c));
  if (n_image) kernel_input(run, 1, c->y, IMAGE_ROWS * d, spread_of(c));
  kernel_ints(run, (size_t)c->n_row);
  for (int r = 0; run->ints && r < c->n_row; r++) {
    uint64_t h = kernel_hash(run->seed, (uint64_t)r);
    int image = n_image && h % 3 == 0;
    run->ints[r] = image ? ~(int32_t)((h >> 8) % IMAGE_ROWS) : (int32_t)((h >> 8) % TABLE_ROWS);
  }
  if (run->device->error.code == MV_OK) kernel_upload_ints(run, (size_t)c->n_row);
  kernel_output(run, c->y, (size_t)c->n_row, c->d, c->d, 0);
}

static void embed_prepare(kernel_run *run) { gather_prepare(run, 1); }
static void rows_prepare(kernel_run *run) { gather_prepare(run, 0); }

static void gather_expect(const kernel_run *run, size_t row, int col, int n, double *want,
                          double *slack) {
  int32_t id = run->ints[row];
  const kernel_array *from = &run->in[id >= 0 ? 0 : 1];
  size_t at = (size_t)(id >= 0 ? id : ~id) * (size_t)run->c->d + (size_t)col;
  for (int i = 0; i < n; i++) {
    want[i] = kernel_rounded(run->c->y, kernel_value(from, at + (size_t)i));
    slack[i] = NAN;
  }
}

static void embed_go(kernel_run *run) {
  mv_gather_dims dims = gather_dims(run->c);
  run->ops->embed(run->device, &dims, run->dev_ints, run->in[0].dev, run->in[1].dev,
                  kernel_out(run));
}

static void rows_go(kernel_run *run) {
  mv_gather_dims dims = gather_dims(run->c);
  run->ops->gather_rows(run->device, &dims, run->dev_ints, run->in[0].dev, kernel_out(run));
}

static mv_cost embed_cost(const kernel_run *run) {
  mv_gather_dims dims = gather_dims(run->c);
  return mv_embed_cost(&dims);
}

static mv_cost rows_cost(const kernel_run *run) {
  mv_gather_dims dims = gather_dims(run->c);
  return mv_gather_rows_cost(&dims);
}

const kernel_op kernel_embed = {"embed", embed_prepare, embed_go, gather_expect, embed_cost};
const kernel_op kernel_gather_rows = {"gather_rows", rows_prepare, rows_go, gather_expect,
                                      rows_cost};

/* ---- patches: exact; every third seed in the order they come ---- */

static mv_patches_dims patches_dims(const kernel_case *c) {
  return (mv_patches_dims){c->height, c->width, c->channels, c->d, c->merge, c->temporal, c->y};
}

static size_t pixel_ints(const kernel_case *c) {
  return ((size_t)c->height * (size_t)c->width * (size_t)c->channels + 3) / 4;
}

static const int32_t *patches_order(const kernel_run *run, int32_t *ints) {
  return run->seed % 3 ? ints + pixel_ints(run->c) : NULL;
}

static void patches_prepare(kernel_run *run) {
  const kernel_case *c = run->c;
  mv_patches_dims dims = patches_dims(c);
  size_t n_int = pixel_ints(c), n_row = (size_t)mv_patches_rows(&dims);
  kernel_input(run, 0, MV_DTYPE_F32, 3 * 256, 3);
  kernel_ints(run, n_int + n_row);
  for (size_t i = 0; run->ints && i < n_int + n_row; i++) {
    uint64_t h = kernel_hash(run->seed, i);
    run->ints[i] = i < n_int ? (int32_t)(uint32_t)h : (int32_t)(h % n_row);
  }
  if (run->device->error.code == MV_OK) kernel_upload_ints(run, n_int + n_row);
  int n_value = mv_patches_row_values(&dims);
  kernel_output(run, c->y, n_row, n_value, n_value, 0);
}

static void patches_go(kernel_run *run) {
  mv_patches_dims dims = patches_dims(run->c);
  run->ops->patches(run->device, &dims, run->dev_ints, run->in[0].dev,
                    patches_order(run, run->dev_ints), kernel_out(run));
}

static void patches_expect(const kernel_run *run, size_t row, int col, int n, double *want,
                           double *slack) {
  const kernel_case *c = run->c;
  const int32_t *order = patches_order(run, run->ints);
  int patch = order ? order[row] : (int)row, blocks_across = c->width / (c->d * c->merge);
  for (int i = 0; i < n; i++) {
    int in_plane = (col + i) % (c->d * c->d), channel = (col + i) / (c->temporal * c->d * c->d);
    int block = patch / (c->merge * c->merge), in_block = patch % (c->merge * c->merge);
    int y = (block / blocks_across * c->merge + in_block / c->merge) * c->d + in_plane / c->d;
    int x = (block % blocks_across * c->merge + in_block % c->merge) * c->d + in_plane % c->d;
    int at = (y * c->width + x) * c->channels + (c->channels == 1 ? 0 : channel);
    size_t v = ((const uint8_t *)run->ints)[at];
    want[i] = kernel_rounded(c->y, kernel_value(&run->in[0], 256 * (size_t)channel + v));
    slack[i] = NAN;
  }
}

static mv_cost patches_cost(const kernel_run *run) {
  mv_patches_dims dims = patches_dims(run->c);
  return mv_patches_cost(&dims);
}

const kernel_op kernel_patches = {"patches", patches_prepare, patches_go, patches_expect,
                                  patches_cost};

/* ---- fill: exact; `pad` columns and one row of zeros ---- */

static mv_fill_dims fill_dims(const kernel_run *run) {
  const kernel_case *c = run->c;
  mv_fill_dims dims = {.n_row = c->n_row,
                       .ld = c->d,
                       .n_value_row = c->pad ? c->n_row - 1 : c->n_row,
                       .n_col = c->d - c->pad,
                       .dtype = c->y,
                       .spread = (float)spread_of(c),
                       .seed = run->seed};
  return dims;
}

static void fill_prepare(kernel_run *run) {
  kernel_output(run, run->c->y, (size_t)run->c->n_row, run->c->d, run->c->d, 0);
}

static void fill_go(kernel_run *run) {
  mv_fill_dims dims = fill_dims(run);
  run->ops->fill(run->device, &dims, kernel_out(run));
}

static void fill_expect(const kernel_run *run, size_t row, int col, int n, double *want,
                        double *slack) {
  mv_fill_dims dims = fill_dims(run);
  for (int i = 0; i < n; i++) {
    int is_value = row < (size_t)dims.n_value_row && col + i < dims.n_col;
    uint64_t h = kernel_hash(run->seed, row * (uint64_t)dims.n_col + (uint64_t)(col + i));
    double unit = (double)(h >> 40) * 0x1p-23 - 1;
    want[i] = is_value ? kernel_rounded(dims.dtype, (double)((float)unit * dims.spread)) : 0;
    slack[i] = NAN;
  }
}

static mv_cost fill_cost(const kernel_run *run) {
  mv_fill_dims dims = fill_dims(run);
  return mv_fill_cost(&dims);
}

const kernel_op kernel_fill = {"fill", fill_prepare, fill_go, fill_expect, fill_cost};
