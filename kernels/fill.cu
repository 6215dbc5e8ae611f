/* fill on CUDA: contract in kernels/fill.h.
 *
 * Plan  A thread takes one chunk of a row; the hash costs about as much as the store. */
#include "kernels/fill.h"

#include "kernels/cuda_rows.h"
/* after cuda_port.h */
#include "kernels/cuda.h"

namespace {

constexpr int THREADS = 256;

template <int N, class X>
__global__ void __launch_bounds__(THREADS) fill_kernel(X *x, mv_fill_dims dims) {
  mv_pdl_enter();
  const int first = (int)(blockIdx.y * blockDim.x + threadIdx.x) * N, row = (int)blockIdx.x;
  if (first >= dims.ld) return;
  float v[N];
#pragma unroll
  for (int j = 0; j < N; j++) {
    const int col = first + j;
    const bool is_value = row < dims.n_value_row && col < dims.n_col;
    const uint64_t i = (uint64_t)row * (uint64_t)dims.n_col + (uint64_t)col;
    v[j] = is_value ? mv_fill_value(dims.seed, i) * dims.spread : 0.0f;
  }
  mv_chunk_store<N>(x + (size_t)row * dims.ld + first, v);
}

}  // namespace

/* Any kernel will do: all are compiled for the same architectures. */
int mv_cuda_code_arch(mv_device *device) {
  cudaFuncAttributes found = {};
  const cudaError_t error = cudaFuncGetAttributes(&found, fill_kernel<1, float>);
  if (error == cudaSuccess) return found.ptxVersion > 0 ? found.ptxVersion : 80; /* 0: not told */
  if (error != cudaErrorNoKernelImageForDevice)
    return mv_cuda_check(device, error, "finding its kernels") && 0;
  cudaGetLastError();
  if (device->error.code == MV_OK)
    mv_fail(&device->error, MV_ERR_UNSUPPORTED,
            "%s: this build has no kernels for compute capability %d.%d (build with "
            "-DMV_CUDA_ARCHITECTURES=card, or use --device cpu)",
            device->name, mv_cuda_of(device)->arch / 10, mv_cuda_of(device)->arch % 10);
  return 0;
}

void mv_fill_cuda(mv_device *device, const mv_fill_dims *dims, void *x) {
  if (dims->n_row == 0 || dims->ld == 0) return;
  mv_with_type(dims->dtype, [&](auto a) {
    using X = decltype(a);
    constexpr int N = mv_chunk_of<X, X>();
    const bool vectors = dims->ld % 8 == 0 && mv_all_aligned(x);
    const int n_chunk = vectors ? dims->ld / N : dims->ld;
    const unsigned threads = mv_row_threads(n_chunk, THREADS);
    const dim3 grid((unsigned)dims->n_row, ((unsigned)n_chunk + threads - 1) / threads);
    mv_cuda_launch(device, "fill", vectors ? fill_kernel<N, X> : fill_kernel<1, X>, grid,
                   dim3(threads), 0, (X *)x, *dims);
  });
}
