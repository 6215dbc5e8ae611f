/* Lengths, angles, boxes: the benchmark's ground truth and the published model's arithmetic. */
#include "tasks/geometry.h"

#include <unistd.h>

#include "runtime/pyfloat.h"
#include "tasks/answer.h"
#include "tasks/parse.h"
#include "tests/check_main.h"
#include "tests/jsonl.h"

/* ---- the benchmark's ground truth ---- */

static void read_zooms(const mv_json *row, float zooms[3]) {
  for (size_t i = 0; i < 3; i++)
    zooms[i] = jsonl_f32(mv_json_at(mv_json_get(row, "voxel_size_f32hex"), i));
}

static void read_points(const mv_json *row, double points[4][3]) {
  int n = 0;
  for (const mv_json *p = mv_json_get(row, "points")->first; p; p = p->next, n++)
    for (size_t i = 0; i < 3; i++) points[n][i] = mv_json_at(p, i)->number;
}

static void assert_target_str(const mv_json *row, double value, const char *where) {
  char repr[MV_PYFLOAT_BYTES];
  mv_pyfloat_repr(mv_round_f16(value), repr);
  ck_assert_msg(mv_str_is(jsonl_text(row, "target_str"), repr), "%s: %s", where, repr);
}

/* Distances are exact; of an angle the last bit may differ, where numpy's arccosine is not libm's.
 */
static void check_measure(const mv_json *row, const char *where, int angle) {
  double points[4][3] = {{0}};
  float zooms[3];
  read_points(row, points);
  read_zooms(row, zooms);
  double expected = jsonl_number(mv_json_get(row, "value"));
  double got = angle ? mv_voxel_angle((const double(*)[3])points, zooms)
                     : mv_voxel_distance(points[0], points[1], zooms);
  double limit = angle ? 2e-14 : 0;
  ck_assert_msg(jsonl_same(got, expected) || fabs(got - expected) <= limit, "%s: %.17g, not %.17g",
                where, got, expected);
  if (!isnan(got)) assert_target_str(row, got, where);
}

static void check_box(const mv_json *row, const char *where) {
  int min[2], max[2], size[2];
  double box[4];
  for (size_t i = 0; i < 2; i++) {
    min[i] = (int)mv_json_at(mv_json_get(row, "box_min"), i)->number;
    max[i] = (int)mv_json_at(mv_json_get(row, "box_max"), i)->number;
    size[i] = (int)mv_json_at(mv_json_get(row, "image_size_2d"), i)->number;
  }
  mv_box_of_pixels(min, max, size[0], size[1], box);
  for (size_t i = 0; i < 4; i++)
    ck_assert_msg(box[i] == mv_json_at(mv_json_get(row, "target"), i)->number, "%s", where);
}

static void check_diagonal(const mv_json *row, const char *where) {
  float zooms[3], kept[2];
  int n = 0, dim = jsonl_int(row, "slice_dim");
  const mv_json *size = mv_json_get(row, "image_size_2d");
  read_zooms(row, zooms);
  for (int i = 0; i < 3; i++)
    if (i != dim) kept[n++] = zooms[i];
  double got = mv_image_diagonal((int)mv_json_at(size, 0)->number, (int)mv_json_at(size, 1)->number,
                                 kept[0], kept[1]);
  ck_assert_msg(got == mv_json_get(row, "value")->number, "%s: %.17g", where, got);
}

static void check_f16(const mv_json *row, const char *where) {
  double input = jsonl_number(mv_json_get(row, "input")), got = mv_round_f16(input);
  ck_assert_msg(jsonl_same(got, jsonl_number(mv_json_get(row, "value_float16"))), "%s: %.17g",
                where, got);
  assert_target_str(row, input, where);
}

static void check_row(const mv_json *row, const char *where) {
  mv_str kind = jsonl_text(row, "kind");
  if (mv_str_is(kind, "distance")) check_measure(row, where, 0);
  if (mv_str_is(kind, "angle")) check_measure(row, where, 1);
  if (mv_str_is(kind, "box_target")) check_box(row, where);
  if (mv_str_is(kind, "diagonal")) check_diagonal(row, where);
  if (mv_str_is(kind, "float16")) check_f16(row, where);
}

START_TEST(agrees_with_the_ground_truth_of_the_original) {
  ck_assert_int_gt(jsonl_each_golden("geometry.jsonl", check_row), 90);
}
END_TEST

/* IoU of the float32 predictions the benchmark scores. */
static void check_iou(const mv_json *row, const char *where) {
  const mv_json *iou = mv_json_get(mv_json_get(mv_json_get(row, "metrics"), "avgIoU"), "IoU");
  mv_str pred = jsonl_text(row, "pred"), target = jsonl_text(row, "target");
  double box[4], truth[4];
  mv_json_doc doc = {0};
  if (!mv_json_is(iou, MV_JSON_FLOAT)) return; /* another task, or nothing parsed */
  ck_assert_int_eq(mv_json_parse(&doc, target, NULL), MV_OK);
  for (int i = 0; i < 4; i++) {
    truth[i] = mv_json_at(doc.root, (size_t)i)->number;
    if (mv_answer_value(pred, i, &box[i], NULL) != MV_OK) box[i] = NAN;
    box[i] = (double)(float)box[i];
  }
  double got = mv_box_iou(box, truth);
  ck_assert_msg(got == iou->number, "%s: %.17g, expected %.17g", where, got, iou->number);
  mv_json_doc_free(&doc);
}

