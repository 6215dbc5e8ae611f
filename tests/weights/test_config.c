#include <string.h>

#include "tests/check_main.h"
#include "tests/weights/files.h"
#include "weights/config.h"

static mv_error err;
static mv_config config;

static mv_status parse(const char *text) {
  memset(&err, 0, sizeof err);
  return mv_config_parse(&config, mv_str_of(text), "config.json", &err);
}

/* Parses the base config with one piece of text replaced. */
static mv_status parse_with(const char *base, const char *from, const char *to) {
  char *text = replaced(base, from, to);
  mv_status status = parse(text);
  free(text);
  return status;
}

#define ck_assert_config(text) ck_assert_msg(parse(text) == MV_OK, "%s", err.msg)

/* ---- the released checkpoints ------------------------------------------------------------- */

#define REAL_TOKENS                                                                            \
  "\"bos_token_id\": 151643, \"eos_token_id\": 151645, \"vision_start_token_id\": 151652, "    \
  "\"vision_end_token_id\": 151653, \"vision_token_id\": 151654, \"image_token_id\": 151655, " \
  "\"video_token_id\": 151656, "
#define REAL_VISION(out)                                                                       \
  "\"vision_config\": {\"depth\": 32, \"hidden_act\": \"silu\", \"hidden_size\": 1280, "       \
  "\"intermediate_size\": 3420, \"num_heads\": 16, \"in_chans\": 3, \"out_hidden_size\": " out \
  ", \"patch_size\": 14, \"spatial_merge_size\": 2, \"spatial_patch_size\": 14, "              \
  "\"window_size\": 112, \"fullatt_block_indexes\": [7, 15, 23, 31], "                         \
  "\"tokens_per_second\": 2, \"temporal_patch_size\": 2}"
#define TEXT_7B                                                                          \
  "\"hidden_act\": \"silu\", \"hidden_size\": 3584, \"intermediate_size\": 18944, "      \
  "\"max_position_embeddings\": 128000, \"max_window_layers\": 28, "                     \
  "\"num_attention_heads\": 28, \"num_hidden_layers\": 28, \"num_key_value_heads\": 4, " \
  "\"rms_norm_eps\": 1e-06, \"use_sliding_window\": false, \"vocab_size\": 152064, "

static const char flat_7b[] =
    "{\"architectures\": [\"Qwen2_5_VLForConditionalGeneration\"], \"attention_dropout\": "
    "0.0, " REAL_TOKENS TEXT_7B
    "\"model_type\": \"qwen2_5_vl\", \"rope_theta\": 1000000.0, \"sliding_window\": 32768, "
    "\"tie_word_embeddings\": false, \"torch_dtype\": \"bfloat16\", "
    "\"transformers_version\": \"4.41.2\", \"rope_scaling\": {\"type\": \"mrope\", "
    "\"mrope_section\": [16, 24, 24]}, " REAL_VISION("3584") "}";

/* 4.5x writes the decoder's keys both at the top and nested. */
static const char both_7b[] =
    "{" REAL_TOKENS TEXT_7B
    "\"model_type\": \"qwen2_5_vl\", \"rope_scaling\": {\"mrope_section\": [16, 24, 24], "
    "\"rope_type\": \"default\", \"type\": \"default\"}, \"rope_theta\": 1000000.0, "
    "\"tie_word_embeddings\": false, \"text_config\": {\"image_token_id\": null, "
    "\"video_token_id\": null, \"model_type\": \"qwen2_5_vl_text\", \"sliding_window\": "
    "null, " TEXT_7B
    "\"eos_token_id\": 151645, \"rope_scaling\": {\"mrope_section\": [16, 24, 24], "
    "\"rope_type\": \"default\", \"type\": \"default\"}, \"rope_theta\": 1000000.0}, " REAL_VISION(
        "3584") "}";

