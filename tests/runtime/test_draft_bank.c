/* What was learned of answers, to a file and back. */
#include <unistd.h>

#include "runtime/engine.h"
#include "runtime/memory.h"
#include "runtime/file.h"
#include "tests/check_main.h"
#include "tests/runtime/reference.h"

enum { N = 40 };

static mv_error err;
static mv_model *model;
static char path[] = "/tmp/mv-drafts-XXXXXX";
static int32_t answer[N + 1];

static void open_all(void) {
  model = open_reference(1, MV_PRECISION_FP32);
  for (int i = 0; i < N; i++) answer[i] = 40 + i * 7 % 60; /* nothing that its context tells */
  int eos[MV_MAX_EOS];
  ck_assert_int_gt(mv_checkpoint_eos(model->checkpoint, eos), 0);
  answer[N] = eos[0];
  strcpy(path + strlen(path) - 6, "XXXXXX");
  close(mkstemp(path));
}

static void close_all(void) {
  mv_model_close(model);
  remove(path);
}

/* Returns how many of the answer's tokens were drafted and right. */
static size_t ask(mv_engine *engine) {
  mv_request q;
  mv_ticket ticket;
  mv_result r;
  size_t n_left = 1;
  mv_request_init(&q);
  q.prompt = mv_str_of("How large is it?");
  q.family = mv_str_of("size");
  ck_assert_int_eq(mv_engine_submit(engine, &q, &ticket, &err), MV_OK);
  ck_assert_int_eq(mv_engine_force(engine, ticket, answer, N + 1, &err), MV_OK);
  while (n_left) ck_assert_int_eq(mv_engine_step(engine, &n_left, &err), MV_OK);
  ck_assert_int_eq(mv_engine_poll(engine, &ticket, &r, &err), 1);
  ck_assert_uint_eq(r.n_token, N + 1);
  size_t n = r.n_accepted;
  mv_result_free(&r);
  return n;
}

static void write_text(const char *text) {
  ck_assert_int_eq(mv_file_write(path, text, strlen(text), &err), MV_OK);
}

START_TEST(what_was_learned_is_known_to_the_next_engine) {
  mv_engine *first = new_engine(model), *second = new_engine(model);
  mv_buf once = {0}, twice = {0};
  ck_assert_uint_lt(ask(first), N / 4);
  ck_assert_int_eq(mv_engine_save_drafts(first, path, &err), MV_OK);
  ck_assert_msg(mv_engine_load_drafts(second, path, &err) == MV_OK, "%s", err.msg);
  ck_assert_int_eq(mv_file_read(path, 1 << 20, &once, &err), MV_OK);
  ck_assert_int_eq(mv_engine_save_drafts(second, path, &err), MV_OK);
  ck_assert_int_eq(mv_file_read(path, 1 << 20, &twice, &err), MV_OK);
  ck_assert_str_eq(once.ptr, twice.ptr);
  ck_assert_uint_gt(ask(second), N * 3 / 4);
  mv_buf_free(&once);
  mv_buf_free(&twice);
  mv_engine_free(first);
  mv_engine_free(second);
}
END_TEST

START_TEST(examples_that_were_taught_are_not_saved) {
  mv_engine *engine = new_engine(model);
  mv_buf text = {0};
  mv_request q;
  mv_request_init(&q);
  q.prompt = mv_str_of("How large is it?");
  q.family = mv_str_of("size");
  ck_assert_int_eq(mv_engine_teach(engine, &q, mv_str_of("so and so large"), &err), MV_OK);
  ck_assert_int_eq(mv_engine_save_drafts(engine, path, &err), MV_OK);
  ck_assert_int_eq(mv_file_read(path, 1 << 20, &text, &err), MV_OK);
  ck_assert_ptr_null(strstr(text.ptr, "size"));
  mv_buf_free(&text);
  mv_engine_free(engine);
}
END_TEST

#define HEAD "{\"format\": \"medvision drafts\", \"version\": 1, \"vocabulary\": 536}\n"
#define GOOD "{\"family\": \"size\", \"worth\": 1, \"prompt\": [1], \"answer\": [2]}\n"

