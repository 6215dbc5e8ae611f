/* Inside vision/: the decoders behind mv_image_decode. */
#ifndef MV_VISION_CODEC_H
#define MV_VISION_CODEC_H

#include "vision/image.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mv_decode_what { MV_DECODE_HEADER, MV_DECODE_PIXELS } mv_decode_what;

/* Fill width, height (as stored), channels, the flags and `orientation` (not yet applied); with
 * MV_DECODE_PIXELS also `px`. On failure `out` may hold pixels that the caller frees. */
mv_status mv_png_decode(const uint8_t *bytes, size_t n, mv_decode_what what, mv_image *out,
                        mv_error *err);
mv_status mv_jpeg_decode(const uint8_t *bytes, size_t n, mv_decode_what what, mv_image *out,
                         mv_error *err);

/* The limits of image.h, as one sentence. */
mv_status mv_image_check_size(uint64_t width, uint64_t height, mv_error *err);

/* The orientation (1..8) that a TIFF block of EXIF data names; 1 when it names none or is broken.
 */
int mv_exif_orientation(const uint8_t *tiff, size_t n);

/* Turns the pixels as `image->orientation` asks (width and height swap for 5..8). */
mv_status mv_image_orient(mv_image *image, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
