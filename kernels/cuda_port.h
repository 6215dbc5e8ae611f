/* What a .cu file stands on: the CUDA runtime, under nvcc; an emulator of it on the CPU, under a
 * plain C++ compiler (tests/cudasim). The same file runs in both worlds, so a kernel keeps to what
 * both know:
 *
 *   - includes: this header, kernels/cuda_ptx.h, contracts (kernels/<op>.h), C headers. Nothing
 * else of CUDA; no thrust, no cooperative_groups.
 *   - launches through mv_launch: no <<<>>>.
 *   - shared memory through MV_SHARED (one for each logical array: bounds are checked per array)
 * and MV_DYN_SHARED; no bare __shared__.
 *   - 8- and 16-byte accesses through mv_ld_v4, mv_st_v4 and kin, not through casts of pointers:
 *     they check alignment and count as one access.
 *   - inline PTX only in kernels/cuda_ptx.h, where every helper has a CPU half.
 *   - warp functions with their real mask (`__shfl_xor_sync(MV_FULL_WARP, ...)`); __syncwarp()
 *     between a warp's writes to shared memory and its reads of them; every thread reaches every
 *     __syncthreads (no early return before one).
 *   - what another block wrote in the same launch is read only after a grid barrier, or after an
 *     atomic of that block that followed its __threadfence.
 *   - code for one architecture: `#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900`. The
 * emulator defines no __CUDA_ARCH__ and runs every path.
 *
 * Host code in C includes <cuda_runtime_api.h> and <cublasLt.h>, found in the toolkit or, for the
 * emulator, in tests/cudasim/include; never cuda_runtime.h, cuda.h or this header. It reaches a
 * kernel through the extern "C" launcher in the .cu file.
 */
#ifndef MV_KERNELS_CUDA_PORT_H
#define MV_KERNELS_CUDA_PORT_H

#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef __nv_bfloat16 mv_bf16;

#define MV_FULL_WARP 0xffffffffu

/* MV_SHARED(float, sums, [8]);   an array of the block, 16-byte aligned
 * MV_DYN_SHARED(tile);           unsigned char *tile: the launch's shared bytes, 1024-byte aligned
 */
#ifndef MV_CUDASIM
#define MV_SHARED(type, name, dims) __shared__ __align__(16) type name dims
#define MV_DYN_SHARED(name)                                                   \
  extern __shared__ __align__(1024) unsigned char mv_dynamic_shared_memory[]; \
  unsigned char *const name = mv_dynamic_shared_memory
#endif

/* Numbers. bf16 pairs travel in registers as one word: the element at the lower address is the low
 * half. Rounding is to nearest even. */
static __device__ __forceinline__ float mv_bf16_lo(uint32_t pair) {
  return __uint_as_float(pair << 16);
}

static __device__ __forceinline__ float mv_bf16_hi(uint32_t pair) {
  return __uint_as_float(pair & 0xffff0000u);
}

static __device__ __forceinline__ uint32_t mv_bf16_pack(float lo, float hi) {
  __nv_bfloat162 pair = __floats2bfloat162_rn(lo, hi);
  uint32_t bits;
  memcpy(&bits, &pair, sizeof bits);
  return bits;
}

static __device__ __forceinline__ float mv_bf16_widen(mv_bf16 x) { return __bfloat162float(x); }
static __device__ __forceinline__ mv_bf16 mv_bf16_round(float x) { return __float2bfloat16_rn(x); }

/* Vector accesses, to global or shared memory; `p` is aligned to the width. */
#ifndef MV_CUDASIM
template <class T>
static __device__ __forceinline__ T mv_ld(const void *p) {
  return *(const T *)p;
}
template <class T>
static __device__ __forceinline__ void mv_st(void *p, T v) {
  *(T *)p = v;
}
#else
template <class T>
static __forceinline__ T mv_ld(const void *p) {
  return sim::load<T>(p);
}
template <class T>
static __forceinline__ void mv_st(void *p, T v) {
  sim::store(p, v);
}
#endif
static __device__ __forceinline__ uint4 mv_ld_v4(const void *p) { return mv_ld<uint4>(p); }
static __device__ __forceinline__ uint2 mv_ld_v2(const void *p) { return mv_ld<uint2>(p); }
static __device__ __forceinline__ uint32_t mv_ld_v1(const void *p) { return mv_ld<uint32_t>(p); }
static __device__ __forceinline__ float4 mv_ld_f4(const void *p) { return mv_ld<float4>(p); }
static __device__ __forceinline__ float2 mv_ld_f2(const void *p) { return mv_ld<float2>(p); }
static __device__ __forceinline__ void mv_st_v4(void *p, uint4 v) { mv_st(p, v); }
static __device__ __forceinline__ void mv_st_v2(void *p, uint2 v) { mv_st(p, v); }
static __device__ __forceinline__ void mv_st_v1(void *p, uint32_t v) { mv_st(p, v); }
static __device__ __forceinline__ void mv_st_f4(void *p, float4 v) { mv_st(p, v); }
static __device__ __forceinline__ void mv_st_f2(void *p, float2 v) { mv_st(p, v); }

/* Sums and maxima over a warp; every lane calls and every lane has the result. The order of the sum
 * is fixed. */
static __device__ __forceinline__ float mv_warp_sum(float x) {
#pragma unroll
  for (int step = 16; step; step >>= 1) x += __shfl_xor_sync(MV_FULL_WARP, x, step);
  return x;
}

static __device__ __forceinline__ float mv_warp_max(float x) {
#pragma unroll
  for (int step = 16; step; step >>= 1) x = fmaxf(x, __shfl_xor_sync(MV_FULL_WARP, x, step));
  return x;
}

/* How a kernel is launched. Only grid and block have no default:
 *
 *   return mv_launch({dim3(n_row), dim3(256), 0, stream}, rmsnorm_kernel<8>, x, w, y, d, eps);
 */
struct mv_launch_shape {
  dim3 grid, block;
  size_t shared_bytes = 0; /* dynamic; above 48 KiB is asked for as CUDA wants it */
  cudaStream_t stream = nullptr;
  unsigned cluster = 1;     /* blocks along x that share their shared memory, sm_90 and later */
  bool cooperative = false; /* all blocks resident, for mv_grid_sync */
  bool overlap = false;     /* may start before the kernel ahead of it ends: see mv_pdl_wait */
};

template <class... Param, class... Arg>
static inline cudaError_t mv_launch(const mv_launch_shape &shape, void (*kernel)(Param...),
                                    Arg &&...args) {
  if (shape.shared_bytes > 48 * 1024) {
    cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                             (int)shape.shared_bytes);
    if (error != cudaSuccess) return error;
  }
  cudaLaunchAttribute attribute[3] = {};
  unsigned n = 0;
  if (shape.cluster > 1) {
    attribute[n].id = cudaLaunchAttributeClusterDimension;
    attribute[n].val.clusterDim.x = shape.cluster;
    attribute[n].val.clusterDim.y = attribute[n].val.clusterDim.z = 1;
    n++;
  }
  if (shape.cooperative) {
    attribute[n].id = cudaLaunchAttributeCooperative;
    attribute[n++].val.cooperative = 1;
  }
  if (shape.overlap) {
    attribute[n].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute[n++].val.programmaticStreamSerializationAllowed = 1;
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = shape.stream;
  config.attrs = attribute;
  config.numAttrs = n;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Arg &&>(args)...);
}

#endif
