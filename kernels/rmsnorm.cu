/* rmsnorm on CUDA: contract in kernels/rmsnorm.h.
 *
 * Plan  One block a row. A thread keeps up to KEPT chunks of 4 elements of the row, and of w, in
 *       registers: all loads are in flight before the one barrier, and the row is read once. With
 *       256 threads that covers d = 4096; wider rows (to d = 16384) take more threads, and what
 *       lies beyond is read a second time. The sum's order depends on d alone.
 *
 * sass@90a rmsnorm_kernel: LDG>ACQBULK
 * sass@100 rmsnorm_kernel: LDG>ACQBULK */
#include <assert.h>

#include "kernels/cuda_rows.h"
#include "kernels/rmsnorm.h"
/* after cuda_port.h */
#include "kernels/cuda.h"

namespace {

constexpr int KEPT = 4;            /* 32 registers a thread, and 4 loads in flight */
constexpr int LEAST_THREADS = 256; /* a lone row of decode wants parallel loads     */
constexpr int MOST_THREADS = 1024;

template <int N>
MV_DEV float square_sum(const float (&v)[N]) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < N; i++) sum += v[i] * v[i];
  return sum;
}

/* Over the block; every thread has the result. */
MV_DEV float block_sum(float x) {
  MV_SHARED(float, sums, [MOST_THREADS / 32]);
  x = mv_warp_sum(x);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = x;
  __syncthreads();
  float total = 0;
  for (unsigned i = 0; i < blockDim.x / 32; i++) total += sums[i];
  return total;
}

template <int N, class Y>
MV_DEV void scaled_store(Y *y, const float (&x)[N], const float (&w)[N], float scale) {
  float out[N];
#pragma unroll
  for (int i = 0; i < N; i++) out[i] = x[i] * scale * w[i];
  mv_chunk_store<N>(y, out);
}

template <int N, class X, class Y>
__global__ void __launch_bounds__(MOST_THREADS)
    rmsnorm_kernel(const X *x, const float *w, Y *y, int d, float eps) {
  x += (size_t)blockIdx.x * d;
  y += (size_t)blockIdx.x * d;
  const int step = (int)blockDim.x * N, first = (int)threadIdx.x * N;
  float kept[KEPT][N], weight[KEPT][N], sum = 0;
  mv_pdl_launch();
#pragma unroll
  for (int k = 0; k < KEPT; k++)
    if (first + k * step < d) mv_chunk_load<N>(weight[k], w + first + k * step);
  mv_pdl_wait();
#pragma unroll
  for (int k = 0; k < KEPT; k++)
    if (first + k * step < d) mv_chunk_load<N>(kept[k], x + first + k * step);
#pragma unroll
  for (int k = 0; k < KEPT; k++)
    if (first + k * step < d) sum += square_sum<N>(kept[k]);
  for (int i = first + KEPT * step; i < d; i += step) {
    float v[N];
    mv_chunk_load<N>(v, x + i);
    sum += square_sum<N>(v);
  }
  const float scale = 1.0f / sqrtf(block_sum(sum) / (float)d + eps);
#pragma unroll
  for (int k = 0; k < KEPT; k++)
    if (first + k * step < d) scaled_store<N>(y + first + k * step, kept[k], weight[k], scale);
  for (int i = first + KEPT * step; i < d; i += step) {
    float v[N], u[N];
    mv_chunk_load<N>(v, x + i);
    mv_chunk_load<N>(u, w + i);
    scaled_store<N>(y + i, v, u, scale);
  }
}

unsigned threads_for(int n_chunk) {
  int wanted = (n_chunk + KEPT - 1) / KEPT;
  return mv_row_threads(wanted > LEAST_THREADS ? wanted : n_chunk,
                        wanted > LEAST_THREADS ? MOST_THREADS : LEAST_THREADS);
}

}  // namespace

void mv_rmsnorm_cuda(mv_device *device, const mv_rmsnorm_dims *dims, const void *x, const float *w,
                     void *y) {
  assert(dims->d > 0);
  if (dims->n_row == 0) return;
  const int d = dims->d;
  const bool vectors = d % 4 == 0 && mv_all_aligned(x, w, y) && d * 2 % 16 == 0;
  const dim3 grid((unsigned)dims->n_row), block(threads_for(vectors ? d / 4 : d));
  mv_with_type(dims->x_dtype, [&](auto a) {
    mv_with_type(dims->y_dtype, [&](auto b) {
      using X = decltype(a);
      using Y = decltype(b);
      mv_cuda_launch(device, "rmsnorm", vectors ? rmsnorm_kernel<4, X, Y> : rmsnorm_kernel<1, X, Y>,
                     grid, block, 0, (const X *)x, w, (Y *)y, d, dims->eps);
    });
  });
}
