/* Any bytes as a safetensors file: opened or refused, and what is opened can be read to the end. */
#include <stdint.h>

#include "weights/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mv_safetensors *set;
  mv_error err;
  if (mv_safetensors_open_memory(&set, data, size, "input", &err) != MV_OK) return 0;
  unsigned sum = 0;
  for (size_t i = 0; i < mv_safetensors_count(set); i++) {
    const mv_st_tensor *t = mv_safetensors_at(set, i);
    for (size_t k = 0; k < t->n_bytes; k++) sum += ((const unsigned char *)t->data)[k];
    if (mv_safetensors_find(set, t->name) != t) __builtin_trap();
  }
  mv_safetensors_close(set);
  static volatile unsigned sink; /* so that the reads stay */
  sink = sum;
  (void)sink;
  return 0;
}
