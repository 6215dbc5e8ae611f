#include "tasks/task.h"

static const struct {
  const char *name;
  int n_value, n_landmark;
} tasks[MV_TASK_COUNT] = {{"detect", 4, 2}, {"size", 2, 4}, {"distance", 1, 2}, {"angle", 1, 4}};

const char *mv_task_name(mv_task task) { return tasks[task].name; }
int mv_task_values(mv_task task) { return tasks[task].n_value; }
int mv_task_landmarks(mv_task task) { return tasks[task].n_landmark; }

int mv_task_from_name(mv_str name, mv_task *task) {
  for (int i = 0; i < MV_TASK_COUNT; i++) {
    if (!mv_str_is(name, tasks[i].name)) continue;
    *task = (mv_task)i;
    return 1;
  }
  return 0;
}
