/* Streams, events and graphs. Eager streams run an operation when it is submitted; late ones when
 * somebody waits for it, which shows a missing wait; random ones now and then, each at a pace of
 * its own, which shows waits that only another order wants. A graph is the list of captured
 * operations in the order they were submitted. */
#include <algorithm>
#include <chrono>
#include <deque>

#include "internal.h"

struct CUstream_st {
  std::deque<sim::stream_op> queue;
  bool is_blocking; /* waits for the default stream, and it for this one */
  bool is_capturing, is_origin;
  bool is_joined; /* of a capture: what it was given is waited for by another stream */
  int device;
  bool is_behind_kernel = false; /* what was submitted last is a kernel */
};

struct CUevent_st {
  std::shared_ptr<bool> done; /* of the latest record; NULL: never recorded */
  cudaStream_t stream;
  std::shared_ptr<double> ms;
  bool is_captured, has_timing;
  int device;
};

struct CUgraph_st {
  std::vector<sim::stream_op> ops;
};

struct CUgraphExec_st {
  std::vector<sim::stream_op> ops;
};

namespace sim {

std::recursive_mutex api_mutex;

namespace {

std::vector<cudaStream_t> streams;
cudaGraph_t capture; /* the one capture at a time */
bool capture_is_spoiled;

double now_ms() {
  auto t = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(t).count();
}

bool known(cudaStream_t stream) {
  return !stream || std::find(streams.begin(), streams.end(), stream) != streams.end();
}

cudaError_t run_front(cudaStream_t stream) {
  stream_op op = std::move(stream->queue.front());
  stream->queue.pop_front();
  return op();
}

/* A stream here, a stream there, one operation a call on average. */
void run_some() {
  static uint32_t state;
  static unsigned seed;
  if (!state || seed != config.seed) state = 2 * (seed = config.seed) + 1;
  for (;;) {
    state = state * 1664525u + 1013904223u;
    if (state >> 31) return;
    cudaStream_t stream = streams[(state >> 8) % streams.size()];
    if (!stream->queue.empty()) run_front(stream); /* a failure is sticky: who waits is told */
  }
}

/* Runs a stream's work up to the record that sets *done. */
cudaError_t run_until(cudaStream_t stream, const std::shared_ptr<bool> &done) {
  cudaError_t first = cudaSuccess;
  while (!*done && known(stream) && stream && !stream->queue.empty()) {
    cudaError_t error = run_front(stream);
    if (!first) first = error;
  }
  return first;
}

}  // namespace

cudaError_t drain_stream(cudaStream_t stream) {
  cudaError_t first = cudaSuccess;
  if (!stream) {
    synchronise_blocking_streams();
    return cudaSuccess;
  }
  while (!stream->queue.empty()) {
    cudaError_t error = run_front(stream);
    if (!first) first = error;
  }
  return first;
}

cudaError_t drain_all_streams(void) {
  cudaError_t first = cudaSuccess;
  for (size_t i = 0; i < streams.size(); i++) {
    cudaError_t error = drain_stream(streams[i]);
    if (!first) first = error;
  }
  return first;
}

void synchronise_blocking_streams(void) {
  for (size_t i = 0; i < streams.size(); i++)
    if (streams[i]->is_blocking) drain_stream(streams[i]);
}

bool stream_is_capturing(cudaStream_t stream) { return stream && stream->is_capturing; }

bool refused_in_capture(const char *function) {
  if (!capture) return false;
  report("capture", "%s while a stream is capturing", function);
  capture_is_spoiled = true;
  return true;
}

bool is_of_current_device(cudaStream_t stream) {
  return !stream || !known(stream) || stream->device == current_device();
}

bool note_kernel(cudaStream_t stream, bool is_kernel) {
  if (!stream || !known(stream)) return is_kernel;
  const bool was = stream->is_behind_kernel;
  stream->is_behind_kernel = is_kernel;
  return was;
}

cudaError_t submit(cudaStream_t stream, stream_op op) {
  if (!known(stream)) {
    report("stream", "%p is not a stream", (void *)stream);
    return cudaErrorInvalidResourceHandle;
  }
  if (!stream) {
    if (refused_in_capture("work on the default stream")) return cudaErrorStreamCaptureUnsupported;
    synchronise_blocking_streams();
    return op();
  }
  if (stream->is_capturing) {
    stream->is_joined = false;
    capture->ops.push_back(std::move(op));
    return cudaSuccess;
  }
  if (config.streams == SIM_STREAMS_EAGER && stream->queue.empty()) return op();
  stream->queue.push_back(std::move(op));
  if (config.streams == SIM_STREAMS_RANDOM) run_some();
  return cudaSuccess;
}

}  // namespace sim

