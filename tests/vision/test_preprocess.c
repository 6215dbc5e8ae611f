/* vision/preprocess.h against the reference processor, and its configuration file. */
#include "vision/preprocess.h"

#include <sys/stat.h>
#include <unistd.h>

#include "kernels/ops.h"
#include "tests/vision/vision_data.h"

static void check_smart_resize(const cJSON *row) {
  int h = 0, w = 0;
  mv_error err = {0};
  mv_status status =
      mv_smart_resize(int_of(row, "height"), int_of(row, "width"), int_of(row, "factor"),
                      int_of(row, "min_pixels"), int_of(row, "max_pixels"), &h, &w, &err);
  if (cJSON_IsString(cJSON_GetObjectItem(row, "error"))) {
    ck_assert_int_eq(status, MV_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(err.msg, "200"));
    return;
  }
  ck_assert_msg(status == MV_OK && h == at(row, "out_hw", 0) && w == at(row, "out_hw", 1),
                "%s: status %d, %d x %d", text_of(row, "id"), (int)status, h, w);
}

START_TEST(smart_resize_equals_the_contract) {
  ck_assert_int_ge(each_row(VISION_DATA "smart_resize.jsonl", check_smart_resize), 60);
  int n = each_row(SHARED_GOLDEN "smart_resize.jsonl", check_smart_resize);
  if (n < 0) printf("skip: no " SHARED_GOLDEN "smart_resize.jsonl\n");
}
END_TEST

START_TEST(smart_resize_refuses_nonsense) {
  int h, w;
  ck_assert_int_eq(mv_smart_resize(0, 5, 28, 3136, 12845056, &h, &w, NULL), MV_ERR_SHAPE);
  ck_assert_int_eq(mv_smart_resize(5, -5, 28, 3136, 12845056, &h, &w, NULL), MV_ERR_SHAPE);
  ck_assert_int_eq(mv_smart_resize(2147483647, 2147483647, 28, 1, 12845056, &h, &w, NULL), MV_OK);
  ck_assert(h == 3584 && w == 3584);
}
END_TEST

/* What the operation makes of an image: [n_patch, patch_values], to be freed. */
static float *patches_of(const mv_preprocessor *pp, const mv_pixels *pixels, size_t *n_bytes_out) {
  const mv_image *seen = &pixels->seen;
  mv_device cpu;
  float value[MV_PIXEL_VALUES];
  mv_patches_dims dims = {seen->height, seen->width,  seen->channels, pp->patch,
                          pp->merge,    pp->temporal, MV_DTYPE_F32};
  *n_bytes_out = mv_grid_patches(pixels->grid) * (size_t)mv_preprocessor_patch_values(pp) * 4;
  float *out = malloc(*n_bytes_out);
  mv_preprocessor_values(pp, value);
  ck_assert_int_eq(mv_device_open_cpu(&cpu, 1, NULL, NULL), MV_OK);
  mv_patches_cpu(&cpu, &dims, seen->px, value, NULL, out);
  mv_device_close_cpu(&cpu);
  return out;
}

static void assert_patches(const mv_preprocessor *pp, const mv_pixels *pixels, const cJSON *sha,
                           const char *what) {
  size_t n_bytes_out;
  float *patches = patches_of(pp, pixels, &n_bytes_out);
  assert_sha(patches, n_bytes_out, sha, what);
  free(patches);
}

static void check_processor(const cJSON *row) {
  mv_preprocessor pp;
  mv_preprocessor_default(&pp);
  pp.min_pixels = int_of(row, "min_pixels");
  pp.max_pixels = int_of(row, "max_pixels");
  mv_image image = noise(at(row, "hw", 0), at(row, "hw", 1), int_of(row, "channels"),
                         (uint32_t)int_of(row, "seed"));
  char what[64];
  snprintf(what, sizeof what, "%d x %d, %d channels", image.height, image.width, image.channels);
  mv_pixels pixels;
  mv_status status = mv_pixels_init(&pixels, &pp, &image, NULL);
  if (text_of(row, "error")) {
    ck_assert_msg(status == MV_ERR_SHAPE, "%s: the reference refuses it", what);
  } else {
    ck_assert_int_eq(status, MV_OK);
    ck_assert_int_eq(pixels.grid.t, at(row, "grid", 0));
    ck_assert_int_eq(pixels.grid.h, at(row, "grid", 1));
    ck_assert_int_eq(pixels.grid.w, at(row, "grid", 2));
    assert_patches(&pp, &pixels, cJSON_GetObjectItem(row, "sha256"), what);
  }
  mv_pixels_free(&pixels);
  mv_image_free(&image);
}

START_TEST(patches_equal_the_reference_processor) {
  ck_assert_int_ge(each_row(VISION_DATA "processor.jsonl", check_processor), 40);
}
END_TEST

