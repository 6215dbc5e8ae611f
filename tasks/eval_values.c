/* The lists and tables that the summaries of all families share. */
#include "tasks/eval_score.h"

static void put_member(mv_json_writer *w, const mv_json *object, const char *key) {
  const mv_json *node = mv_json_get(object, key);
  mv_json_key(w, key);
  if (node)
    mv_json_node(w, node);
  else
    mv_json_null(w);
}

void mv_doc_meta_write(const mv_sample *sample, int is_ad, mv_json_writer *w) {
  const mv_json *doc = sample->doc, *nmae = mv_json_get(sample->record, "nMAE");
  mv_json_begin_object(w);
  put_member(w, doc, "image_file");
  put_member(w, doc, "slice_dim");
  put_member(w, doc, "slice_idx");
  put_member(w, doc, "image_size_2d");
  if (is_ad) put_member(w, mv_json_get(doc, "biometric_profile"), "metric_type");
  put_member(w, doc, "scale_mode");
  mv_json_key(w, "nmae_precomputed");
  if (nmae)
    mv_json_node(w, nmae);
  else
    mv_json_null(w);
  put_member(w, doc, "taskID");
  put_member(w, doc, "label");
  put_member(w, doc, "pixel_size_scale");
  mv_json_end_object(w);
}

enum { TARGETS = 0, RESPONSES, METAS };

static void put_list(const mv_model_scores *s, size_t group, int what, mv_json_writer *w) {
  static const char *const keys[] = {"targets", "responses", "doc_metas"};
  mv_json_key(w, keys[what]);
  mv_json_begin_array(w);
  for (size_t i = 0; i < s->n_sample; i++) {
    const mv_sample *sample = &s->samples[i];
    if (sample->group != group) continue;
    if (what == METAS)
      mv_doc_meta_write(sample, 0, w);
    else
      mv_json_string(w, what == TARGETS ? sample->target : sample->response);
  }
  mv_json_end_array(w);
}

void mv_groups_write_values(const mv_model_scores *s, int with_metas, mv_buf *out) {
  mv_json_writer w = {.out = out, .indent = 2};
  mv_json_begin_object(&w);
  for (size_t g = 0; g < s->n_group; g++) {
    mv_json_key(&w, s->groups[g].key);
    mv_json_begin_object(&w);
    put_list(s, g, TARGETS, &w);
    put_list(s, g, RESPONSES, &w);
    if (with_metas) put_list(s, g, METAS, &w);
    mv_json_end_object(&w);
  }
  mv_json_end_object(&w);
}

void mv_groups_write_metrics(const mv_model_scores *s, mv_buf *out) {
  mv_json_writer w = {.out = out, .indent = 2};
  mv_json_begin_object(&w);
  for (size_t g = 0; g < s->n_group; g++) {
    mv_json_key(&w, s->groups[g].key);
    mv_metrics_write(&s->groups[g].metrics, &w);
  }
  mv_json_end_object(&w);
}
