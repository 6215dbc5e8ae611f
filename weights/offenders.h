/* Many offenders in one message: the first twenty by name, as far as they fit, the rest counted. */
#ifndef MV_WEIGHTS_OFFENDERS_H
#define MV_WEIGHTS_OFFENDERS_H

#include <stddef.h>

#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MV_OFFENDERS_NAMED = 20 };

typedef struct mv_offenders {
  mv_buf text;                     /* owns: the named ones, ", " between them */
  size_t ends[MV_OFFENDERS_NAMED]; /* where each one's text ends */
  size_t n;                        /* all of them */
} mv_offenders;

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void mv_offenders_add(mv_offenders *list, const char *fmt, ...);
/* Appends at most about `room` bytes: "a, b, c and 7 more". */
void mv_offenders_print(const mv_offenders *list, size_t room, mv_buf *out);
void mv_offenders_free(mv_offenders *list);

#ifdef __cplusplus
}
#endif
#endif
