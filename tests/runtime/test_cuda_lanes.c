/* Images seen on the emulated device's side lane while other requests answer: the same answers,
 * whatever arrives, goes or is evicted meanwhile, and no wait is one too few. */
#include <cuda_runtime_api.h>
#include <math.h>

#include "kernels/cuda.h"
#include "kernels/ops_profile.h"
#include "runtime/engine.h"
#include "tests/check_main.h"
#include "tests/cudasim/sim.h"
#include "tests/runtime/cuda_checks.h"
#include "tests/runtime/reference.h"

enum { N_PICTURE = 4, N_QUESTION = 10, ANSWER = 14, PICTURE_TOKENS = 6 };

static mv_error err;
static sim_config saved;
static mv_model *model;
static mv_image pictures[N_PICTURE];
static mv_result alone[N_QUESTION];

/* ---- questions and their answers, one at a time on one lane ---- */

static int n_question(void) { return sim_settings()->check ? 3 : N_QUESTION; }

static int streams_are_late(void) { return sim_settings()->streams == SIM_STREAMS_LATE; }

static void make_pictures(void) {
  uint32_t state = 9;
  for (int i = 0; i < N_PICTURE; i++) {
    ck_assert_int_eq(mv_image_init(&pictures[i], 28 * 3, 28 * 2, 3, &err), MV_OK);
    for (int k = 0; k < 28 * 3 * 28 * 2 * 3; k++)
      pictures[i].px[k] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
  }
}

/* Every question has a picture, some the same. */
static mv_request question(int i) {
  static const char *const words[] = {"How long is it?",
                                      "What is the angle between the two lines in the picture, in "
                                      "degrees? Answer in words and numbers.",
                                      "Where?"};
  mv_request q;
  mv_request_init(&q);
  q.prompt = mv_str_of(words[i % 3]);
  q.images = &pictures[i * 3 % N_PICTURE];
  q.n_image = 1;
  q.image_order = i % 2 ? MV_IMAGE_FIRST : MV_IMAGE_LAST;
  q.ignore_eos = 1;
  q.max_new_tokens = i % 2 ? ANSWER : ANSWER / 2;
  q.n_logprob = 0;
  return q;
}

/* In fp32 the very same. In bf16 cuBLASLt's algorithms are chosen by time, and on shapes as small
 * as these not all that pass for equal are: up to a near tie. */
static void assert_same(const mv_result *got, const mv_result *want, int i) {
  double tolerance = mv_model_precision(model) == MV_PRECISION_FP32 ? 0 : 0.1;
  ck_assert_uint_eq(got->n_token, want->n_token);
  for (size_t t = 0; t < want->n_token; t++) {
    double error = fabs((double)got->logprobs[t].logprob - (double)want->logprobs[t].logprob);
    ck_assert_msg(error <= tolerance, "question %d: log-probability of token %zu is off by %g", i,
                  t, error);
    if (got->token_ids[t] == want->token_ids[t]) continue;
    ck_assert_msg(tolerance > 0, "question %d: token %zu", i, t);
    return;
  }
}

static mv_engine *engine_with(mv_engine_options options) {
  mv_engine *e;
  ck_assert_msg(mv_engine_new(&e, model, &options, &err) == MV_OK, "%s", err.msg);
  return e;
}

static void open_model(mv_precision precision) {
  mv_model_options options = {
      .dir = REFERENCE "gqa2-head32-bf16", .device = "cuda", .precision = precision, .n_thread = 1};
  ck_assert_msg(mv_model_open(&model, &options, &err) == MV_OK, "%s", err.msg);
  model->device.has_side_lane = 0;
  mv_engine *e = engine_with((mv_engine_options){.no_speculation = 1, .no_prefix_cache = 1});
  for (int i = 0; i < n_question(); i++) {
    mv_request q = question(i);
    ck_assert_msg(mv_engine_generate(e, &q, &alone[i], &err) == MV_OK, "%s", err.msg);
  }
  mv_engine_free(e);
  model->device.has_side_lane = 1;
}

static void close_model(void) {
  for (int i = 0; i < n_question(); i++) mv_result_free(&alone[i]);
  mv_model_close(model);
}

static void set_up(void) {
  make_pictures();
  open_model(MV_PRECISION_FP32);
}

static void tear_down(void) {
  close_model();
  for (int i = 0; i < N_PICTURE; i++) mv_image_free(&pictures[i]);
}

static void keep_settings(void) { saved = *sim_settings(); }

static void restore_settings(void) { *sim_settings() = saved; }

/* ---- many at once ---- */

