/* sample: one token for every row of logits, with log-probabilities
 *
 *   logits  f32 [n_row, n_vocab]
 *   rows    [n_row] on the host: how each row chooses
 *   picks   mv_pick [n_row]              the token and its log-probability
 *   best    mv_pick [n_row, n_best]      the n_best most likely, best first; NULL when n_best is 0
 *
 * In the reference's order: repetition penalty, temperature, top-k, top-p, draw. Temperature 0 is
 * argmax after the penalty. Ties go to the lowest id, NaN ranks last. Log-probabilities are of the
 * logits as they are, before any of this. A row whose chosen logit is not finite picks its token
 * with log-probability NaN.
 *
 * Weights are whole numbers, floor(exp((x - max) / temperature) * 2^32), so that their sums do not
 * depend on the order of additions; what equals the max weighs 2^32, infinite or not. top-k keeps
 * the k largest logits; top-p the fewest of those, largest first, whose weights reach top_p of the
 * sum; the draw takes the first id, in order of ids, whose cumulative weight exceeds uniform times
 * the sum of what is kept.
 *
 * Rounding  log-probabilities: x - max - log(sum exp(x - max)), sum in f32 or better.
 * Cost      logits once (greedy) or a few times (top-k, top-p): memory bound.
 */
#ifndef MV_KERNELS_SAMPLE_H
#define MV_KERNELS_SAMPLE_H

#include <stdint.h>

#include "kernels/cost.h"
#include "runtime/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_sample_dims {
  int n_row, n_vocab;
  int n_best; /* 0 ... n_vocab */
} mv_sample_dims;

typedef struct mv_sample_row {
  float temperature;   /* 0: greedy */
  float top_p;         /* 1: off */
  int top_k;           /* 0: off */
  float penalty;       /* of repetition; 1: off */
  double uniform;      /* [0, 1): the draw */
  const int32_t *seen; /* [n_seen] distinct ids that the penalty is for */
  int n_seen;
} mv_sample_row;

typedef struct mv_pick {
  int32_t id;
  float logprob;
} mv_pick;

mv_cost mv_sample_cost(const mv_sample_dims *dims);
void mv_sample_cpu(mv_device *device, const mv_sample_dims *dims, const mv_sample_row *rows,
                   const float *logits, mv_pick *picks, mv_pick *best);

#ifdef __cplusplus
}
#endif
#endif
