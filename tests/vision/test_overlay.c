/* vision/overlay.h and vision/draw.h: where marks land, in which colour, and that nothing escapes.
 */
#include "vision/overlay.h"

#include <math.h>
#include <unistd.h>

#include "tests/vision/vision_data.h"

static mv_image grey_square(int side, int value) {
  mv_image image;
  ck_assert_int_eq(mv_image_init(&image, side, side, 1, NULL), MV_OK);
  memset(image.px, value, n_bytes(&image));
  return image;
}

static mv_overlay overlay_of(int side, int value) {
  mv_image image = grey_square(side, value);
  mv_overlay o;
  ck_assert_int_eq(mv_overlay_init(&o, &image, NULL), MV_OK);
  mv_image_free(&image);
  return o;
}

static const uint8_t *pixel(const mv_image *image, int x, int y) {
  return image->px + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
}

static int is_amber(const uint8_t *p) { return p[0] > 200 && p[1] > 120 && p[2] < 100; }
static int is_blue(const uint8_t *p) { return p[0] < 150 && p[1] > 150 && p[2] > 200; }
static int is_grey(const uint8_t *p, int value) {
  return p[0] == value && p[1] == value && p[2] == value;
}

START_TEST(small_images_are_enlarged_by_a_whole_factor) {
  static const int sides[][2] = {{168, 3}, {504, 1}, {28, 16}, {1400, 1}, {252, 2}};
  for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
    mv_overlay o = overlay_of(sides[i][0], 90);
    ck_assert_int_eq(o.zoom, sides[i][1]);
    ck_assert_int_eq(o.canvas.width, sides[i][0] * sides[i][1]);
    ck_assert(is_grey(pixel(&o.canvas, 1, 1), 90));
    mv_overlay_free(&o);
  }
}
END_TEST

START_TEST(coordinates_start_at_the_lower_left) {
  mv_overlay o = overlay_of(504, 100);
  const double low[2] = {0.25, 0.25}, high[2] = {0.75, 0.25};
  mv_overlay_line(&o, low, high, MV_PEN_PREDICTION);
  ck_assert(is_amber(pixel(&o.canvas, 252, 378)));
  ck_assert(is_amber(pixel(&o.canvas, 126, 378)));
  ck_assert(is_grey(pixel(&o.canvas, 252, 126), 100));
  ck_assert(is_grey(pixel(&o.canvas, 100, 378), 100));
  mv_overlay_free(&o);
}
END_TEST

START_TEST(a_box_is_drawn_on_its_sides_only) {
  mv_overlay o = overlay_of(504, 100);
  const double box[4] = {0.25, 0.5, 0.5, 0.75}, swapped[4] = {0.5, 0.75, 0.25, 0.5};
  mv_overlay_box(&o, box, MV_PEN_PREDICTION);
  ck_assert(is_amber(pixel(&o.canvas, 126, 200)) && is_amber(pixel(&o.canvas, 252, 200)));
  ck_assert(is_amber(pixel(&o.canvas, 200, 126)) && is_amber(pixel(&o.canvas, 200, 252)));
  ck_assert(is_grey(pixel(&o.canvas, 200, 200), 100));
  mv_overlay again = overlay_of(504, 100);
  mv_overlay_box(&again, swapped, MV_PEN_PREDICTION);
  ck_assert_mem_eq(o.canvas.px, again.canvas.px, n_bytes(&o.canvas));
  mv_overlay_free(&o);
  mv_overlay_free(&again);
}
END_TEST

START_TEST(truth_is_blue_and_dashed) {
  mv_overlay o = overlay_of(504, 100);
  const double a[2] = {0.1, 0.5}, b[2] = {0.9, 0.5};
  mv_overlay_line(&o, a, b, MV_PEN_TRUTH);
  int n_blue = 0, n_plain = 0;
  for (int x = 60; x < 440; x++) {
    n_blue += is_blue(pixel(&o.canvas, x, 252));
    n_plain += is_grey(pixel(&o.canvas, x, 252), 100);
  }
  ck_assert(n_blue > 120 && n_plain > 80);
  mv_overlay_free(&o);
}
END_TEST

START_TEST(values_outside_are_clamped_and_nan_is_left_out) {
  mv_overlay o = overlay_of(504, 100);
  const double far_low[2] = {-1e300, -INFINITY}, far_high[2] = {1e300, INFINITY};
  const double bad[2] = {NAN, 0.5}, good[2] = {0.5, 0.5}, bad_box[4] = {0, 0, 1, NAN};
  mv_overlay_line(&o, bad, good, MV_PEN_PREDICTION);
  mv_overlay_mark(&o, bad, "1", MV_PEN_PREDICTION);
  mv_overlay_box(&o, bad_box, MV_PEN_PREDICTION);
  for (size_t i = 0; i < n_bytes(&o.canvas); i++) ck_assert_int_eq(o.canvas.px[i], 100);
  mv_overlay_line(&o, far_low, far_high, MV_PEN_PREDICTION);
  ck_assert(is_amber(pixel(&o.canvas, 20, 483)) && is_amber(pixel(&o.canvas, 483, 20)));
  const double all[4] = {-5, -5, 5, 5};
  mv_overlay_box(&o, all, MV_PEN_PREDICTION);
  ck_assert(is_amber(pixel(&o.canvas, 0, 252)) && is_amber(pixel(&o.canvas, 503, 252)));
  mv_overlay_free(&o);
}
END_TEST

