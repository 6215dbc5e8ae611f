/* Device and pinned memory. Addresses are never used twice, so that a stale pointer stays
 * recognisable; between allocations lie 256 forbidden bytes; fresh memory is NaN. */
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

namespace sim {

region device_region = {nullptr, (size_t)64 << 30, 0};
region pinned_region = {nullptr, (size_t)16 << 30, 0};

namespace {

std::mutex mutex; /* of all below: kernels' reports look here, too */
std::map<uintptr_t, allocation> allocations;
std::map<uintptr_t, size_t> registered; /* cudaHostRegister */
size_t live_bytes;                      /* of the device */

void *take(region *r, size_t n_bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  const bool is_device = r == &device_region;
  const size_t whole = (n_bytes + 255) / 256 * 256 + 256;
  if (is_device && n_bytes > config.memory_bytes - live_bytes) return nullptr;
  if (!r->base) {
    void *p = mmap(nullptr, r->capacity, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return nullptr;
    r->base = (unsigned char *)p;
    r->top = 256;
  }
  if (whole > r->capacity - r->top) return nullptr;
  unsigned char *p = r->base + r->top;
  r->top += whole;
  allocations[(uintptr_t)p] = {n_bytes, false, is_device};
  if (is_device) live_bytes += n_bytes;
  __asan_poison_memory_region(p, whole);
  __asan_unpoison_memory_region(p, n_bytes);
  memset(p, 0xff, n_bytes);
  if (is_device) check_alloc(p, n_bytes);
  return p;
}

cudaError_t give_back(void *p, bool is_device) {
  std::lock_guard<std::mutex> lock(mutex);
  auto found = allocations.find((uintptr_t)p);
  if (found == allocations.end() || found->second.is_freed ||
      found->second.is_device != is_device) {
    report("free", "%p is not a live allocation", p);
    return cudaErrorInvalidValue;
  }
  allocation *a = &found->second;
  a->is_freed = true;
  if (is_device) {
    live_bytes -= a->n_bytes;
    check_free(p, a->n_bytes);
  }
  const size_t whole = (a->n_bytes + 255) / 256 * 256;
  uintptr_t first_page = ((uintptr_t)p + 4095) & ~(uintptr_t)4095;
  uintptr_t end_page = ((uintptr_t)p + whole) & ~(uintptr_t)4095;
  if (end_page > first_page) madvise((void *)first_page, end_page - first_page, MADV_DONTNEED);
  __asan_poison_memory_region(p, whole);
  return cudaSuccess;
}

/* The allocation at or below p, or end(). */
std::map<uintptr_t, allocation>::iterator below(const void *p) {
  auto it = allocations.upper_bound((uintptr_t)p);
  return it == allocations.begin() ? allocations.end() : --it;
}

bool is_pinned(const void *p) {
  if (pinned_region.holds(p)) return true;
  std::lock_guard<std::mutex> lock(mutex);
  auto it = registered.upper_bound((uintptr_t)p);
  if (it == registered.begin()) return false;
  --it;
  return (uintptr_t)p < it->first + it->second;
}

bool direction_ok(const void *dst, const void *src, cudaMemcpyKind kind) {
  const bool to_device = device_region.holds(dst), from_device = device_region.holds(src);
  bool ok = kind == cudaMemcpyDefault ||
            (to_device == (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice) &&
             from_device == (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice));
  if (!ok) report("memcpy", "kind %d with destination %p, source %p", (int)kind, dst, src);
  return ok;
}

cudaError_t copy(void *dst, const void *src, size_t n_bytes, cudaMemcpyKind kind) {
  if (sticky()) return sticky();
  if (!n_bytes) return cudaSuccess;
  if (!direction_ok(dst, src, kind)) return cudaErrorInvalidMemcpyDirection;
  if (!range_ok(dst, n_bytes, "memcpy destination", true) ||
      !range_ok(src, n_bytes, "memcpy source", true))
    return cudaErrorInvalidValue;
  memcpy(dst, src, n_bytes);
  check_host_write(dst, n_bytes);
  return cudaSuccess;
}

/* Runs `op` behind the stream's work. Pageable memory: CUDA reads a source before it returns, and
 * has written a destination by then. */
cudaError_t copy_async(void *dst, const void *src, size_t n_bytes, cudaMemcpyKind kind,
                       cudaStream_t stream) {
  const bool from_pageable = !device_region.holds(src) && !is_pinned(src);
  const bool to_pageable = !device_region.holds(dst) && !is_pinned(dst);
  const bool captured = stream_is_capturing(stream);
  note_kernel(stream, false);
  if (from_pageable && !captured && n_bytes) {
    auto staged =
        std::make_shared<std::vector<char>>((const char *)src, (const char *)src + n_bytes);
    return submit(stream, [=] {
      if (!direction_ok(dst, src, kind)) return cudaErrorInvalidMemcpyDirection;
      return copy(dst, staged->data(), n_bytes, cudaMemcpyDefault);
    });
  }
  cudaError_t error = submit(stream, [=] { return copy(dst, src, n_bytes, kind); });
  if (to_pageable && !captured && error == cudaSuccess) error = drain_stream(stream);
  return error;
}

cudaError_t set(void *dst, int value, size_t n_bytes) {
  if (sticky()) return sticky();
  if (!range_ok(dst, n_bytes, "memset", false)) return cudaErrorInvalidValue;
  memset(dst, value, n_bytes);
  check_host_write(dst, n_bytes);
  return cudaSuccess;
}

}  // namespace

std::string describe_address(const void *p) {
  std::lock_guard<std::mutex> lock(mutex);
  auto it = below(p);
  if (it == allocations.end()) return "below every allocation";
  char text[128];
  snprintf(text, sizeof text, "%zu bytes into an allocation of %zu bytes%s",
           (size_t)((uintptr_t)p - it->first), it->second.n_bytes,
           it->second.is_freed ? " that was freed" : "");
  return text;
}

bool range_ok(const void *p, size_t n_bytes, const char *what, bool host_ok) {
  if (!device_region.holds(p) && !pinned_region.holds(p)) {
    if (!host_ok) report(what, "%p is not device memory", p);
    return host_ok;
  }
  {
    std::lock_guard<std::mutex> lock(mutex);
    auto it = below(p);
    if (it != allocations.end() && !it->second.is_freed &&
        (uintptr_t)p + n_bytes <= it->first + it->second.n_bytes)
      return true;
  }
  report(what, "%zu bytes at %p, %s", n_bytes, p, describe_address(p).c_str());
  return false;
}

}  // namespace sim

using namespace sim;

extern "C" {

cudaError_t cudaMalloc(void **ptr, size_t n_bytes) {
  API_BEGIN();
  if (refused_in_capture("cudaMalloc")) return remember(cudaErrorStreamCaptureUnsupported);
  *ptr = n_bytes ? take(&device_region, n_bytes) : nullptr;
  return remember(*ptr || !n_bytes ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaFree(void *ptr) {
  API_BEGIN();
  if (!ptr) return cudaSuccess;
  if (refused_in_capture("cudaFree")) return remember(cudaErrorStreamCaptureUnsupported);
  cudaError_t error = drain_all_streams();
  cudaError_t freed = give_back(ptr, true);
  return remember(error ? error : freed);
}

cudaError_t cudaMallocAsync(void **ptr, size_t n_bytes, cudaStream_t stream) {
  API_BEGIN();
  if (stream_is_capturing(stream) && refused_in_capture("cudaMallocAsync"))
    return remember(cudaErrorNotSupported);
  *ptr = n_bytes ? take(&device_region, n_bytes) : nullptr;
  return remember(*ptr || !n_bytes ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeAsync(void *ptr, cudaStream_t stream) {
  API_BEGIN();
  if (!ptr) return cudaSuccess;
  if (stream_is_capturing(stream) && refused_in_capture("cudaFreeAsync"))
    return remember(cudaErrorNotSupported);
  return remember(submit(stream, [=] { return give_back(ptr, true); }));
}

cudaError_t cudaHostAlloc(void **ptr, size_t n_bytes, unsigned) {
  API_BEGIN();
  if (refused_in_capture("cudaHostAlloc")) return remember(cudaErrorStreamCaptureUnsupported);
  *ptr = n_bytes ? take(&pinned_region, n_bytes) : nullptr;
  return remember(*ptr || !n_bytes ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaMallocHost(void **ptr, size_t n_bytes) { return cudaHostAlloc(ptr, n_bytes, 0); }

cudaError_t cudaFreeHost(void *ptr) {
  API_BEGIN();
  if (!ptr) return cudaSuccess;
  if (refused_in_capture("cudaFreeHost")) return remember(cudaErrorStreamCaptureUnsupported);
  cudaError_t error = drain_all_streams();
  cudaError_t freed = give_back(ptr, false);
  return remember(error ? error : freed);
}

cudaError_t cudaHostRegister(void *ptr, size_t n_bytes, unsigned) {
  API_BEGIN();
  if (refused_in_capture("cudaHostRegister")) return remember(cudaErrorStreamCaptureUnsupported);
  std::lock_guard<std::mutex> lock(mutex);
  if (!ptr || !n_bytes || registered.count((uintptr_t)ptr)) return remember(cudaErrorInvalidValue);
  registered[(uintptr_t)ptr] = n_bytes;
  return cudaSuccess;
}

cudaError_t cudaHostUnregister(void *ptr) {
  API_BEGIN();
  if (refused_in_capture("cudaHostUnregister")) return remember(cudaErrorStreamCaptureUnsupported);
  cudaError_t error = drain_all_streams();
  std::lock_guard<std::mutex> lock(mutex);
  if (!registered.erase((uintptr_t)ptr)) return remember(cudaErrorInvalidValue);
  return remember(error);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *ptr) {
  API_BEGIN();
  const bool on_device = device_region.holds(ptr), pinned = is_pinned(ptr);
  attributes->type = on_device ? cudaMemoryTypeDevice
                     : pinned  ? cudaMemoryTypeHost
                               : cudaMemoryTypeUnregistered;
  attributes->device = on_device || pinned ? 0 : -1;
  attributes->devicePointer = on_device || pinned ? (void *)(uintptr_t)ptr : nullptr;
  attributes->hostPointer = on_device ? nullptr : (void *)(uintptr_t)ptr;
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t n_bytes, cudaMemcpyKind kind) {
  API_BEGIN();
  if (refused_in_capture("cudaMemcpy")) return remember(cudaErrorStreamCaptureUnsupported);
  synchronise_blocking_streams();
  return remember(copy(dst, src, n_bytes, kind));
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t n_bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  API_BEGIN();
  return remember(copy_async(dst, src, n_bytes, kind, stream));
}

cudaError_t cudaMemcpy2DAsync(void *dst, size_t dst_pitch, const void *src, size_t src_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  API_BEGIN();
  if (width > dst_pitch || width > src_pitch) return remember(cudaErrorInvalidValue);
  for (size_t i = 0; i < height; i++) {
    cudaError_t error = copy_async((char *)dst + i * dst_pitch, (const char *)src + i * src_pitch,
                                   width, kind, stream);
    if (error) return remember(error);
  }
  return cudaSuccess;
}

cudaError_t cudaMemset(void *dst, int value, size_t n_bytes) {
  return cudaMemsetAsync(dst, value, n_bytes, nullptr);
}

cudaError_t cudaMemsetAsync(void *dst, int value, size_t n_bytes, cudaStream_t stream) {
  API_BEGIN();
  note_kernel(stream, false);
  return remember(submit(stream, [=] { return set(dst, value, n_bytes); }));
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
  API_BEGIN();
  std::lock_guard<std::mutex> lock(mutex);
  *total_bytes = config.memory_bytes;
  *free_bytes = config.memory_bytes - live_bytes;
  return cudaSuccess;
}

}  // extern "C"
