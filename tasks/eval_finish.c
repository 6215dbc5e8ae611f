#include "tasks/eval_finish.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "runtime/sha256.h"
#include "tasks/geometry.h"
#include "tasks/prompts.h"

/* sha256("null"): what the original's hash of every doc comes to */
static const char doc_hash[] = "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b";

/* ---- failures ---- */

static void put_failure(const mv_eval_doc *doc, const char *why, mv_buf *out) {
  mv_json_writer w = {.out = out, .utf8 = 1};
  const mv_json *id = mv_json_get(doc->line.root, "id");
  mv_json_begin_object(&w);
  mv_json_key(&w, "doc_id");
  mv_json_int(&w, doc->id);
  if (id) {
    mv_json_key(&w, "id");
    mv_json_node(&w, id);
  }
  mv_json_key(&w, "error");
  mv_json_text(&w, why);
  mv_json_end_object(&w);
  mv_buf_char(out, '\n');
}

mv_status mv_eval_failures_write(const mv_eval_place *place, const mv_eval_docs *docs, int rank,
                                 char *const *errors, mv_error *err) {
  mv_buf out = {0};
  char suffix[48];
  snprintf(suffix, sizeof suffix, "_failures%d.json", rank);
  char *path = mv_path_make(place->cache, docs->name, suffix);
  for (size_t i = 0; i < docs->n; i++)
    if (errors[i]) put_failure(&docs->v[i], errors[i], &out);
  mv_status status = MV_OK;
  if (!path)
    status = mv_fail(err, MV_ERR_MEMORY, "out of memory");
  else if (out.len || out.failed)
    status = mv_eval_write(path, &out, err);
  else
    remove(path);
  mv_free(path);
  mv_buf_free(&out);
  return status;
}

/* Reasons by doc_id from every rank's file. */
static mv_status read_failures(const mv_eval_place *place, const char *task, mv_records *all,
                               mv_error *err) {
  mv_names names = {0};
  size_t n = strlen(task);
  MV_TRY(mv_names_read(&names, place->cache, ".json", err));
  mv_status status = MV_OK;
  for (size_t i = 0; status == MV_OK && i < names.n; i++) {
    mv_records one = {0};
    if (strncmp(names.v[i], task, n) != 0 || strncmp(names.v[i] + n, "_failures", 9) != 0) continue;
    char *path = mv_path_join(place->cache, names.v[i]);
    status = path ? mv_records_read(&one, path, 0, 0, err)
                  : mv_fail(err, MV_ERR_MEMORY, "out of memory");
    mv_record *grown = one.n ? mv_realloc(all->v, (all->n + one.n) * sizeof *grown) : NULL;
    if (grown) {
      all->v = grown;
      memcpy(all->v + all->n, one.v, one.n * sizeof *grown);
      all->n += one.n;
      one.n = 0;
    }
    mv_records_free(&one);
    mv_free(path);
  }
  mv_names_free(&names);
  return status;
}

/* The text in the record of a failure; NULL when there is none. */
static const mv_json *failure_of(const mv_records *failures, int64_t id) {
  for (size_t i = 0; i < failures->n; i++)
    if (failures->v[i].id == id) return mv_json_get(failures->v[i].doc.root, "error");
  return NULL;
}

/* ---- one record ---- */

static void put_text(mv_json_writer *w, const char *key, mv_str text) {
  mv_json_key(w, key);
  mv_json_string(w, text);
}

static void put_hash(mv_json_writer *w, const char *key, mv_str text) {
  char hex[65];
  mv_sha256_hex(text.ptr, text.len, hex);
  put_text(w, key, mv_str_of(hex));
}

static void put_arguments(mv_json_writer *w) {
  static const char *const names[] = {"do_sample", "max_new_tokens", "temperature", "top_p"};
  mv_json_key(w, "arguments");
  mv_json_begin_object(w);
  for (int i = 0; i < 4; i++) {
    char key[2] = {(char)('0' + i), 0};
    put_text(w, key, mv_str_of(names[i]));
  }
  mv_json_end_object(w);
}

