#include <dirent.h>
#include <stdint.h>
#include <string.h>

#include "runtime/file.h"
#include "tests/check_main.h"
#include "tests/weights/files.h"
#include "weights/checkpoint.h"
#include "weights/offenders.h"

static mv_error err;

static mv_config parse(const char *text) {
  mv_config config;
  ck_assert_msg(mv_config_parse(&config, mv_str_of(text), "config.json", &err) == MV_OK, "%s",
                err.msg);
  return config;
}

static void put(const temp_dir *dir, const char *config, const tensor_list *list) {
  temp_text(dir, "config.json", config);
  ck_assert_msg(mv_safetensors_write(temp_path(dir, "model.safetensors"), list->items, list->n,
                                     &err) == MV_OK,
                "%s", err.msg);
}

static mv_checkpoint *open_good(const temp_dir *dir) {
  mv_checkpoint *ckpt;
  ck_assert_msg(mv_checkpoint_open(&ckpt, dir->path, &err) == MV_OK, "%s", err.msg);
  return ckpt;
}

/* Writes the list, opens it, expects a refusal whose message holds `words`. */
static void assert_refused(const char *config, const tensor_list *list, const char *words) {
  temp_dir dir = temp_make();
  mv_checkpoint *ckpt;
  put(&dir, config, list);
  ck_assert_int_eq(mv_checkpoint_open(&ckpt, dir.path, &err), MV_ERR_SHAPE);
  ck_assert_ptr_null(ckpt);
  ck_assert_msg(strstr(err.msg, words), "\"%s\" not in: %s", words, err.msg);
  temp_remove(&dir);
}

/* ---- the table ---------------------------------------------------------------------------- */

START_TEST(names_follow_both_schemes) {
  static const struct {
    mv_weight_id id;
    int layer, scheme;
    const char *name;
  } cases[] = {
      {MV_W_EMBED, 0, 0, "model.embed_tokens.weight"},
      {MV_W_EMBED, 0, 1, "model.language_model.embed_tokens.weight"},
      {MV_W_HEAD, 0, 0, "lm_head.weight"},
      {MV_W_HEAD, 0, 1, "lm_head.weight"},
      {MV_W_FINAL_NORM, 0, 1, "model.language_model.norm.weight"},
      {MV_W_LAYER_K_BIAS, 27, 0, "model.layers.27.self_attn.k_proj.bias"},
      {MV_W_LAYER_NORM2, 3, 1, "model.language_model.layers.3.post_attention_layernorm.weight"},
      {MV_W_PATCH_EMBED, 0, 0, "visual.patch_embed.proj.weight"},
      {MV_W_BLOCK_QKV, 31, 0, "visual.blocks.31.attn.qkv.weight"},
      {MV_W_BLOCK_DOWN_BIAS, 0, 1, "model.visual.blocks.0.mlp.down_proj.bias"},
      {MV_W_MERGER_FC2_BIAS, 0, 1, "model.visual.merger.mlp.2.bias"},
  };
  char name[MV_WEIGHT_NAME_MAX];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    mv_weight_name(cases[i].id, cases[i].layer, cases[i].scheme, name);
    ck_assert_str_eq(name, cases[i].name);
  }
}
END_TEST

START_TEST(dimensions_follow_the_config) {
  mv_config config = parse(small_config_flat);
  int64_t shape[5];
  ck_assert_int_eq(mv_weight_shape(MV_W_PATCH_EMBED, &config, shape), 5);
  ck_assert_int_eq(shape[0] * shape[1] * shape[2] * shape[3] * shape[4], 16 * 3 * 2 * 4 * 4);
  ck_assert_int_eq(mv_weight_shape(MV_W_LAYER_K, &config, shape), 2);
  ck_assert_int_eq(shape[0], 8);
  ck_assert_int_eq(shape[1], 16);
  ck_assert_int_eq(mv_weight_shape(MV_W_BLOCK_QKV_BIAS, &config, shape), 1);
  ck_assert_int_eq(shape[0], 48);
  ck_assert_int_eq(mv_weight_is_matrix(MV_W_PATCH_EMBED), 1);
  ck_assert_int_eq(mv_weight_is_matrix(MV_W_BLOCK_QKV_BIAS), 0);
  ck_assert_int_eq(mv_weight_layers(MV_W_HEAD, &config), 1);
  ck_assert_int_eq(mv_weight_layers(MV_W_LAYER_Q, &config), 2);
}
END_TEST

