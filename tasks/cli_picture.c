#include "tasks/cli_picture.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/file.h"
#include "tasks/cli_io.h"

void mv_question_from_args(const mv_cli_args *args, mv_task task, const char *path,
                           mv_manifest *out) {
  memset(out, 0, sizeof *out);
  out->has_task = 1;
  out->task = task;
  out->image = mv_str_of(path);
  out->image_w = args->image_size[0], out->image_h = args->image_size[1];
  out->has_pixel_size = mv_cli_given(args, "pixel-size");
  out->pixel_w = (float)args->pixel_size[0], out->pixel_h = (float)args->pixel_size[1];
  out->has_reshape = 1;
  out->reshape_h = args->reshape[0], out->reshape_w = args->reshape[1];
  out->label = mv_str_of(args->label);
  out->description = mv_str_of(args->description);
  out->name = mv_str_of(args->name);
  if (args->unit) out->unit = mv_str_of(args->unit);
  out->cot = args->no_cot ? MV_COT_NONE : MV_COT_STEPS;
  const char *const *first = args->line1[0] ? args->line1 : args->points;
  for (int i = 0; i < 2 && first[0]; i++) out->points[out->n_point++] = mv_str_of(first[i]);
  for (int i = 0; i < 2 && args->line2[0]; i++)
    out->points[out->n_point++] = mv_str_of(args->line2[i]);
}

mv_status mv_question_from_line(const mv_json *line, mv_manifest *out, mv_error *err) {
  MV_TRY(mv_manifest_read(line, out, err));
  if (mv_str_is(out->image, "-"))
    return mv_fail(err, MV_ERR_USAGE, "\"image\": standard input is taken by the lines");
  return MV_OK;
}

/* The question's path as a C string in `path` (free with mv_free). */
static mv_status path_of(const mv_manifest *question, char **path, mv_error *err) {
  mv_str image = question->image;
  *path = NULL;
  if (question->volume.len)
    return mv_fail(err, MV_ERR_UNSUPPORTED, "volumes are not built into this version");
  if (!image.len) return mv_fail(err, MV_ERR_USAGE, "\"image\": expected the path of a picture");
  if (memchr(image.ptr, 0, image.len))
    return mv_fail(err, MV_ERR_USAGE, "\"image\": a path cannot hold U+0000");
  *path = mv_alloc(image.len + 1);
  if (!*path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  memcpy(*path, image.ptr, image.len);
  (*path)[image.len] = 0;
  return MV_OK;
}

static mv_status reshape(mv_picture *picture, mv_image *file, mv_resampler resampler,
                         mv_error *err) {
  const mv_frame *frame = &picture->frame;
  if (frame->reshape_h)
    return mv_image_resize(file, frame->reshape_h, frame->reshape_w, resampler, &picture->image,
                           err);
  picture->image = *file;
  memset(file, 0, sizeof *file);
  return MV_OK;
}

mv_status mv_picture_load(mv_picture *picture, const mv_manifest *question,
                          const mv_preprocessor *pp, mv_error *err) {
  char *path = NULL;
  mv_image file = {0};
  memset(picture, 0, sizeof *picture);
  MV_TRY(path_of(question, &path, err));
  mv_status status = mv_image_load(path, &file, err);
  if (status == MV_OK) {
    status = mv_manifest_frame(question, file.width, file.height, pp, &picture->frame, err);
    if (status == MV_OK) status = reshape(picture, &file, pp->resampler, err);
    if (status != MV_OK) mv_error_prefix(err, "%s", path);
  }
  mv_image_free(&file);
  mv_free(path);
  return status;
}

void mv_picture_free(mv_picture *picture) {
  mv_image_free(&picture->image);
  memset(picture, 0, sizeof *picture);
}

static mv_status probe(const char *path, mv_image *header, mv_error *err) {
  mv_buf bytes = {0};
  mv_status status = mv_file_read(path, MV_IMAGE_MAX_FILE_BYTES, &bytes, err);
  if (status == MV_OK && mv_image_probe(bytes.ptr, bytes.len, header, err) != MV_OK)
    status = mv_error_prefix(err, "%s", path);
  mv_buf_free(&bytes);
  return status;
}

mv_status mv_picture_frame(const mv_manifest *question, const mv_preprocessor *pp, mv_frame *frame,
                           mv_error *err) {
  mv_image header = {0};
  memset(frame, 0, sizeof *frame);
  if (!question->image.len && !question->volume.len && !question->image_w) return MV_OK;
  if (question->image.len || question->volume.len) {
    char *path = NULL;
    MV_TRY(path_of(question, &path, err));
    mv_status status = probe(path, &header, err);
    mv_free(path);
    MV_TRY(status);
  }
  return mv_manifest_frame(question, header.width, header.height, pp, frame, err);
}

void mv_picture_note(const mv_cli_args *args, const char *path, const mv_image *image) {
  if (image->was_16bit) mv_cli_note(args, "%s: 16-bit samples scaled to 8 bits", path);
  if (image->had_alpha) mv_cli_note(args, "%s: transparency composited on black", path);
}

mv_status mv_cli_preprocessor(const mv_cli_args *args, mv_preprocessor *pp, mv_error *err) {
  struct stat info;
  if (args->model && stat(args->model, &info) != 0)
    return mv_fail(err, MV_ERR_IO, "%s: %s", args->model, strerror(errno));
  if (args->model)
    MV_TRY(mv_preprocessor_load(args->model, pp, err));
  else
    mv_preprocessor_default(pp);
  pp->resampler = (mv_resampler)args->resampler;
  return MV_OK;
}

void mv_json_size(mv_json_writer *w, const char *key, int width, int height) {
  mv_json_key(w, key);
  if (!width) {
    mv_json_null(w);
    return;
  }
  mv_json_begin_array(w);
  mv_json_int(w, width);
  mv_json_int(w, height);
  mv_json_end_array(w);
}

void mv_json_pixel_size(mv_json_writer *w, const char *key, float width, float height) {
  mv_json_key(w, key);
  if (!(width > 0)) {
    mv_json_null(w);
    return;
  }
  mv_json_begin_array(w);
  mv_json_float(w, width);
  mv_json_float(w, height);
  mv_json_end_array(w);
}
