/* Paged attention on tensor cores (FlashAttention-2 in shape), for prompts and single tokens alike.
 *
 * The queries of a sequence that share a key head (rows x heads of the group) are packed into
 * tiles, of one kind for all sequences (kernels/cuda_plan.h). A tile goes through the sequence's
 * pages, one of 64 tokens after another, double buffered; four pages make a run. Every run starts
 * afresh, and runs are folded together in order:
 *
 *   few    tiles of 16 packed rows (a token or two each): the four warps of a block share the
 *          work on each page, first by keys, then by columns of the values
 *   many   tiles of 64 packed rows: a warp has 16 of them
 *
 * When tiles are too few to fill the device, every run becomes a block of its own; the last block
 * of a tile to finish folds what all have left in memory. Because folding is the same then, and a
 * row is computed by the same instructions in either kind of tile, its bits depend on its own
 * query, keys and mask alone: not on the batch, on chunks, on drafts beside it or on splitting.
 *
 * `many` at d_head 128 holds two accumulators (run, total) of 64 registers and 32 scores a thread:
 * two blocks of 128 threads and 80 KiB an SM. On all but sm_90a up to a dozen totals live in local
 * memory; they are touched once a run, never in the loop over pages.
 *   may spill: attention_kernel (totals, once in 256 keys)
 *   sass attention_kernel: HMMA LDSM LDGSTS
 * `few` is bound by memory: three blocks an SM keep 192 KiB of pages on their way.
 */
#include <assert.h>

#include "kernels/attention.h"
#include "kernels/cuda_attention.h"
#include "kernels/cuda_attention_plain.h"

enum {
  N_THREAD = 128,
  N_STAGE = 2,
  RUN_PAGES = MV_RUN_PAGES,
  FEW_ROWS = MV_FEW_ROWS,
  MANY_ROWS = MV_MANY_ROWS,
  SCORE_PITCH = 72 /* floats: rows of 16 x 64 scores, read in pairs without conflicts */
};

struct attention_args {
  const mv_attention_item *items;
  const mv_span *spans;
  const uint64_t *trees;
  const int32_t *pages;
  const mv_bf16 *q, *cache;
  mv_bf16 *out;
  float *part_out;   /* [part][n_kv][tile rows][D], relative to */
  float2 *part_stat; /* [part][n_kv][tile rows] maximum and sum */
  uint32_t
      *finished; /* [part][n_kv] blocks of the tile whose first part it is; zero between uses */
  int n_kv, group, ldq, ldo;
  float scale, unused;
};

static __device__ __forceinline__ int page_count(int n_key) {
  return (n_key + MV_KEYS - 1) / MV_KEYS;
}

/* What a block works on. */
struct attention_work {
  mv_attention_item item;
  mv_span span;
  int row0, n_row; /* packed rows of the tile */
  int n_key;       /* tokens its last row may see */
  int n_known;     /* leading tokens that all its rows see */
};

/* Read again wherever it is needed after the first pages are on their way: registers are dearer. */
template <int ROWS>
static __device__ __forceinline__ attention_work find_work(const attention_args &a) {
  attention_work w;
  w.item = a.items[blockIdx.x];
  w.span = a.spans[max(w.item.seq, 0)];
  w.row0 = w.item.tile * ROWS;
  w.n_row = min(ROWS, w.span.n_row * a.group - w.row0);
  w.n_key = w.span.pos0 + (w.row0 + w.n_row - 1) / a.group + 1;
  w.n_known = w.span.pos0 + (w.span.tree_at < 0 ? w.row0 / a.group + 1 : 0);
  return w;
}

/* Element of packed row i, column 0, of q or out. */
static __device__ __forceinline__ size_t row_at(const attention_args &a, const attention_work &w,
                                                int i, int ld, int d) {
  const int row = (w.row0 + i) / a.group, head = (w.row0 + i) % a.group;
  return (size_t)(w.span.row0 + row) * (size_t)ld +
         (size_t)(((int)blockIdx.y * a.group + head) * d);
}

