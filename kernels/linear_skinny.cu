/* Few rows: W goes once from memory to registers, near the speed of memory.
 *
 * One warp multiplies R tiles of 16 weight rows with 8 NT rows of x: W is the 16-row operand of
 * mma.m16n8k16, the rows of x are its 8 columns, so 1 and 64 rows run the same instructions and a
 * row's bits do not depend on the others. Lane (g, t) = (lane / 4, lane % 4) loads 16 bytes of
 * weight rows g and g + 8 and of rows g of x at 32 k + 8 t: both operands see k in the same
 * (permuted) order, which is all a sum needs, and the row-major checkpoint is read as it is: the
 * four lanes of a row take 64 bytes, no byte is fetched twice, and no second, fragment-major copy
 * of the weights (13 GB for 7B) is kept for what could only save L1 tags.
 *
 * The sum over n_in is cut into 8 n_split ranges, by shape alone: one a warp, n_split blocks. Their
 * partial sums are added in order, within a block through shared memory, between blocks by the last
 * one to arrive.
 *
 * More than 64 rows go in chunks of 64, each a block of its own beside those of the same weights:
 * they run at the same time, and what one fetches from memory the others find in L2.
 *
 * sass skinny_kernel: LDG.E.128
 * sass skinny_kernel: HMMA.16816.F32.BF16
 * sass@90a skinny_kernel: LDG.NA.128>ACQBULK
 * sass@100 skinny_kernel: LDG.NA.128>ACQBULK
 *
 */
#include <assert.h>

#include "kernels/cuda_port.h"
#include "kernels/cuda_ptx.h"

#include "kernels/linear_cuda.h"

