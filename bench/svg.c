#include "bench/svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const bench_svg_colours[BENCH_N_COLOUR] = {"c0", "c1", "c2", "c3", "c4", "c5"};

/* Series colours keep their distance for colour-blind readers and on both backgrounds. */
static const char style[] =
    "<style>\n"
    "svg{--back:#ffffff;--ink:#1b1f24;--soft:#5d6873;--grid:#e6e9ed;--axis:#aab2bb;"
    "--c0:#2f6fd0;--c1:#d9660a;--c2:#128a63;--c3:#8a4fbf;--c4:#c23b4b;--c5:#6b7785}\n"
    "@media(prefers-color-scheme:dark){svg{--back:#14181d;--ink:#e8ecf1;--soft:#9aa6b2;"
    "--grid:#262d35;--axis:#4b5662;--c0:#6aa3f5;--c1:#f0954a;--c2:#3fc193;--c3:#bb8ae6;"
    "--c4:#ee7683;--c5:#93a0ad}}\n"
    "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;"
    "fill:var(--ink)}\n"
    ".back{fill:var(--back)}.title{font-size:17px;font-weight:600}"
    ".inside{fill:var(--back);font-size:11px}.note,.tick{fill:var(--soft)}.label{font-size:11px}."
    "strong{font-weight:600}\n"
    ".tick{font-size:11px;font-variant-numeric:tabular-nums}\n"
    ".grid{stroke:var(--grid)}.axis{stroke:var(--axis)}"
    ".roof{stroke:var(--ink);stroke-width:1.6;fill:none}"
    ".roof2{stroke:var(--soft);stroke-width:1.4;stroke-dasharray:5 4;fill:none}\n"
    ".curve{stroke-width:2;fill:none;stroke-linejoin:round}"
    ".far{stroke-width:1.3;fill:none;stroke-dasharray:2 3;opacity:.8}\n"
    ".c0{fill:var(--c0)}.c1{fill:var(--c1)}.c2{fill:var(--c2)}.c3{fill:var(--c3)}"
    ".c4{fill:var(--c4)}.c5{fill:var(--c5)}\n"
    ".s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}"
    ".s4{stroke:var(--c4)}.s5{stroke:var(--c5)}\n"
    "circle{stroke:var(--back);stroke-width:1.2}\n"
    "</style>\n";

static void escaped(mv_buf *out, const char *text) {
  mv_buf clean = {0};
  mv_utf8_lossy(&clean, text, strlen(text));
  for (size_t i = 0; i < clean.len; i++) {
    char c = clean.ptr[i];
    if (c == '&')
      mv_buf_text(out, "&amp;");
    else if (c == '<')
      mv_buf_text(out, "&lt;");
    else if (c == '>')
      mv_buf_text(out, "&gt;");
    else if ((unsigned char)c >= 32)
      mv_buf_char(out, c);
  }
  if (clean.failed) out->failed = 1;
  mv_buf_free(&clean);
}

void bench_svg_begin(mv_buf *out, double width, double height, const char *title,
                     const char *subtitle) {
  mv_buf_printf(
      out,
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
      "height=\"%.0f\" role=\"img\">\n<title>",
      width, height, width, height);
  escaped(out, title);
  mv_buf_text(out, "</title>\n");
  mv_buf_text(out, style);
  bench_svg_rect(out, 0, 0, width, height, "back", NULL);
  bench_svg_text(out, 28, 36, "title", "start", title);
  bench_svg_text(out, 28, 56, "note", "start", subtitle);
}

void bench_svg_end(mv_buf *out) { mv_buf_text(out, "</svg>\n"); }

void bench_svg_text(mv_buf *out, double x, double y, const char *class_name, const char *anchor,
                    const char *text) {
  mv_buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">", x, y,
                class_name, anchor);
  escaped(out, text);
  mv_buf_text(out, "</text>\n");
}

void bench_svg_line(mv_buf *out, double x1, double y1, double x2, double y2,
                    const char *class_name) {
  mv_buf_printf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1,
                y1, x2, y2, class_name);
}

static void with_tip(mv_buf *out, const char *element, const char *tip) {
  if (!tip) {
    mv_buf_text(out, "/>\n");
    return;
  }
  mv_buf_text(out, "><title>");
  escaped(out, tip);
  mv_buf_printf(out, "</title></%s>\n", element);
}

void bench_svg_rect(mv_buf *out, double x, double y, double width, double height,
                    const char *class_name, const char *tip) {
  mv_buf_printf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"%s\"", x,
                y, width, height, class_name);
  with_tip(out, "rect", tip);
}

