/* Lengths, angles and boxes.
 *
 * Two families that must not be mixed: what the model's own landmarks give (relative coordinates
 * and the spacing printed in its prompt), and what the benchmark's ground truth was computed with
 * (voxel indices and header spacing, numpy's roundings).
 */
#ifndef MV_TASKS_GEOMETRY_H
#define MV_TASKS_GEOMETRY_H

#include "tasks/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- from the model's landmarks ---- */

/* What `points` (mv_task_landmarks(task) of them) measure, by the formula the model is told to
 * use, in double, with pixel sizes as the prompt prints them (three decimals). Fills
 * mv_task_values(task) numbers: corners, millimetres or degrees. An angle with a line of no
 * length is NaN; rounding past parallel is 0. */
void mv_measure(mv_task task, const mv_point *points, const mv_spacing *spacing, double *values);

/* |said - computed| / |computed|; 0 when both are 0. */
double mv_relative_error(double said, double computed);

/* Intersection over union of two boxes [x0, y0, x1, y1], corners in any order; 0 when they do not
 * overlap. */
double mv_box_iou(const double a[4], const double b[4]);

/* ---- the pixel size a prompt states ---- */

/* One axis: the size of a pixel as the model sees it, from that of the raw image (mm, float32).
 * raw -> reshape (0: none) -> model are the pixels along the axis. Float32, bit for bit. */
float mv_pixel_size(float raw_mm, int raw, int reshape, int model);

/* ---- the benchmark's ground truth ---- */

/* Millimetres between two voxels; zooms are the voxel's sides. */
double mv_voxel_distance(const double p[3], const double q[3], const float zooms[3]);
/* Acute angle in degrees between lines p1 p2 and p3 p4; NaN for a line of no length. */
double mv_voxel_angle(const double points[4][3], const float zooms[3]);
/* The relative box of inclusive pixel indices [row, column] in an image of height x width. Its
 * upper and right sides miss the last pixel, as the benchmark's do. */
void mv_box_of_pixels(const int min[2], const int max[2], int height, int width, double box[4]);
/* Of an image of height x width pixels, mm. */
double mv_image_diagonal(int height, int width, float pixel_h, float pixel_w);
/* The nearest float16, as a double: how the data set stores measures. */
double mv_round_f16(double x);

#ifdef __cplusplus
}
#endif
#endif
