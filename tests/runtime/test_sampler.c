#include "runtime/sampler.h"

#include <math.h>
#include <string.h>

#include "kernels/ops.h"
#include "runtime/memory.h"
#include "tests/check_main.h"

static mv_error err;

static mv_sampling greedy(void) {
  mv_sampling p = {.temperature = 0, .top_p = 1, .repetition_penalty = 1};
  return p;
}

static mv_sampling warm(float temperature, float top_p, int top_k) {
  mv_sampling p = greedy();
  p.temperature = temperature;
  p.top_p = top_p;
  p.top_k = top_k;
  return p;
}

static mv_sampler make(mv_sampling params, int n_vocab) {
  mv_sampler s;
  ck_assert_msg(mv_sampler_init(&s, &params, n_vocab, &err) == MV_OK, "%s", err.msg);
  return s;
}

/* ---- the operation, on the CPU, as the engine asks it ---- */

static mv_device device;
static size_t n_drawn; /* index of the next token */

static void open_device(void) {
  ck_assert_int_eq(mv_device_open_cpu(&device, 1, NULL, &err), MV_OK);
  n_drawn = 0;
}

static void close_device(void) { mv_device_close_cpu(&device); }

static int32_t draw(const mv_sampler *s, const float *logits, size_t index) {
  mv_sample_dims dims = {1, s->n_vocab, 0};
  mv_sample_row row = mv_sampler_row(s, index);
  mv_pick pick;
  mv_sample_cpu(&device, &dims, &row, logits, &pick, NULL);
  return pick.id;
}

static int32_t next(const mv_sampler *s, const float *logits) { return draw(s, logits, n_drawn++); }

/* The log-probabilities of the choice and the k best. */
static void logprobs(const mv_sampler *s, const float *logits, mv_logprob *chosen, mv_logprob *top,
                     int k) {
  mv_sample_dims dims = {1, s->n_vocab, k};
  mv_sample_row row = mv_sampler_row(s, n_drawn++);
  mv_pick pick, *best = malloc((size_t)(k + 1) * sizeof *best);
  mv_sample_cpu(&device, &dims, &row, logits, &pick, k ? best : NULL);
  *chosen = (mv_logprob){pick.id, pick.logprob};
  for (int i = 0; i < k; i++) top[i] = (mv_logprob){best[i].id, best[i].logprob};
  free(best);
}

/* ---- greedy ---- */

START_TEST(greedy_takes_the_best_and_the_lowest_of_equals) {
  static const float logits[] = {-1, 3, 2, 3, -INFINITY}, last[] = {0, 0, 0, 0, 0.5f};
  static const float equal[5] = {0};
  mv_sampler s = make(greedy(), 5);
  ck_assert_int_eq(next(&s, logits), 1);
  ck_assert_int_eq(next(&s, last), 4);
  ck_assert_int_eq(next(&s, equal), 0);
  mv_sampler_free(&s);
}
END_TEST

START_TEST(penalty_divides_positive_and_multiplies_negative_logits) {
  mv_sampling p = greedy();
  p.repetition_penalty = 2;
  mv_sampler s = make(p, 4);
  mv_sampler_note(&s, 0);
  mv_sampler_note(&s, 2);
  mv_sampler_note(&s, -1); /* image rows and padding are no tokens */
  mv_sampler_note(&s, 4);
  static const float positive[] = {4, 2.5f, 3, 1}, negative[] = {-1, -1.5f, -0.9f, -3};
  static const float barely[] = {4, 1.9f, 1, 1};
  ck_assert_int_eq(next(&s, positive), 1); /* 2, 2.5, 1.5, 1       */
  ck_assert_int_eq(next(&s, negative), 1); /* -2, -1.5, -1.8, -3   */
  ck_assert_int_eq(next(&s, barely), 0);   /* 2, 1.9, 0.5, 1: once only */
  mv_sampler_free(&s);
}
END_TEST

START_TEST(penalty_moves_probabilities_too) {
  mv_sampling p = warm(1, 1, 0);
  p.repetition_penalty = 1000;
  mv_sampler s = make(p, 2);
  static const float logits[] = {20, 10};
  mv_sampler_note(&s, 0);
  for (int i = 0; i < 100; i++) ck_assert_int_eq(next(&s, logits), 1);
  mv_sampler_free(&s);
}
END_TEST

/* ---- drawing ---- */

enum { V = 12, N_DRAW = 20000 };

