#include "tasks/cli_io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void mv_cli_start(void) {
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
      /* A closed standard output must fail when written, so it is opened the wrong way round. */
      int opened = open("/dev/null", fd == 1 ? O_RDONLY : O_RDWR);
      if (opened >= 0 && opened != fd) close(opened);
    }
  signal(SIGPIPE, SIG_IGN);
}

/* errno of the first failed write: like the stream it belongs to, there is one a process. */
static int stdout_errno;

static int put(const char *text, size_t n) {
  if (ferror(stdout)) return 0;
  errno = 0;
  if (fwrite(text, 1, n, stdout) == n) return 1;
  stdout_errno = errno;
  return 0;
}

int mv_cli_flush(void) {
  if (ferror(stdout)) return 0;
  errno = 0;
  if (fflush(stdout) == 0) return 1;
  stdout_errno = errno;
  return 0;
}

int mv_cli_put(mv_str text) { return put(text.ptr, text.len); }

void mv_cli_visible(mv_buf *out, mv_str text) {
  for (size_t i = 0; i < text.len;) {
    uint32_t cp;
    size_t n = mv_utf8_decode(text.ptr + i, text.len - i, &cp);
    int control = n == 0 || (cp < 0x20 && cp != '\n' && cp != '\t') || (cp >= 0x7F && cp < 0xA0);
    if (control)
      mv_buf_text(out, "\xEF\xBF\xBD");
    else
      mv_buf_add(out, text.ptr + i, n);
    i += n ? n : 1;
  }
}

int mv_cli_put_visible(mv_str text) {
  mv_buf clean = {0};
  mv_cli_visible(&clean, text);
  int done = !clean.failed && put(clean.len ? clean.ptr : "", clean.len);
  mv_buf_free(&clean);
  return done;
}

int mv_cli_finish(int code) {
  if (mv_cli_flush()) return code;
  const char *why = stdout_errno ? strerror(stdout_errno) : "an earlier write failed";
  mv_cli_say("cannot write to standard output: %s", why);
  return MV_EXIT_FAILED;
}

int mv_cli_stdin_is_terminal(void) { return isatty(STDIN_FILENO); }
int mv_cli_stdout_is_terminal(void) { return isatty(STDOUT_FILENO); }
int mv_cli_stderr_is_terminal(void) { return isatty(STDERR_FILENO); }

static void say(const char *fmt, va_list args) {
  char line[4096];
  int n = vsnprintf(line, sizeof line, fmt, args);
  if (n < 0) return;
  for (char *c = line; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = '?';
  fprintf(stderr, "medvision: %s\n", line);
}

void mv_cli_say(const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  say(fmt, args);
  va_end(args);
}

void mv_cli_note(const mv_cli_args *args, const char *fmt, ...) {
  if (args->quiet) return;
  va_list rest;
  va_start(rest, fmt);
  say(fmt, rest);
  va_end(rest);
}

int mv_cli_fail(const mv_error *err) {
  mv_cli_say("%s", err->msg);
  return err->code == MV_ERR_USAGE ? MV_EXIT_USAGE : MV_EXIT_FAILED;
}

void mv_cli_progress_init(mv_cli_progress *progress, const mv_cli_args *args) {
  memset(progress, 0, sizeof *progress);
  progress->enabled = !args->quiet && mv_cli_stderr_is_terminal();
}

void mv_cli_progress_show(mv_cli_progress *progress, const char *stage, size_t done, size_t total) {
  if (!progress->enabled) return;
  int percent = total ? (int)(100.0 * (double)done / (double)total) : 0;
  if (progress->shown && progress->stage == stage && progress->percent == percent) return;
  progress->shown = 1, progress->stage = stage, progress->percent = percent;
  fprintf(stderr, "\r\033[K%s %d %%", stage, percent);
  fflush(stderr);
}

void mv_cli_progress_clear(mv_cli_progress *progress) {
  if (!progress->shown) return;
  progress->shown = 0;
  fputs("\r\033[K", stderr);
  fflush(stderr);
}

mv_json_writer mv_cli_json(mv_buf *out) {
  mv_json_writer writer = {.out = out, .compact = 1};
  return writer;
}

int mv_cli_put_line(mv_buf *line, int code) {
  mv_buf_char(line, '\n');
  mv_error err = {0};
  if (mv_buf_status(line, &err) != MV_OK)
    code = mv_cli_fail(&err);
  else if (!mv_cli_put(mv_buf_view(line)))
    code = MV_EXIT_FAILED;
  mv_buf_free(line);
  return code;
}
