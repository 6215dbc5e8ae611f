/* vision/image.h: every kind of PNG and JPEG, broken files, limits, memory, writing. */
#include "vision/image.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vision/vision_data.h"

static mv_buf read_data(const char *name) {
  char path[256];
  mv_buf bytes = {0};
  mv_error err;
  snprintf(path, sizeof path, VISION_DATA "%s", name);
  ck_assert_msg(mv_file_read(path, 1u << 24, &bytes, &err) == MV_OK, "%s", err.msg);
  return bytes;
}

static void check_file(const cJSON *row) {
  const char *name = text_of(row, "file");
  mv_buf bytes = read_data(name);
  mv_image image, probe;
  mv_error err;
  ck_assert_msg(mv_image_decode(bytes.ptr, bytes.len, &image, &err) == MV_OK, "%s: %s", name,
                err.msg);
  ck_assert_int_eq(image.height, at(row, "hw", 0));
  ck_assert_int_eq(image.width, at(row, "hw", 1));
  ck_assert_int_eq(image.channels, int_of(row, "channels"));
  ck_assert_int_eq(image.was_16bit, int_of(row, "was_16bit"));
  ck_assert_int_eq(image.had_alpha, int_of(row, "had_alpha"));
  ck_assert_int_eq(image.orientation, int_of(row, "orientation"));
  assert_sha(image.px, n_bytes(&image), cJSON_GetObjectItem(row, "sha256"), name);
  ck_assert_int_eq(mv_image_probe(bytes.ptr, bytes.len, &probe, &err), MV_OK);
  ck_assert(probe.width == image.width && probe.height == image.height);
  ck_assert(probe.channels == image.channels && probe.px == NULL);
  mv_image_free(&image);
  mv_buf_free(&bytes);
}

START_TEST(decodes_every_kind_exactly) {
  ck_assert_int_ge(each_row(VISION_DATA "files.jsonl", check_file), 50);
}
END_TEST

static mv_status attempt_decode(void *user) {
  const mv_buf *bytes = user;
  mv_image image;
  mv_status status = mv_image_decode(bytes->ptr, bytes->len, &image, NULL);
  mv_image_free(&image);
  return status;
}

static void sweep_file(const cJSON *row) {
  mv_buf bytes = read_data(text_of(row, "file"));
  ck_assert_int_ge(sweep_allocations(attempt_decode, &bytes), 1);
  mv_buf_free(&bytes);
}

START_TEST(survives_every_failing_allocation) {
  ck_assert_int_gt(each_row(VISION_DATA "files.jsonl", sweep_file), 0);
}
END_TEST

/* Copies the first `n` bytes to the heap, so that ASan sees a read past them. */
static mv_status decode_exact(const char *bytes, size_t n, mv_image *image, mv_error *err) {
  char *copy = malloc(n ? n : 1);
  if (n) memcpy(copy, bytes, n);
  mv_status status = mv_image_decode(copy, n, image, err);
  free(copy);
  return status;
}

static const char *const some_files[] = {
    "png_c6_d16_i.png",     "png_c3_d4_trns.png", "png_c0_d1.png",   "jpeg_sub2.jpg",
    "jpeg_progressive.jpg", "jpeg_cmyk.jpg",      "jpeg_exif_6.jpg", "png_exif_6.png"};

START_TEST(every_truncation_is_an_error) {
  mv_buf bytes = read_data(some_files[_i]);
  for (size_t n = 0; n + 2 < bytes.len; n++) {
    mv_image image;
    mv_error err = {0};
    mv_status status = decode_exact(bytes.ptr, n, &image, &err);
    ck_assert_msg(status != MV_OK && err.msg[0] && !image.px, "%s cut at %zu of %zu passes",
                  some_files[_i], n, bytes.len);
  }
  mv_buf_free(&bytes);
}
END_TEST

