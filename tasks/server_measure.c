/* /v1/measure: a picture and a question to the measurement's object; /v1/preview: a picture of any
 * format as the PNG a browser can show. */
#include <string.h>

#include "tasks/batch.h"
#include "tasks/cli_measure.h"
#include "tasks/server.h"
#include "vision/resize.h"

/* ---- the picture ---- */

/* The member that holds the picture, as a file of its own. Fills `path`, which the question borrows
 * until the picture is loaded. */
static mv_status keep_picture(mv_call *call, mv_manifest *q, mv_buf *path, mv_error *err) {
  mv_buf bytes = {0};
  mv_str url = q->volume.len ? q->volume : q->image;
  if (!url.len)
    return mv_fail(err, MV_ERR_USAGE, "\"image\": expected a picture, or \"volume\" a volume");
  mv_status status = mv_server_fetch(call->server, url, &bytes, err);
  mv_image header;
  mv_error other;
  if (status == MV_OK && mv_image_probe(bytes.ptr, bytes.len, &header, &other) == MV_OK)
    status = mv_server_check_pixels(call->server, &bytes, err);
  if (status == MV_OK) status = mv_server_keep(call->server, &bytes, path, err);
  mv_buf_free(&bytes);
  if (status == MV_OK && q->volume.len)
    status = mv_server_check_volume(call->server, path->ptr, err);
  if (status != MV_OK) return status;
  if (q->volume.len)
    q->volume = mv_buf_view(path);
  else
    q->image = mv_buf_view(path);
  return MV_OK;
}

/* Our file's name means nothing to who asked. */
static void hide_path(mv_error *err, const mv_buf *path) {
  char *at = path->ptr ? strstr(err->msg, path->ptr) : NULL;
  if (!at) return;
  static const char name[] = "the picture";
  char rest[sizeof err->msg];
  strcpy(rest, at + path->len);
  memcpy(at, name, sizeof name - 1);
  strcpy(at + sizeof name - 1, rest);
}

static mv_status load_picture(mv_call *call, mv_manifest *q, mv_picture *picture, mv_error *err) {
  mv_preprocessor pp = *mv_model_preprocessor(call->server->model);
  mv_buf path = {0};
  mv_status status = keep_picture(call, q, &path, err);
  pp.resampler = (mv_resampler)call->request.resampler;
  if (status == MV_OK) status = mv_picture_load(picture, q, &pp, err);
  if (status == MV_OK) status = mv_picture_check_spacing(picture, q, err);
  if (status != MV_OK) hide_path(err, &path);
  if (q->volume.len)
    q->volume = mv_str_of("upload");
  else
    q->image = mv_str_of("upload");
  mv_server_drop(&path);
  return status;
}

/* ---- measuring ---- */

static mv_status read_question(mv_call *call, mv_measured *m, mv_error *err) {
  int n = 1;
  mv_manifest *q = &m->question;
  const mv_json *orientation = mv_json_get(call->doc.root, "orientation");
  MV_TRY(mv_body_decoding(call, &n, err));
  if (n != 1) return mv_fail(err, MV_ERR_USAGE, "\"n\": a measurement has one answer");
  call->wants_logprobs = 0;
  call->request.n_logprob = -1;
  MV_TRY(mv_manifest_read(call->doc.root, q, err));
  if (!q->has_task)
    return mv_fail(err, MV_ERR_USAGE, "\"task\": expected detect, size, distance or angle");
  /* As the commands do: RAS+ axes unless told otherwise. */
  q->orientation = mv_json_is(orientation, MV_JSON_STRING) && mv_str_is(orientation->text, "stored")
                       ? MV_ORIENTATION_STORED
                       : MV_ORIENTATION_RAS;
  if (q->task != MV_TASK_DETECT && q->unit.ptr && !mv_unit_word(q->unit))
    return mv_fail(err, MV_ERR_USAGE, "\"unit\": expected mm, cm or degree");
  return MV_OK;
}

