/* medvision eval import: volumes and their annotations to manifests, one for each benchmark task.
 *
 *   FOLDER/case.nii.gz                  a volume, reoriented to RAS+ as the benchmark's are
 *   --landmarks DIR/case.json[.gz]      {"slice_landmarks_x|y|z": [{"slice_idx", "landmarks"}]}:
 *                                       {"P1": [i, j, k], ...}, or a list of one such for a lesion
 *   --boxes DIR/case.json[.gz]          {"slice_boxes_x|y|z": [{"slice_idx", "label",
 *                                       "min_coords": [[row, col], ...], "max_coords": ...}]}
 *
 * Truth is computed as the benchmark does: voxel indices times spacing, rounded to float16. Kept
 * are slices with one box of a label, at least 10 pixels each way, or one lesion.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/file.h"
#include "tasks/cli_io.h"
#include "tasks/cli_picture.h"
#include "tasks/cot_targets.h"
#include "tasks/eval.h"
#include "tasks/eval_files.h"
#include "tasks/geometry.h"
#include "tasks/plan.h"
#include "vision/volume.h"

static const char *const planes[] = {"Sagittal", "Coronal", "Axial"};
static const char *const manifest_planes[] = {"sagittal", "coronal", "axial"};

/* Manifests being filled, by name. */
typedef struct question_sheet {
  char name[192];
  mv_buf lines;
  size_t n;
} question_sheet;

typedef struct import {
  const mv_cli_args *args;
  mv_plan plan;
  question_sheet sheets[64];
  int n_sheet;
  int n_failed, n_volume;
} import;

/* A volume at hand. */
typedef struct subject {
  import *in;
  const char *file, *stem;
  mv_volume volume;
  const mv_json *task; /* of the plan, for the kind at hand */
  int axis, index;
} subject;

/* ---- lines ---- */

static question_sheet *find_sheet(import *in, const char *kind, int axis) {
  char name[192];
  snprintf(name, sizeof name, "%.80s_%s_Task%.8s_%s", in->args->eval.dataset, kind,
           in->args->eval.task_id, planes[axis]);
  for (int i = 0; i < in->n_sheet; i++)
    if (!strcmp(in->sheets[i].name, name)) return &in->sheets[i];
  if (in->n_sheet == 64) return NULL;
  question_sheet *s = &in->sheets[in->n_sheet++];
  snprintf(s->name, sizeof s->name, "%s", name);
  return s;
}

static void put_str(mv_json_writer *w, const char *key, mv_str text) {
  mv_json_key(w, key);
  mv_json_string(w, text);
}

static void put_numbers(mv_json_writer *w, const char *key, const double *v, int n) {
  if (key) mv_json_key(w, key);
  mv_json_begin_array(w);
  for (int i = 0; i < n; i++) mv_json_double(w, v[i]);
  mv_json_end_array(w);
}

static void put_ints(mv_json_writer *w, const char *key, const int *v, int n) {
  if (key) mv_json_key(w, key);
  mv_json_begin_array(w);
  for (int i = 0; i < n; i++) mv_json_int(w, v[i]);
  mv_json_end_array(w);
}

/* Height and width of the subject's slice. */
static void sides(const subject *s, int hw[2]) {
  hw[0] = s->volume.dim[s->axis == 0 ? 1 : 0];
  hw[1] = s->volume.dim[s->axis == 2 ? 1 : 2];
}

static void begin_line(const subject *s, const char *task, const char *what, const char *task_type,
                       mv_json_writer *w) {
  const mv_cli_args *args = s->in->args;
  mv_buf id = {0};
  mv_buf_printf(&id, "%s/%s/%d/%s", s->stem, manifest_planes[s->axis], s->index, what);
  mv_json_begin_object(w);
  put_str(w, "id", mv_buf_view(&id));
  put_str(w, "task", mv_str_of(task));
  put_str(w, "volume", mv_str_of(s->file));
  put_str(w, "plane", mv_str_of(manifest_planes[s->axis]));
  mv_json_key(w, "index");
  mv_json_int(w, s->index);
  put_str(w, "description", mv_plan_text(s->task, "image_description"));
  put_str(w, "modality", mv_plan_text(s->task, "image_modality"));
  put_str(w, "dataset", mv_str_of(args->eval.dataset));
  put_str(w, "taskID", mv_str_of(args->eval.task_id));
  put_str(w, "taskType", mv_str_of(task_type));
  mv_buf_free(&id);
}

