/* EXIF orientation: finding it in a TIFF block, and turning the pixels. */
#include <string.h>

#include "runtime/memory.h"
#include "vision/codec.h"

#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT 3

static uint32_t read_int(const uint8_t *p, int n_bytes, int little) {
  uint32_t v = 0;
  for (int i = 0; i < n_bytes; i++) v |= (uint32_t)p[i] << 8 * (little ? i : n_bytes - 1 - i);
  return v;
}

int mv_exif_orientation(const uint8_t *tiff, size_t n) {
  if (n < 8) return 1;
  int little = memcmp(tiff, "II*\0", 4) == 0;
  if (!little && memcmp(tiff, "MM\0*", 4) != 0) return 1;
  size_t ifd = read_int(tiff + 4, 4, little);
  if (ifd > n || n - ifd < 2) return 1;
  size_t n_entry = read_int(tiff + ifd, 2, little);
  const uint8_t *entry = tiff + ifd + 2, *end = tiff + n;
  for (; n_entry > 0 && end - entry >= 12; n_entry--, entry += 12) {
    if (read_int(entry, 2, little) != TAG_ORIENTATION) continue;
    uint32_t type = read_int(entry + 2, 2, little), count = read_int(entry + 4, 4, little);
    uint32_t value = read_int(entry + 8, 2, little);
    return type == TYPE_SHORT && count == 1 && value >= 1 && value <= 8 ? (int)value : 1;
  }
  return 1;
}

mv_status mv_image_orient(mv_image *image, mv_error *err) {
  int o = image->orientation, w = image->width, h = image->height;
  int transposed = o >= 5;
  if (o <= 1) return MV_OK;
  image->width = transposed ? h : w;
  image->height = transposed ? w : h;
  if (!image->px) return MV_OK; /* header only */
  ptrdiff_t c = image->channels, row = (ptrdiff_t)w * c;
  uint8_t *turned = mv_alloc((size_t)h * (size_t)row);
  if (!turned) return mv_fail(err, MV_ERR_MEMORY, "out of memory turning a %d x %d image", w, h);
  /* Where the first pixel of the turned image lies in the stored one, and one step right, down. */
  ptrdiff_t last_x = (w - 1) * c, last_y = (h - 1) * row;
  ptrdiff_t first = (o == 2 || o == 3 || o == 7 || o == 8 ? last_x : 0) +
                    (o == 3 || o == 4 || o == 6 || o == 7 ? last_y : 0);
  ptrdiff_t right = transposed ? (o == 6 || o == 7 ? -row : row) : (o == 2 || o == 3 ? -c : c);
  ptrdiff_t down = transposed ? (o == 7 || o == 8 ? -c : c) : (o == 3 || o == 4 ? -row : row);
  uint8_t *dst = turned;
  for (int y = 0; y < image->height; y++)
    for (int x = 0; x < image->width; x++, dst += c)
      memcpy(dst, image->px + first + y * down + x * right, (size_t)c);
  mv_free(image->px);
  image->px = turned;
  return MV_OK;
}
