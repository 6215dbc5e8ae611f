/* Pictures of results, one function a chart: each appends an SVG and returns 1, or returns 0 where
 * the rows have nothing for it. */
#ifndef MV_BENCH_PLOT_H
#define MV_BENCH_PLOT_H

#include "bench/compare.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of `bench kernels`, one document. */
int bench_plot_roofline(mv_buf *out, const bench_rows *rows);
/* Rows of `bench latency` (a point a batch) and `bench serve` (a point a rate): time to first token
 * and per token over output tokens a second. */
int bench_plot_curve(mv_buf *out, const mv_json *const *rows, int n);
/* Rows with stage times: where a request's time goes. */
int bench_plot_stages(mv_buf *out, const mv_json *const *rows, int n);

#ifdef __cplusplus
}
#endif
#endif