/* The data set's features, up to what differs by task. */
static void begin_doc(const subject *s, const char *task_type, mv_json_writer *w) {
  int hw[2];
  sides(s, hw);
  mv_json_key(w, "doc");
  mv_json_begin_object(w);
  put_str(w, "dataset_name", mv_str_of(s->in->args->eval.dataset));
  put_str(w, "taskID", mv_str_of(s->in->args->eval.task_id));
  put_str(w, "taskType", mv_str_of(task_type));
  put_str(w, "image_file", mv_str_of(s->file));
  put_str(w, "mask_file", mv_str_of(""));
  mv_json_key(w, "slice_dim");
  mv_json_int(w, s->axis);
  mv_json_key(w, "slice_idx");
  mv_json_int(w, s->index);
  put_ints(w, "image_size_2d", hw, 2);
}

static void end_line(question_sheet *sheet, mv_json_writer *w) {
  mv_json_end_object(w);
  mv_buf_char(&sheet->lines, '\n');
  sheet->n++;
}

/* ---- points ---- */

static int read_point(const mv_json *node, double p[3]) {
  for (size_t i = 0; i < 3; i++) {
    const mv_json *x = mv_json_at(node, i);
    if (!mv_json_is_number(x)) return 0;
    p[i] = x->number;
  }
  return 1;
}

/* Relative points of the slice, for overlays. */
static void put_points(const subject *s, double points[][3], int n, mv_json_writer *w) {
  int hw[2], row = s->axis == 0 ? 1 : 0, col = s->axis == 2 ? 1 : 2;
  sides(s, hw);
  mv_json_key(w, "landmarks_2d");
  mv_json_begin_array(w);
  for (int i = 0; i < n; i++) {
    mv_point p = mv_point_of_pixel(points[i][row], points[i][col], hw[0], hw[1]);
    put_numbers(w, NULL, (const double[2]){p.x, p.y}, 2);
  }
  mv_json_end_array(w);
}

static mv_str element(const mv_json *entry, size_t i) {
  const mv_json *key = mv_json_at(mv_json_get(entry, "element_keys"), i);
  return mv_json_is(key, MV_JSON_STRING) ? key->text : (mv_str){"", 0};
}

static const mv_json *member(const mv_json *object, mv_str key) {
  for (const mv_json *item = mv_json_is(object, MV_JSON_OBJECT) ? object->first : NULL; item;
       item = item->next)
    if (mv_str_eq(item->key, key)) return item;
  return NULL;
}

/* The two ends of a line of the plan: their names and places. */
static int line_ends(const subject *s, const mv_json *line, const mv_json *landmarks,
                     mv_str names[2], double points[][3]) {
  for (size_t i = 0; i < 2; i++) {
    mv_str key = element(line, i);
    const mv_json *name = member(mv_json_get(s->task, "landmarks_map"), key);
    if (!mv_json_is(name, MV_JSON_STRING) || !read_point(member(landmarks, key), points[i]))
      return 0;
    names[i] = name->text;
  }
  return 1;
}

/* ---- distances and angles ---- */

static void put_metric(const subject *s, const mv_json *metric, int is_angle, const mv_str names[4],
                       double points[][3], double value) {
  int split = strstr(s->in->args->eval.dataset, "Ceph-Biometrics") != NULL;
  const char *kind = !split     ? "BiometricsFromLandmarks"
                     : is_angle ? "BiometricsFromLandmarks_Angle"
                                : "BiometricsFromLandmarks_Distance";
  const char *type = !split     ? "Biometrics-From-Landmarks"
                     : is_angle ? "Biometrics-From-Landmarks-Angle"
                                : "Biometrics-From-Landmarks-Distance";
  char key[128];
  question_sheet *sheet = find_sheet(s->in, kind, s->axis);
  if (!sheet) return;
  mv_json_writer w = {.out = &sheet->lines};
  snprintf(key, sizeof key, "%.*s", (int)(metric->key.len < 127 ? metric->key.len : 127),
           metric->key.ptr);
  begin_line(s, is_angle ? "angle" : "distance", key, type, &w);
  put_str(&w, "name", mv_plan_text(metric, "name"));
  if (is_angle) {
    mv_json_names(&w, "line1", names);
    mv_json_names(&w, "line2", names + 2);
  } else {
    mv_json_names(&w, "landmarks", names);
  }
  put_str(&w, "unit", mv_str_of(is_angle ? "degree" : "mm"));
  put_numbers(&w, "truth", &value, 1);
  begin_doc(s, type, &w);
  mv_json_key(&w, "biometric_profile");
  mv_json_begin_object(&w);
  put_str(&w, "metric_type", mv_str_of(is_angle ? "angle" : "distance"));
  put_str(&w, "metric_map_name", mv_str_of(is_angle ? "angles_map" : "lines_map"));
  put_str(&w, "metric_key", metric->key);
  mv_json_key(&w, "metric_value");
  mv_json_double(&w, value);
  put_str(&w, "metric_unit", mv_str_of(is_angle ? "degree" : "mm"));
  mv_json_key(&w, "slice_dim");
  mv_json_int(&w, s->axis);
  mv_json_end_object(&w);
  put_points(s, points, is_angle ? 4 : 2, &w);
  mv_json_end_object(&w);
  end_line(sheet, &w);
}

