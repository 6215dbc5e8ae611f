/* What the command prints, and where: results on standard output, all else on standard error.
 *
 * Every message is one line that begins with "medvision: ". Control characters in it (file names
 * and model texts may hold any) are replaced, so that a message cannot move the cursor or pass for
 * two. Writing errors of standard output are found at the latest by mv_cli_finish.
 */
#ifndef MV_TASKS_CLI_IO_H
#define MV_TASKS_CLI_IO_H

#include "runtime/json.h"
#include "tasks/cli.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Before anything else: makes sure that descriptors 0, 1 and 2 are open, so that no file we open
 * takes the place of a closed one, and turns SIGPIPE into a write error. */
void mv_cli_start(void);
/* Flushes standard output. Returns `code`, or MV_EXIT_FAILED with one line on standard error when
 * something could not be written. */
int mv_cli_finish(int code);

int mv_cli_flush(void); /* 0 when standard output cannot be written */

/* Appends to standard output. 0 once something could not be written. */
int mv_cli_put(mv_str text);
/* The same for text a model or a file wrote, on its way to a terminal: control characters but
 * newline and tab become U+FFFD. */
int mv_cli_put_visible(mv_str text);
void mv_cli_visible(mv_buf *out, mv_str text);
int mv_cli_stdin_is_terminal(void);
int mv_cli_stdout_is_terminal(void);
int mv_cli_stderr_is_terminal(void);

#if defined(__GNUC__)
#define MV_CLI_PRINTF(fmt, rest) __attribute__((format(printf, fmt, rest)))
#else
#define MV_CLI_PRINTF(fmt, rest)
#endif

void mv_cli_say(const char *fmt, ...) MV_CLI_PRINTF(1, 2);
/* Unless --quiet. */
void mv_cli_note(const mv_cli_args *args, const char *fmt, ...) MV_CLI_PRINTF(2, 3);
/* Says what failed and returns its exit code: MV_EXIT_USAGE or MV_EXIT_FAILED. */
int mv_cli_fail(const mv_error *err);

/* One line on standard error that is overwritten in place: "loading 45 %". Nothing where standard
 * error is no terminal or with --quiet. `user` of the engine's callbacks is the mv_cli_progress. */
typedef struct mv_cli_progress {
  int enabled, shown, percent;
  const char *stage;
} mv_cli_progress;

void mv_cli_progress_init(mv_cli_progress *progress, const mv_cli_args *args);
void mv_cli_progress_show(mv_cli_progress *progress, const char *stage, size_t done, size_t total);
void mv_cli_progress_clear(mv_cli_progress *progress);

/* The writer of every JSON line this program prints: one line, "," and ":", ASCII (a raw U+2028
 * would be a line break to some readers). */
mv_json_writer mv_cli_json(mv_buf *out);
/* Prints the buffer and a newline; frees the buffer. Returns `code` or MV_EXIT_FAILED. */
int mv_cli_put_line(mv_buf *line, int code);

#ifdef __cplusplus
}
#endif
#endif
