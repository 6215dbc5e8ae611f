#include "runtime/text.h"

#include <string.h>

#include "runtime/memory.h"
#include "tests/check_main.h"

static int refuse(size_t n_bytes, void *user) {
  (void)n_bytes;
  (void)user;
  return 0;
}

START_TEST(texts_compare_by_bytes) {
  ck_assert(mv_str_eq(mv_str_of("abc"), mv_str_of("abc")));
  ck_assert(!mv_str_eq(mv_str_of("abc"), mv_str_of("abd")));
  ck_assert(!mv_str_eq(mv_str_of("abc"), mv_str_of("ab")));
  ck_assert(mv_str_eq(mv_str_of(NULL), mv_str_of("")));
  ck_assert(mv_str_eq((mv_str){NULL, 0}, mv_str_of("")));
  ck_assert(mv_str_is((mv_str){"abcd", 2}, "ab"));
  ck_assert(!mv_str_eq((mv_str){"a\0b", 3}, (mv_str){"a\0c", 3}));
}
END_TEST

START_TEST(strip_takes_ascii_white_space_off_both_ends) {
  ck_assert(mv_str_is(mv_str_strip(mv_str_of(" \t\n\v\f\r a b \n")), "a b"));
  ck_assert(mv_str_is(mv_str_strip(mv_str_of(" \n ")), ""));
  ck_assert(mv_str_is(mv_str_strip(mv_str_of("\xC2\xA0x")), "\xC2\xA0x"));
}
END_TEST

START_TEST(a_buffer_grows_and_stays_terminated) {
  mv_buf buf = {0};
  ck_assert_uint_eq(mv_buf_view(&buf).len, 0);
  for (int i = 0; i < 1000; i++) {
    mv_buf_printf(&buf, "%d,", i);
    ck_assert_uint_eq(strlen(buf.ptr), buf.len);
  }
  ck_assert_int_eq(strncmp(buf.ptr, "0,1,2,", 6), 0);
  ck_assert_str_eq(buf.ptr + buf.len - 4, "999,");
  mv_buf_clear(&buf);
  mv_buf_char(&buf, 'x');
  mv_buf_str(&buf, (mv_str){"a\0b", 3});
  mv_buf_text(&buf, "y");
  ck_assert_uint_eq(buf.len, 5);
  ck_assert_int_eq(memcmp(buf.ptr, "xa\0by", 6), 0);
  mv_buf_free(&buf);
  mv_buf_free(&buf);
}
END_TEST

START_TEST(reserved_room_is_not_asked_for_again) {
  mv_buf buf = {0};
  mv_buf_reserve(&buf, 100);
  mv_alloc_set_hook(refuse, NULL);
  for (int i = 0; i < 100; i++) mv_buf_char(&buf, 'a');
  mv_alloc_set_hook(NULL, NULL);
  ck_assert_int_eq(mv_buf_status(&buf, NULL), MV_OK);
  ck_assert_uint_eq(buf.len, 100);
  mv_buf_free(&buf);
}
END_TEST

START_TEST(a_failed_append_is_remembered_and_adds_nothing) {
  mv_buf buf = {0};
  mv_error err;
  mv_buf_text(&buf, "kept");
  mv_alloc_set_hook(refuse, NULL);
  for (int i = 0; i < 100; i++) mv_buf_printf(&buf, "%s", "0123456789");
  mv_alloc_set_hook(NULL, NULL);
  size_t len = buf.len;
  mv_buf_text(&buf, "x"); /* there is memory again, but a hole in the text */
  ck_assert_uint_eq(buf.len, len);
  ck_assert_int_eq(mv_buf_status(&buf, &err), MV_ERR_MEMORY);
  ck_assert_int_eq(strncmp(buf.ptr, "kept", 4), 0);
  mv_buf_clear(&buf);
  mv_buf_text(&buf, "anew");
  ck_assert_int_eq(mv_buf_status(&buf, &err), MV_OK);
  ck_assert_str_eq(buf.ptr, "anew");
  mv_buf_free(&buf);
}
END_TEST

START_TEST(a_length_that_overflows_fails) {
  mv_buf buf = {0};
  mv_buf_text(&buf, "x");
  mv_buf_reserve(&buf, (size_t)-1);
  ck_assert_int_eq(mv_buf_status(&buf, NULL), MV_ERR_MEMORY);
  ck_assert_str_eq(buf.ptr, "x");
  mv_buf_free(&buf);
}
END_TEST

