#include "vision/window.h"

#include <string.h>

#include "runtime/memory.h"

void mv_window_plan_free(mv_window_plan *plan) {
  mv_free(plan->index);
  mv_free(plan->inverse);
  mv_free(plan->position);
  mv_free(plan->cu_window);
  mv_free(plan->cu_full);
  memset(plan, 0, sizeof *plan);
}

static int windows_along(int n_group, int side) { return (n_group + side - 1) / side; }

/* Counts patches, windows and segments; `side` is that of a window in groups. */
static mv_status count(mv_window_plan *plan, const mv_grid *grids, int n_grid, int merge, int side,
                       mv_error *err) {
  size_t n_patch = 0, n_window = 0, n_full = 0;
  for (int i = 0; i < n_grid; i++) {
    mv_grid g = grids[i];
    if (g.t < 1 || g.h < 1 || g.w < 1 || g.h % merge || g.w % merge)
      return mv_fail(err, MV_ERR_SHAPE, "image grid %d x %d x %d: expected multiples of %d", g.t,
                     g.h, g.w, merge);
    size_t frame, patches;
    if (!mv_mul_size((size_t)g.h, (size_t)g.w, &frame) ||
        !mv_mul_size(frame, (size_t)g.t, &patches) || !mv_add_size(n_patch, patches, &n_patch) ||
        n_patch > INT32_MAX / 2) /* position holds two values a patch */
      return mv_fail(err, MV_ERR_SHAPE, "too many image patches");
    n_window += (size_t)g.t * (size_t)windows_along(g.h / merge, side) *
                (size_t)windows_along(g.w / merge, side);
    n_full += (size_t)g.t;
  }
  plan->n_patch = (int)n_patch;
  plan->n_group = (int)n_patch / (merge * merge);
  plan->n_window = (int)n_window;
  plan->n_full = (int)n_full;
  return MV_OK;
}

static mv_status allocate(mv_window_plan *plan, mv_error *err) {
  size_t n_group = (size_t)plan->n_group;
  plan->index = mv_calloc(n_group, sizeof(int32_t));
  plan->inverse = mv_calloc(n_group, sizeof(int32_t));
  plan->position = mv_calloc(2 * (size_t)plan->n_patch, sizeof(int32_t));
  plan->cu_window = mv_calloc((size_t)plan->n_window + 1, sizeof(int32_t));
  plan->cu_full = mv_calloc((size_t)plan->n_full + 1, sizeof(int32_t));
  if (plan->index && plan->inverse && plan->position && plan->cu_window && plan->cu_full)
    return MV_OK;
  return mv_fail(err, MV_ERR_MEMORY, "out of memory for the window order of %d patches",
                 plan->n_patch);
}

/* Where the filling stands. */
typedef struct cursor {
  int group, window, frame, patch;
} cursor;

/* One window: rows y0..y1, columns x0..x1 of a frame with `cols` groups a row, whose first group
 * is `base`. */
static void add_window(mv_window_plan *plan, cursor *at, int base, int cols, const int y[2],
                       const int x[2], int unit) {
  int n = (y[1] - y[0]) * (x[1] - x[0]) * unit;
  for (int row = y[0]; row < y[1]; row++)
    for (int col = x[0]; col < x[1]; col++) plan->index[at->group++] = base + row * cols + col;
  plan->cu_window[at->window + 1] = plan->cu_window[at->window] + n;
  at->window++;
  if (n > plan->max_window) plan->max_window = n;
}

static void add_frame(mv_window_plan *plan, cursor *at, mv_grid grid, int merge, int side) {
  int rows = grid.h / merge, cols = grid.w / merge, unit = merge * merge;
  int base = at->patch / unit, n = grid.h * grid.w;
  for (int y = 0; y < rows; y += side)
    for (int x = 0; x < cols; x += side) {
      int ys[2] = {y, y + side < rows ? y + side : rows};
      int xs[2] = {x, x + side < cols ? x + side : cols};
      add_window(plan, at, base, cols, ys, xs, unit);
    }
  for (int i = 0; i < n; i++) {
    int group = i / unit, inside = i % unit;
    int32_t *position = plan->position + 2 * (size_t)(at->patch + i);
    position[0] = group / cols * merge + inside / merge;
    position[1] = group % cols * merge + inside % merge;
  }
  at->patch += n;
  plan->cu_full[++at->frame] = at->patch;
  if (n > plan->max_full) plan->max_full = n;
}

mv_status mv_window_plan_init(mv_window_plan *plan, const mv_grid *grids, int n_grid,
                              mv_window_dims dims, mv_error *err) {
  memset(plan, 0, sizeof *plan);
  if (dims.patch < 1 || dims.merge < 1 || dims.window_size / dims.merge / dims.patch < 1)
    return mv_fail(err, MV_ERR_SHAPE,
                   "window of %d pixels holds no %d x %d group of %d-pixel patches",
                   dims.window_size, dims.merge, dims.merge, dims.patch);
  int side = dims.window_size / dims.merge / dims.patch;
  mv_status status = count(plan, grids, n_grid, dims.merge, side, err);
  if (status == MV_OK) status = allocate(plan, err);
  if (status != MV_OK) {
    mv_window_plan_free(plan);
    return status;
  }
  cursor at = {0};
  for (int i = 0; i < n_grid; i++)
    for (int t = 0; t < grids[i].t; t++) add_frame(plan, &at, grids[i], dims.merge, side);
  for (int p = 0; p < plan->n_group; p++) plan->inverse[plan->index[p]] = p;
  return MV_OK;
}
