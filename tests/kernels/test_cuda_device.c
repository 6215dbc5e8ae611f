/* The CUDA device on the emulator: what it refuses, steps and their graphs, lanes, and
 * every call of the runtime failing once. */
#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda.h"
#include "runtime/memory.h"
#include "tests/kernels/cuda_cases.h"

static sim_config saved;
static mv_error err;

static void set_up(void) {
  saved = *sim_settings();
  cuda_set_up();
}

static void tear_down(void) {
  sim_fail_call(-1, 0);
  *sim_settings() = saved;
  cuda_tear_down();
}

static void assert_well(void) {
  ck_assert_msg(cuda.error.code == MV_OK, "%s", cuda.error.msg);
  ck_assert_msg(sim_report_count() == 0, "%s", sim_report_text(0));
}

/* ---- opening ---- */

START_TEST(says_what_is_missing) {
  mv_device device;
  ck_assert_int_eq(mv_device_open_cuda(&device, 7, &err), MV_ERR_USAGE);
  ck_assert_str_eq(err.msg, "cuda:7: this machine has 1 CUDA device, numbered from 0");
  ck_assert_int_eq(mv_device_open_cuda(&device, -1, &err), MV_ERR_USAGE);
  sim_settings()->arch = 75;
  ck_assert_int_eq(mv_device_open_cuda(&device, 0, &err), MV_ERR_UNSUPPORTED);
  ck_assert_msg(strstr(err.msg, "compute capability 7.5") != NULL, "%s", err.msg);
  sim_settings()->devices = 0;
  ck_assert_int_eq(mv_device_open_cuda(&device, 0, &err), MV_ERR_UNSUPPORTED);
  ck_assert_msg(strstr(err.msg, "no CUDA device") != NULL, "%s", err.msg);
  *sim_settings() = saved;
}
END_TEST

START_TEST(tells_what_it_is) {
  const mv_cuda *c = mv_cuda_of(&cuda);
  ck_assert_str_eq(cuda.name, "cuda:0");
  ck_assert_int_eq(c->arch, sim_settings()->arch);
  ck_assert_int_eq(c->n_sm, sim_settings()->sms);
  ck_assert_uint_ge(c->shared_bytes, 48 * 1024);
  ck_assert_int_eq(cuda.has_bf16, 1);
}
END_TEST

/* Code of older PTX waits for nothing, so nothing may begin before what is ahead of it ends. */
START_TEST(overlap_is_a_matter_of_the_code) {
  mv_device device;
  static const int codes[][3] = {{90, 90, 1}, {90, 80, 0}, {100, 90, 1}, {100, 80, 0}, {80, 80, 0}};
  for (int i = 0; i < COUNT(codes); i++) {
    sim_settings()->arch = codes[i][0];
    sim_settings()->code = codes[i][1];
    ck_assert_int_eq(mv_device_open_cuda(&device, 0, &err), MV_OK);
    ck_assert_int_eq(mv_cuda_of(&device)->overlaps, codes[i][2]);
    mv_device_close_cuda(&device);
  }
  sim_settings()->code = 90;
  ck_assert_int_eq(mv_device_open_cuda(&device, 0, &err), MV_ERR_UNSUPPORTED);
  ck_assert_msg(strstr(err.msg, "no kernels for compute capability 8.0") != NULL, "%s", err.msg);
  *sim_settings() = saved;
}
END_TEST

START_TEST(memory_that_is_not_there_is_an_error_that_can_be_recovered_from) {
  ck_assert_ptr_null(mv_ops_cuda.alloc(&cuda, (size_t)1 << 60));
  ck_assert_int_eq(cuda.error.code, MV_ERR_MEMORY);
  ck_assert_msg(strstr(cuda.error.msg, "MiB are free") != NULL, "%s", cuda.error.msg);
  mv_device_recover(&cuda);
  void *some = mv_ops_cuda.alloc(&cuda, 100);
  ck_assert_ptr_nonnull(some);
  mv_ops_cuda.free(&cuda, some);
  assert_well();
}
END_TEST

/* ---- steps ---- */