static void put_responses(mv_json_writer *w, mv_str response) {
  mv_json_key(w, "resps");
  mv_json_begin_array(w);
  mv_json_begin_array(w);
  mv_json_string(w, response);
  mv_json_end_array(w);
  mv_json_end_array(w);
  mv_json_key(w, "filtered_resps");
  mv_json_begin_array(w);
  mv_json_string(w, response);
  mv_json_end_array(w);
}

static double diagonal_of(const mv_frame *f) {
  if (!(f->raw_pixel_w > 0)) return NAN;
  return mv_image_diagonal(f->raw_h, f->raw_w, f->raw_pixel_h, f->raw_pixel_w);
}

static void put_record(const mv_eval_doc *doc, mv_str response, const mv_json *why, int log_system,
                       int with_system, mv_buf *out) {
  mv_json_writer w = {.out = out, .utf8 = 1};
  mv_buf target = {0};
  mv_task task = doc->question.task;
  mv_eval_doc_target(doc, &target);
  mv_json_begin_object(&w);
  mv_json_key(&w, "doc_id");
  mv_json_int(&w, doc->id);
  mv_json_key(&w, "doc");
  mv_eval_doc_write(doc, &w);
  put_text(&w, "target", mv_buf_view(&target));
  put_arguments(&w);
  put_responses(&w, response);
  put_text(&w, "doc_hash", mv_str_of(doc_hash));
  put_hash(&w, "prompt_hash", mv_buf_view(&doc->prompt));
  put_hash(&w, "target_hash", mv_buf_view(&target));
  if (log_system) put_text(&w, "system_prompt", with_system ? mv_prompt_system() : mv_str_of(""));
  mv_eval_metrics_write(mv_family_of(task), task == MV_TASK_ANGLE, response, &doc->target,
                        diagonal_of(&doc->frame), &w);
  put_text(&w, "input", mv_buf_view(&doc->prompt));
  if (why) {
    mv_json_key(&w, "error");
    mv_json_node(&w, why);
  }
  mv_json_end_object(&w);
  mv_buf_char(out, '\n');
  mv_buf_free(&target);
}

/* ---- all records ---- */

/* Running means over the records as logged. */
typedef struct means {
  double mae, mre;
  size_t n, n_value, n_success;
  int has_mre;
} means;

typedef struct logs {
  mv_buf samples, failures, results;
  means m;
} logs;

static void free_logs(logs *l) {
  mv_buf_free(&l->samples);
  mv_buf_free(&l->failures);
  mv_buf_free(&l->results);
}

/* The record just written, read back for its numbers. */
static void add_means(means *m, mv_str line) {
  mv_json_doc doc = {0};
  if (mv_json_parse(&doc, line, NULL) != MV_OK) return;
  const mv_json *mae = mv_json_get(mv_json_get(doc.root, "avgMAE"), "MAE");
  const mv_json *mre = mv_json_get(mv_json_get(doc.root, "avgMRE"), "MRE");
  const mv_json *ae = mv_json_get(mv_json_get(doc.root, "MAE"), "AE");
  const mv_json *success = mv_json_get(doc.root, "SuccessRate");
  const mv_json *near_zero = mv_json_get(success, "near_zero_gt");
  const mv_json *done = mv_json_get(success, "success");
  if (!near_zero) {
    m->n++;
    m->n_success += mv_json_is(done, MV_JSON_BOOL) && done->truth;
  }
  if (mv_json_is_number(mae) && !isnan(mae->number)) {
    m->mae += mae->number, m->n_value++;
    if (mv_json_is_number(mre)) m->mre += mre->number, m->has_mre = 1;
  } else if (mv_json_is(ae, MV_JSON_STRING) && ae->text.len > 2) { /* "[1.23]" */
    m->mae += strtod(ae->text.ptr + 1, NULL), m->n_value++;
  }
  mv_json_doc_free(&doc);
}

static void put_mean(mv_json_writer *w, const char *name, double value) {
  char key[48];
  snprintf(key, sizeof key, "%s,none", name);
  mv_json_key(w, key);
  mv_json_double(w, value);
  snprintf(key, sizeof key, "%s_stderr,none", name);
  mv_json_key(w, key);
  mv_json_text(w, "N/A");
}

