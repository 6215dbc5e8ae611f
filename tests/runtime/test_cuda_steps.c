/* The engine's steps on the emulated CUDA device, or on a card: filled up to sizes that come again,
 * so that they are replayed whatever is drafted, and nobody's answer differs by it. */
#include <cuda_runtime_api.h>

#include "runtime/engine.h"
#include "tests/check_main.h"
#include "tests/cudasim/sim.h"
#include "tests/runtime/cuda_checks.h"
#include "tests/runtime/reference.h"
#include "tests/tolerances.h"

enum { N_ASK = 5, WHICH = 1 };

static mv_error err;

static mv_model *open_on(const char *device, mv_precision precision) {
  char dir[128];
  mv_model *model;
  snprintf(dir, sizeof dir, REFERENCE "%s", checkpoints[WHICH]);
  mv_model_options options = {.dir = dir, .device = device, .precision = precision, .n_thread = 1};
  ck_assert_msg(mv_model_open(&model, &options, &err) == MV_OK, "%s", err.msg);
  return model;
}

/* ---- what is drafted ---- */

/* The right answers, by ticket, and what is made of them. */
typedef struct guesses {
  mv_engine *engine;
  const mv_result *right;
  unsigned n_asked;
} guesses;

/* Another number of drafts each time, now and then none, often with a wrong one among them; now and
 * then a "digit" after them, among ten of which the right one is. */
static void guess(void *user, const mv_job *job, mv_draft *draft) {
  guesses *g = user;
  const mv_result *right = &g->right[(job->ticket - 1) % N_ASK];
  unsigned draw = ++g->n_asked * 2654435761u >> 8;
  size_t at = job->result.n_token, end = at + draw % (unsigned)(draft->max + 1);
  for (draft->n = 0; at < end && at < right->n_token; draft->n++, at++)
    draft->ids[draft->n] =
        right->token_ids[at] ^ (int32_t)(draw >> 8 & 15 && (draw >> 8 & 15) == (unsigned)draft->n);
  if (at == right->n_token) return;
  draft->digit_next = draw >> 12 & 1;
  g->engine->drafter.digits[job->ticket % 10] = right->token_ids[at];
}

/* ---- answers ---- */

/* One after another; with right answers, three at once with drafts that are right or nearly so. */
static mv_engine *engine_for(mv_model *model, guesses *g) {
  mv_engine *engine;
  mv_engine_options options = {.max_batch = g ? 3 : 1,
                               .max_rows = 16,
                               .max_draft = 12,
                               .no_speculation = !g,
                               .spare_rows = 40};
  ck_assert_msg(mv_engine_new(&engine, model, &options, &err) == MV_OK, "%s", err.msg);
  if (!g) return engine;
  engine->hooks = (mv_engine_hooks){.draft = guess, .user = g};
  g->engine = engine;
  return engine;
}

static void answer(mv_engine *engine, mv_result *results) {
  static const char *const words[N_ASK] = {
      "Measure it.", "How long is the major axis of the liver in millimetres?", "Where?",
      "What is the angle between the two lines that the landmarks of the image make, and why?",
      "Detect the tumour and give the corners of its box."};
  mv_ticket tickets[N_ASK];
  size_t n_left;
  for (int i = 0; i < N_ASK; i++) {
    mv_request q;
    mv_request_init(&q);
    q.prompt = mv_str_of(words[i]);
    q.max_new_tokens = (sim_settings()->check ? 16 : 48) + i;
    q.n_logprob = 2;
    ck_assert_msg(mv_engine_submit(engine, &q, &tickets[i], &err) == MV_OK, "%s", err.msg);
  }
  do {
    ck_assert_msg(mv_engine_step(engine, &n_left, &err) == MV_OK, "%s", err.msg);
  } while (n_left);
  for (int i = 0; i < N_ASK; i++)
    ck_assert_int_eq(mv_engine_poll(engine, &tickets[i], &results[i], &err), 1);
  assert_no_report();
}

static void answer_plainly(mv_model *model, mv_result *results) {
  mv_engine *engine = engine_for(model, NULL);
  int records = model->device.records_steps;
  model->device.records_steps = 0; /* nothing is filled up */
  answer(engine, results);
  model->device.records_steps = records;
  mv_engine_free(engine);
}

