#include "weights/offenders.h"

#include <stdarg.h>
#include <stdio.h>

void mv_offenders_add(mv_offenders *list, const char *fmt, ...) {
  if (list->n++ >= MV_OFFENDERS_NAMED) return;
  char one[256];
  va_list args;
  va_start(args, fmt);
  vsnprintf(one, sizeof one, fmt, args);
  va_end(args);
  mv_buf_printf(&list->text, "%s%s", list->n > 1 ? ", " : "", one);
  list->ends[list->n - 1] = list->text.len;
}

void mv_offenders_print(const mv_offenders *list, size_t room, mv_buf *out) {
  size_t n_named = list->n < MV_OFFENDERS_NAMED ? list->n : MV_OFFENDERS_NAMED;
  while (n_named > 1 && list->ends[n_named - 1] > room) n_named--;
  if (n_named) mv_buf_add(out, mv_buf_view(&list->text).ptr, list->ends[n_named - 1]);
  if (n_named < list->n) mv_buf_printf(out, " and %zu more", list->n - n_named);
  if (list->text.failed) out->failed = 1;
}

void mv_offenders_free(mv_offenders *list) { mv_buf_free(&list->text); }
