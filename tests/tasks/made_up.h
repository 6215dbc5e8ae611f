/* A small checkpoint of any shape, for tests that measure: a config, the tiny checkpoint's or the
 * real tokenizer, no weights (open it with options.random = "config"). */
#ifndef MV_TESTS_TASKS_MADE_UP_H
#define MV_TESTS_TASKS_MADE_UP_H

#include <stdio.h>
#include <string.h>

#include "runtime/file.h"
#include "tests/check_main.h"

typedef struct made_up {
  const char *tokenizer; /* path of tokenizer.json */
  int vocab, d_model, d_ff, n_layer, n_head, n_kv;
  int end_id, image_id; /* <|im_end|> and <|image_pad|> of that tokenizer */
} made_up;

static inline void made_up_copy(const char *from, const char *dir, const char *name) {
  char to[192];
  mv_buf text = {0};
  mv_error err;
  snprintf(to, sizeof to, "%s/%s", dir, name);
  ck_assert_msg(mv_file_read(from, (size_t)1 << 28, &text, &err) == MV_OK, "%s", err.msg);
  ck_assert_msg(mv_file_write(to, text.ptr, text.len, &err) == MV_OK, "%s", err.msg);
  mv_buf_free(&text);
}

/* Fills the directory `dir`, which exists. */
static inline void made_up_write(const char *dir, const made_up *m) {
  char path[192];
  mv_buf text = {0};
  mv_error err;
  mv_buf_printf(
      &text,
      "{\"architectures\": [\"Qwen2_5_VLForConditionalGeneration\"],\n"
      " \"model_type\": \"qwen2_5_vl\", \"hidden_act\": \"silu\", \"rms_norm_eps\": 1e-06,\n"
      " \"rope_theta\": 10000.0, \"max_position_embeddings\": 32768,\n"
      " \"tie_word_embeddings\": false, \"torch_dtype\": \"bfloat16\",\n"
      " \"rope_scaling\": {\"type\": \"mrope\", \"mrope_section\": [4, 6, 6]},\n"
      " \"eos_token_id\": %d, \"bos_token_id\": %d, \"image_token_id\": %d,\n"
      " \"vision_start_token_id\": %d, \"vision_end_token_id\": %d,\n"
      " \"vision_token_id\": %d, \"video_token_id\": %d,\n",
      m->end_id, m->end_id, m->image_id, m->image_id - 3, m->image_id - 2, m->image_id - 1,
      m->image_id + 1);
  mv_buf_printf(
      &text,
      " \"vocab_size\": %d, \"hidden_size\": %d, \"intermediate_size\": %d,\n"
      " \"num_hidden_layers\": %d, \"num_attention_heads\": %d,\n"
      " \"num_key_value_heads\": %d,\n"
      " \"vision_config\": {\"depth\": 4, \"hidden_act\": \"silu\", \"hidden_size\": 128,\n"
      "  \"intermediate_size\": 256, \"num_heads\": 4, \"in_chans\": 3,\n"
      "  \"out_hidden_size\": %d, \"patch_size\": 14, \"spatial_merge_size\": 2,\n"
      "  \"spatial_patch_size\": 14, \"window_size\": 112,\n"
      "  \"fullatt_block_indexes\": [1, 3], \"tokens_per_second\": 2,\n"
      "  \"temporal_patch_size\": 2, \"model_type\": \"qwen2_5_vl\"}}\n",
      m->vocab, m->d_model, m->d_ff, m->n_layer, m->n_head, m->n_kv, m->d_model);
  snprintf(path, sizeof path, "%s/config.json", dir);
  ck_assert_msg(mv_file_write(path, text.ptr, text.len, &err) == MV_OK, "%s", err.msg);
  mv_buf_free(&text);
  made_up_copy(m->tokenizer, dir, "tokenizer.json");
  made_up_copy("weights/tiny/preprocessor_config.json", dir, "preprocessor_config.json");
}

/* The directory is no longer needed once the model is open. */
static inline void made_up_remove(const char *dir) {
  static const char *const names[] = {"config.json", "tokenizer.json", "preprocessor_config.json"};
  for (int i = 0; i < 3; i++) {
    char path[192];
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    remove(path);
  }
  remove(dir);
}

#endif
