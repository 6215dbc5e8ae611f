/* `--compare old.json`: is a run worse than an earlier one?
 *
 * Runs are the same measurement where bench, engine, device, model, workload, lengths and so on
 * agree. Of each the figures of compare.c are held together. One is worse where its median went the
 * wrong way by more than 5 % and by more than three standard errors of that difference; the error
 * of a median of n runs is taken from their quartiles, 0.93 * (p75 - p25) / sqrt(n).
 */
#ifndef MV_BENCH_COMPARE_H
#define MV_BENCH_COMPARE_H

#include <stdio.h>

#include "runtime/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Holds `now` (JSON lines, or a document with "results") against the file `old_path`; prints a
 * table to `out`. Fills *n_worse. MV_ERR_USAGE where the file has no run of the same measurement.
 */
mv_status bench_compare(const char *old_path, mv_str now, FILE *out, int *n_worse, mv_error *err);

/* How a benchmark ends: prints `json` where asked, compares where `compare` is a path (the table on
 * standard error beside JSON, else on standard output). Returns the exit code. */
int bench_finish(const char *name, const mv_buf *json, int print, const char *compare);

/* The rows of a file of results, whichever form it has. Zero-initialise. */
typedef struct bench_rows {
  mv_json_doc *docs;    /* owns: [n_doc] */
  const mv_json **rows; /* [n], borrowed from docs */
  int n_doc, n, capacity;
  const mv_json *machine; /* "machine" of a document; NULL */
} bench_rows;

mv_status bench_rows_parse(bench_rows *rows, mv_str text, mv_error *err);
void bench_rows_free(bench_rows *rows);

/* A number under `key`, `fallback` where there is none or one beyond all measuring (1e15). */
double bench_number(const mv_json *row, const char *key, double fallback);

#ifdef __cplusplus
}
#endif
#endif
