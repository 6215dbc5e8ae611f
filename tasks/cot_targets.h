/* The answers the model was trained to give: reasoning steps with every number filled in.
 *
 * They train the tiny checkpoint and seed the templates of speculative decoding. Lengths and
 * angles are recomputed from the landmarks with the original's float32 steps, not taken from the
 * ground truth.
 */
#ifndef MV_TASKS_COT_TARGETS_H
#define MV_TASKS_COT_TARGETS_H

#include "runtime/error.h"
#include "runtime/text.h"
#include "tasks/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Strings are borrowed. */
typedef struct mv_cot_target {
  mv_task task;
  mv_str label;                           /* detect, size */
  mv_str names[MV_TASK_MAX_LANDMARKS];    /* distance: 2; angle: line 1, line 2 */
  mv_point points[MV_TASK_MAX_LANDMARKS]; /* detect: lower left, upper right; size: major axis,
                                             minor axis; distance, angle: as `names` */
  mv_spacing spacing;                     /* not for detect */
} mv_cot_target;

/* Appends "<think> ... </think> <answer> ... </answer>", one line. */
mv_status mv_cot_target_render(const mv_cot_target *target, mv_buf *out, mv_error *err);

/* Appends the bare answer of the prompts without steps: n values as "%.3f" joined by ", "; a
 * distance or angle as Python prints a float. */
void mv_bare_target_render(mv_task task, const double *values, mv_buf *out);

/* The relative point of a pixel: row and column index in a raw image of height x width. */
mv_point mv_point_of_pixel(double row, double column, int height, int width);

#ifdef __cplusplus
}
#endif
#endif
