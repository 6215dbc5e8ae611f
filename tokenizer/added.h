/* Added tokens: strings found whole in the text before any other rule applies. */
#ifndef MV_TOKENIZER_ADDED_H
#define MV_TOKENIZER_ADDED_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_added {
  mv_str text; /* borrows: what is looked for */
  int32_t id;
  unsigned char special;     /* a control mark: found only with MV_ENCODE_SPECIAL */
  unsigned char normalized;  /* looked for after NFC, not before */
  unsigned char single_word; /* not found beside a word character */
  unsigned char lstrip;      /* takes the spaces before it */
  unsigned char rstrip;      /* takes the spaces behind it */
} mv_added;

/* Tokens in byte order, which makes the list a trie: those that share a prefix stand together,
 * the prefix itself first. */
typedef struct mv_added_set {
  mv_added *items; /* owns */
  size_t n;
  size_t first[257]; /* items[first[b] .. first[b + 1]) begin with byte b */
} mv_added_set;

/* Sorts the items and builds the index. No text may be empty. */
void mv_added_set_build(mv_added_set *set);

/* A found token: text[begin .. end) with the spaces it takes, which may reach back into those
 * that the match before it took. */
typedef struct mv_added_match {
  const mv_added *token; /* NULL: none left */
  size_t begin, end;
} mv_added_match;

/* Walks over a text's tokens as Hugging Face does. */
typedef struct mv_added_scan {
  const mv_added_set *set;
  mv_str text;
  int with_special;
  size_t at; /* where to look on; 0 at first */
} mv_added_scan;

/* The next token: leftmost, then longest. A special one that is not wanted, or a single word that
 * is not single, still hides the tokens it overlaps. */
mv_added_match mv_added_next(mv_added_scan *scan);

#ifdef __cplusplus
}
#endif
#endif
