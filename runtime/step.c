/* One step's batch: rows of tokens, their drafts and the digits tried, then rows of prompts, and
 * its way through the decoder to tokens. */
#include <string.h>

#include "runtime/branch.h"

#define MIN_BEST 4096 /* log-probabilities: 32 of each of 128 rows */

/* ---- rows ---- */

static int32_t *add_row(mv_step_rows *r, int32_t id) {
  r->ids[r->n_row] = id;
  return r->place + 3 * (size_t)r->n_row++;
}

/* The last n_row rows are tokens of one sequence, from pos0 on. */
static void add_run(mv_step_rows *r, const int32_t *pages, int n_row, size_t pos0) {
  r->seqs[r->n_seq++] = (mv_seq_rows){r->n_row - n_row, n_row, (int)pos0, pages, NULL};
}

static int add_want(mv_step_rows *r, const mv_job *job, int row, size_t index) {
  r->want[r->n_want] = row;
  r->sample[r->n_want] = mv_sampler_row(&job->sampler, index);
  if (job->request.n_logprob > r->n_best) r->n_best = job->request.n_logprob;
  return r->n_want++;
}

/* Token `index` of the answer, as a row. */
static void add_answer_row(mv_step_rows *r, const mv_job *job, size_t index, int32_t id) {
  int32_t *place = add_row(r, id), p = job->next_position + (int32_t)index;
  place[0] = place[1] = place[2] = p;
}

/* Ten digits, each as the token after the drafts. */
static void add_branch_rows(mv_engine *e, mv_job *job, size_t index) {
  mv_step_rows *r = &e->rows;
  for (int k = 0; k < job->branches.n; k++) {
    add_answer_row(r, job, index, e->drafter.digits[k]);
    add_want(r, job, r->n_row - 1, index + 1);
    add_run(r, mv_branch_pages(job, k), 1, (size_t)job->branches.at);
  }
  r->n_echo += mv_branch_echo(job, r->echo + r->n_echo);
}

/* The newest token, unless the prompt's last row stands for it, and the drafts after it. */
static void add_answer_rows(mv_engine *e, mv_job *job) {
  mv_step_rows *r = &e->rows;
  size_t n_token = job->result.n_token, pos0 = mv_job_length(job);
  int row0 = r->n_row, n_seen = job->sampler.n_seen, n_draft = job->draft.n;
  if (n_token) {
    pos0--;
    add_answer_row(r, job, n_token - 1, job->result.token_ids[n_token - 1]);
    job->base_want = add_want(r, job, row0, n_token);
  }
  job->draft_want = r->n_want;
  for (int i = 0; i < n_draft; i++) {
    mv_sampler_note(&job->sampler, job->draft.ids[i]);
    add_answer_row(r, job, n_token + (size_t)i, job->draft.ids[i]);
    add_want(r, job, r->n_row - 1, n_token + (size_t)i + 1);
  }
  mv_sampler_forget(&job->sampler, n_seen);
  if (r->n_row > row0) add_run(r, job->pages, r->n_row - row0, pos0);
  add_branch_rows(e, job, n_token + (size_t)n_draft);
}

/* The id a row is embedded by: a token, or ~i for row i of the image features. */
static int32_t prompt_id(const mv_engine *e, const mv_job *job, size_t i) {
  for (int k = 0; k < job->request.n_image; k++) {
    const mv_job_image *image = &job->images[k];
    if (i >= image->token0 && i < image->token0 + (size_t)image->n_token)
      return ~(e->seen.entries[image->entry].row0 + (int32_t)(i - image->token0));
  }
  return job->result.prompt_ids[i];
}

static void add_prompt_rows(mv_engine *e, mv_job *job, int n_row) {
  mv_step_rows *r = &e->rows;
  size_t n = job->result.n_prompt;
  for (size_t i = job->n_kv; i < job->n_kv + (size_t)n_row; i++) {
    int32_t *place = add_row(r, prompt_id(e, job, i));
    for (size_t axis = 0; axis < 3; axis++) place[axis] = job->position[axis * n + i];
  }
  add_run(r, job->pages, n_row, job->n_kv);
  if (mv_job_prompt_left(job) == (size_t)n_row) job->base_want = add_want(r, job, r->n_row - 1, 0);
}

/* ---- the batch ---- */

static void on_stage(void *user, const char *name, int layer, const void *rows, mv_dtype dtype,
                     int n_row, int d) {
  mv_engine *e = user;
  mv_dump *dump = e->running[0]->dump;
  if (dump && e->running[0]->n_chunk) mv_dump_rows(dump, name, layer, rows, dtype, n_row, d);
}

static void on_layer(void *user, int layer, int n_layer) {
  mv_engine *e = user;
  for (int i = 0; i < e->n_running; i++) {
    const mv_request *q = &e->running[i]->request;
    if (e->running[i]->n_chunk && q->on_progress)
      q->on_progress(q->user, "prefill", (size_t)layer, (size_t)n_layer);
  }
}