static void put_results(const mv_eval_place *place, const mv_eval_docs *docs, logs *l,
                        size_t n_failed) {
  mv_json_writer w = {.out = &l->results, .indent = 2, .utf8 = 1};
  const means *m = &l->m;
  mv_json_begin_object(&w);
  mv_json_key(&w, "results");
  mv_json_begin_object(&w);
  mv_json_key(&w, docs->name);
  mv_json_begin_object(&w);
  put_text(&w, "alias", mv_str_of(docs->name));
  put_mean(&w, "avgMAE", m->n_value ? m->mae / (double)m->n_value : NAN);
  if (m->has_mre) put_mean(&w, "avgMRE", m->mre / (double)m->n_value);
  put_mean(&w, "SuccessRate", m->n ? (double)m->n_success / (double)m->n : NAN);
  mv_json_end_object(&w);
  mv_json_end_object(&w);
  put_text(&w, "model_name", mv_str_of(place->model));
  mv_json_key(&w, "n-samples");
  mv_json_begin_object(&w);
  mv_json_key(&w, docs->name);
  mv_json_begin_object(&w);
  mv_json_key(&w, "original");
  mv_json_int(&w, (int64_t)docs->n_line);
  mv_json_key(&w, "effective");
  mv_json_int(&w, (int64_t)docs->n);
  mv_json_key(&w, "failed");
  mv_json_int(&w, (int64_t)n_failed);
  mv_json_end_object(&w);
  mv_json_end_object(&w);
  mv_json_end_object(&w);
}

/* Fills the logs as far as answers and failures reach. */
static void make_logs(const mv_eval_docs *docs, const mv_eval_answers *answers,
                      const mv_records *failures, int with_system, int log_system, logs *l,
                      mv_eval_outcome *out) {
  for (size_t i = 0; i < docs->n; i++) {
    const mv_eval_doc *doc = &docs->v[i];
    mv_str response = {"", 0};
    mv_json own = {.type = MV_JSON_STRING, .text = mv_str_of(doc->error)};
    const mv_json *why = doc->error ? &own : NULL;
    size_t before = l->samples.len;
    if (!why && mv_eval_answers_find(answers, doc, &response))
      out->n_answered++;
    else if (!why && !(why = failure_of(failures, doc->id)))
      continue;
    if (why) {
      mv_buf text = {0};
      mv_buf_str(&text, why->text);
      put_failure(doc, text.ptr ? text.ptr : "", &l->failures);
      mv_buf_free(&text);
      out->n_failed++;
    }
    if (doc->target.n == 0) continue; /* nothing to log it against */
    put_record(doc, response, why, log_system, with_system, &l->samples);
    if (!l->samples.failed)
      add_means(&l->m, (mv_str){l->samples.ptr + before, l->samples.len - before - 1});
  }
}

/* ---- files ---- */

/* Names of this task's logs: "<stamp>_samples_<task>.jsonl". The list of failures ends otherwise,
 * because the parser takes every .jsonl for a sample log. */
static int is_log(const char *name, const char *kind, const char *task) {
  mv_buf tail = {0};
  mv_buf_printf(&tail, "_%s_%s.%s", kind, task, strcmp(kind, "samples") ? "ndjson" : "jsonl");
  size_t n = strlen(name);
  int found = !tail.failed && n > tail.len && !strcmp(name + n - tail.len, tail.ptr) &&
              strspn(name, "0123456789_") >= n - tail.len;
  mv_buf_free(&tail);
  return found;
}

static int same_content(const char *path, const mv_buf *text) {
  mv_buf old = {0};
  int same = mv_file_read(path, MV_EVAL_MAX_BYTES, &old, NULL) == MV_OK && old.len == text->len &&
             (!old.len || !memcmp(old.ptr, text->ptr, old.len));
  mv_buf_free(&old);
  return same;
}

/* Whether a results file is about this task alone. */
static int is_results_of(const char *path, const char *task) {
  mv_buf text = {0};
  mv_json_doc doc = {0};
  int found = 0;
  if (mv_file_read(path, 1 << 24, &text, NULL) == MV_OK &&
      mv_json_parse(&doc, mv_buf_view(&text), NULL) == MV_OK) {
    const mv_json *results = mv_json_get(doc.root, "results");
    found = mv_json_is(results, MV_JSON_OBJECT) && results->n_items == 1 &&
            mv_str_is(results->first->key, task);
  }
  mv_json_doc_free(&doc);
  mv_buf_free(&text);
  return found;
}