/* Neither in the question nor in the file: a picture of unknown scale. */
static mv_status need_spacing(const mv_measured *m, mv_error *err) {
  if (!mv_task_has_spacing(m->question.task) || m->picture.has_pixel_size) return MV_OK;
  return mv_fail(err, MV_ERR_USAGE,
                 "\"pixel_size\": expected [width, height] in mm: the picture has no spacing");
}

static mv_status ask(mv_call *call, mv_measured *m, mv_error *err) {
  mv_buf text = {0};
  MV_TRY(load_picture(call, &m->question, &m->picture, err));
  MV_TRY(need_spacing(m, err));
  MV_TRY(mv_manifest_prompt(&m->question, &m->picture.frame, &m->prompt, err));
  mv_status status = mv_prompt_render(&m->prompt, &text, err);
  if (status == MV_OK) status = mv_buf_status(&text, err);
  if (status == MV_OK) {
    mv_request request = call->request;
    request.system = mv_prompt_system();
    request.prompt = mv_buf_view(&text);
    request.images = &m->picture.image;
    request.n_image = 1;
    request.family = mv_str_of(mv_task_name(m->question.task));
    status = mv_call_submit(call, &request, err);
  }
  mv_buf_free(&text);
  return status;
}

mv_status mv_measure_result(mv_call *call, mv_json_writer *w, mv_error *err) {
  mv_measured *m = call->measured;
  mv_choice *choice = &call->choices[0];
  if (choice->result.status != MV_OK) {
    *err = choice->err;
    return err->code;
  }
  m->result = choice->result; /* lent: mv_measure_forget does not free it */
  MV_TRY(mv_answer_read(&m->answer, m->question.task, &m->picture.frame.spacing,
                        mv_buf_view(&m->result.text), err));
  mv_measured_write(m, w);
  mv_write_timings(&m->result, w);
  return MV_OK;
}

void mv_measure_forget(mv_call *call) {
  mv_measured *m = call->measured;
  if (!m) return;
  mv_answer_free(&m->answer);
  mv_picture_free(&m->picture);
  mv_free(m);
  call->measured = NULL;
}

static int reply(mv_call *call) {
  mv_error err = {0};
  if (call->stream) return mv_reply_stream(call);
  mv_call_wait(call);
  mv_json_writer w = mv_server_json(&call->out);
  mv_json_begin_object(&w);
  if (mv_measure_result(call, &w, &err) != MV_OK) return mv_reply_failed(call, &err);
  mv_json_end_object(&w);
  return mv_reply_json(call, 200);
}

int mv_serve_measure(mv_call *call) {
  mv_error err = {0};
  mv_measured *m = call->measured = mv_calloc(1, sizeof *m);
  if (!m) return mv_reply_error(call, 503, NULL, "out of memory");
  mv_status status = read_question(call, m, &err);
  if (status != MV_OK) return mv_reply_failed(call, &err);
  if (!mv_call_reserve(call, 1)) return mv_reply_busy(call);
  sem_wait(&call->server->preparing);
  status = ask(call, m, &err);
  sem_post(&call->server->preparing);
  return status == MV_OK ? reply(call) : mv_reply_failed(call, &err);
}

/* ---- previews ---- */

#define MAX_SHOWN 2048 /* pixels of the longer side: more is slow to send and shows no more */

/* The picture as it is, or smaller. */
static mv_status encode(const mv_image *image, mv_buf *png, mv_error *err) {
  int w = image->width, h = image->height, side = w > h ? w : h;
  if (side <= MAX_SHOWN) return mv_image_encode_png(image, png, err);
  mv_image small = {0};
  w = (int)((int64_t)w * MAX_SHOWN / side), h = (int)((int64_t)h * MAX_SHOWN / side);
  mv_status status = mv_image_resize(image, h > 0 ? h : 1, w > 0 ? w : 1, 0, &small, err);
  if (status == MV_OK) status = mv_image_encode_png(&small, png, err);
  mv_image_free(&small);
  return status;
}

