/* linear: inputs x, up to three parts of W, bias; the reference is the definition. */
#include <math.h>
#include <string.h>

#include "runtime/memory.h"
#include "tests/kernels/cases.h"
#include "tests/tolerances.h"

enum { X, BIAS, W0, NARROW = W0 + MV_LINEAR_PARTS };
_Static_assert((int)NARROW < (int)KERNEL_INPUTS, "an input each");

static int n_out_of(const kernel_case *c) { return c->n_out[0] + c->n_out[1] + c->n_out[2]; }

static mv_linear weights(const kernel_run *run) {
  const kernel_case *c = run->c;
  size_t row_bytes = (size_t)c->n_in * mv_dtype_bytes(c->w);
  mv_linear out = {.n_in = c->n_in, .n_out = n_out_of(c), .dtype = c->w};
  for (int i = 0; i < MV_LINEAR_PARTS && c->n_out[i]; i++) {
    out.part[i].w = run->in[W0 + i].dev;
    if (c->loaded && i > 0)
      out.part[i].w = (const char *)out.part[i - 1].w + (size_t)c->n_out[i - 1] * row_bytes;
    out.part[i].n_row = c->n_out[i];
    out.n_part++;
  }
  out.bias = c->bias ? run->in[BIAS].dev : NULL;
  out.bias_bf16 = c->bias && c->loaded ? run->in[NARROW].dev : NULL;
  return out;
}

static mv_linear_dims dims_of(const kernel_case *c) {
  mv_linear_dims dims = {c->n_row, c->n_in + c->pad, n_out_of(c) + c->pad, c->x,
                         c->y,     c->accumulate,    MV_LINEAR_BY_ROWS};
  return dims;
}

/* The same numbers in both formats. */
static void load_bias(kernel_run *run, size_t n) {
  float *values = mv_alloc(n * sizeof *values);
  kernel_input(run, NARROW, MV_DTYPE_BF16, n, 2);
  if (!values)
    mv_fail(&run->device->error, MV_ERR_MEMORY, "no memory for a case");
  else if (run->device->error.code == MV_OK) {
    for (size_t i = 0; i < n; i++) values[i] = (float)kernel_value(&run->in[NARROW], i);
    kernel_input_from(run, BIAS, MV_DTYPE_F32, n, values);
  }
  mv_free(values);
}

static void prepare(kernel_run *run) {
  const kernel_case *c = run->c;
  int n_out = n_out_of(c);
  kernel_input(run, X, c->x, (size_t)c->n_row * (size_t)(c->n_in + c->pad), 1);
  for (int i = 0; i < (c->loaded ? 1 : MV_LINEAR_PARTS) && c->n_out[i]; i++) {
    int n = c->loaded ? n_out : c->n_out[i];
    kernel_input(run, W0 + i, c->w, (size_t)n * (size_t)c->n_in, 1);
  }
  if (c->bias && c->loaded)
    load_bias(run, (size_t)n_out);
  else if (c->bias)
    kernel_input(run, BIAS, MV_DTYPE_F32, (size_t)n_out, 2);
  kernel_output(run, c->y, (size_t)c->n_row, n_out, n_out + c->pad, c->accumulate);
}

static void go(kernel_run *run) {
  mv_linear_dims dims = dims_of(run->c);
  mv_linear linear = weights(run);
  run->ops->linear(run->device, &dims, &linear, run->in[X].dev, kernel_out(run));
}

static void expect(const kernel_run *run, size_t row, int col, int n, double *want, double *slack) {
  const kernel_case *c = run->c;
  size_t x_at = row * (size_t)(c->n_in + c->pad);
  for (int i = 0; i < n; i++) {
    int part = 0, w_row = col + i;
    while (!c->loaded && w_row >= c->n_out[part]) w_row -= c->n_out[part++];
    double sum = 0, mag = 0;
    for (int k = 0; k < c->n_in; k++) {
      double product =
          kernel_value(&run->in[X], x_at + (size_t)k) *
          kernel_value(&run->in[W0 + part], (size_t)w_row * (size_t)c->n_in + (size_t)k);
      sum += product;
      mag += fabs(product);
    }
    double bias = c->bias ? kernel_value(&run->in[BIAS], (size_t)(col + i)) : 0;
    double before = c->accumulate ? kernel_initial(run, row, col + i) : 0;
    want[i] = sum + bias + before;
    slack[i] = mv_tol_sum(c->n_in, mag + fabs(bias) + fabs(before));
  }
}

static mv_cost cost(const kernel_run *run) {
  mv_linear_dims dims = dims_of(run->c);
  mv_linear linear = weights(run);
  return mv_linear_cost(&dims, &linear);
}

const kernel_op kernel_linear = {"linear", prepare, go, expect, cost};
