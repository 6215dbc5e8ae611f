/* Bicubic resize of 8-bit images, exact to the integer.
 *
 * Both resamplers are the same antialiased cubic kernel (a = -0.5, widened when shrinking), applied
 * along rows and then along columns with 8 bits between, an axis that keeps its size being
 * skipped. They differ in how the weights become integers:
 *
 *   torchvision   16-bit weights with as many fraction bits as the axis' largest one allows; what
 *                 the benchmark and today's Qwen2-VL processor run
 *   pillow        22 fraction bits; what PIL.Image.resize and the older processor run. Exact with
 *                 Pillow 13, which takes columns first where the height shrinks by more than twice
 *                 what the width does (in pixels); up to Pillow 12 rows always came first, which
 *                 can change a value by one or two there
 */
#ifndef MV_VISION_RESIZE_H
#define MV_VISION_RESIZE_H

#include "vision/image.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mv_resampler { MV_RESAMPLER_TORCHVISION = 0, MV_RESAMPLER_PILLOW } mv_resampler;

/* Fills `out` (zeroed on failure), which must not be `image`; the flags of `image` are carried
 * over. MV_ERR_SHAPE when height x width is beyond the limits of image.h. */
mv_status mv_image_resize(const mv_image *image, int height, int width, mv_resampler resampler,
                          mv_image *out, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