enum { D = 64, TABLE_ROWS = 200, MAX_ROWS = 100, PAGES = 4 };

/* Embeds rows, norms them and writes them to pages: ids and page tables change from step to step.
 */
typedef struct work {
  float *table, *weight, *x, *y, *turn, *cache; /* device */
  int32_t *ids;                                 /* device */
} work;

static work make_work(mv_device *device) {
  const mv_ops *ops = &mv_ops_cuda;
  float *table = malloc(TABLE_ROWS * D * sizeof *table), weight[D];
  for (int i = 0; i < TABLE_ROWS * D; i++) table[i] = (float)(kernel_hash(3, (uint64_t)i) % 1000);
  for (int i = 0; i < D; i++) weight[i] = (float)(i + 1);
  size_t cache_bytes = PAGES * mv_kv_page_bytes(1, D / 2, F32);
  work w = {ops->alloc(device, TABLE_ROWS * D * sizeof *table),
            ops->alloc(device, sizeof weight),
            ops->alloc(device, MAX_ROWS * D * sizeof(float)),
            ops->alloc(device, MAX_ROWS * D * sizeof(float)),
            ops->alloc(device, MAX_ROWS * D / 2 * sizeof(float)),
            ops->alloc(device, cache_bytes),
            ops->alloc(device, MAX_ROWS * sizeof(int32_t))};
  char *zeros = calloc(1, cache_bytes);
  ops->upload(device, w.table, table, TABLE_ROWS * D * sizeof *table);
  ops->upload(device, w.weight, weight, sizeof weight);
  ops->upload(device, w.turn, table, MAX_ROWS * D / 2 * sizeof *table); /* any numbers will do */
  ops->upload(device, w.cache, zeros, cache_bytes);
  free(zeros);
  free(table);
  return w;
}

static void free_work(mv_device *device, work *w) {
  void *all[] = {w->table, w->weight, w->x, w->y, w->turn, w->cache, w->ids};
  for (int i = 0; i < COUNT(all); i++) mv_ops_cuda.free(device, all[i]);
}

static void issue(mv_device *device, const work *w, int n_row, int seed) {
  const mv_ops *ops = &mv_ops_cuda;
  int32_t ids[MAX_ROWS], pages[2] = {seed % PAGES, (seed + 1) % PAGES};
  for (int i = 0; i < n_row; i++) ids[i] = (i * 7 + seed) % TABLE_ROWS;
  mv_gather_dims embed = {n_row, D, F32, F32};
  mv_rmsnorm_dims norm = {n_row, D, F32, F32, 1e-6f};
  mv_attention_dims kv = {.n_row = n_row, .n_kv = 1, .d_head = D / 2, .ldq = D};
  mv_seq_rows seq = {0, n_row, 0, pages, NULL};
  mv_seq_plan plan;
  ops->upload(device, w->ids, ids, (size_t)n_row * sizeof *ids);
  ops->embed(device, &embed, w->ids, w->table, NULL, w->x);
  ops->plan(device, &seq, 1, &kv, &plan);
  for (int layer = 0; layer < 5; layer++) {
    ops->rmsnorm(device, &norm, w->x, w->weight, w->y);
    ops->rope_kv(device, &kv, &plan, w->turn, w->y, w->cache);
  }
}

static void run_step(mv_device *device, const work *w, int n_row, int seed) {
  do {
    mv_ops_cuda.step_begin(device);
    issue(device, w, n_row, seed);
  } while (mv_ops_cuda.step_end(device));
}

/* The cache after a step with this seed, as direct operations leave it. */
static void expect_cache(const work *w, int n_row, int seed, const char *how) {
  size_t n_bytes = PAGES * mv_kv_page_bytes(1, D / 2, F32);
  char *got = malloc(n_bytes), *want = malloc(n_bytes);
  mv_ops_cuda.download(&cuda, got, w->cache, n_bytes);
  memset(want, 0xEE, n_bytes);
  mv_ops_cuda.upload(&cuda, w->cache, want, n_bytes); /* so that direct operations must write it */
  issue(&cuda, w, n_row, seed);
  mv_ops_cuda.download(&cuda, want, w->cache, n_bytes);
  for (size_t i = 0; i < n_bytes; i++) /* slots that no row has stay as they were */
    if (want[i] != (char)0xEE)
      ck_assert_msg(got[i] == want[i], "%s: %d rows, seed %d: byte %zu", how, n_row, seed, i);
  free(got);
  free(want);
}

