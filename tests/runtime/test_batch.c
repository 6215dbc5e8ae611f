/* Many requests at once: the answers of each alone, whatever shares the engine. */
#include <math.h>
#include <pthread.h>

#include "runtime/engine.h"
#include "runtime/memory.h"
#include "tests/check_main.h"
#include "tests/runtime/reference.h"
#include "tests/tolerances.h"
#include "weights/checkpoint.h"

static mv_error err;
static mv_model *model;
static mv_image pictures[3];

enum { N_ASK = 24 };

static void open_all(void) {
  pictures[0] = load_picture(REFERENCE "images/small90x60.png");
  pictures[1] = pictures[0];
  pictures[1].px = malloc((size_t)90 * 60 * 3);
  memcpy(pictures[1].px, pictures[0].px, (size_t)90 * 60 * (size_t)pictures[0].channels);
  pictures[1].px[100] ^= 0x80; /* one pixel makes another image */
  pictures[2] = load_picture(REFERENCE "images/small90x60.png");
  pictures[2].height = 45; /* the upper half: another grid */
}

static void close_all(void) {
  for (int i = 0; i < 3; i++) mv_image_free(&pictures[i]);
}

/* Question i of a family of prompts that share beginnings, pictures and orders. */
static mv_request question(int i, char words[600]) {
  static const char *const about[] = {"the lesion", "the left kidney", "the liver and its lesion"};
  mv_request q;
  mv_request_init(&q);
  snprintf(words, 600, "Measure %s in picture %d.", about[i % 3], i / 2 % 5);
  size_t n = strlen(words);
  for (int k = 0; k < i % 7 * 60; k++) words[n++] = (char)('a' + (k * k + i % 2) % 23);
  words[n] = 0;
  q.prompt = mv_str_of(words);
  q.system =
      mv_str_of(i % 4 ? "You measure images. Think first, then answer with two numbers." : "");
  if (i % 5) {
    q.images = &pictures[i % 3];
    q.n_image = 1;
  }
  q.image_order = i % 2 ? MV_IMAGE_LAST : MV_IMAGE_FIRST;
  q.max_new_tokens = 1 + i * 7 % 40;
  q.family = mv_str_of(i % 2 ? "size" : "detect");
  if (i % 6 == 1) q.sampling.temperature = 1.5f, q.sampling.seed = (uint64_t)i;
  if (i % 6 == 2) q.sampling.repetition_penalty = 1.3f;
  if (i % 6 == 3) q.n_logprob = 3;
  q.ignore_eos = i % 3 == 0;
  return q;
}

static mv_engine *engine_with(mv_engine_options options) {
  mv_engine *engine;
  ck_assert_msg(mv_engine_new(&engine, model, &options, &err) == MV_OK, "%s", err.msg);
  return engine;
}

/* The plainest engine: one at a time, nothing kept, nothing guessed. */
static void ask_alone(mv_result *out) {
  mv_engine *engine = engine_with((mv_engine_options){
      .max_batch = 1, .no_prefix_cache = 1, .no_vision_cache = 1, .no_speculation = 1});
  for (int i = 0; i < N_ASK; i++) {
    char words[600];
    mv_request q = question(i, words);
    ck_assert_msg(mv_engine_generate(engine, &q, &out[i], &err) == MV_OK, "%s", err.msg);
  }
  mv_engine_free(engine);
}

static void free_results(mv_result *r, int n) {
  for (int i = 0; i < n; i++) mv_result_free(&r[i]);
}

/* Bit for bit: log-probabilities are compared as they are. */
static void assert_same(const char *how, int i, const mv_result *got, const mv_result *want) {
  ck_assert_msg(got->n_prompt == want->n_prompt && got->n_token == want->n_token,
                "%s: request %d has %zu tokens, alone %zu", how, i, got->n_token, want->n_token);
  ck_assert_msg(!memcmp(got->token_ids, want->token_ids, want->n_token * sizeof *want->token_ids),
                "%s: request %d has other tokens than alone", how, i);
  ck_assert_str_eq(got->text.ptr ? got->text.ptr : "", want->text.ptr ? want->text.ptr : "");
  ck_assert_int_eq(got->finish, want->finish);
  if (want->n_logprob >= 0)
    ck_assert_msg(!memcmp(got->logprobs, want->logprobs, want->n_token * sizeof(mv_logprob)) &&
                      !memcmp(got->top, want->top,
                              want->n_token * (size_t)want->n_logprob * sizeof(mv_logprob)),
                  "%s: request %d has other log-probabilities than alone", how, i);
}