START_TEST(labels_stay_inside_the_image) {
  mv_overlay o = overlay_of(504, 100);
  const double corners[4][2] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}};
  for (int i = 0; i < 4; i++) mv_overlay_mark(&o, corners[i], "MM", MV_PEN_PREDICTION);
  int n_amber[4] = {0};
  for (int y = 0; y < 504; y++)
    for (int x = 0; x < 504; x++)
      n_amber[(y < 252) * 2 + (x >= 252)] += is_amber(pixel(&o.canvas, x, y));
  for (int i = 0; i < 4; i++) ck_assert_int_gt(n_amber[i], 60); /* both letters, not cut */
  mv_overlay_free(&o);
}
END_TEST

START_TEST(captions_make_a_strip_and_wrap) {
  mv_overlay o = overlay_of(504, 100);
  mv_image plain, one, wrapped;
  ck_assert_int_eq(mv_overlay_render(&o, &plain, NULL), MV_OK);
  ck_assert_int_eq(plain.height, 504);
  ck_assert_int_eq(mv_overlay_caption(&o, "tumor 24.1 mm", MV_PEN_PREDICTION, NULL), MV_OK);
  ck_assert_int_eq(mv_overlay_render(&o, &one, NULL), MV_OK);
  ck_assert_int_eq(mv_overlay_caption(&o,
                                      "a caption that is far too long for one line of this image, "
                                      "unbrokenunbrokenunbrokenunbrokenunbrokenunbrokenunbroken",
                                      MV_PEN_TRUTH, NULL),
                   MV_OK);
  ck_assert_int_eq(mv_overlay_render(&o, &wrapped, NULL), MV_OK);
  ck_assert(one.height > plain.height && wrapped.height - one.height >= 3 * (one.height - 520));
  ck_assert_mem_eq(plain.px, wrapped.px, n_bytes(&plain));
  int n_bright = 0;
  for (size_t i = n_bytes(&plain); i < n_bytes(&one); i++) n_bright += one.px[i] > 200;
  ck_assert_int_gt(n_bright, 200);
  mv_image_free(&plain);
  mv_image_free(&one);
  mv_image_free(&wrapped);
  mv_overlay_free(&o);
}
END_TEST

START_TEST(any_text_can_be_drawn) {
  mv_overlay o = overlay_of(56, 0);
  char all[256];
  for (int i = 0; i < 255; i++) all[i] = (char)(i + 1);
  all[255] = '\0';
  for (int i = 0; i < MV_OVERLAY_MAX_CAPTIONS; i++)
    ck_assert_int_eq(mv_overlay_caption(&o, i ? all : "", MV_PEN_NONE, NULL), MV_OK);
  ck_assert_int_eq(mv_overlay_caption(&o, "one too many", MV_PEN_NONE, NULL), MV_ERR_USAGE);
  mv_image out;
  ck_assert_int_eq(mv_overlay_render(&o, &out, NULL), MV_OK);
  mv_image_free(&out);
  mv_overlay_free(&o);
}
END_TEST

static mv_status attempt(void *user) {
  mv_overlay o;
  mv_image out = {0};
  mv_status status = mv_overlay_init(&o, user, NULL);
  if (status == MV_OK) status = mv_overlay_caption(&o, "text", MV_PEN_TRUTH, NULL);
  if (status == MV_OK) status = mv_overlay_render(&o, &out, NULL);
  mv_image_free(&out);
  mv_overlay_free(&o);
  return status;
}

START_TEST(survives_every_failing_allocation) {
  mv_image image = grey_square(28, 9);
  ck_assert_int_ge(sweep_allocations(attempt, &image), 5);
  mv_image_free(&image);
}
END_TEST

START_TEST(saves_a_png) {
  char dir[] = "/tmp/mv_test_overlay_XXXXXX", path[64];
  ck_assert(mkdtemp(dir) != NULL);
  snprintf(path, sizeof path, "%s/o.png", dir);
  mv_overlay o = overlay_of(168, 50);
  mv_image again;
  ck_assert_int_eq(mv_overlay_save(&o, path, NULL), MV_OK);
  ck_assert_int_eq(mv_image_load(path, &again, NULL), MV_OK);
  ck_assert(again.width == 504 && again.channels == 3);
  ck_assert_int_eq(mv_overlay_save(&o, "/nonexistent/o.png", NULL), MV_ERR_IO);
  mv_image_free(&again);
  mv_overlay_free(&o);
  unlink(path);
  rmdir(dir);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("overlay");
  TCase *tc = tcase_create("overlay");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, small_images_are_enlarged_by_a_whole_factor);
  tcase_add_test(tc, coordinates_start_at_the_lower_left);
  tcase_add_test(tc, a_box_is_drawn_on_its_sides_only);
  tcase_add_test(tc, truth_is_blue_and_dashed);
  tcase_add_test(tc, values_outside_are_clamped_and_nan_is_left_out);
  tcase_add_test(tc, labels_stay_inside_the_image);
  tcase_add_test(tc, captions_make_a_strip_and_wrap);
  tcase_add_test(tc, any_text_can_be_drawn);
  tcase_add_test(tc, survives_every_failing_allocation);
  tcase_add_test(tc, saves_a_png);
  suite_add_tcase(s, tc);
  return s;
}
MV_CHECK_MAIN(suite)
