/* Attention within segments on tensor cores: windows and whole images of the vision tower.
 *
 * A block has 64 rows of one head and goes over the segment's keys, a tile of 64 after another,
 * double buffered. A window of up to 64 is one tile: its scores stay in registers and the softmax
 * is done once. A warp has 16 of the rows; at d_head 80 it holds 40 sums and 32 scores a thread.
 * 50 KiB of shared memory for images, 30 for windows: four blocks an SM by registers. */
#include <assert.h>

#include "kernels/attention.h"
#include "kernels/cuda_attention.h"
#include "kernels/cuda_attention_plain.h"

enum { N_THREAD = 128, N_STAGE = 2 };

/* A block's rows for each head. Unused ones: n_row 0. */
struct alignas(16) window_item {
  int row, n_row; /* first query, queries (64 at most) */
  int key, n_key; /* the segment                       */
};

struct window_args {
  const window_item *items;
  const mv_bf16 *q, *k, *v;
  mv_bf16 *out;
  int ldq, ldkv, ldo;
  float scale;
};

template <int D>
static __device__ __forceinline__ void load_keys(const window_args &a, const window_item &w,
                                                 int key0, uint32_t tiles) {
  const size_t at = (size_t)(w.key + key0) * (size_t)a.ldkv + blockIdx.y * D;
  const int n_valid = w.n_key - key0;
  mv_tile_load<D, MV_KEYS, N_THREAD, false>(tiles, a.k + at, a.ldkv, n_valid);
  mv_tile_load<D, MV_KEYS, N_THREAD, false>(tiles + mv_tile<D>::BYTES, a.v + at, a.ldkv, n_valid);
}

template <int D>
static __global__ void __launch_bounds__(N_THREAD) window_kernel(const window_args a) {
  mv_pdl_enter();
  MV_DYN_SHARED(memory);
  const window_item w = a.items[blockIdx.x];
  if (w.n_row == 0) return;
  const int warp = (int)threadIdx.x / 32;
  const uint32_t q = mv_shared_addr(memory), stages = q + mv_tile<D>::BYTES;
  const uint32_t rows = (uint32_t)(warp * 16 * mv_tile<D>::ROW_BYTES);
  mv_softmax state;
  float o[D / 8][4] = {};
  mv_softmax_start(state);
  mv_tile_load<D, MV_KEYS, N_THREAD, false>(q, a.q + (size_t)w.row * (size_t)a.ldq + blockIdx.y * D,
                                            a.ldq, w.n_row);
  load_keys<D>(a, w, 0, stages);
  mv_cp_async_commit();
  for (int key0 = 0; key0 < w.n_key; key0 += MV_KEYS) {
    const int stage = key0 / MV_KEYS % N_STAGE;
    const uint32_t k = stages + (uint32_t)(stage * 2 * mv_tile<D>::BYTES);
    mv_cp_async_wait<0>();
    __syncthreads(); /* the tile is here, and nobody reads the other stage any more */
    if (key0 + MV_KEYS < w.n_key)
      load_keys<D>(a, w, key0 + MV_KEYS, stages + (uint32_t)((1 - stage) * 2 * mv_tile<D>::BYTES));
    mv_cp_async_commit();
    float s[8][4], shrink[2];
    uint32_t p[4][4];
    mv_tile_scores<D, 8>(s, q + rows, k);
    for (int half = 0; half < 2 && key0 + MV_KEYS > w.n_key; half++)
      mv_tile_hide(s, half, mv_low_bits(w.n_key - key0));
    mv_softmax_tile(s, a.scale, state, p, shrink);
    if (key0 > 0) mv_shrink(o, shrink);
    mv_tile_values<D>(o, p, k + mv_tile<D>::BYTES, 0);
  }
  mv_softmax_end(state);
  const float factor[2] = {mv_rcp(state.sum[0]), mv_rcp(state.sum[1])};
  __syncwarp(); /* over this warp's own queries */
  mv_tile_store<D>(memory + rows, 0, o, factor);
  __syncwarp();
  const int lane = (int)threadIdx.x % 32;
  for (int at = lane; at < 16 * mv_tile<D>::CHUNKS; at += 32) {
    const int i = warp * 16 + at / mv_tile<D>::CHUNKS, chunk = at % mv_tile<D>::CHUNKS;
    if (i < w.n_row)
      mv_st_v4(a.out + (size_t)(w.row + i) * (size_t)a.ldo + blockIdx.y * D + chunk * 8,
               mv_ld_v4(memory + mv_tile<D>::at(0, i, chunk)));
  }
}

/* ---- launching ---- */

