/* The table of algorithms: in memory a list (a model has some twenty shapes and fifteen numbers of
 * rows), on disk lines of text that belong to one card and one version of the library:
 *
 *   medvision cublaslt 1
 *   device NVIDIA H200
 *   version 130100
 *   3584 4608 512 1 1 0 41.5 <128 hex digits: the algorithm>
 *   ...
 *   sum 0123456789abcdef
 *
 * It is read whole or not at all: a file that is damaged, or of another card, is as good as none,
 * and is written anew after the next measurement. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linear_lt.h"
#include "runtime/env.h"
#include "runtime/file.h"
#include "runtime/memory.h"

#define MAX_FILE_BYTES ((size_t)1 << 20)
#define ALGO_BYTES sizeof(cublasLtMatmulAlgo_t)

/* ---- in memory ---- */

mv_lt_choice *mv_lt_table_find(struct mv_cuda_lt *lt, const mv_lt_key *key) {
  for (size_t i = 0; i < lt->n_choice; i++)
    if (memcmp(&lt->choices[i].key, key, sizeof *key) == 0) return &lt->choices[i];
  return NULL;
}

mv_lt_choice *mv_lt_table_put(struct mv_cuda_lt *lt, const mv_lt_choice *choice) {
  mv_lt_choice *place = mv_lt_table_find(lt, &choice->key);
  if (!place && lt->n_choice == lt->max_choice) {
    size_t max = lt->max_choice ? 2 * lt->max_choice : 64;
    mv_lt_choice *grown = mv_realloc(lt->choices, max * sizeof *grown);
    if (!grown) return NULL;
    lt->choices = grown;
    lt->max_choice = max;
  }
  if (!place) place = &lt->choices[lt->n_choice++];
  *place = *choice;
  return place;
}

/* The choice for one key; measured with `like` when there is none. */
static const mv_lt_choice *choice_of(mv_device *device, const mv_lt_key *key, const void *w,
                                     const cublasLtMatmulAlgo_t *like) {
  struct mv_cuda_lt *lt = mv_cuda_of(device)->lt;
  mv_lt_choice made, *known = mv_lt_table_find(lt, key);
  if (known) return known->us < 0 ? NULL : known;
  if (device->error.code != MV_OK) return NULL;
  if (!mv_lt_tune(device, key, w, like, &made)) {
    if (device->error.code != MV_OK) return NULL;
    made.us = -1; /* not asked again */
  }
  known = mv_lt_table_put(lt, &made);
  if (!known)
    mv_fail(&device->error, MV_ERR_MEMORY, "%s: no memory for the table of algorithms",
            device->name);
  else if (made.us > 0)
    mv_lt_table_save(lt);
  return made.us < 0 ? NULL : known;
}

const cublasLtMatmulAlgo_t *mv_lt_choose(mv_device *device, const mv_lt_key *key, const void *w) {
  mv_lt_key first_key = *key;
  first_key.n_row = MV_LT_FIRST;
  const mv_lt_choice *choice = choice_of(device, &first_key, w, NULL);
  /* An untimed first is not kept, so nothing that was made to be like it may be. */
  if (choice && choice->us > 0 && key->n_row != MV_LT_FIRST) {
    cublasLtMatmulAlgo_t like = choice->algo; /* the list may move */
    choice = choice_of(device, key, w, &like);
  }
  return choice ? &choice->algo : NULL;
}

/* ---- the file ---- */

static uint64_t sum_of(const char *text, size_t n) { /* FNV-1a */
  uint64_t sum = 0xcbf29ce484222325u;
  for (size_t i = 0; i < n; i++) sum = (sum ^ (unsigned char)text[i]) * 0x100000001b3u;
  return sum;
}

static void write_head(const struct mv_cuda_lt *lt, mv_buf *out) {
  mv_buf_printf(out, "medvision cublaslt 1\ndevice %s\nversion %zu\n", lt->device_name,
                lt->version);
}