/* ---- good checkpoints --------------------------------------------------------------------- */

/* Every weight bound has the dimensions of the table and the bytes of the source. */
static void assert_bound(const mv_checkpoint *ckpt, tensor_list *list, int scheme) {
  const mv_config *config = mv_checkpoint_config(ckpt);
  for (int id = 0; id < MV_W_N; id++) {
    for (int layer = 0; layer < mv_weight_layers((mv_weight_id)id, config); layer++) {
      char name[MV_WEIGHT_NAME_MAX];
      mv_weight_name((mv_weight_id)id, layer, scheme, name);
      const mv_weight *w = mv_checkpoint_get(ckpt, (mv_weight_id)id, layer);
      int64_t rows, cols;
      mv_weight_dims((mv_weight_id)id, config, &rows, &cols);
      ck_assert_int_eq(w->rows, rows);
      ck_assert_int_eq(w->cols, cols);
      ck_assert_int_eq(w->aligned, 1);
      if (id == MV_W_HEAD && mv_checkpoint_head_is_tied(ckpt)) continue;
      ck_assert_str_eq(w->name, name);
      ck_assert_mem_eq(w->data, tensors_find(list, name)->data,
                       (size_t)(rows * cols) * mv_dtype_bytes(w->dtype));
    }
  }
}

START_TEST(binds_both_schemes_shapes_of_config_and_types) {
  static const mv_st_dtype dtypes[] = {MV_ST_F32, MV_ST_BF16, MV_ST_F16};
  static const mv_dtype bound[] = {MV_DTYPE_F32, MV_DTYPE_BF16, MV_DTYPE_F16};
  const char *texts[] = {small_config_flat, small_config_nested};
  for (int i = 0; i < 12; i++) {
    mv_config config = parse(texts[i / 6]);
    int scheme = i % 2, type = i / 2 % 3;
    tensor_list list = tensors_make(&config, scheme, dtypes[type]);
    temp_dir dir = temp_make();
    put(&dir, texts[i / 6], &list);
    mv_checkpoint *ckpt = open_good(&dir);
    ck_assert_int_eq(mv_checkpoint_get(ckpt, MV_W_EMBED, 0)->dtype, bound[type]);
    ck_assert_int_eq(mv_checkpoint_head_is_tied(ckpt), 0);
    ck_assert_str_eq(mv_checkpoint_path(ckpt), dir.path);
    assert_bound(ckpt, &list, scheme);
    mv_checkpoint_close(ckpt);
    tensors_free(&list);
    temp_remove(&dir);
  }
}
END_TEST

START_TEST(totals_count_every_parameter_once) {
  mv_config config = parse(small_config_flat);
  tensor_list list = tensors_make(&config, 0, MV_ST_BF16);
  temp_dir dir = temp_make();
  put(&dir, small_config_flat, &list);
  mv_checkpoint *ckpt = open_good(&dir);
  int64_t n_tensors = 0, n_params = 0, n_bytes = 0, total = 0;
  for (int part = 0; part < MV_PART_N; part++) {
    mv_part_total t = mv_checkpoint_total(ckpt, (mv_part)part);
    n_tensors += t.n_tensors;
    n_params += t.n_params;
    n_bytes += t.n_bytes;
  }
  for (size_t i = 0; i < list.n; i++) {
    int64_t n = 1;
    for (int d = 0; d < list.items[i].n_dim; d++) n *= list.items[i].shape[d];
    total += n;
  }
  ck_assert_int_eq(n_tensors, (int64_t)list.n);
  ck_assert_int_eq(n_params, total);
  ck_assert_int_eq(n_bytes, 2 * total);
  ck_assert_int_eq(mv_checkpoint_params_of(ckpt, MV_DTYPE_BF16), total);
  ck_assert_int_eq(mv_checkpoint_params_of(ckpt, MV_DTYPE_F32), 0);
  ck_assert_int_eq(mv_checkpoint_total(ckpt, MV_PART_HEAD).n_params, 48 * 16);
  mv_checkpoint_close(ckpt);
  tensors_free(&list);
  temp_remove(&dir);
}
END_TEST

