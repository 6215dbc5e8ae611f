#include "tasks/cli_picture.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/file.h"
#include "tasks/cli_io.h"
#include "tasks/labels.h"
#include "vision/dicom.h"
#include "vision/volumes.h"

void mv_question_from_args(const mv_cli_args *args, mv_task task, const char *path,
                           mv_manifest *out) {
  memset(out, 0, sizeof *out);
  out->has_task = 1;
  out->task = task;
  if (args->slice.plane >= 0 && path) {
    out->volume = mv_str_of(path);
    out->plane = (mv_plane)args->slice.plane;
    out->index = args->slice.index, out->frame = args->slice.frame;
    out->orientation = args->orientation == 1 ? MV_ORIENTATION_STORED : MV_ORIENTATION_RAS;
  } else {
    out->image = mv_str_of(path);
  }
  if (args->modality) out->modality = mv_str_of(args->modality);
  out->image_w = args->image_size[0], out->image_h = args->image_size[1];
  out->has_pixel_size = mv_cli_given(args, "pixel-size");
  out->pixel_w = (float)args->pixel_size[0], out->pixel_h = (float)args->pixel_size[1];
  out->has_reshape = !out->volume.len || mv_cli_given(args, "reshape");
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

mv_status mv_question_from_line(const mv_cli_args *args, const mv_json *line, mv_manifest *out,
                                mv_error *err) {
  MV_TRY(mv_manifest_read(line, out, err));
  if (args->orientation == 2) out->orientation = MV_ORIENTATION_RAS;
  if (mv_str_is(out->image, "-"))
    return mv_fail(err, MV_ERR_USAGE, "\"image\": standard input is taken by the lines");
  return MV_OK;
}

/* A path as a C string in `copy` (free with mv_free). */
static mv_status copy_path(mv_str path, const char *key, char **copy, mv_error *err) {
  *copy = NULL;
  if (memchr(path.ptr, 0, path.len))
    return mv_fail(err, MV_ERR_USAGE, "\"%s\": a path cannot hold U+0000", key);
  *copy = mv_alloc(path.len + 1);
  if (!*copy) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  memcpy(*copy, path.ptr, path.len);
  (*copy)[path.len] = 0;
  return MV_OK;
}

static mv_status path_of(const mv_manifest *question, char **path, mv_error *err) {
  *path = NULL;
  if (question->volume.len) return copy_path(question->volume, "volume", path, err);
  if (!question->image.len)
    return mv_fail(err, MV_ERR_USAGE, "\"image\": expected the path of a picture");
  return copy_path(question->image, "image", path, err);
}

int mv_picture_has_header(const char *path) {
  return mv_volume_is_name(mv_str_of(path)) || mv_dicom_is_file(path);
}

/* What the question says of pixel size goes before what the file says. */
static void set_spacing(mv_picture *picture, const mv_manifest *question, float w, float h) {
  picture->has_pixel_size = question->has_pixel_size || (w > 0 && h > 0);
  picture->pixel_w = question->has_pixel_size ? question->pixel_w : w;
  picture->pixel_h = question->has_pixel_size ? question->pixel_h : h;
}

/* The frame of a raw picture of that size, with the spacing found. */
static mv_status set_frame(mv_picture *picture, const mv_manifest *question, int width, int height,
                           const mv_preprocessor *pp, mv_error *err) {
  mv_manifest seen = *question;
  seen.has_pixel_size = picture->has_pixel_size;
  seen.pixel_w = picture->pixel_w, seen.pixel_h = picture->pixel_h;
  return mv_manifest_frame(&seen, width, height, pp, &picture->frame, err);
}

/* ---- pictures ---- */

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

/* A picture file, or a DICOM file as one. */
static mv_status load_file(mv_picture *picture, const mv_manifest *question, const char *path,
                           mv_image *file, mv_error *err) {
  mv_dicom_picture dicom = {0};
  if (mv_volume_is_name(mv_str_of(path)))
    return mv_fail(err, MV_ERR_USAGE,
                   "%s: a volume: say which slice with --slice PLANE:INDEX (in a manifest: "
                   "\"volume\", \"plane\" and \"index\")",
                   path);
  if (!mv_dicom_is_file(path)) {
    MV_TRY(mv_image_load(path, file, err));
    set_spacing(picture, question, 0, 0);
    return MV_OK;
  }
  MV_TRY(mv_dicom_load_picture(path, &dicom, err));
  *file = dicom.image;
  picture->spacing_tag = dicom.spacing_tag;
  set_spacing(picture, question, dicom.pixel_w, dicom.pixel_h);
  return MV_OK;
}

static mv_status load_picture(mv_picture *picture, const mv_manifest *question, const char *path,
                              const mv_preprocessor *pp, mv_error *err) {
  mv_image file = {0};
  mv_status status = load_file(picture, question, path, &file, err);
  if (status == MV_OK) {
    status = set_frame(picture, question, file.width, file.height, pp, err);
    if (status == MV_OK) status = reshape(picture, &file, pp->resampler, err);
    if (status != MV_OK) mv_error_prefix(err, "%s", path);
  }
  mv_image_free(&file);
  return status;
}

/* ---- volumes ---- */

static mv_intensity intensity_of(const mv_manifest *q) {
  int asks = q->has_task && (q->task == MV_TASK_DETECT || q->task == MV_TASK_SIZE);
  return (mv_intensity){.modality = q->modality,
                        .label = asks && !q->has_label_name ? q->label : q->label_name,
                        .dataset = q->dataset,
                        .task_id = q->task_id,
                        .task_type = q->task_type};
}

static mv_status slice_to_picture(mv_picture *picture, const mv_manifest *question, mv_slice *slice,
                                  mv_error *err) {
  const mv_frame *frame = &picture->frame;
  const mv_intensity what = intensity_of(question);
  int width, level;
  MV_TRY(mv_intensity_window(&what, &width, &level, err));
  if (frame->reshape_h) MV_TRY(mv_slice_reshape(slice, frame->reshape_h, frame->reshape_w, err));
  return mv_slice_to_image(slice, width, level, &picture->image, err);
}

/* `picture` NULL pixels: the frame alone. */
static mv_status load_volume(mv_picture *picture, const mv_manifest *question, const char *path,
                             int with_pixels, const mv_preprocessor *pp, mv_error *err) {
  mv_volume volume;
  mv_slice slice = {0};
  MV_TRY(mv_volumes_take(question->volumes, path, with_pixels, &volume, err));
  mv_orientation orientation = (mv_orientation)question->orientation;
  int axis = (int)question->plane;
  mv_status status = with_pixels
                         ? mv_volume_slice(&volume, orientation, axis, question->index,
                                           question->frame, &slice, err)
                         : mv_volume_slice_frame(&volume, orientation, axis, question->index,
                                                 question->frame, &slice, err);
  if (status == MV_OK) {
    picture->spacing_tag = volume.spacing_tag;
    set_spacing(picture, question, volume.has_spacing ? slice.zoom_w : 0,
                volume.has_spacing ? slice.zoom_h : 0);
    status = set_frame(picture, question, slice.width, slice.height, pp, err);
    if (status == MV_OK && with_pixels) status = slice_to_picture(picture, question, &slice, err);
    if (status != MV_OK) mv_error_prefix(err, "%s", path);
  }
  mv_slice_free(&slice);
  mv_volumes_give(question->volumes, &volume);
  return status;
}

mv_status mv_picture_load(mv_picture *picture, const mv_manifest *question,
                          const mv_preprocessor *pp, mv_error *err) {
  char *path = NULL;
  memset(picture, 0, sizeof *picture);
  MV_TRY(path_of(question, &path, err));
  mv_status status = question->volume.len ? load_volume(picture, question, path, 1, pp, err)
                                          : load_picture(picture, question, path, pp, err);
  if (status != MV_OK) mv_picture_free(picture);
  mv_free(path);
  return status;
}

void mv_picture_free(mv_picture *picture) {
  mv_image_free(&picture->image);
  memset(picture, 0, sizeof *picture);
}

mv_status mv_picture_check_spacing(const mv_picture *picture, const mv_manifest *question,
                                   mv_error *err) {
  if (picture->has_pixel_size || !picture->spacing_tag || !question->has_task ||
      !mv_task_has_spacing(question->task))
    return MV_OK;
  mv_str name = question->volume.len ? question->volume : question->image;
  return mv_fail(err, MV_ERR_USAGE,
                 "%.*s: no spacing in the header (%s): give --pixel-size W[xH] in mm, or "
                 "\"pixel_size\" in a manifest line",
                 (int)(name.len < 1000 ? name.len : 1000), name.ptr, picture->spacing_tag);
}

/* ---- sizes alone ---- */

static mv_status probe(const char *path, mv_image *header, mv_error *err) {
  mv_buf bytes = {0};
  mv_status status = mv_image_read(path, &bytes, err);
  if (status == MV_OK && mv_image_probe(bytes.ptr, bytes.len, header, err) != MV_OK)
    status = mv_error_prefix(err, "%s", path);
  mv_buf_free(&bytes);
  return status;
}

mv_status mv_picture_frame(const mv_manifest *question, const mv_preprocessor *pp, mv_frame *frame,
                           mv_error *err) {
  mv_image header = {0};
  mv_picture picture = {0};
  char *path = NULL;
  memset(frame, 0, sizeof *frame);
  if (!question->image.len && !question->volume.len)
    return question->image_w ? mv_manifest_frame(question, 0, 0, pp, frame, err) : MV_OK;
  MV_TRY(path_of(question, &path, err));
  mv_status status;
  if (question->volume.len) {
    status = load_volume(&picture, question, path, 0, pp, err);
  } else if (mv_dicom_is_file(path)) {
    status = load_picture(&picture, question, path, pp, err);
  } else {
    status = probe(path, &header, err);
    if (status == MV_OK)
      status = mv_manifest_frame(question, header.width, header.height, pp, &picture.frame, err);
  }
  if (status == MV_OK) status = mv_picture_check_spacing(&picture, question, err);
  *frame = picture.frame;
  mv_picture_free(&picture);
  mv_free(path);
  return status;
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

void mv_json_names(mv_json_writer *w, const char *key, const mv_str names[2]) {
  mv_json_key(w, key);
  mv_json_begin_array(w);
  mv_json_string(w, names[0]);
  mv_json_string(w, names[1]);
  mv_json_end_array(w);
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
