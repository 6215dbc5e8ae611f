/* Medical volumes and their slices.
 *
 *   NIfTI-1/2 file ── header ──► mv_volume ── slice ──► mv_slice (float32) ── intensity ──►
 * mv_image DICOM series   ── voxels ──┘
 *
 * Voxel [i, j, k] has i running fastest in the file. A slice across axis d (0 sagittal, 1 coronal,
 * 2 axial) is v[idx,:,:], v[:,idx,:] or v[:,:,idx]: of the two axes left, the first gives the rows
 * (row 0 on top), the second the columns. Nothing is turned or flipped beyond that.
 *
 * "Axis" means one of two things: as stored, which is what the benchmark does (its files were
 * brought to RAS+ beforehand), or after reorientation to the closest RAS+ axes by the header's
 * affine, as nibabel's as_closest_canonical does (axis 0 towards the patient's right, 1 towards
 * the front, 2 towards the head).
 *
 * Opening a NIfTI file reads its header alone; a slice reads what it needs and no more (of a
 * compressed file, everything before it is inflated but not kept; vision/volumes.h keeps it).
 */
#ifndef MV_VISION_VOLUME_H
#define MV_VISION_VOLUME_H

#include <stdint.h>

#include "runtime/error.h"
#include "runtime/text.h"
#include "vision/image.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_VOLUME_MAX_SIDE 65535

typedef enum mv_orientation { MV_ORIENTATION_STORED = 0, MV_ORIENTATION_RAS } mv_orientation;

/* Zero-initialise; owns path and voxels; free with mv_volume_close. */
typedef struct mv_volume {
  char *path;
  int dim[3];              /* voxels along the stored axes                                   */
  int n_frame;             /* of a 4-D file (and beyond: all further axes flattened)         */
  float zoom[3];           /* sides of a voxel as stored, in the file's unit */
  double unit_mm;          /* that unit in mm: 1, 1000 or 0.001; 1 when the file names none  */
  int has_spacing;         /* every zoom is a positive number                                */
  const char *spacing_tag; /* what the format calls it: "pixdim", ... */
  double affine[3][4];     /* voxel index to RAS+ mm */
  int ras_axis[3];         /* stored axis that runs along R, A, S */
  int ras_flip[3];         /* and whether against it */

  int type; /* NIfTI datatype code */
  int voxel_bytes, swap;
  int64_t offset; /* of the first voxel in the file */
  int scaled;     /* value = raw * slope + inter */
  double slope, inter;
  float *voxels; /* all of them, where the file cannot be read in pieces; NULL otherwise */
  int is_gzip;
  unsigned char *inflated; /* the file from its first voxel on: vision/volumes.h; else NULL */
} mv_volume;

/* One slice. Zero-initialise; owns px; free with mv_slice_free. */
typedef struct mv_slice {
  int height, width;    /* pixels */
  float *px;            /* [height, width] */
  float zoom_h, zoom_w; /* of a pixel, in the volume's unit; not positive when not known */
} mv_slice;

/* By content and name: .nii, .nii.gz, .hdr (its voxels in the .img beside it), or a folder of DICOM
 * files. MV_ERR_FORMAT for damage, MV_ERR_UNSUPPORTED for voxels that are no real numbers, with the
 * path in front. */
mv_status mv_volume_open(mv_volume *volume, const char *path, mv_error *err);
void mv_volume_close(mv_volume *volume); /* accepts a zeroed volume */

/* Whether the name says volume: .nii, .nii.gz, .hdr. */
int mv_volume_is_name(mv_str path);

/* Sizes and spacing of a slice without reading it: everything but px. */
mv_status mv_volume_slice_frame(const mv_volume *volume, mv_orientation orientation, int axis,
                                int index, int frame, mv_slice *out, mv_error *err);
/* Reads slice `index` across `axis` of `frame`. MV_ERR_USAGE names an index that is not there. */
mv_status mv_volume_slice(const mv_volume *volume, mv_orientation orientation, int axis, int index,
                          int frame, mv_slice *out, mv_error *err);
void mv_slice_free(mv_slice *slice);

/* The closest RAS+ axes of an affine, as nibabel's io_orientation: fills ras_axis and ras_flip. */
mv_status mv_volume_orient(mv_volume *volume, mv_error *err);

/* Reads a file that may be compressed by gzip. More than `limit` bytes is MV_ERR_MEMORY. */
mv_status mv_gzip_read(const char *path, size_t limit, mv_buf *out, mv_error *err);

/* ---- a slice to 8 bits, bit exact with the benchmark ---- */

/* Interpolates to height x width as scipy.ndimage.zoom does with order 1 (order 0 when the slice
 * has at most two distinct values). Replaces the pixels and divides the zooms. */
mv_status mv_slice_reshape(mv_slice *slice, int height, int width, mv_error *err);
/* scipy.ndimage.zoom itself, order 0 or 1; `out` holds height * width. */
void mv_zoom(const float *in, int in_h, int in_w, float *out, int height, int width, int order);

/* numpy.percentile(values, p, method="linear") in float32; sorts `values` in place. n > 0. */
float mv_percentile_sorted(const float *sorted, size_t n, double p);

/* Hounsfield window, or (width 0) the 0.5th to 99.5th percentile, to 0..255, truncated. */
mv_status mv_slice_to_image(const mv_slice *slice, double window_width, double window_level,
                            mv_image *out, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
