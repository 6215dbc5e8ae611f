/* Puts a tokenizer together from names, merges and added tokens, whatever file they came from. */
#include <string.h>

#include "tokenizer/model.h"
#include "tokenizer/unicode.h"

/* ---- one printable character for each byte (GPT-2's alphabet) ---- */

static int stands_for_itself(uint32_t b) {
  return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
}

/* The byte a character stands for, or -1. The other 68 bytes have 256 and up, in order. */
static int byte_of_symbol(uint32_t cp) {
  if (stands_for_itself(cp)) return (int)cp;
  if (cp >= 256 && cp <= 288) return (int)cp - 256;
  if (cp >= 289 && cp <= 322) return (int)cp - 289 + 127;
  return cp == 323 ? 173 : -1;
}

static uint32_t symbol_of_byte(int b) {
  if (stands_for_itself((uint32_t)b)) return (uint32_t)b;
  return (uint32_t)(b <= 32 ? 256 + b : b <= 160 ? 289 + b - 127 : 323);
}

/* The bytes a name stands for, as the reference's decoder has it: a name with any character
 * outside the alphabet stands for its own UTF-8. Writes at most name.len bytes; returns how many,
 * or SIZE_MAX when the name is not UTF-8. */
static size_t bytes_of_name(mv_str name, char *out) {
  size_t n = 0;
  int written_out = 0;
  for (size_t i = 0, len; i < name.len; i += len) {
    uint32_t cp = 0;
    len = mv_utf8_decode(name.ptr + i, name.len - i, &cp);
    if (!len) return SIZE_MAX;
    int byte = byte_of_symbol(cp);
    if (byte < 0) written_out = 1;
    out[n++] = (char)byte;
  }
  if (!written_out) return n;
  memcpy(out, name.ptr, name.len);
  return name.len;
}

/* ---- names ---- */

/* The slot of the name left + right: its own, or the empty one where it belongs. */
static uint32_t *slot_of(const mv_builder *b, mv_str left, mv_str right) {
  uint64_t h = 0xCBF29CE484222325u;
  for (size_t i = 0; i < left.len; i++) h = (h ^ (unsigned char)left.ptr[i]) * 0x100000001B3u;
  for (size_t i = 0; i < right.len; i++) h = (h ^ (unsigned char)right.ptr[i]) * 0x100000001B3u;
  for (size_t at = (size_t)(h ^ h >> 32);; at++) {
    uint32_t *slot = &b->slots[at & (b->n_slots - 1)];
    if (!*slot) return slot;
    mv_str name = b->names[*slot - 1];
    if (name.len == left.len + right.len && !memcmp(name.ptr, left.ptr, left.len) &&
        !memcmp(name.ptr + left.len, right.ptr, right.len)) {
      return slot;
    }
  }
}

/* The id of left + right, or -1. */
static int32_t find(const mv_builder *b, mv_str left, mv_str right) {
  return (int32_t)*slot_of(b, left, right) - 1;
}

static const mv_str nothing = {"", 0};

/* ---- building ---- */

mv_status mv_builder_init(mv_builder *b, mv_builder_sizes sizes, mv_error *err) {
  size_t max_ids = sizes.n_ids + sizes.n_added;
  mv_tokenizer *tok = b->tok = mv_calloc(1, sizeof *tok);
  for (b->n_slots = 64; b->n_slots < 2 * max_ids;) b->n_slots *= 2;
  b->max_ids = max_ids;
  b->names = mv_calloc(max_ids, sizeof *b->names);
  b->slots = mv_calloc(b->n_slots, sizeof *b->slots);
  b->added = mv_calloc(sizes.n_added, sizeof *b->added);
  if (tok) {
    tok->tokens = mv_calloc(max_ids, sizeof *tok->tokens);
    tok->kind = mv_calloc(max_ids, sizeof *tok->kind);
  }
  if (!tok || !b->names || !b->slots || !b->added || !tok->tokens || !tok->kind) {
    return mv_fail(err, MV_ERR_MEMORY, "out of memory for a vocabulary of %zu", max_ids);
  }
  return mv_merges_init(&tok->merges, sizes.n_merges, err);
}

static mv_status put_name(mv_builder *b, mv_str name, int32_t id, mv_token_kind kind,
                          mv_error *err) {
  if ((size_t)id >= b->max_ids || b->tok->kind[id] != MV_TOKEN_NONE) {
    return mv_fail(err, MV_ERR_FORMAT, "token \"%.*s\": id %d is taken or out of range",
                   MV_SHOWN(name), id);
  }
  uint32_t *slot = slot_of(b, name, nothing);
  if (*slot) return mv_fail(err, MV_ERR_FORMAT, "token \"%.*s\" is there twice", MV_SHOWN(name));
  *slot = (uint32_t)id + 1;
  b->names[id] = name;
  b->tok->kind[id] = (unsigned char)kind;
  if ((size_t)id >= b->tok->n_ids) b->tok->n_ids = (size_t)id + 1;
  return MV_OK;
}

mv_status mv_builder_token(mv_builder *b, mv_str name, int32_t id, mv_error *err) {
  b->n_base++;
  return put_name(b, name, id, MV_TOKEN_BASE, err);
}

void mv_merge_split(mv_str line, mv_str *left, mv_str *right) {
  const char *space = memchr(line.ptr, ' ', line.len);
  size_t n = space ? (size_t)(space - line.ptr) : 0;
  *left = *right = nothing;
  if (!space || memchr(space + 1, ' ', line.len - n - 1)) return;
  *left = (mv_str){line.ptr, n};
  *right = (mv_str){space + 1, line.len - n - 1};
}

