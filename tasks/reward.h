/* The rewards of the training recipe, for one rollout.
 *
 *   r = format + process * answer
 *
 *   format    0.8 for the tags in their order, 0.2 for an answer of the right form; a box has both
 *             or nothing
 *   process   the mean over the task's steps of exp(-error): for landmarks the larger of the two
 *             ends' displacements over sqrt 2, in the better of both orders; for a length or angle
 *             the relative error; a step that is missing counts 0
 *   answer    exp(-MRE); for boxes exp(-(1 - CIoU) / 2); 0 when there is none
 *
 * As the benchmark's contract describes them: no recorded rewards exist to hold this to.
 */
#ifndef MV_TASKS_REWARD_H
#define MV_TASKS_REWARD_H

#include "runtime/error.h"
#include "tasks/metrics.h"
#include "tasks/task.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_REWARD_MAX_STEPS 4

typedef struct mv_reward {
  double structure, answer_form; /* 0 or 1 */
  double format, process, answer, total;
  int n_step;
  double steps[MV_REWARD_MAX_STEPS]; /* exp(-error) of each, 0 when missing */
} mv_reward;

/* `truth` has mv_task_values(task) numbers, `landmarks` mv_task_landmarks(task) points. */
mv_status mv_reward_score(mv_task task, mv_str response, const double *truth,
                          const mv_point *landmarks, mv_reward *out, mv_error *err);

/* Complete intersection over union of two boxes: overlap, distance of centres, aspect. */
double mv_box_ciou(const double a[4], const double b[4]);

#ifdef __cplusplus
}
#endif
#endif
