#include "bench/stream.h"

#include <stdio.h>
#include <string.h>

static int has_text(const mv_json *node, const char *key) {
  const mv_json *text = mv_json_get(node, key);
  return mv_json_is(text, MV_JSON_STRING) && text->text.len > 0;
}

/* Whether the chunk brings text. */
static int brings_text(const mv_json *chunk) {
  const mv_json *choice = mv_json_at(mv_json_get(chunk, "choices"), 0);
  const mv_json *delta = mv_json_get(choice, "delta");
  return has_text(choice, "text") || has_text(delta, "content") ||
         has_text(delta, "reasoning_content") || has_text(delta, "reasoning");
}

static void note_usage(bench_stream *s, const mv_json *usage) {
  int64_t n;
  if (!mv_json_is(usage, MV_JSON_OBJECT)) return;
  if (mv_json_to_int(mv_json_get(usage, "prompt_tokens"), &n)) s->n_input = n;
  if (mv_json_to_int(mv_json_get(usage, "completion_tokens"), &n)) s->n_output = n;
  const mv_json *details = mv_json_get(usage, "prompt_tokens_details");
  if (mv_json_to_int(mv_json_get(details, "cached_tokens"), &n)) s->n_cached = n;
  s->has_usage = 1;
}

static void copy_text(mv_str text, char *out, size_t size) {
  size_t n = text.len < size - 1 ? text.len : size - 1;
  memcpy(out, text.ptr, n);
  out[n] = 0;
}

static void message_of(const mv_json *error, mv_str otherwise, char *out, size_t size) {
  const mv_json *message = mv_json_get(error, "message");
  if (mv_json_is(message, MV_JSON_STRING)) error = message;
  copy_text(mv_json_is(error, MV_JSON_STRING) ? error->text : otherwise, out, size);
}

void bench_stream_message(mv_str text, char *out, size_t size) {
  mv_json_doc doc = {0};
  const mv_json *error = NULL;
  if (mv_json_parse(&doc, text, NULL) == MV_OK) error = mv_json_get(doc.root, "error");
  message_of(error, text, out, size);
  mv_json_doc_free(&doc);
}

static void note_text(bench_stream *s, double now_ms) {
  if (s->n_text++)
    bench_sample_add(&s->gaps, now_ms - s->last_ms);
  else
    s->first_ms = now_ms;
  s->last_ms = now_ms;
}

static mv_status take_event(bench_stream *s, mv_str data, double now_ms, mv_error *err) {
  mv_json_doc doc = {0};
  if (mv_str_is(data, "[DONE]")) {
    s->is_done = 1;
    return MV_OK;
  }
  MV_TRY(mv_json_parse(&doc, data, err));
  const mv_json *error = mv_json_get(doc.root, "error");
  if (brings_text(doc.root)) note_text(s, now_ms);
  note_usage(s, mv_json_get(doc.root, "usage"));
  if (error && error->type != MV_JSON_NULL && !s->error[0])
    message_of(error, data, s->error, sizeof s->error);
  mv_json_doc_free(&doc);
  return MV_OK;
}

/* A line of the stream: "data: ..." is an event (servers of this API put each on one line);
 * comments, other fields and blank lines are passed over. */
static mv_status take_line(bench_stream *s, double now_ms, mv_error *err) {
  mv_str line = mv_str_strip(mv_buf_view(&s->line));
  if (line.len < 5 || memcmp(line.ptr, "data:", 5) != 0) return MV_OK;
  mv_str data = mv_str_strip((mv_str){line.ptr + 5, line.len - 5});
  return data.len ? take_event(s, data, now_ms, err) : MV_OK;
}

mv_status bench_stream_feed(bench_stream *s, mv_str bytes, double now_ms, mv_error *err) {
  while (bytes.len) {
    const char *end = memchr(bytes.ptr, '\n', bytes.len);
    size_t n = end ? (size_t)(end - bytes.ptr) : bytes.len;
    if (s->line.len + n > BENCH_MAX_EVENT_BYTES)
      return mv_fail(err, MV_ERR_FORMAT, "an event of more than %zu bytes", BENCH_MAX_EVENT_BYTES);
    mv_buf_add(&s->line, bytes.ptr, n);
    MV_TRY(mv_buf_status(&s->line, err));
    if (!end) return MV_OK;
    MV_TRY(take_line(s, now_ms, err));
    mv_buf_clear(&s->line);
    bytes.ptr += n + 1;
    bytes.len -= n + 1;
  }
  return s->gaps.failed ? mv_fail(err, MV_ERR_MEMORY, "no memory for the times of a stream")
                        : MV_OK;
}

void bench_stream_free(bench_stream *s) {
  mv_buf_free(&s->line);
  bench_sample_free(&s->gaps);
}
