/* Bytes with a length (text may hold NUL) and a growing buffer. */
#ifndef MV_RUNTIME_TEXT_H
#define MV_RUNTIME_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed bytes, not NUL-terminated. */
typedef struct mv_str {
  const char *ptr;
  size_t len;
} mv_str;

mv_str mv_str_of(const char *text); /* NUL-terminated text; NULL gives the empty string */
int mv_str_eq(mv_str a, mv_str b);
int mv_str_is(mv_str a, const char *text);
mv_str mv_str_strip(mv_str text); /* without ASCII white space at both ends */

/* A growing byte buffer. Zero-initialise; owns `ptr`; free with mv_buf_free. `ptr[len]` is always
 * 0 once anything was appended. An append that cannot allocate sets `failed` and appends nothing,
 * as do all later ones, so that callers check once at the end with mv_buf_status. */
typedef struct mv_buf {
  char *ptr;
  size_t len, cap;
  int failed;
} mv_buf;

void mv_buf_reserve(mv_buf *buf, size_t n); /* room for n more bytes */
void mv_buf_add(mv_buf *buf, const void *bytes, size_t n);
void mv_buf_str(mv_buf *buf, mv_str text);
void mv_buf_text(mv_buf *buf, const char *text);
void mv_buf_char(mv_buf *buf, char c);
/* A field of a CSV line: in quotes, its own doubled, where it holds a comma, quote or line end. */
void mv_buf_csv(mv_buf *buf, const char *text);
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void mv_buf_printf(mv_buf *buf, const char *fmt, ...);
mv_status mv_buf_status(const mv_buf *buf, mv_error *err); /* MV_ERR_MEMORY if an append failed */
mv_str mv_buf_view(const mv_buf *buf);                     /* borrows; valid until the next add */
void mv_buf_clear(mv_buf *buf);                            /* keeps the memory */
void mv_buf_free(mv_buf *buf);

/* Decodes one UTF-8 code point. Returns its bytes (1..4) and fills *cp, or 0 if the bytes at `s`
 * are not valid UTF-8 (overlong forms, surrogates and > U+10FFFF are invalid), or n is 0. */
size_t mv_utf8_decode(const char *s, size_t n, uint32_t *cp);
/* Writes one code point as UTF-8 into out[4]; returns its length. */
size_t mv_utf8_encode(uint32_t cp, char out[4]);
/* Offset of the first invalid byte, or `n` when all is valid. */
size_t mv_utf8_check(const char *s, size_t n);
/* Appends `s`, each maximal ill-formed sequence replaced by U+FFFD (Unicode 3.9, as Python's
 * errors="replace" and Rust's from_utf8_lossy do). */
void mv_utf8_lossy(mv_buf *out, const char *s, size_t n);

#ifdef __cplusplus
}
#endif
#endif
