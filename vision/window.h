/* The order in which the vision tower works: windows, attention segments, positions.
 *
 * Most blocks attend within windows of `window_size` pixels (112: 8 x 8 patches, 4 x 4 merge
 * groups). The tower therefore permutes its merge groups once, so that each window is contiguous,
 * and undoes that after the merger. An 18 x 18 image of groups makes 5 x 5 windows: 16 of 64
 * patches, 8 of 32 along two edges, one of 16 in the corner.
 */
#ifndef MV_VISION_WINDOW_H
#define MV_VISION_WINDOW_H

#include <stdint.h>

#include "runtime/error.h"
#include "vision/grid.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialise; owns all arrays; free with mv_window_plan_free. A group is merge * merge
 * patches; several images follow one another and share no window. */
typedef struct mv_window_plan {
  int n_patch, n_group;
  int32_t *index;     /* [n_group] position p of the permuted order holds group index[p] */
  int32_t *inverse;   /* [n_group] inverse[index[p]] == p */
  int32_t *position;  /* [n_patch, 2] row and column of each patch in its image, before the
                         permutation: what the rotary embedding turns by */
  int n_window;       /* windows, none empty */
  int32_t *cu_window; /* [n_window + 1] first patch of each window, permuted order */
  int max_window;     /* patches of the largest window */
  int n_full;         /* segments of full attention: one per frame, so one per still image */
  int32_t *cu_full;   /* [n_full + 1] */
  int max_full;
} mv_window_plan;

typedef struct mv_window_dims {
  int window_size; /* pixels */
  int patch;       /* pixels */
  int merge;       /* patches */
} mv_window_dims;

/* Fills `plan` (zeroed on failure). MV_ERR_SHAPE when a grid is not divisible by merge, is empty,
 * or the sum exceeds 2^31 - 1 patches. No grids give an empty plan. */
mv_status mv_window_plan_init(mv_window_plan *plan, const mv_grid *grids, int n_grid,
                              mv_window_dims dims, mv_error *err);
void mv_window_plan_free(mv_window_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