/* Deletes this task's logs and results but those of `stamp` (NULL: all), and what kills left. */
static void remove_old(const mv_eval_place *place, const char *task, const char *stamp) {
  mv_names names = {0};
  if (mv_names_read(&names, place->dir, "", NULL) != MV_OK) return;
  for (size_t i = 0; i < names.n; i++) {
    const char *name = names.v[i];
    char *path = mv_path_join(place->dir, name);
    int ours = path && (!stamp || strncmp(name, stamp, strlen(stamp)) != 0);
    size_t n = strlen(name);
    if (ours && (is_log(name, "samples", task) || is_log(name, "failures", task) ||
                 strstr(name, ".json.tmp.") || strstr(name, ".jsonl.tmp.") ||
                 strstr(name, ".ndjson.tmp.") ||
                 (n > 13 && !strcmp(name + n - 13, "_results.json") && is_results_of(path, task))))
      remove(path);
    mv_free(path);
  }
  mv_names_free(&names);
}

/* Whether finished logs with this content are there; else *old says whether there are others. */
static int is_finished(const mv_eval_place *place, const char *task, const logs *l) {
  mv_names names = {0};
  int finished = 0, n_sample = 0, n_failure = 0;
  if (mv_names_read(&names, place->dir, "", NULL) != MV_OK) return 0;
  for (size_t i = 0; i < names.n; i++) {
    n_failure += is_log(names.v[i], "failures", task);
    if (!is_log(names.v[i], "samples", task)) continue;
    char *path = mv_path_join(place->dir, names.v[i]);
    char results[64];
    snprintf(results, sizeof results, "%.15s_results.json", names.v[i]);
    char *beside = mv_path_join(place->dir, results);
    n_sample++;
    finished =
        path && beside && same_content(path, &l->samples) && same_content(beside, &l->results);
    mv_free(path);
    mv_free(beside);
  }
  mv_names_free(&names);
  return finished && n_sample == 1 && n_failure == (l->failures.len > 0);
}

/* A stamp that no results file has yet: the time in Singapore, where the original's authors are. */
static void make_stamp(const mv_eval_place *place, char stamp[16]) {
  time_t now = time(NULL) + 8 * 3600;
  for (;; now++) {
    struct tm t;
    char name[40];
    gmtime_r(&now, &t);
    strftime(stamp, 16, "%Y%m%d_%H%M%S", &t);
    snprintf(name, sizeof name, "%s_results.json", stamp);
    char *path = mv_path_join(place->dir, name);
    int taken = path && mv_file_exists(path);
    mv_free(path);
    if (!taken) return;
  }
}

static mv_status write_one(const mv_eval_place *place, const char *before, const char *task,
                           const char *after, const mv_buf *text, mv_error *err) {
  mv_buf name = {0};
  mv_buf_printf(&name, "%s%s%s", before, task, after);
  MV_TRY(mv_buf_status(&name, err));
  char *path = mv_path_join(place->dir, name.ptr);
  mv_status status = mv_eval_write(path, text, err);
  mv_free(path);
  mv_buf_free(&name);
  return status;
}

static mv_status write_logs(const mv_eval_place *place, const char *task, const logs *l,
                            mv_error *err) {
  char stamp[16], before[40];
  make_stamp(place, stamp);
  MV_TRY(write_one(place, stamp, "_results", ".json", &l->results, err));
  snprintf(before, sizeof before, "%s_failures_", stamp);
  if (l->failures.len) MV_TRY(write_one(place, before, task, ".ndjson", &l->failures, err));
  snprintf(before, sizeof before, "%s_samples_", stamp);
  MV_TRY(write_one(place, before, task, ".jsonl", &l->samples, err));
  remove_old(place, task, stamp);
  return MV_OK;
}

