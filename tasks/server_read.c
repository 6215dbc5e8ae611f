/* Members of a request's body, each with one sentence when it is of the wrong kind. */
#include <string.h>

#include "tasks/server.h"

#define MAX_VALUES                                                               \
  1000000 /* in one body: what they take in memory is a hundred times their text \
           */

/* Counts what could begin a value, in and out of strings: an upper bound, without parsing. */
static size_t count_values(const mv_buf *body) {
  size_t n = 0;
  for (size_t i = 0; i < body->len; i++) {
    char c = body->ptr[i];
    n += c == ',' || c == '[' || c == '{';
  }
  return n;
}

mv_status mv_body_parse(mv_call *call, mv_error *err) {
  mv_str text = mv_buf_view(&call->body);
  if (count_values(&call->body) > MAX_VALUES)
    return mv_fail(err, MV_ERR_USAGE, "the body holds more than %d values", MAX_VALUES);
  mv_status status = mv_json_parse(&call->doc, text, err);
  if (status != MV_OK) return mv_error_prefix(err, "the body is not JSON");
  mv_buf_free(&call->body); /* the document has its own copy */
  if (!mv_json_is(call->doc.root, MV_JSON_OBJECT))
    return mv_fail(err, MV_ERR_USAGE, "the body: expected an object, found %s",
                   mv_json_type_name(call->doc.root));
  return MV_OK;
}

static const mv_json *member(const mv_json *body, const char *key) {
  const mv_json *node = mv_json_get(body, key);
  return mv_json_is(node, MV_JSON_NULL) ? NULL : node;
}

mv_status mv_body_text(const mv_json *body, const char *key, mv_str *out, mv_error *err) {
  const mv_json *node = member(body, key);
  if (!node) return MV_OK;
  if (node->type != MV_JSON_STRING)
    return mv_fail(err, MV_ERR_USAGE, "\"%s\": expected a string, found %s", key,
                   mv_json_type_name(node));
  *out = node->text;
  return MV_OK;
}

mv_status mv_body_bool(const mv_json *body, const char *key, int *out, mv_error *err) {
  const mv_json *node = member(body, key);
  if (!node) return MV_OK;
  if (node->type != MV_JSON_BOOL)
    return mv_fail(err, MV_ERR_USAGE, "\"%s\": expected true or false, found %s", key,
                   mv_json_type_name(node));
  *out = node->truth;
  return MV_OK;
}

mv_status mv_body_int(const mv_json *body, const char *key, int64_t min, int64_t max, int64_t *out,
                      mv_error *err) {
  const mv_json *node = member(body, key);
  int64_t value;
  if (!node) return MV_OK;
  if (node->type != MV_JSON_INT || !mv_json_to_int(node, &value) || value < min || value > max)
    return mv_fail(err, MV_ERR_USAGE, "\"%s\": expected a whole number from %lld to %lld", key,
                   (long long)min, (long long)max);
  *out = value;
  return MV_OK;
}

mv_status mv_body_real(const mv_json *body, const char *key, double min, double max, float *out,
                       mv_error *err) {
  const mv_json *node = member(body, key);
  if (!node) return MV_OK;
  if (!mv_json_is_number(node) || !(node->number >= min && node->number <= max))
    return mv_fail(err, MV_ERR_USAGE, "\"%s\": expected a number from %g to %g", key, min, max);
  *out = (float)node->number;
  return MV_OK;
}

/* ---- what is not taken ---- */

/* Members that would change the answer and that this server does not know how to obey: refused
 * unless they say what is done anyway. */
static mv_status refuse_unknown(const mv_json *body, mv_error *err) {
  static const char *const lists[] = {
      "tools",         "functions",      "logit_bias",         "guided_json", "guided_regex",
      "guided_choice", "guided_grammar", "structured_outputs", "audio",       "prefill"};
  static const char *const zeros[] = {"presence_penalty", "frequency_penalty", "min_p"};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    const mv_json *node = member(body, lists[i]);
    int is_empty =
        (mv_json_is(node, MV_JSON_ARRAY) || mv_json_is(node, MV_JSON_OBJECT)) && node->n_items == 0;
    if (node && !is_empty)
      return mv_fail(err, MV_ERR_USAGE, "\"%s\": not supported by this server", lists[i]);
  }
  for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++) {
    const mv_json *node = member(body, zeros[i]);
    if (node && !(mv_json_is_number(node) && node->number >= 0 && node->number <= 0))
      return mv_fail(err, MV_ERR_USAGE, "\"%s\": only 0 is supported", zeros[i]);
  }
  const mv_json *format = member(body, "response_format");
  const mv_json *type = mv_json_get(format, "type");
  if (format && !(mv_json_is(type, MV_JSON_STRING) && mv_str_is(type->text, "text")))
    return mv_fail(err, MV_ERR_USAGE,
                   "\"response_format\": only {\"type\": \"text\"} is supported");
  return MV_OK;
}

