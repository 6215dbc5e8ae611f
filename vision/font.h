/* A bitmap font for captions: printable ASCII and the degree sign. */
#ifndef MV_VISION_FONT_H
#define MV_VISION_FONT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MV_FONT_COLS 5 /* of a glyph; the next one starts MV_FONT_ADVANCE further right */
#define MV_FONT_ROWS 9 /* seven above the base line, two below */
#define MV_FONT_ADVANCE 6

/* Borrows the rows of a code point's glyph, top first, bit 4 leftmost. Dashes, the multiplication
 * sign and single quotation marks become their ASCII cousins, all else unknown a '?'. */
const uint8_t *mv_font_glyph(uint32_t cp);

#ifdef __cplusplus
}
#endif
#endif
