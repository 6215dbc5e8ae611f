/* What becomes of an example for a new prompt: every draft for the new answer must be right. The
 * tiny checkpoint's vocabulary spells most words letter by letter. */
#include "runtime/draft.h"
#include "tests/check_main.h"

enum { MAX_DRAFT = 16, IMAGE_ID = 262 };

static mv_error err;
static mv_tokenizer *tok;
static mv_drafter drafter;

static void open_all(void) {
  ck_assert_int_eq(mv_tokenizer_open(&tok, "weights/tiny", &err), MV_OK);
  ck_assert_int_eq(mv_drafter_init(&drafter, tok, IMAGE_ID, 1, MAX_DRAFT, &err), MV_OK);
}

static void close_all(void) {
  mv_drafter_free(&drafter);
  mv_tokenizer_close(tok);
}

static mv_ids encode(const char *text) {
  mv_ids ids = {0};
  ck_assert_int_eq(mv_tokenizer_encode(tok, mv_str_of(text), 0, &ids, &err), MV_OK);
  return ids;
}

static void teach(const char *prompt, const char *answer) {
  mv_ids p = encode(prompt), a = encode(answer);
  mv_drafter_learn(&drafter, mv_str_of("size"), p.ids, p.len, a.ids, a.len, 1);
  mv_ids_free(&p);
  mv_ids_free(&a);
}

/* Answers a prompt; returns how many drafts were wrong, and how many tokens came without one. */
static int wrong_drafts(const char *prompt, const char *answer, int *n_alone) {
  mv_ids p = encode(prompt), a = encode(answer);
  int32_t out[MAX_DRAFT];
  int n_wrong = 0, state = mv_drafter_start(&drafter, mv_str_of("size"), p.ids, p.len);
  *n_alone = 0;
  for (size_t at = 0; at < a.len; at++) {
    mv_draft draft = {.ids = out, .max = MAX_DRAFT};
    mv_drafter_next(&drafter, state, p.ids, p.len, a.ids, at, &draft);
    int right = 0, n = draft.n;
    while (right < n && at + (size_t)right < a.len && out[right] == a.ids[at + (size_t)right])
      right++;
    mv_drafter_told(&drafter, state, n, right);
    n_wrong += n - right;
    *n_alone += right == 0;
    at += (size_t)right;
  }
  mv_drafter_stop(&drafter, state);
  mv_ids_free(&p);
  mv_ids_free(&a);
  return n_wrong;
}

START_TEST(replaces_names_whole_that_have_letters_in_common) {
  int n_alone;
  teach("Please measure its kidney now.", "So kidney: kidney is long, and kidney is wide.");
  int n_wrong =
      wrong_drafts("Please measure its liver lesion now.",
                   "So liver lesion: liver lesion is long, and liver lesion is wide.", &n_alone);
  ck_assert_int_eq(n_wrong, 0);
  ck_assert_int_eq(n_alone, 0);
}
END_TEST

START_TEST(keeps_words_that_stand_elsewhere_too) {
  int n_alone;
  teach("Point a in a scan.", "Here is a scan, and a long wait for a man.");
  int n_wrong =
      wrong_drafts("Point b in a scan.", "Here is a scan, and a long wait for a man.", &n_alone);
  ck_assert_int_eq(n_wrong, 0);
  ck_assert_int_eq(n_alone, 0);
}
END_TEST

START_TEST(numbers_alike_in_the_example_may_differ) {
  int n_alone;
  teach("Of 504 x 504 dots.", "Size (504, 504): k * 504 + m * 504.");
  int n_wrong = wrong_drafts("Of 392 x 616 dots.", "Size (392, 616): k * 392 + m * 616.", &n_alone);
  ck_assert_int_eq(n_wrong, 0);
  ck_assert_int_eq(n_alone, 0);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("draft_pattern");
  TCase *t = tcase_create("drafts");
  tcase_add_checked_fixture(t, open_all, close_all);
  tcase_add_test(t, replaces_names_whole_that_have_letters_in_common);
  tcase_add_test(t, keeps_words_that_stand_elsewhere_too);
  tcase_add_test(t, numbers_alike_in_the_example_may_differ);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
