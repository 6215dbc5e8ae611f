/* sample on CUDA, in two launches. The first cuts every row of logits into slices, a block each:
 * the best token and the sum of exp, which is all that a greedy row needs. In the second a block
 * takes a row: it merges the slices in a fixed order and finds thresholds (top-k, top-p, the list
 * of the best) by radix selection, 11 bits of a score at a time, most significant first. Weights
 * are whole numbers, so nothing depends on the order in which threads add them. They are added as
 * halves of 32 bits: the hardware has no sum of 64 in shared memory, and nearly all tokens of a row
 * would wait in loops for a few bins.
 *   sass sample_rows_kernel: ATOMS.POPC.INC ATOMS.ADD not ATOMS.CAST ATOMS.CAS */
#include "kernels/sample.h"

#include <assert.h>

#include "kernels/cuda_ptx.h"
/* after cuda_port.h: the launch template */
#include "kernels/cuda.h"

typedef unsigned long long u64;

#define SLICE_THREADS 256
#define SLICE (8 * SLICE_THREADS) /* logits */
#define THREADS 1024
#define WARPS (THREADS / 32)
#define BINS 2048
#define UNIT 4294967296.0f /* weight of the likeliest token: 2^32 */

/* What mv_sample_row says, its list of ids at seen[seen_at]. No padding. */
struct choice {
  double uniform;
  float temperature, top_p, penalty;
  int top_k, n_seen, seen_at;
};

/* Best token and sum exp(x - max) of a slice; where max is -inf, of exp(x). */
struct slice {
  u64 best;
  float max, sum;
};

/* Device scratch: slices [n_row, n_slice]; lists u64 [n_row, n_best]; seen bits [n_row, n_word]. */
struct workspace {
  slice *slices;
  u64 *lists;
  uint32_t *seen;
};

