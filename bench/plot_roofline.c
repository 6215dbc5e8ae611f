/* Every operation of `bench kernels` under the machine's two limits. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/plot.h"
#include "bench/svg.h"

#define WIDTH 920
#define HEIGHT 600
#define MAX_LABELS 64

static const char *const phases[] = {"decode", "prefill", "vision", "load"};

typedef struct box {
  double x, y, w, h;
} box;

typedef struct roofline {
  mv_buf *out;
  bench_axis x, y;
  box placed[MAX_LABELS + 64]; /* labels and dots */
  int n_placed;
} roofline;

static double flops_per_byte(const mv_json *row) {
  return bench_number(row, "flops", 0) / bench_number(row, "bytes", 1);
}

static double gflops(const mv_json *row) {
  return bench_number(row, "flops", 0) / bench_number(row, "median_ms", 1) * 1e-6;
}

static int is_shown(const mv_json *row) {
  return flops_per_byte(row) > 0 && isfinite(flops_per_byte(row)) && gflops(row) > 0;
}

static mv_str text_of(const mv_json *row, const char *key) {
  const mv_json *value = mv_json_get(row, key);
  return mv_json_is(value, MV_JSON_STRING) ? value->text : mv_str_of("");
}

static int phase_of(const mv_json *row) {
  int i = 0;
  while (i < 3 && !mv_str_is(text_of(row, "phase"), phases[i])) i++;
  return i;
}

/* ---- room for labels ---- */

static int overlaps(const roofline *r, const box *b) {
  for (int i = 0; i < r->n_placed; i++) {
    const box *o = &r->placed[i];
    if (b->x < o->x + o->w && o->x < b->x + b->w && b->y < o->y + o->h && o->y < b->y + b->h)
      return 1;
  }
  return b->x < r->x.from || b->x + b->w > r->x.to;
}

static void keep(roofline *r, box b) {
  if (r->n_placed < (int)(sizeof r->placed / sizeof *r->placed)) r->placed[r->n_placed++] = b;
}

/* ---- limits ---- */

/* Others keep away from it. */
static void fixed_label(roofline *r, double x, double y, int ends, const char *text) {
  double w = bench_label_width(text);
  keep(r, (box){ends ? x - w : x, y - 9, w, 11});
  bench_svg_text(r->out, x, y, "label", ends ? "end" : "start", text);
}

static void roof(roofline *r, double gbs, double peak, const char *class_name, const char *name) {
  double knee = peak / gbs, left = r->x.low;
  double points[6] = {left, gbs * left, knee, peak, r->x.high, peak};
  if (gbs * left < r->y.low) points[0] = r->y.low / gbs, points[1] = r->y.low;
  for (int i = 0; i < 3; i++) {
    points[2 * i] = bench_axis_at(&r->x, points[2 * i]);
    points[2 * i + 1] = bench_axis_at(&r->y, points[2 * i + 1]);
  }
  bench_svg_path(r->out, points, 3, class_name);
  fixed_label(r, points[2] + 26, points[5] - 7, 0, name);
}

static void roofs(roofline *r, const mv_json *machine) {
  double gbs = bench_number(machine, "read_gbs", 1), f32 = bench_number(machine, "f32_gflops", 1);
  double bf16 = bench_number(machine, "bf16_gflops", f32);
  char number[16], name[80];
  if (bf16 > 1.01 * f32) {
    bench_short_number(f32, number);
    snprintf(name, sizeof name, "f32: %s GFLOP/s", number);
    roof(r, gbs, f32, "roof2", name);
  }
  bench_short_number(bf16, number);
  snprintf(name, sizeof name, "%s: %s GFLOP/s", bf16 > 1.01 * f32 ? "bf16" : "arithmetic", number);
  roof(r, gbs, bf16, "roof", name);
  double knee = bf16 / gbs, at = sqrt(r->x.low * knee);
  snprintf(name, sizeof name, "memory: %.0f GB/s", gbs);
  bench_svg_text(r->out, bench_axis_at(&r->x, at) - 10, bench_axis_at(&r->y, at * gbs) - 10,
                 "label", "end", name);
}

/* ---- operations ---- */

