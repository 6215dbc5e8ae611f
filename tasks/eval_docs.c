#include "tasks/eval_docs.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "runtime/sha256.h"

/* ---- which lines ---- */

/* "[a:b]", "a,b" and so on: up to three whole numbers, and whether a colon stood between. */
static int parse_bounds(const char *text, long v[3], int *n, int *colon) {
  const char *c = text + strspn(text, " ");
  int bracket = *c == '[';
  c += bracket;
  for (*n = 0, *colon = 0; *n < 4;) {
    char *end;
    c += strspn(c, " ");
    if (!isdigit((unsigned char)*c) || *n == 3) return 0;
    v[(*n)++] = strtol(c, &end, 10);
    c = end + strspn(end, " ");
    if (*c != ',' && *c != ':') break;
    if (*c == ':') *colon = 1;
    c++;
  }
  if (bracket && *c++ != ']') return 0;
  return !c[strspn(c, " ")];
}

mv_status mv_eval_range_parse(const mv_cli_args *args, size_t n, mv_eval_range *out,
                              mv_error *err) {
  long v[3] = {0, 0, 1};
  int count, colon;
  double limit = args->eval.sample_limit;
  *out = (mv_eval_range){0, n, 1};
  if (args->eval.sample_indices) {
    int done = parse_bounds(args->eval.sample_indices, v, &count, &colon);
    if (!done || count < 2 || (colon && count != 2) || v[2] < 1)
      return mv_fail(err, MV_ERR_USAGE,
                     "eval run: --sample-indices: expected [A:B], [A,B] or [A,B,STEP], found '%s'",
                     args->eval.sample_indices);
    *out = (mv_eval_range){(size_t)v[0], (size_t)v[1] < n ? (size_t)v[1] : n, (size_t)v[2]};
  } else if (limit >= 1) {
    if (floor(limit) < (double)n) out->end = (size_t)limit;
  } else if (limit > 0) {
    out->end = (size_t)ceil((double)n * limit);
  }
  return MV_OK;
}

mv_status mv_eval_reshape_parse(const char *text, int *height, int *width, mv_error *err) {
  long v[2] = {0, 0};
  int n = 0;
  *height = *width = 0;
  if (!strcmp(text, "none")) return MV_OK;
  for (const char *c = text; *c && n < 2;) {
    char *end;
    if (!isdigit((unsigned char)*c)) {
      c++;
      continue;
    }
    v[n++] = strtol(c, &end, 10);
    c = end;
  }
  if (n == 1) v[1] = v[0];
  if (n == 0 || v[0] < 1 || v[1] < 1 || v[0] > 65535 || v[1] > 65535)
    return mv_fail(err, MV_ERR_USAGE,
                   "eval run: --reshape-image-hw: expected HEIGHTxWIDTH, such as 512x512, or none, "
                   "found '%s'",
                   text);
  *height = (int)v[0], *width = (int)v[1];
  return MV_OK;
}

/* ---- one line ---- */

static mv_status set_path(mv_eval_doc *doc, const mv_eval_asking *asking, mv_error *err) {
  mv_manifest *q = &doc->question;
  mv_str *name = q->volume.len ? &q->volume : &q->image;
  if (!name->len) return mv_fail(err, MV_ERR_USAGE, "\"image\" or \"volume\": expected a path");
  if (memchr(name->ptr, 0, name->len))
    return mv_fail(err, MV_ERR_USAGE, "a path cannot hold U+0000");
  mv_buf path = {0};
  if (asking->data_dir && name->ptr[0] != '/') mv_buf_printf(&path, "%s/", asking->data_dir);
  mv_buf_str(&path, *name);
  MV_TRY(mv_buf_status(&path, err));
  doc->path = path.ptr;
  *name = mv_buf_view(&path);
  return MV_OK;
}

