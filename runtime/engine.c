/* The public calls: requests arrive from any thread, one thread steps, any thread takes results. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/branch.h"
#include "runtime/clock.h"
#include "runtime/engine.h"
#include "runtime/file.h"

#define MAX_BANK_BYTES ((size_t)16 << 20) /* twice what a full bank takes */

/* ---- an engine ---- */

/* A key that nobody outside can know, so that nobody can make two pictures share a name. */
static mv_hash fresh_key(const mv_engine *engine) {
  mv_hash key = {(uint64_t)(uintptr_t)engine, (uint64_t)(mv_now_ms() * 1e6)};
  FILE *f = fopen("/dev/urandom", "rb");
  if (!f) return key;
  mv_hash drawn;
  if (fread(&drawn, sizeof drawn, 1, f) == 1) key = drawn;
  fclose(f);
  return key;
}

static mv_status make_rows(mv_engine *e, mv_error *err) {
  mv_step_rows *r = &e->rows;
  size_t n = (size_t)e->options.max_rows + (size_t)e->max_verify, v = (size_t)e->max_verify;
  size_t batch = (size_t)e->options.max_batch, spare = (size_t)e->n_spare;
  r->ids = mv_calloc(n, sizeof *r->ids);
  r->place = mv_calloc(3 * n, sizeof *r->place);
  r->position = mv_calloc(3 * n, sizeof *r->position);
  r->want = mv_calloc(v, sizeof *r->want);
  r->seqs = mv_calloc(2 * batch + spare, sizeof *r->seqs);
  r->echo = mv_calloc(spare + 1, sizeof *r->echo);
  r->sample = mv_calloc(v, sizeof *r->sample);
  r->picks = mv_calloc(v, sizeof *r->picks);
  e->running = mv_calloc(batch, sizeof(mv_job *));
  if (r->ids && r->place && r->position && r->want && r->seqs && r->echo && r->sample && r->picks &&
      e->running)
    return MV_OK;
  return mv_fail(err, MV_ERR_MEMORY, "no memory for an engine");
}

static void free_rows(mv_engine *e) {
  mv_step_rows *r = &e->rows;
  void *all[] = {r->ids,  r->place,  r->position, r->want, r->seqs,
                 r->echo, r->sample, r->picks,    r->best};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) mv_free(all[i]);
  mv_free(e->running);
}

mv_status mv_engine_new(mv_engine **out, mv_model *model, const mv_engine_options *options,
                        mv_error *err) {
  *out = NULL;
  mv_engine *e = mv_calloc(1, sizeof *e);
  if (!e) return mv_fail(err, MV_ERR_MEMORY, "no memory for an engine");
  e->model = model;
  if (options) e->options = *options;
  pthread_mutex_init(&e->lock, NULL);
  pthread_cond_init(&e->work, NULL);
  mv_status status = mv_plan_check(model, &e->options, err);
  e->max_verify = mv_engine_options_resolve(&e->options);
  e->n_spare = mv_branch_spare(e);
  e->limits = (mv_job_limits){e->options.max_tokens, e->options.max_draft, fresh_key(e)};
  if (status == MV_OK) status = make_rows(e, err);
  if (status == MV_OK) status = mv_pool_init(e, err);
  if (status == MV_OK && !e->options.no_speculation)
    status = mv_drafter_init(&e->drafter, model->tokenizer,
                             mv_checkpoint_config(model->checkpoint)->image_token_id,
                             e->options.max_batch, e->options.max_draft, err);
  if (status != MV_OK) {
    mv_engine_free(e);
    mv_device_recover(&model->device);
    return status;
  }
  *out = e;
  return MV_OK;
}

void mv_engine_free(mv_engine *engine) {
  if (!engine) return;
  while (engine->all) {
    mv_job *job = engine->all;
    engine->all = job->sibling;
    mv_job_free(job);
  }
  mv_pool_free(engine);
  mv_drafter_free(&engine->drafter);
  free_rows(engine);
  pthread_cond_destroy(&engine->work);
  pthread_mutex_destroy(&engine->lock);
  mv_free(engine);
}

/* ---- in and out ---- */

