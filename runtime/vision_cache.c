#include "runtime/vision_cache.h"

#include <assert.h>
#include <string.h>

static int find(const mv_vision_cache *c, mv_hash hash, int n_row) {
  for (int i = 0; i < MV_SEEN_IMAGES; i++)
    if (c->entries[i].n_row == n_row && mv_hash_eq(c->entries[i].hash, hash)) return i;
  return -1;
}

static int is_free(const mv_vision_cache *c, int row0, int n_row, int *blocker_end) {
  for (int i = 0; i < MV_SEEN_IMAGES; i++) {
    const mv_seen_image *e = &c->entries[i];
    if (!e->n_row || e->row0 >= row0 + n_row || row0 >= e->row0 + e->n_row) continue;
    *blocker_end = e->row0 + e->n_row;
    return 0;
  }
  return 1;
}

/* The first range of n_row free rows; -1: none. */
static int find_rows(const mv_vision_cache *c, int n_row) {
  int row0 = 0;
  while (n_row <= c->n_row - row0 && !is_free(c, row0, n_row, &row0)) continue;
  return n_row <= c->n_row - row0 ? row0 : -1;
}

static int evict_oldest(mv_vision_cache *c) {
  mv_seen_image *oldest = NULL;
  for (int i = 0; i < MV_SEEN_IMAGES; i++) {
    mv_seen_image *e = &c->entries[i];
    if (e->n_row && !e->n_holder && (!oldest || e->used < oldest->used)) oldest = e;
  }
  if (oldest) oldest->n_row = 0;
  return oldest != NULL;
}

static int free_entry(const mv_vision_cache *c) {
  for (int i = 0; i < MV_SEEN_IMAGES; i++)
    if (!c->entries[i].n_row) return i;
  return -1;
}

int mv_vision_cache_hold(mv_vision_cache *cache, mv_hash hash, int n_row, int fresh) {
  int at = fresh ? -1 : find(cache, hash, n_row);
  if (at < 0) {
    int row0;
    do {
      row0 = find_rows(cache, n_row);
      at = free_entry(cache);
    } while ((row0 < 0 || at < 0) && evict_oldest(cache));
    if (row0 < 0 || at < 0) return -1;
    cache->entries[at] = (mv_seen_image){.hash = hash, .row0 = row0, .n_row = n_row};
  }
  cache->entries[at].n_holder++;
  cache->entries[at].used = ++cache->clock;
  return at;
}

void mv_vision_cache_drop(mv_vision_cache *cache, int entry) {
  mv_seen_image *e = &cache->entries[entry];
  assert(e->n_holder > 0);
  if (--e->n_holder == 0 && !e->is_seen) e->n_row = 0;
}

void mv_vision_cache_forget(mv_vision_cache *cache, int entry) {
  cache->entries[entry].is_seen = 0;
  cache->entries[entry].hash = (mv_hash){0, 0};
}

void mv_vision_cache_reset(mv_vision_cache *cache, int n_row) {
  memset(cache, 0, sizeof *cache);
  cache->n_row = n_row;
}
