/* Rows of either number format, for the .cu files of operations that go over rows once: a thread
 * takes chunks of N neighbouring elements, as f32 in registers.
 *
 *   N = 8  both formats bf16: one 16-byte access each
 *   N = 4  otherwise: 16 bytes of f32, 8 of bf16, so that a warp's accesses stay contiguous
 *   N = 1  rows whose width or address allows no vectors
 */
#ifndef MV_KERNELS_CUDA_ROWS_H
#define MV_KERNELS_CUDA_ROWS_H

#include "kernels/cuda_port.h"
#include "kernels/cuda_ptx.h"
#include "runtime/dtype.h"

MV_DEV float mv_widen(float x) { return x; }
MV_DEV float mv_widen(mv_bf16 x) { return mv_bf16_widen(x); }
MV_DEV void mv_narrow(float *p, float x) { *p = x; }
MV_DEV void mv_narrow(mv_bf16 *p, float x) { *p = mv_bf16_round(x); }

template <int N, class T>
MV_DEV void mv_chunk_load(float (&v)[N], const T *p) {
  if constexpr (N == 1) {
    v[0] = mv_widen(*p);
  } else if constexpr (sizeof(T) == 4) {
#pragma unroll
    for (int i = 0; i < N; i += 4) {
      float4 q = mv_ld_f4(p + i);
      v[i] = q.x, v[i + 1] = q.y, v[i + 2] = q.z, v[i + 3] = q.w;
    }
  } else if constexpr (N == 4) {
    uint2 q = mv_ld_v2(p);
    v[0] = mv_bf16_lo(q.x), v[1] = mv_bf16_hi(q.x);
    v[2] = mv_bf16_lo(q.y), v[3] = mv_bf16_hi(q.y);
  } else {
    uint4 q = mv_ld_v4(p);
    v[0] = mv_bf16_lo(q.x), v[1] = mv_bf16_hi(q.x);
    v[2] = mv_bf16_lo(q.y), v[3] = mv_bf16_hi(q.y);
    v[4] = mv_bf16_lo(q.z), v[5] = mv_bf16_hi(q.z);
    v[6] = mv_bf16_lo(q.w), v[7] = mv_bf16_hi(q.w);
  }
}

template <int N, class T>
MV_DEV void mv_chunk_store(T *p, const float (&v)[N]) {
  if constexpr (N == 1) {
    mv_narrow(p, v[0]);
  } else if constexpr (sizeof(T) == 4) {
#pragma unroll
    for (int i = 0; i < N; i += 4) mv_st_f4(p + i, make_float4(v[i], v[i + 1], v[i + 2], v[i + 3]));
  } else if constexpr (N == 4) {
    mv_st_v2(p, make_uint2(mv_bf16_pack(v[0], v[1]), mv_bf16_pack(v[2], v[3])));
  } else {
    mv_st_v4(p, make_uint4(mv_bf16_pack(v[0], v[1]), mv_bf16_pack(v[2], v[3]),
                           mv_bf16_pack(v[4], v[5]), mv_bf16_pack(v[6], v[7])));
  }
}

/* The chunk for elements of types A and B. */
template <class A, class B>
constexpr int mv_chunk_of() {
  return sizeof(A) == 2 && sizeof(B) == 2 ? 8 : 4;
}

/* Whether all of these addresses and distances in bytes are multiples of 16. */
template <class... T>
static inline bool mv_all_aligned(T... address) {
  uintptr_t bits = 0;
  const int each[] = {0, (bits |= (uintptr_t)address, 0)...};
  (void)each;
  return bits % 16 == 0;
}

/* f(float()) or f(mv_bf16()). */
template <class F>
static inline void mv_with_type(mv_dtype dtype, F f) {
  if (dtype == MV_DTYPE_F32)
    f(float());
  else
    f(mv_bf16());
}

/* Threads of a block for n chunks of one row, at most `max`. */
static inline unsigned mv_row_threads(int n_chunk, int max) {
  int n = (n_chunk + 31) / 32 * 32;
  return (unsigned)(n < max ? n : max);
}

#endif
