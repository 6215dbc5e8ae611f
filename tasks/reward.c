#include "tasks/reward.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tasks/geometry.h"
#include "tasks/parse.h"
#include "tasks/steps.h"

static int n_steps(mv_task task) {
  static const int n[MV_TASK_COUNT] = {1, 4, 3, 3};
  return n[task];
}

/* ---- format ---- */

static mv_str skip_space(mv_str s) {
  while (s.len && (*s.ptr == ' ' || *s.ptr == '\n' || *s.ptr == '\t' || *s.ptr == '\r'))
    s.ptr++, s.len--;
  return s;
}

static int eat(mv_str *s, const char *tag) {
  size_t n = strlen(tag);
  *s = skip_space(*s);
  if (s->len < n || memcmp(s->ptr, tag, n) != 0) return 0;
  s->ptr += n, s->len -= n;
  return 1;
}

/* Past the next `tag`; what is before it holds no other tag of ours. */
static int eat_through(mv_str *s, const char *tag) {
  size_t n = strlen(tag);
  for (; s->len >= n; s->ptr++, s->len--) {
    if (!memcmp(s->ptr, tag, n)) {
      s->ptr += n, s->len -= n;
      return 1;
    }
    if ((s->len >= 6 && !memcmp(s->ptr, "<step-", 6)) ||
        (s->len >= 7 && (!memcmp(s->ptr, "<think>", 7) || !memcmp(s->ptr, "</think", 7))))
      return 0;
  }
  return 0;
}

static int eat_element(mv_str *s, int step, const char *kind) {
  char open[40], close[40];
  snprintf(open, sizeof open, "<step-%d-%s>", step, kind);
  snprintf(close, sizeof close, "</step-%d-%s>", step, kind);
  return eat(s, open) && eat_through(s, close);
}

/* <think> the task's steps, each with reasoning and answer </think> <answer> ... </answer> */
static int has_structure(mv_task task, mv_str s) {
  if (!eat(&s, "<think>")) return 0;
  for (int step = 1; step <= n_steps(task); step++)
    if (!eat_element(&s, step, "reasoning") || !eat_element(&s, step, "answer")) return 0;
  return eat(&s, "</think>") && eat(&s, "<answer>") && eat_through(&s, "</answer>") &&
         skip_space(s).len == 0;
}

/* The answer is its numbers, commas and at most one pair of parentheses. */
static int has_answer_form(mv_task task, mv_str response) {
  mv_str inner;
  if (!mv_answer_inner(response, &inner)) return 0;
  inner = mv_str_strip(inner);
  int k = mv_task_values(task), wrapped = inner.len > 1 && inner.ptr[0] == '(';
  if (wrapped && (task != MV_TASK_SIZE || inner.ptr[inner.len - 1] != ')')) return 0;
  if (wrapped) inner.ptr++, inner.len -= 2;
  for (int i = 0; i < k; i++) {
    size_t n = 0, digits = 0, dots = 0;
    inner = skip_space(inner);
    if (inner.len && (*inner.ptr == '-' || *inner.ptr == '+')) inner.ptr++, inner.len--;
    for (; n < inner.len && ((inner.ptr[n] >= '0' && inner.ptr[n] <= '9') || inner.ptr[n] == '.');
         n++)
      inner.ptr[n] == '.' ? dots++ : digits++;
    if (!digits || dots > 1) return 0;
    inner.ptr += n, inner.len -= n;
    inner = skip_space(inner);
    if (i + 1 < k && !eat(&inner, ",")) return 0;
  }
  return inner.len == 0;
}

/* ---- steps ---- */

static double displacement(mv_point a, mv_point b) { return hypot(a.x - b.x, a.y - b.y); }

/* Both ends of an axis or line; which is called first does not matter. */
static double pair_error(const mv_point said[2], const mv_point truth[2]) {
  double same = fmax(displacement(said[0], truth[0]), displacement(said[1], truth[1]));
  double crossed = fmax(displacement(said[0], truth[1]), displacement(said[1], truth[0]));
  return fmin(same, crossed) / sqrt(2);
}

static const mv_step *find_step(const mv_steps *steps, int number) {
  for (size_t i = 0; i < steps->n; i++)
    if (steps->v[i].number == number && steps->v[i].answer.len) return &steps->v[i];
  return NULL;
}

