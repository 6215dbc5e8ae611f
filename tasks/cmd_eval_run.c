/* medvision eval run: the benchmark's questions to its sample logs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/file.h"
#include "tasks/cli_session.h"
#include "tasks/eval.h"
#include "tasks/eval_cache.h"
#include "tasks/eval_finish.h"
#include "tasks/eval_pipe.h"
#include "tasks/eval_score.h"
#include "tasks/eval_share.h"
#include "vision/volumes.h"

typedef struct run {
  const mv_cli_args *args;
  mv_session session;
  mv_preprocessor pp;
  mv_eval_asking asking;
  mv_eval_crew crew;
  mv_eval_place place;
  char model_name[256];
  int failed; /* something was not answered */
} run;

/* One task on its way. */
typedef struct task_run {
  run *r;
  mv_eval_docs docs;
  mv_eval_answers known; /* from earlier runs */
  mv_eval_cache cache;
  mv_eval_share share;
  char **errors; /* [docs.n] owns: why a doc has no answer */
  size_t n_known, n_done, n_failed;
  double start_ms, shown_ms;
} task_run;

/* ---- progress ---- */

static void show_progress(task_run *t, int finished) {
  const mv_cli_args *args = t->r->args;
  double now = mv_now_ms(), seconds = (now - t->start_ms) / 1e3;
  size_t total = t->docs.n / (t->r->crew.claims ? 1 : (size_t)t->r->crew.size);
  double rate = seconds > 0 ? (double)t->n_done / seconds : 0;
  if (args->quiet || t->r->crew.rank > 0) return;
  if (finished) {
    if (t->r->session.progress.enabled) fprintf(stderr, "\r\033[K");
    mv_cli_note(args, "%s: %zu answered, %zu known before, %zu failed; %.1f s, %.2f a second",
                t->docs.name, t->n_done, t->n_known, t->n_failed, seconds, rate);
    return;
  }
  if (!t->r->session.progress.enabled || now - t->shown_ms < 200) return;
  t->shown_ms = now;
  size_t left = total > t->n_known + t->n_done ? total - t->n_known - t->n_done : 0;
  fprintf(stderr, "\r\033[K%s: %zu/%zu, %.2f a second, %.0f s left", t->docs.name,
          t->n_known + t->n_done, total, rate, rate > 0 ? ceil((double)left / rate) : 0.0);
  fflush(stderr);
}

/* ---- asking ---- */

/* The next doc of our share that still needs an answer. */
static int next_doc(void *user, size_t *index, mv_error *err) {
  task_run *t = user;
  for (;;) {
    int found = mv_eval_share_next(&t->share, index, err);
    if (found <= 0) return found;
    mv_eval_doc *doc = &t->docs.v[*index];
    if (!doc->error && !doc->answered) return 1;
  }
}

static mv_status note_error(task_run *t, size_t index, const mv_error *why, mv_error *err) {
  char *copy = mv_alloc(strlen(why->msg) + 1);
  if (!copy) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  memcpy(copy, why->msg, strlen(why->msg) + 1);
  mv_free(t->errors[index]);
  t->errors[index] = copy;
  t->n_failed++;
  mv_cli_note(t->r->args, "%s: line %lld: %s", t->docs.name, (long long)t->docs.v[index].id + 1,
              copy);
  return MV_OK;
}

static void ask(void *user, size_t index, mv_request *request) {
  const task_run *t = user;
  const mv_eval_doc *doc = &t->docs.v[index];
  mv_session_request(&t->r->session, request);
  if (!mv_cli_given(t->r->args, "image-order")) request->image_order = MV_IMAGE_LAST;
  if (t->r->args->eval.system_prompt) request->system = mv_prompt_system();
  request->prompt = mv_buf_view(&doc->prompt);
  request->family = mv_str_of(mv_task_name(doc->question.task));
  request->on_progress = NULL;
  request->on_text = NULL;
}

/* Puts an answer on disk. A question that failed is noted; only what would fail for all of them
 * stops the run. */
static mv_status keep(task_run *t, const mv_eval_done *done, mv_error *err) {
  mv_eval_doc *doc = &t->docs.v[done->index];
  if (done->err.code == MV_ERR_DEVICE) {
    *err = done->err;
    return err->code;
  }
  if (done->err.code != MV_OK) return note_error(t, done->index, &done->err, err);
  MV_TRY(mv_eval_cache_add(&t->cache, doc, mv_buf_view(&done->result.text), err));
  doc->answered = 1;
  t->n_done++;
  return MV_OK;
}

