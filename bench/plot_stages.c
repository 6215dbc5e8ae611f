/* Where the time of a request goes: a bar of stages for each run. */
#include <stdio.h>
#include <string.h>

#include "bench/plot.h"
#include "bench/svg.h"

#define WIDTH 920
#define BAR 26
#define PITCH 46
#define TOP 126
#define MAX_BARS 24
#define N_STAGE 5

static const char *const stages[N_STAGE] = {"queue", "image", "vision", "prefill", "decode"};
static const char *const classes[N_STAGE] = {"c5", "c3", "c2", "c1", "c0"};

static double stage_ms(const mv_json *row, int stage) {
  char key[40];
  snprintf(key, sizeof key, "mean_%s_ms", stages[stage]);
  return bench_number(row, key, 0);
}

static double whole_ms(const mv_json *row) {
  double sum = 0;
  for (int i = 0; i < N_STAGE; i++) sum += stage_ms(row, i);
  return sum;
}

static void text_member(const mv_json *row, const char *key, char *out, size_t size) {
  const mv_json *value = mv_json_get(row, key);
  int is_text = mv_json_is(value, MV_JSON_STRING);
  snprintf(out, size, "%.*s", is_text ? (int)value->text.len : 0, is_text ? value->text.ptr : "");
}

static void bar_name(const mv_json *row, char *out, size_t size) {
  char bench[32], model[48], workload[64], how[48];
  int batch = (int)bench_number(row, "batch_size", 0);
  text_member(row, "bench", bench, sizeof bench);
  text_member(row, "model", model, sizeof model);
  text_member(row, "workload", workload, sizeof workload);
  if (batch)
    snprintf(how, sizeof how, "batch %d", batch);
  else
    snprintf(how, sizeof how, "%.0f at once", bench_number(row, "num_prompts", 0));
  const mv_json *drafts = mv_json_get(row, "speculate");
  snprintf(out, size, "%s, %s: %s, %s%s", model, bench, workload, how,
           drafts && drafts->truth ? ", drafts" : "");
}

static void time_text(double ms, char *out, size_t size) {
  snprintf(out, size, ms < 1000 ? "%.3g ms" : "%.0f ms", ms);
}

/* Shares of the whole, which stands behind: runs differ by more than a picture can show. */
static void bar(mv_buf *out, const mv_json *row, const bench_axis *x, double y) {
  char name[240], tip[80], text[40];
  double at = 0, whole = whole_ms(row);
  bar_name(row, name, sizeof name);
  bench_svg_text(out, x->from, y - 5, "label", "start", name);
  for (int i = 0; i < N_STAGE; i++) {
    double ms = stage_ms(row, i), left = bench_axis_at(x, 100 * at / whole);
    at += ms;
    double width = bench_axis_at(x, 100 * at / whole) - left;
    if (width < 0.05) continue;
    snprintf(tip, sizeof tip, "%s: %.4g ms, %.1f %%", stages[i], ms, 100 * ms / whole);
    time_text(ms, text, sizeof text);
    size_t n = strlen(text);
    if (width > 110) snprintf(text + n, sizeof text - n, ", %.0f %%", 100 * ms / whole);
    bench_svg_rect(out, left, y, width, BAR, classes[i], tip);
    if (width > 60)
      bench_svg_text(out, left + width / 2, y + BAR / 2.0 + 4, "inside", "middle", text);
  }
  time_text(whole, text, sizeof text);
  bench_svg_text(out, x->to + 10, y + BAR / 2.0 + 4, "note", "start", text);
}

static void legend(mv_buf *out) {
  double x = 28;
  for (int i = 0; i < N_STAGE; i++) {
    bench_svg_rect(out, x, 76, 12, 12, classes[i], NULL);
    bench_svg_text(out, x + 18, 86, "note", "start", stages[i]);
    x += 40 + bench_label_width(stages[i]);
  }
}

int bench_plot_stages(mv_buf *out, const mv_json *const *rows, int n) {
  const mv_json *shown[MAX_BARS];
  int n_shown = 0;
  for (int i = 0; i < n && n_shown < MAX_BARS; i++) {
    if (!mv_json_get(rows[i], "bench") || !mv_json_get(rows[i], "mean_prefill_ms") ||
        !(whole_ms(rows[i]) > 0))
      continue;
    shown[n_shown++] = rows[i];
  }
  if (!n_shown) return 0;
  double height = TOP + PITCH * n_shown + 46;
  bench_axis x = {0, 100, 28, WIDTH - 110, 0};
  bench_axis y = {0, 1, TOP + PITCH * n_shown - 12, 110, 0};
  double ticks[24];
  bench_svg_begin(out, WIDTH, height, "Where a request's time goes",
                  "means over the requests of a run; on the right the whole");
  legend(out);
  for (int i = 0, k = bench_axis_ticks(&x, ticks); i < k; i++) {
    char text[16];
    double at = bench_axis_at(&x, ticks[i]);
    snprintf(text, sizeof text, "%.0f %%", ticks[i]);
    bench_svg_line(out, at, y.to, at, y.from, i ? "grid" : "axis");
    bench_svg_text(out, at, y.from + 18, "tick", "middle", text);
  }
  for (int i = 0; i < n_shown; i++) bar(out, shown[i], &x, TOP + PITCH * i);
  bench_svg_end(out);
  return 1;
}
