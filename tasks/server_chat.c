/* /v1/chat/completions and /v1/completions: from a body to requests of the engine. */
#include <string.h>

#include "tasks/server.h"
#include "tokenizer/chat.h"

#define MAX_IMAGES 64
#define MAX_MESSAGES 4096

/* ---- messages ---- */

static mv_status read_part(mv_call *call, const mv_json *node, mv_chat_part *part, mv_error *err) {
  mv_str type = {"text", 4};
  MV_TRY(mv_body_text(node, "type", &type, err));
  if (mv_str_is(type, "text")) {
    if (!mv_json_is(mv_json_get(node, "text"), MV_JSON_STRING))
      return mv_fail(err, MV_ERR_USAGE, "\"messages\": a text part needs \"text\", a string");
    return mv_body_text(node, "text", &part->text, err);
  }
  const mv_json *url = mv_json_get(node, "image_url");
  if (mv_json_is(url, MV_JSON_OBJECT)) url = mv_json_get(url, "url");
  if (!mv_str_is(type, "image_url") || !mv_json_is(url, MV_JSON_STRING))
    return mv_fail(err, MV_ERR_USAGE,
                   "\"messages\": expected parts of type text or image_url with its \"url\"");
  if (call->request.n_image == MAX_IMAGES)
    return mv_fail(err, MV_ERR_USAGE, "\"messages\": more than %d pictures", MAX_IMAGES);
  part->kind = MV_PART_IMAGE;
  mv_image *image = &call->images[call->request.n_image];
  MV_TRY(mv_server_picture(call->server, url->text, image, err));
  call->request.n_image++;
  return MV_OK;
}

static mv_status read_content(mv_call *call, const mv_json *content, mv_chat_message *message,
                              mv_error *err) {
  int list = mv_json_is(content, MV_JSON_ARRAY);
  size_t n = list ? content->n_items : 1, i = 0;
  if (!list && !mv_json_is(content, MV_JSON_STRING))
    return mv_fail(err, MV_ERR_USAGE,
                   "\"messages\": \"content\": expected a string or an array of parts, found %s",
                   mv_json_type_name(content));
  mv_chat_part *parts = mv_arena_alloc(&call->arena, (n + 1) * sizeof *parts);
  if (!parts) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  message->parts = parts;
  message->n_parts = n;
  if (!list) {
    parts[0].text = content->text;
    return MV_OK;
  }
  for (const mv_json *node = content->first; node; node = node->next)
    MV_TRY(read_part(call, node, &parts[i++], err));
  return MV_OK;
}

static mv_status read_message(mv_call *call, const mv_json *node, mv_chat_message *message,
                              mv_error *err) {
  mv_str role = {"", 0};
  MV_TRY(mv_body_text(node, "role", &role, err));
  if (mv_str_is(role, "developer")) role = mv_str_of("system");
  if (!mv_str_is(role, "system") && !mv_str_is(role, "user") && !mv_str_is(role, "assistant"))
    return mv_fail(err, MV_ERR_USAGE,
                   "\"messages\": \"role\": expected system, developer, user or assistant");
  message->role = role;
  int n_before = call->request.n_image;
  MV_TRY(read_content(call, mv_json_get(node, "content"), message, err));
  if (call->request.n_image > n_before && !mv_str_is(role, "user"))
    return mv_fail(err, MV_ERR_USAGE, "\"messages\": only a user's message can hold pictures");
  return MV_OK;
}

static mv_status read_messages(mv_call *call, mv_error *err) {
  const mv_json *list = mv_json_get(call->doc.root, "messages");
  if (!mv_json_is(list, MV_JSON_ARRAY) || !list->n_items || list->n_items > MAX_MESSAGES)
    return mv_fail(err, MV_ERR_USAGE, "\"messages\": expected an array of 1 to %d messages",
                   MAX_MESSAGES);
  mv_chat_message *messages = mv_arena_alloc(&call->arena, list->n_items * sizeof *messages);
  call->images = mv_calloc(MAX_IMAGES, sizeof *call->images);
  if (!messages || !call->images) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  size_t n = 0;
  for (const mv_json *node = list->first; node; node = node->next)
    MV_TRY(read_message(call, node, &messages[n++], err));
  call->request.messages = messages;
  call->request.n_message = n;
  call->request.images = call->images;
  return MV_OK;
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
