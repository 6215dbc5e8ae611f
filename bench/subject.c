#include "bench/subject.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench/compare.h"
#include "bench/memory_use.h"
#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/memory.h"
#include "runtime/model.h"
#include "tasks/teach.h"

/* ---- requests ---- */

/* A piece may bring several tokens: its time is shared among them. */
static int on_text(void *user, const mv_piece *piece) {
  bench_watch *watch = user;
  double now = mv_now_ms(), n = (double)piece->n_token;
  for (size_t i = 0; watch->last_ms > 0 && i < piece->n_token; i++)
    bench_sample_add(watch->itl, (now - watch->last_ms) / n);
  watch->last_ms = now;
  return 0;
}

static void base_request(const bench_subject *s, const bench_kind *kind, mv_request *q) {
  mv_request_init(q);
  q->family = mv_str_of(kind->name);
  q->max_new_tokens = kind->n_output;
  q->ignore_eos = 1;
  q->images = &s->image;
  q->n_image = kind->side > 0 || s->o->image;
  q->image_order = kind->text_first ? MV_IMAGE_LAST : MV_IMAGE_FIRST;
}

static mv_status show(bench_subject *s, int side, unsigned picture, mv_error *err) {
  if (s->o->image || side == 0) return MV_OK;
  if (s->has_picture && s->picture == picture && s->image.width == side) return MV_OK;
  s->has_picture = 1;
  s->picture = picture;
  return bench_draw(&s->image, side, picture, err);
}

/* What the prompt has without text tells how many digits bring it to its length. */
static mv_status fit(bench_subject *s, bench_kind *kind, mv_error *err) {
  mv_request q;
  mv_result r = {0};
  mv_buf system = {0};
  MV_TRY(show(s, kind->side, 1u << 30, err));
  base_request(s, kind, &q);
  bench_kind_system(kind, &system);
  if (kind->n_system) q.system = mv_buf_view(&system);
  q.max_new_tokens = 1;
  mv_status status = mv_buf_status(&system, err);
  if (status == MV_OK) status = mv_engine_generate(s->engine, &q, &r, err);
  if (status == MV_OK) status = bench_kind_fit(kind, (int)r.n_prompt, err);
  mv_result_free(&r);
  mv_buf_free(&system);
  return status;
}

/* A recorded question, which is given its recorded answer. */
static mv_status submit_recorded(bench_subject *s, const bench_ask *ask, bench_watch *watch,
                                 mv_ticket *ticket, mv_error *err) {
  const bench_kind *kind = &s->workload.kinds[ask->kind];
  const mv_tokenizer *tokenizer = mv_model_tokenizer(s->model);
  int row = ask->number % kind->recorded.n;
  mv_ids ids = {0};
  mv_request q;
  MV_TRY(show(s, kind->side, ask->picture, err));
  base_request(s, kind, &q);
  q.prompt = bench_recorded_text(&kind->recorded, row, "prompt");
  q.system = bench_recorded_text(&kind->recorded, row, "system");
  q.on_text = watch->itl ? on_text : NULL;
  q.user = watch;
  mv_str answer = bench_recorded_text(&kind->recorded, row, "answer");
  mv_status status = mv_tokenizer_encode(tokenizer, answer, 0, &ids, err);
  q.max_new_tokens = (int)ids.len;
  if (status == MV_OK) status = mv_engine_submit(s->engine, &q, ticket, err);
  if (status == MV_OK) status = mv_engine_force(s->engine, *ticket, ids.ids, ids.len, err);
  mv_ids_free(&ids);
  return status;
}

static mv_status submit(bench_subject *s, const bench_ask *ask, bench_watch *watch,
                        mv_ticket *ticket, mv_error *err) {
  const bench_kind *kind = &s->workload.kinds[ask->kind];
  if (kind->recorded.n) return submit_recorded(s, ask, watch, ticket, err);
  mv_buf text = {0}, system = {0};
  mv_request q;
  MV_TRY(show(s, kind->side, ask->picture, err));
  base_request(s, kind, &q);
  bench_ask_text(&s->workload, ask, &text);
  bench_kind_system(kind, &system);
  q.prompt = mv_buf_view(&text);
  if (kind->n_system) q.system = mv_buf_view(&system);
  q.on_text = watch->itl ? on_text : NULL;
  q.user = watch;
  mv_status status = mv_buf_status(&text, err);
  if (status == MV_OK) status = mv_buf_status(&system, err);
  if (status == MV_OK) status = mv_engine_submit(s->engine, &q, ticket, err);
  mv_buf_free(&text);
  mv_buf_free(&system);
  return status;
}

