/* NIfTI-1 and NIfTI-2 files through libnifti. For vision/volume.c. */
#ifndef MV_VISION_NIFTI_H
#define MV_VISION_NIFTI_H

#include "vision/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads the header. `volume` is zeroed but for its path. */
mv_status mv_nifti_open(mv_volume *volume, mv_error *err);

/* Reads one slice across a stored axis: out[h * w] as float32, scaled. */
mv_status mv_nifti_slice(const mv_volume *volume, int axis, int index, int frame, float *out,
                         mv_error *err);

/* Bytes of the voxels of a compressed file, inflated; 0 for other files. */
size_t mv_nifti_inflated_bytes(const mv_volume *volume);
/* Keeps them in memory for the slices to come; without effect where that fails. */
void mv_nifti_inflate(mv_volume *volume);

#ifdef __cplusplus
}
#endif
#endif
