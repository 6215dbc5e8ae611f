/* Everything one answer says: its numbers, its steps, its landmarks, and what those landmarks
 * would really measure.
 */
#ifndef MV_TASKS_ANSWER_H
#define MV_TASKS_ANSWER_H

#include "runtime/error.h"
#include "runtime/json.h"
#include "tasks/steps.h"
#include "tasks/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialise; free with mv_answer_free. */
typedef struct mv_answer {
  mv_task task;
  int parsed;                        /* the numbers asked for are there          */
  int n_value;                       /* mv_task_values(task)                     */
  double values[MV_TASK_MAX_VALUES]; /* as written; (float) gives the benchmark's */
  mv_buf numbers;                    /* owns: "24.130,11.070"; empty if unparsed */
  mv_str inner;                      /* borrows: inside <answer>, stripped       */
  mv_steps steps;                    /* borrows from the text                    */
  int n_landmark;                    /* 0, or mv_task_landmarks(task)            */
  mv_point landmarks[MV_TASK_MAX_LANDMARKS];
  int n_recomputed; /* 0 for boxes and without landmarks; else n_value */
  double recomputed[MV_TASK_MAX_VALUES];
  double arithmetic_error[MV_TASK_MAX_VALUES]; /* relative; NaN if unparsed */
} mv_answer;

/* Reads a model's response, whatever it holds; only memory can fail. `text` must outlive `out`.
 * `spacing` may be NULL: then nothing is recomputed. */
mv_status mv_answer_read(mv_answer *out, mv_task task, const mv_spacing *spacing, mv_str text,
                         mv_error *err);
void mv_answer_free(mv_answer *answer); /* accepts a zeroed answer */

/* Adds the members "values" ... "arithmetic_error" to the object open in `w`; `response` is the
 * whole text. What is not known is null. */
void mv_answer_write(const mv_answer *answer, mv_str response, mv_json_writer *w);

#ifdef __cplusplus
}
#endif
#endif
