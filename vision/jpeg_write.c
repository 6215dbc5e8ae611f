/* Writing JPEG: small pictures for pages. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include "vision/image.h"

typedef struct fault {
  struct jpeg_error_mgr base;
  jmp_buf back;
} fault;

static void on_error(j_common_ptr info) { longjmp(((fault *)info->err)->back, 1); }

typedef struct sink {
  struct jpeg_destination_mgr base;
  unsigned char chunk[4096];
  mv_buf *out;
} sink;

static void begin(j_compress_ptr info) {
  sink *s = (sink *)info->dest;
  s->base.next_output_byte = s->chunk;
  s->base.free_in_buffer = sizeof s->chunk;
}

static boolean flush(j_compress_ptr info) {
  sink *s = (sink *)info->dest;
  mv_buf_add(s->out, s->chunk, sizeof s->chunk);
  begin(info);
  return TRUE;
}

static void end(j_compress_ptr info) {
  sink *s = (sink *)info->dest;
  mv_buf_add(s->out, s->chunk, sizeof s->chunk - s->base.free_in_buffer);
}

mv_status mv_image_encode_jpeg(const mv_image *image, int quality, mv_buf *out, mv_error *err) {
  struct jpeg_compress_struct info;
  fault f;
  sink s;
  memset(&info, 0, sizeof info);
  info.err = jpeg_std_error(&f.base);
  f.base.error_exit = on_error;
  s.base.init_destination = begin;
  s.base.empty_output_buffer = flush;
  s.base.term_destination = end;
  s.out = out;
  if (setjmp(f.back)) {
    jpeg_destroy_compress(&info);
    return mv_fail(err, MV_ERR_MEMORY, "a %d x %d picture cannot be written as JPEG", image->width,
                   image->height);
  }
  jpeg_create_compress(&info);
  info.dest = &s.base;
  info.image_width = (JDIMENSION)image->width;
  info.image_height = (JDIMENSION)image->height;
  info.input_components = image->channels;
  info.in_color_space = image->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    JSAMPROW row =
        image->px + (size_t)info.next_scanline * (size_t)image->width * (size_t)image->channels;
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  return mv_buf_status(out, err);
}