START_TEST(flipped_bits_never_crash) {
  mv_buf bytes = read_data(some_files[_i]);
  for (size_t k = 0; k<bytes.len * 8; k += bytes.len> 1500 ? 13 : 3) {
    mv_image image;
    bytes.ptr[k / 8] ^= (char)(1 << (k % 8));
    if (decode_exact(bytes.ptr, bytes.len, &image, NULL) == MV_OK) ck_assert_ptr_nonnull(image.px);
    mv_image_free(&image);
    bytes.ptr[k / 8] ^= (char)(1 << (k % 8));
  }
  mv_buf_free(&bytes);
}
END_TEST

static void refuse(const char *bytes, size_t n, mv_status expected, const char *part) {
  mv_image image;
  mv_error err = {0};
  ck_assert_int_eq(decode_exact(bytes, n, &image, &err), expected);
  ck_assert_msg(strstr(err.msg, part) != NULL, "\"%s\" does not say \"%s\"", err.msg, part);
  ck_assert_ptr_null(image.px);
}

START_TEST(other_files_are_named) {
  static char page[400];
  refuse("", 0, MV_ERR_FORMAT, "empty");
  refuse("GIF89a........", 14, MV_ERR_UNSUPPORTED, "GIF");
  refuse("hello", 5, MV_ERR_UNSUPPORTED, "expected a PNG or JPEG");
  memcpy(page + 128, "DICM", 4);
  refuse(page, sizeof page, MV_ERR_UNSUPPORTED, "DICOM");
  memset(page, 0, sizeof page);
  memcpy(page + 344, "n+1", 4);
  refuse(page, sizeof page, MV_ERR_UNSUPPORTED, "NIfTI");
}
END_TEST

/* Sets one byte of the frame header; `at` counts from its marker. */
static void set_frame_byte(mv_buf *jpeg, size_t at_byte, int value) {
  for (size_t i = 0; i + 20 < jpeg->len; i++)
    if (memcmp(jpeg->ptr + i, "\xff\xc0", 2) == 0) {
      jpeg->ptr[i + at_byte] = (char)value;
      return;
    }
  ck_abort_msg("no frame header");
}

START_TEST(jpegs_of_other_processes_are_unsupported) {
  mv_buf jpeg = read_data("jpeg_grey.jpg");
  set_frame_byte(&jpeg, 4, 12);
  refuse(jpeg.ptr, jpeg.len, MV_ERR_UNSUPPORTED, "precision 12");
  set_frame_byte(&jpeg, 4, 8);
  set_frame_byte(&jpeg, 1, 0xC3); /* lossless */
  refuse(jpeg.ptr, jpeg.len, MV_ERR_UNSUPPORTED, "save it as");
  mv_buf_free(&jpeg);
}
END_TEST

static void set_size(mv_buf *png, uint32_t width, uint32_t height) {
  for (int i = 0; i < 4; i++) {
    png->ptr[16 + i] = (char)(width >> (24 - 8 * i));
    png->ptr[20 + i] = (char)(height >> (24 - 8 * i));
  }
}

START_TEST(huge_and_lying_sizes_are_refused_before_allocating) {
  mv_buf png = read_data("png_c2_d8.png");
  static const uint32_t sides[][2] = {{20000, 20000}, {65536, 1}, {1, 65536}, {0xFFFFFFFF, 2}};
  fail_at counter = {.k = -1};
  mv_alloc_set_hook(fail_hook, &counter);
  for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
    set_size(&png, sides[i][0], sides[i][1]);
    refuse(png.ptr, png.len, MV_ERR_SHAPE, "too large");
  }
  set_size(&png, 9000, 9000);
  refuse(png.ptr, png.len, MV_ERR_FORMAT, "cannot hold");
  ck_assert_int_eq(counter.n_seen, 0);
  mv_alloc_set_hook(NULL, NULL);
  set_size(&png, 0, 5);
  refuse(png.ptr, png.len, MV_ERR_SHAPE, "empty");
  set_size(&png, 14, 11); /* plausible, but the header's checksum is wrong */
  refuse(png.ptr, png.len, MV_ERR_FORMAT, "damaged PNG");
  mv_buf_free(&png);
  mv_buf jpeg = read_data("jpeg_grey.jpg");
  for (size_t i = 0; i < 4; i++) set_frame_byte(&jpeg, 5 + i, i % 2 ? 0x20 : 0x4E);
  refuse(jpeg.ptr, jpeg.len, MV_ERR_SHAPE, "20000 x 20000");
  mv_buf_free(&jpeg);
}
END_TEST