/* A score as an unsigned number of the same order. NaN is -inf, -0 is 0. */
static __device__ __forceinline__ uint32_t order_of(float x) {
  const uint32_t bits = __float_as_uint(x != x ? -INFINITY : x == 0 ? 0.0f : x);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static __device__ __forceinline__ float score_of(uint32_t order) {
  return __uint_as_float(order & 0x80000000u ? order & 0x7fffffffu : ~order);
}

/* Larger is better: the score, then the lower id. */
static __device__ __forceinline__ u64 token_of(uint32_t order, int id) {
  return (u64)order << 32 | (uint32_t)~id;
}
static __device__ __forceinline__ int id_of(u64 token) { return (int)~(uint32_t)token; }

/* ---- over a block: every thread calls, every thread has the result ---- */

struct adding {
  __device__ u64 operator()(u64 a, u64 b) const { return a + b; }
};
struct larger {
  __device__ u64 operator()(u64 a, u64 b) const { return a > b ? a : b; }
};

/* `box`: one u64 a warp, free between barriers. */
template <int n_warp, class Join>
static __device__ u64 block_reduce(u64 x, u64 *box, Join join) {
  for (int step = 16; step; step >>= 1) x = join(x, __shfl_xor_sync(MV_FULL_WARP, x, step));
  __syncthreads();
  if (threadIdx.x % 32 == 0) box[threadIdx.x / 32] = x;
  __syncthreads();
  x = box[0];
  for (int w = 1; w < n_warp; w++) x = join(x, box[w]);
  return x;
}

template <int n_warp>
static __device__ float block_sum(float x, float *box) {
  x = mv_warp_sum(x);
  __syncthreads();
  if (threadIdx.x % 32 == 0) box[threadIdx.x / 32] = x;
  __syncthreads();
  x = box[0];
  for (int w = 1; w < n_warp; w++) x += box[w];
  return x;
}

static __device__ u64 warp_scan(u64 x) { /* inclusive */
  for (int step = 1; step < 32; step <<= 1) {
    const u64 before = __shfl_up_sync(MV_FULL_WARP, x, step);
    if ((int)(threadIdx.x % 32) >= step) x += before;
  }
  return x;
}

/* ---- first launch ---- */

static __global__ void __launch_bounds__(SLICE_THREADS)
    sample_slices_kernel(const float *logits, int n_vocab, slice *slices) {
  mv_pdl_enter();
  MV_SHARED(u64, box, [SLICE_THREADS / 32]);
  MV_SHARED(float, sums, [SLICE_THREADS / 32]);
  const float *x = logits + (size_t)blockIdx.y * n_vocab;
  const int first = blockIdx.x * SLICE + threadIdx.x;
  float v[SLICE / SLICE_THREADS];
  u64 best = 0;
#pragma unroll
  for (int i = 0; i < SLICE / SLICE_THREADS; i++) {
    const int id = first + i * SLICE_THREADS;
    v[i] = id < n_vocab ? x[id] : -INFINITY;
    if (id < n_vocab) best = larger()(best, token_of(order_of(v[i]), id));
  }
  best = block_reduce<SLICE_THREADS / 32>(best, box, larger());
  const float max = score_of((uint32_t)(best >> 32)), base = max == -INFINITY ? 0.0f : max;
  float sum = 0;
#pragma unroll
  for (int i = 0; i < SLICE / SLICE_THREADS; i++) sum += expf(v[i] - base);
  sum = block_sum<SLICE_THREADS / 32>(sum, sums);
  if (threadIdx.x == 0) {
    slice *out = &slices[(size_t)blockIdx.y * gridDim.x + blockIdx.x];
    out->best = best;
    out->max = max;
    out->sum = sum;
  }
}

/* ---- second launch ---- */

/* A row's scores, after the penalty of the ids whose bits are set. */
struct scores {
  const float *x;
  const uint32_t *seen; /* NULL: no penalty */
  float penalty;
  int n;

  __device__ uint32_t operator[](int id) const {
    float v = x[id];
    if (seen && (seen[id / 32] >> id % 32 & 1))
      v = v > 0 ? __fdiv_rn(v, penalty) : __fmul_rn(v, penalty);
    return order_of(v);
  }
};

struct block_memory {
  uint32_t *bins; /* [2 * BINS] low halves of sums, then high ones */
  u64 *box;       /* [WARPS] */
  u64 *out;       /* [2]     */
};

static __device__ __forceinline__ void add_weight(const block_memory &mem, uint32_t bin, u64 w) {
  const uint32_t low = (uint32_t)w, carry = atomicAdd(&mem.bins[bin], low) > ~low;
  const uint32_t high = (uint32_t)(w >> 32) + carry;
  if (high) atomicAdd(&mem.bins[BINS + bin], high);
}

/* Where a descending sum of weights reaches its target: the score's order, and the weight above. */
struct threshold {
  uint32_t order;
  u64 above;
};

/* The bin in which the sum from the top bin downwards, begun with *above, reaches the target. */
static __device__ uint32_t find_bin(const block_memory &mem, u64 target, u64 *above) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int bin = BINS - 1 - 2 * threadIdx.x;
  const uint2 low = mv_ld_v2(&mem.bins[bin - 1]), high = mv_ld_v2(&mem.bins[BINS + bin - 1]);
  const u64 a = (u64)high.y << 32 | low.y, b = (u64)high.x << 32 | low.x;
  u64 sum = warp_scan(a + b);
  if (lane == 31) mem.box[warp] = sum;
  __syncthreads();
#pragma unroll 1 /* registers are dearer */
  for (int w = 0; w < warp; w++) sum += mem.box[w];
  const u64 before = *above + sum - a - b;
  if (before < target && target <= before + a + b) {
    const bool second = target > before + a;
    mem.out[0] = bin - second;
    mem.out[1] = before + (second ? a : 0);
  }
  __syncthreads();
  *above = mem.out[1];
  return (uint32_t)mem.out[0];
}

/* The weight of a token where they are counted. */
struct counting {
  __device__ u64 operator()(uint32_t) const { return 1; }
};
template <class Weigh>
struct counts {
  static constexpr int YES = 0;
};
template <>
struct counts<counting> {
  static constexpr int YES = 1;
};

/* weigh(order) is the weight of a token; target, at least 1, at most their sum. */
template <class Weigh>
static __device__ threshold select(const scores &row, u64 target, const block_memory &mem,
                                   Weigh weigh) {
  uint32_t found = 0, known = 0;
  u64 above = 0;
  for (int shift = 21; shift >= 0; shift = shift == 21 ? 10 : shift - 10) {
    const uint32_t digits = shift == 0 ? 1023 : BINS - 1;
    for (int i = threadIdx.x; i < 2 * BINS; i += THREADS) mem.bins[i] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < row.n; i += THREADS) {
      const uint32_t order = row[i];
      if ((order & known) != found) continue;
      const uint32_t bin = order >> shift & digits;
      if (counts<Weigh>::YES)
        atomicAdd(&mem.bins[bin], 1u);
      else if (const u64 w = weigh(order))
        add_weight(mem, bin, w);
    }
    __syncthreads();
    found |= find_bin(mem, target, &above) << shift;
    known |= digits << shift;
  }
  return {found, above};
}

/* The first id, in order of ids, at which the sum of weigh(id) exceeds the target; `otherwise` when
 * it never does. Each round leaves the one of 32 parts in which that is, a warp a part. */
