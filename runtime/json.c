/* The reader. The text is copied once; strings are decoded in place in that copy (an escape is
 * never shorter than what it stands for), so a document is one copy plus its nodes. */
#include "runtime/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/memory.h"

#define FIRST_BLOCK_NODES 16
#define LARGEST_BLOCK_NODES 1024

typedef struct parser {
  mv_json_doc *doc;
  char *start, *at, *end; /* *end is 0 */
  mv_json *spare;         /* unused nodes of the newest block */
  size_t n_spare, n_block;
  int depth;
  mv_error *err;
} parser;

static mv_status parse_value(parser *p, mv_json *node);

static mv_status out_of_memory(parser *p) {
  return mv_fail(p->err, MV_ERR_MEMORY, "out of memory while reading JSON");
}

static mv_status unexpected(parser *p, const char *expected) {
  size_t offset = (size_t)(p->at - p->start);
  unsigned char c = (unsigned char)*p->at;
  if (p->at == p->end)
    return mv_fail(p->err, MV_ERR_FORMAT, "JSON ends at byte %zu: expected %s", offset, expected);
  if (c > 0x20 && c < 0x7F)
    return mv_fail(p->err, MV_ERR_FORMAT, "JSON byte %zu: expected %s, found '%c'", offset,
                   expected, c);
  return mv_fail(p->err, MV_ERR_FORMAT, "JSON byte %zu: expected %s, found byte 0x%02x", offset,
                 expected, c);
}

static mv_json *new_node(parser *p) {
  if (p->n_spare == 0) {
    size_t n = p->n_block ? p->n_block * 2 : FIRST_BLOCK_NODES;
    if (n > LARGEST_BLOCK_NODES) n = LARGEST_BLOCK_NODES;
    mv_json *block = mv_calloc(n, sizeof *block);
    if (!block) return NULL;
    block->next = p->doc->blocks;
    p->doc->blocks = block;
    p->spare = block + 1;
    p->n_spare = n - 1;
    p->n_block = n;
  }
  p->n_spare--;
  return p->spare++;
}

static void skip_space(parser *p) {
  while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r') p->at++;
}

/* Advances past `word` when the text continues with it. */
static int take(parser *p, const char *word) {
  size_t n = strlen(word);
  if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0) return 0;
  p->at += n;
  return 1;
}

/* ---- strings ---- */

/* Four hex digits at s, or -1. */
static int32_t hex4(const char *s, const char *end) {
  int32_t value = 0;
  if (end - s < 4) return -1;
  for (int i = 0; i < 4; i++) {
    char c = s[i];
    int digit = c >= '0' && c <= '9'                 ? c - '0'
                : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                     : -1;
    if (digit < 0) return -1;
    value = value << 4 | digit;
  }
  return value;
}

/* After "\u": a code unit, joined with a following low surrogate where it is a high one. */
static mv_status parse_unicode_escape(parser *p, uint32_t *cp) {
  int32_t unit = hex4(p->at, p->end);
  if (unit < 0) return unexpected(p, "four hexadecimal digits after \\u");
  p->at += 4;
  *cp = (uint32_t)unit;
  if (unit < 0xD800 || unit > 0xDBFF || p->at[0] != '\\' || p->at[1] != 'u') return MV_OK;
  int32_t low = hex4(p->at + 2, p->end);
  if (low < 0xDC00 || low > 0xDFFF) return MV_OK;
  p->at += 6;
  *cp = 0x10000u + ((uint32_t)unit - 0xD800u) * 0x400u + ((uint32_t)low - 0xDC00u);
  return MV_OK;
}

/* At the character after a backslash: writes what the escape stands for at *to. */
static mv_status parse_escape(parser *p, char **to) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  if (*p->at == 'u') {
    uint32_t cp = 0;
    p->at++;
    MV_TRY(parse_unicode_escape(p, &cp));
    *to += mv_utf8_encode(cp, *to);
    return MV_OK;
  }
  const char *name = *p->at ? strchr(names, *p->at) : NULL;
  if (!name) return unexpected(p, "one of \"\\/bfnrtu after a backslash");
  *(*to)++ = values[name - names];
  p->at++;
  return MV_OK;
}

/* At the character after the opening quote. */
static mv_status parse_string(parser *p, mv_str *out) {
  char *from = p->at, *to = p->at;
  for (;;) {
    char *run = p->at;
    while ((unsigned char)*p->at >= 0x20 && *p->at != '"' && *p->at != '\\') p->at++;
    size_t n = (size_t)(p->at - run);
    if (to != run) memmove(to, run, n);
    to += n;
    if (*p->at == '"') break;
    if (*p->at != '\\') return unexpected(p, "a closing quote (control characters need \\u)");
    p->at++;
    MV_TRY(parse_escape(p, &to));
  }
  p->at++;
  out->ptr = from;
  out->len = (size_t)(to - from);
  return MV_OK;
}

/* ---- numbers ---- */

