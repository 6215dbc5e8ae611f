/* The little of Unicode that tokenization needs: classes of code points, and NFC. */
#ifndef MV_TOKENIZER_UNICODE_H
#define MV_TOKENIZER_UNICODE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"
#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  MV_CLASS_LETTER = 1, /* \p{L} */
  MV_CLASS_NUMBER = 2, /* \p{N} */
  MV_CLASS_SPACE = 4,  /* \s    */
  MV_CLASS_WORD = 8,   /* \w    */
  MV_CLASS_INERT = 16  /* a mark or letter that NFC neither moves nor joins */
};

/* The classes the reference's regular expressions give a code point (a table of our own: the
 * Unicode version of a system library must not change a token). */
unsigned mv_unicode_class(uint32_t cp);

/* NFC of valid UTF-8. *out is `text` itself when nothing can change, else a view of `storage`
 * (cleared first; the caller frees it). */
mv_status mv_unicode_nfc(mv_str text, mv_buf *storage, mv_str *out, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
