/* From answers to the benchmark's files: sample log, results, list of failures, status. */
#ifndef MV_TASKS_EVAL_FINISH_H
#define MV_TASKS_EVAL_FINISH_H

#include "tasks/eval_cache.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_eval_outcome {
  size_t n, n_answered, n_failed; /* failed: with a reason; the rest has no answer yet */
  int complete, unchanged;        /* unchanged: the same logs were there already */
} mv_eval_outcome;

/* What this process could not answer, for whoever finishes the task: replaces the file of its
 * rank. `errors[i]` is NULL where nothing failed. */
mv_status mv_eval_failures_write(const mv_eval_place *place, const mv_eval_docs *docs, int rank,
                                 char *const *errors, mv_error *err);

/* When every doc has an answer or a reason, writes <stamp>_results.json and
 * <stamp>_samples_<task>.jsonl (and <stamp>_failures_<task>.ndjson) in place of older ones of this
 * task. A failed doc is logged with an empty answer. `log_system`: add the system prompt. */
mv_status mv_eval_finish(const mv_eval_place *place, const mv_eval_docs *docs, int with_system,
                         int log_system, mv_eval_outcome *out, mv_error *err);

/* Whether `task` is a key under `model` in the status file; a missing file has none. */
mv_status mv_eval_status_has(const char *path, const char *model, const char *task, int *has,
                             mv_error *err);
/* Adds it as true, by rename, under a lock. */
mv_status mv_eval_status_add(const mv_eval_place *place, const char *path, const char *task,
                             mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
