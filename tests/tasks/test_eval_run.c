/* The run's small rules against the original: which samples, sizes, keys, status; the cache. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/file.h"
#include "runtime/sha256.h"
#include "tasks/eval_finish.h"
#include "tasks/eval_share.h"
#include "tests/check_main.h"
#include "tests/jsonl.h"

#define TOP "test_eval_run.tmp"

/* ---- golden rules ---- */

static int is_error(const mv_json *row) {
  return mv_json_is(mv_json_get(row, "error"), MV_JSON_STRING);
}

static void check_indices(const mv_json *row, const char *where) {
  mv_cli_args args;
  mv_eval_range r;
  char text[64];
  mv_error err = {0};
  memset(&args, 0, sizeof args);
  snprintf(text, sizeof text, "%.*s", (int)jsonl_text(row, "input").len,
           jsonl_text(row, "input").ptr);
  args.eval.sample_indices = text;
  mv_status status = mv_eval_range_parse(&args, 1000, &r, &err);
  ck_assert_msg((status != MV_OK) == is_error(row), "%s: %s", where, err.msg);
  if (status != MV_OK) return;
  size_t at = r.first;
  for (const mv_json *i = mv_json_get(row, "out")->first; i; i = i->next, at += r.step)
    ck_assert_msg(at < r.end && (double)at == i->number, "%s", where);
  ck_assert_msg(at >= r.end, "%s", where);
}

static void check_limit(const mv_json *row, const char *where) {
  mv_cli_args args;
  mv_eval_range r;
  memset(&args, 0, sizeof args);
  args.eval.sample_limit = mv_json_get(row, "limit")->number;
  double n = mv_json_get(row, "n_docs")->number, out = mv_json_get(row, "out")->number;
  ck_assert_int_eq(mv_eval_range_parse(&args, (size_t)n, &r, NULL), MV_OK);
  ck_assert_msg((double)r.end == (out < n ? out : n) && r.first == 0, "%s", where);
}

/* Text without a number is no size here, where the original silently leaves the image as it is. */
static void check_reshape(const mv_json *row, const char *where) {
  char text[64];
  int h = 0, w = 0;
  const mv_json *out = mv_json_get(row, "out_hw");
  snprintf(text, sizeof text, "%.*s", (int)jsonl_text(row, "cli").len, jsonl_text(row, "cli").ptr);
  mv_status status = mv_eval_reshape_parse(text, &h, &w, NULL);
  ck_assert_msg((status == MV_OK) == mv_json_is(out, MV_JSON_ARRAY), "%s", where);
  if (status == MV_OK)
    ck_assert_msg(h == (int)mv_json_at(out, 0)->number && w == (int)mv_json_at(out, 1)->number,
                  "%s", where);
}

static void check_key(const mv_json *row, const char *where) {
  char task[192], key[256];
  int64_t id = 0;
  snprintf(task, sizeof task, "%.*s", (int)jsonl_text(row, "task").len,
           jsonl_text(row, "task").ptr);
  mv_json_to_int(mv_json_get(row, "doc_id"), &id);
  mv_eval_key(task, id, jsonl_text(row, "prompt"), key);
  ck_assert_msg(mv_str_is(jsonl_text(row, "out"), key), "%s: %s", where, key);
}

static void check_status(const mv_json *row, const char *where) {
  mv_buf text = {0};
  mv_error err = {0};
  const char *path = TOP "/status.json";
  mv_dir_remove(TOP, NULL);
  for (const mv_json *u = mv_json_get(row, "updates")->first; u; u = u->next) {
    mv_eval_place place = {0};
    char model[64], task[64];
    int has = 0;
    snprintf(model, sizeof model, "%.*s", (int)u->first->text.len, u->first->text.ptr);
    snprintf(task, sizeof task, "%.*s", (int)u->first->next->text.len, u->first->next->text.ptr);
    ck_assert_int_eq(mv_eval_place_open(&place, TOP, model, &err), MV_OK);
    ck_assert_msg(mv_eval_status_add(&place, path, task, &err) == MV_OK, "%s", err.msg);
    ck_assert_int_eq(mv_eval_status_has(path, model, task, &has, &err), MV_OK);
    ck_assert_int_eq(has, 1);
    mv_eval_place_free(&place);
  }
  ck_assert_int_eq(mv_file_read(path, 1 << 20, &text, &err), MV_OK);
  ck_assert_msg(mv_str_eq(mv_buf_view(&text), jsonl_text(row, "file_text")), "%s: %s", where,
                text.ptr);
  mv_buf_free(&text);
  mv_dir_remove(TOP, NULL);
}

