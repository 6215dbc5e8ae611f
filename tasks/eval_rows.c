#include "tasks/eval_rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "tasks/labels.h"

static const char *const words[] = {"detect ", "size ", "ad "};

const char *mv_rows_label(const mv_rows *rows, int group) {
  return strchr(rows->groups[group], ' ') + 1;
}

/* ---- growing ---- */

static mv_status grow(void **v, size_t n, size_t *cap, size_t bytes, mv_error *err) {
  if (n < *cap) return MV_OK;
  size_t more = *cap ? 2 * *cap : 64;
  void *grown = mv_realloc(*v, more * bytes);
  if (!grown) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  *v = grown, *cap = more;
  return MV_OK;
}

static mv_status find_group(mv_rows *rows, const char *name, int *group, mv_error *err) {
  for (*group = (int)rows->n_group - 1; *group >= 0; --*group)
    if (!strcmp(rows->groups[*group], name)) return MV_OK;
  if (rows->n_group == rows->cap_group) {
    size_t cap = rows->cap_group;
    MV_TRY(
        grow((void **)&rows->groups, rows->n_group, &rows->cap_group, sizeof *rows->groups, err));
    size_t *counts = mv_realloc(rows->group_n, rows->cap_group * sizeof *counts);
    if (!counts) {
      rows->cap_group = cap;
      return mv_fail(err, MV_ERR_MEMORY, "out of memory");
    }
    rows->group_n = counts;
  }
  char *copy = mv_alloc(strlen(name) + 1);
  if (!copy) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  memcpy(copy, name, strlen(name) + 1);
  rows->group_n[rows->n_group] = 0;
  rows->groups[rows->n_group] = copy;
  *group = (int)rows->n_group++;
  return MV_OK;
}

/* ---- one record ---- */

static int family_of(const mv_sample *sample, const mv_target *target, mv_family *out) {
  mv_str type = {"", 0};
  const mv_json *node = mv_json_get(sample->doc, "taskType");
  if (mv_json_is(node, MV_JSON_STRING)) type = node->text;
  if (mv_str_is(type, "Box-Size") || target->n == 4)
    *out = MV_FAMILY_DETECT;
  else if (mv_str_is(type, "Tumor-Lesion-Size") || target->n == 2)
    *out = MV_FAMILY_SIZE;
  else if (target->n == 1)
    *out = MV_FAMILY_AD;
  else
    return 0;
  return 1;
}

static mv_status name_group(const mv_plan *plan, const mv_sample *sample, mv_family family,
                            mv_buf *out, mv_error *err) {
  int has = 1;
  mv_status status;
  size_t before;
  mv_buf_clear(out);
  mv_buf_text(out, words[family]);
  before = out->len;
  if (family == MV_FAMILY_DETECT)
    status = mv_name_box_group(plan, sample, out, &has, NULL);
  else if (family == MV_FAMILY_SIZE)
    status = mv_name_size_group(plan, sample, out, &has, NULL);
  else
    status = mv_name_ad_label(sample, out, NULL);
  if (status == MV_ERR_MEMORY) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  if (status != MV_OK || !has || out->len == before) { /* a label the tables do not know */
    mv_str modality, label = mv_sample_label(plan, sample, "detection", 0, &modality);
    mv_buf_str(out, label.len ? label : mv_str_of("(no label)"));
  }
  return mv_buf_status(out, err);
}

