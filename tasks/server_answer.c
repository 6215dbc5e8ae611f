/* What a call is answered with, whole or as a stream of events. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tasks/server.h"
#include "tokenizer/tokenizer.h"

#define QUIET_S 10 /* a stream without news says so this often */

/* ---- pieces ---- */

static void put_text(mv_json_writer *w, const char *key, const char *text) {
  mv_json_key(w, key);
  mv_json_text(w, text);
}

static void put_count(mv_json_writer *w, const char *key, size_t n) {
  mv_json_key(w, key);
  mv_json_int(w, (int64_t)n);
}

static const char *finish_of(const mv_result *result) {
  return result->finish == MV_FINISH_CANCELLED ? "abort" : mv_finish_name(result->finish);
}

void mv_write_timings(const mv_result *result, mv_json_writer *w) {
  const mv_timings *t = &result->timings;
  const struct {
    const char *key;
    double ms;
  } times[] = {{"queue_ms", t->queue_ms},
               {"image_ms", t->image_ms},
               {"vision_ms", t->vision_ms},
               {"prefill_ms", t->prefill_ms},
               {"decode_ms", t->decode_ms},
               {"total_ms", t->total_ms},
               {"time_to_first_token_ms", t->ttft_ms}};
  mv_json_key(w, "timings");
  mv_json_begin_object(w);
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    mv_json_key(w, times[i].key);
    mv_json_double(w, round(times[i].ms * 1e3) / 1e3);
  }
  put_count(w, "drafted_tokens", result->n_drafted);
  put_count(w, "accepted_tokens", result->n_accepted);
  mv_json_end_object(w);
}

/* The prompt counts once, however many answers it has. */
static void write_usage(const mv_call *call, mv_json_writer *w) {
  size_t n_prompt = 0, n_new = 0, n_cached = 0, n_image = 0;
  for (int i = 0; i < call->n_choice; i++) {
    const mv_result *r = &call->choices[i].result;
    n_new += r->n_token;
    if (call->is_chat && i) continue;
    n_cached += r->n_cached_token;
    n_prompt += r->n_prompt;
    n_image += r->n_image_token;
  }
  mv_json_key(w, "usage");
  mv_json_begin_object(w);
  put_count(w, "prompt_tokens", n_prompt);
  put_count(w, "completion_tokens", n_new);
  put_count(w, "total_tokens", n_prompt + n_new);
  mv_json_key(w, "prompt_tokens_details");
  mv_json_begin_object(w);
  put_count(w, "cached_tokens", n_cached);
  put_count(w, "image_tokens", n_image);
  mv_json_end_object(w);
  mv_json_end_object(w);
}

/* ---- log-probabilities ---- */

static mv_str token_text(const mv_call *call, int32_t id) {
  return mv_tokenizer_token(mv_model_tokenizer(call->server->model), id);
}

/* Minus infinity has no form in JSON. */
static void put_logprob(mv_json_writer *w, float logprob) {
  mv_json_float(w, logprob > -9999.0f ? logprob : -9999.0f);
}

typedef struct logs {
  const mv_logprob *chosen, *top; /* [n], [n, k] */
  size_t n, k;
} logs;

/* Of the answer's tokens from the given one on, without the end token. */
static logs logs_of(const mv_call *call, const mv_result *r, size_t from) {
  const mv_tokenizer *tok = mv_model_tokenizer(call->server->model);
  size_t n = r->n_token, k = r->n_logprob > 0 ? (size_t)r->n_logprob : 0;
  if (n && r->finish == MV_FINISH_STOP && mv_tokenizer_is_special(tok, r->token_ids[n - 1])) n--;
  if (!r->logprobs || n <= from) return (logs){0};
  return (logs){r->logprobs + from, k ? r->top + from * k : NULL, n - from, k};
}

static logs fresh_logs(const mv_call *call, const mv_fresh *fresh) {
  const void *chosen = fresh->logprobs.ptr, *top = fresh->top.ptr;
  return (logs){chosen, top, fresh->logprobs.len / sizeof(mv_logprob),
                (size_t)(call->request.n_logprob > 0 ? call->request.n_logprob : 0)};
}