/* Beside the dot where there is room; left out where there is none (the tip has it). */
static void label(roofline *r, double x, double y, const char *text) {
  double w = bench_label_width(text);
  const struct {
    double dx, dy;
    const char *anchor;
  } places[] = {{8, 4, "start"},  {-8, 4, "end"},  {8, -6, "start"},
                {8, 14, "start"}, {-8, -6, "end"}, {-8, 14, "end"}};
  for (int i = 0; i < 6; i++) {
    double left = x + places[i].dx - (places[i].dx < 0 ? w : 0);
    box b = {left, y + places[i].dy - 9, w, 11};
    if (overlaps(r, &b)) continue;
    keep(r, b);
    bench_svg_text(r->out, x + places[i].dx, y + places[i].dy, "label", places[i].anchor, text);
    return;
  }
}

static void name_of(const mv_json *row, char *out, size_t size) {
  mv_str op = text_of(row, "op"), what = text_of(row, "what");
  mv_str name = mv_str_is(op, "linear") && what.len ? what : op;
  int both = !mv_str_is(op, "linear") && what.len > 0;
  snprintf(out, size, "%.*s%s%.*s", (int)name.len, name.ptr, both ? " " : "",
           both ? (int)what.len : 0, what.ptr ? what.ptr : "");
}

static void dot(roofline *r, const mv_json *row) {
  char tip[300], name[80];
  double x = bench_axis_at(&r->x, flops_per_byte(row)), y = bench_axis_at(&r->y, gflops(row));
  double ms = bench_number(row, "median_ms", 1);
  name_of(row, name, sizeof name);
  snprintf(tip, sizeof tip, "%s %s: %.4g ms, %.4g GFLOP/s, %.4g GB/s, %.0f %% of the limit",
           phases[phase_of(row)], name, ms, gflops(row), bench_number(row, "bytes", 0) / ms * 1e-6,
           100 * bench_number(row, "limit_ms", 0) / ms);
  bench_svg_dot(r->out, x, y, 4.6, bench_svg_colours[phase_of(row)], tip);
}

static void dots(roofline *r, const bench_rows *rows) {
  char name[80];
  for (int i = 0; i < rows->n; i++) {
    if (!is_shown(rows->rows[i])) continue;
    double x = bench_axis_at(&r->x, flops_per_byte(rows->rows[i]));
    double y = bench_axis_at(&r->y, gflops(rows->rows[i]));
    keep(r, (box){x - 5, y - 5, 10, 10});
    dot(r, rows->rows[i]);
  }
  for (int i = 0; i < rows->n; i++) {
    if (!is_shown(rows->rows[i])) continue;
    name_of(rows->rows[i], name, sizeof name);
    label(r, bench_axis_at(&r->x, flops_per_byte(rows->rows[i])),
          bench_axis_at(&r->y, gflops(rows->rows[i])), name);
  }
}

static void legend(roofline *r) {
  double x = r->x.from + 16;
  for (int i = 0; i < 4; i++) {
    bench_svg_dot(r->out, x, 84, 5, bench_svg_colours[i], NULL);
    bench_svg_text(r->out, x + 10, 88, "note", "start", phases[i]);
    x += 34 + bench_label_width(phases[i]);
  }
}

int bench_plot_roofline(mv_buf *out, const bench_rows *rows) {
  double low_x = INFINITY, high_x = 0, low_y = INFINITY;
  double peak = bench_number(rows->machine, "bf16_gflops", 0);
  char subtitle[200];
  int n = 0;
  for (int i = 0; i < rows->n; i++) {
    if (!is_shown(rows->rows[i])) continue;
    n++;
    low_x = fmin(low_x, flops_per_byte(rows->rows[i]));
    high_x = fmax(high_x, flops_per_byte(rows->rows[i]));
    low_y = fmin(low_y, gflops(rows->rows[i]));
    peak = fmax(peak, gflops(rows->rows[i]));
  }
  if (!n || !(bench_number(rows->machine, "read_gbs", 0) > 0)) return 0;
  roofline r = {.out = out,
                .x = bench_axis_make(low_x, high_x, 74, WIDTH - 30, 1),
                .y = bench_axis_make(low_y, 1.3 * peak, HEIGHT - 58, 128, 1)};
  mv_str device = text_of(rows->machine, "device");
  snprintf(
      subtitle, sizeof subtitle,
      "%d operations at the 7B model's shapes on %.*s (%.0f threads); a line is what memory or "
      "arithmetic allows",
      n, (int)device.len, device.ptr, bench_number(rows->machine, "threads", 0));
  bench_svg_begin(out, WIDTH, HEIGHT, "Roofline", subtitle);
  bench_svg_axes(out, &r.x, &r.y, "FLOP a byte moved", "GFLOP/s");
  roofs(&r, rows->machine);
  dots(&r, rows);
  legend(&r);
  bench_svg_end(out);
  return 1;
}
