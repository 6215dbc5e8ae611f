/* What is answered without the engine: ids and text, names, counts. */
#include <string.h>
#include <time.h>

#include "tasks/server.h"
#include "tokenizer/tokenizer.h"

#define MAX_IDS 1000000

static void put_text(mv_json_writer *w, const char *key, const char *text) {
  mv_json_key(w, key);
  mv_json_text(w, text);
}

/* Special tokens written out in the text are characters here too. */
int mv_serve_tokenize(mv_call *call) {
  const mv_json *body = call->doc.root, *text = mv_json_get(body, "prompt");
  mv_error err = {0};
  mv_ids ids = {0};
  if (!text) text = mv_json_get(body, "text");
  if (!mv_json_is(text, MV_JSON_STRING))
    return mv_reply_error(call, 400, NULL, "\"prompt\": expected a string, found %s",
                          mv_json_type_name(text));
  const mv_tokenizer *tok = mv_model_tokenizer(call->server->model);
  if (mv_tokenizer_encode(tok, text->text, 0, &ids, &err) != MV_OK) {
    mv_ids_free(&ids);
    return mv_reply_failed(call, &err);
  }
  mv_json_writer w = mv_server_json(&call->out);
  mv_json_begin_object(&w);
  mv_json_key(&w, "count");
  mv_json_int(&w, (int64_t)ids.len);
  mv_json_key(&w, "max_model_len");
  mv_json_int(&w, (int64_t)call->server->options->max_tokens);
  mv_json_key(&w, "tokens");
  mv_json_begin_array(&w);
  for (size_t i = 0; i < ids.len; i++) mv_json_int(&w, ids.ids[i]);
  mv_json_end_array(&w);
  mv_json_end_object(&w);
  mv_ids_free(&ids);
  return mv_reply_json(call, 200);
}

static mv_status read_ids(const mv_json *list, mv_ids *ids, mv_error *err) {
  if (!mv_json_is(list, MV_JSON_ARRAY) || list->n_items > MAX_IDS)
    return mv_fail(err, MV_ERR_USAGE, "\"tokens\": expected an array of up to %d ids", MAX_IDS);
  for (const mv_json *node = list->first; node; node = node->next) {
    int64_t id;
    if (node->type != MV_JSON_INT || !mv_json_to_int(node, &id) || id < 0 || id > INT32_MAX)
      return mv_fail(err, MV_ERR_USAGE, "\"tokens\": expected ids, whole numbers from 0");
    MV_TRY(mv_ids_add(ids, (int32_t)id, err));
  }
  return MV_OK;
}

int mv_serve_detokenize(mv_call *call) {
  mv_error err = {0};
  mv_ids ids = {0};
  mv_buf text = {0};
  mv_status status = read_ids(mv_json_get(call->doc.root, "tokens"), &ids, &err);
  if (status == MV_OK)
    status = mv_tokenizer_decode(mv_model_tokenizer(call->server->model), ids.ids, ids.len, 0,
                                 &text, &err);
  if (status == MV_OK) {
    mv_json_writer w = mv_server_json(&call->out);
    mv_json_begin_object(&w);
    mv_json_key(&w, "prompt");
    mv_json_string(&w, mv_buf_view(&text));
    mv_json_end_object(&w);
  }
  mv_ids_free(&ids);
  mv_buf_free(&text);
  return status == MV_OK ? mv_reply_json(call, 200) : mv_reply_failed(call, &err);
}

int mv_serve_models(mv_call *call) {
  mv_json_writer w = mv_server_json(&call->out);
  mv_json_begin_object(&w);
  put_text(&w, "object", "list");
  mv_json_key(&w, "data");
  mv_json_begin_array(&w);
  mv_json_begin_object(&w);
  put_text(&w, "id", call->server->options->model_name);
  put_text(&w, "object", "model");
  mv_json_key(&w, "created");
  mv_json_int(&w, (int64_t)time(NULL));
  put_text(&w, "owned_by", "medvision");
  mv_json_key(&w, "max_model_len");
  mv_json_int(&w, (int64_t)call->server->options->max_tokens);
  mv_json_end_object(&w);
  mv_json_end_array(&w);
  mv_json_end_object(&w);
  return mv_reply_json(call, 200);
}

int mv_serve_health(mv_call *call) {
  int stopping = atomic_load(&call->server->stopping);
  mv_json_writer w = mv_server_json(&call->out);
  mv_json_begin_object(&w);
  put_text(&w, "status", stopping ? "stopping" : "ok");
  mv_json_end_object(&w);
  return mv_reply_json(call, stopping ? 503 : 200);
}

int mv_serve_version(mv_call *call) {
  mv_json_writer w = mv_server_json(&call->out);
  mv_json_begin_object(&w);
  put_text(&w, "version", MV_VERSION);
  put_text(&w, "device", mv_model_device_name(call->server->model));
  put_text(&w, "dtype",
           mv_model_precision(call->server->model) == MV_PRECISION_FP32 ? "fp32" : "bf16");
  mv_json_end_object(&w);
  return mv_reply_json(call, 200);
}

int mv_serve_metrics(mv_call *call) {
  mv_engine_stats stats;
  mv_engine_get_stats(call->server->engine, &stats);
  mv_traffic_write(&call->server->metrics, &stats, call->server->options->model_name, &call->out);
  if (call->out.failed) return mv_reply_json(call, 503);
  return mv_reply_bytes(call, 200, "text/plain; version=0.0.4; charset=utf-8", call->out.ptr,
                        call->out.len);
}
