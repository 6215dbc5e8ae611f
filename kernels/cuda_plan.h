/* A step's rows and whose they are, as the CUDA kernels of rope_kv and attention read them: one
 * piece of device memory, filled by the operation `plan` (cuda_plan.c).
 *
 * Attention's work is a list of items: a tile of one span's queries (heads that share a key head
 * packed together) against all of its keys, or against a run of four pages of them.
 *
 * Sizes are rounded up, so that a recorded step stays as it is while sequences come, go and grow,
 * but at powers of two. What is left over does nothing: items of nobody, spans without rows. */
#ifndef MV_KERNELS_CUDA_PLAN_H
#define MV_KERNELS_CUDA_PLAN_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/attention.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MV_RUN_PAGES = 4, MV_FEW_ROWS = 16, MV_MANY_ROWS = 64 };

/* Rows of one sequence, or a segment (n_row alone). */
typedef struct mv_span {
  alignas(16) int row0;
  int n_row, pos0;
  int page_at, tree_at; /* into pages, trees; tree_at < 0: causal */
  int unused[3];
} mv_span;

/* A block's work for each key head. */
typedef struct mv_attention_item {
  alignas(16) int seq; /* the span; -1: nobody's */
  int tile;
  int run;  /* the one run to do, or -1: all, straight to the output */
  int part; /* of the tile's first run: where runs are left */
} mv_attention_item;

typedef struct mv_cuda_plan {
  int tile_rows; /* packed rows of a tile: few where that is enough for every span, else many */
  int n_item;    /* rounded */
  int n_part;    /* runs that are left in memory */
  int n_span, max_row; /* and rows of the longest span, rounded */
  /* device memory */
  const mv_attention_item *items; /* [n_item] */
  const mv_span *spans;
  const uint64_t *trees;
  const int32_t *pages;
  const int32_t *slots; /* [n_row] where a row's keys and values go; -1: it is nobody's */
  char *memory;         /* owns: all of these, of a plan outside a step */
  size_t n_bytes;
} mv_cuda_plan;

#ifdef __cplusplus
}
#endif
#endif
