/* Steps, landmarks and the JSON of one answer, also where the model departs from its form. */
#include "tasks/answer.h"

#include "runtime/memory.h"
#include "tasks/cot_targets.h"
#include "tests/check_main.h"
#include "tests/jsonl.h"

static const mv_spacing spacing = {504, 504, 0.711f, 0.711f};

static mv_answer read(mv_task task, const char *text) {
  mv_answer a = {.task = task};
  ck_assert_int_eq(mv_answer_read(&a, task, &spacing, mv_str_of(text), NULL), MV_OK);
  return a;
}

/* The training target of a task, from four points. */
static char *target_text(mv_task task, mv_buf *out) {
  mv_cot_target t = {
      .task = task,
      .label = mv_str_of("cyst (0.9, 0.9)"),
      .names = {mv_str_of("A (1, 2)"), mv_str_of("B"), mv_str_of("C"), mv_str_of("D")},
      .points = {{0.412, 0.412}, {0.429, 0.478}, {0.39, 0.5}, {0.42, 0.493}},
      .spacing = spacing};
  mv_buf_clear(out);
  ck_assert_int_eq(mv_cot_target_render(&t, out, NULL), MV_OK);
  return out->ptr;
}

START_TEST(reads_back_the_training_targets) {
  static const double expected[4][2] = {{0.412, 0.412}, {0.429, 0.478}, {0.39, 0.5}, {0.42, 0.493}};
  mv_buf text = {0};
  for (int task = 0; task < MV_TASK_COUNT; task++) {
    mv_answer a = read((mv_task)task, target_text((mv_task)task, &text));
    ck_assert(a.parsed);
    ck_assert_int_eq(a.n_landmark, mv_task_landmarks((mv_task)task));
    for (int i = 0; i < a.n_landmark; i++) {
      ck_assert(a.landmarks[i].x == expected[i][0]);
      ck_assert(a.landmarks[i].y == expected[i][1]);
    }
    ck_assert_int_eq(a.n_recomputed, task == MV_TASK_DETECT ? 0 : a.n_value);
    for (int i = 0; i < a.n_recomputed; i++) ck_assert_double_lt(a.arithmetic_error[i], 1e-3);
    mv_answer_free(&a);
  }
  mv_buf_free(&text);
}
END_TEST

START_TEST(survives_being_cut_anywhere) {
  mv_buf text = {0};
  for (int task = 0; task < MV_TASK_COUNT; task++) {
    target_text((mv_task)task, &text);
    for (size_t n = 0; n <= text.len; n++) {
      char *copy = mv_alloc(n ? n : 1); /* exact, so that reading past the end is seen */
      memcpy(copy, text.ptr, n);
      mv_answer a = {.task = (mv_task)task};
      mv_str cut = {copy, n};
      ck_assert_int_eq(mv_answer_read(&a, (mv_task)task, &spacing, cut, NULL), MV_OK);
      ck_assert(a.parsed == (n == text.len));
      ck_assert_uint_le(a.steps.n, 4);
      mv_answer_free(&a);
      mv_free(copy);
    }
  }
  mv_buf_free(&text);
}
END_TEST

START_TEST(a_step_ends_at_the_next_tag_when_it_is_not_closed) {
  mv_answer a = read(MV_TASK_SIZE,
                     "<think><step-1-reasoning> a < b <step-1-answer> (1, 2), (3,4) "
                     "<step-2-answer>(5,6)(7,8)</think><step-3-answer>late</step-3-answer>"
                     "<answer> (9, 10) </answer>");
  ck_assert_uint_eq(a.steps.n, 2);
  ck_assert(mv_str_is(a.steps.v[0].reasoning, "a < b"));
  ck_assert(mv_str_is(a.steps.v[0].answer, "(1, 2), (3,4)"));
  ck_assert(mv_str_is(a.steps.v[1].reasoning, "") && a.steps.v[1].number == 2);
  ck_assert(a.n_landmark == 4 && a.landmarks[3].x == 7 && a.landmarks[3].y == 8);
  ck_assert(mv_str_is(a.inner, "(9, 10)"));
  mv_answer_free(&a);
}
END_TEST

START_TEST(steps_count_without_think_tags) {
  mv_answer a = read(MV_TASK_DISTANCE,
                     "<step-1-answer>(0.1, 0.2)</step-1-answer><step-2-answer>( 3e-1 , +.5 )"
                     "</step-2-answer><answer>7</answer>");
  ck_assert(a.n_landmark == 2 && a.landmarks[1].x == 0.3 && a.landmarks[1].y == 0.5);
  mv_answer_free(&a);
}
END_TEST

START_TEST(landmarks_are_absent_when_a_pair_is_missing) {
  static const char *const texts[] = {
      "",
      "<answer>5</answer>",
      "<step-1-answer>(0.1, 0.2)</step-1-answer>",
      "<step-1-answer>(0.1, 0.2)</step-1-answer><step-2-answer>0.3, 0.4</step-2-answer>",
      "<step-1-answer>(0.1 0.2)</step-1-answer><step-2-answer>(0.3, 0.4)</step-2-answer>",
      "<step-1-answer>(0.1, x)</step-1-answer><step-2-answer>(0.3, 0.4)</step-2-answer>",
      "<step-1-answer>(0.1, 0.2</step-1-answer><step-2-answer>(0.3, 0.4)</step-2-answer>",
      "<step-2-answer>(0.1, 0.2)</step-2-answer><step-3-answer>(0.3, 0.4)</step-3-answer>",
      "<step--answer>(0.1, 0.2)</step-1-answer><step-99999999999-answer>(0.3, 0.4)"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    mv_answer a = read(MV_TASK_DISTANCE, texts[i]);
    ck_assert_msg(a.n_landmark == 0 && a.n_recomputed == 0, "%s", texts[i]);
    mv_answer_free(&a);
  }
}
END_TEST

