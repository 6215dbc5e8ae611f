/* Which of a task's questions this process answers.
 *
 *   alone            all of them
 *   --shard I/N      every Nth, for job arrays
 *   under mpirun     chunks, claimed one after another from a file that the ranks share under a
 *                    lock: a slow rank takes fewer. Nothing is linked to MPI; rank, size and the
 *                    launch's name come from the environment that Open MPI (or Slurm) sets.
 */
#ifndef MV_TASKS_EVAL_SHARE_H
#define MV_TASKS_EVAL_SHARE_H

#include "tasks/eval_cache.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_eval_crew {
  int rank, size;  /* 0, 1 alone */
  int local_rank;  /* among those on this machine: the number of its GPU */
  int claims;      /* chunks by claim; else every size-th question from `rank` on */
  char launch[17]; /* names the launch, for the claims' file */
} mv_eval_crew;

mv_status mv_eval_crew_find(mv_eval_crew *crew, const char *shard, mv_error *err);

/* Hands out indices 0 .. n-1 of a task. Zero-initialise; owns `path`. */
typedef struct mv_eval_share {
  const mv_eval_crew *crew;
  char *path; /* of the claims */
  size_t n, at, end, chunk;
} mv_eval_share;

mv_status mv_eval_share_begin(mv_eval_share *share, const mv_eval_crew *crew,
                              const mv_eval_place *place, const char *task, size_t n,
                              mv_error *err);
/* 1 and the next index, 0 when there is none left, -1 when the claims cannot be read. */
int mv_eval_share_next(mv_eval_share *share, size_t *index, mv_error *err);
/* Says that this process has answered its part. *last: every other one has, too. */
mv_status mv_eval_share_end(mv_eval_share *share, int *last, mv_error *err);
void mv_eval_share_free(mv_eval_share *share);

#ifdef __cplusplus
}
#endif
#endif
