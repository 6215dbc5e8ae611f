/* The device, its errors, and errors made to order. */
#include <string.h>

#include "internal.h"

namespace sim {

namespace {

thread_local cudaError_t last_error;
thread_local int chosen; /* the thread's device */
std::atomic<cudaError_t> sticky_error{cudaSuccess};
long fail_in = -1, n_call;
cudaError_t fail_with;

struct error_name {
  cudaError_t error;
  const char *name, *text;
};

const error_name error_names[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInvalidDevicePointer, "cudaErrorInvalidDevicePointer", "invalid device pointer"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection",
     "invalid copy direction for memcpy"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorCooperativeLaunchTooLarge, "cudaErrorCooperativeLaunchTooLarge",
     "too many blocks in cooperative launch"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const error_name &named(cudaError_t error) {
  for (const error_name &e : error_names)
    if (e.error == error) return e;
  return error_names[sizeof error_names / sizeof *error_names - 1];
}

bool no_device() { return config.devices <= 0; }

}  // namespace

int current_device(void) { return chosen; }

cudaError_t remember(cudaError_t error) {
  if (error) last_error = error;
  return error;
}

void set_sticky(cudaError_t error) {
  sticky_error = error;
  if (!error) last_error = error;
}

cudaError_t sticky(void) { return sticky_error; }

cudaError_t begin_call(void) {
  n_call++;
  if (fail_in >= 0 && fail_in-- == 0) return remember(fail_with);
  if (no_device()) return remember(cudaErrorNoDevice);
  return remember(sticky_error);
}

}  // namespace sim

using namespace sim;

extern "C" {

long sim_fail_call(long k, int error) {
  std::lock_guard<std::recursive_mutex> lock(api_mutex);
  long counted = n_call;
  fail_in = k;
  fail_with = (cudaError_t)error;
  n_call = 0;
  return counted;
}

const char *cudaGetErrorString(cudaError_t error) { return named(error).text; }
const char *cudaGetErrorName(cudaError_t error) { return named(error).name; }

cudaError_t cudaGetLastError(void) {
  cudaError_t error = last_error;
  last_error = sticky();
  return error;
}

cudaError_t cudaPeekAtLastError(void) { return last_error; }

cudaError_t cudaGetDeviceCount(int *count) {
  std::lock_guard<std::recursive_mutex> lock(api_mutex);
  *count = config.devices > 0 ? config.devices : 0;
  return *count ? cudaSuccess : remember(cudaErrorNoDevice);
}

cudaError_t cudaGetDevice(int *device) {
  API_BEGIN();
  *device = chosen;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  API_BEGIN();
  if (device < 0 || device >= config.devices) return remember(cudaErrorInvalidDevice);
  chosen = device; /* memory is one, whatever number of devices is claimed; streams have theirs */
  return cudaSuccess;
}

cudaError_t cudaSetDeviceFlags(unsigned) { return cudaSuccess; }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *prop, int device) {
  API_BEGIN();
  if (device < 0 || device >= config.devices) return remember(cudaErrorInvalidDevice);
  *prop = {};
  snprintf(prop->name, sizeof prop->name, "emulated sm_%d", config.arch);
  prop->totalGlobalMem = config.memory_bytes;
  prop->sharedMemPerBlock = 48 * 1024;
  prop->regsPerBlock = 65536;
  prop->warpSize = 32;
  prop->maxThreadsPerBlock = 1024;
  prop->maxThreadsDim[0] = prop->maxThreadsDim[1] = 1024;
  prop->maxThreadsDim[2] = 64;
  prop->maxGridSize[0] = 0x7fffffff;
  prop->maxGridSize[1] = prop->maxGridSize[2] = 65535;
  prop->major = config.arch / 10;
  prop->minor = config.arch % 10;
  prop->multiProcessorCount = config.sms;
  prop->memoryBusWidth = 5120;
  prop->l2CacheSize = 50 << 20;
  prop->maxThreadsPerMultiProcessor = 2048;
  prop->sharedMemPerBlockOptin = shared_limit(config.arch);
  prop->sharedMemPerMultiprocessor = prop->sharedMemPerBlockOptin + 1024;
  prop->cooperativeLaunch = 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attr, int device) {
  cudaDeviceProp p;
  if (cudaError_t error = cudaGetDeviceProperties(&p, device)) return error;
  switch (attr) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = p.maxThreadsPerBlock;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = (int)p.sharedMemPerBlock;
      break;
    case cudaDevAttrWarpSize:
      *value = p.warpSize;
      break;
    case cudaDevAttrClockRate:
      *value = 1980000;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = p.multiProcessorCount;
      break;
    case cudaDevAttrMemoryClockRate:
      *value = 3201000;
      break;
    case cudaDevAttrGlobalMemoryBusWidth:
      *value = p.memoryBusWidth;
      break;
    case cudaDevAttrL2CacheSize:
      *value = p.l2CacheSize;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = p.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = p.minor;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = (int)p.sharedMemPerMultiprocessor;
      break;
    case cudaDevAttrCooperativeLaunch:
      *value = p.cooperativeLaunch;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = (int)p.sharedMemPerBlockOptin;
      break;
    default:
      return remember(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

cudaError_t cudaDeviceReset(void) {
  std::lock_guard<std::recursive_mutex> lock(api_mutex);
  drain_all_streams();
  set_sticky(cudaSuccess);
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
  *version = config.devices > 0 ? config.driver : 0;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char *symbol, void **function, unsigned,
                                             unsigned long long,
                                             cudaDriverEntryPointQueryResult *result) {
  API_BEGIN();
  cudaError_t error = find_driver_function(symbol, function);
  if (result) *result = error ? cudaDriverEntryPointSymbolNotFound : cudaDriverEntryPointSuccess;
  return remember(error);
}

}  // extern "C"
