#include "tasks/batch.h"

#include <stdio.h>
#include <string.h>

#include "runtime/memory.h"
#include "tasks/messages.h"

/* ---- base64 ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void mv_base64_encode(const void *bytes, size_t n, mv_buf *out) {
  const unsigned char *b = bytes;
  mv_buf_reserve(out, n / 3 * 4 + 4);
  for (size_t i = 0; i < n; i += 3) {
    unsigned long v = 0;
    size_t left = n - i < 3 ? n - i : 3;
    for (size_t j = 0; j < 3; j++) v = v << 8 | (j < left ? b[i + j] : 0);
    for (size_t j = 0; j < 4; j++)
      mv_buf_char(out, j <= left ? digits[v >> (18 - 6 * j) & 63] : '=');
  }
}

mv_status mv_base64_decode(mv_str text, mv_buf *out, mv_error *err) {
  unsigned long v = 0;
  size_t n = 0, pad = 0;
  mv_buf_reserve(out, text.len / 4 * 3 + 3);
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c == '\n' || c == '\r') continue;
    const char *digit = c && c != '=' ? strchr(digits, c) : NULL;
    if ((!digit && c != '=') || (digit && pad) || pad > 2)
      return mv_fail(err, MV_ERR_FORMAT, "expected base64, found '%c' at byte %zu",
                     c >= ' ' && c < 127 ? c : '?', i);
    pad += !digit;
    v = v << 6 | (digit ? (unsigned long)(digit - digits) : 0);
    if (++n % 4) continue;
    for (size_t j = 0; j < 3 - pad; j++) mv_buf_char(out, (char)(v >> (16 - 8 * j) & 255));
  }
  if (n % 4) return mv_fail(err, MV_ERR_FORMAT, "expected base64, its end is missing");
  return mv_buf_status(out, err);
}

/* ---- reading requests ---- */

static mv_status read_url(void *user, mv_str url, mv_image *out, mv_error *err) {
  (void)user;
  static const char data[] = "data:", mark[] = ";base64,";
  mv_buf bytes = {0};
  mv_status status;
  if (url.len > 5 && !memcmp(url.ptr, data, 5)) {
    size_t at = 5;
    while (at + 8 <= url.len && memcmp(url.ptr + at, mark, 8) != 0) at++;
    if (at + 8 > url.len || at > 100)
      return mv_fail(err, MV_ERR_USAGE, "\"image_url\": expected data:image/png;base64,...");
    status = mv_base64_decode((mv_str){url.ptr + at + 8, url.len - at - 8}, &bytes, err);
    if (status == MV_OK) status = mv_image_decode(bytes.ptr, bytes.len, out, err);
  } else {
    size_t skip = url.len > 7 && !memcmp(url.ptr, "file://", 7) ? 7 : 0;
    if (memchr(url.ptr, 0, url.len) || (url.len > 4 && !memcmp(url.ptr, "http", 4)))
      return mv_fail(err, MV_ERR_USAGE,
                     "\"image_url\": expected a data: URL or a file, nothing is fetched");
    mv_buf_add(&bytes, url.ptr + skip, url.len - skip);
    status = mv_buf_status(&bytes, err);
    if (status == MV_OK) status = mv_image_load(bytes.ptr ? bytes.ptr : "", out, err);
  }
  mv_buf_free(&bytes);
  return status;
}

static mv_status read_number(const mv_json *body, const char *key, double min, double max,
                             double *out, mv_error *err) {
  const mv_json *node = mv_json_get(body, key);
  if (!node || mv_json_is(node, MV_JSON_NULL)) return MV_OK;
  if (!mv_json_is_number(node) || !(node->number >= min && node->number <= max))
    return mv_fail(err, MV_ERR_USAGE, "\"%s\": expected a number from %g to %g", key, min, max);
  *out = node->number;
  return MV_OK;
}

static mv_status read_stop(mv_batch_question *q, const mv_json *body, mv_request *request,
                           mv_error *err) {
  const mv_json *stop = mv_json_get(body, "stop");
  int n = 0;
  if (!stop || mv_json_is(stop, MV_JSON_NULL)) return MV_OK;
  if (!mv_json_is(stop, MV_JSON_STRING) && !mv_json_is(stop, MV_JSON_ARRAY))
    return mv_fail(err, MV_ERR_USAGE, "\"stop\": expected up to four texts");
  const mv_json *one = mv_json_is(stop, MV_JSON_STRING) ? stop : stop->first;
  for (; one; one = one->next) {
    if (!mv_json_is(one, MV_JSON_STRING) || !one->text.len || n == 4)
      return mv_fail(err, MV_ERR_USAGE, "\"stop\": expected up to four texts");
    q->stop[n++] = one->text;
    if (one == stop) break;
  }
  if (n) request->stop = q->stop, request->n_stop = n;
  return MV_OK;
}