template <int D, int ROWS>
static __device__ __forceinline__ void load_queries(const attention_args &a,
                                                    const attention_work &w, uint32_t tile) {
  for (int i = (int)threadIdx.x; i < ROWS * mv_tile<D>::CHUNKS; i += N_THREAD) {
    const int row = i / mv_tile<D>::CHUNKS, chunk = i % mv_tile<D>::CHUNKS;
    const bool valid = row < w.n_row;
    mv_cp_async_16(mv_tile<D>::at(tile, row, chunk),
                   a.q + row_at(a, w, valid ? row : 0, a.ldq, D) + chunk * 8, valid ? 16 : 0);
  }
}

/* Keys, then values, of the n_key - 64 * page tokens left. Slots past them may hold anything and
 * become zero. */
template <int D>
static __device__ __forceinline__ void load_page(const attention_args &a, const int32_t *pages,
                                                 int page, int n_key, uint32_t tiles) {
  const size_t slab = (size_t)MV_KEYS * D;
  const mv_bf16 *k = a.cache + ((size_t)pages[page] * 2 * (size_t)a.n_kv + blockIdx.y) * slab;
  const int n_valid = n_key - page * MV_KEYS;
  mv_tile_load<D, MV_KEYS, N_THREAD, true>(tiles, k, D, n_valid);
  mv_tile_load<D, MV_KEYS, N_THREAD, true>(tiles + mv_tile<D>::BYTES, k + (size_t)a.n_kv * slab, D,
                                           n_valid);
}

/* Hides the keys of a page that the lane's rows (i, i + 8 of the tile) do not see. */
template <int ROWS>
static __device__ __forceinline__ void hide(const attention_args &a, int i, int key0,
                                            float (&s)[8][4]) {
  const attention_work w = find_work<ROWS>(a);
  const int before = w.span.pos0 - key0; /* tokens ahead of the run of rows */
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int packed = min(i + (int)threadIdx.x % 32 / 4 + half * 8, w.n_row - 1);
    const int row = (w.row0 + packed) / a.group;
    uint64_t seen = mv_low_bits(before + row + 1);
    if (w.span.tree_at >= 0) {
      const uint64_t branch = a.trees[w.span.tree_at + row];
      seen &=
          mv_low_bits(before) | (before >= 0 ? branch << (before & 63) : branch >> (-before & 63));
    }
    mv_tile_hide(s, half, seen);
  }
}

/* Scores of 16 rows that four warps share: each computes those of 16 keys. */
template <int D>
static __device__ __forceinline__ void shared_scores(float (&s)[8][4], uint32_t q, uint32_t k,
                                                     float *exchange) {
  const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
  float mine[2][4];
  mv_tile_scores<D, 2>(mine, q, k + (uint32_t)(warp * 16 * mv_tile<D>::ROW_BYTES));
#pragma unroll
  for (int i = 0; i < 4; i++)
    mv_st_f2(exchange + (lane / 4 + i % 2 * 8) * SCORE_PITCH + warp * 16 + i / 2 * 8 + lane % 4 * 2,
             make_float2(mine[i / 2][i % 2 * 2], mine[i / 2][i % 2 * 2 + 1]));
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 16; i++) {
    const float2 pair =
        mv_ld_f2(exchange + (lane / 4 + i % 2 * 8) * SCORE_PITCH + i / 2 * 8 + lane % 4 * 2);
    s[i / 2][i % 2 * 2] = pair.x;
    s[i / 2][i % 2 * 2 + 1] = pair.y;
  }
}

/* ---- runs ---- */

/* Factors of what is relative to `max` and of what is relative to `other`, for their sum, which is
 * relative to the larger one. */
static __device__ __forceinline__ float2 fold_factors(float &max, float other, float scale) {
  const float top = fmaxf(max, other);
  const float2 factors = make_float2(mv_exp2(__fmul_rn(__fsub_rn(max, top), scale)),
                                     mv_exp2(__fmul_rn(__fsub_rn(other, top), scale)));
  max = top;
  return factors;
}

static __device__ __forceinline__ float fold(float total, float run, float2 factors) {
  return __fmaf_rn(total, factors.x, __fmul_rn(run, factors.y));
}

