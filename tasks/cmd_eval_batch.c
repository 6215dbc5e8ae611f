/* medvision eval batch: OpenAI batch files answered, made of manifests, and scored. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/file.h"
#include "tasks/batch.h"
#include "tasks/cli_session.h"
#include "tasks/eval.h"
#include "tasks/eval_finish.h"
#include "tasks/eval_score.h"
#include "vision/volumes.h"

/* ---- answering ---- */

static mv_str custom_id(const mv_json *line) {
  const mv_json *id = mv_json_get(line, "custom_id");
  return mv_json_is(id, MV_JSON_STRING) ? id->text : (mv_str){NULL, 0};
}

static int compare_ids(const void *a, const void *b) {
  const mv_str *x = a, *y = b;
  int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);
  return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Whole lines that an earlier run has written, by custom_id. */
static mv_status read_done(const char *path, mv_records *done, mv_error *err) {
  mv_buf text = {0};
  if (!path || !mv_file_exists(path)) return MV_OK;
  MV_TRY(mv_file_read(path, MV_EVAL_MAX_BYTES, &text, err));
  size_t whole = text.len;
  while (whole > 0 && text.ptr[whole - 1] != '\n') whole--;
  mv_status status = MV_OK;
  if (whole < text.len) status = mv_file_write(path, text.ptr, whole, err); /* a torn last line */
  mv_buf_free(&text);
  if (status == MV_OK) status = mv_records_read(done, path, 0, 0, err);
  return status;
}

/* The ids an earlier run has answered, sorted. A line that failed is no answer: it is asked again.
 * Returns (free with mv_free), or NULL when out of memory. */
static mv_str *done_ids(const mv_records *done, size_t *n) {
  mv_str *ids = mv_calloc(done->n + 1, sizeof *ids);
  *n = 0;
  for (size_t i = 0; ids && i < done->n; i++) {
    const mv_json *line = done->v[i].doc.root;
    if (custom_id(line).ptr && mv_json_is(mv_json_get(line, "response"), MV_JSON_OBJECT))
      ids[(*n)++] = custom_id(line);
  }
  if (ids) qsort(ids, *n, sizeof *ids, compare_ids);
  return ids;
}

static mv_status put(FILE *out, const mv_buf *line, const char *path, mv_error *err) {
  MV_TRY(mv_buf_status(line, err));
  if (!out)
    return mv_cli_put(mv_buf_view(line)) && mv_cli_flush()
               ? MV_OK
               : mv_fail(err, MV_ERR_IO, "cannot write");
  if (fwrite(line->ptr, 1, line->len, out) == line->len && fflush(out) == 0) return MV_OK;
  return mv_fail(err, MV_ERR_IO, "%s: cannot write", path);
}

/* Requests under way at once, in a ring: lines first .. first + n - 1. Answers are written in the
 * order of the file. */
enum { UNDER_WAY = 32 };

typedef struct asked {
  mv_str id;
  mv_ticket ticket; /* 0: failed, see why */
  mv_error why;
} asked;

typedef struct batch_run {
  mv_session *session;
  FILE *out; /* NULL: standard output */
  asked lines[UNDER_WAY];
  size_t first, n;
  int n_failed;
  mv_buf line;
} batch_run;

static void ask(batch_run *run, const mv_json *line) {
  asked *a = &run->lines[(run->first + run->n++) % UNDER_WAY];
  mv_batch_question q;
  mv_request request;
  *a = (asked){.id = custom_id(line)};
  if (!a->id.ptr) {
    a->id = mv_str_of("");
    mv_fail(&a->why, MV_ERR_USAGE, "\"custom_id\" is missing");
    return;
  }
  mv_session_request(run->session, &request);
  request.on_progress = NULL; /* of many at once */
  if (mv_batch_question_read(&q, line, &request, &a->why) != MV_OK ||
      mv_engine_submit(run->session->engine, &request, &a->ticket, &a->why) != MV_OK)
    a->ticket = 0;
  mv_batch_question_free(&q);
}

/* Waits for the first answer and writes it. */
static mv_status put_first(batch_run *run, mv_error *err) {
  const mv_cli_args *args = run->session->args;
  asked *a = &run->lines[run->first];
  mv_result result = {0};
  if (a->ticket) mv_session_await(run->session, a->ticket, &result, &a->why);
  run->n_failed += a->why.code != MV_OK;
  mv_buf_clear(&run->line);
  mv_batch_write_answer(a->id, mv_base_name(run->session->dir), &result,
                        a->why.code ? &a->why : NULL, &run->line);
  mv_result_free(&result);
  run->first = (run->first + 1) % UNDER_WAY;
  run->n--;
  return put(run->out, &run->line, args->out, err);
}

