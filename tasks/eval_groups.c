/* What the summarisers share: parsed samples in groups, running sums, metrics in order. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "tasks/eval_score.h"

/* ---- metrics ---- */

void mv_metrics_add(mv_metrics *m, const char *key, double value) {
  snprintf(m->m[m->n].key, sizeof m->m[m->n].key, "%s", key);
  m->m[m->n++].v = value;
}

double mv_metrics_get(const mv_metrics *m, const char *key) {
  for (int i = 0; i < m->n; i++)
    if (!strcmp(m->m[i].key, key)) return m->m[i].v;
  return NAN;
}

static int is_count(const char *key) {
  return !strcmp(key, "num_samples") || !strcmp(key, "total_samples") ||
         !strcmp(key, "num_regions");
}

void mv_metrics_write(const mv_metrics *m, mv_json_writer *w) {
  mv_json_begin_object(w);
  for (int i = 0; i < m->n; i++) {
    mv_json_key(w, m->m[i].key);
    if (is_count(m->m[i].key))
      mv_json_int(w, (int64_t)m->m[i].v);
    else
      mv_json_double(w, m->m[i].v);
  }
  mv_json_end_object(w);
}

/* ---- sums ---- */

static int bin_of(double v) { return v >= 1 ? 9 : v < 0 ? 0 : (int)(v * 10); }

static void add_overlaps(mv_tally *t, const mv_scores *s) {
  const double v[4] = {s->iou, s->f1, s->precision, s->recall};
  for (int i = 0; i < 4; i++) {
    if (isfinite(v[i])) t->overlap[i] += v[i], t->n_overlap[i]++;
    for (int j = 0; j < 5; j++) t->reached[i][j] += v[i] >= (double)(j + 5) / 10;
  }
  if (isfinite(s->precision))
    mv_mixed_add(&t->precision, s->precision, s->precision_is_f32, s->precision_is_weak);
  for (int j = 0; j < 10; j++) t->reached_iou[j] += s->iou >= (double)(50 + 5 * j) / 100;
}

void mv_tally_add(mv_tally *t, mv_family family, const mv_scores *s, double nmae) {
  t->n++;
  t->n_success += (size_t)s->success;
  if (isfinite(s->mae)) t->mae += s->mae, t->n_mae++;
  double binned = family == MV_FAMILY_DETECT ? s->mae : s->mre;
  if (isfinite(binned)) t->bins[bin_of(binned)]++;
  if (family == MV_FAMILY_DETECT) {
    add_overlaps(t, s);
    return;
  }
  if (isfinite(s->mre)) t->mre += s->mre, t->n_mre++;
  if (s->success && isfinite(nmae)) t->nmae += nmae, t->n_nmae++;
}

static double mean(double sum, size_t n) { return n ? sum / (double)n : NAN; }

static void add_bins(const mv_tally *t, const char *name, mv_metrics *out) {
  size_t count = 0;
  for (int i = 0; i < 10; i++) {
    char key[24];
    snprintf(key, sizeof key, "%s<%.1f", name, (i + 1) / 10.0);
    count += t->bins[i];
    mv_metrics_add(out, key, mean((double)count, t->n));
  }
}

void mv_tally_metrics_box(const mv_tally *t, int with_acc, mv_metrics *out) {
  static const char *const names[4] = {"IoU", "F1", "Precision", "Recall"};
  char key[24];
  double acc[10];
  out->n = 0;
  mv_metrics_add(out, "avgMAE", mean(t->mae, t->n_mae));
  for (int i = 0; i < 4; i++)
    mv_metrics_add(out, names[i],
                   i == 2 && t->n_overlap[2] ? mv_mixed_mean(&t->precision, t->n_overlap[2])
                                             : mean(t->overlap[i], t->n_overlap[i]));
  mv_metrics_add(out, "SuccessRate", mean((double)t->n_success, t->n));
  mv_metrics_add(out, "num_samples", (double)t->n);
  add_bins(t, "MAE", out);
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 5; j++) {
      snprintf(key, sizeof key, "%s>%.1f", names[i], (j + 5) / 10.0);
      mv_metrics_add(out, key, mean((double)t->reached[i][j], t->n));
    }
  if (!with_acc) return;
  for (int j = 0; j < 10; j++) {
    snprintf(key, sizeof key, "Acc@IoU>=%.2f", (50 + 5 * j) / 100.0);
    acc[j] = mean((double)t->reached_iou[j], t->n);
    mv_metrics_add(out, key, acc[j]);
  }
  mv_metrics_add(out, "Acc@IoU[0.50:0.95]", mv_np_sum(acc, 10) / 10);
}

void mv_tally_metrics_size(const mv_tally *t, mv_metrics *out) {
  out->n = 0;
  mv_metrics_add(out, "avgMAE", mean(t->mae, t->n_mae));
  mv_metrics_add(out, "avgMRE", mean(t->mre, t->n_mre));
  mv_metrics_add(out, "SuccessRate", mean((double)t->n_success, t->n));
  mv_metrics_add(out, "avgNMAE", mean(t->nmae, t->n_nmae));
  mv_metrics_add(out, "num_samples", (double)t->n);
  add_bins(t, "MRE", out);
}