template <int N_PIECE>
static __device__ __forceinline__ void fold_run(mv_softmax &all, float (&total)[N_PIECE][4],
                                                const mv_softmax &run, const float (&o)[N_PIECE][4],
                                                float scale) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const float2 factors = fold_factors(all.max[half], run.max[half], scale);
    all.sum[half] = fold(all.sum[half], run.sum[half], factors);
#pragma unroll
    for (int j = 0; j < N_PIECE; j++)
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; i++)
        total[j][i] = fold(total[j][i], o[j][i], factors);
  }
}

template <int D, int ROWS, int N_PIECE>
static __device__ __forceinline__ void leave_run(const attention_args &a, int row, int column,
                                                 const mv_softmax &run,
                                                 const float (&o)[N_PIECE][4]) {
  const attention_work w = find_work<ROWS>(a);
  const int lane = (int)threadIdx.x % 32;
  const size_t first = ((size_t)(w.item.part + w.item.run) * (size_t)a.n_kv + blockIdx.y) * ROWS;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int i = row + lane / 4 + half * 8;
    if (i >= w.n_row) continue;
    float *to = a.part_out + (first + (size_t)i) * D + column + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < N_PIECE; j++)
      mv_st_f2(to + j * 8, make_float2(o[j][2 * half], o[j][2 * half + 1]));
    if (column == 0 && lane % 4 == 0)
      mv_st_f2(a.part_stat + first + (size_t)i, make_float2(run.max[half], run.sum[half]));
  }
}

/* Runs of the tile; each is a block's. */
static __device__ __forceinline__ int run_count(const attention_work &w) {
  return (page_count(w.n_key) + RUN_PAGES - 1) / RUN_PAGES;
}

/* Whether this block is the tile's last one to get here; then it sees what the others have left. */
template <int ROWS>
static __device__ __forceinline__ bool is_last(const attention_args &a) {
  MV_SHARED(int, last, [1]);
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    const attention_work w = find_work<ROWS>(a);
    uint32_t *finished = a.finished + (size_t)w.item.part * (size_t)a.n_kv + blockIdx.y;
    last[0] = mv_atomic_add_acq_rel(finished, 1) == (uint32_t)run_count(w) - 1;
    if (last[0]) *finished = 0; /* for the next launch */
  }
  __syncthreads();
  __threadfence();
  return last[0] != 0;
}

/* Folds a tile's runs in order. */
template <int D, int ROWS>
static __device__ __forceinline__ void merge_runs(const attention_args &a) {
  const attention_work w = find_work<ROWS>(a);
  const int n_run = run_count(w);
  for (int at = (int)threadIdx.x; at < w.n_row * (D / 4); at += N_THREAD) {
    const int i = at / (D / 4), column = at % (D / 4) * 4;
    float max = -INFINITY, sum = 0, total[4] = {0, 0, 0, 0};
    for (int p = w.item.part; p < w.item.part + n_run; p++) {
      const size_t row = ((size_t)p * (size_t)a.n_kv + blockIdx.y) * ROWS + (size_t)i;
      const float2 stat = mv_ld_f2(a.part_stat + row);
      const float4 o = mv_ld_f4(a.part_out + row * D + column);
      const float2 factors = fold_factors(max, stat.x, a.scale);
      sum = fold(sum, stat.y, factors);
      total[0] = fold(total[0], o.x, factors);
      total[1] = fold(total[1], o.y, factors);
      total[2] = fold(total[2], o.z, factors);
      total[3] = fold(total[3], o.w, factors);
    }
    const float factor = mv_rcp(sum);
    mv_st_v2(a.out + row_at(a, w, i, a.ldo, D) + column,
             make_uint2(mv_bf16_pack(__fmul_rn(total[0], factor), __fmul_rn(total[1], factor)),
                        mv_bf16_pack(__fmul_rn(total[2], factor), __fmul_rn(total[3], factor))));
  }
}

/* ---- the kernel ---- */