/* 5.x */
static const char nested_7b[] =
    "{\"model_type\": \"qwen2_5_vl\", \"image_token_id\": 151655, \"tie_word_embeddings\": false, "
    "\"text_config\": {" TEXT_7B
    "\"bos_token_id\": 151643, \"eos_token_id\": 151645, \"sliding_window\": null, "
    "\"rope_parameters\": {\"mrope_section\": [16, 24, 24], \"rope_theta\": 1000000.0, "
    "\"rope_type\": \"default\"}}, " REAL_VISION("3584") "}";

static void assert_is_7b(void) {
  const mv_text_config *t = &config.text;
  const mv_vision_config *v = &config.vision;
  ck_assert_int_eq(t->vocab_size, 152064);
  ck_assert_int_eq(t->d_model, 3584);
  ck_assert_int_eq(t->d_ff, 18944);
  ck_assert_int_eq(t->n_layer, 28);
  ck_assert_int_eq(t->n_head, 28);
  ck_assert_int_eq(t->n_kv, 4);
  ck_assert_int_eq(t->head_dim, 128);
  ck_assert_int_eq(t->max_positions, 128000);
  ck_assert_double_eq(t->rms_eps, 1e-6);
  ck_assert_double_eq(t->rope_theta, 1e6);
  ck_assert_int_eq(t->mrope_section[0], 16);
  ck_assert_int_eq(t->mrope_section[1], 24);
  ck_assert_int_eq(t->mrope_section[2], 24);
  ck_assert_int_eq(v->depth, 32);
  ck_assert_int_eq(v->d_model, 1280);
  ck_assert_int_eq(v->d_ff, 3420);
  ck_assert_int_eq(v->head_dim, 80);
  ck_assert_int_eq(v->d_patch, 1176);
  ck_assert_int_eq(v->window_merged, 4);
  ck_assert_int_eq(v->d_out, 3584);
  ck_assert_double_eq(v->rms_eps, 1e-6);
  ck_assert_double_eq(v->rope_theta, 1e4);
  for (int i = 0; i < v->depth; i++) ck_assert_int_eq(v->full_attention[i], i % 8 == 7);
  ck_assert_int_eq(config.tied_head, 0);
  ck_assert_int_eq(config.image_token_id, 151655);
  ck_assert_int_eq(config.vision_start_token_id, 151652);
  ck_assert_int_eq(config.bos_token_id, 151643);
  ck_assert_int_eq(config.n_eos, 1);
  ck_assert_int_eq(config.eos_token_id[0], 151645);
}

START_TEST(reads_7b_in_every_shape_of_file) {
  ck_assert_config(flat_7b);
  assert_is_7b();
  ck_assert_config(both_7b);
  assert_is_7b();
  ck_assert_config(nested_7b);
  assert_is_7b();
}
END_TEST

START_TEST(reads_3b_with_its_tied_head) {
  ck_assert_config(
      "{" REAL_TOKENS
      "\"hidden_act\": \"silu\", \"hidden_size\": 2048, \"intermediate_size\": 11008, "
      "\"max_position_embeddings\": 128000, \"max_window_layers\": 70, "
      "\"model_type\": \"qwen2_5_vl\", \"num_attention_heads\": 16, \"num_hidden_layers\": 36, "
      "\"num_key_value_heads\": 2, \"rms_norm_eps\": 1e-06, \"rope_theta\": 1000000.0, "
      "\"sliding_window\": 32768, \"tie_word_embeddings\": true, \"use_sliding_window\": false, "
      "\"rope_scaling\": {\"type\": \"mrope\", \"mrope_section\": [16, 24, 24]}, "
      "\"vocab_size\": 151936, " REAL_VISION("2048") "}");
  ck_assert_int_eq(config.tied_head, 1);
  ck_assert_int_eq(config.text.n_layer, 36);
  ck_assert_int_eq(config.text.head_dim, 128);
  ck_assert_int_eq(config.vision.d_out, 2048);
}
END_TEST

