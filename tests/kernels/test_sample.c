/* sample beyond single answers (those: test_kernels.c): its draws follow their distribution,
 * lists do not depend on their length, memory that is out is a status. */
#include <math.h>
#include <string.h>

#include "kernels/ops.h"
#include "runtime/memory.h"
#include "tests/check_main.h"

enum { V = 12, N_DRAW = 20000 };

static const float logits[V] = {0.3f, 2.1f, -1, 1.7f, 0, -4, 2.0f, 0.3f, -0.5f, 1.1f, -2, 0.9f};

static mv_sample_row warm(float temperature, float top_p, int top_k) {
  mv_sample_row row = {temperature, top_p, top_k, 1, 0, NULL, 0};
  return row;
}

static int is_better(int j, int i) {
  return logits[j] > logits[i] || (logits[j] == logits[i] && j < i);
}

/* Probabilities after temperature, top-k and top-p, by definition. */
static void brute_force(mv_sample_row how, double *out) {
  double weight[V], kept_k = 0, kept = 0;
  int stays[V];
  for (int i = 0; i < V; i++) {
    int n_better = 0;
    for (int j = 0; j < V; j++) n_better += is_better(j, i);
    weight[i] = exp((double)logits[i] / (double)how.temperature);
    stays[i] = how.top_k == 0 || n_better < how.top_k;
    if (stays[i]) kept_k += weight[i];
  }
  for (int i = 0; i < V; i++) {
    double above = 0;
    for (int j = 0; j < V; j++)
      if (stays[j] && is_better(j, i)) above += weight[j];
    out[i] = stays[i] && above < (double)how.top_p * kept_k ? weight[i] : 0;
    kept += out[i];
  }
  for (int i = 0; i < V; i++) out[i] /= kept;
}

/* N_DRAW uniforms, equally spaced and shifted by half: the frequencies are off by two at most. */
static void check_distribution(float temperature, float top_p, int top_k, int n_support) {
  mv_device device;
  mv_error err;
  mv_sample_row how = warm(temperature, top_p, top_k);
  double want[V];
  int count[V] = {0}, support = 0;
  brute_force(how, want);
  ck_assert_int_eq(mv_device_open_cpu(&device, 1, NULL, &err), MV_OK);
  for (int i = 0; i < N_DRAW; i++) {
    const mv_sample_dims dims = {1, V, 0};
    mv_pick pick;
    how.uniform = (i + 0.5) / N_DRAW;
    mv_sample_cpu(&device, &dims, &how, logits, &pick, NULL);
    ck_assert(pick.id >= 0 && pick.id < V);
    count[pick.id]++;
  }
  mv_device_close_cpu(&device);
  for (int i = 0; i < V; i++) {
    support += want[i] > 0;
    ck_assert_msg(fabs(count[i] - want[i] * N_DRAW) <= (want[i] > 0 ? 2 : 0),
                  "token %d drawn %d times of %d, not %.1f", i, count[i], N_DRAW, want[i] * N_DRAW);
  }
  ck_assert_int_eq(support, n_support);
}

START_TEST(draws_follow_temperature) {
  check_distribution(1, 1, 0, V);
  check_distribution(0.5f, 1, 0, V);
  check_distribution(3, 1, 0, V);
}
END_TEST

START_TEST(top_k_keeps_k) {
  check_distribution(1, 1, 1, 1);
  check_distribution(1, 1, 3, 3);
  check_distribution(1, 1, V - 1, V - 1);
  check_distribution(1, 1, V, V);
  check_distribution(1, 1, 1000, V);
}
END_TEST

START_TEST(top_p_keeps_the_nucleus) {
  check_distribution(1, 1e-6f, 0, 1);
  check_distribution(1, 0.5f, 0, 3);
  check_distribution(1, 0.9f, 0, 7);
  check_distribution(0.3f, 0.9f, 0, 3); /* temperature comes first */
  check_distribution(1, 0.9f, 4, 4);    /* top-k comes before top-p */
}
END_TEST