static mv_status answer_lines(batch_run *run, const mv_records *requests, const mv_records *done,
                              mv_error *err) {
  size_t n_done;
  mv_str *ids = done_ids(done, &n_done);
  mv_status status = ids ? MV_OK : mv_fail(err, MV_ERR_MEMORY, "out of memory");
  for (size_t i = 0; status == MV_OK && i < requests->n; i++) {
    mv_str id = custom_id(requests->v[i].doc.root);
    if (id.ptr && bsearch(&id, ids, n_done, sizeof id, compare_ids)) continue;
    if (run->n == UNDER_WAY) status = put_first(run, err);
    if (status == MV_OK) ask(run, requests->v[i].doc.root);
  }
  while (status == MV_OK && run->n) status = put_first(run, err);
  mv_buf_free(&run->line);
  mv_free(ids);
  return status;
}

static mv_status answer(const mv_cli_args *args, int *n_failed, mv_error *err) {
  mv_records requests = {0}, done = {0};
  mv_session session = {0};
  batch_run run = {.session = &session};
  MV_TRY(mv_records_read(&requests, args->operands.v[0], 0, 0, err));
  mv_status status = read_done(args->out, &done, err);
  if (status == MV_OK && args->out && !(run.out = fopen(args->out, "ab")))
    status = mv_fail(err, MV_ERR_IO, "%s: cannot be written", args->out);
  if (status == MV_OK) status = mv_session_open(&session, args, err);
  session.streams = 0;
  if (status == MV_OK) status = answer_lines(&run, &requests, &done, err);
  *n_failed = run.n_failed;
  if (run.out && fclose(run.out) != 0 && status == MV_OK)
    status = mv_fail(err, MV_ERR_IO, "%s: cannot write", args->out);
  mv_session_close(&session);
  mv_records_free(&requests);
  mv_records_free(&done);
  return status;
}

/* ---- manifests to requests ---- */

static void task_name(const char *path, char out[192]) {
  const char *name = mv_base_name(path);
  size_t n = strlen(name);
  if (n > 6 && !strcmp(name + n - 6, ".jsonl")) n -= 6;
  snprintf(out, 192, "%.*s", (int)(n < 191 ? n : 191), name);
}

static mv_status read_docs(const mv_cli_args *args, const mv_preprocessor *pp, mv_volumes *volumes,
                           mv_eval_docs *docs, mv_error *err) {
  char task[192];
  mv_cli_args all = *args;
  mv_eval_asking asking = {.args = &all, .pp = pp, .volumes = volumes};
  all.eval.sample_limit = 0;
  task_name(args->eval.manifest, task);
  return mv_eval_docs_read(docs, args->eval.manifest, task, &asking, err);
}

static mv_status write_requests(const mv_cli_args *args, const mv_eval_docs *docs,
                                const mv_preprocessor *pp, int *n_failed, mv_error *err) {
  mv_buf lines = {0};
  mv_status status = MV_OK;
  mv_str system = args->eval.system_prompt ? mv_prompt_system() : (mv_str){"", 0};
  mv_image_order order =
      mv_cli_given(args, "image-order") ? (mv_image_order)args->image_order : MV_IMAGE_LAST;
  for (size_t i = 0; status == MV_OK && i < docs->n; i++) {
    const mv_eval_doc *doc = &docs->v[i];
    mv_picture picture = {0};
    mv_error why = {0};
    char id[256];
    snprintf(id, sizeof id, "%s::%lld", docs->name, (long long)doc->id);
    if (doc->error)
      mv_fail(&why, MV_ERR_USAGE, "%s", doc->error);
    else
      mv_picture_load(&picture, &doc->question, pp, &why);
    if (why.code) {
      ++*n_failed;
      mv_cli_say("%s: line %lld: %s", docs->name, (long long)doc->id + 1, why.msg);
    } else {
      status = mv_batch_write_request(id, args->eval.model_name ? args->eval.model_name : "model",
                                      system, mv_buf_view(&doc->prompt), &picture.image, order,
                                      args->max_new_tokens, &lines, err);
    }
    mv_picture_free(&picture);
  }
  if (status == MV_OK && args->out)
    status = mv_eval_write(args->out, &lines, err);
  else if (status == MV_OK && lines.len)
    mv_cli_put(mv_buf_view(&lines));
  mv_buf_free(&lines);
  return status;
}

/* ---- answers to sample logs ---- */

