#include "tasks/metrics.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/parse.h"

int mv_family_values(mv_family family) {
  static const int n[] = {4, 2, 1};
  return n[family];
}

/* ---- targets ---- */

static const char *skip_blanks(const char *c) {
  while (*c == ' ' || *c == '\t' || *c == '\n') c++;
  return c;
}

static const char *parse_number(const char *c, double *value) {
  const char *digits = c + (*c == '-' || *c == '+');
  char *end;
  if (!isdigit((unsigned char)*digits) && *digits != '.') return NULL;
  *value = strtod(c, &end);
  return end == c || memchr(c, 'x', (size_t)(end - c)) ? NULL : skip_blanks(end);
}

static int parse_target(const char *c, mv_target *out) {
  c = skip_blanks(c);
  char close = *c == '[' ? ']' : *c == '(' ? ')' : 0;
  out->is_list = close != 0;
  if (!close) {
    c = parse_number(c, &out->v[out->n++]);
    return c && !*c;
  }
  for (c = skip_blanks(c + 1); *c != close;) {
    if (out->n == MV_TASK_MAX_VALUES) return 0;
    c = parse_number(c, &out->v[out->n++]);
    if (!c) return 0;
    if (*c == ',')
      c = skip_blanks(c + 1);
    else if (*c != close)
      return 0;
  }
  return out->n > 0 && !*skip_blanks(c + 1);
}

mv_status mv_target_parse(mv_str text, mv_target *out, mv_error *err) {
  char copy[256];
  memset(out, 0, sizeof *out);
  if (text.len < sizeof copy && (!text.len || !memchr(text.ptr, 0, text.len))) {
    snprintf(copy, sizeof copy, "%.*s", (int)text.len, text.ptr ? text.ptr : "");
    if (parse_target(copy, out)) return MV_OK;
  }
  return mv_fail(err, MV_ERR_FORMAT,
                 "\"target\": expected a number or a list of up to four, found '%.*s'",
                 (int)(text.len < 60 ? text.len : 60), text.ptr ? text.ptr : "");
}

void mv_target_print(const mv_target *target, mv_buf *out) {
  mv_json_writer w = {.out = out};
  if (target->is_list) mv_json_begin_array(&w);
  for (int i = 0; i < target->n; i++) mv_json_double(&w, target->v[i]);
  if (target->is_list) mv_json_end_array(&w);
}

/* ---- answers ---- */

/* What Python's float() takes beside decimal numbers; the parser never makes such an answer. */
static int special_value(mv_str piece, double *value) {
  static const char *const words[] = {"nan", "inf", "infinity"};
  double sign = piece.len && *piece.ptr == '-' ? -1 : 1;
  if (piece.len && (*piece.ptr == '-' || *piece.ptr == '+')) piece.ptr++, piece.len--;
  for (int w = 0; w < 3; w++) {
    size_t i = 0, n = strlen(words[w]);
    while (i < n && piece.len == n && tolower((unsigned char)piece.ptr[i]) == words[w][i]) i++;
    if (i < n) continue;
    *value = w == 0 ? NAN : sign * INFINITY;
    return 1;
  }
  return 0;
}

/* The comma-separated pieces as float32, by way of float64; 0 unless there are exactly k. */
static int read_answer(mv_str answer, int k, float *out) {
  for (int i = 0; i < k; i++) {
    const char *comma = answer.len ? memchr(answer.ptr, ',', answer.len) : NULL;
    size_t n = comma ? (size_t)(comma - answer.ptr) : answer.len;
    mv_str piece = mv_str_strip((mv_str){answer.ptr, n});
    double value;
    if ((i + 1 < k) != (comma != NULL)) return 0;
    if (mv_answer_value(piece, 0, &value, NULL) != MV_OK && !special_value(piece, &value)) return 0;
    out[i] = (float)value;
    answer.ptr += n + (comma != NULL), answer.len -= n + (comma != NULL);
  }
  return 1;
}

/* ---- boxes in mixed precision ---- */

typedef struct scalar {
  double v;
  int f32;
} scalar;

static scalar f32_of(float v) { return (scalar){(double)v, 1}; }
static scalar f64_of(double v) { return (scalar){v, 0}; }
static scalar rounded(double v, int f32) { return (scalar){f32 ? (double)(float)v : v, f32}; }
static scalar sub(scalar a, scalar b) { return rounded(a.v - b.v, a.f32 && b.f32); }
static scalar mul(scalar a, scalar b) { return rounded(a.v * b.v, a.f32 && b.f32); }
static scalar quotient(scalar a, scalar b) { return rounded(a.v / b.v, a.f32 && b.f32); }
/* Python's min and max: the first argument wins a tie. */
static scalar max_of(scalar a, scalar b) { return b.v > a.v ? b : a; }
static scalar min_of(scalar a, scalar b) { return b.v < a.v ? b : a; }

