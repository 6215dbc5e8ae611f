/* Tokens from slot to slot: neighbouring slots of a page adjoin in each of its planes, so a block
 * copies one piece of memory, the run of one move in one head's keys or values of one layer. */
#include <assert.h>

#include "kernels/attention.h"
#include "kernels/cuda_ptx.h"

#include "kernels/cuda.h"

enum { N_THREAD = 128 };

MV_DEV size_t slot_at(int slot, size_t plane, size_t n_plane, size_t row_bytes) {
  const size_t slab = (size_t)(slot / MV_PAGE_TOKENS) * n_plane + plane;
  return (slab * MV_PAGE_TOKENS + (size_t)(slot % MV_PAGE_TOKENS)) * row_bytes;
}

/* row_bytes: of one head of one token, a multiple of 16. */
static __global__ void __launch_bounds__(N_THREAD)
    kv_copy_kernel(const mv_kv_move *moves, unsigned char *cache, size_t layer_bytes,
                   int row_bytes) {
  mv_pdl_enter();
  const mv_kv_move move = moves[blockIdx.z];
  const size_t plane = blockIdx.x, n_plane = gridDim.x, row = (size_t)row_bytes;
  unsigned char *layer = cache + blockIdx.y * layer_bytes;
  const unsigned char *from = layer + slot_at(move.src, plane, n_plane, row);
  unsigned char *to = layer + slot_at(move.dst, plane, n_plane, row);
  for (int i = (int)threadIdx.x * 16; i < move.n * row_bytes; i += N_THREAD * 16)
    mv_st_v4(to + i, mv_ld_v4(from + i));
}

void mv_kv_copy_cuda(mv_device *device, const mv_kv_copy_dims *dims, const mv_kv_move *moves,
                     int n_move, void *cache) {
  size_t row = (size_t)dims->d_head * mv_dtype_bytes(dims->kv_dtype);
  assert(n_move <= MV_KV_MOVES && row % 16 == 0 && (uintptr_t)cache % 16 == 0);
  if (device->error.code != MV_OK || n_move == 0) return;
  mv_kv_move padded[MV_KV_MOVES] = {}; /* to one of few sizes: cuda.h says why */
  unsigned n = 1;
  while (n < (unsigned)n_move) n *= 2;
  memcpy(padded, moves, (size_t)n_move * sizeof *moves);
  const mv_kv_move *staged =
      (const mv_kv_move *)mv_cuda_stage(device, padded, (size_t)n * sizeof *padded);
  if (!staged) return;
  mv_cuda_launch(device, "kv_copy", kv_copy_kernel,
                 dim3(2 * (unsigned)dims->n_kv, (unsigned)dims->n_layer, n), dim3(N_THREAD), 0,
                 staged, (unsigned char *)cache, dims->layer_bytes, (int)row);
}
