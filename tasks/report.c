#include "tasks/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "runtime/team.h"
#include "tasks/answer.h"
#include "tasks/batch.h"
#include "tasks/cli_picture.h"

#define PICTURE_SIDE 192 /* pixels: about 4 kB a case */
#define JPEG_QUALITY 70

/* ---- what a record says ---- */

static mv_str text_of(const mv_json *object, const char *key) {
  const mv_json *text = mv_json_get(object, key);
  return mv_json_is(text, MV_JSON_STRING) || mv_json_is(text, MV_JSON_INT) ? text->text
                                                                           : (mv_str){"", 0};
}

static mv_str response_of(const mv_json *record) {
  const mv_json *text = mv_json_at(mv_json_at(mv_json_get(record, "resps"), 0), 0);
  return mv_json_is(text, MV_JSON_STRING) ? text->text : (mv_str){"", 0};
}

static mv_task task_of(const mv_row *row) {
  const mv_json *profile = mv_json_get(mv_json_get(row->record, "doc"), "biometric_profile");
  if (row->family == MV_FAMILY_DETECT) return MV_TASK_DETECT;
  if (row->family == MV_FAMILY_SIZE) return MV_TASK_SIZE;
  return mv_str_is(text_of(profile, "metric_type"), "angle") ? MV_TASK_ANGLE : MV_TASK_DISTANCE;
}

/* The spacing the prompt states; 0 when it states none. */
static int spacing_of(const mv_json *record, mv_spacing *out) {
  static const char size[] = "The image size is ", pixel[] = "The pixel size for this image is ";
  mv_buf text = {0};
  mv_buf_str(&text, text_of(record, "input"));
  const char *a = text.ptr ? strstr(text.ptr, size) : NULL, *b = a ? strstr(a, pixel) : NULL;
  int found =
      b &&
      sscanf(a + sizeof size - 1, "%9d pixels (width) x %9d", &out->image_w, &out->image_h) == 2 &&
      sscanf(b + sizeof pixel - 1, "%15f %*s (width) x %15f", &out->pixel_w, &out->pixel_h) == 2;
  mv_buf_free(&text);
  return found;
}

/* ---- JSON inside a page ---- */

/* "<" would end the script early: JSON can say it otherwise. */
static void put_safe(const mv_buf *json, FILE *out) {
  const char *from = json->ptr, *end = from + json->len;
  while (from < end) {
    const char *angle = memchr(from, '<', (size_t)(end - from));
    size_t n = (size_t)((angle ? angle : end) - from);
    fwrite(from, 1, n, out);
    if (angle) fputs("\\u003c", out);
    from += n + (angle != NULL);
  }
}

static void put_number(mv_json_writer *w, double v) {
  if (isfinite(v))
    mv_json_double(w, v);
  else
    mv_json_null(w);
}

static void put_numbers(mv_json_writer *w, const double *v, int n) {
  mv_json_begin_array(w);
  for (int i = 0; i < n; i++) put_number(w, v[i]);
  mv_json_end_array(w);
}

static void put_points(mv_json_writer *w, const char *key, const mv_point *points, int n) {
  mv_json_key(w, key);
  mv_json_begin_array(w);
  for (int i = 0; i < n; i++) put_numbers(w, (const double[2]){points[i].x, points[i].y}, 2);
  mv_json_end_array(w);
}

/* ---- the index: what lists and charts need of every case ---- */

static void put_row(mv_json_writer *w, int model, int group, const mv_row *row) {
  const mv_scores *s = &row->scores;
  mv_target target = {0};
  mv_answer answer = {0};
  mv_target_parse(text_of(row->record, "target"), &target, NULL);
  mv_answer_read(&answer, task_of(row), NULL, response_of(row->record), NULL);
  mv_json_begin_array(w);
  mv_json_int(w, model);
  mv_json_int(w, (int64_t)row->family);
  mv_json_int(w, group);
  mv_json_string(w, (mv_str){&row->plane, 1});
  mv_json_int(w, s->success);
  put_number(w, s->mae);
  put_number(w, s->mre);
  put_number(w, row->family == MV_FAMILY_DETECT ? s->iou : NAN);
  put_number(w, row->box_ratio);
  put_numbers(w, answer.values, answer.parsed ? answer.n_value : 0);
  put_numbers(w, target.v, target.n);
  mv_json_end_array(w);
  mv_answer_free(&answer);
}

