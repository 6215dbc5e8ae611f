/* Any product, at no particular speed: a block multiplies 16 RT rows of x with 64 of W through
 * shared memory, in f32; each sum runs over n_in in order, so a row's bits never depend on the
 * others. */
#include <assert.h>

#include "kernels/cuda_ptx.h"

#include "kernels/linear_cuda.h"

namespace {

constexpr int BLOCK = 256, COLS = 64, DEPTH = 16;

/* Passed by value and hashed as bytes (MV_LAUNCH): no padding. */
struct plain_args {
  const void *x, *w;
  const float *bias;
  void *y;
  int n_in, n_out, n_row, ldx, ldy, y_is_bf16, accumulate, unused;
};

static __device__ __forceinline__ float number(const float *p, size_t i) { return p[i]; }
static __device__ __forceinline__ float number(const mv_bf16 *p, size_t i) {
  return mv_bf16_widen(p[i]);
}

/* Rows [row0, row0 + n) of a matrix, columns [k0, k0 + DEPTH), zeros outside; k is the slow index
 * of the copy. */
template <int N, class T>
static __device__ __forceinline__ void fetch(const T *p, int row0, int n_row, size_t ld, int k0,
                                             int n_in, float (*out)[N + 1]) {
  for (int i = threadIdx.x; i < N * DEPTH; i += BLOCK) {
    const int row = i / DEPTH, k = i % DEPTH;
    out[k][row] =
        row0 + row < n_row && k0 + k < n_in ? number(p, (row0 + row) * ld + k0 + k) : 0.0f;
  }
}

/* Thread (i, j) = (tid / 16, tid % 16): rows i + 16 p, columns j + 16 q. */
template <class X, class W, int RT>
__global__ void __launch_bounds__(BLOCK) plain_kernel(plain_args a) {
  mv_pdl_enter();
  MV_SHARED(float, xs, [DEPTH][16 * RT + 1]);
  MV_SHARED(float, ws, [DEPTH][COLS + 1]);
  const int row0 = blockIdx.y * 16 * RT, col0 = blockIdx.x * COLS;
  const int i = threadIdx.x / 16, j = threadIdx.x % 16;
  float acc[RT][4] = {};
  for (int k0 = 0; k0 < a.n_in; k0 += DEPTH) {
    __syncthreads();
    fetch<16 * RT>((const X *)a.x, row0, a.n_row, a.ldx, k0, a.n_in, xs);
    fetch<COLS>((const W *)a.w, col0, a.n_out, a.n_in, k0, a.n_in, ws);
    __syncthreads();
#pragma unroll 4
    for (int k = 0; k < DEPTH; k++)
#pragma unroll
      for (int p = 0; p < RT; p++)
#pragma unroll
        for (int q = 0; q < 4; q++)
          acc[p][q] = fmaf(xs[k][i + 16 * p], ws[k][j + 16 * q], acc[p][q]);
  }
#pragma unroll
  for (int p = 0; p < RT; p++)
#pragma unroll
    for (int q = 0; q < 4; q++)
      if (row0 + i + 16 * p < a.n_row && col0 + j + 16 * q < a.n_out)
        mv_linear_store(a, row0 + i + 16 * p, col0 + j + 16 * q, acc[p][q]);
}

template <class X, class W>
void launch(mv_device *device, const plain_args &a) {
  const unsigned n_x = (unsigned)(a.n_out + COLS - 1) / COLS;
  if (a.n_row <= 16)
    MV_LAUNCH(device, (plain_kernel<X, W, 1>), dim3(n_x), dim3(BLOCK), 0, a);
  else
    MV_LAUNCH(device, (plain_kernel<X, W, 4>), dim3(n_x, (unsigned)(a.n_row + 63) / 64),
              dim3(BLOCK), 0, a);
}

__global__ void __launch_bounds__(BLOCK)
    round_kernel(const float *x, mv_bf16 *y, int n_col, int ldy, int accumulate) {
  mv_pdl_enter();
  const int col = blockIdx.x * BLOCK + threadIdx.x;
  if (col >= n_col) return;
  const float sum = x[(size_t)blockIdx.y * n_col + col];
  mv_bf16 *at = y + (size_t)blockIdx.y * ldy + col;
  *at = mv_bf16_round(accumulate ? mv_bf16_widen(*at) + sum : sum);
}

}  // namespace

void mv_linear_plain(mv_device *device, const mv_linear_dims *dims, const mv_linear *linear,
                     const void *x, void *y) {
  const bool x_is_f32 = dims->x_dtype == MV_DTYPE_F32, w_is_f32 = linear->dtype == MV_DTYPE_F32;
  int col = 0;
  for (int i = 0; i < linear->n_part; i++) {
    plain_args a;
    memset(&a, 0, sizeof a);
    a.x = x;
    a.w = linear->part[i].w;
    a.bias = linear->bias ? linear->bias + col : nullptr;
    a.y = (char *)y + (size_t)col * mv_dtype_bytes(dims->y_dtype);
    a.n_in = linear->n_in;
    a.n_out = linear->part[i].n_row;
    a.n_row = dims->n_row;
    a.ldx = dims->ldx;
    a.ldy = dims->ldy;
    a.y_is_bf16 = dims->y_dtype == MV_DTYPE_BF16;
    a.accumulate = dims->accumulate;
    if (x_is_f32)
      w_is_f32 ? launch<float, float>(device, a) : launch<float, mv_bf16>(device, a);
    else
      w_is_f32 ? launch<mv_bf16, float>(device, a) : launch<mv_bf16, mv_bf16>(device, a);
    col += linear->part[i].n_row;
  }
}

void mv_linear_round(mv_device *device, int n_row, int n_col, const float *x, void *y, int ldy,
                     int accumulate) {
  MV_LAUNCH(device, round_kernel, dim3((unsigned)(n_col + BLOCK - 1) / BLOCK, (unsigned)n_row),
            dim3(BLOCK), 0, x, (mv_bf16 *)y, n_col, ldy, accumulate);
}
