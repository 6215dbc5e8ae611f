/* vision/window.h against transformers' vision tower. */
#include "vision/window.h"

#include "tests/vision/vision_data.h"

static mv_status plan_of(const cJSON *row, mv_window_plan *plan) {
  mv_grid grids[8];
  const cJSON *list = cJSON_GetObjectItem(row, "grids");
  int n = cJSON_GetArraySize(list);
  for (int i = 0; i < n; i++) {
    const cJSON *g = cJSON_GetArrayItem(list, i);
    grids[i] = (mv_grid){(int)cJSON_GetArrayItem(g, 0)->valuedouble,
                         (int)cJSON_GetArrayItem(g, 1)->valuedouble,
                         (int)cJSON_GetArrayItem(g, 2)->valuedouble};
  }
  mv_window_dims dims = {int_of(row, "window_size"), int_of(row, "patch"), int_of(row, "merge")};
  return mv_window_plan_init(plan, grids, n, dims, NULL);
}

static void assert_list(const cJSON *row, const char *key, const int32_t *got, int n) {
  ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(row, key)), n);
  for (int i = 0; i < n; i++) ck_assert_int_eq(got[i], at(row, key, i));
}

static int largest_step(const int32_t *cu, int n) {
  int most = 0;
  for (int i = 0; i < n; i++) most = cu[i + 1] - cu[i] > most ? cu[i + 1] - cu[i] : most;
  return most;
}

static void check_row(const cJSON *row) {
  mv_window_plan plan;
  ck_assert_int_eq(plan_of(row, &plan), MV_OK);
  assert_list(row, "index", plan.index, plan.n_group);
  assert_list(row, "inverse", plan.inverse, plan.n_group);
  assert_list(row, "cu_window", plan.cu_window, plan.n_window + 1);
  assert_list(row, "cu_full", plan.cu_full, plan.n_full + 1);
  assert_sha(plan.position, 2 * (size_t)plan.n_patch * sizeof *plan.position,
             cJSON_GetObjectItem(row, "position_sha256"), "positions");
  ck_assert_int_eq(plan.max_window, largest_step(plan.cu_window, plan.n_window));
  ck_assert_int_eq(plan.max_full, largest_step(plan.cu_full, plan.n_full));
  mv_window_plan_free(&plan);
}

START_TEST(equals_the_reference) {
  ck_assert_int_ge(each_row(VISION_DATA "window.jsonl", check_row), 10);
}
END_TEST

static const mv_window_dims real = {112, 14, 2};

START_TEST(a_504_image_has_windows_of_64_32_and_16) {
  mv_grid grid = {1, 36, 36};
  mv_window_plan plan;
  ck_assert_int_eq(mv_window_plan_init(&plan, &grid, 1, real, NULL), MV_OK);
  int n[65] = {0};
  for (int i = 0; i < plan.n_window; i++) n[plan.cu_window[i + 1] - plan.cu_window[i]]++;
  ck_assert(plan.n_window == 25 && n[64] == 16 && n[32] == 8 && n[16] == 1);
  for (int g = 0; g < plan.n_group; g++) ck_assert_int_eq(plan.index[plan.inverse[g]], g);
  mv_window_plan_free(&plan);
}
END_TEST

START_TEST(no_images_give_an_empty_plan) {
  mv_window_plan plan;
  ck_assert_int_eq(mv_window_plan_init(&plan, NULL, 0, real, NULL), MV_OK);
  ck_assert(plan.n_patch == 0 && plan.n_window == 0 && plan.cu_window[0] == 0);
  mv_window_plan_free(&plan);
}
END_TEST

START_TEST(impossible_grids_are_refused) {
  static const mv_grid bad[] = {{1, 3, 4},  {1, 4, 3}, {0, 4, 4},
                                {1, -4, 4}, {1, 4, 0}, {2000000000, 2000000000, 2000000000}};
  mv_window_plan plan;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ck_assert_int_eq(mv_window_plan_init(&plan, &bad[i], 1, real, NULL), MV_ERR_SHAPE);
    ck_assert_ptr_null(plan.index);
  }
  mv_grid good = {1, 4, 4};
  mv_window_dims small = {20, 14, 2}, zero = {112, 0, 2};
  ck_assert_int_eq(mv_window_plan_init(&plan, &good, 1, small, NULL), MV_ERR_SHAPE);
  ck_assert_int_eq(mv_window_plan_init(&plan, &good, 1, zero, NULL), MV_ERR_SHAPE);
}
END_TEST

static mv_status attempt(void *user) {
  mv_window_plan plan;
  mv_status status = mv_window_plan_init(&plan, user, 1, real, NULL);
  mv_window_plan_free(&plan);
  return status;
}

START_TEST(survives_every_failing_allocation) {
  mv_grid grid = {1, 12, 10};
  ck_assert_int_eq(sweep_allocations(attempt, &grid), 5);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("window");
  TCase *tc = tcase_create("window");
  tcase_add_test(tc, equals_the_reference);
  tcase_add_test(tc, a_504_image_has_windows_of_64_32_and_16);
  tcase_add_test(tc, no_images_give_an_empty_plan);
  tcase_add_test(tc, impossible_grids_are_refused);
  tcase_add_test(tc, survives_every_failing_allocation);
  suite_add_tcase(s, tc);
  return s;
}
MV_CHECK_MAIN(suite)