static void import_metrics(const subject *s, const mv_json *landmarks) {
  const mv_json *lines = mv_json_get(s->task, "lines_map"),
                *angles = mv_json_get(s->task, "angles_map");
  mv_str names[4];
  double p[4][3];
  for (const mv_json *line = lines ? lines->first : NULL; line; line = line->next)
    if (line_ends(s, line, landmarks, names, p))
      put_metric(s, line, 0, names, p, mv_round_f16(mv_voxel_distance(p[0], p[1], s->volume.zoom)));
  for (const mv_json *angle = angles ? angles->first : NULL; angle; angle = angle->next) {
    const mv_json *a = member(lines, element(angle, 0)), *b = member(lines, element(angle, 1));
    if (!a || !b || !line_ends(s, a, landmarks, names, p) ||
        !line_ends(s, b, landmarks, names + 2, p + 2))
      continue;
    double degrees = mv_voxel_angle((const double(*)[3])p, s->volume.zoom);
    if (!isnan(degrees)) put_metric(s, angle, 1, names, p, mv_round_f16(degrees));
  }
}

/* ---- lesions ---- */

static void import_lesion(const subject *s, const mv_json *landmarks) {
  static const char *const ends[] = {"P1", "P2", "P3", "P4"};
  static const char type[] = "Tumor-Lesion-Size";
  double p[4][3], truth[2];
  const mv_json *target = mv_json_get(s->task, "target_label");
  mv_str label = mv_plan_label(s->task, target);
  for (int i = 0; i < 4; i++)
    if (!read_point(mv_json_get(landmarks, ends[i]), p[i])) return;
  question_sheet *sheet = label.len ? find_sheet(s->in, "TumorLesionSize", s->axis) : NULL;
  if (!sheet) return;
  for (int i = 0; i < 2; i++)
    truth[i] = mv_round_f16(mv_voxel_distance(p[2 * i], p[2 * i + 1], s->volume.zoom));
  mv_json_writer w = {.out = &sheet->lines};
  begin_line(s, "size", "lesion", type, &w);
  put_str(&w, "label", label);
  put_str(&w, "label_name", label);
  put_str(&w, "unit", mv_str_of("mm"));
  put_numbers(&w, "truth", truth, 2);
  begin_doc(s, type, &w);
  mv_json_key(&w, "label");
  mv_json_node(&w, target);
  mv_json_key(&w, "biometric_profile");
  mv_json_begin_object(&w);
  put_str(&w, "metric_type", mv_str_of("distance"));
  put_str(&w, "metric_map_name", mv_str_of("lines_map"));
  mv_json_names(&w, "metric_key_major_axis", (const mv_str[2]){mv_str_of("P1"), mv_str_of("P2")});
  put_numbers(&w, "metric_value_major_axis", &truth[0], 1);
  mv_json_names(&w, "metric_key_minor_axis", (const mv_str[2]){mv_str_of("P3"), mv_str_of("P4")});
  put_numbers(&w, "metric_value_minor_axis", &truth[1], 1);
  put_str(&w, "metric_unit", mv_str_of("mm"));
  mv_json_end_object(&w);
  put_points(s, p, 4, &w);
  mv_json_end_object(&w);
  end_line(sheet, &w);
}

/* ---- boxes ---- */

static int read_corner(const mv_json *entry, const char *key, int out[2]) {
  const mv_json *corner = mv_json_at(mv_json_get(entry, key), 0);
  for (size_t i = 0; i < 2; i++) {
    int64_t v;
    if (!mv_json_to_int(mv_json_at(corner, i), &v) || v < 0 || v > MV_VOLUME_MAX_SIDE) return 0;
    out[i] = (int)v;
  }
  return 1;
}

