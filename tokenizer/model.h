/* What a tokenizer is in memory, and how the loaders put it together. Private to tokenizer/. */
#ifndef MV_TOKENIZER_MODEL_H
#define MV_TOKENIZER_MODEL_H

#include "runtime/memory.h"
#include "tokenizer/added.h"
#include "tokenizer/bpe.h"
#include "tokenizer/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_TOKENIZER_MAX_IDS (1 << 20) /* seven times Qwen2.5's: bounds what a file can ask for */

/* Arguments for "%.*s": a text that came from a file, in a message. */
#define MV_SHOWN(s) (int)((s).len < 80 ? (s).len : 80), (s).ptr

typedef enum mv_token_kind {
  MV_TOKEN_NONE = 0, /* no token has this id */
  MV_TOKEN_BASE,     /* from the vocabulary, built by merges */
  MV_TOKEN_ADDED,    /* found whole in the text */
  MV_TOKEN_SPECIAL   /* added, and a control mark */
} mv_token_kind;

struct mv_tokenizer {
  mv_arena arena;      /* owns the bytes of all tokens */
  mv_str *tokens;      /* owns [n_ids]: bytes of each token */
  unsigned char *kind; /* owns [n_ids]: mv_token_kind */
  size_t n_ids;
  int32_t byte_id[256]; /* the base token of each single byte, or -1 */
  mv_merges merges;
  mv_added_set before_nfc, after_nfc;
  int nfc; /* the text is normalised */
};

/* A tokenizer being built: init, then the vocabulary, merges in order of rank, added tokens,
 * finish. Names are as the files write them: one printable character for each byte. They are
 * borrowed until finish. Zero-initialise; mv_builder_free in any case. */
typedef struct mv_builder {
  mv_tokenizer *tok; /* owns until finish hands it over */
  mv_str *names;     /* owns [max_ids] */
  uint32_t *slots;   /* owns [n_slots]: hash table of id + 1 by name */
  mv_added *added;   /* owns: room for all that were announced */
  size_t max_ids, n_slots;
  size_t n_base, n_new, n_added; /* in the vocabulary; added beside it; added at all */
  uint32_t n_merges;
} mv_builder;

typedef struct mv_builder_sizes {
  size_t n_ids; /* the vocabulary's highest id + 1; at most MV_TOKENIZER_MAX_IDS */
  size_t n_merges, n_added;
} mv_builder_sizes;

mv_status mv_builder_init(mv_builder *b, mv_builder_sizes sizes, mv_error *err);
mv_status mv_builder_token(mv_builder *b, mv_str name, int32_t id, mv_error *err);
/* Cuts "left right" at its one space; both are empty when there is not exactly one. */
void mv_merge_split(mv_str line, mv_str *left, mv_str *right);
mv_status mv_builder_merge(mv_builder *b, mv_str left, mv_str right, mv_error *err);
/* The id must be the one Hugging Face gives: the vocabulary's if the text is in it, else the next
 * number behind the vocabulary. */
mv_status mv_builder_added(mv_builder *b, const mv_added *token, mv_error *err);
mv_status mv_builder_finish(mv_builder *b, int nfc, mv_tokenizer **out, mv_error *err);
void mv_builder_free(mv_builder *b);

#ifdef __cplusplus
}
#endif
#endif