template <class Weigh>
static __device__ int first_beyond(int n, u64 target, int otherwise, const block_memory &mem,
                                   Weigh weigh) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int first = 0;
  u64 before = 0;
  while (n > 0) {
    const int part = n > 32 ? (n + THREADS - 1) / THREADS * 32 : 1;
    u64 sum = 0;
    for (int i = warp * part + lane; i < n && i < (warp + 1) * part; i += 32)
      sum += weigh(first + i);
    sum = warp_scan(sum);
    __syncthreads();
    if (lane == 31) mem.box[warp] = sum;
    __syncthreads();
    int w = 0;
    while (w < WARPS && before + mem.box[w] <= target) before += mem.box[w++];
    if (w == WARPS) return otherwise;
    if (part == 1) return first + w;
    first += w * part;
    n = n - w * part < part ? n - w * part : part;
  }
  return otherwise;
}

/* The row's draw (temperature above 0). `best` is its likeliest token. */
static __device__ int draw(const scores &row, const choice &how, u64 best,
                           const block_memory &mem) {
  const uint32_t top = (uint32_t)(best >> 32);
  const float max = score_of(top), temperature = how.temperature;
  const auto weight = [=](uint32_t order) {
    if (order == top) return (u64)UNIT;
    return (u64)(expf((score_of(order) - max) / temperature) * UNIT);
  };
  /* What stays: all above cut.order, and the first n_equal that equal it. */
  threshold cut = {0, 0};
  u64 n_equal = row.n, sum = 0;
  if (how.top_k > 0 && how.top_k < row.n) {
    cut = select(row, how.top_k, mem, counting());
    n_equal = how.top_k - cut.above;
  }
  for (int i = threadIdx.x; i < row.n; i += THREADS)
    if (const uint32_t order = row[i]; order > cut.order) sum += weight(order);
  sum = block_reduce<WARPS>(sum, mem.box, adding());
  if (cut.order) sum += n_equal * weight(cut.order);
  if (how.top_p < 1) {
    const u64 target = larger()(1, (u64)ceil((double)how.top_p * (double)sum));
    const uint32_t lowest = cut.order;
    cut = select(row, target, mem,
                 [=](uint32_t order) { return order >= lowest ? weight(order) : 0; });
    const u64 each = weight(cut.order);
    n_equal = (target - cut.above + each - 1) / each;
    sum = cut.above + n_equal * each;
  }
  const int last_equal = first_beyond(row.n, n_equal - 1, row.n, mem,
                                      [&](int id) { return (u64)(row[id] == cut.order); });
  return first_beyond(row.n, (u64)(how.uniform * (double)sum), id_of(best), mem, [&](int id) {
    const uint32_t order = row[id];
    const bool stays = order > cut.order || (order == cut.order && id <= last_equal);
    return stays ? weight(order) : (u64)0;
  });
}

/* Sets the bits of the ids that the penalty is for. */
static __device__ void mark_seen(const int32_t *ids, int n, uint32_t *bits, int n_word) {
  for (int i = threadIdx.x; i < n_word; i += THREADS) bits[i] = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < n; i += THREADS) atomicOr(&bits[ids[i] / 32], 1u << ids[i] % 32);
  __syncthreads();
}

/* The n best of a row, best first: those that reach the threshold, each to the place that the
 * number of its betters says. */
static __device__ void list_best(const scores &row, int n, float max, float log_sum, u64 *list,
                                 mv_pick *best, const block_memory &mem) {
  const threshold cut = select(row, n, mem, counting());
  const int last_equal = first_beyond(row.n, n - cut.above - 1, row.n, mem,
                                      [&](int id) { return (u64)(row[id] == cut.order); });
  uint32_t *n_listed = mem.bins; /* no longer in use */
  if (threadIdx.x == 0) *n_listed = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < row.n; i += THREADS) {
    const uint32_t order = row[i];
    if (order > cut.order || (order == cut.order && i <= last_equal))
      list[atomicAdd(n_listed, 1u)] = token_of(order, i);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < n; i += THREADS) {
    int place = 0;
    for (int j = 0; j < n; j++) place += list[j] > list[i];
    best[place].id = id_of(list[i]);
    best[place].logprob = score_of((uint32_t)(list[i] >> 32)) - max - log_sum;
  }
}