static void put_box(const subject *s, const mv_json *entry, const int min[2], const int max[2],
                    mv_str label) {
  static const char type[] = "Box-Size";
  int hw[2], size[2] = {max[0] - min[0] + 1, max[1] - min[1] + 1};
  double box[4];
  char what[64];
  question_sheet *sheet = find_sheet(s->in, "BoxCoordinate", s->axis);
  sides(s, hw);
  if (!sheet || max[0] >= hw[0] || max[1] >= hw[1]) return;
  mv_box_of_pixels(min, max, hw[0], hw[1], box);
  mv_json_writer w = {.out = &sheet->lines};
  snprintf(what, sizeof what, "%.*s", (int)(label.len < 63 ? label.len : 63), label.ptr);
  begin_line(s, "detect", what, type, &w);
  put_str(&w, "label", label);
  put_str(&w, "label_name", label);
  put_numbers(&w, "truth", box, 4);
  begin_doc(s, type, &w);
  mv_json_key(&w, "label");
  mv_json_node(&w, mv_json_get(entry, "label"));
  mv_json_key(&w, "bounding_boxes");
  mv_json_begin_object(&w);
  const int *const pairs[3] = {min, max, size};
  static const char *const keys[3] = {"min_coords", "max_coords", "dimensions"};
  for (int i = 0; i < 3; i++) {
    mv_json_key(&w, keys[i]);
    mv_json_begin_array(&w);
    put_ints(&w, NULL, pairs[i], 2);
    mv_json_end_array(&w);
  }
  mv_json_end_object(&w);
  mv_json_end_object(&w);
  end_line(sheet, &w);
}

static void import_box(const subject *s, const mv_json *entry) {
  int min[2], max[2];
  const mv_json *corners = mv_json_get(entry, "min_coords");
  mv_str label = mv_plan_label(s->task, mv_json_get(entry, "label"));
  if (!label.len || !mv_json_is(corners, MV_JSON_ARRAY) || corners->n_items != 1) return;
  if (!read_corner(entry, "min_coords", min) || !read_corner(entry, "max_coords", max)) return;
  if (max[0] - min[0] + 1 < 10 || max[1] - min[1] + 1 < 10) return;
  put_box(s, entry, min, max, label);
}

/* ---- annotation files ---- */

