/* rope_table, rope and rope_kv on CUDA: contracts in kernels/rope.h and kernels/attention.h.
 *
 * Plan  rope_table: a thread per angle. The angle is reduced to [-pi/4, pi/4] in double, where the
 *       product with a quotient of 24 bits is exact enough for every f32 angle up to 2^30; the
 *       library's own reduction would cost every thread a stack frame.
 *       rope, rope_kv: a block a row; a thread keeps the cosines and sines of one chunk of
 *       frequencies and turns that chunk of every n-th head, so the table is read once a row and
 *       not once a head. The step's plan has one slot a row in place of page tables. */
#include "kernels/rope.h"

#include <assert.h>

#include "kernels/attention.h"
#include "kernels/cuda_rows.h"
/* after cuda_port.h */
#include "kernels/cuda.h"

namespace {

constexpr int THREADS = 512; /* a row of the decoder at once */

/* sin and cos of x in [-pi/4, pi/4], to an ulp (coefficients of Cephes' sinf and cosf). */
MV_DEV float sin_near(float x) {
  const float z = x * x;
  return fmaf(fmaf(fmaf(-1.9515295891e-4f, z, 8.3321608736e-3f), z, -1.6666654611e-1f) * z, x, x);
}

MV_DEV float cos_near(float x) {
  const float z = x * x;
  const float tail =
      fmaf(fmaf(2.443315711809948e-5f, z, -1.388731625493765e-3f), z, 4.166664568298827e-2f);
  return fmaf(tail * z, z, fmaf(-0.5f, z, 1.0f));
}

MV_DEV float2 cos_sin(float angle) {
  const double quarter = rint((double)angle * 0.63661977236758134308); /* of pi/2 */
  double rest = fma(quarter, -1.57079632679489655800, (double)angle);
  rest = fma(quarter, -6.12323399573676603587e-17, rest);
  const float s = sin_near((float)rest), c = cos_near((float)rest);
  switch ((int)((long long)quarter & 3)) {
    case 0:
      return make_float2(c, s);
    case 1:
      return make_float2(-s, c);
    case 2:
      return make_float2(-c, -s);
    default:
      return make_float2(s, -c);
  }
}

__global__ void __launch_bounds__(THREADS)
    rope_table_kernel(const int32_t *position, const float *inv_freq, const uint8_t *axis,
                      float *table, int n_row, int n_freq) {
  mv_pdl_enter();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= (unsigned)n_row * (unsigned)n_freq) return;
  const unsigned row = i / (unsigned)n_freq, f = i % (unsigned)n_freq;
  /* one product, rounded: __fmul_rn is never contracted */
  const float angle = __fmul_rn((float)position[(size_t)axis[f] * n_row + row], inv_freq[f]);
  mv_st_f2(table + 2 * (size_t)i, cos_sin(angle));
}

/* Rotates n_head heads of a row where they are. With slots, 2 n_kv heads follow: keys, rotated, and
 * values go to the row's slot of the cache, [page][2][n_kv][64][d_head]; rows with a slot below 0
 * are left alone. */
