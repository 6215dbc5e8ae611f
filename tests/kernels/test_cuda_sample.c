/* sample on the emulator: by definition, and the very tokens of the CPU. */
#include "tests/kernels/cuda_cases.h"

#define SAMPLE(...) \
  { .op = "sample", .how = kernel_choices, .n_how = KERNEL_CHOICES, __VA_ARGS__ }

START_TEST(chooses_by_definition) {
  static const kernel_case cases[] = {
      SAMPLE(.n_row = 13, .d = 7),
      SAMPLE(.n_row = 13, .d = 7, .n_best = 7, .spread = 4),
      SAMPLE(.n_row = 13, .d = 1021, .n_best = 20, .spread = 10),
      SAMPLE(.n_row = 13, .d = 2048, .n_best = 1, .spread = 20),
      SAMPLE(.n_row = 13, .d = 4099, .spread = 1e30f),
      SAMPLE(.n_row = 0, .d = 9, .n_best = 2),
  };
  cuda_check_cases(cases, COUNT(cases));
}
END_TEST

START_TEST(orders_equal_and_missing_logits) {
  static const kernel_case cases[] = {
      SAMPLE(.n_row = 13, .d = 300, .n_best = 30, .spread = 4, .step = 1),
      SAMPLE(.n_row = 13, .d = 2500, .n_best = 9, .spread = 1, .step = 4), /* all equal */
      SAMPLE(.n_row = 13, .d = 300, .n_best = 300, .spread = 4, .step = 0.5f, .holes = 1),
      SAMPLE(.n_row = 13, .d = 301, .n_best = 301, .spread = 4, .holes = 2),
      SAMPLE(.n_row = 13, .d = 300, .n_best = 120, .spread = 4, .step = 1, .holes = 3),
  };
  cuda_check_cases(cases, COUNT(cases));
}
END_TEST

/* A draw at every multiple of 1/64 and the same twice: ids are those of the CPU twin. */
START_TEST(draws_the_tokens_of_the_cpu) {
  enum { N = 64, V = 1500 };
  static float x[N * V];
  static const int32_t seen[] = {3, 900, 1499, 32, 31};
  const mv_sample_dims dims = {N, V, 3};
  mv_sample_row rows[N];
  mv_pick want[4 * N], got[4 * N];
  mv_device cpu;
  mv_error err;
  for (int i = 0; i < N * V; i++) x[i] = (float)(kernel_hash(1, (uint64_t)i) >> 40) * 0x1p-21f;
  for (int r = 0; r < N; r++) {
    const mv_sample_row row = {0.4f + (float)(r % 5),
                               0.35f + 0.13f * (float)(r % 6),
                               r % 3 * 40,
                               r % 4 ? 1.2f : 1,
                               r / (double)N,
                               seen,
                               r % 6};
    rows[r] = row;
  }
  ck_assert_int_eq(mv_device_open_cpu(&cpu, 1, NULL, &err), MV_OK);
  mv_sample_cpu(&cpu, &dims, rows, x, want, want + N);
  mv_device_close_cpu(&cpu);
  void *logits = mv_ops_cuda.alloc(&cuda, sizeof x), *picks = mv_ops_cuda.alloc(&cuda, sizeof got);
  mv_ops_cuda.upload(&cuda, logits, x, sizeof x);
  mv_ops_cuda.sample(&cuda, &dims, rows, logits, picks, (mv_pick *)picks + N);
  mv_ops_cuda.download(&cuda, got, picks, sizeof got);
  for (int i = 0; i < 4 * N; i++) {
    ck_assert_msg(got[i].id == want[i].id, "pick %d: %d, not %d", i, got[i].id, want[i].id);
    ck_assert_float_eq_tol(got[i].logprob, want[i].logprob, 1e-5f);
  }
  mv_ops_cuda.free(&cuda, logits);
  mv_ops_cuda.free(&cuda, picks);
}
END_TEST

START_TEST(reads_logits_in_whole_sectors) {
  static const mv_sample_row greedy = {0, 1, 0, 1, 0, NULL, 0};
  static const kernel_case c = {.op = "sample", .n_row = 2, .d = 8192, .how = &greedy, .n_how = 1};
  cuda_check_access(&c, "sample.cu", 1.05, 1.0);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("cuda sample");
  TCase *t = tcase_create("sample");
  tcase_add_unchecked_fixture(t, cuda_set_up, cuda_tear_down);
  tcase_add_test(t, chooses_by_definition);
  tcase_add_test(t, orders_equal_and_missing_logits);
  tcase_add_test(t, draws_the_tokens_of_the_cpu);
  tcase_add_test(t, reads_logits_in_whole_sectors);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
