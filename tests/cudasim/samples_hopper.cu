/* c = a b^T by TMA (128-byte swizzle), mbarriers and wgmma: warps 0 to 3 multiply, warp 4 loads. */
#include <cuda.h>

#include "kernels/cuda_ptx.h"
#include "tests/cudasim/samples.h"

enum {
  TILE_M = 64,
  TILE_N = 128,
  TILE_K = 64, /* 128 bytes: one row of the swizzle */
  N_STAGE = 3,
  A_BYTES = TILE_M * 128,
  B_BYTES = TILE_N * 128,
  STAGE_BYTES = A_BYTES + B_BYTES,
  SHARED_BYTES = N_STAGE * STAGE_BYTES + 2 * N_STAGE * 8
};

#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
template <sample_bug bug>
static __device__ __forceinline__ void load_tiles(uint32_t stages, uint32_t full, uint32_t empty,
                                                  const CUtensorMap *a, const CUtensorMap *b,
                                                  int n_step) {
  for (int i = 0; i < n_step; i++) {
    const int s = i % N_STAGE;
    const uint32_t round = (uint32_t)(i / N_STAGE), to = stages + (uint32_t)s * STAGE_BYTES;
    if (i >= N_STAGE && bug != BUG_NO_EMPTY_WAIT)
      while (!mv_mbar_try_wait(empty + (uint32_t)s * 8, (round - 1) & 1)) {
      }
    mv_mbar_expect(full + (uint32_t)s * 8,
                   bug == BUG_WRONG_BYTE_COUNT ? STAGE_BYTES - 1024 : STAGE_BYTES);
    mv_tma_load_2d(to, a, i * TILE_K, (int)blockIdx.y * TILE_M, full + (uint32_t)s * 8);
    mv_tma_load_2d(to + A_BYTES, b, i * TILE_K, (int)blockIdx.x * TILE_N, full + (uint32_t)s * 8);
  }
}

template <sample_bug bug>
static __device__ __forceinline__ void multiply_tiles(float (&sum)[64], uint32_t stages,
                                                      uint32_t full, uint32_t empty, int n_step) {
  for (int i = 0; i < n_step; i++) {
    const uint32_t s = (uint32_t)(i % N_STAGE), a = stages + s * STAGE_BYTES, b = a + A_BYTES;
    if (bug != BUG_NO_FULL_WAIT)
      while (!mv_mbar_try_wait(full + s * 8, (uint32_t)(i / N_STAGE) & 1)) {
      }
    mv_wgmma_fence();
#pragma unroll
    for (uint32_t k = 0; k < TILE_K / 16; k++)
      mv_wgmma_n128(sum, mv_wgmma_desc(a + k * 32), mv_wgmma_desc(b + k * 32));
    mv_wgmma_commit();
    if (bug != BUG_EARLY_RELEASE) mv_wgmma_wait<0>();
    __syncwarp();
    if (threadIdx.x % 32 == 0) mv_mbar_arrive(empty + s * 8);
    if (bug == BUG_EARLY_RELEASE) mv_wgmma_wait<0>();
  }
}
#endif

template <sample_bug bug>
static __global__ void __launch_bounds__(160)
    hopper_product_kernel(mv_bf16 *c, const __grid_constant__ CUtensorMap a,
                          const __grid_constant__ CUtensorMap b, int m, int n, int k) {
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
  MV_DYN_SHARED(memory);
  const uint32_t stages = mv_shared_addr(memory), full = stages + N_STAGE * STAGE_BYTES;
  const uint32_t empty = full + N_STAGE * 8;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, n_step = (k + TILE_K - 1) / TILE_K;
  if (threadIdx.x == 0) {
    for (uint32_t i = 0; i < N_STAGE; i++) {
      mv_mbar_init(full + i * 8, 1);
      mv_mbar_init(empty + i * 8, 4);
    }
    mv_mbar_fence_init();
  }
  __syncthreads();
  if (warp == 4) {
    if (lane == 0) load_tiles<bug>(stages, full, empty, &a, &b, n_step);
    return;
  }
  float sum[64];
#pragma unroll
  for (int i = 0; i < 64; i++) sum[i] = 0;
  multiply_tiles<bug>(sum, stages, full, empty, n_step);
  const int row = (int)blockIdx.y * TILE_M + warp * 16 + lane / 4;
#pragma unroll
  for (int j = 0; j < 16; j++) {
    const int col = (int)blockIdx.x * TILE_N + j * 8 + lane % 4 * 2;
    for (int h = 0; h < 2; h++)
      if (col < n && row + h * 8 < m)
        mv_st_v1(c + (size_t)(row + h * 8) * n + col,
                 mv_bf16_pack(sum[j * 4 + h * 2], sum[j * 4 + h * 2 + 1]));
  }
#endif
}

typedef CUresult (*encode_function)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *,
                                    const cuuint64_t *, const cuuint64_t *, const cuuint32_t *,
                                    const cuuint32_t *, CUtensorMapInterleave, CUtensorMapSwizzle,
                                    CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

static cudaError_t make_map(CUtensorMap *map, const mv_bf16 *p, int n_row, int n_col, int box_row) {
  void *found = nullptr;
  cudaDriverEntryPointQueryResult result;
  cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000,
                                                       cudaEnableDefault, &result);
  if (error != cudaSuccess) return error;
  const cuuint64_t dims[2] = {(cuuint64_t)n_col, (cuuint64_t)n_row};
  const cuuint64_t pitch[1] = {(cuuint64_t)n_col * 2};
  const cuuint32_t box[2] = {TILE_K, (cuuint32_t)box_row}, step[2] = {1, 1};
  CUresult status = ((encode_function)found)(
      map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, (void *)(uintptr_t)p, dims, pitch, box, step,
      CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return status == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

#define VARIANT(BUG) \
  if (bug == BUG) return mv_launch(shape, hopper_product_kernel<BUG>, c, map_a, map_b, m, n, k)

cudaError_t sample_hopper_product(sample_bug bug, const mv_bf16 *a, const mv_bf16 *b, mv_bf16 *c,
                                  int m, int n, int k, cudaStream_t stream) {
  CUtensorMap map_a, map_b;
  cudaError_t error = make_map(&map_a, a, m, k, TILE_M);
  if (error == cudaSuccess) error = make_map(&map_b, b, n, k, TILE_N);
  if (error != cudaSuccess) return error;
  const dim3 grid((unsigned)(n + TILE_N - 1) / TILE_N, (unsigned)(m + TILE_M - 1) / TILE_M);
  const mv_launch_shape shape = {grid, dim3(160), SHARED_BYTES, stream};
  VARIANT(BUG_NO_EMPTY_WAIT);
  VARIANT(BUG_WRONG_BYTE_COUNT);
  VARIANT(BUG_NO_FULL_WAIT);
  VARIANT(BUG_EARLY_RELEASE);
  return mv_launch(shape, hopper_product_kernel<SAMPLE_RIGHT>, c, map_a, map_b, m, n, k);
}
