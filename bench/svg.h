/* Charts as SVG: shapes, text and axes. Colours follow the reader's light or dark scheme. */
#ifndef MV_BENCH_SVG_H
#define MV_BENCH_SVG_H

#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Colours of series, by class: "c0" to "c5". */
#define BENCH_N_COLOUR 6
extern const char *const bench_svg_colours[BENCH_N_COLOUR];

/* A picture of width x height with title and subtitle; memory failures stay in the buffer. */
void bench_svg_begin(mv_buf *out, double width, double height, const char *title,
                     const char *subtitle);
void bench_svg_end(mv_buf *out);

/* Class names: "title", "note", "label", "tick", "inside" (on a coloured bar); anchor "start",
 * "middle", "end". */
void bench_svg_text(mv_buf *out, double x, double y, const char *class_name, const char *anchor,
                    const char *text);
void bench_svg_line(mv_buf *out, double x1, double y1, double x2, double y2,
                    const char *class_name);
/* `tip` is shown where the pointer rests; NULL: nothing. */
void bench_svg_rect(mv_buf *out, double x, double y, double width, double height,
                    const char *class_name, const char *tip);
void bench_svg_dot(mv_buf *out, double x, double y, double r, const char *class_name,
                   const char *tip);
/* x and y alternate: [2 * n]. */
void bench_svg_path(mv_buf *out, const double *points, int n, const char *class_name);

/* What a length of the picture stands for. */
typedef struct bench_axis {
  double low, high; /* values */
  double from, to;  /* pixels */
  int is_log;
} bench_axis;

double bench_axis_at(const bench_axis *axis, double value); /* pixel */
/* Widens to whole ticks around the values. */
bench_axis bench_axis_make(double low, double high, double from, double to, int is_log);
/* Up to 24 values, ascending. Returns how many. */
int bench_axis_ticks(const bench_axis *axis, double out[24]);

/* Grid, ticks and names of a chart whose axes are x and y. */
void bench_svg_axes(mv_buf *out, const bench_axis *x, const bench_axis *y, const char *x_name,
                    const char *y_name);
/* "0.5", "20", "1.5k", "2M" */
void bench_short_number(double value, char out[16]);
/* Width of a label's text in pixels, about. */
double bench_label_width(const char *text);

#ifdef __cplusplus
}
#endif
#endif