static void put_token(const mv_call *call, mv_json_writer *w, mv_logprob entry) {
  mv_str text = token_text(call, entry.token_id);
  mv_json_key(w, "token");
  mv_json_string(w, text);
  mv_json_key(w, "logprob");
  put_logprob(w, entry.logprob);
  mv_json_key(w, "bytes");
  mv_json_begin_array(w);
  for (size_t i = 0; i < text.len; i++) mv_json_int(w, (unsigned char)text.ptr[i]);
  mv_json_end_array(w);
}

static void write_chat_logprobs(const mv_call *call, const logs *l, mv_json_writer *w) {
  mv_json_begin_object(w);
  mv_json_key(w, "content");
  mv_json_begin_array(w);
  for (size_t i = 0; i < l->n; i++) {
    mv_json_begin_object(w);
    put_token(call, w, l->chosen[i]);
    mv_json_key(w, "top_logprobs");
    mv_json_begin_array(w);
    for (size_t j = 0; j < l->k; j++) {
      mv_json_begin_object(w);
      put_token(call, w, l->top[i * l->k + j]);
      mv_json_end_object(w);
    }
    mv_json_end_array(w);
    mv_json_end_object(w);
  }
  mv_json_end_array(w);
  mv_json_end_object(w);
}

static void write_top(const mv_call *call, const mv_logprob *top, size_t k, mv_json_writer *w) {
  mv_json_begin_object(w);
  for (size_t j = 0; j < k; j++) {
    mv_json_key_str(w, token_text(call, top[j].token_id));
    put_logprob(w, top[j].logprob);
  }
  mv_json_end_object(w);
}

static size_t count_characters(mv_str text) {
  size_t n = 0;
  for (size_t i = 0; i < text.len; i++) n += (text.ptr[i] & 0xc0) != 0x80;
  return n;
}

/* Returns the characters of the tokens. */
static size_t write_text_logprobs(const mv_call *call, const logs *l, size_t offset,
                                  mv_json_writer *w) {
  size_t at = offset;
  mv_json_begin_object(w);
  mv_json_key(w, "tokens");
  mv_json_begin_array(w);
  for (size_t i = 0; i < l->n; i++) mv_json_string(w, token_text(call, l->chosen[i].token_id));
  mv_json_end_array(w);
  mv_json_key(w, "token_logprobs");
  mv_json_begin_array(w);
  for (size_t i = 0; i < l->n; i++) put_logprob(w, l->chosen[i].logprob);
  mv_json_end_array(w);
  mv_json_key(w, "top_logprobs");
  mv_json_begin_array(w);
  for (size_t i = 0; i < l->n; i++) write_top(call, l->top + i * l->k, l->k, w);
  mv_json_end_array(w);
  mv_json_key(w, "text_offset");
  mv_json_begin_array(w);
  for (size_t i = 0; i < l->n; i++) {
    mv_json_int(w, (int64_t)at);
    at += count_characters(token_text(call, l->chosen[i].token_id));
  }
  mv_json_end_array(w);
  mv_json_end_object(w);
  return at - offset;
}

/* `l` may be NULL: none. Advances the choice beyond what is written. */
static void write_logprobs(const mv_call *call, mv_choice *choice, const logs *l,
                           mv_json_writer *w) {
  mv_json_key(w, "logprobs");
  if (!call->wants_logprobs || !l)
    mv_json_null(w);
  else if (call->is_chat)
    write_chat_logprobs(call, l, w);
  else
    choice->offset += write_text_logprobs(call, l, choice->offset, w);
  if (l) choice->n_logged += l->n;
}

/* ---- whole answers ---- */

static void begin_answer(const mv_call *call, const char *object, mv_json_writer *w) {
  char id[48];
  snprintf(id, sizeof id, "%s%s", call->is_chat ? "chatcmpl-" : "cmpl-", call->id + 4);
  mv_json_begin_object(w);
  put_text(w, "id", id);
  put_text(w, "object", object);
  put_count(w, "created", (size_t)time(NULL));
  mv_json_key(w, "model");
  mv_json_string(w, call->model);
}

