/* eval parse: sample logs to parsed logs, as the original's parse_outputs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "tasks/eval_score.h"
#include "tasks/geometry.h"
#include "tasks/parse.h"
#include "vision/volume.h"

/* ---- what a doc says ---- */

int mv_doc_spacing(const mv_json *doc, float hw[2]) {
  const mv_json *file = mv_json_get(doc, "image_file");
  int64_t axis;
  mv_volume volume = {0};
  if (!mv_json_is(file, MV_JSON_STRING) || !mv_json_to_int(mv_json_get(doc, "slice_dim"), &axis) ||
      axis < 0 || axis > 2 || memchr(file->text.ptr, 0, file->text.len))
    return 0;
  mv_buf path = {0};
  mv_buf_str(&path, file->text);
  int done = !path.failed && path.len && mv_volume_open(&volume, path.ptr, NULL) == MV_OK;
  if (done) {
    hw[0] = volume.zoom[axis == 0 ? 1 : 0];
    hw[1] = volume.zoom[axis == 2 ? 1 : 2];
    mv_volume_close(&volume);
  }
  mv_buf_free(&path);
  return done;
}

static int image_sides(const mv_json *doc, double hw[2]) {
  const mv_json *size = mv_json_get(doc, "image_size_2d");
  for (int i = 0; i < 2; i++) {
    const mv_json *side = mv_json_at(size, (size_t)i);
    if (!mv_json_is_number(side)) return 0;
    hw[i] = side->number;
  }
  return 1;
}

double mv_doc_diagonal(const mv_json *doc) {
  float px[2];
  double hw[2];
  if (!image_sides(doc, hw) || !mv_doc_spacing(doc, px)) return NAN;
  return mv_image_diagonal((int)hw[0], (int)hw[1], px[0], px[1]);
}

/* From the mask's own box, in whole pixels; else from the target's corners. */
static double box_ratio(const mv_json *doc, const mv_target *target) {
  const mv_json *sides =
      mv_json_at(mv_json_get(mv_json_get(doc, "bounding_boxes"), "dimensions"), 0);
  const mv_json *a = mv_json_at(sides, 0), *b = mv_json_at(sides, 1);
  double hw[2];
  if (mv_json_is_number(a) && mv_json_is_number(b) && image_sides(doc, hw))
    return a->number * b->number / (hw[0] * hw[1]);
  return fabs((target->v[2] - target->v[0]) * (target->v[3] - target->v[1]));
}

static mv_str response_of(const mv_json *record) {
  const mv_json *text = mv_json_at(mv_json_at(mv_json_get(record, "resps"), 0), 0);
  if (mv_json_is(text, MV_JSON_ARRAY)) text = mv_json_at(text, 0);
  return mv_json_is(text, MV_JSON_STRING) ? text->text : (mv_str){NULL, 0};
}

/* ---- one record ---- */

typedef struct parsed {
  mv_buf answer;
  mv_scores scores;
  int adds_nmae, nmae_known;
  double nmae, box_ratio;
} parsed;

static void find_nmae(const mv_json *record, mv_family family, parsed *p) {
  const mv_json *doc = mv_json_get(record, "doc");
  const mv_json *kind = mv_json_get(mv_json_get(doc, "biometric_profile"), "metric_type");
  p->adds_nmae = family != MV_FAMILY_DETECT && !mv_json_get(record, "nMAE");
  p->nmae = NAN;
  if (!p->adds_nmae || !p->scores.success) return;
  if (family != MV_FAMILY_SIZE &&
      !(mv_json_is(kind, MV_JSON_STRING) && mv_str_is(kind->text, "distance")))
    return;
  double diagonal = mv_doc_diagonal(doc);
  if (isnan(diagonal)) return;
  p->nmae = p->scores.mae / diagonal;
  p->nmae_known = 1;
}

static mv_status parse_record(const mv_json *record, mv_family family, parsed *p, mv_error *err) {
  const mv_json *text = mv_json_get(record, "target");
  mv_str response = response_of(record);
  mv_target target;
  memset(p, 0, sizeof *p);
  if (!response.ptr) return mv_fail(err, MV_ERR_FORMAT, "\"resps\": expected [[text]]");
  if (!mv_json_is(text, MV_JSON_STRING))
    return mv_fail(err, MV_ERR_FORMAT, "\"target\": expected a string, found %s",
                   mv_json_type_name(text));
  MV_TRY(mv_target_parse(text->text, &target, err));
  mv_answer_numbers(response, mv_family_values(family), &p->answer);
  MV_TRY(mv_buf_status(&p->answer, err));
  MV_TRY(mv_sample_metrics(family, mv_buf_view(&p->answer), &target, &p->scores, err));
  if (family == MV_FAMILY_DETECT) p->box_ratio = box_ratio(mv_json_get(record, "doc"), &target);
  find_nmae(record, family, p);
  return MV_OK;
}

