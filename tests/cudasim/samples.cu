/* Blocks, warps, grids and clusters. */
#include "tests/cudasim/samples.h"

#include "kernels/cuda_ptx.h"

template <sample_bug bug>
static __global__ void __launch_bounds__(128)
    row_sum_kernel(const float *x, float *y, int n_row, int d) {
  MV_SHARED(float, part, [4]);
  const int row = blockIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  if (bug != BUG_TAIL_READ && bug != BUG_TAIL_WRITE && row >= n_row) return;
  float sum = 0;
  for (int i = threadIdx.x * 4; i < d; i += 512) {
    const float4 v = mv_ld_f4(x + (size_t)row * d + i);
    sum += (v.x + v.y) + (v.z + v.w);
  }
  if (bug == BUG_EARLY_EXIT && (int)threadIdx.x * 4 >= d) return;
  sum = mv_warp_sum(sum);
  if (lane == 0 && !(bug == BUG_UNWRITTEN_SLOT && warp == 3)) part[warp] = sum;
  if (bug == BUG_DIVERGENT_BARRIER) {
    if (threadIdx.x < 64) __syncthreads();
  } else if (bug != BUG_NO_BARRIER) {
    __syncthreads();
  }
  float total = 0;
  const int n_part = blockDim.x / 32 + (bug == BUG_SHARED_OVERRUN);
  for (int i = 0; i < n_part; i++) {
    const float v = part[i];
    total += bug == BUG_SHARED_OVERRUN && i == n_part - 1 ? v * 0 : v;
  }
  if (threadIdx.x == 0 && (row < n_row || bug == BUG_TAIL_WRITE)) y[row] = total;
}

template <sample_bug bug>
static __global__ void __launch_bounds__(64) warp_sum_kernel(const float *x, float *y) {
  MV_SHARED(float, box, [2][32]);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, at = blockIdx.x * 2 + warp;
  float *mine = box[warp];
  mine[lane] = x[at * 32 + lane];
  for (int step = 16; step; step >>= 1) {
    if (bug != BUG_NO_SYNCWARP) __syncwarp();
    if (lane < step) mine[lane] += mine[lane + step];
  }
  if (lane == 0) y[at] = mine[0];
}

static __global__ void __launch_bounds__(1024) scan_kernel(const int *x, int *y, int n) {
  MV_SHARED(int, warp_sum, [32]);
  const int i = threadIdx.x, lane = i % 32, warp = i / 32;
  int sum = i < n ? x[i] : 0;
  for (int step = 1; step < 32; step <<= 1) {
    const int before = __shfl_up_sync(MV_FULL_WARP, sum, step);
    if (lane >= step) sum += before;
  }
  if (lane == 31) warp_sum[warp] = sum;
  __syncthreads();
  for (int w = 0; w < warp; w++) sum += warp_sum[w];
  if (i < n) y[i] = sum;
}

