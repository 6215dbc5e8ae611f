/* The host side: memory, streams, events, graphs, errors, limits of a launch. */
#include <string.h>

#include "tests/check_main.h"
#include "tests/cudasim/samples_run.h"

namespace {

sim_config saved;
void save_settings(void) { saved = *sim_settings(); }
void restore_settings(void) {
  sim_fail_call(-1, 0);
  *sim_settings() = saved;
  sim_clear();
}

struct stream_of_test { /* owns a stream that does not wait for the default one */
  cudaStream_t s = nullptr;
  stream_of_test() { ck_cuda(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking)); }
  ~stream_of_test() { cudaStreamDestroy(s); }
};

struct event_of_test {
  cudaEvent_t e = nullptr;
  event_of_test() { ck_cuda(cudaEventCreateWithFlags(&e, cudaEventDisableTiming)); }
  ~event_of_test() { cudaEventDestroy(e); }
};

template <class T>
struct pinned_array {
  T *p = nullptr;
  explicit pinned_array(size_t n) { ck_cuda(cudaMallocHost((void **)&p, n * sizeof(T))); }
  ~pinned_array() { cudaFreeHost(p); }
};

cudaError_t add_up(const device_array<float> &x, device_array<float> *y, cudaStream_t stream) {
  return sample_row_sum(SAMPLE_RIGHT, x.p, y->p, (int)y->n, (int)(x.n / y->n), stream);
}

}  // namespace

#define ck_clean() ck_assert_msg(sim_report_count() == 0, "%s", sim_report_text(0))
#define ck_reported(text)                                        \
  do {                                                           \
    ck_assert_msg(sim_reported(text), "%s", sim_report_text(0)); \
    sim_clear();                                                 \
  } while (0)

START_TEST(late_streams_run_when_waited_for) {
  sim_settings()->streams = SIM_STREAMS_LATE;
  stream_of_test stream;
  pinned_array<float> host(1);
  device_array<float> x(std::vector<float>(128, 1)), y(1);
  *host.p = -1;
  ck_cuda(add_up(x, &y, stream.s));
  ck_cuda(cudaMemcpyAsync(host.p, y.p, sizeof(float), cudaMemcpyDeviceToHost, stream.s));
  ck_assert_float_eq(*host.p, -1);
  ck_assert_int_eq(cudaStreamQuery(stream.s), cudaErrorNotReady);
  ck_cuda(cudaStreamSynchronize(stream.s));
  ck_assert_float_eq(*host.p, 128);
  ck_cuda(cudaStreamQuery(stream.s));
  ck_clean();
}
END_TEST

START_TEST(events_order_streams) {
  sim_settings()->streams = SIM_STREAMS_LATE;
  stream_of_test first, second;
  event_of_test done;
  device_array<float> x(std::vector<float>(128, 1)), y(1), z(1);
  ck_cuda(add_up(x, &y, first.s));
  ck_cuda(cudaEventRecord(done.e, first.s));
  ck_assert_int_eq(cudaStreamQuery(second.s), cudaSuccess);
  ck_cuda(cudaStreamWaitEvent(second.s, done.e, 0));
  ck_cuda(cudaMemcpyAsync(z.p, y.p, sizeof(float), cudaMemcpyDeviceToDevice, second.s));
  ck_cuda(cudaStreamSynchronize(second.s)); /* runs what it depends on, too */
  ck_assert_float_eq(z.get()[0], 128);
  ck_cuda(cudaEventSynchronize(done.e));
  ck_cuda(cudaEventQuery(done.e));
  ck_clean();
}
END_TEST

/* Copies from a stream's beginning to its end are in order, and how two streams interleave differs.
 */