static mv_ticket submit(mv_engine *e, int i) {
  mv_request q = question(i);
  mv_ticket ticket;
  ck_assert_msg(mv_engine_submit(e, &q, &ticket, &err) == MV_OK, "%s", err.msg);
  return ticket;
}

/* Returns whether a step left a request waiting for its picture. */
static int step(mv_engine *e) {
  size_t n_left;
  ck_assert_msg(mv_engine_step(e, &n_left, &err) == MV_OK, "%s", err.msg);
  int n_seeing = 0;
  for (int i = 0; i < e->n_running; i++) n_seeing += e->running[i]->is_seeing;
  return n_seeing > 0;
}

static void check_times(const mv_result *r) {
  const mv_timings *t = &r->timings;
  if (r->n_cached_image)
    ck_assert_double_eq(t->vision_ms, 0);
  else
    ck_assert_double_gt(t->vision_ms, 0);
  ck_assert_double_ge(t->prefill_ms, 0);
  ck_assert_double_le(t->vision_ms, t->ttft_ms);
}

static int take(mv_engine *e, mv_ticket ticket, mv_result *r) {
  return mv_engine_poll(e, &ticket, r, &err);
}

/* Question i arrives after 3 i steps. Returns the steps that went on beside a picture. */
static int ask_all(mv_engine_options options) {
  mv_engine *e = engine_with(options);
  mv_ticket tickets[N_QUESTION];
  int n = n_question(), n_beside = 0, n_done = 0;
  for (int at = 0; n_done < n; at++) {
    if (at % 3 == 0 && at / 3 < n) tickets[at / 3] = submit(e, at / 3);
    n_beside += step(e);
    for (int i = 0; i <= at / 3 && i < n; i++) {
      mv_result r;
      if (!take(e, tickets[i], &r)) continue;
      ck_assert_msg(r.status == MV_OK, "%s", err.msg);
      assert_same(&r, &alone[i], i);
      check_times(&r);
      mv_result_free(&r);
      n_done++;
    }
    ck_assert_int_lt(at, 1000);
  }
  mv_engine_free(e);
  assert_no_report();
  return n_beside;
}

START_TEST(answers_are_those_of_one_lane) {
  int n_beside = ask_all((mv_engine_options){.max_rows = 48, .max_batch = 4});
  printf("%d steps beside a picture\n", n_beside);
  if (streams_are_late()) ck_assert_int_gt(n_beside, 3);
  n_beside = ask_all((mv_engine_options){.max_rows = 20, .max_batch = 4, .no_speculation = 1});
  printf("in small chunks: %d steps beside a picture\n", n_beside);
  close_model();
  open_model(MV_PRECISION_BF16);
  ask_all((mv_engine_options){.max_rows = 48, .max_batch = 4});
  close_model();
  open_model(MV_PRECISION_FP32);
}
END_TEST

START_TEST(rows_of_evicted_pictures_are_taken_again) {
  mv_engine_options options = {
      .max_rows = 64, .max_batch = 4, .image_tokens = PICTURE_TOKENS, .no_prefix_cache = 1};
  ask_all(options);
  options.image_tokens = 2 * PICTURE_TOKENS;
  options.no_vision_cache = 1;
  ask_all(options);
}
END_TEST

/* Lets question 0 answer and question 1 wait for its picture, where streams are late. */
static mv_engine *seeing(mv_engine_options options, mv_ticket tickets[2]) {
  mv_engine *e = engine_with(options);
  tickets[0] = submit(e, 0);
  while (!e->count.n_token) step(e);
  tickets[1] = submit(e, 1);
  int beside = step(e);
  if (streams_are_late()) ck_assert_int_eq(beside, 1);
  return e;
}

START_TEST(a_request_may_be_cancelled_while_its_picture_is_seen) {
  mv_ticket tickets[3];
  mv_engine *e = seeing((mv_engine_options){.image_tokens = PICTURE_TOKENS}, tickets);
  mv_engine_cancel(e, tickets[1]);
  tickets[2] = submit(e, 2); /* whose picture takes the same rows */
  for (int i = 0; i < 3; i++) {
    mv_result r;
    while (!take(e, tickets[i], &r)) step(e);
    if (i != 1) assert_same(&r, &alone[i], i);
    if (i == 1 && streams_are_late()) {
      ck_assert_int_eq(r.finish, MV_FINISH_CANCELLED);
      ck_assert_uint_eq(r.n_token, 0);
      ck_assert_double_ge(r.timings.prefill_ms, 0);
    }
    mv_result_free(&r);
  }
  mv_engine_free(e);
  assert_no_report();
}
END_TEST