/* Fine-tunes saved by transformers 4.49 hold only what differs from the class's defaults. */
START_TEST(fills_in_what_savers_leave_out) {
  char *text = replaced(flat_7b, REAL_VISION("3584"),
                        "\"vision_config\": {\"hidden_size\": 1280, \"in_chans\": 3, "
                        "\"model_type\": \"qwen2_5_vl\", \"spatial_patch_size\": 14, "
                        "\"tokens_per_second\": 2, \"torch_dtype\": \"bfloat16\"}");
  ck_assert_config(text);
  assert_is_7b();
  free(text);
  ck_assert_config(
      "{\"model_type\": \"qwen2_5_vl\", \"text_config\": {\"rms_norm_eps\": 1e-6, "
      "\"max_position_embeddings\": 128000}, \"vision_config\": {\"hidden_size\": 1280, "
      "\"out_hidden_size\": 8192}}");
  ck_assert_int_eq(config.text.n_layer, 80);
  ck_assert_int_eq(config.text.d_model, 8192);
  ck_assert_int_eq(config.text.d_ff, 29568);
  ck_assert_int_eq(config.text.n_head, 64);
  ck_assert_int_eq(config.text.n_kv, 8);
  ck_assert_int_eq(config.image_token_id, 151655);
  ck_assert_int_eq(config.bos_token_id, -1);
  ck_assert_int_eq(config.n_eos, 0);
}
END_TEST

START_TEST(names_the_required_key_that_is_missing) {
  static const char *const keys[] = {"\"vocab_size\": 48",
                                     "\"hidden_size\": 16",
                                     "\"intermediate_size\": 24",
                                     "\"num_hidden_layers\": 2",
                                     "\"num_attention_heads\": 2",
                                     "\"num_key_value_heads\": 1",
                                     "\"rms_norm_eps\": 1e-06",
                                     "\"max_position_embeddings\": 64",
                                     "\"model_type\": \"qwen2_5_vl\""};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(keys[i], ":"), keys[i]);
    ck_assert_int_eq(parse_with(small_config_flat, keys[i], "\"unused\": 0"), MV_ERR_FORMAT);
    ck_assert_msg(strstr(err.msg, name) && strstr(err.msg, "found nothing"), "%s", err.msg);
  }
  ck_assert_int_eq(parse_with(small_config_nested, "\"rms_norm_eps\": 1e-06", "\"x\": 0"),
                   MV_ERR_FORMAT);
  ck_assert_msg(strstr(err.msg, "text_config.rms_norm_eps"), "%s", err.msg);
  ck_assert_int_eq(parse_with(small_config_flat, "\"vision_config\"", "\"v\""), MV_ERR_FORMAT);
  ck_assert_msg(strstr(err.msg, "vision_config.hidden_size"), "%s", err.msg);
}
END_TEST

/* ---- one value at a time ------------------------------------------------------------------ */

typedef struct bad_value {
  const char *from, *to, *words; /* in the message */
  mv_status status;
} bad_value;

