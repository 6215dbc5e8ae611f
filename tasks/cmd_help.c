/* medvision help, medvision completion */
#include "tasks/cli_command.h"
#include "tasks/cli_io.h"

static int print(mv_buf *text) {
  mv_error err = {0};
  int code = MV_EXIT_DONE;
  if (mv_buf_status(text, &err) != MV_OK)
    code = mv_cli_fail(&err);
  else
    mv_cli_put(mv_buf_view(text));
  mv_buf_free(text);
  return code;
}

int mv_cmd_help(const mv_cli_args *args) {
  mv_buf text = {0};
  mv_cli_id id;
  if (args->man)
    mv_cli_man(&text);
  else if (args->operands.n == 0)
    mv_cli_overview(&text);
  else if (mv_cli_command_find(args->operands.v[0], &id))
    mv_cli_help(&text, id);
  return print(&text);
}

int mv_cmd_completion(const mv_cli_args *args) {
  mv_buf text = {0};
  mv_cli_completion(&text, args->operands.v[0]);
  return print(&text);
}
