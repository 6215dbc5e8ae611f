/* Prompts whose keys and values are in pages already: a radix tree with a page of tokens a node.
 *
 *   root ── [64 tokens] ── [64] ── [17]
 *                       └─ [64] ── [64] ── ...
 *
 * A token's key is its id, or for a row of an image the image's hash (pixels and grid) and the row;
 * both with the token's M-RoPE position, which keys and values depend on. A node holds its page in
 * mv_kv_pages; requests that use the page hold it too. A node that is full is shared; of one that
 * matches in part, or is not full, the user copies the matching slots into a page of its own.
 *
 * Only prompts are kept. What a model generates is computed with another order of sums.
 *
 * Nodes are in a list by last use. A path is touched from its leaf to the root, so that a child is
 * never younger than its parent, and the oldest node that no request holds is a leaf.
 */
#ifndef MV_RUNTIME_PREFIX_CACHE_H
#define MV_RUNTIME_PREFIX_CACHE_H

#include <stddef.h>

#include "kernels/attention.h"
#include "runtime/hash.h"
#include "runtime/kv_pages.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef mv_hash mv_token_key;

typedef struct mv_prefix_node {
  int32_t parent, child, next, prev; /* nodes, by their page; -1 none. next, prev: siblings */
  int32_t older, newer;              /* by last use */
  int32_t n_token;                   /* of the page that are keyed; 0: the page is not cached */
  mv_token_key keys[MV_PAGE_TOKENS];
} mv_prefix_node;

/* Zero-initialise; owns nodes, borrows pages. */
typedef struct mv_prefix_cache {
  mv_kv_pages *pages;
  mv_prefix_node *nodes; /* [n_page] */
  int32_t child;         /* the root's first */
  int32_t oldest, newest;
  size_t n_cached;  /* pages in the tree */
  size_t n_evicted; /* since init */
} mv_prefix_cache;

mv_status mv_prefix_cache_init(mv_prefix_cache *cache, mv_kv_pages *pages, mv_error *err);
void mv_prefix_cache_free(mv_prefix_cache *cache);
/* Bytes a page costs here. */
size_t mv_prefix_cache_page_bytes(void);

/* The longest known beginning of a prompt. */
typedef struct mv_prefix_match {
  int n_page;   /* whole pages, in out[] of the call */
  int32_t part; /* a page whose first n_part tokens match too; -1: none */
  int n_part;
} mv_prefix_match;

/* Looks up keys[0..n) and fills out[] (room for n / 64). Nothing is held. */
mv_prefix_match mv_prefix_cache_find(mv_prefix_cache *cache, const mv_token_key *keys, size_t n,
                                     int32_t *out);
/* Adds the first n tokens of a prompt, whose pages the caller holds; known parts stay as they are.
 * Marks the path as just used. */
void mv_prefix_cache_add(mv_prefix_cache *cache, const mv_token_key *keys, size_t n,
                         const int32_t *pages);
/* Drops the oldest page that no request holds. Returns 0 when there is none. */
int mv_prefix_cache_evict(mv_prefix_cache *cache);
/* How many could be dropped. */
int mv_prefix_cache_evictable(const mv_prefix_cache *cache);

#ifdef __cplusplus
}
#endif
#endif