/* Here the device does one operation of the tower a step, unless it is made to wait for it. */
START_TEST(a_picture_is_not_put_off_for_long) {
  mv_engine *e = engine_with((mv_engine_options){.no_speculation = 1});
  mv_request q = question(0);
  mv_ticket tickets[2];
  q.max_new_tokens = 50;
  sim_settings()->streams = SIM_STREAMS_LATE;
  ck_assert_int_eq(mv_engine_submit(e, &q, &tickets[0], &err), MV_OK);
  while (!e->count.n_token) step(e);
  tickets[1] = submit(e, 1);
  int n_beside = 0;
  while (step(e)) n_beside++;
  ck_assert_int_gt(n_beside, 4);
  ck_assert_int_lt(n_beside, 12);
  ck_assert_int_eq(e->n_running, 2);
  mv_engine_free(e);
  assert_no_report();
}
END_TEST

static uint32_t random_below(uint32_t n) {
  static uint32_t state = 77;
  state = state * 1664525u + 1013904223u;
  return (uint32_t)((uint64_t)(state >> 8) * n >> 24);
}

/* With room for two pictures, and pages for hardly more than two requests. */
START_TEST(requests_come_and_go_at_random) {
  enum { ROUNDS = 40, MAX_OPEN = 6 };
  struct {
    mv_ticket ticket; /* 0: none */
    int which, cancelled;
  } open[MAX_OPEN] = {{0}};
  mv_engine *e = engine_with((mv_engine_options){
      .kv_tokens = 256, .image_tokens = 2 * PICTURE_TOKENS, .max_batch = 4, .max_rows = 30});
  int n_cancelled = 0, n_new = 0, n_open = 0;
  while (n_new < ROUNDS || n_open) {
    int i = (int)random_below(MAX_OPEN);
    if (!open[i].ticket && n_new < ROUNDS) {
      open[i].which = (int)random_below((uint32_t)n_question());
      open[i].ticket = submit(e, open[i].which);
      open[i].cancelled = 0;
      n_new++;
      n_open++;
    } else if (open[i].ticket && random_below(8) == 0) {
      mv_engine_cancel(e, open[i].ticket);
      open[i].cancelled = 1;
    }
    if (random_below(2)) continue;
    step(e);
    for (int k = 0; k < MAX_OPEN; k++) {
      mv_result r;
      if (!open[k].ticket || !take(e, open[k].ticket, &r)) continue;
      const mv_result *want = &alone[open[k].which];
      ck_assert_msg(r.status == MV_OK, "%s", err.msg);
      ck_assert(r.finish == MV_FINISH_CANCELLED ? open[k].cancelled : r.n_token == want->n_token);
      ck_assert_uint_le(r.n_token, want->n_token);
      ck_assert_int_eq(memcmp(r.token_ids, want->token_ids, r.n_token * sizeof *r.token_ids), 0);
      n_cancelled += r.finish == MV_FINISH_CANCELLED;
      mv_result_free(&r);
      open[k].ticket = 0;
      n_open--;
    }
  }
  printf("%d of %d were cancelled\n", n_cancelled, ROUNDS);
  ck_assert_int_gt(n_cancelled, ROUNDS / 8);
  ck_assert_int_lt(n_cancelled, ROUNDS * 7 / 8);
  mv_engine_free(e);
  assert_no_report();
}
END_TEST

START_TEST(an_engine_may_be_freed_while_a_picture_is_seen) {
  size_t after[2];
  mv_ticket tickets[2];
  for (int i = 0; i < 2; i++) {
    mv_engine *e = seeing((mv_engine_options){.max_rows = 64}, tickets);
    mv_engine_free(e);
    after[i] = free_memory(); /* the device's own memory may have grown in the first round */
  }
  ck_assert_uint_eq(after[0], after[1]);
  ask_all((mv_engine_options){.max_batch = 2});
}
END_TEST

START_TEST(a_profile_sees_pictures_between_steps) {
  mv_profile *profile;
  ck_assert_int_eq(mv_profile_open(&profile, &model->device, &model->ops, &err), MV_OK);
  ck_assert_int_eq(ask_all((mv_engine_options){.max_batch = 3}), 0);
  model->ops = mv_profile_inner(profile);
  mv_profile_close(profile);
}
END_TEST

/* ---- waits left out ---- */

static mv_ops planted;

static void never_wait(mv_device *device, int which) {
  (void)device;
  (void)which;
}

static void change_lane(mv_device *device, mv_lane which) {
  mv_cuda *cuda = mv_cuda_of(device);
  cuda->lane = which;
  cuda->stream = cuda->streams[which];
}

