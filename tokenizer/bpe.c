#include "tokenizer/bpe.h"

#include "runtime/memory.h"

/* ---- the table ---- */

mv_status mv_merges_init(mv_merges *merges, size_t n_merges, mv_error *err) {
  size_t n_slots = 16;
  unsigned shift = 60;
  for (; n_slots < 2 * n_merges; shift--) n_slots *= 2;
  merges->slots = mv_calloc(n_slots, sizeof *merges->slots);
  if (!merges->slots) return mv_fail(err, MV_ERR_MEMORY, "out of memory for %zu merges", n_merges);
  for (size_t i = 0; i < n_slots; i++) merges->slots[i].id = -1;
  merges->shift = shift;
  return MV_OK;
}

/* The slot that holds the pair, or the empty one where it belongs. */
static mv_merge *slot_of(const mv_merges *merges, uint64_t pair) {
  size_t mask = ((size_t)1 << (64 - merges->shift)) - 1;
  size_t at = (size_t)(pair * 0x9E3779B97F4A7C15u >> merges->shift);
  while (merges->slots[at].id >= 0 && merges->slots[at].pair != pair) at = (at + 1) & mask;
  return &merges->slots[at];
}

static uint64_t pair_of(int32_t left, int32_t right) {
  return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

void mv_merges_put(mv_merges *merges, int32_t left, int32_t right, uint32_t rank, int32_t id) {
  mv_merge *slot = slot_of(merges, pair_of(left, right));
  slot->pair = pair_of(left, right);
  slot->rank = rank;
  slot->id = id;
}

const mv_merge *mv_merges_find(const mv_merges *merges, int32_t left, int32_t right) {
  const mv_merge *slot = slot_of(merges, pair_of(left, right));
  return slot->id >= 0 ? slot : NULL;
}

void mv_merges_free(mv_merges *merges) {
  mv_free(merges->slots);
  merges->slots = NULL;
}

/* ---- one word ----
 *
 * The word is a linked list of symbols in one array. A heap holds the pairs that can merge, as
 * rank << 32 | index of the left symbol; an entry whose pair has changed since is recognised by
 * its rank, which no other pair shares, and dropped. Every merge adds at most two entries. */

#define NO_RANK UINT32_MAX

typedef struct mv_symbol {
  int32_t id;
  int32_t prev, next; /* indices, -1 at the ends */
  uint32_t rank;      /* of the pair (this, next); NO_RANK: it does not merge, or this is gone */
  int32_t merged;     /* what that pair becomes */
} mv_symbol;

typedef struct mv_heap {
  uint64_t *items;
  size_t n;
} mv_heap;

static void heap_push(mv_heap *heap, uint64_t item) {
  size_t at = heap->n++;
  for (; at > 0 && heap->items[(at - 1) / 2] > item; at = (at - 1) / 2) {
    heap->items[at] = heap->items[(at - 1) / 2];
  }
  heap->items[at] = item;
}

static uint64_t heap_pop(mv_heap *heap) {
  uint64_t top = heap->items[0], item = heap->items[--heap->n];
  size_t at = 0;
  for (size_t child; (child = 2 * at + 1) < heap->n; at = child) {
    if (child + 1 < heap->n && heap->items[child + 1] < heap->items[child]) child++;
    if (heap->items[child] >= item) break;
    heap->items[at] = heap->items[child];
  }
  heap->items[at] = item;
  return top;
}

/* Looks up the pair that begins at symbol `at`, and queues it. */
static void find_pair(const mv_merges *merges, mv_symbol *symbols, int32_t at, mv_heap *heap) {
  mv_symbol *left = &symbols[at];
  const mv_merge *merge =
      left->next < 0 ? NULL : mv_merges_find(merges, left->id, symbols[left->next].id);
  left->rank = merge ? merge->rank : NO_RANK;
  if (!merge) return;
  left->merged = merge->id;
  heap_push(heap, (uint64_t)merge->rank << 32 | (uint32_t)at);
}

static void merge_pair(const mv_merges *merges, mv_symbol *symbols, int32_t at, mv_heap *heap) {
  mv_symbol *left = &symbols[at], *right = &symbols[left->next];
  left->id = left->merged;
  left->next = right->next;
  right->rank = NO_RANK;
  if (right->next >= 0) symbols[right->next].prev = at;
  find_pair(merges, symbols, at, heap);
  if (left->prev >= 0) find_pair(merges, symbols, left->prev, heap);
}

static mv_status reserve(mv_bpe_scratch *scratch, size_t n, mv_error *err) {
  if (n <= scratch->cap) return MV_OK;
  size_t cap = n < 256 ? 256 : n;
  mv_bpe_scratch_free(scratch);
  scratch->symbols = mv_calloc(cap, sizeof *scratch->symbols);
  scratch->heap = mv_calloc(cap, 3 * sizeof *scratch->heap);
  if (!scratch->symbols || !scratch->heap) {
    mv_bpe_scratch_free(scratch);
    return mv_fail(err, MV_ERR_MEMORY, "out of memory for a word of %zu bytes", n);
  }
  scratch->cap = cap;
  return MV_OK;
}

void mv_bpe_scratch_free(mv_bpe_scratch *scratch) {
  mv_free(scratch->symbols);
  mv_free(scratch->heap);
  scratch->symbols = NULL;
  scratch->heap = NULL;
  scratch->cap = 0;
}

mv_status mv_bpe_merge(const mv_merges *merges, mv_bpe_scratch *scratch, int32_t *ids, size_t *n,
                       mv_error *err) {
  if (*n < 2) return MV_OK;
  MV_TRY(reserve(scratch, *n, err));
  mv_symbol *symbols = scratch->symbols;
  mv_heap heap = {scratch->heap, 0};
  int32_t count = (int32_t)*n;
  for (int32_t i = 0; i < count; i++) {
    symbols[i] = (mv_symbol){ids[i], i - 1, i + 1 < count ? i + 1 : -1, NO_RANK, -1};
  }
  for (int32_t i = 0; i < count; i++) find_pair(merges, symbols, i, &heap);
  while (heap.n) {
    uint64_t top = heap_pop(&heap);
    int32_t at = (int32_t)(uint32_t)top;
    if (symbols[at].rank == (uint32_t)(top >> 32)) merge_pair(merges, symbols, at, &heap);
  }
  *n = 0;
  for (int32_t i = 0; i >= 0; i = symbols[i].next) ids[(*n)++] = symbols[i].id;
  return MV_OK;
}
