/* What the benchmarks compute: statistics, arrivals, workloads, streams, comparisons. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/arrivals.h"
#include "bench/compare.h"
#include "bench/gpu_meter.h"
#include "bench/options.h"
#include "bench/sample.h"
#include "bench/stream.h"
#include "bench/workload.h"
#include "runtime/file.h"
#include "runtime/memory.h"
#include "tests/check_main.h"

/* ---- statistics ---- */

START_TEST(statistics_are_numpys) {
  static const double values[] = {9.5, 1, 4, 2.25, 7, 3}; /* numpy 2: percentile, mean, std */
  bench_sample s = {.name = "x"};
  for (int i = 0; i < 6; i++) bench_sample_add(&s, values[i]);
  bench_sample_sort(&s);
  ck_assert_double_eq_tol(bench_mean(&s), 4.458333333333333, 1e-12);
  ck_assert_double_eq_tol(bench_deviation(&s), 2.9169642705311896, 1e-12);
  ck_assert_double_eq_tol(bench_percentile(&s, 50), 3.5, 1e-12);
  ck_assert_double_eq_tol(bench_percentile(&s, 25), 2.4375, 1e-12);
  ck_assert_double_eq_tol(bench_percentile(&s, 99), 9.375, 1e-12);
  ck_assert_double_eq(bench_percentile(&s, 0), 1);
  ck_assert_double_eq(bench_percentile(&s, 100), 9.5);
  bench_sample_free(&s);
}
END_TEST

START_TEST(nothing_measured_is_zero_and_left_out) {
  bench_sample s = {.name = "x"};
  mv_buf out = {0};
  mv_json_writer w = {.out = &out};
  ck_assert_double_eq(bench_mean(&s), 0);
  ck_assert_double_eq(bench_percentile(&s, 50), 0);
  mv_json_begin_object(&w);
  bench_sample_json(&w, &s);
  mv_json_end_object(&w);
  ck_assert_str_eq(out.ptr, "{}");
  mv_buf_free(&out);
}
END_TEST

static int refuse(size_t n, void *user) { return (void)n, (void)user, 0; }

START_TEST(a_sample_without_memory_is_an_error) {
  bench_sample s = {.name = "x"};
  mv_error err;
  mv_alloc_set_hook(refuse, NULL);
  bench_sample_add(&s, 1);
  mv_alloc_set_hook(NULL, NULL);
  ck_assert_int_eq(bench_samples_finish(&s, 1, &err), MV_ERR_MEMORY);
}
END_TEST

/* ---- arguments ---- */

