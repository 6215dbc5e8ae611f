#include "kernels/patches.h"

#include "kernels/cpu.h"

mv_cost mv_patches_cost(const mv_patches_dims *dims) {
  double n_pixel = (double)dims->height * dims->width;
  double n_value = (double)mv_patches_rows(dims) * mv_patches_row_values(dims);
  return (mv_cost){n_pixel * dims->channels + n_value * (double)mv_dtype_bytes(dims->dtype), 0};
}

/* The patch whose first pixel is `first`. */
static void fill_row(const mv_patches_dims *d, const uint8_t *first, const float *value,
                     float *out) {
  size_t step = (size_t)d->channels, row = (size_t)d->width * step;
  size_t n_plane = (size_t)d->side * (size_t)d->side;
  for (int c = 0; c < 3; c++, value += 256) {
    const float *plane = out;
    const uint8_t *p = first + (d->channels == 3 ? c : 0);
    for (int y = 0; y < d->side; y++, p += row)
      for (int x = 0; x < d->side; x++) *out++ = value[p[(size_t)x * step]];
    for (int t = 1; t < d->temporal; t++, out += n_plane) memcpy(out, plane, n_plane * sizeof *out);
  }
}

void mv_patches_cpu(mv_device *device, const mv_patches_dims *d, const uint8_t *pixels,
                    const float *value, const int32_t *order, void *out) {
  size_t n = (size_t)mv_patches_row_values(d), width = (size_t)d->width;
  int group = d->merge * d->merge, block = d->side * d->merge, n_across = d->width / block;
  if (device->error.code != MV_OK) return;
  float *row = mv_device_scratch(device, n * sizeof *row);
  for (int r = 0; row && r < mv_patches_rows(d); r++) {
    int patch = order ? order[r] : r, at = patch / group, in = patch % group;
    size_t y = (size_t)(at / n_across * block + in / d->merge * d->side);
    size_t x = (size_t)(at % n_across * block + in % d->merge * d->side);
    fill_row(d, pixels + (y * width + x) * (size_t)d->channels, value, row);
    mv_row_store(mv_cpu_simd_of(device), d->dtype, row, mv_at_mut(out, d->dtype, (size_t)r * n),
                 (int)n);
  }
}