/* Probabilities after temperature, top-k and top-p, by definition: a token stays when fewer than k
 * tokens are better and the better ones together have less than top_p. */
static void brute_force(const float *logits, mv_sampling p, double *out) {
  double weight[V], total = 0, kept_k = 0, kept = 0;
  int stays[V];
  for (int i = 0; i < V; i++) total += weight[i] = exp((double)logits[i] / (double)p.temperature);
  for (int i = 0; i < V; i++) {
    int n_better = 0;
    for (int j = 0; j < V; j++)
      n_better += logits[j] > logits[i] || (logits[j] == logits[i] && j < i);
    stays[i] = p.top_k == 0 || n_better < p.top_k;
    if (stays[i]) kept_k += weight[i];
  }
  for (int i = 0; i < V; i++) {
    double above = 0;
    for (int j = 0; j < V; j++)
      if (stays[j] && (logits[j] > logits[i] || (logits[j] == logits[i] && j < i)))
        above += weight[j];
    out[i] = stays[i] && above < (double)p.top_p * kept_k ? weight[i] : 0;
    kept += out[i];
  }
  for (int i = 0; i < V; i++) out[i] /= kept;
}

/* Draws from a fixed seed: nothing outside the support, frequencies by chi-square. */
static void check_distribution(mv_sampling p, int n_support) {
  static const float logits[V] = {0.3f, 2.1f, -1, 1.7f, 0, -4, 2.0f, 0.3f, -0.5f, 1.1f, -2, 0.9f};
  double want[V], chi2 = 0;
  int count[V] = {0}, support = 0;
  p.seed = 12345;
  brute_force(logits, p, want);
  mv_sampler s = make(p, V);
  for (int i = 0; i < N_DRAW; i++) {
    int32_t id = next(&s, logits);
    ck_assert(id >= 0 && id < V);
    count[id]++;
  }
  mv_sampler_free(&s);
  for (int i = 0; i < V; i++) {
    double expected = want[i] * N_DRAW;
    support += want[i] > 0;
    if (want[i] == 0)
      ck_assert_msg(count[i] == 0, "token %d drawn %d times, it is cut off", i, count[i]);
    else
      chi2 += (count[i] - expected) * (count[i] - expected) / expected;
  }
  ck_assert_int_eq(support, n_support);
  /* 99.99 % of honest draws stay below this for up to 11 degrees of freedom; the seed is fixed. */
  ck_assert_msg(chi2 < 38, "chi-square %.1f over %d tokens", chi2, support);
}

START_TEST(draws_follow_temperature) {
  check_distribution(warm(1, 1, 0), V);
  check_distribution(warm(0.5f, 1, 0), V);
  check_distribution(warm(3, 1, 0), V);
}
END_TEST

START_TEST(top_k_keeps_k) {
  check_distribution(warm(1, 1, 1), 1);
  check_distribution(warm(1, 1, 3), 3);
  check_distribution(warm(1, 1, V - 1), V - 1);
  check_distribution(warm(1, 1, V), V);
  check_distribution(warm(1, 1, 1000), V);
}
END_TEST

START_TEST(top_p_keeps_the_nucleus) {
  check_distribution(warm(1, 1e-6f, 0), 1);
  check_distribution(warm(1, 0.5f, 0), 3);
  check_distribution(warm(1, 0.9f, 0), 7);
  check_distribution(warm(0.3f, 0.9f, 0), 3); /* temperature comes first */
  check_distribution(warm(1, 0.9f, 4), 4);    /* top-k comes before top-p */
}
END_TEST

START_TEST(a_seed_is_reproducible_and_seeds_differ) {
  static const float logits[V] = {0};
  int same = 0;
  mv_sampling p = warm(1, 1, 0);
  p.seed = 7;
  mv_sampler a = make(p, V), b = make(p, V);
  p.seed = 8;
  mv_sampler c = make(p, V);
  for (int i = 0; i < 200; i++) {
    int32_t x = draw(&a, logits, (size_t)i);
    ck_assert_int_eq(x, draw(&b, logits, (size_t)i));
    same += x == draw(&c, logits, (size_t)i);
  }
  ck_assert_int_lt(same, 50);
  mv_sampler_free(&a);
  mv_sampler_free(&b);
  mv_sampler_free(&c);
}
END_TEST

/* ---- log-probabilities ---- */

enum { BIG = 1000 };

