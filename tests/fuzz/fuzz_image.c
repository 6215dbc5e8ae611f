/* Decodes any bytes as an image of up to a megapixel, then takes it through the resize. */
#include <stdint.h>

#include "vision/image.h"
#include "vision/resize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mv_image image, small;
  mv_error err;
  if (mv_image_probe(data, size, &image, &err) != MV_OK) return 0;
  if ((int64_t)image.width * image.height > 1 << 20) return 0;
  if (mv_image_decode(data, size, &image, &err) == MV_OK &&
      mv_image_resize(&image, 28, 56, MV_RESAMPLER_TORCHVISION, &small, &err) == MV_OK)
    mv_image_free(&small);
  mv_image_free(&image);
  return 0;
}
