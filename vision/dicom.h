/* DICOM files through DCMTK (vision/dicom.cc), where the build has it (MV_DICOM).
 *
 * What a file says about its pixels is applied here once: rescale slope and intercept, sign,
 * MONOCHROME1 turned over. JPEG, JPEG-LS and RLE transfer syntaxes are decoded.
 */
#ifndef MV_VISION_DICOM_H
#define MV_VISION_DICOM_H

#include "vision/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether the file begins as DICOM does ("DICM" after 128 bytes). */
int mv_dicom_is_file(const char *path);

/* One picture: a single-frame file (or frame 0 of one with several). Zero-initialise; owns image;
 * free with mv_dicom_picture_free. */
typedef struct mv_dicom_picture {
  mv_image image; /* 8 bits: by the file's own window, else its 0.5th to 99.5th percentile */
  float pixel_w, pixel_h;  /* mm; 0 when the file has no spacing */
  const char *spacing_tag; /* the tag it came from, or those that are missing */
} mv_dicom_picture;

mv_status mv_dicom_load_picture(const char *path, mv_dicom_picture *out, mv_error *err);
void mv_dicom_picture_free(mv_dicom_picture *picture);

/* The series in the folder `volume->path` (or the one file it names): its slices sorted along
 * their normal, all voxels in memory. Fills all but path and the RAS axes. */
mv_status mv_dicom_open_series(mv_volume *volume, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