static void check_tasks(const mv_json *row, const char *where) {
  mv_json_doc doc = {0};
  mv_error err = {0};
  ck_assert_int_eq(mv_json_parse(&doc, jsonl_text(row, "file_text"), &err), MV_OK);
  const mv_json *key = doc.root->first;
  for (const mv_json *t = mv_json_get(row, "out")->first; t; t = t->next, key = key->next)
    ck_assert_msg(key && mv_str_eq(key->key, t->text), "%s", where);
  ck_assert_ptr_null(key);
  mv_json_doc_free(&doc);
}

static void check_sha(const mv_json *row, const char *where) {
  char hex[65];
  mv_str input = jsonl_text(row, "input");
  mv_sha256_hex(input.ptr, input.len, hex);
  ck_assert_msg(mv_str_is(jsonl_text(row, "out"), hex), "%s", where);
}

static void check_row(const mv_json *row, const char *where) {
  static const struct {
    const char *kind;
    void (*check)(const mv_json *row, const char *where);
  } checks[] = {{"sample_indices", check_indices},
                {"sample_limit", check_limit},
                {"reshape_image_hw", check_reshape},
                {"cache_key", check_key},
                {"task_status_file", check_status},
                {"tasks_list", check_tasks},
                {"sha256", check_sha}};
  for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
    if (mv_str_is(jsonl_text(row, "kind"), checks[i].kind)) {
      checks[i].check(row, where);
      return;
    }
}

START_TEST(follows_the_originals_rules) {
  ck_assert_int_gt(jsonl_each_golden("pipeline.jsonl", check_row), 30);
}
END_TEST

/* ---- the cache ---- */

static mv_eval_doc doc_of(int64_t id, const char *prompt, const char *line) {
  mv_eval_doc doc;
  memset(&doc, 0, sizeof doc);
  doc.id = id;
  mv_eval_key("t", id, mv_str_of(prompt), doc.key);
  snprintf(doc.line_sha, sizeof doc.line_sha, "%s", line);
  return doc;
}

START_TEST(keeps_the_first_whole_answer_of_each_line) {
  mv_eval_place place = {0};
  mv_eval_cache cache;
  mv_eval_answers answers;
  mv_error err = {0};
  mv_str text;
  mv_eval_doc a = doc_of(1, "p", "aaaa"), b = doc_of(1, "p", "bbbb"), c = doc_of(2, "p", "aaaa");
  mv_dir_remove(TOP, NULL);
  ck_assert_int_eq(mv_eval_place_open(&place, TOP, "m", &err), MV_OK);
  ck_assert_int_eq(mv_eval_cache_open(&cache, &place, "t", 0, &err), MV_OK);
  ck_assert_int_eq(mv_eval_cache_add(&cache, &a, mv_str_of("first \n\"\xe2\x80\xa8"), &err), MV_OK);
  ck_assert_int_eq(mv_eval_cache_add(&cache, &a, mv_str_of("second"), &err), MV_OK);
  ck_assert_int_eq(mv_eval_cache_add(&cache, &c, mv_str_of("torn"), &err), MV_OK);
  ck_assert_int_eq(ftruncate(cache.fd, lseek(cache.fd, 0, SEEK_END) - 3), 0);
  mv_eval_cache_close(&cache);
  ck_assert_int_eq(mv_eval_answers_read(&answers, &place, "t", &err), MV_OK);
  ck_assert(mv_eval_answers_find(&answers, &a, &text));
  ck_assert(mv_str_is(text, "first \n\"\xe2\x80\xa8"));
  ck_assert(!mv_eval_answers_find(&answers, &b, &text)); /* another picture, the same prompt */
  ck_assert(!mv_eval_answers_find(&answers, &c, &text));
  mv_eval_answers_free(&answers);
  ck_assert_int_eq(mv_eval_cache_open(&cache, &place, "t", 0, &err),
                   MV_OK); /* cuts the torn line */
  ck_assert_int_eq(mv_eval_cache_add(&cache, &c, mv_str_of("whole"), &err), MV_OK);
  mv_eval_cache_close(&cache);
  ck_assert_int_eq(mv_eval_answers_read(&answers, &place, "t", &err), MV_OK);
  ck_assert(mv_eval_answers_find(&answers, &c, &text) && mv_str_is(text, "whole"));
  mv_eval_answers_free(&answers);
  mv_eval_place_free(&place);
  mv_dir_remove(TOP, NULL);
}
END_TEST

