/* The data sets' tables: for each data set and task its modality, description and labels.
 *
 *   {"AMOS22": {"detection": [{"image_modality": "CT", "labels_map": {"1": "spleen", ...}}, ...],
 *               "segmentation": [...], "biometry": [...]}, ...}
 *
 * A list's index is the task number less one. The built-in one holds what the repository of the
 * benchmark published; --plan FILE takes another.
 */
#ifndef MV_TASKS_PLAN_H
#define MV_TASKS_PLAN_H

#include "runtime/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialise; owns; free with mv_plan_free. */
typedef struct mv_plan {
  mv_json_doc doc;
} mv_plan;

/* From a file, or the built-in tables when path is NULL. */
mv_status mv_plan_load(mv_plan *plan, const char *path, mv_error *err);
void mv_plan_free(mv_plan *plan);

/* The entry of a data set, kind ("detection", "segmentation", "biometry") and task ("01"); NULL
 * when there is none. */
const mv_json *mv_plan_task(const mv_plan *plan, mv_str dataset, const char *kind, mv_str task_id);
/* The name of a label in the task's labels_map, or an empty string. `label` is a number, or its
 * digits. */
mv_str mv_plan_label(const mv_json *task, const mv_json *label);
/* A member that is a string, or an empty string. */
mv_str mv_plan_text(const mv_json *task, const char *key);

/* "MR", "CT", "US", "XR", "PET", or the modality as it is written. */
mv_str mv_modality_short(mv_str modality);

#ifdef __cplusplus
}
#endif
#endif
