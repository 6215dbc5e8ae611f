/* eval summarize --task size and --task ad, as the original's summarize_TL_task and
 * summarize_AD_task. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "tasks/eval_names.h"
#include "tasks/eval_text.h"

/* ---- samples that are left out ---- */

/* One file's list of samples, of the data set it belongs to. */
typedef struct removed {
  mv_str dataset; /* borrows */
  mv_json_doc doc;
} removed;

static mv_status read_removed(const mv_score_options *o, mv_str dataset, removed *r,
                              mv_error *err) {
  mv_buf path = {0}, text = {0};
  mv_json_doc_free(&r->doc);
  r->dataset = dataset;
  if (!o->removed_dir) return MV_OK;
  mv_buf_printf(&path, "%s/%.*s/%s", o->removed_dir, (int)dataset.len, dataset.ptr,
                o->removed_name);
  mv_status status = mv_buf_status(&path, err);
  if (status == MV_OK && mv_file_exists(path.ptr)) {
    status = mv_file_read(path.ptr, MV_EVAL_MAX_BYTES, &text, err);
    if (status == MV_OK) status = mv_json_parse(&r->doc, mv_buf_view(&text), err);
    if (status == MV_OK && !mv_json_is(r->doc.root, MV_JSON_ARRAY))
      status = mv_fail(err, MV_ERR_FORMAT, "expected a list of samples");
    if (status != MV_OK) mv_error_prefix(err, "%s", path.ptr);
  }
  mv_buf_free(&path);
  mv_buf_free(&text);
  return status;
}

/* What follows "/<dataset>/", or else the last part of the path. */
static mv_str inner_path(mv_str path, mv_str dataset) {
  for (size_t i = 0; i + dataset.len + 2 <= path.len && dataset.len; i++)
    if (path.ptr[i] == '/' && path.ptr[i + 1 + dataset.len] == '/' &&
        !memcmp(path.ptr + i + 1, dataset.ptr, dataset.len))
      return (mv_str){path.ptr + i + dataset.len + 2, path.len - i - dataset.len - 2};
  for (size_t i = path.len; i > 0; i--)
    if (path.ptr[i - 1] == '/') return (mv_str){path.ptr + i, path.len - i};
  return path;
}

static int64_t number_of(const mv_json *node) {
  int64_t value = 0;
  if (mv_json_to_int(node, &value)) return value;
  if (!mv_json_is(node, MV_JSON_STRING)) return -1;
  for (size_t i = 0; i < node->text.len && i < 9; i++) {
    if (node->text.ptr[i] < '0' || node->text.ptr[i] > '9') return -1;
    value = value * 10 + (node->text.ptr[i] - '0');
  }
  return value;
}

static int64_t axis_of(const mv_json *node) {
  if (mv_json_is(node, MV_JSON_STRING) && node->text.len == 1 && node->text.ptr[0] >= 'x' &&
      node->text.ptr[0] <= 'z')
    return node->text.ptr[0] - 'x';
  return number_of(node);
}

static mv_str text_or_empty(const mv_json *node) {
  return mv_json_is(node, MV_JSON_STRING) ? node->text : (mv_str){"", 0};
}

static int is_removed(const removed *r, const mv_sample *sample) {
  const mv_json *doc = sample->doc;
  if (!mv_json_is(r->doc.root, MV_JSON_ARRAY)) return 0;
  mv_str path = inner_path(text_or_empty(mv_json_get(doc, "image_file")), r->dataset);
  for (const mv_json *item = r->doc.root->first; item; item = item->next)
    if (mv_str_eq(text_or_empty(mv_json_get(item, "image_file")), path) &&
        axis_of(mv_json_get(item, "slice_dim")) == number_of(mv_json_get(doc, "slice_dim")) &&
        number_of(mv_json_get(item, "slice_idx")) == number_of(mv_json_get(doc, "slice_idx")) &&
        number_of(mv_json_get(item, "task_ID")) == number_of(mv_json_get(doc, "taskID")))
      return 1;
  return 0;
}

/* ---- groups ---- */

/* The logged nMAE; recomputed where the log has none. */
static double nmae_of(const mv_sample *sample, const mv_scores *scores) {
  const mv_json *logged = mv_json_get(sample->record, "nMAE");
  const mv_json *value = mv_json_get(logged, "NMAE"), *success = mv_json_get(logged, "success");
  if (!scores->success) return NAN;
  if (!logged || mv_json_is(logged, MV_JSON_NULL))
    return scores->mae / mv_doc_diagonal(sample->doc);
  return mv_json_is(success, MV_JSON_BOOL) && success->truth && mv_json_is_number(value)
             ? value->number
             : NAN;
}