template <sample_bug bug>
static __global__ void __launch_bounds__(32)
    split_sum_kernel(const float *x, float *y, float *part, unsigned *count, int n) {
  MV_SHARED(int, is_last, [1]);
  float sum = 0;
  for (int i = blockIdx.x * 32 + threadIdx.x; i < n; i += gridDim.x * 32) sum += x[i];
  sum = mv_warp_sum(sum);
  if (threadIdx.x == 0) {
    part[blockIdx.x] = sum;
    if (bug != BUG_NO_FENCE) __threadfence();
    if (bug == BUG_NO_COUNTER)
      is_last[0] = blockIdx.x == gridDim.x - 1;
    else
      is_last[0] = atomicInc(count, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (!is_last[0]) return;
  __threadfence();
  if (threadIdx.x == 0) {
    float total = 0;
    for (unsigned i = 0; i < gridDim.x; i++) total += part[i];
    y[0] = total;
  }
}

template <sample_bug bug>
static __global__ void __launch_bounds__(32)
    grid_scan_kernel(const float *x, float *y, float *part, uint32_t *count) {
  const float sum = mv_warp_sum(x[blockIdx.x * 32 + threadIdx.x]);
  if (threadIdx.x == 0) part[blockIdx.x] = sum;
  if (bug != BUG_NO_GRID_SYNC) mv_grid_sync(count);
  if (threadIdx.x != 0) return;
  float total = 0;
  for (unsigned i = 0; i <= blockIdx.x; i++) total += part[i];
  y[blockIdx.x] = total;
}

static __global__ void __launch_bounds__(32) cluster_kernel(const float *x, float *y) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  MV_SHARED(float, mine, [32]);
  const int at = blockIdx.x * 32 + threadIdx.x;
  mine[threadIdx.x] = x[at];
  mv_cluster_sync();
  const float *other = mv_cluster_map(&mine[0], mv_cluster_rank() ^ 1);
  y[at] = mine[threadIdx.x] + other[threadIdx.x];
  mv_cluster_sync(); /* nobody leaves while its memory is read */
#endif
}

/* Warps 0, 1 produce, 2, 3 consume: barrier 1 says full, barrier 2 says empty. */
static __global__ void __launch_bounds__(128) named_barriers_kernel(int *y, int n_round) {
  MV_SHARED(int, box, [64]);
  const int t = threadIdx.x % 64;
  if (threadIdx.x < 64) {
    for (int i = 0; i < n_round; i++) {
      if (i) mv_bar_sync(2, 128);
      box[t] = i * 64 + t;
      mv_bar_arrive(1, 128);
    }
    return;
  }
  int sum = 0;
  for (int i = 0; i < n_round; i++) {
    mv_bar_sync(1, 128);
    sum += box[t ^ 1];
    if (i + 1 < n_round) mv_bar_arrive(2, 128);
  }
  y[t] = sum;
}

static __global__ void __launch_bounds__(64) votes_kernel(int *y) {
  MV_SHARED(int, count, [1]);
  const int t = threadIdx.x, lane = t % 32;
  if (t == 0) count[0] = 0;
  __syncthreads();
  atomicAdd(&count[0], t);
  const int n_odd = __syncthreads_count(t & 1), all = __syncthreads_and(t < 63);
  const unsigned low = __ballot_sync(MV_FULL_WARP, lane < 3);
  const unsigned alike = __match_any_sync(MV_FULL_WARP, lane / 8);
  int upper = 0;
  if (lane >= 16) upper = __shfl_sync(0xffff0000u, lane, 20);
  const int group = __shfl_xor_sync(MV_FULL_WARP, lane, 1, 4);
  if (t == 50) { /* lane 18 of warp 1 */
    y[0] = count[0];
    y[1] = n_odd;
    y[2] = all;
    y[3] = (int)low;
    y[4] = (int)alike;
    y[5] = upper;
    y[6] = group;
    y[7] = __popc(low);
  }
}

/* Launches the variant of KERNEL that has `bug`, one of the listed ones, or the right one. */
#define RUN(KERNEL, shape, ...) return mv_launch(shape, KERNEL, __VA_ARGS__)
#define VARIANT(BUG, KERNEL, shape, ...) \
  if (bug == BUG) RUN(KERNEL<BUG>, shape, __VA_ARGS__)

cudaError_t sample_row_sum(sample_bug bug, const float *x, float *y, int n_row, int d,
                           cudaStream_t stream) {
  const unsigned n_block = (unsigned)n_row + (bug == BUG_TAIL_READ || bug == BUG_TAIL_WRITE);
  const mv_launch_shape shape = {dim3(n_block), dim3(128), 0, stream};
  VARIANT(BUG_NO_BARRIER, row_sum_kernel, shape, x, y, n_row, d);
  VARIANT(BUG_UNWRITTEN_SLOT, row_sum_kernel, shape, x, y, n_row, d);
  VARIANT(BUG_SHARED_OVERRUN, row_sum_kernel, shape, x, y, n_row, d);
  VARIANT(BUG_DIVERGENT_BARRIER, row_sum_kernel, shape, x, y, n_row, d);
  VARIANT(BUG_EARLY_EXIT, row_sum_kernel, shape, x, y, n_row, d);
  VARIANT(BUG_TAIL_WRITE, row_sum_kernel, shape, x, y, n_row, d);
  VARIANT(BUG_TAIL_READ, row_sum_kernel, shape, x, y, n_row, d);
  RUN(row_sum_kernel<SAMPLE_RIGHT>, shape, x, y, n_row, d);
}

cudaError_t sample_scan(const int *x, int *y, int n, cudaStream_t stream) {
  RUN(scan_kernel, (mv_launch_shape{dim3(1), dim3(1024), 0, stream}), x, y, n);
}

cudaError_t sample_warp_sum(sample_bug bug, const float *x, float *y, int n_warp,
                            cudaStream_t stream) {
  const mv_launch_shape shape = {dim3((unsigned)n_warp / 2), dim3(64), 0, stream};
  VARIANT(BUG_NO_SYNCWARP, warp_sum_kernel, shape, x, y);
  RUN(warp_sum_kernel<SAMPLE_RIGHT>, shape, x, y);
}

cudaError_t sample_split_sum(sample_bug bug, const float *x, float *y, float *part, unsigned *count,
                             int n, int n_block, cudaStream_t stream) {
  const mv_launch_shape shape = {dim3((unsigned)n_block), dim3(32), 0, stream};
  VARIANT(BUG_NO_COUNTER, split_sum_kernel, shape, x, y, part, count, n);
  VARIANT(BUG_NO_FENCE, split_sum_kernel, shape, x, y, part, count, n);
  RUN(split_sum_kernel<SAMPLE_RIGHT>, shape, x, y, part, count, n);
}

cudaError_t sample_grid_scan(sample_bug bug, const float *x, float *y, float *part, uint32_t *count,
                             int n_block, cudaStream_t stream) {
  mv_launch_shape shape = {dim3((unsigned)n_block), dim3(32), 0, stream};
  shape.cooperative = true;
  VARIANT(BUG_NO_GRID_SYNC, grid_scan_kernel, shape, x, y, part, count);
  RUN(grid_scan_kernel<SAMPLE_RIGHT>, shape, x, y, part, count);
}

cudaError_t sample_cluster(const float *x, float *y, int n_block, cudaStream_t stream) {
  mv_launch_shape shape = {dim3((unsigned)n_block), dim3(32), 0, stream};
  shape.cluster = 2;
  RUN(cluster_kernel, shape, x, y);
}

template <sample_bug bug>
static __global__ void overlap_kernel(const float *w, const float *x, float *y) {
  const int i = threadIdx.x;
  mv_pdl_launch();
  const float weight = w[i]; /* nobody writes it */
  const float early = bug == BUG_EARLY_READ ? x[i] : 0;
  if (bug == BUG_EARLY_WRITE) y[i] = 0;
  if (bug != BUG_NO_PDL_WAIT) mv_pdl_wait();
  y[i] = weight * (bug == BUG_EARLY_READ ? early : x[i]) + 1;
}

cudaError_t sample_overlap(sample_bug bug, const float *w, const float *x, float *y, float *z,
                           int n, cudaStream_t stream) {
  mv_launch_shape shape = {dim3(1), dim3((unsigned)n), 0, stream};
  cudaError_t error = mv_launch(shape, overlap_kernel<SAMPLE_RIGHT>, w, x, y);
  if (error != cudaSuccess) return error;
  shape.overlap = true;
  VARIANT(BUG_EARLY_READ, overlap_kernel, shape, w, y, z);
  VARIANT(BUG_EARLY_WRITE, overlap_kernel, shape, w, y, z);
  VARIANT(BUG_NO_PDL_WAIT, overlap_kernel, shape, w, y, z);
  RUN(overlap_kernel<SAMPLE_RIGHT>, shape, w, y, z);
}

cudaError_t sample_named_barriers(int *y, int n_round, cudaStream_t stream) {
  RUN(named_barriers_kernel, (mv_launch_shape{dim3(1), dim3(128), 0, stream}), y, n_round);
}

cudaError_t sample_votes(int *y, cudaStream_t stream) {
  RUN(votes_kernel, (mv_launch_shape{dim3(1), dim3(64), 0, stream}), y);
}
