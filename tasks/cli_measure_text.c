/* A measurement as people read it: lines of text, and a picture. */
#include <string.h>

#include "tasks/cli_measure.h"
#include "tasks/cli_overlay.h"

#define MAX_SHOWN 600 /* bytes of an answer that did not parse */

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

/* Why there are no values, and what there is instead. */
static void print_unparsed(const mv_measured *m, int with_response, mv_buf *out) {
  mv_buf_printf(out, "  no answer: expected %d number%s inside <answer>...</answer>",
                m->answer.n_value, m->answer.n_value == 1 ? "" : "s");
  if (m->result.finish == MV_FINISH_LENGTH)
    mv_buf_printf(out, "; cut off after %zu tokens", m->result.n_token);
  mv_buf_char(out, '\n');
  if (m->answer.n_recomputed) {
    mv_buf_text(out, "  its landmarks give ");
    put_numbers(m, m->answer.recomputed, out);
    mv_buf_char(out, '\n');
  }
  if (!with_response) return;
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

void mv_measured_print(const mv_measured *m, int with_response, const char *overlay, mv_buf *out) {
  mv_cli_visible(out, m->question.volume.len ? m->question.volume : m->question.image);
  mv_buf_text(out, "  ");
  put_subject(m, out);
  mv_buf_char(out, '\n');
  if (m->answer.parsed)
    print_values(m, out);
  else
    print_unparsed(m, with_response, out);
  if (overlay) {
    mv_buf_text(out, "  overlay      ");
    mv_cli_visible(out, mv_str_of(overlay));
    mv_buf_char(out, '\n');
  }
}

/* ---- the picture ---- */

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

mv_status mv_measured_save_overlay(const mv_measured *m, const char *path, mv_resampler resampler,
                                   mv_error *err) {
  mv_buf said = {0}, recomputed = {0};
  put_captions(m, &said, &recomputed);
  mv_status status = mv_buf_status(said.failed ? &said : &recomputed, err);
  const char *captions[] = {said.ptr, recomputed.ptr};
  if (status == MV_OK)
    status = mv_cli_overlay_save(path, &m->picture, resampler, &m->answer, captions,
                                 m->answer.n_recomputed ? 2 : 1, err);
  mv_buf_free(&said);
  mv_buf_free(&recomputed);
  return status;
}