static mv_status answer_all(task_run *t, mv_error *err) {
  mv_eval_pipe *pipe;
  const mv_eval_source source = {
      &t->docs, &t->r->pp, t->r->session.engine, t->r->args->eval.concurrency, next_doc, ask, t};
  MV_TRY(mv_eval_pipe_new(&pipe, &source, err));
  mv_status status = MV_OK;
  for (int got = 1; got > 0 && status == MV_OK;) {
    mv_eval_done done;
    got = mv_eval_pipe_take(pipe, &done, err);
    if (got < 0) status = err->code;
    if (got > 0) status = keep(t, &done, err);
    if (got > 0) mv_result_free(&done.result);
    show_progress(t, 0);
  }
  mv_eval_pipe_free(pipe);
  return status;
}

/* ---- a task ---- */

/* What answers depend on beside the manifest. */
static void write_settings(const run *r, mv_buf *out) {
  const mv_cli_args *args = r->args;
  mv_json_writer w = {.out = out, .indent = 1};
  mv_json_begin_object(&w);
  mv_json_key(&w, "model");
  mv_json_text(&w, mv_base_name(r->session.dir));
  mv_json_key(&w, "precision");
  mv_json_text(&w, mv_model_precision(r->session.model) == MV_PRECISION_FP32 ? "fp32" : "bf16");
  mv_json_key(&w, "image-order");
  mv_json_text(&w, mv_cli_given(args, "image-order") && !args->image_order ? "first" : "last");
  mv_json_key(&w, "use-system-prompt");
  mv_json_bool(&w, args->eval.system_prompt);
  mv_json_key(&w, "orientation");
  mv_json_text(&w, args->orientation == 2 ? "ras" : "stored");
  mv_json_key(&w, "resampler");
  mv_json_text(&w, args->resampler ? "pillow" : "torchvision");
  mv_json_key(&w, "reshape-image-hw");
  mv_json_text(&w, args->eval.reshape ? args->eval.reshape : "");
  mv_json_key(&w, "max-new-tokens");
  mv_json_int(&w, args->max_new_tokens);
  mv_json_key(&w, "temperature");
  mv_json_double(&w, args->temperature);
  mv_json_key(&w, "top-p");
  mv_json_double(&w, args->top_p);
  mv_json_key(&w, "top-k");
  mv_json_int(&w, args->top_k);
  mv_json_key(&w, "repetition-penalty");
  mv_json_double(&w, args->repetition_penalty);
  mv_json_key(&w, "seed");
  mv_json_int(&w, (int64_t)args->seed);
  mv_json_end_object(&w);
}

static mv_status check_settings(const run *r, const char *task, mv_error *err) {
  mv_buf settings = {0};
  write_settings(r, &settings);
  mv_status status = mv_buf_status(&settings, err);
  if (status == MV_OK)
    status = mv_eval_settings_check(&r->place, task, mv_buf_view(&settings), err);
  mv_buf_free(&settings);
  return status;
}

static mv_status begin_task(task_run *t, const char *task, mv_error *err) {
  run *r = t->r;
  MV_TRY(check_settings(r, task, err));
  MV_TRY(mv_eval_cache_open(&t->cache, &r->place, task, r->crew.rank, err));
  MV_TRY(mv_eval_answers_read(&t->known, &r->place, task, err));
  t->errors = mv_calloc(t->docs.n + 1, sizeof *t->errors);
  if (!t->errors) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  for (size_t i = 0; i < t->docs.n; i++) {
    mv_eval_doc *doc = &t->docs.v[i];
    mv_str response;
    if (doc->error) {
      t->n_failed++;
      if (r->crew.rank == 0)
        mv_cli_note(r->args, "%s: line %lld: %s", task, (long long)doc->id + 1, doc->error);
      continue;
    }
    doc->answered = mv_eval_answers_find(&t->known, doc, &response);
    t->n_known += (size_t)doc->answered;
  }
  return mv_eval_share_begin(&t->share, &r->crew, &r->place, task, t->docs.n, err);
}

