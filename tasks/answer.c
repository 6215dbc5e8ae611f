#include "tasks/answer.h"

#include <math.h>
#include <string.h>

#include "tasks/geometry.h"
#include "tasks/parse.h"

static mv_status read_values(mv_answer *a, mv_str text, mv_error *err) {
  a->n_value = mv_task_values(a->task);
  if (mv_answer_inner(text, &a->inner)) a->inner = mv_str_strip(a->inner);
  mv_buf_clear(&a->numbers);
  mv_numbers_last(a->inner, a->n_value, &a->numbers);
  MV_TRY(mv_buf_status(&a->numbers, err));
  a->parsed = a->numbers.len > 0;
  for (int i = 0; a->parsed && i < a->n_value; i++)
    MV_TRY(mv_answer_value(mv_buf_view(&a->numbers), i, &a->values[i], err));
  return MV_OK;
}

static void recompute(mv_answer *a, const mv_spacing *spacing) {
  mv_measure(a->task, a->landmarks, spacing, a->recomputed);
  a->n_recomputed = a->n_value;
  for (int i = 0; i < a->n_value; i++)
    a->arithmetic_error[i] = a->parsed ? mv_relative_error(a->values[i], a->recomputed[i]) : NAN;
}

mv_status mv_answer_read(mv_answer *out, mv_task task, const mv_spacing *spacing, mv_str text,
                         mv_error *err) {
  mv_answer_free(out);
  out->task = task;
  out->inner = mv_str_of("");
  MV_TRY(read_values(out, text, err));
  MV_TRY(mv_steps_parse(text, &out->steps, err));
  if (!mv_steps_landmarks(&out->steps, task, out->landmarks)) return MV_OK;
  out->n_landmark = mv_task_landmarks(task);
  if (spacing && mv_task_has_spacing(task)) recompute(out, spacing);
  return MV_OK;
}

void mv_answer_free(mv_answer *answer) {
  mv_buf_free(&answer->numbers);
  mv_steps_free(&answer->steps);
  memset(answer, 0, sizeof *answer);
}

/* ---- JSON ---- */

/* `n` numbers, or null for none. With `strict`, numbers that JSON has no literal for are null. */
static void write_list(mv_json_writer *w, const char *key, const double *v, int n, int strict) {
  mv_json_key(w, key);
  if (n == 0) {
    mv_json_null(w);
    return;
  }
  mv_json_begin_array(w);
  for (int i = 0; i < n; i++) {
    if (strict && !isfinite(v[i])) {
      mv_json_null(w);
    } else {
      mv_json_double(w, v[i]);
    }
  }
  mv_json_end_array(w);
}

static void write_steps(mv_json_writer *w, const mv_steps *steps) {
  mv_json_key(w, "steps");
  mv_json_begin_array(w);
  for (size_t i = 0; i < steps->n; i++) {
    mv_json_begin_object(w);
    mv_json_key(w, "reasoning");
    mv_json_string(w, steps->v[i].reasoning);
    mv_json_key(w, "answer");
    mv_json_string(w, steps->v[i].answer);
    mv_json_end_object(w);
  }
  mv_json_end_array(w);
}

static void write_landmarks(mv_json_writer *w, const mv_answer *a) {
  mv_json_key(w, "landmarks");
  if (!a->n_landmark) {
    mv_json_null(w);
    return;
  }
  mv_json_begin_array(w);
  for (int i = 0; i < a->n_landmark; i++) {
    mv_json_begin_array(w);
    mv_json_double(w, a->landmarks[i].x);
    mv_json_double(w, a->landmarks[i].y);
    mv_json_end_array(w);
  }
  mv_json_end_array(w);
}

void mv_answer_write(const mv_answer *a, mv_str response, mv_json_writer *w) {
  write_list(w, "values", a->values, a->parsed ? a->n_value : 0, 0);
  mv_json_key(w, "parsed");
  mv_json_bool(w, a->parsed);
  mv_json_key(w, "answer");
  mv_json_string(w, mv_buf_view(&a->numbers));
  mv_json_key(w, "answer_text");
  mv_json_string(w, a->inner);
  mv_json_key(w, "response");
  mv_json_string(w, response);
  write_steps(w, &a->steps);
  write_landmarks(w, a);
  write_list(w, "recomputed", a->recomputed, a->n_recomputed, 1);
  write_list(w, "arithmetic_error", a->arithmetic_error, a->n_recomputed, 1);
}
