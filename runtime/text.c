#include "runtime/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/memory.h"

mv_str mv_str_of(const char *text) {
  mv_str s = {text ? text : "", text ? strlen(text) : 0};
  return s;
}

int mv_str_eq(mv_str a, mv_str b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

int mv_str_is(mv_str a, const char *text) { return mv_str_eq(a, mv_str_of(text)); }

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

mv_str mv_str_strip(mv_str text) {
  while (text.len && is_space(text.ptr[0])) {
    text.ptr++;
    text.len--;
  }
  while (text.len && is_space(text.ptr[text.len - 1])) text.len--;
  return text;
}

/* Makes room for n more bytes and the terminating NUL. */
static int reserve(mv_buf *buf, size_t n) {
  size_t need;
  if (buf->failed || !mv_add_size(buf->len, n, &need) || !mv_add_size(need, 1, &need)) {
    buf->failed = 1;
    return 0;
  }
  if (need <= buf->cap) return 1;
  size_t cap = buf->cap ? buf->cap : 64;
  while (cap < need) cap = cap > SIZE_MAX / 2 ? need : cap * 2;
  char *ptr = mv_realloc(buf->ptr, cap);
  if (!ptr) {
    buf->failed = 1;
    return 0;
  }
  buf->ptr = ptr;
  buf->cap = cap;
  return 1;
}

void mv_buf_reserve(mv_buf *buf, size_t n) { reserve(buf, n); }

void mv_buf_add(mv_buf *buf, const void *bytes, size_t n) {
  if (!reserve(buf, n)) return;
  if (n) memcpy(buf->ptr + buf->len, bytes, n);
  buf->len += n;
  buf->ptr[buf->len] = 0;
}

void mv_buf_str(mv_buf *buf, mv_str text) { mv_buf_add(buf, text.ptr, text.len); }
void mv_buf_text(mv_buf *buf, const char *text) { mv_buf_add(buf, text, strlen(text)); }
void mv_buf_char(mv_buf *buf, char c) { mv_buf_add(buf, &c, 1); }

void mv_buf_csv(mv_buf *buf, const char *text) {
  int quoted = strpbrk(text, ",\"\r\n") != NULL;
  if (quoted) mv_buf_char(buf, '"');
  for (; *text; text++) {
    if (*text == '"') mv_buf_char(buf, '"');
    mv_buf_char(buf, *text);
  }
  if (quoted) mv_buf_char(buf, '"');
}

void mv_buf_printf(mv_buf *buf, const char *fmt, ...) {
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  if (n >= 0 && reserve(buf, (size_t)n)) {
    vsnprintf(buf->ptr + buf->len, (size_t)n + 1, fmt, again);
    buf->len += (size_t)n;
  }
  va_end(again);
}

mv_status mv_buf_status(const mv_buf *buf, mv_error *err) {
  return buf->failed ? mv_fail(err, MV_ERR_MEMORY, "out of memory while building text") : MV_OK;
}

mv_str mv_buf_view(const mv_buf *buf) {
  mv_str s = {buf->ptr ? buf->ptr : "", buf->len};
  return s;
}

void mv_buf_clear(mv_buf *buf) {
  buf->len = 0;
  buf->failed = 0;
  if (buf->ptr) buf->ptr[0] = 0;
}

void mv_buf_free(mv_buf *buf) {
  mv_free(buf->ptr);
  memset(buf, 0, sizeof *buf);
}

/* Length of a well-formed sequence at s, or minus the length of the maximal ill-formed prefix
 * that one U+FFFD stands for (Unicode table 3-7). */
static int scan(const unsigned char *s, size_t n) {
  if (s[0] < 0x80) return 1;
  if (s[0] < 0xC2 || s[0] > 0xF4) return -1;
  int len = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
  unsigned lo = 0x80, hi = 0xBF;
  if (s[0] == 0xE0) lo = 0xA0;
  if (s[0] == 0xED) hi = 0x9F;
  if (s[0] == 0xF0) lo = 0x90;
  if (s[0] == 0xF4) hi = 0x8F;
  for (int i = 1; i < len; i++) {
    if ((size_t)i >= n || s[i] < lo || s[i] > hi) return -i;
    lo = 0x80;
    hi = 0xBF;
  }
  return len;
}

size_t mv_utf8_decode(const char *s, size_t n, uint32_t *cp) {
  if (n == 0) return 0;
  const unsigned char *u = (const unsigned char *)s;
  int len = scan(u, n);
  if (len <= 0) return 0;
  static const unsigned char lead_mask[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  uint32_t value = u[0] & lead_mask[len];
  for (int i = 1; i < len; i++) value = value << 6 | (u[i] & 0x3Fu);
  *cp = value;
  return (size_t)len;
}

size_t mv_utf8_encode(uint32_t cp, char out[4]) {
  if (cp < 0x80) {
    out[0] = (char)cp;
    return 1;
  }
  size_t len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
  static const unsigned char lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (size_t i = len - 1; i > 0; i--, cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3F));
  out[0] = (char)(lead[len] | cp);
  return len;
}

size_t mv_utf8_check(const char *s, size_t n) {
  size_t at = 0;
  while (at < n) {
    int len = scan((const unsigned char *)s + at, n - at);
    if (len <= 0) return at;
    at += (size_t)len;
  }
  return n;
}

void mv_utf8_lossy(mv_buf *out, const char *s, size_t n) {
  size_t at = 0;
  while (at < n) {
    size_t good = mv_utf8_check(s + at, n - at);
    mv_buf_add(out, s + at, good);
    at += good;
    if (at >= n) break;
    at += (size_t)(-scan((const unsigned char *)s + at, n - at));
    mv_buf_text(out, "\xEF\xBF\xBD");
  }
}
