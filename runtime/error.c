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
  char text[sizeof err->msg];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  if (n < 0) return err->code;
  size_t used = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
  snprintf(text + used, sizeof text - used, ": %s", err->msg);
  memcpy(err->msg, text, sizeof text);
  return err->code;
}
