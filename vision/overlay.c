#include "vision/overlay.h"

#include <math.h>
#include <string.h>

#include "runtime/memory.h"
#include "vision/font.h"
#include "vision/resize.h"

#define LEGIBLE_SIDE 504 /* pixels; smaller images are enlarged towards it */
#define MAX_ZOOM 16
#define MAX_LINES 200 /* of wrapped captions */

/* Strip below the image, in units of `size`. */
#define STRIP_MARGIN 6
#define STRIP_LEADING 13 /* from one line of text to the next */
#define STRIP_SAMPLE 16  /* width of a pen's sample */

static const mv_ink halo_ink = {0, 0, 0, 0.55f};
static const mv_ink strip_ink = {22, 24, 29, 1};
static const mv_ink text_ink = {232, 234, 238, 1};

static mv_ink pen_ink(mv_pen pen) {
  return pen == MV_PEN_TRUTH ? (mv_ink){92, 200, 255, 1} : (mv_ink){255, 178, 36, 1};
}

static double pen_dash(const mv_overlay *o, mv_pen pen) {
  return pen == MV_PEN_TRUTH ? 4.0 * o->size : 0;
}

static mv_status to_rgb(const mv_image *in, mv_image *out, mv_error *err) {
  MV_TRY(mv_image_init(out, in->width, in->height, 3, err));
  size_t n = (size_t)in->width * (size_t)in->height;
  if (in->channels == 3)
    memcpy(out->px, in->px, 3 * n);
  else
    for (size_t i = 0; i < n; i++) memset(out->px + 3 * i, in->px[i], 3);
  return MV_OK;
}

mv_status mv_overlay_init(mv_overlay *o, const mv_image *seen, mv_error *err) {
  memset(o, 0, sizeof *o);
  int side = seen->width < seen->height ? seen->width : seen->height;
  int longer = seen->width < seen->height ? seen->height : seen->width;
  o->zoom = 1;
  while (o->zoom < MAX_ZOOM && side * o->zoom < LEGIBLE_SIDE &&
         longer * (o->zoom + 1) <= 4 * LEGIBLE_SIDE)
    o->zoom++;
  mv_image rgb = {0};
  mv_status status = to_rgb(seen, &rgb, err);
  if (status == MV_OK)
    status = mv_image_resize(&rgb, seen->height * o->zoom, seen->width * o->zoom,
                             MV_RESAMPLER_TORCHVISION, &o->canvas, err);
  mv_image_free(&rgb);
  o->size = longer * o->zoom / 900 + 1;
  return status;
}

void mv_overlay_free(mv_overlay *o) {
  mv_image_free(&o->canvas);
  for (int i = 0; i < o->n_caption; i++) mv_free(o->captions[i].text);
  memset(o, 0, sizeof *o);
}

/* NaN stays NaN and is not drawn. */
static double clamp01(double v) { return v < 0 ? 0 : v > 1 ? 1 : v; }

static mv_draw_point on_canvas(const mv_overlay *o, const double p[2]) {
  return (mv_draw_point){clamp01(p[0]) * o->canvas.width, (1 - clamp01(p[1])) * o->canvas.height};
}

static double line_width(const mv_overlay *o) { return 2.0 * o->size; }

/* Two passes, so that no halo darkens a stroke drawn before it. */
static void strokes(mv_overlay *o, mv_draw_point (*ends)[2], int n, mv_pen pen) {
  for (int i = 0; i < n; i++)
    mv_draw_line(&o->canvas, ends[i][0], ends[i][1], line_width(o) + 2.0 * o->size,
                 pen_dash(o, pen), halo_ink);
  for (int i = 0; i < n; i++)
    mv_draw_line(&o->canvas, ends[i][0], ends[i][1], line_width(o), pen_dash(o, pen), pen_ink(pen));
}

void mv_overlay_box(mv_overlay *o, const double box[4], mv_pen pen) {
  double low[2] = {fmin(box[0], box[2]), fmin(box[1], box[3])};
  double high[2] = {fmax(box[0], box[2]), fmax(box[1], box[3])};
  for (int i = 0; i < 4; i++)
    if (isnan(box[i])) return;
  mv_draw_point a = on_canvas(o, low), b = on_canvas(o, high);
  /* Whole pixels give crisp sides; half a line inside, so that the border keeps them whole. */
  double r = line_width(o) / 2, w = o->canvas.width - r, h = o->canvas.height - r;
  double x0 = fmin(w, fmax(r, rint(a.x))), x1 = fmin(w, fmax(r, rint(b.x)));
  double y0 = fmin(h, fmax(r, rint(b.y))), y1 = fmin(h, fmax(r, rint(a.y)));
  mv_draw_point sides[4][2] = {
      {{x0, y0}, {x1, y0}}, {{x1, y0}, {x1, y1}}, {{x1, y1}, {x0, y1}}, {{x0, y1}, {x0, y0}}};
  strokes(o, sides, 4, pen);
}

static void dot(mv_overlay *o, mv_draw_point p, mv_pen pen) {
  mv_draw_disc(&o->canvas, p, 4.0 * o->size, halo_ink);
  mv_draw_disc(&o->canvas, p, 3.0 * o->size, pen_ink(pen));
}