template <int N, class X, class Y>
__global__ void __launch_bounds__(THREADS)
    rope_kernel(X *x, const float *table, const int32_t *slots, Y *cache, int n_head, int n_kv,
                int d_head, int ldx) {
  mv_pdl_enter();
  const int half = d_head / 2, n_chunk = half / N;
  const int chunk = (int)threadIdx.x % n_chunk * N;
  const int per_pass = (int)blockDim.x / n_chunk;
  const int first = (int)threadIdx.x / n_chunk;
  const int slot = slots ? slots[blockIdx.x] : 0;
  if (slot < 0 || first >= per_pass) return; /* the last threads, when n_chunk does not divide */
  float cos_sin_of[2 * N];
  const float *angles = table + (size_t)blockIdx.x * d_head + 2 * chunk;
  if constexpr (N == 1) {
    cos_sin_of[0] = angles[0], cos_sin_of[1] = angles[1];
  } else {
    mv_chunk_load<2 * N>(cos_sin_of, angles);
  }
  const size_t page = (size_t)(slot / MV_PAGE_TOKENS) * 2 * n_kv;
  for (int h = first; h < n_head + 2 * n_kv; h += per_pass) {
    X *head = x + (size_t)blockIdx.x * ldx + (size_t)h * d_head + chunk;
    float a[N], b[N], u[N], v[N];
    mv_chunk_load<N>(a, head);
    mv_chunk_load<N>(b, head + half);
#pragma unroll
    for (int i = 0; i < N; i++) {
      const bool turns = h < n_head + n_kv; /* values stay as they are */
      const float c = cos_sin_of[2 * i], s = cos_sin_of[2 * i + 1];
      u[i] = turns ? a[i] * c - b[i] * s : a[i];
      v[i] = turns ? b[i] * c + a[i] * s : b[i];
    }
    if (h < n_head) {
      mv_chunk_store<N>(head, u);
      mv_chunk_store<N>(head + half, v);
    } else {
      const size_t plane = page + (size_t)(h - n_head);
      Y *to = cache + (plane * MV_PAGE_TOKENS + slot % MV_PAGE_TOKENS) * d_head + chunk;
      mv_chunk_store<N>(to, u);
      mv_chunk_store<N>(to + half, v);
    }
  }
}

template <class X, class Y>
void launch(mv_device *device, const char *name, const mv_attention_dims *dims, X *x,
            const float *table, const int32_t *slots, Y *cache) {
  constexpr int N = mv_chunk_of<X, Y>();
  const int half = dims->d_head / 2;
  const bool vectors =
      half % N == 0 && mv_all_aligned(x, table, cache, (size_t)dims->ldq * sizeof(X));
  const int n_chunk = (vectors ? half / N : half) * (dims->n_head + 2 * dims->n_kv);
  mv_cuda_launch(device, name, vectors ? rope_kernel<N, X, Y> : rope_kernel<1, X, Y>,
                 dim3((unsigned)dims->n_row), dim3(mv_row_threads(n_chunk, THREADS)), 0, x, table,
                 slots, cache, dims->n_head, dims->n_kv, dims->d_head, dims->ldq);
}

}  // namespace

void mv_rope_table_cuda(mv_device *device, const mv_rope_table_dims *dims, const int32_t *position,
                        const float *inv_freq, const uint8_t *axis, float *table) {
  const unsigned n = (unsigned)dims->n_row * (unsigned)dims->n_freq;
  if (n == 0) return;
  mv_cuda_launch(device, "rope_table", rope_table_kernel, dim3((n + THREADS - 1) / THREADS),
                 dim3(THREADS), 0, position, inv_freq, axis, table, dims->n_row, dims->n_freq);
}

void mv_rope_cuda(mv_device *device, const mv_rope_dims *dims, const float *table, void *x) {
  assert(dims->d_head % 2 == 0 && dims->d_head <= 2 * THREADS);
  if (dims->n_row == 0 || dims->n_head == 0) return;
  mv_attention_dims heads = {};
  heads.n_row = dims->n_row;
  heads.n_head = dims->n_head;
  heads.d_head = dims->d_head;
  heads.ldq = dims->ldx;
  mv_with_type(dims->dtype, [&](auto a) {
    using X = decltype(a);
    launch(device, "rope", &heads, (X *)x, table, nullptr, (X *)nullptr);
  });
}

void mv_rope_kv_cuda(mv_device *device, const mv_attention_dims *dims, const mv_seq_plan *plan,
                     const float *table, void *qkv, void *cache) {
  assert(dims->d_head % 2 == 0 && dims->d_head <= 2 * THREADS);
  if (dims->n_row == 0 || device->error.code != MV_OK) return;
  const int32_t *slots = ((const mv_cuda_plan *)plan->impl)->slots;
  mv_with_type(dims->dtype, [&](auto a) {
    mv_with_type(dims->kv_dtype, [&](auto b) {
      launch(device, "rope_kv", dims, (decltype(a) *)qkv, table, slots, (decltype(b) *)cache);
    });
  });
}
