#include "tokenizer/tokenizer.h"

#include <string.h>

#include "tokenizer/model.h"
#include "tokenizer/split.h"
#include "tokenizer/unicode.h"

/* ---- ids ---- */

static mv_status reserve(mv_ids *list, size_t n, mv_error *err) {
  size_t need, n_bytes;
  if (!mv_add_size(list->len, n, &need)) need = SIZE_MAX;
  if (need <= list->cap) return MV_OK;
  size_t cap = list->cap ? list->cap : 64;
  while (cap < need) cap = cap > need / 2 ? need : cap * 2;
  int32_t *ids = mv_mul_size(cap, sizeof *ids, &n_bytes) ? mv_realloc(list->ids, n_bytes) : NULL;
  if (!ids) return mv_fail(err, MV_ERR_MEMORY, "out of memory for %zu token ids", need);
  list->ids = ids;
  list->cap = cap;
  return MV_OK;
}

mv_status mv_ids_add(mv_ids *list, int32_t id, mv_error *err) {
  MV_TRY(reserve(list, 1, err));
  list->ids[list->len++] = id;
  return MV_OK;
}

void mv_ids_free(mv_ids *list) {
  mv_free(list->ids);
  memset(list, 0, sizeof *list);
}

/* ---- the tokenizer ---- */

void mv_tokenizer_close(mv_tokenizer *tok) {
  if (!tok) return;
  mv_arena_reset(&tok->arena);
  mv_free(tok->tokens);
  mv_free(tok->kind);
  mv_merges_free(&tok->merges);
  mv_free(tok->before_nfc.items);
  mv_free(tok->after_nfc.items);
  mv_free(tok);
}

mv_str mv_tokenizer_token(const mv_tokenizer *tok, int32_t id) {
  if (id < 0 || (size_t)id >= tok->n_ids || !tok->tokens[id].ptr) return mv_str_of("");
  return tok->tokens[id];
}

int mv_tokenizer_is_special(const mv_tokenizer *tok, int32_t id) {
  return id >= 0 && (size_t)id < tok->n_ids && tok->kind[id] == MV_TOKEN_SPECIAL;
}

int32_t mv_tokenizer_special_id(const mv_tokenizer *tok, const char *text) {
  const mv_added_set *sets[2] = {&tok->before_nfc, &tok->after_nfc};
  for (int k = 0; k < 2; k++) {
    for (size_t i = 0; i < sets[k]->n; i++) {
      const mv_added *item = &sets[k]->items[i];
      if (item->special && mv_str_is(item->text, text)) return item->id;
    }
  }
  return -1;
}

size_t mv_tokenizer_vocab_size(const mv_tokenizer *tok) { return tok->n_ids; }

/* ---- encoding: three nested steps, each handing pieces of the text to the next ---- */

typedef struct mv_encoder {
  const mv_tokenizer *tok;
  unsigned flags;
  mv_ids *out;
  mv_bpe_scratch scratch; /* owns */
  mv_buf nfc;             /* owns: the piece being worked on, normalised */
  mv_error *err;
} mv_encoder;

typedef mv_status (*mv_encode_step)(mv_encoder *enc, mv_str piece);

/* The bytes of the piece become ids at the end of the list and are merged there. */
static mv_status encode_word(mv_encoder *enc, const char *s, size_t n) {
  const int32_t *byte_id = enc->tok->byte_id;
  MV_TRY(reserve(enc->out, n, enc->err));
  int32_t *ids = enc->out->ids + enc->out->len;
  for (size_t i = 0; i < n; i++) {
    ids[i] = byte_id[(unsigned char)s[i]];
    if (ids[i] < 0) {
      return mv_fail(enc->err, MV_ERR_UNSUPPORTED,
                     "the tokenizer's vocabulary has no token for byte 0x%02X of the text",
                     (unsigned char)s[i]);
    }
  }
  MV_TRY(mv_bpe_merge(&enc->tok->merges, &enc->scratch, ids, &n, enc->err));
  enc->out->len += n;
  return MV_OK;
}

static mv_status encode_words(mv_encoder *enc, mv_str text) {
  for (size_t at = 0, n; at < text.len; at += n) {
    n = mv_split_next(text.ptr + at, text.len - at);
    MV_TRY(encode_word(enc, text.ptr + at, n));
  }
  return MV_OK;
}

