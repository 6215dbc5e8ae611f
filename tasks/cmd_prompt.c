/* medvision prompt: the exact prompt of a task, without running a model. */
#include "tasks/cli_command.h"
#include "tasks/cli_io.h"
#include "tasks/cli_jsonl.h"
#include "tasks/cli_picture.h"

static mv_status render(const mv_manifest *question, const mv_preprocessor *pp, mv_frame *frame,
                        mv_buf *text, mv_error *err) {
  mv_prompt prompt;
  MV_TRY(mv_picture_frame(question, pp, frame, err));
  MV_TRY(mv_manifest_prompt(question, frame, &prompt, err));
  MV_TRY(mv_prompt_render(&prompt, text, err));
  return mv_buf_status(text, err);
}

static void write_members(const mv_frame *frame, const mv_buf *text, mv_json_writer *w) {
  const mv_spacing *seen = &frame->spacing;
  mv_json_key(w, "prompt");
  mv_json_string(w, mv_buf_view(text));
  mv_json_size(w, "image_size", seen->image_w, seen->image_h);
  mv_json_pixel_size(w, "pixel_size", seen->pixel_w, seen->pixel_h);
}

typedef struct line_user {
  const mv_cli_args *args;
  const mv_preprocessor *pp;
} line_user;

static mv_status prompt_line(void *user, const mv_json *line, mv_json_writer *w, mv_error *err) {
  const line_user *u = user;
  mv_manifest question;
  mv_frame frame;
  mv_buf text = {0};
  MV_TRY(mv_question_from_line(u->args, line, &question, err));
  mv_status status = render(&question, u->pp, &frame, &text, err);
  if (status == MV_OK) write_members(&frame, &text, w);
  mv_buf_free(&text);
  return status;
}

/* The options must be those of the task, as if its own command had been called. */
static mv_status check_task(const mv_cli_args *args, mv_cli_id id, mv_error *err) {
  for (int i = 0; i < mv_cli_n_option; i++) {
    const mv_cli_option *option = &mv_cli_options[i];
    if (option->group != MV_CLI_GROUP_QUESTION || !mv_cli_has(args, i)) continue;
    if (!(option->commands >> id & 1u))
      return mv_fail(err, MV_ERR_USAGE, "prompt: --%s is not an option of '%s'", option->name,
                     mv_cli_commands[id].name);
  }
  MV_TRY(mv_cli_require(args, id, err));
  int has_size = args->image_size[0] > 0, has_picture = args->operands.n > 1;
  if (has_size && has_picture)
    return mv_fail(err, MV_ERR_USAGE, "prompt: --image-size takes the place of '%s'",
                   args->operands.v[1]);
  if (id != MV_CLI_DETECT && !has_size && !has_picture)
    return mv_fail(err, MV_ERR_USAGE,
                   "prompt: the %s prompt states the picture's size: name the picture or give "
                   "--image-size WxH",
                   mv_cli_commands[id].name);
  return MV_OK;
}

static mv_status run(const mv_cli_args *args, const mv_preprocessor *pp, mv_buf *out,
                     mv_error *err) {
  mv_cli_id id = MV_CLI_DETECT;
  mv_manifest question;
  mv_frame frame;
  if (args->operands.n == 0)
    return mv_fail(err, MV_ERR_USAGE, "prompt: TASK is missing: detect, size, distance or angle");
  mv_cli_command_find(args->operands.v[0], &id);
  MV_TRY(check_task(args, id, err));
  const char *path = args->operands.n > 1 ? args->operands.v[1] : NULL;
  mv_question_from_args(args, (mv_task)id, path, &question);
  if (!args->json) return render(&question, pp, &frame, out, err);
  mv_buf text = {0};
  mv_status status = render(&question, pp, &frame, &text, err);
  mv_json_writer writer = mv_cli_json(out);
  mv_json_begin_object(&writer);
  write_members(&frame, &text, &writer);
  mv_json_end_object(&writer);
  mv_buf_free(&text);
  return status;
}

int mv_cmd_prompt(const mv_cli_args *args) {
  mv_error err = {0};
  mv_preprocessor pp;
  if (mv_cli_preprocessor(args, &pp, &err) != MV_OK) return mv_cli_fail(&err);
  if (args->jsonl) {
    line_user user = {args, &pp};
    return mv_cli_jsonl(prompt_line, &user);
  }
  mv_buf out = {0};
  if (run(args, &pp, &out, &err) == MV_OK) return mv_cli_put_line(&out, MV_EXIT_DONE);
  mv_buf_free(&out);
  return mv_cli_fail(&err);
}