/* The one that ends last writes the logs. */
static mv_status end_task(task_run *t, mv_error *err) {
  run *r = t->r;
  int last;
  mv_eval_outcome outcome;
  MV_TRY(mv_eval_failures_write(&r->place, &t->docs, r->crew.rank, t->errors, err));
  show_progress(t, 1);
  MV_TRY(mv_eval_share_end(&t->share, &last, err));
  r->failed |= t->n_failed > 0;
  if (!last) return MV_OK;
  MV_TRY(mv_eval_finish(&r->place, &t->docs, r->args->eval.system_prompt, r->args->eval.log_system,
                        &outcome, err));
  r->failed |= outcome.n_failed > 0;
  if (!outcome.complete && r->crew.size > 1 && !r->crew.claims) {
    mv_cli_note(r->args, "%s: %zu of %zu questions wait for the other parts", t->docs.name,
                outcome.n - outcome.n_answered - outcome.n_failed, outcome.n);
    return MV_OK;
  }
  if (!outcome.complete)
    return mv_fail(err, MV_ERR_IO, "%s: %zu of %zu questions have no answer yet: run this again",
                   t->docs.name, outcome.n - outcome.n_answered - outcome.n_failed, outcome.n);
  if (outcome.n_failed)
    mv_cli_say(
        "%s: %zu of %zu questions failed; they are listed in %s/*_failures_%s.ndjson, and the "
        "same command tries them again",
        t->docs.name, outcome.n_failed, outcome.n, r->place.dir, t->docs.name);
  else if (r->args->eval.status && !r->args->eval.skip_status)
    return mv_eval_status_add(&r->place, r->args->eval.status, t->docs.name, err);
  return MV_OK;
}

static void free_task(task_run *t) {
  for (size_t i = 0; t->errors && i < t->docs.n; i++) mv_free(t->errors[i]);
  mv_free(t->errors);
  mv_eval_share_free(&t->share);
  mv_eval_cache_close(&t->cache);
  mv_eval_answers_free(&t->known);
  mv_eval_docs_free(&t->docs);
}

static mv_status do_task(run *r, const char *task, const char *manifest, mv_error *err) {
  task_run t = {.r = r};
  int done = 0;
  if (r->args->eval.status)
    MV_TRY(mv_eval_status_has(r->args->eval.status, r->model_name, task, &done, err));
  if (done) {
    mv_cli_note(r->args, "%s: done already", task);
    return MV_OK;
  }
  mv_status status = mv_eval_docs_read(&t.docs, manifest, task, &r->asking, err);
  if (status == MV_OK) status = begin_task(&t, task, err);
  t.start_ms = mv_now_ms();
  if (status == MV_OK) status = answer_all(&t, err);
  if (status == MV_OK) status = end_task(&t, err);
  free_task(&t);
  return status;
}

/* ---- all tasks ---- */

/* "dir/liver.jsonl" -> "liver" */
static void task_of_path(const char *path, char task[192]) {
  const char *name = mv_base_name(path);
  size_t n = strlen(name);
  if (n > 6 && !strcmp(name + n - 6, ".jsonl")) n -= 6;
  snprintf(task, 192, "%.*s", (int)(n < 191 ? n : 191), name);
}

/* DATA_DIR/TASK.jsonl, or that of the task without its "-CoT". */
static mv_status find_manifest(const run *r, const char *task, char **path, mv_error *err) {
  const char *dir = r->args->eval.data_dir ? r->args->eval.data_dir : ".";
  *path = mv_path_make(dir, task, ".jsonl");
  if (*path && mv_file_exists(*path)) return MV_OK;
  char base[192];
  const char *dash = strstr(task, "-CoT");
  mv_free(*path);
  snprintf(base, sizeof base, "%.*s", (int)(dash ? dash - task : (long)strlen(task)), task);
  *path = mv_path_make(dir, base, ".jsonl");
  if (*path && mv_file_exists(*path)) return MV_OK;
  mv_free(*path);
  *path = NULL;
  return mv_fail(err, MV_ERR_IO, "%s/%s.jsonl: no such manifest (eval import makes them)", dir,
                 base);
}

/* A task that fails does not hold up the others: as in the original it is a message. */
static void do_or_say(run *r, const char *task, const char *manifest) {
  mv_error err = {0};
  if (do_task(r, task, manifest, &err) == MV_OK) return;
  r->failed = 1;
  mv_cli_say("%s: %s", task, err.msg);
}

