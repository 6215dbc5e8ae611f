#include "runtime/memory.h"

#include <stdint.h>
#include <string.h>

#include "tests/check_main.h"

static int refuse_at(size_t n_bytes, void *user) {
  (void)n_bytes;
  return --*(int *)user != 0;
}

START_TEST(sizes_that_overflow_are_refused) {
  size_t out = 7;
  ck_assert(!mv_mul_size(SIZE_MAX / 2, 3, &out));
  ck_assert(!mv_mul_size(SIZE_MAX, SIZE_MAX, &out));
  ck_assert(!mv_add_size(SIZE_MAX, 1, &out));
  ck_assert_uint_eq(out, 7);
  ck_assert(mv_mul_size(SIZE_MAX, 0, &out) && out == 0);
  ck_assert(mv_mul_size(0, SIZE_MAX, &out) && out == 0);
  ck_assert(mv_mul_size(SIZE_MAX, 1, &out) && out == SIZE_MAX);
  ck_assert(mv_add_size(SIZE_MAX, 0, &out) && out == SIZE_MAX);
  ck_assert_ptr_null(mv_calloc(SIZE_MAX / 2, 3));
  ck_assert_ptr_null(mv_alloc_aligned(SIZE_MAX - 5));
}
END_TEST

START_TEST(no_bytes_are_an_allocation_all_the_same) {
  void *a = mv_alloc(0), *b = mv_calloc(0, 9), *c = mv_alloc_aligned(0), *d = mv_realloc(NULL, 0);
  ck_assert(a && b && c && d);
  mv_free(a);
  mv_free(b);
  mv_free_aligned(c);
  mv_free(d);
  mv_free(NULL);
  mv_free_aligned(NULL);
}
END_TEST

START_TEST(the_hook_fails_what_it_likes) {
  int left = 2;
  mv_alloc_set_hook(refuse_at, &left);
  void *a = mv_alloc(8), *b = mv_calloc(1, 8), *c = mv_alloc_aligned(8);
  mv_alloc_set_hook(NULL, NULL);
  ck_assert_ptr_nonnull(a);
  ck_assert_ptr_null(b);
  ck_assert_ptr_nonnull(c);
  mv_free(a);
  mv_free_aligned(c);
}
END_TEST

static int all_are(const unsigned char *bytes, size_t n, int value) {
  for (size_t i = 0; i < n; i++)
    if (bytes[i] != value) return 0;
  return 1;
}

START_TEST(arena_memory_is_aligned_zeroed_and_apart) {
  static const size_t sizes[] = {1, 63, 64, 65, 1000, 1u << 20, (1u << 20) + 1, 3, 5u << 20, 0, 7};
  enum { N = sizeof sizes / sizeof *sizes };
  mv_arena arena = {0};
  unsigned char *blocks[N];
  for (int i = 0; i < N; i++) {
    blocks[i] = mv_arena_alloc(&arena, sizes[i]);
    ck_assert_ptr_nonnull(blocks[i]);
    ck_assert_uint_eq((uintptr_t)blocks[i] % 64, 0);
    ck_assert(all_are(blocks[i], sizes[i], 0));
    memset(blocks[i], i + 1, sizes[i]);
  }
  for (int i = 0; i < N; i++) ck_assert(all_are(blocks[i], sizes[i], i + 1));
  ck_assert_uint_ge(arena.used_bytes, 7u << 20);
  mv_arena_reset(&arena);
  ck_assert_uint_eq(arena.used_bytes, 0);
  ck_assert_str_eq(mv_arena_strdup(&arena, "again"), "again");
  mv_arena_reset(&arena);
  mv_arena_reset(&arena);
}
END_TEST

START_TEST(an_arena_without_memory_stays_usable) {
  for (int k = 1; k <= 2; k++) {
    mv_arena arena = {0};
    int left = k;
    mv_alloc_set_hook(refuse_at, &left);
    ck_assert_ptr_null(mv_arena_alloc(&arena, 10));
    ck_assert_ptr_nonnull(mv_arena_alloc(&arena, 10));
    mv_alloc_set_hook(NULL, NULL);
    ck_assert_ptr_null(mv_arena_alloc(&arena, SIZE_MAX));
    mv_arena_reset(&arena);
  }
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("memory");
  TCase *t = tcase_create("memory");
  tcase_add_test(t, sizes_that_overflow_are_refused);
  tcase_add_test(t, no_bytes_are_an_allocation_all_the_same);
  tcase_add_test(t, the_hook_fails_what_it_likes);
  tcase_add_test(t, arena_memory_is_aligned_zeroed_and_apart);
  tcase_add_test(t, an_arena_without_memory_stays_usable);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
