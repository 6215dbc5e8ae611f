/* eval summarize --task detect, as the original's summarize_detection_task. */
#include <math.h>
#include <string.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "tasks/eval_names.h"

#define SIDES_FILE "summary_metrics_anatomy_vs_lesion_detect_Task"

enum { ANATOMY = 0, LESION, KINDS };
static const char *const kind_names[KINDS] = {"anatomy", "T/L"};

/* What the tables of all models need of one. */
typedef struct side {
  mv_metrics mean; /* n 0: no region */
  int n_region;
  size_t n_sample;
} side;

/* ---- groups ---- */

static mv_status group_samples(mv_model_scores *s, const mv_plan *plan, mv_error *err) {
  size_t kept = 0;
  mv_buf key = {0};
  mv_status status = MV_OK;
  for (size_t i = 0; status == MV_OK && i < s->n_sample; i++) {
    mv_sample *sample = &s->samples[i];
    mv_scores scores;
    int has = 0;
    mv_buf_clear(&key);
    status = mv_name_box_group(plan, sample, &key, &has, err);
    if (status != MV_OK || !has) continue;
    status = mv_model_scores_group(s, key.ptr, &sample->group, err);
    if (status == MV_OK) status = mv_sample_score(sample, MV_FAMILY_DETECT, &scores, err);
    if (status != MV_OK) continue;
    mv_tally_add(&s->groups[sample->group].tally, MV_FAMILY_DETECT, &scores, NAN);
    s->samples[kept++] = *sample;
  }
  s->n_sample = kept;
  mv_buf_free(&key);
  for (size_t i = 0; i < s->n_group; i++)
    mv_tally_metrics_box(&s->groups[i].tally, 1, &s->groups[i].metrics);
  return status;
}

/* ---- anatomy against lesions ---- */

static int holds(const char *text, const char *word) { /* word is lower case */
  size_t n = strlen(word);
  for (; *text; text++) {
    size_t i = 0;
    for (; i < n && text[i]; i++) {
      char c = text[i];
      if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
      if (c != word[i]) break;
    }
    if (i == n) return 1;
  }
  return 0;
}

/* ANATOMY, LESION, or -1 for what is left out. */
static int kind_of(const mv_group *g) {
  if (holds(g->key, "miscellaneous") || holds(g->key, "others") || g->tally.n < 50) return -1;
  return holds(g->key, "tumor") || holds(g->key, "lesion") || holds(g->key, "metastatic") ? LESION
                                                                                          : ANATOMY;
}

/* sum(v * n) / sum(n) over the regions where v is finite, by numpy's sums. */
static double weighted(const mv_model_scores *s, int kind, int metric, double *scratch) {
  double *product = scratch, *weight = scratch + s->n_group;
  size_t n = 0;
  for (size_t g = 0; g < s->n_group; g++) {
    double v = s->groups[g].metrics.m[metric].v;
    if (kind_of(&s->groups[g]) != kind || !isfinite(v)) continue;
    product[n] = v * (double)s->groups[g].tally.n;
    weight[n++] = (double)s->groups[g].tally.n;
  }
  return n ? mv_np_sum(product, n) / mv_np_sum(weight, n) : NAN;
}

static mv_status compute_sides(const mv_model_scores *s, side sides[KINDS], mv_error *err) {
  double *scratch = mv_calloc(2 * s->n_group + 1, sizeof *scratch);
  if (!scratch) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  memset(sides, 0, KINDS * sizeof *sides);
  for (int kind = 0; kind < KINDS; kind++) {
    side *d = &sides[kind];
    const mv_metrics *any = NULL;
    for (size_t g = 0; g < s->n_group; g++) {
      if (kind_of(&s->groups[g]) != kind) continue;
      any = &s->groups[g].metrics;
      d->n_region++;
      d->n_sample += s->groups[g].tally.n;
    }
    for (int i = 0; any && i < any->n; i++)
      if (strcmp(any->m[i].key, "num_samples") != 0)
        mv_metrics_add(&d->mean, any->m[i].key, weighted(s, kind, i, scratch));
    if (!any) continue;
    mv_metrics_add(&d->mean, "total_samples", (double)d->n_sample);
    mv_metrics_add(&d->mean, "num_regions", d->n_region);
  }
  mv_free(scratch);
  return MV_OK;
}

static void write_sides(const mv_model_scores *s, const side sides[KINDS], mv_buf *out) {
  mv_json_writer w = {.out = out, .indent = 2};
  mv_json_begin_object(&w);
  for (int kind = 0; kind < KINDS; kind++) {
    mv_json_key(&w, kind_names[kind]);
    mv_json_begin_object(&w);
    mv_json_key(&w, "mean_metrics");
    mv_metrics_write(&sides[kind].mean, &w);
    mv_json_key(&w, "regions");
    mv_json_begin_array(&w);
    for (size_t g = 0; g < s->n_group; g++)
      if (kind_of(&s->groups[g]) == kind) mv_json_text(&w, s->groups[g].key);
    mv_json_end_array(&w);
    mv_json_key(&w, "detailed_data");
    mv_json_begin_object(&w);
    for (size_t g = 0; g < s->n_group; g++)
      if (kind_of(&s->groups[g]) == kind) {
        mv_json_key(&w, s->groups[g].key);
        mv_metrics_write(&s->groups[g].metrics, &w);
      }
    mv_json_end_object(&w);
    mv_json_end_object(&w);
  }
  mv_json_end_object(&w);
}

