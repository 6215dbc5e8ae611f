/* Planted mistakes are found: by the checker, with the right words and the line, and by wrong
 * results or reports of plain runs where these can show them. */
#include <string.h>

#include "tests/check_main.h"
#include "tests/cudasim/samples_run.h"

namespace {

struct planted {
  const char *name;
  bool (*run)();       /* whether the result is right */
  const char *checker; /* what the checker reports; NULL: only results are wrong */
  bool plain;          /* some order of an ordinary run shows it, too */
};

bool host_pointer() {
  std::vector<float> x(128, 1.0f);
  device_array<float> y(1);
  sample_row_sum(SAMPLE_RIGHT, x.data(), y.p, 1, 128, nullptr);
  cudaDeviceSynchronize();
  std::vector<float> got = y.get();
  return !got.empty() && got[0] == 128;
}

bool freed_memory() {
  float *x;
  cudaMalloc((void **)&x, 512);
  cudaMemset(x, 0, 512);
  device_array<float> y(1);
  cudaFree(x);
  sample_row_sum(SAMPLE_RIGHT, x, y.p, 1, 128, nullptr);
  cudaDeviceSynchronize();
  std::vector<float> got = y.get();
  return !got.empty() && got[0] == 0;
}

bool uninitialised_input() {
  device_array<float> x(128), y(1);
  sample_row_sum(SAMPLE_RIGHT, x.p, y.p, 1, 128, nullptr);
  cudaDeviceSynchronize();
  std::vector<float> got = y.get();
  return !got.empty() && got[0] == got[0];
}

/* The host reads the result of a copy that nothing waited for. */
bool missing_stream_sync() {
  cudaStream_t stream;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  device_array<float> x(std::vector<float>(128, 1.0f)), y(1);
  float *host;
  cudaMallocHost((void **)&host, sizeof *host);
  *host = -1;
  sample_row_sum(SAMPLE_RIGHT, x.p, y.p, 1, 128, stream);
  cudaMemcpyAsync(host, y.p, sizeof *host, cudaMemcpyDeviceToHost, stream);
  bool right = *host == 128;
  cudaStreamDestroy(stream);
  cudaFreeHost(host);
  return right;
}

/* The pinned source is overwritten before the copy out of it is known to be over. */
bool reused_staging() {
  cudaStream_t stream;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  int *host, got = 0;
  device_array<int> x(1);
  cudaMallocHost((void **)&host, sizeof *host);
  *host = 1;
  cudaMemcpyAsync(x.p, host, sizeof *host, cudaMemcpyHostToDevice, stream);
  *host = 2;
  cudaStreamSynchronize(stream);
  cudaMemcpy(&got, x.p, sizeof got, cudaMemcpyDeviceToHost);
  cudaStreamDestroy(stream);
  cudaFreeHost(host);
  return got == 1;
}

/* A stream reads what another writes, or overwrites what it reads, and nobody told it to wait. */
bool missing_event_wait(bool overwrites) {
  cudaStream_t first, second;
  cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking);
  cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking);
  device_array<int> x(std::vector<int>(1, 1)), y(std::vector<int>(1, 2)), z(1);
  cudaMemcpyAsync(y.p, x.p, sizeof(int), cudaMemcpyDeviceToDevice, first);
  if (overwrites)
    cudaMemsetAsync(x.p, 0, sizeof(int), second);
  else
    cudaMemcpyAsync(z.p, y.p, sizeof(int), cudaMemcpyDeviceToDevice, second);
  cudaStreamSynchronize(second);
  cudaStreamSynchronize(first);
  cudaStreamDestroy(first);
  cudaStreamDestroy(second);
  return (overwrites ? y : z).get()[0] == 1;
}

#define BUG(bug, call, checker, plain)        \
  {                                           \
#bug, [] { return call; }, checker, plain \
  }