/* ---- UTF-8 ---- */

START_TEST(every_code_point_makes_the_round_trip) {
  for (uint32_t cp = 0; cp < 0x110000; cp++) {
    char bytes[4];
    uint32_t back = ~cp;
    size_t n = mv_utf8_encode(cp, bytes);
    size_t want = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    if (n != want) ck_abort_msg("U+%04X takes %zu bytes", cp, n);
    int surrogate = cp >= 0xD800 && cp < 0xE000;
    size_t read = mv_utf8_decode(bytes, n, &back);
    if (surrogate ? read != 0 : read != n || back != cp) ck_abort_msg("U+%04X", cp);
    if (n > 1 && mv_utf8_decode(bytes, n - 1, &back) != 0) ck_abort_msg("U+%04X cut short", cp);
  }
}
END_TEST

START_TEST(ill_formed_bytes_are_found_where_they_are) {
  static const struct {
    const char *text;
    size_t at;
  } cases[] = {
      {"abc", 3},
      {"", 0},
      {"\x80", 0},
      {"a\xC0\x80", 1}, /* overlong NUL     */
      {"ab\xC1\xBF", 2},
      {"\xE0\x9F\xBF", 0}, /* overlong         */
      {"\xED\xA0\x80", 0},
      {"\xF0\x8F\xBF\xBF", 0}, /* surrogate        */
      {"\xF4\x90\x80\x80", 0},
      {"\xF5\x80\x80\x80", 0}, /* above U+10FFFF */
      {"\xE2\x82", 0},
      {"x\xE2\x82\xAC\xE2", 4}, /* cut short        */
      {"\xFE", 0},
      {"\xF4\x8F\xBF\xBF", 4}, /* U+10FFFF         */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    ck_assert_msg(mv_utf8_check(cases[i].text, strlen(cases[i].text)) == cases[i].at, "case %zu",
                  i);
  uint32_t cp;
  ck_assert_uint_eq(mv_utf8_decode("a", 0, &cp), 0);
}
END_TEST

/* Python: bytes(...).decode("utf-8", "replace"), counting U+FFFD. */
START_TEST(each_maximal_ill_formed_part_becomes_one_replacement) {
  static const struct {
    const char *from, *to;
  } cases[] = {
      {"a\xFFz", "a?z"},
      {"\xE2\x82", "?"}, /* one: a beginning that could have gone on */
      {"\xE2\x82z", "?z"},
      {"\xE2\x28\xA1", "?(?"},
      {"\xC0\x80", "??"}, /* never a beginning: one each */
      {"\xED\xA0\x80", "???"},
      {"\xF0\x9F\xA9", "?"},
      {"\xF0\x9F\xF0\x9F\xA9\xBB", "?\xF0\x9F\xA9\xBB"},
      {"\xF4\x90\x80\x80", "????"},
      {"\x80\x80", "??"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    mv_buf got = {0}, want = {0};
    mv_utf8_lossy(&got, cases[i].from, strlen(cases[i].from));
    for (const char *c = cases[i].to; *c; c++)
      if (*c == '?')
        mv_buf_text(&want, "\xEF\xBF\xBD");
      else
        mv_buf_char(&want, *c);
    ck_assert_str_eq(got.ptr, want.ptr);
    mv_buf_free(&got);
    mv_buf_free(&want);
  }
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("text");
  TCase *t = tcase_create("text");
  tcase_set_timeout(t, 30);
  tcase_add_test(t, texts_compare_by_bytes);
  tcase_add_test(t, strip_takes_ascii_white_space_off_both_ends);
  tcase_add_test(t, a_buffer_grows_and_stays_terminated);
  tcase_add_test(t, reserved_room_is_not_asked_for_again);
  tcase_add_test(t, a_failed_append_is_remembered_and_adds_nothing);
  tcase_add_test(t, a_length_that_overflows_fails);
  tcase_add_test(t, every_code_point_makes_the_round_trip);
  tcase_add_test(t, ill_formed_bytes_are_found_where_they_are);
  tcase_add_test(t, each_maximal_ill_formed_part_becomes_one_replacement);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
