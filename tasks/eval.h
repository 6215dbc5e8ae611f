/* medvision eval: what cmd_eval.c hands on to. Each takes the parsed command line and returns an
 * exit code, having said on standard error what went wrong. */
#ifndef MV_TASKS_EVAL_H
#define MV_TASKS_EVAL_H

#include "tasks/cli_command.h"

#ifdef __cplusplus
extern "C" {
#endif

int mv_eval_cmd_import(const mv_cli_args *args);
int mv_eval_cmd_run(const mv_cli_args *args);
int mv_eval_cmd_report(const mv_cli_args *args);
int mv_eval_cmd_reward(const mv_cli_args *args);
int mv_eval_cmd_batch(const mv_cli_args *args);

#ifdef __cplusplus
}
#endif
#endif
