/* The prompts the model is measured with, exact to the byte.
 *
 * One prompt is: task line, spacing (not for boxes), form of the answer, steps. The wording is
 * the benchmark's; what the model saw in training differs in three places and is an option.
 */
#ifndef MV_TASKS_PROMPTS_H
#define MV_TASKS_PROMPTS_H

#include "runtime/error.h"
#include "runtime/text.h"
#include "tasks/task.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mv_cot {
  MV_COT_STEPS = 0, /* reasoning steps spelled out ("cot": true)                           */
  MV_COT_NONE,      /* a bare answer (false)                                               */
  MV_COT_NO_STEPS   /* the form of the steps' answer alone ("no-steps"); boxes have no such
                       form and get the bare prompt                                        */
} mv_cot;

typedef enum mv_wording {
  MV_WORDING_BENCHMARK = 0,
  MV_WORDING_TRAINING /* "corner", the short box format with steps, degrees for angle pixels */
} mv_wording;

/* All strings are borrowed and printed verbatim. */
typedef struct mv_prompt {
  mv_task task;
  mv_cot cot;
  mv_wording wording;
  mv_str description;                   /* of the image; may be empty                    */
  mv_str label;                         /* detect, size                                  */
  mv_str name;                          /* distance, angle: of the measure; may be empty */
  mv_str unit;                          /* "mm", "cm", "degree"; not for detect          */
  mv_str points[MV_TASK_MAX_LANDMARKS]; /* distance: 2 names; angle: line 1, line 2      */
  mv_spacing spacing;                   /* not for detect                                */
} mv_prompt;

/* Appends the prompt. MV_ERR_USAGE for an unknown unit. */
mv_status mv_prompt_render(const mv_prompt *prompt, mv_buf *out, mv_error *err);

/* "mm" -> "millimeters", "cm" -> "centimeters", "degree" -> "degrees"; NULL for anything else. */
const char *mv_unit_word(mv_str unit);
/* The unit a task has when none is named: "mm", angles "degree". */
mv_str mv_unit_default(mv_task task);

/* The system message the benchmark and reinforcement training use. */
mv_str mv_prompt_system(void);

#ifdef __cplusplus
}
#endif
#endif