static void step_until_done(mv_engine *engine) {
  size_t n_left = 1;
  for (int k = 0; n_left && k < 100000; k++)
    ck_assert_msg(mv_engine_step(engine, &n_left, &err) == MV_OK, "%s", err.msg);
  ck_assert_uint_eq(n_left, 0);
}

static void ask_together(const char *how, mv_engine *engine, const mv_result *want) {
  mv_ticket tickets[N_ASK];
  for (int i = 0; i < N_ASK; i++) {
    char words[600];
    mv_request q = question(i, words);
    ck_assert_int_eq(mv_engine_submit(engine, &q, &tickets[i], &err), MV_OK);
    memset(words, 'x', sizeof words - 1); /* nothing of the request is needed any more */
  }
  step_until_done(engine);
  for (int i = N_ASK - 1; i >= 0; i--) {
    mv_result r;
    ck_assert_int_eq(mv_engine_poll(engine, &tickets[i], &r, &err), 1);
    ck_assert_msg(r.status == MV_OK, "%s: %s", how, err.msg);
    assert_same(how, i, &r, &want[i]);
    mv_result_free(&r);
  }
  mv_ticket any = 0;
  mv_result none;
  ck_assert_int_eq(mv_engine_poll(engine, &any, &none, &err), 0);
}

START_TEST(answers_are_those_of_each_alone) {
  static const struct {
    const char *how;
    mv_engine_options options;
  } cases[] = {
      {"plain batch", {.no_prefix_cache = 1, .no_vision_cache = 1, .no_speculation = 1}},
      {"prefix cache", {.no_speculation = 1}},
      {"everything", {0}},
      {"batch of 64", {.max_batch = 64}},
      {"one row a chunk", {.max_batch = 4, .max_rows = 1}},
      {"chunks of 37", {.max_batch = 5, .max_rows = 37}},
      {"one at a time", {.max_batch = 1}},
      {"little memory", {.kv_tokens = 640, .image_tokens = 10, .max_rows = 100}},
      {"short drafts", {.max_draft = 1}},
      {"long drafts", {.max_draft = 64, .max_batch = 3}},
  };
  for (int p = MV_PRECISION_BF16; p <= MV_PRECISION_FP32; p++) {
    mv_result want[N_ASK];
    model = open_reference(_i, (mv_precision)p);
    ask_alone(want);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
      mv_engine *engine = engine_with(cases[i].options);
      for (int round = 0; round < 2; round++) ask_together(cases[i].how, engine, want);
      mv_engine_free(engine);
    }
    free_results(want, N_ASK);
    mv_model_close(model);
  }
}
END_TEST

/* Other orders of sums move log-probabilities by what the last bits are worth. */
START_TEST(any_order_is_as_right) {
  mv_engine *engine;
  mv_ticket tickets[N_ASK];
  int n_moved = 0;
  model = open_reference(1, MV_PRECISION_FP32);
  mv_result *want = malloc(N_ASK * sizeof *want), r;
  ask_alone(want);
  engine = engine_with((mv_engine_options){.any_order = 1});
  for (int i = 0; i < N_ASK; i++) {
    char words[600];
    mv_request q = question(i, words);
    ck_assert_int_eq(mv_engine_submit(engine, &q, &tickets[i], &err), MV_OK);
  }
  step_until_done(engine);
  for (int i = 0; i < N_ASK; i++) {
    ck_assert_int_eq(mv_engine_poll(engine, &tickets[i], &r, &err), 1);
    ck_assert_msg(r.status == MV_OK, "%s", err.msg);
    for (size_t t = 0; r.n_logprob >= 0 && t < r.n_token && t < want[i].n_token; t++) {
      double away = fabs((double)r.logprobs[t].logprob - (double)want[i].logprobs[t].logprob);
      ck_assert_msg(away < MV_TOL_NEAR_TIE, "request %d, token %zu: %g away", i, t, away);
      if (r.token_ids[t] != want[i].token_ids[t]) break; /* a tie, and another answer from here */
      n_moved += away > 0;
    }
    mv_result_free(&r);
  }
  ck_assert_int_gt(n_moved, 0); /* or it is no other order */
  mv_engine_free(engine);
  free_results(want, N_ASK);
  free(want);
  mv_model_close(model);
}
END_TEST

