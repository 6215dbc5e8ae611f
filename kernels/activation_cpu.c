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

typedef struct row_loop {
  const mv_cpu_simd *simd;
  const mv_activation_dims *dims;
  const void *x;
  void *out;
  float *scratch; /* [thread], a row of x each */
} row_loop;

static void swiglu_rows(const void *loop, int first, int end, int thread) {
  const row_loop *l = loop;
  const mv_activation_dims *dims = l->dims;
  size_t d = (size_t)dims->d;
  float *row = l->scratch + (size_t)thread * 2 * d;
  for (int r = first; r < end; r++) {
    size_t at = (size_t)r * d;
    mv_row_load(l->simd, dims->dtype, mv_at(l->x, dims->dtype, 2 * at), row, 2 * dims->d);
    l->simd->swiglu(row, row + d, row, dims->d);
    mv_row_store(l->simd, dims->out_dtype, row, mv_at_mut(l->out, dims->out_dtype, at), dims->d);
  }
}

void mv_swiglu_cpu(mv_device *device, const mv_activation_dims *dims, const void *gate_up,
                   void *out) {
  if (dims->n_row == 0 || device->error.code != MV_OK) return;
  size_t bytes = (size_t)device->n_thread * 2 * (size_t)dims->d * sizeof(float);
  row_loop loop = {mv_cpu_simd_of(device), dims, gate_up, out, mv_device_scratch(device, bytes)};
  if (loop.scratch)
    mv_cpu_run(device, 8 * mv_swiglu_cost(dims).flops, dims->n_row, swiglu_rows, &loop);
}

static void gelu_rows(const void *loop, int first, int end, int thread) {
  const row_loop *l = loop;
  const mv_activation_dims *dims = l->dims;
  size_t d = (size_t)dims->d;
  float *row = l->scratch + (size_t)thread * d;
  for (int r = first; r < end; r++) {
    void *at = mv_at_mut(l->out, dims->dtype, (size_t)r * d);
    mv_row_load(l->simd, dims->dtype, at, row, dims->d);
    for (size_t i = 0; i < d; i++) row[i] = 0.5f * row[i] * (1.0f + erff(row[i] * 0.70710678f));
    mv_row_store(l->simd, dims->dtype, row, at, dims->d);
  }
}

void mv_gelu_cpu(mv_device *device, const mv_activation_dims *dims, void *x) {
  if (dims->n_row == 0 || device->error.code != MV_OK) return;
  size_t bytes = (size_t)device->n_thread * (size_t)dims->d * sizeof(float);
  row_loop loop = {mv_cpu_simd_of(device), dims, x, x, mv_device_scratch(device, bytes)};
  if (loop.scratch) mv_cpu_run(device, 4 * mv_gelu_cost(dims).flops, dims->n_row, gelu_rows, &loop);
}