namespace {

constexpr int N_WARP = 8, BLOCK = 32 * N_WARP;
constexpr int TILE = 16;                             /* weight rows of one mma */
constexpr int MAX_ROWS = MV_LINEAR_SKINNY_ROWS_CUDA; /* of x, of a block */
constexpr int K_STEP = 32; /* columns a lane group of four covers with 16 bytes each */
constexpr int STEP_BYTES = 2 * K_STEP;
constexpr int FEW = 128;     /* blocks below which the sum is cut: about one a multiprocessor */
constexpr int MIN_STEPS = 4; /* a warp's share of a cut sum, in steps of K_STEP */

/* Passed by value and hashed as bytes (MV_LAUNCH): no padding. */
struct skinny_args {
  const char *w[MV_LINEAR_PARTS];
  const char *x;
  const float *bias;
  void *y;
  float *partial;    /* [n_split, n_row, n_out] */
  uint32_t *arrived; /* [blocks along x], zero between launches */
  int w_rows[MV_LINEAR_PARTS], first_block[MV_LINEAR_PARTS], first_col[MV_LINEAR_PARTS];
  int n_in, n_out, n_row, ldx, ldy, n_split, y_is_bf16, accumulate;
  int overlaps; /* whether launches of this device do */
};

/* Rows of x that a block multiplies. */
struct row_chunk {
  int first, n;
};

/* Sixteen bytes of each of a warp's weight rows (lo: g, hi: g + 8), one step of K_STEP. */
template <int R>
struct weights {
  uint4 lo[R], hi[R];
};

template <int R, int NT>
struct tile {
  const char *lo[R], *hi[R]; /* this lane's weight rows, at its 16 bytes of the next step */
  const char *x[NT];         /* and its rows of x                                         */
  float acc[R][NT][4];
};

template <int R, int NT>
MV_DEV void load(const tile<R, NT> &m, int step, weights<R> &w) {
#pragma unroll
  for (int r = 0; r < R; r++) {
    w.lo[r] = mv_ld_stream_v4(m.lo[r] + step * STEP_BYTES);
    w.hi[r] = mv_ld_stream_v4(m.hi[r] + step * STEP_BYTES);
  }
}

/* One step of eight rows of x. */
template <int R, int NT>
MV_DEV void multiply(tile<R, NT> &m, int j, const weights<R> &w, uint4 x) {
#pragma unroll
  for (int r = 0; r < R; r++) {
    const uint32_t first[4] = {w.lo[r].x, w.hi[r].x, w.lo[r].y, w.hi[r].y};
    const uint32_t second[4] = {w.lo[r].z, w.hi[r].z, w.lo[r].w, w.hi[r].w};
    mv_mma_bf16(m.acc[r][j], first, x.x, x.y);
    mv_mma_bf16(m.acc[r][j], second, x.z, x.w);
  }
}

template <int R, int NT>
MV_DEV void multiply_step(tile<R, NT> &m, int step, const weights<R> &w) {
#pragma unroll
  for (int j = 0; j < NT; j++) multiply(m, j, w, mv_ld_v4(m.x[j] + step * STEP_BYTES));
}

/* The columns after the last whole step: lanes beyond n_in multiply zeros. */
template <int R, int NT>
MV_DEV void multiply_tail(tile<R, NT> &m, bool inside) {
  const uint4 zero = {0, 0, 0, 0};
  weights<R> w;
  if (inside) load(m, 0, w);
#pragma unroll
  for (int r = 0; r < R; r++) {
    w.lo[r] = inside ? w.lo[r] : zero;
    w.hi[r] = inside ? w.hi[r] : zero;
  }
#pragma unroll
  for (int j = 0; j < NT; j++) multiply(m, j, w, inside ? mv_ld_v4(m.x[j]) : zero);
}

template <int R, int NT>
MV_DEV void advance(tile<R, NT> &m, int n_step) {
#pragma unroll
  for (int r = 0; r < R; r++) {
    m.lo[r] += n_step * STEP_BYTES;
    m.hi[r] += n_step * STEP_BYTES;
  }
#pragma unroll
  for (int j = 0; j < NT; j++) m.x[j] += n_step * STEP_BYTES;
}

/* The next n steps, with the weights of AHEAD of them on their way: the first before the kernels
 * that make x have ended. (A wait without a condition would be moved ahead of the loads.) */
template <int R, int NT, int AHEAD>
MV_DEV void multiply_steps(tile<R, NT> &m, int n, bool overlaps) {
  weights<R> w[AHEAD];
#pragma unroll
  for (int u = 0; u < AHEAD; u++)
    if (u < n) load(m, u, w[u]);
  if (overlaps) mv_pdl_wait();
#pragma unroll 1
  for (; n >= AHEAD; n -= AHEAD) {
#pragma unroll
    for (int u = 0; u < AHEAD; u++) {
      multiply_step(m, u, w[u]);
      if (u + AHEAD < n) load(m, u + AHEAD, w[u]);
    }
    advance(m, AHEAD);
  }
#pragma unroll
  for (int u = 0; u < AHEAD; u++)
    if (u < n) multiply_step(m, u, w[u]);
  if (n > 0) advance(m, n);
}

/* The warps' sums of one row of tiles, added in order; `limit`: weight rows from `row0` on. */
template <int NT>
MV_DEV void add_warps(const skinny_args &a, row_chunk rows, const float (&acc)[NT][4],
                      float (*sums)[NT * 4][33], int col0, int limit) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  __syncthreads();
#pragma unroll
  for (int j = 0; j < NT; j++)
#pragma unroll
    for (int q = 0; q < 4; q++) sums[warp][j * 4 + q][lane] = acc[j][q];
  __syncthreads();
  for (int i = threadIdx.x; i < TILE * rows.n; i += BLOCK) {
    const int w_row = i % TILE, row = i / TILE;
    const int place = row / 8 * 4 + w_row / 8 * 2 + row % 2, from = w_row % 8 * 4 + row % 8 / 2;
    float sum = 0;
#pragma unroll
    for (int v = 0; v < N_WARP; v++) sum += sums[v][place][from];
    if (w_row >= limit) continue;
    if (a.n_split == 1)
      mv_linear_store(a, rows.first + row, col0 + w_row, sum);
    else
      a.partial[((size_t)blockIdx.y * a.n_row + rows.first + row) * a.n_out + col0 + w_row] = sum;
  }
}

