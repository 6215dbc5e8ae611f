/* /v1/chat/completions and /v1/completions: from a body to requests of the engine. */
#include <string.h>

#include "tasks/messages.h"
#include "tasks/server.h"

/* ---- messages ---- */

static mv_status picture_of(void *user, mv_str url, mv_image *out, mv_error *err) {
  return mv_server_picture(user, url, out, err);
}

static mv_status read_messages(mv_call *call, mv_error *err) {
  return mv_messages_read(mv_json_get(call->doc.root, "messages"), picture_of, call->server,
                          &call->arena, &call->request, &call->images, err);
}

/* ---- submitting ---- */

static mv_status submit_all(mv_call *call, const mv_str *prompts, int n_prompt, int n,
                            mv_error *err) {
  for (int p = 0; p < n_prompt; p++)
    for (int i = 0; i < n; i++) {
      mv_request request = call->request;
      if (prompts) request.prompt = prompts[p];
      request.sampling.seed += (uint64_t)i;
      MV_TRY(mv_call_submit(call, &request, err));
    }
  return MV_OK;
}

/* The decoded pictures, once the engine has their patches. */
static void drop_images(mv_call *call) {
  for (int i = 0; i < call->request.n_image; i++) mv_image_free(&call->images[i]);
}

static int reply(mv_call *call, mv_status status, const mv_error *err) {
  drop_images(call);
  if (status != MV_OK) return mv_reply_failed(call, err);
  if (call->stream) return mv_reply_stream(call);
  mv_call_wait(call);
  mv_answer_chat(call);
  return mv_reply_json(call, call->status ? call->status : 200);
}

int mv_serve_chat(mv_call *call) {
  mv_error err = {0};
  int n = 1;
  call->is_chat = 1;
  mv_status status = mv_body_decoding(call, &n, &err);
  if (status != MV_OK) return mv_reply_failed(call, &err);
  if (!mv_call_reserve(call, n)) return mv_reply_busy(call);
  sem_wait(&call->server->preparing);
  status = read_messages(call, &err);
  if (status == MV_OK) status = submit_all(call, NULL, 1, n, &err);
  sem_post(&call->server->preparing);
  return reply(call, status, &err);
}

/* ---- completions ---- */

static mv_status read_prompts(mv_call *call, mv_str prompts[MV_SERVER_MAX_CHOICES], int *n_prompt,
                              mv_error *err) {
  const mv_json *node = mv_json_get(call->doc.root, "prompt");
  static const char *const no[] = {"suffix", "echo", "best_of"};
  int list = mv_json_is(node, MV_JSON_ARRAY);
  for (size_t i = 0; i < 3; i++) {
    const mv_json *other = mv_json_get(call->doc.root, no[i]);
    int is_off = !other || other->type == MV_JSON_NULL ||
                 (other->type == MV_JSON_BOOL && !other->truth) ||
                 (i == 2 && other->type == MV_JSON_INT && other->number > 0 && other->number < 2);
    if (!is_off) return mv_fail(err, MV_ERR_USAGE, "\"%s\": not supported by this server", no[i]);
  }
  *n_prompt = 0;
  for (const mv_json *p = list ? node->first : node; p; p = list ? p->next : NULL) {
    if (p->type != MV_JSON_STRING || *n_prompt == MV_SERVER_MAX_CHOICES)
      return mv_fail(err, MV_ERR_USAGE,
                     "\"prompt\": expected a string or up to %d of them (no token ids)",
                     MV_SERVER_MAX_CHOICES);
    prompts[(*n_prompt)++] = p->text;
  }
  return *n_prompt ? MV_OK : mv_fail(err, MV_ERR_USAGE, "\"prompt\": expected a string");
}

int mv_serve_complete(mv_call *call) {
  mv_str prompts[MV_SERVER_MAX_CHOICES];
  mv_error err = {0};
  int n = 1, n_prompt = 0;
  mv_status status = mv_body_decoding(call, &n, &err);
  if (status == MV_OK) status = read_prompts(call, prompts, &n_prompt, &err);
  if (status == MV_OK && n * n_prompt > MV_SERVER_MAX_CHOICES)
    status = mv_fail(&err, MV_ERR_USAGE, "\"n\": up to %d answers in all", MV_SERVER_MAX_CHOICES);
  if (status != MV_OK) return mv_reply_failed(call, &err);
  if (!mv_call_reserve(call, n * n_prompt)) return mv_reply_busy(call);
  call->request.is_raw = 1;
  sem_wait(&call->server->preparing);
  status = submit_all(call, prompts, n_prompt, n, &err);
  sem_post(&call->server->preparing);
  return reply(call, status, &err);
}
