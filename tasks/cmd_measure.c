/* medvision detect, size, distance, angle: one measurement of each picture. */
#include <string.h>

#include "tasks/cli_command.h"
#include "tasks/cli_io.h"
#include "tasks/cli_jsonl.h"
#include "tasks/cli_measure.h"
#include "vision/volumes.h"

/* ---- JSON lines ---- */

typedef struct line_user {
  mv_session *session;
  mv_task task; /* of lines that name none */
  mv_volumes *volumes;
} line_user;

static mv_status begin_line(void *user, void *item, const mv_json *line, uint64_t *ticket,
                            mv_error *err) {
  line_user *u = user;
  mv_measured *m = item;
  MV_TRY(mv_question_from_line(u->session->args, line, &m->question, err));
  m->question.volumes = u->volumes;
  if (!m->question.has_task) m->question.has_task = 1, m->question.task = u->task;
  MV_TRY(mv_measured_submit(m, u->session, err));
  *ticket = m->ticket;
  return MV_OK;
}

static mv_status finish_line(void *user, void *item, mv_result *result, mv_json_writer *w,
                             mv_error *err) {
  (void)user;
  mv_measured *m = item;
  m->result = *result;
  memset(result, 0, sizeof *result);
  MV_TRY(mv_measured_read(m, err));
  mv_measured_write(m, w);
  return MV_OK;
}

static void free_line(void *item) { mv_measured_free(item); }

/* ---- overlays ---- */

/* OUT.png, or OUT-3.png for the third of several pictures. */
static void overlay_path(const mv_cli_args *args, int index, mv_buf *path) {
  const char *name = args->overlay, *slash = strrchr(name, '/'), *dot = strrchr(name, '.');
  if (args->operands.n == 1) {
    mv_buf_text(path, name);
    return;
  }
  if (!dot || (slash && dot < slash) || dot == name || dot[-1] == '/') dot = name + strlen(name);
  mv_buf_printf(path, "%.*s-%d%s", (int)(dot - name), name, index + 1, dot);
}

/* ---- pictures of the command line ---- */

static mv_status print_measured(const mv_session *session, const mv_measured *m,
                                const char *overlay, mv_error *err) {
  mv_buf out = {0};
  if (session->args->json) {
    mv_json_writer writer = mv_cli_json(&out);
    mv_json_begin_object(&writer);
    mv_measured_write(m, &writer);
    mv_json_end_object(&writer);
    mv_buf_char(&out, '\n');
  } else {
    if (session->streamed) mv_buf_char(&out, '\n');
    mv_measured_print(m, !session->streams, overlay, &out);
  }
  mv_status status = mv_buf_status(&out, err);
  if (status == MV_OK) {
    mv_cli_put(mv_buf_view(&out));
    mv_cli_flush();
  }
  mv_buf_free(&out);
  return status;
}

/* Returns the exit code of this picture. */
static int measure_file(mv_session *session, int index) {
  const mv_cli_args *args = session->args;
  const char *path = args->operands.v[index];
  mv_measured m = {0};
  mv_buf overlay = {0};
  mv_error err = {0};
  mv_question_from_args(args, (mv_task)args->command, path, &m.question);
  mv_status status = mv_measured_ask(&m, session, &err);
  if (status == MV_OK) {
    mv_picture_note(args, path, &m.picture.image);
    mv_session_report(session, path, &m.result);
  }
  if (status == MV_OK && args->overlay) {
    overlay_path(args, index, &overlay);
    status = mv_buf_status(&overlay, &err);
    if (status == MV_OK)
      status = mv_measured_save_overlay(&m, overlay.ptr, (mv_resampler)args->resampler, &err);
  }
  if (status == MV_OK) status = print_measured(session, &m, overlay.ptr, &err);
  int code = status != MV_OK    ? mv_cli_fail(&err)
             : !m.answer.parsed ? MV_EXIT_UNPARSED
                                : MV_EXIT_DONE;
  mv_buf_free(&overlay);
  mv_measured_free(&m);
  return code;
}

/* A failure outweighs an answer that did not parse. */
static int worse(int a, int b) {
  if (a == MV_EXIT_DONE || b == MV_EXIT_DONE) return a + b;
  return a == MV_EXIT_UNPARSED ? b : a;
}

static mv_status check(const mv_cli_args *args, mv_error *err) {
  if (args->jsonl) return MV_OK;
  if (args->dump && args->operands.n > 1)
    return mv_fail(err, MV_ERR_USAGE, "%s: --dump takes one picture, found %d",
                   mv_cli_commands[args->command].name, args->operands.n);
  for (int i = 0; i < args->operands.n; i++) {
    const char *path = args->operands.v[i];
    if (args->command == MV_CLI_DETECT || mv_cli_given(args, "pixel-size") ||
        args->slice.plane >= 0 || mv_picture_has_header(path))
      continue;
    return mv_fail(err, MV_ERR_USAGE, "%s: --pixel-size W[xH] is needed: '%s' has no spacing",
                   mv_cli_commands[args->command].name, path);
  }
  if (args->unit && !mv_unit_word(mv_str_of(args->unit)))
    return mv_fail(err, MV_ERR_USAGE, "%s: --unit: expected mm, cm or degree, found '%s'",
                   mv_cli_commands[args->command].name, args->unit);
  return MV_OK;
}

static int measure_lines(mv_session *session) {
  mv_error err = {0};
  line_user user = {.session = session, .task = (mv_task)session->args->command};
  if (mv_volumes_new(&user.volumes, MV_VOLUMES_LIMIT, &err) != MV_OK) return mv_cli_fail(&err);
  mv_jsonl_batch batch = {session->engine, &user,       sizeof(mv_measured),
                          begin_line,      finish_line, free_line};
  int code = mv_cli_jsonl_batch(&batch);
  mv_volumes_free(user.volumes);
  return code;
}

int mv_cmd_measure(const mv_cli_args *args) {
  mv_session session = {0};
  mv_error err = {0};
  int code = MV_EXIT_DONE;
  mv_status status = check(args, &err);
  if (status == MV_OK) status = mv_session_open(&session, args, &err);
  if (status != MV_OK) {
    code = mv_cli_fail(&err);
  } else if (args->jsonl) {
    code = measure_lines(&session);
  } else {
    for (int i = 0; i < args->operands.n && mv_cli_flush(); i++)
      code = worse(code, measure_file(&session, i));
  }
  mv_session_close(&session);
  return code;
}