START_TEST(random_streams_run_at_a_pace_of_their_own) {
  sim_settings()->streams = SIM_STREAMS_RANDOM;
  bool overtaken[2] = {};
  for (unsigned seed = 1; seed <= 20; seed++) {
    sim_settings()->seed = seed;
    stream_of_test first, second;
    device_array<int> x(std::vector<int>{1, 2, 3}), y(3);
    for (int i = 0; i < 3; i++) {
      ck_cuda(cudaMemcpyAsync(y.p, x.p + i, sizeof(int), cudaMemcpyDeviceToDevice, first.s));
      ck_cuda(cudaMemcpyAsync(y.p + 1, y.p, sizeof(int), cudaMemcpyDeviceToDevice, second.s));
    }
    ck_cuda(cudaStreamSynchronize(second.s));
    overtaken[y.get()[1] == 3] = true;
    ck_cuda(cudaStreamSynchronize(first.s));
    ck_assert_int_eq(y.get()[0], 3);
  }
  ck_assert(overtaken[0] && overtaken[1]);
  ck_clean();
}
END_TEST

START_TEST(default_stream_waits_for_blocking_streams_only) {
  sim_settings()->streams = SIM_STREAMS_LATE;
  for (unsigned flags : {(unsigned)cudaStreamDefault, (unsigned)cudaStreamNonBlocking}) {
    cudaStream_t stream;
    ck_cuda(cudaStreamCreateWithFlags(&stream, flags));
    device_array<float> x(std::vector<float>(4, 1)), y(std::vector<float>(1, 0));
    ck_cuda(add_up(x, &y, stream));
    ck_assert_float_eq(y.get()[0], flags ? 0 : 4); /* get copies on the default stream */
    ck_cuda(cudaStreamDestroy(stream));
  }
  ck_clean();
}
END_TEST

START_TEST(events_measure_time) {
  cudaEvent_t start, end;
  float ms = -1;
  ck_cuda(cudaEventCreate(&start));
  ck_cuda(cudaEventCreate(&end));
  ck_cuda(cudaEventRecord(start, nullptr));
  ck_cuda(cudaEventRecord(end, nullptr));
  ck_cuda(cudaEventSynchronize(end));
  ck_cuda(cudaEventElapsedTime(&ms, start, end));
  ck_assert_float_ge(ms, 0);
  cudaEventDestroy(start);
  cudaEventDestroy(end);
}
END_TEST

/* x -> y on one stream, y -> z on another that joins the capture and is joined again. */
START_TEST(graphs_replay_forks_and_joins) {
  stream_of_test stream, other;
  event_of_test fork, join;
  device_array<float> x(std::vector<float>(128, 0)), y(1), z(1);
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  cudaStreamCaptureStatus status;
  ck_cuda(cudaStreamBeginCapture(stream.s, cudaStreamCaptureModeThreadLocal));
  ck_cuda(cudaStreamIsCapturing(stream.s, &status));
  ck_assert_int_eq(status, cudaStreamCaptureStatusActive);
  ck_cuda(add_up(x, &y, stream.s));
  ck_cuda(cudaEventRecord(fork.e, stream.s));
  ck_cuda(cudaStreamWaitEvent(other.s, fork.e, 0));
  ck_cuda(cudaMemcpyAsync(z.p, y.p, sizeof(float), cudaMemcpyDeviceToDevice, other.s));
  ck_cuda(cudaEventRecord(join.e, other.s));
  ck_cuda(cudaStreamWaitEvent(stream.s, join.e, 0));
  ck_cuda(cudaStreamEndCapture(stream.s, &graph));
  size_t n_node = 0;
  ck_cuda(cudaGraphGetNodes(graph, nullptr, &n_node));
  ck_assert_uint_eq(n_node, 2);
  ck_cuda(cudaGraphInstantiate(&exec, graph, 0));
  ck_cuda(cudaGraphDestroy(graph));
  for (int i = 1; i <= 3; i++) {
    std::vector<float> fresh(128, (float)i);
    ck_cuda(cudaMemcpyAsync(x.p, fresh.data(), 512, cudaMemcpyHostToDevice, stream.s));
    ck_cuda(cudaGraphLaunch(exec, stream.s));
    ck_cuda(cudaStreamSynchronize(stream.s));
    ck_assert_float_eq(z.get()[0], 128.0f * (float)i);
  }
  ck_cuda(cudaGraphExecDestroy(exec));
  ck_clean();
}
END_TEST