/* The last block of these columns and rows to come here adds up all of them. */
MV_DEV void add_blocks(const skinny_args &a, row_chunk rows, int col0, int n_col) {
  MV_SHARED(int, is_last, [1]);
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0)
    is_last[0] = mv_atomic_add_acq_rel(&a.arrived[blockIdx.x], 1) == (uint32_t)a.n_split - 1;
  __syncthreads();
  if (!is_last[0]) return;
  __threadfence();
  for (int i = threadIdx.x; i < n_col * rows.n; i += BLOCK) {
    const int row = rows.first + i / n_col, col = col0 + i % n_col;
    float sum = 0;
    for (int s = 0; s < a.n_split; s++)
      sum += a.partial[((size_t)s * a.n_row + row) * a.n_out + col];
    mv_linear_store(a, row, col, sum);
  }
  if (threadIdx.x == 0) a.arrived[blockIdx.x] = 0;
}

/* Rows beyond the end are the last one again: read, multiplied, not stored. */
template <int R, int NT>
MV_DEV void start(const skinny_args &a, row_chunk rows, int part, int row0, int k0,
                  tile<R, NT> &m) {
  const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  const int w_last = a.w_rows[part] - 1, x_last = rows.n - 1;
  const size_t skip = (size_t)k0 * STEP_BYTES + t * 16;
  const char *w = a.w[part] + skip, *x = a.x + (size_t)rows.first * a.ldx * 2 + skip;
#pragma unroll
  for (int r = 0; r < R; r++) {
    const int lo = row0 + r * TILE + g, hi = lo + 8;
    m.lo[r] = w + (size_t)(lo < w_last ? lo : w_last) * a.n_in * 2;
    m.hi[r] = w + (size_t)(hi < w_last ? hi : w_last) * a.n_in * 2;
#pragma unroll
    for (int j = 0; j < NT; j++)
#pragma unroll
      for (int q = 0; q < 4; q++) m.acc[r][j][q] = 0;
  }
#pragma unroll
  for (int j = 0; j < NT; j++)
    m.x[j] = x + (size_t)(8 * j + g < x_last ? 8 * j + g : x_last) * a.ldx * 2;
}

/* blockIdx.x: R tiles of a part, and of the rows a chunk; blockIdx.y: share of the sum. */
template <int R, int NT, int AHEAD>
__global__ void __launch_bounds__(BLOCK, NT < 8 ? 2 : 1) skinny_kernel(skinny_args a) {
  MV_SHARED(float, sums, [N_WARP][NT * 4][33]);
  /* only the widest kernel is ever given several chunks */
  const int n_chunk = NT == 8 ? (a.n_row + MAX_ROWS - 1) / MAX_ROWS : 1;
  const int block = (int)blockIdx.x / n_chunk, first = (int)blockIdx.x % n_chunk * MAX_ROWS;
  const row_chunk rows = {first, NT == 8 ? min(a.n_row - first, MAX_ROWS) : a.n_row};
  const int part = (block >= a.first_block[1]) + (block >= a.first_block[2]);
  const int row0 = (block - a.first_block[part]) * R * TILE;
  const int n_range = N_WARP * a.n_split, range = blockIdx.y * N_WARP + threadIdx.x / 32;
  const int n_whole = a.n_in / K_STEP, n_step = (a.n_in + K_STEP - 1) / K_STEP;
  const int k0 = (unsigned)(n_step * range) / (unsigned)n_range;
  const int k1 = (unsigned)(n_step * (range + 1)) / (unsigned)n_range;
  tile<R, NT> m;
  mv_pdl_launch();
  start(a, rows, part, row0, k0, m);
  multiply_steps<R, NT, AHEAD>(m, (k1 < n_whole ? k1 : n_whole) - k0, a.overlaps);
  if (k0 < k1 && k1 > n_whole)
    multiply_tail(m, n_whole * K_STEP + (int)threadIdx.x % 4 * 8 < a.n_in);
  const int col0 = a.first_col[part] + row0, limit = a.w_rows[part] - row0;
#pragma unroll
  for (int r = 0; r < R; r++)
    add_warps<NT>(a, rows, m.acc[r], sums, col0 + r * TILE, limit - r * TILE);
  if (a.n_split > 1) add_blocks(a, rows, col0, limit < R * TILE ? limit : R * TILE);
}