void mv_tally_metrics_ad(const mv_tally *t, mv_metrics *out) {
  out->n = 0;
  mv_metrics_add(out, "avgMAE", mean(t->mae, t->n_mae));
  mv_metrics_add(out, "avgMRE", mean(t->mre, t->n_mre));
  mv_metrics_add(out, "avgNMAE", mean(t->nmae, t->n_nmae));
  mv_metrics_add(out, "SuccessRate", mean((double)t->n_success, t->n));
  mv_metrics_add(out, "num_samples", (double)t->n);
  add_bins(t, "MRE", out);
}

/* ---- models ---- */

const char *mv_base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static int wanted_model(const mv_score_options *o, const char *name) {
  for (int i = 0; i < o->n_model; i++)
    if (!strcmp(o->models[i], name)) return 1;
  return o->n_model == 0;
}

/* Turns names into paths, leaving out models that were not asked for. */
mv_status mv_score_models(const mv_score_options *o, mv_names *paths, mv_error *err) {
  mv_names names = {0};
  memset(paths, 0, sizeof *paths);
  mv_status status = MV_OK;
  if (o->task_dir) status = mv_names_read(&names, o->task_dir, NULL, err);
  MV_TRY(status);
  size_t n = o->task_dir ? names.n : 1;
  paths->v = mv_calloc(n + 1, sizeof *paths->v);
  if (!paths->v) status = mv_fail(err, MV_ERR_MEMORY, "out of memory");
  for (size_t i = 0; status == MV_OK && i < n; i++) {
    if (o->task_dir && !wanted_model(o, names.v[i])) continue;
    char *path =
        o->task_dir ? mv_path_join(o->task_dir, names.v[i]) : mv_path_make(o->model_dir, "", "");
    if (path && !o->task_dir && path[0] && path[strlen(path) - 1] == '/' && strlen(path) > 1)
      path[strlen(path) - 1] = 0;
    if (!path)
      status = mv_fail(err, MV_ERR_MEMORY, "out of memory");
    else
      paths->v[paths->n++] = path;
  }
  struct stat info;
  if (status == MV_OK && !o->task_dir && (stat(paths->v[0], &info) || !S_ISDIR(info.st_mode)))
    status = mv_fail(err, MV_ERR_IO, "%s: no such folder", o->model_dir);
  if (status == MV_OK)
    for (int i = 0; i < o->n_model && o->task_dir; i++) {
      int found = 0;
      for (size_t j = 0; j < paths->n; j++)
        found |= !strcmp(mv_base_name(paths->v[j]), o->models[i]);
      if (!found)
        status = mv_fail(err, MV_ERR_USAGE, "%s: no model folder called '%s'", o->task_dir,
                         o->models[i]);
    }
  mv_names_free(&names);
  if (status != MV_OK) mv_names_free(paths);
  return status;
}

int mv_model_is_parsed(const mv_score_options *o, const char *model_dir) {
  struct stat info;
  char *dir = mv_path_join(model_dir, o->parsed_name);
  int found = dir && stat(dir, &info) == 0 && S_ISDIR(info.st_mode);
  mv_free(dir);
  return found;
}

int mv_model_is_skipped(const mv_score_options *o, const char *model_dir) {
  return o->skip_missing && !mv_model_is_parsed(o, model_dir);
}

int mv_model_is_baseline(const mv_score_options *o, const char *model_dir) {
  return o->task_dir && strcmp(mv_base_name(model_dir), "random_detection") == 0;
}

mv_status mv_score_write(const char *dir, const char *name, const mv_buf *text, mv_error *err) {
  char *path = mv_path_join(dir, name);
  mv_status status = mv_eval_write(path, text, err);
  mv_free(path);
  return status;
}

mv_status mv_score_write_summary(const mv_model_scores *s, const mv_score_options *o,
                                 const char *stem, const mv_buf *text, mv_error *err) {
  mv_buf name = {0};
  mv_buf_text(&name, stem);
  mv_score_suffix(o, 0, &name);
  mv_buf_text(&name, ".json");
  mv_status status = mv_buf_status(&name, err);
  if (status == MV_OK) status = mv_score_write(s->dir, name.ptr, text, err);
  mv_buf_free(&name);
  return status;
}

void mv_score_suffix(const mv_score_options *o, int task_level, mv_buf *out) {
  if (o->family == MV_FAMILY_SIZE && o->removed_dir) mv_buf_text(out, "_filtered");
  if (o->limit > 0) mv_buf_printf(out, "_limit%d", o->limit);
  if (task_level && strcmp(o->parsed_name, "parsed") != 0)
    mv_buf_printf(out, "__%s", o->parsed_name);
}

/* ---- samples ---- */

static mv_status add_sample(mv_model_scores *s, const mv_sample *sample, mv_error *err) {
  if (s->n_sample == s->cap_sample) {
    size_t cap = s->cap_sample ? 2 * s->cap_sample : 256;
    mv_sample *grown = mv_realloc(s->samples, cap * sizeof *grown);
    if (!grown) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
    s->samples = grown, s->cap_sample = cap;
  }
  s->samples[s->n_sample++] = *sample;
  return MV_OK;
}