/* ---- one line out ---- */

static const char *const detect_keys[] = {
    "filtered_resps", "avgMAE", "SuccessRate",   "avgIoU", "F1",
    "Precision",      "Recall", "box_img_ratio", NULL};
static const char *const value_keys[] = {"filtered_resps", "avgMAE", "SuccessRate",
                                         "avgMRE",         "nMAE",   NULL};

static void put_number(mv_json_writer *w, const char *name, double v) {
  mv_json_begin_object(w);
  mv_json_key(w, name);
  mv_json_double(w, v);
  mv_json_end_object(w);
}

static void put_overlap(mv_json_writer *w, const char *name, double v, int success) {
  if (success) {
    put_number(w, name, v);
    return;
  }
  mv_json_begin_object(w);
  mv_json_key(w, name);
  mv_json_int(w, 0);
  mv_json_end_object(w);
}

static void put_checked(mv_json_writer *w, const char *name, double v, int success) {
  mv_json_begin_object(w);
  if (name) {
    mv_json_key(w, name);
    mv_json_double(w, v);
  }
  mv_json_key(w, "success");
  mv_json_bool(w, success);
  mv_json_end_object(w);
}

static void put_value(mv_json_writer *w, const char *key, const parsed *p) {
  const mv_scores *s = &p->scores;
  if (!strcmp(key, "filtered_resps")) {
    mv_json_begin_array(w);
    mv_json_string(w, mv_buf_view(&p->answer));
    mv_json_end_array(w);
  } else if (!strcmp(key, "avgMAE")) {
    put_checked(w, "MAE", s->mae, s->success);
  } else if (!strcmp(key, "avgMRE")) {
    put_checked(w, "MRE", s->mre, s->success);
  } else if (!strcmp(key, "SuccessRate")) {
    put_checked(w, NULL, 0, s->success);
  } else if (!strcmp(key, "avgIoU")) {
    put_overlap(w, "IoU", s->iou, s->success);
  } else if (!strcmp(key, "F1")) {
    put_overlap(w, "F1", s->f1, s->success);
  } else if (!strcmp(key, "Precision")) {
    put_overlap(w, "Precision", s->precision, s->success);
  } else if (!strcmp(key, "Recall")) {
    put_overlap(w, "Recall", s->recall, s->success);
  } else if (!strcmp(key, "nMAE")) {
    put_checked(w, "NMAE", p->nmae, p->nmae_known);
  } else {
    mv_json_double(w, p->box_ratio);
  }
}

/* The index of `key` in the list, or -1. */
static int find_key(const char *const *keys, mv_str key) {
  for (int i = 0; keys[i]; i++)
    if (mv_str_is(key, keys[i])) return i;
  return -1;
}

/* Keys that are there keep their place; new ones follow in the order they are set. */
static void put_record(const mv_json *record, mv_family family, const parsed *p, mv_buf *out) {
  const char *const *keys = family == MV_FAMILY_DETECT ? detect_keys : value_keys;
  mv_json_writer w = {.out = out};
  unsigned done = 0;
  mv_json_begin_object(&w);
  for (const mv_json *item = record->first; item; item = item->next) {
    int at = find_key(keys, item->key);
    mv_json_key_str(&w, item->key);
    if (at < 0 || (!strcmp(keys[at], "nMAE") && !p->adds_nmae)) {
      mv_json_node(&w, item);
    } else {
      put_value(&w, keys[at], p);
    }
    if (at >= 0) done |= 1u << at;
  }
  for (int i = 0; keys[i]; i++) {
    if (done >> i & 1u || (!strcmp(keys[i], "nMAE") && !p->adds_nmae)) continue;
    mv_json_key(&w, keys[i]);
    put_value(&w, keys[i], p);
  }
  mv_json_end_object(&w);
  mv_buf_char(out, '\n');
}

/* ---- the results file ---- */

typedef struct totals {
  size_t n, n_success, n_mae, n_mre, bins[10];
  double mae, mre, iou;
  size_t n_iou;
} totals;

