/* The text tables of one model, appended to those of the models before it. */
#ifndef MV_TASKS_EVAL_TEXT_H
#define MV_TASKS_EVAL_TEXT_H

#include "tasks/eval_score.h"

#ifdef __cplusplus
extern "C" {
#endif

void mv_print_size(const mv_model_scores *s, mv_buf *out);
void mv_print_ad(const mv_model_scores *s, mv_buf *out);

#ifdef __cplusplus
}
#endif
#endif