static void free_results(mv_result *results) {
  for (int i = 0; i < N_ASK; i++) mv_result_free(&results[i]);
}

static void assert_same(const mv_result *got, const mv_result *want, int which) {
  ck_assert_uint_eq(got->n_token, want->n_token);
  ck_assert_int_eq(memcmp(got->token_ids, want->token_ids, got->n_token * sizeof(int32_t)), 0);
  for (size_t t = 0; t < got->n_token; t++)
    ck_assert_msg(got->logprobs[t].logprob == want->logprobs[t].logprob &&
                      got->top[2 * t + 1].logprob == want->top[2 * t + 1].logprob,
                  "request %d, token %zu: other bits", which, t);
}

/* As long as there are new sizes steps are launched, then recorded; from then on replayed. */
START_TEST(steps_are_replayed_whatever_is_drafted_and_change_no_bit) {
  mv_result plain[N_ASK], drafted[N_ASK];
  mv_model *model = open_on("cuda", MV_PRECISION_BF16);
  answer_plainly(model, plain);
  guesses g = {.right = plain};
  mv_engine *engine = engine_for(model, &g);
  mv_step_counts *n = &model->device.steps;
  mv_engine_stats was, now;
  int n_round = sim_settings()->check ? 8 : 6;
  *n = (mv_step_counts){0, 0, 0};
  for (int round = 0; round < n_round; round++) {
    mv_engine_get_stats(engine, &was);
    answer(engine, drafted);
    mv_engine_get_stats(engine, &now);
    for (int i = 0; i < N_ASK; i++) assert_same(&drafted[i], &plain[i], i);
    free_results(drafted);
  }
  ck_assert_uint_lt(now.n_accepted, now.n_drafted);
  ck_assert_uint_eq(now.n_replayed, n->n_replayed);
  ck_assert_uint_eq(now.n_recorded, n->n_recorded);
  printf("of %d steps of tokens %d launched, %d recorded, %d replayed; of the last %d steps %d\n",
         (int)(n->n_launched + n->n_recorded + n->n_replayed), (int)n->n_launched,
         (int)n->n_recorded, (int)n->n_replayed, (int)(now.n_step - was.n_step),
         (int)(now.n_replayed - was.n_replayed));
  ck_assert_uint_le(n->n_launched, 20); /* sizes, with and without digits tried */
  /* under the checker, which is slow, there are hardly more steps than kinds of them */
  ck_assert_uint_gt(n->n_replayed, sim_settings()->check ? 8 : n->n_launched + n->n_recorded);
  mv_engine_free(engine);
  free_results(plain);
  mv_model_close(model);
}
END_TEST

START_TEST(answers_with_drafts_are_the_cpus) {
  mv_result cpu[N_ASK], cuda[N_ASK];
  mv_model *model = open_on("cpu", MV_PRECISION_FP32);
  answer_plainly(model, cpu);
  mv_model_close(model);
  model = open_on("cuda", MV_PRECISION_FP32);
  guesses g = {.right = cpu};
  mv_engine *engine = engine_for(model, &g);
  answer(engine, cuda);
  mv_engine_free(engine);
  for (int i = 0; i < N_ASK; i++)
    for (size_t t = 0; t < cpu[i].n_token; t++) {
      const mv_logprob *top = cpu[i].top + 2 * t;
      if (top[0].logprob - top[1].logprob < 2 * (float)MV_TOL_LOGPROB) break; /* either may be */
      ck_assert_uint_gt(cuda[i].n_token, t);
      ck_assert_int_eq(cuda[i].token_ids[t], cpu[i].token_ids[t]);
    }
  free_results(cpu);
  free_results(cuda);
  mv_model_close(model);
}
END_TEST

/* ---- room ---- */

START_TEST(sizes_hold_what_they_are_for) {
  for (int n = 1; n < 2000; n++) {
    int size = mv_step_size(n);
    ck_assert_int_ge(size, n);
    ck_assert_int_ge(size, mv_step_size(n - 1));
    ck_assert_int_eq(mv_step_size(size), size);
    mv_engine_options with = {.max_batch = n}, without = {.max_batch = n, .no_speculation = 1};
    int most = mv_engine_options_resolve(&with);
    ck_assert_int_ge(most, with.max_batch + with.max_draft);
    ck_assert_int_eq(mv_step_size(most), most);
    ck_assert_int_eq(mv_engine_options_resolve(&without), size);
  }
}
END_TEST

