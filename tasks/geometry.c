#include "tasks/geometry.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DEGREES (180.0 / 3.14159265358979323846)

typedef struct vector {
  double x, y; /* mm */
} vector;

/* The value the prompt states. */
static double as_printed(float pixel) {
  char text[64];
  snprintf(text, sizeof text, "%.3f", (double)pixel);
  return strtod(text, NULL);
}

static vector span(mv_point p, mv_point q, const mv_spacing *s) {
  return (vector){(q.x - p.x) * s->image_w * as_printed(s->pixel_w),
                  (q.y - p.y) * s->image_h * as_printed(s->pixel_h)};
}

static double length(vector v) { return sqrt(v.x * v.x + v.y * v.y); }

/* Degrees; the quotient of two parallel lines may round to more than 1. */
static double acute_angle(vector a, vector b) {
  double cosine = fabs(a.x * b.x + a.y * b.y) / (length(a) * length(b));
  return acos(cosine > 1 ? 1 : cosine) * DEGREES;
}

void mv_measure(mv_task task, const mv_point *p, const mv_spacing *spacing, double *values) {
  switch (task) {
    case MV_TASK_DETECT:
      values[0] = p[0].x;
      values[1] = p[0].y;
      values[2] = p[1].x;
      values[3] = p[1].y;
      break;
    case MV_TASK_SIZE:
      values[0] = length(span(p[0], p[1], spacing));
      values[1] = length(span(p[2], p[3], spacing));
      break;
    case MV_TASK_DISTANCE:
      values[0] = length(span(p[0], p[1], spacing));
      break;
    case MV_TASK_ANGLE:
      values[0] = acute_angle(span(p[0], p[1], spacing), span(p[2], p[3], spacing));
      break;
  }
}

double mv_relative_error(double said, double computed) {
  return said == computed ? 0 : fabs(said - computed) / fabs(computed);
}

static double overlap(double a0, double a1, double b0, double b1) {
  return fmin(fmax(a0, a1), fmax(b0, b1)) - fmax(fmin(a0, a1), fmin(b0, b1));
}

static double area(const double box[4]) { return fabs(box[2] - box[0]) * fabs(box[3] - box[1]); }

double mv_box_iou(const double a[4], const double b[4]) {
  double w = overlap(a[0], a[2], b[0], b[2]), h = overlap(a[1], a[3], b[1], b[3]);
  if (!(w > 0 && h > 0)) return 0;
  return fmin(w * h / (area(a) + area(b) - w * h), 1);
}

float mv_pixel_size(float raw_mm, int raw, int reshape, int model) {
  float size = raw_mm;
  if (reshape) size = size / (float)((double)reshape / raw);
  float ratio = (float)model / (float)(reshape ? reshape : raw);
  float inverse = 1.0f / ratio;
  return inverse * size;
}

/* ---- the benchmark's ground truth ---- */

/* numpy's dot product of three doubles, which its BLAS fuses. */
static double dot3(const double a[3], const double b[3]) {
  return fma(a[2], b[2], fma(a[1], b[1], a[0] * b[0]));
}

static void span3(const double p[3], const double q[3], const float zooms[3], double out[3]) {
  for (int i = 0; i < 3; i++) out[i] = q[i] * (double)zooms[i] - p[i] * (double)zooms[i];
}

double mv_voxel_distance(const double p[3], const double q[3], const float zooms[3]) {
  double d[3];
  span3(p, q, zooms, d);
  return sqrt(dot3(d, d));
}

double mv_voxel_angle(const double points[4][3], const float zooms[3]) {
  double a[3], b[3];
  span3(points[0], points[1], zooms, a);
  span3(points[2], points[3], zooms, b);
  return acos(fabs(dot3(a, b)) / (sqrt(dot3(a, a)) * sqrt(dot3(b, b)))) * DEGREES;
}

void mv_box_of_pixels(const int min[2], const int max[2], int height, int width, double box[4]) {
  box[0] = (double)min[1] / width;
  box[1] = (double)(height - max[0]) / height;
  box[2] = (double)max[1] / width;
  box[3] = (double)(height - min[0]) / height;
}

double mv_image_diagonal(int height, int width, float pixel_h, float pixel_w) {
  double h = height * (double)pixel_h, w = width * (double)pixel_w;
  return sqrt(h * h + w * w);
}

double mv_round_f16(double x) {
  if (!(fabs(x) < 65520.0)) return isnan(x) ? x : copysign(INFINITY, x);
  int exponent;
  frexp(x, &exponent); /* |x| = [0.5, 1) * 2^exponent; 11 bits, fewer below 2^-14 */
  double unit = ldexp(1.0, (exponent < -13 ? -13 : exponent) - 11);
  return nearbyint(x / unit) * unit;
}
