/* Attention on tensor cores: the arithmetic that paged attention and attention within segments
 * share. Included by their .cu files.
 *
 * A warp holds 16 rows of queries against a tile of 64 keys. Rows lie in shared memory as D bf16,
 * the place of a 16-byte chunk XORed with as much of its row's number as it takes for eight rows of
 * one column of chunks (ldmatrix reads such columns) to fall in different banks.
 *
 * Lane l of a warp holds, of every 16 x 8 piece of a product, columns 2(l%4) and the next one, of
 * rows l/4 and l/4 + 8: index 2 * half + i.
 *
 * Bits: what a row gets from a tile depends on its own query, keys and mask alone. A tile of which
 * it sees nothing changes nothing. All sums are written as explicit operations, so that no compiler
 * fuses one use of them differently from another.
 */
#ifndef MV_KERNELS_CUDA_ATTENTION_H
#define MV_KERNELS_CUDA_ATTENTION_H

#include "kernels/cuda_ptx.h"

enum { MV_KEYS = 64 }; /* of a tile */

template <int D>
struct mv_tile {
  enum {
    CHUNKS = D / 8,
    GROUP = CHUNKS % 8 == 0   ? 8
            : CHUNKS % 4 == 0 ? 4
                              : 2, /* 8 / GROUP rows fill all banks */
    ROW_BYTES = CHUNKS * 16,
    BYTES = MV_KEYS * ROW_BYTES
  };
  /* Tiles start at a multiple of ROW_BYTES. */
  MV_DEV uint32_t at(uint32_t tile, int row, int chunk) {
    return tile + (uint32_t)(row * ROW_BYTES + (chunk ^ (row * GROUP / 8 % GROUP)) * 16);
  }
  /* Where chunk c + n is, in the row of which `at` is chunk c; c + n == (c ^ n), n % GROUP == 0
   * unless CHUNKS is a power of two. One operation on a register: addresses of all chunks are not
   * kept over the loop. */
  MV_DEV uint32_t further(uint32_t at, int n) {
    return (CHUNKS & (CHUNKS - 1)) == 0 ? at ^ (uint32_t)(n * 16) : at + (uint32_t)(n * 16);
  }
};

/* Starts copying ROWS rows, ld elements apart, to a tile; rows from n_valid on become zero, and are
 * not even pointed to where they are not MAPPED. All N_THREAD threads of the block call. */
template <int D, int ROWS, int N_THREAD, bool MAPPED>
MV_DEV void mv_tile_load(uint32_t tile, const mv_bf16 *src, int ld, int n_valid) {
  /* where a thread keeps to one column, all addresses differ from the first by constants */
  constexpr int CHUNKS = mv_tile<D>::CHUNKS, STEP = N_THREAD / CHUNKS;
  constexpr bool COLUMN = N_THREAD % (8 * CHUNKS) == 0;
  const int row0 = (int)threadIdx.x / CHUNKS, chunk0 = (int)threadIdx.x % CHUNKS;
  const uint32_t to0 = mv_tile<D>::at(tile, row0, chunk0);
  const mv_bf16 *from0 = src + (size_t)row0 * (size_t)ld;
#pragma unroll
  for (int i = 0; i * N_THREAD < ROWS * CHUNKS; i++) {
    const int at = i * N_THREAD + (int)threadIdx.x;
    const int row = COLUMN ? row0 + i * STEP : at / CHUNKS, chunk = COLUMN ? chunk0 : at % CHUNKS;
    if (ROWS * CHUNKS % N_THREAD != 0 && row >= ROWS) break;
    const mv_bf16 *from = src + (size_t)(MAPPED ? row : min(row, n_valid - 1)) * (size_t)ld;
    if (COLUMN && MAPPED) from = from0 + (size_t)(i * STEP) * (size_t)ld;
    mv_cp_async_16(COLUMN ? to0 + (uint32_t)(i * STEP * mv_tile<D>::ROW_BYTES)
                          : mv_tile<D>::at(tile, row, chunk),
                   from + chunk * 8, row < n_valid ? 16 : 0);
  }
}

/* s = Q K^T: the 16 rows at `q` against N_PIECE * 8 rows at `k`. */
template <int D, int N_PIECE>
MV_DEV void mv_tile_scores(float (&s)[N_PIECE][4], uint32_t q, uint32_t k) {
  enum { ROW = mv_tile<D>::ROW_BYTES };
  const int lane = (int)threadIdx.x % 32;
#pragma unroll
  for (int j = 0; j < N_PIECE; j++) s[j][0] = s[j][1] = s[j][2] = s[j][3] = 0;
  const uint32_t q_at = mv_tile<D>::at(q, lane % 16, lane / 16);
  const uint32_t k_at = mv_tile<D>::at(k, lane / 16 * 8 + lane % 8, lane / 8 % 2);
#pragma unroll
  for (int i = 0; i < D / 16; i++) {
    uint32_t a[4], b[4];
    mv_ldmatrix_x4(a, mv_tile<D>::further(q_at, 2 * i));
#pragma unroll
    for (int j = 0; j < N_PIECE; j += 2) {
      mv_ldmatrix_x4(b, mv_tile<D>::further(k_at, 2 * i) + (uint32_t)(j * 8 * ROW));
      mv_mma_bf16(s[j], a, b[0], b[1]);
      mv_mma_bf16(s[j + 1], a, b[2], b[3]);
    }
  }
}