void bench_svg_dot(mv_buf *out, double x, double y, double r, const char *class_name,
                   const char *tip) {
  mv_buf_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" class=\"%s\"", x, y, r,
                class_name);
  with_tip(out, "circle", tip);
}

void bench_svg_path(mv_buf *out, const double *points, int n, const char *class_name) {
  mv_buf_printf(out, "<polyline class=\"%s\" points=\"", class_name);
  for (int i = 0; i < n; i++)
    mv_buf_printf(out, "%s%.1f,%.1f", i ? " " : "", points[2 * i], points[2 * i + 1]);
  mv_buf_text(out, "\"/>\n");
}

/* ---- axes ---- */

double bench_axis_at(const bench_axis *a, double value) {
  double low = a->is_log ? log10(a->low) : a->low, high = a->is_log ? log10(a->high) : a->high;
  double x = a->is_log ? log10(value) : value;
  return a->from + (x - low) / (high - low) * (a->to - a->from);
}

static double step_of(double range) { /* 1, 2 or 5 times a power of ten: four to nine ticks */
  double power = pow(10, floor(log10(range / 4))), rest = range / 4 / power;
  return power * (rest >= 5 ? 5 : rest >= 2 ? 2 : 1);
}

static const double leads[] = {1, 2, 5, 10};

/* The next of 1, 2, 5, 10, 20 ... from `value` downwards or upwards. */
static double whole_log(double value, int up) {
  double power = pow(10, floor(log10(value) + 1e-9)), rest = value / power;
  int i = up ? 0 : 3;
  while (up ? leads[i] < rest * (1 - 1e-9) : leads[i] > rest * (1 + 1e-9)) i += up ? 1 : -1;
  return power * leads[i];
}

bench_axis bench_axis_make(double low, double high, double from, double to, int is_log) {
  bench_axis a = {low, high, from, to, is_log};
  if (is_log) {
    if (!(low > 0)) low = 1e-3;
    if (!(high > low)) high = 2 * low;
    a.low = whole_log(low, 0);
    a.high = whole_log(high, 1);
  } else {
    if (!(high > low)) high = low + 1;
    double step = step_of(high - low);
    a.low = step * floor(low / step);
    a.high = step * ceil(high / step - 1e-9);
  }
  return a;
}

int bench_axis_ticks(const bench_axis *a, double out[24]) {
  int n = 0;
  double end = a->high * (1 + 1e-9) + 1e-12;
  if (a->is_log) {
    int fine = a->high / a->low < 200; /* 2 and 5 between the powers of ten, too */
    for (double power = pow(10, floor(log10(a->low) + 1e-9)); power <= end; power *= 10)
      for (int i = 0; i < (fine ? 3 : 1) && n < 24; i++)
        if (power * leads[i] >= a->low * (1 - 1e-9) && power * leads[i] <= end)
          out[n++] = power * leads[i];
    return n;
  }
  double step = step_of(a->high - a->low);
  for (double x = a->low; n < 24 && x <= end; x += step) out[n++] = x;
  return n;
}

void bench_short_number(double value, char out[16]) {
  static const char units[] = {0, 'k', 'M', 'G', 'T'};
  int unit = 0;
  while (fabs(value) >= 999.95 && unit < 4) value /= 1000, unit++;
  snprintf(out, 16, "%.3g%.1s", value, &units[unit]);
}

double bench_label_width(const char *text) { return 5.9 * (double)strlen(text); }

void bench_svg_axes(mv_buf *out, const bench_axis *x, const bench_axis *y, const char *x_name,
                    const char *y_name) {
  double ticks[24];
  char text[16];
  int n = bench_axis_ticks(y, ticks);
  for (int i = 0; i < n; i++) {
    double at = bench_axis_at(y, ticks[i]);
    bench_short_number(ticks[i], text);
    bench_svg_line(out, x->from, at, x->to, at, "grid");
    bench_svg_text(out, x->from - 8, at + 4, "tick", "end", text);
  }
  bench_svg_line(out, x->from, y->from, x->to, y->from, "axis");
  n = bench_axis_ticks(x, ticks);
  for (int i = 0; i < n; i++) {
    double at = bench_axis_at(x, ticks[i]);
    bench_short_number(ticks[i], text);
    if (x->is_log) bench_svg_line(out, at, y->from, at, y->to, "grid");
    bench_svg_line(out, at, y->from, at, y->from + 4, "axis");
    bench_svg_text(out, at, y->from + 18, "tick", "middle", text);
  }
  bench_svg_text(out, (x->from + x->to) / 2, y->from + 38, "note", "middle", x_name);
  bench_svg_text(out, x->from - 36, y->to - 12, "note", "start", y_name);
}