template <int D, bool FEW>
struct attention_shape {
  enum {
    ROWS = FEW ? FEW_ROWS : MANY_ROWS,
    N_PIECE = FEW ? D / 32 : D / 8, /* 16 x 8 pieces of the output a warp has */
    Q_BYTES = ROWS * mv_tile<D>::ROW_BYTES,
    STAGE_BYTES = 2 * mv_tile<D>::BYTES,
    SHARED_BYTES = Q_BYTES + N_STAGE * STAGE_BYTES
  };
};

/* Through shared memory, so that rows leave in 16-byte pieces. */
template <int D, bool FEW>
static __device__ __forceinline__ void store_rows(
    const attention_args &a, unsigned char *tile, const mv_softmax &all,
    const float (&total)[attention_shape<D, FEW>::N_PIECE][4]) {
  typedef attention_shape<D, FEW> shape;
  const attention_work w = find_work<shape::ROWS>(a);
  const int warp = (int)threadIdx.x / 32;
  const float factor[2] = {mv_rcp(all.sum[0]), mv_rcp(all.sum[1])};
  __syncthreads(); /* all warps are done with the queries */
  mv_tile_store<D>(tile + (FEW ? 0 : warp * 16 * mv_tile<D>::ROW_BYTES),
                   FEW ? warp * shape::N_PIECE : 0, total, factor);
  __syncthreads();
  for (int at = (int)threadIdx.x; at < w.n_row * mv_tile<D>::CHUNKS; at += N_THREAD) {
    const int i = at / mv_tile<D>::CHUNKS, chunk = at % mv_tile<D>::CHUNKS;
    mv_st_v4(a.out + row_at(a, w, i, a.ldo, D) + chunk * 8,
             mv_ld_v4(tile + mv_tile<D>::at(0, i, chunk)));
  }
}

template <int D, bool FEW>
static __global__ void __launch_bounds__(N_THREAD, FEW ? 3 : 2)
    attention_kernel(const attention_args a) {
  mv_pdl_enter();
  typedef attention_shape<D, FEW> shape;
  enum { ROWS = shape::ROWS, N_PIECE = shape::N_PIECE };
  MV_DYN_SHARED(memory);
  MV_SHARED(float, exchange, [FEW ? FEW_ROWS * SCORE_PITCH : 1]);
  const attention_work w = find_work<ROWS>(a);
  if (w.item.seq < 0) return;
  const int warp = (int)threadIdx.x / 32;
  const int row = FEW ? 0 : warp * 16, chunk0 = FEW ? warp * N_PIECE : 0;
  const uint32_t q = mv_shared_addr(memory), stages = q + shape::Q_BYTES;
  const int n_page = page_count(w.n_key), n_known = w.n_known, n_key = w.n_key;
  const int32_t *const pages = a.pages + w.span.page_at;
  const bool whole = w.item.run < 0;
  const int first = whole ? 0 : w.item.run * RUN_PAGES;
  const int end = whole ? n_page : min(first + RUN_PAGES, n_page);

  mv_softmax all;
  float total[N_PIECE][4] = {};
  mv_softmax_start(all);
  load_queries<D, ROWS>(a, w, q);
  load_page<D>(a, pages, first, n_key, stages); /* a run begins with an even page */
  mv_cp_async_commit();
  for (int page = first; page < end;) {
    mv_softmax run;
    float o[N_PIECE][4] = {};
    mv_softmax_start(run);
    for (const int stop = min(page + RUN_PAGES, end); page < stop; page++) {
      const uint32_t k = stages + (uint32_t)(page % N_STAGE * shape::STAGE_BYTES);
      mv_cp_async_wait<0>();
      __syncthreads(); /* the page is here, and nobody reads the other stage any more */
      if (page + 1 < end)
        load_page<D>(a, pages, page + 1, n_key,
                     stages + (uint32_t)((page + 1) % N_STAGE * shape::STAGE_BYTES));
      mv_cp_async_commit();
      float s[8][4], shrink[2];
      uint32_t p[4][4];
      if (FEW)
        shared_scores<D>(s, q, k, exchange);
      else
        mv_tile_scores<D, 8>(s, mv_opaque(q + (uint32_t)(row * mv_tile<D>::ROW_BYTES)), k);
      if ((page + 1) * MV_KEYS > n_known) hide<ROWS>(a, row, page * MV_KEYS, s);
      mv_softmax_tile(s, a.scale, run, p, shrink);
      mv_shrink(o, shrink);
      mv_tile_values<D>(o, p, k + mv_tile<D>::BYTES, chunk0);
    }
    mv_softmax_end(run);
    if (whole)
      fold_run(all, total, run, o, a.scale);
    else
      leave_run<D, ROWS>(a, row, chunk0 * 8, run, o);
  }
  if (whole)
    store_rows<D, FEW>(a, memory, all, total);
  else if (is_last<ROWS>(a))
    merge_runs<D, ROWS>(a);
}