static void fill(float *logits, int n) {
  uint32_t z = 1;
  for (int i = 0; i < n; i++) {
    z = z * 1664525u + 1013904223u;
    logits[i] = (float)(z >> 24) * 0.05f; /* many equal ones */
  }
}

START_TEST(logprobs_are_of_the_raw_logits_and_sum_to_one) {
  float logits[BIG];
  mv_logprob top[BIG], chosen;
  mv_sampling p = warm(0.1f, 0.5f, 2); /* none of which log-probabilities heed */
  p.repetition_penalty = 3;
  fill(logits, BIG);
  mv_sampler s = make(p, BIG);
  mv_sampler_note(&s, 5);
  double sum = 0, max = -INFINITY, log_sum = 0;
  for (int i = 0; i < BIG; i++) max = fmax(max, (double)logits[i]);
  for (int i = 0; i < BIG; i++) log_sum += exp((double)logits[i] - max);
  log_sum = max + log(log_sum);
  logprobs(&s, logits, &chosen, top, BIG);
  ck_assert_double_eq_tol((double)chosen.logprob, (double)logits[chosen.token_id] - log_sum, 1e-6);
  for (int i = 0; i < BIG; i++) {
    sum += exp((double)top[i].logprob);
    ck_assert_double_eq_tol((double)top[i].logprob, (double)logits[top[i].token_id] - log_sum,
                            1e-6);
  }
  ck_assert_double_eq_tol(sum, 1, 1e-5);
  mv_sampler_free(&s);
}
END_TEST

/* Every k against a full sort: best first, ties to the lowest id. */
START_TEST(the_k_best_are_the_k_best) {
  static const int ks[] = {0, 1, 2, 5, 20, 499, 999, 1000};
  float logits[BIG];
  mv_logprob all[BIG], top[BIG], chosen;
  fill(logits, BIG);
  mv_sampler s = make(greedy(), BIG);
  logprobs(&s, logits, &chosen, all, BIG);
  for (int i = 1; i < BIG; i++) {
    float before = logits[all[i - 1].token_id], now = logits[all[i].token_id];
    ck_assert(before > now || (before == now && all[i - 1].token_id < all[i].token_id));
  }
  for (size_t j = 0; j < sizeof ks / sizeof *ks; j++) {
    memset(top, 0xAB, sizeof top);
    logprobs(&s, logits, &chosen, top, ks[j]);
    ck_assert_int_eq(memcmp(top, all, (size_t)ks[j] * sizeof *top), 0);
    if (ks[j] < BIG) ck_assert_int_eq(top[ks[j]].token_id, (int32_t)0xABABABAB);
  }
  mv_sampler_free(&s);
}
END_TEST

START_TEST(logprobs_survive_extreme_logits) {
  static const float huge[] = {1e30f, -1e30f, 1e30f, 0};
  mv_logprob chosen, top[4];
  mv_sampler s = make(greedy(), 4);
  logprobs(&s, huge, &chosen, top, 4);
  ck_assert_float_eq_tol(chosen.logprob, -0.69314718f, 1e-6f);
  ck_assert_int_eq(top[0].token_id, 0);
  ck_assert_int_eq(top[1].token_id, 2);
  ck_assert_int_eq(top[3].token_id, 1);
  mv_sampler_free(&s);
}
END_TEST

/* A damaged checkpoint can give NaN; whatever is chosen then must be a token. */
START_TEST(logits_that_are_no_numbers_do_no_harm) {
  float logits[100];
  mv_logprob chosen, top[100];
  for (int pattern = 0; pattern < 4; pattern++) {
    for (int i = 0; i < 100; i++)
      logits[i] = pattern == 0 || (pattern == 1 && i % 2) || (pattern == 2 && i == 50) ? NAN
                  : pattern == 3 ? (i % 3 ? INFINITY : -INFINITY)
                                 : (float)i;
    for (int k = 0; k <= 100; k++) {
      mv_sampling p = warm(k % 2 ? 0 : 1, 0.9f, k % 5);
      mv_sampler s = make(p, 100);
      int32_t id = next(&s, logits);
      ck_assert(id >= 0 && id < 100);
      logprobs(&s, logits, &chosen, top, k);
      for (int i = 0; i < k; i++) ck_assert(top[i].token_id >= 0 && top[i].token_id < 100);
      mv_sampler_free(&s);
    }
  }
}
END_TEST

