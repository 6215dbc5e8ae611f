/* Any bytes as config.json and generation_config.json. A config that is accepted must give every
 * tensor of the table a shape whose byte count does not overflow. */
#include <stdint.h>

#include "weights/config.h"
#include "weights/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const mv_config *config) {
  for (int id = 0; id < MV_W_N; id++) {
    int64_t shape[5], n = 4;
    int n_dim = mv_weight_shape((mv_weight_id)id, config, shape);
    for (int i = 0; i < n_dim; i++) {
      if (shape[i] < 1 || n > INT64_MAX / shape[i]) __builtin_trap();
      n *= shape[i];
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static mv_config config;
  mv_generation_config generation;
  mv_error err;
  mv_str text = {(const char *)data, size};
  if (mv_config_parse(&config, text, "config.json", &err) == MV_OK) check(&config);
  mv_generation_config_parse(&generation, text, "generation_config.json", &err);
  return 0;
}
