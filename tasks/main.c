/* medvision: reads the command line and hands it to the command. */
#include <stdio.h>

#include "tasks/cli_command.h"
#include "tasks/cli_io.h"

typedef int (*command_function)(const mv_cli_args *args);

static const command_function commands[MV_CLI_COUNT] = {
    [MV_CLI_DETECT] = mv_cmd_measure,      [MV_CLI_SIZE] = mv_cmd_measure,
    [MV_CLI_DISTANCE] = mv_cmd_measure,    [MV_CLI_ANGLE] = mv_cmd_measure,
    [MV_CLI_GENERATE] = mv_cmd_generate,   [MV_CLI_PROMPT] = mv_cmd_prompt,
    [MV_CLI_PARSE] = mv_cmd_parse,         [MV_CLI_INFO] = mv_cmd_info,
    [MV_CLI_IMAGE] = mv_cmd_image,         [MV_CLI_TOKENIZE] = mv_cmd_tokenize,
    [MV_CLI_SERVE] = mv_cmd_serve,         [MV_CLI_BENCH] = mv_cmd_bench,
    [MV_CLI_EVAL] = mv_cmd_eval,           [MV_CLI_EVAL_IMPORT] = mv_cmd_eval,
    [MV_CLI_EVAL_RUN] = mv_cmd_eval,       [MV_CLI_EVAL_PARSE] = mv_cmd_eval,
    [MV_CLI_EVAL_SUMMARIZE] = mv_cmd_eval, [MV_CLI_EVAL_BOXSIZE] = mv_cmd_eval,
    [MV_CLI_EVAL_REPORT] = mv_cmd_eval,    [MV_CLI_EVAL_REWARD] = mv_cmd_eval,
    [MV_CLI_EVAL_BATCH] = mv_cmd_eval,     [MV_CLI_COMPLETION] = mv_cmd_completion,
    [MV_CLI_HELP] = mv_cmd_help,
};

static int run(const mv_cli_args *args) {
  if (args->version) {
    mv_cli_put(mv_str_of("medvision " MV_VERSION "\n"));
    return MV_EXIT_DONE;
  }
  if (!args->help) return commands[args->command](args);
  mv_buf text = {0};
  mv_cli_help(&text, args->command);
  int done = !text.failed && mv_cli_put(mv_buf_view(&text));
  mv_buf_free(&text);
  return done ? MV_EXIT_DONE : MV_EXIT_FAILED;
}

int main(int argc, char **argv) {
  mv_cli_start();
  mv_cli_args args;
  mv_error err = {0};
  int code;
  if (mv_cli_parse(argc, argv, &args, &err) != MV_OK)
    code = mv_cli_fail(&err);
  else
    code = run(&args);
  mv_cli_args_free(&args);
  return mv_cli_finish(code);
}
