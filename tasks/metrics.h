/* The benchmark's numbers for one answer, exact to the last bit.
 *
 * Two scorers that differ in small ways: the one that runs with the model (mv_eval_metrics, whose
 * results are logged) and the one that parses the logs afterwards (mv_sample_metrics, whose results
 * make the tables). What is mixed precision in the original is mixed here: predictions are float32,
 * targets float64.
 */
#ifndef MV_TASKS_METRICS_H
#define MV_TASKS_METRICS_H

#include "runtime/error.h"
#include "runtime/json.h"
#include "tasks/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The three families that files and tables come in. */
typedef enum mv_family { MV_FAMILY_DETECT = 0, MV_FAMILY_SIZE, MV_FAMILY_AD } mv_family;

int mv_family_values(mv_family family); /* 4, 2, 1 */
static inline mv_family mv_family_of(mv_task task) {
  return task == MV_TASK_DETECT ? MV_FAMILY_DETECT
         : task == MV_TASK_SIZE ? MV_FAMILY_SIZE
                                : MV_FAMILY_AD;
}

/* A target as logged: a Python number or list of numbers. */
typedef struct mv_target {
  int n, is_list;
  double v[MV_TASK_MAX_VALUES];
} mv_target;

/* MV_ERR_FORMAT for anything that is not one to four numbers. */
mv_status mv_target_parse(mv_str text, mv_target *out, mv_error *err);
/* As Python prints it: "[74.0, 36.0]" for a list, "29.453125" for a scalar. */
void mv_target_print(const mv_target *target, mv_buf *out);

typedef struct mv_scores {
  int success;
  double mae, mre;                   /* NaN after a failure; mre not for boxes */
  double iou, f1, precision, recall; /* boxes: 0 after a failure */
  int precision_is_weak;             /* a plain Python number: there is no overlap to divide */
  int precision_is_f32;              /* the original holds it in float32: matters in sums */
} mv_scores;

/* Scores an extracted answer ("24.1,11.0"). MV_ERR_FORMAT when the target has neither one number
 * nor as many as the family. */
mv_status mv_sample_metrics(mv_family family, mv_str answer, const mv_target *target,
                            mv_scores *out, mv_error *err);

/* What the scorer beside the model logs: the members "avgMAE" ... of the object open in `w`.
 * `diagonal` is that of the image in mm, NaN when not known; `is_angle` leaves nMAE out. */
void mv_eval_metrics_write(mv_family family, int is_angle, mv_str response, const mv_target *target,
                           double diagonal, mv_json_writer *w);

/* ---- numpy's sums ---- */

/* numpy.sum of float64: eight lanes and pairwise halves. */
double mv_np_sum(const double *v, size_t n);

/* A sum as Python makes it of values of mixed types: float32 until a float64 comes. */
typedef struct mv_mixed_sum {
  double sum;
  int has_f32, has_f64;
} mv_mixed_sum;
/* A plain Python number (weak) leaves the type as it is. */
void mv_mixed_add(mv_mixed_sum *sum, double value, int is_f32, int is_weak);
double mv_mixed_mean(const mv_mixed_sum *sum, size_t n);

#ifdef __cplusplus
}
#endif
#endif
