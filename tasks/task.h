/* The four measurements, and what each has to do with numbers. */
#ifndef MV_TASKS_TASK_H
#define MV_TASKS_TASK_H

#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mv_task {
  MV_TASK_DETECT = 0, /* a box: lower-left and upper-right corner, relative coordinates  */
  MV_TASK_SIZE,       /* lengths of the major and minor axis of a lesion                  */
  MV_TASK_DISTANCE,   /* between two landmarks                                            */
  MV_TASK_ANGLE       /* acute, between two lines of two landmarks each; degrees          */
} mv_task;

#define MV_TASK_COUNT 4
#define MV_TASK_MAX_VALUES 4    /* numbers in an answer  */
#define MV_TASK_MAX_LANDMARKS 4 /* points in the steps   */

const char *mv_task_name(mv_task task);            /* "detect", "size", "distance", "angle" */
int mv_task_from_name(mv_str name, mv_task *task); /* 1 when known */
int mv_task_values(mv_task task);                  /* 4, 2, 1, 1 */
int mv_task_landmarks(mv_task task);               /* 2, 4, 2, 4 */
static inline int mv_task_has_spacing(mv_task task) { return task != MV_TASK_DETECT; }

/* A point in relative image coordinates: origin lower left, x right, y up, 1 = the image's side. */
typedef struct mv_point {
  double x, y;
} mv_point;

/* The image as the model sees it, after every resize. Pixel sizes are of that image, in mm. */
typedef struct mv_spacing {
  int image_w, image_h;
  float pixel_w, pixel_h;
} mv_spacing;

#ifdef __cplusplus
}
#endif
#endif
