/* The value of an option: from text, strictly, and what it should have been, for messages. */
#ifndef MV_TASKS_CLI_VALUE_H
#define MV_TASKS_CLI_VALUE_H

#include "tasks/cli.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Stores `text` as the value of `option` in *args; a list has room for `capacity` values. 1 done,
 * 0 not such a value, -1 out of memory. */
int mv_cli_store(mv_cli_args *args, int capacity, const mv_cli_option *option, const char *text);

/* What a value of this option looks like: "a number from 0 to 1". */
void mv_cli_expectation(const mv_cli_option *option, char out[256]);

/* The place of `text` among "a|b|c" in *value; 0 when it is not there. */
int mv_cli_choice(const char *choices, const char *text, int *value);

/* 1 done, -1 out of memory. */
int mv_cli_append(mv_arena *arena, int capacity, mv_cli_list *list, const char *text);

#ifdef __cplusplus
}
#endif
#endif
