/* Named ranges of a run on the timeline of Nsight Systems (NVTX): request, vision, prefill, step,
 * layer; operations too under --profile, where each is launched alone. Off unless the model was
 * opened with options.ranges; builds without CUDA's toolkit have none. Without a profiler attached
 * a range costs nanoseconds. */
#ifndef MV_KERNELS_RANGE_H
#define MV_KERNELS_RANGE_H

#include <stdint.h>

#include "runtime/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Nested ranges of the calling thread. `name` is a literal. */
void mv_range_begin(const mv_device *device, const char *name);
void mv_range_end(const mv_device *device);

/* A range that may overlap others and end on another thread. Returns what closes it. */
uint64_t mv_range_open(const mv_device *device, const char *name);
void mv_range_close(const mv_device *device, uint64_t range);

#ifdef __cplusplus
}
#endif
#endif
