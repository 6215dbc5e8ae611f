/* What the tests of vision/ share: JSON-lines goldens, base64, checksums, and the noise that
 * make_golden.py makes too. */
#ifndef MV_TESTS_VISION_VISION_DATA_H
#define MV_TESTS_VISION_VISION_DATA_H

#include <cjson/cJSON.h>
#include <string.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "runtime/sha256.h"
#include "tests/check_main.h"
#include "vision/image.h"

#define VISION_DATA "tests/data/vision/"
#define SHARED_GOLDEN "../shared/golden/"

static inline mv_image noise(int h, int w, int c, uint32_t seed) {
  mv_image image;
  ck_assert_int_eq(mv_image_init(&image, w, h, c, NULL), MV_OK);
  for (uint32_t i = 0; i < (uint32_t)(h * w * c); i++) {
    uint32_t v = i * 2654435761u + seed * 40503u;
    v ^= v >> 15;
    image.px[i] = (uint8_t)(v * 2246822519u >> 24);
  }
  return image;
}

static inline size_t n_bytes(const mv_image *image) {
  return (size_t)image->width * (size_t)image->height * (size_t)image->channels;
}

static inline void assert_sha(const void *bytes, size_t n, const cJSON *expected,
                              const char *what) {
  char hex[65];
  mv_sha256_hex(bytes, n, hex);
  ck_assert_msg(strcmp(hex, cJSON_GetStringValue(expected)) == 0, "%s: checksum differs", what);
}

static inline int int_of(const cJSON *row, const char *key) {
  const cJSON *item = cJSON_GetObjectItem(row, key);
  ck_assert_msg(cJSON_IsNumber(item), "golden row has no number %s", key);
  return (int)item->valuedouble;
}

static inline int at(const cJSON *row, const char *key, int i) {
  const cJSON *item = cJSON_GetArrayItem(cJSON_GetObjectItem(row, key), i);
  ck_assert_msg(cJSON_IsNumber(item), "golden row has no %s[%d]", key, i);
  return (int)item->valuedouble;
}

static inline const char *text_of(const cJSON *row, const char *key) {
  return cJSON_GetStringValue(cJSON_GetObjectItem(row, key));
}

/* Calls `check` for each row; returns their number (-1 when there is no such file). */
static inline int each_row(const char *path, void (*check)(const cJSON *row)) {
  if (!mv_file_exists(path)) return -1;
  mv_buf text = {0};
  ck_assert_int_eq(mv_file_read(path, 64u << 20, &text, NULL), MV_OK);
  int n = 0;
  for (char *line = text.ptr; line && *line;) {
    char *end = strchr(line, '\n');
    if (end) *end = '\0';
    cJSON *row = cJSON_Parse(line);
    ck_assert_msg(row != NULL, "%s:%d: not JSON", path, n + 1);
    check(row);
    cJSON_Delete(row);
    n++;
    line = end ? end + 1 : NULL;
  }
  mv_buf_free(&text);
  return n;
}

static inline mv_buf from_base64(const char *text) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  mv_buf out = {0};
  uint32_t bits = 0;
  int n = 0;
  for (; *text && *text != '='; text++) {
    bits = bits << 6 | (uint32_t)(strchr(digits, *text) - digits);
    n += 6;
    if (n >= 8) mv_buf_char(&out, (char)(bits >> (n -= 8) & 255));
  }
  return out;
}

/* Fails the k-th allocation, counted from 0; `k` below 0 fails none but counts. */
typedef struct fail_at {
  int k, n_seen;
} fail_at;

static inline int fail_hook(size_t n, void *user) {
  fail_at *f = user;
  (void)n;
  return f->n_seen++ != f->k;
}

/* Runs `attempt` with each allocation failing in turn until one run needs fewer; every failing run
 * must return MV_ERR_MEMORY. Returns how many allocations there are. */
static inline int sweep_allocations(mv_status (*attempt)(void *user), void *user) {
  for (int k = 0; k < 100000; k++) {
    fail_at f = {.k = k};
    mv_alloc_set_hook(fail_hook, &f);
    mv_status status = attempt(user);
    mv_alloc_set_hook(NULL, NULL);
    if (f.n_seen <= k) {
      ck_assert_int_eq(status, MV_OK);
      return k;
    }
    ck_assert_msg(status == MV_ERR_MEMORY || status == MV_OK, "allocation %d: status %d", k,
                  (int)status);
  }
  ck_abort_msg("no end of allocations");
  return 0;
}

#endif