static mv_status read_decoding(mv_batch_question *q, const mv_json *body, mv_request *request,
                               mv_error *err) {
  double tokens = request->max_new_tokens, temperature = (double)request->sampling.temperature;
  double top_p = (double)request->sampling.top_p, seed = (double)request->sampling.seed;
  MV_TRY(read_number(body, "max_tokens", 1, 1 << 24, &tokens, err));
  MV_TRY(read_number(body, "max_completion_tokens", 1, 1 << 24, &tokens, err));
  MV_TRY(read_number(body, "temperature", 0, 100, &temperature, err));
  MV_TRY(read_number(body, "top_p", 1e-6, 1, &top_p, err));
  MV_TRY(read_number(body, "seed", 0, 1e15, &seed, err));
  request->max_new_tokens = (int)tokens;
  request->sampling.temperature = (float)temperature;
  request->sampling.top_p = (float)top_p;
  request->sampling.seed = (uint64_t)seed;
  return read_stop(q, body, request, err);
}

mv_status mv_batch_question_read(mv_batch_question *q, const mv_json *line, mv_request *request,
                                 mv_error *err) {
  const mv_json *url = mv_json_get(line, "url"), *body = mv_json_get(line, "body");
  memset(q, 0, sizeof *q);
  if (mv_json_is(url, MV_JSON_STRING) && !mv_str_is(url->text, "/v1/chat/completions"))
    return mv_fail(err, MV_ERR_USAGE, "\"url\": expected /v1/chat/completions");
  mv_status status = mv_messages_read(mv_json_get(body, "messages"), read_url, NULL, &q->arena,
                                      request, &q->images, err);
  q->n_image = request->n_image;
  return status == MV_OK ? read_decoding(q, body, request, err) : status;
}

void mv_batch_question_free(mv_batch_question *q) {
  mv_messages_free_images(q->images, q->n_image);
  mv_arena_reset(&q->arena);
  memset(q, 0, sizeof *q);
}

/* ---- writing ---- */

static void put_str(mv_json_writer *w, const char *key, mv_str text) {
  mv_json_key(w, key);
  mv_json_string(w, text);
}

static void put_text_part(mv_json_writer *w, mv_str text) {
  mv_json_begin_object(w);
  put_str(w, "type", mv_str_of("text"));
  put_str(w, "text", text);
  mv_json_end_object(w);
}

static void put_image_part(mv_json_writer *w, const mv_buf *url) {
  mv_json_begin_object(w);
  put_str(w, "type", mv_str_of("image_url"));
  mv_json_key(w, "image_url");
  mv_json_begin_object(w);
  put_str(w, "url", mv_buf_view(url));
  mv_json_end_object(w);
  mv_json_end_object(w);
}

static void put_message(mv_json_writer *w, const char *role, mv_str text, const mv_buf *url,
                        mv_image_order order) {
  mv_json_begin_object(w);
  put_str(w, "role", mv_str_of(role));
  mv_json_key(w, "content");
  if (!url) {
    mv_json_string(w, text);
  } else {
    mv_json_begin_array(w);
    if (order == MV_IMAGE_FIRST) put_image_part(w, url);
    put_text_part(w, text);
    if (order == MV_IMAGE_LAST) put_image_part(w, url);
    mv_json_end_array(w);
  }
  mv_json_end_object(w);
}

