/* The commands: each takes its parsed command line and returns its exit code. */
#ifndef MV_TASKS_CLI_COMMAND_H
#define MV_TASKS_CLI_COMMAND_H

#include "tasks/cli.h"

#ifdef __cplusplus
extern "C" {
#endif

int mv_cmd_measure(const mv_cli_args *args); /* detect, size, distance, angle */
int mv_cmd_generate(const mv_cli_args *args);
int mv_cmd_prompt(const mv_cli_args *args);
int mv_cmd_parse(const mv_cli_args *args);
int mv_cmd_info(const mv_cli_args *args);
int mv_cmd_image(const mv_cli_args *args);
int mv_cmd_tokenize(const mv_cli_args *args);
int mv_cmd_serve(const mv_cli_args *args);
int mv_cmd_bench(const mv_cli_args *args);
int mv_cmd_eval(const mv_cli_args *args); /* all of the benchmark's */
int mv_cmd_completion(const mv_cli_args *args);
int mv_cmd_help(const mv_cli_args *args);

/* The checkpoint directory that --model names, or else the small one that comes with the program.
 * Returns (free with mv_free); NULL with an error when it is not to be found. */
char *mv_cli_model_dir(const mv_cli_args *args, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
