/* Anti-aliased marks on an RGB image: strokes, discs, text.
 *
 * Coordinates are pixels, continuous: (0, 0) is the upper-left corner of the first pixel, whose
 * centre is (0.5, 0.5). Whatever falls outside the image is clipped; a mark with a coordinate that
 * is not finite is not drawn. Nothing here allocates or fails.
 */
#ifndef MV_VISION_DRAW_H
#define MV_VISION_DRAW_H

#include "vision/image.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_ink {
  uint8_t r, g, b;
  float alpha; /* 0 invisible .. 1 opaque */
} mv_ink;

typedef struct mv_draw_point {
  double x, y;
} mv_draw_point;

/* A straight stroke with round ends; `dash` is the length of its dashes and gaps, 0 for none. */
void mv_draw_line(mv_image *image, mv_draw_point a, mv_draw_point b, double width, double dash,
                  mv_ink ink);
void mv_draw_disc(mv_image *image, mv_draw_point center, double radius, mv_ink ink);
/* Fills the pixels from (x0, y0) up to but without (x1, y1). */
void mv_draw_rect(mv_image *image, int x0, int y0, int x1, int y1, mv_ink ink);

/* UTF-8 text whose first glyph's upper-left corner is (x, y), one font pixel being `size` pixels.
 * `halo` pixels around it are darkened (0 for none). Control characters print as spaces. */
void mv_draw_text(mv_image *image, int x, int y, int size, int halo, mv_str text, mv_ink ink);
/* Width in pixels that mv_draw_text covers. */
int mv_draw_text_width(int size, mv_str text);

#ifdef __cplusplus
}
#endif
#endif