/* ---- what is kept ---- */

START_TEST(a_second_question_about_an_image_sees_nothing_again) {
  model = open_reference(1, MV_PRECISION_FP32);
  mv_engine *engine = new_engine(model);
  mv_engine_stats s;
  mv_result first, second, third;
  char words[600];
  mv_request q = question(1, words);
  q.image_order = MV_IMAGE_FIRST;
  ck_assert_int_eq(mv_engine_generate(engine, &q, &first, &err), MV_OK);
  ck_assert_uint_eq(first.n_cached_token, 0);
  ck_assert_uint_eq(first.n_cached_image, 0);
  q.prompt = mv_str_of("And now the other kidney, in millimetres.");
  ck_assert_int_eq(mv_engine_generate(engine, &q, &second, &err), MV_OK);
  size_t same = 0;
  while (first.prompt_ids[same] == second.prompt_ids[same]) same++;
  ck_assert_uint_eq(second.n_cached_token, same); /* to the token: the last page is copied */
  ck_assert_uint_eq(second.n_cached_image, 1);
  ck_assert_int_eq(mv_engine_generate(engine, &q, &third, &err), MV_OK);
  ck_assert_uint_eq(third.n_cached_token, third.n_prompt - 1);
  ck_assert_uint_eq(third.n_token, second.n_token);
  mv_engine_get_stats(engine, &s);
  ck_assert_uint_eq(s.n_image, 3);
  ck_assert_uint_eq(s.n_image_seen, 1);
  printf("second question: %zu of %zu prompt tokens known, the image not seen again\n",
         second.n_cached_token, second.n_prompt);
  mv_result_free(&first);
  mv_result_free(&second);
  mv_result_free(&third);
  mv_engine_free(engine);
  mv_model_close(model);
}
END_TEST

/* Text before the image: no keys are shared past it, but its features are. */
START_TEST(image_features_are_shared_whatever_the_order) {
  model = open_reference(1, MV_PRECISION_FP32);
  mv_engine *engine = new_engine(model);
  mv_engine_stats s;
  char words[600];
  for (int i = 0; i < 3; i++) {
    mv_request q = question(1, words);
    mv_result r;
    words[0] = (char)('A' + i);
    ck_assert_int_eq(mv_engine_generate(engine, &q, &r, &err), MV_OK);
    mv_result_free(&r);
  }
  mv_engine_get_stats(engine, &s);
  ck_assert_uint_eq(s.n_image_seen, 1);
  mv_engine_free(engine);
  mv_model_close(model);
}
END_TEST

/* Two for a new image arriving together: the second waits for the first's pages. */
START_TEST(siblings_wait_for_one_another) {
  model = open_reference(1, MV_PRECISION_FP32);
  mv_engine *engine = new_engine(model);
  mv_engine_stats s;
  char words[600];
  mv_request q = question(6, words); /* long enough for whole pages */
  mv_ticket ticket;
  for (int i = 0; i < 4; i++) ck_assert_int_eq(mv_engine_submit(engine, &q, &ticket, &err), MV_OK);
  step_until_done(engine);
  mv_engine_get_stats(engine, &s);
  ck_assert_uint_lt(s.n_prompt_row, s.n_prompt_token / 3);
  ck_assert_uint_eq(s.n_prompt_row + s.n_cached_token, s.n_prompt_token);
  mv_engine_free(engine); /* nothing was polled: dropped */
  mv_model_close(model);
}
END_TEST

/* ---- forced answers ---- */

