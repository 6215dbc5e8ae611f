/* medvision generate: answer any prompt, with or without pictures. */
#include <string.h>

#include "runtime/file.h"
#include "tasks/cli_command.h"
#include "tasks/cli_io.h"
#include "tasks/cli_jsonl.h"
#include "tasks/cli_picture.h"
#include "tasks/cli_session.h"

#define MAX_PROMPT_BYTES ((size_t)64 << 20)

/* ---- pictures ---- */

static void free_images(mv_image *images, int n) {
  for (int i = 0; images && i < n; i++) mv_image_free(&images[i]);
  mv_free(images);
}

/* Loads n pictures. Returns them in *out (free with free_images); NULL for none. */
static mv_status load_images(const mv_cli_args *args, const char *const *paths, int n,
                             mv_image **out, mv_error *err) {
  *out = NULL;
  if (n == 0) return MV_OK;
  mv_image *images = mv_calloc((size_t)n, sizeof *images);
  if (!images) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  for (int i = 0; i < n; i++) {
    mv_status status = mv_image_load(paths[i], &images[i], err);
    if (status != MV_OK) {
      free_images(images, n);
      return status;
    }
    mv_picture_note(args, paths[i], &images[i]);
  }
  *out = images;
  return MV_OK;
}

/* ---- results ---- */

static void write_ids(mv_json_writer *w, const char *key, const int32_t *ids, size_t n) {
  mv_json_key(w, key);
  mv_json_begin_array(w);
  for (size_t i = 0; i < n; i++) mv_json_int(w, ids[i]);
  mv_json_end_array(w);
}

static void write_members(const mv_result *result, mv_json_writer *w) {
  write_ids(w, "prompt_ids", result->prompt_ids, result->n_prompt);
  write_ids(w, "token_ids", result->token_ids, result->n_token);
  mv_json_key(w, "text");
  mv_json_string(w, mv_buf_view(&result->text));
  mv_result_write_finish(result, w);
  mv_result_write_usage(result, w);
  mv_result_write_timings(result, w);
  mv_result_write_speculation(result, w);
  mv_result_write_logprobs(result, w);
}

static mv_status ask(mv_session *session, const mv_request *request, mv_json_writer *w,
                     mv_error *err) {
  mv_result result;
  MV_TRY(mv_session_ask(session, request, &result, err));
  if (w)
    write_members(&result, w);
  else if (!session->streams) {
    mv_cli_put(mv_buf_view(&result.text));
    mv_cli_put(mv_str_of("\n"));
  }
  mv_session_report(session, "generate", &result);
  mv_result_free(&result);
  return MV_OK;
}

/* ---- JSON lines ---- */

