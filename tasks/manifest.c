#include "tasks/manifest.h"

#include <math.h>
#include <string.h>

#include "tasks/geometry.h"

#define MAX_SIDE 65535

/* ---- members by kind ---- */

static mv_status wrong(const char *key, const char *expected, const mv_json *found, mv_error *err) {
  return mv_fail(err, MV_ERR_USAGE, "\"%s\": expected %s, found %s", key, expected,
                 mv_json_type_name(found));
}

/* NULL when absent or null. */
static const mv_json *member(const mv_json *line, const char *key) {
  const mv_json *node = mv_json_get(line, key);
  return mv_json_is(node, MV_JSON_NULL) ? NULL : node;
}

static mv_status read_text(const mv_json *line, const char *key, mv_str *out, mv_error *err) {
  const mv_json *node = member(line, key);
  if (!node) return MV_OK;
  if (node->type != MV_JSON_STRING) return wrong(key, "a string", node, err);
  *out = node->text;
  return MV_OK;
}

/* Data sets number their labels and tasks, so integers stand for their digits. */
static mv_status read_name(const mv_json *line, const char *key, mv_str *out, mv_error *err) {
  const mv_json *node = member(line, key);
  if (!node) return MV_OK;
  if (node->type != MV_JSON_STRING && node->type != MV_JSON_INT)
    return wrong(key, "a string or an integer", node, err);
  *out = node->text;
  return MV_OK;
}

static mv_status read_int(const char *key, const mv_json *node, int min, int max, int *out,
                          mv_error *err) {
  int64_t value;
  if (!mv_json_is(node, MV_JSON_INT)) return wrong(key, "an integer", node, err);
  if (!mv_json_to_int(node, &value) || value < min || value > max)
    return mv_fail(err, MV_ERR_USAGE, "\"%s\": expected %d to %d, found %.*s", key, min, max,
                   (int)(node->text.len < 24 ? node->text.len : 24), node->text.ptr);
  *out = (int)value;
  return MV_OK;
}

/* An array of exactly two; `expected` words the message. */
static mv_status read_two(const char *key, const mv_json *node, const char *expected,
                          const mv_json *out[2], mv_error *err) {
  if (!mv_json_is(node, MV_JSON_ARRAY)) return wrong(key, expected, node, err);
  if (node->n_items != 2)
    return mv_fail(err, MV_ERR_USAGE, "\"%s\": expected %s, found an array of %zu", key, expected,
                   node->n_items);
  out[0] = node->first;
  out[1] = node->first->next;
  return MV_OK;
}

static mv_status read_sides(const char *key, const mv_json *node, const char *expected, int *first,
                            int *second, mv_error *err) {
  const mv_json *two[2] = {NULL, NULL};
  MV_TRY(read_two(key, node, expected, two, err));
  MV_TRY(read_int(key, two[0], 1, MAX_SIDE, first, err));
  return read_int(key, two[1], 1, MAX_SIDE, second, err);
}

static mv_status read_points(const mv_json *line, const char *key, mv_str *out, int *n_point,
                             mv_error *err) {
  static const char expected[] = "two names of landmarks";
  const mv_json *node = member(line, key), *two[2] = {NULL, NULL};
  if (!node) return MV_OK;
  MV_TRY(read_two(key, node, expected, two, err));
  for (int i = 0; i < 2; i++) {
    if (two[i]->type != MV_JSON_STRING) return wrong(key, expected, two[i], err);
    out[i] = two[i]->text;
  }
  *n_point += 2;
  return MV_OK;
}

/* ---- the members ---- */

static mv_status read_task(const mv_json *line, mv_manifest *m, mv_error *err) {
  mv_str name = {NULL, 0};
  MV_TRY(read_text(line, "task", &name, err));
  if (!name.ptr) return MV_OK;
  if (!mv_task_from_name(name, &m->task))
    return mv_fail(err, MV_ERR_USAGE,
                   "\"task\": expected detect, size, distance or angle, found \"%.*s\"",
                   (int)(name.len < 40 ? name.len : 40), name.ptr);
  m->has_task = 1;
  return MV_OK;
}

static mv_status read_volume(const mv_json *line, mv_manifest *m, mv_error *err) {
  static const char *const names[] = {"sagittal", "coronal", "axial"};
  mv_str plane = {"", 0};
  MV_TRY(read_text(line, "volume", &m->volume, err));
  if (!m->volume.len) return MV_OK;
  if (m->image.len)
    return mv_fail(err, MV_ERR_USAGE, "\"image\" and \"volume\" are both there: leave one out");
  MV_TRY(read_text(line, "plane", &plane, err));
  for (int i = 0; i < 3; i++) {
    if (!mv_str_is(plane, names[i])) continue;
    m->plane = (mv_plane)i;
    if (member(line, "frame"))
      MV_TRY(read_int("frame", member(line, "frame"), 0, INT32_MAX, &m->frame, err));
    return read_int("index", member(line, "index"), 0, MAX_SIDE, &m->index, err);
  }
  return mv_fail(err, MV_ERR_USAGE,
                 "\"plane\": a volume needs axial, coronal or sagittal, found \"%.*s\"",
                 (int)(plane.len < 40 ? plane.len : 40), plane.ptr);
}

