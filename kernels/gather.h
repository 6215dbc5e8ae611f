/* embed: out[r,:] = ids[r] >= 0 ? table[ids[r],:] : image[~ids[r],:]
 *        token embeddings, image rows spliced in where the prompt has placeholders
 *
 *   ids    int32 [n_row]              a token id, or ~i for row i of image
 *   table  f32 | bf16 [n_vocab, d]    x_dtype; every id is below n_vocab
 *   image  f32 | bf16 [n_image, d]    dtype (the merger's output)
 *   out    f32 | bf16 [n_row, d]      dtype
 *
 * gather_rows: out[r,:] = x[index[r],:], converting
 *
 *   x      f32 | bf16 [*, d] x_dtype  out  f32 | bf16 [n_row, d] dtype; not x
 *
 * Rounding  exact, but for one rounding when f32 is stored as bf16.
 * Cost      every row read and written once: memory bound.
 */
#ifndef MV_KERNELS_GATHER_H
#define MV_KERNELS_GATHER_H

#include <stdint.h>

#include "kernels/cost.h"
#include "runtime/device.h"
#include "runtime/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_gather_dims {
  int n_row, d;
  mv_dtype x_dtype; /* of table (embed) or x (gather_rows) */
  mv_dtype dtype;   /* of image and out */
} mv_gather_dims;

mv_cost mv_embed_cost(const mv_gather_dims *dims);
void mv_embed_cpu(mv_device *device, const mv_gather_dims *dims, const int32_t *ids,
                  const void *table, const void *image, void *out);

mv_cost mv_gather_rows_cost(const mv_gather_dims *dims);
void mv_gather_rows_cpu(mv_device *device, const mv_gather_dims *dims, const int32_t *index,
                        const void *x, void *out);

#ifdef __cplusplus
}
#endif
#endif
