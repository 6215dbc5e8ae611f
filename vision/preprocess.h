/* From an image to what the vision tower eats.
 *
 *   mv_image ── smart resize ──► sides divisible by patch * merge, area within the limits
 *            ── normalise    ──► f32 per channel: (u8 - mean * 255) / (std * 255), as a table
 *            ── patches      ──► rows of the patch embedding: an operation, kernels/patches.h
 *
 * All of it is bit exact with the reference processor (Qwen2VLImageProcessor on torchvision).
 */
#ifndef MV_VISION_PREPROCESS_H
#define MV_VISION_PREPROCESS_H

#include <stdint.h>

#include "vision/grid.h"
#include "vision/image.h"
#include "vision/resize.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What preprocessor_config.json holds; plain data, copy freely. */
typedef struct mv_preprocessor {
  int patch;                      /* side of a patch, pixels */
  int temporal;                   /* a still image is repeated this often in time */
  int merge;                      /* merge x merge patches make one token */
  int64_t min_pixels, max_pixels; /* of the resized image */
  double mean[3], std[3];         /* of pixels in 0..1; rounded to f32 before use */
  mv_resampler resampler;
} mv_preprocessor;

/* The values of Qwen2.5-VL's (and so MedVision-V0's) own file: 14, 2, 2, 3136 .. 12845056, CLIP's
 * mean and std, torchvision's resize. */
void mv_preprocessor_default(mv_preprocessor *pp);

/* Reads DIR/preprocessor_config.json, or else the "image_processor" of DIR/processor_config.json;
 * neither there: the defaults. A file that leaves out a value gets what transformers' class puts
 * there (which for max_pixels is 1003520). Anything this pipeline does not do is refused by name.
 */
mv_status mv_preprocessor_load(const char *dir, mv_preprocessor *pp, mv_error *err);
/* The same from JSON text; `name` stands in messages. */
mv_status mv_preprocessor_parse(const char *name, mv_str json, mv_preprocessor *pp, mv_error *err);

static inline int mv_preprocessor_patch_values(const mv_preprocessor *pp) {
  return 3 * pp->temporal * pp->patch * pp->patch; /* 1176 */
}

/* The size an image of height x width pixels is resized to: multiples of `factor` whose area lies
 * within the limits. MV_ERR_SHAPE for an aspect ratio above 200. */
mv_status mv_smart_resize(int height, int width, int factor, int64_t min_pixels, int64_t max_pixels,
                          int *out_height, int *out_width, mv_error *err);

/* The grid an image of that size gets, without touching pixels. */
mv_status mv_preprocessor_grid(const mv_preprocessor *pp, int height, int width, mv_grid *grid,
                               mv_error *err);

/* What each of the 256 pixel values becomes in each channel, rounding where the reference does:
 * mean and std to f32, their products with 255, the difference, the quotient. */
#define MV_PIXEL_VALUES (3 * 256)
void mv_preprocessor_values(const mv_preprocessor *pp, float value[MV_PIXEL_VALUES]);

/* One image as the model sees it: after the resize. Zero-initialise; owns `seen`; free with
 * mv_pixels_free. */
typedef struct mv_pixels {
  mv_grid grid;
  mv_image seen;
} mv_pixels;

/* Smart resize. Fills `out` (zeroed on failure). MV_ERR_SHAPE for an aspect ratio above 200. */
mv_status mv_pixels_init(mv_pixels *out, const mv_preprocessor *pp, const mv_image *image,
                         mv_error *err);
void mv_pixels_free(mv_pixels *pixels);

#ifdef __cplusplus
}
#endif
#endif