/* The points of one step: as if the answer were that of a task with as many. */
static int step_points(const mv_step *step, int n, mv_point *out) {
  mv_step renamed = *step;
  mv_steps one = {&renamed, 1, 1};
  mv_point both[2];
  renamed.number = 1;
  if (n == 2) return mv_steps_landmarks(&one, MV_TASK_DETECT, out);
  mv_step twice[2] = {renamed, renamed};
  twice[1].number = 2;
  mv_steps two = {twice, 2, 2};
  if (!mv_steps_landmarks(&two, MV_TASK_DISTANCE, both)) return 0;
  out[0] = both[0];
  return 1;
}

static double step_number_error(const mv_step *step, double truth) {
  mv_buf text = {0};
  double said, error = INFINITY;
  mv_numbers_last(step->answer, 1, &text);
  if (mv_answer_value(mv_buf_view(&text), 0, &said, NULL) == MV_OK)
    error = fabs(said - truth) / (fabs(truth) + 1e-15);
  mv_buf_free(&text);
  return error;
}

static double step_error(mv_task task, int number, const mv_step *step, const double *truth,
                         const mv_point *landmarks) {
  mv_point said[2];
  int i = number - 1, n_place = task == MV_TASK_DETECT ? 1 : 2;
  if (number > n_place) return step_number_error(step, truth[i - n_place]);
  if (task == MV_TASK_DISTANCE)
    return step_points(step, 1, said) ? displacement(said[0], landmarks[i]) / sqrt(2) : INFINITY;
  return step_points(step, 2, said) ? pair_error(said, landmarks + 2 * i) : INFINITY;
}

/* ---- boxes ---- */

static double aspect(const double b[4]) { return atan2(fabs(b[2] - b[0]), fabs(b[3] - b[1])); }

double mv_box_ciou(const double a[4], const double b[4]) {
  const double pi = 3.14159265358979323846;
  double iou = mv_box_iou(a, b);
  double dx = (a[0] + a[2] - b[0] - b[2]) / 2, dy = (a[1] + a[3] - b[1] - b[3]) / 2;
  double w = fmax(fmax(a[0], a[2]), fmax(b[0], b[2])) - fmin(fmin(a[0], a[2]), fmin(b[0], b[2]));
  double h = fmax(fmax(a[1], a[3]), fmax(b[1], b[3])) - fmin(fmin(a[1], a[3]), fmin(b[1], b[3]));
  double diagonal = w * w + h * h, turn = aspect(a) - aspect(b);
  double v = 4 / (pi * pi) * turn * turn, weight = v > 0 ? v / (1 - iou + v) : 0;
  return iou - (diagonal > 0 ? (dx * dx + dy * dy) / diagonal : 0) - weight * v;
}

static double answer_reward(mv_task task, mv_str response, const double *truth) {
  mv_buf text = {0};
  int k = mv_task_values(task);
  double values[MV_TASK_MAX_VALUES], mre = 0;
  mv_answer_numbers(response, k, &text);
  int found = text.len > 0;
  for (int i = 0; found && i < k; i++)
    found = mv_answer_value(mv_buf_view(&text), i, &values[i], NULL) == MV_OK;
  mv_buf_free(&text);
  if (!found) return 0;
  if (task == MV_TASK_DETECT) return exp(-(1 - mv_box_ciou(values, truth)) / 2);
  for (int i = 0; i < k; i++) mre += fabs(values[i] - truth[i]) / (truth[i] + 1e-15) / k;
  return exp(-mre);
}

mv_status mv_reward_score(mv_task task, mv_str response, const double *truth,
                          const mv_point *landmarks, mv_reward *out, mv_error *err) {
  mv_steps steps = {0};
  memset(out, 0, sizeof *out);
  MV_TRY(mv_steps_parse(response, &steps, err));
  out->structure = has_structure(task, response);
  out->answer_form = has_answer_form(task, response);
  out->format = task == MV_TASK_DETECT ? out->structure * out->answer_form
                                       : 0.8 * out->structure + 0.2 * out->answer_form;
  out->n_step = n_steps(task);
  for (int i = 0; i < out->n_step; i++) {
    const mv_step *step = find_step(&steps, i + 1);
    out->steps[i] = step ? exp(-step_error(task, i + 1, step, truth, landmarks)) : 0;
    out->process += out->steps[i] / out->n_step;
  }
  mv_steps_free(&steps);
  out->answer = answer_reward(task, response, truth);
  out->total = out->format + out->process * out->answer;
  return MV_OK;
}