void mv_overlay_line(mv_overlay *o, const double a[2], const double b[2], mv_pen pen) {
  mv_draw_point ends[1][2] = {{on_canvas(o, a), on_canvas(o, b)}};
  if (isnan(a[0]) || isnan(a[1]) || isnan(b[0]) || isnan(b[1])) return;
  strokes(o, ends, 1, pen);
  dot(o, ends[0][0], pen);
  dot(o, ends[0][1], pen);
}

static int text_size(const mv_overlay *o) { return o->size + 1; }

void mv_overlay_mark(mv_overlay *o, const double at[2], const char *label, mv_pen pen) {
  if (isnan(at[0]) || isnan(at[1])) return;
  mv_draw_point p = on_canvas(o, at);
  mv_str text = mv_str_of(label);
  int size = text_size(o), gap = 5 * o->size;
  int width = mv_draw_text_width(size, text), height = 7 * size;
  int x = (int)p.x + gap, y = (int)p.y - gap - height; /* above, to the right ... */
  if (x + width > o->canvas.width) x = (int)p.x - gap - width;
  if (y < 0) y = (int)p.y + gap; /* ... where there is room */
  dot(o, p, pen);
  mv_draw_text(&o->canvas, x, y, size, o->size, text, pen_ink(pen));
}

mv_status mv_overlay_caption(mv_overlay *o, const char *text, mv_pen pen, mv_error *err) {
  if (o->n_caption == MV_OVERLAY_MAX_CAPTIONS)
    return mv_fail(err, MV_ERR_USAGE, "more than %d captions", MV_OVERLAY_MAX_CAPTIONS);
  size_t n = strlen(text) + 1;
  char *copy = mv_alloc(n);
  if (!copy) return mv_fail(err, MV_ERR_MEMORY, "out of memory for a caption");
  o->captions[o->n_caption].text = memcpy(copy, text, n);
  o->captions[o->n_caption++].pen = pen;
  return MV_OK;
}

/* The longest beginning of `text` that fits `width`, cut at a space where there is one. */
static mv_str take_line(mv_str *text, int size, int width) {
  size_t fits = 0, cut = 0;
  while (fits < text->len) {
    uint32_t cp;
    size_t n = mv_utf8_decode(text->ptr + fits, text->len - fits, &cp);
    if (fits > 0 && mv_draw_text_width(size, (mv_str){text->ptr, fits + (n ? n : 1)}) > width)
      break;
    if (text->ptr[fits] == ' ') cut = fits;
    fits += n ? n : 1;
  }
  if (fits < text->len && cut > 0) fits = cut;
  mv_str line = {text->ptr, fits};
  text->ptr += fits;
  text->len -= fits;
  while (text->len > 0 && text->ptr[0] == ' ') text->ptr++, text->len--;
  return line;
}

static void draw_sample(const mv_overlay *o, mv_image *out, int x, int y, mv_pen pen) {
  if (pen == MV_PEN_NONE) return;
  int size = text_size(o);
  mv_draw_point a = {x + size, y + 3.5 * size}, b = {x + (STRIP_SAMPLE - 5.0) * size, a.y};
  mv_draw_line(out, a, b, line_width(o), pen == MV_PEN_TRUTH ? 2.2 * size : 0, pen_ink(pen));
}

/* Draws the captions from row `y` on, or, without `out`, only counts their lines. */
static int lay_out_captions(const mv_overlay *o, mv_image *out, int y) {
  int size = text_size(o), n_line = 0;
  for (int i = 0; i < o->n_caption; i++) {
    int x = STRIP_MARGIN * size + (o->captions[i].pen ? STRIP_SAMPLE * size : 0);
    mv_str rest = mv_str_of(o->captions[i].text);
    if (out)
      draw_sample(o, out, STRIP_MARGIN * size, y + n_line * STRIP_LEADING * size,
                  o->captions[i].pen);
    do {
      mv_str line = take_line(&rest, size, o->canvas.width - x - STRIP_MARGIN * size);
      if (out) mv_draw_text(out, x, y + n_line * STRIP_LEADING * size, size, 0, line, text_ink);
    } while (++n_line < MAX_LINES && rest.len > 0);
    if (n_line >= MAX_LINES) break;
  }
  return n_line;
}

mv_status mv_overlay_render(const mv_overlay *o, mv_image *out, mv_error *err) {
  int size = text_size(o), height = o->canvas.height;
  int n_line = lay_out_captions(o, NULL, 0);
  int strip = n_line ? (n_line * STRIP_LEADING + 2 * STRIP_MARGIN - 4) * size : 0;
  MV_TRY(mv_image_init(out, o->canvas.width, height + strip, 3, err));
  memcpy(out->px, o->canvas.px, (size_t)o->canvas.width * (size_t)height * 3);
  mv_draw_rect(out, 0, height, out->width, height + strip, strip_ink);
  lay_out_captions(o, out, height + STRIP_MARGIN * size);
  return MV_OK;
}

mv_status mv_overlay_save(const mv_overlay *o, const char *path, mv_error *err) {
  mv_image image = {0};
  mv_status status = mv_overlay_render(o, &image, err);
  if (status == MV_OK) status = mv_image_save_png(&image, path, err);
  mv_image_free(&image);
  return status;
}