START_TEST(lists_are_counts_with_commas) {
  int out[3];
  ck_assert_int_eq(bench_list("1,16,4", out, 3), 3);
  ck_assert_int_eq(out[1], 16);
  static const char *const wrong[] = {"", "1,", ",1", "0", "1,2,3,4", "1 2", "x", "-1", "99999"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    ck_assert_msg(bench_list(wrong[i], out, 3) == 0, "%s", wrong[i]);
}
END_TEST

START_TEST(limits_of_goodput) {
  bench_slo slo;
  mv_error err;
  ck_assert_int_eq(bench_slo_parse("tpot:50,ttft:2000.5", &slo, &err), MV_OK);
  ck_assert(bench_slo_met(&slo, 2000, 50, 1e9));
  ck_assert(!bench_slo_met(&slo, 2001, 50, 0) && !bench_slo_met(&slo, 0, 50.1, 0));
  static const char *const wrong[] = {"",        "ttft",  "ttft:",        "ttft:0",
                                      "ttft:5,", "itl:3", "ttft:5;e2el:3"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    ck_assert_msg(bench_slo_parse(wrong[i], &slo, &err) == MV_ERR_USAGE, "%s", wrong[i]);
}
END_TEST

/* ---- arrivals ---- */

enum { N_ARRIVAL = 20000 };

/* Mean of the gaps, and their deviation in units of it. */
static double spread(double burstiness, double *mean) {
  static double at[N_ARRIVAL];
  double sum = 0, square = 0;
  bench_arrivals(at, N_ARRIVAL, 50, burstiness, 7);
  ck_assert_double_eq(at[0], 0);
  for (int i = 1; i < N_ARRIVAL; i++) {
    double gap = at[i] - at[i - 1];
    ck_assert(gap >= 0);
    sum += gap;
    square += gap * gap;
  }
  *mean = sum / (N_ARRIVAL - 1);
  return sqrt(square / (N_ARRIVAL - 1) - *mean * *mean) / *mean;
}

START_TEST(arrivals_have_the_rate_and_the_shape) {
  double mean;
  ck_assert_double_eq_tol(spread(1, &mean), 1, 0.05); /* Poisson */
  ck_assert_double_eq_tol(mean, 20, 1);
  ck_assert_double_eq_tol(spread(0.25, &mean), 2, 0.15); /* a gamma's is 1 / sqrt(shape) */
  ck_assert_double_eq_tol(mean, 20, 2);
  ck_assert_double_eq_tol(spread(4, &mean), 0.5, 0.03);
  ck_assert_double_eq_tol(spread(INFINITY, &mean), 0, 1e-3);
  ck_assert_double_eq_tol(mean, 20, 1e-9);
}
END_TEST

START_TEST(arrivals_follow_the_seed) {
  double a[5], b[5], c[5], at_once[5];
  bench_arrivals(a, 5, 10, 1, 1);
  bench_arrivals(b, 5, 10, 1, 1);
  bench_arrivals(c, 5, 10, 1, 2);
  bench_arrivals(at_once, 5, INFINITY, 1, 1);
  ck_assert_mem_eq(a, b, sizeof a);
  ck_assert_mem_ne(a, c, sizeof a);
  for (int i = 0; i < 5; i++) ck_assert_double_eq(at_once[i], 0);
}
END_TEST

/* ---- workloads ---- */

static char path_of_file[] = "/tmp/mv_bench_XXXXXX";

static void write_file(const char *text) {
  strcpy(path_of_file, "/tmp/mv_bench_XXXXXX");
  close(mkstemp(path_of_file));
  ck_assert_int_eq(mv_file_write(path_of_file, text, strlen(text), NULL), MV_OK);
}

START_TEST(workloads_of_the_repository_are_read) {
  static const char *const names[] = {"fixed",
                                      "medvision",
                                      "medvision-text-first",
                                      "medvision-shuffled",
                                      "short",
                                      "medvision-forced",
                                      "fixed-2048-128",
                                      "fixed-128-2048",
                                      "fixed-32-128",
                                      "labels"};
  bench_workload w;
  mv_error err;
  char path[100];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "bench/workloads/%s.jsonl", names[i]);
    ck_assert_msg(bench_workload_read(&w, path, 0, 0, &err) == MV_OK, "%s", err.msg);
    ck_assert_int_eq(w.shuffle, strstr(names[i], "shuffled") != NULL);
    ck_assert_int_eq(w.kinds[0].text_first, strstr(names[i], "text-first") != NULL);
    ck_assert_int_eq(w.kinds[0].recorded.n, strstr(names[i], "forced") ? 24 : 0);
    bench_workload_free(&w);
  }
}
END_TEST

START_TEST(bad_workloads_are_refused_by_line) {
  static const char *const wrong[] = {
      "",
      "\n\n",
      "[]",
      "{",
      "{\"name\": \"a\"}",
      "{\"shuffle\": 1}",
      "{\"name\": \"a\", \"input_len\": 0, \"output_len\": 1}",
      "{\"name\": \"a\", \"input_len\": 5, \"output_len\": 1.5}",
      "{\"name\": \"a\", \"input_len\": 5, \"output_len\": 1, \"imgae\": 5}",
      "{\"name\": \"a\", \"input_len\": 5, \"output_len\": 1, \"text_first\": 1}",
      "{\"name\": 3, \"input_len\": 5, \"output_len\": 1}",
      "{\"name\": \"a\", \"input_len\": 5, \"output_len\": 1, \"share\": 0}",
      "{\"name\": \"a\", \"recorded\": 5}"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    bench_workload w;
    mv_error err;
    write_file(wrong[i]);
    ck_assert_msg(bench_workload_read(&w, path_of_file, 0, 0, &err) == MV_ERR_FORMAT, "%s",
                  wrong[i]);
    ck_assert(strstr(err.msg, path_of_file));
    bench_workload_free(&w);
    unlink(path_of_file);
  }
}
END_TEST

