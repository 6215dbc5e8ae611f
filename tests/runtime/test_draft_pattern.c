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

/* ---- computed numbers ---- */

/* What is drafted after the beginning of an answer, as text; '#' is a digit that nobody guesses. */
static const char *drafted(const char *begun) {
  static char text[64];
  mv_ids p = encode("How long?"), a = encode(begun);
  int32_t out[MAX_DRAFT];
  mv_draft draft = {.ids = out, .max = MAX_DRAFT};
  mv_buf buf = {0};
  int state = mv_drafter_start(&drafter, mv_str_of("size"), p.ids, p.len);
  drafter.is_tried[0] = 1; /* else there are only a few */
  mv_drafter_next(&drafter, state, p.ids, p.len, a.ids, a.len, &draft);
  mv_drafter_stop(&drafter, state);
  mv_status status = mv_tokenizer_decode(tok, out, (size_t)draft.n, 0, &buf, &err);
  ck_assert_int_eq(status, MV_OK);
  snprintf(text, sizeof text, "%.*s%s", (int)buf.len, buf.len ? buf.ptr : "",
           draft.digit_next ? "#" : "");
  mv_buf_free(&buf);
  mv_ids_free(&p);
  mv_ids_free(&a);
  return text;
}

#define SIDES "((0.359 - 0.137) * 504 * 0.926)^2 + ((0.461 - 0.248) * 504 * 0.913)^2 = "
#define OTHERS "((0.633 - 0.839) * 504 * 0.433)^2 + ((0.407 - 0.374) * 504 * 0.361)^2 = "
#define VECTOR "((0.359 - 0.137) * 504 * 0.926, (0.461 - 0.248) * 504 * 0.913) = ("
#define ANOTHER "((0.838 - 0.633) * 504 * 0.433, (0.408 - 0.374) * 504 * 0.361) = ("
#define ANGLE "|10.3*-5.17 + 9.8*8.02| / (sqrt(10.3^2 + 9.8^2) * sqrt(-5.17^2 + 8.02^2)) = "
#define OPENING "|44.9*20.1 + 6.0*-70.5| / (sqrt(44.9^2 + 6.0^2) * sqrt(20.1^2 + -70.5^2)) = "

START_TEST(computes_what_the_example_computed) {
  teach("How long?", "So " SIDES "142.622 mm.");
  ck_assert_str_eq(drafted("So " OTHERS), "45.#");
  ck_assert_str_eq(drafted("So " OTHERS "45"), ".#");
  ck_assert_str_eq(drafted("So " OTHERS "45.3"), "#");
  ck_assert_str_eq(drafted("So " OTHERS "45.355"), " mm.");
}
END_TEST

START_TEST(leaves_a_computed_number_for_the_answers) {
  teach("How long?", "So " SIDES "142.622 mm.");
  ck_assert_str_eq(drafted("So " OTHERS "4"), "5.#");
  ck_assert_str_eq(drafted("So " OTHERS "6"), "#");
  ck_assert_str_eq(drafted("So " OTHERS "61"), ".#");
  ck_assert_str_eq(drafted("So " OTHERS "44.3"), "#");
  ck_assert_str_eq(drafted("So " OTHERS "44.355"), " mm.");
}
END_TEST

START_TEST(computes_vectors_and_angles) {
  teach("How long?", "So " VECTOR "103.608, 98.012); " ANGLE "1.383 = 79.232 degrees.");
  ck_assert_str_eq(drafted("So " ANOTHER), "44.#");
  ck_assert_str_eq(drafted("So " ANOTHER "44.737, "), "6.1#");
  ck_assert_str_eq(drafted("So " ANOTHER "44.737, 6.186); " OPENING), "1.42#");
  ck_assert_str_eq(drafted("So " ANOTHER "44.737, 6.186); " OPENING "1.426 = "), "81.#");
}
END_TEST

START_TEST(computes_nothing_that_the_example_has_otherwise) {
  teach("How long?", "So " SIDES "133.622 mm.");
  ck_assert_str_eq(drafted("So " OTHERS), "#");
}
END_TEST

START_TEST(copies_numbers_that_stand_elsewhere) {
  teach("How long?", "It is 142.622: " SIDES "142.622 mm.");
  ck_assert_str_eq(drafted("It is 45.301: " OTHERS), "45.301 mm.");
}
END_TEST

START_TEST(computes_nothing_without_bounds) {
#define MANY "99999999999999999999999999999999999999999999999999"
#define LARGE MANY MANY MANY
  teach("How long?", "So " SIDES "142.622 mm, so " ANGLE "1.383 radians.");
  ck_assert_str_eq(
      drafted("So ((" LARGE " - 0.839) * 504 * 0.4)^2 + ((0.4 - 0.3) * 504 * 0.3)^2 = "), "#");
  ck_assert_str_eq(
      drafted("So " OTHERS "45.355 mm, so |5.0*5.0 + 0.0*0.0| / (sqrt(1.0^2 + 1.0^2) * "
              "sqrt(1.0^2 + 1.0^2)) = "),
      "#");
  ck_assert_str_eq(
      drafted("So " OTHERS "45.355 mm, so |0.0*0.0 + 0.0*0.0| / (sqrt(0.0^2 + 0.0^2) * "
              "sqrt(0.0^2 + 0.0^2)) = "),
      "#");
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("draft_pattern");
  TCase *t = tcase_create("drafts");
  tcase_add_checked_fixture(t, open_all, close_all);
  tcase_add_test(t, replaces_names_whole_that_have_letters_in_common);
  tcase_add_test(t, keeps_words_that_stand_elsewhere_too);
  tcase_add_test(t, numbers_alike_in_the_example_may_differ);
  tcase_add_test(t, computes_what_the_example_computed);
  tcase_add_test(t, leaves_a_computed_number_for_the_answers);
  tcase_add_test(t, computes_vectors_and_angles);
  tcase_add_test(t, computes_nothing_that_the_example_has_otherwise);
  tcase_add_test(t, copies_numbers_that_stand_elsewhere);
  tcase_add_test(t, computes_nothing_without_bounds);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
