/* Text to token ids and back: the byte-level BPE of the Qwen2.5 family, equal to Hugging Face's.
 *
 *   text ─ added tokens cut out ─ NFC ─ pre-tokens (words, digits, spaces) ─ BPE over bytes ─► ids
 *
 * A token is a byte string with an id. *Base* tokens are built by merges; *added* tokens are found
 * whole in the text, leftmost and longest first. Added tokens that are *special* (<|im_start|>,
 * <|image_pad|> ...) are control marks: in text they are ordinary characters unless
 * MV_ENCODE_SPECIAL asks, so that no user text can forge them; the chat template (chat.h) puts
 * them in by id.
 *
 * A tokenizer is read-only once open: any number of threads may use one.
 */
#ifndef MV_TOKENIZER_TOKENIZER_H
#define MV_TOKENIZER_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"
#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_tokenizer mv_tokenizer;

/* A growing list of token ids. Zero-initialise; owns `ids`; free with mv_ids_free. */
typedef struct mv_ids {
  int32_t *ids;
  size_t len, cap;
} mv_ids;

mv_status mv_ids_add(mv_ids *list, int32_t id, mv_error *err);
void mv_ids_free(mv_ids *list);

/* Opens the tokenizer of a checkpoint's folder: `tokenizer.json`, or else `vocab.json` with
 * `merges.txt`, whose added tokens come from `tokenizer_config.json` and `added_tokens.json` or,
 * where neither is there and the vocabulary is Qwen2.5's, are its 22. A tokenizer of another family
 * is MV_ERR_UNSUPPORTED, naming what differs. Fills *out (free with mv_tokenizer_close). */
mv_status mv_tokenizer_open(mv_tokenizer **out, const char *dir, mv_error *err);
/* The same from the bytes of a tokenizer.json. */
mv_status mv_tokenizer_parse(mv_tokenizer **out, const char *json, size_t n, mv_error *err);
void mv_tokenizer_close(mv_tokenizer *tok); /* accepts NULL */

enum {
  MV_ENCODE_SPECIAL = 1,     /* special tokens written out in the text become their ids */
  MV_DECODE_SKIP_SPECIAL = 1 /* special tokens leave no text */
};

/* Appends the ids of `text`, which must be UTF-8 (else MV_ERR_FORMAT with the byte offset). On
 * failure `out` is as it was. */
mv_status mv_tokenizer_encode(const mv_tokenizer *tok, mv_str text, unsigned flags, mv_ids *out,
                              mv_error *err);

/* Appends the text of n ids. Bytes that are not UTF-8 become U+FFFD; ids without a token (the
 * padding rows of the embedding) leave no text, as in Hugging Face's decoder. */
mv_status mv_tokenizer_decode(const mv_tokenizer *tok, const int32_t *ids, size_t n, unsigned flags,
                              mv_buf *out, mv_error *err);

/* The bytes of one token (borrowed; may be part of a character); empty when the id has none. */
mv_str mv_tokenizer_token(const mv_tokenizer *tok, int32_t id);
int mv_tokenizer_is_special(const mv_tokenizer *tok, int32_t id);
/* The id of the special token written `text`, or -1. */
int32_t mv_tokenizer_special_id(const mv_tokenizer *tok, const char *text);
/* The highest id + 1. */
size_t mv_tokenizer_vocab_size(const mv_tokenizer *tok);

/* Decodes ids one by one, never emitting part of a character: what all pushes and the flush
 * append is what mv_tokenizer_decode gives for all ids at once. Owns nothing. */
typedef struct mv_decoder {
  const mv_tokenizer *tok; /* borrows */
  unsigned flags;          /* MV_DECODE_* */
  unsigned n_held;
  char held[4]; /* the first bytes of a character still to come */
} mv_decoder;

void mv_decoder_init(mv_decoder *dec, const mv_tokenizer *tok, unsigned flags);
mv_status mv_decoder_push(mv_decoder *dec, int32_t id, mv_buf *out, mv_error *err);
/* A character cut off by the end becomes U+FFFD; the decoder is as after init. */
mv_status mv_decoder_flush(mv_decoder *dec, mv_buf *out, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
