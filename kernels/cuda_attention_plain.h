/* Attention by the definition, for formats and shapes that the tensor cores' kernels do not take:
 * fp32, heads of odd sizes, rows that do not start at multiples of 16 bytes. Slow. */
#ifndef MV_KERNELS_CUDA_ATTENTION_PLAIN_H
#define MV_KERNELS_CUDA_ATTENTION_PLAIN_H

#include "kernels/attention.h"
#include "kernels/cuda_port.h"

#include "kernels/cuda.h"

/* Where the keys are. Device memory. */
struct mv_plain_keys {
  const mv_span *spans;
  const uint64_t *trees;
  const int32_t *pages; /* NULL: rows of k and v, ldkv apart, no mask */
  const void *k, *v;    /* pages: k is the cache */
};

/* max_row: rows of the longest span, or more. */
void mv_attention_plain(mv_device *device, const mv_attention_dims *dims, const mv_plain_keys *keys,
                        int n_span, int max_row, const void *q, void *out);

#endif