START_TEST(capture_refuses_what_cuda_refuses) {
  stream_of_test stream;
  cudaGraph_t graph;
  void *p;
  ck_cuda(cudaStreamBeginCapture(stream.s, cudaStreamCaptureModeGlobal));
  ck_assert_int_eq(cudaMalloc(&p, 16), cudaErrorStreamCaptureUnsupported);
  ck_reported("cudaMalloc while a stream is capturing");
  ck_assert_int_eq(cudaStreamSynchronize(stream.s), cudaErrorStreamCaptureUnsupported);
  ck_reported("cudaStreamSynchronize");
  ck_assert_int_eq(cudaStreamEndCapture(stream.s, &graph), cudaErrorStreamCaptureInvalidated);
  sim_clear();
  event_of_test outside, fork;
  stream_of_test other;
  ck_cuda(cudaEventRecord(outside.e, other.s));
  ck_cuda(cudaStreamBeginCapture(stream.s, cudaStreamCaptureModeThreadLocal));
  ck_assert_int_eq(cudaStreamWaitEvent(stream.s, outside.e, 0), cudaErrorStreamCaptureIsolation);
  ck_assert_int_eq(cudaMallocHost(&p, 16), cudaErrorStreamCaptureUnsupported);
  ck_assert_int_eq(cudaStreamQuery(stream.s), cudaErrorStreamCaptureUnsupported);
  ck_assert_int_eq(cudaStreamEndCapture(stream.s, &graph), cudaErrorStreamCaptureInvalidated);
  sim_clear();
  ck_cuda(cudaStreamBeginCapture(stream.s, cudaStreamCaptureModeThreadLocal));
  ck_cuda(cudaEventRecord(fork.e, stream.s));
  ck_cuda(cudaStreamWaitEvent(other.s, fork.e, 0));
  ck_assert_int_eq(cudaStreamEndCapture(stream.s, &graph), cudaErrorStreamCaptureUnjoined);
  ck_assert_int_eq(cudaStreamEndCapture(stream.s, &graph), cudaErrorStreamCaptureUnmatched);
  ck_assert_ptr_null(graph);
  ck_clean();
}
END_TEST

START_TEST(memory_ends_where_it_is_said_to) {
  size_t free_bytes, total_bytes, after;
  void *p, *q;
  sim_settings()->memory_bytes = 1 << 20;
  ck_cuda(cudaMemGetInfo(&free_bytes, &total_bytes));
  ck_assert_uint_eq(total_bytes, 1 << 20);
  ck_cuda(cudaMalloc(&p, 1 << 19));
  ck_assert_int_eq(cudaMalloc(&q, (1 << 19) + 1), cudaErrorMemoryAllocation);
  ck_assert_int_eq(cudaGetLastError(), cudaErrorMemoryAllocation);
  ck_assert_int_eq(cudaGetLastError(), cudaSuccess); /* not sticky */
  ck_cuda(cudaFree(p));
  ck_cuda(cudaMemGetInfo(&after, &total_bytes));
  ck_assert_uint_eq(after, free_bytes);
  ck_clean();
}
END_TEST