static void make_index(const mv_rows_list *models, mv_buf *out) {
  mv_json_writer w = {.out = out, .compact = 1};
  mv_json_begin_object(&w);
  mv_json_key(&w, "models");
  mv_json_begin_array(&w);
  for (size_t m = 0; m < models->n; m++) mv_json_text(&w, models->v[m].name);
  mv_json_end_array(&w);
  mv_json_key(&w, "groups");
  mv_json_begin_array(&w);
  for (size_t m = 0; m < models->n; m++)
    for (size_t g = 0; g < models->v[m].n_group; g++)
      mv_json_text(&w, mv_rows_label(&models->v[m], (int)g));
  mv_json_end_array(&w);
  mv_json_key(&w, "rows");
  mv_json_begin_array(&w);
  int first = 0;
  for (size_t m = 0; m < models->n; m++) {
    const mv_rows *rows = &models->v[m];
    for (size_t i = 0; i < rows->n; i++) put_row(&w, (int)m, first + rows->v[i].group, &rows->v[i]);
    first += (int)rows->n_group;
  }
  mv_json_end_array(&w);
  mv_json_end_object(&w);
}

/* ---- a case ---- */

static void put_truth_points(mv_json_writer *w, const mv_json *doc) {
  const mv_json *list = mv_json_get(doc, "landmarks_2d");
  if (!mv_json_is(list, MV_JSON_ARRAY)) return;
  mv_json_key(w, "truth_points");
  mv_json_node(w, list);
}

static void make_case(const mv_row *row, mv_buf *out) {
  const mv_json *record = row->record, *doc = mv_json_get(record, "doc");
  mv_json_writer w = {.out = out, .compact = 1};
  mv_spacing spacing;
  mv_answer answer = {0};
  mv_str response = response_of(record);
  mv_answer_read(&answer, task_of(row), spacing_of(record, &spacing) ? &spacing : NULL, response,
                 NULL);
  mv_buf file = {0};
  mv_buf_str(&file, text_of(doc, "image_file"));
  mv_buf_printf(&file, " (%c ", row->plane);
  mv_buf_str(&file, text_of(doc, "slice_idx"));
  mv_buf_char(&file, ')');
  mv_json_begin_object(&w);
  mv_json_key(&w, "id");
  mv_json_string(&w, text_of(record, "doc_id"));
  mv_json_key(&w, "file");
  mv_json_string(&w, mv_buf_view(&file));
  mv_json_key(&w, "prompt");
  mv_json_string(&w, text_of(record, "input"));
  mv_json_key(&w, "response");
  mv_json_string(&w, response);
  if (answer.parsed) {
    mv_json_key(&w, "values");
    put_numbers(&w, answer.values, answer.n_value);
  }
  if (answer.n_landmark) put_points(&w, "points", answer.landmarks, answer.n_landmark);
  if (answer.n_recomputed) {
    mv_json_key(&w, "recomputed");
    put_numbers(&w, answer.recomputed, answer.n_recomputed);
  }
  put_truth_points(&w, doc);
  if (mv_json_get(record, "error")) {
    mv_json_key(&w, "error");
    mv_json_string(&w, text_of(record, "error"));
  }
  mv_json_end_object(&w);
  mv_buf_free(&file);
  mv_answer_free(&answer);
}

/* ---- pictures ---- */

static mv_manifest question_of(const mv_row *row, mv_str modality, mv_str label) {
  const mv_json *doc = mv_json_get(row->record, "doc");
  int64_t number;
  mv_manifest q = {.has_task = 1, .task = task_of(row), .has_reshape = 1, .has_label_name = 1};
  mv_str file = text_of(doc, "image_file");
  q.reshape_h = q.reshape_w = PICTURE_SIDE;
  if (mv_volume_is_name(file))
    q.volume = file;
  else
    q.image = file;
  if (mv_json_to_int(mv_json_get(doc, "slice_dim"), &number) && number >= 0 && number < 3)
    q.plane = (mv_plane)number;
  if (mv_json_to_int(mv_json_get(doc, "slice_idx"), &number) && number >= 0 && number < 65536)
    q.index = (int)number;
  q.dataset = text_of(doc, "dataset_name");
  q.task_id = text_of(doc, "taskID"), q.task_type = text_of(doc, "taskType");
  q.modality = modality, q.label_name = label;
  return q;
}

