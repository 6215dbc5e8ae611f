/* Marks of a CUDA device: events, made when first asked for. */
#include "kernels/cuda.h"
#include "runtime/memory.h"

void mv_cuda_mark(mv_device *device, int which) {
  mv_cuda *cuda = mv_cuda_of(device);
  if (device->error.code != MV_OK) return;
  if (!cuda->marks) cuda->marks = mv_calloc(MV_MARKS, sizeof *cuda->marks);
  if (!cuda->marks) {
    mv_fail(&device->error, MV_ERR_MEMORY, "%s: no memory for events", device->name);
    return;
  }
  cudaEvent_t *event = &cuda->marks[which];
  if (!*event && (!mv_cuda_check(device, cudaSetDevice(cuda->ordinal), "choosing the device") ||
                  !mv_cuda_check(device, cudaEventCreate(event), "events"))) {
    *event = NULL;
    return;
  }
  mv_cuda_check(device, cudaEventRecord(*event, cuda->stream), "a mark");
}

int mv_cuda_is_past(mv_device *device, int which) {
  const cudaEvent_t *marks = mv_cuda_of(device)->marks;
  if (device->error.code != MV_OK || !marks || !marks[which]) return 1;
  cudaError_t error = cudaEventQuery(marks[which]);
  if (error != cudaErrorNotReady) return mv_cuda_check(device, error, "asking for a mark"), 1;
  cudaGetLastError();
  return 0;
}

void mv_cuda_wait(mv_device *device, int which) {
  mv_cuda *cuda = mv_cuda_of(device);
  if (device->error.code == MV_OK && cuda->marks && cuda->marks[which])
    mv_cuda_check(device, cudaStreamWaitEvent(cuda->stream, cuda->marks[which], 0),
                  "waiting for a mark");
}

double mv_cuda_elapsed(mv_device *device, int from, int to) {
  const cudaEvent_t *marks = mv_cuda_of(device)->marks;
  float ms = 0;
  if (device->error.code != MV_OK || !marks || !marks[from] || !marks[to]) return 0;
  if (!mv_cuda_check(device, cudaEventSynchronize(marks[to]), "waiting for a mark")) return 0;
  return mv_cuda_check(device, cudaEventElapsedTime(&ms, marks[from], marks[to]), "time")
             ? (double)ms
             : 0;
}

void mv_cuda_close_marks(mv_device *device) {
  mv_cuda *cuda = mv_cuda_of(device);
  for (int i = 0; cuda->marks && i < MV_MARKS; i++)
    if (cuda->marks[i]) cudaEventDestroy(cuda->marks[i]);
  mv_free(cuda->marks);
  cuda->marks = NULL;
}
