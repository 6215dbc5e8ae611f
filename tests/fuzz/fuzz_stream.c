/* Any bytes as a server's stream: the figures are the same however the bytes are cut. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bench/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  bench_stream whole = {0}, cut = {0};
  const char *bytes = (const char *)data;
  mv_status a = bench_stream_feed(&whole, (mv_str){bytes, size}, 1, NULL), b = MV_OK;
  for (size_t i = 0; i < size && b == MV_OK; i++)
    b = bench_stream_feed(&cut, (mv_str){bytes + i, 1}, 1, NULL);
  if (a != b || whole.n_text != cut.n_text || whole.n_output != cut.n_output ||
      strcmp(whole.error, cut.error) != 0)
    abort();
  bench_stream_free(&whole);
  bench_stream_free(&cut);
  return 0;
}
