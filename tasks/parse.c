#include "tasks/parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The zeros of all runs of ten decimal digits: Unicode 14, the version of Python 3.11. */
static const uint32_t zeros[] = {
    0x0030,  0x0660,  0x06F0,  0x07C0,  0x0966,  0x09E6,  0x0A66,  0x0AE6,  0x0B66,  0x0BE6,
    0x0C66,  0x0CE6,  0x0D66,  0x0DE6,  0x0E50,  0x0ED0,  0x0F20,  0x1040,  0x1090,  0x17E0,
    0x1810,  0x1946,  0x19D0,  0x1A80,  0x1A90,  0x1B50,  0x1BB0,  0x1C40,  0x1C50,  0xA620,
    0xA8D0,  0xA900,  0xA9D0,  0xA9F0,  0xAA50,  0xABF0,  0xFF10,  0x104A0, 0x10D30, 0x11066,
    0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0,
    0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x16A60, 0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2,
    0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950, 0x1FBF0};

int mv_unicode_digit(uint32_t cp) {
  if (cp < 0x80) return cp >= '0' && cp <= '9' ? (int)cp - '0' : -1;
  size_t lo = 0, hi = sizeof zeros / sizeof *zeros; /* zeros[lo] <= cp < zeros[hi] */
  while (hi - lo > 1) {
    size_t mid = (lo + hi) / 2;
    if (zeros[mid] <= cp) {
      lo = mid;
    } else {
      hi = mid;
    }
  }
  return cp - zeros[lo] < 10 ? (int)(cp - zeros[lo]) : -1;
}

/* First occurrence of `word` at or after `from`; text.len when there is none. */
static size_t find(mv_str text, size_t from, const char *word) {
  size_t n = strlen(word);
  for (size_t at = from; at + n <= text.len; at++) {
    const char *hit = memchr(text.ptr + at, word[0], text.len - n + 1 - at);
    if (!hit) break;
    at = (size_t)(hit - text.ptr);
    if (memcmp(hit, word, n) == 0) return at;
  }
  return text.len;
}

int mv_answer_inner(mv_str text, mv_str *inner) {
  size_t open = find(text, 0, "<answer>");
  if (open == text.len) return 0;
  size_t from = open + strlen("<answer>"), to = find(text, from, "</answer>");
  if (to == text.len) return 0;
  inner->ptr = text.ptr + from;
  inner->len = to - from;
  return 1;
}

/* ---- the regular expression ----
 *
 *   [-+]? (?: \d{1,3} (?:,\d{3})+ | \d+ ) (?: \.\d+ )? (?: [eE] [-+]? \d+ )?
 *
 * Everything after the first digit is greedy and optional, so a match exists wherever a digit
 * (or a sign and a digit) stands, and no choice has to be taken back: the grouped form applies
 * exactly when a run of one to three digits is followed by a comma and three digits. */

static int char_at(mv_str s, size_t at) { return at < s.len ? (unsigned char)s.ptr[at] : -1; }

static int is_sign(int c) { return c == '-' || c == '+'; }

/* Bytes of the digit at `at`, 0 if there is none. */
static size_t digit_at(mv_str s, size_t at, int *value) {
  uint32_t cp;
  if (at >= s.len) return 0;
  size_t n = mv_utf8_decode(s.ptr + at, s.len - at, &cp);
  *value = n ? mv_unicode_digit(cp) : -1;
  return *value >= 0 ? n : 0;
}

/* Past up to `most` digits; *count is how many. */
static size_t skip_digits(mv_str s, size_t at, size_t most, size_t *count) {
  int value;
  size_t n;
  for (*count = 0; *count < most && (n = digit_at(s, at, &value)) != 0; ++*count) at += n;
  return at;
}

/* Past one ",ddd", or `at`. */
static size_t skip_group(mv_str s, size_t at) {
  size_t count;
  if (char_at(s, at) != ',') return at;
  size_t end = skip_digits(s, at + 1, 3, &count);
  return count == 3 ? end : at;
}