static mv_status set_target(mv_eval_doc *doc, mv_error *err) {
  const mv_manifest *q = &doc->question;
  int k = mv_task_values(q->task);
  if (!q->n_truth)
    return mv_fail(err, MV_ERR_USAGE, "\"truth\": expected %d number%s to score against", k,
                   k > 1 ? "s" : "");
  if (q->n_truth != k)
    return mv_fail(err, MV_ERR_USAGE, "\"truth\": %s has %d number%s, found %d",
                   mv_task_name(q->task), k, k > 1 ? "s" : "", q->n_truth);
  doc->target.n = k;
  doc->target.is_list = k > 1;
  memcpy(doc->target.v, q->truth, (size_t)k * sizeof *q->truth);
  return MV_OK;
}

static mv_status set_prompt(mv_eval_doc *doc, const mv_eval_asking *asking, mv_error *err) {
  mv_prompt prompt;
  mv_manifest *q = &doc->question;
  if (asking->has_reshape) {
    q->has_reshape = 1;
    q->reshape_h = asking->reshape_h, q->reshape_w = asking->reshape_w;
  }
  if (asking->args->no_cot) q->cot = MV_COT_NONE;
  MV_TRY(mv_picture_frame(q, asking->pp, &doc->frame, err));
  MV_TRY(mv_manifest_prompt(q, &doc->frame, &prompt, err));
  MV_TRY(mv_prompt_render(&prompt, &doc->prompt, err));
  return mv_buf_status(&doc->prompt, err);
}

void mv_eval_key(const char *task, int64_t id, mv_str prompt, char key[256]) {
  char hex[65];
  mv_sha256_hex(prompt.ptr, prompt.len, hex);
  snprintf(key, 256, "%s::test::%lld::%.16s", task, (long long)id, hex);
}

static mv_status read_line(mv_eval_doc *doc, mv_str text, const mv_eval_asking *asking,
                           const char *task, mv_error *err) {
  char hex[65];
  mv_sha256_hex(text.ptr, text.len, hex);
  memcpy(doc->line_sha, hex, 16);
  MV_TRY(mv_json_parse(&doc->line, text, err));
  MV_TRY(mv_question_from_line(asking->args, doc->line.root, &doc->question, err));
  doc->question.volumes = asking->volumes;
  if (!doc->question.has_task)
    return mv_fail(err, MV_ERR_USAGE, "\"task\": expected detect, size, distance or angle");
  MV_TRY(set_path(doc, asking, err));
  MV_TRY(set_target(doc, err));
  MV_TRY(set_prompt(doc, asking, err));
  mv_eval_key(task, doc->id, mv_buf_view(&doc->prompt), doc->key);
  return MV_OK;
}

static char *copy_text(const char *text) {
  char *copy = mv_alloc(strlen(text) + 1);
  if (copy) memcpy(copy, text, strlen(text) + 1);
  return copy;
}

/* ---- all lines ---- */

static mv_status add_doc(mv_eval_docs *docs, mv_str text, int64_t id, const mv_eval_asking *asking,
                         mv_error *err) {
  if (docs->n == docs->cap) {
    size_t cap = docs->cap ? 2 * docs->cap : 64;
    mv_eval_doc *grown = mv_realloc(docs->v, cap * sizeof *grown);
    if (!grown) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
    docs->v = grown, docs->cap = cap;
  }
  mv_eval_doc *doc = &docs->v[docs->n];
  mv_error why = {0};
  memset(doc, 0, sizeof *doc);
  doc->id = id;
  if (read_line(doc, text, asking, docs->name, &why) != MV_OK) {
    doc->error = copy_text(why.msg);
    if (!doc->error) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  }
  docs->n++;
  return MV_OK;
}

static int same_id(const mv_json *a, const mv_json *b) {
  if (!a || !b || a->type != b->type) return 0;
  if (a->type == MV_JSON_FLOAT) return a->number == b->number;
  return (a->type == MV_JSON_STRING || a->type == MV_JSON_INT) && mv_str_eq(a->text, b->text);
}

static size_t hash_id(const mv_json *id) {
  size_t h = 1469598103u;
  for (size_t i = 0; id && i < id->text.len; i++)
    h = (h ^ (unsigned char)id->text.ptr[i]) * 16777619u;
  return h;
}