static void skip_digits(parser *p) {
  while (*p->at >= '0' && *p->at <= '9') p->at++;
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static mv_status parse_number(parser *p, mv_json *node) {
  char *from = p->at;
  if (*p->at == '-') p->at++;
  if (!is_digit(*p->at)) return unexpected(p, "a value");
  if (*p->at == '0') {
    p->at++;
  } else {
    skip_digits(p);
  }
  node->type = MV_JSON_INT;
  if (p->at[0] == '.' && is_digit(p->at[1])) {
    node->type = MV_JSON_FLOAT;
    p->at++;
    skip_digits(p);
  }
  if (*p->at == 'e' || *p->at == 'E') {
    char *digits = p->at + 1;
    if (*digits == '+' || *digits == '-') digits++;
    if (is_digit(*digits)) {
      node->type = MV_JSON_FLOAT;
      p->at = digits;
      skip_digits(p);
    }
  }
  char after = *p->at;
  *p->at = 0;
  node->number = strtod(from, NULL);
  *p->at = after;
  node->text.ptr = from;
  node->text.len = (size_t)(p->at - from);
  return MV_OK;
}

static mv_status parse_literal(parser *p, mv_json *node) {
  static const struct {
    const char *word;
    mv_json_type type;
    int truth;
    double number;
  } literals[] = {{"null", MV_JSON_NULL, 0, 0},
                  {"true", MV_JSON_BOOL, 1, 0},
                  {"false", MV_JSON_BOOL, 0, 0},
                  {"NaN", MV_JSON_FLOAT, 0, NAN},
                  {"Infinity", MV_JSON_FLOAT, 0, INFINITY},
                  {"-Infinity", MV_JSON_FLOAT, 0, -INFINITY}};
  for (size_t i = 0; i < sizeof literals / sizeof *literals; i++) {
    if (!take(p, literals[i].word)) continue;
    node->type = literals[i].type;
    node->truth = literals[i].truth;
    node->number = literals[i].number;
    return MV_OK;
  }
  return parse_number(p, node);
}

/* ---- containers ---- */

static mv_status append_child(parser *p, mv_json *parent, mv_json **last, mv_json **out) {
  mv_json *child = new_node(p);
  if (!child) return out_of_memory(p);
  if (*last) {
    (*last)->next = child;
  } else {
    parent->first = child;
  }
  *last = *out = child;
  parent->n_items++;
  return MV_OK;
}

typedef struct member {
  mv_json *node;
  size_t index;
  uint64_t hash; /* of the key: decides nearly every comparison without reading the text */
} member;

static uint64_t hash_of(mv_str key) {
  uint64_t h = 0xCBF29CE484222325u;
  for (size_t i = 0; i < key.len; i++) h = (h ^ (unsigned char)key.ptr[i]) * 0x100000001B3u;
  return h;
}

static int member_order(const void *a, const void *b) {
  const member *x = a, *y = b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  mv_str s = x->node->key, t = y->node->key;
  size_t n = s.len < t.len ? s.len : t.len;
  int order = n ? memcmp(s.ptr, t.ptr, n) : 0;
  if (order == 0 && s.len != t.len) order = s.len < t.len ? -1 : 1;
  return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* Links the members that are not dropped, in the order of the text. */
static void relink(mv_json *object, const member *in_order, const unsigned char *dropped) {
  mv_json **link = &object->first;
  size_t n = object->n_items;
  for (size_t i = 0; i < n; i++) {
    if (dropped[i]) {
      object->n_items--;
      continue;
    }
    *link = in_order[i].node;
    link = &in_order[i].node->next;
  }
  *link = NULL;
}

/* Sorting keeps this n log n whatever the keys. `sorted` and `in_order` hold n members each. */
static void merge_equal_keys(mv_json *object, member *in_order, member *sorted,
                             unsigned char *dropped) {
  size_t n = object->n_items, i = 0;
  for (mv_json *child = object->first; child; child = child->next, i++) {
    in_order[i].node = child;
    in_order[i].index = i;
    in_order[i].hash = hash_of(child->key);
  }
  memcpy(sorted, in_order, n * sizeof *sorted);
  qsort(sorted, n, sizeof *sorted, member_order);
  int any = 0;
  for (size_t first = 0, next; first < n; first = next) {
    mv_json *keep = sorted[first].node;
    for (next = first + 1; next < n && mv_str_eq(sorted[next].node->key, keep->key); next++) {
      mv_json *after = keep->next;
      *keep = *sorted[next].node;
      keep->next = after;
      dropped[sorted[next].index] = 1;
      any = 1;
    }
  }
  if (any) relink(object, in_order, dropped);
}

static mv_status finish_object(parser *p, mv_json *object) {
  size_t n = object->n_items, n_bytes;
  if (n < 2) return MV_OK;
  if (!mv_mul_size(n, 2 * sizeof(member) + 1, &n_bytes)) return out_of_memory(p);
  member *scratch = mv_calloc(1, n_bytes);
  if (!scratch) return out_of_memory(p);
  merge_equal_keys(object, scratch, scratch + n, (unsigned char *)(scratch + 2 * n));
  mv_free(scratch);
  return MV_OK;
}

static mv_status parse_members(parser *p, mv_json *object) {
  mv_json *last = NULL, *child = NULL;
  skip_space(p);
  if (take(p, "}")) return MV_OK;
  for (;;) {
    mv_str key;
    skip_space(p);
    if (!take(p, "\"")) return unexpected(p, "a key in quotes");
    MV_TRY(parse_string(p, &key));
    skip_space(p);
    if (!take(p, ":")) return unexpected(p, "':' after a key");
    MV_TRY(append_child(p, object, &last, &child));
    child->key = key;
    MV_TRY(parse_value(p, child));
    if (take(p, "}")) return finish_object(p, object);
    if (!take(p, ",")) return unexpected(p, "',' or '}'");
  }
}

static mv_status parse_items(parser *p, mv_json *array) {
  mv_json *last = NULL, *child = NULL;
  skip_space(p);
  if (take(p, "]")) return MV_OK;
  for (;;) {
    MV_TRY(append_child(p, array, &last, &child));
    MV_TRY(parse_value(p, child));
    if (take(p, "]")) return MV_OK;
    if (!take(p, ",")) return unexpected(p, "',' or ']'");
  }
}

/* Leaves p->at at the first character after the value and any space. */
static mv_status parse_value(parser *p, mv_json *node) {
  skip_space(p);
  char c = *p->at;
  if (c == '{' || c == '[') {
    if (++p->depth > MV_JSON_MAX_DEPTH)
      return mv_fail(p->err, MV_ERR_FORMAT, "JSON byte %zu: nested deeper than %d levels",
                     (size_t)(p->at - p->start), MV_JSON_MAX_DEPTH);
    p->at++;
    node->type = c == '{' ? MV_JSON_OBJECT : MV_JSON_ARRAY;
    MV_TRY(c == '{' ? parse_members(p, node) : parse_items(p, node));
    p->depth--;
  } else if (c == '"') {
    p->at++;
    node->type = MV_JSON_STRING;
    MV_TRY(parse_string(p, &node->text));
  } else {
    MV_TRY(parse_literal(p, node));
  }
  skip_space(p);
  return MV_OK;
}

static mv_status parse_document(parser *p, mv_str text) {
  size_t bad = mv_utf8_check(text.ptr, text.len), n_bytes;
  if (bad < text.len) return mv_fail(p->err, MV_ERR_FORMAT, "JSON byte %zu: not UTF-8", bad);
  if (!mv_add_size(text.len, 1, &n_bytes)) return out_of_memory(p);
  p->doc->text = p->start = p->at = mv_alloc(n_bytes);
  if (!p->start) return out_of_memory(p);
  if (text.len) memcpy(p->start, text.ptr, text.len);
  p->end = p->start + text.len;
  *p->end = 0;
  p->doc->root = new_node(p);
  if (!p->doc->root) return out_of_memory(p);
  MV_TRY(parse_value(p, p->doc->root));
  return p->at == p->end ? MV_OK : unexpected(p, "nothing after the value");
}

mv_status mv_json_parse(mv_json_doc *doc, mv_str text, mv_error *err) {
  mv_json_doc_free(doc);
  parser p = {.doc = doc, .err = err};
  mv_status status = parse_document(&p, text);
  if (status != MV_OK) mv_json_doc_free(doc);
  return status;
}

void mv_json_doc_free(mv_json_doc *doc) {
  while (doc->blocks) {
    mv_json *before = doc->blocks->next;
    mv_free(doc->blocks);
    doc->blocks = before;
  }
  mv_free(doc->text);
  doc->text = NULL;
  doc->root = NULL;
}

/* ---- looking things up ---- */

int mv_json_is(const mv_json *node, mv_json_type type) { return node && node->type == type; }

int mv_json_is_number(const mv_json *node) {
  return node && (node->type == MV_JSON_INT || node->type == MV_JSON_FLOAT);
}

const mv_json *mv_json_get(const mv_json *node, const char *key) {
  if (!mv_json_is(node, MV_JSON_OBJECT)) return NULL;
  for (const mv_json *item = node->first; item; item = item->next)
    if (mv_str_is(item->key, key)) return item;
  return NULL;
}

const mv_json *mv_json_at(const mv_json *node, size_t index) {
  if (!mv_json_is(node, MV_JSON_ARRAY)) return NULL;
  const mv_json *item = node->first;
  while (item && index--) item = item->next;
  return item;
}

int mv_json_to_int(const mv_json *node, int64_t *out) {
  char digits[24];
  if (!mv_json_is(node, MV_JSON_INT) || node->text.len >= sizeof digits) return 0;
  memcpy(digits, node->text.ptr, node->text.len);
  digits[node->text.len] = 0;
  errno = 0;
  long long value = strtoll(digits, NULL, 10);
  if (errno) return 0;
  *out = value;
  return 1;
}

const char *mv_json_type_name(const mv_json *node) {
  static const char *const names[] = {"null",     "true or false", "an integer", "a number",
                                      "a string", "an array",      "an object"};
  return node ? names[node->type] : "nothing";
}
