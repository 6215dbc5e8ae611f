/* The committed checkpoints with the reference's answers, for tests of the engine. */
#ifndef MV_TESTS_RUNTIME_REFERENCE_H
#define MV_TESTS_RUNTIME_REFERENCE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/medvision.h"
#include "tests/jsonl.h"
#include "vision/image.h"

#define REFERENCE "tests/data/reference/"

static const char *const checkpoints[] = {"flat-tied-sharded-bf16", "gqa2-head32-bf16",
                                          "head128-f32", "mqa-head64-f16"};
enum { N_CHECKPOINT = sizeof checkpoints / sizeof *checkpoints };

static inline mv_model *open_reference(int which, mv_precision precision) {
  char dir[128];
  mv_error err;
  mv_model *model;
  snprintf(dir, sizeof dir, REFERENCE "%s", checkpoints[which]);
  mv_model_options options = {.dir = dir, .device = "cpu", .precision = precision, .n_thread = 1};
  ck_assert_msg(mv_model_open(&model, &options, &err) == MV_OK, "%s", err.msg);
  return model;
}

static inline mv_engine *new_engine(mv_model *model) {
  mv_error err;
  mv_engine *engine;
  ck_assert_msg(mv_engine_new(&engine, model, NULL, &err) == MV_OK, "%s", err.msg);
  return engine;
}

static inline mv_image load_picture(const char *path) {
  mv_error err;
  mv_image image = {0};
  ck_assert_msg(mv_image_load(path, &image, &err) == MV_OK, "%s", err.msg);
  return image;
}

/* A request of expected.jsonl. Owns the pictures; texts are borrowed from the row. */
typedef struct reference_case {
  mv_image images[4];
  mv_request request;
} reference_case;

static inline void reference_case_init(reference_case *c, const mv_json *row) {
  memset(c, 0, sizeof *c);
  mv_request_init(&c->request);
  const mv_json *images = mv_json_get(row, "images");
  for (const mv_json *item = images->first; item; item = item->next) {
    char path[160];
    snprintf(path, sizeof path, REFERENCE "%.*s", (int)item->text.len, item->text.ptr);
    ck_assert_int_lt(c->request.n_image, 4);
    c->images[c->request.n_image++] = load_picture(path);
  }
  c->request.images = c->images;
  if (jsonl_text(row, "system").len) c->request.system = jsonl_text(row, "system");
  c->request.prompt = jsonl_text(row, "prompt");
  c->request.image_order =
      mv_str_is(jsonl_text(row, "image_order"), "last") ? MV_IMAGE_LAST : MV_IMAGE_FIRST;
  c->request.max_new_tokens = jsonl_int(row, "max_new_tokens");
}

static inline void reference_case_free(reference_case *c) {
  for (int i = 0; i < c->request.n_image; i++) mv_image_free(&c->images[i]);
}

#endif