/* As in the original, the limit of a file counts removed samples but is only looked at after one
 * that is not. */
static mv_status group_sizes(mv_model_scores *s, const mv_score_options *o, mv_error *err) {
  removed gone = {{NULL, 0}, {0}};
  mv_buf key = {0};
  mv_status status = MV_OK;
  size_t kept = 0, n_of_file = 0, file = 0;
  int full = 0;
  for (size_t i = 0; status == MV_OK && i < s->n_sample; i++) {
    mv_sample *sample = &s->samples[i];
    mv_scores scores;
    int has = 0;
    if (sample->file != file) n_of_file = 0, full = 0, file = sample->file;
    if (full) continue;
    if (!gone.dataset.ptr || !mv_str_eq(gone.dataset, sample->dataset))
      status = read_removed(o, sample->dataset, &gone, err);
    n_of_file++;
    if (status != MV_OK || is_removed(&gone, sample)) continue;
    full = o->limit > 0 && n_of_file >= (size_t)o->limit;
    mv_buf_clear(&key);
    status = mv_name_size_group(o->plan, sample, &key, &has, err);
    if (status != MV_OK || !has) continue;
    status = mv_model_scores_group(s, key.ptr, &sample->group, err);
    if (status == MV_OK) status = mv_sample_score(sample, MV_FAMILY_SIZE, &scores, err);
    if (status != MV_OK) continue;
    mv_tally_add(&s->groups[sample->group].tally, MV_FAMILY_SIZE, &scores,
                 nmae_of(sample, &scores));
    s->samples[kept++] = *sample;
  }
  s->n_sample = kept;
  mv_json_doc_free(&gone.doc);
  mv_buf_free(&key);
  for (size_t i = 0; i < s->n_group; i++)
    mv_tally_metrics_size(&s->groups[i].tally, &s->groups[i].metrics);
  return status;
}

/* Truth below a tenth of a millimetre or degree says nothing: such samples do not count. */
static int is_near_zero(const mv_sample *sample) {
  mv_target target;
  return mv_target_parse(sample->target, &target, NULL) == MV_OK && target.v[0] < 0.1;
}

static int is_pooled(const mv_sample *sample) { return mv_str_is(sample->dataset, "FeTA24"); }

/* All of FeTA24's files count as one, where the first of them stands. */
static void pool_samples(mv_model_scores *s) {
  size_t first = 0;
  while (first < s->n_sample && !is_pooled(&s->samples[first])) first++;
  for (size_t i = first, to = first; i < s->n_sample; i++) {
    if (!is_pooled(&s->samples[i])) continue;
    mv_sample moved = s->samples[i];
    memmove(s->samples + to + 1, s->samples + to, (i - to) * sizeof moved);
    s->samples[to++] = moved;
  }
}

/* Groups without a sample that counts are no groups; the others keep their order. */
static void drop_empty_groups(mv_model_scores *s) {
  size_t kept = 0;
  for (size_t g = 0; g < s->n_group; g++) {
    if (s->groups[g].tally.n == 0) {
      mv_free(s->groups[g].key);
      continue;
    }
    for (size_t i = 0; kept < g && i < s->n_sample; i++)
      if (s->samples[i].group == g) s->samples[i].group = kept;
    s->groups[kept++] = s->groups[g];
  }
  s->n_group = kept;
}

static mv_status group_ad(mv_model_scores *s, mv_error *err) {
  mv_buf key = {0};
  mv_status status = MV_OK;
  pool_samples(s);
  for (size_t i = 0; status == MV_OK && i < s->n_sample; i++) {
    mv_sample *sample = &s->samples[i];
    mv_scores scores;
    mv_buf_clear(&key);
    status = mv_name_ad_label(sample, &key, err);
    /* Truth near zero does not count, but a group stands where its label was first seen. */
    if (status == MV_OK) status = mv_model_scores_group(s, key.ptr, &sample->group, err);
    if (is_near_zero(sample)) sample->group = (size_t)-1;
    if (status != MV_OK || sample->group == (size_t)-1) continue;
    status = mv_sample_score(sample, MV_FAMILY_AD, &scores, err);
    if (status != MV_OK) continue;
    int is_distance = strstr(key.ptr, "_distance_") != NULL;
    mv_tally_add(&s->groups[sample->group].tally, MV_FAMILY_AD, &scores,
                 is_distance ? nmae_of(sample, &scores) : NAN);
  }
  mv_buf_free(&key);
  drop_empty_groups(s);
  for (size_t i = 0; i < s->n_group; i++)
    mv_tally_metrics_ad(&s->groups[i].tally, &s->groups[i].metrics);
  return status;
}