START_TEST(a_forced_answer_is_given_whatever_the_model_says) {
  static const int32_t ids[] = {70, 71, 72, 73, 70, 71, 72, 73, 70, 71, 72, 73, 74};
  enum { N = sizeof ids / sizeof *ids };
  model = open_reference(1, MV_PRECISION_FP32);
  mv_engine *engine = new_engine(model);
  char words[600];
  mv_request q = question(0, words);
  mv_ticket ticket;
  mv_result r;
  q.max_new_tokens = N + 2;
  ck_assert_int_eq(mv_engine_submit(engine, &q, &ticket, &err), MV_OK);
  ck_assert_int_eq(mv_engine_force(engine, ticket + 1, ids, N, &err), MV_ERR_USAGE);
  ck_assert_int_eq(mv_engine_force(engine, ticket, ids, N, &err), MV_OK);
  step_until_done(engine);
  ck_assert_int_eq(mv_engine_poll(engine, &ticket, &r, &err), 1);
  ck_assert_uint_eq(r.n_token, N + 2); /* the model's own word comes after */
  ck_assert_int_eq(memcmp(r.token_ids, ids, sizeof ids), 0);
  ck_assert_uint_gt(r.n_accepted, 0); /* it repeats itself, which is drafted */
  mv_result_free(&r);
  mv_engine_free(engine);
  mv_model_close(model);
}
END_TEST

/* ---- limits and cancellation ---- */

START_TEST(what_can_never_fit_is_refused_at_once) {
  model = open_reference(1, MV_PRECISION_FP32);
  mv_engine *engine = engine_with((mv_engine_options){.kv_tokens = 128, .image_tokens = 4});
  char words[600];
  mv_request q = question(5, words);
  mv_ticket ticket;
  q.max_new_tokens = 500;
  ck_assert_int_eq(mv_engine_submit(engine, &q, &ticket, &err), MV_ERR_MEMORY);
  ck_assert_ptr_nonnull(strstr(err.msg, "the engine has 128"));
  mv_engine_free(engine);
  engine = engine_with((mv_engine_options){.image_tokens = 4});
  q = question(1, words);
  ck_assert_int_eq(mv_engine_submit(engine, &q, &ticket, &err), MV_ERR_MEMORY);
  ck_assert_ptr_nonnull(strstr(err.msg, "tokens, the engine has 4"));
  mv_engine_free(engine);
  mv_engine_options huge = {.kv_tokens = (size_t)1 << 30};
  ck_assert_int_eq(mv_engine_new(&engine, model, &huge, &err), MV_ERR_MEMORY);
  ck_assert_ptr_nonnull(strstr(err.msg, "the plan needs"));
  mv_model_close(model);
}
END_TEST

START_TEST(a_request_can_be_cancelled_at_any_step) {
  model = open_reference(1, MV_PRECISION_FP32);
  mv_result want[N_ASK];
  ask_alone(want);
  for (int at = 0; at < 12; at++) {
    mv_engine *engine = engine_with((mv_engine_options){.max_batch = 3, .max_rows = 60});
    mv_ticket tickets[N_ASK];
    size_t n_left;
    for (int i = 0; i < N_ASK; i++) {
      char words[600];
      mv_request q = question(i, words);
      ck_assert_int_eq(mv_engine_submit(engine, &q, &tickets[i], &err), MV_OK);
    }
    for (int i = 0; i < at; i++) ck_assert_int_eq(mv_engine_step(engine, &n_left, &err), MV_OK);
    for (int i = 0; i < N_ASK; i += 2) mv_engine_cancel(engine, tickets[i]);
    mv_engine_cancel(engine, 12345);
    step_until_done(engine);
    for (int i = 0; i < N_ASK; i++) {
      mv_result r;
      ck_assert_int_eq(mv_engine_poll(engine, &tickets[i], &r, &err), 1);
      ck_assert_int_eq(r.status, MV_OK);
      if (r.finish == MV_FINISH_CANCELLED) {
        ck_assert_int_eq(i % 2, 0);
        ck_assert_uint_le(r.n_token, want[i].n_token);
        ck_assert_int_eq(memcmp(r.token_ids, want[i].token_ids, r.n_token * sizeof(int32_t)), 0);
      } else {
        assert_same("beside cancelled ones", i, &r, &want[i]);
      }
      mv_result_free(&r);
    }
    mv_engine_free(engine);
  }
  free_results(want, N_ASK);
  mv_model_close(model);
}
END_TEST

