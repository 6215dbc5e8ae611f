#include "tasks/cli_jsonl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/medvision.h"
#include "tasks/cli_io.h"

/* ---- lines ---- */

typedef struct line_reader {
  char chunk[65536];
  size_t at, n;
  mv_buf line;  /* owns: the line being read, without its newline */
  int too_long; /* the rest of the line is being skipped */
  int begun;
} line_reader;

enum { LINE_END = 0, LINE_READ, LINE_FAILED };

/* 1 when there is something in the chunk, 0 at the end, -1 when reading fails. */
static int refill(line_reader *reader) {
  if (reader->at < reader->n) return 1;
  mv_cli_flush();
  ssize_t n;
  do n = read(STDIN_FILENO, reader->chunk, sizeof reader->chunk);
  while (n < 0 && errno == EINTR);
  reader->at = 0, reader->n = n > 0 ? (size_t)n : 0;
  /* the byte order mark that some editors and shells put in front */
  if (!reader->begun && n >= 3 && memcmp(reader->chunk, "\xEF\xBB\xBF", 3) == 0) reader->at = 3;
  reader->begun = 1;
  return n > 0 ? 1 : (int)n;
}

static int read_line(line_reader *reader) {
  mv_buf_clear(&reader->line);
  reader->too_long = 0;
  int has_bytes = 0;
  for (;;) {
    int more = refill(reader);
    if (more < 0) return LINE_FAILED;
    if (more == 0) return has_bytes ? LINE_READ : LINE_END;
    has_bytes = 1;
    const char *from = reader->chunk + reader->at;
    const char *newline = memchr(from, '\n', reader->n - reader->at);
    size_t n = newline ? (size_t)(newline - from) : reader->n - reader->at;
    reader->at += n + (newline != NULL);
    if (reader->line.len + n > MV_JSONL_MAX_LINE) reader->too_long = 1;
    if (!reader->too_long) mv_buf_add(&reader->line, from, n);
    if (newline) return LINE_READ;
  }
}

/* ---- answers ---- */

static void put_id(mv_json_writer *writer, const mv_json *line) {
  const mv_json *id = mv_json_get(line, "id");
  if (!id) return;
  mv_json_key(writer, "id");
  mv_json_node(writer, id);
}

static mv_status parse_line(const line_reader *reader, mv_json_doc *doc, mv_error *err) {
  if (reader->too_long)
    return mv_fail(err, MV_ERR_FORMAT, "the line is longer than %zu MiB", MV_JSONL_MAX_LINE >> 20);
  MV_TRY(mv_buf_status(&reader->line, err));
  MV_TRY(mv_json_parse(doc, mv_buf_view(&reader->line), err));
  if (!mv_json_is(doc->root, MV_JSON_OBJECT))
    return mv_fail(err, MV_ERR_FORMAT, "expected a JSON object, found %s",
                   mv_json_type_name(doc->root));
  return MV_OK;
}

static mv_status answer_line(const line_reader *reader, mv_json_doc *doc, mv_jsonl_answer answer,
                             void *user, mv_buf *out, mv_error *err) {
  MV_TRY(parse_line(reader, doc, err));
  mv_json_writer writer = mv_cli_json(out);
  mv_json_begin_object(&writer);
  put_id(&writer, doc->root);
  MV_TRY(answer(user, doc->root, &writer, err));
  mv_json_end_object(&writer);
  return mv_buf_status(out, err);
}

static void put_error(const mv_json_doc *doc, const mv_error *err, mv_buf *out) {
  mv_buf_clear(out);
  mv_json_writer writer = mv_cli_json(out);
  mv_json_begin_object(&writer);
  put_id(&writer, doc->root);
  mv_json_key(&writer, "error");
  mv_json_text(&writer, err->msg);
  mv_json_end_object(&writer);
}

/* 0 when standard output cannot be written. */
static int put_answer(mv_buf *out) {
  mv_buf_char(out, '\n');
  if (out->failed) return mv_cli_put(mv_str_of("{\"error\":\"out of memory\"}\n"));
  return mv_cli_put(mv_buf_view(out));
}

int mv_cli_jsonl(mv_jsonl_answer answer, void *user) {
  line_reader *reader = mv_calloc(1, sizeof *reader);
  mv_buf out = {0};
  mv_error err = {0};
  int code = MV_EXIT_DONE, state = LINE_END;
  if (!reader) {
    mv_cli_say("out of memory");
    return MV_EXIT_FAILED;
  }
  while ((state = read_line(reader)) == LINE_READ) {
    mv_json_doc doc = {0};
    mv_buf_clear(&out);
    if (answer_line(reader, &doc, answer, user, &out, &err) != MV_OK) put_error(&doc, &err, &out);
    mv_json_doc_free(&doc);
    if (!put_answer(&out)) {
      code = MV_EXIT_FAILED; /* mv_cli_finish says why */
      break;
    }
  }
  if (state == LINE_FAILED) {
    mv_cli_say("cannot read standard input: %s", strerror(errno));
    code = MV_EXIT_FAILED;
  }
  mv_buf_free(&reader->line);
  mv_free(reader);
  mv_buf_free(&out);
  return code;
}

/* ---- many lines at once ---- */

enum { UNDER_WAY = 64 };

typedef struct pending {
  mv_buf line; /* what doc borrows from */
  mv_json_doc doc;
  void *item;
  uint64_t ticket; /* 0: failed, see err */
  mv_error err;
} pending;

