#include "bench/workload.h"

#include <stdio.h>
#include <string.h>

#include "runtime/file.h"
#include "runtime/json.h"
#include "runtime/memory.h"

#define MAX_TOKENS 1000000
#define MAX_FILE_BYTES ((size_t)64 << 20)

double bench_random(uint64_t *state) { /* splitmix64 */
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* ---- reading ---- */

/* A whole number in [low, high] under `key`, `fallback` when there is none. */
static mv_status number(const mv_json *line, const char *key, int fallback, int low, int high,
                        int *out, mv_error *err) {
  const mv_json *value = mv_json_get(line, key);
  int64_t n = fallback;
  if ((value && !mv_json_to_int(value, &n)) || n < low || n > high)
    return mv_fail(err, MV_ERR_FORMAT, "\"%s\": expected a whole number from %d to %d", key, low,
                   high);
  *out = (int)n;
  return MV_OK;
}

static mv_status flag(const mv_json *line, const char *key, int *out, mv_error *err) {
  const mv_json *value = mv_json_get(line, key);
  if (value && !mv_json_is(value, MV_JSON_BOOL))
    return mv_fail(err, MV_ERR_FORMAT, "\"%s\": expected true or false", key);
  *out = value && value->truth;
  return MV_OK;
}

static mv_status check_keys(const mv_json *line, mv_error *err) {
  static const char *const known[] = {"name",       "input_len",  "output_len",
                                      "system_len", "image",      "shared_len",
                                      "share",      "text_first", "recorded"};
  if (!mv_json_is(line, MV_JSON_OBJECT)) return mv_fail(err, MV_ERR_FORMAT, "expected an object");
  for (const mv_json *item = line->first; item; item = item->next) {
    size_t k = 0;
    while (k < sizeof known / sizeof *known && !mv_str_is(item->key, known[k])) k++;
    if (k == sizeof known / sizeof *known)
      return mv_fail(err, MV_ERR_FORMAT, "unknown key \"%.*s\"", (int)item->key.len, item->key.ptr);
  }
  return MV_OK;
}

/* ---- what was recorded ---- */

mv_str bench_recorded_text(const bench_recorded *r, int row, const char *key) {
  const mv_json *text = mv_json_get(r->docs[row].root, key);
  return mv_json_is(text, MV_JSON_STRING) ? text->text : mv_str_of("");
}

static mv_status add_recorded(bench_recorded *r, mv_str line, mv_error *err) {
  mv_json_doc *grown = mv_realloc(r->docs, (size_t)(r->n + 1) * sizeof *grown);
  if (!grown) return mv_fail(err, MV_ERR_MEMORY, "no memory for recorded answers");
  r->docs = grown;
  r->docs[r->n] = (mv_json_doc){0};
  MV_TRY(mv_json_parse(&r->docs[r->n], line, err));
  r->n++;
  if (bench_recorded_text(r, r->n - 1, "prompt").len &&
      bench_recorded_text(r, r->n - 1, "answer").len)
    return MV_OK;
  return mv_fail(err, MV_ERR_FORMAT, "expected texts \"prompt\" and \"answer\"");
}

static void free_recorded(bench_recorded *r) {
  for (int i = 0; i < r->n; i++) mv_json_doc_free(&r->docs[i]);
  mv_free(r->docs);
  *r = (bench_recorded){0};
}

typedef mv_status take_line(void *user, mv_str line, mv_error *err);

/* Calls `take` with every line that is not blank; failures name file and line. */
static mv_status each_line(const char *path, take_line *take, void *user, mv_error *err) {
  mv_buf file = {0};
  mv_status status = mv_file_read(path, MAX_FILE_BYTES, &file, err);
  mv_str rest = mv_buf_view(&file);
  for (int line = 1; status == MV_OK && rest.len; line++) {
    const char *end = memchr(rest.ptr, '\n', rest.len);
    size_t n = end ? (size_t)(end - rest.ptr) : rest.len;
    mv_str text = mv_str_strip((mv_str){rest.ptr, n});
    if (text.len) status = take(user, text, err);
    if (status != MV_OK) mv_error_prefix(err, "%s: line %d", path, line);
    rest.ptr += n + (end != NULL);
    rest.len -= n + (end != NULL);
  }
  mv_buf_free(&file);
  return status;
}

static mv_status take_recorded(void *user, mv_str line, mv_error *err) {
  return add_recorded(user, line, err);
}

/* `name` lies beside the workload. */
static mv_status read_recorded(const char *workload, mv_str name, bench_recorded *out,
                               mv_error *err) {
  mv_buf path = {0};
  const char *slash = strrchr(workload, '/');
  mv_buf_printf(&path, "%.*s%.*s", slash ? (int)(slash - workload + 1) : 0, workload, (int)name.len,
                name.ptr);
  mv_status status = mv_buf_status(&path, err);
  if (status == MV_OK) status = each_line(path.ptr, take_recorded, out, err);
  mv_buf_free(&path);
  if (status == MV_OK && !out->n)
    return mv_fail(err, MV_ERR_FORMAT, "nothing is recorded in %.*s", (int)name.len, name.ptr);
  return status;
}

/* ---- kinds ---- */

static mv_status read_lengths(const mv_json *line, bench_kind *k, mv_error *err) {
  MV_TRY(number(line, "input_len", 0, 1, MAX_TOKENS, &k->n_input, err));
  MV_TRY(number(line, "output_len", 0, 1, MAX_TOKENS, &k->n_output, err));
  MV_TRY(number(line, "system_len", 0, 0, MAX_TOKENS, &k->n_system, err));
  return number(line, "shared_len", 0, 0, MAX_TOKENS, &k->n_shared, err);
}

static mv_status read_kind(const mv_json *line, const char *path, bench_kind *k, mv_error *err) {
  MV_TRY(check_keys(line, err));
  const mv_json *name = mv_json_get(line, "name");
  if (!mv_json_is(name, MV_JSON_STRING) || name->text.len >= sizeof k->name)
    return mv_fail(err, MV_ERR_FORMAT, "\"name\": expected less than %zu bytes", sizeof k->name);
  memcpy(k->name, name->text.ptr, name->text.len);
  const mv_json *recorded = mv_json_get(line, "recorded");
  if (mv_json_is(recorded, MV_JSON_STRING))
    MV_TRY(read_recorded(path, recorded->text, &k->recorded, err));
  else
    MV_TRY(read_lengths(line, k, err));
  MV_TRY(number(line, "image", 0, 0, 8192, &k->side, err));
  MV_TRY(number(line, "share", 1, 1, 1000000, &k->share, err));
  return flag(line, "text_first", &k->text_first, err);
}

typedef struct reading {
  bench_workload *workload;
  const char *path;
} reading;

/* A line is a kind, or {"shuffle": true}. */
static mv_status take_workload(void *user, mv_str text, mv_error *err) {
  const reading *r = user;
  bench_workload *w = r->workload;
  mv_json_doc doc = {0};
  MV_TRY(mv_json_parse(&doc, text, err));
  mv_status status;
  if (mv_json_get(doc.root, "shuffle"))
    status = flag(doc.root, "shuffle", &w->shuffle, err);
  else if (w->n_kind == BENCH_MAX_KINDS)
    status = mv_fail(err, MV_ERR_FORMAT, "more than %d kinds", BENCH_MAX_KINDS);
  else
    status = read_kind(doc.root, r->path, &w->kinds[w->n_kind++], err);
  mv_json_doc_free(&doc);
  return status;
}

mv_status bench_workload_read(bench_workload *w, const char *path, int n_input, int n_output,
                              mv_error *err) {
  memset(w, 0, sizeof *w);
  if (!path) {
    w->kinds[0] = (bench_kind){.n_input = n_input, .n_output = n_output, .share = 1};
    snprintf(w->kinds[0].name, sizeof w->kinds[0].name, "%d in, %d out", n_input, n_output);
    w->n_kind = 1;
    return MV_OK;
  }
  reading r = {w, path};
  MV_TRY(each_line(path, take_workload, &r, err));
  return w->n_kind ? MV_OK : mv_fail(err, MV_ERR_FORMAT, "%s: no kind of request", path);
}

/* ---- order ---- */

static void shuffle(bench_ask *asks, int n, uint64_t *state) {
  for (int i = n - 1; i > 0; i--) {
    int k = (int)(bench_random(state) * (i + 1));
    bench_ask moved = asks[i];
    asks[i] = asks[k];
    asks[k] = moved;
  }
}

mv_status bench_workload_plan(bench_workload *w, int n, int block, uint64_t seed, mv_error *err) {
  unsigned n_group = 0;
  mv_free(w->asks);
  w->asks = mv_calloc((size_t)n, sizeof *w->asks);
  w->n_ask = n;
  if (!w->asks) return mv_fail(err, MV_ERR_MEMORY, "no memory for %d requests", n);
  for (int i = 0; i < n; n_group++) {
    int kind = (int)(n_group % (unsigned)w->n_kind);
    for (int k = 0; k < w->kinds[kind].share && i < n; k++, i++)
      w->asks[i] = (bench_ask){.kind = kind, .picture = n_group, .number = i};
  }
  if (block < 1) block = n;
  for (int i = 0; w->shuffle && i < n; i += block)
    shuffle(w->asks + i, n - i < block ? n - i : block, &seed);
  return MV_OK;
}

void bench_workload_free(bench_workload *w) {
  mv_free(w->asks);
  w->asks = NULL;
  for (int i = 0; i < w->n_kind; i++) free_recorded(&w->kinds[i].recorded);
}

/* ---- what is sent ---- */

mv_status bench_kind_fit(bench_kind *kind, int n_empty, mv_error *err) {
  int least = kind->n_shared + BENCH_NUMBER_DIGITS;
  kind->n_digit = kind->n_input - n_empty;
  if (kind->n_digit >= least) return MV_OK;
  return mv_fail(err, MV_ERR_USAGE,
                 "%s: %d tokens of input: expected %d or more (%d without any text)", kind->name,
                 kind->n_input, n_empty + least, n_empty);
}

/* Digits that do not repeat soon. */
static void digits(mv_buf *out, int from, int to) {
  mv_buf_reserve(out, (size_t)(to > from ? to - from : 0));
  for (int i = from; i < to; i++)
    mv_buf_char(out, (char)('0' + (i % 7 * (i % 7) % 7 + 3 * i / 10) % 10));
}

void bench_ask_text(const bench_workload *w, const bench_ask *ask, mv_buf *out) {
  const bench_kind *kind = &w->kinds[ask->kind];
  digits(out, 0, kind->n_shared);
  mv_buf_printf(out, "%0*u", BENCH_NUMBER_DIGITS, ((unsigned)ask->number + w->salt) % 1000000);
  digits(out, kind->n_shared + BENCH_NUMBER_DIGITS, kind->n_digit);
}

void bench_kind_system(const bench_kind *kind, mv_buf *out) { digits(out, 0, kind->n_system); }

mv_status bench_draw(mv_image *image, int side, unsigned seed, mv_error *err) {
  mv_image_free(image);
  MV_TRY(mv_image_init(image, side, side, 1, err));
  unsigned state = seed * 2654435761u + 1;
  for (size_t i = 0; i < (size_t)side * (size_t)side; i++) {
    state = state * 1664525u + 1013904223u;
    image->px[i] = (uint8_t)(state >> 24);
  }
  return MV_OK;
}
