/* Any bytes as a file of drafts: what is accepted must read back, once written, as what writes the
 * same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "runtime/draft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Holds in every build type, unlike assert. */
static void must(int condition) {
  if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static mv_drafter first, second; /* large */
  mv_str text = {(const char *)data, size};
  mv_buf once = {0}, twice = {0};
  first.image_token_id = second.image_token_id = -1;
  if (mv_drafter_read(&first, 512, text, NULL) == MV_OK) {
    mv_drafter_write(&first, 512, &once);
    must(mv_drafter_read(&second, 512, mv_buf_view(&once), NULL) == MV_OK);
    mv_drafter_write(&second, 512, &twice);
    must(mv_str_eq(mv_buf_view(&once), mv_buf_view(&twice)));
  }
  mv_drafter_free(&first);
  mv_drafter_free(&second);
  mv_buf_free(&once);
  mv_buf_free(&twice);
  return 0;
}
