/* What a call is answered with, whole or as a stream of events. */
#include <errno.h>
#include <math.h>
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

/* Of the tokens that are text: without the end token. */
static size_t count_text_tokens(const mv_call *call, const mv_result *r) {
  const mv_tokenizer *tok = mv_model_tokenizer(call->server->model);
  size_t n = r->n_token;
  if (n && r->finish == MV_FINISH_STOP && mv_tokenizer_is_special(tok, r->token_ids[n - 1])) n--;
  return n;
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

static void write_chat_logprobs(const mv_call *call, const mv_result *r, mv_json_writer *w) {
  size_t n = count_text_tokens(call, r), k = r->n_logprob > 0 ? (size_t)r->n_logprob : 0;
  mv_json_begin_object(w);
  mv_json_key(w, "content");
  mv_json_begin_array(w);
  for (size_t i = 0; i < n; i++) {
    mv_json_begin_object(w);
    put_token(call, w, r->logprobs[i]);
    mv_json_key(w, "top_logprobs");
    mv_json_begin_array(w);
    for (size_t j = 0; j < k; j++) {
      mv_json_begin_object(w);
      put_token(call, w, r->top[i * k + j]);
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

static void write_text_logprobs(const mv_call *call, const mv_result *r, mv_json_writer *w) {
  size_t n = count_text_tokens(call, r), k = r->n_logprob > 0 ? (size_t)r->n_logprob : 0, at = 0;
  mv_json_begin_object(w);
  mv_json_key(w, "tokens");
  mv_json_begin_array(w);
  for (size_t i = 0; i < n; i++) mv_json_string(w, token_text(call, r->token_ids[i]));
  mv_json_end_array(w);
  mv_json_key(w, "token_logprobs");
  mv_json_begin_array(w);
  for (size_t i = 0; i < n; i++) put_logprob(w, r->logprobs[i].logprob);
  mv_json_end_array(w);
  mv_json_key(w, "top_logprobs");
  mv_json_begin_array(w);
  for (size_t i = 0; i < n; i++) write_top(call, r->top + i * k, k, w);
  mv_json_end_array(w);
  mv_json_key(w, "text_offset");
  mv_json_begin_array(w);
  for (size_t i = 0; i < n; i++) {
    mv_json_int(w, (int64_t)at);
    at += token_text(call, r->token_ids[i]).len;
  }
  mv_json_end_array(w);
  mv_json_end_object(w);
}

static void write_logprobs(const mv_call *call, const mv_result *r, mv_json_writer *w) {
  mv_json_key(w, "logprobs");
  if (!call->wants_logprobs || !r)
    mv_json_null(w);
  else if (call->is_chat)
    write_chat_logprobs(call, r, w);
  else
    write_text_logprobs(call, r, w);
}

/* ---- whole answers ---- */

static void begin_answer(const mv_call *call, const char *object, mv_json_writer *w) {
  mv_buf id = {0};
  mv_buf_text(&id, call->is_chat ? "chatcmpl-" : "cmpl-");
  mv_buf_text(&id, call->id + 4);
  mv_json_begin_object(w);
  mv_json_key(w, "id");
  mv_json_string(w, mv_buf_view(&id));
  mv_buf_free(&id);
  put_text(w, "object", object);
  put_count(w, "created", (size_t)time(NULL));
  mv_json_key(w, "model");
  mv_json_string(w, call->model);
}

static void write_choice(const mv_call *call, const mv_choice *choice, mv_json_writer *w) {
  const mv_result *r = &choice->result;
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
  write_logprobs(call, r, w);
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
  const mv_choice *choice;
  mv_str text;
  int is_first;           /* names the role */
  const mv_result *logs;  /* whose log-probabilities go along, or NULL */
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
  write_logprobs(call, c->logs, &w);
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

static void write_delta(mv_call *call, const mv_choice *choice, mv_str text) {
  if (!call->measured) {
    write_chunk(call, &(chunk){.choice = choice, .text = text});
    return;
  }
  mv_json_writer w = mv_server_json(&call->out);
  begin_event(call);
  mv_json_begin_object(&w);
  mv_json_key(&w, "delta");
  mv_json_string(&w, text);
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
    if (call->wants_logprobs) write_chunk(call, &(chunk){.choice = choice, .logs = r});
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

/* Waits for text or an end. Returns the choice that has some, with its text in *text; NULL when
 * nothing came for a while. */
static mv_choice *wait_for_news(mv_call *call, mv_buf *text) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += QUIET_S;
  mv_choice *found = NULL;
  int expired = 0;
  pthread_mutex_lock(&call->lock);
  while (!found && !expired) {
    for (int i = 0; i < call->n_choice && !found; i++) {
      mv_choice *c = &call->choices[i];
      if (c->fresh.len || (c->is_done && !c->is_told)) found = c;
    }
    if (!found) expired = pthread_cond_timedwait(&call->news, &call->lock, &until) == ETIMEDOUT;
  }
  if (found) {
    *text = found->fresh;
    memset(&found->fresh, 0, sizeof found->fresh);
  }
  pthread_mutex_unlock(&call->lock);
  return found;
}

static int all_told(const mv_call *call) {
  for (int i = 0; i < call->n_choice; i++)
    if (!call->choices[i].is_told) return 0;
  return 1;
}

int mv_stream_fill(mv_call *call) {
  mv_buf text = {0};
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
  mv_choice *choice = wait_for_news(call, &text);
  if (!choice)
    mv_buf_text(&call->out, ": waiting\n\n");
  else if (text.len)
    write_delta(call, choice, mv_buf_view(&text));
  else
    write_end(call, choice);
  mv_buf_free(&text);
  return 1;
}