static mv_status read_pixel_size(const mv_json *line, mv_manifest *m, mv_error *err) {
  static const char expected[] = "[width, height] in mm, two positive numbers";
  const mv_json *node = member(line, "pixel_size"), *two[2] = {NULL, NULL};
  float *out[2] = {&m->pixel_w, &m->pixel_h};
  if (!node) return MV_OK;
  MV_TRY(read_two("pixel_size", node, expected, two, err));
  for (int i = 0; i < 2; i++) {
    if (!mv_json_is_number(two[i])) return wrong("pixel_size", expected, two[i], err);
    double mm = two[i]->number;
    if (!((float)mm > 0 && mm < 1e30))
      return mv_fail(err, MV_ERR_USAGE, "\"pixel_size\": expected %s, found %g", expected, mm);
    *out[i] = (float)mm;
  }
  m->has_pixel_size = 1;
  return MV_OK;
}

static mv_status read_sizes(const mv_json *line, mv_manifest *m, mv_error *err) {
  const mv_json *size = member(line, "image_size"), *reshape = mv_json_get(line, "reshape");
  if (size)
    MV_TRY(
        read_sides("image_size", size, "[width, height] in pixels", &m->image_w, &m->image_h, err));
  MV_TRY(read_pixel_size(line, m, err));
  m->has_reshape = reshape != NULL;
  if (!reshape || reshape->type == MV_JSON_NULL) return MV_OK;
  return read_sides("reshape", reshape, "[height, width] in pixels or null", &m->reshape_h,
                    &m->reshape_w, err);
}

/* A string, or the data set's list of one string. */
static mv_status read_unit(const mv_json *line, mv_manifest *m, mv_error *err) {
  const mv_json *node = member(line, "unit");
  if (mv_json_is(node, MV_JSON_ARRAY)) {
    if (node->n_items != 1)
      return mv_fail(err, MV_ERR_USAGE, "\"unit\": expected one, found a list of %zu",
                     node->n_items);
    node = node->first;
  }
  if (!node) return MV_OK;
  if (node->type != MV_JSON_STRING) return wrong("unit", "mm, cm or degree", node, err);
  m->unit = node->text;
  return MV_OK;
}

static mv_status read_cot(const mv_json *line, mv_manifest *m, mv_error *err) {
  const mv_json *node = member(line, "cot");
  m->cot = MV_COT_STEPS;
  if (!node) return MV_OK;
  if (node->type == MV_JSON_BOOL) {
    m->cot = node->truth ? MV_COT_STEPS : MV_COT_NONE;
  } else if (node->type == MV_JSON_STRING && mv_str_is(node->text, "no-steps")) {
    m->cot = MV_COT_NO_STEPS;
  } else {
    return wrong("cot", "true, false or \"no-steps\"", node, err);
  }
  return MV_OK;
}

static mv_status read_truth(const mv_json *line, mv_manifest *m, mv_error *err) {
  static const char expected[] = "a number or an array of one to four";
  const mv_json *node = member(line, "truth");
  if (!node) return MV_OK;
  int list = node->type == MV_JSON_ARRAY;
  if (list && (node->n_items < 1 || node->n_items > MV_TASK_MAX_VALUES))
    return mv_fail(err, MV_ERR_USAGE, "\"truth\": expected %s, found an array of %zu", expected,
                   node->n_items);
  for (node = list ? node->first : node; node; node = list ? node->next : NULL) {
    if (!mv_json_is_number(node)) return wrong("truth", expected, node, err);
    m->truth[m->n_truth++] = node->number;
  }
  return MV_OK;
}

static mv_status read_words(const mv_json *line, mv_manifest *m, mv_error *err) {
  MV_TRY(read_name(line, "label", &m->label, err));
  MV_TRY(read_text(line, "description", &m->description, err));
  MV_TRY(read_text(line, "name", &m->name, err));
  MV_TRY(read_text(line, "dataset", &m->dataset, err));
  MV_TRY(read_name(line, "taskID", &m->task_id, err));
  MV_TRY(read_text(line, "taskType", &m->task_type, err));
  MV_TRY(read_text(line, "label_name", &m->label_name, err));
  m->has_label_name = mv_json_get(line, "label_name") != NULL;
  return read_text(line, "modality", &m->modality, err);
}

static mv_status read_landmarks(const mv_json *line, mv_manifest *m, mv_error *err) {
  MV_TRY(read_points(line, "landmarks", m->points, &m->n_point, err));
  if (m->n_point && (member(line, "line1") || member(line, "line2")))
    return mv_fail(err, MV_ERR_USAGE,
                   "\"landmarks\" are of a distance, \"line1\" and \"line2\" of an angle: leave "
                   "one of them out");
  MV_TRY(read_points(line, "line1", m->points, &m->n_point, err));
  return read_points(line, "line2", m->points + 2, &m->n_point, err);
}