START_TEST(names_the_setting_that_differs) {
  mv_eval_place place = {0};
  mv_error err = {0};
  mv_dir_remove(TOP, NULL);
  ck_assert_int_eq(mv_eval_place_open(&place, TOP, "m", &err), MV_OK);
  ck_assert_int_eq(mv_eval_settings_check(&place, "t", mv_str_of("{\"a\": 1, \"b\": 2}"), &err),
                   MV_OK);
  ck_assert_int_eq(mv_eval_settings_check(&place, "t", mv_str_of("{\"a\": 1, \"b\": 2}"), &err),
                   MV_OK);
  ck_assert_int_eq(mv_eval_settings_check(&place, "t", mv_str_of("{\"a\": 1, \"b\": 3}"), &err),
                   MV_ERR_USAGE);
  ck_assert_msg(strstr(err.msg, "made with b 2, not 3") != NULL, "%s", err.msg);
  mv_eval_place_free(&place);
  mv_dir_remove(TOP, NULL);
}
END_TEST

START_TEST(shares_without_gaps_or_doubles) {
  mv_eval_place place = {0};
  mv_error err = {0};
  int seen[100] = {0}, last = 0, n_last = 0;
  mv_dir_remove(TOP, NULL);
  ck_assert_int_eq(mv_eval_place_open(&place, TOP, "m", &err), MV_OK);
  mv_eval_crew crew[3] = {{0, 3, 0, 1, "x"}, {1, 3, 1, 1, "x"}, {2, 3, 2, 1, "x"}};
  mv_eval_share share[3];
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(mv_eval_share_begin(&share[i], &crew[i], &place, "t", 100, &err), MV_OK);
  for (int left = 3, turn = 0, done[3] = {0}; left > 0; turn++) {
    size_t index;
    int i = turn % 3;
    if (done[i]) continue;
    if (mv_eval_share_next(&share[i], &index, &err) == 1) {
      seen[index]++;
      continue;
    }
    done[i] = 1, left--;
    ck_assert_int_eq(mv_eval_share_end(&share[i], &last, &err), MV_OK);
    n_last += last;
    ck_assert_int_eq(last, left == 0);
  }
  ck_assert_int_eq(n_last, 1);
  for (int i = 0; i < 100; i++) ck_assert_int_eq(seen[i], 1);
  for (int i = 0; i < 3; i++) mv_eval_share_free(&share[i]);
  mv_eval_place_free(&place);
  mv_dir_remove(TOP, NULL);
}
END_TEST

START_TEST(refuses_shards_that_are_none) {
  static const char *const bad[] = {"", "1", "3/3", "-1/3", "a/b", "1/2x", "0/0"};
  mv_eval_crew crew;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    ck_assert_msg(mv_eval_crew_find(&crew, bad[i], NULL) == MV_ERR_USAGE, "%s", bad[i]);
  ck_assert_int_eq(mv_eval_crew_find(&crew, "2/5", NULL), MV_OK);
  ck_assert(crew.rank == 2 && crew.size == 5 && !crew.claims);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("eval_run");
  TCase *tc = tcase_create("eval_run");
  tcase_add_test(tc, follows_the_originals_rules);
  tcase_add_test(tc, keeps_the_first_whole_answer_of_each_line);
  tcase_add_test(tc, names_the_setting_that_differs);
  tcase_add_test(tc, shares_without_gaps_or_doubles);
  tcase_add_test(tc, refuses_shards_that_are_none);
  suite_add_tcase(s, tc);
  return s;
}

MV_CHECK_MAIN(suite)
