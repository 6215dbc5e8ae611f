/* Weights from files: threads read into the slots of a ring of pinned memory, and as each is full,
 * in the order asked, it is copied to the device while the threads go on with the next ones. The
 * ring is there while weights are loaded and goes with read_end.
 *
 * A slot is two huge pages (runtime/infile.h says why) and takes what lies in its whole blocks of
 * the file. With all threads reading there are slots left to copy out of. */
#include "kernels/cuda.h"
#include "runtime/memory.h"

#define SLOT_BYTES ((size_t)4 << 20)
#define N_THREAD 8
#define N_SLOT 12

typedef struct load_slot {
  mv_read read;
  void *dst;
  cudaEvent_t copied;
} load_slot;

struct mv_cuda_load {
  mv_read_queue *queue; /* owns */
  char *ring;           /* owns: N_SLOT slots */
  int is_pinned;
  load_slot slot[N_SLOT];    /* number i of all reads in slot i % N_SLOT */
  size_t n_asked, n_to_copy; /* reads asked for; of them, copies begun */
};

/* Pinned memory of the driver's own is not known to be huge pages: ours is, then pinned. Where it
 * cannot be (a limit on locked memory), copies read it before they return: slower, not wrong. */
static int open_ring(mv_device *device, struct mv_cuda_load *load) {
  load->ring = mv_alloc_huge(N_SLOT * SLOT_BYTES);
  if (!load->ring) {
    mv_fail(&device->error, MV_ERR_MEMORY, "%s: no memory to read weights", device->name);
    return 0;
  }
  load->is_pinned =
      cudaHostRegister(load->ring, N_SLOT * SLOT_BYTES, cudaHostRegisterDefault) == cudaSuccess;
  if (!load->is_pinned) cudaGetLastError();
  for (int i = 0; i < N_SLOT; i++) {
    load->slot[i].read.room = load->ring + (size_t)i * SLOT_BYTES;
    if (!mv_cuda_check(device,
                       cudaEventCreateWithFlags(&load->slot[i].copied, cudaEventDisableTiming),
                       "events"))
      return 0;
  }
  return mv_read_queue_open(&load->queue, N_THREAD, &device->error) == MV_OK;
}

static struct mv_cuda_load *loading(mv_device *device) {
  mv_cuda *cuda = mv_cuda_of(device);
  if (device->error.code != MV_OK) return NULL;
  if (cuda->load) return cuda->load;
  if (!mv_cuda_check(device, cudaSetDevice(cuda->ordinal), "choosing the device")) return NULL;
  cuda->load = mv_calloc(1, sizeof *cuda->load);
  if (!cuda->load)
    mv_fail(&device->error, MV_ERR_MEMORY, "%s: no memory to read weights", device->name);
  return cuda->load && open_ring(device, cuda->load) ? cuda->load : NULL;
}

/* The copy of the oldest read that is not yet being copied. */
static int copy_next(mv_device *device, struct mv_cuda_load *load) {
  load_slot *slot = &load->slot[load->n_to_copy % N_SLOT];
  mv_error error;
  mv_status status = mv_read_queue_wait(load->queue, &slot->read, &error);
  load->n_to_copy++;
  if (status != MV_OK && device->error.code == MV_OK) device->error = error;
  if (device->error.code != MV_OK) return 0;
  cudaStream_t stream = mv_cuda_of(device)->stream;
  return mv_cuda_check(device,
                       cudaMemcpyAsync(slot->dst, slot->read.bytes, slot->read.n_bytes,
                                       cudaMemcpyHostToDevice, stream),
                       "reading weights") &&
         mv_cuda_check(device, cudaEventRecord(slot->copied, stream), "reading weights");
}

static load_slot *next_slot(mv_device *device, struct mv_cuda_load *load) {
  load_slot *slot = &load->slot[load->n_asked % N_SLOT];
  if (load->n_asked - load->n_to_copy == N_THREAD && !copy_next(device, load)) return NULL;
  if (load->n_asked >= N_SLOT &&
      !mv_cuda_check(device, cudaEventSynchronize(slot->copied), "reading weights"))
    return NULL;
  return slot;
}

void mv_cuda_read(mv_device *device, void *dst, const mv_infile *file, size_t at, size_t n_bytes) {
  struct mv_cuda_load *load = loading(device);
  while (load && n_bytes) {
    load_slot *slot = next_slot(device, load);
    if (!slot) return;
    size_t n = SLOT_BYTES - at % MV_READ_BLOCK;
    if (n > n_bytes) n = n_bytes;
    slot->read = (mv_read){.file = file, .at = at, .n_bytes = n, .room = slot->read.room};
    slot->dst = dst;
    mv_read_queue_add(load->queue, &slot->read);
    load->n_asked++;
    dst = (char *)dst + n;
    at += n;
    n_bytes -= n;
  }
}

void mv_cuda_read_end(mv_device *device) {
  mv_cuda *cuda = mv_cuda_of(device);
  struct mv_cuda_load *load = cuda->load;
  if (!load) return;
  if (device->error.code == MV_OK)
    while (load->n_to_copy < load->n_asked && copy_next(device, load)) continue;
  mv_read_queue_close(load->queue);
  if (cudaSetDevice(cuda->ordinal) != cudaSuccess) cudaGetLastError();
  mv_cuda_check(device, cudaStreamSynchronize(cuda->stream), "reading weights");
  for (int i = 0; i < N_SLOT; i++)
    if (load->slot[i].copied) cudaEventDestroy(load->slot[i].copied);
  if (load->is_pinned && cudaHostUnregister(load->ring) != cudaSuccess)
    cudaHostUnregister(load->ring); /* the first may have told but of an earlier failure */
  cudaGetLastError();
  mv_free_aligned(load->ring);
  mv_free(load);
  cuda->load = NULL;
}
