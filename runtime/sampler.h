/* From logits to a token, on the host.
 *
 * In the reference's order: repetition penalty, temperature, top-k, top-p, draw. Temperature 0 is
 * argmax after the penalty; ties go to the lowest id. Log-probabilities are of the logits as the
 * model gave them, before any of this.
 */
#ifndef MV_RUNTIME_SAMPLER_H
#define MV_RUNTIME_SAMPLER_H

#include "runtime/medvision.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialise; owns its arrays. */
typedef struct mv_sampler {
  mv_sampling params;
  int n_vocab;
  unsigned char *seen; /* [n_vocab] 1: occurs in prompt or answer (repetition penalty) */
  mv_logprob *order;   /* [n_vocab] scratch: candidates, best first                    */
  float *scores;       /* [n_vocab] scratch                                            */
  uint64_t state;      /* of the random numbers */
} mv_sampler;

/* MV_ERR_USAGE for parameters out of range (negative temperature, top_p outside (0, 1], ...). */
mv_status mv_sampler_init(mv_sampler *sampler, const mv_sampling *params, int n_vocab,
                          mv_error *err);
void mv_sampler_free(mv_sampler *sampler);

/* Tells the sampler of a token of the prompt or the answer. */
void mv_sampler_note(mv_sampler *sampler, int32_t id);

/* Draws from logits [n_vocab], which are left as they are. */
int32_t mv_sampler_next(mv_sampler *sampler, const float *logits);

/* Log-probability of `id` into *chosen, and the k best, best first, into top[k]. */
void mv_sampler_logprobs(mv_sampler *sampler, const float *logits, int32_t id, mv_logprob *chosen,
                         mv_logprob *top, int k);

#ifdef __cplusplus
}
#endif
#endif