/* o += P V: weights p of 64 keys, N_PIECE * 8 columns of the values at `v` from chunk0 on. */
template <int D, int N_PIECE>
MV_DEV void mv_tile_values(float (&o)[N_PIECE][4], const uint32_t (&p)[4][4], uint32_t v,
                           int chunk0) {
  const int lane = (int)threadIdx.x % 32;
  const uint32_t even = mv_tile<D>::at(v, lane, chunk0), odd = mv_tile<D>::at(v, lane, chunk0 + 1);
#pragma unroll
  for (int half = 0; half < 2; half++)
#pragma unroll
    for (int j = 0; j < N_PIECE; j++) {
      uint32_t b[4];
      mv_ldmatrix_x4_trans(b, mv_tile<D>::further(j % 2 ? odd : even, j / 2 * 2) +
                                  (uint32_t)(half * 32 * mv_tile<D>::ROW_BYTES));
      mv_mma_bf16(o[j], p[2 * half], b[0], b[1]);
      mv_mma_bf16(o[j], p[2 * half + 1], b[2], b[3]);
    }
}

/* Bits 0 .. n - 1. */
MV_DEV uint64_t mv_low_bits(int n) {
  return n <= 0 ? 0 : ~(uint64_t)0 >> (n < MV_KEYS ? MV_KEYS - n : 0);
}

/* Hides the keys of a tile that half `half` of the lane's rows does not see: bit t of `seen` for
 * key t. */
MV_DEV void mv_tile_hide(float (&s)[8][4], int half, uint64_t seen) {
  seen >>= threadIdx.x % 4 * 2;
#pragma unroll
  for (int j = 0; j < 8; j++)
#pragma unroll
    for (int i = 0; i < 2; i++)
      if ((seen >> (j * 8 + i) & 1) == 0) s[j][2 * half + i] = -INFINITY;
}

/* ---- softmax as keys come: largest score so far and sum of weights relative to it, of two rows a
 * lane; the sum is this lane's share until mv_softmax_end ---- */

struct mv_softmax {
  float max[2], sum[2];
};

MV_DEV void mv_softmax_start(mv_softmax &state) {
  state.max[0] = state.max[1] = -INFINITY;
  state.sum[0] = state.sum[1] = 0;
}

MV_DEV float mv_quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(MV_FULL_WARP, x, 1));
  return fmaxf(x, __shfl_xor_sync(MV_FULL_WARP, x, 2));
}

MV_DEV float mv_quad_sum(float x) {
  x = __fadd_rn(x, __shfl_xor_sync(MV_FULL_WARP, x, 1));
  return __fadd_rn(x, __shfl_xor_sync(MV_FULL_WARP, x, 2));
}

MV_DEV void mv_softmax_end(mv_softmax &state) {
  state.sum[0] = mv_quad_sum(state.sum[0]);
  state.sum[1] = mv_quad_sum(state.sum[1]);
}

/* Scores of a tile (hidden ones -infinity) become bf16 weights exp2(scale * (s - max)), laid out as
 * the left operand of the product with the values. Sums that were kept relative to the former
 * maximum are to be multiplied by `shrink`, which is exactly 1 when the maximum stays. */
MV_DEV void mv_softmax_tile(const float (&s)[8][4], float scale, mv_softmax &state,
                            uint32_t (&p)[4][4], float (&shrink)[2]) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float top = fmaxf(s[0][2 * half], s[0][2 * half + 1]);
#pragma unroll
    for (int j = 1; j < 8; j++) top = fmaxf(top, fmaxf(s[j][2 * half], s[j][2 * half + 1]));
    top = fmaxf(state.max[half], mv_quad_max(top));
    const float base = top == -INFINITY ? 0 : top; /* nothing visible yet */
    const float shift = -__fmul_rn(base, scale);
    shrink[half] = mv_exp2(__fmul_rn(__fsub_rn(state.max[half], base), scale));
    float sum = __fmul_rn(state.sum[half], shrink[half]);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      const uint32_t pair = mv_bf16_pack(mv_exp2(__fmaf_rn(s[j][2 * half], scale, shift)),
                                         mv_exp2(__fmaf_rn(s[j][2 * half + 1], scale, shift)));
      sum = __fadd_rn(sum, __fadd_rn(mv_bf16_lo(pair), mv_bf16_hi(pair)));
      p[j / 2][j % 2 * 2 + half] = pair;
    }
    state.max[half] = top;
    state.sum[half] = sum;
  }
}

template <int N_PIECE>
MV_DEV void mv_shrink(float (&o)[N_PIECE][4], const float (&shrink)[2]) {
#pragma unroll
  for (int j = 0; j < N_PIECE; j++)
#pragma unroll
    for (int i = 0; i < 4; i++) o[j][i] = __fmul_rn(o[j][i], shrink[i / 2]);
}

/* The 16 rows of a warp as bf16 to a tile, its columns from chunk0 on, times `factor` of the row.
 */
template <int D, int N_PIECE>
MV_DEV void mv_tile_store(unsigned char *rows, int chunk0, const float (&o)[N_PIECE][4],
                          const float (&factor)[2]) {
  const int lane = (int)threadIdx.x % 32;
#pragma unroll
  for (int j = 0; j < N_PIECE; j++)
#pragma unroll
    for (int half = 0; half < 2; half++)
      mv_st_v1(rows + mv_tile<D>::at(0, lane / 4 + half * 8, chunk0 + j) + lane % 4 * 4,
               mv_bf16_pack(__fmul_rn(o[j][2 * half], factor[half]),
                            __fmul_rn(o[j][2 * half + 1], factor[half])));
}

#endif
