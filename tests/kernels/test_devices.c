/* Devices by name, and their clocks. */
#include <string.h>

#include "kernels/ops.h"
#include "tests/check_main.h"

static mv_error err;

START_TEST(the_cpu_opens_by_name) {
  static const char *const names[] = {"cpu", "auto", NULL};
  for (int i = 0; i < 3; i++) {
    mv_device device;
    const mv_ops *ops;
    ck_assert_msg(mv_device_open(&device, &ops, names[i], 1, &err) == MV_OK, "%s", err.msg);
    ck_assert_ptr_nonnull(ops);
    if (names[i] && strcmp(names[i], "cpu") == 0) {
      ck_assert_ptr_eq(ops, &mv_ops_cpu);
      ck_assert_int_eq(device.n_thread, 1);
    }
    mv_device_close(&device, ops);
  }
}
END_TEST

START_TEST(other_names_are_refused) {
  static const char *const names[] = {"",        "gpu",     "cudax",     "cuda:", "cuda:x",
                                      "cuda:1x", "cuda:-1", "cuda:9999", "CPU",   "cpu "};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    mv_device device;
    const mv_ops *ops = &mv_ops_cpu;
    ck_assert_int_eq(mv_device_open(&device, &ops, names[i], 1, &err), MV_ERR_USAGE);
    ck_assert_msg(strstr(err.msg, "expected auto, cpu or cuda[:N]") != NULL, "%s", err.msg);
    ck_assert_ptr_null(ops);
    mv_device_close(&device, ops);
  }
}
END_TEST

START_TEST(a_missing_card_is_told) {
  mv_device device;
  const mv_ops *ops;
  mv_status status = mv_device_open(&device, &ops, "cuda:999", 1, &err);
  ck_assert_int_ne(status, MV_OK);
  ck_assert_msg(strstr(err.msg, "cuda") != NULL, "%s", err.msg);
  ck_assert_ptr_null(ops);
}
END_TEST

START_TEST(marks_measure_time) {
  mv_device device;
  const mv_ops *ops;
  ck_assert_int_eq(mv_device_open(&device, &ops, "cpu", 1, &err), MV_OK);
  ck_assert_double_eq(ops->elapsed(&device, 0, 1), 0); /* none made yet */
  ops->mark(&device, 0);
  double sum = 0;
  for (int i = 0; i < 1000000; i++) sum += (double)i;
  ck_assert_double_gt(sum, 0);
  ops->mark(&device, MV_MARKS - 1);
  double ms = ops->elapsed(&device, 0, MV_MARKS - 1);
  ck_assert_msg(ms > 0 && ms < 60000, "%g ms", ms);
  mv_device_close(&device, ops);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("devices");
  TCase *t = tcase_create("devices");
  tcase_add_test(t, the_cpu_opens_by_name);
  tcase_add_test(t, other_names_are_refused);
  tcase_add_test(t, a_missing_card_is_told);
  tcase_add_test(t, marks_measure_time);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
