/* The benchmark's number extraction: every golden row, and the rules one by one. */
#include "tasks/parse.h"

#include "tests/check_main.h"
#include "tests/jsonl.h"

static void assert_values(const mv_json *row, mv_str answer, const char *where) {
  const mv_json *expected = mv_json_get(row, "answer_f32_hex");
  for (size_t i = 0; mv_json_at(expected, i); i++) {
    double value;
    ck_assert_msg(mv_answer_value(answer, (int)i, &value, NULL) == MV_OK, "%s: value %zu", where,
                  i);
    ck_assert_msg(mv_f32_bits((float)value) == mv_f32_bits(jsonl_f32(mv_json_at(expected, i))),
                  "%s: value %zu is %.9g", where, i, value);
  }
}

static void check_row(const mv_json *row, const char *where) {
  mv_str text = jsonl_text(row, "text"), expected = jsonl_text(row, "answer");
  mv_buf answer = {0}, anywhere = {0};
  int k = jsonl_int(row, "k");
  mv_answer_numbers(text, k, &answer);
  mv_numbers_last(text, k, &anywhere);
  ck_assert_msg(mv_str_eq(mv_buf_view(&answer), expected), "%s: '%s', expected '%.*s'", where,
                mv_buf_view(&answer).ptr, (int)expected.len, expected.ptr);
  ck_assert_msg(mv_str_eq(mv_buf_view(&anywhere), jsonl_text(row, "anywhere")), "%s: '%s'", where,
                mv_buf_view(&anywhere).ptr);
  ck_assert_int_eq(answer.len > 0, mv_json_get(row, "parse_ok")->truth);
  assert_values(row, mv_buf_view(&answer), where);
  mv_buf_free(&answer);
  mv_buf_free(&anywhere);
}

START_TEST(extracts_what_the_original_extracts) {
  ck_assert_int_gt(jsonl_each_golden("parse.jsonl", check_row), 500);
}
END_TEST

static void assert_answer(mv_str text, int k, const char *expected) {
  mv_buf out = {0};
  mv_answer_numbers(text, k, &out);
  ck_assert_str_eq(mv_buf_view(&out).ptr, expected);
  mv_buf_free(&out);
}

