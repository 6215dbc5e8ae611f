/* Many questions at once: pictures made ready and handed to the engine by threads, answers taken as
 * they finish.
 *
 *   next index ──► load, slice, reshape, intensity ──► submit (threads) ──► the engine's steps,
 *   answers in any order (the calling thread)
 *
 * At most `depth` questions are on their way at a time.
 */
#ifndef MV_TASKS_EVAL_PIPE_H
#define MV_TASKS_EVAL_PIPE_H

#include "runtime/medvision.h"
#include "tasks/eval_docs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A question that has ended: with an answer, or with the reason why there is none. */
typedef struct mv_eval_done {
  size_t index;     /* of the doc */
  mv_result result; /* the caller's to free with mv_result_free */
  mv_error err;     /* code MV_OK when it was answered */
} mv_eval_done;

typedef struct mv_eval_source {
  const mv_eval_docs *docs;
  const mv_preprocessor *pp;
  mv_engine *engine;
  int depth;
  /* The next doc: 1, 0 when there is none left, -1 on failure. Called under a lock. */
  int (*next)(void *user, size_t *index, mv_error *err);
  /* Fills a request but for its picture. Called from any thread. */
  void (*ask)(void *user, size_t index, mv_request *request);
  void *user;
} mv_eval_source;

typedef struct mv_eval_pipe mv_eval_pipe;

/* Starts the threads. Returns *out (free with mv_eval_pipe_free). */
mv_status mv_eval_pipe_new(mv_eval_pipe **out, const mv_eval_source *source, mv_error *err);
/* Works the engine until a question ends. 1 and *done, 0 when all have ended, -1 when `next` or
 * the device failed. */
int mv_eval_pipe_take(mv_eval_pipe *pipe, mv_eval_done *done, mv_error *err);
/* Stops the threads and cancels what is on its way. Accepts NULL. */
void mv_eval_pipe_free(mv_eval_pipe *pipe);

#ifdef __cplusplus
}
#endif
#endif
