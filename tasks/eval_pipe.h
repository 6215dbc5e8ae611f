/* Pictures made ready ahead of the model, by threads of their own.
 *
 *   next index ──► load, slice, reshape, intensity (threads) ──► ready ──► the model (one thread)
 *
 * At most `depth` pictures wait at a time.
 */
#ifndef MV_TASKS_EVAL_PIPE_H
#define MV_TASKS_EVAL_PIPE_H

#include "tasks/eval_docs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One question with its picture; or the reason why there is none. */
typedef struct mv_eval_ready {
  size_t index; /* of the doc */
  mv_picture picture;
  mv_error err; /* code MV_OK when the picture is there */
} mv_eval_ready;

/* The next doc to prepare: 1, 0 when there is none left, -1 on failure. Called under a lock. */
typedef int (*mv_eval_next)(void *user, size_t *index, mv_error *err);

typedef struct mv_eval_pipe mv_eval_pipe;

/* Starts the threads. Returns *out (free with mv_eval_pipe_free, which stops them). */
mv_status mv_eval_pipe_new(mv_eval_pipe **out, const mv_eval_docs *docs, const mv_preprocessor *pp,
                           int depth, mv_eval_next next, void *user, mv_error *err);
/* Waits for the next one in any order. 1 and *ready (the caller's to free with mv_picture_free), 0
 * when all are done, -1 when `next` failed. */
int mv_eval_pipe_take(mv_eval_pipe *pipe, mv_eval_ready *ready, mv_error *err);
void mv_eval_pipe_free(mv_eval_pipe *pipe);

#ifdef __cplusplus
}
#endif
#endif
