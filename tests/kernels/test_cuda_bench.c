/* The benchmark of operations on a CUDA device, here the emulated one: limits from its own copies
 * and products, rows as recorded steps, one row alone for a profiler. What it prints of times is
 * noise. */
#include "bench/bench.h"
#include "kernels/ops_limits.h"
#include "tests/kernels/cuda_cases.h"

static int bench(const char *a, const char *b, const char *c) {
  char *argv[] = {"kernels",           "--device",           "cuda",
                  "--quick",           (char *)(uintptr_t)a, (char *)(uintptr_t)b,
                  (char *)(uintptr_t)c};
  return mv_bench_kernels_main(c ? 7 : 6, argv, NULL);
}

START_TEST(rows_are_right_and_timed) {
  ck_assert_int_eq(bench("--op", "kv_copy", NULL), 0);
  ck_assert_int_eq(bench("--op", "kv_copy", "--json"), 0);
}
END_TEST

START_TEST(one_row_runs_alone) {
  ck_assert_int_eq(bench("--profile", "decode/rmsnorm", NULL), 0);
  ck_assert_int_eq(bench("--profile", "decode/nothing", NULL), 2);
}
END_TEST

START_TEST(limits_are_measured) {
  mv_limits limits;
  mv_error err;
  ck_assert_msg(mv_limits_measure(&limits, &cuda, &mv_ops_cuda, 1e-3, &err) == MV_OK, "%s",
                err.msg);
  ck_assert_double_gt(limits.gbs, 0);
  ck_assert_double_gt(limits.gflops, 0);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("cuda bench");
  TCase *t = tcase_create("bench");
  tcase_add_unchecked_fixture(t, cuda_set_up, cuda_tear_down);
  tcase_add_test(t, rows_are_right_and_timed);
  tcase_add_test(t, one_row_runs_alone);
  tcase_add_test(t, limits_are_measured);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
