/* The CUDA device: opening it, its memory, copies through pinned memory. Steps are cuda_steps.c. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "kernels/cuda.h"
#include "runtime/env.h"
#include "runtime/memory.h"

/* Host memory is read by the copy engine from one of two pinned slots, so that filling one overlaps
 * the copy out of the other. 8 MiB is enough to hide the latency of a copy over PCIe. */
#define SLOT_BYTES ((size_t)8 << 20)
#define SPARE_BYTES ((size_t)256 << 20) /* for kernels loaded late, and graphs: an estimate */
#define MIN_ARCH 80          /* bf16 tensor cores, cp.async */
#define OVERLAP_DRIVER 12030 /* CUDA 12.3: graphs whose kernels overlap */
/* The widest buffer of a 7B model is 0.6 GiB then, and a whole prompt fills the card. */
#define SLICE_ROWS 8192
/* Up to here a step's time is that of reading the weights. */
#define FREE_ROWS 64
/* The vision tower's 3420 is not even a multiple of 16 bytes, which tensor cores and wide loads
 * want; 3456 costs 1 % more arithmetic and fills the tiles of every product. */
#define FF_MULTIPLE 64

typedef struct pinned_slot {
  char *host; /* owns, pinned */
  size_t used;
  cudaEvent_t read; /* all copies out of it are done */
} pinned_slot;

typedef struct lane_memory {
  pinned_slot slot[2];
  int current;
  char *scratch; /* owns: zero_bytes that stay zero, then scratch_bytes */
  size_t zero_bytes, scratch_bytes;
} lane_memory;

struct mv_cuda_memory {
  lane_memory lanes[MV_LANES];
  void **placed; /* owns, and each of its blocks: weights */
  size_t n_placed, max_placed;
};

int mv_cuda_check(mv_device *device, cudaError_t error, const char *what) {
  if (error != cudaSuccess) {
    cudaGetLastError(); /* what is told here need not be told again */
    if (device->error.code == MV_OK)
      mv_fail(&device->error, error == cudaErrorMemoryAllocation ? MV_ERR_MEMORY : MV_ERR_DEVICE,
              "%s: %s: %s", device->name, what, cudaGetErrorString(error));
  }
  return device->error.code == MV_OK;
}

static lane_memory *memory_of_lane(mv_device *device) {
  mv_cuda *cuda = mv_cuda_of(device);
  return &cuda->memory->lanes[cuda->lane];
}

/* ---- device memory ---- */

/* The calling thread may never have chosen a device, or another one. */
static int use(mv_device *device) {
  return device->error.code == MV_OK &&
         mv_cuda_check(device, cudaSetDevice(mv_cuda_of(device)->ordinal), "choosing the device");
}

static void *allocate(mv_device *device, size_t n_bytes, const char *what) {
  void *ptr = NULL;
  if (!use(device)) return NULL;
  cudaError_t error = cudaMalloc(&ptr, n_bytes ? n_bytes : 1);
  if (error == cudaErrorMemoryAllocation) {
    size_t n_free = 0, n_total = 0;
    cudaGetLastError();
    if (cudaMemGetInfo(&n_free, &n_total) != cudaSuccess) cudaGetLastError();
    mv_fail(&device->error, MV_ERR_MEMORY,
            "%s: no memory for %zu bytes of %s (%zu of %zu MiB are free)", device->name, n_bytes,
            what, n_free >> 20, n_total >> 20);
    return NULL;
  }
  return mv_cuda_check(device, error, what) ? ptr : NULL;
}

void *mv_cuda_alloc(mv_device *device, size_t n_bytes) {
  return allocate(device, n_bytes, "buffers");
}

/* Also after a failure, and from a thread that never chose a device. */
/* Neither lane works with it any more when it goes. */
void mv_cuda_free(mv_device *device, void *ptr) {
  if (!ptr) return;
  if (cudaSetDevice(mv_cuda_of(device)->ordinal) != cudaSuccess) cudaGetLastError();
  if (cudaDeviceSynchronize() != cudaSuccess) cudaGetLastError();
  if (cudaFree(ptr) != cudaSuccess) cudaGetLastError();
}

void mv_cuda_room(mv_device *device, size_t *n_free, size_t *n_total) {
  *n_free = *n_total = 0;
  if (use(device)) mv_cuda_check(device, cudaMemGetInfo(n_free, n_total), "asking for memory");
}