mv_status mv_batch_write_request(const char *custom_id, const char *model, mv_str system,
                                 mv_str prompt, const mv_image *image, mv_image_order order,
                                 int max_tokens, mv_buf *out, mv_error *err) {
  mv_buf png = {0}, url = {0};
  mv_status status = mv_image_encode_png(image, &png, err);
  mv_buf_text(&url, "data:image/png;base64,");
  if (status == MV_OK) mv_base64_encode(png.ptr, png.len, &url);
  mv_json_writer w = {.out = out};
  mv_json_begin_object(&w);
  put_str(&w, "custom_id", mv_str_of(custom_id));
  put_str(&w, "method", mv_str_of("POST"));
  put_str(&w, "url", mv_str_of("/v1/chat/completions"));
  mv_json_key(&w, "body");
  mv_json_begin_object(&w);
  put_str(&w, "model", mv_str_of(model));
  mv_json_key(&w, "messages");
  mv_json_begin_array(&w);
  if (system.len) put_message(&w, "system", system, NULL, order);
  put_message(&w, "user", prompt, &url, order);
  mv_json_end_array(&w);
  mv_json_key(&w, "max_tokens");
  mv_json_int(&w, max_tokens);
  mv_json_key(&w, "temperature");
  mv_json_int(&w, 0);
  mv_json_end_object(&w);
  mv_json_end_object(&w);
  mv_buf_char(out, '\n');
  if (status == MV_OK) status = mv_buf_status(&url, err);
  mv_buf_free(&png);
  mv_buf_free(&url);
  return status == MV_OK ? mv_buf_status(out, err) : status;
}

static void put_completion(mv_json_writer *w, const char *model, const mv_result *r) {
  mv_json_begin_object(w);
  put_str(w, "object", mv_str_of("chat.completion"));
  put_str(w, "model", mv_str_of(model));
  mv_json_key(w, "choices");
  mv_json_begin_array(w);
  mv_json_begin_object(w);
  mv_json_key(w, "index");
  mv_json_int(w, 0);
  mv_json_key(w, "message");
  mv_json_begin_object(w);
  put_str(w, "role", mv_str_of("assistant"));
  put_str(w, "content", mv_buf_view(&r->text));
  mv_json_end_object(w);
  put_str(w, "finish_reason", mv_str_of(mv_finish_name(r->finish)));
  mv_json_end_object(w);
  mv_json_end_array(w);
  mv_json_key(w, "usage");
  mv_json_begin_object(w);
  mv_json_key(w, "prompt_tokens");
  mv_json_int(w, (int64_t)r->n_prompt);
  mv_json_key(w, "completion_tokens");
  mv_json_int(w, (int64_t)r->n_token);
  mv_json_key(w, "total_tokens");
  mv_json_int(w, (int64_t)(r->n_prompt + r->n_token));
  mv_json_end_object(w);
  mv_json_end_object(w);
}

void mv_batch_write_answer(mv_str custom_id, const char *model, const mv_result *result,
                           const mv_error *why, mv_buf *out) {
  mv_json_writer w = {.out = out};
  mv_buf id = {0};
  mv_buf_text(&id, "batch_req_");
  mv_buf_str(&id, custom_id);
  mv_json_begin_object(&w);
  put_str(&w, "id", mv_buf_view(&id));
  put_str(&w, "custom_id", custom_id);
  mv_json_key(&w, "response");
  if (why) {
    mv_json_null(&w);
  } else {
    mv_json_begin_object(&w);
    mv_json_key(&w, "status_code");
    mv_json_int(&w, 200);
    put_str(&w, "request_id", mv_buf_view(&id));
    mv_json_key(&w, "body");
    put_completion(&w, model, result);
    mv_json_end_object(&w);
  }
  mv_json_key(&w, "error");
  if (why) {
    mv_json_begin_object(&w);
    put_str(&w, "code", mv_str_of(why->code == MV_ERR_USAGE ? "invalid_request" : "failed"));
    put_str(&w, "message", mv_str_of(why->msg));
    mv_json_end_object(&w);
  } else {
    mv_json_null(&w);
  }
  mv_json_end_object(&w);
  mv_buf_char(out, '\n');
  mv_buf_free(&id);
}

/* ---- reading answers ---- */

int mv_batch_answer_text(const mv_json *line, mv_str *text, mv_str *why) {
  const mv_json *body = mv_json_get(mv_json_get(line, "response"), "body");
  const mv_json *choice = mv_json_at(mv_json_get(body, "choices"), 0);
  const mv_json *content = mv_json_get(mv_json_get(choice, "message"), "content");
  const mv_json *message = mv_json_get(mv_json_get(line, "error"), "message");
  if (!message) message = mv_json_get(mv_json_get(body, "error"), "message");
  if (mv_json_is(content, MV_JSON_STRING)) {
    *text = content->text;
    return 1;
  }
  *why = mv_json_is(message, MV_JSON_STRING) ? message->text
                                             : mv_str_of("the answer's line has no message");
  return 0;
}
