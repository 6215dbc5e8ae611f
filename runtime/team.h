/* A team of threads that share the iterations of a loop.
 *
 * The caller works too and never waits for a thread that has not begun: on a machine that is busy
 * with something else it does the whole loop itself, where a team that meets at barriers waits for
 * time slices of milliseconds (measured with OpenMP: 80 times as long beside one other process on
 * two cores). Between loops the others look for work for a while, then sleep.
 */
#ifndef MV_RUNTIME_TEAM_H
#define MV_RUNTIME_TEAM_H

#include <pthread.h>

#include "runtime/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_team mv_team;

/* Iterations [first, end) of a loop, on thread 0 (the caller) .. n_thread - 1 of the team. */
typedef void mv_team_part(const void *loop, int first, int end, int thread);

/* *team is NULL for one thread, and after a failure. Where the system starts fewer threads, it has
 * fewer. MV_ERR_MEMORY. */
mv_status mv_team_new(mv_team **team, int n_thread, mv_error *err);
void mv_team_free(mv_team *team); /* accepts NULL */
int mv_team_threads(const mv_team *team);

/* Calls part for all iterations [0, n), in runs, in any order and at the same time; returns when
 * all are done. A NULL team is the caller alone. One loop at a time. */
void mv_team_run(mv_team *team, int n, mv_team_part *part, const void *loop);

/* Cores that this process may use: 1 at least. */
int mv_core_count(void);

/* Starts a thread that receives no signals: those are for the program's own. Returns whether it
 * runs. */
int mv_thread_start(pthread_t *thread, void *(*work)(void *), void *user);

#ifdef __cplusplus
}
#endif
#endif
