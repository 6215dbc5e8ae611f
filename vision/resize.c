#include "vision/resize.h"

#include <math.h>
#include <string.h>

#include "runtime/memory.h"
#include "vision/codec.h"

#define PILLOW_BITS 22 /* 32 - 8 bits of pixel - 2 of headroom for the overshoot of the kernel */

/* One axis: output i is the sum over j < count[i] of weight[i * n_tap + j] * input[first[i] + j],
 * weights in fixed point with `bits` fraction bits. */
typedef struct axis {
  int n_out, n_tap, bits;
  int *first, *count; /* own, [n_out] */
  int32_t *weight;    /* owns, [n_out, n_tap] */
} axis;

static void axis_free(axis *a) {
  mv_free(a->first);
  mv_free(a->count);
  mv_free(a->weight);
}

static double cubic(double x) {
  const double a = -0.5;
  x = fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

/* The taps of output i, as real weights that sum to 1. */
static void real_taps(const axis *a, int n_in, int i, double *w, int *first, int *count) {
  double scale = (double)n_in / a->n_out;
  double support = scale >= 1.0 ? 2.0 * scale : 2.0, inv = scale >= 1.0 ? 1.0 / scale : 1.0;
  double center = scale * (i + 0.5), total = 0.0;
  int lo = (int)(center - support + 0.5), hi = (int)(center + support + 0.5);
  if (lo < 0) lo = 0;
  if (hi > n_in) hi = n_in;
  int n = hi - lo < a->n_tap ? hi - lo : a->n_tap;
  for (int j = 0; j < n; j++) {
    w[j] = cubic((j + lo - center + 0.5) * inv);
    total += w[j];
  }
  for (int j = 0; j < n; j++)
    if (total != 0.0) w[j] /= total;
  *first = lo;
  *count = n;
}

/* torchvision's choice: the weights are to fit 16 bits. */
static int torchvision_bits(double largest) {
  int bits = 0;
  while (bits < 22 && (int)(0.5 + largest * (1 << (bits + 1))) < 1 << 15) bits++;
  return bits;
}

static mv_status axis_init(axis *a, int n_in, int n_out, mv_resampler resampler, mv_error *err) {
  double scale = (double)n_in / n_out;
  a->n_out = n_out;
  a->n_tap = 2 * (int)ceil(scale >= 1.0 ? 2.0 * scale : 2.0) + 1;
  size_t n_all = (size_t)n_out * (size_t)a->n_tap;
  double *real = mv_calloc(n_all, sizeof *real);
  a->first = mv_calloc((size_t)n_out, sizeof *a->first);
  a->count = mv_calloc((size_t)n_out, sizeof *a->count);
  a->weight = mv_calloc(n_all, sizeof *a->weight);
  if (!real || !a->first || !a->count || !a->weight) {
    mv_free(real);
    return mv_fail(err, MV_ERR_MEMORY, "out of memory resizing an image");
  }
  double largest = 0.0;
  for (int i = 0; i < n_out; i++) {
    double *w = real + (size_t)i * (size_t)a->n_tap;
    real_taps(a, n_in, i, w, &a->first[i], &a->count[i]);
    for (int j = 0; j < a->count[i]; j++) largest = w[j] > largest ? w[j] : largest;
  }
  a->bits = resampler == MV_RESAMPLER_PILLOW ? PILLOW_BITS : torchvision_bits(largest);
  double one = (double)(1 << a->bits);
  for (size_t k = 0; k < n_all; k++)
    a->weight[k] = (int32_t)(real[k] < 0 ? real[k] * one - 0.5 : real[k] * one + 0.5);
  mv_free(real);
  return MV_OK;
}

static uint8_t to_byte(int32_t sum, int bits) {
  int32_t v = sum >> bits;
  return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* One row of grey pixels along x. */
static void row_grey(const axis *a, const uint8_t *restrict src, uint8_t *restrict dst) {
  int32_t half = 1 << (a->bits - 1);
  for (int i = 0; i < a->n_out; i++) {
    const int32_t *w = a->weight + (size_t)i * (size_t)a->n_tap;
    const uint8_t *p = src + a->first[i];
    int32_t sum = half;
    for (int j = 0; j < a->count[i]; j++) sum += p[j] * w[j];
    dst[i] = to_byte(sum, a->bits);
  }
}

static void row_rgb(const axis *a, const uint8_t *restrict src, uint8_t *restrict dst) {
  int32_t half = 1 << (a->bits - 1);
  for (int i = 0; i < a->n_out; i++) {
    const int32_t *w = a->weight + (size_t)i * (size_t)a->n_tap;
    const uint8_t *p = src + 3 * (size_t)a->first[i];
    int32_t red = half, green = half, blue = half;
    for (int j = 0; j < a->count[i]; j++, p += 3) {
      red += p[0] * w[j];
      green += p[1] * w[j];
      blue += p[2] * w[j];
    }
    dst[3 * (size_t)i] = to_byte(red, a->bits);
    dst[3 * (size_t)i + 1] = to_byte(green, a->bits);
    dst[3 * (size_t)i + 2] = to_byte(blue, a->bits);
  }
}

static mv_status resize_rows(const mv_image *in, int width, mv_resampler resampler, mv_image *out,
                             mv_error *err) {
  axis a = {0};
  mv_status status = axis_init(&a, in->width, width, resampler, err);
  if (status == MV_OK) status = mv_image_init(out, width, in->height, in->channels, err);
  for (int y = 0; status == MV_OK && y < in->height; y++) {
    const uint8_t *src = in->px + (size_t)y * (size_t)in->width * (size_t)in->channels;
    uint8_t *dst = out->px + (size_t)y * (size_t)width * (size_t)in->channels;
    if (in->channels == 1)
      row_grey(&a, src, dst);
    else
      row_rgb(&a, src, dst);
  }
  axis_free(&a);
  return status;
}

/* Adds one weighted input row; `n` samples of all channels alike, so that this vectorises. */
static void add_row(int32_t *restrict sum, const uint8_t *restrict src, int32_t w, size_t n) {
  for (size_t x = 0; x < n; x++) sum[x] += src[x] * w;
}

static void store_row(uint8_t *restrict dst, const int32_t *restrict sum, int bits, size_t n) {
  for (size_t x = 0; x < n; x++) dst[x] = to_byte(sum[x], bits);
}

static mv_status resize_columns(const mv_image *in, int height, mv_resampler resampler,
                                mv_image *out, mv_error *err) {
  axis a = {0};
  size_t n = (size_t)in->width * (size_t)in->channels;
  int32_t *sum = mv_calloc(n, sizeof *sum);
  mv_status status = sum ? axis_init(&a, in->height, height, resampler, err)
                         : mv_fail(err, MV_ERR_MEMORY, "out of memory resizing an image");
  if (status == MV_OK) status = mv_image_init(out, in->width, height, in->channels, err);
  for (int i = 0; status == MV_OK && i < height; i++) {
    const int32_t *w = a.weight + (size_t)i * (size_t)a.n_tap;
    for (size_t x = 0; x < n; x++) sum[x] = 1 << (a.bits - 1);
    for (int j = 0; j < a.count[i]; j++)
      add_row(sum, in->px + (size_t)(a.first[i] + j) * n, w[j], n);
    store_row(out->px + (size_t)i * n, sum, a.bits, n);
  }
  mv_free(sum);
  axis_free(&a);
  return status;
}

static mv_status copy(const mv_image *in, mv_image *out, mv_error *err) {
  MV_TRY(mv_image_init(out, in->width, in->height, in->channels, err));
  memcpy(out->px, in->px, (size_t)in->width * (size_t)in->height * (size_t)in->channels);
  return MV_OK;
}

static mv_status resize_one(const mv_image *in, int columns, int size, mv_resampler resampler,
                            mv_image *out, mv_error *err) {
  return columns ? resize_columns(in, size, resampler, out, err)
                 : resize_rows(in, size, resampler, out, err);
}

/* Pillow 13 begins with the columns where that leaves far fewer pixels for the second pass. */
static int columns_first(const mv_image *image, int height, int width, mv_resampler resampler) {
  return resampler == MV_RESAMPLER_PILLOW && height < image->height &&
         image->height - height > 2 * (image->width - width);
}

mv_status mv_image_resize(const mv_image *image, int height, int width, mv_resampler resampler,
                          mv_image *out, mv_error *err) {
  memset(out, 0, sizeof *out);
  MV_TRY(
      mv_image_check_size(width < 0 ? 0 : (uint64_t)width, height < 0 ? 0 : (uint64_t)height, err));
  int new_width = width != image->width, new_height = height != image->height;
  mv_status status = MV_OK;
  if (!new_width && !new_height) {
    status = copy(image, out, err);
  } else if (!new_width || !new_height) {
    status = resize_one(image, new_height, new_height ? height : width, resampler, out, err);
  } else {
    mv_image between = {0};
    int first = columns_first(image, height, width, resampler); /* 1: columns */
    status = resize_one(image, first, first ? height : width, resampler, &between, err);
    if (status == MV_OK)
      status = resize_one(&between, !first, first ? width : height, resampler, out, err);
    mv_image_free(&between);
  }
  if (status != MV_OK) return status;
  out->was_16bit = image->was_16bit;
  out->had_alpha = image->had_alpha;
  out->orientation = image->orientation;
  return MV_OK;
}
