#include "kernels/rmsnorm.h"

#include <math.h>

#include "kernels/cpu.h"

mv_cost mv_rmsnorm_cost(const mv_rmsnorm_dims *dims) {
  double n = (double)dims->n_row * dims->d;
  mv_cost cost = {
      n * (double)(mv_dtype_bytes(dims->x_dtype) + mv_dtype_bytes(dims->y_dtype)) + 4.0 * dims->d,
      4 * n};
  return cost;
}

static void normalise(float *row, const float *w, int d, float eps) {
  double sum = 0;
  for (int i = 0; i < d; i++) sum += (double)row[i] * row[i];
  float scale = (float)(1.0 / sqrt(sum / d + eps));
  for (int i = 0; i < d; i++) row[i] = row[i] * scale * w[i];
}

void mv_rmsnorm_cpu(mv_device *device, const mv_rmsnorm_dims *dims, const void *x, const float *w,
                    void *y) {
  size_t d = (size_t)dims->d;
  if (dims->n_row == 0 || device->error.code != MV_OK) return;
  const mv_cpu_simd *simd = mv_cpu_simd_of(device);
  float *scratch = mv_device_scratch(device, (size_t)device->n_thread * d * sizeof(float));
  if (!scratch) return;
  int n_thread = mv_cpu_threads(device, mv_rmsnorm_cost(dims).flops);
#pragma omp parallel for schedule(static) num_threads(n_thread)
  for (int r = 0; r < dims->n_row; r++) {
    float *row = scratch + (size_t)mv_cpu_thread() * d;
    mv_row_load(simd, dims->x_dtype, mv_at(x, dims->x_dtype, (size_t)r * d), row, dims->d);
    normalise(row, w, dims->d, dims->eps);
    mv_row_store(simd, dims->y_dtype, row, mv_at_mut(y, dims->y_dtype, (size_t)r * d), dims->d);
  }
}