mv_status mv_engine_submit(mv_engine *engine, const mv_request *request, mv_ticket *ticket,
                           mv_error *err) {
  mv_job *job;
  MV_TRY(mv_job_new(&job, engine->model, &engine->limits, request, err));
  mv_status status = mv_pool_check(engine, job, err);
  if (status != MV_OK) {
    mv_job_free(job);
    return status;
  }
  pthread_mutex_lock(&engine->lock);
  *ticket = job->ticket = ++engine->last_ticket;
  job->sibling = engine->all;
  engine->all = job;
  mv_job_list_add(&engine->arrived, job);
  engine->n_open++;
  pthread_cond_broadcast(&engine->work);
  pthread_mutex_unlock(&engine->lock);
  return MV_OK;
}

/* The job is over: gives back its memory, completes its result and hands it to poll. */
void mv_engine_finish(mv_engine *engine, mv_job *job) {
  mv_pool_end(engine, job);
  if (job->result.status == MV_OK) {
    mv_status status = mv_job_end(job);
    if (status != MV_OK) mv_job_fail(job, status, NULL);
  }
  pthread_mutex_lock(&engine->lock);
  mv_job_list_add(&engine->ended, job);
  engine->n_open--;
  pthread_mutex_unlock(&engine->lock);
}

static void publish(mv_engine *e, size_t *n_left) {
  mv_engine_stats *s = &e->count;
  s->n_page = (size_t)e->pages.n_page;
  s->n_page_free = (size_t)e->pages.n_free;
  s->n_page_cached = e->prefix.n_cached;
  s->n_evicted = e->prefix.n_evicted;
  s->n_running = (size_t)e->n_running;
  pthread_mutex_lock(&e->lock);
  s->n_queued = e->arrived.n + e->waiting.n;
  e->stats = *s;
  *n_left = e->n_open;
  pthread_mutex_unlock(&e->lock);
}

mv_status mv_engine_step(mv_engine *engine, size_t *n_left, mv_error *err) {
  pthread_mutex_lock(&engine->lock);
  while (engine->arrived.first)
    mv_job_list_add(&engine->waiting, mv_job_list_take(&engine->arrived, NULL));
  pthread_mutex_unlock(&engine->lock);
  mv_status status = mv_scheduler_step(engine, err);
  publish(engine, n_left);
  return status;
}

int mv_engine_wait(mv_engine *engine, int timeout_ms) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += timeout_ms / 1000;
  until.tv_nsec += timeout_ms % 1000 * 1000000L;
  if (until.tv_nsec >= 1000000000L) until.tv_sec++, until.tv_nsec -= 1000000000L;
  pthread_mutex_lock(&engine->lock);
  int expired = 0;
  while (!engine->n_open && !expired)
    if (timeout_ms < 0)
      pthread_cond_wait(&engine->work, &engine->lock);
    else
      expired = pthread_cond_timedwait(&engine->work, &engine->lock, &until) == ETIMEDOUT;
  int has_work = engine->n_open > 0;
  pthread_mutex_unlock(&engine->lock);
  return has_work;
}

/* Takes the job with that ticket (0: any) out of the ended ones. */
static mv_job *take_ended(mv_engine *engine, mv_ticket ticket) {
  mv_job *before = NULL, *job = engine->ended.first;
  for (; job && ticket && job->ticket != ticket; job = job->next) before = job;
  if (!job) return NULL;
  mv_job_list_take(&engine->ended, before);
  mv_job **at = &engine->all;
  while (*at != job) at = &(*at)->sibling;
  *at = job->sibling;
  return job;
}

int mv_engine_poll(mv_engine *engine, mv_ticket *ticket, mv_result *result, mv_error *err) {
  memset(result, 0, sizeof *result);
  pthread_mutex_lock(&engine->lock);
  mv_job *job = take_ended(engine, *ticket);
  pthread_mutex_unlock(&engine->lock);
  if (!job) return 0;
  *ticket = job->ticket;
  *result = job->result;
  if (result->status != MV_OK && err) *err = job->err;
  memset(&job->result, 0, sizeof job->result);
  mv_job_free(job);
  return 1;
}

void mv_engine_cancel(mv_engine *engine, mv_ticket ticket) {
  pthread_mutex_lock(&engine->lock);
  for (mv_job *job = engine->all; job; job = job->sibling)
    if (job->ticket == ticket) atomic_store(&job->cancelled, 1);
  pthread_mutex_unlock(&engine->lock);
}

