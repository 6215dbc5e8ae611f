#include "kernels/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu.h"

#define UNIT 4294967296.0 /* weight of the likeliest token: 2^32 */

/* A token that may be chosen. */
typedef struct candidate {
  float score;
  int32_t id;
} candidate;

mv_cost mv_sample_cost(const mv_sample_dims *dims) {
  double n = (double)dims->n_row * dims->n_vocab;
  mv_cost cost = {4 * n, 2 * n};
  return cost;
}

/* A damaged checkpoint gives NaN, which would leave sorting without an order: it ranks last. */
static float rank_of(float x) { return isnan(x) ? -INFINITY : x; }

/* The largest value, without NaN: sixteen at a time, which compilers make vectors of. */
static float largest(const float *x, int n) {
  enum { LANES = 16 };
  float best[LANES];
  int i = 0;
  for (int k = 0; k < LANES; k++) best[k] = -INFINITY;
  for (; i + LANES <= n; i += LANES)
    for (int k = 0; k < LANES; k++) best[k] = x[i + k] > best[k] ? x[i + k] : best[k];
  for (; i < n; i++) best[0] = x[i] > best[0] ? x[i] : best[0];
  for (int k = 1; k < LANES; k++) best[0] = best[k] > best[0] ? best[k] : best[0];
  return best[0];
}

static int32_t first_of(const float *x, float max) {
  int32_t i = 0;
  while (max > -INFINITY && x[i] != max) i++;
  return i;
}

static int better(const candidate *a, const candidate *b) {
  return a->score != b->score ? a->score > b->score : a->id < b->id;
}

static int best_first(const void *a, const void *b) {
  return better(a, b) ? -1 : better(b, a) ? 1 : 0;
}

static void swap(candidate *a, candidate *b) {
  candidate t = *a;
  *a = *b;
  *b = t;
}

/* Puts the k best of all[0..n) first, in order: quickselect, then a sort of those. */
static void select_best(candidate *all, int n, int k) {
  int lo = 0, hi = n;
  while (hi - lo > 1 && k > lo && k < hi) {
    candidate pivot = all[lo + (hi - lo) / 2];
    int i = lo, j = hi - 1;
    while (i <= j) {
      while (better(&all[i], &pivot)) i++;
      while (better(&pivot, &all[j])) j--;
      if (i <= j) swap(&all[i++], &all[j--]);
    }
    if (k <= j + 1)
      hi = j + 1;
    else if (k >= i)
      lo = i;
    else
      break;
  }
  qsort(all, (size_t)k, sizeof *all, best_first);
}

static void list_candidates(const float *scores, int n, candidate *all) {
  for (int32_t i = 0; i < n; i++) all[i] = (candidate){rank_of(scores[i]), i};
}

static void penalise(const mv_sample_row *row, float *scores) {
  for (int i = 0; i < row->n_seen; i++) {
    float *x = &scores[row->seen[i]];
    *x = *x > 0 ? *x / row->penalty : *x * row->penalty;
  }
}

static uint64_t weight(const mv_sample_row *row, float score, float max) {
  if (score == max) return (uint64_t)UNIT; /* also where both are infinite */
  return (uint64_t)((double)expf((score - max) / row->temperature) * UNIT);
}

/* Best-first candidates that top-k and top-p keep; their weights' sum in *sum. */
static int keep(const mv_sample_row *row, candidate *all, int n, uint64_t *sum) {
  int k = row->top_k > 0 && row->top_k < n ? row->top_k : n;
  select_best(all, n, k);
  uint64_t whole = 0, kept = 0;
  for (int i = 0; i < k; i++) whole += weight(row, all[i].score, all[0].score);
  for (int i = 0; i < k; i++) {
    kept += weight(row, all[i].score, all[0].score);
    *sum = kept;
    if ((double)kept >= (double)row->top_p * (double)whole) return i + 1;
  }
  return k;
}