static double at_most_one(double x) { return x > 1 ? 1 : x; }

/* Corners ordered along each axis. */
static void order_corners(const scalar in[4], scalar out[4]) {
  for (int i = 0; i < 2; i++) {
    out[i] = min_of(in[i], in[i + 2]);
    out[i + 2] = max_of(in[i], in[i + 2]);
  }
}

/* Intersection over: fills the box; 0 when there is none. */
static int intersect(const scalar p[4], const scalar t[4], scalar *width, scalar *height) {
  scalar x0 = max_of(p[0], t[0]), y0 = max_of(p[1], t[1]);
  scalar x1 = min_of(p[2], t[2]), y1 = min_of(p[3], t[3]);
  if (x0.v >= x1.v || y0.v >= y1.v) return 0;
  *width = sub(x1, x0), *height = sub(y1, y0);
  return 1;
}

static scalar area(const scalar b[4]) { return mul(sub(b[2], b[0]), sub(b[3], b[1])); }

static void score_overlap(const float pred[4], const double target[4], mv_scores *out) {
  scalar p[4], t[4], wide[4], mixed_p[4], wide_p[4], corners_t[4], w, h;
  for (int i = 0; i < 4; i++) {
    p[i] = f32_of(pred[i]);
    wide[i] = f64_of((double)pred[i]);
    t[i] = f64_of(target[i]);
  }
  order_corners(p, mixed_p);
  order_corners(wide, wide_p);
  order_corners(t, corners_t);
  int has_nan = isnan(pred[0]) || isnan(pred[1]) || isnan(pred[2]) || isnan(pred[3]);
  out->iou = out->f1 = out->precision = out->recall = has_nan ? NAN : 0;
  if (has_nan) out->iou = 0;
  if (has_nan || !intersect(wide_p, corners_t, &w, &h)) return;
  double inter = mul(w, h).v, sum = area(wide_p).v + area(corners_t).v;
  out->iou = at_most_one(inter / (sum - inter));
  out->f1 = at_most_one(2 * inter / sum);
  if (!intersect(mixed_p, corners_t, &w, &h)) return;
  scalar both = mul(w, h), precision = quotient(both, area(mixed_p));
  out->precision = at_most_one(precision.v);
  out->precision_is_weak = precision.v > 1;
  out->precision_is_f32 = precision.f32 && !(precision.v > 1);
  out->recall = at_most_one(quotient(both, area(corners_t)).v);
}

/* ---- both scorers ---- */

static void score_values(mv_family family, const float *pred, const mv_target *target,
                         mv_scores *out) {
  int k = mv_family_values(family);
  double mae = 0, mre = 0;
  for (int i = 0; i < k; i++) {
    double t = target->v[target->n == 1 ? 0 : i], e = fabs((double)pred[i] - t);
    mae += e;
    mre += e / (t + 1e-15);
  }
  out->mae = mae / k;
  out->mre = mre / k;
}

static mv_status check_target(mv_family family, const mv_target *target, mv_error *err) {
  int k = mv_family_values(family);
  if (target->n == k || (target->n == 1 && family != MV_FAMILY_DETECT)) return MV_OK;
  return mv_fail(err, MV_ERR_FORMAT, "\"target\": expected %d number%s, found %d", k,
                 k > 1 ? "s" : "", target->n);
}

mv_status mv_sample_metrics(mv_family family, mv_str answer, const mv_target *target,
                            mv_scores *out, mv_error *err) {
  float pred[MV_TASK_MAX_VALUES];
  memset(out, 0, sizeof *out);
  out->mae = out->mre = NAN;
  out->precision_is_weak = 1;
  MV_TRY(check_target(family, target, err));
  if (!read_answer(answer, mv_family_values(family), pred)) return MV_OK;
  out->success = 1;
  score_values(family, pred, target, out);
  if (family == MV_FAMILY_DETECT) score_overlap(pred, target->v, out);
  return MV_OK;
}

/* ---- what is logged beside the model ---- */

