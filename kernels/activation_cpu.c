#include "kernels/activation.h"

#include <math.h>

#include "kernels/cpu.h"

mv_cost mv_swiglu_cost(const mv_activation_dims *dims) {
  double n = (double)dims->n_row * dims->d;
  mv_cost cost = {n * (double)(2 * mv_dtype_bytes(dims->dtype) + mv_dtype_bytes(dims->out_dtype)),
                  5 * n};
  return cost;
}

mv_cost mv_gelu_cost(const mv_activation_dims *dims) {
  double n = (double)dims->n_row * dims->d;
  mv_cost cost = {2 * n * (double)mv_dtype_bytes(dims->dtype), 8 * n};
  return cost;
}

void mv_swiglu_cpu(mv_device *device, const mv_activation_dims *dims, const void *gate_up,
                   void *out) {
  if (dims->n_row == 0 || device->error.code != MV_OK) return;
  const mv_cpu_simd *simd = mv_cpu_simd_of(device);
  size_t d = (size_t)dims->d;
  float *scratch = mv_device_scratch(device, (size_t)device->n_thread * 2 * d * sizeof(float));
  if (!scratch) return;
  int n_thread = mv_cpu_threads(device, mv_swiglu_cost(dims).flops);
#pragma omp parallel for schedule(static) num_threads(n_thread)
  for (int r = 0; r < dims->n_row; r++) {
    float *row = scratch + (size_t)mv_cpu_thread() * 2 * d;
    mv_row_load(simd, dims->dtype, mv_at(gate_up, dims->dtype, (size_t)r * 2 * d), row,
                2 * dims->d);
    simd->swiglu(row, row + d, row, dims->d);
    mv_row_store(simd, dims->out_dtype, row, mv_at_mut(out, dims->out_dtype, (size_t)r * d),
                 dims->d);
  }
}

void mv_gelu_cpu(mv_device *device, const mv_activation_dims *dims, void *x) {
  if (dims->n_row == 0 || device->error.code != MV_OK) return;
  const mv_cpu_simd *simd = mv_cpu_simd_of(device);
  size_t d = (size_t)dims->d;
  float *scratch = mv_device_scratch(device, (size_t)device->n_thread * d * sizeof(float));
  if (!scratch) return;
  int n_thread = mv_cpu_threads(device, 4 * mv_gelu_cost(dims).flops);
#pragma omp parallel for schedule(static) num_threads(n_thread)
  for (int r = 0; r < dims->n_row; r++) {
    float *row = scratch + (size_t)mv_cpu_thread() * d;
    void *at = mv_at_mut(x, dims->dtype, (size_t)r * d);
    mv_row_load(simd, dims->dtype, at, row, dims->d);
    for (size_t i = 0; i < d; i++) row[i] = 0.5f * row[i] * (1.0f + erff(row[i] * 0.70710678f));
    mv_row_store(simd, dims->dtype, row, at, dims->d);
  }
}