/* The first id, in order of ids, whose cumulative weight exceeds uniform * sum. */
static int32_t draw(const mv_sample_row *row, candidate *kept, int n, uint64_t sum, float *scores,
                    int n_vocab) {
  float max = kept[0].score;
  uint64_t target = (uint64_t)(row->uniform * (double)sum), at = 0;
  int32_t last = kept[0].id;
  for (int i = 0; i < n_vocab; i++) scores[i] = NAN; /* not kept */
  for (int i = 0; i < n; i++) scores[kept[i].id] = kept[i].score;
  for (int32_t id = 0; id < n_vocab; id++) {
    if (isnan(scores[id])) continue;
    last = id;
    at += weight(row, scores[id], max);
    if (at > target) return id;
  }
  return last;
}

/* max: the largest of the logits. */
static int32_t choose(const mv_sample_row *row, const float *logits, int n, float max,
                      float *scores, candidate *all) {
  int has_penalty = row->penalty != 1.0f && row->n_seen > 0;
  if (row->temperature == 0 && !has_penalty) return first_of(logits, max);
  memcpy(scores, logits, (size_t)n * sizeof *logits);
  if (has_penalty) penalise(row, scores);
  if (row->temperature == 0) return first_of(scores, largest(scores, n));
  uint64_t sum = 0;
  list_candidates(scores, n, all);
  int n_kept = keep(row, all, n, &sum);
  return draw(row, all, n_kept, sum, scores, n);
}

/* What a logit loses to become a log-probability, in two parts: one may drown the other. */
typedef struct normaliser {
  double max, log_sum;
} normaliser;

/* Sums of 1024 in f32, those in double. A logit that is NaN makes all log-probabilities NaN:
 * exp_sum would take it for a number. */
static normaliser normaliser_of(const mv_cpu_simd *simd, const float *logits, int n, float max) {
  enum { BLOCK = 1024 };
  float block[BLOCK];
  double sum = 0;
  int n_nan = 0;
  for (int i = 0; i < n; i += BLOCK) {
    int m = n - i < BLOCK ? n - i : BLOCK, whole = (m + 15) / 16 * 16;
    memcpy(block, logits + i, (size_t)m * sizeof *block);
    for (int k = m; k < whole; k++) block[k] = -INFINITY;
    for (int k = 0; k < m; k++) n_nan += isnan(block[k]) != 0;
    sum += (double)simd->exp_sum(block, whole, max, 1);
  }
  return (normaliser){(double)max, n_nan ? (double)NAN : log(sum)};
}

static float log_probability(float logit, normaliser norm) {
  return (float)((double)logit - norm.max - norm.log_sum);
}

void mv_sample_cpu(mv_device *device, const mv_sample_dims *dims, const mv_sample_row *rows,
                   const float *logits, mv_pick *picks, mv_pick *best) {
  size_t n = (size_t)dims->n_vocab;
  if (device->error.code != MV_OK || dims->n_row == 0) return;
  candidate *all = mv_device_scratch(device, n * (sizeof *all + sizeof(float)));
  if (!all) return;
  float *scores = (float *)(all + n);
  for (int r = 0; r < dims->n_row; r++) {
    const float *x = logits + (size_t)r * n;
    float max = largest(x, dims->n_vocab);
    int32_t id = choose(&rows[r], x, dims->n_vocab, max, scores, all);
    normaliser norm = normaliser_of(mv_cpu_simd_of(device), x, dims->n_vocab, max);
    picks[r] = (mv_pick){id, isfinite(x[id]) ? log_probability(x[id], norm) : NAN};
    if (!dims->n_best) continue;
    list_candidates(x, dims->n_vocab, all);
    select_best(all, dims->n_vocab, dims->n_best);
    for (int i = 0; i < dims->n_best; i++)
      best[(size_t)r * (size_t)dims->n_best + (size_t)i] =
          (mv_pick){all[i].id, log_probability(all[i].score, norm)};
  }
}
