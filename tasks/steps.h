/* The reasoning steps of an answer, and the landmarks in them.
 *
 *   <think> <step-1-reasoning> ... </step-1-reasoning> <step-1-answer> ... (0.412, 0.412),
 *   (0.429, 0.478). </step-1-answer> <step-2-reasoning> ...
 *
 * Text may be cut off anywhere or hold anything: a step ends at its closing tag, at the next tag
 * of a step, of <think> or of <answer>, or where the text ends.
 */
#ifndef MV_TASKS_STEPS_H
#define MV_TASKS_STEPS_H

#include <stddef.h>

#include "runtime/error.h"
#include "runtime/text.h"
#include "tasks/task.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_step {
  int number;               /* the k of <step-k-...> */
  mv_str reasoning, answer; /* borrow from the text; stripped; empty when absent */
} mv_step;

/* Zero-initialise; owns `v`; free with mv_steps_free. */
typedef struct mv_steps {
  mv_step *v;
  size_t n, cap;
} mv_steps;

/* Reads the steps of the first <think>...</think> (of the whole text where there is no <think>).
 * `text` must outlive them. */
mv_status mv_steps_parse(mv_str text, mv_steps *steps, mv_error *err);
void mv_steps_free(mv_steps *steps);

/* The landmarks a task's steps name: fills mv_task_landmarks(task) points and returns 1, or
 * returns 0 when a step or a coordinate pair is missing. Where a step's answer holds more pairs
 * than the step has landmarks, its last ones count. */
int mv_steps_landmarks(const mv_steps *steps, mv_task task, mv_point *points);

#ifdef __cplusplus
}
#endif
#endif