static void write_choice(const mv_call *call, mv_choice *choice, mv_json_writer *w) {
  const mv_result *r = &choice->result;
  logs all = logs_of(call, r, 0);
  mv_json_begin_object(w);
  put_count(w, "index", (size_t)choice->index);
  if (call->is_chat) {
    mv_json_key(w, "message");
    mv_json_begin_object(w);
    put_text(w, "role", "assistant");
    mv_json_key(w, "content");
    mv_json_string(w, mv_buf_view(&r->text));
    mv_json_key(w, "refusal");
    mv_json_null(w);
    mv_json_end_object(w);
  } else {
    mv_json_key(w, "text");
    mv_json_string(w, mv_buf_view(&r->text));
  }
  write_logprobs(call, choice, &all, w);
  put_text(w, "finish_reason", finish_of(r));
  mv_json_end_object(w);
}

void mv_answer_chat(mv_call *call) {
  mv_json_writer w = mv_server_json(&call->out);
  for (int i = 0; i < call->n_choice; i++) {
    const mv_choice *choice = &call->choices[i];
    if (choice->result.status == MV_OK) continue;
    call->status = mv_status_of_error(&choice->err);
    mv_write_error(&call->out, call->status, NULL, choice->err.msg);
    return;
  }
  begin_answer(call, call->is_chat ? "chat.completion" : "text_completion", &w);
  mv_json_key(&w, "choices");
  mv_json_begin_array(&w);
  for (int i = 0; i < call->n_choice; i++) write_choice(call, &call->choices[i], &w);
  mv_json_end_array(&w);
  write_usage(call, &w);
  mv_write_timings(&call->choices[0].result, &w);
  mv_json_end_object(&w);
}

/* ---- streams ---- */

static void begin_event(mv_call *call) { mv_buf_text(&call->out, "data: "); }
static void end_event(mv_call *call) { mv_buf_text(&call->out, "\n\n"); }

typedef struct chunk {
  mv_choice *choice;
  mv_str text;
  int is_first;           /* names the role */
  const logs *logs;       /* log-probabilities that go along, or NULL */
  const mv_result *ended; /* the choice is over, or NULL */
} chunk;

static void write_chunk(mv_call *call, const chunk *c) {
  mv_json_writer w = mv_server_json(&call->out);
  begin_event(call);
  begin_answer(call, call->is_chat ? "chat.completion.chunk" : "text_completion", &w);
  mv_json_key(&w, "choices");
  mv_json_begin_array(&w);
  mv_json_begin_object(&w);
  put_count(&w, "index", (size_t)c->choice->index);
  if (call->is_chat) {
    mv_json_key(&w, "delta");
    mv_json_begin_object(&w);
    if (c->is_first) put_text(&w, "role", "assistant");
  }
  if (!call->is_chat || !c->ended) {
    mv_json_key(&w, call->is_chat ? "content" : "text");
    mv_json_string(&w, c->text);
  }
  if (call->is_chat) mv_json_end_object(&w);
  write_logprobs(call, c->choice, c->logs, &w);
  mv_json_key(&w, "finish_reason");
  if (c->ended)
    mv_json_text(&w, finish_of(c->ended));
  else
    mv_json_null(&w);
  mv_json_end_object(&w);
  mv_json_end_array(&w);
  if (c->ended) mv_write_timings(c->ended, &w);
  mv_json_end_object(&w);
  end_event(call);
}

static void write_delta(mv_call *call, mv_choice *choice, const mv_fresh *fresh) {
  if (!call->measured) {
    logs l = fresh_logs(call, fresh);
    write_chunk(call, &(chunk){choice, mv_buf_view(&fresh->text), .logs = &l});
    return;
  }
  mv_json_writer w = mv_server_json(&call->out);
  begin_event(call);
  mv_json_begin_object(&w);
  mv_json_key(&w, "delta");
  mv_json_string(&w, mv_buf_view(&fresh->text));
  mv_json_end_object(&w);
  end_event(call);
}

static void write_stream_error(mv_call *call, const mv_error *err) {
  begin_event(call);
  mv_write_error(&call->out, mv_status_of_error(err), NULL, err->msg);
  end_event(call);
}

