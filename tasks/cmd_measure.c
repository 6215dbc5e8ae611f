/* medvision detect, size, distance, angle: one measurement of each picture. */
#include <string.h>

#include "tasks/cli_command.h"
#include "tasks/cli_io.h"
#include "tasks/cli_jsonl.h"
#include "tasks/cli_measure.h"
#include "tasks/cli_overlay.h"

#define MAX_SHOWN 600 /* bytes of an answer that did not parse */

/* ---- JSON lines ---- */

typedef struct line_user {
  mv_session *session;
  mv_task task; /* of lines that name none */
} line_user;

static mv_status measure_line(void *user, const mv_json *line, mv_json_writer *w, mv_error *err) {
  line_user *u = user;
  mv_measured m = {0};
  MV_TRY(mv_question_from_line(line, &m.question, err));
  if (!m.question.has_task) m.question.has_task = 1, m.question.task = u->task;
  mv_status status = mv_measured_ask(&m, u->session, err);
  if (status == MV_OK) mv_measured_write(&m, w);
  mv_measured_free(&m);
  return status;
}

/* ---- for people ---- */

/* "tumor", "P1 to P2", "A to B, C to D": what was measured. */
static void put_subject(const mv_measured *m, mv_buf *out) {
  const mv_manifest *q = &m->question;
  if (q->label.len)
    mv_cli_visible(out, q->label);
  else if (q->name.len)
    mv_cli_visible(out, q->name);
  else
    for (int i = 0; i < q->n_point; i++) {
      mv_buf_text(out, i == 0 ? "" : i == 2 ? ", " : " to ");
      mv_cli_visible(out, q->points[i]);
    }
}

/* The unit behind a number: " mm", " cm", " degrees". */
static const char *unit_suffix(const mv_measured *m) {
  if (m->question.task == MV_TASK_DETECT) return "";
  if (mv_str_is(m->prompt.unit, "mm")) return " mm";
  return mv_str_is(m->prompt.unit, "cm") ? " cm" : " degrees";
}

static const char *value_name(mv_task task, int i) {
  static const char *const axes[] = {"major axis", "minor axis"};
  return task == MV_TASK_SIZE ? axes[i] : mv_task_name(task);
}

static void print_values(const mv_measured *m, mv_buf *out) {
  const mv_answer *a = &m->answer;
  const char *unit = unit_suffix(m);
  if (a->task == MV_TASK_DETECT) {
    mv_buf_printf(out, "  lower left   (%.3f, %.3f)\n", a->values[0], a->values[1]);
    mv_buf_printf(out, "  upper right  (%.3f, %.3f)\n", a->values[2], a->values[3]);
    return;
  }
  for (int i = 0; i < a->n_value; i++) {
    mv_buf_printf(out, "  %-11s %8.2f%s", value_name(a->task, i), a->values[i], unit);
    if (a->n_recomputed)
      mv_buf_printf(out, "   (recomputed from its landmarks %.2f%s)", a->recomputed[i], unit);
    mv_buf_char(out, '\n');
  }
}

/* Why there are no values, and what there is instead. */
static void print_unparsed(const mv_session *session, const mv_measured *m, mv_buf *out) {
  mv_buf_printf(out, "  no answer: expected %d number%s inside <answer>...</answer>",
                m->answer.n_value, m->answer.n_value == 1 ? "" : "s");
  if (m->result.finish == MV_FINISH_LENGTH)
    mv_buf_printf(out, "; cut off after %zu tokens", m->result.n_token);
  mv_buf_char(out, '\n');
  if (session->streams) return;
  mv_str said = mv_buf_view(&m->result.text);
  size_t n = said.len;
  if (n > MAX_SHOWN)
    for (n = MAX_SHOWN; n > 0 && ((unsigned char)said.ptr[n] & 0xC0) == 0x80;) n--;
  mv_str shown = {said.ptr, n};
  mv_buf_text(out, "  the model said: ");
  mv_cli_visible(out, shown);
  if (n < said.len) mv_buf_printf(out, "... (%zu bytes more: see --json)", said.len - n);
  mv_buf_char(out, '\n');
}

static void print_text(const mv_session *session, const mv_measured *m, const char *overlay,
                       mv_buf *out) {
  mv_cli_visible(out, m->question.image);
  mv_buf_text(out, "  ");
  put_subject(m, out);
  mv_buf_char(out, '\n');
  if (m->answer.parsed)
    print_values(m, out);
  else
    print_unparsed(session, m, out);
  if (overlay) {
    mv_buf_text(out, "  overlay      ");
    mv_cli_visible(out, mv_str_of(overlay));
    mv_buf_char(out, '\n');
  }
}

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

/* The numbers in one line: "24.13 x 11.07 mm", "(0.693, 0.370) to (0.820, 0.604)". */
static void put_numbers(const mv_measured *m, const double *v, mv_buf *out) {
  const char *unit = unit_suffix(m);
  if (m->answer.n_value == 4)
    mv_buf_printf(out, "(%.3f, %.3f) to (%.3f, %.3f)", v[0], v[1], v[2], v[3]);
  else if (m->answer.n_value == 2)
    mv_buf_printf(out, "%.2f x %.2f%s", v[0], v[1], unit);
  else
    mv_buf_printf(out, "%.2f%s", v[0], unit);
}

static void put_captions(const mv_measured *m, mv_buf *said, mv_buf *recomputed) {
  put_subject(m, said);
  mv_buf_text(said, ": ");
  if (m->answer.parsed)
    put_numbers(m, m->answer.values, said);
  else
    mv_buf_text(said, "no answer");
  mv_buf_text(recomputed, "its landmarks give ");
  if (m->answer.n_recomputed) put_numbers(m, m->answer.recomputed, recomputed);
}

static mv_status save_overlay(const mv_cli_args *args, const mv_measured *m, const char *path,
                              mv_error *err) {
  mv_buf said = {0}, recomputed = {0};
  put_captions(m, &said, &recomputed);
  mv_status status = mv_buf_status(said.failed ? &said : &recomputed, err);
  const char *captions[] = {said.ptr, recomputed.ptr};
  if (status == MV_OK)
    status = mv_cli_overlay_save(path, &m->picture, (mv_resampler)args->resampler, &m->answer,
                                 captions, m->answer.n_recomputed ? 2 : 1, err);
  mv_buf_free(&said);
  mv_buf_free(&recomputed);
  return status;
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
    print_text(session, m, overlay, &out);
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
    if (status == MV_OK) status = save_overlay(args, &m, overlay.ptr, &err);
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
  if (args->unit && !mv_unit_word(mv_str_of(args->unit)))
    return mv_fail(err, MV_ERR_USAGE, "%s: --unit: expected mm, cm or degree, found '%s'",
                   mv_cli_commands[args->command].name, args->unit);
  return MV_OK;
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
    line_user user = {&session, (mv_task)args->command};
    code = mv_cli_jsonl(measure_line, &user);
  } else {
    for (int i = 0; i < args->operands.n && mv_cli_flush(); i++)
      code = worse(code, measure_file(&session, i));
  }
  mv_session_close(&session);
  return code;
}