/* ---- one model ---- */

static mv_status write_model(const mv_model_scores *s, const mv_score_options *o,
                             const side sides[KINDS], mv_error *err) {
  mv_buf out = {0};
  mv_groups_write_values(s, 0, &out);
  mv_status status = mv_score_write_summary(s, o, "summary_values_detect_Task", &out, err);
  mv_buf_clear(&out);
  mv_groups_write_metrics(s, &out);
  if (status == MV_OK)
    status = mv_score_write_summary(s, o, "summary_metrics_detect_Task", &out, err);
  mv_buf_clear(&out);
  write_sides(s, sides, &out);
  if (status == MV_OK) status = mv_score_write_summary(s, o, SIDES_FILE, &out, err);
  mv_buf_free(&out);
  return status;
}

/* ---- all models ---- */

static const char *const table_keys[][2] = {{"Recall", "Recall"},
                                            {"Precision", "Precision"},
                                            {"F1", "F1"},
                                            {"IoU", "IoU"},
                                            {"SuccessRate", "SuccessRate"},
                                            {"IoU>0.5", "IoU>0.5"},
                                            {"F1>0.5", "F1>0.5"},
                                            {"AccIoU_50", "Acc@IoU>=0.50"},
                                            {"AccIoU_75", "Acc@IoU>=0.75"},
                                            {"AccIoU_mean", "Acc@IoU[0.50:0.95]"}};
#define N_TABLE_KEY ((int)(sizeof table_keys / sizeof *table_keys))

static void put_model(mv_json_writer *w, const char *name, const side sides[KINDS]) {
  mv_json_key(w, name);
  mv_json_begin_object(w);
  for (int kind = 0; kind < KINDS; kind++) {
    mv_json_key(w, kind_names[kind]);
    mv_json_begin_object(w);
    for (int i = 0; i < N_TABLE_KEY; i++) {
      mv_json_key(w, table_keys[i][0]);
      mv_json_double(w, mv_metrics_get(&sides[kind].mean, table_keys[i][1]));
    }
    mv_json_key(w, "total_samples");
    mv_json_int(w, (int64_t)sides[kind].n_sample);
    mv_json_key(w, "num_regions");
    mv_json_int(w, sides[kind].n_region);
    mv_json_end_object(w);
  }
  mv_json_end_object(w);
}

static void rule(mv_buf *out, char c, size_t n) {
  for (size_t i = 0; i < n; i++) mv_buf_char(out, c);
}

/* printf of a NaN may show its sign; Python's does not. */
static void put_value(mv_buf *out, const char *label, double v) {
  if (isnan(v))
    mv_buf_printf(out, "%s=nan", label);
  else
    mv_buf_printf(out, "%s=%.3f", label, v);
}

static void print_model(mv_buf *out, const char *name, const side sides[KINDS]) {
  static const char *const titles[KINDS] = {"ANATOMY", "T/L"};
  mv_buf_printf(out, "\n\nModel: %s\n", name);
  rule(out, '-', strlen("Model: ") + strlen(name));
  for (int kind = 0; kind < KINDS; kind++) {
    mv_buf_printf(out, "\n  %-8s (%2d regions, %4zu samples): ", titles[kind], sides[kind].n_region,
                  sides[kind].n_sample);
    for (int i = 0; i < N_TABLE_KEY; i++) {
      if (i) mv_buf_text(out, ", ");
      put_value(out, table_keys[i][1], mv_metrics_get(&sides[kind].mean, table_keys[i][1]));
    }
  }
}

typedef struct all_models {
  mv_buf json, text;
  mv_json_writer w;
} all_models;

static void begin_all(all_models *all) {
  all->w = (mv_json_writer){.out = &all->json, .indent = 2};
  mv_json_begin_object(&all->w);
  mv_buf_char(&all->text, '\n');
  rule(&all->text, '=', 80);
  mv_buf_text(&all->text, "\nSUMMARY METRICS: Recall, Precision, and F1\n");
  rule(&all->text, '=', 80);
}