static void note(bench_subject *s, const mv_result *r) {
  const mv_timings *t = &r->timings;
  bench_sample *at = s->samples;
  bench_sample_add(&at[BENCH_TTFT], t->ttft_ms);
  if (r->n_token > 1) bench_sample_add(&at[BENCH_TPOT], t->decode_ms / (double)(r->n_token - 1));
  bench_sample_add(&at[BENCH_E2EL], t->total_ms);
  bench_sample_add(&at[BENCH_QUEUE], t->queue_ms);
  bench_sample_add(&at[BENCH_IMAGE], t->image_ms);
  bench_sample_add(&at[BENCH_VISION], t->vision_ms);
  bench_sample_add(&at[BENCH_PREFILL], t->prefill_ms);
  bench_sample_add(&at[BENCH_DECODE], t->decode_ms);
  s->n_done++;
  s->n_input += (int64_t)r->n_prompt;
  s->n_output += (int64_t)r->n_token;
  s->n_step += (int64_t)r->n_step;
}

/* FNV-1a; never 0. */
static uint64_t hash_of(const mv_result *r) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (size_t i = 0; i < r->n_token; i++)
    hash = (hash ^ (uint32_t)r->token_ids[i]) * 0x100000001B3u;
  return hash | 1;
}

static mv_status check_answer(bench_subject *s, int number, const mv_result *r, mv_error *err) {
  uint64_t now = hash_of(r), was = s->answers[number];
  s->answers[number] = now;
  if (!was || was == now) return MV_OK;
  return mv_fail(err, MV_ERR_DEVICE,
                 "request %d was answered otherwise before: expected the same tokens whatever the "
                 "batch, the caches and the drafts",
                 number);
}

static mv_status take_finished(bench_subject *s, int first, int measured, mv_error *err) {
  mv_result r;
  mv_ticket any = 0;
  while (mv_engine_poll(s->engine, &any, &r, err)) {
    if (r.status != MV_OK) return r.status;
    mv_status status = check_answer(s, first + (int)(any - s->first_ticket), &r, err);
    if (status != MV_OK) mv_result_free(&r);
    MV_TRY(status);
    if (measured) note(s, &r);
    mv_result_free(&s->last);
    s->last = r;
    any = 0;
  }
  return MV_OK;
}

static mv_status run(bench_subject *s, int first, int n, int measured, mv_error *err) {
  size_t n_left = 1;
  for (int i = 0; i < n; i++) {
    mv_ticket ticket; /* they count up */
    s->watches[i] = (bench_watch){.itl = measured ? &s->samples[BENCH_ITL] : NULL};
    MV_TRY(submit(s, &s->workload.asks[first + i], &s->watches[i], &ticket, err));
    if (i == 0) s->first_ticket = ticket;
  }
  while (n_left) {
    MV_TRY(mv_engine_step(s->engine, &n_left, err));
    MV_TRY(take_finished(s, first, measured, err));
    if (measured) bench_gpu_meter_look(&s->meter);
  }
  return MV_OK;
}

static double cpu_now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

mv_status bench_subject_ask(bench_subject *s, int first, int n, int measured, mv_error *err) {
  if (n > s->n_watch) {
    bench_watch *grown = mv_realloc(s->watches, (size_t)n * sizeof *grown);
    if (!grown) return mv_fail(err, MV_ERR_MEMORY, "no memory for %d requests", n);
    s->watches = grown;
    s->n_watch = n;
  }
  double start = mv_now_ms(), cpu = cpu_now_ms();
  if (measured) bench_gpu_meter_start(&s->meter);
  MV_TRY(run(s, first, n, measured, err));
  if (measured) bench_gpu_meter_stop(&s->meter);
  if (measured) s->busy_ms += mv_now_ms() - start;
  if (measured) s->cpu_ms += cpu_now_ms() - cpu;
  return MV_OK;
}

/* ---- life ---- */

