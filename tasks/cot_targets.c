/* Every float below is rounded to float32 exactly where numpy rounded it. */
#include "tasks/cot_targets.h"

#include <math.h>
#include <string.h>

#include "runtime/pyfloat.h"
#include "tasks/prompt_strings.h"

/* One <slot> of a template: a string, an integer or a number printed "%.3f". */
typedef struct slot {
  const char *name; /* without the angle brackets */
  mv_str text;      /* where its ptr is not NULL */
  int integer;      /* else, where positive       */
  double number;    /* else                       */
} slot;

#define MAX_SLOTS 24

typedef struct slots {
  slot v[MAX_SLOTS];
  int n;
} slots;

static void put_text(slots *s, const char *name, mv_str text) {
  s->v[s->n++] = (slot){.name = name, .text = text.ptr ? text : mv_str_of("")};
}

static void put_int(slots *s, const char *name, int integer) {
  s->v[s->n++] = (slot){.name = name, .integer = integer};
}

static void put_number(slots *s, const char *name, double number) {
  s->v[s->n++] = (slot){.name = name, .number = number};
}

static void put_point(slots *s, const char *x_name, const char *y_name, mv_point point) {
  put_number(s, x_name, point.x);
  put_number(s, y_name, point.y);
}

static void put_spacing(slots *s, const mv_spacing *spacing) {
  put_number(s, "pixel_width", (double)spacing->pixel_w);
  put_number(s, "pixel_height", (double)spacing->pixel_h);
  put_int(s, "image_width", spacing->image_w);
  put_int(s, "image_height", spacing->image_h);
}

static void render_slot(mv_buf *out, const slot *s) {
  if (s->text.ptr) {
    mv_buf_str(out, s->text);
  } else if (s->integer > 0) {
    mv_buf_printf(out, "%d", s->integer);
  } else {
    mv_pyfloat_fixed3(out, s->number);
  }
}

/* The slot that `text` (at a '<') begins with, or NULL; tags such as <think> are not slots. */
static const slot *find_slot(const slots *s, const char *text) {
  for (int i = 0; i < s->n; i++) {
    size_t n = strlen(s->v[i].name);
    if (strncmp(text + 1, s->v[i].name, n) == 0 && text[n + 1] == '>') return &s->v[i];
  }
  return NULL;
}

static void fill(mv_buf *out, const char *template, const slots *s) {
  while (*template) {
    size_t n = strcspn(template, "<");
    mv_buf_add(out, template, n);
    template += n;
    if (!*template) break;
    const slot *found = find_slot(s, template);
    if (found) {
      render_slot(out, found);
      template += strlen(found->name) + 2;
    } else {
      mv_buf_char(out, *template ++);
    }
  }
}

/* ---- the arithmetic ---- */

typedef struct vector {
  float x, y; /* mm */
} vector;

static vector span(mv_point p, mv_point q, const mv_spacing *s) {
  float dx = (float)(q.x - p.x), dy = (float)(q.y - p.y);
  dx = dx * (float)s->image_w;
  dy = dy * (float)s->image_h;
  return (vector){dx * s->pixel_w, dy * s->pixel_h};
}

static float dot(vector a, vector b) {
  float x = a.x * b.x, y = a.y * b.y;
  return x + y;
}

static float angle_rad(vector a, vector b) {
  float norms = sqrtf(dot(a, a)) * sqrtf(dot(b, b));
  return acosf(fabsf(dot(a, b)) / norms);
}

static float degrees(float radians) { return radians * (float)(180.0 / 3.14159265358979323846); }

/* ---- the four templates ---- */

static void render_detect(const mv_cot_target *t, slots *s, mv_buf *out) {
  put_text(s, "label_name", t->label);
  put_point(s, "coor0_w", "coor0_h", t->points[0]);
  put_point(s, "coor1_w", "coor1_h", t->points[1]);
  fill(out, mv_cot_template_detection, s);
}

static void render_size(const mv_cot_target *t, slots *s, mv_buf *out) {
  vector major = span(t->points[0], t->points[1], &t->spacing);
  vector minor = span(t->points[2], t->points[3], &t->spacing);
  put_text(s, "label", t->label);
  put_point(s, "x1_major", "y1_major", t->points[0]);
  put_point(s, "x2_major", "y2_major", t->points[1]);
  put_point(s, "x1_minor", "y1_minor", t->points[2]);
  put_point(s, "x2_minor", "y2_minor", t->points[3]);
  put_spacing(s, &t->spacing);
  put_number(s, "major_axis_length", sqrt((double)dot(major, major))); /* sqrt in double here, */
  put_number(s, "minor_axis_length", sqrt((double)dot(minor, minor)));
  fill(out, mv_cot_template_tl_norm, s);
}

static void render_distance(const mv_cot_target *t, slots *s, mv_buf *out) {
  vector v = span(t->points[0], t->points[1], &t->spacing);
  put_text(s, "landmark 1", t->names[0]);
  put_text(s, "landmark 2", t->names[1]);
  put_point(s, "x1", "y1", t->points[0]);
  put_point(s, "x2", "y2", t->points[1]);
  put_spacing(s, &t->spacing);
  put_number(s, "distance", (double)sqrtf(dot(v, v))); /* in float here, as in the original */
  fill(out, mv_cot_template_distance, s);
}

static void render_angle(const mv_cot_target *t, slots *s, mv_buf *out) {
  static const char *const names[] = {"landmark 1", "landmark 2", "landmark 3", "landmark 4"};
  vector a = span(t->points[0], t->points[1], &t->spacing);
  vector b = span(t->points[2], t->points[3], &t->spacing);
  float radians = angle_rad(a, b);
  for (int i = 0; i < 4; i++) put_text(s, names[i], t->names[i]);
  put_point(s, "x1_line1", "y1_line1", t->points[0]);
  put_point(s, "x2_line1", "y2_line1", t->points[1]);
  put_point(s, "x1_line2", "y1_line2", t->points[2]);
  put_point(s, "x2_line2", "y2_line2", t->points[3]);
  put_spacing(s, &t->spacing);
  put_point(s, "Ax", "Ay", (mv_point){(double)a.x, (double)a.y});
  put_point(s, "Bx", "By", (mv_point){(double)b.x, (double)b.y});
  put_number(s, "angle", (double)radians);
  put_number(s, "angle_degree", (double)degrees(radians));
  fill(out, mv_cot_template_angle, s);
}

mv_status mv_cot_target_render(const mv_cot_target *target, mv_buf *out, mv_error *err) {
  slots s = {.n = 0};
  switch (target->task) {
    case MV_TASK_DETECT:
      render_detect(target, &s, out);
      break;
    case MV_TASK_SIZE:
      render_size(target, &s, out);
      break;
    case MV_TASK_DISTANCE:
      render_distance(target, &s, out);
      break;
    case MV_TASK_ANGLE:
      render_angle(target, &s, out);
      break;
  }
  return mv_buf_status(out, err);
}

void mv_bare_target_render(mv_task task, const double *values, mv_buf *out) {
  if (task == MV_TASK_DISTANCE || task == MV_TASK_ANGLE) {
    char repr[MV_PYFLOAT_BYTES];
    mv_pyfloat_repr(values[0], repr);
    mv_buf_text(out, repr);
    return;
  }
  for (int i = 0; i < mv_task_values(task); i++) {
    if (i) mv_buf_text(out, ", ");
    mv_pyfloat_fixed3(out, values[i]);
  }
}

mv_point mv_point_of_pixel(double row, double column, int height, int width) {
  return (mv_point){column / width, 1 - row / height};
}