START_TEST(a_replayed_step_sees_new_ids_and_pages) {
  work w = make_work(&cuda);
  long calls[8];
  for (int i = 0; i < 8; i++) {
    sim_fail_call(-1, 0);
    run_step(&cuda, &w, 70, i * 13);
    calls[i] = sim_fail_call(-1, 0);
    expect_cache(&w, 70, i * 13, "step");
  }
  /* two uploads and eleven launches in the first; then recorded; then one launch for all of it */
  ck_assert_int_ge(calls[0], 13);
  for (int i = 2; i < 8; i++) ck_assert_int_le(calls[i], 5);
  free_work(&cuda, &w);
  assert_well();
}
END_TEST

/* In what a driver makes of PTX for cards before sm_90, mv_pdl_wait is nothing. */
START_TEST(steps_of_code_for_older_cards_are_right) {
  mv_device device;
  float y;
  sim_settings()->code = 80;
  ck_assert_int_eq(mv_device_open_cuda(&device, 0, &err), MV_OK);
  work w = make_work(&device);
  for (int i = 0; i < 3; i++) run_step(&device, &w, 70, i);
  mv_ops_cuda.download(&device, &y, w.y, sizeof y);
  free_work(&device, &w);
  ck_assert_int_eq(device.error.code, MV_OK);
  mv_device_close_cuda(&device);
  assert_well();
}
END_TEST

/* Those before 12.3 do not record launches that overlap. */
START_TEST(steps_do_not_overlap_with_an_older_driver) {
  static const struct { int driver, overlaps; } drivers[] = {{12020, 0}, {12030, 1}};
  for (int i = 0; i < COUNT(drivers); i++) {
    mv_device device;
    sim_settings()->driver = drivers[i].driver;
    ck_assert_int_eq(mv_device_open_cuda(&device, 0, &err), MV_OK);
    ck_assert_int_eq(mv_cuda_of(&device)->overlaps, drivers[i].overlaps);
    mv_device_close_cuda(&device);
  }
  assert_well();
}
END_TEST

/* Outside a step too, where the ring that other operations stage in goes round meanwhile. */
START_TEST(a_plan_is_valid_until_the_next) {
  enum { N_ROW = 70, N_STAGED = 200000 };
  work w = make_work(&cuda);
  char *bytes = calloc(1, N_STAGED);
  int32_t pages[2] = {3, 1};
  mv_attention_dims dims = {.n_row = N_ROW, .n_kv = 1, .d_head = D / 2, .ldq = D};
  mv_seq_rows seq = {0, N_ROW, 0, pages, NULL};
  mv_seq_plan plan;
  issue(&cuda, &w, N_ROW, 3); /* pages 3 and 0: w.y is what it will be */
  mv_ops_cuda.plan(&cuda, &seq, 1, &dims, &plan);
  for (int i = 0; i < 12; i++) {
    bytes[0] = (char)i;
    ck_assert_ptr_nonnull(mv_cuda_stage(&cuda, bytes, N_STAGED));
  }
  mv_ops_cuda.rope_kv(&cuda, &dims, &plan, w.turn, w.y, w.cache);
  size_t page = mv_kv_page_bytes(1, D / 2, F32);
  char *cache = malloc(PAGES * page);
  mv_ops_cuda.download(&cuda, cache, w.cache, PAGES * page);
  size_t row = D / 2 * sizeof(float); /* the last tokens went to the first slots of both */
  ck_assert(memcmp(cache, cache + page, (N_ROW - MV_PAGE_TOKENS) * row) == 0);
  free(cache);
  free(bytes);
  free_work(&cuda, &w);
  assert_well();
}
END_TEST

