/* kv_write on CUDA: contract in kernels/attention.h.
 *
 * Plan  The host turns page tables into one slot a row, staged once for all layers of a step. A
 *       block takes a row, a thread one chunk of its keys or values at a time. */
#include <assert.h>

#include "kernels/attention.h"
#include "kernels/cuda_rows.h"
/* after cuda_port.h */
#include "kernels/cuda.h"

namespace {

constexpr int THREADS = 256;

template <int N, class X, class Y>
__global__ void __launch_bounds__(THREADS)
    kv_write_kernel(const int32_t *slots, const X *k, const X *v, Y *cache, int n_kv, int d_head,
                    int ldkv) {
  const int32_t slot = slots[blockIdx.x];
  if (slot < 0) return;
  const size_t head_size = (size_t)MV_PAGE_TOKENS * d_head; /* elements of a head's page */
  Y *page = cache + (size_t)(slot / MV_PAGE_TOKENS) * 2 * n_kv * head_size +
            (size_t)(slot % MV_PAGE_TOKENS) * d_head;
  const int width = n_kv * d_head;
  for (int i = (int)threadIdx.x * N; i < 2 * width; i += (int)blockDim.x * N) {
    const int column = i < width ? i : i - width;
    const X *from = (i < width ? k : v) + (size_t)blockIdx.x * ldkv + column;
    Y *to = page + (size_t)(i / d_head) * head_size + column % d_head; /* i / d_head: of both */
    float chunk[N];
    mv_chunk_load<N>(chunk, from);
    mv_chunk_store<N>(to, chunk);
  }
}

/* The slot of every row, -1 where no sequence has it; NULL with a sticky error. */
const int32_t *slots_of(mv_device *device, int n_row, const mv_seq_rows *seqs, int n_seq) {
  int32_t *slots = (int32_t *)mv_device_scratch(device, (size_t)n_row * sizeof(int32_t));
  if (!slots) return nullptr;
  for (int r = 0; r < n_row; r++) slots[r] = -1;
  for (int s = 0; s < n_seq; s++)
    for (int i = 0; i < seqs[s].n_row; i++) {
      const int token = seqs[s].pos0 + i;
      slots[seqs[s].row0 + i] =
          seqs[s].pages[token / MV_PAGE_TOKENS] * MV_PAGE_TOKENS + token % MV_PAGE_TOKENS;
    }
  return slots;
}

}  // namespace

void mv_kv_write_cuda(mv_device *device, const mv_attention_dims *dims, const mv_seq_rows *seqs,
                      int n_seq, const void *k, const void *v, void *cache) {
  if (dims->n_row == 0 || device->error.code != MV_OK) return;
  const int32_t *slots = slots_of(device, dims->n_row, seqs, n_seq);
  if (!slots) return;
  slots = (const int32_t *)mv_cuda_stage(device, slots, (size_t)dims->n_row * sizeof *slots);
  mv_with_type(dims->dtype, [&](auto a) {
    mv_with_type(dims->kv_dtype, [&](auto b) {
      using X = decltype(a);
      using Y = decltype(b);
      constexpr int N = mv_chunk_of<X, Y>();
      const bool vectors =
          dims->d_head % 8 == 0 && mv_all_aligned(k, v, cache, (size_t)dims->ldkv * sizeof(X));
      const int n_chunk = 2 * dims->n_kv * dims->d_head / (vectors ? N : 1);
      mv_cuda_launch(device, "kv_write",
                     vectors ? kv_write_kernel<N, X, Y> : kv_write_kernel<1, X, Y>,
                     dim3((unsigned)dims->n_row), dim3(mv_row_threads(n_chunk, THREADS)), 0, slots,
                     (const X *)k, (const X *)v, (Y *)cache, dims->n_kv, dims->d_head, dims->ldkv);
    });
  });
}
