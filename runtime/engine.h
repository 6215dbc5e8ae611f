/* The inside of an engine, shared by its sources:
 *
 *   engine.c     the public calls: lists of jobs, threads
 *   pool.c       device memory: pages, image features, activations; what a job holds of it
 *   scheduler.c  which requests start, whose rows a step has, what comes of them
 *   step.c       the rows of a step, and their way to tokens
 *   branch.c     digits that nobody can guess
 *   plan.c       bytes before they are taken
 */
#ifndef MV_RUNTIME_ENGINE_H
#define MV_RUNTIME_ENGINE_H

#include <pthread.h>

#include "runtime/draft.h"
#include "runtime/forward.h"
#include "runtime/job.h"
#include "runtime/prefix_cache.h"
#include "runtime/vision_cache.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_job_list {
  mv_job *first, *last;
  size_t n;
} mv_job_list;

void mv_job_list_add(mv_job_list *list, mv_job *job);
/* Takes out the job after `before` (NULL: the first). */
mv_job *mv_job_list_take(mv_job_list *list, mv_job *before);

/* One step's batch, on the host. */
typedef struct mv_step_rows {
  int n_row, n_new, n_seq, n_want, n_best;
  int n_full_row, n_full_want; /* with those that fill a step up to a size that comes again */
  int32_t *ids;                /* [cap] */
  int32_t *place;              /* [cap, 3] positions as they are collected */
  int32_t *position;           /* [3, n_row] the same as the forward pass wants them */
  int32_t *want;               /* [max_verify] */
  mv_seq_rows *seqs;           /* [2 * max_batch + n_spare] */
  mv_kv_move *echo;            /* [n_spare] of branches */
  int n_echo;
  mv_sample_row *sample; /* [max_verify] */
  mv_pick *picks;        /* [max_verify] */
  mv_pick *best;         /* [n_full_want, n_best], grows with requests that want more */
  size_t best_cap;
} mv_step_rows;

/* For tests: what is drafted. */
typedef struct mv_engine_hooks {
  /* Changes the drafts that follow the job's newest token. NULL: they are what the drafter says. */
  void (*draft)(void *user, const mv_job *job, mv_draft *draft);
  void *user;
} mv_engine_hooks;

struct mv_engine {
  mv_model *model;           /* borrows */
  mv_engine_options options; /* zeros replaced by what they stand for, but for growing sizes */
  mv_job_limits limits;
  int max_verify;
  int n_spare;     /* rows of a step that tried digits may bring it to */
  int sees_beside; /* images are seen beside steps, on the device's side lane */

  /* device memory */
  mv_activations vision, decoder;
  void *cache; /* n_layer blocks of pages */
  float *image_rows;
  float *logits;  /* [max_verify, vocab] */
  mv_pick *picks; /* [max_verify]        */
  mv_pick *best;  /* rows.best_cap       */

  mv_kv_pages pages;
  mv_prefix_cache prefix;
  mv_vision_cache seen;

  mv_drafter drafter;
  mv_engine_hooks hooks;

  mv_step_rows rows;
  mv_job_list waiting;
  mv_job **running; /* [max_batch] */
  int n_running;
  mv_engine_stats count; /* of the stepping thread */

  /* under the lock */
  pthread_mutex_t lock;
  pthread_cond_t work;
  mv_job_list arrived, ended;
  mv_job *all;   /* not polled yet, by sibling */
  size_t n_open; /* not ended yet */
  mv_ticket last_ticket;
  mv_engine_stats stats;
};

/* ---- engine.c ---- */

/* For replays and measuring, where the model at hand is not the one whose answers matter: request
 * `ticket` answers ids[0..n), copied, whatever its logits say; after those the model speaks again.
 * All else is as ever: every row is computed, and a draft is right when it is the token given here.
 * Give an end token last, or max_new_tokens n. Call it after mv_engine_submit and before the step
 * that takes the request up. Log-probabilities stay those of the model's own choice.
 *
 *   mv_engine_submit(engine, &request, &ticket, &err);
 *   mv_engine_force(engine, ticket, recorded, n_recorded, &err);
 *   do mv_engine_step(engine, &n_left, &err); while (n_left);
 */
mv_status mv_engine_force(mv_engine *engine, mv_ticket ticket, const int32_t *ids, size_t n,
                          mv_error *err);

/* ---- plan.c ---- */

#define MV_FIRST_KV_TOKENS 8192 /* of a cache that grows: what it has at least */

/* Zeros become numbers, but for kv_tokens and image_tokens. Returns the rows that may have logits.
 */
int mv_engine_options_resolve(mv_engine_options *options);
/* The next of the sizes that recorded steps have: 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, ... */
int mv_step_size(int n_row);
/* A plan that the device (a CPU: the machine) cannot hold is refused now, not when half of it is
 * taken. MV_ERR_MEMORY. */
mv_status mv_plan_check(mv_model *model, const mv_engine_options *options, mv_error *err);

/* ---- pool.c ---- */

mv_status mv_pool_init(mv_engine *engine, mv_error *err);
void mv_pool_free(mv_engine *engine);
size_t mv_pool_stride(const mv_engine *engine); /* bytes of one layer's pages */
/* Whether the request could start if it were alone, with the sizes the options allow. */
mv_status mv_pool_check(const mv_engine *engine, const mv_job *job, mv_error *err);

typedef enum mv_started { MV_STARTED, MV_NO_ROOM, MV_START_FAILED } mv_started;

/* Gives a job its pages, the known ones first, and sends its images to the vision tower, which
 * works beside the steps where the device can (job->is_seeing). A failure is in job->err. */
mv_started mv_pool_start(mv_engine *engine, mv_job *job);
/* Keeps what is computed of the prompt for others. */
void mv_pool_keep_prefix(mv_engine *engine, mv_job *job);
void mv_pool_drop_images(mv_engine *engine, mv_job *job);
/* Whether the features of the job's images are there for what the main lane is given next. `must`:
 * it waits for them, on the device, and they are. */
int mv_pool_has_images(mv_engine *engine, const mv_job *job, int must);
/* So many free pages, by giving up cached ones. Returns 0 when there is no such room. */
int mv_pool_room(mv_engine *engine, int n_page);
/* Copies keys and values in all layers. */
void mv_pool_move(mv_engine *engine, mv_kv_move move);
/* Takes back everything. */
void mv_pool_end(mv_engine *engine, mv_job *job);

/* ---- step.c ---- */

/* Runs a batch of all running jobs' rows: their newest tokens, drafts, tried digits and chunks of
 * prompts. What was picked is in rows.picks and rows.best. */
mv_status mv_step_run(mv_engine *engine, mv_error *err);

/* ---- scheduler.c ---- */

/* Starts what can start, runs one batch, ends what is over. */
mv_status mv_scheduler_step(mv_engine *engine, mv_error *err);
/* A running job is over: its memory goes back and it is handed to who polls. engine.c */
void mv_engine_finish(mv_engine *engine, mv_job *job);

#ifdef __cplusplus
}
#endif
#endif