START_TEST(requests_take_kinds_in_turn_and_share_pictures) {
  bench_workload w;
  mv_error err;
  write_file(
      "{\"name\": \"a\", \"input_len\": 50, \"output_len\": 1, \"image\": 56, \"share\": 3}\n"
      "{\"name\": \"b\", \"input_len\": 50, \"output_len\": 1}\n");
  ck_assert_int_eq(bench_workload_read(&w, path_of_file, 0, 0, &err), MV_OK);
  ck_assert_int_eq(bench_workload_plan(&w, 9, 0, 0, &err), MV_OK);
  static const int kinds[] = {0, 0, 0, 1, 0, 0, 0, 1, 0}, pictures[] = {0, 0, 0, 1, 2, 2, 2, 3, 4};
  for (int i = 0; i < 9; i++) {
    ck_assert_int_eq(w.asks[i].kind, kinds[i]);
    ck_assert_int_eq((int)w.asks[i].picture, pictures[i]);
    ck_assert_int_eq(w.asks[i].number, i);
  }
  bench_workload_free(&w);
  unlink(path_of_file);
}
END_TEST

START_TEST(shuffling_stays_within_blocks_and_loses_none) {
  bench_workload w;
  int seen[40] = {0}, moved = 0;
  ck_assert_int_eq(bench_workload_read(&w, NULL, 30, 5, NULL), MV_OK);
  w.shuffle = 1;
  ck_assert_int_eq(bench_workload_plan(&w, 40, 10, 3, NULL), MV_OK);
  for (int i = 0; i < 40; i++) {
    ck_assert_int_eq(w.asks[i].number / 10, i / 10);
    seen[w.asks[i].number]++;
    moved += w.asks[i].number != i;
  }
  for (int i = 0; i < 40; i++) ck_assert_int_eq(seen[i], 1);
  ck_assert_int_gt(moved, 20);
  bench_workload_free(&w);
}
END_TEST

START_TEST(texts_share_what_the_kind_says_and_no_more) {
  bench_workload w = {.n_kind = 1};
  mv_buf a = {0}, b = {0};
  w.kinds[0] = (bench_kind){.n_input = 60, .n_shared = 20};
  ck_assert_int_eq(bench_kind_fit(&w.kinds[0], 10, NULL), MV_OK);
  bench_ask_text(&w, &(bench_ask){.number = 1}, &a);
  bench_ask_text(&w, &(bench_ask){.number = 100000}, &b);
  ck_assert_uint_eq(a.len, 50);
  ck_assert_mem_eq(a.ptr, b.ptr, 20);
  ck_assert_int_ne(a.ptr[20], b.ptr[20]);
  ck_assert_int_eq(bench_kind_fit(&w.kinds[0], 35, NULL), MV_ERR_USAGE); /* 20 + 6 do not fit */
  mv_buf_free(&a);
  mv_buf_free(&b);
}
END_TEST

/* ---- streams ---- */

static const char events[] =
    ": a comment\r\n\r\n"
    "data: {\"choices\": [{\"delta\": {\"role\": \"assistant\", \"content\": \"\"}}]}\r\n\r\n"
    "data: {\"choices\": [{\"delta\": {\"content\": \"one\"}}]}\n\n"
    "data: {\"choices\": [{\"delta\": {\"reasoning_content\": \"two\"}}]}\n\n"
    "data:{\"choices\": [{\"text\": \" three\"}], \"usage\": null}\n\n"
    "data: {\"choices\": [{\"delta\": {}, \"finish_reason\": \"length\"}]}\n\n"
    "data: {\"choices\": [], \"usage\": {\"prompt_tokens\": 7, \"completion_tokens\": 5,"
    " \"prompt_tokens_details\": {\"cached_tokens\": 4}}}\n\n"
    "data: [DONE]\n\n";

