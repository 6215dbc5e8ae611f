/* Replies: JSON, errors in OpenAI's form, streams; and the access log. */
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/clock.h"
#include "tasks/server.h"

mv_json_writer mv_server_json(mv_buf *out) {
  return (mv_json_writer){.out = out, .compact = 1, .utf8 = 1};
}

/* ---- sending ---- */

void mv_call_phase(mv_call *call, mv_phase phase) {
  const mv_serve_options *o = call->server->options;
  pthread_mutex_lock(&call->server->lock);
  call->link->phase = phase;
  call->link->deadline_ms =
      phase == MV_PHASE_WORK ? call->deadline_ms : mv_now_ms() + o->read_s * 1e3;
  pthread_mutex_unlock(&call->server->lock);
}

static int send_response(mv_call *call, int status, const char *type, struct MHD_Response *r) {
  if (!r) return MHD_NO;
  call->status = status;
  MHD_add_response_header(r, "Content-Type", type);
  MHD_add_response_header(r, "X-Request-Id", call->id);
  MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
  MHD_add_response_header(r, "Cache-Control", "no-store");
  MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
  MHD_add_response_header(r, "Content-Security-Policy",
                          "default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; "
                          "form-action 'none'; frame-ancestors 'none'");
  if (status == 401) MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
  if (status == 405) MHD_add_response_header(r, "Allow", call->route ? call->route->method : "GET");
  if (status == 429 || status == 503) MHD_add_response_header(r, "Retry-After", "1");
  if (atomic_load(&call->server->stopping)) MHD_add_response_header(r, "Connection", "close");
  enum MHD_Result queued = MHD_queue_response(call->connection, (unsigned)status, r);
  MHD_destroy_response(r);
  return queued;
}

int mv_reply_bytes(mv_call *call, int status, const char *type, const void *bytes, size_t n) {
  mv_call_phase(call, MV_PHASE_WRITE);
  call->n_out_bytes = n;
  return send_response(
      call, status, type,
      MHD_create_response_from_buffer(n, (void *)(uintptr_t)bytes, MHD_RESPMEM_PERSISTENT));
}

static const char no_memory[] =
    "{\"error\":{\"message\":\"out of memory: try again later\",\"type\":\"server_error\","
    "\"param\":null,\"code\":null}}";

int mv_reply_json(mv_call *call, int status) {
  if (call->out.failed)
    return mv_reply_bytes(call, 503, "application/json", no_memory, sizeof no_memory - 1);
  return mv_reply_bytes(call, status, "application/json", call->out.ptr, call->out.len);
}

int mv_reply_without_call(struct MHD_Connection *connection) {
  struct MHD_Response *r = MHD_create_response_from_buffer(
      sizeof no_memory - 1, (void *)(uintptr_t)no_memory, MHD_RESPMEM_PERSISTENT);
  if (!r) return MHD_NO;
  MHD_add_response_header(r, "Content-Type", "application/json");
  MHD_add_response_header(r, "Retry-After", "1");
  enum MHD_Result queued = MHD_queue_response(connection, 503, r);
  MHD_destroy_response(r);
  return (int)queued;
}

/* ---- errors ---- */

int mv_status_of_error(const mv_error *err) {
  switch (err->code) {
    case MV_ERR_USAGE:
    case MV_ERR_FORMAT:
    case MV_ERR_SHAPE:
    case MV_ERR_IO:
    case MV_ERR_UNSUPPORTED:
      return 400;
    case MV_ERR_CANCELLED: /* before it was begun: no time left, or the client's side closed */
      return 408;
    case MV_ERR_MEMORY:
      return 503;
    default:
      return 500;
  }
}

