#include "runtime/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/memory.h"

static mv_status check(const mv_sampling *p, mv_error *err) {
  if (!(p->temperature >= 0) || isinf(p->temperature))
    return mv_fail(err, MV_ERR_USAGE, "temperature %g: expected 0 (greedy) or more",
                   (double)p->temperature);
  if (!(p->top_p > 0 && p->top_p <= 1))
    return mv_fail(err, MV_ERR_USAGE, "top-p %g: expected a value in (0, 1]", (double)p->top_p);
  if (p->top_k < 0)
    return mv_fail(err, MV_ERR_USAGE, "top-k %d: expected 0 (off) or more", p->top_k);
  if (!(p->repetition_penalty > 0) || isinf(p->repetition_penalty))
    return mv_fail(err, MV_ERR_USAGE, "repetition penalty %g: expected a positive value (1 = off)",
                   (double)p->repetition_penalty);
  return MV_OK;
}

mv_status mv_sampler_init(mv_sampler *sampler, const mv_sampling *params, int n_vocab,
                          mv_error *err) {
  memset(sampler, 0, sizeof *sampler);
  MV_TRY(check(params, err));
  sampler->params = *params;
  sampler->n_vocab = n_vocab;
  sampler->state = params->seed;
  sampler->seen = mv_calloc((size_t)n_vocab, 1);
  sampler->order = mv_calloc((size_t)n_vocab, sizeof *sampler->order);
  sampler->scores = mv_calloc((size_t)n_vocab, sizeof *sampler->scores);
  if (sampler->seen && sampler->order && sampler->scores) return MV_OK;
  mv_sampler_free(sampler);
  return mv_fail(err, MV_ERR_MEMORY, "no memory for a sampler over %d tokens", n_vocab);
}

void mv_sampler_free(mv_sampler *sampler) {
  mv_free(sampler->seen);
  mv_free(sampler->order);
  mv_free(sampler->scores);
  memset(sampler, 0, sizeof *sampler);
}

void mv_sampler_note(mv_sampler *sampler, int32_t id) {
  if (id >= 0 && id < sampler->n_vocab) sampler->seen[id] = 1;
}

/* A damaged checkpoint gives NaN, which would leave sorting without an order: it ranks last. */
static float rank_of(float x) { return isnan(x) ? -INFINITY : x; }

static int32_t argmax(const float *x, int n) {
  int32_t best = 0;
  for (int32_t i = 1; i < n; i++)
    if (x[i] > rank_of(x[best])) best = i;
  return best;
}

static void penalise(mv_sampler *s, const float *logits) {
  float penalty = s->params.repetition_penalty;
  memcpy(s->scores, logits, (size_t)s->n_vocab * sizeof *logits);
  if (penalty == 1.0f) return;
  for (int i = 0; i < s->n_vocab; i++)
    if (s->seen[i]) s->scores[i] = logits[i] > 0 ? logits[i] / penalty : logits[i] * penalty;
}

static int best_first(const void *a, const void *b) {
  const mv_logprob *x = a, *y = b;
  float a_rank = rank_of(x->logprob), b_rank = rank_of(y->logprob);
  if (a_rank != b_rank) return a_rank > b_rank ? -1 : 1;
  return x->token_id < y->token_id ? -1 : x->token_id > y->token_id;
}

/* splitmix64: one uniform double in [0, 1) a call. */
static double uniform(uint64_t *state) {
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* How many of the n weights, best first, hold top_p of the sum. */
static int nucleus(const mv_logprob *weights, int n, double top_p) {
  double sum = 0, kept = 0;
  for (int i = 0; i < n; i++) sum += (double)weights[i].logprob;
  for (int i = 0; i < n; i++) {
    kept += (double)weights[i].logprob;
    if (kept >= top_p * sum) return i + 1;
  }
  return n;
}

int32_t mv_sampler_next(mv_sampler *s, const float *logits) {
  if (s->params.temperature == 0 && s->params.repetition_penalty == 1.0f)
    return argmax(logits, s->n_vocab);
  penalise(s, logits);
  if (s->params.temperature == 0) return argmax(s->scores, s->n_vocab);
  float max = s->scores[argmax(s->scores, s->n_vocab)];
  for (int i = 0; i < s->n_vocab; i++) {
    s->order[i].token_id = i;
    s->order[i].logprob = expf((s->scores[i] - max) / s->params.temperature);
  }
  qsort(s->order, (size_t)s->n_vocab, sizeof *s->order, best_first);
  int n = s->params.top_k > 0 && s->params.top_k < s->n_vocab ? s->params.top_k : s->n_vocab;
  n = nucleus(s->order, n, (double)s->params.top_p);
  double sum = 0, at = 0;
  for (int i = 0; i < n; i++) sum += (double)s->order[i].logprob;
  double target = uniform(&s->state) * sum;
  for (int i = 0; i < n; i++) {
    at += (double)s->order[i].logprob;
    if (at > target) return s->order[i].token_id;
  }
  return s->order[n - 1].token_id;
}

/* Puts the k best of order[0..n) first, sorted, by quickselect. */
static void select_best(mv_logprob *order, int n, int k) {
  int lo = 0, hi = n;
  while (hi - lo > 1 && k > lo && k < hi) {
    mv_logprob pivot = order[lo + (hi - lo) / 2];
    int i = lo, j = hi - 1;
    while (i <= j) {
      while (best_first(&order[i], &pivot) < 0) i++;
      while (best_first(&order[j], &pivot) > 0) j--;
      if (i <= j) {
        mv_logprob t = order[i];
        order[i++] = order[j];
        order[j--] = t;
      }
    }
    if (k <= j + 1)
      hi = j + 1;
    else if (k >= i)
      lo = i;
    else
      break;
  }
  qsort(order, (size_t)k, sizeof *order, best_first);
}

void mv_sampler_logprobs(mv_sampler *s, const float *logits, int32_t id, mv_logprob *chosen,
                         mv_logprob *top, int k) {
  double max = (double)logits[argmax(logits, s->n_vocab)], sum = 0;
  for (int i = 0; i < s->n_vocab; i++) sum += exp((double)logits[i] - max);
  double log_sum = log(sum);
  chosen->token_id = id;
  chosen->logprob = (float)((double)logits[id] - max - log_sum);
  if (k <= 0) return;
  for (int i = 0; i < s->n_vocab; i++) {
    s->order[i].token_id = i;
    s->order[i].logprob = logits[i];
  }
  select_best(s->order, s->n_vocab, k);
  for (int i = 0; i < k; i++) {
    top[i].token_id = s->order[i].token_id;
    top[i].logprob = (float)((double)s->order[i].logprob - max - log_sum);
  }
}
