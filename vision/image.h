/* Pictures in memory, and the files they come from.
 *
 *   bytes ── magic number ──► PNG or JPEG decoder ──► mv_image ──► resize ──► patches
 *                             (volumes produce an mv_image too, one slice at a time)
 *
 * An mv_image is 8-bit, grey (1 channel) or RGB (3, interleaved), rows from the top, no padding.
 * Whatever a file holds is brought to that form here, once, by rules with no choice left:
 *
 *   16-bit samples   round(v * 255 / 65535), noted in `was_16bit`
 *   1, 2, 4 bits     spread over 0..255 (v * 255 / (2^bits - 1), always whole)
 *   palette          RGB
 *   alpha            composited on black, (v * a + 127) / 255 after the step to 8 bits, noted in
 *                    `had_alpha`
 *   CMYK, YCCK       R = (255-K) * (255-C) / 255 rounded, and so on (as Pillow does)
 *   EXIF orientation applied to the pixels, noted in `orientation`
 *   gamma, ICC       ignored, as the reference does
 *
 * Grey is decided by the file's colour type, not by looking at the pixels.
 *
 * Sizes are read from the header and checked before anything is allocated. A damaged or truncated
 * file is an error, never a half-grey picture: a measurement on it would look real.
 */
#ifndef MV_VISION_IMAGE_H
#define MV_VISION_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"
#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_IMAGE_MAX_SIDE 65535       /* pixels */
#define MV_IMAGE_MAX_PIXELS 100000000 /* 300 MB as RGB; decoders need up to three times that */
#define MV_IMAGE_MAX_FILE_BYTES (512u << 20) /* read limit of mv_image_load */

/* Zero-initialise; owns `px`; free with mv_image_free. */
typedef struct mv_image {
  int width, height; /* pixels, after orientation */
  int channels;      /* 1 grey, 3 RGB */
  uint8_t *px;       /* [height, width, channels] */
  int was_16bit;     /* the file held 16-bit samples */
  int had_alpha;     /* the file held alpha or a transparent colour */
  int orientation;   /* EXIF 1..8 as found and already applied; 1 when the file names none */
} mv_image;

void mv_image_free(mv_image *image); /* accepts a zeroed image; leaves it zeroed */

/* Allocates an image of the given shape, pixels undefined. MV_ERR_SHAPE beyond the limits above. */
mv_status mv_image_init(mv_image *image, int width, int height, int channels, mv_error *err);

/* Decodes a PNG or JPEG, told apart by content. Fills `out` (zeroed on failure). MV_ERR_FORMAT for
 * damaged files, MV_ERR_SHAPE beyond the limits, MV_ERR_UNSUPPORTED for other formats. */
mv_status mv_image_decode(const void *bytes, size_t n, mv_image *out, mv_error *err);

/* Reads the header alone: fills width, height (after orientation) and channels; no pixels. */
mv_status mv_image_probe(const void *bytes, size_t n, mv_image *out, mv_error *err);

/* Reads a picture file as it is; `out` is cleared first. */
mv_status mv_image_read(const char *path, mv_buf *out, mv_error *err);

/* Reads and decodes a file ("-" is standard input); messages begin with the path. */
mv_status mv_image_load(const char *path, mv_image *out, mv_error *err);

/* Appends the image as PNG. */
mv_status mv_image_encode_png(const mv_image *image, mv_buf *out, mv_error *err);
/* The same as JPEG, quality 1 to 100. */
mv_status mv_image_encode_jpeg(const mv_image *image, int quality, mv_buf *out, mv_error *err);
/* Writes a PNG that appears by rename. */
mv_status mv_image_save_png(const mv_image *image, const char *path, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