/* Whether question i is answered otherwise, or not at all. */
static int is_wrong(mv_engine *e, int i) {
  mv_request q = question(i);
  mv_result r;
  if (mv_engine_generate(e, &q, &r, &err) != MV_OK) return 1;
  int wrong = memcmp(r.token_ids, alone[i].token_ids, r.n_token * sizeof *r.token_ids) != 0 ||
              memcmp(r.logprobs, alone[i].logprobs, r.n_token * sizeof *r.logprobs) != 0;
  mv_result_free(&r);
  return wrong;
}

/* A question is given up when its first page is computed, but perhaps not yet on the device.
 * Another picture then takes the rows that the page's last chunk reads, and the same question again
 * the page. */
static int is_overtaken(void) {
  enum { ASKED = 4, OTHER = 2, CHUNK = 16 };
  mv_engine *e =
      engine_with((mv_engine_options){.max_rows = CHUNK, .image_tokens = PICTURE_TOKENS});
  ck_assert(alone[ASKED].n_prompt > 64 && alone[ASKED].n_prompt < 72); /* the picture before 64 */
  mv_ticket ticket = submit(e, ASKED);
  for (int i = 0; i < 64 / CHUNK; i++) step(e);
  mv_engine_cancel(e, ticket);
  step(e);
  int wrong = is_wrong(e, OTHER);
  wrong |= is_wrong(e, ASKED);
  mv_engine_free(e);
  return wrong;
}

static int n_wrong(int (*run)(void)) {
  int n = 0;
  sim_settings()->streams = SIM_STREAMS_RANDOM;
  for (unsigned seed = 1; seed <= 8; seed++) {
    sim_settings()->seed = seed;
    n += run();
  }
  return n;
}

static int is_early(void) {
  mv_engine *e = engine_with((mv_engine_options){.max_rows = 64});
  int wrong = is_wrong(e, 0);
  mv_engine_free(e);
  return wrong;
}

START_TEST(a_wait_left_out_is_found) {
  const mv_ops *right = model->ops;
  if (sim_settings()->order != SIM_RANDOM) return; /* once is enough: streams are random here */
  ck_assert_int_eq(n_wrong(is_early), 0);
  ck_assert_int_eq(n_wrong(is_overtaken), 0);
  planted = *right;
  planted.wait = never_wait;
  model->ops = &planted;
  int n_early = n_wrong(is_early);
  planted = *right;
  planted.lane = change_lane;
  int n_overtaken = n_wrong(is_overtaken);
  model->ops = right;
  printf("of 8 runs without a wait, %d read too early, %d were overtaken\n", n_early, n_overtaken);
  ck_assert_int_gt(n_early, 0);
  ck_assert_int_gt(n_overtaken, 0);
  assert_no_report();
}
END_TEST

/* ---- no memory ---- */

START_TEST(lanes_that_find_no_memory_are_an_error) {
  static const size_t rooms[] = {30, 70, 100, 150, 200}; /* MiB; workspaces take 64 a lane */
  static const mv_engine_options small = {.max_batch = 1, .kv_tokens = 256}; /* its plan is held */
  size_t before = free_memory(), total = sim_settings()->memory_bytes, used = total - before;
  for (int i = 0; i < 5; i++) {
    mv_model_options options = {.dir = REFERENCE "gqa2-head32-bf16", .device = "cuda"};
    mv_model *other;
    mv_engine *e = NULL;
    sim_settings()->memory_bytes = used + (rooms[i] << 20);
    mv_status status = mv_model_open(&other, &options, &err);
    if (status == MV_OK) {
      other->device.spare_bytes = 0;
      status = mv_engine_new(&e, other, &small, &err);
      mv_engine_free(e);
      mv_model_close(other);
    }
    ck_assert_int_eq(status, i < 3 ? MV_ERR_MEMORY : MV_OK);
    sim_settings()->memory_bytes = total;
    ck_assert_uint_eq(free_memory(), before);
  }
  assert_no_report();
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("cuda lanes");
  TCase *t = tcase_create("lanes");
  tcase_add_unchecked_fixture(t, set_up, tear_down);
  tcase_add_checked_fixture(t, keep_settings, restore_settings);
  tcase_add_test(t, answers_are_those_of_one_lane);
  tcase_add_test(t, rows_of_evicted_pictures_are_taken_again);
  tcase_add_test(t, a_request_may_be_cancelled_while_its_picture_is_seen);
  tcase_add_test(t, a_picture_is_not_put_off_for_long);
  tcase_add_test(t, requests_come_and_go_at_random);
  tcase_add_test(t, an_engine_may_be_freed_while_a_picture_is_seen);
  tcase_add_test(t, a_profile_sees_pictures_between_steps);
  tcase_add_test(t, a_wait_left_out_is_found);
  tcase_add_test(t, lanes_that_find_no_memory_are_an_error);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