/* ---- threads ---- */

typedef struct client {
  mv_engine *engine;
  const mv_result *want;
  int first, failed;
} client;

static void *submit_and_poll(void *user) {
  client *c = user;
  for (int i = c->first; i < N_ASK; i += 4) {
    char words[600];
    mv_request q = question(i, words);
    mv_ticket ticket, doomed;
    mv_result r;
    mv_error why;
    c->failed |= mv_engine_submit(c->engine, &q, &doomed, &why) != MV_OK;
    c->failed |= mv_engine_submit(c->engine, &q, &ticket, &why) != MV_OK;
    mv_engine_cancel(c->engine, doomed);
    while (!mv_engine_poll(c->engine, &ticket, &r, &why)) {
      mv_engine_stats s;
      mv_engine_get_stats(c->engine, &s);
      struct timespec nap = {0, 200000};
      nanosleep(&nap, NULL);
    }
    c->failed |= r.status != MV_OK || r.n_token != c->want[i].n_token ||
                 memcmp(r.token_ids, c->want[i].token_ids, r.n_token * sizeof(int32_t)) != 0;
    mv_result_free(&r);
    while (!mv_engine_poll(c->engine, &doomed, &r, &why)) sched_yield();
    mv_result_free(&r);
  }
  return NULL;
}

START_TEST(any_thread_may_submit_poll_and_cancel) {
  model = open_reference(1, MV_PRECISION_FP32);
  mv_result want[N_ASK];
  ask_alone(want);
  mv_engine *engine = engine_with((mv_engine_options){.max_batch = 6, .max_rows = 200});
  pthread_t threads[4];
  client clients[4];
  ck_assert_int_eq(mv_engine_wait(engine, 1), 0);
  for (int i = 0; i < 4; i++) {
    clients[i] = (client){engine, want, i, 0};
    pthread_create(&threads[i], NULL, submit_and_poll, &clients[i]);
  }
  mv_engine_stats s = {0};
  while (s.n_request < 2 * N_ASK && mv_engine_wait(engine, 300)) {
    size_t n_left;
    ck_assert_int_eq(mv_engine_step(engine, &n_left, &err), MV_OK);
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    ck_assert_int_eq(clients[i].failed, 0);
  }
  mv_engine_free(engine);
  free_results(want, N_ASK);
  mv_model_close(model);
}
END_TEST

/* ---- memory ---- */

static int count(size_t n_bytes, void *user) {
  (void)n_bytes;
  ++*(long *)user;
  return 1;
}

static int fail_at(size_t n_bytes, void *user) {
  (void)n_bytes;
  return --*(long *)user != 0;
}

enum { N_SHORT = 6 };

static mv_request short_question(int i, char words[600]) {
  mv_request q = question(i * 5 + 1, words);
  q.max_new_tokens = 3 + i;
  return q;
}

/* Submits and steps with memory that ends at the k-th allocation. Returns how many requests failed;
 * *left is what is left of k. */
static int answer_with(mv_engine *engine, const mv_result *want, long k, long *left) {
  mv_ticket tickets[N_SHORT];
  size_t n_left = 1;
  int n_failed = 0;
  *left = k;
  mv_alloc_set_hook(fail_at, left);
  for (int i = 0; i < N_SHORT; i++) {
    char words[600];
    mv_request q = short_question(i, words);
    mv_status status = mv_engine_submit(engine, &q, &tickets[i], &err);
    ck_assert(status == MV_OK || status == MV_ERR_MEMORY);
    if (status != MV_OK) tickets[i] = 0, n_failed++;
  }
  for (int step = 0; n_left && step < 1000; step++) {
    mv_status status = mv_engine_step(engine, &n_left, &err);
    ck_assert(status == MV_OK || status == MV_ERR_MEMORY);
  }
  mv_alloc_set_hook(NULL, NULL);
  ck_assert_uint_eq(n_left, 0);
  for (int i = 0; i < N_SHORT; i++) {
    mv_result r;
    if (!tickets[i]) continue;
    ck_assert_int_eq(mv_engine_poll(engine, &tickets[i], &r, &err), 1);
    ck_assert(r.status == MV_OK || r.status == MV_ERR_MEMORY);
    if (r.status == MV_OK)
      assert_same("with little memory", i, &r, &want[i]);
    else
      n_failed++;
    mv_result_free(&r);
  }
  return n_failed;
}

