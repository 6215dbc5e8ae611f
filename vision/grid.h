/* The patch grid of one image: what the resize decides and everything after it follows.
 *
 * A 504 x 504 image with 14-pixel patches is 1 x 36 x 36 patches; merged 2 x 2 it becomes
 * 18 x 18 = 324 tokens of the decoder. Wherever patches stand in a row, they are in merge-block
 * order: blocks of merge x merge patches row by row, and row by row inside each block. */
#ifndef MV_VISION_GRID_H
#define MV_VISION_GRID_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_grid {
  int t, h, w; /* patches; t is 1 for a still image */
} mv_grid;

static inline size_t mv_grid_patches(mv_grid grid) {
  return (size_t)grid.t * (size_t)grid.h * (size_t)grid.w;
}

static inline size_t mv_grid_tokens(mv_grid grid, int merge) {
  return mv_grid_patches(grid) / ((size_t)merge * (size_t)merge);
}

#ifdef __cplusplus
}
#endif
#endif
