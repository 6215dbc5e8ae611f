/* sample, by definition: a token stays when fewer than k are better and the better ones that stay
 * together weigh less than top_p of all; the draw goes over what stays in order of ids.
 *
 * The output is rows of one mv_pick: first the picks, then the lists of the best. The id is
 * compared as it is, the log-probability like any number.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/memory.h"
#include "tests/kernels/cases.h"
#include "tests/tolerances.h"

static const int32_t some[] = {0, 3, 4, 6};

const mv_sample_row kernel_choices[KERNEL_CHOICES] = {
    {0, 1, 0, 1, 0, NULL, 0},          {0, 1, 0, 1.3f, 0, some, 4},
    {1, 1, 0, 1, -1, NULL, 0},         {0.2f, 1, 0, 1, -1, NULL, 0},
    {1, 1, 1, 1, -1, NULL, 0},         {1, 1, 5, 1, -1, NULL, 0},
    {1, 0.9f, 0, 1, -1, NULL, 0},      {0.7f, 0.5f, 0, 1, -1, NULL, 0},
    {2, 0.8f, 6, 1, -1, NULL, 0},      {1, 1e-6f, 0, 1, -1, NULL, 0},
    {0.9f, 0.95f, 50, 2, -1, some, 4}, {1e-30f, 0.9f, 0, 1, -1, NULL, 0},
    {3, 1, 0, 0.5f, 0, some, 2},
};

static mv_sample_dims sample_dims(const kernel_case *c) {
  mv_sample_dims dims = {c->n_row, c->d, c->n_best};
  return dims;
}

/* Random logits; of a step, many are equal; of holes, every third is not finite. */
static void make_logits(kernel_run *run) {
  const kernel_case *c = run->c;
  size_t n = (size_t)c->n_row * (size_t)c->d;
  float *values = mv_calloc(n ? n : 1, sizeof *values);
  if (!values) {
    mv_fail(&run->device->error, MV_ERR_MEMORY, "no memory for a case");
    return;
  }
  double spread = c->spread != 0 ? (double)c->spread : 1;
  for (size_t i = 0; i < n; i++) {
    uint64_t h = kernel_hash(run->seed, i);
    double x = ((double)(h >> 11) * 0x1p-52 - 1) * spread;
    if (c->step != 0) x = round(x / (double)c->step) * (double)c->step;
    int hole = h % 3 == 0 ? c->holes : 0;
    values[i] = hole == 1 ? -INFINITY : hole == 2 ? NAN : hole == 3 ? INFINITY : (float)x;
  }
  kernel_input_from(run, 0, MV_DTYPE_F32, n, values);
  mv_free(values);
}

static void sample_prepare(kernel_run *run) {
  const kernel_case *c = run->c;
  make_logits(run);
  run->rows = mv_calloc((size_t)c->n_row + 1, sizeof *run->rows);
  if (!run->rows) mv_fail(&run->device->error, MV_ERR_MEMORY, "no memory for a case");
  for (int r = 0; run->rows && r < c->n_row; r++) {
    run->rows[r] = c->how[r % c->n_how];
    if (run->rows[r].uniform < 0)
      run->rows[r].uniform = (double)(kernel_hash(run->seed + 1, (uint64_t)r) >> 11) * 0x1p-53;
  }
  kernel_output(run, MV_DTYPE_F32, (size_t)c->n_row * (size_t)(1 + c->n_best), 2, 2, 0);
  run->n_int_col = 1;
}

static void sample_go(kernel_run *run) {
  mv_sample_dims dims = sample_dims(run->c);
  mv_pick *picks = kernel_out(run);
  run->ops->sample(run->device, &dims, run->rows, run->in[0].dev, picks,
                   dims.n_best ? picks + dims.n_row : NULL);
}

/* ---- the reference ---- */

typedef struct token {
  double score, weight;
  int32_t id;
} token;

static int best_first(const void *a, const void *b) {
  const token *x = a, *y = b;
  if (x->score != y->score) return x->score > y->score ? -1 : 1;
  return x->id < y->id ? -1 : x->id > y->id;
}

