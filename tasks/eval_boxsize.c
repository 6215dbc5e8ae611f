/* eval boxsize: detection by the share of the image that the true box takes, as the original's
 * analyze_detection_task_boxsize. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/memory.h"
#include "tasks/eval_names.h"
#include "tasks/labels.h"

/* One sample with the metrics its record stores. */
typedef struct row {
  double value[5]; /* mae, iou, f1, precision, recall */
  const mv_json *node[5];
  int success, bin;
  size_t group;
} row;

static const char *const value_names[] = {"mae", "iou", "f1", "precision", "recall"};
static const char *const stored[5][2] = {{"avgMAE", "MAE"},
                                         {"avgIoU", "IoU"},
                                         {"F1", "F1"},
                                         {"Precision", "Precision"},
                                         {"Recall", "Recall"}};

static int is_box_file(const char *name) { return strstr(name, "_BoxCoordinate_") != NULL; }

static mv_status read_row(const mv_sample *sample, row *r, mv_error *err) {
  const mv_json *ratio = mv_json_get(sample->record, "box_img_ratio");
  const mv_json *success = mv_json_get(mv_json_get(sample->record, "SuccessRate"), "success");
  for (int i = 0; i < 5; i++) {
    r->node[i] = mv_json_get(mv_json_get(sample->record, stored[i][0]), stored[i][1]);
    if (!mv_json_is_number(r->node[i]))
      return mv_fail(err, MV_ERR_FORMAT, "\"%s\" is missing (run eval parse first)", stored[i][0]);
    r->value[i] = r->node[i]->number;
  }
  if (!mv_json_is_number(ratio))
    return mv_fail(err, MV_ERR_FORMAT, "\"box_img_ratio\" is missing (run eval parse first)");
  r->success = mv_json_is(success, MV_JSON_BOOL) && success->truth;
  double v = ratio->number;
  r->bin = 0;
  while (r->bin < 18 && v >= (double)(r->bin + 1) * 5 / 100) r->bin++;
  return MV_OK;
}

static void bin_title(int bin, char out[40]) {
  if (bin == 0)
    snprintf(out, 40, "Box/Image < 5%%");
  else if (bin == 18)
    snprintf(out, 40, "Box/Image >= 90%%");
  else
    snprintf(out, 40, "%d%% <= Box/Image < %d%%", bin * 5, bin * 5 + 5);
}

static void bin_short(int bin, char out[16]) {
  if (bin == 0)
    snprintf(out, 16, "<0.05");
  else if (bin == 18)
    snprintf(out, 16, ">=0.90");
  else
    snprintf(out, 16, "%.2f~%.2f", bin * 5 / 100.0, (bin * 5 + 5) / 100.0);
}

static void add_to_tally(mv_tally *t, const row *r) {
  mv_scores s = {.success = r->success,
                 .mae = r->value[0],
                 .iou = r->value[1],
                 .f1 = r->value[2],
                 .precision = r->value[3],
                 .recall = r->value[4]};
  mv_tally_add(t, MV_FAMILY_DETECT, &s, NAN);
}

/* ---- the two JSON files ---- */

static void write_values(const mv_model_scores *s, const row *rows, mv_buf *out) {
  mv_json_writer w = {.out = out, .indent = 2};
  mv_json_begin_object(&w);
  for (size_t g = 0; g < s->n_group; g++) {
    mv_json_key(&w, s->groups[g].key);
    mv_json_begin_object(&w);
    for (int v = 0; v < 6; v++) {
      mv_json_key(&w, v < 5 ? value_names[v] : "success");
      mv_json_begin_array(&w);
      for (size_t i = 0; i < s->n_sample; i++) {
        if (rows[i].group != g) continue;
        if (v < 5)
          mv_json_node(&w, rows[i].node[v]);
        else
          mv_json_bool(&w, rows[i].success);
      }
      mv_json_end_array(&w);
    }
    mv_json_end_object(&w);
  }
  mv_json_end_object(&w);
}

/* ---- the two tables ---- */

typedef struct cell {
  char bin[16];
  char *label; /* owns */
  size_t n, n_value[5];
  double sum[5], lost[5]; /* compensated, as pandas adds */
} cell;

static void add_to_cell(cell *c, const row *r) {
  c->n++;
  for (int i = 1; i < 5; i++) {
    if (isnan(r->value[i])) continue;
    double y = r->value[i] - c->lost[i], t = c->sum[i] + y;
    c->lost[i] = t - c->sum[i] - y;
    c->sum[i] = t;
    c->n_value[i]++;
  }
}

static int by_bin_and_label(const void *a, const void *b) {
  const cell *x = a, *y = b;
  int order = strcmp(x->bin, y->bin);
  return order ? order : strcmp(x->label, y->label);
}

/* Rounded to six decimals as numpy does. */
static void put_rounded(mv_buf *out, const cell *c, int i) {
  mv_json_writer w = {.out = out};
  if (!c->n_value[i]) return; /* pandas leaves NaN empty */
  mv_json_double(&w, rint(c->sum[i] / (double)c->n_value[i] * 1e6) / 1e6);
}

static void write_csv(cell *cells, size_t n, mv_buf *out) {
  if (n) qsort(cells, n, sizeof *cells, by_bin_and_label);
  mv_buf_text(out, "box_img_group,label,IoU,sample_size,F1,Precision,Recall\n");
  for (size_t i = 0; i < n; i++) {
    const cell *c = &cells[i];
    mv_buf_printf(out, "%s,", c->bin);
    mv_buf_csv(out, c->label);
    mv_buf_char(out, ',');
    put_rounded(out, c, 1);
    mv_buf_printf(out, ",%zu,", c->n);
    put_rounded(out, c, 2);
    mv_buf_char(out, ',');
    put_rounded(out, c, 3);
    mv_buf_char(out, ',');
    put_rounded(out, c, 4);
    mv_buf_char(out, '\n');
  }
}