START_TEST(streams_are_read_however_they_are_cut) {
  for (size_t cut = 1; cut < sizeof events; cut++) {
    bench_stream s = {0};
    mv_error err;
    for (size_t at = 0; at < sizeof events - 1; at += cut) {
      size_t n = sizeof events - 1 - at < cut ? sizeof events - 1 - at : cut;
      ck_assert_int_eq(bench_stream_feed(&s, (mv_str){events + at, n}, (double)at, &err), MV_OK);
    }
    ck_assert_int_eq(s.n_text, 3);
    ck_assert_int_eq(s.gaps.n, 2);
    ck_assert_int_eq((int)s.n_input, 7);
    ck_assert_int_eq((int)s.n_output, 5);
    ck_assert_int_eq((int)s.n_cached, 4);
    ck_assert(s.is_done && s.has_usage && !s.error[0]);
    ck_assert_double_eq_tol(s.last_ms - s.first_ms, s.gaps.ms[0] + s.gaps.ms[1], 1e-9);
    bench_stream_free(&s);
  }
}
END_TEST

START_TEST(broken_streams_are_errors) {
  bench_stream s = {0};
  mv_error err;
  ck_assert_int_eq(bench_stream_feed(&s, mv_str_of("data: {\n"), 0, &err), MV_ERR_FORMAT);
  bench_stream_free(&s);
  s = (bench_stream){0};
  ck_assert_int_eq(
      bench_stream_feed(&s, mv_str_of("data: {\"error\": {\"message\": \"no room\"}}\n"), 0, &err),
      MV_OK);
  ck_assert_str_eq(s.error, "no room");
  bench_stream_free(&s);
  s = (bench_stream){0};
  mv_status status = MV_OK;
  static char block[65536];
  memset(block, 'x', sizeof block);
  for (int i = 0; i < 100 && status == MV_OK; i++)
    status = bench_stream_feed(&s, (mv_str){block, sizeof block}, 0, &err);
  ck_assert_int_eq(status, MV_ERR_FORMAT);
  bench_stream_free(&s);
}
END_TEST

static int fail_kth(size_t n, void *user) { return (void)n, --*(int *)user != 0; }

START_TEST(streams_survive_every_failed_allocation) {
  int k = 1, ended = 0;
  for (; !ended && k < 1000; k++) {
    int left = k;
    bench_stream s = {0};
    mv_alloc_set_hook(fail_kth, &left);
    mv_status status = bench_stream_feed(&s, mv_str_of(events), 1, NULL);
    mv_alloc_set_hook(NULL, NULL);
    ended = left > 0;
    ck_assert(ended ? status == MV_OK : status == MV_ERR_MEMORY);
    bench_stream_free(&s);
  }
  ck_assert_int_gt(k, 5);
}
END_TEST

static mv_status read_recorded_workload(void) {
  bench_workload w;
  mv_status status = bench_workload_read(&w, "bench/workloads/medvision-forced.jsonl", 0, 0, NULL);
  if (status == MV_OK) status = bench_workload_plan(&w, 5, 0, 0, NULL);
  bench_workload_free(&w);
  return status;
}

static mv_status parse_two_rows(void) {
  bench_rows rows = {0};
  mv_status status =
      bench_rows_parse(&rows, mv_str_of("{\"a\": [1, 2]}\n{\"results\": [{}, {}]}\n"), NULL);
  bench_rows_free(&rows);
  return status;
}

/* Returns how many allocations the reader needs. */
static int sweep(mv_status (*read)(void)) {
  for (int k = 1;; k++) {
    int left = k;
    mv_alloc_set_hook(fail_kth, &left);
    mv_status status = read();
    mv_alloc_set_hook(NULL, NULL);
    if (left > 0) {
      ck_assert_int_eq(status, MV_OK);
      return k;
    }
    ck_assert_int_ne(status, MV_OK);
  }
}

