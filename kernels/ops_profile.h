/* Where the time goes: a table of operations around a device's own that times every one of them and
 * adds up calls, time, bytes and flops (mv_<op>_cost), apart for 1 row, up to 64, and more.
 *
 * Steps are not recorded meanwhile: every operation is launched, and shown, alone. Its time is
 * between two marks of the device (mv_ops.mark), so on a GPU nothing waits; what the host takes to
 * launch shows up where it is longer than the operation itself.
 */
#ifndef MV_KERNELS_OPS_PROFILE_H
#define MV_KERNELS_OPS_PROFILE_H

#include "kernels/ops_limits.h"
#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_profile_row {
  const char *op;
  int rows; /* 1, 64 (2 to 64), 0 (more) */
  long n_call;
  double ms, bytes, flops;
} mv_profile_row;

typedef struct mv_profile mv_profile;

/* Puts a profile around *ops, which becomes the table to use with this device until
 * mv_profile_close. Returns it in *out (free with mv_profile_close, before the device closes).
 * MV_ERR_MEMORY. */
mv_status mv_profile_open(mv_profile **out, mv_device *device, const mv_ops **ops, mv_error *err);
void mv_profile_close(mv_profile *profile); /* accepts NULL */

const mv_ops *mv_profile_inner(const mv_profile *profile); /* the device's own table */

/* What there is so far, longest first; waits for the device. Borrowed, *n rows. */
const mv_profile_row *mv_profile_rows(mv_profile *profile, int *n);

/* The same as a table of text, with the share of the limits that each reaches: of the time at which
 * its bytes or its flops, whichever takes longer, could be done. */
void mv_profile_print(mv_profile *profile, const mv_limits *limits, mv_buf *out);

#ifdef __cplusplus
}
#endif
#endif