const planted bugs[] = {
    BUG(BUG_NO_BARRIER, run_row_sum(BUG_NO_BARRIER, 2, 512), "uninitialised shared read", true),
    BUG(BUG_UNWRITTEN_SLOT, run_row_sum(BUG_UNWRITTEN_SLOT, 1, 512), "uninitialised shared read",
        true),
    BUG(BUG_SHARED_OVERRUN, run_row_sum(BUG_SHARED_OVERRUN, 1, 512), "shared out of bounds", false),
    BUG(BUG_DIVERGENT_BARRIER, run_row_sum(BUG_DIVERGENT_BARRIER, 1, 512), "barrier: 64 threads",
        true),
    BUG(BUG_EARLY_EXIT, run_row_sum(BUG_EARLY_EXIT, 1, 40), "exited", true),
    BUG(BUG_TAIL_WRITE, run_row_sum(BUG_TAIL_WRITE, 2, 512), "global out of bounds", false),
    BUG(BUG_TAIL_READ, run_row_sum(BUG_TAIL_READ, 2, 512), "global out of bounds", false),
    BUG(BUG_NO_SYNCWARP, run_warp_sum(BUG_NO_SYNCWARP, 2), "race", true),
    BUG(BUG_WEAK_WAIT, run_tile_sum(BUG_WEAK_WAIT, 4), "async copy race", true),
    BUG(BUG_NO_COMMIT, run_tile_sum(BUG_NO_COMMIT, 4), "async copy race", true),
    BUG(BUG_NO_LOOP_BARRIER, run_tile_sum(BUG_NO_LOOP_BARRIER, 4), "write-after-read race", true),
    BUG(BUG_OFF_BY_ONE_TILE, run_tile_sum(BUG_OFF_BY_ONE_TILE, 4), nullptr, true),
    BUG(BUG_WRONG_FRAGMENT, run_product(BUG_WRONG_FRAGMENT), nullptr, true),
    BUG(BUG_SMALL_SHARED, run_product(BUG_SMALL_SHARED), "shared out of bounds", false),
    BUG(BUG_MISALIGNED_ROW, run_product(SAMPLE_RIGHT, 68), "misaligned", true),
    BUG(BUG_NO_COUNTER, run_split_sum(BUG_NO_COUNTER, 100, 4), "race between blocks", true),
    BUG(BUG_NO_FENCE, run_split_sum(BUG_NO_FENCE, 100, 4), "race between blocks", false),
    BUG(BUG_NO_GRID_SYNC, run_grid_scan(BUG_NO_GRID_SYNC, 4), "race between blocks", true),
    BUG(BUG_NO_EMPTY_WAIT, run_hopper_product(BUG_NO_EMPTY_WAIT, 64, 128, 512), "", true),
    BUG(BUG_WRONG_BYTE_COUNT, run_hopper_product(BUG_WRONG_BYTE_COUNT, 64, 128, 256), "deadlock",
        true),
    BUG(BUG_NO_FULL_WAIT, run_hopper_product(BUG_NO_FULL_WAIT, 64, 128, 256), "", true),
    BUG(BUG_EARLY_RELEASE, run_hopper_product(BUG_EARLY_RELEASE, 64, 128, 512), "race", true),
    BUG(BUG_EARLY_READ, run_overlap(BUG_EARLY_READ), "read before mv_pdl_wait", false),
    BUG(BUG_EARLY_WRITE, run_overlap(BUG_EARLY_WRITE), "write before mv_pdl_wait", false),
    BUG(BUG_NO_PDL_WAIT, run_overlap(BUG_NO_PDL_WAIT), "no mv_pdl_wait", false),
    BUG(BUG_HOST_POINTER, host_pointer(), "host pointer in a kernel", false),
    BUG(BUG_FREED_MEMORY, freed_memory(), "that was freed", false),
    BUG(BUG_UNINITIALISED_INPUT, uninitialised_input(), "uninitialised global read", true),
    BUG(BUG_NO_STREAM_SYNC, missing_stream_sync(), nullptr, true),
    BUG(BUG_NO_EVENT_WAIT, missing_event_wait(false), nullptr, true),
    BUG(BUG_OVERTAKEN_READ, missing_event_wait(true), nullptr, true),
    BUG(BUG_REUSED_STAGING, reused_staging(), nullptr, true),
};
const int n_bug = (int)(sizeof bugs / sizeof *bugs);

