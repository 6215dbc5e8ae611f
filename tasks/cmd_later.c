/* Commands whose libraries are still being written. */
#include "tasks/cli_command.h"
#include "tasks/cli_io.h"

static int later(const mv_cli_args *args) {
  mv_cli_say("%s: not part of this version yet", mv_cli_commands[args->command].name);
  return MV_EXIT_FAILED;
}

int mv_cmd_measure(const mv_cli_args *args) { return later(args); }
int mv_cmd_generate(const mv_cli_args *args) { return later(args); }

int mv_cmd_bench(const mv_cli_args *args) { return later(args); }