START_TEST(copies_are_held_to_their_allocations) {
  device_array<int> x(4);
  int host[8] = {0};
  ck_assert_int_eq(cudaMemcpy(x.p, host, 20, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  ck_reported("memcpy destination: 20 bytes");
  ck_assert_int_eq(cudaMemcpy(host, x.p, 16, cudaMemcpyHostToDevice),
                   cudaErrorInvalidMemcpyDirection);
  ck_reported("memcpy: kind 1");
  ck_assert_int_eq(cudaMemset(host, 0, 16), cudaErrorInvalidValue);
  ck_reported("not device memory");
  ck_cuda(cudaMemcpy(x.p, host, 16, cudaMemcpyDefault));
  ck_clean();
}
END_TEST

START_TEST(copies_rectangles) {
  const int pattern[6] = {1, 2, 3, 4, 5, 6};
  device_array<int> x(std::vector<int>(8, 0));
  ck_cuda(cudaMemcpy2DAsync(x.p, 16, pattern, 12, 12, 2, cudaMemcpyHostToDevice, nullptr));
  ck_cuda(cudaDeviceSynchronize());
  ck_assert((x.get() == std::vector<int>{1, 2, 3, 0, 4, 5, 6, 0}));
}
END_TEST

START_TEST(freeing_twice_is_reported) {
  void *p;
  ck_cuda(cudaMalloc(&p, 16));
  ck_cuda(cudaFree(p));
  ck_assert_int_eq(cudaFree(p), cudaErrorInvalidValue);
  ck_reported("is not a live allocation");
  ck_cuda(cudaFree(nullptr));
  ck_clean();
}
END_TEST

START_TEST(a_kernels_failure_is_sticky) {
  device_array<float> y(1);
  void *p;
  sim_settings()->check = 0;
  run_row_sum(BUG_DIVERGENT_BARRIER, 1, 512);
  ck_assert_int_eq(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  ck_assert_int_eq(cudaMalloc(&p, 16), cudaErrorIllegalAddress);
  ck_assert_int_eq(cudaGetLastError(), cudaErrorIllegalAddress);
  ck_assert_int_eq(cudaGetLastError(), cudaErrorIllegalAddress);
  ck_assert_str_eq(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress");
  ck_reported("barrier");
  ck_cuda(cudaDeviceSynchronize());
  ck_clean();
}
END_TEST

START_TEST(failures_can_be_ordered) {
  void *p = nullptr;
  sim_fail_call(1, cudaErrorMemoryAllocation);
  ck_cuda(cudaMalloc(&p, 16));
  ck_cuda(cudaGetLastError());
  ck_assert_int_eq(cudaDeviceSynchronize(), cudaErrorMemoryAllocation);
  ck_cuda(cudaFree(p));
  ck_assert_int_eq(sim_fail_call(-1, 0), 3);
  ck_clean();
}
END_TEST

START_TEST(device_says_what_it_is) {
  int n, value, per_sm;
  cudaDeviceProp prop;
  sim_settings()->arch = 80;
  sim_settings()->sms = 7;
  ck_cuda(cudaGetDeviceCount(&n));
  ck_assert_int_eq(n, 1);
  ck_cuda(cudaGetDeviceProperties(&prop, 0));
  ck_assert_int_eq(prop.major, 8);
  ck_assert_int_eq(prop.multiProcessorCount, 7);
  ck_cuda(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
  ck_assert_int_eq(value, 166912);
  ck_assert_int_eq(cudaSetDevice(1), cudaErrorInvalidDevice);
  ck_cuda(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_sm, sample_votes, 256, 50000));
  ck_assert_int_eq(per_sm, 3);
  sim_settings()->devices = 0;
  ck_assert_int_eq(cudaGetDeviceCount(&n), cudaErrorNoDevice);
  ck_assert_int_eq(n, 0);
  ck_clean();
}
END_TEST

static __global__ void nothing_kernel(int *) {}

START_TEST(launches_are_held_to_the_limits) {
  int *none = nullptr;
  ck_assert_int_eq(mv_launch({dim3(1), dim3(1025)}, nothing_kernel, none),
                   cudaErrorInvalidConfiguration);
  ck_reported("launch");
  ck_assert_int_eq(mv_launch({dim3(0), dim3(32)}, nothing_kernel, none),
                   cudaErrorInvalidConfiguration);
  ck_reported("launch");
  ck_assert_int_eq(mv_launch({dim3(1), dim3(32), 232449}, nothing_kernel, none),
                   cudaErrorInvalidValue);
  cudaLaunchConfig_t config = {};
  config.gridDim = config.blockDim = dim3(1);
  config.dynamicSmemBytes = 49153;
  ck_assert_int_eq(cudaLaunchKernelEx(
                       &config, +[](int) {}, 0),
                   cudaErrorInvalidValue);
  ck_reported("cudaFuncSetAttribute");
  mv_launch_shape whole = {dim3(1000), dim3(1024)};
  whole.cooperative = true;
  ck_assert_int_eq(mv_launch(whole, nothing_kernel, none), cudaErrorCooperativeLaunchTooLarge);
  cudaGetLastError();
  ck_clean();
}
END_TEST

static __global__ void block_index_kernel(int *y) {
  if (threadIdx.x == 0)
    y[blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z)] =
        (int)(blockIdx.x + 10 * blockIdx.y + 100 * blockIdx.z);
}

START_TEST(blocks_of_a_grid_run_once_each_on_any_number_of_threads) {
  for (int n_thread : {1, 3}) {
    sim_settings()->threads = n_thread;
    device_array<int> y(3 * 4 * 5);
    ck_cuda(mv_launch({dim3(3, 4, 5), dim3(32)}, block_index_kernel, y.p));
    ck_cuda(cudaDeviceSynchronize());
    std::vector<int> got = y.get();
    for (int i = 0; i < 60; i++)
      ck_assert_int_eq(got[(size_t)i], i % 3 + 10 * (i / 3 % 4) + 100 * (i / 12));
  }
  ck_clean();
}
END_TEST

static void add_one(void *user) { ++*(int *)user; }

START_TEST(host_functions_run_in_order) {
  sim_settings()->streams = SIM_STREAMS_LATE;
  stream_of_test stream;
  int n = 0;
  ck_cuda(cudaLaunchHostFunc(stream.s, add_one, &n));
  ck_assert_int_eq(n, 0);
  ck_cuda(cudaStreamSynchronize(stream.s));
  ck_assert_int_eq(n, 1);
}
END_TEST

START_TEST(pinned_memory_may_be_registered) {
  std::vector<int> host(4, 1);
  cudaPointerAttributes attributes;
  ck_cuda(cudaHostRegister(host.data(), 16, cudaHostRegisterDefault));
  ck_cuda(cudaPointerGetAttributes(&attributes, host.data()));
  ck_assert_int_eq(attributes.type, cudaMemoryTypeHost);
  ck_cuda(cudaHostUnregister(host.data()));
  ck_cuda(cudaPointerGetAttributes(&attributes, host.data()));
  ck_assert_int_eq(attributes.type, cudaMemoryTypeUnregistered);
  ck_clean();
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("cudasim runtime");
  TCase *t = tcase_create("runtime");
  tcase_add_checked_fixture(t, save_settings, restore_settings);
  tcase_add_test(t, late_streams_run_when_waited_for);
  tcase_add_test(t, events_order_streams);
  tcase_add_test(t, random_streams_run_at_a_pace_of_their_own);
  tcase_add_test(t, default_stream_waits_for_blocking_streams_only);
  tcase_add_test(t, events_measure_time);
  tcase_add_test(t, graphs_replay_forks_and_joins);
  tcase_add_test(t, capture_refuses_what_cuda_refuses);
  tcase_add_test(t, memory_ends_where_it_is_said_to);
  tcase_add_test(t, copies_are_held_to_their_allocations);
  tcase_add_test(t, copies_rectangles);
  tcase_add_test(t, freeing_twice_is_reported);
  tcase_add_test(t, a_kernels_failure_is_sticky);
  tcase_add_test(t, failures_can_be_ordered);
  tcase_add_test(t, device_says_what_it_is);
  tcase_add_test(t, launches_are_held_to_the_limits);
  tcase_add_test(t, blocks_of_a_grid_run_once_each_on_any_number_of_threads);
  tcase_add_test(t, host_functions_run_in_order);
  tcase_add_test(t, pinned_memory_may_be_registered);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