/* Voxels along the planes of a volume, for who chooses a slice. */
static void write_planes(const mv_volume *volume, mv_json_writer *w) {
  static const char *const names[] = {"sagittal", "coronal", "axial"};
  mv_json_key(w, "slices");
  mv_json_begin_object(w);
  for (int i = 0; i < 3; i++) {
    mv_json_key(w, names[i]);
    mv_json_int(w, volume->dim[volume->ras_axis[i]]);
  }
  mv_json_end_object(w);
}

static void write_preview(const mv_picture *picture, const mv_buf *png, mv_json_writer *w) {
  mv_buf url = {0};
  mv_buf_text(&url, "data:image/png;base64,");
  mv_base64_encode(png->ptr, png->len, &url);
  mv_json_size(w, "image_size", picture->frame.raw_w, picture->frame.raw_h);
  mv_json_pixel_size(w, "pixel_size", picture->has_pixel_size ? picture->pixel_w : 0,
                     picture->has_pixel_size ? picture->pixel_h : 0);
  mv_json_key(w, "png");
  mv_json_string(w, mv_buf_view(&url));
  w->out->failed |= url.failed;
  mv_buf_free(&url);
}

/* The slices of a volume, then the one asked for, the middle where none is. */
static mv_status choose_slice(mv_call *call, mv_manifest *q, const mv_buf *path, mv_json_writer *w,
                              mv_error *err) {
  mv_volume volume = {0};
  int64_t index = -1;
  MV_TRY(mv_body_int(call->doc.root, "index", 0, 65535, &index, err));
  MV_TRY(mv_volume_open(&volume, path->ptr, err));
  int n = volume.dim[volume.ras_axis[q->plane]];
  write_planes(&volume, w);
  mv_volume_close(&volume);
  q->index = index < 0 ? n / 2 : (int)index;
  mv_json_key(w, "index");
  mv_json_int(w, q->index);
  return MV_OK;
}

static mv_status preview(mv_call *call, mv_json_writer *w, mv_error *err) {
  mv_preprocessor pp = *mv_model_preprocessor(call->server->model);
  mv_manifest q = {.has_reshape = 1, .orientation = MV_ORIENTATION_RAS, .plane = MV_PLANE_AXIAL};
  mv_str plane = {"axial", 5};
  mv_picture picture = {0};
  mv_buf path = {0}, png = {0};
  MV_TRY(mv_body_text(call->doc.root, "image", &q.image, err));
  MV_TRY(mv_body_text(call->doc.root, "volume", &q.volume, err));
  MV_TRY(mv_body_text(call->doc.root, "modality", &q.modality, err));
  MV_TRY(mv_body_text(call->doc.root, "plane", &plane, err));
  q.plane = mv_str_is(plane, "sagittal")  ? MV_PLANE_SAGITTAL
            : mv_str_is(plane, "coronal") ? MV_PLANE_CORONAL
                                          : MV_PLANE_AXIAL;
  if (q.volume.len) q.image = (mv_str){NULL, 0};
  mv_status status = keep_picture(call, &q, &path, err);
  if (status == MV_OK && q.volume.len) status = choose_slice(call, &q, &path, w, err);
  if (status == MV_OK) status = mv_picture_load(&picture, &q, &pp, err);
  if (status == MV_OK) status = encode(&picture.image, &png, err);
  if (status == MV_OK) write_preview(&picture, &png, w);
  if (status != MV_OK) hide_path(err, &path);
  mv_server_drop(&path);
  mv_picture_free(&picture);
  mv_buf_free(&png);
  return status;
}

int mv_serve_preview(mv_call *call) {
  mv_error err = {0};
  mv_json_writer w = mv_server_json(&call->out);
  sem_wait(&call->server->preparing);
  mv_json_begin_object(&w);
  mv_status status = preview(call, &w, &err);
  mv_json_end_object(&w);
  sem_post(&call->server->preparing);
  return status == MV_OK ? mv_reply_json(call, 200) : mv_reply_failed(call, &err);
}