/* The label by itself, and its anatomy. A/D labels have neither modality nor group. */
static mv_status find_labels(mv_rows *rows, const mv_sample *sample, const mv_plan *plan,
                             mv_buf *name, mv_row *row, mv_error *err) {
  mv_str modality;
  row->label = row->anatomy = row->group;
  if (row->family == MV_FAMILY_AD) return MV_OK;
  mv_str label = row->family == MV_FAMILY_DETECT
                     ? mv_sample_label(plan, sample, "segmentation", 0, &modality)
                     : mv_sample_label(plan, sample, "biometry", 1, &modality);
  const mv_label *entry = mv_label_find(label);
  row->label_name = label, row->modality = modality;
  mv_buf_clear(name);
  mv_buf_text(name, "label ");
  mv_buf_str(name, label.len ? label : mv_str_of("(no label)"));
  mv_buf_text(name, " @ ");
  mv_buf_str(name, mv_modality_short(modality));
  MV_TRY(mv_buf_status(name, err));
  MV_TRY(find_group(rows, name->ptr, &row->label, err));
  mv_buf_clear(name);
  mv_buf_printf(name, "anatomy %s", entry && entry->group ? entry->group : "(no group)");
  MV_TRY(mv_buf_status(name, err));
  return find_group(rows, name->ptr, &row->anatomy, err);
}

static int holds(const char *text, const char *a, const char *b) {
  return strstr(text, a) && strstr(text, b);
}

static int is_lesion(const char *name) {
  return strstr(name, "Tumor") || strstr(name, "Lesion") || strstr(name, "Metastatic") ||
         strstr(name, "tumor") || strstr(name, "lesion") || strstr(name, "metastatic");
}

static mv_side side_of(mv_family family, const char *name) {
  if (family == MV_FAMILY_SIZE) return MV_SIDE_SIZE;
  if (family == MV_FAMILY_AD)
    return holds(name, "Ceph", "_distance_")   ? MV_SIDE_CEPH_DISTANCE
           : holds(name, "Ceph", "_angle_")    ? MV_SIDE_CEPH_ANGLE
           : holds(name, "FeTA", "_distance_") ? MV_SIDE_FETA_DISTANCE
                                               : MV_SIDE_NONE;
  if (strstr(name, "Miscellaneous") || strstr(name, "Others") || !strstr(name, " @ "))
    return MV_SIDE_NONE;
  return is_lesion(name) ? MV_SIDE_LESION : MV_SIDE_ANATOMY;
}

static mv_str first_text(const mv_json *record, const char *key) {
  const mv_json *text = mv_json_at(mv_json_get(record, key), 0);
  return mv_json_is(text, MV_JSON_STRING) ? text->text : (mv_str){"", 0};
}

static mv_status add_row(mv_rows *rows, const mv_json *record, mv_str dataset, const mv_plan *plan,
                         mv_buf *name, mv_error *err) {
  const mv_json *target_text = mv_json_get(record, "target");
  const mv_json *ratio = mv_json_get(record, "box_img_ratio");
  mv_target target;
  mv_row row = {.record = record};
  if (!mv_json_is(target_text, MV_JSON_STRING))
    return mv_fail(err, MV_ERR_FORMAT, "\"target\": expected a string");
  MV_TRY(mv_target_parse(target_text->text, &target, err));
  mv_sample sample = {.record = record,
                      .doc = mv_json_get(record, "doc"),
                      .target = target_text->text,
                      .response = first_text(record, "filtered_resps"),
                      .dataset = dataset};
  if (!family_of(&sample, &target, &row.family)) return MV_OK;
  if (row.family == MV_FAMILY_AD && target.v[0] < 0.1) return MV_OK; /* near zero: not counted */
  MV_TRY(mv_sample_metrics(row.family, sample.response, &target, &row.scores, err));
  MV_TRY(name_group(plan, &sample, row.family, name, err));
  MV_TRY(find_group(rows, name->ptr, &row.group, err));
  row.side = side_of(row.family, name->ptr);
  MV_TRY(find_labels(rows, &sample, plan, name, &row, err));
  MV_TRY(grow((void **)&rows->v, rows->n, &rows->cap, sizeof *rows->v, err));
  rows->group_n[row.group]++;
  row.plane = mv_plane_letter(sample.doc);
  row.box_ratio = mv_json_is_number(ratio) ? ratio->number : NAN;
  rows->v[rows->n++] = row;
  return MV_OK;
}

/* ---- files ---- */