START_TEST(tied_heads_share_the_embedding_unless_the_file_differs) {
  char *text = replaced(small_config_flat, "\"tie_word_embeddings\": false",
                        "\"tie_word_embeddings\": true");
  mv_config config = parse(text);
  tensor_list list = tensors_make(&config, 0, MV_ST_F32);
  temp_dir dir = temp_make();
  put(&dir, text, &list); /* no lm_head */
  mv_checkpoint *ckpt = open_good(&dir);
  ck_assert_int_eq(mv_checkpoint_head_is_tied(ckpt), 1);
  ck_assert_ptr_eq(mv_checkpoint_get(ckpt, MV_W_HEAD, 0)->data,
                   mv_checkpoint_get(ckpt, MV_W_EMBED, 0)->data);
  ck_assert_int_eq(mv_checkpoint_total(ckpt, MV_PART_HEAD).n_bytes, 0);
  mv_checkpoint_close(ckpt);

  tensors_add(&list, "lm_head.weight", tensors_find(&list, "model.embed_tokens.weight"));
  put(&dir, text, &list); /* the same values */
  ckpt = open_good(&dir);
  ck_assert_int_eq(mv_checkpoint_head_is_tied(ckpt), 1);
  ck_assert_int_eq(mv_checkpoint_total(ckpt, MV_PART_HEAD).n_bytes, 0);
  int64_t n_params = mv_checkpoint_params_of(ckpt, MV_DTYPE_F32);
  mv_checkpoint_close(ckpt);

  float *head = (float *)(uintptr_t)tensors_find(&list, "lm_head.weight")->data;
  head[5] += 1;
  put(&dir, text, &list); /* other values: the file is believed */
  ckpt = open_good(&dir);
  ck_assert_int_eq(mv_checkpoint_head_is_tied(ckpt), 0);
  ck_assert_mem_eq(mv_checkpoint_get(ckpt, MV_W_HEAD, 0)->data, head, 48 * 16 * 4);
  ck_assert_int_eq(mv_checkpoint_params_of(ckpt, MV_DTYPE_F32), n_params + 48 * 16);
  mv_checkpoint_close(ckpt);
  tensors_free(&list);
  temp_remove(&dir);
  free(text);
}
END_TEST

START_TEST(end_tokens_come_from_the_generation_config_first) {
  mv_config config = parse(small_config_flat);
  tensor_list list = tensors_make(&config, 0, MV_ST_F32);
  temp_dir dir = temp_make();
  int ids[MV_MAX_EOS];
  put(&dir, small_config_flat, &list);
  mv_checkpoint *ckpt = open_good(&dir);
  ck_assert_int_eq(mv_checkpoint_generation(ckpt)->present, 0);
  ck_assert_int_eq(mv_checkpoint_eos(ckpt, ids), 1);
  ck_assert_int_eq(ids[0], 7);
  mv_checkpoint_close(ckpt);
  temp_text(&dir, "generation_config.json", "{\"eos_token_id\": [9, 3]}");
  ckpt = open_good(&dir);
  ck_assert_int_eq(mv_checkpoint_eos(ckpt, ids), 2);
  ck_assert_int_eq(ids[0], 9);
  ck_assert_int_eq(ids[1], 3);
  mv_checkpoint_close(ckpt);
  temp_text(&dir, "generation_config.json", "{\"eos_token_id\": []");
  ck_assert_int_eq(mv_checkpoint_open(&ckpt, dir.path, &err), MV_ERR_FORMAT);
  ck_assert(strstr(err.msg, "generation_config.json"));
  tensors_free(&list);
  temp_remove(&dir);
}
END_TEST

START_TEST(opens_from_memory) {
  mv_config config = parse(small_config_flat);
  tensor_list list = tensors_make(&config, 1, MV_ST_BF16);
  temp_dir dir = temp_make();
  mv_buf bytes = {0};
  mv_checkpoint *ckpt;
  put(&dir, small_config_flat, &list);
  ck_assert_int_eq(mv_file_read(temp_path(&dir, "model.safetensors"), 1 << 20, &bytes, &err),
                   MV_OK);
  ck_assert_int_eq(mv_checkpoint_open_memory(&ckpt, "embedded", mv_str_of(small_config_flat),
                                             mv_str_of(""), mv_buf_view(&bytes), &err),
                   MV_OK);
  assert_bound(ckpt, &list, 1);
  mv_checkpoint_close(ckpt);
  mv_buf_free(&bytes);
  tensors_free(&list);
  temp_remove(&dir);
}
END_TEST

