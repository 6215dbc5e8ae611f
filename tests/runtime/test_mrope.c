#include "runtime/mrope.h"

#include <string.h>

#include "tests/check_main.h"

#define IMAGE 7
enum { MAX = 400 };

/* A prompt written as letters: '.' text, '#' an image placeholder. */
typedef struct prompt {
  int32_t ids[MAX], position[3 * MAX];
  size_t n;
  int32_t next;
} prompt;

static prompt place(const char *letters, const mv_grid *grids, int n_grid, int merge) {
  prompt p = {.n = strlen(letters)};
  for (size_t i = 0; i < p.n; i++) p.ids[i] = letters[i] == '#' ? IMAGE : (int32_t)i % 5;
  p.next = mv_mrope_positions(p.ids, p.n, IMAGE, grids, n_grid, merge, p.position);
  return p;
}

static void assert_at(const prompt *p, size_t i, int t, int h, int w) {
  ck_assert_msg(p->position[i] == t && p->position[p->n + i] == h && p->position[2 * p->n + i] == w,
                "token %zu at (%d, %d, %d), expected (%d, %d, %d)", i, p->position[i],
                p->position[p->n + i], p->position[2 * p->n + i], t, h, w);
}

START_TEST(text_counts_all_three_up) {
  prompt p = place(".....", NULL, 0, 2);
  for (int i = 0; i < 5; i++) assert_at(&p, (size_t)i, i, i, i);
  ck_assert_int_eq(p.next, 5);
}
END_TEST

START_TEST(nothing_starts_at_zero) {
  int32_t position[1] = {-1};
  ck_assert_int_eq(mv_mrope_positions(NULL, 0, IMAGE, NULL, 0, 2, position), 0);
  ck_assert_int_eq(position[0], -1);
}
END_TEST

START_TEST(an_image_shares_one_time_and_counts_rows_and_columns) {
  static const mv_grid grid = {1, 4, 6}; /* merged 2 x 3 */
  prompt p = place("..######..", &grid, 1, 2);
  assert_at(&p, 1, 1, 1, 1);
  for (int r = 0; r < 2; r++)
    for (int c = 0; c < 3; c++) assert_at(&p, (size_t)(2 + 3 * r + c), 2, 2 + r, 2 + c);
  assert_at(&p, 8, 5, 5, 5); /* 2 + max(2, 3) */
  assert_at(&p, 9, 6, 6, 6);
  ck_assert_int_eq(p.next, 7);
}
END_TEST

/* 504 x 504: 324 tokens, 18 positions. */
START_TEST(a_square_slice_takes_18_positions) {
  static const mv_grid grid = {1, 36, 36};
  char letters[3 + 324 + 2] = "...";
  memset(letters + 3, '#', 324);
  letters[327] = '.';
  letters[328] = 0;
  prompt p = place(letters, &grid, 1, 2);
  ck_assert_uint_eq(p.n, 328);
  assert_at(&p, 3, 3, 3, 3);
  assert_at(&p, 3 + 17, 3, 3, 20);
  assert_at(&p, 3 + 18, 3, 4, 3);
  assert_at(&p, 3 + 323, 3, 20, 20);
  assert_at(&p, 327, 21, 21, 21);
  ck_assert_int_eq(p.next, 22);
}
END_TEST

START_TEST(images_that_adjoin_are_told_apart_by_their_grids) {
  static const mv_grid grids[] = {{1, 2, 4}, {1, 6, 2}};
  prompt p = place(".#####.", grids, 2, 2); /* 1 x 2, then 3 x 1 */
  assert_at(&p, 1, 1, 1, 1);
  assert_at(&p, 2, 1, 1, 2);
  assert_at(&p, 3, 3, 3, 3); /* 1 + max(1, 2) */
  assert_at(&p, 5, 3, 5, 3);
  assert_at(&p, 6, 6, 6, 6);
  ck_assert_int_eq(p.next, 7);
}
END_TEST

START_TEST(images_with_text_between) {
  static const mv_grid grids[] = {{1, 2, 2}, {1, 4, 4}};
  prompt p = place("#..####.", grids, 2, 2);
  assert_at(&p, 0, 0, 0, 0);
  assert_at(&p, 2, 2, 2, 2);
  assert_at(&p, 6, 3, 4, 4);
  assert_at(&p, 7, 5, 5, 5);
  ck_assert_int_eq(p.next, 6);
}
END_TEST

START_TEST(an_image_at_the_end_gives_the_next_position) {
  static const mv_grid tall = {1, 10, 2}, wide = {1, 2, 10};
  ck_assert_int_eq(place(".#####", &tall, 1, 2).next, 6);
  ck_assert_int_eq(place(".#####", &wide, 1, 2).next, 6);
}
END_TEST

START_TEST(merge_is_the_configs) {
  static const mv_grid grid = {1, 3, 6};
  prompt p = place(".##.", &grid, 1, 3);
  assert_at(&p, 2, 1, 1, 2);
  assert_at(&p, 3, 3, 3, 3);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("mrope");
  TCase *t = tcase_create("positions");
  tcase_add_test(t, text_counts_all_three_up);
  tcase_add_test(t, nothing_starts_at_zero);
  tcase_add_test(t, an_image_shares_one_time_and_counts_rows_and_columns);
  tcase_add_test(t, a_square_slice_takes_18_positions);
  tcase_add_test(t, images_that_adjoin_are_told_apart_by_their_grids);
  tcase_add_test(t, images_with_text_between);
  tcase_add_test(t, an_image_at_the_end_gives_the_next_position);
  tcase_add_test(t, merge_is_the_configs);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