START_TEST(more_shapes_than_graphs_are_kept) {
  work w = make_work(&cuda);
  for (int round = 0; round < 4; round++)
    for (int n_row = 1; n_row <= MAX_ROWS; n_row += round < 2 ? 1 : 9) {
      run_step(&cuda, &w, n_row, n_row + round);
      if (n_row % 10 == 1) expect_cache(&w, n_row, n_row + round, "many shapes");
    }
  free_work(&cuda, &w);
  assert_well();
}
END_TEST

START_TEST(a_step_may_describe_more_than_fits) {
  enum { N = 3 << 20 };
  char *bytes = malloc(N), *back = malloc(N);
  void *dev = mv_ops_cuda.alloc(&cuda, N);
  for (int i = 0; i < 5; i++) {
    memset(bytes, i + 1, N);
    int n_pass = 0;
    do {
      mv_ops_cuda.step_begin(&cuda);
      mv_ops_cuda.upload(&cuda, dev, bytes, N);
      ck_assert_ptr_nonnull(mv_cuda_stage(&cuda, bytes, 1000));
      n_pass++;
    } while (mv_ops_cuda.step_end(&cuda));
    ck_assert_int_le(n_pass, 3);
    mv_ops_cuda.download(&cuda, back, dev, N);
    ck_assert(memcmp(bytes, back, N) == 0);
  }
  mv_ops_cuda.free(&cuda, dev);
  free(bytes);
  free(back);
  assert_well();
}
END_TEST

/* ---- lanes ---- */

/* Row `which` of the table, D times the same number, through an operation. */
static void pick(mv_device *device, const work *w, int which, float *out) {
  int32_t id = which;
  mv_gather_dims dims = {1, D, F32, F32};
  mv_ops_cuda.upload(device, w->ids, &id, sizeof id);
  mv_ops_cuda.embed(device, &dims, w->ids, w->table, NULL, out);
}

static void set_table(mv_device *device, const work *w, float value) {
  float rows[2 * D];
  for (int i = 0; i < 2 * D; i++) rows[i] = value + (float)(i / D);
  mv_ops_cuda.upload(device, w->table, rows, sizeof rows);
}

static float first_of(mv_device *device, const float *x) {
  float value = 0;
  mv_ops_cuda.download(device, &value, x, sizeof value);
  return value;
}

START_TEST(the_side_lane_begins_after_what_the_main_lane_was_given) {
  const mv_ops *ops = &mv_ops_cuda;
  work w = make_work(&cuda);
  for (int round = 0; round < 5; round++) {
    float value = (float)(10 * round);
    set_table(&cuda, &w, value);
    ck_assert_float_eq(first_of(&cuda, w.table), value);
    pick(&cuda, &w, 0, w.x);
    ops->lane(&cuda, MV_LANE_SIDE);
    set_table(&cuda, &w, -1); /* the main lane reads it until it is done */
    pick(&cuda, &w, 1, w.y);
    ops->mark(&cuda, 7);
    ops->lane(&cuda, MV_LANE_MAIN);
    int n_asked = 0;
    while (!ops->is_past(&cuda, 7)) n_asked++;
    if (sim_settings()->streams == SIM_STREAMS_LATE) ck_assert_int_gt(n_asked, 0);
    ck_assert_float_eq(first_of(&cuda, w.y), 0);
    ck_assert_float_eq(first_of(&cuda, w.x), value);
  }
  free_work(&cuda, &w);
  assert_well();
}
END_TEST