START_TEST(greedy_passes_over_what_is_no_number) {
  static const float logits[] = {NAN, 1, 3, NAN, 2};
  mv_logprob chosen, top[2];
  mv_sampler s = make(greedy(), 5);
  ck_assert_int_eq(next(&s, logits), 2);
  logprobs(&s, logits, &chosen, top, 2);
  ck_assert_int_eq(top[0].token_id, 2);
  ck_assert_int_eq(top[1].token_id, 4);
  mv_sampler_free(&s);
}
END_TEST

/* ---- refusals ---- */

START_TEST(refuses_values_out_of_range) {
  static const struct {
    float temperature, top_p;
    int top_k;
    float penalty;
    const char *word;
  } cases[] = {
      {-0.1f, 1, 0, 1, "temperature"},
      {NAN, 1, 0, 1, "temperature"},
      {INFINITY, 1, 0, 1, "temperature"},
      {1, 0, 0, 1, "top-p"},
      {1, 1.01f, 0, 1, "top-p"},
      {1, NAN, 0, 1, "top-p"},
      {1, -1, 0, 1, "top-p"},
      {1, 1, -1, 1, "top-k"},
      {1, 1, 0, 0, "penalty"},
      {1, 1, 0, -1, "penalty"},
      {1, 1, 0, NAN, "penalty"},
      {1, 1, 0, INFINITY, "penalty"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    mv_sampling p = {cases[i].temperature, cases[i].top_p, cases[i].top_k, cases[i].penalty, 0};
    mv_sampler s;
    ck_assert_int_eq(mv_sampler_init(&s, &p, 10, &err), MV_ERR_USAGE);
    ck_assert_msg(strstr(err.msg, cases[i].word), "case %zu: %s", i, err.msg);
    mv_sampler_free(&s);
  }
}
END_TEST

static int refuse_at(size_t n_bytes, void *user) {
  (void)n_bytes;
  return --*(int *)user != 0;
}

/* Drafts are noted to see what would follow, and taken back. */
START_TEST(what_was_noted_can_be_taken_back) {
  mv_sampling p = greedy();
  p.repetition_penalty = 2;
  mv_sampler s = make(p, 4);
  static const float logits[] = {4, 3, 1, 1};
  mv_sampler_note(&s, 2);
  int n_seen = s.n_seen;
  ck_assert_int_eq(next(&s, logits), 0);
  mv_sampler_note(&s, 0);
  mv_sampler_note(&s, 0);
  ck_assert_int_eq(next(&s, logits), 1);
  mv_sampler_forget(&s, n_seen);
  ck_assert_int_eq(next(&s, logits), 0);
  mv_sampler_note(&s, 0);
  ck_assert_int_eq(s.n_seen, 2);
  mv_sampler_free(&s);
}
END_TEST

START_TEST(no_memory_is_a_status) {
  for (int k = 1;; k++) {
    int left = k;
    mv_sampling p = greedy();
    p.repetition_penalty = 2; /* nothing is noted without one */
    mv_sampler s;
    mv_alloc_set_hook(refuse_at, &left);
    mv_status status = mv_sampler_init(&s, &p, 10, &err);
    mv_alloc_set_hook(NULL, NULL);
    mv_sampler_free(&s);
    if (status == MV_OK) {
      ck_assert_int_gt(k, 1);
      return;
    }
    ck_assert_int_eq(status, MV_ERR_MEMORY);
  }
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("sampler");
  TCase *t = tcase_create("sampler");
  tcase_set_timeout(t, 60);
  tcase_add_checked_fixture(t, open_device, close_device);
  tcase_add_test(t, greedy_takes_the_best_and_the_lowest_of_equals);
  tcase_add_test(t, penalty_divides_positive_and_multiplies_negative_logits);
  tcase_add_test(t, penalty_moves_probabilities_too);
  tcase_add_test(t, draws_follow_temperature);
  tcase_add_test(t, top_k_keeps_k);
  tcase_add_test(t, top_p_keeps_the_nucleus);
  tcase_add_test(t, a_seed_is_reproducible_and_seeds_differ);
  tcase_add_test(t, logprobs_are_of_the_raw_logits_and_sum_to_one);
  tcase_add_test(t, the_k_best_are_the_k_best);
  tcase_add_test(t, logprobs_survive_extreme_logits);
  tcase_add_test(t, logits_that_are_no_numbers_do_no_harm);
  tcase_add_test(t, greedy_passes_over_what_is_no_number);
  tcase_add_test(t, refuses_values_out_of_range);
  tcase_add_test(t, what_was_noted_can_be_taken_back);
  tcase_add_test(t, no_memory_is_a_status);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
