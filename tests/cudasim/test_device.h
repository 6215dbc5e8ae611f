/* Arrays on the emulated device and numbers to fill them with, for the tests here. */
#ifndef MV_CUDASIM_TEST_DEVICE_H
#define MV_CUDASIM_TEST_DEVICE_H

#include <check.h>
#include <math.h>

#include <vector>

#include "kernels/cuda_port.h"
#include "tests/cudasim/sim.h"

#define ck_cuda(call) ck_assert_msg((call) == cudaSuccess, "%s", sim_report_text(0))

template <class T>
struct device_array { /* owns memory of the device */
  T *p = nullptr;
  size_t n;
  explicit device_array(size_t n_) : n(n_) { ck_cuda(cudaMalloc((void **)&p, n * sizeof(T))); }
  explicit device_array(const std::vector<T> &v) : device_array(v.size()) {
    ck_cuda(cudaMemcpy(p, v.data(), n * sizeof(T), cudaMemcpyHostToDevice));
  }
  device_array(const device_array &) = delete;
  ~device_array() { cudaFree(p); }
  /* What is there now; the caller has waited for it. */
  std::vector<T> get() const {
    std::vector<T> v(n);
    if (cudaMemcpy(v.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost) != cudaSuccess) v.clear();
    return v;
  }
};

/* Small integers: sums and products of them are exact in bf16 and f32, whatever the order. */
static inline float small_number(unsigned i) { return (float)((int)(i * 2654435761u >> 28) - 8); }

static inline std::vector<float> small_floats(size_t n, unsigned seed) {
  std::vector<float> v(n);
  for (size_t i = 0; i < n; i++) v[i] = small_number((unsigned)i * 31 + seed);
  return v;
}

static inline std::vector<mv_bf16> small_bf16(size_t n, unsigned seed) {
  std::vector<mv_bf16> v(n);
  for (size_t i = 0; i < n; i++) v[i] = __float2bfloat16(small_number((unsigned)i * 31 + seed));
  return v;
}

#endif
