/* medvision eval reward: the training recipe's rewards of rollouts, line by line. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tasks/cli_io.h"
#include "tasks/cli_jsonl.h"
#include "tasks/eval.h"
#include "tasks/reward.h"

typedef struct rollout {
  mv_task task;
  mv_str response;
  double truth[MV_TASK_MAX_VALUES];
  mv_point landmarks[MV_TASK_MAX_LANDMARKS];
} rollout;

static mv_status read_truth(const mv_json *line, rollout *r, mv_error *err) {
  const mv_json *node = mv_json_get(line, "truth");
  int k = mv_task_values(r->task);
  if (mv_json_is_number(node) && k == 1) {
    r->truth[0] = node->number;
    return MV_OK;
  }
  for (int i = 0; i < k; i++) {
    const mv_json *item = mv_json_at(node, (size_t)i);
    if (!mv_json_is_number(item) || node->n_items != (size_t)k)
      return mv_fail(err, MV_ERR_FORMAT, "\"truth\": %s has %d number%s", mv_task_name(r->task), k,
                     k > 1 ? "s" : "");
    r->truth[i] = item->number;
  }
  return MV_OK;
}

/* A box's landmarks are its corners. */
static mv_status read_landmarks(const mv_json *line, rollout *r, mv_error *err) {
  const mv_json *node = mv_json_get(line, "landmarks");
  int n = mv_task_landmarks(r->task);
  if (r->task == MV_TASK_DETECT && !node) {
    r->landmarks[0] = (mv_point){r->truth[0], r->truth[1]};
    r->landmarks[1] = (mv_point){r->truth[2], r->truth[3]};
    return MV_OK;
  }
  for (int i = 0; i < n; i++) {
    const mv_json *point = mv_json_at(node, (size_t)i);
    const mv_json *x = mv_json_at(point, 0), *y = mv_json_at(point, 1);
    if (!mv_json_is_number(x) || !mv_json_is_number(y) || node->n_items != (size_t)n)
      return mv_fail(err, MV_ERR_FORMAT,
                     "\"landmarks\": %s has %d points [x, y], relative to the "
                     "picture, origin lower left",
                     mv_task_name(r->task), n);
    r->landmarks[i] = (mv_point){x->number, y->number};
  }
  return MV_OK;
}

static mv_status read_rollout(const mv_json *line, rollout *r, mv_error *err) {
  mv_str task = {NULL, 0};
  memset(r, 0, sizeof *r);
  MV_TRY(mv_jsonl_text(line, "task", &task, err));
  if (!task.ptr || !mv_task_from_name(task, &r->task))
    return mv_fail(err, MV_ERR_FORMAT, "\"task\": expected detect, size, distance or angle");
  MV_TRY(mv_jsonl_text(line, "response", &r->response, err));
  if (!r->response.ptr) return mv_fail(err, MV_ERR_FORMAT, "\"response\" is missing");
  MV_TRY(read_truth(line, r, err));
  return read_landmarks(line, r, err);
}

static void put(mv_json_writer *w, const char *key, double value) {
  mv_json_key(w, key);
  mv_json_double(w, value);
}

static mv_status reward_line(void *user, const mv_json *line, mv_json_writer *w, mv_error *err) {
  rollout r;
  mv_reward reward;
  (void)user;
  MV_TRY(read_rollout(line, &r, err));
  MV_TRY(mv_reward_score(r.task, r.response, r.truth, r.landmarks, &reward, err));
  put(w, "reward", reward.total);
  put(w, "format", reward.format);
  put(w, "process", reward.process);
  put(w, "answer", reward.answer);
  put(w, "structure", reward.structure);
  put(w, "answer_form", reward.answer_form);
  mv_json_key(w, "steps");
  mv_json_begin_array(w);
  for (int i = 0; i < reward.n_step; i++) mv_json_double(w, reward.steps[i]);
  mv_json_end_array(w);
  return MV_OK;
}

int mv_eval_cmd_reward(const mv_cli_args *args) {
  if (args->operands.n > 0 && strcmp(args->operands.v[0], "-") != 0) {
    const char *path = args->operands.v[0];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || dup2(fd, STDIN_FILENO) < 0) {
      mv_cli_say("%s: %s", path, strerror(errno));
      return MV_EXIT_FAILED;
    }
    close(fd);
  }
  return mv_cli_jsonl(reward_line, NULL);
}