static void add_totals(totals *t, mv_family family, const mv_scores *s) {
  static const double bounds[] = {.1, .2, .3, .4, .5, .6, .7, .8, .9, 1.};
  t->n++;
  t->n_success += (size_t)s->success;
  if (!isnan(s->mae)) t->mae += s->mae, t->n_mae++;
  if (family == MV_FAMILY_DETECT) {
    if (!isnan(s->iou)) t->iou += s->iou, t->n_iou++;
    return;
  }
  if (isnan(s->mre)) return;
  t->mre += s->mre, t->n_mre++;
  for (int i = 0; i < 10; i++)
    if (s->mre < bounds[i]) {
      t->bins[i]++;
      break;
    }
}

/* A number inside a string, as Python's str prints it. */
static void put_text_number(mv_json_writer *w, const char *key, double v) {
  mv_buf text = {0};
  if (isnan(v)) {
    mv_buf_text(&text, "nan");
  } else if (isinf(v)) {
    mv_buf_text(&text, v > 0 ? "inf" : "-inf");
  } else {
    mv_json_writer plain = {.out = &text};
    mv_json_double(&plain, v);
  }
  if (key) mv_json_key(w, key);
  mv_json_string(w, mv_buf_view(&text));
  mv_buf_free(&text);
}

static const char *const result_keys[] = {
    "avgMAE,none", "avgMRE,none", "avgIoU,none", "SuccessRate,none", "MRE<0.1",
    "MRE<0.2",     "MRE<0.3",     "MRE<0.4",     "MRE<0.5",          "MRE<0.6",
    "MRE<0.7",     "MRE<0.8",     "MRE<0.9",     "MRE<1.0",          NULL};

static void put_result(mv_json_writer *w, int at, mv_family family, const totals *t) {
  double n = (double)t->n;
  if (at == 0) {
    put_text_number(w, NULL, t->n_mae ? t->mae / (double)t->n_mae : NAN);
  } else if (at == 1) {
    put_text_number(w, NULL, t->n_mre ? t->mre / (double)t->n_mre : NAN);
  } else if (at == 2) {
    put_text_number(w, NULL, t->n_iou ? t->iou / (double)t->n_iou : NAN);
  } else if (at == 3) {
    mv_json_double(w, t->n ? (double)t->n_success / n : NAN);
  } else if (family == MV_FAMILY_DETECT) {
    mv_json_text(w, "N/A");
  } else {
    size_t count = 0;
    for (int i = 0; i <= at - 4; i++) count += t->bins[i];
    mv_json_double(w, t->n ? (double)count / n : NAN);
  }
}

static void put_task(mv_json_writer *w, const mv_json *task, mv_family family, const totals *t) {
  unsigned done = 0;
  mv_json_begin_object(w);
  for (const mv_json *item = task->first; item; item = item->next) {
    int at = find_key(result_keys, item->key);
    mv_json_key_str(w, item->key);
    if (at < 0)
      mv_json_node(w, item);
    else
      put_result(w, at, family, t), done |= 1u << at;
  }
  for (int i = 0; result_keys[i]; i++) {
    if (done >> i & 1u) continue;
    mv_json_key(w, result_keys[i]);
    put_result(w, i, family, t);
  }
  mv_json_end_object(w);
}

/* The original with the first task's numbers renewed. */
static void put_results(const mv_json *root, mv_family family, const totals *t, mv_buf *out) {
  mv_json_writer w = {.out = out, .indent = 2};
  mv_json_begin_object(&w);
  for (const mv_json *item = root->first; item; item = item->next) {
    mv_json_key_str(&w, item->key);
    if (!mv_str_is(item->key, "results") || !mv_json_is(item, MV_JSON_OBJECT)) {
      mv_json_node(&w, item);
      continue;
    }
    mv_json_begin_object(&w);
    for (const mv_json *task = item->first; task; task = task->next) {
      mv_json_key_str(&w, task->key);
      if (task == item->first && mv_json_is(task, MV_JSON_OBJECT))
        put_task(&w, task, family, t);
      else
        mv_json_node(&w, task);
    }
    mv_json_end_object(&w);
  }
  mv_json_end_object(&w);
}

static mv_status write_results(const char *from, const char *to, mv_family family, const totals *t,
                               mv_error *err) {
  mv_buf text = {0}, out = {0};
  mv_json_doc doc = {0};
  mv_status status = mv_file_read(from, MV_EVAL_MAX_BYTES, &text, err);
  if (status == MV_OK) {
    status = mv_json_parse(&doc, mv_buf_view(&text), err);
    if (status == MV_OK && !mv_json_is(mv_json_get(doc.root, "results"), MV_JSON_OBJECT))
      status = mv_fail(err, MV_ERR_FORMAT, "expected an object with \"results\"");
    if (status != MV_OK) mv_error_prefix(err, "%s", from);
  }
  if (status == MV_OK) {
    put_results(doc.root, family, t, &out);
    status = mv_eval_write(to, &out, err);
  }
  mv_json_doc_free(&doc);
  mv_buf_free(&text);
  mv_buf_free(&out);
  return status;
}

