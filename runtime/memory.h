/* Allocation with a hook, and arenas.
 *
 * Library code allocates only through mv_alloc & co. so that tests can count allocations after
 * warm-up (there must be none) and make the k-th one fail in every loader.
 */
#ifndef MV_RUNTIME_MEMORY_H
#define MV_RUNTIME_MEMORY_H

#include <stddef.h>

#include "runtime/error.h"

#ifdef __cplusplus
extern "C" {
#endif

void *mv_alloc(size_t n_bytes);                   /* NULL on failure; free with mv_free */
void *mv_calloc(size_t count, size_t elem_bytes); /* zeroed, overflow checked           */
void *mv_realloc(void *ptr, size_t n_bytes);
void mv_free(void *ptr); /* accepts NULL */

/* 64-byte aligned block for tensors; free with mv_free_aligned. NULL on failure. */
void *mv_alloc_aligned(size_t n_bytes);
void mv_free_aligned(void *ptr);
/* The same in huge pages (2 MiB) where the system has them: what a disk or a copy engine fills. */
void *mv_alloc_huge(size_t n_bytes);

/* Called before each allocation with its size; returning 0 makes it fail. NULL removes it.
 * For tests: not thread safe. */
typedef int (*mv_alloc_hook)(size_t n_bytes, void *user);
void mv_alloc_set_hook(mv_alloc_hook hook, void *user);

/* Overflow-checked products and sums for sizes that come from files. Return 0 on overflow. */
int mv_mul_size(size_t a, size_t b, size_t *out);
int mv_add_size(size_t a, size_t b, size_t *out);

/* An arena owns blocks that live and die together. Zero-initialise before first use. */
typedef struct mv_arena {
  struct mv_arena_block *blocks; /* owns */
  size_t used_bytes;             /* sum over all blocks, for reports */
} mv_arena;

/* Returns zeroed 64-byte aligned memory that lives until mv_arena_reset; NULL on failure. */
void *mv_arena_alloc(mv_arena *arena, size_t n_bytes);
/* Copies a string into the arena (with a terminating NUL). NULL on failure. */
char *mv_arena_strdup(mv_arena *arena, const char *text);
/* Frees everything; the arena is empty and usable again. */
void mv_arena_reset(mv_arena *arena);

#ifdef __cplusplus
}
#endif
#endif