START_TEST(ignores_rotary_frequencies) {
  mv_config config = parse(small_config_flat);
  tensor_list list = tensors_make(&config, 0, MV_ST_F32);
  tensors_add(&list, "model.layers.0.self_attn.rotary_emb.inv_freq",
              tensors_find(&list, "model.norm.weight"));
  tensors_add(&list, "visual.rotary_pos_emb.inv_freq", tensors_find(&list, "model.norm.weight"));
  temp_dir dir = temp_make();
  put(&dir, small_config_flat, &list);
  mv_checkpoint_close(open_good(&dir));
  tensors_free(&list);
  temp_remove(&dir);
}
END_TEST

/* Checkpoints as transformers writes them. */
START_TEST(opens_what_the_reference_wrote) {
  DIR *dir = opendir("tests/data/reference");
  int n_opened = 0;
  ck_assert_ptr_nonnull(dir);
  for (struct dirent *entry; (entry = readdir(dir));) {
    char path[512], config[600];
    mv_checkpoint *ckpt;
    snprintf(path, sizeof path, "tests/data/reference/%s", entry->d_name);
    snprintf(config, sizeof config, "%s/config.json", path);
    if (entry->d_name[0] == '.' || !mv_file_exists(config)) continue;
    ck_assert_msg(mv_checkpoint_open(&ckpt, path, &err) == MV_OK, "%s", err.msg);
    int sharded = strstr(path, "sharded") != NULL, tied = strstr(path, "tied") != NULL;
    ck_assert_int_eq(mv_safetensors_n_files(mv_checkpoint_files(ckpt)) > 1, sharded);
    if (tied) ck_assert_int_eq(mv_checkpoint_head_is_tied(ckpt), 1);
    mv_checkpoint_close(ckpt);
    n_opened++;
  }
  closedir(dir);
  ck_assert_int_ge(n_opened, 4);
}
END_TEST

/* ---- bad checkpoints ---------------------------------------------------------------------- */

START_TEST(names_every_missing_tensor) {
  mv_config config = parse(small_config_flat);
  tensor_list list = tensors_make(&config, 0, MV_ST_F32);
  tensors_drop(&list, "model.layers.1.self_attn.k_proj.bias");
  assert_refused(small_config_flat, &list, "1 missing: model.layers.1.self_attn.k_proj.bias (is");
  tensors_drop(&list, "lm_head.weight"); /* untied, so it must be there */
  tensors_drop(&list, "visual.merger.ln_q.weight");
  assert_refused(small_config_flat, &list,
                 "3 missing: lm_head.weight, model.layers.1.self_attn.k_proj.bias, "
                 "visual.merger.ln_q.weight (is");
  tensors_free(&list);
}
END_TEST

START_TEST(names_every_unexpected_tensor) {
  mv_config config = parse(small_config_flat);
  tensor_list list = tensors_make(&config, 0, MV_ST_F32);
  tensors_add(&list, "model.layers.0.self_attn.o_proj.bias",
              tensors_find(&list, "model.norm.weight"));
  tensors_add(&list, "model.layers.0.mlp.lora_A.weight", tensors_find(&list, "model.norm.weight"));
  assert_refused(small_config_flat, &list,
                 "2 unexpected: model.layers.0.mlp.lora_A.weight, "
                 "model.layers.0.self_attn.o_proj.bias (is");
  tensors_free(&list);
}
END_TEST

START_TEST(says_expected_and_found_shape) {
  char *text =
      replaced(small_config_flat, "\"intermediate_size\": 24", "\"intermediate_size\": 32");
  mv_config config = parse(small_config_flat);
  tensor_list list = tensors_make(&config, 0, MV_ST_F32);
  assert_refused(text, &list,
                 "6 mis-shaped: model.layers.0.mlp.gate_proj.weight: expected [32, 16], file has "
                 "[24, 16], ");
  tensors_free(&list);
  free(text);
  list = tensors_make(&config, 0, MV_ST_F32);
  mv_st_source *patch = tensors_find(&list, "visual.patch_embed.proj.weight");
  patch->n_dim = 2;
  patch->shape[1] = 96;
  assert_refused(small_config_flat, &list, "expected [16, 3, 2, 4, 4], file has [16, 96]");
  tensors_free(&list);
}
END_TEST

