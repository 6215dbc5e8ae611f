/* Rewards of rollouts, derived by hand from the recipe: no recorded ones exist. */
#include <math.h>

#include "tasks/reward.h"
#include "tests/check_main.h"

static const char good[] =
    "<think> <step-1-reasoning> a </step-1-reasoning> <step-1-answer> P1: (0.2, 0.3). "
    "</step-1-answer> <step-2-reasoning> b </step-2-reasoning> <step-2-answer> P2: (0.6, 0.6). "
    "</step-2-answer> <step-3-reasoning> c </step-3-reasoning> <step-3-answer> The distance: "
    "22.000. </step-3-answer> </think> <answer> 22.000 </answer>";
static const double truth[] = {20};
static const mv_point points[] = {{0.2, 0.3}, {0.6, 0.9}};

static mv_reward score(mv_task task, const char *text, const double *t, const mv_point *p) {
  mv_reward r;
  mv_error err = {0};
  ck_assert_int_eq(mv_reward_score(task, mv_str_of(text), t, p, &r, &err), MV_OK);
  return r;
}

START_TEST(adds_format_to_process_times_answer) {
  mv_reward r = score(MV_TASK_DISTANCE, good, truth, points);
  ck_assert_double_eq_tol(r.format, 1, 1e-12);
  ck_assert_double_eq_tol(r.steps[0], 1, 1e-12);
  ck_assert_double_eq_tol(r.steps[1], exp(-0.3 / sqrt(2)), 1e-12);
  ck_assert_double_eq_tol(r.steps[2], exp(-0.1), 1e-12);
  ck_assert_double_eq_tol(r.answer, exp(-0.1), 1e-12);
  double process = (1 + exp(-0.3 / sqrt(2)) + exp(-0.1)) / 3;
  ck_assert_double_eq_tol(r.process, process, 1e-12);
  ck_assert_double_eq_tol(r.total, 1 + process * exp(-0.1), 1e-12);
}
END_TEST

START_TEST(a_missing_tag_costs_the_structure_alone) {
  mv_reward r = score(MV_TASK_DISTANCE,
                      "<think> <step-1-answer> (0.2, 0.3) </step-1-answer> </think> <answer> 20 "
                      "</answer>",
                      truth, points);
  ck_assert_double_eq_tol(r.format, 0.2, 1e-12);
  ck_assert_double_eq_tol(r.process, 1.0 / 3, 1e-12);
  ck_assert_double_eq_tol(r.answer, 1, 1e-12);
}
END_TEST

START_TEST(words_in_the_answer_cost_its_form) {
  mv_reward r = score(MV_TASK_DISTANCE, "<answer> about 20 mm </answer>", truth, points);
  ck_assert_double_eq_tol(r.format, 0, 1e-12);
  ck_assert_double_eq_tol(r.answer, 1, 1e-12);
  ck_assert_double_eq_tol(r.total, 0, 1e-12);
}
END_TEST

START_TEST(no_answer_leaves_the_format) {
  mv_reward r = score(MV_TASK_DISTANCE, "", truth, points);
  ck_assert_double_eq_tol(r.total, 0, 1e-12);
}
END_TEST

START_TEST(the_order_of_two_ends_does_not_matter) {
  const double lengths[] = {10, 5};
  const mv_point axes[] = {{0.1, 0.1}, {0.9, 0.1}, {0.5, 0.2}, {0.5, 0.8}};
  mv_reward r = score(MV_TASK_SIZE,
                      "<think> <step-1-answer> (0.9, 0.1), (0.1, 0.1) </step-1-answer> "
                      "<step-2-answer> (0.5, 0.2), (0.5, 0.7) </step-2-answer> <step-3-answer> 10 "
                      "</step-3-answer> <step-4-answer> 4 </step-4-answer> </think> <answer> "
                      "(10, 4) </answer>",
                      lengths, axes);
  ck_assert_double_eq_tol(r.steps[0], 1, 1e-12);
  ck_assert_double_eq_tol(r.steps[1], exp(-0.1 / sqrt(2)), 1e-12);
  ck_assert_double_eq_tol(r.steps[2], 1, 1e-12);
  ck_assert_double_eq_tol(r.steps[3], exp(-0.2), 1e-12);
  ck_assert_double_eq_tol(r.answer, exp(-0.1), 1e-12);
  ck_assert_double_eq_tol(r.answer_form, 1, 1e-12);
}
END_TEST

START_TEST(boxes_have_all_of_the_format_or_nothing) {
  const double box[] = {0.2, 0.2, 0.6, 0.6};
  const mv_point corners[] = {{0.2, 0.2}, {0.6, 0.6}};
  mv_reward r =
      score(MV_TASK_DETECT,
            "<think> <step-1-reasoning> x </step-1-reasoning> <step-1-answer> (0.2, "
            "0.2), (0.6, 0.6) </step-1-answer> </think> <answer> 0.2,0.2,0.6,0.6</answer>",
            box, corners);
  ck_assert_double_eq_tol(r.total, 2, 1e-12);
  r = score(MV_TASK_DETECT, "<answer> 0.2,0.2,0.6,0.6</answer>", box, corners);
  ck_assert_double_eq_tol(r.format, 0, 1e-12);
}
END_TEST

START_TEST(ciou_weighs_distance_and_aspect) {
  const double a[] = {0, 0, 1, 1}, b[] = {2, 0, 3, 1}, c[] = {0, 0, 2, 1};
  ck_assert_double_eq_tol(mv_box_ciou(a, a), 1, 1e-12);
  ck_assert_double_eq_tol(mv_box_ciou(a, b), -4.0 / 10, 1e-12);
  double turn = atan(1) - atan(2), v = 4 / (9.869604401089358) * turn * turn;
  ck_assert_double_eq_tol(mv_box_ciou(a, c), 0.5 - 0.25 / 5 - v / (0.5 + v) * v, 1e-12);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("reward");
  TCase *tc = tcase_create("reward");
  tcase_add_test(tc, adds_format_to_process_times_answer);
  tcase_add_test(tc, a_missing_tag_costs_the_structure_alone);
  tcase_add_test(tc, words_in_the_answer_cost_its_form);
  tcase_add_test(tc, no_answer_leaves_the_format);
  tcase_add_test(tc, the_order_of_two_ends_does_not_matter);
  tcase_add_test(tc, boxes_have_all_of_the_format_or_nothing);
  tcase_add_test(tc, ciou_weighs_distance_and_aspect);
  suite_add_tcase(s, tc);
  return s;
}

MV_CHECK_MAIN(suite)
