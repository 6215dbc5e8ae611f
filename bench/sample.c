#include "bench/sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/memory.h"

void bench_sample_free(bench_sample *s) {
  mv_free(s->ms);
  *s = (bench_sample){.name = s->name};
}

void bench_sample_add(bench_sample *s, double ms) {
  if (s->n == s->capacity) {
    int capacity = s->capacity ? 2 * s->capacity : 64;
    double *grown = mv_realloc(s->ms, (size_t)capacity * sizeof *grown);
    if (!grown) s->failed = 1;
    if (!grown) return;
    s->ms = grown;
    s->capacity = capacity;
  }
  s->ms[s->n++] = ms;
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

double bench_deviation(const bench_sample *s) {
  double mean = bench_mean(s), sum = 0;
  for (int i = 0; i < s->n; i++) sum += (s->ms[i] - mean) * (s->ms[i] - mean);
  return s->n ? sqrt(sum / s->n) : 0;
}

double bench_percentile(const bench_sample *s, double p) {
  if (s->n == 0) return 0;
  double at = p / 100 * (s->n - 1);
  int i = (int)at;
  return i + 1 < s->n ? s->ms[i] + (at - i) * (s->ms[i + 1] - s->ms[i]) : s->ms[i];
}

mv_status bench_samples_finish(bench_sample *samples, int n, mv_error *err) {
  for (int i = 0; i < n; i++) {
    if (samples[i].failed) return mv_fail(err, MV_ERR_MEMORY, "no memory for the times measured");
    bench_sample_sort(&samples[i]);
  }
  return MV_OK;
}

/* ---- output ---- */

void bench_samples_print(const bench_sample *samples, int n) {
  static const double points[] = {50, 90, 99, 99.9};
  printf("%-8s %12s %12s %12s %12s %12s\n", "ms", "mean", "median", "p90", "p99", "p99.9");
  for (int i = 0; i < n; i++) {
    if (samples[i].n == 0) continue;
    printf("%-8s %12.3f", samples[i].name, bench_mean(&samples[i]));
    for (int k = 0; k < 4; k++) printf(" %12.3f", bench_percentile(&samples[i], points[k]));
    putchar('\n');
  }
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

static void percentile_json(mv_json_writer *w, const bench_sample *s, const char *name, double p,
                            const char *unit) {
  char key[80];
  snprintf(key, sizeof key, "%s_%s%s", name, s->name, unit);
  bench_json_double(w, key, bench_percentile(s, p));
}

void bench_sample_json(mv_json_writer *w, const bench_sample *s) {
  static const struct {
    const char *name;
    double p;
  } points[] = {{"median", 50}, {"p25", 25}, {"p75", 75},
                {"p90", 90},    {"p99", 99}, {"p99.9", 99.9}};
  char key[80];
  if (s->n == 0) return;
  snprintf(key, sizeof key, "mean_%s_ms", s->name);
  bench_json_double(w, key, bench_mean(s));
  snprintf(key, sizeof key, "std_%s_ms", s->name);
  bench_json_double(w, key, bench_deviation(s));
  for (size_t i = 0; i < sizeof points / sizeof *points; i++)
    percentile_json(w, s, points[i].name, points[i].p, "_ms");
}

void bench_quartiles_json(mv_json_writer *w, const bench_sample *s) {
  percentile_json(w, s, "p25", 25, "");
  percentile_json(w, s, "p75", 75, "");
}