using namespace sim;

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
  API_BEGIN();
  *stream =
      new CUstream_st{{}, !(flags & cudaStreamNonBlocking), false, false, false, current_device()};
  streams.push_back(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *stream) { return cudaStreamCreateWithFlags(stream, 0); }

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
  API_BEGIN();
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  std::lock_guard<std::recursive_mutex> lock(api_mutex); /* works after a failure, too */
  if (!stream || !known(stream)) return remember(cudaErrorInvalidResourceHandle);
  cudaError_t error = drain_stream(stream);
  streams.erase(std::find(streams.begin(), streams.end(), stream));
  delete stream;
  return remember(error);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  API_BEGIN();
  if (refused_in_capture("cudaStreamSynchronize"))
    return remember(cudaErrorStreamCaptureUnsupported);
  if (!known(stream)) return remember(cudaErrorInvalidResourceHandle);
  cudaError_t error = drain_stream(stream);
  return remember(error ? error : sticky());
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  API_BEGIN();
  if (stream_is_capturing(stream) && refused_in_capture("cudaStreamQuery"))
    return remember(cudaErrorStreamCaptureUnsupported);
  if (!known(stream)) return remember(cudaErrorInvalidResourceHandle);
  if (!stream || stream->queue.empty()) return remember(sticky());
  cudaError_t error = run_front(stream); /* polled long enough, everything gets done */
  return error ? remember(error) : cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize(void) {
  API_BEGIN();
  if (refused_in_capture("cudaDeviceSynchronize"))
    return remember(cudaErrorStreamCaptureUnsupported);
  cudaError_t error = drain_all_streams();
  return remember(error ? error : sticky());
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *user) {
  API_BEGIN();
  return remember(submit(stream, [=] {
    function(user);
    return cudaSuccess;
  }));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
  API_BEGIN();
  *event = new CUevent_st{
      nullptr, nullptr, nullptr, false, !(flags & cudaEventDisableTiming), current_device()};
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) { return cudaEventCreateWithFlags(event, 0); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  std::lock_guard<std::recursive_mutex> lock(api_mutex);
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  API_BEGIN();
  if (stream && known(stream) && stream->device != event->device) {
    report("device", "an event of device %d for a stream of device %d", event->device,
           stream->device);
    return remember(cudaErrorInvalidResourceHandle);
  }
  event->done = std::make_shared<bool>(false);
  event->ms = std::make_shared<double>(0);
  event->stream = stream;
  event->is_captured = stream_is_capturing(stream);
  if (event->is_captured) return cudaSuccess; /* replays keep the order of submission */
  return remember(submit(stream, [done = event->done, ms = event->ms] {
    *done = true;
    *ms = now_ms();
    return cudaSuccess;
  }));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  API_BEGIN();
  if (event->is_captured && capture) {
    if (stream) stream->is_capturing = true; /* the stream joins the capture */
    if (event->stream) event->stream->is_joined = true;
    return cudaSuccess;
  }
  if (stream_is_capturing(stream) && event->done &&
      refused_in_capture("a wait for what is not captured"))
    return remember(cudaErrorStreamCaptureIsolation);
  if (!event->done) return cudaSuccess;
  return remember(
      submit(stream, [done = event->done, from = event->stream] { return run_until(from, done); }));
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  API_BEGIN();
  if (event->is_captured && refused_in_capture("cudaEventSynchronize"))
    return remember(cudaErrorStreamCaptureUnsupported);
  cudaError_t error = event->done ? run_until(event->stream, event->done) : cudaSuccess;
  return remember(error ? error : sticky());
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  API_BEGIN();
  if (event->is_captured && refused_in_capture("cudaEventQuery"))
    return remember(cudaErrorStreamCaptureUnsupported);
  if (!event->done || *event->done || !event->stream) return remember(sticky());
  if (!event->stream->queue.empty()) run_front(event->stream);
  return *event->done ? remember(sticky()) : cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end) {
  API_BEGIN();
  if (!start->has_timing || !end->has_timing || !start->done || !end->done)
    return remember(cudaErrorInvalidResourceHandle);
  if (!*start->done || !*end->done) return cudaErrorNotReady;
  *ms = (float)(*end->ms - *start->ms);
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  API_BEGIN();
  if (!stream || !known(stream) || capture) return remember(cudaErrorStreamCaptureUnsupported);
  drain_stream(stream);
  capture = new CUgraph_st();
  capture_is_spoiled = false;
  stream->is_capturing = stream->is_origin = true;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  std::lock_guard<std::recursive_mutex> lock(api_mutex);
  *graph = nullptr;
  if (!stream || !known(stream) || !stream->is_origin)
    return remember(cudaErrorStreamCaptureUnmatched);
  bool is_unjoined = false;
  for (cudaStream_t s : streams) {
    is_unjoined |= s->is_capturing && !s->is_origin && !s->is_joined;
    s->is_capturing = s->is_origin = s->is_joined = false;
  }
  std::unique_ptr<CUgraph_st> whole(capture);
  capture = nullptr;
  if (capture_is_spoiled) return remember(cudaErrorStreamCaptureInvalidated);
  if (is_unjoined) return remember(cudaErrorStreamCaptureUnjoined);
  *graph = whole.release();
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status) {
  API_BEGIN();
  *status = !stream_is_capturing(stream) ? cudaStreamCaptureStatusNone
            : capture_is_spoiled         ? cudaStreamCaptureStatusInvalidated
                                         : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long) {
  API_BEGIN();
  if (!graph) return remember(cudaErrorInvalidValue);
  *exec = new CUgraphExec_st{graph->ops};
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, void *nodes, size_t *n_node) {
  API_BEGIN();
  if (!graph || nodes) return remember(cudaErrorInvalidValue);
  *n_node = graph->ops.size();
  return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
  API_BEGIN();
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  API_BEGIN();
  if (!exec) return remember(cudaErrorInvalidValue);
  auto ops = std::make_shared<std::vector<stream_op>>(exec->ops);
  return remember(submit(stream, [ops] {
    cudaError_t first = cudaSuccess;
    for (const stream_op &op : *ops) {
      cudaError_t error = op();
      if (!first) first = error;
    }
    return first;
  }));
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}

}  // extern "C"
