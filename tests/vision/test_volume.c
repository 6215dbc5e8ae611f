/* Volumes: slices by stored and RAS+ axes, scaling, damage; scipy's zoom and numpy's percentile;
 * DICOM where the build has it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "tests/check_main.h"
#include "vision/dicom.h"
#include "vision/volume.h"
#include "vision/volumes.h"

#define PATH "test_volume.tmp.nii"
enum { NX = 3, NY = 4, NZ = 5 };

/* ---- a NIfTI-1 file in memory ---- */

typedef struct nii {
  unsigned char b[352 + 2 * NX * NY * NZ * 2];
  size_t n;
} nii;

static void put16(nii *f, size_t at, int v) { memcpy(f->b + at, &(int16_t){(int16_t)v}, 2); }
static void put32(nii *f, size_t at, int v) { memcpy(f->b + at, &(int32_t){v}, 4); }
static void putf(nii *f, size_t at, float v) { memcpy(f->b + at, &v, 4); }

/* Voxel [i, j, k] of frame t holds i + 10 j + 100 k + 1000 t. */
static void make(nii *f, int frames) {
  memset(f, 0, sizeof *f);
  put32(f, 0, 348);
  const int dims[8] = {frames > 1 ? 4 : 3, NX, NY, NZ, frames, 1, 1, 1};
  for (size_t i = 0; i < 8; i++) put16(f, 40 + 2 * i, dims[i]);
  put16(f, 70, 4);
  put16(f, 72, 16);
  const float zooms[4] = {1, 0.5f, 0.75f, 2};
  for (size_t i = 0; i < 4; i++) putf(f, 76 + 4 * i, zooms[i]);
  putf(f, 108, 352);
  put16(f, 254, 1);
  putf(f, 280, 0.5f), putf(f, 300, 0.75f), putf(f, 320, 2);
  memcpy(f->b + 344, "n+1", 4);
  f->n = 352;
  for (int t = 0; t < frames; t++)
    for (int k = 0; k < NZ; k++)
      for (int j = 0; j < NY; j++)
        for (int i = 0; i < NX; i++, f->n += 2) put16(f, f->n, i + 10 * j + 100 * k + 1000 * t);
}

static void write_file(const nii *f) {
  mv_error err = {0};
  ck_assert_msg(mv_file_write(PATH, f->b, f->n, &err) == MV_OK, "%s", err.msg);
}

static void open_ok(const nii *f, mv_volume *v) {
  mv_error err = {0};
  write_file(f);
  ck_assert_msg(mv_volume_open(v, PATH, &err) == MV_OK, "%s", err.msg);
}

static void refuse(const nii *f, mv_status code, const char *words) {
  mv_volume v;
  mv_error err = {0};
  write_file(f);
  ck_assert_int_eq(mv_volume_open(&v, PATH, &err), code);
  ck_assert_msg(strstr(err.msg, words) && strstr(err.msg, PATH), "'%s' does not say '%s'", err.msg,
                words);
}

static void read_slice(const mv_volume *v, mv_orientation o, int axis, int index, int frame,
                       mv_slice *s) {
  mv_error err = {0};
  ck_assert_msg(mv_volume_slice(v, o, axis, index, frame, s, &err) == MV_OK, "%s", err.msg);
}

/* ---- slices ---- */

START_TEST(first_axis_left_gives_the_rows) {
  nii f;
  mv_volume v;
  mv_slice s;
  make(&f, 1);
  open_ok(&f, &v);
  static const int unit[3] = {1, 10, 100}, n[3] = {NX, NY, NZ};
  static const float zoom[3] = {0.5f, 0.75f, 2};
  for (int axis = 0; axis < 3; axis++) {
    int a = axis == 0 ? 1 : 0, b = axis == 2 ? 1 : 2;
    read_slice(&v, MV_ORIENTATION_STORED, axis, 2, 0, &s);
    ck_assert_int_eq(s.height, n[a]);
    ck_assert_int_eq(s.width, n[b]);
    ck_assert_float_eq(s.zoom_h, zoom[a]);
    ck_assert_float_eq(s.zoom_w, zoom[b]);
    for (int i = 0; i < s.height; i++)
      for (int j = 0; j < s.width; j++)
        ck_assert_float_eq(s.px[i * s.width + j],
                           (float)(2 * unit[axis] + i * unit[a] + j * unit[b]));
    mv_slice_free(&s);
  }
  mv_volume_close(&v);
}
END_TEST

