/* patches: pixels of one image to the rows that the patch embedding multiplies
 *
 *   pixels  uint8 [height, width, channels]   sides divisible by side * merge; 1 channel is grey
 *   value   f32 [3, 256]                      what a pixel of each channel counts as: normalised
 *   order   int32 [n_patch]                   row r is patch order[r]; NULL: patches as they come
 *   out     f32 | bf16 [n_patch, 3 * temporal * side * side]   n_patch = height * width / side^2
 *
 * Patches come in blocks of merge x merge, which the merger will make one token of: the blocks row
 * by row, and row by row what is in a block. A patch is [3][temporal][side][side], the still image
 * repeated in time.
 *
 * Rounding  none in f32; one when stored as bf16: the same bits everywhere.
 * Cost      pixels read once, rows written once: memory bound.
 */
#ifndef MV_KERNELS_PATCHES_H
#define MV_KERNELS_PATCHES_H

#include <stdint.h>

#include "kernels/cost.h"
#include "runtime/device.h"
#include "runtime/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_patches_dims {
  int height, width, channels; /* of the image: pixels, 1 or 3 */
  int side, merge, temporal;   /* pixels, patches, times */
  mv_dtype dtype;              /* of out */
} mv_patches_dims;

static inline int mv_patches_rows(const mv_patches_dims *d) {
  return d->height / d->side * (d->width / d->side);
}

static inline int mv_patches_row_values(const mv_patches_dims *d) {
  return 3 * d->temporal * d->side * d->side;
}

mv_cost mv_patches_cost(const mv_patches_dims *dims);
void mv_patches_cpu(mv_device *device, const mv_patches_dims *dims, const uint8_t *pixels,
                    const float *value, const int32_t *order, void *out);

#ifdef __cplusplus
}
#endif
#endif