/* The paths of "images" (free the list and what it points to with mv_arena_reset). */
static mv_status read_paths(const mv_json *line, mv_arena *arena, const char ***paths, int *n,
                            mv_error *err) {
  const mv_json *images = mv_json_get(line, "images");
  *n = 0;
  if (!images || mv_json_is(images, MV_JSON_NULL)) return MV_OK;
  if (!mv_json_is(images, MV_JSON_ARRAY))
    return mv_fail(err, MV_ERR_FORMAT, "\"images\": expected an array of paths, found %s",
                   mv_json_type_name(images));
  if (images->n_items > 1024)
    return mv_fail(err, MV_ERR_FORMAT, "\"images\": %zu are too many", images->n_items);
  *paths = mv_arena_alloc(arena, (images->n_items + 1) * sizeof **paths);
  if (!*paths) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  for (const mv_json *item = images->first; item; item = item->next) {
    if (!mv_json_is(item, MV_JSON_STRING))
      return mv_fail(err, MV_ERR_FORMAT, "\"images\": expected paths, found %s",
                     mv_json_type_name(item));
    if (!item->text.len || memchr(item->text.ptr, 0, item->text.len) || mv_str_is(item->text, "-"))
      return mv_fail(err, MV_ERR_FORMAT, "\"images\": expected paths of files");
    char *path = mv_arena_alloc(arena, item->text.len + 1);
    if (!path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
    memcpy(path, item->text.ptr, item->text.len);
    (*paths)[(*n)++] = path;
  }
  return MV_OK;
}

static mv_status submit_line(mv_session *session, const mv_json *line, mv_arena *arena,
                             uint64_t *ticket, mv_error *err) {
  mv_request request;
  mv_image *images = NULL;
  const char **paths = NULL;
  mv_session_request(session, &request);
  if (!mv_json_is(mv_json_get(line, "prompt"), MV_JSON_STRING))
    return mv_fail(err, MV_ERR_FORMAT, "\"prompt\": expected a string, found %s",
                   mv_json_type_name(mv_json_get(line, "prompt")));
  MV_TRY(mv_jsonl_text(line, "prompt", &request.prompt, err));
  MV_TRY(mv_jsonl_text(line, "system", &request.system, err));
  MV_TRY(mv_jsonl_int(line, "max_new_tokens", 1, 1 << 24, &request.max_new_tokens, err));
  MV_TRY(read_paths(line, arena, &paths, &request.n_image, err));
  MV_TRY(load_images(session->args, paths, request.n_image, &images, err));
  request.images = images;
  mv_status status = mv_engine_submit(session->engine, &request, ticket, err);
  free_images(images, request.n_image);
  return status;
}

static mv_status begin_line(void *user, void *item, const mv_json *line, uint64_t *ticket,
                            mv_error *err) {
  (void)item;
  mv_arena arena = {0};
  mv_status status = submit_line(user, line, &arena, ticket, err);
  mv_arena_reset(&arena);
  return status;
}

static mv_status finish_line(void *user, void *item, mv_result *result, mv_json_writer *w,
                             mv_error *err) {
  (void)user, (void)item, (void)err;
  write_members(result, w);
  return MV_OK;
}

static void free_line(void *item) { (void)item; }

static int answer_lines(mv_session *session) {
  mv_jsonl_batch batch = {session->engine, session, 1, begin_line, finish_line, free_line};
  return mv_cli_jsonl_batch(&batch);
}

/* ---- one question ---- */

static mv_status read_prompt(const mv_cli_args *args, mv_buf *prompt, mv_error *err) {
  const char *path = args->prompt_file;
  if (!args->prompt == !path)
    return mv_fail(err, MV_ERR_USAGE,
                   "generate: give the question with --prompt TEXT or "
                   "--prompt-file FILE, one of them");
  if (!path) {
    mv_buf_text(prompt, args->prompt);
    return mv_buf_status(prompt, err);
  }
  MV_TRY(mv_file_read(path, MAX_PROMPT_BYTES, prompt, err));
  size_t bad = mv_utf8_check(mv_buf_view(prompt).ptr, prompt->len);
  if (bad < prompt->len)
    return mv_fail(err, MV_ERR_FORMAT, "%s: the text is not valid UTF-8 (byte %zu)", path, bad + 1);
  return MV_OK;
}

static mv_status ask_once(mv_session *session, const mv_buf *prompt, mv_buf *out, mv_error *err) {
  const mv_cli_args *args = session->args;
  mv_image *images = NULL;
  mv_request request;
  mv_session_request(session, &request);
  request.prompt = mv_buf_view(prompt);
  if (args->system) request.system = mv_str_of(args->system);
  request.n_image = args->images.n;
  MV_TRY(load_images(args, args->images.v, request.n_image, &images, err));
  request.images = images;
  mv_json_writer writer = mv_cli_json(out);
  if (args->json) mv_json_begin_object(&writer);
  mv_status status = ask(session, &request, args->json ? &writer : NULL, err);
  if (args->json && status == MV_OK) {
    mv_json_end_object(&writer);
    mv_buf_char(out, '\n');
    status = mv_buf_status(out, err);
    if (status == MV_OK) mv_cli_put(mv_buf_view(out));
  }
  free_images(images, request.n_image);
  return status;
}

int mv_cmd_generate(const mv_cli_args *args) {
  mv_session session = {0};
  mv_error err = {0};
  mv_buf prompt = {0}, out = {0};
  int code = MV_EXIT_DONE;
  mv_status status = args->jsonl ? MV_OK : read_prompt(args, &prompt, &err);
  if (status == MV_OK) status = mv_session_open(&session, args, &err);
  if (status == MV_OK && args->jsonl)
    code = answer_lines(&session);
  else if (status == MV_OK)
    status = ask_once(&session, &prompt, &out, &err);
  if (status != MV_OK) code = mv_cli_fail(&err);
  mv_buf_free(&prompt);
  mv_buf_free(&out);
  mv_session_close(&session);
  return code;
}
