/* Byte-pair merges: the table, and the merging of one word. */
#ifndef MV_TOKENIZER_BPE_H
#define MV_TOKENIZER_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Two neighbouring tokens and the one they become. The lowest rank goes first. */
typedef struct mv_merge {
  uint64_t pair; /* left id << 32 | right id */
  uint32_t rank;
  int32_t id; /* -1: this slot is empty */
} mv_merge;

/* Open addressing, at most half full. Zero-initialise; owns `slots`. */
typedef struct mv_merges {
  mv_merge *slots;
  unsigned shift; /* 64 - log2(number of slots) */
} mv_merges;

mv_status mv_merges_init(mv_merges *merges, size_t n_merges, mv_error *err);
void mv_merges_put(mv_merges *merges, int32_t left, int32_t right, uint32_t rank, int32_t id);
const mv_merge *mv_merges_find(const mv_merges *merges, int32_t left, int32_t right); /* or NULL */
void mv_merges_free(mv_merges *merges);

/* Working memory for words of any length, reused from word to word. Zero-initialise. */
typedef struct mv_bpe_scratch {
  struct mv_symbol *symbols; /* owns */
  uint64_t *heap;            /* owns */
  size_t cap;                /* longest word it has room for */
} mv_bpe_scratch;

void mv_bpe_scratch_free(mv_bpe_scratch *scratch);

/* Merges the n ids in `ids` (one a byte) in place as long as any pair has a merge: lowest rank
 * first, leftmost first among equals. Sets *n to the number left. O(n log n). */
mv_status mv_bpe_merge(const mv_merges *merges, mv_bpe_scratch *scratch, int32_t *ids, size_t *n,
                       mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
