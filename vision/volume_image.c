/* A slice of float32 to 8 bits: scipy's zoom, numpy's percentile, the benchmark's windows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/memory.h"
#include "vision/volume.h"

/* ---- scipy.ndimage.zoom, orders 0 and 1 ---- */

/* Where output pixel i of an axis falls in the input; 0 when outside (the pixel is 0 then). */
static int coordinate(int i, int n_in, int n_out, double *at) {
  double ratio = n_out > 1 ? (double)(n_in - 1) / (double)(n_out - 1) : 0;
  *at = (double)i * ratio;
  return *at <= (double)(n_in - 1);
}

static float nearest(const float *in, int in_h, int in_w, double y, double x) {
  int i = (int)floor(y + 0.5), j = (int)floor(x + 0.5);
  if (i > in_h - 1) i = in_h - 1;
  if (j > in_w - 1) j = in_w - 1;
  return in[(size_t)i * (size_t)in_w + (size_t)j];
}

static float linear(const float *in, int in_h, int in_w, double y, double x) {
  int i0 = (int)floor(y), j0 = (int)floor(x);
  int i1 = i0 + 1 < in_h ? i0 + 1 : in_h - 1, j1 = j0 + 1 < in_w ? j0 + 1 : in_w - 1;
  double y0 = 1 - (y - i0), y1 = 1 - y0, x0 = 1 - (x - j0), x1 = 1 - x0;
  const float *a = in + (size_t)i0 * (size_t)in_w, *b = in + (size_t)i1 * (size_t)in_w;
  double sum = 0;
  sum += (double)a[j0] * y0 * x0;
  sum += (double)a[j1] * y0 * x1;
  sum += (double)b[j0] * y1 * x0;
  sum += (double)b[j1] * y1 * x1;
  return (float)sum;
}

void mv_zoom(const float *in, int in_h, int in_w, float *out, int height, int width, int order) {
  if (in_h == height && in_w == width) {
    memcpy(out, in, (size_t)height * (size_t)width * sizeof *out);
    return;
  }
  for (int i = 0; i < height; i++)
    for (int j = 0; j < width; j++) {
      double y, x;
      int inside = coordinate(i, in_h, height, &y) & coordinate(j, in_w, width, &x);
      *out++ = !inside      ? 0
               : order == 0 ? nearest(in, in_h, in_w, y, x)
                            : linear(in, in_h, in_w, y, x);
    }
}

/* At most two distinct values. */
static int is_binary(const float *px, size_t n) {
  size_t i = 1;
  while (i < n && px[i] == px[0]) i++;
  if (i >= n) return 1;
  for (size_t k = i + 1; k < n; k++)
    if (px[k] != px[0] && px[k] != px[i]) return 0;
  return 1;
}

mv_status mv_slice_reshape(mv_slice *slice, int height, int width, mv_error *err) {
  float *out = mv_calloc((size_t)height * (size_t)width, sizeof *out);
  if (!out) return mv_fail(err, MV_ERR_MEMORY, "out of memory for %d x %d pixels", width, height);
  int order = is_binary(slice->px, (size_t)slice->height * (size_t)slice->width) ? 0 : 1;
  mv_zoom(slice->px, slice->height, slice->width, out, height, width, order);
  mv_free(slice->px);
  slice->px = out;
  slice->zoom_h /= (float)((double)height / (double)slice->height);
  slice->zoom_w /= (float)((double)width / (double)slice->width);
  slice->height = height, slice->width = width;
  return MV_OK;
}

/* ---- intensity ---- */

float mv_percentile_sorted(const float *s, size_t n, double p) {
  float q = (float)p / 100.0f, v = (float)(n - 1) * q;
  if (v >= (float)(n - 1)) return s[n - 1];
  size_t low = (size_t)floorf(v);
  float g = v - (float)low, a = s[low], b = s[low + 1], d = b - a;
  return g < 0.5f ? a + d * g : b - d * (1.0f - g);
}

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static mv_status percentiles(const mv_slice *slice, float *low, float *high, mv_error *err) {
  size_t n = (size_t)slice->height * (size_t)slice->width;
  float *sorted = mv_alloc(n * sizeof *sorted);
  if (!sorted) return mv_fail(err, MV_ERR_MEMORY, "out of memory for %zu pixels", n);
  memcpy(sorted, slice->px, n * sizeof *sorted);
  qsort(sorted, n, sizeof *sorted, by_value);
  *low = mv_percentile_sorted(sorted, n, 0.5);
  *high = mv_percentile_sorted(sorted, n, 99.5);
  mv_free(sorted);
  return MV_OK;
}

mv_status mv_slice_to_image(const mv_slice *slice, double window_width, double window_level,
                            mv_image *out, mv_error *err) {
  size_t n = (size_t)slice->height * (size_t)slice->width;
  float low = (float)(window_level - window_width / 2);
  float high = (float)(window_level + window_width / 2);
  for (size_t i = 0; i < n; i++)
    if (!isfinite(slice->px[i]))
      return mv_fail(err, MV_ERR_FORMAT, "the slice holds values that are not finite");
  if (window_width == 0) MV_TRY(percentiles(slice, &low, &high, err));
  MV_TRY(mv_image_init(out, slice->width, slice->height, 1, err));
  float range = high - low;
  for (size_t i = 0; i < n; i++) {
    float x = slice->px[i];
    x = x < low ? low : x > high ? high : x;
    float grey = range == 0 ? 0 : (x - low) / range * 255.0f;
    /* beyond 0..255 only where the range overflows */
    out->px[i] = !(grey > 0) ? 0 : grey > 255 ? 255 : (uint8_t)grey;
  }
  out->orientation = 1;
  return MV_OK;
}