void *mv_cuda_scratch(mv_device *device, size_t n_bytes, size_t zeroed) {
  lane_memory *m = memory_of_lane(device);
  assert(zeroed % 256 == 0 && zeroed <= n_bytes);
  if (device->error.code != MV_OK) return NULL;
  size_t rest = n_bytes - zeroed;
  if (!m->scratch || zeroed > m->zero_bytes || rest > m->scratch_bytes) {
    size_t zero_bytes = mv_doubled_to(m->scratch ? m->zero_bytes : MV_ZERO_BYTES, zeroed);
    size_t scratch_bytes = mv_doubled_to(m->scratch ? m->scratch_bytes : MV_SCRATCH_BYTES, rest);
    mv_cuda_free(device, m->scratch); /* waits for the operations that use it */
    m->scratch = allocate(device, zero_bytes + scratch_bytes, "scratch");
    m->zero_bytes = zero_bytes;
    m->scratch_bytes = scratch_bytes;
    if (!m->scratch) return NULL;
    if (!mv_cuda_check(device,
                       cudaMemsetAsync(m->scratch, 0, zero_bytes, mv_cuda_of(device)->stream),
                       "scratch")) {
      mv_cuda_free(device, m->scratch);
      m->scratch = NULL;
      return NULL;
    }
  }
  return m->scratch + m->zero_bytes - zeroed;
}

/* ---- copies ---- */

/* Up to *n_bytes of pinned memory that no copy is reading; fewer when the slot is nearly full. */
static char *pinned(mv_device *device, size_t *n_bytes) {
  lane_memory *m = memory_of_lane(device);
  pinned_slot *slot = &m->slot[m->current];
  if (slot->used == SLOT_BYTES) {
    cudaStream_t stream = mv_cuda_of(device)->stream;
    if (!mv_cuda_check(device, cudaEventRecord(slot->read, stream), "copy")) return NULL;
    slot = &m->slot[m->current ^= 1];
    if (!mv_cuda_check(device, cudaEventSynchronize(slot->read), "copy")) return NULL;
    slot->used = 0;
  }
  char *at = slot->host + slot->used;
  if (*n_bytes > SLOT_BYTES - slot->used) *n_bytes = SLOT_BYTES - slot->used;
  slot->used += (*n_bytes + 255) / 256 * 256;
  return at;
}

void mv_cuda_copy_in(mv_device *device, void *dst, const void *src, size_t n_bytes) {
  if (n_bytes == 0 || !use(device)) return;
  for (size_t at = 0; at < n_bytes;) {
    size_t n = n_bytes - at;
    char *host = pinned(device, &n);
    if (!host) return;
    memcpy(host, (const char *)src + at, n);
    cudaError_t error = cudaMemcpyAsync((char *)dst + at, host, n, cudaMemcpyHostToDevice,
                                        mv_cuda_of(device)->stream);
    if (!mv_cuda_check(device, error, "upload")) return;
    at += n;
  }
}

void mv_cuda_download(mv_device *device, void *dst, const void *src, size_t n_bytes) {
  if (n_bytes == 0 || !use(device)) return;
  cudaStream_t stream = mv_cuda_of(device)->stream;
  for (size_t at = 0; at < n_bytes;) {
    size_t n = n_bytes - at;
    char *host = pinned(device, &n);
    if (!host) return;
    cudaError_t error =
        cudaMemcpyAsync(host, (const char *)src + at, n, cudaMemcpyDeviceToHost, stream);
    if (!mv_cuda_check(device, error, "download") ||
        !mv_cuda_check(device, cudaStreamSynchronize(stream), "download"))
      return;
    memcpy((char *)dst + at, host, n);
    at += n;
  }
}

const void *mv_cuda_place(mv_device *device, const void *host, size_t n_bytes) {
  struct mv_cuda_memory *m = mv_cuda_of(device)->memory;
  if (m->n_placed == m->max_placed) {
    size_t max = m->max_placed ? 2 * m->max_placed : 256;
    void **placed = mv_realloc(m->placed, max * sizeof *placed);
    if (!placed) {
      if (device->error.code == MV_OK)
        mv_fail(&device->error, MV_ERR_MEMORY, "%s: no memory for the list of weights",
                device->name);
      return NULL;
    }
    m->placed = placed;
    m->max_placed = max;
  }
  void *dev = allocate(device, n_bytes, "weights");
  if (!dev) return NULL;
  m->placed[m->n_placed++] = dev;
  if (host) mv_cuda_copy_in(device, dev, host, n_bytes);
  return device->error.code == MV_OK ? dev : NULL;
}

