#include "vision/draw.h"

#include <math.h>

#include "vision/font.h"

static void blend(mv_image *image, int x, int y, double coverage, mv_ink ink) {
  if (x < 0 || y < 0 || x >= image->width || y >= image->height || coverage <= 0) return;
  double a = (coverage < 1 ? coverage : 1) * ink.alpha;
  uint8_t *p = image->px + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
  const uint8_t rgb[3] = {ink.r, ink.g, ink.b};
  for (int k = 0; k < 3; k++) p[k] = (uint8_t)(p[k] + (rgb[k] - p[k]) * a + 0.5);
}

/* The whole pixels that a span of coordinates touches, clipped to 0..n. */
static void clip_span(double lo, double hi, int n, int *first, int *end) {
  *first = lo <= 0 ? 0 : lo >= n ? n : (int)floor(lo);
  *end = hi <= 0 ? 0 : hi >= n ? n : (int)ceil(hi);
}

/* How far along a dashed stroke a point lies inside a dash: 1 in, 0 out, soft over one pixel. */
static double dash_coverage(double along, double dash) {
  double phase = fmod(along + dash / 2, 2 * dash); /* starts in the middle of a dash */
  double inside = phase < dash ? fmin(phase, dash - phase) : -fmin(phase - dash, 2 * dash - phase);
  return fmin(1, fmax(0, inside + 0.5));
}

void mv_draw_line(mv_image *image, mv_draw_point a, mv_draw_point b, double width, double dash,
                  mv_ink ink) {
  if (!isfinite(a.x) || !isfinite(a.y) || !isfinite(b.x) || !isfinite(b.y)) return;
  double r = width / 2, dx = b.x - a.x, dy = b.y - a.y, length = sqrt(dx * dx + dy * dy);
  double ux = length > 0 ? dx / length : 0, uy = length > 0 ? dy / length : 0;
  int x0, x1, y0, y1;
  clip_span(fmin(a.x, b.x) - r - 1, fmax(a.x, b.x) + r + 1, image->width, &x0, &x1);
  clip_span(fmin(a.y, b.y) - r - 1, fmax(a.y, b.y) + r + 1, image->height, &y0, &y1);
  for (int y = y0; y < y1; y++)
    for (int x = x0; x < x1; x++) {
      double px = x + 0.5 - a.x, py = y + 0.5 - a.y;
      double t = fmin(length, fmax(0, px * ux + py * uy)); /* the nearest point of the stroke */
      double ex = px - ux * t, ey = py - uy * t;
      double coverage = r + 0.5 - sqrt(ex * ex + ey * ey);
      if (coverage > 0 && dash > 0) coverage = fmin(coverage, 1) * dash_coverage(t, dash);
      blend(image, x, y, coverage, ink);
    }
}

void mv_draw_disc(mv_image *image, mv_draw_point center, double radius, mv_ink ink) {
  mv_draw_line(image, center, center, 2 * radius, 0, ink);
}

void mv_draw_rect(mv_image *image, int x0, int y0, int x1, int y1, mv_ink ink) {
  for (int y = y0 < 0 ? 0 : y0; y < y1 && y < image->height; y++)
    for (int x = x0 < 0 ? 0 : x0; x < x1 && x < image->width; x++) blend(image, x, y, 1, ink);
}

static int glyph_bit(const uint8_t *glyph, int col, int row) {
  if (col < 0 || row < 0 || col >= MV_FONT_COLS || row >= MV_FONT_ROWS) return 0;
  return glyph[row] >> (MV_FONT_COLS - 1 - col) & 1;
}

/* Coverage of the point (u, v) in font pixels: bilinear between bits, then sharpened, which keeps
 * straight edges crisp, rounds diagonals and makes strokes a little bolder. */
static double glyph_coverage(const uint8_t *glyph, double u, double v) {
  int col = (int)floor(u - 0.5), row = (int)floor(v - 0.5);
  double fu = u - 0.5 - col, fv = v - 0.5 - row;
  double top = glyph_bit(glyph, col, row) * (1 - fu) + glyph_bit(glyph, col + 1, row) * fu;
  double low = glyph_bit(glyph, col, row + 1) * (1 - fu) + glyph_bit(glyph, col + 1, row + 1) * fu;
  return fmin(1, fmax(0, 1.75 * (top * (1 - fv) + low * fv) - 0.2));
}

static void draw_glyph(mv_image *image, int x, int y, int size, const uint8_t *glyph, mv_ink ink) {
  int rim = (size + 1) / 2; /* the blur reaches half a font pixel beyond the bits */
  for (int j = -rim; j < MV_FONT_ROWS * size + rim; j++)
    for (int i = -rim; i < MV_FONT_COLS * size + rim; i++)
      blend(image, x + i, y + j, glyph_coverage(glyph, (i + 0.5) / size, (j + 0.5) / size), ink);
}

/* The next code point, '?' for a byte that is not UTF-8, a space for a control character. */
static uint32_t next_code_point(mv_str text, size_t *at) {
  uint32_t cp = '?';
  size_t n = mv_utf8_decode(text.ptr + *at, text.len - *at, &cp);
  *at += n ? n : 1;
  return n && (cp < 32 || cp == 127) ? ' ' : n ? cp : '?';
}

static void draw_run(mv_image *image, int x, int y, int size, mv_str text, mv_ink ink) {
  for (size_t at = 0; at < text.len && x < image->width; x += MV_FONT_ADVANCE * size)
    draw_glyph(image, x, y, size, mv_font_glyph(next_code_point(text, &at)), ink);
}

void mv_draw_text(mv_image *image, int x, int y, int size, int halo, mv_str text, mv_ink ink) {
  static const int around[8][2] = {{-1, -1}, {0, -1}, {1, -1}, {-1, 0},
                                   {1, 0},   {-1, 1}, {0, 1},  {1, 1}};
  const mv_ink dark = {0, 0, 0, 0.5f};
  for (int i = 0; halo > 0 && i < 8; i++)
    draw_run(image, x + around[i][0] * halo, y + around[i][1] * halo, size, text, dark);
  draw_run(image, x, y, size, text, ink);
}

int mv_draw_text_width(int size, mv_str text) {
  size_t n = 0;
  for (size_t at = 0; at < text.len && n < 100000; n++) next_code_point(text, &at);
  return n ? (int)n * MV_FONT_ADVANCE * size - (MV_FONT_ADVANCE - MV_FONT_COLS) * size : 0;
}