static void write_measured(mv_call *call) {
  mv_buf text = {0};
  mv_json_writer w = mv_server_json(&text);
  mv_error err = {0};
  mv_json_begin_object(&w);
  mv_status status = mv_measure_result(call, &w, &err);
  mv_json_end_object(&w);
  if (status == MV_OK) status = mv_buf_status(&text, &err);
  if (status == MV_OK) {
    begin_event(call);
    mv_buf_str(&call->out, mv_buf_view(&text));
    end_event(call);
  } else {
    write_stream_error(call, &err);
  }
  mv_buf_free(&text);
}

static void write_end(mv_call *call, mv_choice *choice) {
  const mv_result *r = &choice->result;
  choice->is_told = 1;
  if (r->status != MV_OK) {
    write_stream_error(call, &choice->err);
  } else if (call->measured) {
    write_measured(call);
  } else {
    logs rest = logs_of(call, r, choice->n_logged); /* of tokens without text */
    if (rest.n) write_chunk(call, &(chunk){.choice = choice, .logs = &rest});
    write_chunk(call, &(chunk){.choice = choice, .ended = r});
  }
}

static void write_tail(mv_call *call) {
  if (call->include_usage) {
    mv_json_writer w = mv_server_json(&call->out);
    begin_event(call);
    begin_answer(call, call->is_chat ? "chat.completion.chunk" : "text_completion", &w);
    mv_json_key(&w, "choices");
    mv_json_begin_array(&w);
    mv_json_end_array(&w);
    write_usage(call, &w);
    mv_json_end_object(&w);
    end_event(call);
  }
  mv_buf_text(&call->out, "data: [DONE]\n\n");
}

static int has_news(const mv_choice *c) {
  return !c->is_told && (c->fresh.text.len || mv_fresh_failed(&c->fresh) || c->is_done);
}

/* Waits for text or an end. Returns the choice that has some, with its text in *fresh (the caller
 * frees it); NULL when nothing came for a while. */
static mv_choice *wait_for_news(mv_call *call, mv_fresh *fresh) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += QUIET_S;
  mv_choice *found = NULL;
  int expired = 0;
  pthread_mutex_lock(&call->lock);
  while (!found && !expired) {
    for (int i = 0; i < call->n_choice && !found; i++)
      if (has_news(&call->choices[i])) found = &call->choices[i];
    if (!found) expired = pthread_cond_timedwait(&call->news, &call->lock, &until) == ETIMEDOUT;
  }
  if (found) {
    *fresh = found->fresh;
    memset(&found->fresh, 0, sizeof found->fresh);
  }
  pthread_mutex_unlock(&call->lock);
  return found;
}

static void write_news(mv_call *call, mv_choice *choice, const mv_fresh *fresh) {
  static const mv_error no_memory = {.code = MV_ERR_MEMORY, .msg = "out of memory"};
  if (mv_fresh_failed(fresh)) {
    write_stream_error(call, &no_memory);
    choice->is_told = 1;
  } else if (fresh->text.len) {
    write_delta(call, choice, fresh);
  } else {
    write_end(call, choice);
  }
}

static int all_told(const mv_call *call) {
  for (int i = 0; i < call->n_choice; i++)
    if (!call->choices[i].is_told) return 0;
  return 1;
}

int mv_stream_fill(mv_call *call) {
  mv_fresh fresh = {0};
  if (call->stage == 3) return 0;
  if (call->stage == 0) {
    call->stage = 1;
    for (int i = 0; call->is_chat && i < call->n_choice; i++)
      write_chunk(call, &(chunk){.choice = &call->choices[i], .text = {"", 0}, .is_first = 1});
    if (call->out.len) return 1;
  }
  if (all_told(call)) {
    call->stage = 3;
    write_tail(call);
    return 1;
  }
  mv_choice *choice = wait_for_news(call, &fresh);
  if (choice)
    write_news(call, choice, &fresh);
  else
    mv_buf_text(&call->out, ": waiting\n\n");
  mv_fresh_free(&fresh);
  return 1;
}