START_TEST(scales_by_slope_and_intercept) {
  nii f;
  mv_volume v;
  mv_slice s;
  make(&f, 1);
  putf(&f, 112, 0.5f);
  putf(&f, 116, -7);
  open_ok(&f, &v);
  read_slice(&v, MV_ORIENTATION_STORED, 2, 1, 0, &s);
  ck_assert_float_eq(s.px[1 * NY + 3], 131 * 0.5f - 7);
  mv_slice_free(&s);
  mv_volume_close(&v);
  putf(&f, 112, NAN); /* as nibabel: no scaling */
  open_ok(&f, &v);
  read_slice(&v, MV_ORIENTATION_STORED, 2, 1, 0, &s);
  ck_assert_float_eq(s.px[1 * NY + 3], 131);
  mv_slice_free(&s);
  mv_volume_close(&v);
}
END_TEST

START_TEST(takes_a_frame_of_a_4d_volume) {
  nii f;
  mv_volume v;
  mv_slice s;
  make(&f, 2);
  open_ok(&f, &v);
  ck_assert_int_eq(v.n_frame, 2);
  read_slice(&v, MV_ORIENTATION_STORED, 0, 1, 1, &s);
  ck_assert_float_eq(s.px[2 * NZ + 3], 1 + 20 + 300 + 1000);
  mv_slice_free(&s);
  mv_error err = {0};
  ck_assert_int_eq(mv_volume_slice(&v, MV_ORIENTATION_STORED, 0, 1, 2, &s, &err), MV_ERR_USAGE);
  ck_assert(strstr(err.msg, "frames 0 to 1") != NULL);
  mv_volume_close(&v);
}
END_TEST

START_TEST(reorients_to_ras) {
  nii f;
  mv_volume v;
  mv_slice s;
  make(&f, 1);
  /* i runs down, j to the left, k to the front */
  memset(f.b + 280, 0, 48);
  putf(&f, 284, -0.75f); /* R: -j */
  putf(&f, 304, 2);      /* A: +k */
  putf(&f, 312, -0.5f);  /* S: -i, in srow_z[0] */
  open_ok(&f, &v);
  ck_assert_int_eq(v.ras_axis[0], 1);
  ck_assert_int_eq(v.ras_axis[1], 2);
  ck_assert_int_eq(v.ras_axis[2], 0);
  ck_assert(v.ras_flip[0] && !v.ras_flip[1] && v.ras_flip[2]);
  read_slice(&v, MV_ORIENTATION_RAS, 2, 0, 0, &s); /* the lowest: i = NX - 1 */
  ck_assert_int_eq(s.height, NY);
  ck_assert_int_eq(s.width, NZ);
  ck_assert_float_eq(s.zoom_h, 0.75f);
  for (int r = 0; r < NY; r++)
    for (int c = 0; c < NZ; c++)
      ck_assert_float_eq(s.px[r * NZ + c], (float)(NX - 1 + 10 * (NY - 1 - r) + 100 * c));
  mv_slice_free(&s);
  mv_volume_close(&v);
}
END_TEST

START_TEST(reads_the_other_byte_order) {
  nii f, g;
  mv_volume v;
  mv_slice s;
  make(&f, 1);
  g = f;
  static const size_t words[][2] = {{0, 1}, {76, 4}, {108, 3}, {280, 12}};
  for (size_t w = 0; w < 4; w++)
    for (size_t i = 0; i < words[w][1]; i++)
      for (size_t b = 0; b < 4; b++)
        g.b[words[w][0] + 4 * i + b] = f.b[words[w][0] + 4 * i + 3 - b];
  for (size_t at = 40; at < 56; at += 2) g.b[at] = f.b[at + 1], g.b[at + 1] = f.b[at];
  for (size_t at = 70; at < 74; at += 2) g.b[at] = f.b[at + 1], g.b[at + 1] = f.b[at];
  for (size_t at = 252; at < 256; at += 2) g.b[at] = f.b[at + 1], g.b[at + 1] = f.b[at];
  for (size_t at = 352; at < g.n; at += 2) g.b[at] = f.b[at + 1], g.b[at + 1] = f.b[at];
  open_ok(&g, &v);
  read_slice(&v, MV_ORIENTATION_STORED, 2, 4, 0, &s);
  ck_assert_float_eq(s.px[2 * NY + 3], 432);
  mv_slice_free(&s);
  mv_volume_close(&v);
}
END_TEST

