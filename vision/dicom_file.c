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

void mv_dicom_picture_free(mv_dicom_picture *picture) {
  mv_image_free(&picture->image);
  memset(picture, 0, sizeof *picture);
}
