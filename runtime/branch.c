#include "runtime/branch.h"

#include <string.h>

int mv_branch_spare(const mv_engine *e) {
  int n = e->options.spare_rows ? e->options.spare_rows : e->model->device.free_rows;
  if (e->options.no_speculation || n < 0) return 0;
  return n < MV_KV_MOVES ? n : MV_KV_MOVES; /* a digit is a row and, at most, a move */
}

static int32_t *table_of(const mv_job *job, int k) {
  return job->branches.pages + (size_t)k * (size_t)job->n_page_need;
}

/* The page of its own. */
static int32_t *page_of(const mv_job *job, int k) {
  return table_of(job, k) + job->branches.at / MV_PAGE_TOKENS;
}

const int32_t *mv_branch_pages(const mv_job *job, int k) { return table_of(job, k); }

static void take_pages(mv_engine *e, mv_job *job) {
  mv_branches *b = &job->branches;
  size_t n_shared = (size_t)(b->at / MV_PAGE_TOKENS);
  for (b->n = 0; b->n < MV_DIGITS; b->n++) {
    memcpy(table_of(job, b->n), job->pages, n_shared * sizeof *b->pages);
    *page_of(job, b->n) = mv_kv_pages_take(&e->pages);
  }
}

/* Rows of one digit differ in what a repetition penalty has seen, which rows of a request share. */
static int may_branch(const mv_job *job) {
  return job->draft.digit_next && !job->sampler.seen &&
         job->result.n_token + (size_t)job->draft.n + 1 < job->max_new;
}

void mv_branch_plan(mv_engine *e, int n_row, int n_want) {
  for (int i = 0; i < e->n_running; i++) {
    mv_job *job = e->running[i];
    if (!may_branch(job)) continue;
    if (n_row + MV_DIGITS > e->n_spare || n_want < MV_DIGITS || !mv_pool_room(e, MV_DIGITS)) return;
    job->branches.at = (int)mv_job_length(job) + job->draft.n;
    take_pages(e, job);
    n_row += MV_DIGITS;
    n_want -= MV_DIGITS;
  }
}

int mv_branch_echo(const mv_job *job, mv_kv_move *moves) {
  const mv_branches *b = &job->branches;
  int n_before = b->at % MV_PAGE_TOKENS, page = b->at / MV_PAGE_TOKENS;
  if (!n_before) return 0;
  for (int k = 0; k < b->n; k++)
    moves[k] = (mv_kv_move){job->pages[page] * MV_PAGE_TOKENS, *page_of(job, k) * MV_PAGE_TOKENS,
                            n_before};
  return b->n;
}

void mv_branch_keep(mv_engine *e, const mv_job *job, int k) {
  int page = job->branches.at / MV_PAGE_TOKENS, place = job->branches.at % MV_PAGE_TOKENS;
  mv_pool_move(e, (mv_kv_move){*page_of(job, k) * MV_PAGE_TOKENS + place,
                               job->pages[page] * MV_PAGE_TOKENS + place, 1});
}

void mv_branch_drop(mv_engine *e, mv_job *job) {
  while (job->branches.n > 0) mv_kv_pages_drop(&e->pages, *page_of(job, --job->branches.n));
}
