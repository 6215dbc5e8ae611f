/* Rows of a JSON lines file of golden values, for tests: check(row, "file:line") for each. */
#ifndef MV_TESTS_JSONL_H
#define MV_TESTS_JSONL_H

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/dtype.h"
#include "runtime/file.h"
#include "runtime/json.h"

typedef void (*jsonl_check)(const mv_json *row, const char *where);

static inline int jsonl_each(const char *path, jsonl_check check) {
  mv_buf file = {0};
  mv_error err;
  ck_assert_msg(mv_file_read(path, (size_t)64 << 20, &file, &err) == MV_OK, "%s", err.msg);
  int line = 0;
  for (char *at = file.ptr, *end = file.ptr + file.len; at < end; line++) {
    char *stop = memchr(at, '\n', (size_t)(end - at));
    if (!stop) stop = end;
    mv_json_doc doc = {0};
    char where[320];
    snprintf(where, sizeof where, "%s:%d", path, line + 1);
    mv_str text = {at, (size_t)(stop - at)};
    ck_assert_msg(mv_json_parse(&doc, text, &err) == MV_OK, "%s: %s", where, err.msg);
    check(doc.root, where);
    mv_json_doc_free(&doc);
    at = stop + 1;
  }
  mv_buf_free(&file);
  return line;
}

/* The kept rows and, where the full files lie beside the source tree, all of them. */
static inline int jsonl_each_golden(const char *name, jsonl_check check) {
  char path[256];
  snprintf(path, sizeof path, "tests/data/tasks/%s", name);
  int n = jsonl_each(path, check);
  snprintf(path, sizeof path, "../shared/golden/%s", name);
  return mv_file_exists(path) ? n + jsonl_each(path, check) : n;
}

static inline mv_str jsonl_text(const mv_json *row, const char *key) {
  const mv_json *node = mv_json_get(row, key);
  return mv_json_is(node, MV_JSON_STRING) ? node->text : mv_str_of("");
}

/* Numbers, or "NaN", "Infinity", "-Infinity" as strings. */
static inline double jsonl_number(const mv_json *node) {
  if (!mv_json_is(node, MV_JSON_STRING)) return node->number;
  return mv_str_is(node->text, "NaN") ? NAN : node->text.ptr[0] == '-' ? -INFINITY : INFINITY;
}

static inline int jsonl_int(const mv_json *row, const char *key) {
  return (int)mv_json_get(row, key)->number;
}

/* Big-endian hex of a float32's bits. */
static inline float jsonl_f32(const mv_json *node) {
  char hex[9] = {0};
  memcpy(hex, node->text.ptr, 8);
  return mv_f32_from_bits((uint32_t)strtoul(hex, NULL, 16));
}

/* Equal as numbers, or both NaN. */
static inline int jsonl_same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

#endif
