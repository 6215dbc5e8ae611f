/* The picture of a measurement: what the model answered, drawn on what it saw. */
#ifndef MV_TASKS_CLI_OVERLAY_H
#define MV_TASKS_CLI_OVERLAY_H

#include "tasks/answer.h"
#include "tasks/cli_picture.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes `path` by rename. `captions` are n_caption lines below the picture. */
mv_status mv_cli_overlay_save(const char *path, const mv_picture *picture, mv_resampler resampler,
                              const mv_answer *answer, const char *const *captions, int n_caption,
                              mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