/* ---- one file ---- */

/* The text before the last "_samples_" of the name. */
static mv_status results_name(const char *name, mv_buf *out, mv_error *err) {
  const char *last = NULL;
  for (const char *at = strstr(name, "_samples_"); at; at = strstr(at + 1, "_samples_")) last = at;
  if (!last)
    return mv_fail(err, MV_ERR_FORMAT, "%s: expected a name like <stamp>_samples_<task>.jsonl",
                   name);
  mv_buf_add(out, name, (size_t)(last - name));
  mv_buf_text(out, "_results.json");
  return mv_buf_status(out, err);
}

static mv_status parse_lines(const mv_score_options *o, const char *from, totals *t, mv_buf *out,
                             mv_error *err) {
  mv_records records = {0};
  MV_TRY(mv_records_read(&records, from, 1, o->limit, err));
  mv_status status = MV_OK;
  for (size_t i = 0; status == MV_OK && i < records.n; i++) {
    parsed p;
    status = parse_record(records.v[i].doc.root, o->family, &p, err);
    if (status == MV_OK) {
      put_record(records.v[i].doc.root, o->family, &p, out);
      add_totals(t, o->family, &p.scores);
    } else {
      mv_error_prefix(err, "%s: doc_id %lld", from, (long long)records.v[i].id);
    }
    mv_buf_free(&p.answer);
  }
  mv_records_free(&records);
  return status;
}

static mv_status parse_file(const mv_score_options *o, const char *model_dir,
                            const char *parsed_dir, const char *name, mv_error *err) {
  mv_buf out = {0}, results = {0};
  totals t = {0};
  char *from = mv_path_join(model_dir, name), *to = mv_path_join(parsed_dir, name);
  mv_status status = from && to ? MV_OK : mv_fail(err, MV_ERR_MEMORY, "out of memory");
  int skip = status == MV_OK && o->skip_existing && mv_file_exists(to);
  if (status == MV_OK && !skip) status = results_name(name, &results, err);
  char *results_from = NULL, *results_to = NULL;
  if (status == MV_OK && !skip) {
    results_from = mv_path_join(model_dir, results.ptr);
    results_to = mv_path_join(parsed_dir, results.ptr);
    if (!results_from || !results_to)
      status = mv_fail(err, MV_ERR_MEMORY, "out of memory");
    else if (!mv_file_exists(results_from))
      status = mv_fail(err, MV_ERR_FORMAT, "%s: its results file %s is missing", from, results.ptr);
    if (status == MV_OK) status = parse_lines(o, from, &t, &out, err);
    if (status == MV_OK) status = write_results(results_from, results_to, o->family, &t, err);
    if (status == MV_OK) status = mv_eval_write(to, &out, err);
  }
  mv_free(results_from), mv_free(results_to), mv_free(from), mv_free(to);
  mv_buf_free(&results);
  mv_buf_free(&out);
  return status;
}

static mv_status parse_model(const mv_score_options *o, const char *model_dir, mv_error *err) {
  mv_names names = {0};
  char *parsed_dir = mv_path_join(model_dir, "parsed");
  mv_status status = parsed_dir ? MV_OK : mv_fail(err, MV_ERR_MEMORY, "out of memory");
  if (status == MV_OK) status = mv_names_read(&names, model_dir, ".jsonl", err);
  if (status == MV_OK && o->rm_old) status = mv_dir_remove(parsed_dir, err);
  if (status == MV_OK && names.n) status = mv_dir_make(parsed_dir, err);
  for (size_t i = 0; status == MV_OK && i < names.n; i++)
    status = parse_file(o, model_dir, parsed_dir, names.v[i], err);
  mv_names_free(&names);
  mv_free(parsed_dir);
  return status;
}

mv_status mv_eval_parse(const mv_score_options *o, mv_error *err) {
  mv_names models = {0};
  MV_TRY(mv_score_models(o, &models, err));
  mv_status status = MV_OK;
  for (size_t i = 0; status == MV_OK && i < models.n; i++)
    status = parse_model(o, models.v[i], err);
  mv_names_free(&models);
  return status;
}