/* Lines first .. first + n - 1, in a ring. */
typedef struct window {
  const mv_jsonl_batch *batch;
  line_reader reader;
  pending lines[UNDER_WAY];
  size_t first, n;
  mv_buf out;
} window;

/* Whether reading a line would not have to wait. */
static int has_input(const line_reader *reader) {
  if (reader->at < reader->n) return 1;
  struct pollfd fd = {STDIN_FILENO, POLLIN, 0};
  return poll(&fd, 1, 0) > 0;
}

static mv_status begin_line(window *w, pending *p) {
  p->item = mv_calloc(1, w->batch->item_bytes);
  if (!p->item) return mv_fail(&p->err, MV_ERR_MEMORY, "out of memory");
  mv_status status = parse_line(&w->reader, &p->doc, &p->err);
  p->line = w->reader.line; /* moves */
  memset(&w->reader.line, 0, sizeof w->reader.line);
  if (status != MV_OK) return status;
  return w->batch->begin(w->batch->user, p->item, p->doc.root, &p->ticket, &p->err);
}

static void free_line(window *w, pending *p) {
  if (p->item) w->batch->free_item(p->item);
  mv_free(p->item);
  mv_json_doc_free(&p->doc);
  mv_buf_free(&p->line);
  memset(p, 0, sizeof *p);
}

static mv_status finish_line(window *w, pending *p, mv_result *result) {
  mv_json_writer writer = mv_cli_json(&w->out);
  mv_json_begin_object(&writer);
  put_id(&writer, p->doc.root);
  MV_TRY(w->batch->finish(w->batch->user, p->item, result, &writer, &p->err));
  mv_json_end_object(&writer);
  return mv_buf_status(&w->out, &p->err);
}

/* Writes the answer of the first line, if it is there. Returns 1 when it was, -1 when standard
 * output cannot be written. */
static int put_first(window *w) {
  pending *p = &w->lines[w->first];
  mv_result result = {0};
  mv_status status = p->err.code;
  mv_buf_clear(&w->out);
  if (p->ticket && !mv_engine_poll(w->batch->engine, &p->ticket, &result, &p->err)) return 0;
  if (p->ticket) status = result.status;
  if (p->ticket && status == MV_OK) status = finish_line(w, p, &result);
  if (status != MV_OK) put_error(&p->doc, &p->err, &w->out);
  mv_result_free(&result);
  free_line(w, p);
  w->first = (w->first + 1) % UNDER_WAY;
  w->n--;
  return put_answer(&w->out) ? 1 : -1;
}

/* Reads lines while that does not hold up those under way. Returns the state of reading. */
static int take_lines(window *w) {
  while (w->n < UNDER_WAY && (w->n == 0 || has_input(&w->reader))) {
    int state = read_line(&w->reader);
    if (state != LINE_READ) return state;
    pending *p = &w->lines[(w->first + w->n++) % UNDER_WAY];
    if (begin_line(w, p) != MV_OK) p->ticket = 0;
  }
  return LINE_READ;
}

static int run_window(window *w) {
  int state = LINE_READ, put = 0;
  while (state == LINE_READ || (w->n && state == LINE_END)) {
    size_t n_left;
    mv_error why; /* a failing step ends its requests, each with the reason */
    if (state == LINE_READ) state = take_lines(w);
    if (w->n && w->lines[w->first].ticket) mv_engine_step(w->batch->engine, &n_left, &why);
    while (w->n && (put = put_first(w)) > 0) continue;
    if (put < 0) return MV_EXIT_FAILED; /* mv_cli_finish says why */
    if (!mv_cli_flush()) return MV_EXIT_FAILED;
  }
  if (state != LINE_FAILED) return MV_EXIT_DONE;
  mv_cli_say("cannot read standard input: %s", strerror(errno));
  return MV_EXIT_FAILED;
}

int mv_cli_jsonl_batch(const mv_jsonl_batch *batch) {
  window *w = mv_calloc(1, sizeof *w);
  if (!w) {
    mv_cli_say("out of memory");
    return MV_EXIT_FAILED;
  }
  w->batch = batch;
  int code = run_window(w);
  for (; w->n; w->n--, w->first = (w->first + 1) % UNDER_WAY) free_line(w, &w->lines[w->first]);
  mv_buf_free(&w->reader.line);
  mv_buf_free(&w->out);
  mv_free(w);
  return code;
}

/* ---- members ---- */

mv_status mv_jsonl_text(const mv_json *line, const char *key, mv_str *out, mv_error *err) {
  const mv_json *node = mv_json_get(line, key);
  if (!node || mv_json_is(node, MV_JSON_NULL)) return MV_OK;
  if (!mv_json_is(node, MV_JSON_STRING))
    return mv_fail(err, MV_ERR_FORMAT, "\"%s\": expected a string, found %s", key,
                   mv_json_type_name(node));
  *out = node->text;
  return MV_OK;
}

mv_status mv_jsonl_int(const mv_json *line, const char *key, int min, int max, int *out,
                       mv_error *err) {
  const mv_json *node = mv_json_get(line, key);
  int64_t value;
  if (!node || mv_json_is(node, MV_JSON_NULL)) return MV_OK;
  if (!mv_json_to_int(node, &value) || value < min || value > max)
    return mv_fail(err, MV_ERR_FORMAT, "\"%s\": expected a whole number from %d to %d", key, min,
                   max);
  *out = (int)value;
  return MV_OK;
}
