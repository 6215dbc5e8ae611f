#include "tasks/cli_overlay.h"

#include "vision/overlay.h"

static void draw(mv_overlay *o, const mv_answer *answer) {
  double at[MV_TASK_MAX_LANDMARKS][2] = {{0}};
  static const char *const labels[] = {"1", "2"};
  for (int i = 0; i < answer->n_landmark; i++)
    at[i][0] = answer->landmarks[i].x, at[i][1] = answer->landmarks[i].y;
  if (answer->task == MV_TASK_DETECT) {
    if (answer->parsed) mv_overlay_box(o, answer->values, MV_PEN_PREDICTION);
    return;
  }
  for (int i = 0; i + 1 < answer->n_landmark; i += 2)
    mv_overlay_line(o, at[i], at[i + 1], MV_PEN_PREDICTION);
  if (answer->task == MV_TASK_DISTANCE)
    for (int i = 0; i < answer->n_landmark; i++)
      mv_overlay_mark(o, at[i], labels[i], MV_PEN_PREDICTION);
}

mv_status mv_cli_overlay_save(const char *path, const mv_picture *picture, mv_resampler resampler,
                              const mv_answer *answer, const char *const *captions, int n_caption,
                              mv_error *err) {
  const mv_spacing *seen = &picture->frame.spacing;
  mv_image image = {0};
  mv_overlay overlay = {0};
  mv_status status =
      mv_image_resize(&picture->image, seen->image_h, seen->image_w, resampler, &image, err);
  if (status == MV_OK) status = mv_overlay_init(&overlay, &image, err);
  if (status == MV_OK) draw(&overlay, answer);
  for (int i = 0; i < n_caption && status == MV_OK; i++)
    status = mv_overlay_caption(&overlay, captions[i], i ? MV_PEN_NONE : MV_PEN_PREDICTION, err);
  if (status == MV_OK) status = mv_overlay_save(&overlay, path, err);
  mv_overlay_free(&overlay);
  mv_image_free(&image);
  return status;
}
