/* swiglu and gelu on CUDA: contracts in kernels/activation.h.
 *
 * Plan  A thread takes one chunk of a row: all of a block's loads are independent, so what an SM
 *       keeps in flight (2048 threads * 32 bytes) is twice what the bandwidth of an H200 needs. */
#include "kernels/activation.h"

#include "kernels/cuda_rows.h"
/* after cuda_port.h */
#include "kernels/cuda.h"

namespace {

constexpr int THREADS = 256;

template <int N, class X, class Y>
__global__ void __launch_bounds__(THREADS) swiglu_kernel(const X *gate_up, Y *out, int d) {
  mv_pdl_enter();
  const int i = (int)(blockIdx.y * blockDim.x + threadIdx.x) * N;
  if (i >= d) return;
  const X *row = gate_up + (size_t)blockIdx.x * 2 * d + i;
  float gate[N], up[N];
  mv_chunk_load<N>(gate, row);
  mv_chunk_load<N>(up, row + d);
#pragma unroll
  for (int j = 0; j < N; j++) gate[j] = gate[j] / (1.0f + expf(-gate[j])) * up[j];
  mv_chunk_store<N>(out + (size_t)blockIdx.x * d + i, gate);
}

template <int N, class X>
__global__ void __launch_bounds__(THREADS) gelu_kernel(X *x, int d) {
  mv_pdl_enter();
  const int i = (int)(blockIdx.y * blockDim.x + threadIdx.x) * N;
  if (i >= d) return;
  x += (size_t)blockIdx.x * d + i;
  float v[N];
  mv_chunk_load<N>(v, x);
#pragma unroll
  for (int j = 0; j < N; j++) v[j] = 0.5f * v[j] * (1.0f + erff(v[j] * 0.70710678f));
  mv_chunk_store<N>(x, v);
}

struct shape {
  dim3 grid, block;
};

shape shape_of(const mv_activation_dims *dims, int chunk) {
  const int n_chunk = (dims->d + chunk - 1) / chunk;
  const unsigned threads = mv_row_threads(n_chunk, THREADS);
  return {dim3((unsigned)dims->n_row, ((unsigned)n_chunk + threads - 1) / threads), dim3(threads)};
}

}  // namespace

void mv_swiglu_cuda(mv_device *device, const mv_activation_dims *dims, const void *gate_up,
                    void *out) {
  if (dims->n_row == 0 || dims->d == 0) return;
  const int d = dims->d;
  mv_with_type(dims->dtype, [&](auto a) {
    mv_with_type(dims->out_dtype, [&](auto b) {
      using X = decltype(a);
      using Y = decltype(b);
      constexpr int N = mv_chunk_of<X, Y>();
      const bool vectors = d % 8 == 0 && mv_all_aligned(gate_up, out);
      const shape s = shape_of(dims, vectors ? N : 1);
      mv_cuda_launch(device, "swiglu", vectors ? swiglu_kernel<N, X, Y> : swiglu_kernel<1, X, Y>,
                     s.grid, s.block, 0, (const X *)gate_up, (Y *)out, d);
    });
  });
}

void mv_gelu_cuda(mv_device *device, const mv_activation_dims *dims, void *x) {
  if (dims->n_row == 0 || dims->d == 0) return;
  const int d = dims->d;
  mv_with_type(dims->dtype, [&](auto a) {
    using X = decltype(a);
    constexpr int N = mv_chunk_of<X, X>();
    const bool vectors = d % 8 == 0 && mv_all_aligned(x);
    const shape s = shape_of(dims, vectors ? N : 1);
    mv_cuda_launch(device, "gelu", vectors ? gelu_kernel<N, X> : gelu_kernel<1, X>, s.grid, s.block,
                   0, (X *)x, d);
  });
}
