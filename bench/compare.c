#include "bench/compare.h"

#include <math.h>
#include <string.h>

#include "bench/options.h"
#include "runtime/file.h"
#include "runtime/memory.h"

#define MAX_RESULT_BYTES ((size_t)64 << 20)
#define LEAST_CHANGE 0.05
#define ERRORS 3.0 /* standard errors */

/* ---- rows ---- */

void bench_rows_free(bench_rows *r) {
  for (int i = 0; i < r->n_doc; i++) mv_json_doc_free(&r->docs[i]);
  mv_free(r->docs);
  mv_free(r->rows);
  memset(r, 0, sizeof *r);
}

static mv_status add_row(bench_rows *r, const mv_json *row, mv_error *err) {
  if (!mv_json_is(row, MV_JSON_OBJECT))
    return mv_fail(err, MV_ERR_FORMAT, "expected objects, found %s", mv_json_type_name(row));
  if (r->n == r->capacity) {
    int capacity = r->capacity ? 2 * r->capacity : 16;
    const mv_json **grown = mv_realloc(r->rows, (size_t)capacity * sizeof *grown);
    if (!grown) return mv_fail(err, MV_ERR_MEMORY, "no memory for %d results", capacity);
    r->rows = grown;
    r->capacity = capacity;
  }
  r->rows[r->n++] = row;
  return MV_OK;
}

static mv_status add_doc(bench_rows *r, mv_json_doc doc, mv_error *err) {
  mv_json_doc *grown = mv_realloc(r->docs, (size_t)(r->n_doc + 1) * sizeof *grown);
  if (!grown) mv_json_doc_free(&doc);
  if (!grown) return mv_fail(err, MV_ERR_MEMORY, "no memory for results");
  r->docs = grown;
  r->docs[r->n_doc++] = doc;
  const mv_json *results = mv_json_get(doc.root, "results");
  if (!mv_json_is(results, MV_JSON_ARRAY)) return add_row(r, doc.root, err);
  r->machine = mv_json_get(doc.root, "machine");
  for (const mv_json *row = results->first; row; row = row->next) MV_TRY(add_row(r, row, err));
  return MV_OK;
}

mv_status bench_rows_parse(bench_rows *r, mv_str rest, mv_error *err) {
  mv_json_doc whole = {0};
  mv_status status = mv_json_parse(&whole, rest, err);
  if (status == MV_OK) return add_doc(r, whole, err);
  if (status == MV_ERR_MEMORY) return status;
  for (int line = 1; rest.len; line++) {
    mv_json_doc doc = {0};
    const char *end = memchr(rest.ptr, '\n', rest.len);
    size_t n = end ? (size_t)(end - rest.ptr) : rest.len;
    mv_str text = mv_str_strip((mv_str){rest.ptr, n});
    if (text.len && mv_json_parse(&doc, text, err) != MV_OK)
      return mv_error_prefix(err, "line %d", line);
    if (text.len) MV_TRY(add_doc(r, doc, err));
    rest.ptr += n + (end != NULL);
    rest.len -= n + (end != NULL);
  }
  return r->n ? MV_OK : mv_fail(err, MV_ERR_FORMAT, "no results");
}

double bench_number(const mv_json *row, const char *key, double fallback) {
  const mv_json *value = mv_json_get(row, key);
  if (!mv_json_is_number(value) || !(fabs(value->number) < 1e15)) return fallback;
  return fabs(value->number) < 1e-15 ? 0 : value->number;
}

/* ---- the same measurement ---- */

static int same(const mv_json *a, const mv_json *b) {
  static const char *const keys[] = {
      "bench",      "engine",    "model",        "device",      "dtype",
      "threads",    "workload",  "batch_size",   "num_prompts", "max_batch",
      "speculate",  "any_order", "request_rate", "burstiness",  "max_concurrency",
      "page_cache", "phase",     "op",           "what",        "shape",
      "mode"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const mv_json *x = mv_json_get(a, keys[i]), *y = mv_json_get(b, keys[i]);
    if (!x != !y || (x && x->type != y->type)) return 0;
    if (!x) continue;
    if (x->type == MV_JSON_STRING && !mv_str_eq(x->text, y->text)) return 0;
    if (x->type == MV_JSON_BOOL && x->truth != y->truth) return 0;
    if (mv_json_is_number(x) && x->number != y->number) return 0;
  }
  return 1;
}

/* Of documents of kernels, whose rows do not name the device. */
static int same_machine(const bench_rows *a, const bench_rows *b) {
  const mv_json *x = mv_json_get(a->machine, "device"), *y = mv_json_get(b->machine, "device");
  if (!mv_json_is(x, MV_JSON_STRING) || !mv_json_is(y, MV_JSON_STRING)) return 1;
  return mv_str_eq(x->text, y->text);
}

/* ---- figures ---- */

typedef struct figure {
  const char *name, *key, *p25, *p75;
  const char *n; /* how many were measured */
  int more_is_better;
} figure;

