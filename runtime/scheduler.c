/* Which requests start, whose rows a step has, and what its tokens mean.
 *
 * A step's rows: first the tokens being generated, one a running request and its drafts, then
 * chunks of prompts, the shortest remainder first. Only prompts are limited by max_rows: requests
 * that are answering are never kept waiting by those that are not yet.
 */

#include "runtime/branch.h"

#define WORTH_WAITING 32 /* tokens of a prompt that another request will know */
#define LOOK_AHEAD 64    /* waiting requests that are looked at for one that fits */
#define MAX_PASSED 64    /* steps that later requests may pass one that finds no room */
#define MIN_PATTERN 12   /* tokens of an answer that is worth keeping for drafts */
#define FEW_ANSWERS 4    /* so many at once leave rows idle, which drafts may waste */
#define MAX_UNSERVED 8   /* steps that a started prompt may go without rows */

/* ---- lists ---- */

void mv_job_list_add(mv_job_list *list, mv_job *job) {
  job->next = NULL;
  if (list->last)
    list->last->next = job;
  else
    list->first = job;
  list->last = job;
  list->n++;
}

mv_job *mv_job_list_take(mv_job_list *list, mv_job *before) {
  mv_job *job = before ? before->next : list->first;
  if (!job) return NULL;
  if (before)
    before->next = job->next;
  else
    list->first = job->next;
  if (list->last == job) list->last = before;
  job->next = NULL;
  list->n--;
  return job;
}

/* ---- starting ---- */

/* How much of a prompt is being computed for another right now. */
static size_t coming_prefix(const mv_engine *e, const mv_job *job) {
  size_t most = 0;
  for (int i = 0; i < e->n_running; i++) {
    const mv_job *other = e->running[i];
    if (!mv_job_in_prefill(other) || other->dump) continue;
    size_t n = job->result.n_prompt < other->result.n_prompt ? job->result.n_prompt
                                                             : other->result.n_prompt;
    size_t same = 0;
    while (same < n && mv_hash_eq(job->keys[same], other->keys[same])) same++;
    if (same > most) most = same;
  }
  return most;
}

static size_t known_prefix(mv_engine *e, mv_job *job) {
  if (!e->pages.n_page) return 0;
  mv_prefix_match m =
      mv_prefix_cache_find(&e->prefix, job->keys, job->result.n_prompt - 1, job->pages);
  return (size_t)m.n_page * MV_PAGE_TOKENS + (m.part >= 0 ? (size_t)m.n_part : 0);
}

/* Whether waiting a step or two gives it keys and values that another is computing. */
static int better_wait(mv_engine *e, mv_job *job) {
  if (e->options.no_prefix_cache || job->dump) return 0;
  size_t coming = coming_prefix(e, job);
  return coming >= WORTH_WAITING && coming - WORTH_WAITING >= known_prefix(e, job);
}

static int may_start_beside(const mv_engine *e, const mv_job *job) {
  if (e->n_running == 0) return 1;
  return !job->dump && !e->running[0]->dump; /* a dump shows one request alone */
}

/* Starts the job after `before`. Returns 1 when the job left the list. */
static int try_start(mv_engine *e, mv_job *before) {
  mv_job *job = before ? before->next : e->waiting.first;
  if (!may_start_beside(e, job) || better_wait(e, job)) return 0;
  mv_started started = mv_pool_start(e, job);
  if (started == MV_NO_ROOM) return 0;
  mv_job_list_take(&e->waiting, before);
  e->running[e->n_running++] = job;
  e->count.n_request++;
  if (job->is_seeing) job->n_wait = 0; /* from now on: steps without rows */
  if (!e->options.no_speculation && started == MV_STARTED)
    job->drafts = mv_drafter_start(&e->drafter, job->request.family, job->result.prompt_ids,
                                   job->result.n_prompt);
  if (started == MV_START_FAILED) {
    mv_job_fail(job, job->err.code, NULL);
    mv_device_recover(&e->model->device);
  }
  return 1;
}

/* Enough prompts for this step are enough. Where images are seen beside it, those of the next are
 * sent ahead. */
static int has_enough(const mv_engine *e, const mv_job *next) {
  size_t ready = 0, seeing = 0, max = (size_t)e->options.max_rows;
  for (int i = 0; i < e->n_running; i++) {
    const mv_job *job = e->running[i];
    if (mv_job_in_prefill(job)) *(job->is_seeing ? &seeing : &ready) += mv_job_prompt_left(job);
  }
  int ahead = e->sees_beside && !seeing && next->request.n_image;
  return seeing >= max || ready >= (ahead ? 2 * max : max);
}

static void end_cancelled(mv_engine *e) {
  for (mv_job *before = NULL, *job = e->waiting.first; job;) {
    mv_job *next = job->next;
    if (atomic_load(&job->cancelled)) {
      mv_job_list_take(&e->waiting, before);
      job->result.finish = MV_FINISH_CANCELLED;
      mv_engine_finish(e, job);
    } else {
      before = job;
    }
    job = next;
  }
}

