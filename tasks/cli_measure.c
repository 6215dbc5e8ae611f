#include "tasks/cli_measure.h"

#include "runtime/clock.h"

/* ---- asking ---- */

static mv_status submit(mv_session *session, mv_measured *m, mv_str text, mv_error *err) {
  mv_request request;
  mv_session_request(session, &request);
  request.system = mv_prompt_system();
  request.prompt = text;
  request.images = &m->picture.image;
  request.n_image = 1;
  request.family = mv_str_of(mv_task_name(m->question.task));
  m->load_ms = mv_now_ms() - m->load_ms;
  return mv_engine_submit(session->engine, &request, &m->ticket, err);
}

mv_status mv_measured_submit(mv_measured *m, mv_session *session, mv_error *err) {
  mv_preprocessor pp = mv_session_preprocessor(session);
  mv_buf text = {0};
  m->load_ms = mv_now_ms();
  MV_TRY(mv_picture_load(&m->picture, &m->question, &pp, err));
  MV_TRY(mv_picture_check_spacing(&m->picture, &m->question, err));
  MV_TRY(mv_manifest_prompt(&m->question, &m->picture.frame, &m->prompt, err));
  mv_status status = mv_prompt_render(&m->prompt, &text, err);
  if (status == MV_OK) status = mv_buf_status(&text, err);
  if (status == MV_OK) status = submit(session, m, mv_buf_view(&text), err);
  mv_buf_free(&text);
  return status;
}

mv_status mv_measured_read(mv_measured *m, mv_error *err) {
  /* The engine starts when it has pixels; the file's decoding and reshaping belong to the image. */
  m->result.timings.image_ms += m->load_ms;
  m->result.timings.ttft_ms += m->load_ms;
  m->result.timings.total_ms += m->load_ms;
  const mv_spacing *seen = &m->picture.frame.spacing;
  return mv_answer_read(&m->answer, m->question.task, seen, mv_buf_view(&m->result.text), err);
}

mv_status mv_measured_ask(mv_measured *m, mv_session *session, mv_error *err) {
  session->streamed = 0;
  MV_TRY(mv_measured_submit(m, session, err));
  MV_TRY(mv_session_await(session, m->ticket, &m->result, err));
  return mv_measured_read(m, err);
}

void mv_measured_free(mv_measured *m) {
  mv_answer_free(&m->answer);
  mv_result_free(&m->result);
  mv_picture_free(&m->picture);
}

/* ---- JSON ---- */

static void put_text(mv_json_writer *w, const char *key, mv_str text) {
  mv_json_key(w, key);
  mv_json_string(w, text);
}

static void write_slice(const mv_manifest *q, mv_json_writer *w) {
  static const char *const planes[] = {"sagittal", "coronal", "axial"};
  put_text(w, "plane", mv_str_of(planes[q->plane]));
  mv_json_key(w, "index");
  mv_json_int(w, q->index);
}

/* What was asked, as far as the result repeats it. */
static void write_question(const mv_measured *m, mv_json_writer *w) {
  const mv_manifest *q = &m->question;
  const mv_spacing *seen = &m->picture.frame.spacing;
  put_text(w, "task", mv_str_of(mv_task_name(q->task)));
  put_text(w, "image", q->volume.len ? q->volume : q->image);
  if (q->volume.len) write_slice(q, w);
  if (q->task == MV_TASK_DETECT || q->task == MV_TASK_SIZE) put_text(w, "label", q->label);
  if (q->task == MV_TASK_DISTANCE || q->task == MV_TASK_ANGLE) put_text(w, "name", q->name);
  if (q->task == MV_TASK_DISTANCE) mv_json_names(w, "points", q->points);
  if (q->task == MV_TASK_ANGLE) {
    mv_json_names(w, "line1", q->points);
    mv_json_names(w, "line2", q->points + 2);
  }
  if (mv_task_has_spacing(q->task)) {
    put_text(w, "unit", mv_str_of(mv_unit_word(m->prompt.unit)));
    mv_json_size(w, "image_size", seen->image_w, seen->image_h);
    mv_json_pixel_size(w, "pixel_size", seen->pixel_w, seen->pixel_h);
  } else {
    mv_json_size(w, "image_size", seen->image_w, seen->image_h);
  }
}

void mv_measured_write(const mv_measured *m, mv_json_writer *w) {
  write_question(m, w);
  mv_answer_write(&m->answer, mv_buf_view(&m->result.text), w);
  mv_result_write_usage(&m->result, w);
  mv_result_write_finish(&m->result, w);
  mv_result_write_timings(&m->result, w);
  mv_result_write_speculation(&m->result, w);
  mv_result_write_logprobs(&m->result, w);
}