START_TEST(many_steps_are_all_kept) {
  mv_buf text = {0};
  for (int i = 0; i < 5000; i++) mv_buf_printf(&text, "<step-%d-answer>x</step-%d-answer>", i, i);
  mv_answer a = read(MV_TASK_SIZE, text.ptr);
  ck_assert_uint_eq(a.steps.n, 5000);
  ck_assert_int_eq(a.steps.v[4999].number, 4999);
  mv_answer_free(&a);
  mv_buf_free(&text);
}
END_TEST

/* ---- JSON ---- */

static void assert_json(mv_answer *a, const char *response, const char *expected) {
  mv_buf out = {0};
  mv_json_writer w = {.out = &out};
  mv_json_begin_object(&w);
  mv_answer_write(a, mv_str_of(response), &w);
  mv_json_end_object(&w);
  ck_assert_str_eq(out.ptr, expected);
  mv_buf_free(&out);
  mv_answer_free(a);
}

START_TEST(writes_the_members_of_a_measurement) {
  const char *text =
      "<think> <step-1-reasoning> r </step-1-reasoning> <step-1-answer> (0.412, 0.412), (0.429, "
      "0.478). </step-1-answer> <step-2-answer> (0.39, 0.5), (0.42, 0.493). </step-2-answer> "
      "</think> <answer> (24.130, 11.070) </answer>";
  mv_answer a = read(MV_TASK_SIZE, text);
  ck_assert_double_eq_tol(a.recomputed[0], 24.42, 0.005);
  ck_assert_double_eq_tol(a.recomputed[1], 11.04, 0.005);
  ck_assert_double_eq_tol(a.arithmetic_error[0], 0.0119, 1e-4);
  ck_assert_double_eq_tol(a.arithmetic_error[1], 0.0028, 1e-4);
  a.recomputed[0] = a.arithmetic_error[0] = 0.5;
  a.recomputed[1] = a.arithmetic_error[1] = NAN;
  assert_json(&a, "t",
              "{\"values\": [24.13, 11.07], \"parsed\": true, \"answer\": \"24.130,11.070\", "
              "\"answer_text\": \"(24.130, 11.070)\", \"response\": \"t\", \"steps\": "
              "[{\"reasoning\": \"r\", \"answer\": \"(0.412, 0.412), (0.429, 0.478).\"}, "
              "{\"reasoning\": \"\", \"answer\": \"(0.39, 0.5), (0.42, 0.493).\"}], "
              "\"landmarks\": [[0.412, 0.412], [0.429, 0.478], [0.39, 0.5], [0.42, 0.493]], "
              "\"recomputed\": [0.5, null], \"arithmetic_error\": [0.5, null]}");
}
END_TEST

START_TEST(an_unparsed_answer_has_no_values) {
  mv_answer a = read(MV_TASK_SIZE, "<answer> about 12 </answer>");
  assert_json(&a, "",
              "{\"values\": null, \"parsed\": false, \"answer\": \"\", \"answer_text\": "
              "\"about 12\", \"response\": \"\", \"steps\": [], \"landmarks\": null, "
              "\"recomputed\": null, \"arithmetic_error\": null}");
}
END_TEST

START_TEST(recomputes_also_where_the_answer_is_missing) {
  mv_answer a =
      read(MV_TASK_DISTANCE,
           "<step-1-answer>(0, 0)</step-1-answer><step-2-answer>(0.5, 0)</step-2-answer>");
  ck_assert(!a.parsed && a.n_recomputed == 1 && isnan(a.arithmetic_error[0]));
  ck_assert_double_eq_tol(a.recomputed[0], 0.5 * 504 * 0.711, 1e-9);
  mv_answer_free(&a);
}
END_TEST

/* ---- memory ---- */

static int fail_kth(size_t n_bytes, void *user) {
  (void)n_bytes;
  int *left = user;
  return (*left)-- != 0;
}

START_TEST(survives_every_failing_allocation) {
  mv_buf text = {0};
  target_text(MV_TASK_ANGLE, &text);
  mv_status status = MV_ERR_MEMORY;
  int k = 0;
  for (; status != MV_OK && k < 1000; k++) {
    mv_answer a = {.task = MV_TASK_ANGLE};
    int left = k;
    mv_alloc_set_hook(fail_kth, &left);
    status = mv_answer_read(&a, MV_TASK_ANGLE, &spacing, mv_buf_view(&text), NULL);
    mv_alloc_set_hook(NULL, NULL);
    ck_assert(status == MV_OK || status == MV_ERR_MEMORY);
    mv_answer_free(&a);
  }
  ck_assert_int_eq(status, MV_OK);
  ck_assert_int_ge(k, 4);
  mv_buf_free(&text);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("answer");
  TCase *t = tcase_create("answer");
  tcase_set_timeout(t, 60);
  tcase_add_test(t, reads_back_the_training_targets);
  tcase_add_test(t, survives_being_cut_anywhere);
  tcase_add_test(t, a_step_ends_at_the_next_tag_when_it_is_not_closed);
  tcase_add_test(t, steps_count_without_think_tags);
  tcase_add_test(t, landmarks_are_absent_when_a_pair_is_missing);
  tcase_add_test(t, many_steps_are_all_kept);
  tcase_add_test(t, writes_the_members_of_a_measurement);
  tcase_add_test(t, an_unparsed_answer_has_no_values);
  tcase_add_test(t, recomputes_also_where_the_answer_is_missing);
  tcase_add_test(t, survives_every_failing_allocation);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
