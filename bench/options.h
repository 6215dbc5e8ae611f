/* Arguments of the benchmarks, whose options are their own: `medvision bench NAME --help`. */
#ifndef MV_BENCH_OPTIONS_H
#define MV_BENCH_OPTIONS_H

#include "runtime/json.h"
#include "runtime/medvision.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One option: exactly one of text (takes a string), count (a whole number >= 0), real (a number
 * >= 0; "inf" is one) and flag (takes nothing) is set. */
typedef struct bench_option {
  const char *name;
  const char **text;
  int *count;
  double *real;
  int *flag;
} bench_option;

/* The rows of such a table, `"--name", WHERE(&variable)`. */
#define BENCH_TEXT(at) (at), NULL, NULL, NULL
#define BENCH_COUNT(at) NULL, (at), NULL, NULL
#define BENCH_REAL(at) NULL, NULL, (at), NULL
#define BENCH_FLAG(at) NULL, NULL, NULL, (at)

typedef struct bench_arguments {
  const char *name;            /* of the benchmark: "latency" */
  const bench_option *options; /* [n_option] */
  int n_option;
  const char **operands; /* [max_operand]: words that are no options; NULL: none are taken */
  int max_operand, n_operand;
} bench_arguments;

/* Fills what the options point to from argv[1..]. Returns 0, or 2 after a line on standard error
 * that begins with the benchmark's name. */
int bench_parse(bench_arguments *arguments, int argc, char **argv);
/* The same for a benchmark without operands. */
int bench_parse_options(const char *name, int argc, char **argv, const bench_option *options,
                        int n);

/* "command": what was typed. */
void bench_json_command(mv_json_writer *w, int argc, char **argv);

/* A line on standard error; returns the exit code of err. */
int bench_failed(const char *name, const mv_error *err);

/* "auto", "bf16", "fp32" */
mv_status bench_precision(const char *name, mv_precision *out, mv_error *err);
/* "1,2,8" into out[0..max); each from 1 to 65536. Returns how many, 0 when it is no such list. */
int bench_list(const char *text, int *out, int max);

#ifdef __cplusplus
}
#endif
#endif
