/* A profile sees every operation, changes none, and adds up right. */
#include "kernels/ops_profile.h"

#include <string.h>

#include "runtime/memory.h"
#include "tests/check_main.h"
#include "tests/kernels/cases.h"

static const kernel_case cases[] = {
    {.op = "linear", .n_row = 1, .n_in = 64, .n_out = {32}},
    {.op = "linear", .n_row = 70, .n_in = 64, .n_out = {32}},
    {.op = "rmsnorm", .n_row = 64, .d = 128},
    {.op = "swiglu", .n_row = 2, .d = 128},
    {.op = "sample", .n_row = 3, .d = 100, .how = kernel_choices, .n_how = KERNEL_CHOICES},
};

#define N_CASE (int)(sizeof cases / sizeof *cases)

static mv_device device;
static const mv_ops *ops;
static mv_profile *profile;
static mv_error err;

static void open_all(void) {
  ck_assert_int_eq(mv_device_open(&device, &ops, "cpu", 1, &err), MV_OK);
  ck_assert_int_eq(mv_profile_open(&profile, &device, &ops, &err), MV_OK);
}

static void close_all(void) {
  ops = mv_profile_inner(profile);
  mv_profile_close(profile);
  mv_device_close(&device, ops);
}

static const mv_profile_row *find(const mv_profile_row *rows, int n, const char *op, int size) {
  for (int i = 0; i < n; i++)
    if (strcmp(rows[i].op, op) == 0 && rows[i].rows == size) return &rows[i];
  ck_abort_msg("%s is not in the profile", op);
  return NULL;
}

/* Cases borrow device memory as host memory on mv_ops_cpu alone, so inputs are made there. */
static void run(const kernel_case *c, int n_time, char *out, mv_cost *cost) {
  kernel_run r;
  ck_assert_int_eq(kernel_run_init(&r, c, &device, mv_profile_inner(profile), 1, &err), MV_OK);
  if (cost) *cost = r.op->cost(&r);
  r.ops = ops;
  for (int i = 0; i < n_time; i++) kernel_run_go(&r);
  r.ops = mv_profile_inner(profile);
  if (out) kernel_run_download(&r, out);
  kernel_run_free(&r);
}

START_TEST(every_operation_is_counted_with_its_cost) {
  static const int sizes[N_CASE] = {1, 0, 64, 64, 64};
  mv_cost costs[N_CASE];
  open_all();
  for (int i = 0; i < N_CASE; i++) run(&cases[i], i + 1, NULL, &costs[i]);
  int n;
  const mv_profile_row *rows = mv_profile_rows(profile, &n);
  ck_assert_int_eq(n, N_CASE);
  for (int i = 0; i < N_CASE; i++) {
    const mv_profile_row *row = find(rows, n, cases[i].op, sizes[i]);
    ck_assert_int_eq(row->n_call, i + 1);
    ck_assert_double_eq_tol(row->bytes, (i + 1) * costs[i].bytes, 1e-3);
    ck_assert_double_eq_tol(row->flops, (i + 1) * costs[i].flops, 1e-3);
    ck_assert(row->ms > 0 && row->ms < 60000);
  }
  for (int i = 1; i < n; i++) ck_assert_double_ge(rows[i - 1].ms, rows[i].ms);
  close_all();
}
END_TEST

START_TEST(more_calls_than_marks_are_all_counted) {
  open_all();
  run(&cases[0], 2 * MV_MARKS + 3, NULL, NULL);
  int n;
  const mv_profile_row *rows = mv_profile_rows(profile, &n);
  ck_assert_int_eq(find(rows, n, "linear", 1)->n_call, 2 * MV_MARKS + 3);
  close_all();
}
END_TEST

START_TEST(results_stay_the_same) {
  open_all();
  for (int i = 0; i < N_CASE; i++) {
    static char with[1 << 17], without[1 << 17];
    run(&cases[i], 1, with, NULL);
    const mv_ops *timed = ops;
    ops = mv_profile_inner(profile);
    run(&cases[i], 1, without, NULL);
    ops = timed;
    ck_assert_int_eq(memcmp(with, without, 1024), 0);
  }
  close_all();
}
END_TEST

START_TEST(the_table_names_shares_of_the_limits) {
  const mv_limits limits = {10, 100};
  mv_buf text = {0};
  open_all();
  run(&cases[1], 3, NULL, NULL);
  mv_profile_print(profile, &limits, &text);
  ck_assert_int_eq(mv_buf_status(&text, &err), MV_OK);
  mv_buf_char(&text, 0);
  ck_assert_msg(strstr(text.ptr, "copies 10.0 GB/s, multiplies 100.0 GFLOP/s") != NULL, "%s",
                text.ptr);
  ck_assert_msg(strstr(text.ptr, "linear") != NULL, "%s", text.ptr);
  mv_buf_free(&text);
  close_all();
}
END_TEST

static int refuse(size_t n_bytes, void *user) {
  (void)n_bytes;
  (void)user;
  return 0;
}

START_TEST(no_memory_is_a_status) {
  ck_assert_int_eq(mv_device_open(&device, &ops, "cpu", 1, &err), MV_OK);
  const mv_ops *before = ops;
  mv_alloc_set_hook(refuse, NULL);
  ck_assert_int_eq(mv_profile_open(&profile, &device, &ops, &err), MV_ERR_MEMORY);
  mv_alloc_set_hook(NULL, NULL);
  ck_assert_ptr_eq(ops, before);
  mv_profile_close(profile);
  mv_device_close(&device, ops);
}
END_TEST

START_TEST(a_machine_has_limits) {
  mv_limits limits;
  ck_assert_int_eq(mv_device_open(&device, &ops, "cpu", 1, &err), MV_OK);
  ck_assert_int_eq(mv_limits_measure(&limits, &device, ops, 0.01, &err), MV_OK);
  ck_assert_double_gt(limits.gbs, 0);
  ck_assert_double_gt(limits.gflops, 0);
  mv_alloc_set_hook(refuse, NULL);
  ck_assert_int_eq(mv_limits_measure(&limits, &device, ops, 0.01, &err), MV_ERR_MEMORY);
  mv_alloc_set_hook(NULL, NULL);
  mv_device_close(&device, ops);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("profile");
  TCase *t = tcase_create("profile");
  tcase_add_test(t, every_operation_is_counted_with_its_cost);
  tcase_add_test(t, more_calls_than_marks_are_all_counted);
  tcase_add_test(t, results_stay_the_same);
  tcase_add_test(t, the_table_names_shares_of_the_limits);
  tcase_add_test(t, no_memory_is_a_status);
  tcase_add_test(t, a_machine_has_limits);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