#define TIME(name, n) \
  { name, "median_" name "_ms", "p25_" name "_ms", "p75_" name "_ms", n, 0 }
#define RATE(name) \
  { name, name, "p25_" name, "p75_" name, "runs", 1 }

static const figure figures[] = {
    TIME("ttft", "completed"),  TIME("tpot", "completed"),
    TIME("itl", "completed"),   TIME("e2el", "completed"),
    TIME("startup", "runs"),    {"ms", "median_ms", "p25_ms", "p75_ms", "runs", 0},
    RATE("request_throughput"), RATE("output_throughput"),
    RATE("request_goodput")};

static double error_of(const mv_json *row, const figure *f) {
  double n = bench_number(row, f->n, 1);
  double spread = bench_number(row, f->p75, 0) - bench_number(row, f->p25, 0);
  return n >= 1 ? 0.93 * spread / sqrt(n) : spread;
}

static void print_name(FILE *out, const mv_json *row, const figure *f) {
  static const char *const keys[] = {"bench",    "phase", "op",        "what",
                                     "workload", "mode",  "page_cache"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const mv_json *word = mv_json_get(row, keys[i]);
    if (mv_json_is(word, MV_JSON_STRING) && word->text.len)
      fprintf(out, "%.*s ", (int)word->text.len, word->text.ptr);
  }
  int batch = (int)bench_number(row, "batch_size", 0);
  if (batch) fprintf(out, "batch %d ", batch);
  fputs(f->name, out);
}

/* Returns 1 where the figure is worse. */
static int compare_figure(const mv_json *old, const mv_json *now, const figure *f, FILE *out) {
  double was = bench_number(old, f->key, NAN), is = bench_number(now, f->key, NAN);
  if (!(was > 0) || !(is > 0) || !mv_json_get(old, f->p25) || !mv_json_get(now, f->p25)) return 0;
  double noise = ERRORS * hypot(error_of(old, f), error_of(now, f)) / was;
  double change = is / was - 1, worse_by = f->more_is_better ? -change : change;
  if (noise < LEAST_CHANGE) noise = LEAST_CHANGE;
  const char *verdict = worse_by > noise ? "WORSE" : worse_by < -noise ? "better" : "";
  fprintf(out, "%12.3f %12.3f %+8.1f%% %7.1f%%  %-6s  ", was, is, 100 * change, 100 * noise,
          verdict);
  print_name(out, now, f);
  fputc('\n', out);
  return worse_by > noise;
}

static int compare_row(const mv_json *old, const mv_json *now, FILE *out) {
  int n_worse = 0;
  for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
    n_worse += compare_figure(old, now, &figures[i], out);
  return n_worse;
}

static mv_status compare_rows(const bench_rows *old, const bench_rows *now, FILE *out, int *n_worse,
                              mv_error *err) {
  int n_found = 0;
  fprintf(out, "%12s %12s %9s %8s\n", "before", "now", "change", "noise");
  for (int i = 0; i < now->n; i++) {
    int k = same_machine(old, now) ? old->n - 1 : -1; /* the latest, where a file has several */
    while (k >= 0 && !same(old->rows[k], now->rows[i])) k--;
    if (k < 0) continue;
    n_found++;
    *n_worse += compare_row(old->rows[k], now->rows[i], out);
  }
  if (n_found) return MV_OK;
  return mv_fail(err, MV_ERR_USAGE,
                 "nothing in it was measured in the same way (model, device, workload, ...)");
}

mv_status bench_compare(const char *old_path, mv_str now, FILE *out, int *n_worse, mv_error *err) {
  mv_buf file = {0};
  bench_rows before = {0}, after = {0};
  *n_worse = 0;
  mv_status status = mv_file_read(old_path, MAX_RESULT_BYTES, &file, err);
  if (status == MV_OK) {
    status = bench_rows_parse(&before, mv_buf_view(&file), err);
    if (status == MV_OK) status = bench_rows_parse(&after, now, err);
    if (status == MV_OK) status = compare_rows(&before, &after, out, n_worse, err);
    if (status != MV_OK) mv_error_prefix(err, "--compare %s", old_path);
  }
  bench_rows_free(&before);
  bench_rows_free(&after);
  mv_buf_free(&file);
  return status;
}

int bench_finish(const char *name, const mv_buf *json, int print, const char *compare) {
  mv_error err = {0};
  int n_worse = 0;
  if (mv_buf_status(json, &err) != MV_OK) return bench_failed(name, &err);
  if (print) fwrite(json->ptr, 1, json->len, stdout);
  fflush(stdout);
  if (!compare) return 0;
  FILE *out = print ? stderr : stdout;
  if (!print) fputc('\n', out);
  if (bench_compare(compare, mv_buf_view(json), out, &n_worse, &err) != MV_OK)
    return bench_failed(name, &err);
  if (n_worse)
    fprintf(stderr, "medvision: bench %s: %d figures are worse than in %s\n", name, n_worse,
            compare);
  return n_worse > 0;
}
