/* Runs a sample on made-up numbers and says whether the result is right. */
#ifndef MV_CUDASIM_SAMPLES_RUN_H
#define MV_CUDASIM_SAMPLES_RUN_H

#include "tests/cudasim/samples.h"
#include "tests/cudasim/test_device.h"

static inline bool run_row_sum(sample_bug bug, int n_row, int d) {
  std::vector<float> x = small_floats((size_t)n_row * (size_t)d, 1);
  device_array<float> dx(x), dy((size_t)n_row);
  sample_row_sum(bug, dx.p, dy.p, n_row, d, nullptr);
  cudaDeviceSynchronize();
  std::vector<float> y = dy.get();
  for (int r = 0; r < n_row && !y.empty(); r++) {
    float want = 0;
    for (int i = 0; i < d; i++) want += x[(size_t)(r * d + i)];
    if (!(y[(size_t)r] == want)) return false;
  }
  return !y.empty();
}

static inline bool run_warp_sum(sample_bug bug, int n_warp) {
  std::vector<float> x = small_floats((size_t)n_warp * 32, 2);
  device_array<float> dx(x), dy((size_t)n_warp);
  sample_warp_sum(bug, dx.p, dy.p, n_warp, nullptr);
  cudaDeviceSynchronize();
  std::vector<float> y = dy.get();
  for (size_t w = 0; w < y.size(); w++) {
    float want = 0;
    for (size_t i = 0; i < 32; i++) want += x[w * 32 + i];
    if (!(y[w] == want)) return false;
  }
  return !y.empty();
}

static inline bool run_tile_sum(sample_bug bug, int n_tile) {
  std::vector<float> x = small_floats((size_t)n_tile * 128, 3);
  device_array<float> dx(x), dy(128);
  sample_tile_sum(bug, dx.p, dy.p, n_tile, nullptr);
  cudaDeviceSynchronize();
  std::vector<float> y = dy.get();
  for (size_t t = 0; t < y.size(); t++) {
    float want = 0;
    for (size_t i = 0; i < (size_t)n_tile; i++) want += x[i * 128 + (t + 1) % 128];
    if (!(y[t] == want)) return false;
  }
  return !y.empty();
}

static inline bool run_product(sample_bug bug, int ld = 64) {
  const size_t rows = (size_t)ld;
  std::vector<mv_bf16> a = small_bf16(16 * rows, 4), b = small_bf16(64 * rows, 5);
  device_array<mv_bf16> da(a), db(b);
  device_array<float> dc(16 * 64);
  sample_product(bug, da.p, db.p, dc.p, ld, nullptr);
  cudaDeviceSynchronize();
  std::vector<float> c = dc.get();
  for (size_t i = 0; i < c.size(); i++) {
    float want = 0;
    for (size_t k = 0; k < 64; k++)
      want += __bfloat162float(a[i / 64 * rows + k]) * __bfloat162float(b[i % 64 * rows + k]);
    if (!(c[i] == want)) return false;
  }
  return !c.empty();
}

static inline bool run_split_sum(sample_bug bug, int n, int n_block) {
  std::vector<float> x = small_floats((size_t)n, 6);
  device_array<float> dx(x), dy(1), part((size_t)n_block);
  device_array<unsigned> count(std::vector<unsigned>(1, 0));
  float want = 0;
  for (float v : x) want += v;
  for (int again = 0; again < 2; again++) { /* the counter comes back to zero */
    sample_split_sum(bug, dx.p, dy.p, part.p, count.p, n, n_block, nullptr);
    cudaDeviceSynchronize();
    std::vector<float> y = dy.get();
    if (y.empty() || !(y[0] == want)) return false;
  }
  return true;
}

static inline bool run_grid_scan(sample_bug bug, int n_block) {
  std::vector<float> x = small_floats((size_t)n_block * 32, 7);
  device_array<float> dx(x), dy((size_t)n_block), part((size_t)n_block);
  device_array<uint32_t> count(std::vector<uint32_t>(1, 0));
  sample_grid_scan(bug, dx.p, dy.p, part.p, count.p, n_block, nullptr);
  cudaDeviceSynchronize();
  std::vector<float> y = dy.get();
  float want = 0;
  for (size_t b = 0; b < y.size(); b++) {
    for (size_t i = 0; i < 32; i++) want += x[b * 32 + i];
    if (!(y[b] == want)) return false;
  }
  return !y.empty();
}

static inline bool run_overlap(sample_bug bug) {
  std::vector<float> w = small_floats(100, 1), x = small_floats(100, 2);
  device_array<float> dw(w), dx(x), dy(x.size()), dz(x.size());
  sample_overlap(bug, dw.p, dx.p, dy.p, dz.p, 100, nullptr);
  cudaDeviceSynchronize();
  std::vector<float> z = dz.get();
  for (size_t i = 0; i < z.size(); i++)
    if (!(z[i] == w[i] * (w[i] * x[i] + 1) + 1)) return false;
  return !z.empty();
}

static inline bool run_hopper_product(sample_bug bug, int m, int n, int k) {
  std::vector<mv_bf16> a = small_bf16((size_t)(m * k), 8), b = small_bf16((size_t)(n * k), 9);
  device_array<mv_bf16> da(a), db(b), dc((size_t)(m * n));
  sample_hopper_product(bug, da.p, db.p, dc.p, m, n, k, nullptr);
  cudaDeviceSynchronize();
  std::vector<mv_bf16> c = dc.get();
  for (size_t i = 0; i < c.size(); i++) {
    float want = 0;
    for (size_t j = 0; j < (size_t)k; j++)
      want += __bfloat162float(a[i / (size_t)n * (size_t)k + j]) *
              __bfloat162float(b[i % (size_t)n * (size_t)k + j]);
    if (__bfloat16_as_ushort(c[i]) != __bfloat16_as_ushort(__float2bfloat16(want))) return false;
  }
  return !c.empty();
}

#endif
