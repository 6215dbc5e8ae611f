/* PNG through libpng. Its errors leave by longjmp to a frame of ours that holds no state of its
 * own: everything lives in the `codec` that the caller owns. Warnings are dropped. */
#include <png.h>
#include <setjmp.h>
#include <string.h>

#include "runtime/memory.h"
#include "vision/codec.h"

/* Deflate cannot expand more than this, so a header promising more pixels is lying. */
#define DEFLATE_MAX_RATIO 1032u

typedef struct codec {
  jmp_buf env;
  png_structp png;
  png_infop info;
  const uint8_t *bytes; /* reader: the file (borrowed) and how far it was read */
  size_t n, pos;
  mv_buf *sink; /* writer */
  int out_of_memory;
  char message[160];
} codec;

static void on_error(png_structp png, png_const_charp message) {
  codec *c = png_get_error_ptr(png);
  snprintf(c->message, sizeof c->message, "%s", message);
  longjmp(c->env, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static png_voidp on_malloc(png_structp png, png_alloc_size_t n) {
  codec *c = png_get_mem_ptr(png);
  void *ptr = mv_alloc(n);
  if (!ptr) c->out_of_memory = 1;
  return ptr;
}

static void on_free(png_structp png, png_voidp ptr) {
  (void)png;
  mv_free(ptr);
}

static void on_read(png_structp png, png_bytep out, size_t n) {
  codec *c = png_get_io_ptr(png);
  if (n > c->n - c->pos) png_error(png, "the file ends too early");
  memcpy(out, c->bytes + c->pos, n);
  c->pos += n;
}

static void on_write(png_structp png, png_bytep bytes, size_t n) {
  codec *c = png_get_io_ptr(png);
  mv_buf_add(c->sink, bytes, n);
  if (c->sink->failed) {
    c->out_of_memory = 1;
    png_error(png, "out of memory");
  }
}

static void on_flush(png_structp png) { (void)png; }

static mv_status failure(const codec *c, mv_error *err) {
  if (c->out_of_memory) return mv_fail(err, MV_ERR_MEMORY, "out of memory for a PNG");
  return mv_fail(err, MV_ERR_FORMAT, "damaged PNG: %s", c->message);
}

static uint32_t big_endian(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Signature (8), length (4), "IHDR", width (4), height (4), bit depth, colour type, ... */
static mv_status check_header(const uint8_t *bytes, size_t n, mv_error *err) {
  if (n < 33 || memcmp(bytes + 12, "IHDR", 4) != 0)
    return mv_fail(err, MV_ERR_FORMAT, "damaged PNG: it has no header");
  uint64_t width = big_endian(bytes + 16), height = big_endian(bytes + 20);
  MV_TRY(mv_image_check_size(width, height, err));
  static const uint8_t samples[7] = {1, 0, 3, 1, 2, 0, 4}; /* by colour type */
  uint64_t bits = (uint64_t)bytes[24] * (bytes[25] < 7 ? samples[bytes[25]] : 0);
  if (width * height * bits / 8 / DEFLATE_MAX_RATIO > n)
    return mv_fail(err, MV_ERR_FORMAT,
                   "damaged PNG: %zu bytes cannot hold the %llu x %llu pixels it promises", n,
                   (unsigned long long)width, (unsigned long long)height);
  return MV_OK;
}

/* Asks libpng for 8-bit grey, grey+alpha, RGB or RGBA. Fills the shape of `out`, where channels
 * still counts alpha. */
static void read_header(codec *c, mv_image *out) {
  png_set_user_limits(c->png, MV_IMAGE_MAX_SIDE, MV_IMAGE_MAX_SIDE);
  png_set_chunk_cache_max(c->png, 8); /* text and profiles are of no use here */
  png_set_chunk_malloc_max(c->png, 1 << 20);
  png_read_info(c->png, c->info);
  out->width = (int)png_get_image_width(c->png, c->info);
  out->height = (int)png_get_image_height(c->png, c->info);
  out->was_16bit = png_get_bit_depth(c->png, c->info) == 16;
#ifdef PNG_eXIf_SUPPORTED
  png_uint_32 n_exif = 0;
  png_bytep exif = NULL;
  if (png_get_eXIf_1(c->png, c->info, &n_exif, &exif))
    out->orientation = mv_exif_orientation(exif, n_exif);
#endif
  png_set_expand(c->png);
  png_set_scale_16(c->png);
  png_set_interlace_handling(c->png);
  png_read_update_info(c->png, c->info);
  out->channels = png_get_channels(c->png, c->info);
  out->had_alpha = out->channels == 2 || out->channels == 4;
}

static void read_rows(codec *c, mv_image *out) {
  int n_pass = png_get_interlace_type(c->png, c->info) == PNG_INTERLACE_ADAM7 ? 7 : 1;
  size_t row = (size_t)out->width * (size_t)out->channels;
  for (int pass = 0; pass < n_pass; pass++)
    for (int y = 0; y < out->height; y++) png_read_row(c->png, out->px + (size_t)y * row, NULL);
  png_read_end(c->png, NULL); /* checks what follows the last row */
}

/* Composites on black, in place, and drops the alpha channel. */
static void drop_alpha(mv_image *out) {
  size_t n = (size_t)out->width * (size_t)out->height;
  int n_from = out->channels, n_to = n_from - 1;
  const uint8_t *src = out->px;
  uint8_t *dst = out->px;
  for (size_t i = 0; i < n; i++, src += n_from, dst += n_to) {
    unsigned alpha = src[n_to];
    for (int k = 0; k < n_to; k++) dst[k] = (uint8_t)((src[k] * alpha + 127) / 255);
  }
  out->channels = n_to;
  uint8_t *smaller = mv_realloc(out->px, n * (size_t)n_to);
  if (smaller) out->px = smaller;
}

static mv_status decode_in_frame(codec *c, mv_decode_what what, mv_image *out, mv_error *err) {
  if (setjmp(c->env)) return failure(c, err);
  c->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, c, on_error, on_warning, c, on_malloc,
                                    on_free);
  c->info = c->png ? png_create_info_struct(c->png) : NULL;
  if (!c->info) return mv_fail(err, MV_ERR_MEMORY, "out of memory for a PNG");
  png_set_read_fn(c->png, c, on_read);
  read_header(c, out);
  if (what == MV_DECODE_PIXELS) {
    out->px = mv_calloc((size_t)out->width * (size_t)out->height, (size_t)out->channels);
    if (!out->px)
      return mv_fail(err, MV_ERR_MEMORY, "out of memory for an image of %d x %d pixels", out->width,
                     out->height);
    read_rows(c, out);
    if (out->had_alpha) drop_alpha(out);
  } else if (out->had_alpha) {
    out->channels--;
  }
  return MV_OK;
}

mv_status mv_png_decode(const uint8_t *bytes, size_t n, mv_decode_what what, mv_image *out,
                        mv_error *err) {
  MV_TRY(check_header(bytes, n, err));
  codec c = {.bytes = bytes, .n = n};
  mv_status status = decode_in_frame(&c, what, out, err);
  png_destroy_read_struct(&c.png, &c.info, NULL);
  return status;
}

static mv_status encode_in_frame(codec *c, const mv_image *image, mv_error *err) {
  if (setjmp(c->env)) return failure(c, err);
  c->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, c, on_error, on_warning, c, on_malloc,
                                     on_free);
  c->info = c->png ? png_create_info_struct(c->png) : NULL;
  if (!c->info) return mv_fail(err, MV_ERR_MEMORY, "out of memory for a PNG");
  png_set_write_fn(c->png, c, on_write, on_flush);
  png_set_IHDR(c->png, c->info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
               image->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(c->png, c->info);
  size_t row = (size_t)image->width * (size_t)image->channels;
  for (int y = 0; y < image->height; y++) png_write_row(c->png, image->px + (size_t)y * row);
  png_write_end(c->png, c->info);
  return MV_OK;
}

mv_status mv_image_encode_png(const mv_image *image, mv_buf *out, mv_error *err) {
  codec c = {.sink = out};
  mv_status status = encode_in_frame(&c, image, err);
  png_destroy_write_struct(&c.png, &c.info);
  return status;
}