/* ---- opening and closing ---- */

static mv_status count_devices(int *n, mv_error *err) {
  cudaError_t error = cudaGetDeviceCount(n);
  if (error == cudaSuccess && *n > 0) return MV_OK;
  cudaGetLastError();
  if (error == cudaErrorInsufficientDriver)
    return mv_fail(err, MV_ERR_UNSUPPORTED,
                   "cuda: this machine has no NVIDIA driver, or one too old for this build (use "
                   "--device cpu)");
  if (error == cudaSuccess || error == cudaErrorNoDevice)
    return mv_fail(err, MV_ERR_UNSUPPORTED,
                   "cuda: this machine has no CUDA device (use --device cpu)");
  return mv_fail(err, MV_ERR_DEVICE, "cuda: counting devices: %s", cudaGetErrorString(error));
}

static int read_properties(mv_device *device, mv_cuda *cuda) {
  int major = 0, minor = 0, l2 = 0, shared = 0;
  const struct {
    int *value;
    enum cudaDeviceAttr attr;
  } wanted[] = {{&major, cudaDevAttrComputeCapabilityMajor},
                {&minor, cudaDevAttrComputeCapabilityMinor},
                {&cuda->n_sm, cudaDevAttrMultiProcessorCount},
                {&l2, cudaDevAttrL2CacheSize},
                {&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin}};
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
    if (!mv_cuda_check(device,
                       cudaDeviceGetAttribute(wanted[i].value, wanted[i].attr, cuda->ordinal),
                       "reading its properties"))
      return 0;
  cuda->arch = 10 * major + minor;
  cuda->l2_bytes = (size_t)l2;
  cuda->shared_bytes = (size_t)shared;
  device->cache_bytes = cuda->l2_bytes;
  device->has_side_lane = mv_env_int("MEDVISION_SIDE_LANE", 1) != 0;
  return 1;
}

static int open_slots(mv_device *device, lane_memory *m) {
  for (int i = 0; i < 2; i++) {
    pinned_slot *slot = &m->slot[i];
    void *host = NULL;
    cudaError_t error = cudaMallocHost(&host, SLOT_BYTES);
    slot->host = error == cudaSuccess ? host : NULL;
    if (!mv_cuda_check(device, error, "pinned memory") ||
        !mv_cuda_check(device, cudaEventCreateWithFlags(&slot->read, cudaEventDisableTiming),
                       "events"))
      return 0;
  }
  return 1;
}

static void close_memory(mv_device *device) {
  struct mv_cuda_memory *m = mv_cuda_of(device)->memory;
  if (!m) return;
  for (size_t i = 0; i < m->n_placed; i++) mv_cuda_free(device, m->placed[i]);
  mv_free(m->placed);
  for (int i = 0; i < MV_LANES; i++) {
    mv_cuda_free(device, m->lanes[i].scratch);
    for (int k = 0; k < 2; k++) {
      pinned_slot *slot = &m->lanes[i].slot[k];
      if (slot->host) cudaFreeHost(slot->host);
      if (slot->read) cudaEventDestroy(slot->read);
    }
  }
  mv_free(m);
}

/* ---- lanes ---- */

/* Blocks of the main lane come first where both have some: what is answered does not wait for
 * what is seen. */
static int open_lanes(mv_device *device) {
  mv_cuda *cuda = mv_cuda_of(device);
  int least = 0, greatest = 0;
  if (!mv_cuda_check(device, cudaDeviceGetStreamPriorityRange(&least, &greatest), "streams") ||
      !mv_cuda_check(device, cudaEventCreateWithFlags(&cuda->given, cudaEventDisableTiming),
                     "events"))
    return 0;
  for (int i = 0; i < MV_LANES; i++) {
    int priority = i == MV_LANE_MAIN ? greatest : least;
    cudaError_t error =
        cudaStreamCreateWithPriority(&cuda->streams[i], cudaStreamNonBlocking, priority);
    if (!mv_cuda_check(device, error, "streams") || !open_slots(device, &cuda->memory->lanes[i]))
      return 0;
  }
  mv_cuda_lane(device, MV_LANE_MAIN);
  return 1;
}

