#include "runtime/sampler.h"

#include <math.h>
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
  if (params->repetition_penalty == 1.0f) return MV_OK;
  sampler->seen = mv_calloc((size_t)n_vocab, sizeof *sampler->seen);
  sampler->is_seen = mv_calloc((size_t)n_vocab, 1);
  if (sampler->seen && sampler->is_seen) return MV_OK;
  mv_sampler_free(sampler);
  return mv_fail(err, MV_ERR_MEMORY, "no memory for a sampler over %d tokens", n_vocab);
}

void mv_sampler_free(mv_sampler *sampler) {
  mv_free(sampler->seen);
  mv_free(sampler->is_seen);
  memset(sampler, 0, sizeof *sampler);
}

void mv_sampler_note(mv_sampler *sampler, int32_t id) {
  if (!sampler->seen || id < 0 || id >= sampler->n_vocab || sampler->is_seen[id]) return;
  sampler->is_seen[id] = 1;
  sampler->seen[sampler->n_seen++] = id;
}

void mv_sampler_forget(mv_sampler *sampler, int n_seen) {
  while (sampler->n_seen > n_seen) sampler->is_seen[sampler->seen[--sampler->n_seen]] = 0;
}

/* splitmix64, by its counter: a uniform double in [0, 1). */
static double uniform(uint64_t seed, size_t index) {
  uint64_t z = seed + ((uint64_t)index + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

mv_sample_row mv_sampler_row(const mv_sampler *sampler, size_t index) {
  const mv_sampling *p = &sampler->params;
  mv_sample_row row = {.temperature = p->temperature,
                       .top_p = p->top_p,
                       .top_k = p->top_k,
                       .penalty = p->repetition_penalty,
                       .uniform = p->temperature > 0 ? uniform(p->seed, index) : 0,
                       .seen = sampler->seen,
                       .n_seen = sampler->n_seen};
  return row;
}