/* The picture of a case as base64 JPEG; empty when it cannot be read. */
static void make_picture(const mv_row *row, mv_buf *out) {
  mv_manifest q = question_of(row, row->modality, row->label_name);
  mv_preprocessor pp;
  mv_picture picture = {0};
  mv_buf jpeg = {0};
  mv_preprocessor_default(&pp);
  if (mv_picture_load(&picture, &q, &pp, NULL) == MV_OK &&
      mv_image_encode_jpeg(&picture.image, JPEG_QUALITY, &jpeg, NULL) == MV_OK)
    mv_base64_encode(jpeg.ptr, jpeg.len, out);
  mv_picture_free(&picture);
  mv_buf_free(&jpeg);
}

typedef struct picture_loop {
  const mv_row *rows;
  mv_buf *made;
} picture_loop;

static void make_pictures(const void *loop, int first, int end, int thread) {
  const picture_loop *l = loop;
  (void)thread;
  for (int i = first; i < end; i++) make_picture(&l->rows[i], &l->made[i]);
}

static mv_status put_pictures(const mv_rows_list *models, FILE *out, mv_error *err) {
  enum { BATCH = 256 };
  mv_team *team;
  MV_TRY(mv_team_new(&team, mv_core_count(), err));
  for (size_t m = 0; m < models->n; m++) {
    const mv_rows *rows = &models->v[m];
    for (size_t at = 0; at < rows->n; at += BATCH) {
      int n = rows->n - at < BATCH ? (int)(rows->n - at) : BATCH;
      mv_buf made[BATCH] = {0};
      mv_team_run(team, n, make_pictures, &(picture_loop){&rows->v[at], made});
      for (int i = 0; i < n; i++) {
        if (made[i].len && !made[i].failed) fwrite(made[i].ptr, 1, made[i].len, out);
        fputc('\n', out);
        mv_buf_free(&made[i]);
      }
    }
  }
  mv_team_free(team);
  return MV_OK;
}

/* ---- the page ---- */

static void open_data(FILE *out, const char *id, const char *type) {
  fprintf(out, "<script id=\"data-%s\" type=\"%s\">\n", id, type);
}

static mv_status put_cases(const mv_rows_list *models, FILE *out, mv_error *err) {
  mv_buf line = {0};
  for (size_t m = 0; m < models->n; m++)
    for (size_t i = 0; i < models->v[m].n; i++) {
      mv_buf_clear(&line);
      make_case(&models->v[m].v[i], &line);
      MV_TRY(mv_buf_status(&line, err));
      put_safe(&line, out);
      fputc('\n', out);
    }
  mv_buf_free(&line);
  return MV_OK;
}

static mv_status put_data(const mv_rows_list *models, const mv_board_row *board, FILE *out,
                          mv_error *err) {
  mv_buf json = {0};
  mv_json_writer w = {.out = &json, .compact = 1};
  mv_board_json(models, board, &w);
  MV_TRY(mv_buf_status(&json, err));
  open_data(out, "board", "application/json");
  put_safe(&json, out);
  fputs("</script>\n", out);
  mv_buf_clear(&json);
  make_index(models, &json);
  mv_status status = mv_buf_status(&json, err);
  open_data(out, "index", "application/json");
  if (status == MV_OK) put_safe(&json, out);
  fputs("</script>\n", out);
  mv_buf_free(&json);
  open_data(out, "cases", "text/plain");
  if (status == MV_OK) status = put_cases(models, out, err);
  fputs("</script>\n", out);
  open_data(out, "images", "text/plain");
  if (status == MV_OK) status = put_pictures(models, out, err);
  fputs("</script>\n", out);
  return status;
}

mv_status mv_report_write(const mv_rows_list *models, const mv_board_row *board, const char *path,
                          mv_error *err) {
  static const char mark[] = "<!--DATA-->\n";
  const char *at = strstr(mv_report_page, mark);
  mv_outfile out;
  MV_TRY(mv_outfile_open(&out, path, err));
  fwrite(mv_report_page, 1, (size_t)(at - mv_report_page), out.stream);
  mv_status status = put_data(models, board, out.stream, err);
  fputs(at + sizeof mark - 1, out.stream);
  if (status == MV_OK) return mv_outfile_commit(&out, err);
  mv_outfile_discard(&out);
  return status;
}
