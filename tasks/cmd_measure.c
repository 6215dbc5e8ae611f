/* medvision detect, size, distance, angle: one measurement of each picture. */
#include <stdio.h>
#include <string.h>

#include "runtime/clock.h"
#include "tasks/answer.h"
#include "tasks/cli_command.h"
#include "tasks/cli_io.h"
#include "tasks/cli_jsonl.h"
#include "tasks/cli_overlay.h"
#include "tasks/cli_picture.h"
#include "tasks/cli_session.h"

#define MAX_SHOWN 600 /* bytes of an answer that did not parse */

/* One question and everything that came of it. Zero-initialise; free with measured_free. */
typedef struct measured {
  mv_manifest question; /* borrows */
  mv_picture picture;
  mv_prompt prompt; /* borrows from the question */
  mv_result result;
  mv_answer answer; /* borrows from the result */
} measured;

static void measured_free(measured *m) {
  mv_answer_free(&m->answer);
  mv_result_free(&m->result);
  mv_picture_free(&m->picture);
}

/* ---- asking ---- */

static mv_status ask(mv_session *session, measured *m, mv_str text, double start_ms,
                     mv_error *err) {
  mv_request request;
  mv_session_request(session, &request);
  request.system = mv_prompt_system();
  request.prompt = text;
  request.images = &m->picture.image;
  request.n_image = 1;
  double load_ms = mv_now_ms() - start_ms;
  MV_TRY(mv_session_ask(session, &request, &m->result, err));
  /* The engine starts when it has pixels; the file's decoding and reshaping belong to the image. */
  m->result.timings.image_ms += load_ms;
  m->result.timings.ttft_ms += load_ms;
  m->result.timings.total_ms += load_ms;
  const mv_spacing *seen = &m->picture.frame.spacing;
  return mv_answer_read(&m->answer, m->question.task, seen, mv_buf_view(&m->result.text), err);
}

static mv_status measure(mv_session *session, measured *m, mv_error *err) {
  double start_ms = mv_now_ms();
  mv_preprocessor pp = mv_session_preprocessor(session);
  mv_buf text = {0};
  MV_TRY(mv_picture_load(&m->picture, &m->question, &pp, err));
  MV_TRY(mv_manifest_prompt(&m->question, &m->picture.frame, &m->prompt, err));
  mv_status status = mv_prompt_render(&m->prompt, &text, err);
  if (status == MV_OK) status = mv_buf_status(&text, err);
  if (status == MV_OK) status = ask(session, m, mv_buf_view(&text), start_ms, err);
  mv_buf_free(&text);
  return status;
}

/* ---- JSON ---- */

static void put_text(mv_json_writer *w, const char *key, mv_str text) {
  mv_json_key(w, key);
  mv_json_string(w, text);
}

static void put_names(mv_json_writer *w, const char *key, const mv_str names[2]) {
  mv_json_key(w, key);
  mv_json_begin_array(w);
  mv_json_string(w, names[0]);
  mv_json_string(w, names[1]);
  mv_json_end_array(w);
}

/* What was asked, as far as the result repeats it. */
static void write_question(const measured *m, mv_json_writer *w) {
  const mv_manifest *q = &m->question;
  const mv_spacing *seen = &m->picture.frame.spacing;
  put_text(w, "task", mv_str_of(mv_task_name(q->task)));
  put_text(w, "image", q->image);
  if (q->task == MV_TASK_DETECT || q->task == MV_TASK_SIZE) put_text(w, "label", q->label);
  if (q->task == MV_TASK_DISTANCE || q->task == MV_TASK_ANGLE) put_text(w, "name", q->name);
  if (q->task == MV_TASK_DISTANCE) put_names(w, "points", q->points);
  if (q->task == MV_TASK_ANGLE) {
    put_names(w, "line1", q->points);
    put_names(w, "line2", q->points + 2);
  }
  if (mv_task_has_spacing(q->task)) {
    put_text(w, "unit", mv_str_of(mv_unit_word(m->prompt.unit)));
    mv_json_size(w, "image_size", seen->image_w, seen->image_h);
    mv_json_pixel_size(w, "pixel_size", seen->pixel_w, seen->pixel_h);
  } else {
    mv_json_size(w, "image_size", seen->image_w, seen->image_h);
  }
}

