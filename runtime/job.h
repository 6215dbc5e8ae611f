/* A request on its way through the engine.
 *
 *   mv_job_new      images -> pixels, text -> ids, positions, keys; buffers for the answer
 *   (scheduler)     pages, image features, prompt rows, token rows
 *   mv_job_take     one token after another, until it says that the answer is over
 *   mv_job_end      the result is complete
 *
 * Everything an answer needs is allocated by mv_job_new (but for the K best of every token, which
 * grow): steps allocate nothing.
 */
#ifndef MV_RUNTIME_JOB_H
#define MV_RUNTIME_JOB_H

#include <stdatomic.h>

#include "runtime/draft.h"
#include "runtime/dump.h"
#include "runtime/hash.h"
#include "runtime/medvision.h"
#include "runtime/model.h"
#include "runtime/sampler.h"
#include "runtime/stopper.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_MAX_IMAGES 64

typedef struct mv_job_image {
  mv_hash hash; /* of the pixels the model sees, their size and grid */
  mv_grid grid;
  mv_image seen; /* owns; gone once the vision tower has it */
  int n_token;
  size_t token0; /* its first placeholder in the prompt */
  int entry;     /* of the vision cache, held; -1 */
  int is_own;    /* the tower saw it for this job */
} mv_job_image;

/* Digits tried after the drafts: runtime/branch.h. */
typedef struct mv_branches {
  int n;          /* MV_DIGITS, or 0                                                       */
  int at;         /* their place among the request's tokens                         */
  int32_t *pages; /* [MV_DIGITS, n_page_need] page tables in arena, the last of each held */
} mv_branches;

typedef struct mv_job {
  struct mv_job *next;    /* in the list of its stage: new, waiting, ended */
  struct mv_job *sibling; /* in the list of all jobs not polled */
  mv_ticket ticket;
  mv_model *model; /* borrows */
  atomic_int cancelled;

  /* what was asked; `request` has no borrowed data but callbacks and their user */
  mv_request request;
  mv_arena arena; /* owns stop texts, dump_dir, family, keys, positions, pages */
  mv_job_image images[MV_MAX_IMAGES];
  mv_sampler sampler;
  size_t max_new;
  int eos[MV_MAX_EOS], n_eos;

  /* the prompt */
  mv_hash *keys;         /* [n_prompt] of the prefix cache     */
  int32_t *position;     /* [3, n_prompt]                      */
  int32_t next_position; /* of the answer's first token    */
  int32_t *pages;        /* [n_page], held                     */
  int n_page, n_page_need;
  size_t n_kv;   /* tokens of the sequence whose keys and values are in pages */
  int n_wait;    /* steps passed over for another        */
  int is_seeing; /* an image's features are not there yet: no rows */

  /* the answer */
  mv_stopper stopper;
  size_t top_cap;        /* tokens that result.top has room for */
  size_t n_shown;        /* tokens that on_text has had         */
  const int32_t *forced; /* [n_forced] the answer whatever the model says: mv_engine_force */
  size_t n_forced;
  mv_result result;
  mv_error err; /* why it failed */
  mv_dump *dump;
  double submit_ms, start_ms, first_token_ms; /* start: the engine took it up */
  uint64_t range;                             /* of kernels/range.h */
  int is_done;

  /* this step's rows */
  int n_chunk;    /* of the prompt                                                     */
  int base_want;  /* among the wanted rows: the one that gives the next token; -1 none */
  int draft_want; /* the first draft's; digits tried come after the drafts             */
  int drafts;     /* state of the drafter, -1 none */
  mv_draft draft; /* ids in arena */
  mv_branches branches;
} mv_job;

static inline size_t mv_job_length(const mv_job *job) {
  return job->result.n_prompt + job->result.n_token;
}

static inline int mv_job_in_prefill(const mv_job *job) { return job->n_kv < job->result.n_prompt; }

static inline size_t mv_job_prompt_left(const mv_job *job) {
  return job->result.n_prompt - job->n_kv;
}

/* Whether this step, with the chunk of the prompt that it has, gives a token. */
static inline int mv_job_answers_next(const mv_job *job) {
  return !job->is_done &&
         (!mv_job_in_prefill(job) || mv_job_prompt_left(job) == (size_t)job->n_chunk);
}

/* What the engine lets a request have. */
typedef struct mv_job_limits {
  size_t max_tokens; /* 0: the model's context */
  int max_draft;
  mv_hash hash_key;
} mv_job_limits;

/* Checks and prepares. Returns the job in *out (free with mv_job_free). Any thread. */
mv_status mv_job_new(mv_job **out, mv_model *model, const mv_job_limits *limits,
                     const mv_request *request, mv_error *err);
void mv_job_free(mv_job *job); /* accepts NULL; pages and entries must be given back before */

/* The ids of a request's conversation; n_image pictures of n_tokens[i] placeholders each. */
mv_status mv_job_encode(const mv_tokenizer *tok, const mv_request *request, const int *n_tokens,
                        mv_ids *ids, mv_error *err);

/* Records the next token, its log-probability and the best[n_best], shows fresh text; sets is_done
 * when the answer is over. */
mv_status mv_job_take(mv_job *job, mv_pick pick, const mv_pick *best, int n_best);
/* Completes text, finish and times. */
mv_status mv_job_end(mv_job *job);
/* Instead of the above: the job failed. Keeps the first reason. */
void mv_job_fail(mv_job *job, mv_status status, const mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
