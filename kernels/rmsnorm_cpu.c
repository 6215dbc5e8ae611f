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

typedef struct norm_loop {
  const mv_cpu_simd *simd;
  const mv_rmsnorm_dims *dims;
  const void *x;
  const float *w;
  void *y;
  float *scratch; /* [thread][d] */
} norm_loop;

/* Eight sums side by side, so that none waits for the addition before. */
static double sum_of_squares(const float *row, int d) {
  double sum[8] = {0};
  int i = 0;
  for (; i + 8 <= d; i += 8)
    for (int l = 0; l < 8; l++) sum[l] += (double)row[i + l] * row[i + l];
  for (; i < d; i++) sum[0] += (double)row[i] * row[i];
  return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

static void normalise(float *row, const float *w, int d, float eps) {
  float scale = (float)(1.0 / sqrt(sum_of_squares(row, d) / d + eps));
  for (int i = 0; i < d; i++) row[i] = row[i] * scale * w[i];
}

static void norm_rows(const void *loop, int first, int end, int thread) {
  const norm_loop *l = loop;
  const mv_rmsnorm_dims *dims = l->dims;
  size_t d = (size_t)dims->d;
  float *row = l->scratch + (size_t)thread * d;
  for (int r = first; r < end; r++) {
    size_t at = (size_t)r * d;
    mv_row_load(l->simd, dims->x_dtype, mv_at(l->x, dims->x_dtype, at), row, dims->d);
    normalise(row, l->w, dims->d, dims->eps);
    mv_row_store(l->simd, dims->y_dtype, row, mv_at_mut(l->y, dims->y_dtype, at), dims->d);
  }
}

void mv_rmsnorm_cpu(mv_device *device, const mv_rmsnorm_dims *dims, const void *x, const float *w,
                    void *y) {
  if (dims->n_row == 0 || device->error.code != MV_OK) return;
  size_t bytes = (size_t)device->n_thread * (size_t)dims->d * sizeof(float);
  norm_loop loop = {mv_cpu_simd_of(device), dims, x, w, y, mv_device_scratch(device, bytes)};
  if (loop.scratch)
    mv_cpu_run(device, 12 * mv_rmsnorm_cost(dims).flops, dims->n_row, norm_rows, &loop);
}