START_TEST(scores_boxes_as_the_original) {
  ck_assert_int_gt(jsonl_each_golden("sample_metrics.jsonl", check_iou), 20);
}
END_TEST

/* ---- what the model's landmarks give ---- */

#define CASES "../shared/medvision/cases.jsonl"

/* The published cases state their own recomputation, to four decimals. */
static void check_case(const mv_json *row, const char *where) {
  if (!mv_json_at(mv_json_get(row, "image_size"), 0)) return; /* the answer alone is known */
  const mv_json *metrics = mv_json_get(row, "metrics"), *size = mv_json_get(row, "image_size");
  const mv_json *pixel = mv_json_get(row, "pixel_size"), *said = mv_json_get(row, "answer");
  mv_spacing spacing = {(int)mv_json_at(size, 0)->number, (int)mv_json_at(size, 1)->number,
                        (float)mv_json_at(pixel, 0)->number, (float)mv_json_at(pixel, 1)->number};
  mv_answer a = {.task = MV_TASK_SIZE};
  ck_assert_int_eq(mv_answer_read(&a, MV_TASK_SIZE, &spacing, jsonl_text(row, "response"), NULL),
                   MV_OK);
  ck_assert_msg(a.parsed && a.n_landmark == 4 && a.n_recomputed == 2 && a.steps.n == 4,
                "%s: %zu steps, %d landmarks", where, a.steps.n, a.n_landmark);
  for (size_t i = 0; i < 2; i++) ck_assert(a.values[i] == mv_json_at(said, i)->number);
  static const char *const computed[] = {"python_evaluator_major", "python_evaluator_minor"};
  static const char *const errors[] = {"arithmetic_error_major", "arithmetic_error_minor"};
  for (int i = 0; i < 2; i++) { /* null where the published evaluator failed */
    const mv_json *value = mv_json_get(metrics, computed[i]);
    const mv_json *error = mv_json_get(metrics, errors[i]);
    if (!mv_json_is_number(value)) continue;
    ck_assert_double_eq_tol(a.recomputed[i], value->number, 0.6e-4);
    ck_assert_double_eq_tol(a.arithmetic_error[i], error->number, 0.6e-4);
  }
  mv_answer_free(&a);
}

START_TEST(recomputes_what_the_published_cases_state) {
  if (access(CASES, R_OK) != 0)
    printf("no %s: what it states is not recomputed\n", CASES);
  else
    ck_assert_int_gt(jsonl_each(CASES, check_case), 20);
}
END_TEST

static const mv_spacing square = {504, 504, 0.7111111f, 0.7111111f};

START_TEST(uses_the_pixel_size_as_printed) {
  mv_point p[2] = {{0.1, 0.5}, {0.6, 0.5}};
  double value;
  mv_measure(MV_TASK_DISTANCE, p, &square, &value);
  ck_assert_double_eq_tol(value, 0.5 * 504 * 0.711, 1e-12);
}
END_TEST

START_TEST(angles_are_acute_and_use_millimetres) {
  mv_spacing tall = {504, 504, 1, 2};
  mv_point p[4] = {{0, 0}, {0.5, 0.25}, {0.1, 0.1}, {-0.4, 0.1}};
  double value;
  mv_measure(MV_TASK_ANGLE, p, &tall, &value);
  ck_assert_double_eq_tol(value, 45, 1e-9);
  mv_point parallel[4] = {{0.1, 0.3}, {0.7, 0.4}, {0.1, 0.3}, {0.7, 0.4}};
  mv_measure(MV_TASK_ANGLE, parallel, &square, &value);
  ck_assert_double_eq_tol(value, 0, 1e-5);
  mv_point flat[4] = {{0.1, 0.3}, {0.1, 0.3}, {0.1, 0.3}, {0.7, 0.4}};
  mv_measure(MV_TASK_ANGLE, flat, &square, &value);
  ck_assert(isnan(value));
}
END_TEST

START_TEST(relative_errors_of_nothing) {
  ck_assert(mv_relative_error(0, 0) == 0);
  ck_assert(mv_relative_error(1, 0) == INFINITY);
  ck_assert_double_eq_tol(mv_relative_error(24.13, 24.42), 0.0119, 1e-4);
}
END_TEST

START_TEST(boxes_overlap_whatever_the_order_of_corners) {
  double a[4] = {0.1, 0.1, 0.5, 0.5}, b[4] = {0.7, 0.5, 0.3, 0.1}, far[4] = {0.5, 0.1, 0.9, 0.5};
  ck_assert_double_eq_tol(mv_box_iou(a, a), 1, 1e-15);
  ck_assert_double_eq_tol(mv_box_iou(a, b), 1.0 / 3, 1e-12);
  ck_assert(mv_box_iou(a, far) == 0);
  double point[4] = {0.2, 0.2, 0.2, 0.2}, nan_box[4] = {NAN, 0, 1, 1};
  ck_assert(mv_box_iou(point, point) == 0);
  ck_assert(mv_box_iou(nan_box, nan_box) == 0);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("geometry");
  TCase *t = tcase_create("geometry");
  tcase_set_timeout(t, 60);
  tcase_add_test(t, agrees_with_the_ground_truth_of_the_original);
  tcase_add_test(t, scores_boxes_as_the_original);
  tcase_add_test(t, recomputes_what_the_published_cases_state);
  tcase_add_test(t, uses_the_pixel_size_as_printed);
  tcase_add_test(t, angles_are_acute_and_use_millimetres);
  tcase_add_test(t, relative_errors_of_nothing);
  tcase_add_test(t, boxes_overlap_whatever_the_order_of_corners);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
