#include <math.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/job.h"

static int is_end(const mv_job *job, int32_t id) {
  for (int i = 0; i < job->n_eos; i++)
    if (job->eos[i] == id) return 1;
  return 0;
}

static void show(mv_job *job, mv_str fresh) {
  const mv_request *q = &job->request;
  const mv_result *r = &job->result;
  size_t i = job->n_shown, end = r->n_token, k = r->n_logprob > 0 ? (size_t)r->n_logprob : 0;
  if (!fresh.len || !q->on_text) return;
  if (end > i && is_end(job, r->token_ids[end - 1])) end--;
  mv_piece piece = {fresh, r->token_ids + i, end - i, r->logprobs ? r->logprobs + i : NULL,
                    k && r->top ? r->top + i * k : NULL};
  job->n_shown = end;
  if (q->on_text(q->user, &piece)) atomic_store(&job->cancelled, 1);
}

/* Room for the K best of one more token. K may be the whole vocabulary, so it grows as needed. */
static mv_status reserve_top(mv_job *job) {
  mv_result *out = &job->result;
  if (out->n_logprob <= 0 || out->n_token < job->top_cap) return MV_OK;
  size_t cap = job->top_cap ? 2 * job->top_cap : 16, bytes;
  mv_logprob *top = NULL;
  if (mv_mul_size(cap, (size_t)out->n_logprob * sizeof *top, &bytes))
    top = mv_realloc(out->top, bytes);
  if (!top) return mv_fail(&job->err, MV_ERR_MEMORY, "no memory for log-probabilities");
  out->top = top;
  job->top_cap = cap;
  return MV_OK;
}

static mv_status record(mv_job *job, mv_pick pick, const mv_pick *best) {
  mv_result *out = &job->result;
  MV_TRY(reserve_top(job));
  if (isnan(pick.logprob))
    return mv_fail(&job->err, MV_ERR_FORMAT,
                   "token %zu: the model's logits are not finite (are its weights damaged?)",
                   out->n_token);
  mv_sampler_note(&job->sampler, pick.id);
  if (out->n_logprob >= 0) out->logprobs[out->n_token] = (mv_logprob){pick.id, pick.logprob};
  for (int k = 0; k < out->n_logprob; k++)
    out->top[out->n_token * (size_t)out->n_logprob + (size_t)k] =
        (mv_logprob){best[k].id, best[k].logprob};
  out->token_ids[out->n_token++] = pick.id;
  return MV_OK;
}

mv_status mv_job_take(mv_job *job, mv_pick pick, const mv_pick *best, int n_best) {
  (void)n_best;
  mv_result *out = &job->result;
  MV_TRY(record(job, pick, best));
  if (out->n_token == 1) job->first_token_ms = mv_now_ms();
  if (is_end(job, pick.id)) {
    job->is_done = 1;
    return MV_OK;
  }
  mv_str fresh;
  MV_TRY(mv_stopper_push(&job->stopper, pick.id, &fresh, &job->err));
  show(job, fresh);
  if (atomic_load(&job->cancelled)) {
    out->finish = MV_FINISH_CANCELLED;
    job->is_done = 1;
  } else if (job->stopper.stopped) {
    job->is_done = 1;
  } else if (out->n_token == job->max_new) {
    out->finish = MV_FINISH_LENGTH;
    job->is_done = 1;
  }
  return MV_OK;
}

static void fill_times(mv_job *job) {
  mv_timings *t = &job->result.timings;
  double end = mv_now_ms();
  t->total_ms = end - job->submit_ms;
  if (!job->start_ms) {
    t->queue_ms = t->total_ms - t->image_ms;
    return;
  }
  t->queue_ms = job->start_ms - job->submit_ms - t->image_ms;
  double first = job->first_token_ms ? job->first_token_ms : end;
  t->prefill_ms = first - job->start_ms - t->vision_ms;
  if (t->prefill_ms < 0) t->prefill_ms = 0; /* two clocks */
  t->decode_ms = end - first;
  t->ttft_ms = first - job->submit_ms;
}

mv_status mv_job_end(mv_job *job) {
  mv_result *out = &job->result;
  mv_str fresh;
  MV_TRY(mv_stopper_finish(&job->stopper, &fresh, &job->err));
  if (out->finish != MV_FINISH_CANCELLED) show(job, fresh);
  mv_buf_str(&out->text, mv_buf_view(&job->stopper.text));
  MV_TRY(mv_buf_status(&out->text, &job->err));
  fill_times(job);
  return MV_OK;
}

void mv_job_fail(mv_job *job, mv_status status, const mv_error *err) {
  if (job->result.status != MV_OK) return;
  if (err && err != &job->err) job->err = *err;
  job->err.code = status;
  mv_result_free(&job->result);
  job->result.status = status;
  job->is_done = 1;
}
