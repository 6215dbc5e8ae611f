/* The benchmark's names: label -> anatomy group and display name, group -> CT window; and the
 * built-in data set tables.
 */
#ifndef MV_TASKS_LABELS_H
#define MV_TASKS_LABELS_H

#include "runtime/error.h"
#include "runtime/json.h"
#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_label {
  const char *label, *group, *name; /* group: "Brain Tumor/Lesion"; name: as tables print it */
} mv_label;

typedef struct mv_ct_window {
  const char *group;
  int width, level; /* Hounsfield units */
} mv_ct_window;

extern const mv_label mv_labels[]; /* sorted by label */
extern const int mv_n_label;
extern const mv_ct_window mv_ct_windows[];
extern const int mv_n_ct_window;
extern const char *const mv_plan_builtin[]; /* pieces of one JSON text */
extern const int mv_n_plan_builtin;

const mv_label *mv_label_find(mv_str label); /* NULL when the tables do not have it */

/* What chooses the mapping of a slice to 8 bits. Empty label: none. */
typedef struct mv_intensity {
  mv_str modality, label, dataset, task_id, task_type;
} mv_intensity;

/* The window of the benchmark's CT rule, or width 0 for percentiles. MV_ERR_USAGE for a CT label
 * that the tables do not have. */
mv_status mv_intensity_window(const mv_intensity *what, int *width, int *level, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