/* DIR/STEM.json or .json.gz; a volume without one is passed over. */
static mv_status read_annotation(const char *dir, const char *stem, mv_json_doc *doc,
                                 mv_error *err) {
  static const char *const endings[] = {".json", ".json.gz"};
  mv_buf text = {0};
  for (int i = 0; i < 2; i++) {
    char *path = mv_path_make(dir, stem, endings[i]);
    if (!path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
    mv_status status = MV_OK;
    int found = mv_file_exists(path);
    if (found) {
      status = mv_gzip_read(path, (size_t)1 << 28, &text, err);
      if (status == MV_OK) status = mv_json_parse(doc, mv_buf_view(&text), err);
      if (status != MV_OK) mv_error_prefix(err, "%s", path);
    }
    mv_free(path);
    mv_buf_free(&text);
    if (found || status != MV_OK) return status;
  }
  return MV_OK;
}

/* Calls for every slice entry "<prefix>_x|y|z". */
static void each_slice(subject *s, const mv_json *root, const char *prefix,
                       void (*use)(const subject *s, const mv_json *entry)) {
  for (s->axis = 0; s->axis < 3; s->axis++) {
    char key[40];
    snprintf(key, sizeof key, "%s_%c", prefix, "xyz"[s->axis]);
    const mv_json *list = mv_json_get(root, key);
    for (const mv_json *entry = mv_json_is(list, MV_JSON_ARRAY) ? list->first : NULL; entry;
         entry = entry->next) {
      int64_t index;
      if (!mv_json_to_int(mv_json_get(entry, "slice_idx"), &index) || index < 0 ||
          index >= s->volume.dim[s->axis])
        continue;
      s->index = (int)index;
      use(s, entry);
    }
  }
}

static void use_landmarks(const subject *s, const mv_json *entry) {
  const mv_json *landmarks = mv_json_get(entry, "landmarks");
  if (mv_json_is(landmarks, MV_JSON_ARRAY) && landmarks->n_items == 1)
    import_lesion(s, landmarks->first);
  else if (mv_json_is(landmarks, MV_JSON_OBJECT))
    import_metrics(s, landmarks);
}

static mv_status use_file(subject *s, const char *dir, const char *kind, const char *prefix,
                          void (*use)(const subject *, const mv_json *), mv_error *err) {
  mv_json_doc doc = {0};
  const mv_cli_args *args = s->in->args;
  if (!dir) return MV_OK;
  s->task = mv_plan_task(&s->in->plan, mv_str_of(args->eval.dataset), kind,
                         mv_str_of(args->eval.task_id));
  if (!s->task)
    return mv_fail(err, MV_ERR_USAGE,
                   "the plan has no %s task %s of '%s' (--plan FILE takes another)", kind,
                   args->eval.task_id, args->eval.dataset);
  mv_status status = read_annotation(dir, s->stem, &doc, err);
  if (status == MV_OK && doc.root) each_slice(s, doc.root, prefix, use);
  mv_json_doc_free(&doc);
  return status;
}

/* ---- volumes ---- */

static mv_status import_volume(import *in, const char *folder, const char *name, mv_error *err) {
  char stem[256];
  size_t n = strlen(name);
  n -= n > 7 && !strcmp(name + n - 7, ".nii.gz") ? 7 : 4;
  snprintf(stem, sizeof stem, "%.*s", (int)(n < 255 ? n : 255), name);
  char *path = mv_path_join(folder, name);
  if (!path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  subject s = {.in = in, .file = path, .stem = stem};
  mv_status status = mv_volume_open(&s.volume, path, err);
  if (status == MV_OK && !s.volume.has_spacing)
    status = mv_fail(err, MV_ERR_FORMAT, "%s: no spacing in the header (pixdim)", path);
  if (status == MV_OK)
    status =
        use_file(&s, in->args->eval.landmarks, "biometry", "slice_landmarks", use_landmarks, err);
  if (status == MV_OK)
    status = use_file(&s, in->args->eval.boxes, "detection", "slice_boxes", import_box, err);
  mv_volume_close(&s.volume);
  mv_free(path);
  return status;
}

static mv_status write_sheets(import *in, mv_error *err) {
  MV_TRY(mv_dir_make(in->args->eval.data_dir, err));
  for (int i = 0; i < in->n_sheet; i++) {
    char *path = mv_path_make(in->args->eval.data_dir, in->sheets[i].name, ".jsonl");
    mv_status status = mv_eval_write(path, &in->sheets[i].lines, err);
    mv_free(path);
    MV_TRY(status);
    mv_cli_note(in->args, "%s.jsonl: %zu questions", in->sheets[i].name, in->sheets[i].n);
  }
  return MV_OK;
}

/* From the root on: manifests are read from anywhere. */
static mv_status whole_path(const char *path, char *out, size_t size, mv_error *err) {
  char here[4096] = "";
  if (*path != '/' && !getcwd(here, sizeof here))
    return mv_fail(err, MV_ERR_IO, "%s: %s", path, strerror(errno));
  int n = snprintf(out, size, "%s%s%s", here, *here ? "/" : "", path);
  return n > 0 && (size_t)n < size ? MV_OK
                                   : mv_fail(err, MV_ERR_IO, "%s: the path is too long", path);
}

static mv_status run(import *in, mv_error *err) {
  static const char *const endings[] = {".nii", ".nii.gz"};
  char folder[8192];
  if (!in->args->eval.landmarks && !in->args->eval.boxes)
    return mv_fail(err, MV_ERR_USAGE, "eval import: expected --landmarks DIR, --boxes DIR or both");
  MV_TRY(whole_path(in->args->operands.v[0], folder, sizeof folder, err));
  MV_TRY(mv_plan_load(&in->plan, in->args->eval.plan, err));
  for (int e = 0; e < 2; e++) {
    mv_names names;
    MV_TRY(mv_names_read(&names, folder, endings[e], err));
    for (size_t i = 0; i < names.n; i++, in->n_volume++) {
      mv_error why = {0};
      if (import_volume(in, folder, names.v[i], &why) == MV_OK) continue;
      in->n_failed++;
      mv_cli_say("%s", why.msg);
      if (why.code == MV_ERR_USAGE) {
        mv_names_free(&names);
        return mv_fail(err, MV_ERR_USAGE, "eval import: nothing was written");
      }
    }
    mv_names_free(&names);
  }
  if (in->n_volume == 0) return mv_fail(err, MV_ERR_IO, "%s: no volumes (.nii, .nii.gz)", folder);
  if (in->n_sheet == 0)
    return mv_fail(err, MV_ERR_IO, "%s: no volume has annotations that make a question", folder);
  return write_sheets(in, err);
}

int mv_eval_cmd_import(const mv_cli_args *args) {
  mv_error err = {0};
  import *in = mv_calloc(1, sizeof *in);
  if (!in) return mv_cli_fail(&(mv_error){.code = MV_ERR_MEMORY, .msg = "out of memory"});
  in->args = args;
  mv_status status = run(in, &err);
  int failed = in->n_failed;
  for (int i = 0; i < in->n_sheet; i++) mv_buf_free(&in->sheets[i].lines);
  mv_plan_free(&in->plan);
  mv_free(in);
  if (status != MV_OK) return mv_cli_fail(&err);
  if (failed) mv_cli_say("%d volumes were left out", failed);
  return failed ? MV_EXIT_FAILED : MV_EXIT_DONE;
}
