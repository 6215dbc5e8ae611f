#include "kernels/rope.h"

#include <assert.h>
#include <math.h>

#include "kernels/cpu.h"

mv_cost mv_rope_table_cost(const mv_rope_table_dims *dims) {
  double n = (double)dims->n_row * dims->n_freq;
  mv_cost cost = {8 * n + 12.0 * dims->n_row, 3 * n};
  return cost;
}

typedef struct table_loop {
  const mv_rope_table_dims *dims;
  const int32_t *position;
  const float *inv_freq;
  const uint8_t *axis;
  float *table;
} table_loop;

static void table_rows(const void *loop, int first, int end, int thread) {
  const table_loop *l = loop;
  int n_row = l->dims->n_row, n_freq = l->dims->n_freq;
  (void)thread;
  for (int r = first; r < end; r++)
    for (int i = 0; i < n_freq; i++) {
      size_t at = (size_t)l->axis[i] * (size_t)n_row + (size_t)r;
      float angle = (float)l->position[at] * l->inv_freq[i];
      float *out = l->table + 2 * ((size_t)r * (size_t)n_freq + (size_t)i);
      out[0] = cosf(angle);
      out[1] = sinf(angle);
    }
}

void mv_rope_table_cpu(mv_device *device, const mv_rope_table_dims *dims, const int32_t *position,
                       const float *inv_freq, const uint8_t *axis, float *table) {
  if (device->error.code != MV_OK) return;
  table_loop loop = {dims, position, inv_freq, axis, table};
  mv_cpu_run(device, 20 * mv_rope_table_cost(dims).flops, dims->n_row, table_rows, &loop);
}

mv_cost mv_rope_cost(const mv_rope_dims *dims) {
  double n = (double)dims->n_row * dims->n_head * dims->d_head;
  mv_cost cost = {2 * n * (double)mv_dtype_bytes(dims->dtype) + 4.0 * dims->n_row * dims->d_head,
                  3 * n};
  return cost;
}

#define MAX_D_HEAD 256

typedef struct rope_loop {
  const mv_cpu_simd *simd;
  const mv_rope_dims *dims;
  const float *table;
  void *x;
} rope_loop;

static void rotate_rows(const void *loop, int first, int end, int thread) {
  const rope_loop *l = loop;
  const mv_rope_dims *dims = l->dims;
  int d = dims->d_head;
  (void)thread;
  for (int r = first; r < end; r++)
    for (int h = 0; h < dims->n_head; h++) {
      float head[MAX_D_HEAD];
      size_t at = (size_t)r * (size_t)dims->ldx + (size_t)h * (size_t)d;
      mv_row_load(l->simd, dims->dtype, mv_at(l->x, dims->dtype, at), head, d);
      mv_rotate(head, l->table + (size_t)r * (size_t)d, d / 2);
      mv_row_store(l->simd, dims->dtype, head, mv_at_mut(l->x, dims->dtype, at), d);
    }
}

void mv_rope_cpu(mv_device *device, const mv_rope_dims *dims, const float *table, void *x) {
  assert(dims->d_head % 2 == 0 && dims->d_head <= MAX_D_HEAD);
  if (device->error.code != MV_OK) return;
  rope_loop loop = {mv_cpu_simd_of(device), dims, table, x};
  mv_cpu_run(device, 40 * mv_rope_cost(dims).flops, dims->n_row, rotate_rows, &loop);
}
