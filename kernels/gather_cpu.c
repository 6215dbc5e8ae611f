#include "kernels/gather.h"

#include "kernels/cpu.h"

mv_cost mv_embed_cost(const mv_gather_dims *dims) { return mv_gather_rows_cost(dims); }

mv_cost mv_gather_rows_cost(const mv_gather_dims *dims) {
  double n = (double)dims->n_row * dims->d;
  mv_cost cost = {n * (double)(mv_dtype_bytes(dims->x_dtype) + mv_dtype_bytes(dims->dtype)), 0};
  return cost;
}

void mv_embed_cpu(mv_device *device, const mv_gather_dims *dims, const int32_t *ids,
                  const void *table, const void *image, void *out) {
  if (device->error.code != MV_OK) return;
  const mv_cpu_simd *simd = mv_cpu_simd_of(device);
  size_t d = (size_t)dims->d;
  for (int r = 0; r < dims->n_row; r++) {
    int is_token = ids[r] >= 0;
    mv_dtype from = is_token ? dims->x_dtype : dims->dtype;
    size_t row = (size_t)(is_token ? ids[r] : ~ids[r]);
    mv_row_copy(simd, from, mv_at(is_token ? table : image, from, row * d), dims->dtype,
                mv_at_mut(out, dims->dtype, (size_t)r * d), dims->d);
  }
}

void mv_gather_rows_cpu(mv_device *device, const mv_gather_dims *dims, const int32_t *index,
                        const void *x, void *out) {
  if (device->error.code != MV_OK) return;
  const mv_cpu_simd *simd = mv_cpu_simd_of(device);
  size_t d = (size_t)dims->d;
  for (int r = 0; r < dims->n_row; r++)
    mv_row_copy(simd, dims->x_dtype, mv_at(x, dims->x_dtype, (size_t)index[r] * d), dims->dtype,
                mv_at_mut(out, dims->dtype, (size_t)r * d), dims->d);
}