mv_status mv_manifest_read(const mv_json *line, mv_manifest *out, mv_error *err) {
  memset(out, 0, sizeof *out);
  if (!mv_json_is(line, MV_JSON_OBJECT))
    return mv_fail(err, MV_ERR_USAGE, "expected an object, found %s", mv_json_type_name(line));
  out->id = mv_json_get(line, "id");
  MV_TRY(read_task(line, out, err));
  MV_TRY(read_text(line, "image", &out->image, err));
  MV_TRY(read_volume(line, out, err));
  MV_TRY(read_sizes(line, out, err));
  MV_TRY(read_words(line, out, err));
  MV_TRY(read_unit(line, out, err));
  MV_TRY(read_landmarks(line, out, err));
  MV_TRY(read_cot(line, out, err));
  return read_truth(line, out, err);
}

/* ---- sizes ---- */

mv_status mv_frame_init(mv_frame *out, int raw_w, int raw_h, int reshape_w, int reshape_h,
                        const float raw_pixel[2], const mv_preprocessor *pp, mv_error *err) {
  mv_frame f = {raw_w, raw_h, reshape_w, reshape_h, {0, 0, 0, 0}, 0, 0};
  MV_TRY(mv_smart_resize(reshape_h ? reshape_h : raw_h, reshape_w ? reshape_w : raw_w,
                         pp->patch * pp->merge, pp->min_pixels, pp->max_pixels, &f.spacing.image_h,
                         &f.spacing.image_w, err));
  if (raw_pixel) {
    f.raw_pixel_w = raw_pixel[0], f.raw_pixel_h = raw_pixel[1];
    f.spacing.pixel_w = mv_pixel_size(raw_pixel[0], raw_w, reshape_w, f.spacing.image_w);
    f.spacing.pixel_h = mv_pixel_size(raw_pixel[1], raw_h, reshape_h, f.spacing.image_h);
  }
  *out = f;
  return MV_OK;
}

mv_status mv_manifest_frame(const mv_manifest *line, int raw_w, int raw_h,
                            const mv_preprocessor *pp, mv_frame *out, mv_error *err) {
  float pixel[2] = {line->pixel_w, line->pixel_h};
  int side = line->image.len ? 504 : 512;
  int reshape_w = line->has_reshape ? line->reshape_w : side;
  int reshape_h = line->has_reshape ? line->reshape_h : side;
  if (!raw_w || !raw_h) {
    raw_w = line->image_w;
    raw_h = line->image_h;
  }
  if (!raw_w || !raw_h)
    return mv_fail(err, MV_ERR_USAGE,
                   "no \"image\", no \"volume\" and no \"image_size\": give one of them");
  return mv_frame_init(out, raw_w, raw_h, reshape_w, reshape_h, line->has_pixel_size ? pixel : NULL,
                       pp, err);
}

/* ---- the prompt ---- */

static mv_status check_needs(const mv_manifest *line, const mv_frame *frame, mv_error *err) {
  const char *name = mv_task_name(line->task);
  int by_label = line->task == MV_TASK_DETECT || line->task == MV_TASK_SIZE;
  if (by_label && !line->label.len)
    return mv_fail(err, MV_ERR_USAGE, "\"label\": %s needs the name of a structure", name);
  if (line->task == MV_TASK_DISTANCE && line->n_point != 2)
    return mv_fail(err, MV_ERR_USAGE, "\"landmarks\": distance needs two names of landmarks");
  if (line->task == MV_TASK_ANGLE && line->n_point != 4)
    return mv_fail(err, MV_ERR_USAGE,
                   "\"line1\", \"line2\": angle needs two names of landmarks for each");
  if (mv_task_has_spacing(line->task) && !(frame->spacing.pixel_w > 0))
    return mv_fail(err, MV_ERR_USAGE, "\"pixel_size\": %s needs [width, height] in mm", name);
  return MV_OK;
}

mv_status mv_manifest_prompt(const mv_manifest *line, const mv_frame *frame, mv_prompt *out,
                             mv_error *err) {
  if (!line->has_task)
    return mv_fail(err, MV_ERR_USAGE, "\"task\": expected detect, size, distance or angle");
  MV_TRY(check_needs(line, frame, err));
  mv_prompt p = {.task = line->task,
                 .cot = line->cot,
                 .description = line->description,
                 .label = line->label,
                 .name = line->name,
                 .unit = line->unit.ptr ? line->unit : mv_unit_default(line->task),
                 .spacing = frame->spacing};
  for (int i = 0; i < line->n_point; i++) p.points[i] = line->points[i];
  *out = p;
  return MV_OK;
}