/* Rows of no sequence, and wants that want the first one's again, of which nothing is taken: a step
 * of one of a few sizes is one that the device has recorded. */
static void fill_up(mv_step_rows *r, int max_rows) {
  static const mv_sample_row greedy = {.top_p = 1, .penalty = 1};
  r->n_full_row = mv_step_size(r->n_row) < max_rows ? mv_step_size(r->n_row) : max_rows;
  r->n_full_want = mv_step_size(r->n_want);
  for (int row = r->n_row; row < r->n_full_row; row++) {
    r->ids[row] = 0;
    memset(r->place + 3 * (size_t)row, 0, 3 * sizeof *r->place);
  }
  for (int i = r->n_want; i < r->n_full_want; i++) {
    r->want[i] = r->want[0];
    r->sample[i] = greedy;
  }
}

static void collect_rows(mv_engine *e) {
  mv_step_rows *r = &e->rows;
  r->n_row = r->n_seq = r->n_want = r->n_best = r->n_echo = 0;
  for (int i = 0; i < e->n_running; i++) {
    mv_job *job = e->running[i];
    job->base_want = -1;
    if (mv_job_answers_next(job)) add_answer_rows(e, job);
  }
  r->n_new = r->n_row;
  for (int i = 0; i < e->n_running; i++)
    if (e->running[i]->n_chunk) add_prompt_rows(e, e->running[i], e->running[i]->n_chunk);
  r->n_full_row = r->n_row;
  r->n_full_want = r->n_want;
  if (e->model->device.records_steps && r->n_new == r->n_row) fill_up(r, e->decoder.max_rows);
  for (int row = 0; row < r->n_full_row; row++)
    for (int axis = 0; axis < 3; axis++)
      r->position[axis * r->n_full_row + row] = r->place[3 * row + axis];
}

/* Room for what requests with many log-probabilities want; where it is is part of what a recorded
 * step is, so it moves for none but those with very many. */
static mv_status reserve_best(mv_engine *e, mv_error *err) {
  mv_step_rows *r = &e->rows;
  size_t n = (size_t)r->n_full_want * (size_t)r->n_best, bytes;
  if (n <= r->best_cap) return MV_OK;
  if (n < MIN_BEST) n = MIN_BEST;
  e->model->ops->free(&e->model->device, e->best);
  mv_free(r->best);
  r->best_cap = 0;
  if (!mv_mul_size(n, sizeof *r->best, &bytes))
    return mv_fail(err, MV_ERR_MEMORY, "no memory for log-probabilities");
  r->best = mv_alloc(bytes);
  e->best = e->model->ops->alloc(&e->model->device, bytes);
  if (!r->best) return mv_fail(err, MV_ERR_MEMORY, "no memory for log-probabilities");
  MV_TRY(mv_device_status(&e->model->device, err));
  r->best_cap = n;
  return MV_OK;
}

/* Rows through the decoder to tokens. A step of tokens alone may be recorded by the device. */
static mv_status run_batch(mv_engine *e, mv_error *err) {
  mv_step_rows *r = &e->rows;
  mv_model *m = e->model;
  mv_tap tap = {on_stage, on_layer, e};
  int records = r->n_new == r->n_row, again;
  mv_step_counts was = m->device.steps;
  mv_batch batch = {.n_row = r->n_full_row,
                    .ids = r->ids,
                    .position = r->position,
                    .seqs = r->seqs,
                    .n_seq = r->n_seq,
                    .image_rows = e->image_rows,
                    .want = r->want,
                    .n_want = r->n_full_want,
                    .n_new = records ? r->n_full_row : r->n_new,
                    .any_order = e->options.any_order,
                    .echo = r->echo,
                    .n_echo = r->n_echo};
  mv_sample_dims dims = {r->n_full_want, m->head.n_out, r->n_best};
  MV_TRY(reserve_best(e, err));
  do {
    if (records) m->ops->step_begin(&m->device);
    mv_decoder_forward(m, &e->decoder, &batch, e->cache, mv_pool_stride(e), e->logits,
                       records ? NULL : &tap);
    if (r->n_want)
      m->ops->sample(&m->device, &dims, r->sample, e->logits, e->picks, r->n_best ? e->best : NULL);
    again = records && m->ops->step_end(&m->device);
  } while (again);
  e->count.n_recorded += m->device.steps.n_recorded - was.n_recorded;
  e->count.n_replayed += m->device.steps.n_replayed - was.n_replayed;
  if (r->n_want) {
    size_t n = (size_t)r->n_want;
    m->ops->download(&m->device, r->picks, e->picks, n * sizeof *r->picks);
    if (r->n_best)
      m->ops->download(&m->device, r->best, e->best, n * (size_t)r->n_best * sizeof *r->best);
  }
  return mv_device_status(&m->device, err);
}

mv_status mv_step_run(mv_engine *e, mv_error *err) {
  collect_rows(e);
  return run_batch(e, err);
}