START_TEST(written_png_reads_back) {
  char path[] = "/tmp/mv_test_image_XXXXXX";
  ck_assert(mkdtemp(path) != NULL);
  char file[64];
  snprintf(file, sizeof file, "%s/a.png", path);
  for (int c = 1; c <= 3; c += 2) {
    mv_image image = noise(31, 17, c, 5), again;
    ck_assert_int_eq(mv_image_save_png(&image, file, NULL), MV_OK);
    ck_assert_int_eq(mv_image_load(file, &again, NULL), MV_OK);
    ck_assert(again.width == 17 && again.height == 31 && again.channels == c);
    ck_assert_mem_eq(again.px, image.px, n_bytes(&image));
    mv_image_free(&image);
    mv_image_free(&again);
  }
  ck_assert_int_eq(unlink(file), 0);
  ck_assert_int_eq(rmdir(path), 0); /* nothing else was left there */
}
END_TEST

static mv_status attempt_encode(void *user) {
  mv_buf out = {0};
  mv_status status = mv_image_encode_png(user, &out, NULL);
  mv_buf_free(&out);
  return status;
}

START_TEST(writing_survives_every_failing_allocation) {
  mv_image image = noise(20, 30, 3, 1);
  ck_assert_int_ge(sweep_allocations(attempt_encode, &image), 2);
  mv_image_free(&image);
}
END_TEST

START_TEST(files_that_cannot_be_read_or_written_are_named) {
  mv_image image = noise(2, 2, 1, 1), none;
  mv_error err = {0};
  ck_assert_int_eq(mv_image_save_png(&image, "/nonexistent/a.png", &err), MV_ERR_IO);
  ck_assert_ptr_nonnull(strstr(err.msg, "/nonexistent/a.png"));
  ck_assert_int_eq(mv_image_load("/nonexistent/b.png", &none, &err), MV_ERR_IO);
  ck_assert_ptr_nonnull(strstr(err.msg, "/nonexistent/b.png"));
  ck_assert_int_eq(mv_image_load("tests", &none, &err), MV_ERR_IO);
  ck_assert_str_eq(err.msg, "tests: Is a directory (expected a PNG or JPEG image)");
  ck_assert_int_eq(mv_image_load("tests/check_main.h", &none, &err), MV_ERR_UNSUPPORTED);
  ck_assert_ptr_nonnull(strstr(err.msg, "tests/check_main.h"));
  mv_image_free(&image);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("image");
  TCase *tc = tcase_create("image");
  int n = sizeof some_files / sizeof *some_files;
  tcase_set_timeout(tc, 120);
  tcase_add_test(tc, decodes_every_kind_exactly);
  tcase_add_test(tc, survives_every_failing_allocation);
  tcase_add_loop_test(tc, every_truncation_is_an_error, 0, n);
  tcase_add_loop_test(tc, flipped_bits_never_crash, 0, n);
  tcase_add_test(tc, other_files_are_named);
  tcase_add_test(tc, huge_and_lying_sizes_are_refused_before_allocating);
  tcase_add_test(tc, jpegs_of_other_processes_are_unsupported);
  tcase_add_test(tc, written_png_reads_back);
  tcase_add_test(tc, writing_survives_every_failing_allocation);
  tcase_add_test(tc, files_that_cannot_be_read_or_written_are_named);
  suite_add_tcase(s, tc);
  return s;
}
MV_CHECK_MAIN(suite)