static __global__ void __launch_bounds__(THREADS)
    sample_rows_kernel(const float *logits, const choice *choices, const int32_t *seen_ids,
                       mv_sample_dims dims, workspace work, int n_slice, mv_pick *picks,
                       mv_pick *best) {
  mv_pdl_enter();
  MV_SHARED(uint32_t, bins, [2 * BINS]);
  MV_SHARED(u64, box, [WARPS]);
  MV_SHARED(u64, out, [2]);
  MV_SHARED(float, sums, [WARPS]);
  const block_memory mem = {bins, box, out};
  const size_t r = blockIdx.x;
  const choice how = choices[r];
  const slice *slices = work.slices + r * n_slice;

  u64 first = 0; /* the likeliest token before any penalty */
  for (int i = threadIdx.x; i < n_slice; i += THREADS) first = larger()(first, slices[i].best);
  first = block_reduce<WARPS>(first, box, larger());
  const float max = score_of((uint32_t)(first >> 32));
  float sum = 0;
  for (int i = threadIdx.x; i < n_slice; i += THREADS)
    sum += slices[i].max == -INFINITY ? slices[i].sum : slices[i].sum * expf(slices[i].max - max);
  const float log_sum = logf(block_sum<WARPS>(sum, sums));

  scores row = {logits + r * dims.n_vocab, NULL, 1, dims.n_vocab};
  const scores raw = row;
  u64 top = first;
  if (how.n_seen > 0 && how.penalty != 1) {
    const int n_word = (dims.n_vocab + 31) / 32;
    row.seen = work.seen + r * n_word;
    row.penalty = how.penalty;
    mark_seen(seen_ids + how.seen_at, how.n_seen, work.seen + r * n_word, n_word);
    top = 0;
    for (int i = threadIdx.x; i < row.n; i += THREADS) top = larger()(top, token_of(row[i], i));
    top = block_reduce<WARPS>(top, box, larger());
  }
  const int id = how.temperature == 0 ? id_of(top) : draw(row, how, top, mem);
  if (threadIdx.x == 0) {
    const float x = raw.x[id];
    picks[r].id = id;
    picks[r].logprob = isfinite(x) ? x - max - log_sum : NAN;
  }
  if (dims.n_best > 0)
    list_best(raw, dims.n_best, max, log_sum, work.lists + r * dims.n_best, best + r * dims.n_best,
              mem);
}

/* ---- launcher ---- */

/* The choices as the device reads them, then the ids, their number rounded up to a power of two so
 * that a step with one more token has the same shape. NULL with a sticky error. */
static const choice *stage_choices(mv_device *device, const mv_sample_dims *dims,
                                   const mv_sample_row *rows) {
  size_t n_row = dims->n_row, n_seen = 0, room = 0;
  for (size_t r = 0; r < n_row; r++)
    if (rows[r].penalty != 1) n_seen += rows[r].n_seen;
  if (n_seen)
    for (room = 64; room < n_seen;) room *= 2;
  const size_t n_bytes = n_row * sizeof(choice) + room * sizeof(int32_t);
  choice *host = (choice *)mv_device_scratch(device, n_bytes);
  if (!host) return NULL;
  memset((void *)host, 0, n_bytes);
  int32_t *ids = (int32_t *)(host + n_row);
  int at = 0;
  for (size_t r = 0; r < n_row; r++) {
    const mv_sample_row &row = rows[r];
    const int n = row.penalty != 1 ? row.n_seen : 0;
    host[r] = {row.uniform, row.temperature, row.top_p, row.penalty, row.top_k, n, at};
    if (n) memcpy(ids + at, row.seen, n * sizeof *ids);
    at += n;
  }
  return (const choice *)mv_cuda_stage(device, host, n_bytes);
}

static size_t aligned(size_t n_bytes) { return (n_bytes + 255) / 256 * 256; }

extern "C" void mv_sample_cuda(mv_device *device, const mv_sample_dims *dims,
                               const mv_sample_row *rows, const float *logits, mv_pick *picks,
                               mv_pick *best) {
  assert(dims->n_vocab > 0 && dims->n_best <= dims->n_vocab && dims->n_row <= 65535);
  if (device->error.code != MV_OK || dims->n_row == 0) return;
  const size_t n_row = dims->n_row;
  const int n_slice = (dims->n_vocab + SLICE - 1) / SLICE;
  const size_t slices = aligned(n_row * n_slice * sizeof(slice));
  const size_t lists = aligned(n_row * dims->n_best * sizeof(u64));
  const size_t seen = n_row * ((dims->n_vocab + 31) / 32) * sizeof(uint32_t);
  const choice *choices = stage_choices(device, dims, rows);
  char *scratch = (char *)mv_cuda_scratch(device, slices + lists + seen, 0);
  if (device->error.code != MV_OK) return;
  const workspace work = {(slice *)scratch, (u64 *)(scratch + slices),
                          (uint32_t *)(scratch + slices + lists)};
  MV_LAUNCH(device, sample_slices_kernel, dim3(n_slice, n_row), dim3(SLICE_THREADS), 0, logits,
            dims->n_vocab, work.slices);
  MV_LAUNCH(device, sample_rows_kernel, dim3(n_row), dim3(THREADS), 0, logits, choices,
            (const int32_t *)(choices + n_row), *dims, work, n_slice, picks, best);
}
