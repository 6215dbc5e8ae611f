/* Parsing and summarising runs: out of memory anywhere, damaged files, options. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "tasks/eval_board.h"
#include "tasks/eval_score.h"
#include "tests/check_main.h"

#define TOP "test_eval.tmp"
#define MODEL TOP "/m"

static const char box[] =
    "{\"doc_id\": %d, \"doc\": {\"dataset_name\": \"MSD\", \"taskID\": \"01\", \"taskType\": "
    "\"Box-Size\", \"slice_dim\": 2, \"label\": 1, \"image_size_2d\": [10, 10]}, \"target\": "
    "\"[0.1, 0.1, 0.5, 0.5]\", \"resps\": [[\"<answer>0.1,0.1,0.5,0.4</answer>\"]], "
    "\"filtered_resps\": [\"x\"]}\n";
static const char size[] =
    "{\"doc_id\": %d, \"doc\": {\"dataset_name\": \"MSD\", \"taskID\": \"01\", \"slice_dim\": 2}, "
    "\"target\": \"[20.0, 10.0]\", \"resps\": [[\"<answer>22, 9</answer>\"]]}\n";
static const char angle[] =
    "{\"doc_id\": %d, \"doc\": {\"dataset_name\": \"FeTA24\", \"taskID\": \"01\", \"slice_dim\": "
    "2, "
    "\"biometric_profile\": {\"metric_type\": \"distance\", \"metric_key\": \"L-1-2\"}}, "
    "\"target\": \"20.0\", \"resps\": [[\"<answer>22</answer>\"]]}\n";

static void write_text(const char *path, const char *text) {
  mv_error err = {0};
  ck_assert_msg(mv_file_write(path, text, strlen(text), &err) == MV_OK, "%s", err.msg);
}

/* One model with one log of three records. */
static void make_run(const char *record, const char *task) {
  mv_buf text = {0};
  char path[256];
  mv_error err = {0};
  mv_dir_remove(TOP, &err);
  ck_assert_int_eq(mv_dir_make(MODEL, &err), MV_OK);
  for (int i = 2; i >= 0; i--) mv_buf_printf(&text, record, i);
  snprintf(path, sizeof path, MODEL "/1_samples_%s.jsonl", task);
  write_text(path, text.ptr);
  write_text(MODEL "/1_results.json", "{\"results\": {\"t\": {}}}");
  mv_buf_free(&text);
}

static mv_score_options options(mv_family family, const mv_plan *plan) {
  return (mv_score_options){.family = family,
                            .task_dir = TOP,
                            .parsed_name = "parsed",
                            .resps_key = "filtered_resps",
                            .plan = plan};
}

static mv_status score(mv_family family, mv_error *err) {
  mv_plan plan = {0};
  mv_status status = mv_plan_load(&plan, NULL, err);
  mv_score_options o = options(family, &plan);
  if (status == MV_OK) status = mv_eval_parse(&o, err);
  if (status == MV_OK) status = mv_eval_summarize(&o, err);
  if (status == MV_OK && family == MV_FAMILY_DETECT) status = mv_eval_boxsize(&o, err);
  mv_rows_list models = {0};
  mv_board_row row;
  if (status == MV_OK) status = mv_rows_read(&models, TOP, &plan, err);
  if (status == MV_OK) status = mv_board_compute(&models.v[0], 2, &row, err);
  if (status == MV_OK) status = mv_board_write(&models, &row, TOP "/b.md", err);
  if (status == MV_OK) status = mv_board_write(&models, &row, TOP "/b.json", err);
  mv_rows_list_free(&models);
  mv_plan_free(&plan);
  return status;
}

static int fail_at(size_t n_bytes, void *user) {
  (void)n_bytes;
  return --*(int *)user != 0;
}