/* In the order of arrival; what finds no room may be passed for a while by what does. */
static void start_jobs(mv_engine *e) {
  mv_job *before = NULL;
  for (int seen = 0; seen < LOOK_AHEAD; seen++) {
    mv_job *job = before ? before->next : e->waiting.first;
    if (!job || e->n_running == e->options.max_batch) return;
    if (has_enough(e, job)) return;
    if (try_start(e, before)) continue;
    if (++job->n_wait > MAX_PASSED) return;
    before = job;
  }
}

/* ---- shares of a step ---- */

/* A prompt whose images are still being seen waits for a later step, unless this one would have no
 * rows or it waited for long: then the device waits. */
static void await_images(mv_engine *e) {
  mv_job *first = NULL;
  int n_ready = 0;
  for (int i = 0; i < e->n_running; i++) {
    mv_job *job = e->running[i];
    if (job->is_seeing) job->is_seeing = !mv_pool_has_images(e, job, job->n_wait > MAX_UNSERVED);
    n_ready += !job->is_seeing;
    if (job->is_seeing && !first) first = job;
  }
  if (first && !n_ready) first->is_seeing = !mv_pool_has_images(e, first, 1);
}

/* The started prompt that gets rows next: one left out for long, else the shortest remainder. */
static mv_job *next_prompt(const mv_engine *e) {
  mv_job *best = NULL;
  for (int i = 0; i < e->n_running; i++) {
    mv_job *job = e->running[i];
    if (job->is_done || job->is_seeing || !mv_job_in_prefill(job) || job->n_chunk) continue;
    int urgent = job->n_wait > MAX_UNSERVED;
    if (!best || urgent > (best->n_wait > MAX_UNSERVED) ||
        (urgent == (best->n_wait > MAX_UNSERVED) &&
         mv_job_prompt_left(job) < mv_job_prompt_left(best)))
      best = job;
  }
  return best;
}

static void share_prompts(mv_engine *e) {
  int left = e->options.max_rows;
  for (int i = 0; i < e->n_running; i++) e->running[i]->n_chunk = 0;
  for (mv_job *job; left > 0 && (job = next_prompt(e)) != NULL; left -= job->n_chunk) {
    job->n_chunk = mv_job_prompt_left(job) < (size_t)left ? (int)mv_job_prompt_left(job) : left;
    job->n_wait = 0;
  }
  for (int i = 0; i < e->n_running; i++)
    if (mv_job_in_prefill(e->running[i]) && !e->running[i]->n_chunk) e->running[i]->n_wait++;
}

static void draft_for(mv_engine *e, mv_job *job, int max) {
  const mv_result *r = &job->result;
  size_t room = job->max_new - r->n_token - 1;
  if (max > e->options.max_draft) max = e->options.max_draft;
  job->draft.max = room < (size_t)max ? (int)room : max;
  mv_drafter_next(&e->drafter, job->drafts, r->prompt_ids, r->n_prompt, r->token_ids, r->n_token,
                  &job->draft);
  if (e->hooks.draft) e->hooks.draft(e->hooks.user, job, &job->draft);
}

/* Rows with logits beyond one a request are shared evenly among those that answer. */
static void draft_ahead(mv_engine *e) {
  int left = e->max_verify - e->n_running, n_answering = 0, n_row = 0;
  for (int i = 0; i < e->n_running; i++) n_answering += mv_job_answers_next(e->running[i]);
  e->drafter.floor = n_answering <= FEW_ANSWERS ? 0.15 : 0.5;
  n_row = n_answering;
  for (int i = 0; i < e->n_running; i++) {
    mv_job *job = e->running[i];
    job->draft.n = job->draft.digit_next = 0;
    if (job->drafts < 0 || !mv_job_answers_next(job)) continue;
    draft_for(e, job, left / n_answering--);
    left -= job->draft.n;
    n_row += job->draft.n;
  }
  mv_branch_plan(e, n_row, left);
}

/* ---- what came of it ---- */

static mv_status take_pick(mv_engine *e, mv_job *job, int want) {
  const mv_step_rows *r = &e->rows;
  return mv_job_take(job, r->picks[want], r->best + (size_t)want * (size_t)r->n_best, r->n_best);
}

/* The wanted row that shows what follows token `id`, the picked number n of this step; -1: none. */
static int want_after(const mv_engine *e, const mv_job *job, int n, int32_t id) {
  if (n < job->draft.n) return id == job->draft.ids[n] ? job->draft_want + n : -1;
  for (int k = 0; n == job->draft.n && k < job->branches.n; k++)
    if (id == e->drafter.digits[k]) return job->draft_want + n + k;
  return -1;
}

static void force_picks(mv_engine *e, const mv_job *job) {
  size_t at = job->result.n_token;
  for (int n = 0, want = job->base_want; want >= 0 && at < job->n_forced; n++, at++) {
    e->rows.picks[want].id = job->forced[at];
    want = want_after(e, job, n, job->forced[at]);
  }
}

