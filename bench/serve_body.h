/* The requests of `bench serve` as OpenAI's API takes them. */
#ifndef MV_BENCH_SERVE_BODY_H
#define MV_BENCH_SERVE_BODY_H

#include "bench/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialise; free with bench_bodies_free. */
typedef struct bench_bodies {
  const bench_workload *workload; /* borrows */
  const char *model;              /* borrows: the name the server knows it by */
  int is_chat;                    /* chat completions; else plain ones, without pictures */
  int respect_eos;                /* leaves out "ignore_eos", which OpenAI's own servers refuse */
  mv_buf *pictures; /* owns: [n_picture] data URLs as JSON, empty where nobody asks about it */
  int n_picture;
} bench_bodies;

/* Draws and encodes every picture of the plan: none is made while requests are timed. */
mv_status bench_bodies_draw(bench_bodies *b, mv_error *err);
void bench_bodies_free(bench_bodies *b);

/* Fills *out (cleared first) with a request of n_output tokens. A picture beyond the plan's is
 * drawn for it. */
mv_status bench_body(const bench_bodies *b, const bench_ask *ask, int n_output, mv_buf *out,
                     mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