/* ---- values ---- */

static mv_status write_values_ad(const mv_model_scores *s, mv_buf *out, mv_error *err) {
  mv_json_writer w = {.out = out, .indent = 2};
  mv_buf key = {0};
  mv_status status = MV_OK;
  mv_json_begin_array(&w);
  for (size_t i = 0; status == MV_OK && i < s->n_sample; i++) {
    const mv_sample *sample = &s->samples[i];
    mv_buf_clear(&key);
    status = mv_name_ad_label(sample, &key, err);
    mv_json_begin_object(&w);
    mv_json_key(&w, "label");
    mv_json_string(&w, mv_buf_view(&key));
    mv_json_key(&w, "targets");
    mv_json_string(&w, sample->target);
    mv_json_key(&w, "responses");
    mv_json_begin_array(&w);
    mv_json_string(&w, sample->response);
    mv_json_end_array(&w);
    mv_json_key(&w, "doc_meta");
    mv_doc_meta_write(sample, 1, &w);
    mv_json_end_object(&w);
  }
  mv_json_end_array(&w);
  mv_buf_free(&key);
  return status;
}

/* ---- a model, and all ---- */

static int is_ad_file(const char *name) {
  return strstr(name, "Ceph-Biometrics-400") ||
         strstr(name, "FeTA24_BiometricsFromLandmarks_Task01");
}

static mv_status do_model(const mv_score_options *o, const char *dir, mv_buf *text, mv_error *err) {
  int is_ad = o->family == MV_FAMILY_AD;
  mv_model_scores s;
  mv_buf out = {0};
  mv_status status = mv_model_scores_read(&s, o, dir, is_ad ? is_ad_file : NULL,
                                          !is_ad || o->task_dir != NULL, err);
  if (status == MV_OK) status = is_ad ? group_ad(&s, err) : group_sizes(&s, o, err);
  if (status == MV_OK && is_ad)
    status = write_values_ad(&s, &out, err);
  else if (status == MV_OK)
    mv_groups_write_values(&s, 1, &out);
  if (status == MV_OK)
    status = mv_score_write_summary(
        &s, o, is_ad ? "summary_values_AD_Task" : "summary_values_TL_Task", &out, err);
  mv_buf_clear(&out);
  if (status == MV_OK) {
    mv_groups_write_metrics(&s, &out);
    status = mv_score_write_summary(
        &s, o, is_ad ? "summary_metrics_AD_Task" : "summary_metrics_TL_Task", &out, err);
  }
  if (status == MV_OK) {
    if (is_ad)
      mv_print_ad(&s, text);
    else
      mv_print_size(&s, text);
  }
  mv_buf_free(&out);
  mv_model_scores_free(&s);
  return status;
}

static mv_status summarize(const mv_score_options *o, const char *stem, mv_error *err) {
  mv_names models = {0};
  mv_buf text = {0}, name = {0};
  MV_TRY(mv_score_models(o, &models, err));
  mv_status status = MV_OK;
  mv_buf_text(&text, "\n\n========== MODEL SUMMARIES ==========\n");
  for (size_t i = 0; status == MV_OK && i < models.n; i++)
    if (!mv_model_is_skipped(o, models.v[i])) status = do_model(o, models.v[i], &text, err);
  mv_buf_text(&name, stem);
  mv_score_suffix(o, 1, &name);
  mv_buf_text(&name, ".txt");
  if (status == MV_OK) status = mv_buf_status(&name, err);
  if (status == MV_OK && o->task_dir) status = mv_score_write(o->task_dir, name.ptr, &text, err);
  mv_buf_free(&name);
  mv_buf_free(&text);
  mv_names_free(&models);
  return status;
}

mv_status mv_summarize_size(const mv_score_options *o, mv_error *err) {
  return summarize(o, "summary_TL_task", err);
}

mv_status mv_summarize_ad(const mv_score_options *o, mv_error *err) {
  return summarize(o, "summary_AD_task", err);
}

mv_status mv_eval_summarize(const mv_score_options *o, mv_error *err) {
  switch (o->family) {
    case MV_FAMILY_DETECT:
      return mv_summarize_detect(o, err);
    case MV_FAMILY_SIZE:
      return mv_summarize_size(o, err);
    default:
      return mv_summarize_ad(o, err);
  }
}
