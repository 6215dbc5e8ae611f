/* patches on CUDA: contract in kernels/patches.h.
 *
 * Plan  A block takes a row, a thread every so many-th pixel of it, which it writes `temporal`
 *       times. The image and the table stay in the caches; what counts are the rows written. */
#include "kernels/patches.h"

#include "kernels/cuda_rows.h"
/* after cuda_port.h */
#include "kernels/cuda.h"

namespace {

constexpr int THREADS = 256;

template <class Y>
__global__ void __launch_bounds__(THREADS)
    patches_kernel(mv_patches_dims d, const uint8_t *pixels, const float *value,
                   const int32_t *order, Y *out) {
  mv_pdl_enter();
  const int plane = d.side * d.side, group = d.merge * d.merge, block = d.side * d.merge;
  const int patch = order ? order[blockIdx.x] : (int)blockIdx.x;
  const int at = patch / group, in = patch % group, n_across = d.width / block;
  const int y0 = at / n_across * block + in / d.merge * d.side;
  const int x0 = at % n_across * block + in % d.merge * d.side;
  Y *row = out + (size_t)blockIdx.x * (3 * d.temporal * plane);
  for (int i = (int)threadIdx.x; i < 3 * plane; i += (int)blockDim.x) {
    const int c = i / plane, j = i % plane;
    const size_t pixel = (size_t)(y0 + j / d.side) * d.width + x0 + j % d.side;
    const float v = value[256 * c + pixels[pixel * d.channels + (d.channels == 3 ? c : 0)]];
    for (int t = 0; t < d.temporal; t++) mv_narrow(row + (c * d.temporal + t) * plane + j, v);
  }
}

}  // namespace

void mv_patches_cuda(mv_device *device, const mv_patches_dims *dims, const uint8_t *pixels,
                     const float *value, const int32_t *order, void *out) {
  const int n_row = mv_patches_rows(dims);
  if (n_row == 0) return;
  mv_with_type(dims->dtype, [&](auto a) {
    using Y = decltype(a);
    mv_cuda_launch(device, "patches", patches_kernel<Y>, dim3((unsigned)n_row), dim3(THREADS), 0,
                   *dims, pixels, value, order, (Y *)out);
  });
}
