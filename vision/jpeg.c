/* JPEG through libjpeg-turbo. Its errors leave by longjmp to a frame of ours that holds no state
 * of its own: everything lives in the `reader` that the caller owns. */
#include <stdio.h> /* jpeglib.h needs FILE and size_t first */
/* */
#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <string.h>

#include "runtime/memory.h"
#include "vision/codec.h"

/* A progressive file may hold any number of scans, each costing a pass over the whole image. */
#define MAX_SCANS 500

typedef struct reader {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf env;
  mv_status status;
  uint8_t *cmyk; /* owns: one row, [width, 4] */
  char message[JMSG_LENGTH_MAX];
} reader;

static mv_status status_of(int msg_code) {
  switch (msg_code) {
    case JERR_OUT_OF_MEMORY:
      return MV_ERR_MEMORY;
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION: /* 12 bits a sample */
    case JERR_CONVERSION_NOTIMPL:
    case JERR_SOF_UNSUPPORTED: /* lossless, hierarchical */
      return MV_ERR_UNSUPPORTED;
    default:
      return MV_ERR_FORMAT;
  }
}

static void on_error(j_common_ptr common) {
  reader *r = common->client_data;
  r->status = status_of(common->err->msg_code);
  common->err->format_message(common, r->message);
  longjmp(r->env, 1);
}

/* Level -1 is a warning: libjpeg goes on and invents the missing pixels. We do so only for slips
 * that leave the picture whole. */
static void on_message(j_common_ptr common, int level) {
  if (level >= 0) return;
  switch (common->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_TOO_MUCH_DATA:
      return;
    default:
      on_error(common);
  }
}

static void on_output(j_common_ptr common) { (void)common; }

static void on_progress(j_common_ptr common) {
  reader *r = common->client_data;
  if (r->jpeg.input_scan_number <= MAX_SCANS) return;
  r->status = MV_ERR_FORMAT;
  snprintf(r->message, sizeof r->message, "more than %d scans", MAX_SCANS);
  longjmp(r->env, 1);
}

static void read_orientation(reader *r, mv_image *out) {
  for (jpeg_saved_marker_ptr m = r->jpeg.marker_list; m; m = m->next) {
    if (m->marker != JPEG_APP0 + 1 || m->data_length < 6) continue;
    if (memcmp(m->data, "Exif\0\0", 6) != 0) continue;
    out->orientation = mv_exif_orientation(m->data + 6, m->data_length - 6);
    return;
  }
}

static mv_status choose_output(reader *r, mv_image *out, mv_error *err) {
  J_COLOR_SPACE stored = r->jpeg.jpeg_color_space;
  int n = r->jpeg.num_components;
  if (stored == JCS_GRAYSCALE && n == 1) {
    r->jpeg.out_color_space = JCS_GRAYSCALE;
  } else if ((stored == JCS_YCbCr || stored == JCS_RGB) && n == 3) {
    r->jpeg.out_color_space = JCS_RGB;
  } else if ((stored == JCS_CMYK || stored == JCS_YCCK) && n == 4) {
    r->jpeg.out_color_space = JCS_CMYK;
  } else {
    return mv_fail(err, MV_ERR_UNSUPPORTED,
                   "JPEG with %d components in an unknown colour space (save it as grey or RGB)",
                   n);
  }
  out->width = (int)r->jpeg.image_width;
  out->height = (int)r->jpeg.image_height;
  out->channels = n == 1 ? 1 : 3;
  return MV_OK;
}

static uint8_t mul_255(unsigned a, unsigned b) { /* round(a * b / 255) */
  unsigned t = a * b + 128;
  return (uint8_t)((t + (t >> 8)) >> 8);
}

/* CMYK in JPEG follows Adobe and is stored inverted: 255 means no ink. */
static void cmyk_to_rgb(const uint8_t *cmyk, size_t n, uint8_t *rgb) {
  for (size_t i = 0; i < n; i++, cmyk += 4, rgb += 3)
    for (int k = 0; k < 3; k++) rgb[k] = (uint8_t)(cmyk[3] - mul_255(255u - cmyk[k], cmyk[3]));
}

static mv_status read_rows(reader *r, mv_image *out, mv_error *err) {
  size_t row = (size_t)out->width * (size_t)out->channels;
  int is_cmyk = r->jpeg.out_color_space == JCS_CMYK;
  out->px = mv_alloc((size_t)out->height * row);
  if (is_cmyk) r->cmyk = mv_alloc((size_t)out->width * 4);
  if (!out->px || (is_cmyk && !r->cmyk))
    return mv_fail(err, MV_ERR_MEMORY, "out of memory for an image of %d x %d pixels", out->width,
                   out->height);
  jpeg_start_decompress(&r->jpeg);
  while (r->jpeg.output_scanline < r->jpeg.output_height) {
    uint8_t *dst = out->px + (size_t)r->jpeg.output_scanline * row;
    JSAMPROW target = is_cmyk ? r->cmyk : dst;
    if (jpeg_read_scanlines(&r->jpeg, &target, 1) == 1 && is_cmyk)
      cmyk_to_rgb(r->cmyk, (size_t)out->width, dst);
  }
  return MV_OK;
}

static mv_status failure(const reader *r, mv_error *err) {
  if (r->status == MV_ERR_MEMORY) return mv_fail(err, MV_ERR_MEMORY, "out of memory for a JPEG");
  if (r->status == MV_ERR_UNSUPPORTED)
    return mv_fail(err, MV_ERR_UNSUPPORTED, "%s (save it as an 8-bit baseline JPEG or as PNG)",
                   r->message);
  return mv_fail(err, r->status, "damaged JPEG: %s", r->message);
}

static mv_status decode_in_frame(reader *r, const uint8_t *bytes, size_t n, mv_decode_what what,
                                 mv_image *out, mv_error *err) {
  if (setjmp(r->env)) return failure(r, err);
  jpeg_create_decompress(&r->jpeg);
  r->jpeg.progress = &r->progress;
  jpeg_mem_src(&r->jpeg, bytes, (unsigned long)n);
  jpeg_save_markers(&r->jpeg, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&r->jpeg, TRUE);
  MV_TRY(mv_image_check_size(r->jpeg.image_width, r->jpeg.image_height, err));
  MV_TRY(choose_output(r, out, err));
  read_orientation(r, out);
  return what == MV_DECODE_PIXELS ? read_rows(r, out, err) : MV_OK;
}

mv_status mv_jpeg_decode(const uint8_t *bytes, size_t n, mv_decode_what what, mv_image *out,
                         mv_error *err) {
  reader r = {0};
  r.jpeg.err = jpeg_std_error(&r.errors);
  r.jpeg.client_data = &r;
  r.errors.error_exit = on_error;
  r.errors.emit_message = on_message;
  r.errors.output_message = on_output;
  r.progress.progress_monitor = on_progress;
  mv_status status = decode_in_frame(&r, bytes, n, what, out, err);
  jpeg_destroy_decompress(&r.jpeg);
  mv_free(r.cmyk);
  return status;
}
