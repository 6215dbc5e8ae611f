/* vision/resize.h against torchvision and Pillow. */
#include "vision/resize.h"

#include "tests/vision/vision_data.h"

static void check_noise(const cJSON *row) {
  mv_image in = noise(at(row, "hw", 0), at(row, "hw", 1), int_of(row, "channels"),
                      (uint32_t)int_of(row, "seed"));
  mv_resampler resampler = strcmp(text_of(row, "resampler"), "pillow") == 0
                               ? MV_RESAMPLER_PILLOW
                               : MV_RESAMPLER_TORCHVISION;
  mv_image out;
  char what[128];
  int h = at(row, "out_hw", 0), w = at(row, "out_hw", 1);
  snprintf(what, sizeof what, "%dx%d (%d) -> %dx%d, %s", in.height, in.width, in.channels, h, w,
           text_of(row, "resampler"));
  ck_assert_int_eq(mv_image_resize(&in, h, w, resampler, &out, NULL), MV_OK);
  ck_assert(out.height == h && out.width == w && out.channels == in.channels);
  assert_sha(out.px, n_bytes(&out), cJSON_GetObjectItem(row, "sha256"), what);
  mv_image_free(&in);
  mv_image_free(&out);
}

START_TEST(equals_torchvision_and_pillow) {
  ck_assert_int_ge(each_row(VISION_DATA "resize.jsonl", check_noise), 50);
}
END_TEST

static int n_bicubic;

static void check_contract(const cJSON *row) {
  if (strcmp(text_of(row, "kind"), "bicubic_u8") != 0) return;
  mv_buf data = from_base64(text_of(row, "data_u8_b64"));
  mv_buf want = from_base64(text_of(row, "out_u8_b64"));
  mv_image in = {.height = at(row, "in_hw", 0), .width = at(row, "in_hw", 1), .channels = 1};
  in.px = (uint8_t *)data.ptr;
  ck_assert_uint_eq(n_bytes(&in), data.len);
  mv_image out;
  ck_assert_int_eq(mv_image_resize(&in, at(row, "out_hw", 0), at(row, "out_hw", 1),
                                   MV_RESAMPLER_TORCHVISION, &out, NULL),
                   MV_OK);
  ck_assert_uint_eq(n_bytes(&out), want.len);
  ck_assert_msg(memcmp(out.px, want.ptr, want.len) == 0, "%s differs", text_of(row, "id"));
  mv_image_free(&out);
  mv_buf_free(&data);
  mv_buf_free(&want);
  n_bicubic++;
}

START_TEST(equals_the_contract_on_all_its_cases) {
  if (each_row(SHARED_GOLDEN "image_ops.jsonl", check_contract) < 0) {
    printf("skip: no " SHARED_GOLDEN "image_ops.jsonl\n");
    return;
  }
  ck_assert_int_ge(n_bicubic, 1);
  printf("%d bicubic cases of the contract\n", n_bicubic);
}
END_TEST

static mv_status attempt(void *user) {
  mv_image out;
  mv_status status = mv_image_resize(user, 9, 11, MV_RESAMPLER_TORCHVISION, &out, NULL);
  mv_image_free(&out);
  return status;
}

START_TEST(survives_every_failing_allocation) {
  mv_image in = noise(20, 30, 3, 1);
  ck_assert_int_ge(sweep_allocations(attempt, &in), 8);
  mv_image_free(&in);
}
END_TEST

START_TEST(refuses_sizes_beyond_the_limits) {
  mv_image in = noise(2, 2, 1, 1), out;
  ck_assert_int_eq(mv_image_resize(&in, 20000, 20000, MV_RESAMPLER_PILLOW, &out, NULL),
                   MV_ERR_SHAPE);
  ck_assert_int_eq(mv_image_resize(&in, 0, 5, MV_RESAMPLER_PILLOW, &out, NULL), MV_ERR_SHAPE);
  ck_assert_int_eq(mv_image_resize(&in, 5, -1, MV_RESAMPLER_PILLOW, &out, NULL), MV_ERR_SHAPE);
  ck_assert_ptr_null(out.px);
  mv_image_free(&in);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("resize");
  TCase *tc = tcase_create("resize");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, equals_torchvision_and_pillow);
  tcase_add_test(tc, equals_the_contract_on_all_its_cases);
  tcase_add_test(tc, survives_every_failing_allocation);
  tcase_add_test(tc, refuses_sizes_beyond_the_limits);
  suite_add_tcase(s, tc);
  return s;
}
MV_CHECK_MAIN(suite)
