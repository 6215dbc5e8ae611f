/* Decodes any bytes as an image of up to a megapixel, then takes it through the resize. A PNG is
 * tried again with its checksums set right, or no mutation would get past them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vision/image.h"
#include "vision/resize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const uint8_t *data, size_t size) {
  mv_image image, small;
  mv_error err;
  if (mv_image_probe(data, size, &image, &err) != MV_OK) return;
  if ((int64_t)image.width * image.height > 1 << 20) return;
  if (mv_image_decode(data, size, &image, &err) == MV_OK &&
      mv_image_resize(&image, 28, 56, MV_RESAMPLER_TORCHVISION, &small, &err) == MV_OK)
    mv_image_free(&small);
  mv_image_free(&image);
}

static uint32_t crc32_of(const uint8_t *bytes, size_t n) {
  uint32_t crc = 0xFFFFFFFF;
  for (size_t i = 0; i < n; i++) {
    crc ^= bytes[i];
    for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  return ~crc;
}

/* Chunks are length (4), kind (4), data, checksum of kind and data (4). */
static void repair_checksums(uint8_t *png, size_t size) {
  for (size_t at = 8; at + 12 <= size;) {
    size_t n = (size_t)png[at] << 24 | (size_t)png[at + 1] << 16 | (size_t)png[at + 2] << 8 |
               (size_t)png[at + 3];
    if (n > size - at - 12) return;
    uint32_t crc = crc32_of(png + at + 4, n + 4);
    for (int i = 0; i < 4; i++) png[at + 8 + n + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
    at += n + 12;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  decode(data, size);
  if (size < 8 || memcmp(data, "\x89PNG", 4) != 0) return 0;
  uint8_t *copy = malloc(size);
  if (!copy) return 0;
  memcpy(copy, data, size);
  repair_checksums(copy, size);
  decode(copy, size);
  free(copy);
  return 0;
}
