/* A checkpoint of tests/data/reference, copied to a folder of its own to be changed: a fixture. */
#ifndef MV_TESTS_RUNTIME_CHECKPOINT_COPY_H
#define MV_TESTS_RUNTIME_CHECKPOINT_COPY_H

#include <stdlib.h>
#include <unistd.h>

#include "runtime/file.h"
#include "tests/check_main.h"
#include "tests/runtime/reference.h"

static char copy_dir[64];

static inline const char *in_copy(const char *name) {
  static char path[160];
  snprintf(path, sizeof path, "%s/%s", copy_dir, name);
  return path;
}

static inline void copy_file(const char *name) {
  char from[160];
  mv_error err;
  mv_buf bytes = {0};
  snprintf(from, sizeof from, REFERENCE "gqa2-head32-bf16/%s", name);
  ck_assert_int_eq(mv_file_read(from, 1 << 24, &bytes, &err), MV_OK);
  ck_assert_int_eq(mv_file_write(in_copy(name), bytes.ptr, bytes.len, &err), MV_OK);
  mv_buf_free(&bytes);
}

static const char *const files[] = {"config.json",       "generation_config.json",
                                    "model.safetensors", "preprocessor_config.json",
                                    "tokenizer.json",    "tokenizer_config.json"};
enum { N_FILE = sizeof files / sizeof *files };

static inline void make_copy(void) {
  snprintf(copy_dir, sizeof copy_dir, "/tmp/mv-model-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(copy_dir));
  for (int i = 0; i < N_FILE; i++) copy_file(files[i]);
}

static inline void remove_copy(void) {
  for (int i = 0; i < N_FILE; i++) unlink(in_copy(files[i]));
  rmdir(copy_dir);
}

#endif
