/* Measured times of one kind, and what is said of them: the statistics of vLLM's benchmarks under
 * their names, and the quartiles by which `--compare` knows noise. */
#ifndef MV_BENCH_SAMPLE_H
#define MV_BENCH_SAMPLE_H

#include "runtime/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialise but for the name. Owns `ms`. */
typedef struct bench_sample {
  const char *name; /* "ttft" */
  double *ms;       /* [n] */
  int n, capacity;
  int failed; /* memory was out: later times are dropped */
} bench_sample;

void bench_sample_free(bench_sample *s);
void bench_sample_add(bench_sample *s, double ms);
void bench_sample_sort(bench_sample *s); /* before percentiles */
double bench_mean(const bench_sample *s);
double bench_deviation(const bench_sample *s); /* of the population, as numpy's std */
/* Between order statistics, as numpy's default; 0 of nothing. */
double bench_percentile(const bench_sample *s, double p);

/* Sorts all; MV_ERR_MEMORY where a time was dropped. */
mv_status bench_samples_finish(bench_sample *samples, int n, mv_error *err);
/* "mean_ttft_ms", "median_ttft_ms", "std_", "p25_", "p75_", "p90_", "p99_", "p99.9_"; nothing for
 * a sample without times. */
void bench_sample_json(mv_json_writer *w, const bench_sample *s);
/* Of a rate measured several times, its quartiles alone: "p25_request_throughput", "p75_". */
void bench_quartiles_json(mv_json_writer *w, const bench_sample *s);
void bench_samples_print(const bench_sample *samples, int n); /* a table on standard output */

void bench_json_int(mv_json_writer *w, const char *key, int64_t value);
void bench_json_double(mv_json_writer *w, const char *key, double value);
void bench_json_text(mv_json_writer *w, const char *key, const char *value);

#ifdef __cplusplus
}
#endif
#endif
