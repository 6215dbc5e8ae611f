/* Opening a model: what it becomes in each precision, what is refused, and what failure leaves. */
#include "runtime/model.h"

#include <unistd.h>

#include "tests/check_main.h"
#include "tests/runtime/checkpoint_copy.h"
#include "tests/runtime/reference.h"
#include "weights/safetensors.h"

static mv_error err;

static mv_model_options options_of(const char *dir) {
  mv_model_options o = {.dir = dir, .device = "cpu", .n_thread = 1};
  return o;
}

static void assert_refused(const mv_model_options *o, mv_status status, const char *words) {
  mv_model *model = (mv_model *)&err;
  mv_status got = mv_model_open(&model, o, &err);
  ck_assert_msg(got == status, "status %d, expected %d: %s", got, status, err.msg);
  ck_assert_msg(strstr(err.msg, words), "\"%s\" not in: %s", words, err.msg);
  ck_assert_ptr_null(model);
}

START_TEST(opens_every_reference_checkpoint_in_every_precision) {
  for (int i = 0; i < N_CHECKPOINT; i++) {
    mv_model *fp32 = open_reference(i, MV_PRECISION_FP32);
    mv_model *bf16 = open_reference(i, MV_PRECISION_BF16);
    mv_model *any = open_reference(i, MV_PRECISION_AUTO);
    ck_assert_int_eq(mv_model_precision(fp32), MV_PRECISION_FP32);
    ck_assert_int_eq(fp32->dtype, MV_DTYPE_F32);
    ck_assert_int_eq(mv_model_precision(bf16), MV_PRECISION_BF16);
    ck_assert_int_eq(bf16->dtype, MV_DTYPE_BF16);
    ck_assert_int_eq(bf16->head.dtype, MV_DTYPE_BF16);
    ck_assert_int_eq(mv_model_precision(any),
                     any->device.has_bf16 ? MV_PRECISION_BF16 : MV_PRECISION_FP32);
    ck_assert_str_eq(mv_model_device_name(fp32), "cpu");
    mv_model_close(fp32);
    mv_model_close(bf16);
    mv_model_close(any);
  }
}
END_TEST

START_TEST(bf16_weights_are_borrowed_where_they_lie) {
  mv_model *model = open_reference(1, MV_PRECISION_BF16);
  const mv_weight *w = mv_checkpoint_get(model->checkpoint, MV_W_LAYER_DOWN, 0);
  ck_assert_ptr_eq(model->decoder.layers[0].down.part[0].w, w->data);
  ck_assert_uint_lt(model->arena.used_bytes, 300000);
  mv_model_close(model);
}
END_TEST

START_TEST(tied_checkpoints_share_embedding_and_head) {
  mv_model *model = open_reference(0, MV_PRECISION_FP32);
  ck_assert(mv_checkpoint_head_is_tied(model->checkpoint));
  ck_assert_ptr_eq(model->head.part[0].w, model->embed);
  mv_model_close(model);
}
END_TEST

START_TEST(shapes_are_the_configs) {
  mv_model *model = open_reference(1, MV_PRECISION_FP32);
  const mv_stack *s = &model->decoder, *v = &model->vision;
  ck_assert_int_eq(s->n_layer, 2);
  ck_assert_int_eq(s->d_model, 128);
  ck_assert_int_eq(s->n_head, 4);
  ck_assert_int_eq(s->n_kv, 2);
  ck_assert_int_eq(s->d_head, 32);
  ck_assert_int_eq(s->layers[1].qkv.n_out, (4 + 2 + 2) * 32);
  ck_assert_int_eq(s->layers[1].qkv.n_part, 3);
  ck_assert_int_eq(s->layers[1].gate_up.n_out, 2 * 104);
  ck_assert_ptr_nonnull(s->layers[1].qkv.bias);
  ck_assert_ptr_null(s->layers[1].o.bias);
  ck_assert_ptr_nonnull(v->layers[0].o.bias);
  ck_assert_int_eq(v->n_kv, v->n_head);
  for (int i = 0; i < 16; i++) ck_assert_int_eq(s->axis[i], i < 4 ? 0 : i < 10 ? 1 : 2); /* 4 6 6 */
  ck_assert_float_eq(s->inv_freq[0], 1);
  ck_assert_double_eq_tol((double)s->inv_freq[8], 1e-3, 1e-9); /* theta^(-16/32) */
  ck_assert_int_eq(v->axis[0], 1); /* rows first, then columns, same frequencies */
  ck_assert_int_eq(v->axis[v->d_head / 4], 2);
  ck_assert_float_eq(v->inv_freq[0], v->inv_freq[v->d_head / 4]);
  mv_model_close(model);
}
END_TEST