START_TEST(follows_the_rules_of_the_regular_expression) {
  static const struct {
    const char *inner;
    int k;
    const char *answer;
  } rows[] = {{".5", 1, "5"},
              {"5.", 1, "5"},
              {"3-4", 2, "3,-4"},
              {"--5", 1, "-5"},
              {"24,110", 1, "24110"},
              {"24,110", 2, ""},
              {"12,3456", 2, "12345,6"},
              {"0.5,100,200", 2, "0.5,100200"},
              {"1234,567", 2, "1234,567"},
              {"1,234,567.5e+3x", 1, "1234567.5e+3"},
              {"1,234,56", 2, "1234,56"},
              {"2e", 1, "2"},
              {"2e+", 1, "2"},
              {"2.e5", 2, "2,5"},
              {"inf nan 7", 1, "7"},
              {"\xE2\x88\x92"
               "5",
               1, "5"},
              {"<answer>5", 1, "5"},
              {"1,2,3", 0, ""},
              {"\xFF\xC3"
               "4\xE0\xA0"
               "5",
               2, "4,5"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    mv_buf text = {0};
    mv_buf_printf(&text, "12 <answer>%s</answer> 13", rows[i].inner);
    assert_answer(mv_buf_view(&text), rows[i].k, rows[i].answer);
    mv_buf_free(&text);
  }
}
END_TEST

START_TEST(takes_the_first_answer_that_is_closed) {
  assert_answer(mv_str_of("<answer>1</answer><answer>2</answer>"), 1, "1");
  assert_answer(mv_str_of("<answer>x</answer> <answer>2</answer>"), 1, "");
  assert_answer(mv_str_of("<answer> 5"), 1, "");
  assert_answer(mv_str_of("</answer> 5 <answer>"), 1, "");
  assert_answer(mv_str_of("<ANSWER>5</ANSWER>"), 1, "");
  assert_answer((mv_str){"<answer>1\0002\n3</answer>", 23}, 3, "1,2,3");
}
END_TEST

START_TEST(reads_digits_of_any_script) {
  double value;
  ck_assert_int_eq(mv_unicode_digit('9'), 9);
  ck_assert_int_eq(mv_unicode_digit(0x0663), 3);
  ck_assert_int_eq(mv_unicode_digit(0x1D7FF), 9);
  ck_assert_int_eq(mv_unicode_digit(0x1FBF9), 9);
  ck_assert_int_eq(mv_unicode_digit(0x1FBFA), -1);
  ck_assert_int_eq(mv_unicode_digit(0x00B2), -1); /* superscript two is not a decimal digit */
  ck_assert_int_eq(mv_unicode_digit(0x2F), -1);
  assert_answer(mv_str_of("<answer>\xD9\xA3.\xD9\xA5</answer>"), 1, "\xD9\xA3.\xD9\xA5");
  ck_assert_int_eq(mv_answer_value(mv_str_of("1,-\xD9\xA3.\xD9\xA5"
                                             "e1"),
                                   1, &value, NULL),
                   MV_OK);
  ck_assert(value == -35);
}
END_TEST

START_TEST(values_beyond_float32_are_infinite) {
  double value;
  mv_str answer = mv_str_of("3.4028235e38,1e39,-1e999,1e-400,3.40282356779733661637e38");
  ck_assert(mv_answer_value(answer, 0, &value, NULL) == MV_OK && value == 3.4028235e38);
  ck_assert(mv_answer_value(answer, 1, &value, NULL) == MV_OK && value == INFINITY);
  ck_assert(mv_answer_value(answer, 2, &value, NULL) == MV_OK && value == -INFINITY);
  ck_assert(mv_answer_value(answer, 3, &value, NULL) == MV_OK && value == 0);
  ck_assert(mv_answer_value(answer, 4, &value, NULL) == MV_OK && value == INFINITY);
}
END_TEST

START_TEST(refuses_pieces_that_are_no_numbers) {
  mv_error err;
  double value;
  ck_assert_int_eq(mv_answer_value(mv_str_of("1,2"), 2, &value, &err), MV_ERR_FORMAT);
  ck_assert_int_eq(mv_answer_value(mv_str_of(""), 0, &value, &err), MV_ERR_FORMAT);
  ck_assert_int_eq(mv_answer_value(mv_str_of("nan"), 0, &value, &err), MV_ERR_FORMAT);
  ck_assert_int_eq(mv_answer_value(mv_str_of("0x10"), 0, &value, &err), MV_ERR_FORMAT);
  ck_assert_int_eq(mv_answer_value(mv_str_of("1 2"), 0, &value, &err), MV_ERR_FORMAT);
}
END_TEST

START_TEST(long_texts_take_linear_time) {
  mv_buf text = {0};
  for (int i = 0; i < 200000; i++) mv_buf_text(&text, i % 2 ? "<answer>" : "-1,2");
  mv_buf_text(&text, "</answer>");
  mv_buf out = {0};
  mv_answer_numbers(mv_buf_view(&text), 4, &out);
  ck_assert_str_eq(out.ptr, "-1,2,-1,2");
  mv_buf_free(&text);
  mv_buf_free(&out);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("parse");
  TCase *t = tcase_create("parse");
  tcase_set_timeout(t, 60);
  tcase_add_test(t, extracts_what_the_original_extracts);
  tcase_add_test(t, follows_the_rules_of_the_regular_expression);
  tcase_add_test(t, takes_the_first_answer_that_is_closed);
  tcase_add_test(t, reads_digits_of_any_script);
  tcase_add_test(t, values_beyond_float32_are_infinite);
  tcase_add_test(t, refuses_pieces_that_are_no_numbers);
  tcase_add_test(t, long_texts_take_linear_time);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
