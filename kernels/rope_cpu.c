#include "kernels/rope.h"

#include <assert.h>
#include <math.h>

#include "kernels/cpu.h"

mv_cost mv_rope_table_cost(const mv_rope_table_dims *dims) {
  double n = (double)dims->n_row * dims->n_freq;
  mv_cost cost = {8 * n + 12.0 * dims->n_row, 3 * n};
  return cost;
}

void mv_rope_table_cpu(mv_device *device, const mv_rope_table_dims *dims, const int32_t *position,
                       const float *inv_freq, const uint8_t *axis, float *table) {
  if (device->error.code != MV_OK) return;
  int n_row = dims->n_row, n_freq = dims->n_freq;
  int n_thread = mv_cpu_threads(device, 20 * mv_rope_table_cost(dims).flops);
#pragma omp parallel for schedule(static) num_threads(n_thread)
  for (int r = 0; r < n_row; r++)
    for (int i = 0; i < n_freq; i++) {
      float angle = (float)position[(size_t)axis[i] * (size_t)n_row + (size_t)r] * inv_freq[i];
      float *out = table + 2 * ((size_t)r * (size_t)n_freq + (size_t)i);
      out[0] = cosf(angle);
      out[1] = sinf(angle);
    }
}

mv_cost mv_rope_cost(const mv_rope_dims *dims) {
  double n = (double)dims->n_row * dims->n_head * dims->d_head;
  mv_cost cost = {2 * n * (double)mv_dtype_bytes(dims->dtype) + 4.0 * dims->n_row * dims->d_head,
                  3 * n};
  return cost;
}

#define MAX_D_HEAD 256

void mv_rope_cpu(mv_device *device, const mv_rope_dims *dims, const float *table, void *x) {
  assert(dims->d_head % 2 == 0 && dims->d_head <= MAX_D_HEAD);
  if (device->error.code != MV_OK) return;
  const mv_cpu_simd *simd = mv_cpu_simd_of(device);
  int d = dims->d_head;
  int n_thread = mv_cpu_threads(device, mv_rope_cost(dims).flops);
#pragma omp parallel for schedule(static) num_threads(n_thread)
  for (int r = 0; r < dims->n_row; r++)
    for (int h = 0; h < dims->n_head; h++) {
      float head[MAX_D_HEAD];
      void *at = mv_at_mut(x, dims->dtype, (size_t)r * (size_t)dims->ldx + (size_t)h * (size_t)d);
      mv_row_load(simd, dims->dtype, at, head, d);
      mv_rotate(head, table + (size_t)r * (size_t)d, d / 2);
      mv_row_store(simd, dims->dtype, head, at, d);
    }
}
