/* A hostile tokenizer.json, then hostile text: what stands before the first 0xFF byte is the file,
 * what follows is encoded and decoded with it (a fixed text where nothing follows). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizer/chat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const mv_tokenizer *tok, mv_str text) {
  mv_ids ids = {0};
  mv_buf back = {0};
  for (unsigned flags = 0; flags < 2; flags++) {
    ids.len = 0;
    if (mv_tokenizer_encode(tok, text, flags, &ids, NULL) != MV_OK) continue;
    mv_buf_clear(&back);
    if (mv_tokenizer_decode(tok, ids.ids, ids.len, flags, &back, NULL) != MV_OK) abort();
    if (mv_utf8_check(mv_buf_view(&back).ptr, back.len) != back.len) abort();
  }
  mv_chat_part part = {MV_PART_TEXT, text, 0};
  mv_chat_message message = {mv_str_of("user"), &part, 1};
  mv_chat_encode(tok, &message, 1, 1, &ids, NULL);
  mv_ids_free(&ids);
  mv_buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *json = size ? (const char *)data : "";
  const char *mark = size ? memchr(json, 0xFF, size) : NULL;
  size_t n = mark ? (size_t)(mark - json) : size;
  mv_str text = mv_str_of("Task:\n the le\xCC\x81sion's 12.5 mm <|im_end|>  x");
  if (mark) text = (mv_str){mark + 1, size - n - 1};
  mv_error err;
  mv_tokenizer *tok = NULL;
  if (mv_tokenizer_parse(&tok, json, n, &err) == MV_OK) use(tok, text);
  mv_tokenizer_close(tok);
  return 0;
}