/* "liver @ CT", or of its group "Liver @ CT". 0 when the sample has no label. */
static mv_status cell_label(const mv_plan *plan, const mv_sample *sample, int fine, mv_buf *out,
                            mv_error *err) {
  mv_str modality, label = mv_sample_label(plan, sample, "segmentation", 0, &modality);
  const mv_label *entry = mv_label_find(label);
  mv_buf_clear(out);
  if (!label.len) return MV_OK;
  int known = entry && entry->group;
  if (!fine && !known && mv_sample_is_planned(plan, sample, "segmentation"))
    return mv_fail(err, MV_ERR_FORMAT, "label \"%.*s\" is not in the benchmark's table of groups",
                   (int)(label.len < 100 ? label.len : 100), label.ptr);
  mv_buf_str(out, fine || !known ? label : mv_str_of(entry->group));
  mv_buf_text(out, " @ ");
  mv_buf_str(out, mv_modality_short(modality));
  return mv_buf_status(out, err);
}

static mv_status find_cell(cell *cells, size_t *n, const char *bin, const char *label, cell **out,
                           mv_error *err) {
  for (size_t i = 0; i < *n; i++)
    if (!strcmp(cells[i].bin, bin) && !strcmp(cells[i].label, label)) {
      *out = &cells[i];
      return MV_OK;
    }
  cell *c = &cells[*n];
  c->label = mv_alloc(strlen(label) + 1);
  if (!c->label) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  memcpy(c->label, label, strlen(label) + 1);
  snprintf(c->bin, sizeof c->bin, "%s", bin);
  ++*n;
  *out = c;
  return MV_OK;
}

static mv_status make_csv(const mv_score_options *o, const mv_model_scores *s, const row *rows,
                          int fine, mv_buf *out, mv_error *err) {
  cell *cells = mv_calloc(s->n_sample + 1, sizeof *cells);
  size_t n = 0;
  mv_buf label = {0};
  mv_status status = cells ? MV_OK : mv_fail(err, MV_ERR_MEMORY, "out of memory");
  for (size_t i = 0; status == MV_OK && i < s->n_sample; i++) {
    char bin[16];
    cell *c = NULL;
    bin_short(rows[i].bin, bin);
    status = cell_label(o->plan, &s->samples[i], fine, &label, err);
    if (status != MV_OK || !label.len) continue;
    status = find_cell(cells, &n, bin, label.ptr, &c, err);
    if (status == MV_OK) add_to_cell(c, &rows[i]);
  }
  if (status == MV_OK) write_csv(cells, n, out);
  for (size_t i = 0; i < n; i++) mv_free(cells[i].label);
  mv_free(cells);
  mv_buf_free(&label);
  return status;
}

/* ---- a model ---- */

static mv_status write_files(const mv_score_options *o, mv_model_scores *s, const row *rows,
                             mv_error *err) {
  mv_buf out = {0};
  write_values(s, rows, &out);
  mv_status status =
      mv_score_write(s->dir, "summary_values_per_boxImgRatio_detect_Task.json", &out, err);
  mv_buf_clear(&out);
  for (size_t g = 0; g < s->n_group; g++)
    mv_tally_metrics_box(&s->groups[g].tally, 0, &s->groups[g].metrics);
  mv_groups_write_metrics(s, &out);
  if (status == MV_OK)
    status = mv_score_write(s->dir, "summary_metrics_per_boxImgRatio_detect_Task.json", &out, err);
  for (int fine = 1; status == MV_OK && fine >= 0; fine--) {
    mv_buf_clear(&out);
    status = make_csv(o, s, rows, fine, &out, err);
    if (status == MV_OK)
      status = mv_score_write(s->dir,
                              fine ? "summary_metrics_boxImgRatio_x_fineLabel_detect_Task.csv"
                                   : "summary_metrics_boxImgRatio_x_label_detect_Task.csv",
                              &out, err);
  }
  mv_buf_free(&out);
  return status;
}

static mv_status do_model(const mv_score_options *o, const char *dir, mv_error *err) {
  mv_model_scores s;
  row *rows = NULL;
  mv_status status = mv_model_scores_read(&s, o, dir, is_box_file, 0, err);
  if (status == MV_OK) {
    rows = mv_calloc(s.n_sample + 1, sizeof *rows);
    if (!rows) status = mv_fail(err, MV_ERR_MEMORY, "out of memory");
  }
  for (size_t i = 0; status == MV_OK && i < s.n_sample; i++) {
    char title[40];
    status = read_row(&s.samples[i], &rows[i], err);
    if (status != MV_OK) {
      mv_error_prefix(err, "%s", s.dir);
      break;
    }
    bin_title(rows[i].bin, title);
    status = mv_model_scores_group(&s, title, &rows[i].group, err);
    if (status == MV_OK) add_to_tally(&s.groups[rows[i].group].tally, &rows[i]);
  }
  if (status == MV_OK && s.n_sample) status = write_files(o, &s, rows, err);
  mv_free(rows);
  mv_model_scores_free(&s);
  return status;
}

mv_status mv_eval_boxsize(const mv_score_options *o, mv_error *err) {
  mv_names models = {0};
  MV_TRY(mv_score_models(o, &models, err));
  mv_status status = MV_OK;
  for (size_t i = 0; status == MV_OK && i < models.n; i++)
    if (!mv_model_is_baseline(o, models.v[i]) &&
        (!o->task_dir || mv_model_is_parsed(o, models.v[i])))
      status = do_model(o, models.v[i], err);
  mv_names_free(&models);
  return status;
}
