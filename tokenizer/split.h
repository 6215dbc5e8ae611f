/* The pre-tokenizer of Qwen2: cuts text into the pieces that BPE works on. */
#ifndef MV_TOKENIZER_SPLIT_H
#define MV_TOKENIZER_SPLIT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The regular expression that mv_split_next is, written out by hand. */
#define MV_SPLIT_PATTERN                                               \
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|" \
  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* Bytes of the first piece of the n > 0 bytes at `s`, which are valid UTF-8; 1 .. n. */
size_t mv_split_next(const char *s, size_t n);

#ifdef __cplusplus
}
#endif
#endif