/* The end of the match that begins at `at`, or `at` where none does. */
static size_t match_number(mv_str s, size_t at) {
  size_t count, end, from = at + (is_sign(char_at(s, at)) ? 1 : 0);
  size_t pos = skip_digits(s, from, SIZE_MAX, &count);
  if (count == 0) return at;
  while (count <= 3 && (end = skip_group(s, pos)) != pos) pos = end;
  if (char_at(s, pos) == '.') {
    end = skip_digits(s, pos + 1, SIZE_MAX, &count);
    if (count) pos = end;
  }
  if (char_at(s, pos) == 'e' || char_at(s, pos) == 'E') {
    end = skip_digits(s, pos + 1 + (is_sign(char_at(s, pos + 1)) ? 1 : 0), SIZE_MAX, &count);
    if (count) pos = end;
  }
  return pos;
}

/* The next match at or after *at; moves *at past it. 0 when there is no more. */
static int next_number(mv_str s, size_t *at, mv_str *number) {
  for (; *at < s.len; ++*at) {
    size_t end = match_number(s, *at);
    if (end == *at) continue;
    number->ptr = s.ptr + *at;
    number->len = end - *at;
    *at = end;
    return 1;
  }
  return 0;
}

static void add_without_commas(mv_buf *out, mv_str number) {
  for (size_t i = 0; i < number.len; i++)
    if (number.ptr[i] != ',') mv_buf_char(out, number.ptr[i]);
}

void mv_numbers_last(mv_str text, int k, mv_buf *out) {
  size_t at = 0, count = 0, i = 0;
  mv_str number;
  while (next_number(text, &at, &number)) count++;
  if (k < 1 || count < (size_t)k) return;
  for (at = 0; next_number(text, &at, &number); i++) {
    if (i < count - (size_t)k) continue;
    if (i > count - (size_t)k) mv_buf_char(out, ',');
    add_without_commas(out, number);
  }
}

void mv_answer_numbers(mv_str text, int k, mv_buf *out) {
  mv_str inner;
  if (mv_answer_inner(text, &inner)) mv_numbers_last(inner, k, out);
}

/* ---- conversion ---- */

static int piece_of(mv_str answer, int index, mv_str *piece) {
  size_t from = 0;
  for (;; index--) {
    size_t to = find(answer, from, ",");
    if (index == 0) {
      piece->ptr = answer.ptr + from;
      piece->len = to - from;
      return piece->len > 0;
    }
    if (to >= answer.len) return 0;
    from = to + 1;
  }
}

mv_status mv_answer_value(mv_str answer, int index, double *value, mv_error *err) {
  mv_str piece;
  mv_buf ascii = {0};
  if (!piece_of(answer, index, &piece))
    return mv_fail(err, MV_ERR_FORMAT, "answer \"%.*s\": has no number %d",
                   (int)(answer.len < 200 ? answer.len : 200), answer.ptr, index + 1);
  for (size_t at = 0; at < piece.len;) {
    int digit;
    size_t n = digit_at(piece, at, &digit);
    mv_buf_char(&ascii, n ? (char)('0' + digit) : piece.ptr[at]);
    at += n ? n : 1;
  }
  mv_status status = mv_buf_status(&ascii, err);
  if (status == MV_OK) {
    char *end;
    *value = strtod(ascii.ptr, &end);
    if (end != ascii.ptr + ascii.len || strpbrk(ascii.ptr, "xXnNpP"))
      status = mv_fail(err, MV_ERR_FORMAT, "\"%.80s\" is not a number", ascii.ptr);
    if (fabs(*value) >= 0x1.ffffffp127) *value = copysign(INFINITY, *value); /* FLT_MAX + 1/2 ulp */
  }
  mv_buf_free(&ascii);
  return status;
}
