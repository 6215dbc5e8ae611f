#include "runtime/prefix_cache.h"

#include <string.h>

#include "runtime/memory.h"

#define NONE (-1)

mv_status mv_prefix_cache_init(mv_prefix_cache *cache, mv_kv_pages *pages, mv_error *err) {
  memset(cache, 0, sizeof *cache);
  cache->pages = pages;
  cache->child = cache->oldest = cache->newest = NONE;
  cache->nodes = mv_calloc((size_t)pages->n_page, sizeof *cache->nodes);
  if (cache->nodes) return MV_OK;
  return mv_fail(err, MV_ERR_MEMORY, "no memory for a cache of %d pages", pages->n_page);
}

void mv_prefix_cache_free(mv_prefix_cache *cache) {
  mv_free(cache->nodes);
  memset(cache, 0, sizeof *cache);
}

size_t mv_prefix_cache_page_bytes(void) { return sizeof(mv_prefix_node); }

/* ---- lists ---- */

static int32_t *first_child(mv_prefix_cache *c, int32_t node) {
  return node == NONE ? &c->child : &c->nodes[node].child;
}

static void unlink_use(mv_prefix_cache *c, int32_t node) {
  mv_prefix_node *n = &c->nodes[node];
  *(n->older == NONE ? &c->oldest : &c->nodes[n->older].newer) = n->newer;
  *(n->newer == NONE ? &c->newest : &c->nodes[n->newer].older) = n->older;
}

static void link_newest(mv_prefix_cache *c, int32_t node) {
  mv_prefix_node *n = &c->nodes[node];
  n->older = c->newest;
  n->newer = NONE;
  *(c->newest == NONE ? &c->oldest : &c->nodes[c->newest].newer) = node;
  c->newest = node;
}

static void touch(mv_prefix_cache *c, int32_t leaf) {
  for (int32_t node = leaf; node != NONE; node = c->nodes[node].parent) {
    unlink_use(c, node);
    link_newest(c, node);
  }
}

/* ---- search ---- */

static int common(const mv_token_key *a, const mv_token_key *b, size_t n) {
  size_t i = 0;
  while (i < n && mv_hash_eq(a[i], b[i])) i++;
  return (int)i;
}

/* The child of `node` that shares most with keys[0..n); how much in *n_same. */
static int32_t best_child(mv_prefix_cache *c, int32_t node, const mv_token_key *keys, size_t n,
                          int *n_same) {
  int32_t best = NONE;
  *n_same = 0;
  for (int32_t at = *first_child(c, node); at != NONE; at = c->nodes[at].next) {
    size_t have = (size_t)c->nodes[at].n_token;
    int same = common(c->nodes[at].keys, keys, have < n ? have : n);
    if (same <= *n_same) continue;
    *n_same = same;
    best = at;
    if (same == MV_PAGE_TOKENS) break;
  }
  return best;
}

mv_prefix_match mv_prefix_cache_find(mv_prefix_cache *cache, const mv_token_key *keys, size_t n,
                                     int32_t *out) {
  mv_prefix_match m = {0, NONE, 0};
  int32_t node = NONE;
  for (size_t at = 0; at < n; at += MV_PAGE_TOKENS) {
    int same;
    int32_t child = best_child(cache, node, keys + at, n - at, &same);
    if (same < MV_PAGE_TOKENS) {
      m.part = child;
      m.n_part = same;
      break;
    }
    out[m.n_page++] = node = child;
  }
  if (node != NONE) touch(cache, node);
  return m;
}

/* ---- growth ---- */

static void add_node(mv_prefix_cache *c, int32_t parent, int32_t page, const mv_token_key *keys,
                     int n_token) {
  mv_prefix_node *n = &c->nodes[page];
  int32_t *first = first_child(c, parent);
  n->parent = parent;
  n->child = n->prev = NONE;
  n->next = *first;
  if (n->next != NONE) c->nodes[n->next].prev = page;
  *first = page;
  n->n_token = n_token;
  memcpy(n->keys, keys, (size_t)n_token * sizeof *keys);
  link_newest(c, page);
  mv_kv_pages_hold(c->pages, page);
  c->n_cached++;
}

void mv_prefix_cache_add(mv_prefix_cache *cache, const mv_token_key *keys, size_t n,
                         const int32_t *pages) {
  int32_t node = NONE;
  for (size_t at = 0; at < n; at += MV_PAGE_TOKENS) {
    size_t left = n - at;
    int n_token = left < MV_PAGE_TOKENS ? (int)left : MV_PAGE_TOKENS, same;
    int32_t child = best_child(cache, node, keys + at, (size_t)n_token, &same);
    int32_t page = pages[at / MV_PAGE_TOKENS];
    if (same < n_token) {
      if (cache->nodes[page].n_token) break; /* a page stands in one place */
      add_node(cache, node, page, keys + at, n_token);
      child = page;
    }
    node = child;
    if (n_token < MV_PAGE_TOKENS) break;
  }
  if (node != NONE) touch(cache, node);
}

/* ---- decay ---- */

static int is_evictable(const mv_prefix_cache *c, int32_t node) {
  return c->nodes[node].child == NONE && c->pages->holders[node] == 1;
}

int mv_prefix_cache_evict(mv_prefix_cache *cache) {
  int32_t node = cache->oldest;
  while (node != NONE && !is_evictable(cache, node)) node = cache->nodes[node].newer;
  if (node == NONE) return 0;
  mv_prefix_node *n = &cache->nodes[node];
  unlink_use(cache, node);
  if (n->prev == NONE)
    *first_child(cache, n->parent) = n->next;
  else
    cache->nodes[n->prev].next = n->next;
  if (n->next != NONE) cache->nodes[n->next].prev = n->prev;
  n->n_token = 0;
  cache->n_cached--;
  cache->n_evicted++;
  mv_kv_pages_drop(cache->pages, node);
  return 1;
}

/* Whoever holds a page holds those before it: below a page without users there are none either. */
int mv_prefix_cache_evictable(const mv_prefix_cache *cache) {
  int n = 0;
  for (int32_t node = cache->oldest; node != NONE; node = cache->nodes[node].newer)
    n += cache->pages->holders[node] == 1;
  return n;
}