void mv_engine_get_stats(mv_engine *engine, mv_engine_stats *stats) {
  pthread_mutex_lock(&engine->lock);
  *stats = engine->stats;
  pthread_mutex_unlock(&engine->lock);
}

mv_status mv_engine_generate(mv_engine *engine, const mv_request *request, mv_result *result,
                             mv_error *err) {
  mv_ticket ticket;
  size_t n_left;
  mv_error why = {0};
  memset(result, 0, sizeof *result);
  MV_TRY(mv_engine_submit(engine, request, &ticket, err));
  while (!mv_engine_poll(engine, &ticket, result, err))
    mv_engine_step(engine, &n_left, &why); /* a failure ends the request, with a reason */
  mv_status status = result->status;
  result->status = MV_OK;
  return status;
}

mv_status mv_engine_teach(mv_engine *engine, const mv_request *request, mv_str answer,
                          mv_error *err) {
  mv_request text = *request;
  mv_ids prompt = {0}, ids = {0};
  text.n_image = 0;
  if (engine->options.no_speculation) return MV_OK;
  mv_status status = mv_job_encode(engine->model->tokenizer, &text, NULL, &prompt, err);
  if (status == MV_OK) status = mv_tokenizer_encode(engine->model->tokenizer, answer, 0, &ids, err);
  if (status == MV_OK)
    mv_drafter_learn(&engine->drafter, request->family, prompt.ids, prompt.len, ids.ids, ids.len,
                     1);
  mv_ids_free(&prompt);
  mv_ids_free(&ids);
  return status;
}

mv_status mv_engine_load_drafts(mv_engine *engine, const char *path, mv_error *err) {
  mv_buf text = {0};
  mv_error why = {0};
  if (engine->options.no_speculation) return MV_OK;
  MV_TRY(mv_file_read(path, MAX_BANK_BYTES, &text, err));
  mv_status status =
      mv_drafter_read(&engine->drafter, engine->model->head.n_out, mv_buf_view(&text), &why);
  mv_buf_free(&text);
  return status == MV_OK ? MV_OK : mv_fail(err, status, "%s: %s", path, why.msg);
}

mv_status mv_engine_save_drafts(mv_engine *engine, const char *path, mv_error *err) {
  mv_buf text = {0};
  if (engine->options.no_speculation) return MV_OK;
  mv_drafter_write(&engine->drafter, engine->model->head.n_out, &text);
  mv_status status = mv_buf_status(&text, err);
  if (status == MV_OK) status = mv_file_write(path, text.ptr, text.len, err);
  mv_buf_free(&text);
  return status;
}

mv_status mv_engine_force(mv_engine *engine, mv_ticket ticket, const int32_t *ids, size_t n,
                          mv_error *err) {
  mv_status status = mv_fail(err, MV_ERR_USAGE, "no such request");
  pthread_mutex_lock(&engine->lock);
  for (mv_job *job = engine->all; job; job = job->sibling) {
    if (job->ticket != ticket) continue;
    int32_t *copy = mv_arena_alloc(&job->arena, (n + 1) * sizeof *copy);
    status = copy ? MV_OK : mv_fail(err, MV_ERR_MEMORY, "no memory for an answer");
    if (!copy) break;
    memcpy(copy, ids, n * sizeof *copy);
    job->forced = copy;
    job->n_forced = n;
  }
  pthread_mutex_unlock(&engine->lock);
  return status;
}

/* ---- plain data ---- */

void mv_request_init(mv_request *request) {
  memset(request, 0, sizeof *request);
  request->max_new_tokens = 4096;
  request->sampling.top_p = 1;
  request->sampling.repetition_penalty = 1;
  request->n_logprob = -1;
}

void mv_result_free(mv_result *result) {
  mv_free(result->prompt_ids);
  mv_free(result->token_ids);
  mv_free(result->logprobs);
  mv_free(result->top);
  mv_buf_free(&result->text);
  memset(result, 0, sizeof *result);
}

const char *mv_finish_name(mv_finish finish) {
  static const char *const names[] = {"stop", "length", "cancelled"};
  return names[finish];
}
