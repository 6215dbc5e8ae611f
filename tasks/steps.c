#include "tasks/steps.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/memory.h"

static int starts_with(mv_str text, size_t at, const char *word) {
  size_t n = strlen(word);
  return text.len - at >= n && memcmp(text.ptr + at, word, n) == 0;
}

static size_t next_angle(mv_str text, size_t at) {
  const char *hit = at < text.len ? memchr(text.ptr + at, '<', text.len - at) : NULL;
  return hit ? (size_t)(hit - text.ptr) : text.len;
}

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* ---- tags ---- */

typedef enum tag_kind { TAG_NONE = 0, TAG_REASONING, TAG_ANSWER, TAG_CLOSE, TAG_OTHER } tag_kind;

typedef struct tag {
  tag_kind kind;
  int number;
  size_t end; /* past its '>' */
} tag;

/* "<step-12-reasoning>" or "<step-12-answer>" at `at`. */
static tag step_tag(mv_str text, size_t at) {
  tag t = {TAG_NONE, 0, at};
  if (!starts_with(text, at, "<step-")) return t;
  size_t digits = at + strlen("<step-"), pos = digits;
  while (pos < text.len && pos - digits < 6 && text.ptr[pos] >= '0' && text.ptr[pos] <= '9')
    t.number = t.number * 10 + (text.ptr[pos++] - '0');
  if (pos == digits) return t;
  if (starts_with(text, pos, "-reasoning>")) {
    t.kind = TAG_REASONING;
    t.end = pos + strlen("-reasoning>");
  } else if (starts_with(text, pos, "-answer>")) {
    t.kind = TAG_ANSWER;
    t.end = pos + strlen("-answer>");
  }
  return t;
}

/* A tag that ends a step, at a '<'. */
static tag tag_at(mv_str text, size_t at) {
  static const char *const others[] = {"<think>", "</think>", "<answer>", "</answer>"};
  tag t = step_tag(text, at);
  if (t.kind != TAG_NONE) return t;
  t.end = at + 1;
  if (starts_with(text, at, "</step-")) t.kind = TAG_CLOSE;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (starts_with(text, at, others[i])) t.kind = TAG_OTHER;
  return t;
}

static mv_str inside_think(mv_str text) {
  size_t from = 0, to;
  for (size_t at = next_angle(text, 0); at < text.len; at = next_angle(text, at + 1)) {
    if (!starts_with(text, at, "<think>")) continue;
    from = at + strlen("<think>");
    break;
  }
  for (to = next_angle(text, from); to < text.len; to = next_angle(text, to + 1))
    if (starts_with(text, to, "</think>")) break;
  mv_str inside = {text.ptr + from, to - from};
  return inside;
}

/* ---- steps ---- */

static mv_step *add_step(mv_steps *steps, int number) {
  if (steps->n == steps->cap) {
    size_t cap = steps->cap ? steps->cap * 2 : 8, n_bytes;
    if (!mv_mul_size(cap, sizeof *steps->v, &n_bytes)) return NULL;
    mv_step *v = mv_realloc(steps->v, n_bytes);
    if (!v) return NULL;
    steps->v = v;
    steps->cap = cap;
  }
  mv_step *step = &steps->v[steps->n++];
  *step = (mv_step){number, mv_str_of(""), mv_str_of("")};
  return step;
}

/* An answer belongs to the step before it when that has the same number and no answer yet. */
static mv_status put_step(mv_steps *steps, tag t, mv_str content, mv_error *err) {
  mv_step *step = steps->n ? &steps->v[steps->n - 1] : NULL;
  int joins = t.kind == TAG_ANSWER && step && step->number == t.number && !step->answer.len;
  if (!joins) step = add_step(steps, t.number);
  if (!step) return mv_fail(err, MV_ERR_MEMORY, "out of memory for %zu steps", steps->n + 1);
  if (t.kind == TAG_ANSWER) {
    step->answer = content;
  } else {
    step->reasoning = content;
  }
  return MV_OK;
}

mv_status mv_steps_parse(mv_str text, mv_steps *steps, mv_error *err) {
  mv_str body = inside_think(text);
  steps->n = 0;
  for (size_t at = next_angle(body, 0); at < body.len;) {
    tag open = step_tag(body, at);
    if (open.kind == TAG_NONE) {
      at = next_angle(body, at + 1);
      continue;
    }
    size_t end = next_angle(body, open.end);
    while (end < body.len && tag_at(body, end).kind == TAG_NONE) end = next_angle(body, end + 1);
    mv_str content = {body.ptr + open.end, end - open.end};
    MV_TRY(put_step(steps, open, mv_str_strip(content), err));
    at = end;
  }
  return MV_OK;
}

void mv_steps_free(mv_steps *steps) {
  mv_free(steps->v);
  memset(steps, 0, sizeof *steps);
}

/* ---- landmarks ---- */

#define MAX_NUMBER_BYTES 64

static size_t skip_space(mv_str s, size_t at) {
  while (at < s.len && is_space(s.ptr[at])) at++;
  return at;
}

/* A decimal number at `at`; returns past it, or `at`. */
static size_t read_number(mv_str s, size_t at, double *value) {
  char digits[MAX_NUMBER_BYTES];
  size_t n = 0;
  while (at + n < s.len && n < sizeof digits - 1 && s.ptr[at + n] &&
         strchr("+-.0123456789eE", s.ptr[at + n])) {
    digits[n] = s.ptr[at + n];
    n++;
  }
  digits[n] = 0;
  char *end;
  *value = strtod(digits, &end);
  return at + (size_t)(end - digits);
}

/* "(x, y)" at the parenthesis `at`; returns past it, or `at`. */
static size_t read_pair(mv_str s, size_t at, mv_point *point) {
  size_t from = skip_space(s, at + 1), to = read_number(s, from, &point->x);
  if (to == from) return at;
  to = skip_space(s, to);
  if (to >= s.len || s.ptr[to] != ',') return at;
  from = skip_space(s, to + 1);
  to = read_number(s, from, &point->y);
  if (to == from) return at;
  to = skip_space(s, to);
  return to < s.len && s.ptr[to] == ')' ? to + 1 : at;
}

/* The last `n` pairs of an answer. */
static int read_pairs(mv_str answer, int n, mv_point *points) {
  int count = 0;
  for (size_t at = 0; at < answer.len;) {
    mv_point point;
    size_t end = answer.ptr[at] == '(' ? read_pair(answer, at, &point) : at;
    if (end == at) {
      at++;
      continue;
    }
    if (count == n) memmove(points, points + 1, (size_t)(n - 1) * sizeof *points);
    points[count < n ? count++ : n - 1] = point;
    at = end;
  }
  return count == n;
}

static const mv_step *find_answered(const mv_steps *steps, int number) {
  for (size_t i = 0; i < steps->n; i++)
    if (steps->v[i].number == number && steps->v[i].answer.len) return &steps->v[i];
  return NULL;
}

int mv_steps_landmarks(const mv_steps *steps, mv_task task, mv_point *points) {
  int n_step = task == MV_TASK_DETECT ? 1 : 2, per_step = mv_task_landmarks(task) / n_step;
  for (int i = 0; i < n_step; i++) {
    const mv_step *step = find_answered(steps, i + 1);
    if (!step || !read_pairs(step->answer, per_step, points + i * per_step)) return 0;
  }
  return 1;
}
