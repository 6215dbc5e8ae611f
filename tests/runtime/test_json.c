/* runtime/json against Python's json module: tests/data/json, made by make_json_golden.py. */
#include "runtime/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "runtime/memory.h"
#include "runtime/pyfloat.h"
#include "tests/check_main.h"
#include "tests/jsonl.h"

static void assert_written(const mv_json *value, mv_json_writer style, const mv_json *expected,
                           const char *where) {
  if (!mv_json_is(expected, MV_JSON_STRING)) return;
  mv_buf buf = {0};
  style.out = &buf;
  mv_json_node(&style, value);
  ck_assert_msg(mv_str_eq(mv_buf_view(&buf), expected->text), "%s: wrote\n%s\nexpected\n%.*s",
                where, buf.ptr, (int)expected->text.len, expected->text.ptr);
  mv_buf_free(&buf);
}

static void check_text(const mv_json *row, const char *where) {
  mv_json_doc doc = {0};
  mv_error err = {0};
  mv_str text = mv_json_get(row, "text")->text;
  mv_status status = mv_json_parse(&doc, text, &err);
  if (mv_json_get(row, "error")) {
    ck_assert_msg(status == MV_ERR_FORMAT, "%s: accepted", where);
    ck_assert_msg(strstr(err.msg, "byte") != NULL, "%s: no offset in '%s'", where, err.msg);
    ck_assert_ptr_null(doc.root);
    return;
  }
  ck_assert_msg(status == MV_OK, "%s: %s", where, err.msg);
  assert_written(doc.root, (mv_json_writer){0}, mv_json_get(row, "default"), where);
  assert_written(doc.root, (mv_json_writer){.compact = 1}, mv_json_get(row, "compact"), where);
  assert_written(doc.root, (mv_json_writer){.indent = 2}, mv_json_get(row, "indent2"), where);
  assert_written(doc.root, (mv_json_writer){.utf8 = 1}, mv_json_get(row, "utf8"), where);
  mv_json_doc_free(&doc);
}

START_TEST(reads_and_writes_as_python) {
  ck_assert_int_gt(jsonl_each("tests/data/json/texts.jsonl", check_text), 150);
}
END_TEST

static void check_float(const mv_json *row, const char *where) {
  char hex[17] = {0}, repr[MV_PYFLOAT_BYTES];
  memcpy(hex, mv_json_get(row, "bits")->text.ptr, 16);
  uint64_t bits = strtoull(hex, NULL, 16);
  double x;
  memcpy(&x, &bits, sizeof x);
  size_t n = mv_pyfloat_repr(x, repr);
  mv_str wanted = mv_json_get(row, "repr")->text, got = {repr, n};
  ck_assert_msg(mv_str_eq(got, wanted) && strlen(repr) == n, "%s: repr %s, expected %.*s", where,
                repr, (int)wanted.len, wanted.ptr);
  const mv_json *fixed = mv_json_get(row, "fixed3");
  if (!mv_json_is(fixed, MV_JSON_STRING)) return;
  mv_buf buf = {0};
  mv_pyfloat_fixed3(&buf, x);
  ck_assert_msg(mv_str_eq(mv_buf_view(&buf), fixed->text), "%s: .3f %s", where, buf.ptr);
  mv_buf_free(&buf);
}

START_TEST(prints_the_shortest_float_that_reads_back) {
  ck_assert_int_gt(jsonl_each("tests/data/json/floats.jsonl", check_float), 1000);
}
END_TEST