mv_status mv_builder_merge(mv_builder *b, mv_str left, mv_str right, mv_error *err) {
  int32_t l = find(b, left, nothing), r = find(b, right, nothing), id = find(b, left, right);
  if (l < 0 || r < 0 || id < 0) {
    return mv_fail(err, MV_ERR_FORMAT,
                   "merge %u: \"%.*s\", \"%.*s\" or the two together is not in the vocabulary",
                   b->n_merges, MV_SHOWN(left), MV_SHOWN(right));
  }
  mv_merges_put(&b->tok->merges, l, r, b->n_merges++, id);
  return MV_OK;
}

mv_status mv_builder_added(mv_builder *b, const mv_added *token, mv_error *err) {
  mv_str text = token->text;
  if (text.len == 0) return MV_OK;
  int32_t known = find(b, text, nothing);
  int32_t expected = known >= 0 ? known : (int32_t)(b->n_base + b->n_new);
  if (mv_utf8_check(text.ptr, text.len) != text.len) {
    return mv_fail(err, MV_ERR_FORMAT, "added token %d: content is not UTF-8", token->id);
  }
  if (token->id != expected) {
    return mv_fail(err, MV_ERR_FORMAT, "added token \"%.*s\": expected id %d (%s), file has %d",
                   MV_SHOWN(text), expected,
                   known >= 0 ? "as in the vocabulary" : "the next behind the vocabulary",
                   token->id);
  }
  if (known < 0) {
    b->n_new++;
    MV_TRY(put_name(b, text, token->id, MV_TOKEN_ADDED, err));
  } else if (b->tok->kind[known] != MV_TOKEN_BASE) {
    return mv_fail(err, MV_ERR_FORMAT, "added token \"%.*s\" is there twice", MV_SHOWN(text));
  }
  b->tok->kind[token->id] = token->special ? MV_TOKEN_SPECIAL : MV_TOKEN_ADDED;
  b->added[b->n_added++] = *token;
  return MV_OK;
}

/* ---- finishing ---- */

/* Token bytes of the whole vocabulary, in one block. */
static mv_status place_tokens(mv_builder *b, mv_error *err) {
  mv_tokenizer *tok = b->tok;
  size_t total = 0;
  for (size_t id = 0; id < tok->n_ids; id++) total += b->names[id].len;
  char *at = mv_arena_alloc(&tok->arena, total);
  if (!at) return mv_fail(err, MV_ERR_MEMORY, "out of memory for the vocabulary");
  for (size_t id = 0; id < tok->n_ids; id++) {
    if (tok->kind[id] == MV_TOKEN_NONE) continue;
    size_t n = bytes_of_name(b->names[id], at);
    if (n == SIZE_MAX) return mv_fail(err, MV_ERR_FORMAT, "token %zu is not UTF-8", id);
    tok->tokens[id] = (mv_str){at, n};
    at += b->names[id].len;
  }
  for (int byte = 0; byte < 256; byte++) {
    char utf8[4];
    mv_str name = {utf8, mv_utf8_encode(symbol_of_byte(byte), utf8)};
    tok->byte_id[byte] = find(b, name, nothing);
  }
  return MV_OK;
}

static char *copy(mv_arena *arena, mv_str text) {
  char *bytes = mv_arena_alloc(arena, text.len);
  return bytes ? memcpy(bytes, text.ptr, text.len) : NULL;
}

/* What is looked for, and what decoding gives: the text, or its NFC if the token says so. */
static mv_status place_added(mv_tokenizer *tok, mv_added *item, mv_error *err) {
  mv_buf storage = {0};
  mv_str text = item->text;
  mv_status status = MV_OK;
  if (item->normalized && tok->nfc) status = mv_unicode_nfc(text, &storage, &text, err);
  if (status == MV_OK) {
    char *looked_for = copy(&tok->arena, text), *decoded = copy(&tok->arena, text);
    if (looked_for && decoded) {
      item->text = (mv_str){looked_for, text.len};
      tok->tokens[item->id] = (mv_str){decoded, bytes_of_name(item->text, decoded)};
    } else {
      status = mv_fail(err, MV_ERR_MEMORY, "out of memory for added tokens");
    }
  }
  mv_buf_free(&storage);
  return status;
}

static mv_status place_all_added(mv_builder *b, mv_error *err) {
  mv_tokenizer *tok = b->tok;
  for (size_t i = 0; i < b->n_added; i++) MV_TRY(place_added(tok, &b->added[i], err));
  mv_added_set *sets[2] = {&tok->before_nfc, &tok->after_nfc};
  for (int k = 0; k < 2; k++) {
    sets[k]->items = mv_calloc(b->n_added, sizeof *sets[k]->items);
    if (!sets[k]->items) return mv_fail(err, MV_ERR_MEMORY, "out of memory for added tokens");
    for (size_t i = 0; i < b->n_added; i++) {
      if (b->added[i].normalized == k) sets[k]->items[sets[k]->n++] = b->added[i];
    }
    mv_added_set_build(sets[k]);
  }
  return MV_OK;
}

mv_status mv_builder_finish(mv_builder *b, int nfc, mv_tokenizer **out, mv_error *err) {
  b->tok->nfc = nfc;
  MV_TRY(place_tokens(b, err));
  MV_TRY(place_all_added(b, err));
  *out = b->tok;
  b->tok = NULL;
  return MV_OK;
}

void mv_builder_free(mv_builder *b) {
  mv_tokenizer_close(b->tok);
  mv_free(b->names);
  mv_free(b->slots);
  mv_free(b->added);
  memset(b, 0, sizeof *b);
}
