#include "runtime/device.h"

#include "runtime/memory.h"

mv_status mv_device_status(const mv_device *device, mv_error *err) {
  if (device->error.code != MV_OK && err) *err = device->error;
  return device->error.code;
}

void mv_device_recover(mv_device *device) {
  if (device->error.code == MV_ERR_MEMORY) device->error.code = MV_OK;
}

void *mv_device_scratch(mv_device *device, size_t n_bytes) {
  if (n_bytes <= device->scratch_bytes) return device->scratch;
  mv_free_aligned(device->scratch);
  device->scratch = mv_alloc_aligned(n_bytes);
  device->scratch_bytes = device->scratch ? n_bytes : 0;
  if (!device->scratch && device->error.code == MV_OK)
    mv_fail(&device->error, MV_ERR_MEMORY, "%s: no memory for %zu bytes of scratch", device->name,
            n_bytes);
  return device->scratch;
}