START_TEST(prints_the_shortest_float32_that_reads_back) {
  char repr[MV_PYFLOAT_BYTES];
  static const struct {
    float x;
    const char *repr;
  } rows[] = {{24.13f, "24.13"},
              {0.1f, "0.1"},
              {16777216.0f, "16777216.0"},
              {0.71111113f, "0.7111111"},
              {1e-45f, "1e-45"},
              {3.4028235e38f, "3.4028235e+38"},
              {1e-5f, "1e-05"},
              {-2.5f, "-2.5"},
              {8.5899346e9f, "8589935000.0"},
              {1.1754944e-38f, "1.1754944e-38"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    mv_pyfloat_repr_f32(rows[i].x, repr);
    ck_assert_str_eq(repr, rows[i].repr);
  }
  for (uint32_t bits = 1; bits < 0x7F800000u; bits += 1047291u) {
    float x;
    memcpy(&x, &bits, sizeof x);
    mv_pyfloat_repr_f32(x, repr);
    ck_assert_msg(strtof(repr, NULL) == x, "%s is not %.9g", repr, (double)x);
  }
}
END_TEST

START_TEST(nan_has_no_sign) {
  char repr[MV_PYFLOAT_BYTES];
  mv_buf buf = {0};
  mv_pyfloat_fixed3(&buf, copysign(NAN, -1.0));
  ck_assert_str_eq(buf.ptr, "nan");
  mv_pyfloat_repr(copysign(NAN, -1.0), repr);
  ck_assert_str_eq(repr, "nan");
  mv_buf_free(&buf);
}
END_TEST

/* ---- the tree ---- */

static mv_json_doc parse(const char *text) {
  mv_json_doc doc = {0};
  mv_error err;
  ck_assert_msg(mv_json_parse(&doc, mv_str_of(text), &err) == MV_OK, "%s", err.msg);
  return doc;
}

START_TEST(looks_up_members_and_items) {
  mv_json_doc doc = parse("{\"a\": [10, 20.5, \"x\"], \"b\": null, \"big\": 99999999999999999999}");
  int64_t value = 0;
  const mv_json *a = mv_json_get(doc.root, "a");
  ck_assert_uint_eq(a->n_items, 3);
  ck_assert(mv_json_to_int(mv_json_at(a, 0), &value) && value == 10);
  ck_assert(!mv_json_to_int(mv_json_at(a, 1), &value));
  ck_assert(mv_json_at(a, 1)->number == 20.5);
  ck_assert_ptr_null(mv_json_at(a, 3));
  ck_assert_ptr_null(mv_json_get(doc.root, "c"));
  ck_assert_ptr_null(mv_json_get(a, "a"));
  ck_assert_ptr_null(mv_json_at(NULL, 0));
  ck_assert(mv_json_is(mv_json_get(doc.root, "b"), MV_JSON_NULL));
  const mv_json *big = mv_json_get(doc.root, "big");
  ck_assert(!mv_json_to_int(big, &value) && big->number == 1e20);
  mv_json_doc_free(&doc);
}
END_TEST

START_TEST(keeps_nul_in_strings) {
  mv_json_doc doc = parse("\"a\\u0000b\"");
  ck_assert_uint_eq(doc.root->text.len, 3);
  ck_assert_int_eq(memcmp(doc.root->text.ptr, "a\0b", 3), 0);
  mv_json_doc_free(&doc);
}
END_TEST

START_TEST(merges_many_equal_keys) {
  mv_buf text = {0};
  mv_buf_text(&text, "{");
  for (int i = 0; i < 20000; i++) mv_buf_printf(&text, "\"k%d\":%d,", i % 5000, i);
  mv_buf_text(&text, "\"last\":0}");
  mv_json_doc doc = {0};
  ck_assert_int_eq(mv_json_parse(&doc, mv_buf_view(&text), NULL), MV_OK);
  ck_assert_uint_eq(doc.root->n_items, 5001);
  ck_assert(mv_str_is(doc.root->first->key, "k0") && doc.root->first->number == 15000);
  ck_assert(mv_json_get(doc.root, "k4999")->number == 19999);
  mv_json_doc_free(&doc);
  mv_buf_free(&text);
}
END_TEST

START_TEST(refuses_deep_nesting_and_bad_utf8) {
  mv_buf text = {0};
  mv_error err;
  mv_json_doc doc = {0};
  for (int i = 0; i < 100000; i++) mv_buf_text(&text, i % 2 ? "{\"a\":" : "[");
  ck_assert_int_eq(mv_json_parse(&doc, mv_buf_view(&text), &err), MV_ERR_FORMAT);
  ck_assert_ptr_nonnull(strstr(err.msg, "deeper than 512"));
  ck_assert_int_eq(mv_json_parse(&doc, mv_str_of("[\"\xC3\x28\"]"), &err), MV_ERR_FORMAT);
  ck_assert_str_eq(err.msg, "JSON byte 2: not UTF-8");
  mv_buf_free(&text);
}
END_TEST

START_TEST(says_where_and_what_was_expected) {
  mv_json_doc doc = {0};
  mv_error err;
  ck_assert_int_eq(mv_json_parse(&doc, mv_str_of("{\"a\": [1, 2}"), &err), MV_ERR_FORMAT);
  ck_assert_str_eq(err.msg, "JSON byte 11: expected ',' or ']', found '}'");
  ck_assert_int_eq(mv_json_parse(&doc, mv_str_of("[1"), &err), MV_ERR_FORMAT);
  ck_assert_str_eq(err.msg, "JSON ends at byte 2: expected ',' or ']'");
}
END_TEST

START_TEST(writes_a_line_piece_by_piece) {
  mv_buf buf = {0};
  mv_json_writer w = {.out = &buf, .utf8 = 1};
  mv_json_begin_object(&w);
  mv_json_key(&w, "s");
  mv_json_text(&w, "\xC2\xB7\x7F\"");
  mv_json_key(&w, "broken");
  mv_json_string(&w, (mv_str){"\xFFx\xC3", 3});
  mv_json_key(&w, "list");
  mv_json_begin_array(&w);
  mv_json_int(&w, INT64_MIN);
  mv_json_double(&w, 24.13);
  mv_json_float(&w, 0.1f);
  mv_json_double(&w, -INFINITY);
  mv_json_bool(&w, 1);
  mv_json_null(&w);
  mv_json_raw(&w, mv_str_of("{\"id\":7}"));
  mv_json_end_array(&w);
  mv_json_key(&w, "none");
  mv_json_begin_object(&w);
  mv_json_end_object(&w);
  mv_json_end_object(&w);
  ck_assert_str_eq(buf.ptr,
                   "{\"s\": \"\xC2\xB7\x7F\\\"\", \"broken\": \"\xEF\xBF\xBDx\xEF\xBF\xBD\", "
                   "\"list\": [-9223372036854775808, 24.13, 0.1, -Infinity, true, null, "
                   "{\"id\":7}], \"none\": {}}");
  mv_buf_clear(&buf);
  mv_json_int(&w, 1); /* the next line starts without a comma */
  ck_assert_str_eq(buf.ptr, "1");
  mv_buf_free(&buf);
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
  mv_buf_text(&text, "[");
  for (int i = 0; i < 100; i++) mv_buf_text(&text, "{\"a\":[1,2.5],\"b\":\"\\u00e9\",\"a\":null},");
  mv_buf_text(&text, "0]");
  mv_status status = MV_ERR_MEMORY;
  int k = 0;
  for (; status != MV_OK && k < 10000; k++) {
    mv_json_doc doc = {0};
    mv_buf out = {0};
    mv_json_writer w = {.out = &out};
    int left = k;
    mv_alloc_set_hook(fail_kth, &left);
    status = mv_json_parse(&doc, mv_buf_view(&text), NULL);
    if (status == MV_OK) mv_json_node(&w, doc.root);
    if (status == MV_OK) status = mv_buf_status(&out, NULL);
    mv_alloc_set_hook(NULL, NULL);
    ck_assert(status == MV_OK || status == MV_ERR_MEMORY);
    mv_json_doc_free(&doc);
    mv_buf_free(&out);
  }
  ck_assert_int_eq(status, MV_OK);
  ck_assert_int_gt(k, 8);
  mv_buf_free(&text);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("json");
  TCase *t = tcase_create("json");
  tcase_set_timeout(t, 60);
  tcase_add_test(t, reads_and_writes_as_python);
  tcase_add_test(t, prints_the_shortest_float_that_reads_back);
  tcase_add_test(t, prints_the_shortest_float32_that_reads_back);
  tcase_add_test(t, nan_has_no_sign);
  tcase_add_test(t, looks_up_members_and_items);
  tcase_add_test(t, keeps_nul_in_strings);
  tcase_add_test(t, merges_many_equal_keys);
  tcase_add_test(t, refuses_deep_nesting_and_bad_utf8);
  tcase_add_test(t, says_where_and_what_was_expected);
  tcase_add_test(t, writes_a_line_piece_by_piece);
  tcase_add_test(t, survives_every_failing_allocation);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