START_TEST(readers_survive_every_failed_allocation) {
  ck_assert_int_gt(sweep(read_recorded_workload), 40);
  ck_assert_int_gt(sweep(parse_two_rows), 4);
}
END_TEST

START_TEST(messages_are_cut_out_of_replies) {
  char out[12];
  bench_stream_message(mv_str_of("{\"error\": {\"message\": \"no such thing\"}}"), out, sizeof out);
  ck_assert_str_eq(out, "no such thi");
  bench_stream_message(mv_str_of("{\"error\": \"short\"}"), out, sizeof out);
  ck_assert_str_eq(out, "short");
  bench_stream_message(mv_str_of("<html>"), out, sizeof out);
  ck_assert_str_eq(out, "<html>");
}
END_TEST

/* ---- comparisons ---- */

/* One run: median, the quartiles around it, and how many were measured. */
static const char *run_of(double median, double half, int n) {
  static char text[2][400];
  static int at;
  char *out = text[at = !at];
  snprintf(
      out, sizeof text[0],
      "{\"bench\": \"latency\", \"device\": \"cpu\", \"completed\": %d, \"median_ttft_ms\": %g,"
      " \"p25_ttft_ms\": %g, \"p75_ttft_ms\": %g}\n",
      n, median, median - half, median + half);
  return out;
}

static int n_worse(const char *old, const char *now) {
  mv_error err = {0};
  int n = -1;
  FILE *out = fopen("/dev/null", "w");
  write_file(old);
  if (bench_compare(path_of_file, mv_str_of(now), out, &n, &err) != MV_OK) n = -1;
  fclose(out);
  unlink(path_of_file);
  return n;
}

START_TEST(worse_is_what_exceeds_the_noise) {
  ck_assert_int_eq(n_worse(run_of(100, 0.1, 25), run_of(104, 0.1, 25)), 0); /* 4 %: too little */
  ck_assert_int_eq(n_worse(run_of(100, 0.1, 25), run_of(106, 0.1, 25)), 1);
  ck_assert_int_eq(n_worse(run_of(100, 0.1, 25), run_of(80, 0.1, 25)), 0); /* better */
  /* quartiles 20 apart, 25 runs: errors of 3.72 each, so 15.8 % is noise */
  ck_assert_int_eq(n_worse(run_of(100, 10, 25), run_of(115, 10, 25)), 0);
  ck_assert_int_eq(n_worse(run_of(100, 10, 25), run_of(117, 10, 25)), 1);
  ck_assert_int_eq(n_worse(run_of(100, 10, 400), run_of(107, 10, 400)),
                   1); /* more runs, less noise */
}
END_TEST

START_TEST(rates_are_worse_when_lower) {
  static const char run[] =
      "{\"bench\": \"throughput\", \"runs\": 3, \"output_throughput\": %d,"
      " \"p25_output_throughput\": %d, \"p75_output_throughput\": %d}";
  char fast[300], slow[300];
  snprintf(fast, sizeof fast, run, 1000, 990, 1010);
  snprintf(slow, sizeof slow, run, 900, 890, 910);
  ck_assert_int_eq(n_worse(fast, slow), 1);
  ck_assert_int_eq(n_worse(slow, fast), 0);
}
END_TEST

START_TEST(only_the_same_measurement_is_compared) {
  static const char gpu[] =
      "{\"bench\": \"latency\", \"device\": \"cuda\", \"completed\": 5, \"median_ttft_ms\": 1}\n";
  ck_assert_int_eq(n_worse(gpu, run_of(100, 1, 9)), -1);
  ck_assert_int_eq(n_worse("{\"x\": 1}\nno json", run_of(100, 1, 9)), -1);
  ck_assert_int_eq(n_worse("[1, 2]", run_of(100, 1, 9)), -1);
  char two[1000]; /* the latest of several counts */
  snprintf(two, sizeof two, "%s%s", run_of(10, 0, 9), run_of(100, 0, 9));
  ck_assert_int_eq(n_worse(two, run_of(101, 0, 9)), 0);
}
END_TEST

