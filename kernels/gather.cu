/* embed and gather_rows on CUDA: contracts in kernels/gather.h. Gathering is embedding without an
 * image, so one kernel serves both.
 *
 * Plan  A thread takes one chunk of an output row; a row's index is a broadcast load. */
#include "kernels/gather.h"

#include "kernels/cuda_rows.h"
/* after cuda_port.h */
#include "kernels/cuda.h"

namespace {

constexpr int THREADS = 256;

template <int N, class X, class Y>
__global__ void __launch_bounds__(THREADS)
    gather_kernel(const int32_t *ids, const X *table, const Y *image, Y *out, int d) {
  mv_pdl_enter();
  const int i = (int)(blockIdx.y * blockDim.x + threadIdx.x) * N;
  if (i >= d) return;
  const int32_t id = ids[blockIdx.x];
  float v[N];
  if (id >= 0)
    mv_chunk_load<N>(v, table + (size_t)id * d + i);
  else
    mv_chunk_load<N>(v, image + (size_t)~id * d + i);
  mv_chunk_store<N>(out + (size_t)blockIdx.x * d + i, v);
}

void gather(mv_device *device, const char *name, const mv_gather_dims *dims, const int32_t *ids,
            const void *table, const void *image, void *out) {
  if (dims->n_row == 0 || dims->d == 0) return;
  const int d = dims->d;
  mv_with_type(dims->x_dtype, [&](auto a) {
    mv_with_type(dims->dtype, [&](auto b) {
      using X = decltype(a);
      using Y = decltype(b);
      constexpr int N = mv_chunk_of<X, Y>();
      const bool vectors = d % 8 == 0 && mv_all_aligned(table, image, out);
      const int n_chunk = vectors ? d / N : d;
      const unsigned threads = mv_row_threads(n_chunk, THREADS);
      const dim3 grid((unsigned)dims->n_row, ((unsigned)n_chunk + threads - 1) / threads);
      mv_cuda_launch(device, name, vectors ? gather_kernel<N, X, Y> : gather_kernel<1, X, Y>, grid,
                     dim3(threads), 0, ids, (const X *)table, (const Y *)image, (Y *)out, d);
    });
  });
}

}  // namespace

void mv_embed_cuda(mv_device *device, const mv_gather_dims *dims, const int32_t *ids,
                   const void *table, const void *image, void *out) {
  gather(device, "embed", dims, ids, table, image, out);
}

void mv_gather_rows_cuda(mv_device *device, const mv_gather_dims *dims, const int32_t *index,
                         const void *x, void *out) {
  gather(device, "gather_rows", dims, index, x, nullptr, out);
}