static mv_status add_file(mv_rows *rows, const char *dir, const char *name, const mv_plan *plan,
                          mv_error *err) {
  mv_buf key = {0};
  char *path = mv_path_join(dir, name);
  if (!path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  mv_status status =
      grow((void **)&rows->files, rows->n_file, &rows->cap_file, sizeof *rows->files, err);
  mv_records *file = status == MV_OK ? &rows->files[rows->n_file] : NULL;
  if (status == MV_OK) status = mv_records_read(file, path, 0, 0, err);
  if (status == MV_OK) rows->n_file++;
  for (size_t i = 0; status == MV_OK && i < file->n; i++) {
    status = add_row(rows, file->v[i].doc.root, mv_dataset_of_name(name), plan, &key, err);
    if (status != MV_OK) mv_error_prefix(err, "%s: doc_id %lld", path, (long long)file->v[i].id);
  }
  mv_buf_free(&key);
  mv_free(path);
  return status;
}

static mv_status find_model(mv_rows_list *list, const char *name, mv_rows **out, mv_error *err) {
  for (size_t i = 0; i < list->n; i++)
    if (!strcmp(list->v[i].name, name)) {
      *out = &list->v[i];
      return MV_OK;
    }
  MV_TRY(grow((void **)&list->v, list->n, &list->cap, sizeof *list->v, err));
  *out = &list->v[list->n++];
  memset(*out, 0, sizeof **out);
  snprintf((*out)->name, sizeof(*out)->name, "%s", name);
  return MV_OK;
}

static mv_status add_model(mv_rows_list *list, const char *folder, const char *parsed,
                           const mv_plan *plan, mv_error *err) {
  mv_names names = {0};
  mv_rows *rows = NULL;
  MV_TRY(mv_names_read(&names, parsed, ".jsonl", err));
  mv_status status = names.n ? find_model(list, mv_base_name(folder), &rows, err) : MV_OK;
  for (size_t i = 0; status == MV_OK && i < names.n; i++)
    status = add_file(rows, parsed, names.v[i], plan, err);
  mv_names_free(&names);
  return status;
}

static mv_status search(mv_rows_list *list, const char *folder, int depth, const mv_plan *plan,
                        mv_error *err) {
  struct stat info;
  char *parsed = mv_path_join(folder, "parsed");
  if (!parsed) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  int is_model = stat(parsed, &info) == 0 && S_ISDIR(info.st_mode);
  mv_status status = is_model ? add_model(list, folder, parsed, plan, err) : MV_OK;
  mv_free(parsed);
  mv_names names = {0};
  if (status == MV_OK && !is_model && depth < 2) status = mv_names_read(&names, folder, NULL, err);
  for (size_t i = 0; status == MV_OK && i < names.n; i++) {
    char *inner = mv_path_join(folder, names.v[i]);
    status = inner ? search(list, inner, depth + 1, plan, err)
                   : mv_fail(err, MV_ERR_MEMORY, "out of memory");
    mv_free(inner);
  }
  mv_names_free(&names);
  return status;
}

mv_status mv_rows_read(mv_rows_list *list, const char *folder, const mv_plan *plan, mv_error *err) {
  char *copy = mv_path_make(folder, "", "");
  if (!copy) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--) copy[n - 1] = 0;
  size_t before = list->n;
  mv_status status = search(list, copy, 0, plan, err);
  if (status == MV_OK && list->n == before && before == 0)
    status = mv_fail(err, MV_ERR_IO, "%s: no parsed logs below it (run eval parse first)", folder);
  mv_free(copy);
  return status;
}

void mv_rows_list_free(mv_rows_list *list) {
  for (size_t i = 0; i < list->n; i++) {
    mv_rows *rows = &list->v[i];
    for (size_t f = 0; f < rows->n_file; f++) mv_records_free(&rows->files[f]);
    for (size_t g = 0; g < rows->n_group; g++) mv_free(rows->groups[g]);
    mv_free(rows->files);
    mv_free(rows->groups);
    mv_free(rows->group_n);
    mv_free(rows->v);
  }
  mv_free(list->v);
  memset(list, 0, sizeof *list);
}