START_TEST(refuses_devices_it_does_not_have) {
  mv_model_options o = options_of(REFERENCE "head128-f32");
  o.device = "cuda";
  assert_refused(&o, MV_ERR_UNSUPPORTED, "no CUDA");
  o.device = "cuda:1";
  assert_refused(&o, MV_ERR_UNSUPPORTED, "cuda:1");
  o.device = "abacus";
  assert_refused(&o, MV_ERR_USAGE, "device abacus");
  o.device = "";
  assert_refused(&o, MV_ERR_USAGE, "expected auto");
}
END_TEST

START_TEST(refuses_folders_without_a_model) {
  mv_model_options o = options_of(NULL);
  assert_refused(&o, MV_ERR_USAGE, "no checkpoint directory");
  o.dir = "/nowhere/at/all";
  assert_refused(&o, MV_ERR_IO, "/nowhere/at/all");
  o.dir = REFERENCE "images";
  assert_refused(&o, MV_ERR_IO, "config.json");
  mv_model_close(NULL);
}
END_TEST

START_TEST(any_number_of_threads_is_bounded) {
  mv_model_options o = options_of(REFERENCE "head128-f32");
  mv_model *model;
  o.n_thread = 1 << 30;
  ck_assert_int_eq(mv_model_open(&model, &o, &err), MV_OK);
  ck_assert_int_ge(model->device.n_thread, 1);
  ck_assert_int_lt(model->device.n_thread, 10000);
  mv_model_close(model);
  o.n_thread = -3;
  ck_assert_int_eq(mv_model_open(&model, &o, &err), MV_OK);
  ck_assert_int_ge(model->device.n_thread, 1);
  mv_model_close(model);
}
END_TEST

static void note_progress(void *user, const char *stage, size_t done, size_t total) {
  ck_assert_str_eq(stage, "load");
  ck_assert_uint_le(done, total);
  ++*(int *)user;
}

START_TEST(loading_tells_progress) {
  int n = 0;
  mv_model *model;
  mv_model_options o = options_of(REFERENCE "head128-f32");
  o.on_progress = note_progress;
  o.user = &n;
  ck_assert_int_eq(mv_model_open(&model, &o, &err), MV_OK);
  ck_assert_int_ge(n, 2);
  mv_model_close(model);
}
END_TEST

/* ---- copies of a checkpoint with one file changed ---- */

/* Replaces the first `from` in a file of the copy by `to`. */
static void change(const char *name, const char *from, const char *to) {
  char path[160];
  mv_buf text = {0}, out = {0};
  snprintf(path, sizeof path, "%s/%s", copy_dir, name);
  ck_assert_int_eq(mv_file_read(path, 1 << 24, &text, &err), MV_OK);
  char *at = strstr(text.ptr, from);
  ck_assert_msg(at, "%s does not hold %s", name, from);
  mv_buf_add(&out, text.ptr, (size_t)(at - text.ptr));
  mv_buf_text(&out, to);
  mv_buf_text(&out, at + strlen(from));
  ck_assert_int_eq(mv_file_write(path, out.ptr, out.len, &err), MV_OK);
  mv_buf_free(&text);
  mv_buf_free(&out);
}

START_TEST(refuses_files_of_different_checkpoints) {
  mv_model_options o = options_of(copy_dir);
  change("preprocessor_config.json", "\"patch_size\": 14", "\"patch_size\": 16");
  assert_refused(&o, MV_ERR_FORMAT, "patch 16");
}
END_TEST

START_TEST(refuses_a_damaged_tokenizer) {
  mv_model_options o = options_of(copy_dir);
  change("tokenizer.json", "{", "[");
  assert_refused(&o, MV_ERR_FORMAT, "tokenizer.json");
}
END_TEST

