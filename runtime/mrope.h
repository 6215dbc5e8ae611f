/* M-RoPE: the three positions (temporal, height, width) of every token of a prompt.
 *
 * Text counts all three up together. The tokens of an image share one temporal position and take
 * the row and column of the merged grid; the text after it goes on from start + max(rows, columns),
 * not from the number of its tokens (504 x 504: 324 tokens, 18 positions).
 */
#ifndef MV_RUNTIME_MROPE_H
#define MV_RUNTIME_MROPE_H

#include <stddef.h>
#include <stdint.h>

#include "vision/grid.h"

/* Fills position[3 * n] (t, then h, then w) for n ids in which each run of image_token_id stands
 * for the next of n_grid images. Returns the position of the token that follows. The runs must
 * match the grids (asserted). */
int32_t mv_mrope_positions(const int32_t *ids, size_t n, int32_t image_token_id,
                           const mv_grid *grids, int n_grid, int merge, int32_t *position);

#endif