static void write_speculation(const mv_result *result, mv_json_writer *w) {
  mv_json_key(w, "speculation");
  mv_json_begin_object(w);
  mv_json_key(w, "steps");
  mv_json_int(w, (int64_t)result->n_token); /* one a token: nothing is drafted */
  mv_json_key(w, "drafted");
  mv_json_int(w, 0);
  mv_json_key(w, "accepted");
  mv_json_int(w, 0);
  mv_json_end_object(w);
}

static void write_members(const measured *m, mv_json_writer *w) {
  write_question(m, w);
  mv_answer_write(&m->answer, mv_buf_view(&m->result.text), w);
  mv_result_write_usage(&m->result, w);
  mv_result_write_finish(&m->result, w);
  mv_result_write_timings(&m->result, w);
  write_speculation(&m->result, w);
  mv_result_write_logprobs(&m->result, w);
}

typedef struct line_user {
  mv_session *session;
  mv_task task; /* of lines that name none */
} line_user;

static mv_status measure_line(void *user, const mv_json *line, mv_json_writer *w, mv_error *err) {
  line_user *u = user;
  measured m = {0};
  MV_TRY(mv_manifest_read(line, &m.question, err));
  if (!m.question.has_task) m.question.has_task = 1, m.question.task = u->task;
  mv_status status = measure(u->session, &m, err);
  if (status == MV_OK) write_members(&m, w);
  measured_free(&m);
  return status;
}

/* ---- for people ---- */

/* "tumor", "P1 to P2", "A to B, C to D": what was measured. */
static void put_subject(const measured *m, mv_buf *out) {
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
static const char *unit_suffix(const measured *m) {
  if (m->question.task == MV_TASK_DETECT) return "";
  if (mv_str_is(m->prompt.unit, "mm")) return " mm";
  return mv_str_is(m->prompt.unit, "cm") ? " cm" : " degrees";
}

static const char *value_name(mv_task task, int i) {
  static const char *const axes[] = {"major axis", "minor axis"};
  return task == MV_TASK_SIZE ? axes[i] : mv_task_name(task);
}

static void print_values(const measured *m, mv_buf *out) {
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
static void print_unparsed(const mv_session *session, const measured *m, mv_buf *out) {
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

static void print_text(const mv_session *session, const measured *m, const char *overlay,
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

/* "tumor: 24.13 mm, 11.07 mm" and, below it, what its landmarks give. */
static void put_captions(const measured *m, mv_buf *said, mv_buf *recomputed) {
  const mv_answer *a = &m->answer;
  const char *unit = unit_suffix(m), *format = a->task == MV_TASK_DETECT ? "%.3f%s" : "%.2f%s";
  put_subject(m, said);
  mv_buf_text(said, a->parsed ? ": " : ": no answer");
  mv_buf_text(recomputed, "recomputed from its landmarks: ");
  for (int i = 0; i < a->n_value; i++) {
    const char *comma = i ? ", " : "";
    char number[64];
    if (a->parsed) {
      snprintf(number, sizeof number, format, a->values[i], unit);
      mv_buf_printf(said, "%s%s", comma, number);
    }
    if (a->n_recomputed) {
      snprintf(number, sizeof number, format, a->recomputed[i], unit);
      mv_buf_printf(recomputed, "%s%s", comma, number);
    }
  }
}

static mv_status save_overlay(const mv_cli_args *args, const measured *m, const char *path,
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

static mv_status print_measured(const mv_session *session, const measured *m, const char *overlay,
                                mv_error *err) {
  mv_buf out = {0};
  if (session->args->json) {
    mv_json_writer writer = mv_cli_json(&out);
    mv_json_begin_object(&writer);
    write_members(m, &writer);
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
  measured m = {0};
  mv_buf overlay = {0};
  mv_error err = {0};
  mv_question_from_args(args, (mv_task)args->command, path, &m.question);
  mv_status status = measure(session, &m, &err);
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
  measured_free(&m);
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