static int rounded(int n) {
  int power = 4;
  while (power < n) power *= 2;
  return power;
}

/* Stages the blocks of all segments; the number of them, a power of two, to *n_item. */
static const window_item *stage_items(mv_device *device, const int32_t *segments, int n_segment,
                                      int *n_item) {
  int n = 0;
  for (int s = 0; s < n_segment; s++) n += (segments[s + 1] - segments[s] + MV_KEYS - 1) / MV_KEYS;
  *n_item = rounded(n);
  size_t n_bytes = (size_t)*n_item * sizeof(window_item);
  window_item *items = (window_item *)mv_device_scratch(device, n_bytes);
  if (!items) return NULL;
  memset(items, 0, n_bytes);
  window_item *item = items;
  for (int s = 0; s < n_segment; s++)
    for (int row = segments[s]; row < segments[s + 1]; row += MV_KEYS) {
      int left = segments[s + 1] - row;
      *item++ = {row, left < MV_KEYS ? left : (int)MV_KEYS, segments[s],
                 segments[s + 1] - segments[s]};
    }
  return (const window_item *)mv_cuda_stage(device, items, n_bytes);
}

static int longest(const int32_t *segments, int n_segment) {
  int n = 0;
  for (int s = 0; s < n_segment; s++)
    if (segments[s + 1] - segments[s] > n) n = segments[s + 1] - segments[s];
  return n;
}

template <int D>
static void attend(mv_device *device, const mv_attention_dims *dims, const int32_t *segments,
                   int n_segment, window_args *a) {
  int n_item, n_stage = longest(segments, n_segment) > MV_KEYS ? N_STAGE : 1;
  a->items = stage_items(device, segments, n_segment, &n_item);
  if (!a->items) return;
  mv_cuda_launch(device, "window_attention", window_kernel<D>,
                 dim3((unsigned)n_item, (unsigned)dims->n_head), dim3(N_THREAD),
                 (size_t)(1 + 2 * n_stage) * mv_tile<D>::BYTES, *a);
}

static void attend_plain(mv_device *device, const mv_attention_dims *dims, const int32_t *segments,
                         int n_segment, const window_args *a) {
  size_t n_bytes = (size_t)n_segment * sizeof(mv_span);
  mv_span *spans = (mv_span *)mv_device_scratch(device, n_bytes);
  if (!spans) return;
  memset(spans, 0, n_bytes);
  for (int s = 0; s < n_segment; s++) {
    spans[s].row0 = segments[s];
    spans[s].n_row = segments[s + 1] - segments[s];
  }
  const mv_span *staged = (const mv_span *)mv_cuda_stage(device, spans, n_bytes);
  if (!staged) return;
  mv_plain_keys keys = {staged, NULL, NULL, a->k, a->v};
  mv_attention_plain(device, dims, &keys, n_segment, longest(segments, n_segment), a->q, a->out);
}

static bool is_aligned(const void *base, int ld) {
  return (uintptr_t)base % 16 == 0 && ld % 8 == 0;
}

void mv_window_attention_cuda(mv_device *device, const mv_attention_dims *dims,
                              const int32_t *segments, int n_segment, const void *q, const void *k,
                              const void *v, void *out) {
  assert(dims->d_head % 16 == 0 && dims->d_head <= 256 && dims->n_kv == dims->n_head);
  if (device->error.code != MV_OK || dims->n_row == 0) return;
  window_args a;
  memset(&a, 0, sizeof a);
  a.q = (const mv_bf16 *)q;
  a.k = (const mv_bf16 *)k;
  a.v = (const mv_bf16 *)v;
  a.out = (mv_bf16 *)out;
  a.ldq = dims->ldq;
  a.ldkv = dims->ldkv;
  a.ldo = dims->ldo;
  a.scale = (float)(1.4426950408889634 / sqrt((double)dims->d_head));
  bool fast = dims->dtype == MV_DTYPE_BF16 && dims->out_dtype == MV_DTYPE_BF16 &&
              is_aligned(q, dims->ldq) && is_aligned(k, dims->ldkv) && is_aligned(v, dims->ldkv) &&
              is_aligned(out, dims->ldo);
  int d = fast ? dims->d_head : 0;
  if (d == 80)
    attend<80>(device, dims, segments, n_segment, &a);
  else if (d == 64)
    attend<64>(device, dims, segments, n_segment, &a);
  else if (d == 32)
    attend<32>(device, dims, segments, n_segment, &a);
  else if (d == 128)
    attend<128>(device, dims, segments, n_segment, &a);
  else
    attend_plain(device, dims, segments, n_segment, &a);
}
