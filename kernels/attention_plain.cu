/* One warp for a row and head. Keys come 32 at a time, one a lane; then each lane sums columns of
 * the values 32 apart. All in f32. */
#include "kernels/cuda_attention_plain.h"
#include "kernels/cuda_ptx.h"

enum { LANES = 32, MAX_COLUMNS = 256 / LANES };

struct plain_args {
  mv_plain_keys keys;
  const void *q;
  void *out;
  int n_kv, group, d, ldq, ldkv, ldo;
  mv_dtype dtype, kv_dtype, out_dtype;
  float scale;
};

static __device__ __forceinline__ float load(mv_dtype dtype, const void *base, size_t at) {
  return dtype == MV_DTYPE_F32 ? ((const float *)base)[at]
                               : mv_bf16_widen(((const mv_bf16 *)base)[at]);
}

/* Element of token t's key (which 0) or value (1) of head kv, column 0. */
static __device__ __forceinline__ size_t key_at(const plain_args &a, const mv_span &span, int which,
                                                int kv, int t) {
  if (!a.keys.pages) return (size_t)(span.row0 + t) * (size_t)a.ldkv + (size_t)(kv * a.d);
  const size_t page = (size_t)a.keys.pages[span.page_at + t / MV_PAGE_TOKENS];
  const size_t slab = (page * 2 + (size_t)which) * (size_t)a.n_kv + (size_t)kv;
  return (slab * MV_PAGE_TOKENS + (size_t)(t % MV_PAGE_TOKENS)) * (size_t)a.d;
}

static __device__ __forceinline__ bool sees(const plain_args &a, const mv_span &span, int row,
                                            int t) {
  if (!a.keys.pages) return true;
  const int other = t - span.pos0;
  return other < 0 || span.tree_at < 0 || a.keys.trees[span.tree_at + row] >> other & 1;
}

/* sum over columns of q (times scale, in shared memory) and the lane's key. */
static __device__ __forceinline__ float score(const plain_args &a, const float *q, size_t at) {
  float sum = 0;
  for (int c = 0; c < a.d; c++) sum += q[c] * load(a.kv_dtype, a.keys.k, at + (size_t)c);
  return sum;
}

static __global__ void __launch_bounds__(LANES) plain_kernel(const plain_args a) {
  mv_pdl_enter();
  MV_SHARED(float, q, [256]);
  const mv_span span = a.keys.spans[blockIdx.y];
  const int row = (int)blockIdx.x, head = (int)blockIdx.z, kv = head / a.group;
  const int lane = (int)threadIdx.x;
  if (row >= span.n_row) return;
  const size_t r = (size_t)(span.row0 + row);
  for (int c = lane; c < a.d; c += LANES)
    q[c] = a.scale * load(a.dtype, a.q, r * (size_t)a.ldq + (size_t)(head * a.d + c));
  __syncwarp();
  const int n_key = a.keys.pages ? span.pos0 + row + 1 : span.n_row;
  float max = -INFINITY, sum = 0, o[MAX_COLUMNS] = {};
  for (int key0 = 0; key0 < n_key; key0 += LANES) {
    const int t = key0 + lane;
    float s = -INFINITY;
    if (t < n_key && sees(a, span, row, t)) s = score(a, q, key_at(a, span, 0, kv, t));
    const float top = fmaxf(max, mv_warp_max(s)), base = top == -INFINITY ? 0 : top;
    const float shrink = expf(max - base), p = expf(s - base);
    sum = sum * shrink + mv_warp_sum(p);
    max = top;
    for (int i = 0; i < MAX_COLUMNS; i++) o[i] *= shrink;
    for (int j = 0; j < LANES && key0 + j < n_key; j++) {
      const float weight = __shfl_sync(MV_FULL_WARP, p, j);
      const size_t at = key_at(a, span, 1, kv, key0 + j);
#pragma unroll
      for (int i = 0; i < MAX_COLUMNS; i++)
        if (i * LANES + lane < a.d)
          o[i] += weight * load(a.kv_dtype, a.keys.v, at + (size_t)(i * LANES + lane));
    }
  }
#pragma unroll
  for (int i = 0; i < MAX_COLUMNS; i++) {
    const int c = i * LANES + lane;
    if (c >= a.d) break;
    const size_t at = r * (size_t)a.ldo + (size_t)(head * a.d + c);
    if (a.out_dtype == MV_DTYPE_F32)
      ((float *)a.out)[at] = o[i] / sum;
    else
      ((mv_bf16 *)a.out)[at] = mv_bf16_round(o[i] / sum);
  }
}

void mv_attention_plain(mv_device *device, const mv_attention_dims *dims, const mv_plain_keys *keys,
                        int n_span, int max_row, const void *q, void *out) {
  plain_args a;
  memset(&a, 0, sizeof a);
  a.keys = *keys;
  a.q = q;
  a.out = out;
  a.n_kv = dims->n_kv;
  a.group = dims->n_head / dims->n_kv;
  a.d = dims->d_head;
  a.ldq = dims->ldq;
  a.ldkv = dims->ldkv;
  a.ldo = dims->ldo;
  a.dtype = dims->dtype;
  a.kv_dtype = keys->pages ? dims->kv_dtype : dims->dtype;
  a.out_dtype = dims->out_dtype;
  a.scale = (float)(1 / sqrt((double)dims->d_head));
  mv_cuda_launch(device, "attention", plain_kernel,
                 dim3((unsigned)max_row, (unsigned)n_span, (unsigned)dims->n_head), dim3(LANES), 0,
                 a);
}