static mv_status read_sample(const mv_json *record, const char *key, mv_sample *out,
                             mv_error *err) {
  const mv_json *target = mv_json_get(record, "target"), *resps = mv_json_get(record, key);
  const mv_json *text = mv_json_is(resps, MV_JSON_STRING) ? resps : mv_json_at(resps, 0);
  if (mv_json_is(text, MV_JSON_ARRAY)) text = mv_json_at(text, 0);
  if (!mv_json_is(text, MV_JSON_STRING))
    return mv_fail(err, MV_ERR_FORMAT, "\"%s\": expected a list of one text (run eval parse first)",
                   key);
  if (!mv_json_is(target, MV_JSON_STRING))
    return mv_fail(err, MV_ERR_FORMAT, "\"target\": expected a string, found %s",
                   mv_json_type_name(target));
  *out = (mv_sample){.record = record,
                     .doc = mv_json_get(record, "doc"),
                     .target = target->text,
                     .response = text->text};
  return MV_OK;
}

static mv_status read_file(mv_model_scores *s, const mv_score_options *o, const char *name,
                           const char *key, mv_error *err) {
  mv_records *records = &s->files[s->n_file];
  char *path = mv_path_join(s->dir, name);
  if (!path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  /* Removed samples count in a way of their own: eval_summary_size.c. */
  mv_status status = mv_records_read(records, path, 0, o->removed_dir ? 0 : o->limit, err);
  if (status == MV_OK) s->n_file++;
  for (size_t i = 0; status == MV_OK && i < records->n; i++) {
    mv_sample sample;
    status = read_sample(records->v[i].doc.root, key, &sample, err);
    if (status != MV_OK) mv_error_prefix(err, "%s: doc_id %lld", path, (long long)records->v[i].id);
    if (status == MV_OK) {
      sample.file = s->n_file - 1;
      sample.dataset = mv_dataset_of_name(name);
      status = add_sample(s, &sample, err);
    }
  }
  mv_free(path);
  return status;
}

static int is_variant(const char *name) {
  return strstr(name, "_proc_acc") || strstr(name, "_eq_acc");
}

mv_status mv_model_scores_read(mv_model_scores *s, const mv_score_options *o, const char *model_dir,
                               int (*wanted)(const char *name), int honours_key, mv_error *err) {
  struct stat info;
  memset(s, 0, sizeof *s);
  s->name = mv_base_name(model_dir);
  s->dir = mv_path_join(model_dir, o->parsed_name);
  if (!s->dir) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  if (stat(s->dir, &info) != 0 || !S_ISDIR(info.st_mode))
    return mv_fail(err, MV_ERR_IO,
                   "%s: no such folder (run eval parse first, or leave such models "
                   "out with --skip-model-wo-parsed-files)",
                   s->dir);
  MV_TRY(mv_names_read(&s->file_names, s->dir, ".jsonl", err));
  s->files = mv_calloc(s->file_names.n + 1, sizeof *s->files);
  if (!s->files) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  for (size_t i = 0; i < s->file_names.n; i++) {
    const char *name = s->file_names.v[i];
    if (is_variant(name) || (wanted && !wanted(name))) continue;
    MV_TRY(read_file(s, o, name, honours_key ? o->resps_key : "filtered_resps", err));
  }
  return MV_OK;
}

void mv_model_scores_free(mv_model_scores *s) {
  for (size_t i = 0; i < s->n_file; i++) mv_records_free(&s->files[i]);
  for (size_t i = 0; i < s->n_group; i++) mv_free(s->groups[i].key);
  mv_free(s->files);
  mv_free(s->samples);
  mv_free(s->groups);
  mv_free(s->dir);
  mv_names_free(&s->file_names);
  memset(s, 0, sizeof *s);
}

mv_status mv_model_scores_group(mv_model_scores *s, const char *key, size_t *index, mv_error *err) {
  for (*index = 0; *index < s->n_group; ++*index)
    if (!strcmp(s->groups[*index].key, key)) return MV_OK;
  if (s->n_group == s->cap_group) {
    size_t cap = s->cap_group ? 2 * s->cap_group : 32;
    mv_group *grown = mv_realloc(s->groups, cap * sizeof *grown);
    if (!grown) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
    s->groups = grown, s->cap_group = cap;
  }
  mv_group *g = &s->groups[s->n_group];
  memset(g, 0, sizeof *g);
  g->key = mv_alloc(strlen(key) + 1);
  if (!g->key) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  memcpy(g->key, key, strlen(key) + 1);
  s->n_group++;
  return MV_OK;
}

mv_status mv_sample_score(const mv_sample *sample, mv_family family, mv_scores *out,
                          mv_error *err) {
  mv_target target;
  MV_TRY(mv_target_parse(sample->target, &target, err));
  return mv_sample_metrics(family, sample->response, &target, out, err);
}

char mv_plane_letter(const mv_json *doc) {
  int64_t axis;
  if (!mv_json_to_int(mv_json_get(doc, "slice_dim"), &axis) || axis < 0 || axis > 2) return '?';
  return "SCA"[axis];
}