bool found_plainly(const planted &bug, int order, int async, unsigned seed) {
  sim_config *config = sim_settings();
  config->check = 0;
  config->streams = SIM_STREAMS_LATE;
  config->order = order;
  config->async = async;
  config->seed = seed;
  bool right = bug.run();
  bool found = !right || sim_report_count() > 0;
  sim_clear();
  return found;
}

}  // namespace

START_TEST(checker_reports_the_mistake) {
  const planted &bug = bugs[_i];
  sim_config *config = sim_settings();
  config->check = 1;
  config->streams = SIM_STREAMS_LATE;
  config->order = SIM_FORWARD;
  config->async = SIM_LATE;
  bool right = bug.run();
  if (bug.checker) {
    ck_assert_msg(sim_report_count() > 0, "%s: no report", bug.name);
    ck_assert_msg(sim_reported(bug.checker), "%s: %s", bug.name, sim_report_text(0));
  } else {
    ck_assert_msg(!right, "%s: right result", bug.name);
    ck_assert_msg(sim_report_count() == 0, "%s: %s", bug.name, sim_report_text(0));
  }
  sim_clear();
}
END_TEST

START_TEST(plain_runs_show_the_mistake) {
  const planted &bug = bugs[_i];
  int n_found =
      found_plainly(bug, SIM_FORWARD, SIM_LATE, 1) + found_plainly(bug, SIM_REVERSE, SIM_EARLY, 1);
  for (unsigned seed = 1; seed <= 8; seed++)
    n_found += found_plainly(bug, SIM_RANDOM, SIM_EITHER, seed);
  if (bug.plain) ck_assert_msg(n_found > 0, "%s: missed", bug.name);
}
END_TEST

START_TEST(reports_name_the_line) {
  sim_config *config = sim_settings();
  config->check = 1;
  config->order = SIM_FORWARD;
  run_row_sum(BUG_TAIL_WRITE, 2, 512);
  ck_assert_msg(sim_reported("samples.cu:"), "%s", sim_report_text(0));
  sim_clear();
  run_tile_sum(BUG_WEAK_WAIT, 4);
  ck_assert_msg(sim_reported("samples_tiles.cu:"), "%s", sim_report_text(0));
  sim_clear();
}
END_TEST

START_TEST(counts_bank_conflicts_and_sectors) {
  sim_config *config = sim_settings();
  config->check = 1;
  config->stats = 4;
  config->order = SIM_FORWARD;
  sim_clear_accesses();
  ck_assert(run_product(SAMPLE_RIGHT));
  ck_assert_double_eq(sim_access_ratio("samples_tiles.cu", 1), 1);
  sim_clear_accesses();
  ck_assert(run_product(BUG_NO_SWIZZLE));
  ck_assert_double_gt(sim_access_ratio("samples_tiles.cu", 1), 4);
  sim_clear_accesses();
  ck_assert(run_row_sum(SAMPLE_RIGHT, 2, 512));
  ck_assert_double_eq(sim_access_ratio("samples.cu", 0), 1);
  sim_access all[8];
  ck_assert_uint_ge(sim_accesses(all, 8), 2);
  sim_clear_accesses();
  config->stats = 0;
  ck_assert_int_eq(sim_report_count(), 0);
}
END_TEST

static void forget_reports(void) { sim_clear(); } /* of a test that failed */

static Suite *suite(void) {
  Suite *s = suite_create("cudasim bugs");
  TCase *t = tcase_create("bugs");
  tcase_add_checked_fixture(t, NULL, forget_reports);
  tcase_add_loop_test(t, checker_reports_the_mistake, 0, n_bug);
  tcase_add_loop_test(t, plain_runs_show_the_mistake, 0, n_bug);
  tcase_add_test(t, reports_name_the_line);
  tcase_add_test(t, counts_bank_conflicts_and_sectors);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
