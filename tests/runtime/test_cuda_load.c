/* Weights on the emulated CUDA device, read from files: the CPU's, bit for bit; files that change
 * while they are read. */
#include <cuda_runtime_api.h>

#include "runtime/memory.h"
#include "runtime/model.h"
#include "tests/cudasim/sim.h"
#include "tests/runtime/checkpoint_copy.h"

static mv_error err;

static mv_model *open_on(const char *device, const char *dir, mv_precision precision) {
  mv_model *model;
  mv_model_options options = {.dir = dir, .device = device, .precision = precision, .n_thread = 1};
  ck_assert_msg(mv_model_open(&model, &options, &err) == MV_OK, "%s", err.msg);
  return model;
}

static char *downloaded(mv_model *m, const void *from, size_t n_bytes) {
  char *bytes = malloc(n_bytes);
  m->ops->download(&m->device, bytes, from, n_bytes);
  ck_assert_msg(mv_device_status(&m->device, &err) == MV_OK, "%s", err.msg);
  return bytes;
}

static size_t n_equal; /* bytes compared */

/* Matrices: the CPU's [rows, cols] in the corner of CUDA's, zeros around it. */
static void assert_same(mv_model *cuda, const void *got, int64_t rows, int64_t ld, const void *want,
                        int64_t want_rows, int64_t want_cols, size_t elem) {
  size_t row = (size_t)ld * elem, want_row = (size_t)want_cols * elem;
  char *bytes = downloaded(cuda, got, (size_t)rows * row);
  char *zeros = calloc(row, 1);
  ck_assert(rows >= want_rows && ld >= want_cols);
  for (int64_t r = 0; r < rows; r++) {
    const char *here = bytes + (size_t)r * row;
    size_t n = r < want_rows ? want_row : 0;
    ck_assert(memcmp(here, (const char *)want + (size_t)r * want_row, n) == 0);
    ck_assert(memcmp(here + n, zeros, row - n) == 0);
    n_equal += n;
  }
  free(zeros);
  free(bytes);
}

static void assert_same_linear(mv_model *cuda, const mv_linear *got, const mv_linear *want) {
  const float *bias = got->bias, *right = want->bias;
  ck_assert_int_eq(got->n_part, want->n_part);
  ck_assert_int_eq(got->dtype, want->dtype);
  for (int i = 0; i < want->n_part; i++) {
    int rows = got->part[i].n_row, want_rows = want->part[i].n_row;
    assert_same(cuda, got->part[i].w, rows, got->n_in, want->part[i].w, want_rows, want->n_in,
                mv_dtype_bytes(want->dtype));
    if (!right) continue;
    assert_same(cuda, bias, 1, rows, right, 1, want_rows, sizeof *bias);
    bias += rows;
    right += want_rows;
  }
}

static void assert_same_stack(mv_model *cuda, const mv_stack *got, const mv_stack *want) {
  for (int i = 0; i < want->n_layer; i++) {
    const mv_layer *g = &got->layers[i], *w = &want->layers[i];
    assert_same(cuda, g->norm1, 1, want->d_model, w->norm1, 1, want->d_model, sizeof(float));
    assert_same(cuda, g->norm2, 1, want->d_model, w->norm2, 1, want->d_model, sizeof(float));
    assert_same_linear(cuda, &g->qkv, &w->qkv);
    assert_same_linear(cuda, &g->o, &w->o);
    assert_same_linear(cuda, &g->gate_up, &w->gate_up);
    assert_same_linear(cuda, &g->down, &w->down);
  }
}

static void assert_same_weights(const char *dir, mv_precision precision) {
  mv_model *cuda = open_on("cuda", dir, precision), *cpu = open_on("cpu", dir, precision);
  n_equal = 0;
  assert_same_linear(cuda, &cuda->patch_embed, &cpu->patch_embed);
  assert_same_stack(cuda, &cuda->vision, &cpu->vision);
  assert_same_linear(cuda, &cuda->merger_fc1, &cpu->merger_fc1);
  assert_same_linear(cuda, &cuda->merger_fc2, &cpu->merger_fc2);
  assert_same(cuda, cuda->embed, cpu->head.n_out, cpu->head.n_in, cpu->embed, cpu->head.n_out,
              cpu->head.n_in, mv_dtype_bytes(cpu->embed_dtype));
  assert_same_stack(cuda, &cuda->decoder, &cpu->decoder);
  assert_same(cuda, cuda->final_norm, 1, cpu->decoder.d_model, cpu->final_norm, 1,
              cpu->decoder.d_model, sizeof(float));
  assert_same_linear(cuda, &cuda->head, &cpu->head);
  printf("%-60s %zu bytes of weights are the CPU's\n", dir, n_equal);
  mv_model_close(cuda);
  mv_model_close(cpu);
  ck_assert_msg(sim_report_count() == 0, "%s", sim_report_text(0));
}