START_TEST(the_main_lane_waits_for_a_mark_and_for_nothing_else) {
  const mv_ops *ops = &mv_ops_cuda;
  work w = make_work(&cuda);
  mv_rmsnorm_dims norm = {1, D, F32, F32, 0};
  for (int round = 0; round < 5; round++) {
    set_table(&cuda, &w, (float)(round % 2 ? 1 : -2)); /* the row's numbers: 2, or -1 */
    ops->lane(&cuda, MV_LANE_SIDE);
    ops->mark(&cuda, 1);
    pick(&cuda, &w, 1, w.x);
    ops->mark(&cuda, 2);
    pick(&cuda, &w, 1, w.y);
    ops->mark(&cuda, 3);
    ops->lane(&cuda, MV_LANE_MAIN);
    ops->wait(&cuda, 2);
    ops->rmsnorm(&cuda, &norm, w.x, w.weight, w.turn); /* a sign, times 1, 2, 3 ... */
    ck_assert_float_eq(first_of(&cuda, w.turn), round % 2 ? 1 : -1);
    if (sim_settings()->streams == SIM_STREAMS_LATE) ck_assert_int_eq(ops->is_past(&cuda, 3), 0);
    ck_assert_double_ge(ops->elapsed(&cuda, 1, 3), ops->elapsed(&cuda, 1, 2));
    ck_assert_int_eq(ops->is_past(&cuda, 3), 1);
  }
  ck_assert_int_eq(ops->is_past(&cuda, MV_MARKS - 1), 1); /* never marked */
  free_work(&cuda, &w);
  assert_well();
}
END_TEST

START_TEST(lanes_share_no_working_memory) {
  char bytes[64] = {3};
  const void *staged = mv_cuda_stage(&cuda, bytes, sizeof bytes);
  char *scratch = mv_cuda_scratch(&cuda, 1000, 256);
  mv_ops_cuda.lane(&cuda, MV_LANE_SIDE);
  ck_assert_ptr_ne(mv_cuda_stage(&cuda, bytes, sizeof bytes), staged);
  ck_assert_ptr_ne(mv_cuda_scratch(&cuda, 1000, 256), scratch);
  mv_ops_cuda.lane(&cuda, MV_LANE_MAIN);
  ck_assert_ptr_eq(mv_cuda_stage(&cuda, bytes, sizeof bytes), staged);
  ck_assert_ptr_eq(mv_cuda_scratch(&cuda, 1000, 256), scratch);
  assert_well();
}
END_TEST

/* ---- several devices ---- */

/* A thread that chose another device meanwhile. */
START_TEST(work_goes_to_its_own_device) {
  mv_device device;
  sim_settings()->devices = 2;
  ck_assert_int_eq(mv_device_open_cuda(&device, 1, &err), MV_OK);
  work w = make_work(&device);
  int32_t id = 1;
  mv_gather_dims dims = {1, D, F32, F32};
  mv_ops_cuda.upload(&device, w.ids, &id, sizeof id);
  for (int i = 0; i < 4; i++) {
    ck_assert_int_eq(cudaSetDevice(0), cudaSuccess);
    mv_ops_cuda.mark(&device, i);
    ck_assert_int_eq(cudaSetDevice(0), cudaSuccess);
    mv_ops_cuda.embed(&device, &dims, w.ids, w.table, NULL, w.x);
    ck_assert_int_eq(cudaSetDevice(0), cudaSuccess);
    run_step(&device, &w, 9, i);
  }
  ck_assert_msg(device.error.code == MV_OK, "%s", device.error.msg);
  free_work(&device, &w);
  mv_device_close_cuda(&device);
  ck_assert_int_eq(cudaSetDevice(0), cudaSuccess);
  assert_well();
}
END_TEST

/* ---- failures ---- */

/* What an engine does; returns how it ended. */
static mv_status scenario(void) {
  mv_device device;
  MV_TRY(mv_device_open_cuda(&device, 0, &err));
  work w = make_work(&device);
  char bytes[64] = {1};
  const void *placed = mv_ops_cuda.place(&device, bytes, sizeof bytes);
  mv_infile file = {0};
  if (mv_infile_open(&file, "README.md", &err) == MV_OK)
    mv_ops_cuda.read(&device, (void *)(uintptr_t)placed, &file, 5, sizeof bytes);
  mv_ops_cuda.read_end(&device);
  mv_infile_close(&file);
  mv_cuda_scratch(&device, 2 << 20, 256);
  for (int i = 0; i < 4; i++) run_step(&device, &w, 9, i);
  mv_ops_cuda.lane(&device, MV_LANE_SIDE);
  pick(&device, &w, 3, w.x);
  mv_cuda_scratch(&device, 2 << 20, 256);
  mv_ops_cuda.mark(&device, 0);
  mv_ops_cuda.lane(&device, MV_LANE_MAIN);
  mv_ops_cuda.is_past(&device, 0);
  mv_ops_cuda.wait(&device, 0);
  issue(&device, &w, 9, 1);
  mv_ops_cuda.download(&device, bytes, w.y, sizeof bytes);
  free_work(&device, &w);
  mv_status status = mv_device_status(&device, &err);
  mv_device_close_cuda(&device);
  return status;
}