static mv_status open_engine(bench_subject *s, mv_error *err) {
  const bench_subject_options *o = s->o;
  mv_model_options model = {
      .dir = o->model, .random = o->random, .device = o->device, .n_thread = o->n_thread};
  mv_engine_options engine = {.max_batch = o->max_batch,
                              .no_prefix_cache = o->no_prefix_cache,
                              .any_order = o->any_order,
                              .no_speculation = !o->speculate};
  MV_TRY(bench_precision(o->dtype, &model.precision, err));
  double start = mv_now_ms();
  if (o->image) MV_TRY(mv_image_load(o->image, &s->image, err));
  MV_TRY(mv_model_open(&s->model, &model, err));
  MV_TRY(bench_subject_restart(s, &engine, err));
  s->load_ms = mv_now_ms() - start;
  bench_gpu_meter_open(&s->meter, mv_model_device_name(s->model));
  return MV_OK;
}

/* An answer that has come before is known by heart: more requests than answers would show drafts
 * that are too good. */
static mv_status check_recorded(const bench_subject *s, const bench_kind *kind, mv_error *err) {
  int n_ask = (s->workload.n_ask + s->workload.n_kind - 1) / s->workload.n_kind;
  if (!s->o->speculate || n_ask <= kind->recorded.n) return MV_OK;
  return mv_fail(err, MV_ERR_USAGE,
                 "%s: %d answers are recorded, and %d requests would repeat some (with "
                 "--speculate)",
                 kind->name, kind->recorded.n, n_ask);
}

/* Engines of the product know the tasks' examples. */
static mv_status teach(bench_subject *s, mv_error *err) {
  for (int i = 0; i < s->workload.n_kind; i++) {
    const bench_recorded *recorded = &s->workload.kinds[i].recorded;
    if (recorded->n)
      MV_TRY(mv_teach_tasks(s->engine, bench_recorded_text(recorded, 0, "system"), err));
  }
  return MV_OK;
}

mv_status bench_subject_restart(bench_subject *s, const mv_engine_options *options, mv_error *err) {
  mv_engine_free(s->engine);
  s->engine = NULL;
  MV_TRY(mv_engine_new(&s->engine, s->model, options, err));
  if (!options->no_speculation) MV_TRY(teach(s, err));
  bench_subject_reset(s);
  return MV_OK;
}

mv_status bench_subject_open(bench_subject *s, const bench_subject_options *o, int n_ask, int block,
                             mv_error *err) {
  static const char *const names[BENCH_N_SAMPLE] = {"ttft",  "tpot",   "itl",     "e2el",  "queue",
                                                    "image", "vision", "prefill", "decode"};
  memset(s, 0, sizeof *s);
  s->o = o;
  for (int i = 0; i < BENCH_N_SAMPLE; i++) s->samples[i].name = names[i];
  MV_TRY(bench_workload_read(&s->workload, o->workload, o->n_input, o->n_output, err));
  MV_TRY(bench_workload_plan(&s->workload, n_ask, block, (uint64_t)o->seed, err));
  s->answers = mv_calloc((size_t)s->workload.n_ask, sizeof *s->answers);
  if (!s->answers) return mv_fail(err, MV_ERR_MEMORY, "no memory for %d requests", n_ask);
  MV_TRY(open_engine(s, err));
  for (int i = 0; i < s->workload.n_kind; i++) {
    bench_kind *kind = &s->workload.kinds[i];
    MV_TRY(kind->recorded.n ? check_recorded(s, kind, err) : fit(s, kind, err));
  }
  bench_subject_reset(s);
  return MV_OK;
}

void bench_subject_reset(bench_subject *s) {
  for (int i = 0; i < BENCH_N_SAMPLE; i++) s->samples[i].n = 0;
  s->n_done = s->n_input = s->n_output = s->n_step = 0;
  s->busy_ms = s->cpu_ms = 0;
  bench_gpu_meter_reset(&s->meter);
  mv_engine_get_stats(s->engine, &s->was);
}

void bench_subject_close(bench_subject *s) {
  for (int i = 0; i < BENCH_N_SAMPLE; i++) bench_sample_free(&s->samples[i]);
  bench_gpu_meter_close(&s->meter);
  mv_result_free(&s->last);
  mv_engine_free(s->engine);
  mv_model_close(s->model);
  mv_image_free(&s->image);
  mv_free(s->watches);
  mv_free(s->answers);
  bench_workload_free(&s->workload);
}

/* ---- figures ---- */

