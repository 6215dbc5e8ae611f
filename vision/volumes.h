/* Volumes kept open between slices.
 *
 * Questions come slice after slice of the same few volumes. Opened alone, a compressed file is
 * inflated up to the slice each time, and a DICOM series read whole. Kept here, the header is read
 * once, and a compressed file of which a second slice is asked is inflated once, into memory, while
 * all that is kept stays below a limit; beyond it slices are read as if alone. A file that changes
 * on disk is opened anew. Any thread may take and give back.
 */
#ifndef MV_VISION_VOLUMES_H
#define MV_VISION_VOLUMES_H

#include "vision/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_volumes mv_volumes;

#define MV_VOLUMES_LIMIT ((size_t)1 << 30) /* what the commands keep: a few whole-body volumes */

/* `limit` bytes of voxels at most. Returns (free with mv_volumes_free). */
mv_status mv_volumes_new(mv_volumes **out, size_t limit, mv_error *err);
void mv_volumes_free(mv_volumes *volumes); /* nothing taken; accepts NULL */

/* mv_volume_open, or the one that is open, borrowed until mv_volumes_give. `reads_slice`: a slice
 * is about to be read. `volumes` NULL: opened for this caller alone. */
mv_status mv_volumes_take(mv_volumes *volumes, const char *path, int reads_slice, mv_volume *out,
                          mv_error *err);
void mv_volumes_give(mv_volumes *volumes, mv_volume *volume); /* accepts a zeroed volume */

#ifdef __cplusplus
}
#endif
#endif
