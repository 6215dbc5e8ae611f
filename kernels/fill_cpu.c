#include "kernels/cpu.h"
#include "kernels/fill.h"

mv_cost mv_fill_cost(const mv_fill_dims *dims) {
  double n = (double)dims->n_row * dims->ld;
  mv_cost cost = {n * (double)mv_dtype_bytes(dims->dtype), n};
  return cost;
}

static float value_at(const mv_fill_dims *dims, int row, int col) {
  if (row >= dims->n_value_row || col >= dims->n_col) return 0;
  uint64_t i = (uint64_t)row * (uint64_t)dims->n_col + (uint64_t)col;
  return mv_fill_value(dims->seed, i) * dims->spread;
}

typedef struct fill_loop {
  const mv_fill_dims *dims;
  void *x;
} fill_loop;

static void fill_rows(const void *loop, int first, int end, int thread) {
  const fill_loop *l = loop;
  const mv_fill_dims *dims = l->dims;
  (void)thread;
  for (int r = first; r < end; r++)
    for (int c = 0; c < dims->ld; c++) {
      size_t at = (size_t)r * (size_t)dims->ld + (size_t)c;
      if (dims->dtype == MV_DTYPE_F32)
        ((float *)l->x)[at] = value_at(dims, r, c);
      else
        ((uint16_t *)l->x)[at] = mv_f32_to_bf16(value_at(dims, r, c));
    }
}

void mv_fill_cpu(mv_device *device, const mv_fill_dims *dims, void *x) {
  if (device->error.code != MV_OK) return;
  fill_loop loop = {dims, x};
  mv_cpu_run(device, 10 * mv_fill_cost(dims).flops, dims->n_row, fill_rows, &loop);
}
