#include "vision/image.h"

#include <stdio.h>
#include <string.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "vision/codec.h"

void mv_image_free(mv_image *image) {
  mv_free(image->px);
  memset(image, 0, sizeof *image);
}

mv_status mv_image_check_size(uint64_t width, uint64_t height, mv_error *err) {
  if (width < 1 || height < 1)
    return mv_fail(err, MV_ERR_SHAPE, "image is empty (%llu x %llu pixels)",
                   (unsigned long long)width, (unsigned long long)height);
  if (width > MV_IMAGE_MAX_SIDE || height > MV_IMAGE_MAX_SIDE ||
      width * height > MV_IMAGE_MAX_PIXELS)
    return mv_fail(err, MV_ERR_SHAPE,
                   "image is too large: %llu x %llu pixels, the limit is %d megapixels and %d a "
                   "side (scale it down first)",
                   (unsigned long long)width, (unsigned long long)height,
                   MV_IMAGE_MAX_PIXELS / 1000000, MV_IMAGE_MAX_SIDE);
  return MV_OK;
}

mv_status mv_image_init(mv_image *image, int width, int height, int channels, mv_error *err) {
  memset(image, 0, sizeof *image);
  MV_TRY(
      mv_image_check_size(width < 0 ? 0 : (uint64_t)width, height < 0 ? 0 : (uint64_t)height, err));
  size_t n = (size_t)width * (size_t)height * (size_t)channels;
  image->px = mv_alloc(n);
  if (!image->px)
    return mv_fail(err, MV_ERR_MEMORY, "out of memory for an image of %d x %d pixels", width,
                   height);
  image->width = width;
  image->height = height;
  image->channels = channels;
  image->orientation = 1;
  return MV_OK;
}

static int starts_with(const uint8_t *bytes, size_t n, const char *magic, size_t n_magic) {
  return n >= n_magic && memcmp(bytes, magic, n_magic) == 0;
}

/* What a file that is neither PNG nor JPEG seems to be, for the message. */
static const char *other_format(const uint8_t *bytes, size_t n) {
  if (starts_with(bytes, n, "GIF8", 4)) return "a GIF";
  if (starts_with(bytes, n, "BM", 2)) return "a BMP";
  if (starts_with(bytes, n, "II*\0", 4) || starts_with(bytes, n, "MM\0*", 4)) return "a TIFF";
  if (starts_with(bytes, n, "RIFF", 4) && n >= 12 && memcmp(bytes + 8, "WEBP", 4) == 0)
    return "a WebP";
  if (starts_with(bytes, n, "\0\0\0\x0cjP  ", 8) || starts_with(bytes, n, "\xff\x4f\xff\x51", 4))
    return "a JPEG 2000";
  if (n >= 132 && memcmp(bytes + 128, "DICM", 4) == 0) return "a DICOM file";
  if (n >= 348 && (memcmp(bytes + 344, "n+1", 3) == 0 || memcmp(bytes + 344, "ni1", 3) == 0))
    return "a NIfTI volume";
  if (starts_with(bytes, n, "\x1f\x8b", 2)) return "gzip data (a .nii.gz volume?)";
  return "something else";
}

static mv_status decode(const uint8_t *bytes, size_t n, mv_decode_what what, mv_image *out,
                        mv_error *err) {
  if (n == 0) return mv_fail(err, MV_ERR_FORMAT, "image file is empty");
  if (starts_with(bytes, n, "\x89PNG\r\n\x1a\n", 8)) return mv_png_decode(bytes, n, what, out, err);
  if (starts_with(bytes, n, "\xff\xd8\xff", 3)) return mv_jpeg_decode(bytes, n, what, out, err);
  return mv_fail(err, MV_ERR_UNSUPPORTED, "expected a PNG or JPEG image, this is %s",
                 other_format(bytes, n));
}

static mv_status decode_oriented(const void *bytes, size_t n, mv_decode_what what, mv_image *out,
                                 mv_error *err) {
  memset(out, 0, sizeof *out);
  out->orientation = 1;
  mv_status status = decode(bytes, n, what, out, err);
  if (status == MV_OK) status = mv_image_orient(out, err);
  if (status != MV_OK) mv_image_free(out);
  return status;
}

mv_status mv_image_decode(const void *bytes, size_t n, mv_image *out, mv_error *err) {
  return decode_oriented(bytes, n, MV_DECODE_PIXELS, out, err);
}

mv_status mv_image_probe(const void *bytes, size_t n, mv_image *out, mv_error *err) {
  return decode_oriented(bytes, n, MV_DECODE_HEADER, out, err);
}

mv_status mv_image_read(const char *path, mv_buf *out, mv_error *err) {
  mv_error why;
  mv_status status = mv_file_read(path, MV_IMAGE_MAX_FILE_BYTES, out, &why);
  if (status == MV_OK) return MV_OK;
  return mv_fail(err, status, "%s (expected a PNG or JPEG image)", why.msg);
}

mv_status mv_image_load(const char *path, mv_image *out, mv_error *err) {
  memset(out, 0, sizeof *out);
  mv_buf bytes = {0};
  mv_status status = mv_image_read(path, &bytes, err);
  if (status == MV_OK) {
    status = mv_image_decode(bytes.ptr, bytes.len, out, err);
    if (status != MV_OK) mv_error_prefix(err, "%s", path);
  }
  mv_buf_free(&bytes);
  return status;
}

mv_status mv_image_save_png(const mv_image *image, const char *path, mv_error *err) {
  mv_buf bytes = {0};
  mv_status status = mv_image_encode_png(image, &bytes, err);
  if (status == MV_OK) status = mv_file_write(path, bytes.ptr, bytes.len, err);
  mv_buf_free(&bytes);
  return status;
}