int tiles_of(const mv_linear *linear) {
  int n = 0;
  for (int i = 0; i < linear->n_part; i++) n += (linear->part[i].n_row + TILE - 1) / TILE;
  return n;
}

/* By shape alone, never by the number of rows: it decides the order of the sum. */
int split_of(const mv_linear *linear) {
  const int n_tile = tiles_of(linear), n_step = (linear->n_in + K_STEP - 1) / K_STEP;
  int n_split = 1;
  while (n_tile * n_split < FEW && n_step / (N_WARP * 2 * n_split) >= MIN_STEPS) n_split *= 2;
  return n_split;
}

template <int R, int NT, int AHEAD>
void launch(mv_device *device, skinny_args &a, const mv_linear *linear) {
  int n_block = 0, col = 0;
  for (int i = 0; i < MV_LINEAR_PARTS; i++) {
    const bool used = i < linear->n_part;
    a.w[i] = used ? (const char *)linear->part[i].w : nullptr;
    a.w_rows[i] = used ? linear->part[i].n_row : 0;
    a.first_block[i] = used ? n_block : INT32_MAX;
    a.first_col[i] = col;
    n_block += (a.w_rows[i] + R * TILE - 1) / (R * TILE);
    col += a.w_rows[i];
  }
  n_block *= (a.n_row + MAX_ROWS - 1) / MAX_ROWS;
  if (a.n_split > 1) {
    const size_t zeroed = ((size_t)n_block * sizeof *a.arrived + 255) / 256 * 256;
    const size_t n_partial = (size_t)a.n_split * a.n_row * a.n_out;
    char *scratch = (char *)mv_cuda_scratch(device, zeroed + n_partial * sizeof *a.partial, zeroed);
    if (!scratch) return;
    a.arrived = (uint32_t *)scratch;
    a.partial = (float *)(scratch + zeroed);
  }
  MV_LAUNCH(device, (skinny_kernel<R, NT, AHEAD>), dim3(n_block, a.n_split), dim3(BLOCK), 0, a);
}

}  // namespace

/* How far ahead W is loaded: 16 loads a lane while registers allow, 8 with many sums. */
void mv_linear_skinny(mv_device *device, const mv_linear_dims *dims, const mv_linear *linear,
                      const void *x, void *y) {
  assert(linear->n_in % 8 == 0 && dims->ldx % 8 == 0);
  skinny_args a;
  memset(&a, 0, sizeof a);
  a.x = (const char *)x;
  a.bias = linear->bias;
  a.y = y;
  a.n_in = linear->n_in;
  a.n_out = linear->n_out;
  a.n_row = dims->n_row;
  a.ldx = dims->ldx;
  a.ldy = dims->ldy;
  a.n_split = split_of(linear);
  a.overlaps = mv_cuda_of(device)->overlaps;
  a.y_is_bf16 = dims->y_dtype == MV_DTYPE_BF16;
  a.accumulate = dims->accumulate;
  /* blocks of one tile each that do not all run at once: better fewer, and x is read less often */
  const bool many = tiles_of(linear) > 2 * mv_cuda_of(device)->n_sm;
  if (dims->n_row <= 8)
    many ? launch<2, 1, 4>(device, a, linear) : launch<1, 1, 8>(device, a, linear);
  else if (dims->n_row <= 16)
    many ? launch<2, 2, 4>(device, a, linear) : launch<1, 2, 8>(device, a, linear);
  else if (dims->n_row <= 32)
    many ? launch<2, 4, 2>(device, a, linear) : launch<1, 4, 4>(device, a, linear);
  else
    many ? launch<3, 8, 2>(device, a, linear) : launch<2, 8, 4>(device, a, linear);
}