/* The answer's line for a doc: by task::doc_id, by doc_id, or by the manifest's own id. */
static const mv_json *find_answer(const mv_records *answers, const char *task,
                                  const mv_eval_doc *doc) {
  char full[256], plain[32];
  const mv_json *own = mv_json_get(doc->line.root, "id");
  snprintf(full, sizeof full, "%s::%lld", task, (long long)doc->id);
  snprintf(plain, sizeof plain, "%lld", (long long)doc->id);
  for (size_t i = 0; i < answers->n; i++) {
    mv_str id = custom_id(answers->v[i].doc.root);
    if (!id.ptr) continue;
    if (mv_str_is(id, full) ||
        (own && mv_json_is(own, MV_JSON_STRING) && mv_str_eq(own->text, id)) ||
        (!(own && mv_json_is(own, MV_JSON_STRING)) && mv_str_is(id, plain)))
      return answers->v[i].doc.root;
  }
  return NULL;
}

static mv_status keep_answers(const mv_eval_docs *docs, const mv_records *answers,
                              mv_eval_cache *cache, char **errors, mv_error *err) {
  for (size_t i = 0; i < docs->n; i++) {
    const mv_json *line = find_answer(answers, docs->name, &docs->v[i]);
    mv_str text, why = mv_str_of("the file of answers has none for it");
    if (docs->v[i].error) continue;
    if (line && mv_batch_answer_text(line, &text, &why)) {
      MV_TRY(mv_eval_cache_add(cache, &docs->v[i], text, err));
      continue;
    }
    errors[i] = mv_calloc(why.len + 1, 1);
    if (!errors[i]) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
    memcpy(errors[i], why.ptr, why.len);
  }
  return MV_OK;
}

static mv_status score(const mv_cli_args *args, const mv_eval_docs *docs, int *n_failed,
                       mv_error *err) {
  mv_records answers = {0};
  mv_eval_place place = {0};
  mv_eval_cache cache = {.fd = -1, .lock = {-1}};
  mv_eval_outcome outcome = {0};
  char **errors = mv_calloc(docs->n + 1, sizeof *errors);
  mv_status status = errors ? MV_OK : mv_fail(err, MV_ERR_MEMORY, "out of memory");
  if (status == MV_OK) status = mv_records_read(&answers, args->eval.answers, 0, 0, err);
  if (status == MV_OK)
    status = mv_eval_place_open(&place, args->eval.results_dir, args->eval.model_name, err);
  if (status == MV_OK) status = mv_eval_cache_open(&cache, &place, docs->name, 0, err);
  if (status == MV_OK) status = keep_answers(docs, &answers, &cache, errors, err);
  if (status == MV_OK) status = mv_eval_failures_write(&place, docs, 0, errors, err);
  if (status == MV_OK)
    status = mv_eval_finish(&place, docs, args->eval.system_prompt, 0, &outcome, err);
  *n_failed = (int)outcome.n_failed;
  if (status == MV_OK)
    mv_cli_note(args, "%s: %zu answers scored, %zu failed", docs->name, outcome.n_answered,
                outcome.n_failed);
  for (size_t i = 0; errors && i < docs->n; i++) mv_free(errors[i]);
  mv_free(errors);
  mv_eval_cache_close(&cache);
  mv_eval_place_free(&place);
  mv_records_free(&answers);
  return status;
}

/* ---- the command ---- */

static mv_status check(const mv_cli_args *args, mv_error *err) {
  int has_file = args->operands.n > 0;
  if (has_file == (args->eval.manifest != NULL))
    return mv_fail(err, MV_ERR_USAGE,
                   "eval batch: expected either a file of requests or --manifest");
  if (args->eval.answers &&
      (!args->eval.manifest || !args->eval.results_dir || !args->eval.model_name))
    return mv_fail(err, MV_ERR_USAGE,
                   "eval batch: --answers needs --manifest, --results-dir and --model-name");
  return MV_OK;
}

int mv_eval_cmd_batch(const mv_cli_args *args) {
  mv_error err = {0};
  mv_preprocessor pp;
  mv_eval_docs docs = {0};
  mv_volumes *volumes = NULL;
  int n_failed = 0;
  mv_status status = check(args, &err);
  if (status == MV_OK && args->operands.n) {
    status = answer(args, &n_failed, &err);
  } else if (status == MV_OK) {
    status = mv_cli_preprocessor(args, &pp, &err);
    if (status == MV_OK) status = mv_volumes_new(&volumes, MV_VOLUMES_LIMIT, &err);
    if (status == MV_OK) status = read_docs(args, &pp, volumes, &docs, &err);
    if (status == MV_OK)
      status = args->eval.answers ? score(args, &docs, &n_failed, &err)
                                  : write_requests(args, &docs, &pp, &n_failed, &err);
  }
  mv_eval_docs_free(&docs);
  mv_volumes_free(volumes);
  if (status != MV_OK) return mv_cli_fail(&err);
  return n_failed ? MV_EXIT_FAILED : MV_EXIT_DONE;
}
