/* Digits that nobody can guess: where one comes next and rows are idle, all ten are tried at once,
 * after the drafts before it. The one that the model then picks has its successor computed already:
 * two tokens where drafts give one.
 *
 *   newest  drafts   digit           rows     a run of one sequence each
 *   "("     "0" "."  ?               "(" "0" "."      the request's own pages
 *                    0 ... 9         "0"              its full pages, a page of its own
 *                                    ...
 *                                    "9"              its full pages, a page of its own
 *
 * Sums over keys are in the order of slots, and an answer's bits must not depend on drafts. So
 * every digit has the slot that it has without drafts, in a page of its own; what comes before it
 * in that page is copied there in every layer, as soon as the step's own keys are in the first
 * (mv_batch.echo). The digit that was right moves to the request's page.
 */
#ifndef MV_RUNTIME_BRANCH_H
#define MV_RUNTIME_BRANCH_H

#include "runtime/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the engine's n_spare is: as options or the device say. */
int mv_branch_spare(const mv_engine *engine);
/* Chooses who tries digits in this step, drafts being made; n_row rows of the step are tokens, of
 * n_want more the logits may be wanted. Takes their pages. */
void mv_branch_plan(mv_engine *engine, int n_row, int n_want);
/* The page table that digit k is computed with. */
const int32_t *mv_branch_pages(const mv_job *job, int k);
/* Appends to moves[] what its pages need; returns how many. */
int mv_branch_echo(const mv_job *job, mv_kv_move *moves);
/* Digit k was right: its keys and values become the request's. */
void mv_branch_keep(mv_engine *engine, const mv_job *job, int k);
/* Gives the pages back. */
void mv_branch_drop(mv_engine *engine, mv_job *job);

#ifdef __cplusplus
}
#endif
#endif