/* The second of two lines with one id cannot be told from the first: it fails. */
static mv_status check_ids(mv_eval_docs *docs, mv_error *err) {
  size_t n_slot = 16;
  while (n_slot < 2 * docs->n) n_slot *= 2;
  mv_eval_doc **slots = mv_calloc(n_slot, sizeof *slots);
  if (!slots) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  for (size_t i = 0; i < docs->n; i++) {
    const mv_json *id = mv_json_get(docs->v[i].line.root, "id");
    if (!id) continue;
    size_t at = hash_id(id) & (n_slot - 1);
    while (slots[at] && !same_id(mv_json_get(slots[at]->line.root, "id"), id))
      at = (at + 1) & (n_slot - 1);
    if (slots[at] && !docs->v[i].error) {
      char text[80];
      snprintf(text, sizeof text, "\"id\": the same as line %lld's", (long long)slots[at]->id + 1);
      docs->v[i].error = copy_text(text);
    }
    if (!slots[at]) slots[at] = &docs->v[i];
  }
  mv_free(slots);
  return MV_OK;
}

/* Scores are those of one family a file: a line of another than the first one's fails. */
static mv_status check_families(mv_eval_docs *docs, mv_error *err) {
  const mv_eval_doc *first = NULL;
  for (size_t i = 0; i < docs->n; i++) {
    mv_eval_doc *doc = &docs->v[i];
    if (doc->error) continue;
    if (!first) first = doc;
    mv_task task = doc->question.task, wanted = first->question.task;
    if (mv_family_of(task) == mv_family_of(wanted)) continue;
    char text[128];
    snprintf(text, sizeof text,
             "\"task\": %s among questions of %s: each has a manifest of its own",
             mv_task_name(task), mv_task_name(wanted));
    doc->error = copy_text(text);
    doc->target.n = 0; /* not to be logged beside the others */
    if (!doc->error) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  }
  return MV_OK;
}

static int is_blank(const char *from, size_t n) { return !mv_str_strip((mv_str){from, n}).len; }

static size_t count_lines(const mv_buf *text) {
  size_t n = 0;
  for (size_t at = 0; at < text->len;) {
    const char *newline = memchr(text->ptr + at, '\n', text->len - at);
    size_t end = newline ? (size_t)(newline - text->ptr) : text->len;
    n += !is_blank(text->ptr + at, end - at);
    at = end + 1;
  }
  return n;
}

static mv_status read_lines(mv_eval_docs *docs, const mv_buf *text, const mv_eval_asking *asking,
                            mv_error *err) {
  mv_eval_range range;
  docs->n_line = count_lines(text);
  MV_TRY(mv_eval_range_parse(asking->args, docs->n_line, &range, err));
  size_t line = 0;
  for (size_t at = 0; at < text->len && line < range.end;) {
    const char *newline = memchr(text->ptr + at, '\n', text->len - at);
    size_t end = newline ? (size_t)(newline - text->ptr) : text->len;
    mv_str view = {text->ptr + at, end - at};
    at = end + 1;
    if (is_blank(view.ptr, view.len)) continue;
    if (line >= range.first && (line - range.first) % range.step == 0)
      MV_TRY(add_doc(docs, view, (int64_t)line, asking, err));
    line++;
  }
  MV_TRY(check_families(docs, err));
  return check_ids(docs, err);
}

mv_status mv_eval_docs_read(mv_eval_docs *docs, const char *path, const char *task,
                            const mv_eval_asking *asking, mv_error *err) {
  mv_buf text = {0};
  memset(docs, 0, sizeof *docs);
  snprintf(docs->name, sizeof docs->name, "%s", task);
  mv_status status = mv_file_read(path, MV_EVAL_MAX_BYTES, &text, err);
  if (status == MV_OK) status = read_lines(docs, &text, asking, err);
  mv_buf_free(&text);
  if (status != MV_OK) mv_eval_docs_free(docs);
  return status;
}

