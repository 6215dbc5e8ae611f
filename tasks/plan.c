#include "tasks/plan.h"

#include <stdio.h>
#include <string.h>

#include "runtime/file.h"
#include "tasks/labels.h"

#define MAX_PLAN_BYTES ((size_t)256 << 20)

mv_status mv_plan_load(mv_plan *plan, const char *path, mv_error *err) {
  mv_buf text = {0};
  mv_status status = MV_OK;
  memset(plan, 0, sizeof *plan);
  if (path)
    status = mv_file_read(path, MAX_PLAN_BYTES, &text, err);
  else
    for (int i = 0; i < mv_n_plan_builtin; i++) mv_buf_text(&text, mv_plan_builtin[i]);
  if (status == MV_OK) status = mv_buf_status(&text, err);
  if (status == MV_OK) {
    status = mv_json_parse(&plan->doc, mv_buf_view(&text), err);
    if (status == MV_OK && !mv_json_is(plan->doc.root, MV_JSON_OBJECT))
      status = mv_fail(err, MV_ERR_FORMAT, "expected an object of data sets, found %s",
                       mv_json_type_name(plan->doc.root));
    if (status != MV_OK && path) mv_error_prefix(err, "%s", path);
  }
  mv_buf_free(&text);
  if (status != MV_OK) mv_plan_free(plan);
  return status;
}

void mv_plan_free(mv_plan *plan) { mv_json_doc_free(&plan->doc); }

static const mv_json *member(const mv_json *object, mv_str key) {
  for (const mv_json *item = mv_json_is(object, MV_JSON_OBJECT) ? object->first : NULL; item;
       item = item->next)
    if (mv_str_eq(item->key, key)) return item;
  return NULL;
}

const mv_json *mv_plan_task(const mv_plan *plan, mv_str dataset, const char *kind, mv_str task_id) {
  size_t number = 0;
  for (size_t i = 0; i < task_id.len; i++) {
    if (task_id.ptr[i] < '0' || task_id.ptr[i] > '9' || number > 9999) return NULL;
    number = number * 10 + (size_t)(task_id.ptr[i] - '0');
  }
  const mv_json *list = mv_json_get(member(plan->doc.root, dataset), kind);
  return number ? mv_json_at(list, number - 1) : NULL;
}

mv_str mv_plan_label(const mv_json *task, const mv_json *label) {
  mv_str none = {"", 0};
  if (!mv_json_is(label, MV_JSON_STRING) && !mv_json_is(label, MV_JSON_INT)) return none;
  const mv_json *name = member(mv_json_get(task, "labels_map"), label->text);
  return mv_json_is(name, MV_JSON_STRING) ? name->text : none;
}

mv_str mv_plan_text(const mv_json *task, const char *key) {
  const mv_json *text = mv_json_get(task, key);
  return mv_json_is(text, MV_JSON_STRING) ? text->text : (mv_str){"", 0};
}

mv_str mv_modality_short(mv_str modality) {
  static const char *const names[][2] = {
      {"MRI", "MR"}, {"CT", "CT"}, {"ultrasound", "US"}, {"X-ray", "XR"}, {"PET", "PET"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (mv_str_is(modality, names[i][0])) return mv_str_of(names[i][1]);
  return modality;
}
