#include "runtime/pyfloat.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* digits[0].digits[1..n-1] * 10^exp10, digits as characters. */
typedef struct decimal {
  char digits[20];
  int n, exp10;
} decimal;

/* The n-digit decimal nearest to x > 0. */
static void decimal_round(decimal *d, double x, int n) {
  char text[40];
  snprintf(text, sizeof text, "%.*e", n - 1, x);
  d->n = n;
  d->digits[0] = text[0];
  if (n > 1) memcpy(d->digits + 1, text + 2, (size_t)n - 1);
  d->exp10 = atoi(strchr(text, 'e') + 1);
}

/* The next n-digit decimal above. */
static void decimal_next(decimal *d) {
  int i = d->n - 1;
  while (i >= 0 && d->digits[i] == '9') d->digits[i--] = '0';
  if (i >= 0) {
    d->digits[i]++;
    return;
  }
  d->digits[0] = '1';
  d->exp10++;
}

static int decimal_is(const decimal *d, double x, int single) {
  char text[40];
  snprintf(text, sizeof text, "%.*se%d", d->n, d->digits, d->exp10 - (d->n - 1));
  return single ? (double)strtof(text, NULL) == x : strtod(text, NULL) == x;
}

/* The shortest decimal that reads back as x > 0. 15 (single: 6) digits survive the way to binary
 * and back, so rounding to that many and dropping zeros finds every shorter form too; only
 * subnormals have less precision. Below a power of two the numbers lie twice as dense as above
 * it, so there the nearest decimal can be too far off where the next one above is not. */
static void decimal_shortest(decimal *d, double x, int single) {
  int sure = single ? FLT_DIG : DBL_DIG, most = single ? 9 : 17;
  int n = x < (single ? (double)FLT_MIN : DBL_MIN) ? 1 : sure;
  for (; n <= most; n++) {
    decimal_round(d, x, n);
    if (decimal_is(d, x, single)) break;
    decimal_next(d);
    if (decimal_is(d, x, single)) break;
  }
  while (d->n > 1 && d->digits[d->n - 1] == '0') d->n--;
}

/* Python's choice between positional and exponent form: the former for 1e-4 <= x < 1e16. */
static size_t decimal_print(const decimal *d, char *out) {
  char *p = out;
  int point = d->exp10 + 1; /* digits before the decimal point */
  if (point <= -4 || point > 16) {
    *p++ = d->digits[0];
    if (d->n > 1) p += sprintf(p, ".%.*s", d->n - 1, d->digits + 1);
    p += sprintf(p, "e%c%02d", d->exp10 < 0 ? '-' : '+', abs(d->exp10));
  } else if (point <= 0) {
    p += sprintf(p, "0.%.*s%.*s", -point, "0000", d->n, d->digits);
  } else if (point >= d->n) {
    p += sprintf(p, "%.*s%.*s.0", d->n, d->digits, point - d->n, "0000000000000000");
  } else {
    p += sprintf(p, "%.*s.%.*s", point, d->digits, d->n - point, d->digits + point);
  }
  return (size_t)(p - out);
}

static size_t repr(double x, int single, char *out) {
  if (isnan(x)) return (size_t)sprintf(out, "nan");
  size_t sign = signbit(x) ? 1 : 0;
  if (sign) *out++ = '-';
  if (isinf(x)) return sign + (size_t)sprintf(out, "inf");
  if (x == 0) return sign + (size_t)sprintf(out, "0.0");
  decimal d;
  decimal_shortest(&d, fabs(x), single);
  return sign + decimal_print(&d, out);
}

size_t mv_pyfloat_repr(double x, char out[MV_PYFLOAT_BYTES]) { return repr(x, 0, out); }
size_t mv_pyfloat_repr_f32(float x, char out[MV_PYFLOAT_BYTES]) { return repr(x, 1, out); }

void mv_pyfloat_fixed3(mv_buf *out, double x) {
  if (isnan(x)) {
    mv_buf_text(out, "nan");
  } else {
    mv_buf_printf(out, "%.3f", x);
  }
}
