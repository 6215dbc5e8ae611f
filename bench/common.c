#include "bench/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/memory.h"

/* ---- arguments ---- */

static int bad(const char *name, const char *format, const char *what) {
  fprintf(stderr, "medvision: bench %s: ", name);
  fprintf(stderr, format, what);
  fprintf(stderr, " (see medvision bench %s --help)\n", name);
  return 2;
}

static int parse_count(const char *text, int *out) {
  char *end;
  long n = strtol(text, &end, 10);
  if (*text == 0 || *end != 0 || n < 0 || n > 10000000) return 0;
  *out = (int)n;
  return 1;
}

int bench_parse(const char *name, int argc, char **argv, const bench_option *options, int n) {
  for (int i = 1; i < argc; i++) {
    int k = 0;
    while (k < n && strcmp(argv[i], options[k].name) != 0) k++;
    if (k == n) return bad(name, "unknown argument %s", argv[i]);
    if (options[k].flag) {
      *options[k].flag = 1;
      continue;
    }
    if (++i == argc) return bad(name, "%s needs a value", options[k].name);
    if (options[k].text)
      *options[k].text = argv[i];
    else if (!parse_count(argv[i], options[k].count))
      return bad(name, "%s: expected a count", argv[i]);
  }
  return 0;
}

int bench_failed(const char *name, const mv_error *err) {
  fprintf(stderr, "medvision: bench %s: %s\n", name, err->msg);
  return err->code == MV_ERR_USAGE ? 2 : 1;
}

mv_status bench_precision(const char *name, mv_precision *out, mv_error *err) {
  static const char *const names[] = {"auto", "bf16", "fp32"};
  for (int i = 0; i < 3; i++)
    if (strcmp(name, names[i]) == 0) {
      *out = (mv_precision)i;
      return MV_OK;
    }
  return mv_fail(err, MV_ERR_USAGE, "--dtype %s: expected auto, bf16 or fp32", name);
}

/* ---- prompts ---- */

mv_status bench_prompt(int number, int n, mv_buf *out, mv_error *err) {
  char first[16];
  int n_first = snprintf(first, sizeof first, "%05d", number);
  mv_buf_clear(out);
  for (int i = 0; i < n; i++)
    mv_buf_char(out, i < n_first ? first[i] : (char)('0' + (i * i % 7 + 3 * i / 10) % 10));
  return mv_buf_status(out, err);
}

mv_status bench_prompt_digits(mv_engine *engine, const mv_request *request, int n_input, int *out,
                              mv_error *err) {
  mv_request q = *request;
  mv_result r = {0};
  q.prompt = mv_str_of("");
  q.max_new_tokens = 1;
  MV_TRY(mv_engine_generate(engine, &q, &r, err));
  int have = (int)r.n_prompt;
  mv_result_free(&r);
  *out = n_input - have;
  if (*out >= 5) return MV_OK;
  return mv_fail(err, MV_ERR_USAGE, "%d tokens of input: expected %d or more (%d without any text)",
                 n_input, have + 5, have);
}

/* ---- statistics ---- */

mv_status bench_sample_init(bench_sample *s, const char *name, int capacity, mv_error *err) {
  *s = (bench_sample){.name = name, .capacity = capacity};
  s->ms = mv_calloc((size_t)capacity, sizeof *s->ms);
  return s->ms ? MV_OK : mv_fail(err, MV_ERR_MEMORY, "no memory for %d times", capacity);
}

void bench_sample_free(bench_sample *s) { mv_free(s->ms); }

void bench_sample_add(bench_sample *s, double ms) {
  if (s->n < s->capacity) s->ms[s->n++] = ms;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void bench_sample_sort(bench_sample *s) {
  if (s->n) qsort(s->ms, (size_t)s->n, sizeof *s->ms, by_value);
}

double bench_mean(const bench_sample *s) {
  double sum = 0;
  for (int i = 0; i < s->n; i++) sum += s->ms[i];
  return s->n ? sum / s->n : 0;
}

double bench_percentile(const bench_sample *s, double p) {
  if (s->n == 0) return 0;
  double at = p / 100 * (s->n - 1);
  int i = (int)at;
  return i + 1 < s->n ? s->ms[i] + (at - i) * (s->ms[i + 1] - s->ms[i]) : s->ms[i];
}

/* ---- output ---- */

void bench_samples_print(const bench_sample *samples, int n) {
  printf("%-8s %12s %12s %12s %12s\n", "ms", "mean", "median", "p90", "p99");
  for (int i = 0; i < n; i++)
    printf("%-8s %12.3f %12.3f %12.3f %12.3f\n", samples[i].name, bench_mean(&samples[i]),
           bench_percentile(&samples[i], 50), bench_percentile(&samples[i], 90),
           bench_percentile(&samples[i], 99));
}

void bench_json_int(mv_json_writer *w, const char *key, int64_t value) {
  mv_json_key(w, key);
  mv_json_int(w, value);
}

void bench_json_double(mv_json_writer *w, const char *key, double value) {
  mv_json_key(w, key);
  mv_json_double(w, value);
}

void bench_json_text(mv_json_writer *w, const char *key, const char *value) {
  mv_json_key(w, key);
  mv_json_text(w, value);
}

void bench_sample_json(mv_json_writer *w, const bench_sample *s) {
  static const struct {
    const char *name;
    double p;
  } points[] = {{"median", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}};
  char key[64];
  snprintf(key, sizeof key, "mean_%s_ms", s->name);
  bench_json_double(w, key, bench_mean(s));
  for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
    snprintf(key, sizeof key, "%s_%s_ms", points[i].name, s->name);
    bench_json_double(w, key, bench_percentile(s, points[i].p));
  }
}

void bench_json_head(mv_json_writer *w, const mv_model *model) {
  bench_json_text(w, "engine", "medvision");
  bench_json_text(w, "version", MV_VERSION);
  bench_json_text(w, "device", mv_model_device_name(model));
  bench_json_text(w, "dtype", mv_model_precision(model) == MV_PRECISION_BF16 ? "bf16" : "fp32");
}

mv_status bench_json_print(mv_buf *out, mv_error *err) {
  mv_status status = mv_buf_status(out, err);
  if (status == MV_OK) printf("%.*s\n", (int)out->len, mv_buf_view(out).ptr);
  mv_buf_free(out);
  return status;
}