static void put_pair(mv_json_writer *w, const char *key, const char *name, double value,
                     int success) {
  mv_json_key(w, key);
  mv_json_begin_object(w);
  mv_json_key(w, name);
  mv_json_double(w, value);
  mv_json_key(w, "success");
  mv_json_bool(w, success);
  mv_json_end_object(w);
}

/* str(numpy.array([value])): eight decimals, zeros trimmed; powers of ten far from one. */
static void print_array(double value, char out[48]) {
  char digits[40], *exponent;
  double size = fabs(value);
  int scientific = size >= 1e8 || (size > 0 && size < 1e-4);
  if (!isfinite(value)) {
    snprintf(out, 48, "[%s]", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
    return;
  }
  snprintf(digits, sizeof digits, scientific ? "%.8e" : "%.8f", value);
  exponent = strchr(digits, 'e');
  size_t n = exponent ? (size_t)(exponent - digits) : strlen(digits);
  while (digits[n - 1] == '0') n--;
  snprintf(out, 48, "[%.*s%s]", (int)n, digits, exponent ? exponent : "");
}

static void put_array(mv_json_writer *w, const char *key, const char *name, double value,
                      int success) {
  char text[48];
  if (!success) {
    put_pair(w, key, name, NAN, 0);
    return;
  }
  print_array(value, text);
  mv_json_key(w, key);
  mv_json_begin_object(w);
  mv_json_key(w, name);
  mv_json_text(w, text);
  mv_json_key(w, "success");
  mv_json_bool(w, 1);
  mv_json_end_object(w);
}

static void put_success(mv_json_writer *w, int success, int near_zero) {
  mv_json_key(w, "SuccessRate");
  mv_json_begin_object(w);
  mv_json_key(w, "success");
  mv_json_bool(w, success);
  if (near_zero) {
    mv_json_key(w, "near_zero_gt");
    mv_json_bool(w, 1);
  }
  mv_json_end_object(w);
}

void mv_eval_metrics_write(mv_family family, int is_angle, mv_str response, const mv_target *target,
                           double diagonal, mv_json_writer *w) {
  float pred[MV_TASK_MAX_VALUES];
  int k = mv_family_values(family);
  mv_scores s = {.mae = NAN, .mre = NAN};
  mv_buf answer = {0};
  mv_answer_numbers(response, k, &answer);
  int near_zero = family == MV_FAMILY_AD && target->v[0] < 0.1;
  s.success = check_target(family, target, NULL) == MV_OK &&
              read_answer(mv_buf_view(&answer), k, pred) && !near_zero &&
              !(family == MV_FAMILY_AD && pred[0] < 0);
  if (s.success) score_values(family, pred, target, &s);
  mv_buf_free(&answer);
  if (family == MV_FAMILY_AD) {
    put_array(w, "MAE", "AE", s.mae, s.success);
    put_array(w, "MRE", "RE", s.mre, s.success);
  } else {
    put_pair(w, "avgMAE", "MAE", s.mae, s.success);
    put_pair(w, "avgMRE", "MRE", s.mre, s.success);
  }
  put_success(w, s.success, near_zero);
  if (family == MV_FAMILY_DETECT) return;
  double nmae = s.success && !is_angle ? s.mae / diagonal : NAN;
  put_pair(w, "nMAE", "NMAE", nmae, !isnan(nmae));
}

/* ---- numpy's sums ---- */

double mv_np_sum(const double *v, size_t n) {
  if (n < 8) {
    double sum = n ? v[0] : 0;
    for (size_t i = 1; i < n; i++) sum += v[i];
    return sum;
  }
  if (n > 128) {
    size_t half = n / 2;
    half -= half % 8;
    return mv_np_sum(v, half) + mv_np_sum(v + half, n - half);
  }
  double r[8];
  size_t i = 8;
  memcpy(r, v, sizeof r);
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; j++) r[j] += v[i + (size_t)j];
  double sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
  for (; i < n; i++) sum += v[i];
  return sum;
}

void mv_mixed_add(mv_mixed_sum *sum, double value, int is_f32, int is_weak) {
  sum->has_f32 |= is_f32;
  sum->has_f64 |= !is_f32 && !is_weak;
  sum->sum += value;
  if (sum->has_f32 && !sum->has_f64) sum->sum = (double)(float)sum->sum;
}

double mv_mixed_mean(const mv_mixed_sum *sum, size_t n) {
  double mean = sum->sum / (double)n;
  return sum->has_f32 && !sum->has_f64 ? (double)((float)sum->sum / (float)n) : mean;
}