/* What fills steps up is in the plan. */
START_TEST(an_engine_takes_what_its_plan_says) {
  static const mv_engine_options options[] = {
      {.max_batch = 3, .kv_tokens = 4096},
      {.max_batch = 100, .kv_tokens = 4096},
      {.max_batch = 9, .kv_tokens = 640, .no_speculation = 1}};
  mv_model *model = open_on("cuda", MV_PRECISION_BF16);
  for (int i = 0; i < 3; i++)
    for (int again = 0; again < 2; again++) { /* the first one leaves the device its workspace */
      mv_engine *engine;
      mv_memory_plan plan;
      size_t before = free_memory();
      ck_assert_int_eq(
          mv_memory_plan_init(&plan, model->checkpoint, model->precision, &options[i], 0, &err),
          MV_OK);
      ck_assert_msg(mv_engine_new(&engine, model, &options[i], &err) == MV_OK, "%s", err.msg);
      size_t taken = before - free_memory();
      size_t planned =
          plan.kv_bytes + plan.logits_bytes + (size_t)plan.max_verify * sizeof(mv_pick) +
          mv_activations_bytes(model, &model->decoder, plan.max_rows + plan.max_verify);
      if (again) ck_assert_uint_eq(taken, planned);
      mv_engine_free(engine);
    }
  mv_model_close(model);
  assert_no_report();
}
END_TEST

/* Where the plan is held, nothing fails for want of memory; where it is not, it is refused. */
START_TEST(attentions_own_memory_is_in_the_plan) {
  mv_model *model = open_on("cuda", MV_PRECISION_BF16);
  mv_engine_options options = {.max_batch = 3, .kv_tokens = 4096};
  mv_memory_plan plan;
  mv_engine *engine;
  ck_assert_int_eq(
      mv_memory_plan_init(&plan, model->checkpoint, model->precision, &options, 0, &err), MV_OK);
  ck_assert_uint_gt(plan.scratch_bytes, 0);
  ck_assert_int_eq(mv_engine_new(&engine, model, &options, &err), MV_OK);
  mv_engine_free(engine); /* what products work with is there now */
  size_t *memory = &sim_settings()->memory_bytes, saved = *memory;
  size_t need = plan.kv_bytes + plan.logits_bytes + plan.image_bytes + plan.scratch_bytes +
                mv_activations_bytes(model, &model->decoder, plan.max_rows + plan.max_verify) +
                model->device.spare_bytes;
  *memory = saved - free_memory() + need;
  --*memory;
  ck_assert_int_eq(mv_engine_new(&engine, model, &options, &err), MV_ERR_MEMORY);
  ++*memory;
  ck_assert_msg(mv_engine_new(&engine, model, &options, &err) == MV_OK, "%s", err.msg);
  mv_result results[N_ASK];
  answer(engine, results);
  free_results(results);
  mv_engine_free(engine);
  *memory = saved;
  mv_model_close(model);
}
END_TEST

static int on_card(void) { return sim_settings()->sms == 0; }

static void skip_without_card(void) {
  mv_device device;
  mv_status status = mv_device_open_cuda(&device, 0, &err);
  if (status == MV_ERR_UNSUPPORTED) {
    printf("skip: %s\n", err.msg);
    exit(77);
  }
  mv_device_close_cuda(&device);
}

static Suite *suite(void) {
  if (on_card()) skip_without_card();
  Suite *s = suite_create("cuda steps");
  TCase *t = tcase_create("steps");
  tcase_add_test(t, steps_are_replayed_whatever_is_drafted_and_change_no_bit);
  tcase_add_test(t, answers_with_drafts_are_the_cpus);
  tcase_add_test(t, sizes_hold_what_they_are_for);
  if (!on_card()) { /* which gives more than is asked for */
    tcase_add_test(t, an_engine_takes_what_its_plan_says);
    tcase_add_test(t, attentions_own_memory_is_in_the_plan);
  }
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
