/* What a sample is called in the tables. */
#ifndef MV_TASKS_EVAL_NAMES_H
#define MV_TASKS_EVAL_NAMES_H

#include "tasks/eval_score.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where the plan does not have a data set, the doc's own "label_name" and "modality" stand in, so
 * that a manifest of one's own can be summarised. */

/* The label of a sample by the plan of `kind`; by_target takes the plan's target_label instead of
 * the doc's. Empty when there is none. Fills the modality. */
mv_str mv_sample_label(const mv_plan *plan, const mv_sample *sample, const char *kind,
                       int by_target, mv_str *modality);

/* Whether the plan has the sample's task; if not, its label may be any. */
int mv_sample_is_planned(const mv_plan *plan, const mv_sample *sample, const char *kind);

/* Appends "Liver @ CT (A)". 0 when the sample has no label and is left out. MV_ERR_FORMAT for a
 * label without a group. */
mv_status mv_name_box_group(const mv_plan *plan, const mv_sample *sample, mv_buf *out, int *has,
                            mv_error *err);
mv_status mv_name_size_group(const mv_plan *plan, const mv_sample *sample, mv_buf *out, int *has,
                             mv_error *err);
/* "FeTA24_distance_L-5-6" */
mv_status mv_name_ad_label(const mv_sample *sample, mv_buf *out, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
