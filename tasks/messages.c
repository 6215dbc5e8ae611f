#include "tasks/messages.h"

#include "tokenizer/chat.h"

typedef struct reading {
  mv_url_picture picture;
  void *user;
  mv_arena *arena;
  mv_request *request;
  mv_image *images;
} reading;

/* A member that is a string; absent or null leaves *out. */
static mv_status read_text(const mv_json *node, const char *key, mv_str *out, mv_error *err) {
  const mv_json *member = mv_json_get(node, key);
  if (!member || mv_json_is(member, MV_JSON_NULL)) return MV_OK;
  if (!mv_json_is(member, MV_JSON_STRING))
    return mv_fail(err, MV_ERR_USAGE, "\"messages\": \"%s\": expected a string, found %s", key,
                   mv_json_type_name(member));
  *out = member->text;
  return MV_OK;
}

static mv_status read_part(reading *r, const mv_json *node, mv_chat_part *part, mv_error *err) {
  mv_str type = {"text", 4};
  MV_TRY(read_text(node, "type", &type, err));
  if (mv_str_is(type, "text")) {
    if (!mv_json_is(mv_json_get(node, "text"), MV_JSON_STRING))
      return mv_fail(err, MV_ERR_USAGE, "\"messages\": a text part needs \"text\", a string");
    return read_text(node, "text", &part->text, err);
  }
  const mv_json *url = mv_json_get(node, "image_url");
  if (mv_json_is(url, MV_JSON_OBJECT)) url = mv_json_get(url, "url");
  if (!mv_str_is(type, "image_url") || !mv_json_is(url, MV_JSON_STRING))
    return mv_fail(err, MV_ERR_USAGE,
                   "\"messages\": expected parts of type text or image_url with its \"url\"");
  if (r->request->n_image == MV_MESSAGES_MAX_IMAGES)
    return mv_fail(err, MV_ERR_USAGE, "\"messages\": more than %d pictures",
                   MV_MESSAGES_MAX_IMAGES);
  part->kind = MV_PART_IMAGE;
  MV_TRY(r->picture(r->user, url->text, &r->images[r->request->n_image], err));
  r->request->n_image++;
  return MV_OK;
}

static mv_status read_content(reading *r, const mv_json *content, mv_chat_message *message,
                              mv_error *err) {
  int list = mv_json_is(content, MV_JSON_ARRAY);
  size_t n = list ? content->n_items : 1, i = 0;
  if (!list && !mv_json_is(content, MV_JSON_STRING))
    return mv_fail(err, MV_ERR_USAGE,
                   "\"messages\": \"content\": expected a string or an array of parts, found %s",
                   mv_json_type_name(content));
  mv_chat_part *parts = mv_arena_alloc(r->arena, (n + 1) * sizeof *parts);
  if (!parts) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  message->parts = parts;
  message->n_parts = n;
  if (!list) {
    parts[0].text = content->text;
    return MV_OK;
  }
  for (const mv_json *node = content->first; node; node = node->next)
    MV_TRY(read_part(r, node, &parts[i++], err));
  return MV_OK;
}

static mv_status read_message(reading *r, const mv_json *node, mv_chat_message *message,
                              mv_error *err) {
  mv_str role = {"", 0};
  MV_TRY(read_text(node, "role", &role, err));
  if (mv_str_is(role, "developer")) role = mv_str_of("system");
  if (!mv_str_is(role, "system") && !mv_str_is(role, "user") && !mv_str_is(role, "assistant"))
    return mv_fail(err, MV_ERR_USAGE,
                   "\"messages\": \"role\": expected system, developer, user or assistant");
  message->role = role;
  int n_before = r->request->n_image;
  MV_TRY(read_content(r, mv_json_get(node, "content"), message, err));
  if (r->request->n_image > n_before && !mv_str_is(role, "user"))
    return mv_fail(err, MV_ERR_USAGE, "\"messages\": only a user's message can hold pictures");
  return MV_OK;
}

mv_status mv_messages_read(const mv_json *list, mv_url_picture picture, void *user, mv_arena *arena,
                           mv_request *request, mv_image **images, mv_error *err) {
  if (!mv_json_is(list, MV_JSON_ARRAY) || !list->n_items || list->n_items > MV_MESSAGES_MAX)
    return mv_fail(err, MV_ERR_USAGE, "\"messages\": expected an array of 1 to %d messages",
                   MV_MESSAGES_MAX);
  mv_chat_message *messages = mv_arena_alloc(arena, list->n_items * sizeof *messages);
  *images = mv_calloc(MV_MESSAGES_MAX_IMAGES, sizeof **images);
  if (!messages || !*images) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  reading r = {picture, user, arena, request, *images};
  size_t n = 0;
  for (const mv_json *node = list->first; node; node = node->next)
    MV_TRY(read_message(&r, node, &messages[n++], err));
  request->messages = messages;
  request->n_message = n;
  request->images = *images;
  return MV_OK;
}

void mv_messages_free_images(mv_image *images, int n) {
  for (int i = 0; images && i < n; i++) mv_image_free(&images[i]);
  mv_free(images);
}
