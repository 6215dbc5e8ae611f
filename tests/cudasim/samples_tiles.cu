/* Tiles in shared memory: cp.async double buffering, ldmatrix and mma. */
#include "kernels/cuda_ptx.h"
#include "tests/cudasim/samples.h"

enum { TILE = 128 };

template <sample_bug bug>
static __global__ void __launch_bounds__(TILE)
    tile_sum_kernel(const float *x, float *y, int n_tile) {
  MV_SHARED(float, tile, [2][TILE]);
  const int t = threadIdx.x;
  const int last = bug == BUG_OFF_BY_ONE_TILE ? n_tile - 1 : n_tile;
  mv_cp_async_4(mv_shared_addr(&tile[0][t]), x + t, 4);
  if (bug != BUG_NO_COMMIT) mv_cp_async_commit();
  float sum = 0;
  for (int i = 0; i < last; i++) {
    const int next = i + 1;
    if (next < n_tile) mv_cp_async_4(mv_shared_addr(&tile[next % 2][t]), x + next * TILE + t, 4);
    mv_cp_async_commit();
    mv_cp_async_wait<bug == BUG_WEAK_WAIT ? 2 : 1>();
    __syncthreads();
    sum += tile[i % 2][(t + 1) % TILE];
    if (bug != BUG_NO_LOOP_BARRIER) __syncthreads();
  }
  mv_cp_async_wait<0>();
  y[t] = sum;
}

enum { DEPTH = 64, ROW_BYTES = DEPTH * 2, A_BYTES = 16 * ROW_BYTES, B_BYTES = 64 * ROW_BYTES };

/* Chunk of 16 bytes of a row; consecutive rows of a matrix must lie in different banks. */
template <sample_bug bug>
static __device__ __forceinline__ uint32_t chunk_at(uint32_t base, int row, int chunk) {
  const int place = bug == BUG_NO_SWIZZLE ? chunk : chunk ^ (row & 7);
  return base + (uint32_t)(row * ROW_BYTES + place * 16);
}

template <sample_bug bug>
static __global__ void __launch_bounds__(32)
    product_kernel(const mv_bf16 *a, const mv_bf16 *b, float *c, int ld) {
  MV_DYN_SHARED(memory);
  const int lane = threadIdx.x;
  const uint32_t sa = mv_shared_addr(memory), sb = sa + A_BYTES;
  for (int i = lane; i < 80 * 8; i += 32) {
    const int row = i / 8, chunk = i % 8;
    const uint32_t to =
        row < 16 ? chunk_at<bug>(sa, row, chunk) : chunk_at<bug>(sb, row - 16, chunk);
    const mv_bf16 *from = row < 16 ? a + row * ld : b + (row - 16) * ld;
    mv_cp_async_16(to, from + chunk * 8, 16);
  }
  mv_cp_async_commit();
  mv_cp_async_wait<0>();
  __syncwarp();
  float sum[8][4] = {};
  for (int k = 0; k < DEPTH / 16; k++) {
    uint32_t fa[4];
    mv_ldmatrix_x4(fa, chunk_at<bug>(sa, lane % 16, k * 2 + lane / 16));
    for (int n = 0; n < 4; n++) {
      uint32_t fb[4];
      mv_ldmatrix_x4(fb,
                     chunk_at<bug>(sb, n * 16 + lane / 16 * 8 + lane % 8, k * 2 + lane / 8 % 2));
      const bool swap = bug == BUG_WRONG_FRAGMENT;
      mv_mma_bf16(sum[n * 2], fa, fb[swap], fb[!swap]);
      mv_mma_bf16(sum[n * 2 + 1], fa, fb[2], fb[3]);
    }
  }
  for (int n = 0; n < 8; n++)
    for (int h = 0; h < 2; h++) {
      float *out = c + (lane / 4 + h * 8) * 64 + n * 8 + lane % 4 * 2;
      mv_st_f2(out, make_float2(sum[n][h * 2], sum[n][h * 2 + 1]));
    }
}

#define VARIANT(BUG, KERNEL, shape, ...) \
  if (bug == BUG) return mv_launch(shape, KERNEL<BUG>, __VA_ARGS__)

cudaError_t sample_tile_sum(sample_bug bug, const float *x, float *y, int n_tile,
                            cudaStream_t stream) {
  const mv_launch_shape shape = {dim3(1), dim3(TILE), 0, stream};
  VARIANT(BUG_WEAK_WAIT, tile_sum_kernel, shape, x, y, n_tile);
  VARIANT(BUG_NO_COMMIT, tile_sum_kernel, shape, x, y, n_tile);
  VARIANT(BUG_NO_LOOP_BARRIER, tile_sum_kernel, shape, x, y, n_tile);
  VARIANT(BUG_OFF_BY_ONE_TILE, tile_sum_kernel, shape, x, y, n_tile);
  return mv_launch(shape, tile_sum_kernel<SAMPLE_RIGHT>, x, y, n_tile);
}

cudaError_t sample_product(sample_bug bug, const mv_bf16 *a, const mv_bf16 *b, float *c, int ld,
                           cudaStream_t stream) {
  size_t n_bytes = A_BYTES + B_BYTES - (bug == BUG_SMALL_SHARED ? 64 : 0);
  const mv_launch_shape shape = {dim3(1), dim3(32), n_bytes, stream};
  VARIANT(BUG_WRONG_FRAGMENT, product_kernel, shape, a, b, c, ld);
  VARIANT(BUG_NO_SWIZZLE, product_kernel, shape, a, b, c, ld);
  return mv_launch(shape, product_kernel<SAMPLE_RIGHT>, a, b, c, ld);
}
