/* Any bytes as a DICOM file: read as a picture and as a series of one file. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vision/dicom.h"
#include "vision/volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[64];
  mv_dicom_picture picture;
  mv_volume volume;
  mv_error err;
  snprintf(path, sizeof path, "/tmp/fuzz_dicom.%ld.dcm", (long)getpid());
  FILE *file = fopen(path, "wb");
  if (!file) return 0;
  fwrite(data, 1, size, file);
  fclose(file);
  if (mv_dicom_load_picture(path, &picture, &err) == MV_OK) mv_dicom_picture_free(&picture);
  if (mv_dicom_is_file(path) && mv_volume_open(&volume, path, &err) == MV_OK)
    mv_volume_close(&volume);
  unlink(path);
  return 0;
}