/* ---- decoding ---- */

static mv_status read_stop(mv_call *call, mv_error *err) {
  const mv_json *stop = member(call->doc.root, "stop");
  if (!stop) return MV_OK;
  int list = stop->type == MV_JSON_ARRAY;
  mv_str *texts = mv_arena_alloc(&call->arena, MV_SERVER_MAX_STOP * sizeof *texts);
  if (!texts) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  int n = 0;
  for (const mv_json *s = list ? stop->first : stop; s; s = list ? s->next : NULL) {
    if (s->type != MV_JSON_STRING || !s->text.len || n == MV_SERVER_MAX_STOP)
      return mv_fail(err, MV_ERR_USAGE, "\"stop\": expected a text or up to %d, none empty",
                     MV_SERVER_MAX_STOP);
    texts[n++] = s->text;
  }
  call->request.stop = texts;
  call->request.n_stop = n;
  return MV_OK;
}

static mv_status read_logprobs(mv_call *call, mv_error *err) {
  const mv_json *body = call->doc.root;
  int64_t top = 0;
  if (!call->is_chat) { /* completions: a number */
    if (!member(body, "logprobs")) return MV_OK;
    MV_TRY(mv_body_int(body, "logprobs", 0, MV_SERVER_MAX_LOGPROBS, &top, err));
    call->wants_logprobs = 1;
  } else {
    MV_TRY(mv_body_bool(body, "logprobs", &call->wants_logprobs, err));
    MV_TRY(mv_body_int(body, "top_logprobs", 0, MV_SERVER_MAX_LOGPROBS, &top, err));
    if (!call->wants_logprobs && top)
      return mv_fail(err, MV_ERR_USAGE, "\"top_logprobs\": needs \"logprobs\": true");
  }
  if (call->wants_logprobs) call->request.n_logprob = (int)top;
  return MV_OK;
}

static mv_status read_sampling(mv_call *call, mv_error *err) {
  const mv_json *body = call->doc.root;
  mv_sampling *s = &call->request.sampling;
  int64_t top_k = s->top_k, seed = -1;
  MV_TRY(mv_body_real(body, "temperature", 0, 100, &s->temperature, err));
  MV_TRY(mv_body_real(body, "top_p", 1e-6, 1, &s->top_p, err));
  MV_TRY(mv_body_real(body, "repetition_penalty", 1e-6, 1e6, &s->repetition_penalty, err));
  MV_TRY(mv_body_int(body, "top_k", -1, 1 << 24, &top_k, err));
  MV_TRY(mv_body_int(body, "seed", INT64_MIN, INT64_MAX, &seed, err));
  s->top_k = top_k < 0 ? 0 : (int)top_k;
  int has_seed = member(body, "seed") != NULL;
  /* Without a seed every sampled answer is another one. */
  s->seed = has_seed ? (uint64_t)seed
                     : s->seed + call->server->secret + atomic_fetch_add(&call->server->last_id, 1);
  return MV_OK;
}

static mv_status read_lengths(mv_call *call, mv_error *err) {
  const mv_json *body = call->doc.root;
  int64_t most = call->server->options->max_new_tokens, n = most;
  MV_TRY(mv_body_int(body, "max_tokens", 1, 1 << 24, &n, err));
  MV_TRY(mv_body_int(body, "max_completion_tokens", 1, 1 << 24, &n, err));
  if (n > most)
    return mv_fail(err, MV_ERR_USAGE, "\"max_tokens\": this server answers with up to %lld tokens",
                   (long long)most);
  call->request.max_new_tokens = (int)n;
  return MV_OK;
}

mv_status mv_body_decoding(mv_call *call, int *n, mv_error *err) {
  const mv_json *body = call->doc.root;
  const mv_json *options = member(body, "stream_options");
  int64_t n_choice = 1;
  call->model = mv_str_of(call->server->options->model_name);
  MV_TRY(mv_body_text(body, "model", &call->model, err));
  MV_TRY(mv_body_bool(body, "stream", &call->stream, err));
  if (options && options->type != MV_JSON_OBJECT)
    return mv_fail(err, MV_ERR_USAGE, "\"stream_options\": expected an object, found %s",
                   mv_json_type_name(options));
  if (options && !call->stream)
    return mv_fail(err, MV_ERR_USAGE, "\"stream_options\": needs \"stream\": true");
  MV_TRY(mv_body_bool(options, "include_usage", &call->include_usage, err));
  MV_TRY(refuse_unknown(body, err));
  MV_TRY(read_sampling(call, err));
  MV_TRY(read_lengths(call, err));
  MV_TRY(mv_body_bool(body, "ignore_eos", &call->request.ignore_eos, err));
  MV_TRY(mv_body_int(body, "n", 1, MV_SERVER_MAX_CHOICES, &n_choice, err));
  MV_TRY(read_stop(call, err));
  MV_TRY(read_logprobs(call, err));
  *n = (int)n_choice;
  return MV_OK;
}