static void sweep(const char *record, const char *task, mv_family family) {
  make_run(record, task);
  int step = 1;
  for (int k = 1;; k += step) {
    int countdown = k;
    mv_error err = {0};
    mv_alloc_set_hook(fail_at, &countdown);
    mv_status status = score(family, &err);
    mv_alloc_set_hook(NULL, NULL);
    if (countdown > 0) {
      ck_assert_msg(status == MV_OK, "%s", err.msg);
      break;
    }
    /* a spacing that cannot be read is a missing value, as in the original */
    ck_assert_msg(status == MV_ERR_MEMORY || status == MV_OK, "allocation %d: %d, %s", k, status,
                  err.msg);
    if (k > 200) step = 7;
  }
  mv_dir_remove(TOP, NULL);
}

START_TEST(runs_out_of_memory_anywhere) {
  sweep(box, "MSD_BoxCoordinate_Task01_Axial", MV_FAMILY_DETECT);
  sweep(size, "MSD_TumorLesionSize_Task01_Axial", MV_FAMILY_SIZE);
  sweep(angle, "FeTA24_BiometricsFromLandmarks_Task01_Axial", MV_FAMILY_AD);
}
END_TEST

static void refuses(const char *record, const char *words) {
  mv_error err = {0};
  make_run(record, "MSD_TumorLesionSize_Task01_Axial");
  ck_assert_int_eq(score(MV_FAMILY_SIZE, &err), MV_ERR_FORMAT);
  ck_assert_msg(strstr(err.msg, words) && strstr(err.msg, TOP), "'%s' does not say '%s'", err.msg,
                words);
  mv_dir_remove(TOP, NULL);
}

START_TEST(names_the_file_and_what_is_wrong) {
  refuses("{no json\n", ":1: JSON");
  refuses("[1]\n", "expected an object");
  refuses("{\"target\": \"[1.0, 2.0]\"}\n", "\"resps\"");
  refuses("{\"target\": 3, \"resps\": [[\"x\"]]}\n", "\"target\": expected a string");
  refuses("{\"target\": \"[a]\", \"resps\": [[\"x\"]]}\n", "\"target\": expected a number");
  refuses("{\"target\": \"[1.0, 2.0, 3.0]\", \"resps\": [[\"x\"]]}\n",
          "expected 2 numbers, found 3");
}
END_TEST

START_TEST(needs_the_results_file) {
  mv_error err = {0};
  make_run(size, "MSD_TumorLesionSize_Task01_Axial");
  remove(MODEL "/1_results.json");
  ck_assert_int_eq(score(MV_FAMILY_SIZE, &err), MV_ERR_FORMAT);
  ck_assert(strstr(err.msg, "1_results.json is missing") != NULL);
  mv_dir_remove(TOP, NULL);
}
END_TEST

START_TEST(takes_data_sets_from_their_names) {
  ck_assert(mv_str_is(mv_dataset_of_name("20260101_samples_FeTA24_x_y.jsonl"), "FeTA24"));
  ck_assert(mv_str_is(mv_dataset_of_name("a_samples_b_samples_c_d"), "b"));
  ck_assert_uint_eq(mv_dataset_of_name("samples_x.jsonl").len, 0);
}
END_TEST

START_TEST(sorts_records_by_id_before_the_limit) {
  mv_records r;
  mv_error err = {0};
  make_run(size, "MSD_TumorLesionSize_Task01_Axial");
  ck_assert_int_eq(
      mv_records_read(&r, MODEL "/1_samples_MSD_TumorLesionSize_Task01_Axial.jsonl", 1, 2, &err),
      MV_OK);
  ck_assert_uint_eq(r.n, 2);
  ck_assert_int_eq(r.v[0].id, 0);
  ck_assert_int_eq(r.v[1].id, 1);
  mv_records_free(&r);
  mv_dir_remove(TOP, NULL);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("eval");
  TCase *tc = tcase_create("eval");
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, runs_out_of_memory_anywhere);
  tcase_add_test(tc, names_the_file_and_what_is_wrong);
  tcase_add_test(tc, needs_the_results_file);
  tcase_add_test(tc, takes_data_sets_from_their_names);
  tcase_add_test(tc, sorts_records_by_id_before_the_limit);
  suite_add_tcase(s, tc);
  return s;
}

MV_CHECK_MAIN(suite)