static size_t free_memory(void) {
  size_t n_free = 0, n_total = 0;
  ck_assert_int_eq(cudaMemGetInfo(&n_free, &n_total), cudaSuccess);
  return n_free;
}

START_TEST(any_failing_call_is_an_error_and_nothing_worse) {
  static const struct {
    cudaError_t error;
    mv_status status;
  } ways[] = {{cudaErrorUnknown, MV_ERR_DEVICE}, {cudaErrorMemoryAllocation, MV_ERR_MEMORY}};
  size_t before = free_memory();
  ck_assert_int_eq(scenario(), MV_OK);
  sim_fail_call(-1, 0);
  scenario();
  long n_call = sim_fail_call(-1, 0);
  int n_failed = 0;
  for (long k = 0; k < n_call; k++) {
    int way = (int)(k % COUNT(ways));
    sim_fail_call(k, ways[way].error);
    mv_status status = scenario();
    sim_fail_call(-1, 0);
    n_failed += status != MV_OK;
    if (status != MV_OK) ck_assert_msg(status == ways[way].status, "call %ld: %s", k, err.msg);
    ck_assert_msg(sim_report_count() == 0, "call %ld: %s", k, sim_report_text(0));
    if (status == MV_OK)
      before = free_memory(); /* it was giving memory back that failed */
    else
      ck_assert_msg(free_memory() == before, "call %ld (%s): memory leaks", k, err.msg);
  }
  printf("failures           %ld calls, %d of them made the device fail\n", n_call, n_failed);
  ck_assert_int_ge(n_failed, n_call / 2);
}
END_TEST

static int fail_at(size_t n_bytes, void *user) {
  (void)n_bytes;
  return (*(long *)user)-- != 0;
}

START_TEST(any_failing_allocation_is_an_error_and_nothing_worse) {
  size_t before = free_memory();
  int n_failed = 0;
  for (long k = 0; k < 12; k++) {
    long left = k;
    mv_alloc_set_hook(fail_at, &left);
    mv_status status = scenario();
    mv_alloc_set_hook(NULL, NULL);
    if (status != MV_OK) ck_assert_msg(status == MV_ERR_MEMORY, "%ld: %s", k, err.msg);
    n_failed += status != MV_OK;
    ck_assert_uint_eq(free_memory(), before);
  }
  ck_assert_int_ge(n_failed, 5);
  ck_assert_int_eq(scenario(), MV_OK);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("cuda device");
  TCase *t = tcase_create("device");
  tcase_add_checked_fixture(t, set_up, tear_down);
  tcase_add_test(t, says_what_is_missing);
  tcase_add_test(t, tells_what_it_is);
  tcase_add_test(t, overlap_is_a_matter_of_the_code);
  tcase_add_test(t, memory_that_is_not_there_is_an_error_that_can_be_recovered_from);
  tcase_add_test(t, a_replayed_step_sees_new_ids_and_pages);
  tcase_add_test(t, steps_of_code_for_older_cards_are_right);
  tcase_add_test(t, steps_do_not_overlap_with_an_older_driver);
  tcase_add_test(t, a_plan_is_valid_until_the_next);
  tcase_add_test(t, more_shapes_than_graphs_are_kept);
  tcase_add_test(t, a_step_may_describe_more_than_fits);
  tcase_add_test(t, the_side_lane_begins_after_what_the_main_lane_was_given);
  tcase_add_test(t, the_main_lane_waits_for_a_mark_and_for_nothing_else);
  tcase_add_test(t, lanes_share_no_working_memory);
  tcase_add_test(t, work_goes_to_its_own_device);
  tcase_add_test(t, any_failing_call_is_an_error_and_nothing_worse);
  tcase_add_test(t, any_failing_allocation_is_an_error_and_nothing_worse);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