static const bad_value bad_values[] = {
    {"\"vocab_size\": 48", "\"vocab_size\": 0", "\"vocab_size\": expected an integer",
     MV_ERR_FORMAT},
    {"\"vocab_size\": 48", "\"vocab_size\": -1", "found -1", MV_ERR_FORMAT},
    {"\"vocab_size\": 48", "\"vocab_size\": 1e300", "found 1.0000000000000000e+300", MV_ERR_FORMAT},
    {"\"vocab_size\": 48", "\"vocab_size\": 48.5", "found 48.5", MV_ERR_FORMAT},
    {"\"vocab_size\": 48", "\"vocab_size\": \"48\"", "found \"48\"", MV_ERR_FORMAT},
    {"\"vocab_size\": 48", "\"vocab_size\": true", "found true", MV_ERR_FORMAT},
    {"\"vocab_size\": 48", "\"vocab_size\": [48]", "found [48]", MV_ERR_FORMAT},
    {"\"vocab_size\": 48", "\"vocab_size\": NaN", "not valid JSON", MV_ERR_FORMAT},
    {"\"vocab_size\": 48", "\"vocab_size\": 48, \"vocab_size\": 49", "occurs twice", MV_ERR_FORMAT},
    {"\"num_attention_heads\": 2", "\"num_attention_heads\": 3",
     "a multiple of num_attention_heads", MV_ERR_FORMAT},
    {"\"num_key_value_heads\": 1", "\"num_key_value_heads\": 4", "a divisor", MV_ERR_FORMAT},
    {"\"num_attention_heads\": 2", "\"num_attention_heads\": 16", "even", MV_ERR_FORMAT},
    {"\"bos_token_id\": 5", "\"head_dim\": 16", "\"head_dim\"", MV_ERR_FORMAT},
    {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 100000", "1 to 1024", MV_ERR_FORMAT},
    {"\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": 0", "above 0", MV_ERR_FORMAT},
    {"\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": -1e-6", "above 0", MV_ERR_FORMAT},
    {"\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": 1e999", "above 0", MV_ERR_FORMAT},
    {"[2, 1, 1]", "[2, 1, 2]", "sum to half the head dimension, 4", MV_ERR_FORMAT},
    {"[2, 1, 1]", "[2, 2]", "three non-negative", MV_ERR_FORMAT},
    {"[2, 1, 1]", "[1, 1, 1, 1]", "three non-negative", MV_ERR_FORMAT},
    {"[2, 1, 1]", "[6, -1, -1]", "three non-negative", MV_ERR_FORMAT},
    {"[2, 1, 1]", "4", "three non-negative", MV_ERR_FORMAT},
    {"[2, 1, 1]", "null", "sum to half", MV_ERR_FORMAT},
    {"\"use_sliding_window\": false", "\"use_sliding_window\": true", "\"use_sliding_window\"",
     MV_ERR_UNSUPPORTED},
    {"\"use_sliding_window\": false", "\"use_sliding_window\": 1", "true or false", MV_ERR_FORMAT},
    {"\"bos_token_id\": 5", "\"layer_types\": [\"sliding_attention\"]", "full_attention",
     MV_ERR_UNSUPPORTED},
    {"\"hidden_act\": \"silu\"", "\"hidden_act\": \"gelu\"", "expected \"silu\", found \"gelu\"",
     MV_ERR_UNSUPPORTED},
    {"\"qwen2_5_vl\"", "\"qwen2_vl\"", "expected \"qwen2_5_vl\", found \"qwen2_vl\"",
     MV_ERR_UNSUPPORTED},
    {"\"bos_token_id\": 5", "\"bos_token_id\": -2", "\"bos_token_id\"", MV_ERR_FORMAT},
    {"\"bos_token_id\": 5", "\"bos_token_id\": 1e12", "\"bos_token_id\"", MV_ERR_FORMAT},
    {"\"image_token_id\": 40", "\"image_token_id\": -1", "\"image_token_id\"", MV_ERR_FORMAT},
    {"\"depth\": 2", "\"depth\": 0", "vision_config.depth", MV_ERR_FORMAT},
    {"\"num_heads\": 2", "\"num_heads\": 3", "a multiple of num_heads", MV_ERR_FORMAT},
    {"\"num_heads\": 2", "\"num_heads\": 8", "a multiple of 4", MV_ERR_FORMAT},
    {"\"patch_size\": 4", "\"patch_size\": [4, 5]", "equal integers", MV_ERR_FORMAT},
    {"\"patch_size\": 4", "\"patch_size\": []", "equal integers", MV_ERR_FORMAT},
    {"\"patch_size\": 4", "\"patch_size\": 1000", "1 to 512", MV_ERR_FORMAT},
    {"\"window_size\": 16", "\"window_size\": 7", "at least patch_size * spatial_merge_size",
     MV_ERR_FORMAT},
    {"\"out_hidden_size\": 16", "\"out_hidden_size\": 32", "the decoder's hidden_size",
     MV_ERR_FORMAT},
    {"\"fullatt_block_indexes\": [1]", "\"fullatt_block_indexes\": [-1]", "block indexes",
     MV_ERR_FORMAT},
    {"\"fullatt_block_indexes\": [1]", "\"fullatt_block_indexes\": [\"1\"]", "block indexes",
     MV_ERR_FORMAT},
    {"\"fullatt_block_indexes\": [1]", "\"fullatt_block_indexes\": 1", "a list", MV_ERR_FORMAT},
    {"\"in_chans\": 3", "\"in_chans\": 1", "\"vision_config.in_chans\": expected 3, found 1",
     MV_ERR_FORMAT},
};

START_TEST(names_each_bad_value) {
  const bad_value *c = &bad_values[_i];
  ck_assert_int_eq(parse_with(small_config_flat, c->from, c->to), c->status);
  ck_assert_int_eq(err.code, c->status);
  if (strcmp(c->words, "found 1.0000000000000000e+300") == 0)
    ck_assert_msg(strstr(err.msg, "found 1") && strstr(err.msg, "e+300"), "%s", err.msg);
  else
    ck_assert_msg(strstr(err.msg, c->words), "\"%s\" not in: %s", c->words, err.msg);
  ck_assert(strncmp(err.msg, "config.json: ", 13) == 0);
}
END_TEST

START_TEST(refuses_what_belongs_to_the_flat_file_only) {
  ck_assert_int_eq(parse_with(small_config_flat, "\"type\": \"mrope\"", "\"type\": \"yarn\""),
                   MV_ERR_UNSUPPORTED);
  ck_assert_int_eq(
      parse_with(small_config_flat, "{\"type\": \"mrope\", \"mrope_section\": [2, 1, 1]}", "7"),
      MV_ERR_FORMAT);
  ck_assert_int_eq(parse_with(small_config_flat, "\"rope_theta\": 1000000.0", "\"rope_theta\": 0"),
                   MV_ERR_FORMAT);
  ck_assert_int_eq(parse_with(small_config_flat, "\"eos_token_id\": 7", "\"eos_token_id\": \"7\""),
                   MV_ERR_FORMAT);
  ck_assert_int_eq(parse_with(small_config_flat, "\"eos_token_id\": 7",
                              "\"eos_token_id\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]"),
                   MV_ERR_FORMAT);
  ck_assert_int_eq(parse_with(small_config_flat, "\"eos_token_id\": 7",
                              "\"quantization_config\": {\"quant_method\": \"awq\"}"),
                   MV_ERR_UNSUPPORTED);
  ck_assert_int_eq(
      parse_with(small_config_nested, "\"text_config\": {", "\"text_config\": [{}], \"x\": {"),
      MV_ERR_FORMAT);
  ck_assert_msg(strstr(err.msg, "\"text_config\": expected an object, found a list"), "%s",
                err.msg);
  ck_assert_int_eq(parse_with(small_config_nested, "[2, 1, 1]", "[2, 1, 3]"), MV_ERR_FORMAT);
  ck_assert_msg(strstr(err.msg, "\"text_config.rope_parameters.mrope_section\""), "%s", err.msg);
  ck_assert_int_eq(parse(""), MV_ERR_FORMAT);
  ck_assert_int_eq(parse("[]"), MV_ERR_FORMAT);
  ck_assert_int_eq(parse("null"), MV_ERR_FORMAT);
  ck_assert_int_eq(parse("{}"), MV_ERR_FORMAT);
}
END_TEST

START_TEST(limits_how_deep_values_nest) {
  /* The key's value stands at level 2 of the 32 that are allowed. */
  char deep[128];
  for (int n = 31; n <= 32; n++) {
    snprintf(deep, sizeof deep, "\"extra\": %.*s%.*s", n, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", n,
             "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    ck_assert_int_eq(parse_with(small_config_flat, "\"bos_token_id\": 5", deep),
                     n == 31 ? MV_OK : MV_ERR_FORMAT);
  }
  ck_assert_msg(strstr(err.msg, "nested too deeply"), "%s", err.msg);
}
END_TEST

START_TEST(both_small_shapes_say_the_same) {
  ck_assert_config(small_config_flat);
  mv_config flat = config;
  ck_assert_config(small_config_nested);
  ck_assert_mem_eq(&flat.text, &config.text, sizeof flat.text);
  ck_assert_int_eq(flat.n_eos, 1);
  ck_assert_int_eq(config.n_eos, 2);
  ck_assert_int_eq(config.eos_token_id[1], 8);
  ck_assert_double_eq(flat.vision.tokens_per_second, 2);
  ck_assert_double_eq(config.vision.tokens_per_second, 4);
  ck_assert_int_eq(flat.vision.full_attention[1], 1);
  ck_assert_int_eq(flat.vision.full_attention[0], 0);
}
END_TEST

START_TEST(the_nested_decoder_wins_over_the_top) {
  ck_assert_int_eq(parse_with(both_7b, "\"num_hidden_layers\": 28", "\"num_hidden_layers\": 5"),
                   MV_OK);
  ck_assert_int_eq(config.text.n_layer, 28);
}
END_TEST

START_TEST(theta_may_stand_inside_or_beside) {
  ck_assert_int_eq(
      parse_with(small_config_flat, "\"rope_theta\": 1000000.0", "\"rope_theta\": 5e5"), MV_OK);
  ck_assert_double_eq(config.text.rope_theta, 5e5);
  ck_assert_int_eq(
      parse_with(small_config_nested, "\"rope_theta\": 1000000.0", "\"rope_theta\": 5e5"), MV_OK);
  ck_assert_double_eq(config.text.rope_theta, 5e5);
  ck_assert_int_eq(parse_with(small_config_flat, "\"rope_theta\": 1000000.0", "\"unused\": 0"),
                   MV_OK);
  ck_assert_double_eq(config.text.rope_theta, 1e6);
  ck_assert_int_eq(
      parse_with(small_config_nested, "\"rope_theta\": 10000.0", "\"rope_theta\": 7e3"), MV_OK);
  ck_assert_double_eq(config.vision.rope_theta, 7e3);
}
END_TEST

START_TEST(either_level_ties_the_head) {
  ck_assert_int_eq(parse_with(small_config_nested, "\"tie_word_embeddings\": false",
                              "\"tie_word_embeddings\": true"),
                   MV_OK);
  ck_assert_int_eq(config.tied_head, 1);
  ck_assert_int_eq(parse_with(small_config_nested, "\"text_config\": {",
                              "\"text_config\": {\"tie_word_embeddings\": true, "),
                   MV_OK);
  ck_assert_int_eq(config.tied_head, 1);
}
END_TEST

START_TEST(window_and_full_blocks_follow_the_reference) {
  /* The reference floors the window twice and never meets an index past the last block. */
  ck_assert_int_eq(parse_with(small_config_flat, "\"window_size\": 16", "\"window_size\": 31"),
                   MV_OK);
  ck_assert_int_eq(config.vision.window_merged, 3);
  ck_assert_int_eq(parse_with(small_config_flat, "\"fullatt_block_indexes\": [1]",
                              "\"fullatt_block_indexes\": [0, 2, 7, 9007199254740991]"),
                   MV_OK);
  ck_assert_int_eq(config.vision.full_attention[2], 0);
  ck_assert_int_eq(config.vision.full_attention[0], 1);
  ck_assert_int_eq(config.vision.full_attention[1], 0);
  ck_assert_int_eq(parse_with(small_config_flat, "\"patch_size\": 4", "\"patch_size\": [4, 4]"),
                   MV_OK);
  ck_assert_int_eq(config.vision.patch_size, 4);
  ck_assert_int_eq(
      parse_with(small_config_flat, "\"num_key_value_heads\": 1", "\"num_key_value_heads\": null"),
      MV_OK);
  ck_assert_int_eq(config.text.n_kv, 2);
}
END_TEST

/* ---- generation_config.json --------------------------------------------------------------- */

START_TEST(reads_generation_values) {
  mv_generation_config g;
  ck_assert_int_eq(
      mv_generation_config_parse(
          &g,
          mv_str_of("{\"bos_token_id\":151643,\"pad_token_id\":151643,\"do_sample\":true,"
                    "\"eos_token_id\":[151645,151643],\"repetition_penalty\":1.05,"
                    "\"temperature\":0.000001,\"top_k\":3,\"top_p\":0.9}"),
          "g", &err),
      MV_OK);
  ck_assert_int_eq(g.present, 1);
  ck_assert_int_eq(g.n_eos, 2);
  ck_assert_int_eq(g.eos_token_id[0], 151645);
  ck_assert_int_eq(g.eos_token_id[1], 151643);
  ck_assert_int_eq(g.do_sample, 1);
  ck_assert_double_eq(g.repetition_penalty, 1.05);
  ck_assert_double_eq(g.temperature, 1e-6);
  ck_assert_int_eq(g.top_k, 3);
  ck_assert_double_eq(g.top_p, 0.9);
  ck_assert_int_eq(mv_generation_config_parse(&g, mv_str_of("{\"eos_token_id\": 7}"), "g", &err),
                   MV_OK);
  ck_assert_int_eq(g.n_eos, 1);
  ck_assert_int_eq(g.top_k, 50);
  ck_assert_double_eq(g.temperature, 1);
}
END_TEST

START_TEST(refuses_bad_generation_values) {
  static const char *const bad[] = {
      "",
      "[]",
      "{\"eos_token_id\": -1}",
      "{\"eos_token_id\": {}}",
      "{\"temperature\": -1}",
      "{\"temperature\": \"hot\"}",
      "{\"top_p\": 0}",
      "{\"top_p\": 1.5}",
      "{\"top_k\": -1}",
      "{\"repetition_penalty\": 0}",
      "{\"do_sample\": \"yes\"}",
  };
  mv_generation_config g;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    ck_assert_int_eq(mv_generation_config_parse(&g, mv_str_of(bad[i]), "g", &err), MV_ERR_FORMAT);
  ck_assert_int_eq(mv_generation_config_parse(&g, mv_str_of("{\"temperature\": 0}"), "g", &err),
                   MV_OK);
}
END_TEST

static mv_status attempt_parse(void *user, mv_error *e) {
  return mv_config_parse(&config, mv_str_of(user), "config.json", e);
}

START_TEST(survives_every_failing_allocation) {
  char *text = replaced(nested_7b, "151655", "151655");
  ck_assert_int_gt(fail_each_allocation(attempt_parse, text), 50);
  free(text);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("config");
  TCase *c = tcase_create("config");
  tcase_add_test(c, reads_7b_in_every_shape_of_file);
  tcase_add_test(c, reads_3b_with_its_tied_head);
  tcase_add_test(c, fills_in_what_savers_leave_out);
  tcase_add_test(c, names_the_required_key_that_is_missing);
  tcase_add_loop_test(c, names_each_bad_value, 0, (int)(sizeof bad_values / sizeof *bad_values));
  tcase_add_test(c, refuses_what_belongs_to_the_flat_file_only);
  tcase_add_test(c, limits_how_deep_values_nest);
  tcase_add_test(c, both_small_shapes_say_the_same);
  tcase_add_test(c, the_nested_decoder_wins_over_the_top);
  tcase_add_test(c, theta_may_stand_inside_or_beside);
  tcase_add_test(c, either_level_ties_the_head);
  tcase_add_test(c, window_and_full_blocks_follow_the_reference);
  tcase_add_test(c, reads_generation_values);
  tcase_add_test(c, refuses_bad_generation_values);
  tcase_add_test(c, survives_every_failing_allocation);
  suite_add_tcase(s, c);
  return s;
}

MV_CHECK_MAIN(suite)