/* Weights that are not numbers: every answer would be made up, so there is none. */
START_TEST(weights_that_are_no_numbers_give_no_answer) {
  char path[160];
  mv_buf bytes = {0};
  mv_safetensors *set;
  mv_model *model;
  mv_result result;
  mv_request request;
  snprintf(path, sizeof path, "%s/model.safetensors", copy_dir);
  ck_assert_int_eq(mv_file_read(path, 1 << 24, &bytes, &err), MV_OK);
  ck_assert_int_eq(mv_safetensors_open_memory(&set, bytes.ptr, bytes.len, "copy", &err), MV_OK);
  const mv_st_tensor *norm = NULL;
  for (size_t i = 0; i < mv_safetensors_count(set); i++) {
    const mv_st_tensor *t = mv_safetensors_at(set, i);
    if (strstr(t->name, "model.norm.weight")) norm = t;
  }
  ck_assert_ptr_nonnull(norm);
  memset(bytes.ptr + ((const char *)norm->data - bytes.ptr), 0xFF, norm->n_bytes);
  mv_safetensors_close(set);
  ck_assert_int_eq(mv_file_write(path, bytes.ptr, bytes.len, &err), MV_OK);
  mv_buf_free(&bytes);
  mv_model_options o = options_of(copy_dir);
  ck_assert_msg(mv_model_open(&model, &o, &err) == MV_OK, "%s", err.msg);
  mv_engine *engine = new_engine(model);
  mv_request_init(&request);
  request.prompt = mv_str_of("How long?");
  request.n_logprob = 5;
  for (int warm = 0; warm < 2; warm++) {
    request.sampling.temperature = (float)warm;
    ck_assert_int_eq(mv_engine_generate(engine, &request, &result, &err), MV_ERR_FORMAT);
    ck_assert_msg(strstr(err.msg, "not finite"), "%s", err.msg);
  }
  mv_engine_free(engine);
  mv_model_close(model);
}
END_TEST

/* ---- memory ---- */

static int refuse_at(size_t n_bytes, void *user) {
  (void)n_bytes;
  return --*(long *)user != 0;
}

static mv_status open_with_failure(const mv_model_options *o, long k, mv_model **model) {
  long left = k;
  mv_alloc_set_hook(refuse_at, &left);
  mv_status status = mv_model_open(model, o, &err);
  mv_alloc_set_hook(NULL, NULL);
  return status;
}

/* Where the tokenizer alone makes thousands of allocations, later ones are tried in growing steps.
 */
START_TEST(random_weights_are_the_same_every_time) {
  mv_model *a, *b;
  mv_model_options o = options_of("weights/tiny");
  o.random = "config";
  ck_assert_msg(mv_model_open(&a, &o, &err) == MV_OK, "%s", err.msg);
  ck_assert_msg(mv_model_open(&b, &o, &err) == MV_OK, "%s", err.msg);
  const mv_linear *x = &a->decoder.layers[0].down, *y = &b->decoder.layers[0].down;
  size_t n = (size_t)x->n_in * (size_t)x->n_out;
  ck_assert_int_eq(memcmp(x->part[0].w, y->part[0].w, n * mv_dtype_bytes(x->dtype)), 0);
  ck_assert_int_ne(memcmp(x->part[0].w, a->decoder.layers[1].down.part[0].w, 64), 0);
  ck_assert_float_eq(a->final_norm[0], 1);
  mv_model_close(a);
  mv_model_close(b);
  o.random = "70b";
  assert_refused(&o, MV_ERR_USAGE, "expected 3b, 7b, 32b or config");
}
END_TEST

START_TEST(failed_allocations_of_a_load_are_told) {
  mv_model_options o = options_of(REFERENCE "gqa2-head32-bf16");
  mv_model *model;
  long n = 0;
  for (long k = 1;; k += 1 + k / 100, n++) {
    mv_status status = open_with_failure(&o, k, &model);
    if (status == MV_OK) break;
    ck_assert_msg(status == MV_ERR_MEMORY, "allocation %ld: status %d, %s", k, status, err.msg);
    ck_assert_ptr_null(model);
  }
  mv_model_close(model);
  ck_assert_int_gt(n, 20);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("model");
  TCase *t = tcase_create("model"), *c = tcase_create("copies");
  tcase_set_timeout(t, 120);
  tcase_add_test(t, opens_every_reference_checkpoint_in_every_precision);
  tcase_add_test(t, bf16_weights_are_borrowed_where_they_lie);
  tcase_add_test(t, tied_checkpoints_share_embedding_and_head);
  tcase_add_test(t, shapes_are_the_configs);
  tcase_add_test(t, refuses_devices_it_does_not_have);
  tcase_add_test(t, refuses_folders_without_a_model);
  tcase_add_test(t, any_number_of_threads_is_bounded);
  tcase_add_test(t, loading_tells_progress);
  tcase_add_test(t, failed_allocations_of_a_load_are_told);
  suite_add_tcase(s, t);
  tcase_set_timeout(c, 60);
  tcase_add_checked_fixture(c, make_copy, remove_copy);
  tcase_add_test(c, refuses_files_of_different_checkpoints);
  tcase_add_test(c, refuses_a_damaged_tokenizer);
  tcase_add_test(c, weights_that_are_no_numbers_give_no_answer);
  tcase_add_test(c, random_weights_are_the_same_every_time);
  suite_add_tcase(s, c);
  return s;
}

MV_CHECK_MAIN(suite)
