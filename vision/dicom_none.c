/* vision/dicom.h for a build without DCMTK. */
#include <string.h>

#include "vision/dicom.h"

static mv_status missing(mv_error *err) {
  return mv_fail(err, MV_ERR_UNSUPPORTED,
                 "DICOM is not built into this program (install DCMTK and build again)");
}

mv_status mv_dicom_load_picture(const char *path, mv_dicom_picture *out, mv_error *err) {
  memset(out, 0, sizeof *out);
  missing(err);
  return mv_error_prefix(err, "%s", path);
}

mv_status mv_dicom_open_series(mv_volume *volume, mv_error *err) {
  (void)volume;
  return missing(err);
}
