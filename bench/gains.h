/* `bench throughput --gains`: what batching, reuse and drafts bring, each alone and all together.
 *
 * The same requests are asked in several modes, taking turns, each time of a new engine: one at a
 * time without any of them, then with each, then with all; and with drafts that are always wrong,
 * for what trying costs. Every answer must be the same in all modes.
 */
#ifndef MV_BENCH_GAINS_H
#define MV_BENCH_GAINS_H

#include "bench/subject.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Asks the n_request * n_run requests of `s` in every mode; prints a table, or adds JSON lines. */
mv_status bench_gains(bench_subject *s, int n_request, int n_run, mv_buf *json, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
