#include "tokenizer/unicode.h"

#include <string.h>
#include <utf8proc.h>

#include "runtime/memory.h"

#define CLASS_BITS 5
#define NFC_OPTIONS (UTF8PROC_COMPOSE | UTF8PROC_STABLE)

/* Runs of equal class in ascending order: first code point << CLASS_BITS | class. */
static const uint32_t class_runs[] = {
#include "tokenizer/unicode_classes.inc"
};

unsigned mv_unicode_class(uint32_t cp) {
  size_t lo = 0, hi = sizeof class_runs / sizeof class_runs[0];
  while (hi - lo > 1) {
    size_t mid = (lo + hi) / 2;
    if (class_runs[mid] >> CLASS_BITS <= cp) {
      lo = mid;
    } else {
      hi = mid;
    }
  }
  return class_runs[lo] & ((1u << CLASS_BITS) - 1);
}

/* Nothing below U+0300 changes or joins in NFC. */
static int is_plain(mv_str text) {
  for (size_t i = 0; i < text.len; i++) {
    if ((unsigned char)text.ptr[i] >= 0xCC) return 0;
  }
  return 1;
}

static unsigned combining_class(int32_t cp) {
  return (unsigned)utf8proc_get_property(cp)->combining_class;
}

/* Sorts one run of marks by combining class, stable and in linear time (a library's exchange sort
 * is quadratic, and the text is not ours). */
static void sort_marks(int32_t *marks, size_t n, int32_t *scratch) {
  size_t at[257] = {0};
  int sorted = 1;
  for (size_t i = 0; i < n; i++) {
    unsigned class = combining_class(marks[i]);
    if (i && class < combining_class(marks[i - 1])) sorted = 0;
    at[class + 1]++;
  }
  if (sorted) return;
  for (unsigned k = 0; k < 256; k++) at[k + 1] += at[k];
  for (size_t i = 0; i < n; i++) scratch[at[combining_class(marks[i])]++] = marks[i];
  memcpy(marks, scratch, n * sizeof *marks);
}

static void sort_all_marks(int32_t *cps, size_t n, int32_t *scratch) {
  for (size_t i = 0, end; i < n; i = end) {
    end = i + 1;
    if (combining_class(cps[i]) == 0) continue;
    while (end < n && combining_class(cps[end]) != 0) end++;
    if (end - i > 1) sort_marks(cps + i, end - i, scratch);
  }
}

/* NFC of `n` canonically decomposed code points, appended to `out`. */
static void compose(int32_t *cps, size_t n, int32_t *scratch, mv_buf *out) {
  sort_all_marks(cps, n, scratch);
  utf8proc_ssize_t len = utf8proc_normalize_utf32(cps, (utf8proc_ssize_t)n, NFC_OPTIONS);
  for (utf8proc_ssize_t i = 0; i < len; i++) {
    char utf8[4];
    mv_buf_add(out, utf8, mv_utf8_encode((uint32_t)cps[i], utf8));
  }
}

/* Between inert code points, which stand as they are, the text is composed piece by piece. */
static void compose_pieces(mv_str text, int32_t *cps, int32_t *scratch, mv_buf *out) {
  size_t n = 0;
  for (size_t i = 0; i < text.len;) {
    uint32_t cp = 0;
    size_t len = mv_utf8_decode(text.ptr + i, text.len - i, &cp);
    if (mv_unicode_class(cp) & MV_CLASS_INERT) {
      compose(cps, n, scratch, out);
      mv_buf_add(out, text.ptr + i, len);
      n = 0;
    } else {
      n += (size_t)utf8proc_decompose_char((int32_t)cp, cps + n, 8, NFC_OPTIONS, NULL);
    }
    i += len;
  }
  compose(cps, n, scratch, out);
}

mv_status mv_unicode_nfc(mv_str text, mv_buf *storage, mv_str *out, mv_error *err) {
  *out = text;
  if (is_plain(text)) return MV_OK;
  /* A code point of k bytes becomes at most 2 k: 1 -> 1, 2 -> 3, 3 -> 4, 4 -> 3; 8 are room for
   * the call itself. The second half of the block is for sorting. */
  size_t cap = 2 * text.len + 8;
  int32_t *cps = mv_calloc(2 * cap, sizeof *cps);
  if (!cps) return mv_fail(err, MV_ERR_MEMORY, "out of memory normalising %zu bytes", text.len);
  mv_buf_clear(storage);
  compose_pieces(text, cps, cps + cap, storage);
  mv_free(cps);
  *out = mv_buf_view(storage);
  return mv_buf_status(storage, err);
}