void mv_eval_docs_free(mv_eval_docs *docs) {
  for (size_t i = 0; i < docs->n; i++) {
    mv_json_doc_free(&docs->v[i].line);
    mv_free(docs->v[i].error);
    mv_free(docs->v[i].path);
    mv_buf_free(&docs->v[i].prompt);
  }
  mv_free(docs->v);
  memset(docs, 0, sizeof *docs);
}

/* ---- the benchmark's doc ---- */

static void put_str(mv_json_writer *w, const char *key, mv_str text) {
  mv_json_key(w, key);
  mv_json_string(w, text);
}

static void put_int(mv_json_writer *w, const char *key, int64_t value) {
  mv_json_key(w, key);
  mv_json_int(w, value);
}

static mv_str type_of(const mv_manifest *q) {
  static const char *const types[] = {"Box-Size", "Tumor-Lesion-Size",
                                      "Biometrics-From-Landmarks-Distance",
                                      "Biometrics-From-Landmarks-Angle"};
  return q->task_type.len ? q->task_type : mv_str_of(types[q->task]);
}

static void put_list(mv_json_writer *w, const char *key, double value) {
  mv_json_key(w, key);
  mv_json_begin_array(w);
  mv_json_double(w, value);
  mv_json_end_array(w);
}

/* What a size, distance or angle is of, in the data set's words. */
static void put_profile(mv_json_writer *w, const mv_manifest *q) {
  int is_angle = q->task == MV_TASK_ANGLE;
  mv_json_key(w, "biometric_profile");
  mv_json_begin_object(w);
  put_str(w, "metric_type", mv_str_of(is_angle ? "angle" : "distance"));
  put_str(w, "metric_map_name", mv_str_of(is_angle ? "angles_map" : "lines_map"));
  if (q->task == MV_TASK_SIZE) {
    put_list(w, "metric_value_major_axis", q->truth[0]);
    put_list(w, "metric_value_minor_axis", q->truth[1]);
  } else {
    mv_buf key = {0};
    if (q->name.len) mv_buf_str(&key, q->name);
    for (int i = 0; i < q->n_point && !q->name.len; i++) {
      if (i) mv_buf_char(&key, '-');
      mv_buf_str(&key, q->points[i]);
    }
    put_str(w, "metric_key", mv_buf_view(&key));
    mv_buf_free(&key);
    mv_json_key(w, "metric_value");
    mv_json_double(w, q->truth[0]);
  }
  put_str(w, "metric_unit", q->unit.ptr ? q->unit : mv_unit_default(q->task));
  mv_json_end_object(w);
}

static void put_made_doc(const mv_eval_doc *doc, mv_json_writer *w) {
  const mv_manifest *q = &doc->question;
  mv_json_begin_object(w);
  put_str(w, "dataset_name", q->dataset);
  put_str(w, "taskID", q->task_id);
  put_str(w, "taskType", type_of(q));
  put_str(w, "image_file", mv_str_of(doc->path));
  put_str(w, "mask_file", mv_str_of(""));
  put_int(w, "slice_dim", q->volume.len ? (int64_t)q->plane : 2);
  put_int(w, "slice_idx", q->index);
  mv_json_key(w, "image_size_2d");
  mv_json_begin_array(w);
  mv_json_int(w, doc->frame.raw_h);
  mv_json_int(w, doc->frame.raw_w);
  mv_json_end_array(w);
  if (q->label.len) {
    const mv_json *label = mv_json_get(doc->line.root, "label");
    mv_json_key(w, "label");
    mv_json_node(w, label);
    put_str(w, "label_name", q->label_name.len ? q->label_name : q->label);
  }
  if (q->modality.len) put_str(w, "modality", q->modality);
  if (q->task != MV_TASK_DETECT) put_profile(w, q);
  mv_json_end_object(w);
}

void mv_eval_doc_write(const mv_eval_doc *doc, mv_json_writer *w) {
  const mv_json *given = mv_json_get(doc->line.root, "doc");
  if (mv_json_is(given, MV_JSON_OBJECT))
    mv_json_node(w, given);
  else
    put_made_doc(doc, w);
}

void mv_eval_doc_target(const mv_eval_doc *doc, mv_buf *out) { mv_target_print(&doc->target, out); }
