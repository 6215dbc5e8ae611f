/* Streaming text and stop texts, over the byte tokens of a committed tokenizer: every test says
 * which bytes arrive in which tokens. */
#include "runtime/stopper.h"

#include <string.h>

#include "runtime/memory.h"
#include "tests/check_main.h"

static mv_error err;
static mv_tokenizer *tok;

static void open_tokenizer(void) {
  ck_assert_msg(mv_tokenizer_open(&tok, "tests/data/reference/head128-f32", &err) == MV_OK, "%s",
                err.msg);
}

static void close_tokenizer(void) { mv_tokenizer_close(tok); }

/* The token that is this one byte. */
static int32_t byte_token(char c) {
  int32_t n = (int32_t)mv_tokenizer_vocab_size(tok);
  for (int32_t id = 0; id < n; id++) {
    mv_str bytes = mv_tokenizer_token(tok, id);
    if (bytes.len == 1 && bytes.ptr[0] == c) return id;
  }
  ck_abort_msg("no token for byte %02x", (unsigned char)c);
  return -1;
}

/* Pushes `text` byte by byte. `shown` gets what was released, with a '|' after every push. */
static mv_status stream(const char *text, const mv_str *stop, int n_stop, mv_buf *shown,
                        mv_buf *whole) {
  mv_stopper s;
  mv_str fresh;
  mv_status status = MV_OK;
  mv_stopper_init(&s, tok, stop, n_stop);
  for (const char *at = text; *at && !s.stopped && status == MV_OK; at++) {
    status = mv_stopper_push(&s, byte_token(*at), &fresh, &err);
    if (status == MV_OK) mv_buf_str(shown, fresh);
    mv_buf_char(shown, '|');
  }
  if (status == MV_OK) status = mv_stopper_finish(&s, &fresh, &err);
  if (status == MV_OK) mv_buf_str(shown, fresh);
  if (status == MV_OK) mv_buf_str(whole, mv_buf_view(&s.text));
  mv_stopper_free(&s);
  return status;
}

static void check(const char *text, const char *const *stops, int n_stop, const char *shown,
                  const char *whole) {
  mv_str stop[8];
  mv_buf got_shown = {0}, got_whole = {0};
  for (int i = 0; i < n_stop; i++) stop[i] = mv_str_of(stops[i]);
  ck_assert_int_eq(stream(text, stop, n_stop, &got_shown, &got_whole), MV_OK);
  ck_assert_str_eq(mv_buf_view(&got_shown).ptr, shown);
  ck_assert_str_eq(mv_buf_view(&got_whole).ptr, whole);
  mv_buf_free(&got_shown);
  mv_buf_free(&got_whole);
}

START_TEST(without_stop_texts_every_character_is_shown_at_once) {
  check("abc", NULL, 0, "a|b|c|", "abc");
  check("", NULL, 0, "", "");
}
END_TEST

START_TEST(half_a_character_waits_for_the_rest) {
  check("\xC3\xA9x", NULL, 0, "|\xC3\xA9|x|", "\xC3\xA9x");
  check("a\xF0\x9F\xA9\xBB", NULL, 0, "a||||\xF0\x9F\xA9\xBB|", "a\xF0\x9F\xA9\xBB");
  check("\xE2\x89", NULL, 0, "||\xEF\xBF\xBD", "\xEF\xBF\xBD"); /* cut off at the end */
}
END_TEST

START_TEST(a_stop_text_across_tokens_is_never_shown) {
  static const char *const stop[] = {"END"};
  check("xyENDz", stop, 1, "x|y||||", "xy");
  check("END", stop, 1, "|||", "");
}
END_TEST

START_TEST(a_stop_text_that_begins_and_fails_is_released) {
  static const char *const stop[] = {"END"}, *const twice[] = {"aab"};
  check("xENxEN", stop, 1, "x|||ENx|||EN", "xENxEN");
  check("aaab", twice, 1, "||a||", "a"); /* a begins it anew within a failed beginning */
}
END_TEST

START_TEST(the_first_stop_text_found_counts) {
  static const char *const overlapping[] = {"bcd", "ab"}, *const nested[] = {"abcd", "bc"};
  check("xabcd", overlapping, 2, "x|||", "x");
  check("xabcd", nested, 2, "x|||a|", "xa"); /* "bc" is complete before "abcd" is */
}
END_TEST

