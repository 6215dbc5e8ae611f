/* Drafts of the real model's recorded answers, replayed token by token: how many tokens a step
 * would have given. Every answer is held back from what is known; the examples that are taught are
 * made up. */
#include "tasks/teach.h"

#include "runtime/draft.h"
#include "tests/check_main.h"
#include "tests/recordings.h"
#include "tokenizer/chat.h"

enum { MAX_ANSWERS = 64, IMAGE_ID = 151655 };

static mv_error err;
static mv_tokenizer *tok;

typedef struct recorded {
  mv_ids prompt, answer;
} recorded;

static recorded answers[MAX_ANSWERS];
static int n_answer;
static char system_text[4096];

static void encode_prompt(mv_str system, mv_str prompt, mv_ids *out) {
  mv_chat_part s = {.text = system}, u = {.text = prompt};
  mv_chat_message m[2] = {{mv_str_of("system"), &s, 1}, {mv_str_of("user"), &u, 1}};
  ck_assert_int_eq(mv_chat_encode(tok, m, 2, 1, out, &err), MV_OK);
}

static void keep_answer(const mv_json *row, const char *where) {
  (void)where;
  if (!is_recorded_size(row)) return;
  recorded *r = &answers[n_answer++];
  mv_str system = jsonl_text(row, "system_prompt");
  snprintf(system_text, sizeof system_text, "%.*s", (int)system.len, system.ptr);
  encode_prompt(system, jsonl_text(row, "prompt"), &r->prompt);
  ck_assert_int_eq(mv_tokenizer_encode(tok, jsonl_text(row, "response"), 0, &r->answer, &err),
                   MV_OK);
}

static void teach(mv_drafter *d) {
  mv_buf prompt = {0}, answer = {0};
  mv_ids p = {0}, a = {0};
  ck_assert_int_eq(mv_teach_example(MV_TASK_SIZE, &prompt, &answer, &err), MV_OK);
  encode_prompt(mv_str_of(system_text), mv_buf_view(&prompt), &p);
  ck_assert_int_eq(mv_tokenizer_encode(tok, mv_buf_view(&answer), 0, &a, &err), MV_OK);
  mv_drafter_learn(d, mv_str_of("size"), p.ids, p.len, a.ids, a.len, 1);
  mv_ids_free(&p);
  mv_ids_free(&a);
  mv_buf_free(&prompt);
  mv_buf_free(&answer);
}

/* Steps that one answer takes. */
static int replay(mv_drafter *d, const recorded *r, int max, int *n_drafted) {
  int32_t out[128];
  int n_step = 0, state = mv_drafter_start(d, mv_str_of("size"), r->prompt.ids, r->prompt.len);
  for (size_t at = 0; at < r->answer.len; n_step++) {
    mv_draft draft = {.ids = out, .max = max};
    mv_drafter_next(d, state, r->prompt.ids, r->prompt.len, r->answer.ids, at, &draft);
    int right = 0, n = draft.n;
    while (right < n && at + (size_t)right < r->answer.len &&
           out[right] == r->answer.ids[at + (size_t)right])
      right++;
    mv_drafter_told(d, state, n, right);
    *n_drafted += n;
    at += (size_t)right + 1;
  }
  mv_drafter_stop(d, state);
  return n_step;
}

typedef struct knowledge {
  const char *name;
  int taught, bank;
} knowledge;

static double tokens_a_step(knowledge k, int max, double *drafted_share) {
  size_t n_token = 0;
  int n_step = 0, n_drafted = 0;
  for (int i = 0; i < n_answer; i++) {
    mv_drafter d;
    ck_assert_int_eq(mv_drafter_init(&d, tok, IMAGE_ID, 1, max, &err), MV_OK);
    if (k.taught) teach(&d);
    for (int b = 1; b <= k.bank; b++) {
      const recorded *o = &answers[(i + b * 2) % n_answer];
      mv_drafter_learn(&d, mv_str_of("size"), o->prompt.ids, o->prompt.len, o->answer.ids,
                       o->answer.len, 0);
    }
    n_step += replay(&d, &answers[i], max, &n_drafted);
    n_token += answers[i].answer.len;
    mv_drafter_free(&d);
  }
  *drafted_share = (double)(n_step + n_drafted) / (double)n_token;
  return (double)n_token / n_step;
}

START_TEST(recorded_answers_come_many_tokens_a_step) {
  static const knowledge all[] = {
      {"own context", 0, 0}, {"examples", 1, 0}, {"bank of 4", 0, 4}, {"examples and bank", 1, 4}};
  static const int lengths[] = {16, 32, 64};
  ck_assert_int_eq(mv_tokenizer_open(&tok, TOKENIZER, &err), MV_OK);
  jsonl_each(CASES, keep_answer);
  ck_assert_int_gt(n_answer, 10);
  printf("%d recorded answers; tokens a step (rows a token) at drafts of 16, 32, 64\n", n_answer);
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
    printf("  %-18s", all[k].name);
    for (int i = 0; i < 3; i++) {
      double rows, rate = tokens_a_step(all[k], lengths[i], &rows);
      printf("  %5.2f (%.2f)", rate, rows);
      if (all[k].taught && all[k].bank && lengths[i] == 16) ck_assert(rate >= 8);
      if (all[k].taught && all[k].bank && lengths[i] == 32) ck_assert(rate >= 10);
    }
    printf("\n");
  }
  for (int i = 0; i < n_answer; i++) {
    mv_ids_free(&answers[i].prompt);
    mv_ids_free(&answers[i].answer);
  }
  mv_tokenizer_close(tok);
}
END_TEST

static Suite *suite(void) {
  skip_without_recordings();
  Suite *s = suite_create("teach");
  TCase *t = tcase_create("teach");
  tcase_set_timeout(t, 240);
  tcase_add_test(t, recorded_answers_come_many_tokens_a_step);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