START_TEST(knows_when_spacing_is_missing) {
  nii f;
  mv_volume v;
  make(&f, 1);
  putf(&f, 84, 0);
  open_ok(&f, &v);
  ck_assert(!v.has_spacing);
  ck_assert_str_eq(v.spacing_tag, "pixdim");
  mv_volume_close(&v);
}
END_TEST

START_TEST(converts_metres_for_ras_alone) {
  nii f;
  mv_volume v;
  mv_slice s;
  mv_error err = {0};
  make(&f, 1);
  f.b[123] = 1; /* metres */
  open_ok(&f, &v);
  ck_assert_int_eq(mv_volume_slice_frame(&v, MV_ORIENTATION_STORED, 2, 0, 0, &s, &err), MV_OK);
  ck_assert_float_eq(s.zoom_h, 0.5f);
  ck_assert_int_eq(mv_volume_slice_frame(&v, MV_ORIENTATION_RAS, 2, 0, 0, &s, &err), MV_OK);
  ck_assert_float_eq(s.zoom_h, 500);
  mv_volume_close(&v);
}
END_TEST

/* ---- damage ---- */

START_TEST(refuses_damaged_headers) {
  nii f;
  make(&f, 1);
  f.n = 100;
  refuse(&f, MV_ERR_FORMAT, "348 bytes");
  make(&f, 1);
  f.b[344] = 'x';
  refuse(&f, MV_ERR_FORMAT, "not a NIfTI");
  make(&f, 1);
  put16(&f, 42, -3);
  refuse(&f, MV_ERR_FORMAT, "dim[1]");
  make(&f, 1);
  put16(&f, 40, 0);
  refuse(&f, MV_ERR_FORMAT, "dim[0]");
  make(&f, 1);
  put16(&f, 70, 32);
  refuse(&f, MV_ERR_UNSUPPORTED, "COMPLEX");
  make(&f, 1);
  putf(&f, 108, INFINITY);
  refuse(&f, MV_ERR_FORMAT, "vox_offset");
  make(&f, 1);
  putf(&f, 112, 1), putf(&f, 116, INFINITY);
  refuse(&f, MV_ERR_FORMAT, "scl_inter");
  make(&f, 1);
  f.n -= 1;
  refuse(&f, MV_ERR_FORMAT, "truncated");
}
END_TEST

START_TEST(refuses_indices_that_are_not_there) {
  nii f;
  mv_volume v;
  mv_slice s;
  make(&f, 1);
  open_ok(&f, &v);
  for (int i = 0; i < 2; i++) {
    mv_error err = {0};
    ck_assert_int_eq(mv_volume_slice(&v, MV_ORIENTATION_STORED, 1, i ? NY : -1, 0, &s, &err),
                     MV_ERR_USAGE);
    ck_assert(strstr(err.msg, "slices 0 to 3") != NULL);
  }
  mv_volume_close(&v);
}
END_TEST

static int fail_at(size_t n_bytes, void *user) {
  (void)n_bytes;
  return --*(int *)user != 0;
}

START_TEST(runs_out_of_memory_anywhere) {
  nii f;
  make(&f, 1);
  write_file(&f);
  for (int k = 1;; k++) {
    int countdown = k;
    mv_volume v = {0};
    mv_slice s = {0};
    mv_image image = {0};
    mv_error err = {0};
    mv_alloc_set_hook(fail_at, &countdown);
    mv_status status = mv_volume_open(&v, PATH, &err);
    if (status == MV_OK) status = mv_volume_slice(&v, MV_ORIENTATION_RAS, 1, 0, 0, &s, &err);
    if (status == MV_OK) status = mv_slice_reshape(&s, 8, 8, &err);
    if (status == MV_OK) status = mv_slice_to_image(&s, 0, 0, &image, &err);
    mv_alloc_set_hook(NULL, NULL);
    mv_image_free(&image);
    mv_slice_free(&s);
    mv_volume_close(&v);
    if (status == MV_OK) break;
    ck_assert_int_eq(status, MV_ERR_MEMORY);
    ck_assert_int_lt(k, 100);
  }
}
END_TEST