START_TEST(weights_are_the_cpus_bit_for_bit) {
  for (int i = 0; i < N_CHECKPOINT; i++) {
    char dir[128];
    snprintf(dir, sizeof dir, REFERENCE "%s", checkpoints[i]);
    assert_same_weights(dir, MV_PRECISION_FP32);
    assert_same_weights(dir, MV_PRECISION_BF16);
  }
}
END_TEST

/* ---- copies of a checkpoint ---- */

/* A header longer by n spaces moves every tensor by as many bytes. */
static void lengthen_header(int n) {
  mv_buf file = {0}, out = {0};
  ck_assert_int_eq(mv_file_read(in_copy("model.safetensors"), 1 << 24, &file, &err), MV_OK);
  size_t n_header = (unsigned char)file.ptr[0] | (size_t)(unsigned char)file.ptr[1] << 8;
  mv_buf_add(&out, file.ptr, 8 + n_header);
  for (int i = 0; i < n; i++) mv_buf_char(&out, ' ');
  mv_buf_add(&out, file.ptr + 8 + n_header, file.len - 8 - n_header);
  n_header += (size_t)n;
  out.ptr[0] = (char)(n_header & 255);
  out.ptr[1] = (char)(n_header >> 8);
  ck_assert_int_eq(mv_file_write(in_copy("model.safetensors"), out.ptr, out.len, &err), MV_OK);
  mv_buf_free(&file);
  mv_buf_free(&out);
}

START_TEST(tensors_may_begin_at_any_byte) {
  lengthen_header(1);
  assert_same_weights(copy_dir, MV_PRECISION_BF16);
  lengthen_header(1000);
  assert_same_weights(copy_dir, MV_PRECISION_FP32);
}
END_TEST

static off_t cut_to;

/* Called when the files are open and no weight is read yet. */
static void cut(void *user, const char *what, size_t done, size_t total) {
  (void)user;
  (void)what;
  (void)total;
  if (done == 0) ck_assert_int_eq(truncate(in_copy("model.safetensors"), cut_to), 0);
}

START_TEST(a_file_cut_short_while_it_is_read_is_an_error) {
  for (cut_to = 0; cut_to < 842520; cut_to += 100000) {
    mv_model *model;
    mv_model_options options = {.dir = copy_dir, .device = "cuda", .n_thread = 1};
    options.on_progress = cut;
    ck_assert_int_eq(mv_model_open(&model, &options, &err), MV_ERR_FORMAT);
    ck_assert_msg(strstr(err.msg, "model.safetensors: expected 842520 bytes, found"), "%s",
                  err.msg);
    copy_file("model.safetensors");
  }
}
END_TEST

static int fail_at(size_t n_bytes, void *user) {
  (void)n_bytes;
  return (*(long *)user)-- != 0;
}

START_TEST(failed_allocations_of_a_load_are_told) {
  size_t before, after, n_total;
  mv_model_close(open_on("cuda", copy_dir, MV_PRECISION_BF16));
  ck_assert_int_eq(cudaMemGetInfo(&before, &n_total), cudaSuccess);
  mv_status status = MV_ERR_MEMORY;
  for (long k = 0; status != MV_OK; k++) {
    mv_model *model;
    mv_model_options options = {.dir = copy_dir, .device = "cuda", .n_thread = 1};
    long left = k;
    mv_alloc_set_hook(fail_at, &left);
    status = mv_model_open(&model, &options, &err);
    mv_alloc_set_hook(NULL, NULL);
    if (status != MV_OK) ck_assert_msg(status == MV_ERR_MEMORY, "%ld: %s", k, err.msg);
    mv_model_close(model);
    ck_assert_int_eq(cudaMemGetInfo(&after, &n_total), cudaSuccess);
    ck_assert_uint_eq(after, before);
  }
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("cuda load");
  TCase *t = tcase_create("load");
  tcase_add_checked_fixture(t, make_copy, remove_copy);
  tcase_add_test(t, weights_are_the_cpus_bit_for_bit);
  tcase_add_test(t, tensors_may_begin_at_any_byte);
  tcase_add_test(t, a_file_cut_short_while_it_is_read_is_an_error);
  tcase_add_test(t, failed_allocations_of_a_load_are_told);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
