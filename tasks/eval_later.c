#include "tasks/cli_io.h"
#include "tasks/eval.h"
static int later(void) {
  mv_cli_say("not built into this version");
  return MV_EXIT_FAILED;
}
int mv_eval_cmd_import(const mv_cli_args *args) {
  (void)args;
  return later();
}
int mv_eval_cmd_batch(const mv_cli_args *args) {
  (void)args;
  return later();
}
