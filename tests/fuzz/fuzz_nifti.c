/* Any bytes as a NIfTI file: opened, one slice of each plane read. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vision/dicom.h"
#include "vision/volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[64];
  mv_volume volume;
  mv_error err;
  snprintf(path, sizeof path, "/tmp/fuzz_nifti.%ld.nii", (long)getpid());
  FILE *file = fopen(path, "wb");
  if (!file) return 0;
  fwrite(data, 1, size, file);
  fclose(file);
  if (mv_volume_open(&volume, path, &err) == MV_OK) {
    double voxels = (double)volume.dim[0] * volume.dim[1] * volume.dim[2];
    for (int axis = 0; axis < 3 && voxels < 1 << 22; axis++) {
      mv_slice slice;
      mv_image image = {0};
      mv_orientation o = axis % 2 ? MV_ORIENTATION_RAS : MV_ORIENTATION_STORED;
      if (mv_volume_slice(&volume, o, axis, 0, 0, &slice, &err) != MV_OK) continue;
      if (mv_slice_to_image(&slice, 0, 0, &image, &err) == MV_OK) mv_image_free(&image);
      mv_slice_free(&slice);
    }
    mv_volume_close(&volume);
  }
  unlink(path);
  return 0;
}
