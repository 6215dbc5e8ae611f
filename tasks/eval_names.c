#include "tasks/eval_names.h"

#include <string.h>

#include "tasks/labels.h"

static mv_str text_of(const mv_json *object, const char *key) {
  const mv_json *text = mv_json_get(object, key);
  if (mv_json_is(text, MV_JSON_STRING) || mv_json_is(text, MV_JSON_INT)) return text->text;
  return (mv_str){"", 0};
}

static mv_str dataset_of(const mv_sample *sample) {
  mv_str name = text_of(sample->doc, "dataset_name");
  return name.len ? name : sample->dataset;
}

mv_str mv_sample_label(const mv_plan *plan, const mv_sample *sample, const char *kind,
                       int by_target, mv_str *modality) {
  const mv_json *task =
      mv_plan_task(plan, dataset_of(sample), kind, text_of(sample->doc, "taskID"));
  if (!task) {
    *modality = text_of(sample->doc, "modality");
    return text_of(sample->doc, "label_name");
  }
  *modality = mv_plan_text(task, "image_modality");
  return mv_plan_label(
      task, by_target ? mv_json_get(task, "target_label") : mv_json_get(sample->doc, "label"));
}

int mv_sample_is_planned(const mv_plan *plan, const mv_sample *sample, const char *kind) {
  return mv_plan_task(plan, dataset_of(sample), kind, text_of(sample->doc, "taskID")) != NULL;
}

static void put_group(mv_buf *out, mv_str name, mv_str modality, const mv_sample *sample) {
  mv_buf_str(out, name);
  mv_buf_text(out, " @ ");
  mv_buf_str(out, mv_modality_short(modality));
  mv_buf_printf(out, " (%c)", mv_plane_letter(sample->doc));
}

static mv_status no_entry(mv_str label, const char *table, mv_error *err) {
  return mv_fail(err, MV_ERR_FORMAT, "label \"%.*s\" is not in the benchmark's table of %s",
                 (int)(label.len < 100 ? label.len : 100), label.ptr, table);
}

mv_status mv_name_box_group(const mv_plan *plan, const mv_sample *sample, mv_buf *out, int *has,
                            mv_error *err) {
  mv_str modality, label = mv_sample_label(plan, sample, "segmentation", 0, &modality);
  *has = label.len > 0;
  if (!*has) return MV_OK;
  const mv_label *entry = mv_label_find(label);
  int known = entry && entry->group;
  if (!known && mv_sample_is_planned(plan, sample, "segmentation"))
    return no_entry(label, "groups", err);
  put_group(out, known ? mv_str_of(entry->group) : label, modality, sample);
  return mv_buf_status(out, err);
}

mv_status mv_name_size_group(const mv_plan *plan, const mv_sample *sample, mv_buf *out, int *has,
                             mv_error *err) {
  mv_str modality, label = mv_sample_label(plan, sample, "biometry", 1, &modality);
  *has = label.len > 0;
  if (!*has) return MV_OK;
  const mv_label *entry = mv_label_find(label);
  int known = entry && entry->name;
  if (!known && mv_sample_is_planned(plan, sample, "biometry"))
    return no_entry(label, "names", err);
  put_group(out, known ? mv_str_of(entry->name) : label, modality, sample);
  return mv_buf_status(out, err);
}

mv_status mv_name_ad_label(const mv_sample *sample, mv_buf *out, mv_error *err) {
  const mv_json *profile = mv_json_get(sample->doc, "biometric_profile");
  mv_str kind = text_of(profile, "metric_type"), key = text_of(profile, "metric_key");
  if (!kind.len || !key.len)
    return mv_fail(err, MV_ERR_FORMAT,
                   "\"biometric_profile\": expected \"metric_type\" and \"metric_key\"");
  mv_buf_str(out, dataset_of(sample));
  mv_buf_char(out, '_');
  mv_buf_str(out, kind);
  mv_buf_char(out, '_');
  mv_buf_str(out, key);
  return mv_buf_status(out, err);
}