/* ---- intensity ---- */

START_TEST(percentiles_interpolate_as_numpy) {
  const float v[] = {1, 2, 4, 8};
  ck_assert_float_eq(mv_percentile_sorted(v, 4, 50), 3);
  ck_assert_float_eq(mv_percentile_sorted(v, 4, 100), 8);
  ck_assert_float_eq(mv_percentile_sorted(v, 1, 99.5), 1);
}
END_TEST

START_TEST(a_flat_slice_is_black) {
  float px[4] = {3, 3, 3, 3};
  mv_slice s = {2, 2, px, 1, 1};
  mv_image image = {0};
  mv_error err = {0};
  ck_assert_int_eq(mv_slice_to_image(&s, 0, 0, &image, &err), MV_OK);
  for (int i = 0; i < 4; i++) ck_assert_int_eq(image.px[i], 0);
  mv_image_free(&image);
  px[2] = NAN;
  ck_assert_int_eq(mv_slice_to_image(&s, 0, 0, &image, &err), MV_ERR_FORMAT);
}
END_TEST

START_TEST(windows_clip_and_truncate) {
  float px[4] = {-1000, -160, 40, 5000};
  mv_slice s = {2, 2, px, 1, 1};
  mv_image image = {0};
  mv_error err = {0};
  ck_assert_int_eq(mv_slice_to_image(&s, 400, 40, &image, &err), MV_OK);
  const int expected[4] = {0, 0, 127, 255};
  for (int i = 0; i < 4; i++) ck_assert_int_eq(image.px[i], expected[i]);
  mv_image_free(&image);
}
END_TEST

START_TEST(zooms_two_values_without_blending) {
  nii f;
  mv_volume v;
  mv_slice s;
  mv_error err = {0};
  make(&f, 1);
  for (size_t at = 352; at < f.n; at += 2) put16(&f, at, at % 3 ? 1 : 0);
  open_ok(&f, &v);
  read_slice(&v, MV_ORIENTATION_STORED, 2, 0, 0, &s);
  ck_assert_int_eq(mv_slice_reshape(&s, 9, 11, &err), MV_OK);
  for (int i = 0; i < 99; i++) ck_assert(s.px[i] == 0 || s.px[i] == 1);
  ck_assert_float_eq(s.zoom_h, 0.5f / 3);
  mv_slice_free(&s);
  mv_volume_close(&v);
}
END_TEST

/* ---- DICOM ---- */

START_TEST(reads_dicom_pictures_with_their_spacing) {
  static const struct {
    const char *name;
    int width, height, channels;
    float pixel_w, pixel_h;
    const char *tag;
  } files[] = {{"ct_window.dcm", 50, 40, 1, 0.5f, 0.7f, "PixelSpacing"},
               {"ct_jls.dcm", 50, 40, 1, 0.5f, 0.7f, "PixelSpacing"},
               {"signed12.dcm", 20, 30, 1, 2, 1, "PixelSpacing"},
               {"xray.dcm", 48, 64, 1, 0.143f, 0.143f, "ImagerPixelSpacing"},
               {"xray_ljpeg.dcm", 48, 64, 1, 0.143f, 0.143f, "ImagerPixelSpacing"},
               {"rle.dcm", 48, 64, 1, 0.3f, 0.2f, "PixelSpacing"},
               {"us.dcm", 32, 24, 3, 0.3f, 0.4f, "PhysicalDeltaX"},
               {"no_spacing.dcm", 48, 64, 1, 0, 0, "PixelSpacing"}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char path[128];
    mv_dicom_picture p;
    mv_error err = {0};
    snprintf(path, sizeof path, "tests/data/dicom/%s", files[i].name);
    ck_assert(mv_dicom_is_file(path));
    mv_status status = mv_dicom_load_picture(path, &p, &err);
    if (status == MV_ERR_UNSUPPORTED) return; /* a build without DCMTK says so */
    ck_assert_msg(status == MV_OK, "%s", err.msg);
    ck_assert_int_eq(p.image.width, files[i].width);
    ck_assert_int_eq(p.image.height, files[i].height);
    ck_assert_int_eq(p.image.channels, files[i].channels);
    ck_assert_float_eq(p.pixel_w, files[i].pixel_w);
    ck_assert_float_eq(p.pixel_h, files[i].pixel_h);
    ck_assert(strstr(p.spacing_tag, files[i].tag) != NULL);
    mv_dicom_picture_free(&p);
  }
}
END_TEST

