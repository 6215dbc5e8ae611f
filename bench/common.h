/* What benchmarks of the engine share: arguments, prompts of a given length, statistics. */
#ifndef MV_BENCH_COMMON_H
#define MV_BENCH_COMMON_H

#include "runtime/json.h"
#include "runtime/medvision.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One option: exactly one of text (takes a string), count (takes a whole number >= 0) and flag is
 * set. */
typedef struct bench_option {
  const char *name;
  const char **text;
  int *count;
  int *flag;
} bench_option;

/* Fills what the options point to from argv[1..]. Returns 0, or 2 after a line on standard error
 * that begins with the benchmark's name. */
int bench_parse(const char *name, int argc, char **argv, const bench_option *options, int n);
/* A line on standard error; returns the exit code of err. */
int bench_failed(const char *name, const mv_error *err);

/* "auto", "bf16", "fp32" */
mv_status bench_precision(const char *name, mv_precision *out, mv_error *err);

/* n digits, each a token of its own: `number` first, so that no two prompts begin alike, and then
 * digits that do not repeat soon. */
mv_status bench_prompt(int number, int n, mv_buf *out, mv_error *err);
/* How many digits bring the prompt with these images (request->prompt is not looked at) to n_input
 * tokens. MV_ERR_USAGE when template and images alone are longer. */
mv_status bench_prompt_digits(mv_engine *engine, const mv_request *request, int n_input, int *out,
                              mv_error *err);

/* Measured times of one kind. Owns ms, of `capacity`. */
typedef struct bench_sample {
  const char *name; /* "ttft" */
  double *ms;
  int n, capacity;
} bench_sample;

mv_status bench_sample_init(bench_sample *s, const char *name, int capacity, mv_error *err);
void bench_sample_free(bench_sample *s);
void bench_sample_add(bench_sample *s, double ms); /* beyond the capacity: dropped */
void bench_sample_sort(bench_sample *s);           /* before the two below */
double bench_mean(const bench_sample *s);
double bench_percentile(const bench_sample *s, double p); /* between order statistics */
/* "mean_ttft_ms", "median_ttft_ms", "p90_", "p99_", "p99.9_": the names of vLLM's benchmarks. */
void bench_sample_json(mv_json_writer *w, const bench_sample *s);
void bench_samples_print(const bench_sample *samples, int n);

void bench_json_int(mv_json_writer *w, const char *key, int64_t value);
void bench_json_double(mv_json_writer *w, const char *key, double value);
void bench_json_text(mv_json_writer *w, const char *key, const char *value);
/* Engine, version, device, dtype: how every object begins. */
void bench_json_head(mv_json_writer *w, const mv_model *model);
/* Prints the finished object as one line. */
mv_status bench_json_print(mv_buf *out, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