mv_engine_stats bench_subject_counts(const bench_subject *s) {
  mv_engine_stats now;
  mv_engine_get_stats(s->engine, &now);
  now.n_step -= s->was.n_step;
  now.n_prompt_token -= s->was.n_prompt_token;
  now.n_cached_token -= s->was.n_cached_token;
  now.n_image -= s->was.n_image;
  now.n_image_seen -= s->was.n_image_seen;
  now.n_token -= s->was.n_token;
  now.n_verify -= s->was.n_verify;
  now.n_drafted -= s->was.n_drafted;
  now.n_accepted -= s->was.n_accepted;
  return now;
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash && slash[1] ? slash + 1 : path;
}

void bench_subject_head(mv_json_writer *w, const char *bench, const bench_subject *s) {
  bench_json_text(w, "bench", bench);
  bench_json_command(w, s->o->argc, s->o->argv);
  bench_json_text(w, "engine", "medvision");
  bench_json_text(w, "version", MV_VERSION);
  bench_json_text(w, "model", s->o->random ? s->o->random : base_name(s->o->model));
  bench_json_text(w, "device", mv_model_device_name(s->model));
  bench_json_text(w, "dtype", mv_model_precision(s->model) == MV_PRECISION_BF16 ? "bf16" : "fp32");
  bench_json_int(w, "threads", s->model->device.n_thread);
  bench_json_text(w, "workload",
                  s->o->workload ? base_name(s->o->workload) : s->workload.kinds[0].name);
  mv_json_key(w, "speculate");
  mv_json_bool(w, s->o->speculate);
  if (!s->o->any_order) return; /* as in files that are older than it */
  mv_json_key(w, "any_order");
  mv_json_bool(w, 1);
}

static void counts(mv_json_writer *w, const bench_subject *s) {
  mv_engine_stats n = bench_subject_counts(s);
  bench_json_int(w, "cached_tokens", (int64_t)n.n_cached_token);
  bench_json_int(w, "images", (int64_t)n.n_image);
  bench_json_int(w, "images_seen", (int64_t)n.n_image_seen);
  bench_json_int(w, "drafted_tokens", (int64_t)n.n_drafted);
  bench_json_int(w, "accepted_tokens", (int64_t)n.n_accepted);
  bench_json_int(w, "steps", (int64_t)n.n_step);
  bench_json_int(w, "steps_replayed", (int64_t)n.n_replayed);
  if (s->n_step) bench_json_double(w, "tokens_per_step", (double)s->n_output / (double)s->n_step);
}

static void rates(mv_json_writer *w, const bench_subject *s) {
  double per_s = s->busy_ms > 0 ? 1e3 / s->busy_ms : 0;
  bench_json_int(w, "completed", s->n_done);
  bench_json_double(w, "duration", s->busy_ms / 1e3);
  bench_json_int(w, "total_input_tokens", s->n_input);
  bench_json_int(w, "total_output_tokens", s->n_output);
  bench_json_double(w, "request_throughput", per_s * (double)s->n_done);
  bench_json_double(w, "input_throughput", per_s * (double)s->n_input);
  bench_json_double(w, "output_throughput", per_s * (double)s->n_output);
  bench_json_double(w, "total_token_throughput", per_s * (double)(s->n_input + s->n_output));
  if (per_s > 0)
    bench_json_double(w, "cpu_busy_percent",
                      100 * s->cpu_ms / s->busy_ms / s->model->device.n_thread);
}

void bench_subject_figures(mv_json_writer *w, const bench_subject *s) {
  bench_json_double(w, "load_ms", s->load_ms);
  rates(w, s);
  counts(w, s);
  for (int i = 0; i < BENCH_N_SAMPLE; i++) bench_sample_json(w, &s->samples[i]);
  bench_gpu_meter_json(w, &s->meter, s->n_done, s->n_output);
  bench_memory_json(w, s->model, s->engine, s->o);
}

int bench_subject_run(const bench_run *run, bench_subject *s, bench_subject_options *o,
                      const char *default_model) {
  mv_buf json = {0};
  mv_error err = {0};
  int code;
  if (o->help) {
    fputs(run->help, stdout);
    return 0;
  }
  if (!o->model) o->model = default_model;
  o->argc = run->argc;
  o->argv = run->argv;
  if (run->measure(run->user, &json, &err) == MV_OK)
    code = bench_finish(run->name, &json, o->json, o->compare);
  else
    code = bench_failed(run->name, &err);
  mv_buf_free(&json);
  bench_subject_close(s);
  return code;
}
