/* medvision help, medvision completion */
#include <stdio.h>

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

/* One word, or "eval" and a second. */
static int find_command(const mv_cli_list *words, mv_cli_id *id) {
  char name[64];
  if (words->n < 2) return mv_cli_command_find(words->v[0], id);
  snprintf(name, sizeof name, "%.20s %.40s", words->v[0], words->v[1]);
  return mv_cli_command_find(name, id);
}

int mv_cmd_help(const mv_cli_args *args) {
  mv_buf text = {0};
  mv_cli_id id;
  if (args->man)
    mv_cli_man(&text);
  else if (args->operands.n == 0)
    mv_cli_overview(&text);
  else if (find_command(&args->operands, &id))
    mv_cli_help(&text, id);
  else
    return mv_cli_fail(&(mv_error){.code = MV_ERR_USAGE, .msg = "help: no such command"});
  return print(&text);
}

int mv_cmd_completion(const mv_cli_args *args) {
  mv_buf text = {0};
  mv_cli_completion(&text, args->operands.v[0]);
  return print(&text);
}