/* Whoever gets no memory is told so; the others' answers are what they are, and so is the next. */
START_TEST(memory_may_end_at_any_submit_or_step) {
  mv_result want[N_SHORT];
  long left = 0, n = 0;
  model = open_reference(1, MV_PRECISION_BF16);
  for (int i = 0; i < N_SHORT; i++) {
    char words[600];
    mv_request q = short_question(i, words);
    mv_engine *alone = engine_with((mv_engine_options){.max_batch = 1, .no_speculation = 1});
    ck_assert_int_eq(mv_engine_generate(alone, &q, &want[i], &err), MV_OK);
    mv_engine_free(alone);
  }
  for (long k = 1; left <= 0; k++, n++) {
    long none;
    mv_engine *engine = engine_with((mv_engine_options){.max_batch = 4, .max_rows = 50});
    int n_failed = answer_with(engine, want, k, &left);
    ck_assert_int_eq(n_failed > 0 && left > 0, 0);
    ck_assert_int_eq(answer_with(engine, want, 0, &none), 0);
    mv_engine_free(engine);
  }
  ck_assert_int_gt(n, 100);
  free_results(want, N_SHORT);
  mv_model_close(model);
}
END_TEST

START_TEST(steps_allocate_nothing) {
  model = open_reference(1, MV_PRECISION_FP32);
  mv_engine *engine = new_engine(model);
  for (int round = 0; round < 3; round++) {
    mv_ticket ticket;
    size_t n_left = 1;
    long n = 0;
    for (int i = 0; i < N_ASK; i++) {
      char words[600];
      mv_request q = question(i, words);
      q.n_logprob = -1; /* the K best grow */
      ck_assert_int_eq(mv_engine_submit(engine, &q, &ticket, &err), MV_OK);
    }
    mv_engine_step(engine, &n_left, &err);
    mv_engine_stats before, after;
    mv_engine_get_stats(engine, &before);
    while (n_left) {
      long taken = 0;
      mv_alloc_set_hook(count, &taken);
      ck_assert_int_eq(mv_engine_step(engine, &n_left, &err), MV_OK);
      mv_alloc_set_hook(NULL, NULL);
      mv_engine_get_stats(engine, &after);
      /* what starts sees images, what ends makes its text; nothing between */
      if (after.n_request == before.n_request && after.n_running == before.n_running) n += taken;
      before = after;
    }
    if (round) ck_assert_int_eq(n, 0);
    mv_result r;
    for (mv_ticket any = 0; mv_engine_poll(engine, &any, &r, &err); any = 0) mv_result_free(&r);
  }
  mv_engine_free(engine);
  mv_model_close(model);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("batch");
  TCase *t = tcase_create("batch");
  tcase_add_checked_fixture(t, open_all, close_all);
  tcase_set_timeout(t, 280);
  tcase_add_loop_test(t, answers_are_those_of_each_alone, 1, 3);
  tcase_add_test(t, any_order_is_as_right);
  tcase_add_test(t, a_second_question_about_an_image_sees_nothing_again);
  tcase_add_test(t, image_features_are_shared_whatever_the_order);
  tcase_add_test(t, siblings_wait_for_one_another);
  tcase_add_test(t, a_forced_answer_is_given_whatever_the_model_says);
  tcase_add_test(t, what_can_never_fit_is_refused_at_once);
  tcase_add_test(t, a_request_can_be_cancelled_at_any_step);
  tcase_add_test(t, steps_allocate_nothing);
  tcase_add_test(t, memory_may_end_at_any_submit_or_step);
  suite_add_tcase(s, t);
  t = tcase_create("threads"); /* alone in make tsan */
  tcase_add_checked_fixture(t, open_all, close_all);
  tcase_set_timeout(t, 280);
  tcase_add_test(t, any_thread_may_submit_poll_and_cancel);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
