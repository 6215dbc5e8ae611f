/* Where the table of operations is chosen: the only place that asks whether CUDA was built in. */
#include <stdlib.h>
#include <string.h>

#include "kernels/ops.h"

#ifdef MV_HAVE_CUDA
static mv_status open_cuda(mv_device *device, const mv_ops **ops, int ordinal, mv_error *err) {
  mv_error unkept; /* without a folder for them, times are measured anew: no reason to stop */
  *ops = &mv_ops_cuda;
  MV_TRY(mv_device_open_cuda(device, ordinal, err));
  mv_linear_cuda_table(device, NULL, &unkept);
  mv_status status = mv_device_status(device, err);
  if (status != MV_OK) mv_device_close_cuda(device);
  return status;
}
static void close_cuda(mv_device *device) { mv_device_close_cuda(device); }
#else
static mv_status open_cuda(mv_device *device, const mv_ops **ops, int ordinal, mv_error *err) {
  (void)device;
  (void)ops;
  return mv_fail(err, MV_ERR_UNSUPPORTED,
                 "cuda:%d: this build has no CUDA backend (use --device cpu)", ordinal);
}
static void close_cuda(mv_device *device) { (void)device; }
#endif

/* "cuda" or "cuda:N", N of up to three digits; -1 for anything else. */
static int ordinal_of(const char *name) {
  if (strncmp(name, "cuda", 4) != 0) return -1;
  if (name[4] == 0) return 0;
  size_t n_digit = strspn(name + 5, "0123456789");
  if (name[4] != ':' || n_digit == 0 || n_digit > 3 || name[5 + n_digit] != 0) return -1;
  return atoi(name + 5);
}

mv_status mv_device_open(mv_device *device, const mv_ops **ops, const char *name, int n_thread,
                         mv_error *err) {
  int is_auto = !name || strcmp(name, "auto") == 0;
  *ops = NULL;
  if (is_auto) {
    mv_status status = open_cuda(device, ops, 0, err);
    if (status != MV_ERR_UNSUPPORTED) {
      if (status != MV_OK) *ops = NULL;
      return status;
    }
  }
  if (is_auto || strcmp(name, "cpu") == 0) {
    mv_status status = mv_device_open_cpu(device, n_thread, NULL, err);
    *ops = status == MV_OK ? &mv_ops_cpu : NULL;
    return status;
  }
  int ordinal = ordinal_of(name);
  if (ordinal < 0)
    return mv_fail(err, MV_ERR_USAGE, "device %s: expected auto, cpu or cuda[:N]", name);
  mv_status status = open_cuda(device, ops, ordinal, err);
  if (status != MV_OK) *ops = NULL;
  return status;
}

void mv_device_close(mv_device *device, const mv_ops *ops) {
  if (!ops) return;
  if (strcmp(ops->name, "cpu") == 0)
    mv_device_close_cpu(device);
  else
    close_cuda(device);
}