static int by_id(const void *a, const void *b) {
  return ((const token *)a)->id < ((const token *)b)->id ? -1 : 1;
}

/* The row's tokens in order of ids: scores after the penalty, NaN lowest. */
static token *tokens_of(const kernel_run *run, size_t row, const mv_sample_row *how) {
  size_t n = (size_t)run->c->d;
  token *all = malloc((n ? n : 1) * sizeof *all);
  for (size_t i = 0; all && i < n; i++)
    all[i] = (token){kernel_value(&run->in[0], row * n + i), 0, (int32_t)i};
  for (int i = 0; all && how && i < how->n_seen; i++) {
    double *x = &all[how->seen[i]].score;
    /* rounded to f32, as scores are: equal scores must be so in both worlds */
    *x = (double)(float)(*x > 0 ? *x / (double)how->penalty : *x * (double)how->penalty);
  }
  for (size_t i = 0; all && i < n; i++)
    if (isnan(all[i].score)) all[i].score = -INFINITY;
  return all;
}

static int32_t drawn(const mv_sample_row *how, token *all, int n) {
  int n_left = how->top_k > 0 && how->top_k < n ? how->top_k : n, n_kept = 0;
  double whole = 0, sum = 0, at = 0;
  qsort(all, (size_t)n, sizeof *all, best_first);
  for (int i = 0; i < n_left; i++) {
    double below = all[i].score == all[0].score ? 0 : all[i].score - all[0].score;
    whole += all[i].weight = floor(exp(below / (double)how->temperature) * 0x1p32);
  }
  while (n_kept < n_left && sum < (double)how->top_p * whole) sum += all[n_kept++].weight;
  qsort(all, (size_t)n_kept, sizeof *all, by_id);
  for (int i = 0; i < n_kept; i++)
    if ((at += all[i].weight) > floor(how->uniform * sum)) return all[i].id;
  return -1;
}

/* Which token belongs into an output row, which row of logits that is of in *row. */
static int32_t expected_id(const kernel_run *run, size_t out_row, size_t *row) {
  const kernel_case *c = run->c;
  size_t n_row = (size_t)c->n_row;
  int is_pick = out_row < n_row, place = 0;
  *row = out_row;
  if (!is_pick) {
    *row = (out_row - n_row) / (size_t)c->n_best;
    place = (int)((out_row - n_row) % (size_t)c->n_best);
  }
  const mv_sample_row *how = is_pick ? &run->rows[*row] : NULL;
  token *all = tokens_of(run, *row, how);
  if (!all) return -1;
  int32_t id;
  if (how && how->temperature != 0) {
    id = drawn(how, all, c->d);
  } else {
    qsort(all, (size_t)c->d, sizeof *all, best_first);
    id = all[place].id;
  }
  free(all);
  return id;
}

static void sample_expect(const kernel_run *run, size_t out_row, int col, int n, double *want,
                          double *slack) {
  size_t row, n_vocab = (size_t)run->c->d;
  int32_t id = expected_id(run, out_row, &row);
  double max = -INFINITY, sum = 0;
  for (size_t i = 0; i < n_vocab; i++)
    max = fmax(max, kernel_value(&run->in[0], row * n_vocab + i));
  for (size_t i = 0; i < n_vocab; i++)
    sum += exp(kernel_value(&run->in[0], row * n_vocab + i) - max);
  double x = id < 0 ? NAN : kernel_value(&run->in[0], row * n_vocab + (size_t)id);
  int is_pick = out_row < (size_t)run->c->n_row;
  double logprob = is_pick && !isfinite(x) ? NAN : x - max - log(sum);
  for (int i = 0; i < n; i++) {
    want[i] = col + i == 0 ? (double)id : logprob;
    slack[i] = mv_tol_sum((double)n_vocab, 1) +
               MV_TOL_FEW * (1 + log(sum) + (isfinite(x) ? fabs(x - max) : 0));
  }
}

static mv_cost sample_cost(const kernel_run *run) {
  mv_sample_dims dims = sample_dims(run->c);
  return mv_sample_cost(&dims);
}

const kernel_op kernel_sample = {"sample", sample_prepare, sample_go, sample_expect, sample_cost};