static void close_lanes(mv_device *device) {
  mv_cuda *cuda = mv_cuda_of(device);
  for (int i = 0; i < MV_LANES; i++)
    if (cuda->streams[i]) cudaStreamDestroy(cuda->streams[i]);
  if (cuda->given) cudaEventDestroy(cuda->given);
}

/* Also after a failure: whoever went aside comes back. */
void mv_cuda_lane(mv_device *device, mv_lane which) {
  mv_cuda *cuda = mv_cuda_of(device);
  if (!device->has_side_lane) which = MV_LANE_MAIN;
  int begins = which == MV_LANE_SIDE && cuda->lane != which;
  cuda->lane = which;
  cuda->stream = cuda->streams[which];
  if (begins && use(device) &&
      mv_cuda_check(device, cudaEventRecord(cuda->given, cuda->streams[MV_LANE_MAIN]), "lanes"))
    mv_cuda_check(device, cudaStreamWaitEvent(cuda->stream, cuda->given, 0), "lanes");
}

/* Whether kernels of a step may overlap, also where it is recorded; of the code, not of the device:
 * what was compiled for less has no waits in it. */
static int may_overlap(mv_device *device, int code_arch) {
  int driver = 0;
  return code_arch >= 90 && mv_env_int("MEDVISION_OVERLAP", 1) &&
         mv_cuda_check(device, cudaDriverGetVersion(&driver), "reading its driver's version") &&
         driver >= OVERLAP_DRIVER;
}

static void set_up(mv_device *device, int ordinal) {
  mv_cuda *cuda = mv_cuda_of(device);
  cuda->ordinal = ordinal;
  cuda->runs_bytes = MV_RUNS_BYTES;
  snprintf(cuda->name, sizeof cuda->name, "cuda:%d", ordinal);
  if (!use(device) || !read_properties(device, cuda)) return;
  if (cuda->arch < MIN_ARCH) {
    mv_fail(&device->error, MV_ERR_UNSUPPORTED,
            "%s: compute capability %d.%d; this build needs 8.0 or later (use --device cpu)",
            device->name, cuda->arch / 10, cuda->arch % 10);
    return;
  }
  int code_arch = mv_cuda_code_arch(device);
  if (!code_arch) return;
  cuda->overlaps = may_overlap(device, code_arch);
  cuda->memory = mv_calloc(1, sizeof *cuda->memory);
  if (!cuda->memory) {
    mv_fail(&device->error, MV_ERR_MEMORY, "%s: out of memory", device->name);
    return;
  }
  if (open_lanes(device)) mv_cuda_open_steps(device);
}

mv_status mv_device_open_cuda(mv_device *device, int ordinal, mv_error *err) {
  int n_device = 0;
  memset(device, 0, sizeof *device);
  MV_TRY(count_devices(&n_device, err));
  if (ordinal < 0 || ordinal >= n_device)
    return mv_fail(err, MV_ERR_USAGE, "cuda:%d: this machine has %d CUDA device%s, numbered from 0",
                   ordinal, n_device, n_device == 1 ? "" : "s");
  mv_cuda *cuda = mv_calloc(1, sizeof *cuda);
  if (!cuda) return mv_fail(err, MV_ERR_MEMORY, "cuda:%d: out of memory", ordinal);
  device->name = cuda->name;
  device->impl = cuda;
  device->n_thread = 1;
  device->has_bf16 = 1;
  device->slice_rows = SLICE_ROWS;
  device->spare_bytes = SPARE_BYTES;
  device->free_rows = FREE_ROWS;
  device->ff_multiple = FF_MULTIPLE;
  device->copies_weights = 1;
  device->records_steps = 1;
  set_up(device, ordinal);
  mv_status status = mv_device_status(device, err);
  if (status != MV_OK) mv_device_close_cuda(device);
  return status;
}

void mv_device_close_cuda(mv_device *device) {
  mv_cuda *cuda = mv_cuda_of(device);
  if (!cuda) return;
  for (int i = 0; i < MV_LANES; i++)
    if (cuda->streams[i]) cudaStreamSynchronize(cuda->streams[i]);
  if (cuda->lt) cuda->lt_close(cuda->lt);
  mv_cuda_read_end(device);
  mv_cuda_close_steps(device);
  mv_cuda_close_marks(device);
  mv_cuda_free_plan(device);
  close_memory(device);
  close_lanes(device);
  cudaGetLastError();
  mv_free_aligned(device->scratch);
  mv_free(cuda);
  memset(device, 0, sizeof *device);
}
