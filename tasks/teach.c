#include "tasks/teach.h"

#include <string.h>

#include "runtime/file.h"
#include "tasks/cot_targets.h"
#include "tasks/prompts.h"

/* Made-up values: no two share digits, so that every digit of an answer tells where it is from. */
static const mv_point points[MV_TASK_MAX_LANDMARKS] = {
    {0.137, 0.248}, {0.359, 0.461}, {0.572, 0.683}, {0.794, 0.815}};
static const mv_spacing spacing = {
    .image_w = 504, .image_h = 504, .pixel_w = 0.926f, .pixel_h = 0.913f};
static const char *const names[MV_TASK_MAX_LANDMARKS] = {"zeta tip", "quartz rim", "jovial cusp",
                                                         "waxen hilt"};

mv_status mv_teach_example(mv_task task, mv_buf *prompt, mv_buf *answer, mv_error *err) {
  mv_prompt p = {.task = task,
                 .label = mv_str_of("xylem vortex"),
                 .name = mv_str_of("fjord span"),
                 .description = mv_str_of("oblique pyx picture"),
                 .unit = mv_unit_default(task),
                 .spacing = spacing};
  mv_cot_target t = {.task = task, .label = p.label, .spacing = spacing};
  for (int i = 0; i < MV_TASK_MAX_LANDMARKS; i++) {
    p.points[i] = t.names[i] = mv_str_of(names[i]);
    t.points[i] = points[i];
  }
  MV_TRY(mv_prompt_render(&p, prompt, err));
  MV_TRY(mv_cot_target_render(&t, answer, err));
  MV_TRY(mv_buf_status(prompt, err));
  return mv_buf_status(answer, err);
}

mv_status mv_teach_tasks(mv_engine *engine, mv_str system, mv_error *err) {
  static const mv_task tasks[] = {MV_TASK_DETECT, MV_TASK_SIZE, MV_TASK_DISTANCE, MV_TASK_ANGLE};
  mv_status status = MV_OK;
  for (size_t i = 0; i < sizeof tasks / sizeof *tasks && status == MV_OK; i++) {
    mv_buf prompt = {0}, answer = {0};
    mv_request request;
    mv_request_init(&request);
    status = mv_teach_example(tasks[i], &prompt, &answer, err);
    request.system = system;
    request.prompt = mv_buf_view(&prompt);
    request.family = mv_str_of(mv_task_name(tasks[i]));
    if (status == MV_OK) status = mv_engine_teach(engine, &request, mv_buf_view(&answer), err);
    mv_buf_free(&prompt);
    mv_buf_free(&answer);
  }
  return status;
}

mv_status mv_teach_from(mv_engine *engine, const char *path, mv_error *err) {
  return mv_file_exists(path) ? mv_engine_load_drafts(engine, path, err) : MV_OK;
}
