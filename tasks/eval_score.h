/* Scoring a finished run: the files of the original's parser and summarisers, field for field. */
#ifndef MV_TASKS_EVAL_SCORE_H
#define MV_TASKS_EVAL_SCORE_H

#include "tasks/eval_files.h"
#include "tasks/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The original tools' options. */
typedef struct mv_score_options {
  mv_family family;
  const char *task_dir, *model_dir; /* one of them; without a slash at the end */
  int limit;                        /* records of each file; 0 all */
  const char *const *models;        /* n_model names; 0: all */
  int n_model;
  const char *removed_dir, *removed_name;
  const char *parsed_name; /* "parsed" */
  const char *resps_key;   /* "filtered_resps" */
  int skip_existing, skip_missing, rm_old;
  const mv_plan *plan;
  /* Called for what should be known and does not stop the work; may be NULL. */
  void (*note)(void *user, const char *message);
  void *user;
} mv_score_options;

mv_status mv_eval_parse(const mv_score_options *o, mv_error *err);
mv_status mv_eval_summarize(const mv_score_options *o, mv_error *err); /* by family */
mv_status mv_eval_boxsize(const mv_score_options *o, mv_error *err);

/* ---- shared by the summarisers ---- */

/* Metrics in the order they are printed. "num_samples" prints as an integer. */
typedef struct mv_metrics {
  int n;
  struct {
    char key[24];
    double v;
  } m[64];
} mv_metrics;

void mv_metrics_add(mv_metrics *m, const char *key, double value);
/* NaN when there is none of that name. */
double mv_metrics_get(const mv_metrics *m, const char *key);
void mv_metrics_write(const mv_metrics *m, mv_json_writer *w); /* an object */

/* Running sums over one group's samples; zero-initialise. */
typedef struct mv_tally {
  size_t n, n_success, n_mae, n_mre, n_nmae, n_overlap[4];
  double mae, mre, nmae, overlap[4]; /* overlap: iou, f1, precision, recall */
  mv_mixed_sum precision;
  size_t bins[10];        /* of MAE for boxes, MRE otherwise */
  size_t reached[4][5];   /* overlaps of at least .5, .6, ... */
  size_t reached_iou[10]; /* .50, .55, ... */
} mv_tally;

void mv_tally_add(mv_tally *t, mv_family family, const mv_scores *s, double nmae);
void mv_tally_metrics_box(const mv_tally *t, int with_acc, mv_metrics *out);
void mv_tally_metrics_size(const mv_tally *t, mv_metrics *out);
void mv_tally_metrics_ad(const mv_tally *t, mv_metrics *out);

/* A sample as the summarisers keep it; strings borrow from the records. */
typedef struct mv_sample {
  const mv_json *record, *doc;
  mv_str target, response;
  mv_str dataset;
  size_t file; /* index into mv_model_scores.files */
  size_t group;
} mv_sample;

typedef struct mv_group {
  char *key; /* owns */
  mv_tally tally;
  mv_metrics metrics;
} mv_group;

/* One model's parsed samples in groups by first appearance. Zero-initialise; owns; free with
 * mv_model_scores_free. */
typedef struct mv_model_scores {
  const char *name; /* borrows: the folder's name */
  mv_records *files;
  size_t n_file;
  mv_names file_names;
  mv_sample *samples;
  size_t n_sample, cap_sample;
  mv_group *groups;
  size_t n_group, cap_group;
  char *dir; /* owns: MODEL/parsed */
} mv_model_scores;

/* Reads a model's parsed logs that `wanted` (NULL: all) accepts by name, and makes a sample of
 * each record. `model_dir` NULL-terminated path. */
mv_status mv_model_scores_read(mv_model_scores *scores, const mv_score_options *o,
                               const char *model_dir, int (*wanted)(const char *name),
                               int honours_key, mv_error *err);
void mv_model_scores_free(mv_model_scores *scores);
/* The index of the group called `key`, made if need be. */
mv_status mv_model_scores_group(mv_model_scores *scores, const char *key, size_t *index,
                                mv_error *err);
/* The scores of a sample's response. */
mv_status mv_sample_score(const mv_sample *sample, mv_family family, mv_scores *out, mv_error *err);

/* "Liver @ CT (A)" of a record: plane letter from slice_dim. */
char mv_plane_letter(const mv_json *doc);

/* The model folders of o->task_dir (or the one of model_dir): full paths. */
mv_status mv_score_models(const mv_score_options *o, mv_names *paths, mv_error *err);
const char *mv_base_name(const char *path);
/* Whether a model has the folder of parsed logs; whether the options leave it out for want of it.
 */
int mv_model_is_parsed(const mv_score_options *o, const char *model_dir);
int mv_model_is_skipped(const mv_score_options *o, const char *model_dir);

/* Whether it is "random_detection", the random boxes that detection over a whole --task-dir leaves
 * out. */
int mv_model_is_baseline(const mv_score_options *o, const char *model_dir);

/* {group: {"targets", "responses", "doc_metas" (where asked)}}, {group: metrics}, and one sample's
 * "doc_meta". */
void mv_groups_write_values(const mv_model_scores *scores, int with_metas, mv_buf *out);
void mv_groups_write_metrics(const mv_model_scores *scores, mv_buf *out);
void mv_doc_meta_write(const mv_sample *sample, int is_ad, mv_json_writer *w);

/* Writes DIR/NAME by rename. */
mv_status mv_score_write(const char *dir, const char *name, const mv_buf *text, mv_error *err);
/* The same for a model's summary: `stem`, the suffix of the options, ".json". */
mv_status mv_score_write_summary(const mv_model_scores *scores, const mv_score_options *o,
                                 const char *stem, const mv_buf *text, mv_error *err);
/* "_limit30", "__dir" and so on. */
void mv_score_suffix(const mv_score_options *o, int task_level, mv_buf *out);

/* doc.image_file's pixel spacing across slice_dim: {h, w}; 0 when it cannot be read. */
int mv_doc_spacing(const mv_json *doc, float hw[2]);
/* mv_image_diagonal of a doc; NaN when anything is missing. */
double mv_doc_diagonal(const mv_json *doc);

/* Per family. */
mv_status mv_summarize_detect(const mv_score_options *o, mv_error *err);
mv_status mv_summarize_size(const mv_score_options *o, mv_error *err);
mv_status mv_summarize_ad(const mv_score_options *o, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
