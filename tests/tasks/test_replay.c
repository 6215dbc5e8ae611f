/* The real model's recorded answers through the real scheduler: a made-up model with the real
 * vocabulary computes every row, but answers what was recorded (mv_engine_force). What speculation
 * brings depends on the answers alone. Every answer is new when it comes: known are the tasks'
 * examples and the answers before it. */
#include <string.h>
#include <unistd.h>

#include "runtime/engine.h"
#include "tasks/task.h"
#include "tasks/teach.h"
#include "tests/recordings.h"
#include "tests/tasks/made_up.h"
#include "vision/image.h"

enum { MAX_ANSWERS = 64, END_ID = 151645, IMAGE_ID = 151655, N_WARM = 5 };

typedef struct recorded {
  char *prompt;
  mv_ids ids;
} recorded;

static mv_error err;
static mv_model *model;
static mv_image picture;
static recorded answers[MAX_ANSWERS];
static int n_answer;
static char system_text[4096];

static void keep_answer(const mv_json *row, const char *where) {
  (void)where;
  if (!is_recorded_size(row)) return;
  recorded *r = &answers[n_answer++];
  mv_str system = jsonl_text(row, "system_prompt"), prompt = jsonl_text(row, "prompt");
  snprintf(system_text, sizeof system_text, "%.*s", (int)system.len, system.ptr);
  r->prompt = strndup(prompt.ptr, prompt.len);
  const mv_tokenizer *tok = mv_model_tokenizer(model);
  ck_assert_int_eq(mv_tokenizer_encode(tok, jsonl_text(row, "response"), 0, &r->ids, &err), MV_OK);
  ck_assert_int_eq(mv_ids_add(&r->ids, END_ID, &err), MV_OK);
}

static void open_all(void) {
  char dir[] = "/tmp/mv-replay-XXXXXX";
  made_up shape = {TOKENIZER "/tokenizer.json", 151936, 128, 128, 1, 4, 2, END_ID, IMAGE_ID};
  ck_assert_ptr_nonnull(mkdtemp(dir));
  made_up_write(dir, &shape);
  mv_model_options options = {.dir = dir, .random = "config", .device = "cpu", .n_thread = 1};
  ck_assert_msg(mv_model_open(&model, &options, &err) == MV_OK, "%s", err.msg);
  made_up_remove(dir);
  ck_assert_int_eq(mv_image_load("tests/data/samples/phantom1.png", &picture, &err), MV_OK);
  n_answer = 0;
  jsonl_each(CASES, keep_answer);
  ck_assert_int_gt(n_answer, 2 * N_WARM);
}

static void close_all(void) {
  for (int i = 0; i < n_answer; i++) {
    free(answers[i].prompt);
    mv_ids_free(&answers[i].ids);
  }
  mv_image_free(&picture);
  mv_model_close(model);
}

static mv_engine *engine_with(mv_engine_options options) {
  mv_engine *engine;
  ck_assert_msg(mv_engine_new(&engine, model, &options, &err) == MV_OK, "%s", err.msg);
  ck_assert_int_eq(mv_teach_tasks(engine, mv_str_of(system_text), &err), MV_OK);
  return engine;
}

static mv_ticket ask(mv_engine *engine, const recorded *r) {
  mv_request q;
  mv_ticket ticket;
  mv_request_init(&q);
  q.system = mv_str_of(system_text);
  q.prompt = mv_str_of(r->prompt);
  q.images = &picture;
  q.n_image = 1;
  q.family = mv_str_of(mv_task_name(MV_TASK_SIZE));
  ck_assert_msg(mv_engine_submit(engine, &q, &ticket, &err) == MV_OK, "%s", err.msg);
  ck_assert_int_eq(mv_engine_force(engine, ticket, r->ids.ids, r->ids.len, &err), MV_OK);
  return ticket;
}

static void take(mv_engine *engine, mv_ticket ticket, const recorded *r, mv_result *out) {
  ck_assert_int_eq(mv_engine_poll(engine, &ticket, out, &err), 1);
  ck_assert_msg(out->status == MV_OK, "%s", err.msg);
  ck_assert_uint_eq(out->n_token, r->ids.len);
  ck_assert_int_eq(memcmp(out->token_ids, r->ids.ids, r->ids.len * sizeof *r->ids.ids), 0);
  ck_assert_int_eq(out->finish, MV_FINISH_STOP);
}

static void step_until_done(mv_engine *engine) {
  size_t n_left = 1;
  while (n_left) ck_assert_msg(mv_engine_step(engine, &n_left, &err) == MV_OK, "%s", err.msg);
}

