/* rope_table and rope on CUDA: contracts in kernels/rope.h.
 *
 * Plan  rope_table: a thread per angle. The angle is reduced to [-pi/4, pi/4] in double, where the
 *       product with a quotient of 24 bits is exact enough for every f32 angle up to 2^30; the
 *       library's own reduction would cost every thread a stack frame.
 *       rope: a block a row; a thread keeps the cosines and sines of one chunk of frequencies and
 *       turns that chunk of every n-th head, so the table is read once a row and not once a head.
 */
#include "kernels/rope.h"

#include <assert.h>

#include "kernels/cuda_rows.h"
/* after cuda_port.h */
#include "kernels/cuda.h"

namespace {

constexpr int THREADS = 256;

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
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= (unsigned)n_row * (unsigned)n_freq) return;
  const unsigned row = i / (unsigned)n_freq, f = i % (unsigned)n_freq;
  /* one product, rounded: __fmul_rn is never contracted */
  const float angle = __fmul_rn((float)position[(size_t)axis[f] * n_row + row], inv_freq[f]);
  mv_st_f2(table + 2 * (size_t)i, cos_sin(angle));
}

template <int N, class X>
__global__ void __launch_bounds__(THREADS)
    rope_kernel(X *x, const float *table, int n_head, int d_head, int ldx) {
  const int half = d_head / 2, n_chunk = half / N;
  const int chunk = (int)threadIdx.x % n_chunk * N;
  const int per_pass = (int)blockDim.x / n_chunk;
  const int first = (int)threadIdx.x / n_chunk;
  if (first >= per_pass) return; /* the block's last threads, when n_chunk does not divide it */
  float cos_sin_of[2 * N];
  const float *angles = table + (size_t)blockIdx.x * d_head + 2 * chunk;
  if constexpr (N == 1) {
    cos_sin_of[0] = angles[0], cos_sin_of[1] = angles[1];
  } else {
    mv_chunk_load<2 * N>(cos_sin_of, angles);
  }
  for (int h = first; h < n_head; h += per_pass) {
    X *head = x + (size_t)blockIdx.x * ldx + (size_t)h * d_head + chunk;
    float a[N], b[N], u[N], v[N];
    mv_chunk_load<N>(a, head);
    mv_chunk_load<N>(b, head + half);
#pragma unroll
    for (int i = 0; i < N; i++) {
      const float c = cos_sin_of[2 * i], s = cos_sin_of[2 * i + 1];
      u[i] = a[i] * c - b[i] * s;
      v[i] = b[i] * c + a[i] * s;
    }
    mv_chunk_store<N>(head, u);
    mv_chunk_store<N>(head + half, v);
  }
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
  mv_with_type(dims->dtype, [&](auto a) {
    using X = decltype(a);
    constexpr int N = mv_chunk_of<X, X>();
    const int half = dims->d_head / 2;
    const bool vectors = half % N == 0 && mv_all_aligned(x, table, (size_t)dims->ldx * sizeof(X));
    const int n_chunk = vectors ? half / N : half;
    const dim3 grid((unsigned)dims->n_row), block(mv_row_threads(n_chunk * dims->n_head, THREADS));
    mv_cuda_launch(device, "rope", vectors ? rope_kernel<N, X> : rope_kernel<1, X>, grid, block, 0,
                   (X *)x, table, dims->n_head, dims->d_head, dims->ldx);
  });
}
