/* What the loaders of both forms share. Private to tokenizer/. */
#ifndef MV_TOKENIZER_LOAD_H
#define MV_TOKENIZER_LOAD_H

#include "runtime/json.h"
#include "tokenizer/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A number that is a token id, or -1. */
int32_t mv_load_id(const mv_json *node);
/* Highest id + 1 of a vocabulary, an object of token: id. */
mv_status mv_load_vocab_size(const mv_json *vocab, size_t *n_ids, mv_error *err);
mv_status mv_load_vocab(mv_builder *b, const mv_json *vocab, mv_error *err);
/* content, lstrip, rstrip, single_word, normalized, special; the text is borrowed and the id is
 * the caller's. */
mv_status mv_load_added(const mv_json *node, mv_added *out, mv_error *err);

/* vocab.json + merges.txt and the files beside them. */
mv_status mv_tokenizer_open_files(mv_tokenizer **out, const char *dir, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
