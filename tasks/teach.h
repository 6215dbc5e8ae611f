/* What answers of the four tasks look like, told to an engine so that it can draft them. */
#ifndef MV_TASKS_TEACH_H
#define MV_TASKS_TEACH_H

#include "runtime/medvision.h"
#include "tasks/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Appends a made-up prompt of the task and its answer. */
mv_status mv_teach_example(mv_task task, mv_buf *prompt, mv_buf *answer, mv_error *err);

/* Teaches one example of every task: the prompt and the answer that training gives it, with a label
 * and numbers that occur nowhere else. `system` is the system message requests will have. */
mv_status mv_teach_tasks(mv_engine *engine, mv_str system, mv_error *err);

/* What an earlier process learned and saved there; a file that is not there yet is nothing. */
mv_status mv_teach_from(mv_engine *engine, const char *path, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