void mv_lt_table_save(const struct mv_cuda_lt *lt) {
  mv_buf out = {0};
  mv_error ignored;
  if (!lt->path) return;
  write_head(lt, &out);
  for (size_t i = 0; i < lt->n_choice; i++) {
    const mv_lt_choice *c = &lt->choices[i];
    if (c->us <= 0) continue;
    mv_buf_printf(&out, "%d %d %d %d %d %d %.3f ", (int)c->key.n_in, (int)c->key.n_out,
                  (int)c->key.n_row, (int)c->key.y_is_bf16, (int)c->key.has_bias,
                  (int)c->key.accumulate, (double)c->us);
    for (size_t j = 0; j < ALGO_BYTES; j++)
      mv_buf_printf(&out, "%02x", ((const unsigned char *)&c->algo)[j]);
    mv_buf_char(&out, '\n');
  }
  mv_buf_printf(&out, "sum %016" PRIx64 "\n", sum_of(out.ptr ? out.ptr : "", out.len));
  /* what cannot be kept is measured again next time */
  if (!out.failed) mv_file_write(lt->path, out.ptr, out.len, &ignored);
  mv_buf_free(&out);
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One line without its newline; returns whether it is one. */
static int read_choice(mv_str line, mv_lt_choice *c) {
  char numbers[128];
  int n_in, n_out, n_row, y_is_bf16, has_bias, accumulate, end = 0;
  memset(c, 0, sizeof *c);
  if (line.len <= 2 * ALGO_BYTES || line.len - 2 * ALGO_BYTES >= sizeof numbers) return 0;
  size_t n = line.len - 2 * ALGO_BYTES;
  memcpy(numbers, line.ptr, n);
  numbers[n] = 0;
  if (sscanf(numbers, "%9d %9d %9d %1d %1d %1d %f %n", &n_in, &n_out, &n_row, &y_is_bf16, &has_bias,
             &accumulate, &c->us, &end) != 7 ||
      (size_t)end != n || n_in <= 0 || n_out <= 0 || n_row <= 0 || !(c->us > 0))
    return 0;
  c->key = (mv_lt_key){n_in, n_out, n_row, y_is_bf16, has_bias, accumulate};
  for (size_t i = 0; i < ALGO_BYTES; i++) {
    int high = hex_digit(line.ptr[n + 2 * i]), low = hex_digit(line.ptr[n + 2 * i + 1]);
    if (high < 0 || low < 0) return 0;
    ((unsigned char *)&c->algo)[i] = (unsigned char)(high << 4 | low);
  }
  return 1;
}

/* What lies between our head and a right sum; empty for any other text. */
static mv_str body_of(const struct mv_cuda_lt *lt, mv_str text) {
  enum { SUM_LINE = 4 + 16 + 1 };
  mv_buf head = {0}, tail = {0};
  mv_str body = {NULL, 0};
  write_head(lt, &head);
  if (!head.failed && text.len >= head.len + SUM_LINE) {
    size_t n = text.len - SUM_LINE;
    mv_buf_printf(&tail, "sum %016" PRIx64 "\n", sum_of(text.ptr, n));
    if (!tail.failed && memcmp(text.ptr, head.ptr, head.len) == 0 &&
        memcmp(text.ptr + n, tail.ptr, SUM_LINE) == 0)
      body = (mv_str){text.ptr + head.len, n - head.len};
  }
  mv_buf_free(&head);
  mv_buf_free(&tail);
  return body;
}

/* That the library still takes it for this product. */
static int fits(mv_device *device, const mv_lt_choice *c) {
  mv_lt_product p;
  cublasLtMatmulHeuristicResult_t result;
  int yes = mv_lt_product_open(device, &p, &c->key, c->key.n_in, c->key.n_out) &&
            cublasLtMatmulAlgoCheck(mv_cuda_of(device)->lt->handle, p.desc, p.w, p.x, p.y, p.y,
                                    &c->algo, &result) == CUBLAS_STATUS_SUCCESS &&
            result.workspaceSize <= MV_LT_WORKSPACE;
  mv_lt_product_close(&p);
  return yes;
}

/* Choices that are known already stay. */
static int read_choices(mv_device *device, mv_str rest) {
  struct mv_cuda_lt *lt = mv_cuda_of(device)->lt;
  while (rest.len) {
    const char *end = memchr(rest.ptr, '\n', rest.len);
    mv_lt_choice choice;
    if (!end || !read_choice((mv_str){rest.ptr, (size_t)(end - rest.ptr)}, &choice) ||
        !fits(device, &choice))
      return 0;
    if (!mv_lt_table_find(lt, &choice.key) && !mv_lt_table_put(lt, &choice)) return 0;
    rest.len -= (size_t)(end + 1 - rest.ptr);
    rest.ptr = end + 1;
  }
  return 1;
}

void mv_lt_table_load(mv_device *device) {
  struct mv_cuda_lt *lt = mv_cuda_of(device)->lt;
  mv_buf text = {0};
  mv_error ignored;
  size_t n_before = lt->n_choice;
  if (mv_file_exists(lt->path) &&
      mv_file_read(lt->path, MAX_FILE_BYTES, &text, &ignored) == MV_OK &&
      !read_choices(device, body_of(lt, mv_buf_view(&text))))
    lt->n_choice = n_before;
  mv_buf_free(&text);
}

/* $XDG_CACHE_HOME/medvision/cublaslt-NVIDIA-H200-130100.txt, its folder made. Returns (free with
 * mv_free), or NULL with an error. */
char *mv_lt_table_default(const struct mv_cuda_lt *lt, mv_error *err) {
  const char *cache = mv_env("XDG_CACHE_HOME"), *home = mv_env("HOME");
  mv_buf path = {0};
  if (!cache && !home) {
    mv_fail(err, MV_ERR_USAGE, "no folder for timings: neither XDG_CACHE_HOME nor HOME is set");
    return NULL;
  }
  mv_buf_printf(&path, cache ? "%s/medvision" : "%s/.cache/medvision", cache ? cache : home);
  mv_status status = mv_buf_status(&path, err);
  if (status == MV_OK) status = mv_dir_make(path.ptr, err);
  mv_buf_text(&path, "/cublaslt-");
  for (const char *c = lt->device_name; *c; c++)
    mv_buf_char(&path, *c == ' ' || *c == '/' ? '-' : *c);
  mv_buf_printf(&path, "-%zu.txt", lt->version);
  if (status == MV_OK) status = mv_buf_status(&path, err);
  if (status == MV_OK) return path.ptr;
  mv_buf_free(&path);
  return NULL;
}
