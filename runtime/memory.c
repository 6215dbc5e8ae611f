#define _DEFAULT_SOURCE /* madvise */
#include "runtime/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN_BYTES 64
#define HUGE_BYTES ((size_t)2 << 20)
#define ARENA_BLOCK_BYTES (1u << 20)

static mv_alloc_hook hook_fn;
static void *hook_user;

void mv_alloc_set_hook(mv_alloc_hook hook, void *user) {
  hook_fn = hook;
  hook_user = user;
}

static int allowed(size_t n_bytes) { return !hook_fn || hook_fn(n_bytes, hook_user); }

void *mv_alloc(size_t n_bytes) { return allowed(n_bytes) ? malloc(n_bytes ? n_bytes : 1) : NULL; }

void *mv_calloc(size_t count, size_t elem_bytes) {
  size_t n;
  if (!mv_mul_size(count, elem_bytes, &n)) return NULL;
  return allowed(n) ? calloc(n ? n : 1, 1) : NULL;
}

void *mv_realloc(void *ptr, size_t n_bytes) {
  return allowed(n_bytes) ? realloc(ptr, n_bytes ? n_bytes : 1) : NULL;
}

void mv_free(void *ptr) { free(ptr); }

static void *aligned(size_t n_bytes, size_t multiple) {
  size_t padded;
  if (!mv_add_size(n_bytes ? n_bytes : 1, multiple - 1, &padded)) return NULL;
  padded &= ~(multiple - 1);
  return allowed(padded) ? aligned_alloc(multiple, padded) : NULL;
}

void *mv_alloc_aligned(size_t n_bytes) { return aligned(n_bytes, ALIGN_BYTES); }

void *mv_alloc_huge(size_t n_bytes) {
  void *ptr = aligned(n_bytes, HUGE_BYTES);
#ifdef MADV_HUGEPAGE
  if (ptr) (void)madvise(ptr, n_bytes, MADV_HUGEPAGE); /* advice */
#endif
  return ptr;
}

void mv_free_aligned(void *ptr) { free(ptr); }

int mv_mul_size(size_t a, size_t b, size_t *out) {
  if (b && a > SIZE_MAX / b) return 0;
  *out = a * b;
  return 1;
}

int mv_add_size(size_t a, size_t b, size_t *out) {
  if (a > SIZE_MAX - b) return 0;
  *out = a + b;
  return 1;
}

struct mv_arena_block {
  struct mv_arena_block *next;
  unsigned char *bytes; /* owns, ALIGN_BYTES aligned */
  size_t size, used;
};

static struct mv_arena_block *new_block(size_t n_bytes) {
  struct mv_arena_block *block = mv_calloc(1, sizeof *block);
  if (!block) return NULL;
  block->size = n_bytes > ARENA_BLOCK_BYTES ? n_bytes : ARENA_BLOCK_BYTES;
  block->bytes = mv_alloc_aligned(block->size);
  if (!block->bytes) {
    mv_free(block);
    return NULL;
  }
  return block;
}

void *mv_arena_alloc(mv_arena *arena, size_t n_bytes) {
  size_t padded;
  if (!mv_add_size(n_bytes ? n_bytes : 1, ALIGN_BYTES - 1, &padded)) return NULL;
  padded &= ~(size_t)(ALIGN_BYTES - 1);
  struct mv_arena_block *block = arena->blocks;
  if (!block || block->size - block->used < padded) {
    block = new_block(padded);
    if (!block) return NULL;
    block->next = arena->blocks;
    arena->blocks = block;
  }
  void *out = block->bytes + block->used;
  block->used += padded;
  arena->used_bytes += padded;
  return memset(out, 0, n_bytes);
}

char *mv_arena_strdup(mv_arena *arena, const char *text) {
  size_t n = strlen(text) + 1;
  char *copy = mv_arena_alloc(arena, n);
  return copy ? memcpy(copy, text, n) : NULL;
}

void mv_arena_reset(mv_arena *arena) {
  while (arena->blocks) {
    struct mv_arena_block *next = arena->blocks->next;
    mv_free_aligned(arena->blocks->bytes);
    mv_free(arena->blocks);
    arena->blocks = next;
  }
  arena->used_bytes = 0;
}