static const char *type_of(int status) {
  if (status == 401) return "authentication_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

void mv_write_error(mv_buf *out, int status, const char *code, const char *message) {
  mv_json_writer w = mv_server_json(out);
  /* Messages about a member begin with its name in quotes. */
  const char *end = message[0] == '"' ? strchr(message + 1, '"') : NULL;
  mv_json_begin_object(&w);
  mv_json_key(&w, "error");
  mv_json_begin_object(&w);
  mv_json_key(&w, "message");
  mv_json_text(&w, message);
  mv_json_key(&w, "type");
  mv_json_text(&w, type_of(status));
  mv_json_key(&w, "param");
  if (end)
    mv_json_string(&w, (mv_str){message + 1, (size_t)(end - message - 1)});
  else
    mv_json_null(&w);
  mv_json_key(&w, "code");
  if (code)
    mv_json_text(&w, code);
  else
    mv_json_null(&w);
  mv_json_end_object(&w);
  mv_json_end_object(&w);
}

int mv_reply_error(mv_call *call, int status, const char *code, const char *fmt, ...) {
  char message[1024];
  va_list args;
  va_start(args, fmt);
  vsnprintf(message, sizeof message, fmt, args);
  va_end(args);
  mv_buf_free(&call->out);
  mv_write_error(&call->out, status, code, message);
  return mv_reply_json(call, status);
}

int mv_reply_failed(mv_call *call, const mv_error *err) {
  return mv_reply_error(call, mv_status_of_error(err), NULL, "%.1000s", err->msg);
}

int mv_reply_busy(mv_call *call) {
  return mv_reply_error(call, 429, "queue_full",
                        "the queue is full: %d requests at work and %d waiting; try again later",
                        call->server->options->max_batch, call->server->options->max_queue);
}

/* ---- streams ---- */

static ssize_t read_stream(void *user, uint64_t pos, char *to, size_t room) {
  mv_call *call = user;
  (void)pos;
  if (call->n_sent == call->out.len) {
    mv_buf_clear(&call->out);
    call->n_sent = 0;
    mv_call_phase(call, MV_PHASE_WORK);
    if (!mv_stream_fill(call)) return MHD_CONTENT_READER_END_OF_STREAM;
    if (call->out.failed) return MHD_CONTENT_READER_END_WITH_ERROR;
    mv_call_phase(call, MV_PHASE_WRITE);
  }
  size_t n = call->out.len - call->n_sent;
  if (n > room) n = room;
  if (n) memcpy(to, call->out.ptr + call->n_sent, n);
  call->n_sent += n;
  call->n_out_bytes += n;
  return (ssize_t)n;
}

int mv_reply_stream(mv_call *call) {
  struct MHD_Response *r =
      MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 8192, read_stream, call, NULL);
  if (r) MHD_add_response_header(r, "X-Accel-Buffering", "no");
  return send_response(call, 200, "text/event-stream; charset=utf-8", r);
}

/* ---- the access log ---- */

/* Nothing of what was asked or answered, and no path that is not ours: those could hold a name. */
void mv_access_log(mv_call *call, int completed) {
  if (call->server->options->quiet) return;
  mv_buf line = {0};
  mv_json_writer w = mv_server_json(&line);
  char when[32] = "";
  time_t now = time(NULL);
  struct tm utc;
  size_t n_prompt = 0, n_new = 0;
  if (gmtime_r(&now, &utc)) strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
  for (int i = 0; i < call->n_choice; i++) {
    n_prompt += call->choices[i].result.n_prompt;
    n_new += call->choices[i].result.n_token;
  }
  mv_json_begin_object(&w);
  const struct {
    const char *key, *text;
  } texts[] = {{"time", when},
               {"id", call->id},
               {"method", call->route && call->early != 405 ? call->route->method : "?"},
               {"path", call->route ? call->route->path : "?"}};
  for (size_t i = 0; i < 4; i++) mv_json_key(&w, texts[i].key), mv_json_text(&w, texts[i].text);
  const struct {
    const char *key;
    int64_t value;
  } counts[] = {{"status", call->status},
                {"ms", (int64_t)(mv_now_ms() - call->start_ms)},
                {"bytes_out", (int64_t)call->n_out_bytes},
                {"prompt_tokens", (int64_t)n_prompt},
                {"completion_tokens", (int64_t)n_new}};
  for (size_t i = 0; i < 5; i++) mv_json_key(&w, counts[i].key), mv_json_int(&w, counts[i].value);
  mv_json_key(&w, "completed");
  mv_json_bool(&w, completed);
  mv_json_end_object(&w);
  mv_buf_char(&line, '\n');
  if (!line.failed) fwrite(line.ptr, 1, line.len, stderr);
  mv_buf_free(&line);
}
