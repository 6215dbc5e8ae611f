#include "tokenizer/added.h"

#include <stdlib.h>
#include <string.h>

#include "tokenizer/unicode.h"

static int by_bytes(const void *left, const void *right) {
  const mv_added *a = left, *b = right;
  size_t n = a->text.len < b->text.len ? a->text.len : b->text.len;
  int order = memcmp(a->text.ptr, b->text.ptr, n);
  if (order) return order;
  if (a->text.len != b->text.len) return a->text.len < b->text.len ? -1 : 1;
  return a->id < b->id ? -1 : a->id > b->id;
}

void mv_added_set_build(mv_added_set *set) {
  if (set->n) qsort(set->items, set->n, sizeof *set->items, by_bytes);
  memset(set->first, 0, sizeof set->first);
  for (size_t i = 0; i < set->n; i++) set->first[(unsigned char)set->items[i].text.ptr[0] + 1]++;
  for (size_t b = 0; b < 256; b++) set->first[b + 1] += set->first[b];
}

/* First of items[lo .. hi), which agree before byte `depth` and are longer, whose byte there is at
 * least `byte`. */
static size_t lower_bound(const mv_added *items, size_t lo, size_t hi, size_t depth, int byte) {
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if ((unsigned char)items[mid].text.ptr[depth] < byte) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo;
}

/* The longest token that the n > 0 bytes at `s` begin with, or NULL. */
static const mv_added *longest(const mv_added_set *set, const char *s, size_t n) {
  const mv_added *best = NULL, *items = set->items;
  size_t lo = set->first[(unsigned char)s[0]], hi = set->first[(unsigned char)s[0] + 1];
  for (size_t depth = 1; lo < hi; depth++) {
    if (hi - lo == 1) { /* the usual end: one candidate, compared in one go */
      size_t len = items[lo].text.len;
      return len <= n && !memcmp(items[lo].text.ptr, s, len) ? &items[lo] : best;
    }
    for (; lo < hi && items[lo].text.len == depth; lo++) best = &items[lo];
    if (depth >= n) break;
    int byte = (unsigned char)s[depth];
    lo = lower_bound(items, lo, hi, depth, byte);
    hi = lower_bound(items, lo, hi, depth, byte + 1);
  }
  return best;
}

static size_t char_before(mv_str text, size_t at) {
  do at--;
  while (at > 0 && ((unsigned char)text.ptr[at] & 0xC0) == 0x80);
  return at;
}

static int class_at(mv_str text, size_t at, size_t *len) {
  uint32_t cp = 0;
  *len = mv_utf8_decode(text.ptr + at, text.len - at, &cp);
  return (int)mv_unicode_class(cp);
}

static int is_single(mv_str text, size_t begin, size_t end) {
  size_t len;
  if (begin > 0 && class_at(text, char_before(text, begin), &len) & MV_CLASS_WORD) return 0;
  return end == text.len || !(class_at(text, end, &len) & MV_CLASS_WORD);
}

static void take_spaces(mv_str text, mv_added_match *match) {
  size_t len;
  if (match->token->lstrip) {
    while (match->begin > 0 &&
           class_at(text, char_before(text, match->begin), &len) & MV_CLASS_SPACE) {
      match->begin = char_before(text, match->begin);
    }
  }
  if (match->token->rstrip) {
    while (match->end < text.len && class_at(text, match->end, &len) & MV_CLASS_SPACE) {
      match->end += len;
    }
  }
}

mv_added_match mv_added_next(mv_added_scan *scan) {
  mv_str text = scan->text;
  if (scan->set->n == 0) scan->at = text.len;
  while (scan->at < text.len) {
    size_t at = scan->at;
    const mv_added *token = longest(scan->set, text.ptr + at, text.len - at);
    if (!token) {
      scan->at++;
      continue;
    }
    scan->at += token->text.len;
    if (token->special && !scan->with_special) continue;
    mv_added_match match = {token, at, scan->at};
    if (token->single_word && !is_single(text, match.begin, match.end)) continue;
    take_spaces(text, &match);
    return match;
  }
  return (mv_added_match){NULL, text.len, text.len};
}