typedef struct gain {
  size_t n_token, n_step, n_row; /* row: the step's own and drafts */
} gain;

/* `together` at a time; those after the first N_WARM count. */
static gain replay(mv_engine_options options, int together) {
  mv_engine *engine = engine_with(options);
  gain sum = {0};
  for (int i = 0; i < n_answer; i += together) {
    mv_ticket tickets[MAX_ANSWERS];
    int n = together < n_answer - i ? together : n_answer - i;
    for (int k = 0; k < n; k++) tickets[k] = ask(engine, &answers[i + k]);
    step_until_done(engine);
    for (int k = 0; k < n; k++) {
      mv_result r;
      take(engine, tickets[k], &answers[i + k], &r);
      if (i + k >= N_WARM) {
        sum.n_token += r.n_token;
        sum.n_step += r.n_step;
        sum.n_row += r.n_step + r.n_drafted;
      }
      mv_result_free(&r);
    }
  }
  mv_engine_free(engine);
  return sum;
}

static double print_gain(const char *what, gain g) {
  double rate = (double)g.n_token / (double)g.n_step;
  printf("  %-28s %6.2f tokens a step, %.2f rows a token\n", what, rate,
         (double)g.n_row / (double)g.n_token);
  return rate;
}

START_TEST(recorded_answers_come_many_tokens_a_step) {
  static const struct {
    const char *what;
    int together, max_draft, spare_rows;
    double least;
  } cases[] = {{"drafts of 16", 1, 16, 0, 9},
               {"drafts of 32", 1, 32, 0, 11},
               {"drafts of 64", 1, 64, 0, 12},
               {"16, and digits tried", 1, 16, 64, 10.5},
               {"32, and digits tried", 1, 32, 64, 14},
               {"64, and digits tried", 1, 64, 96, 16},
               {"drafts of 16, four at once", 4, 16, 0, 8},
               {"16, and digits, four at once", 4, 16, 96, 8},
               {"drafts of 32, sixteen at once", 16, 32, 0, 6}};
  printf("%d recorded answers, of which the last %d count\n", n_answer, n_answer - N_WARM);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    mv_engine_options options = {.max_batch = cases[i].together,
                                 .max_draft = cases[i].max_draft,
                                 .spare_rows = cases[i].spare_rows};
    double rate = print_gain(cases[i].what, replay(options, cases[i].together));
    ck_assert_msg(rate >= cases[i].least, "%s: %.2f tokens a step", cases[i].what, rate);
  }
}
END_TEST

/* ---- drafts that are always wrong ---- */

static void spoil(void *user, const mv_job *job, mv_draft *draft) {
  (void)user;
  for (int i = 0; i < draft->n; i++) {
    size_t at = job->result.n_token + (size_t)i;
    int32_t truth = at < job->n_forced ? job->forced[at] : 0;
    draft->ids[i] = truth == 1000 ? 1001 : 1000;
  }
}

START_TEST(wrong_drafts_cost_hardly_a_row) {
  static const int together[] = {1, 16};
  for (int t = 0; t < 2; t++) {
    mv_engine *engine = engine_with((mv_engine_options){.max_batch = together[t]});
    mv_ticket tickets[MAX_ANSWERS];
    mv_engine_stats s;
    engine->hooks = (mv_engine_hooks){.draft = spoil};
    for (int i = 0; i < n_answer; i++) tickets[i] = ask(engine, &answers[i]);
    step_until_done(engine);
    for (int i = 0; i < n_answer; i++) {
      mv_result r;
      take(engine, tickets[i], &answers[i], &r);
      mv_result_free(&r);
    }
    mv_engine_get_stats(engine, &s);
    double more = (double)s.n_drafted / (double)s.n_token;
    printf("  always wrong, %2d at once: %llu tokens, %llu drafted: %.1f %% more rows\n",
           together[t], (unsigned long long)s.n_token, (unsigned long long)s.n_drafted, 100 * more);
    ck_assert_uint_eq(s.n_accepted, 0);
    ck_assert_uint_gt(s.n_drafted, 0);
    ck_assert(more <= 0.05);
    mv_engine_free(engine);
  }
}
END_TEST

static Suite *suite(void) {
  skip_without_recordings();
  Suite *s = suite_create("replay");
  TCase *t = tcase_create("replay");
  tcase_set_timeout(t, 900);
  tcase_add_checked_fixture(t, open_all, close_all);
  tcase_add_test(t, recorded_answers_come_many_tokens_a_step);
  tcase_add_test(t, wrong_drafts_cost_hardly_a_row);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