START_TEST(documents_of_kernels_are_compared_by_row) {
  static const char doc[] =
      "{\"machine\": {\"device\": \"%s\"},\n \"results\": [{\"op\": \"a\", \"runs\": 30, "
      "\"median_ms\": %g, "
      "\"p25_ms\": 1,"
      " \"p75_ms\": 1},\n {\"op\": \"b\", \"runs\": 30, \"median_ms\": 5, \"p25_ms\": 5, "
      "\"p75_ms\": 5}]}";
  char was[400], is[400];
  snprintf(was, sizeof was, doc, "cpu", 1.0);
  snprintf(is, sizeof is, doc, "cuda:0", 1.2);
  ck_assert_int_eq(n_worse(was, is), -1); /* another machine */
  snprintf(is, sizeof is, doc, "cpu", 1.2);
  ck_assert_int_eq(n_worse(was, is), 1);
  ck_assert_int_eq(n_worse(was, was), 0);
}
END_TEST

/* ---- the driver of a GPU ---- */

START_TEST(energy_is_what_the_driver_counts) {
  bench_gpu_meter m;
  mv_buf out = {0};
  mv_json_writer w = {.out = &out};
  bench_gpu_meter_open(&m, "cuda:0");
  if (!m.library) return; /* not run by ctest: no library in the path */
  bench_gpu_meter_start(&m);
  bench_gpu_meter_look(&m);
  bench_gpu_meter_look(&m); /* too soon: passed over */
  bench_gpu_meter_stop(&m);
  bench_gpu_meter_start(&m);
  bench_gpu_meter_stop(&m);
  ck_assert_int_eq(m.n_look, 1);
  mv_json_begin_object(&w);
  bench_gpu_meter_json(&w, &m, 2, 10);
  mv_json_end_object(&w);
  ck_assert_str_eq(out.ptr,
                   "{\"gpu_busy_percent\": 80.0, \"energy_j\": 3.0, "
                   "\"energy_j_per_request\": 1.5, \"energy_j_per_output_token\": 0.3}");
  bench_gpu_meter_close(&m);
  mv_buf_free(&out);
}
END_TEST

START_TEST(without_a_card_nothing_is_told) {
  static const char *const devices[] = {"cpu", "cuda:7"};
  for (int i = 0; i < 2; i++) {
    bench_gpu_meter m;
    mv_buf out = {0};
    mv_json_writer w = {.out = &out};
    bench_gpu_meter_open(&m, devices[i]);
    ck_assert_ptr_null(m.library);
    bench_gpu_meter_start(&m);
    bench_gpu_meter_look(&m);
    bench_gpu_meter_stop(&m);
    mv_json_begin_object(&w);
    bench_gpu_meter_json(&w, &m, 1, 1);
    mv_json_end_object(&w);
    ck_assert_str_eq(out.ptr, "{}");
    bench_gpu_meter_close(&m);
    mv_buf_free(&out);
  }
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("bench");
  TCase *t = tcase_create("bench");
  const TTest *const tests[] = {statistics_are_numpys,
                                nothing_measured_is_zero_and_left_out,
                                a_sample_without_memory_is_an_error,
                                lists_are_counts_with_commas,
                                limits_of_goodput,
                                arrivals_have_the_rate_and_the_shape,
                                arrivals_follow_the_seed,
                                workloads_of_the_repository_are_read,
                                bad_workloads_are_refused_by_line,
                                requests_take_kinds_in_turn_and_share_pictures,
                                shuffling_stays_within_blocks_and_loses_none,
                                texts_share_what_the_kind_says_and_no_more,
                                streams_are_read_however_they_are_cut,
                                broken_streams_are_errors,
                                streams_survive_every_failed_allocation,
                                readers_survive_every_failed_allocation,
                                messages_are_cut_out_of_replies,
                                worse_is_what_exceeds_the_noise,
                                rates_are_worse_when_lower,
                                only_the_same_measurement_is_compared,
                                documents_of_kernels_are_compared_by_row,
                                energy_is_what_the_driver_counts,
                                without_a_card_nothing_is_told};
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(t, tests[i]);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
