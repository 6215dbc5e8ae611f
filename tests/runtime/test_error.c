#include "runtime/error.h"

#include <string.h>

#include "runtime/device.h"
#include "tests/check_main.h"

START_TEST(a_failure_carries_a_sentence_and_its_place) {
  mv_error err;
  int line = __LINE__ + 1;
  ck_assert_int_eq(mv_fail(&err, MV_ERR_SHAPE, "expected %d, got %s", 3, "four"), MV_ERR_SHAPE);
  ck_assert_int_eq(err.code, MV_ERR_SHAPE);
  ck_assert_str_eq(err.msg, "expected 3, got four");
  ck_assert_int_eq(err.line, line);
  ck_assert_ptr_nonnull(strstr(err.file, "test_error.c"));
  ck_assert_int_eq(mv_fail(NULL, MV_ERR_IO, "nobody listens"), MV_ERR_IO);
}
END_TEST

START_TEST(a_prefix_comes_before_the_message) {
  mv_error err;
  mv_fail(&err, MV_ERR_FORMAT, "not JSON");
  ck_assert_int_eq(mv_error_prefix(&err, "%s:%d", "a.jsonl", 7), MV_ERR_FORMAT);
  ck_assert_str_eq(err.msg, "a.jsonl:7: not JSON");
  ck_assert_int_ne(mv_error_prefix(NULL, "x"), MV_OK);
}
END_TEST

START_TEST(long_messages_are_cut_not_overrun) {
  static char long_text[5000];
  struct {
    mv_error err;
    char guard[8];
  } box;
  memset(long_text, 'a', sizeof long_text - 1);
  memset(box.guard, 'G', sizeof box.guard);
  mv_fail(&box.err, MV_ERR_IO, "%s", long_text);
  ck_assert_uint_eq(strlen(box.err.msg), sizeof box.err.msg - 1);
  mv_error_prefix(&box.err, "%s", "short");
  ck_assert_int_eq(strncmp(box.err.msg, "short: aaa", 10), 0);
  mv_error_prefix(&box.err, "%s", long_text);
  ck_assert_uint_lt(strlen(box.err.msg), sizeof box.err.msg);
  for (int n = 2040; n < 2052; n++) { /* prefixes that leave next to no room */
    mv_fail(&box.err, MV_ERR_IO, "message");
    mv_error_prefix(&box.err, "%.*s", n, long_text);
    ck_assert_uint_lt(strlen(box.err.msg), sizeof box.err.msg);
  }
  for (int i = 0; i < 8; i++) ck_assert_int_eq(box.guard[i], 'G');
}
END_TEST

static mv_status twice(int fail, int *n_run, mv_error *err) {
  MV_TRY(fail ? mv_fail(err, MV_ERR_DEVICE, "first") : MV_OK);
  ++*n_run;
  return MV_OK;
}

START_TEST(try_returns_the_first_failure) {
  int n_run = 0;
  mv_error err;
  ck_assert_int_eq(twice(1, &n_run, &err), MV_ERR_DEVICE);
  ck_assert_int_eq(n_run, 0);
  ck_assert_int_eq(twice(0, &n_run, &err), MV_OK);
  ck_assert_int_eq(n_run, 1);
}
END_TEST

START_TEST(a_device_recovers_from_lack_of_memory_alone) {
  mv_device device = {.name = "cpu"};
  mv_error err;
  ck_assert_int_eq(mv_device_status(&device, &err), MV_OK);
  mv_fail(&device.error, MV_ERR_MEMORY, "full");
  ck_assert_int_eq(mv_device_status(&device, &err), MV_ERR_MEMORY);
  ck_assert_str_eq(err.msg, "full");
  ck_assert_int_eq(mv_device_status(&device, NULL), MV_ERR_MEMORY);
  mv_device_recover(&device);
  ck_assert_int_eq(mv_device_status(&device, &err), MV_OK);
  mv_fail(&device.error, MV_ERR_DEVICE, "on fire");
  mv_device_recover(&device);
  ck_assert_int_eq(mv_device_status(&device, &err), MV_ERR_DEVICE);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("error");
  TCase *t = tcase_create("error");
  tcase_add_test(t, a_failure_carries_a_sentence_and_its_place);
  tcase_add_test(t, a_prefix_comes_before_the_message);
  tcase_add_test(t, long_messages_are_cut_not_overrun);
  tcase_add_test(t, try_returns_the_first_failure);
  tcase_add_test(t, a_device_recovers_from_lack_of_memory_alone);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
