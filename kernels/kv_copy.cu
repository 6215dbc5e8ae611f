/* Tokens from slot to slot: a block for each layer and head's keys or values reads all of its
 * sources before it writes. */
#include <assert.h>

#include "kernels/attention.h"
#include "kernels/cuda_ptx.h"

#include "kernels/cuda.h"

enum { N_THREAD = 256 };

struct kv_moves {
  int32_t n, unused;
  mv_kv_move move[MV_KV_MOVES];
};

/* row_bytes: of one head of one token, a multiple of 16. */
static __global__ void __launch_bounds__(N_THREAD)
    kv_copy_kernel(const kv_moves *moves, unsigned char *cache, size_t layer_bytes, int row_bytes) {
  mv_pdl_enter();
  MV_DYN_SHARED(held);
  const size_t n_plane = gridDim.x, plane = blockIdx.x, row = (size_t)row_bytes;
  unsigned char *layer = cache + blockIdx.y * layer_bytes;
  const int chunks = row_bytes / 16, n = moves->n * chunks;
  for (int i = (int)threadIdx.x; i < n; i += N_THREAD) {
    const size_t slot = (size_t)moves->move[i / chunks].src;
    const size_t slab = slot / MV_PAGE_TOKENS * n_plane + plane;
    mv_st_v4(held + i * 16, mv_ld_v4(layer + (slab * MV_PAGE_TOKENS + slot % MV_PAGE_TOKENS) * row +
                                     i % chunks * 16));
  }
  __syncthreads();
  for (int i = (int)threadIdx.x; i < n; i += N_THREAD) {
    const size_t slot = (size_t)moves->move[i / chunks].dst;
    const size_t slab = slot / MV_PAGE_TOKENS * n_plane + plane;
    mv_st_v4(layer + (slab * MV_PAGE_TOKENS + slot % MV_PAGE_TOKENS) * row + i % chunks * 16,
             mv_ld_v4(held + i * 16));
  }
}

void mv_kv_copy_cuda(mv_device *device, const mv_kv_copy_dims *dims, const mv_kv_move *moves,
                     int n_move, void *cache) {
  size_t row = (size_t)dims->d_head * mv_dtype_bytes(dims->kv_dtype);
  assert(n_move <= MV_KV_MOVES && row % 16 == 0 && (uintptr_t)cache % 16 == 0);
  if (device->error.code != MV_OK || n_move == 0) return;
  kv_moves staged;
  memset(&staged, 0, sizeof staged);
  staged.n = n_move;
  memcpy(staged.move, moves, (size_t)n_move * sizeof *moves);
  const kv_moves *on_device = (const kv_moves *)mv_cuda_stage(device, &staged, sizeof staged);
  if (!on_device) return;
  mv_cuda_launch(device, "kv_copy", kv_copy_kernel,
                 dim3(2 * (unsigned)dims->n_kv, (unsigned)dims->n_layer), dim3(N_THREAD),
                 MV_KV_MOVES * row, on_device, (unsigned char *)cache, dims->layer_bytes, (int)row);
}