static void check_plane(const cJSON *row) {
  mv_preprocessor pp;
  mv_preprocessor_default(&pp);
  char path[128];
  mv_image image;
  mv_pixels pixels;
  mv_error err;
  snprintf(path, sizeof path, VISION_DATA "%s", text_of(row, "file"));
  ck_assert_msg(mv_image_load(path, &image, &err) == MV_OK, "%s", err.msg);
  assert_sha(image.px, n_bytes(&image), cJSON_GetObjectItem(row, "image_u8_sha256"), path);
  ck_assert_int_eq(mv_pixels_init(&pixels, &pp, &image, &err), MV_OK);
  assert_sha(pixels.seen.px, n_bytes(&pixels.seen), cJSON_GetObjectItem(row, "resized_u8_sha256"),
             path);
  ck_assert_int_eq(pixels.grid.h, at(row, "grid_thw", 1));
  ck_assert_int_eq(pixels.grid.w, at(row, "grid_thw", 2));
  assert_patches(&pp, &pixels, cJSON_GetObjectItem(row, "pixel_values_sha256"), path);
  mv_pixels_free(&pixels);
  mv_image_free(&image);
}

START_TEST(slices_of_the_contract_give_its_checksums) {
  ck_assert_int_ge(each_row(VISION_DATA "planes.jsonl", check_plane), 5);
}
END_TEST

START_TEST(grey_stands_for_three_equal_channels) {
  mv_preprocessor pp;
  mv_preprocessor_default(&pp);
  mv_image grey = noise(56, 84, 1, 3), rgb;
  ck_assert_int_eq(mv_image_init(&rgb, 84, 56, 3, NULL), MV_OK);
  for (size_t i = 0; i < n_bytes(&rgb); i++) rgb.px[i] = grey.px[i / 3];
  mv_pixels a, b;
  ck_assert_int_eq(mv_pixels_init(&a, &pp, &grey, NULL), MV_OK);
  ck_assert_int_eq(mv_pixels_init(&b, &pp, &rgb, NULL), MV_OK);
  size_t n_a, n_b;
  float *from_a = patches_of(&pp, &a, &n_a), *from_b = patches_of(&pp, &b, &n_b);
  ck_assert_uint_eq(n_a, n_b);
  ck_assert_mem_eq(from_a, from_b, n_a);
  free(from_a);
  free(from_b);
  mv_pixels_free(&a);
  mv_pixels_free(&b);
  mv_image_free(&grey);
  mv_image_free(&rgb);
}
END_TEST

static mv_status attempt_pixels(void *user) {
  mv_preprocessor pp;
  mv_pixels pixels;
  mv_preprocessor_default(&pp);
  mv_status status = mv_pixels_init(&pixels, &pp, user, NULL);
  mv_pixels_free(&pixels);
  return status;
}

START_TEST(survives_every_failing_allocation) {
  mv_image image = noise(50, 60, 3, 1);
  ck_assert_int_ge(sweep_allocations(attempt_pixels, &image), 9);
  mv_image_free(&image);
}
END_TEST

static mv_status parse(const char *json, mv_preprocessor *pp, mv_error *err) {
  return mv_preprocessor_parse("p.json", mv_str_of(json), pp, err);
}

START_TEST(reads_every_form_of_the_limits) {
  static const struct {
    const char *json;
    int64_t lo, hi;
  } forms[] = {
      {"{}", 3136, 1003520}, /* what transformers' class assumes */
      {"{\"min_pixels\":3136,\"max_pixels\":12845056}", 3136, 12845056},
      {"{\"size\":{\"shortest_edge\":784,\"longest_edge\":28224}}", 784, 28224},
      {"{\"size\":{\"min_pixels\":784,\"max_pixels\":28224}}", 784, 28224},
      {"{\"size\":{\"shortest_edge\":1,\"longest_edge\":2},\"min_pixels\":7,\"max_pixels\":9}", 7,
       9},
      {"{\"size\":null,\"min_pixels\":null,\"max_pixels\":5000}", 3136, 5000}};
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    mv_preprocessor pp;
    mv_error err = {0};
    ck_assert_msg(parse(forms[i].json, &pp, &err) == MV_OK, "%s: %s", forms[i].json, err.msg);
    ck_assert_int_eq(pp.min_pixels, forms[i].lo);
    ck_assert_int_eq(pp.max_pixels, forms[i].hi);
    ck_assert(pp.patch == 14 && pp.temporal == 2 && pp.merge == 2);
  }
}
END_TEST

START_TEST(reads_all_values) {
  mv_preprocessor pp;
  mv_error err = {0};
  const char *json =
      "{\"patch_size\":16,\"temporal_patch_size\":1,\"merge_size\":3,\"image_mean\":[0,0.25,0.5],"
      "\"image_std\":[1,0.5,2],\"rescale_factor\":0.00392156862745098,\"resample\":3,"
      "\"do_resize\":true,\"do_normalize\":true,\"do_rescale\":true,\"do_convert_rgb\":true,"
      "\"image_processor_type\":\"Qwen2VLImageProcessorFast\",\"processor_class\":\"x\"}";
  ck_assert_msg(parse(json, &pp, &err) == MV_OK, "%s", err.msg);
  ck_assert(pp.patch == 16 && pp.temporal == 1 && pp.merge == 3);
  ck_assert(pp.mean[1] == 0.25 && pp.std[2] == 2.0);
}
END_TEST

