#include "vision/preprocess.h"

#include <math.h>
#include <string.h>

#include "runtime/memory.h"

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

/* What each of the 256 pixel values becomes in each channel, rounding where the reference does:
 * mean and std to f32, their products with 255, the difference, the quotient. */
static void normal_table(const mv_preprocessor *pp, float table[3][256]) {
  for (int c = 0; c < 3; c++) {
    float mean = (float)pp->mean[c] * 255.0f, std = (float)pp->std[c] * 255.0f;
    for (int v = 0; v < 256; v++) table[c][v] = ((float)v - mean) / std;
  }
}

/* The patch whose first pixel is `src`: [3][temporal][patch][patch]. */
static void write_patch(const mv_preprocessor *pp, const mv_image *image, const uint8_t *src,
                        float table[3][256], float *out) {
  size_t step = (size_t)image->channels, row = (size_t)image->width * step;
  int side = pp->patch;
  size_t n_plane = (size_t)side * (size_t)side;
  for (int c = 0; c < 3; c++) {
    float *plane = out;
    const uint8_t *p = src + (image->channels == 3 ? c : 0);
    for (int y = 0; y < side; y++, p += row)
      for (int x = 0; x < side; x++) *out++ = table[c][p[(size_t)x * step]];
    for (int t = 1; t < pp->temporal; t++, out += n_plane)
      memcpy(out, plane, n_plane * sizeof *out);
  }
}

mv_status mv_patchify(const mv_preprocessor *pp, const mv_image *image, float *out, mv_error *err) {
  int merge = pp->merge, block = pp->patch * merge;
  if (image->height % block || image->width % block)
    return mv_fail(err, MV_ERR_SHAPE, "image of %d x %d pixels: sides must be multiples of %d",
                   image->width, image->height, block);
  float table[3][256];
  normal_table(pp, table);
  size_t pixel = (size_t)image->channels, row = (size_t)image->width * pixel;
  size_t n_value = (size_t)mv_preprocessor_patch_values(pp);
  for (int by = 0; by < image->height; by += block)
    for (int bx = 0; bx < image->width; bx += block)
      for (int i = 0; i < merge * merge; i++, out += n_value) {
        size_t y = (size_t)(by + i / merge * pp->patch), x = (size_t)(bx + i % merge * pp->patch);
        write_patch(pp, image, image->px + y * row + x * pixel, table, out);
      }
  return MV_OK;
}

void mv_pixels_free(mv_pixels *pixels) {
  mv_image_free(&pixels->seen);
  mv_free_aligned(pixels->patches);
  memset(pixels, 0, sizeof *pixels);
}

static mv_status fill_pixels(mv_pixels *out, const mv_preprocessor *pp, const mv_image *image,
                             mv_error *err) {
  MV_TRY(mv_preprocessor_grid(pp, image->height, image->width, &out->grid, err));
  MV_TRY(mv_image_resize(image, out->grid.h * pp->patch, out->grid.w * pp->patch, pp->resampler,
                         &out->seen, err));
  size_t n = mv_grid_patches(out->grid) * (size_t)mv_preprocessor_patch_values(pp);
  out->patches = mv_alloc_aligned(n * sizeof *out->patches);
  if (!out->patches)
    return mv_fail(err, MV_ERR_MEMORY, "out of memory for %zu patches", mv_grid_patches(out->grid));
  return mv_patchify(pp, &out->seen, out->patches, err);
}

mv_status mv_pixels_init(mv_pixels *out, const mv_preprocessor *pp, const mv_image *image,
                         mv_error *err) {
  memset(out, 0, sizeof *out);
  mv_status status = fill_pixels(out, pp, image, err);
  if (status != MV_OK) mv_pixels_free(out);
  return status;
}
