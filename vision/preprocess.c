#include "vision/preprocess.h"

#include <math.h>
#include <string.h>

#define MAX_ASPECT 200.0

mv_status mv_smart_resize(int height, int width, int factor, int64_t min_pixels, int64_t max_pixels,
                          int *out_height, int *out_width, mv_error *err) {
  if (height < 1 || width < 1)
    return mv_fail(err, MV_ERR_SHAPE, "image is empty (%d x %d pixels)", width, height);
  double h = height, w = width;
  double aspect = (h > w ? h : w) / (h > w ? w : h);
  if (aspect > MAX_ASPECT)
    return mv_fail(err, MV_ERR_SHAPE,
                   "image of %d x %d pixels: one side is %g times the other, the model takes at "
                   "most %g (crop it)",
                   width, height, aspect, MAX_ASPECT);
  /* rint rounds half to even, as Python's round: 14 / 28 gives 0, raised by the minimum below. */
  double rows = rint(h / factor) * factor, cols = rint(w / factor) * factor;
  if (rows * cols > (double)max_pixels) {
    double beta = sqrt(h * w / (double)max_pixels);
    rows = fmax(factor, floor(h / beta / factor) * factor);
    cols = fmax(factor, floor(w / beta / factor) * factor);
  } else if (rows * cols < (double)min_pixels) {
    double beta = sqrt((double)min_pixels / (h * w));
    rows = ceil(h * beta / factor) * factor;
    cols = ceil(w * beta / factor) * factor;
  }
  if (rows > MV_IMAGE_MAX_SIDE || cols > MV_IMAGE_MAX_SIDE || rows < 1 || cols < 1)
    return mv_fail(err, MV_ERR_SHAPE, "image of %d x %d pixels would become %.0f x %.0f (limit %d)",
                   width, height, cols, rows, MV_IMAGE_MAX_SIDE);
  *out_height = (int)rows;
  *out_width = (int)cols;
  return MV_OK;
}

mv_status mv_preprocessor_grid(const mv_preprocessor *pp, int height, int width, mv_grid *grid,
                               mv_error *err) {
  int h, w;
  MV_TRY(mv_smart_resize(height, width, pp->patch * pp->merge, pp->min_pixels, pp->max_pixels, &h,
                         &w, err));
  *grid = (mv_grid){1, h / pp->patch, w / pp->patch};
  return MV_OK;
}

void mv_preprocessor_values(const mv_preprocessor *pp, float value[MV_PIXEL_VALUES]) {
  for (int c = 0; c < 3; c++) {
    float mean = (float)pp->mean[c] * 255.0f, std = (float)pp->std[c] * 255.0f;
    for (int v = 0; v < 256; v++) *value++ = ((float)v - mean) / std;
  }
}

void mv_pixels_free(mv_pixels *pixels) {
  mv_image_free(&pixels->seen);
  memset(pixels, 0, sizeof *pixels);
}

mv_status mv_pixels_init(mv_pixels *out, const mv_preprocessor *pp, const mv_image *image,
                         mv_error *err) {
  memset(out, 0, sizeof *out);
  mv_grid grid;
  MV_TRY(mv_preprocessor_grid(pp, image->height, image->width, &grid, err));
  mv_status status = mv_image_resize(image, grid.h * pp->patch, grid.w * pp->patch, pp->resampler,
                                     &out->seen, err);
  if (status == MV_OK) out->grid = grid;
  return status;
}
