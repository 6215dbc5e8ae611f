#include "runtime/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

mv_status mv_fail_at(mv_error *err, mv_status code, const char *file, int line, const char *fmt,
                     ...) {
  if (!err) return code;
  err->code = code;
  err->file = file;
  err->line = line;
  va_list args;
  va_start(args, fmt);
  vsnprintf(err->msg, sizeof err->msg, fmt, args);
  va_end(args);
  return code;
}

mv_status mv_error_prefix(mv_error *err, const char *fmt, ...) {
  if (!err) return MV_ERR_IO;
  char old[sizeof err->msg];
  memcpy(old, err->msg, sizeof old);
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(err->msg, sizeof err->msg, fmt, args);
  va_end(args);
  size_t used = n < 0 ? 0 : (size_t)n < sizeof old ? (size_t)n : sizeof old - 1;
  size_t room = sizeof old - used;
  if (room > 2) snprintf(err->msg + used, room, ": %.*s", (int)(room - 3), old);
  return err->code;
}