START_TEST(two_stop_texts_in_one_token_end_at_the_earlier) {
  static const char *const stops[] = {" of", "l"};
  mv_str stop[2] = {mv_str_of(stops[0]), mv_str_of(stops[1])}, fresh;
  mv_ids ids = {0};
  mv_stopper s;
  ck_assert_int_eq(mv_tokenizer_encode(tok, mv_str_of("the axis of lesion"), 0, &ids, &err), MV_OK);
  mv_stopper_init(&s, tok, stop, 2);
  for (size_t i = 0; i < ids.len && !s.stopped; i++)
    ck_assert_int_eq(mv_stopper_push(&s, ids.ids[i], &fresh, &err), MV_OK);
  ck_assert(s.stopped);
  ck_assert_str_eq(s.text.ptr, "the axis");
  mv_stopper_free(&s);
  mv_ids_free(&ids);
}
END_TEST

START_TEST(empty_stop_texts_are_ignored) {
  static const char *const stops[] = {"", "c"};
  check("abcd", stops, 2, "a|b||", "ab");
  check("abd", stops, 1, "a|b|d|", "abd");
}
END_TEST

START_TEST(stop_texts_may_be_parts_of_longer_ones) {
  static const char *const stops[] = {"ab", "abc"};
  check("xabc", stops, 2, "x|||", "x");
}
END_TEST

START_TEST(a_stop_text_of_characters_beyond_ascii) {
  static const char *const stops[] = {"\xC3\xA9"};
  check("a\xC3\xA8\xC3\xA9", stops, 1, "a||\xC3\xA8|||", "a\xC3\xA8");
}
END_TEST

START_TEST(a_stop_text_completed_by_the_end_is_found) {
  static const char *const stops[] = {"\xEF\xBF\xBD"}; /* what a cut character becomes */
  check("ab\xE2\x89", stops, 1, "a|b|||", "ab");
}
END_TEST

START_TEST(special_tokens_leave_no_text) {
  mv_stopper s;
  mv_str fresh;
  int32_t end = mv_tokenizer_special_id(tok, "<|im_end|>");
  ck_assert_int_ge(end, 0);
  mv_stopper_init(&s, tok, NULL, 0);
  ck_assert_int_eq(mv_stopper_push(&s, end, &fresh, &err), MV_OK);
  ck_assert_uint_eq(fresh.len, 0);
  ck_assert_int_eq(mv_stopper_push(&s, 1 << 30, &fresh, &err), MV_OK); /* a padding row */
  ck_assert_int_eq(mv_stopper_push(&s, -1, &fresh, &err), MV_OK);
  ck_assert_uint_eq(fresh.len, 0);
  ck_assert_int_eq(mv_stopper_push(&s, byte_token('a'), &fresh, &err), MV_OK);
  ck_assert_uint_eq(fresh.len, 1);
  mv_stopper_free(&s);
}
END_TEST

static int refuse_at(size_t n_bytes, void *user) {
  (void)n_bytes;
  return --*(int *)user != 0;
}

START_TEST(no_memory_is_a_status) {
  char text[300];
  memset(text, 'a', sizeof text - 1);
  text[sizeof text - 1] = 0;
  mv_buf shown = {0}, whole = {0};
  ck_assert_int_eq(stream(text, NULL, 0, &shown, &whole), MV_OK); /* room, so that only s fails */
  for (int k = 1;; k++) {
    int left = k;
    mv_buf_clear(&shown);
    mv_buf_clear(&whole);
    mv_alloc_set_hook(refuse_at, &left);
    mv_status status = stream(text, NULL, 0, &shown, &whole);
    mv_alloc_set_hook(NULL, NULL);
    if (status == MV_OK) {
      ck_assert_int_gt(k, 2);
      break;
    }
    ck_assert_int_eq(status, MV_ERR_MEMORY);
  }
  mv_buf_free(&shown);
  mv_buf_free(&whole);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("stopper");
  TCase *t = tcase_create("stopper");
  tcase_add_checked_fixture(t, open_tokenizer, close_tokenizer);
  tcase_set_timeout(t, 30);
  tcase_add_test(t, without_stop_texts_every_character_is_shown_at_once);
  tcase_add_test(t, half_a_character_waits_for_the_rest);
  tcase_add_test(t, a_stop_text_across_tokens_is_never_shown);
  tcase_add_test(t, a_stop_text_that_begins_and_fails_is_released);
  tcase_add_test(t, the_first_stop_text_found_counts);
  tcase_add_test(t, two_stop_texts_in_one_token_end_at_the_earlier);
  tcase_add_test(t, empty_stop_texts_are_ignored);
  tcase_add_test(t, stop_texts_may_be_parts_of_longer_ones);
  tcase_add_test(t, a_stop_text_of_characters_beyond_ascii);
  tcase_add_test(t, a_stop_text_completed_by_the_end_is_found);
  tcase_add_test(t, special_tokens_leave_no_text);
  tcase_add_test(t, no_memory_is_a_status);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