START_TEST(bad_values_are_refused_by_name) {
  static const char *const bad[][2] = {
      {"{\"patch_size\":0}", "patch_size"},
      {"{\"patch_size\":14.5}", "patch_size"},
      {"{\"patch_size\":\"14\"}", "patch_size"},
      {"{\"merge_size\":-2}", "merge_size"},
      {"{\"temporal_patch_size\":1e9}", "temporal_patch_size"},
      {"{\"min_pixels\":1e30}", "min_pixels"},
      {"{\"min_pixels\":100,\"max_pixels\":50}", "max_pixels"},
      {"{\"size\":{\"height\":224,\"width\":224}}", "size"},
      {"{\"size\":224}", "size"},
      {"{\"image_mean\":[0.5,0.5]}", "image_mean"},
      {"{\"image_mean\":0.5}", "image_mean"},
      {"{\"image_std\":[0.5,0,0.5]}", "image_std"},
      {"{\"image_std\":[0.5,\"x\",0.5]}", "image_std"},
      {"{\"rescale_factor\":0.0078125}", "rescale_factor"},
      {"{\"resample\":2}", "resample"},
      {"{\"do_resize\":false}", "do_resize"},
      {"{\"do_normalize\":0}", "do_normalize"},
      {"{\"do_center_crop\":true}", "do_center_crop"},
      {"{\"image_processor_type\":\"CLIPImageProcessor\"}", "image_processor_type"},
      {"[]", "object"},
      {"{\"patch_size\":14", "object"},
      {"", "object"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    mv_preprocessor pp;
    mv_error err = {0};
    ck_assert_msg(parse(bad[i][0], &pp, &err) != MV_OK, "%s passes", bad[i][0]);
    ck_assert_msg(strstr(err.msg, bad[i][1]) && strstr(err.msg, "p.json"), "%s", err.msg);
  }
}
END_TEST

static void write_text(const char *dir, const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  ck_assert_int_eq(mv_file_write(path, text, strlen(text), NULL), MV_OK);
}

START_TEST(loads_from_either_file_or_takes_the_defaults) {
  char dir[] = "/tmp/mv_test_preprocess_XXXXXX", path[64];
  ck_assert(mkdtemp(dir) != NULL);
  mv_preprocessor pp;
  mv_error err = {0};
  ck_assert_int_eq(mv_preprocessor_load(dir, &pp, &err), MV_OK);
  ck_assert(pp.min_pixels == 3136 && pp.max_pixels == 12845056);
  write_text(dir, "processor_config.json", "{\"processor_class\":\"x\"}");
  ck_assert_int_eq(mv_preprocessor_load(dir, &pp, &err), MV_OK);
  ck_assert_int_eq(pp.max_pixels, 12845056);
  write_text(dir, "processor_config.json", "{\"image_processor\":{\"max_pixels\":5000}}");
  ck_assert_int_eq(mv_preprocessor_load(dir, &pp, &err), MV_OK);
  ck_assert_int_eq(pp.max_pixels, 5000);
  write_text(dir, "preprocessor_config.json", "{\"max_pixels\":6000}");
  ck_assert_int_eq(mv_preprocessor_load(dir, &pp, &err), MV_OK);
  ck_assert_int_eq(pp.max_pixels, 6000);
  write_text(dir, "preprocessor_config.json", "{\"max_pixels\":true}");
  ck_assert_int_eq(mv_preprocessor_load(dir, &pp, &err), MV_ERR_FORMAT);
  ck_assert_ptr_nonnull(strstr(err.msg, "preprocessor_config.json: max_pixels"));
  snprintf(path, sizeof path, "%s/preprocessor_config.json", dir);
  unlink(path);
  snprintf(path, sizeof path, "%s/processor_config.json", dir);
  unlink(path);
  rmdir(dir);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("preprocess");
  TCase *tc = tcase_create("preprocess");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, smart_resize_equals_the_contract);
  tcase_add_test(tc, smart_resize_refuses_nonsense);
  tcase_add_test(tc, patches_equal_the_reference_processor);
  tcase_add_test(tc, slices_of_the_contract_give_its_checksums);
  tcase_add_test(tc, grey_stands_for_three_equal_channels);
  tcase_add_test(tc, survives_every_failing_allocation);
  tcase_add_test(tc, reads_every_form_of_the_limits);
  tcase_add_test(tc, reads_all_values);
  tcase_add_test(tc, bad_values_are_refused_by_name);
  tcase_add_test(tc, loads_from_either_file_or_takes_the_defaults);
  suite_add_tcase(s, tc);
  return s;
}
MV_CHECK_MAIN(suite)
