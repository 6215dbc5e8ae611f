/* Latency over throughput: what a larger batch or a higher rate costs each request. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/plot.h"
#include "bench/svg.h"

#define WIDTH 920
#define HEIGHT 520
#define MAX_SERIES 6
#define MAX_POINTS 32

typedef struct series {
  const mv_json *rows[MAX_POINTS]; /* by load */
  int n;
} series;

typedef struct panel {
  const char *name, *median, *far;
  bench_axis x, y;
} panel;

static int same_text(const mv_json *a, const mv_json *b, const char *key) {
  const mv_json *x = mv_json_get(a, key), *y = mv_json_get(b, key);
  if (!mv_json_is(x, MV_JSON_STRING) || !mv_json_is(y, MV_JSON_STRING)) return !x && !y;
  return mv_str_eq(x->text, y->text);
}

static int has_drafts(const mv_json *row) {
  const mv_json *drafts = mv_json_get(row, "speculate");
  return drafts && drafts->truth;
}

static int is_same_series(const mv_json *a, const mv_json *b) {
  static const char *const keys[] = {"bench", "engine", "model", "device", "dtype", "workload"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (!same_text(a, b, keys[i])) return 0;
  return has_drafts(a) == has_drafts(b);
}

static double rate(const mv_json *row) { return bench_number(row, "output_throughput", 0); }

/* What is turned up from point to point: the batch, or requests a second ("inf": last). */
static double load_of(const mv_json *row) {
  return bench_number(row, "batch_size", bench_number(row, "request_rate", INFINITY));
}

static int by_load(const void *a, const void *b) {
  double x = load_of(*(const mv_json *const *)a), y = load_of(*(const mv_json *const *)b);
  return (x > y) - (x < y);
}

static int is_point(const mv_json *row) {
  const mv_json *bench = mv_json_get(row, "bench");
  if (!mv_json_is(bench, MV_JSON_STRING)) return 0;
  return (mv_str_is(bench->text, "latency") || mv_str_is(bench->text, "serve")) && rate(row) > 0 &&
         bench_number(row, "median_ttft_ms", 0) > 0 && bench_number(row, "median_tpot_ms", 0) > 0;
}

static int collect(series *all, const mv_json *const *rows, int n) {
  int n_series = 0;
  for (int i = 0; i < n; i++) {
    int k = 0;
    if (!is_point(rows[i])) continue;
    while (k < n_series && !is_same_series(all[k].rows[0], rows[i])) k++;
    if (k == MAX_SERIES || all[k].n == MAX_POINTS) continue;
    if (k == n_series) n_series++;
    all[k].rows[all[k].n++] = rows[i];
  }
  for (int k = 0; k < n_series; k++)
    qsort(all[k].rows, (size_t)all[k].n, sizeof *all[k].rows, by_load);
  return n_series;
}

/* ---- drawing ---- */

static void point_name(const mv_json *row, char *out, size_t size) {
  double batch = bench_number(row, "batch_size", 0), per_s = bench_number(row, "request_rate", 0);
  if (batch > 0)
    snprintf(out, size, "%.0f", batch);
  else if (per_s > 0)
    snprintf(out, size, "%g/s", per_s);
  else
    snprintf(out, size, "all at once");
}

static void curve(mv_buf *out, const panel *p, const series *s, int colour, const char *key,
                  const char *class_name) {
  double points[2 * MAX_POINTS];
  char classes[40];
  for (int i = 0; i < s->n; i++) {
    points[2 * i] = bench_axis_at(&p->x, rate(s->rows[i]));
    points[2 * i + 1] = bench_axis_at(&p->y, bench_number(s->rows[i], key, p->y.low));
  }
  snprintf(classes, sizeof classes, "%s s%d", class_name, colour);
  bench_svg_path(out, points, s->n, classes);
}

static void dots(mv_buf *out, const panel *p, const series *s, int colour) {
  char name[32], tip[160];
  for (int i = 0; i < s->n; i++) {
    const mv_json *row = s->rows[i];
    double x = bench_axis_at(&p->x, rate(row)), ms = bench_number(row, p->median, 0);
    double y = bench_axis_at(&p->y, ms);
    point_name(row, name, sizeof name);
    snprintf(tip, sizeof tip, "%s: %.4g tokens/s, median %.4g ms, p99 %.4g ms", name, rate(row), ms,
             bench_number(row, p->far, 0));
    bench_svg_dot(out, x, y, 4.6, bench_svg_colours[colour], tip);
    int at_end = x + bench_label_width(name) / 2 > p->x.to + 12;
    bench_svg_text(out, at_end ? p->x.to + 12 : x, y - 9, "label", at_end ? "end" : "middle", name);
  }
}

static void range(const series *all, int n, const char *key, double *low, double *high) {
  *low = INFINITY;
  *high = 0;
  for (int k = 0; k < n; k++)
    for (int i = 0; i < all[k].n; i++) {
      double value = bench_number(all[k].rows[i], key, 0);
      if (value > 0) *low = fmin(*low, value);
      *high = fmax(*high, value);
    }
}

static void draw(mv_buf *out, panel *p, const series *all, int n, double left, double top,
                 double right) {
  double low, high, low_far, high_far, most, least;
  range(all, n, "output_throughput", &least, &most);
  range(all, n, p->median, &low, &high);
  range(all, n, p->far, &low_far, &high_far);
  int is_wide = most > 30 * least;
  p->x = bench_axis_make(is_wide ? least : 0, most, left, right, is_wide);
  p->y = bench_axis_make(low, fmax(high, high_far), HEIGHT - 58, top, 1);
  bench_svg_axes(out, &p->x, &p->y, "output tokens a second", p->name);
  for (int k = 0; k < n; k++) {
    curve(out, p, &all[k], k, p->far, "far");
    curve(out, p, &all[k], k, p->median, "curve");
    dots(out, p, &all[k], k);
  }
}

static void legend(mv_buf *out, const series *all, int n) {
  for (int k = 0; k < n; k++) {
    static const char *const keys[] = {"engine", "model", "workload"};
    char name[160] = "";
    const mv_json *row = all[k].rows[0], *bench = mv_json_get(row, "bench");
    for (int i = 0; i < 3; i++) {
      const mv_json *value = mv_json_get(row, keys[i]);
      size_t used = strlen(name);
      if (mv_json_is(value, MV_JSON_STRING))
        snprintf(name + used, sizeof name - used, "%s%.*s", i ? ", " : "",
                 (int)(value->text.len < 48 ? value->text.len : 48), value->text.ptr);
    }
    size_t used = strlen(name);
    snprintf(name + used, sizeof name - used, "%s (by %s)", has_drafts(row) ? ", drafts" : "",
             mv_str_is(bench->text, "serve") ? "requests a second" : "batch");
    bench_svg_dot(out, 34, 80 + 18 * k, 5, bench_svg_colours[k], NULL);
    bench_svg_text(out, 46, 84 + 18 * k, "note", "start", name);
  }
}

int bench_plot_curve(mv_buf *out, const mv_json *const *rows, int n) {
  series all[MAX_SERIES];
  const bench_axis none = {.is_log = 0};
  panel panels[2] = {{"time to first token, ms", "median_ttft_ms", "p99_ttft_ms", none, none},
                     {"time per output token, ms", "median_tpot_ms", "p99_tpot_ms", none, none}};
  memset(all, 0, sizeof all);
  int n_series = collect(all, rows, n);
  if (!n_series) return 0;
  double top = 112 + 18 * n_series;
  bench_svg_begin(out, WIDTH, HEIGHT, "Latency over throughput",
                  "median, and p99 as a dotted line; below and to the right is better");
  legend(out, all, n_series);
  draw(out, &panels[0], all, n_series, 66, top, WIDTH / 2 - 22);
  draw(out, &panels[1], all, n_series, WIDTH / 2 + 54, top, WIDTH - 34);
  bench_svg_end(out);
  return 1;
}