static mv_status finish(const mv_eval_place *place, const mv_eval_docs *docs, int with_system,
                        int log_system, mv_eval_outcome *out, mv_error *err) {
  mv_eval_answers answers = {0};
  mv_records failures = {0};
  logs l = {0};
  MV_TRY(mv_eval_answers_read(&answers, place, docs->name, err));
  mv_status status = read_failures(place, docs->name, &failures, err);
  if (status == MV_OK) {
    make_logs(docs, &answers, &failures, with_system, log_system, &l, out);
    put_results(place, docs, &l, out->n_failed);
    out->complete = out->n_answered + out->n_failed == docs->n;
    status = mv_buf_status(&l.samples, err);
  }
  if (status == MV_OK && out->complete) {
    out->unchanged = is_finished(place, docs->name, &l);
    if (!out->unchanged) status = write_logs(place, docs->name, &l, err);
  }
  free_logs(&l);
  mv_records_free(&failures);
  mv_eval_answers_free(&answers);
  return status;
}

mv_status mv_eval_finish(const mv_eval_place *place, const mv_eval_docs *docs, int with_system,
                         int log_system, mv_eval_outcome *out, mv_error *err) {
  mv_eval_lock lock;
  char *path = mv_path_join(place->cache, "finish.lock");
  memset(out, 0, sizeof *out);
  out->n = docs->n;
  if (!path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  mv_status status = mv_eval_lock_take(&lock, path, 1, err);
  mv_free(path);
  MV_TRY(status);
  status = finish(place, docs, with_system, log_system, out, err);
  mv_eval_lock_drop(&lock);
  return status;
}

/* ---- status ---- */

static mv_status read_status(const char *path, mv_json_doc *doc, mv_error *err) {
  mv_buf text = {0};
  if (!mv_file_exists(path)) return MV_OK;
  mv_status status = mv_file_read(path, 1 << 26, &text, err);
  if (status == MV_OK) {
    status = mv_json_parse(doc, mv_buf_view(&text), err);
    if (status == MV_OK && !mv_json_is(doc->root, MV_JSON_OBJECT))
      status =
          mv_fail(err, MV_ERR_FORMAT, "expected an object, found %s", mv_json_type_name(doc->root));
    if (status != MV_OK) mv_error_prefix(err, "%s", path);
  }
  mv_buf_free(&text);
  return status;
}

mv_status mv_eval_status_has(const char *path, const char *model, const char *task, int *has,
                             mv_error *err) {
  mv_json_doc doc = {0};
  *has = 0;
  MV_TRY(read_status(path, &doc, err));
  *has = mv_json_get(mv_json_get(doc.root, model), task) != NULL;
  mv_json_doc_free(&doc);
  return MV_OK;
}

static void put_tasks(mv_json_writer *w, const mv_json *old, const char *task) {
  int found = 0;
  mv_json_begin_object(w);
  for (const mv_json *item = mv_json_is(old, MV_JSON_OBJECT) ? old->first : NULL; item;
       item = item->next) {
    mv_json_key_str(w, item->key);
    if (mv_str_is(item->key, task)) {
      mv_json_bool(w, 1);
      found = 1;
    } else {
      mv_json_node(w, item);
    }
  }
  if (!found) {
    mv_json_key(w, task);
    mv_json_bool(w, 1);
  }
  mv_json_end_object(w);
}

static void put_status(const mv_json *root, const char *model, const char *task, mv_buf *out) {
  mv_json_writer w = {.out = out, .indent = 4};
  int found = 0;
  mv_json_begin_object(&w);
  for (const mv_json *item = root ? root->first : NULL; item; item = item->next) {
    mv_json_key_str(&w, item->key);
    if (mv_str_is(item->key, model)) {
      put_tasks(&w, item, task);
      found = 1;
    } else {
      mv_json_node(&w, item);
    }
  }
  if (!found) {
    mv_json_key(&w, model);
    put_tasks(&w, NULL, task);
  }
  mv_json_end_object(&w);
}

mv_status mv_eval_status_add(const mv_eval_place *place, const char *path, const char *task,
                             mv_error *err) {
  mv_eval_lock lock = {-1};
  mv_buf out = {0};
  mv_json_doc doc = {0};
  char *beside = mv_path_join(place->cache, "status.lock");
  if (!beside) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  mv_status status = mv_eval_lock_take(&lock, beside, 1, err);
  if (status == MV_OK) status = read_status(path, &doc, err);
  if (status == MV_OK) {
    put_status(doc.root, place->model, task, &out);
    status = mv_eval_write(path, &out, err);
  }
  mv_eval_lock_drop(&lock);
  mv_free(beside);
  mv_json_doc_free(&doc);
  mv_buf_free(&out);
  return status;
}
