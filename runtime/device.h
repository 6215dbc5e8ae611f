/* A device: where operations run and what memory they run on. The operation table that goes with
 * it is chosen once (kernels/ops.h). Operations return nothing: a failure makes the device sticky,
 * later operations do nothing, and mv_device_status tells the first message.
 */
#ifndef MV_RUNTIME_DEVICE_H
#define MV_RUNTIME_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Steps (kernels/ops.h) by how they were made; a device that records none counts none. */
typedef struct mv_step_counts {
  uint64_t n_launched; /* operation by operation: of a kind that was new */
  uint64_t n_recorded; /* of a kind seen before, recorded and made at once */
  uint64_t n_replayed; /* as recorded */
} mv_step_counts;

typedef struct mv_device {
  const char *name;   /* "cpu"; borrowed, static */
  size_t cache_bytes; /* last-level cache; 0: as the system tells */
  int n_thread;       /* threads an operation may use */
  int has_bf16;       /* bf16 arithmetic in hardware: what --dtype auto goes by */
  int slice_rows;     /* rows of an MLP at a time: bounds the widest buffers */
  int free_rows;      /* a step of so many takes hardly longer than of one; 0: each costs */
  int ff_multiple;    /* MLP widths are padded to a multiple of this at load, with zeros */
  size_t spare_bytes; /* that a plan leaves free: what the driver loads when it is first used */
  int copies_weights; /* `place` copies: what it was given may be freed */
  int has_side_lane;  /* MV_LANE_SIDE of kernels/ops.h is a queue of its own; 0 makes it the main */
  int records_steps;  /* sizes that come again and again are worth a few rows for nothing */
  mv_step_counts steps;
  mv_error error; /* the first failure; code MV_OK while all is well */
  void *scratch;  /* owns: temporary memory of one operation at a time */
  size_t scratch_bytes;
  double *marks;              /* owns: a CPU's clock at ops->mark, once asked for */
  int ranges;                 /* whether kernels/range.h tells a profiler what runs */
  struct mv_profile *profile; /* borrowed: kernels/ops_profile.h; NULL but for --profile */
  struct mv_team *team;       /* owns: a CPU's threads (runtime/team.h); NULL: one */
  void *impl;                 /* the backend's own: vector variant of the CPU, mv_cuda of a GPU */
} mv_device;

/* First failure since open, copied into err. */
mv_status mv_device_status(const mv_device *device, mv_error *err);

/* Ends a failure to get memory: the operation that wanted it is given up, and what it held freed.
 * Other failures stay. */
void mv_device_recover(mv_device *device);

/* Temporary memory for the operation that asks, 64-byte aligned, contents undefined; valid until
 * the next call. Grows, never shrinks; NULL (and a sticky error) when memory is out. */
void *mv_device_scratch(mv_device *device, size_t n_bytes);

#ifdef __cplusplus
}
#endif
#endif
