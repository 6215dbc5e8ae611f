#include "weights/json_read.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/memory.h"
#include "runtime/text.h"

/* cJSON reports a failed allocation as a syntax error; this tells them apart. */
static _Thread_local int alloc_failed;

static void *cjson_alloc(size_t n_bytes) {
  void *ptr = mv_alloc(n_bytes);
  if (!ptr) alloc_failed = 1;
  return ptr;
}

static void install_hooks(void) {
  cJSON_Hooks hooks = {cjson_alloc, mv_free};
  cJSON_InitHooks(&hooks);
}

/* What `scan` learns on the way. */
typedef struct scan_state {
  const char *text;
  size_t n, at;
  size_t n_values; /* upper bound of the nodes that cJSON will allocate */
  const char *problem;
} scan_state;

/* Skips a string whose opening quote is at s->at. */
static int scan_string(scan_state *s) {
  for (s->at++; s->at < s->n; s->at++) {
    unsigned char c = (unsigned char)s->text[s->at];
    if (c == '"') return 1;
    if (c < 0x20) {
      s->problem = "control character in a string";
      return 0;
    }
    if (c != '\\') continue;
    if (s->n - s->at >= 6 && memcmp(s->text + s->at, "\\u0000", 6) == 0) {
      s->problem = "U+0000 in a string";
      return 0;
    }
    s->at++;
  }
  s->problem = "unterminated string";
  return 0;
}

/* Walks the brackets and strings once, before cJSON allocates anything. */
static int scan(scan_state *s) {
  int depth = 0;
  s->n_values = 1;
  for (; s->at < s->n; s->at++) {
    char c = s->text[s->at];
    if (c == '"' && !scan_string(s)) return 0;
    if (c == '[' || c == '{') depth++;
    if (c == ']' || c == '}') depth--;
    if (c == '[' || c == '{' || c == ',') s->n_values++;
    if (depth > MV_CJSON_MAX_DEPTH) s->problem = "nested too deeply";
    if (depth < 0) s->problem = "unexpected closing bracket";
    if (s->n_values > MV_CJSON_MAX_VALUES) s->problem = "too many values";
    if (s->problem) return 0;
  }
  return 1;
}

static int compare_keys(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Refuses duplicate keys at every level; depth was bounded by `scan`. */
static mv_status check_keys(const cJSON *node, const char *what, mv_error *err) {
  size_t n = 0;
  for (const cJSON *child = node->child; child; child = child->next, n++) {
    if (child->child) MV_TRY(check_keys(child, what, err));
  }
  if (!cJSON_IsObject(node) || n < 2) return MV_OK;
  const char **keys = mv_calloc(n, sizeof *keys);
  if (!keys) return mv_fail(err, MV_ERR_MEMORY, "%s: out of memory", what);
  size_t i = 0;
  for (const cJSON *child = node->child; child; child = child->next) keys[i++] = child->string;
  qsort(keys, n, sizeof *keys, compare_keys);
  mv_status status = MV_OK;
  for (i = 1; i < n && status == MV_OK; i++) {
    if (strcmp(keys[i - 1], keys[i]) == 0)
      status = mv_fail(err, MV_ERR_FORMAT, "%s: key \"%.200s\" occurs twice", what, keys[i]);
  }
  mv_free(keys);
  return status;
}

static mv_status parse(cJSON **out, const char *text, size_t n, const char *what, mv_error *err) {
  const char *end = NULL;
  alloc_failed = 0;
  cJSON *root = cJSON_ParseWithLengthOpts(text, n, &end, 0);
  if (!root && alloc_failed) return mv_fail(err, MV_ERR_MEMORY, "%s: out of memory", what);
  if (!root) {
    size_t at = end && end >= text && end <= text + n ? (size_t)(end - text) : 0;
    return mv_fail(err, MV_ERR_FORMAT, "%s: not valid JSON at byte %zu", what, at);
  }
  while (end < text + n && (*end == ' ' || *end == '\t' || *end == '\n' || *end == '\r')) end++;
  mv_status status = MV_OK;
  if (end != text + n) {
    status = mv_fail(err, MV_ERR_FORMAT, "%s: unexpected text after the JSON value at byte %zu",
                     what, (size_t)(end - text));
  } else if (!cJSON_IsObject(root)) {
    status = mv_fail(err, MV_ERR_FORMAT, "%s: expected a JSON object", what);
  } else {
    status = check_keys(root, what, err);
  }
  if (status != MV_OK) {
    cJSON_Delete(root);
    root = NULL;
  }
  *out = root;
  return status;
}

mv_status mv_cjson_object(cJSON **out, const char *text, size_t n, const char *what,
                          mv_error *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install_hooks);
  *out = NULL;
  size_t bad = mv_utf8_check(text, n);
  if (bad < n) return mv_fail(err, MV_ERR_FORMAT, "%s: not valid UTF-8 at byte %zu", what, bad);
  scan_state s = {text, n, 0, 0, NULL};
  if (!scan(&s)) {
    return mv_fail(err, MV_ERR_FORMAT, "%s: not valid JSON at byte %zu: %s", what, s.at, s.problem);
  }
  return parse(out, text, n, what, err);
}

int mv_cjson_int(const cJSON *item, int64_t *out) {
  if (!cJSON_IsNumber(item)) return 0;
  double x = item->valuedouble;
  if (!(fabs(x) < 0x1p53) || x != floor(x)) return 0;
  *out = (int64_t)x;
  return 1;
}