/* ---- launching ---- */

template <int D, bool FEW>
static void launch(mv_device *device, const mv_attention_dims *dims, const mv_cuda_plan *plan,
                   attention_args a) {
  typedef attention_shape<D, FEW> shape;
  if (plan->n_part > 0) {
    /* where things are depends on the rounded number alone, as does all of a recorded step */
    const mv_run_memory m =
        mv_run_memory_of(dims, shape::ROWS, (size_t)plan->n_item, (size_t)plan->n_part);
    char *scratch = (char *)mv_cuda_scratch(device, m.finished + m.stats + m.sums, m.finished);
    if (!scratch) return;
    a.finished = (uint32_t *)scratch;
    a.part_stat = (float2 *)(scratch + m.finished);
    a.part_out = (float *)(scratch + m.finished + m.stats);
  }
  mv_cuda_launch(device, "attention", attention_kernel<D, FEW>,
                 dim3((unsigned)plan->n_item, (unsigned)a.n_kv), dim3(N_THREAD),
                 (size_t)shape::SHARED_BYTES, a);
}

template <int D>
static void attend(mv_device *device, const mv_attention_dims *dims, const mv_cuda_plan *plan,
                   const attention_args &a) {
  if (plan->tile_rows == FEW_ROWS)
    launch<D, true>(device, dims, plan, a);
  else
    launch<D, false>(device, dims, plan, a);
}

/* Whether rows start at multiples of 16 bytes. */
static bool is_aligned(const void *base, int ld) {
  return (uintptr_t)base % 16 == 0 && ld % 8 == 0;
}

void mv_attention_cuda(mv_device *device, const mv_attention_dims *dims, const mv_seq_plan *seqs,
                       const void *q, const void *cache, void *out) {
  assert(dims->d_head % 16 == 0 && dims->d_head <= 256 && dims->n_head % dims->n_kv == 0);
  if (device->error.code != MV_OK || dims->n_row == 0) return;
  const mv_cuda_plan *plan = (const mv_cuda_plan *)seqs->impl;
  attention_args a;
  memset(&a, 0, sizeof a);
  a.items = plan->items;
  a.spans = plan->spans;
  a.trees = plan->trees;
  a.pages = plan->pages;
  a.q = (const mv_bf16 *)q;
  a.cache = (const mv_bf16 *)cache;
  a.out = (mv_bf16 *)out;
  a.n_kv = dims->n_kv;
  a.group = dims->n_head / dims->n_kv;
  a.ldq = dims->ldq;
  a.ldo = dims->ldo;
  a.scale = (float)(1.4426950408889634 / sqrt((double)dims->d_head));
  bool fast = dims->dtype == MV_DTYPE_BF16 && dims->kv_dtype == MV_DTYPE_BF16 &&
              dims->out_dtype == MV_DTYPE_BF16 && is_aligned(q, dims->ldq) &&
              is_aligned(out, dims->ldo) && is_aligned(cache, 0);
  if (fast && dims->d_head == 128)
    attend<128>(device, dims, plan, a);
  else if (fast && dims->d_head == 64)
    attend<64>(device, dims, plan, a);
  else if (fast && dims->d_head == 32)
    attend<32>(device, dims, plan, a);
  else {
    mv_plain_keys keys = {plan->spans, plan->trees, plan->pages, cache, cache};
    mv_attention_plain(device, dims, &keys, plan->n_span, plan->max_row, q, out);
  }
}