static mv_status end_all(all_models *all, const mv_score_options *o, mv_error *err) {
  mv_buf name = {0};
  mv_json_end_object(&all->w);
  mv_buf_text(&name, "summary_metrics_all_models_detect_Task");
  mv_score_suffix(o, 1, &name);
  mv_buf_text(&name, ".json");
  MV_TRY(mv_buf_status(&name, err));
  char *path = mv_path_join(o->task_dir, name.ptr);
  mv_status status = mv_eval_write(path, &all->json, err);
  mv_buf_text(&all->text, "\n\n");
  rule(&all->text, '=', 80);
  mv_buf_printf(&all->text, "\nSummary metrics saved to: %s\n", path ? path : "");
  rule(&all->text, '=', 80);
  mv_free(path);
  mv_buf_clear(&name);
  mv_buf_text(&name, "summary_detection_task");
  mv_score_suffix(o, 1, &name);
  mv_buf_text(&name, ".txt");
  if (status == MV_OK) status = mv_buf_status(&name, err);
  if (status == MV_OK) status = mv_score_write(o->task_dir, name.ptr, &all->text, err);
  mv_buf_free(&name);
  return status;
}

/* A model's row of the tables, from the file that an earlier run has written. */
static mv_status read_sides(const mv_score_options *o, const char *dir, side sides[KINDS],
                            int *found, mv_error *err) {
  mv_buf path = {0}, text = {0};
  mv_json_doc doc = {0};
  memset(sides, 0, KINDS * sizeof *sides);
  mv_buf_printf(&path, "%s/%s/" SIDES_FILE, dir, o->parsed_name);
  mv_score_suffix(o, 0, &path);
  mv_buf_text(&path, ".json");
  mv_status status = mv_buf_status(&path, err);
  *found = status == MV_OK && mv_file_exists(path.ptr);
  if (*found) status = mv_file_read(path.ptr, MV_EVAL_MAX_BYTES, &text, err);
  if (*found && status == MV_OK) status = mv_json_parse(&doc, mv_buf_view(&text), err);
  for (int kind = 0; *found && status == MV_OK && kind < KINDS; kind++) {
    const mv_json *mean = mv_json_get(mv_json_get(doc.root, kind_names[kind]), "mean_metrics");
    for (int i = 0; i < N_TABLE_KEY; i++) {
      const mv_json *value = mv_json_get(mean, table_keys[i][1]);
      if (mv_json_is_number(value))
        mv_metrics_add(&sides[kind].mean, table_keys[i][1], value->number);
    }
    int64_t n = 0;
    if (mv_json_to_int(mv_json_get(mean, "total_samples"), &n)) sides[kind].n_sample = (size_t)n;
    if (mv_json_to_int(mv_json_get(mean, "num_regions"), &n)) sides[kind].n_region = (int)n;
  }
  if (status != MV_OK && path.ptr) mv_error_prefix(err, "%s", path.ptr);
  mv_json_doc_free(&doc);
  mv_buf_free(&text);
  mv_buf_free(&path);
  return status;
}

/* The random boxes are scored alone (--model-dir) and only listed beside the models. */
static mv_status list_baseline(const mv_score_options *o, const char *dir, all_models *all,
                               mv_error *err) {
  side sides[KINDS];
  int found;
  MV_TRY(read_sides(o, dir, sides, &found, err));
  if (!found) return MV_OK;
  put_model(&all->w, mv_base_name(dir), sides);
  print_model(&all->text, mv_base_name(dir), sides);
  return MV_OK;
}

/* As the original, writes nothing for a model without boxes; in a folder of models that is one
 * whose parsed logs are missing, too. */
static mv_status do_model(const mv_score_options *o, const char *dir, all_models *all,
                          mv_error *err) {
  mv_model_scores s;
  side sides[KINDS];
  if (o->task_dir && !mv_model_is_parsed(o, dir)) return MV_OK;
  mv_status status = mv_model_scores_read(&s, o, dir, NULL, o->task_dir != NULL, err);
  if (status == MV_OK) status = group_samples(&s, o->plan, err);
  if (status == MV_OK && s.n_sample) status = compute_sides(&s, sides, err);
  if (status == MV_OK && s.n_sample) status = write_model(&s, o, sides, err);
  if (status == MV_OK && s.n_sample && o->task_dir) {
    put_model(&all->w, s.name, sides);
    print_model(&all->text, s.name, sides);
  }
  mv_model_scores_free(&s);
  return status;
}

mv_status mv_summarize_detect(const mv_score_options *o, mv_error *err) {
  mv_names models = {0};
  all_models all = {0};
  MV_TRY(mv_score_models(o, &models, err));
  begin_all(&all);
  mv_status status = MV_OK;
  for (size_t i = 0; status == MV_OK && i < models.n; i++) {
    if (mv_model_is_skipped(o, models.v[i])) continue;
    status = (mv_model_is_baseline(o, models.v[i]) ? list_baseline : do_model)(o, models.v[i], &all,
                                                                               err);
  }
  if (status == MV_OK && o->task_dir) status = end_all(&all, o, err);
  mv_buf_free(&all.json);
  mv_buf_free(&all.text);
  mv_names_free(&models);
  return status;
}