static mv_status do_list(run *r, mv_error *err) {
  mv_buf text = {0};
  mv_json_doc doc = {0};
  const char *path = r->args->eval.tasks_list;
  mv_status status = mv_file_read(path, 1 << 26, &text, err);
  if (status == MV_OK) {
    status = mv_json_parse(&doc, mv_buf_view(&text), err);
    if (status == MV_OK && !mv_json_is(doc.root, MV_JSON_OBJECT))
      status = mv_fail(err, MV_ERR_FORMAT, "expected an object whose keys are tasks, found %s",
                       mv_json_type_name(doc.root));
    if (status != MV_OK) mv_error_prefix(err, "%s", path);
  }
  mv_buf_free(&text);
  for (const mv_json *item = status == MV_OK ? doc.root->first : NULL; item; item = item->next) {
    char task[192], *manifest = NULL;
    mv_error why = {0};
    snprintf(task, sizeof task, "%.*s", (int)(item->key.len < 191 ? item->key.len : 191),
             item->key.ptr);
    if (!*task || strchr(task, '/') || find_manifest(r, task, &manifest, &why) != MV_OK) {
      mv_cli_say("%s: %s", task, why.code ? why.msg : "no name of a task");
      r->failed = 1;
    } else {
      do_or_say(r, task, manifest);
    }
    mv_free(manifest);
  }
  mv_json_doc_free(&doc);
  return status;
}

/* ---- the command ---- */

static mv_status check(const mv_cli_args *args, mv_error *err) {
  if (!args->operands.n == !args->eval.tasks_list)
    return mv_fail(err, MV_ERR_USAGE,
                   "eval run: expected either manifests or --tasks-list-json-path");
  for (int i = 0; i < args->operands.n; i++)
    for (int j = 0; j < i; j++) {
      char a[192], b[192];
      task_of_path(args->operands.v[i], a);
      task_of_path(args->operands.v[j], b);
      if (!strcmp(a, b))
        return mv_fail(err, MV_ERR_USAGE, "eval run: two manifests are called '%s'", a);
    }
  mv_eval_range range;
  return mv_eval_range_parse(args, 1, &range, err);
}

/* Under mpirun each rank of a machine takes a GPU of its own. */
static void choose_device(mv_cli_args *args, const mv_eval_crew *crew, char name[32]) {
  if (!crew->claims || strcmp(args->device, "cuda") != 0) return;
  snprintf(name, 32, "cuda:%d", crew->local_rank);
  args->device = name;
}

static void name_model(run *r, const char *dir) {
  const char *name = r->args->eval.model_name;
  char copy[512];
  snprintf(copy, sizeof copy, "%s", name ? name : dir);
  for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--) copy[n - 1] = 0;
  snprintf(r->model_name, sizeof r->model_name, "%.255s", name ? copy : mv_base_name(copy));
  for (char *c = r->model_name; *c; c++)
    if (*c == '/') *c = '_';
}

static mv_status open_run(run *r, const mv_cli_args *args, mv_error *err) {
  char *dir = mv_cli_model_dir(args, err);
  if (!dir) return err->code;
  name_model(r, dir);
  mv_free(dir);
  r->asking = (mv_eval_asking){.args = args, .data_dir = args->eval.data_dir};
  if (args->eval.reshape) {
    MV_TRY(
        mv_eval_reshape_parse(args->eval.reshape, &r->asking.reshape_h, &r->asking.reshape_w, err));
    r->asking.has_reshape = 1;
  }
  MV_TRY(mv_volumes_new(&r->asking.volumes, MV_VOLUMES_LIMIT, err));
  MV_TRY(mv_eval_place_open(&r->place, args->eval.results_dir, r->model_name, err));
  MV_TRY(mv_session_open(&r->session, args, err));
  r->session.streams = 0;
  r->pp = mv_session_preprocessor(&r->session);
  r->asking.pp = &r->pp;
  return MV_OK;
}

int mv_eval_cmd_run(const mv_cli_args *given) {
  mv_cli_args args = *given;
  char device[32];
  mv_error err = {0};
  run r;
  memset(&r, 0, sizeof r);
  r.args = &args;
  mv_status status = check(&args, &err);
  if (status == MV_OK) status = mv_eval_crew_find(&r.crew, args.eval.shard, &err);
  if (status == MV_OK) choose_device(&args, &r.crew, device);
  if (status == MV_OK) status = open_run(&r, &args, &err);
  if (status == MV_OK && args.eval.tasks_list) status = do_list(&r, &err);
  for (int i = 0; status == MV_OK && i < args.operands.n; i++) {
    char task[192];
    task_of_path(args.operands.v[i], task);
    do_or_say(&r, task, args.operands.v[i]);
  }
  mv_session_close(&r.session);
  mv_volumes_free(r.asking.volumes);
  mv_eval_place_free(&r.place);
  if (status != MV_OK) return mv_cli_fail(&err);
  return r.failed ? MV_EXIT_FAILED : MV_EXIT_DONE;
}
