#include "kernels/range.h"

#if defined(__has_include)
#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h> /* header only: finds a profiler at run time, if there is one */
#define HAS_NVTX 1
#endif
#endif

#ifdef HAS_NVTX

void mv_range_begin(const mv_device *device, const char *name) {
  if (device->ranges) nvtxRangePushA(name);
}

void mv_range_end(const mv_device *device) {
  if (device->ranges) nvtxRangePop();
}

uint64_t mv_range_open(const mv_device *device, const char *name) {
  return device->ranges ? nvtxRangeStartA(name) : 0;
}

void mv_range_close(const mv_device *device, uint64_t range) {
  if (device->ranges) nvtxRangeEnd(range);
}

#else

void mv_range_begin(const mv_device *device, const char *name) {
  (void)device;
  (void)name;
}

void mv_range_end(const mv_device *device) { (void)device; }

uint64_t mv_range_open(const mv_device *device, const char *name) {
  (void)device;
  (void)name;
  return 0;
}

void mv_range_close(const mv_device *device, uint64_t range) {
  (void)device;
  (void)range;
}

#endif