/* The same with random numbers, as a request has them: chi-square with a fixed seed. */
START_TEST(random_draws_pass_chi_square) {
  mv_device device;
  mv_error err;
  mv_sample_row how = warm(1, 1, 0);
  double want[V], chi2 = 0;
  int count[V] = {0};
  uint64_t z = 12345;
  brute_force(how, want);
  ck_assert_int_eq(mv_device_open_cpu(&device, 1, NULL, &err), MV_OK);
  for (int i = 0; i < N_DRAW; i++) {
    const mv_sample_dims dims = {1, V, 0};
    mv_pick pick;
    z = z * 6364136223846793005u + 1442695040888963407u;
    how.uniform = (double)(z >> 11) * 0x1p-53;
    mv_sample_cpu(&device, &dims, &how, logits, &pick, NULL);
    count[pick.id]++;
  }
  mv_device_close_cpu(&device);
  for (int i = 0; i < V; i++) {
    double expected = want[i] * N_DRAW;
    chi2 += (count[i] - expected) * (count[i] - expected) / expected;
  }
  /* 99.99 % of honest draws stay below this with 11 degrees of freedom. */
  ck_assert_msg(chi2 < 38, "chi-square %.1f", chi2);
}
END_TEST

START_TEST(logprobs_are_of_the_raw_logits_and_sum_to_one) {
  const mv_sample_dims dims = {1, V, V};
  static const int32_t seen[] = {1, 5};
  mv_sample_row how = {0.1f, 0.5f, 2, 3, 0.5, seen, 2};
  mv_device device;
  mv_error err;
  mv_pick pick, best[V];
  double sum = 0;
  ck_assert_int_eq(mv_device_open_cpu(&device, 1, NULL, &err), MV_OK);
  mv_sample_cpu(&device, &dims, &how, logits, &pick, best);
  mv_device_close_cpu(&device);
  for (int i = 0; i < V; i++) {
    sum += exp((double)best[i].logprob);
    if (i) ck_assert(is_better(best[i - 1].id, best[i].id));
    if (best[i].id == pick.id)
      ck_assert_int_eq(memcmp(&best[i].logprob, &pick.logprob, sizeof pick.logprob), 0);
  }
  ck_assert_double_eq_tol(sum, 1, 1e-6);
}
END_TEST

START_TEST(a_shorter_list_is_the_start_of_a_longer_one) {
  enum { N = 500 };
  static float x[N];
  mv_device device;
  mv_error err;
  mv_sample_row how = warm(0, 1, 0);
  mv_pick pick, all[N], best[N];
  for (int i = 0; i < N; i++) x[i] = (float)(i * 7919 % 101);
  ck_assert_int_eq(mv_device_open_cpu(&device, 1, NULL, &err), MV_OK);
  for (int n = N; n >= 0; n -= 17) {
    const mv_sample_dims dims = {1, N, n};
    mv_sample_cpu(&device, &dims, &how, x, &pick, n == N ? all : best);
    ck_assert_int_eq(memcmp(n == N ? all : best, all, (size_t)n * sizeof *all), 0);
  }
  mv_device_close_cpu(&device);
}
END_TEST

static int refuse(size_t n_bytes, void *user) {
  (void)n_bytes;
  (void)user;
  return 0;
}

START_TEST(no_memory_is_a_status) {
  const mv_sample_dims dims = {1, V, 0};
  mv_sample_row how = warm(1, 1, 0);
  mv_device device;
  mv_error err;
  mv_pick pick;
  ck_assert_int_eq(mv_device_open_cpu(&device, 1, NULL, &err), MV_OK);
  mv_alloc_set_hook(refuse, NULL);
  mv_sample_cpu(&device, &dims, &how, logits, &pick, NULL);
  mv_alloc_set_hook(NULL, NULL);
  ck_assert_int_eq(mv_device_status(&device, &err), MV_ERR_MEMORY);
  mv_device_close_cpu(&device);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("sample");
  TCase *t = tcase_create("sample");
  tcase_add_test(t, draws_follow_temperature);
  tcase_add_test(t, top_k_keeps_k);
  tcase_add_test(t, top_p_keeps_the_nucleus);
  tcase_add_test(t, random_draws_pass_chi_square);
  tcase_add_test(t, logprobs_are_of_the_raw_logits_and_sum_to_one);
  tcase_add_test(t, a_shorter_list_is_the_start_of_a_longer_one);
  tcase_add_test(t, no_memory_is_a_status);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