START_TEST(damaged_files_are_refused_whole) {
  static const struct {
    const char *text, *why;
  } cases[] = {
      {"", "line 1"},
      {"[]", "line 1: not a file of drafts"},
      {"{\"format\": \"medvision drafts\"}", "line 1: drafts of another version"},
      {"{\"format\": \"medvision drafts\", \"version\": 1, \"vocabulary\": 5}\n",
       "line 1: drafts of a model with another vocabulary"},
      {HEAD GOOD "\n", "line 3"},
      {HEAD GOOD "{\"family\": \"size\", \"wo", "line 3"},
      {HEAD GOOD "{\"family\": \"\", \"worth\": 1, \"prompt\": [], \"answer\": [2]}\n",
       "line 3: a pattern's family"},
      {HEAD GOOD "{\"family\": \"a\", \"worth\": -1, \"prompt\": [], \"answer\": [2]}\n",
       "line 3: a pattern's worth"},
      {HEAD GOOD "{\"family\": \"a\", \"worth\": 1, \"prompt\": [-1], \"answer\": [2]}\n",
       "line 3: a pattern's prompt"},
      {HEAD GOOD "{\"family\": \"a\", \"worth\": 1, \"prompt\": [], \"answer\": []}\n",
       "line 3: a pattern's prompt"},
      {HEAD GOOD "{\"family\": \"a\", \"worth\": 1, \"prompt\": [536], \"answer\": [1]}\n",
       "line 3: a pattern's prompt"},
  };
  mv_engine *engine = new_engine(model);
  ck_assert_int_eq(model->head.n_out, 536); /* as in HEAD */
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_text(cases[i].text);
    ck_assert_int_eq(mv_engine_load_drafts(engine, path, &err), MV_ERR_FORMAT);
    ck_assert_msg(strstr(err.msg, cases[i].why) && strstr(err.msg, path), "%s", err.msg);
    ck_assert_int_eq(engine->drafter.n_family, 0);
  }
  write_text(HEAD GOOD);
  ck_assert_msg(mv_engine_load_drafts(engine, path, &err) == MV_OK, "%s", err.msg);
  ck_assert_int_eq(engine->drafter.n_family, 1);
  ck_assert_int_eq(mv_engine_load_drafts(engine, "/nowhere/drafts", &err), MV_ERR_IO);
  ck_assert_int_eq(mv_engine_save_drafts(engine, "/nowhere/drafts", &err), MV_ERR_IO);
  mv_engine_free(engine);
}
END_TEST

/* ---- memory ---- */

static int fail_at(size_t n_bytes, void *user) {
  (void)n_bytes;
  return --*(long *)user != 0;
}

START_TEST(memory_may_end_anywhere) {
  int done = 0;
  write_text(HEAD GOOD GOOD);
  for (long at = 1; !done; at++) {
    mv_engine *engine = new_engine(model);
    long k = at;
    mv_alloc_set_hook(fail_at, &k);
    mv_status loaded = mv_engine_load_drafts(engine, path, &err);
    mv_status saved = k > 0 ? mv_engine_save_drafts(engine, path, &err) : MV_OK;
    mv_alloc_set_hook(NULL, NULL);
    ck_assert(loaded == MV_OK || loaded == MV_ERR_MEMORY);
    ck_assert(saved == MV_OK || saved == MV_ERR_MEMORY);
    done = k > 0;
    ck_assert_int_eq(ask(engine) <= N, 1); /* it goes on */
    mv_engine_free(engine);
    write_text(HEAD GOOD GOOD);
  }
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("draft bank");
  TCase *t = tcase_create("draft bank");
  tcase_set_timeout(t, 120);
  tcase_add_checked_fixture(t, open_all, close_all);
  tcase_add_test(t, what_was_learned_is_known_to_the_next_engine);
  tcase_add_test(t, examples_that_were_taught_are_not_saved);
  tcase_add_test(t, damaged_files_are_refused_whole);
  tcase_add_test(t, memory_may_end_anywhere);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
