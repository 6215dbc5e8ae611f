/* What a request asks of the sampling operation (kernels/sample.h): its parameters, checked, the
 * tokens a repetition penalty is for, and the random number of every token.
 *
 * The number of token i depends on the seed and i alone: a token checked as a draft is drawn with
 * the number it would have been drawn with by itself, from the same logits bit for bit. A draft is
 * kept when it is that token; what follows the first that is not is thrown away. So speculation
 * with temperature gives the very tokens of plain sampling, not just their distribution, which is
 * all that the usual rejection sampling promises; it keeps a draft with the model's own chance for
 * it, as that does for drafts without a distribution of their own.
 */
#ifndef MV_RUNTIME_SAMPLER_H
#define MV_RUNTIME_SAMPLER_H

#include "kernels/sample.h"
#include "runtime/medvision.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialise; owns its arrays. */
typedef struct mv_sampler {
  mv_sampling params;
  int n_vocab;
  int32_t *seen;          /* [n_seen] distinct ids of prompt and answer; NULL without a penalty */
  unsigned char *is_seen; /* [n_vocab] */
  int n_seen;
} mv_sampler;

/* MV_ERR_USAGE for parameters out of range (negative temperature, top_p outside (0, 1], ...). */
mv_status mv_sampler_init(mv_sampler *sampler, const mv_sampling *params, int n_vocab,
                          mv_error *err);
void mv_sampler_free(mv_sampler *sampler);

/* Tells the sampler of a token of the prompt or the answer. */
void mv_sampler_note(mv_sampler *sampler, int32_t id);
/* Takes back all but the first n_seen: drafts that were noted. */
void mv_sampler_forget(mv_sampler *sampler, int n_seen);

/* How to choose token `index` of the answer, after all that was noted. Borrows from the sampler. */
mv_sample_row mv_sampler_row(const mv_sampler *sampler, size_t index);

#ifdef __cplusplus
}
#endif
#endif