/* A lossless file holds the pixels of the plain one. */
static int same_pixels(const char *a, const char *b) {
  mv_dicom_picture p, q;
  mv_error err = {0};
  if (mv_dicom_load_picture(a, &p, &err) == MV_ERR_UNSUPPORTED) return 1;
  ck_assert_msg(mv_dicom_load_picture(b, &q, &err) == MV_OK, "%s", err.msg);
  int same = !memcmp(p.image.px, q.image.px, (size_t)p.image.width * (size_t)p.image.height);
  mv_dicom_picture_free(&p);
  mv_dicom_picture_free(&q);
  return same;
}

START_TEST(decodes_compressed_dicom) {
  ck_assert(same_pixels("tests/data/dicom/xray.dcm", "tests/data/dicom/xray_ljpeg.dcm"));
  ck_assert(same_pixels("tests/data/dicom/ct_window.dcm", "tests/data/dicom/ct_jls.dcm"));
}
END_TEST

START_TEST(sorts_a_dicom_series) {
  mv_volume v;
  mv_slice s;
  mv_error err = {0};
  mv_status status = mv_volume_open(&v, "tests/data/dicom/series", &err);
  if (status == MV_ERR_UNSUPPORTED) return;
  ck_assert_msg(status == MV_OK, "%s", err.msg);
  ck_assert_int_eq(v.dim[0], 20);
  ck_assert_int_eq(v.dim[1], 16);
  ck_assert_int_eq(v.dim[2], 12);
  ck_assert_float_eq(v.zoom[0], 0.6f);
  ck_assert_float_eq(v.zoom[1], 0.8f);
  ck_assert_float_eq(v.zoom[2], 2.5f);
  ck_assert(v.ras_flip[0] && v.ras_flip[1] && !v.ras_flip[2]); /* DICOM runs left and back */
  read_slice(&v, MV_ORIENTATION_RAS, 2, 11, 0, &s);
  ck_assert_int_eq(s.height, 20);
  mv_slice_free(&s);
  mv_volume_close(&v);
}
END_TEST

static void remove_file(void) { unlink(PATH); }

/* ---- volumes kept open ---- */

/* The file of make(), compressed: one stored block of deflate. */
static void write_gzip(const nii *f) {
  mv_buf out = {0};
  mv_error err = {0};
  uint32_t crc = 0xFFFFFFFFu, n = (uint32_t)f->n;
  for (size_t i = 0; i < f->n; i++) {
    crc ^= f->b[i];
    for (int k = 0; k < 8; k++) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
  }
  crc = ~crc;
  mv_buf_add(&out, "\x1f\x8b\x08\0\0\0\0\0\0\x03\x01", 11);
  for (int part = 0; part < 2; part++) {
    mv_buf_char(&out, (char)((part ? ~n : n) & 255));
    mv_buf_char(&out, (char)((part ? ~n : n) >> 8 & 255));
  }
  mv_buf_add(&out, f->b, f->n);
  mv_buf_add(&out, (const char *)&crc, 4);
  mv_buf_add(&out, (const char *)&n, 4);
  ck_assert_int_eq(mv_file_write(PATH ".gz", out.ptr, out.len, &err), MV_OK);
  mv_buf_free(&out);
}

/* Every slice through `kept` is that of the file opened alone. Returns how many reads found the
 * voxels in memory. */
