#include "runtime/mrope.h"

#include <assert.h>

int32_t mv_mrope_positions(const int32_t *ids, size_t n, int32_t image_token_id,
                           const mv_grid *grids, int n_grid, int merge, int32_t *position) {
  int32_t next = 0;
  int image = 0;
  for (size_t i = 0; i < n;) {
    if (ids[i] != image_token_id || image >= n_grid) {
      position[i] = position[n + i] = position[2 * n + i] = next++;
      i++;
      continue;
    }
    int rows = grids[image].h / merge, cols = grids[image].w / merge;
    assert(i + (size_t)rows * (size_t)cols <= n);
    for (int r = 0; r < rows; r++)
      for (int c = 0; c < cols; c++, i++) {
        position[i] = next;
        position[n + i] = next + r;
        position[2 * n + i] = next + c;
      }
    next += rows > cols ? rows : cols;
    image++;
  }
  assert(image == n_grid);
  return next;
}
