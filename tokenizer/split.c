#include "tokenizer/split.h"

#include <stdint.h>

#include "runtime/text.h"
#include "tokenizer/unicode.h"

enum { LETTER = MV_CLASS_LETTER, NUMBER = MV_CLASS_NUMBER, SPACE = MV_CLASS_SPACE };
enum { NEWLINE = 32, END = 64 }; /* \r or \n (also SPACE); past the end of the text */

/* Class of the character at s + at, and the offset behind it. */
static unsigned look(const char *s, size_t n, size_t at, size_t *next) {
  *next = at;
  if (at >= n) return END;
  unsigned char c = (unsigned char)s[at];
  *next = at + 1;
  if (c == '\n' || c == '\r') return SPACE | NEWLINE;
  if (c == ' ' || (c >= '\t' && c <= '\f')) return SPACE;
  if (c < 0x80) {
    if ((c | 32) >= 'a' && (c | 32) <= 'z') return LETTER;
    return c >= '0' && c <= '9' ? NUMBER : 0;
  }
  uint32_t cp = 0;
  *next = at + mv_utf8_decode(s + at, n - at, &cp);
  return mv_unicode_class(cp) & (LETTER | NUMBER | SPACE);
}

/* Offset behind the characters from `at` on that have a class bit of `any` (or, any == 0, that
 * have none at all: neither letter, number nor space). */
static size_t skip(const char *s, size_t n, size_t at, unsigned any) {
  size_t next;
  for (;; at = next) {
    unsigned class = look(s, n, at, &next);
    if (class & END || (any ? !(class & any) : class != 0)) return at;
  }
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d), or 0. Without regard to case, the long s (U+017F) is an s. */
static size_t contraction(const char *s, size_t n) {
  if (n < 2 || s[0] != '\'') return 0;
  char a = (char)(s[1] | 32), b = n > 2 ? (char)(s[2] | 32) : 0;
  if (s[1] == '\xC5' && n > 2 && s[2] == '\xBF') return 3;
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* \s*[\r\n]+ | \s+(?!\S) | \s+   where a space is known to stand first. */
static size_t spaces(const char *s, size_t n) {
  size_t at = 0, last = 0, newline = 0, next;
  for (;; at = next) {
    unsigned class = look(s, n, at, &next);
    if (!(class & SPACE)) break;
    if (class & NEWLINE) newline = next;
    last = at;
  }
  if (newline) return newline;
  return at < n && last > 0 ? last : at; /* the last space goes with the word behind it */
}

size_t mv_split_next(const char *s, size_t n) {
  size_t behind, next, len = contraction(s, n);
  if (len) return len;
  unsigned first = look(s, n, 0, &behind);
  if (first & LETTER) return skip(s, n, behind, LETTER);
  if (first & NUMBER) return behind;
  unsigned second = look(s, n, behind, &next);
  if (!(first & NEWLINE) && second & LETTER) return skip(s, n, next, LETTER);
  if (first & SPACE && !(s[0] == ' ' && second == 0)) return spaces(s, n);
  return skip(s, n, skip(s, n, behind, 0), NEWLINE);
}