static int compare_all_slices(mv_volumes *kept, const char *path) {
  static const int sides[3] = {NX, NY, NZ};
  mv_error err = {0};
  int n = 0;
  for (int axis = 0; axis < 3; axis++)
    for (int i = 0; i < sides[axis]; i++) {
      mv_volume a, b;
      mv_slice x = {0}, y = {0};
      ck_assert_msg(mv_volumes_take(kept, path, 1, &a, &err) == MV_OK, "%s", err.msg);
      ck_assert_int_eq(mv_volume_open(&b, path, &err), MV_OK);
      n += a.inflated != NULL;
      ck_assert_int_eq(mv_volume_slice(&a, MV_ORIENTATION_STORED, axis, i, 1, &x, &err), MV_OK);
      ck_assert_int_eq(mv_volume_slice(&b, MV_ORIENTATION_STORED, axis, i, 1, &y, &err), MV_OK);
      ck_assert_mem_eq(x.px, y.px, (size_t)x.height * (size_t)x.width * sizeof *x.px);
      mv_slice_free(&x), mv_slice_free(&y);
      mv_volumes_give(kept, &a);
      mv_volume_close(&b);
    }
  return n;
}

START_TEST(a_compressed_volume_is_inflated_once_for_many_slices) {
  nii f;
  mv_volumes *kept;
  mv_error err = {0};
  make(&f, 2);
  write_gzip(&f);
  write_file(&f);
  ck_assert_int_eq(mv_volumes_new(&kept, 1 << 20, &err), MV_OK);
  ck_assert_int_eq(compare_all_slices(kept, PATH ".gz"), NX + NY + NZ - 1);
  ck_assert_int_eq(compare_all_slices(kept, PATH), 0); /* needs none */
  f.b[352] = 77;
  write_gzip(&f); /* another file now */
  ck_assert_int_eq(compare_all_slices(kept, PATH ".gz"), NX + NY + NZ - 1);
  mv_volumes_free(kept);
  ck_assert_int_eq(mv_volumes_new(&kept, 100, &err), MV_OK); /* less than the voxels */
  ck_assert_int_eq(compare_all_slices(kept, PATH ".gz"), 0);
  mv_volumes_free(kept);
  ck_assert_int_eq(compare_all_slices(NULL, PATH ".gz"), 0);
  unlink(PATH ".gz");
  unlink(PATH);
}
END_TEST

START_TEST(volumes_that_cannot_be_opened_are_not_kept) {
  mv_volumes *kept;
  mv_volume v;
  mv_error err = {0};
  ck_assert_int_eq(mv_volumes_new(&kept, 1 << 20, &err), MV_OK);
  ck_assert_int_eq(mv_volumes_take(kept, "none.nii", 1, &v, &err), MV_ERR_IO);
  ck_assert_int_eq(mv_file_write(PATH, "damaged", 7, &err), MV_OK);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(mv_volumes_take(kept, PATH, 1, &v, &err), MV_ERR_FORMAT);
  mv_volumes_give(kept, &v);
  mv_volumes_free(kept);
  unlink(PATH);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("volume");
  TCase *tc = tcase_create("volume");
  tcase_add_checked_fixture(tc, NULL, remove_file);
  tcase_add_test(tc, first_axis_left_gives_the_rows);
  tcase_add_test(tc, scales_by_slope_and_intercept);
  tcase_add_test(tc, takes_a_frame_of_a_4d_volume);
  tcase_add_test(tc, reorients_to_ras);
  tcase_add_test(tc, reads_the_other_byte_order);
  tcase_add_test(tc, knows_when_spacing_is_missing);
  tcase_add_test(tc, converts_metres_for_ras_alone);
  tcase_add_test(tc, refuses_damaged_headers);
  tcase_add_test(tc, refuses_indices_that_are_not_there);
  tcase_add_test(tc, runs_out_of_memory_anywhere);
  tcase_add_test(tc, percentiles_interpolate_as_numpy);
  tcase_add_test(tc, a_flat_slice_is_black);
  tcase_add_test(tc, windows_clip_and_truncate);
  tcase_add_test(tc, zooms_two_values_without_blending);
  tcase_add_test(tc, a_compressed_volume_is_inflated_once_for_many_slices);
  tcase_add_test(tc, volumes_that_cannot_be_opened_are_not_kept);
  tcase_add_test(tc, reads_dicom_pictures_with_their_spacing);
  tcase_add_test(tc, decodes_compressed_dicom);
  tcase_add_test(tc, sorts_a_dicom_series);
  suite_add_tcase(s, tc);
  return s;
}

MV_CHECK_MAIN(suite)