/* Cuts out the added tokens of `set`; the text between them goes to `step`. */
static mv_status cut_added(mv_encoder *enc, const mv_added_set *set, mv_str text,
                           mv_encode_step step) {
  mv_added_scan scan = {
      .set = set, .text = text, .with_special = (enc->flags & MV_ENCODE_SPECIAL) != 0};
  size_t done = 0;
  for (;;) {
    mv_added_match match = mv_added_next(&scan);
    if (done < match.begin) {
      MV_TRY(step(enc, (mv_str){text.ptr + done, match.begin - done}));
    }
    if (!match.token) return MV_OK;
    MV_TRY(mv_ids_add(enc->out, match.token->id, enc->err));
    done = match.end;
  }
}

static mv_status encode_normalized(mv_encoder *enc, mv_str text) {
  if (enc->tok->nfc) MV_TRY(mv_unicode_nfc(text, &enc->nfc, &text, enc->err));
  return cut_added(enc, &enc->tok->after_nfc, text, encode_words);
}

mv_status mv_tokenizer_encode(const mv_tokenizer *tok, mv_str text, unsigned flags, mv_ids *out,
                              mv_error *err) {
  size_t valid = mv_utf8_check(text.ptr, text.len), before = out->len;
  if (valid != text.len) {
    return mv_fail(err, MV_ERR_FORMAT, "text is not UTF-8 at byte %zu", valid);
  }
  if (text.len > INT32_MAX / 8) {
    return mv_fail(err, MV_ERR_MEMORY, "text has %zu bytes, at most %d can be encoded", text.len,
                   INT32_MAX / 8);
  }
  mv_encoder enc = {.tok = tok, .flags = flags, .out = out, .err = err};
  mv_status status = cut_added(&enc, &tok->before_nfc, text, encode_normalized);
  if (status != MV_OK) out->len = before;
  mv_bpe_scratch_free(&enc.scratch);
  mv_buf_free(&enc.nfc);
  return status;
}

/* ---- decoding ---- */

mv_status mv_tokenizer_decode(const mv_tokenizer *tok, const int32_t *ids, size_t n, unsigned flags,
                              mv_buf *out, mv_error *err) {
  mv_decoder dec;
  mv_decoder_init(&dec, tok, flags);
  for (size_t i = 0; i < n; i++) MV_TRY(mv_decoder_push(&dec, ids[i], out, err));
  return mv_decoder_flush(&dec, out, err);
}

void mv_decoder_init(mv_decoder *dec, const mv_tokenizer *tok, unsigned flags) {
  *dec = (mv_decoder){.tok = tok, .flags = flags};
}

/* How many bytes at the end of s are the beginning of a longer character. */
static size_t open_tail(const char *s, size_t n) {
  for (size_t k = 1; k <= 3 && k <= n; k++) {
    unsigned char c = (unsigned char)s[n - k];
    if ((c & 0xC0) == 0x80) continue;
    size_t len = c < 0xC0 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    return k < len ? k : 0;
  }
  return 0;
}

/* Appends held bytes + s as text, U+FFFD for what is broken; holds back an open tail. */
static mv_status emit(mv_decoder *dec, mv_str s, int last, mv_buf *out, mv_error *err) {
  size_t begin = out->len;
  mv_buf_add(out, dec->held, dec->n_held);
  mv_buf_str(out, s);
  MV_TRY(mv_buf_status(out, err));
  size_t n = out->len - begin, tail = last || !n ? 0 : open_tail(out->ptr + begin, n);
  dec->n_held = (unsigned)tail;
  if (tail) memcpy(dec->held, out->ptr + out->len - tail, tail);
  out->len -= tail;
  if (out->ptr) out->ptr[out->len] = 0;
  n -= tail;
  if (!n || mv_utf8_check(out->ptr + begin, n) == n) return MV_OK;
  /* Every byte may become the three of U+FFFD. The broken ones step aside by that much, so that
   * what is written never reaches what is still to be read. */
  mv_buf_reserve(out, 4 * n);
  MV_TRY(mv_buf_status(out, err));
  char *aside = out->ptr + begin + 3 * n + 1;
  memmove(aside, out->ptr + begin, n);
  out->len = begin;
  mv_utf8_lossy(out, aside, n);
  return mv_buf_status(out, err);
}

mv_status mv_decoder_push(mv_decoder *dec, int32_t id, mv_buf *out, mv_error *err) {
  if (dec->flags & MV_DECODE_SKIP_SPECIAL && mv_tokenizer_is_special(dec->tok, id)) return MV_OK;
  return emit(dec, mv_tokenizer_token(dec->tok, id), 0, out, err);
}

mv_status mv_decoder_flush(mv_decoder *dec, mv_buf *out, mv_error *err) {
  return emit(dec, mv_str_of(""), 1, out, err);
}
