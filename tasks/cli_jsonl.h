/* JSON lines: one object in, one object out, in order.
 *
 * Every line of standard input gets its line back, whatever it holds; what cannot be answered
 * becomes {"id": ..., "error": "one sentence"}. Empty lines are lines too. Answers are flushed
 * before the next read that has to wait, so that a program can talk to this one line by line.
 */
#ifndef MV_TASKS_CLI_JSONL_H
#define MV_TASKS_CLI_JSONL_H

#include "runtime/json.h"
#include "runtime/medvision.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_JSONL_MAX_LINE ((size_t)64 << 20) /* bytes */

/* Answers one object: adds members to the object that `writer` has open ("id" is there already if
 * the line has one). What it wrote is dropped when it fails. */
typedef mv_status (*mv_jsonl_answer)(void *user, const mv_json *line, mv_json_writer *writer,
                                     mv_error *err);

/* Until standard input ends. Returns MV_EXIT_DONE, or MV_EXIT_FAILED when standard input cannot be
 * read or standard output cannot be written. */
int mv_cli_jsonl(mv_jsonl_answer answer, void *user);

/* The same with many lines under way at once. A line is begun when it is read and finished when
 * the engine has answered it; lines that are neither wait for those before them. */
typedef struct mv_jsonl_batch {
  mv_engine *engine;
  void *user;
  size_t item_bytes; /* of what a line keeps: zeroed memory */
  /* Submits the line's request. `line` stays until the item is freed. */
  mv_status (*begin)(void *user, void *item, const mv_json *line, mv_ticket *ticket, mv_error *err);
  /* Adds members for a result, which it may move into the item (and zero). */
  mv_status (*finish)(void *user, void *item, mv_result *result, mv_json_writer *writer,
                      mv_error *err);
  void (*free_item)(void *item);
} mv_jsonl_batch;

int mv_cli_jsonl_batch(const mv_jsonl_batch *batch);

/* Members of a line, with one sentence when they are of another kind. Absent and null leave *out as
 * it is. */
mv_status mv_jsonl_text(const mv_json *line, const char *key, mv_str *out, mv_error *err);
mv_status mv_jsonl_int(const mv_json *line, const char *key, int min, int max, int *out,
                       mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
