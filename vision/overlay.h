/* A picture of a measurement: the image as the model saw it, marks on it, captions below.
 *
 *   mv_overlay o = {0};
 *   mv_overlay_init(&o, &pixels.seen, err);
 *   mv_overlay_line(&o, major[0], major[1], MV_PEN_PREDICTION);
 *   mv_overlay_mark(&o, landmark, "1", MV_PEN_PREDICTION);
 *   mv_overlay_caption(&o, "predicted 24.1 mm", MV_PEN_PREDICTION, err);
 *   mv_overlay_save(&o, "out.png", err);
 *   mv_overlay_free(&o);
 *
 * Coordinates are the model's: relative, 0..1, origin at the image's lower-left corner, x right,
 * y up. Values outside are moved to the border; a mark with a NaN is left out.
 *
 * Small images are enlarged by a whole factor so that marks and text stay legible. Predictions are
 * amber, truth is blue and dashed: they differ in more than colour and stand out on grey.
 */
#ifndef MV_VISION_OVERLAY_H
#define MV_VISION_OVERLAY_H

#include "vision/draw.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mv_pen { MV_PEN_NONE = 0, MV_PEN_PREDICTION, MV_PEN_TRUTH } mv_pen;

#define MV_OVERLAY_MAX_CAPTIONS 32

/* Zero-initialise; owns all; free with mv_overlay_free. */
typedef struct mv_overlay {
  mv_image canvas; /* RGB, `zoom` times the image's size */
  int zoom;
  int size; /* canvas pixels of a font pixel and half the width of a line */
  struct {
    char *text;
    mv_pen pen;
  } captions[MV_OVERLAY_MAX_CAPTIONS];
  int n_caption;
} mv_overlay;

/* Copies `seen` (grey or RGB, as after the processor's resize) to a canvas. */
mv_status mv_overlay_init(mv_overlay *o, const mv_image *seen, mv_error *err);
void mv_overlay_free(mv_overlay *o);

void mv_overlay_box(mv_overlay *o, const double box[4], mv_pen pen); /* x0 y0 x1 y1 */
/* An axis or a side of an angle, with dots at its ends. */
void mv_overlay_line(mv_overlay *o, const double a[2], const double b[2], mv_pen pen);
/* A landmark: a dot with a label of one or a few characters beside it. */
void mv_overlay_mark(mv_overlay *o, const double at[2], const char *label, mv_pen pen);
/* A line below the image, wrapped where too long, after a sample of its pen (MV_PEN_NONE: none).
 * MV_ERR_USAGE beyond MV_OVERLAY_MAX_CAPTIONS. */
mv_status mv_overlay_caption(mv_overlay *o, const char *text, mv_pen pen, mv_error *err);

/* Canvas and captions as one image. Fills `out`; the overlay stays as it is. */
mv_status mv_overlay_render(const mv_overlay *o, mv_image *out, mv_error *err);
/* The same as a PNG file. */
mv_status mv_overlay_save(const mv_overlay *o, const char *path, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