START_TEST(refuses_types_it_does_not_compute_with) {
  mv_config config = parse(small_config_flat);
  tensor_list list = tensors_make(&config, 0, MV_ST_F32);
  tensors_find(&list, "model.norm.weight")->dtype = MV_ST_I32;
  assert_refused(small_config_flat, &list,
                 "1 of a type other than F32, BF16, F16: model.norm.weight (I32)");
  tensors_free(&list);
}
END_TEST

START_TEST(counts_what_does_not_fit_in_the_message) {
  char *text =
      replaced(small_config_flat, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1000");
  mv_config config = parse(small_config_flat);
  tensor_list list = tensors_make(&config, 0, MV_ST_F32);
  tensors_drop(&list, "visual.blocks.0.norm1.weight");
  tensors_add(&list, "x", tensors_find(&list, "model.norm.weight"));
  assert_refused(text, &list, "11977 missing: ");
  ck_assert_msg(strstr(err.msg, " more; 1 unexpected: x (is config.json from another model?)"),
                "%s", err.msg);
  tensors_free(&list);
  free(text);
}
END_TEST

START_TEST(lists_of_offenders_stay_within_their_room) {
  mv_offenders list = {0};
  for (int i = 0; i < 30; i++) mv_offenders_add(&list, "tensor.%02d", i);
  mv_buf out = {0};
  mv_offenders_print(&list, 1000, &out);
  ck_assert(strstr(out.ptr, "tensor.00, tensor.01, "));
  ck_assert(strstr(out.ptr, ", tensor.19 and 10 more"));
  mv_buf_clear(&out);
  mv_offenders_print(&list, 30, &out);
  ck_assert_str_eq(out.ptr, "tensor.00, tensor.01 and 28 more");
  mv_buf_clear(&out);
  mv_offenders_print(&list, 0, &out); /* one name always */
  ck_assert_str_eq(out.ptr, "tensor.00 and 29 more");
  mv_buf_free(&out);
  mv_offenders_free(&list);
}
END_TEST

START_TEST(mixed_schemes_are_refused) {
  mv_config config = parse(small_config_flat);
  tensor_list list = tensors_make(&config, 1, MV_ST_F32);
  tensors_drop(&list, "model.visual.merger.ln_q.weight");
  tensors_add(&list, "visual.merger.ln_q.weight",
              tensors_find(&list, "model.language_model.norm.weight"));
  assert_refused(small_config_flat, &list,
                 "1 missing: model.visual.merger.ln_q.weight; 1 unexpected: "
                 "visual.merger.ln_q.weight");
  tensors_free(&list);
}
END_TEST

START_TEST(says_what_is_wrong_with_the_folder) {
  temp_dir dir = temp_make();
  mv_checkpoint *ckpt;
  ck_assert_int_eq(mv_checkpoint_open(&ckpt, "/nonexistent/dir", &err), MV_ERR_IO);
  ck_assert(strstr(err.msg, "No such file or directory (expected a checkpoint directory with"));
  ck_assert_int_eq(mv_checkpoint_open(&ckpt, "", &err), MV_ERR_IO);
  ck_assert_int_eq(mv_checkpoint_open(&ckpt, dir.path, &err), MV_ERR_IO);
  ck_assert(strstr(err.msg, "found no config.json"));
  temp_text(&dir, "config.json", small_config_flat);
  ck_assert_int_eq(mv_checkpoint_open(&ckpt, temp_path(&dir, "config.json"), &err), MV_ERR_IO);
  ck_assert(strstr(err.msg, "not a directory"));
  ck_assert_int_eq(mv_checkpoint_open(&ckpt, dir.path, &err), MV_ERR_IO);
  ck_assert(strstr(err.msg, "expected model.safetensors or model.safetensors.index.json"));
  temp_remove(&dir);
}
END_TEST

/* ---- out of memory ------------------------------------------------------------------------ */

static mv_status attempt_open(void *user, mv_error *e) {
  mv_checkpoint *ckpt;
  mv_status status = mv_checkpoint_open(&ckpt, user, e);
  mv_checkpoint_close(ckpt);
  return status;
}

static mv_status attempt_refusal(void *user, mv_error *e) {
  mv_checkpoint *ckpt;
  mv_status status = mv_checkpoint_open(&ckpt, user, e);
  return status == MV_ERR_SHAPE ? MV_OK : status;
}

START_TEST(survives_every_failing_allocation) {
  mv_config config = parse(small_config_flat);
  tensor_list list = tensors_make(&config, 0, MV_ST_F32);
  temp_dir dir = temp_make();
  put(&dir, small_config_flat, &list);
  temp_text(&dir, "generation_config.json", "{\"eos_token_id\": [9, 3]}");
  ck_assert_int_gt(fail_each_allocation(attempt_open, dir.path), 500);
  tensors_drop(&list, "model.norm.weight");
  tensors_add(&list, "x", tensors_find(&list, "lm_head.weight"));
  put(&dir, small_config_flat, &list);
  ck_assert_int_gt(fail_each_allocation(attempt_refusal, dir.path), 500);
  tensors_free(&list);
  temp_remove(&dir);
}
END_TEST

/* Parameters of the released models, as their files have them. */
START_TEST(empty_checkpoints_have_the_released_sizes) {
  static const struct {
    const char *shape;
    int64_t n_params, n_head;
  } shapes[] = {{"3b", 3754622976, 0},
                {"7b", 8292166656, 152064 * 3584},
                {"32b", 33452718336, 152064 * 5120}};
  for (int i = 0; i < 3; i++) {
    mv_checkpoint *c;
    ck_assert_msg(mv_checkpoint_open_empty(&c, "weights/tiny", shapes[i].shape, &err) == MV_OK,
                  "%s", err.msg);
    ck_assert_int_eq(mv_checkpoint_params_of(c, MV_DTYPE_BF16), shapes[i].n_params);
    ck_assert_int_eq(mv_checkpoint_total(c, MV_PART_HEAD).n_params, shapes[i].n_head);
    ck_assert_int_eq(mv_checkpoint_head_is_tied(c), i == 0);
    ck_assert_ptr_null(mv_checkpoint_get(c, MV_W_LAYER_DOWN, 27)->data);
    mv_checkpoint_close(c);
  }
  mv_checkpoint *none;
  ck_assert_int_eq(mv_checkpoint_open_empty(&none, "weights/tiny", "9b", &err), MV_ERR_USAGE);
  ck_assert_ptr_null(none);
  ck_assert_int_eq(mv_checkpoint_open_empty(&none, "weights/none", "7b", &err), MV_ERR_IO);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("checkpoint");
  TCase *table = tcase_create("table"), *good = tcase_create("good"), *bad = tcase_create("bad"),
        *memory = tcase_create("memory");
  tcase_add_test(table, names_follow_both_schemes);
  tcase_add_test(table, dimensions_follow_the_config);
  tcase_add_test(good, binds_both_schemes_shapes_of_config_and_types);
  tcase_add_test(good, totals_count_every_parameter_once);
  tcase_add_test(good, tied_heads_share_the_embedding_unless_the_file_differs);
  tcase_add_test(good, end_tokens_come_from_the_generation_config_first);
  tcase_add_test(good, opens_from_memory);
  tcase_add_test(good, ignores_rotary_frequencies);
  tcase_add_test(good, opens_what_the_reference_wrote);
  tcase_add_test(good, empty_checkpoints_have_the_released_sizes);
  tcase_add_test(bad, names_every_missing_tensor);
  tcase_add_test(bad, names_every_unexpected_tensor);
  tcase_add_test(bad, says_expected_and_found_shape);
  tcase_add_test(bad, refuses_types_it_does_not_compute_with);
  tcase_add_test(bad, counts_what_does_not_fit_in_the_message);
  tcase_add_test(bad, lists_of_offenders_stay_within_their_room);
  tcase_add_test(bad, mixed_schemes_are_refused);
  tcase_add_test(bad, says_what_is_wrong_with_the_folder);
  tcase_add_test(memory, survives_every_failing_allocation);
  tcase_set_timeout(memory, 120);
  suite_add_tcase(s, table);
  suite_add_tcase(s, good);
  suite_add_tcase(s, bad);
  suite_add_tcase(s, memory);
  return s;
}

MV_CHECK_MAIN(suite)