/* The row of the last token gives the next; a draft that is that token gives one more, and so on.
 * Returns how many were right, -1 after a failure. */
static int take_tokens(mv_engine *e, mv_job *job) {
  int want = job->base_want;
  for (int n = 0;; n++) {
    mv_status status = take_pick(e, job, want);
    if (status != MV_OK) mv_job_fail(job, status, NULL);
    if (status != MV_OK) return -1;
    want = job->is_done ? -1 : want_after(e, job, n, e->rows.picks[want].id);
    if (want < 0) return n;
    if (n == job->draft.n) mv_branch_keep(e, job, want - job->draft_want - n);
  }
}

static void answer(mv_engine *e, mv_job *job) {
  int n_draft = job->draft.n, n_tried = n_draft + job->branches.n;
  size_t n0 = job->result.n_token;
  force_picks(e, job);
  int n_right = take_tokens(e, job);
  if (n_right < 0) return;
  if (job->drafts >= 0)
    mv_drafter_told(&e->drafter, job->drafts, n_draft, n_right < n_draft ? n_right : n_draft);
  job->n_kv += (size_t)n_right + (n0 ? 1 : 0);
  job->result.n_step++;
  job->result.n_drafted += (size_t)n_tried;
  job->result.n_accepted += (size_t)n_right;
  e->count.n_verify++;
  e->count.n_drafted += (uint64_t)n_tried;
  e->count.n_accepted += (uint64_t)n_right;
  e->count.n_token += job->result.n_token - n0;
}

static void write_dump(mv_engine *e, mv_job *job) {
  mv_dump_rows(job->dump, "logits", -1, e->logits, MV_DTYPE_F32, 1, e->model->head.n_out);
  mv_status status = mv_dump_write(job->dump, job->request.dump_dir, &job->err);
  if (status != MV_OK) mv_job_fail(job, status, NULL);
}

static void advance(mv_engine *e, mv_job *job) {
  if (job->n_chunk) {
    job->n_kv += (size_t)job->n_chunk;
    mv_pool_keep_prefix(e, job);
    if (mv_job_in_prefill(job)) return;
    mv_pool_drop_images(e, job);
    if (job->dump) write_dump(e, job);
  }
  if (!job->is_done && job->base_want >= 0) answer(e, job);
}

/* An answer that ended by itself, and that drafts did not know yet, is a pattern for others. */
static void end_job(mv_engine *e, mv_job *job) {
  const mv_result *r = &job->result;
  if (job->drafts >= 0 && r->status == MV_OK && r->finish == MV_FINISH_STOP &&
      r->n_token >= MIN_PATTERN && 8 * r->n_step > r->n_token)
    mv_drafter_learn(&e->drafter, job->request.family, r->prompt_ids, r->n_prompt, r->token_ids,
                     r->n_token, 0);
  mv_drafter_stop(&e->drafter, job->drafts);
  mv_engine_finish(e, job);
}

static void finish_done(mv_engine *e) {
  int n = 0;
  for (int i = 0; i < e->n_running; i++) {
    mv_job *job = e->running[i];
    if (!job->is_done && atomic_load(&job->cancelled)) {
      job->result.finish = MV_FINISH_CANCELLED;
      job->is_done = 1;
    }
    if (job->is_done)
      end_job(e, job);
    else
      e->running[n++] = job;
  }
  e->n_running = n;
}

static void fail_all(mv_engine *e, const mv_error *err) {
  for (int i = 0; i < e->n_running; i++) mv_job_fail(e->running[i], err->code, err);
}

mv_status mv_scheduler_step(mv_engine *e, mv_error *err) {
  mv_error why = {0};
  end_cancelled(e);
  start_jobs(e);
  finish_done(e);
  await_images(e);
  share_prompts(e);
  draft_ahead(e);
  if (e->n_running) {
    mv_status status = mv_step_run(e, &why);
    e->count.n_step++;
    e->count.n_new_row += (uint64_t)e->rows.n_new;
    e->count.n_prompt_row += (uint64_t)(e->rows.n_row - e->rows.n_new);
    if (status != MV_OK) fail_all(e, &why);
    for (int i = 0; i < e->n_running && status == MV_OK; i++) advance(e, e->running[i]);
    for (int i = 0; i < e->n_running; i++) mv_branch_drop(e, e->running[i]);
    if (status == MV_ERR_MEMORY) mv_device_recover(&e->model->device);
  }
  finish_done(e);
  if (mv_device_status(&e->model->device, err) == MV_OK) return MV_OK;
  fail_all(e, err);
  finish_done(e);
  while (e->waiting.first) {
    mv_job *job = mv_job_list_take(&e->waiting, NULL);
    mv_job_fail(job, err->code, err);
    mv_engine_finish(e, job);
  }
  return err->code;
}
