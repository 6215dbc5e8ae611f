/* vision/dicom.h for a build without DCMTK. */
#include <stdio.h>
#include <string.h>

#include "vision/dicom.h"

int mv_dicom_is_file(const char *path) {
  char head[132] = {0};
  FILE *file = fopen(path, "rb");
  size_t n = file ? fread(head, 1, sizeof head, file) : 0;
  if (file) fclose(file);
  return n == sizeof head && !memcmp(head + 128, "DICM", 4);
}

static mv_status missing(mv_error *err) {
  return mv_fail(err, MV_ERR_UNSUPPORTED,
                 "DICOM is not built into this program (install DCMTK and build again)");
}

mv_status mv_dicom_load_picture(const char *path, mv_dicom_picture *out, mv_error *err) {
  memset(out, 0, sizeof *out);
  missing(err);
  return mv_error_prefix(err, "%s", path);
}

void mv_dicom_picture_free(mv_dicom_picture *picture) { mv_image_free(&picture->image); }

mv_status mv_dicom_open_series(mv_volume *volume, mv_error *err) {
  (void)volume;
  return missing(err);
}
