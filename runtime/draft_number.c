#include "runtime/draft_number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
  LOOK_BACK = 256, /* bytes in which the numbers of a formula lie */
  MAX_NUMBERS = 12,
  MAX_DEPTH = 4,
  MIN_DIGITS = 3, /* of a pattern's number: fewer agree by chance */
  DECIMALS = 4    /* of a guess */
};

#define MAX_VALUE 1e6
#define AGREES 0.03 /* a number that far from a formula's, as a share of it, is that */
/* An error of so much, as a share, changes none of the digits guessed. From 5e-4 to 2e-3 drafts of
 * 16 and 32 give alike; with all digits guessed, those after them are lost too often. */
#define CERTAIN 1e-3

/* In reverse Polish notation, one letter a number. L: length of a vector, A: angle of a cosine, in
 * radians, D: degrees of radians. A result's sign is no digit and does not matter. The first that
 * agrees is taken: a length is about as long as its longer side. */
static const char *const formulas[] = {
    "aD",                   /* a = */
    "ji-h*g* ed-c*b* L",    /* sqrt(((j - i) * h * g)^2 + ((e - d) * c * b)^2) = */
    "hg-f*e*",              /* ((h - g) * f * e, (d - c) * b * a) = ( */
    "ed-c*b*",              /* ((h - g) * f * e, (e - d) * c * b) = (a, */
    "lk*ji*+ hfL dbL* / A", /* arccos(|l*k + j*i| / (sqrt(h^2 + f^2) * sqrt(d^2 + b^2))) = */
};

int mv_draft_digit(const mv_drafter *d, int32_t id) {
  for (int i = 0; i < MV_DIGITS; i++)
    if (d->digits[i] == id) return i;
  return -1;
}

int mv_draft_decimals(const mv_drafter *d, const int32_t *ids, int at) {
  return at >= 2 && ids[at - 1] == d->point && mv_draft_digit(d, ids[at - 2]) >= 0;
}

/* ---- reading ---- */

/* Fills out[0..LOOK_BACK) with the last bytes of the text; returns how many. */
static int last_bytes(const mv_drafter *d, const mv_draft_text *t, char *out) {
  int room = LOOK_BACK;
  for (int i = t->n - 1; i >= 0 && i >= t->n - LOOK_BACK && room > 0; i--) {
    int32_t id = i < t->n_first ? t->first[i] : t->then[i - t->n_first];
    mv_str token = mv_tokenizer_token(d->tok, id);
    while (token.len && room > 0) out[--room] = token.ptr[--token.len];
  }
  memmove(out, out + room, (size_t)(LOOK_BACK - room));
  return LOOK_BACK - room;
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

/* The number that text[0..*end) ends in; *end becomes where it begins. */
static double read_number(const char *text, int *end) {
  double value = 0, scale = 1;
  int i = *end - 1, has_point = 0;
  for (; i >= 0; i--) {
    if (is_digit(text[i])) {
      value += (text[i] - '0') * scale;
      scale *= 10;
    } else if (text[i] == '.' && !has_point && i > 0 && is_digit(text[i - 1])) {
      value /= scale;
      scale = has_point = 1;
    } else {
      break;
    }
  }
  *end = i + 1;
  return i >= 0 && text[i] == '-' ? -value : value;
}

/* Fills out[0..MAX_NUMBERS) with the numbers of a text, the last one first. Returns how many. */
static int read_numbers(const char *text, int end, double *out) {
  int n = 0;
  while (n < MAX_NUMBERS && end > 0)
    if (is_digit(text[end - 1]))
      out[n++] = read_number(text, &end);
    else
      end--;
  return n;
}

/* Where the number begins that has begun at the end of a text. */
static int number_start(const char *text, int end) {
  if (end > 1 && text[end - 1] == '.' && is_digit(text[end - 2])) end--;
  if (end > 0 && is_digit(text[end - 1])) read_number(text, &end);
  return end;
}

/* ---- computing ---- */

static double apply(char op, double a, double b) {
  switch (op) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    default:
      return sqrt(a * a + b * b);
  }
}

/* The absolute value; -1 when there are not so many numbers or it is none to guess. */
static double compute(const char *formula, const double *numbers, int n) {
  double stack[MAX_DEPTH];
  int top = 0;
  for (const char *c = formula; *c; c++) {
    if (*c == ' ') continue;
    if (*c >= 'a') {
      if (*c - 'a' >= n) return -1;
      stack[top++] = numbers[*c - 'a'];
    } else if (*c == 'A') {
      stack[top - 1] = acos(fabs(stack[top - 1]));
    } else if (*c == 'D') {
      stack[top - 1] *= 180 / 3.14159265358979323846;
    } else {
      top--;
      stack[top - 1] = apply(*c, stack[top - 1], stack[top]);
    }
  }
  double value = fabs(stack[0]);
  return value < MAX_VALUE ? value : -1; /* nor is NaN */
}

int mv_number_length(const mv_drafter *d, const int32_t *ids, int at, int n) {
  int point = at, end;
  while (point < n && mv_draft_digit(d, ids[point]) >= 0) point++;
  if (point == at || point == n || ids[point] != d->point) return 0;
  for (end = point + 1; end < n && mv_draft_digit(d, ids[end]) >= 0;) end++;
  return end - at > MIN_DIGITS && end > point + 1 ? end - at : 0;
}

int mv_number_formula(const mv_drafter *d, const int32_t *ids, int at, int n) {
  char text[LOOK_BACK];
  double numbers[MAX_NUMBERS];
  int end = last_bytes(d, &(mv_draft_text){ids, NULL, at + n, at + n}, text);
  double is = fabs(read_number(text, &end));
  int n_number = read_numbers(text, end, numbers);
  for (int f = 0; f < (int)(sizeof formulas / sizeof *formulas); f++) {
    double value = compute(formulas[f], numbers, n_number);
    if (value >= 0 && fabs(value - is) <= AGREES * is) return f + 1;
  }
  return 0;
}

/* ---- guessing ---- */

/* Rounded down, and never in the words of a locale. */
static void print(double value, char out[MV_NUMBER_TEXT]) {
  unsigned long long parts = 1;
  for (int i = 0; i < DECIMALS; i++) parts *= 10;
  unsigned long long n = (unsigned long long)(value * (double)parts);
  snprintf(out, MV_NUMBER_TEXT, "%llu.%0*llu", n / parts, DECIMALS, n % parts);
}

/* Leading characters that are the same a little below and a little above. */
static int count_certain(double value) {
  char low[MV_NUMBER_TEXT], high[MV_NUMBER_TEXT];
  int n = 0;
  print(value * (1 - CERTAIN), low);
  print(value * (1 + CERTAIN), high);
  if (strcspn(low, ".") != strcspn(high, ".")) return 0;
  while (low[n] && low[n] == high[n]) n++;
  return n;
}

int mv_number_guess_at(const mv_drafter *d, int formula, mv_draft_text t, mv_number_guess *out) {
  char text[LOOK_BACK];
  double numbers[MAX_NUMBERS];
  int end = last_bytes(d, &t, text), start = number_start(text, end);
  double value = compute(formulas[formula - 1], numbers, read_numbers(text, start, numbers));
  if (value < 0) return 0;
  print(value, out->text);
  out->n_whole = (int)strcspn(out->text, ".");
  out->n_certain = count_certain(value);
  out->n_come = end - start;
  for (int i = 0; i < out->n_come && i < out->n_certain; i++)
    if (out->text[i] != text[start + i]) out->n_certain = i;
  return 1;
}
