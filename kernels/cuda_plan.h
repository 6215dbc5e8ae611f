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

enum { MV_RUN_PAGES = 4, MV_FEW_ROWS = 16, MV_MANY_ROWS = 64, MV_LEAST_ITEMS = 32 };

/* What scratch (kernels/cuda.h) has at first: of zeros, of the rest. It doubles. */
#define MV_ZERO_BYTES ((size_t)64 << 10)
#define MV_SCRATCH_BYTES ((size_t)1 << 20)

/* For the sums that runs leave. They pay where tiles are few, and 1,800 of the 7B model's fill the
 * largest card several times over: tiles for whose runs there is no room are done whole, which
 * changes no bit. With the rest it is 64 MiB at most, a size that scratch has. */
#define MV_RUNS_BYTES ((size_t)56 << 20)

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

/* What runs are left in: sizes of its pieces, one after another in scratch. */
typedef struct mv_run_memory {
  size_t finished; /* [item][n_kv], zero between uses; a multiple of 256 */
  size_t stats;    /* [item][n_kv][tile_rows] maximum and sum */
  size_t sums;     /* [part][n_kv][tile_rows][d_head] */
} mv_run_memory;

static inline size_t mv_run_bytes(const mv_attention_dims *dims, int tile_rows) {
  return (size_t)dims->n_kv * (size_t)tile_rows * (size_t)dims->d_head * sizeof(float);
}

static inline mv_run_memory mv_run_memory_of(const mv_attention_dims *dims, int tile_rows,
                                             size_t n_item, size_t n_part) {
  size_t n_kv = (size_t)dims->n_kv;
  mv_run_memory m;
  m.finished = (n_item * n_kv * sizeof(uint32_t) + 255) / 256 * 256;
  m.stats = n_item * n_kv * (size_t)tile_rows * 2 * sizeof(float);
  m.sums = n_part * mv_run_bytes(dims, tile_rows);
  return m;
}

static inline size_t mv_doubled_to(size_t size, size_t least) {
  while (size < least) size *= 2;
  return size;
}

/* The most that attention makes scratch grow to, however the work is cut, for up to n_seq spans of
 * dims->n_row rows together, of sequences of up to n_token tokens. */
static inline size_t mv_run_memory_bound(const mv_attention_dims *dims, size_t n_seq,
                                         size_t n_token) {
  const size_t keys = MV_RUN_PAGES * MV_PAGE_TOKENS, n_run = n_token / keys + 1;
  const size_t n_packed = (size_t)dims->n_row * (size_t)(dims->n_head / dims->n_kv);
  size_t finished = MV_ZERO_BYTES, rest = MV_SCRATCH_BYTES;
  for (int rows = MV_FEW_ROWS; rows <= MV_MANY_ROWS; rows += MV_MANY_ROWS - MV_FEW_ROWS) {
    const size_t n_tile = n_seq + (rows == MV_FEW_ROWS ? 0 : n_packed / MV_MANY_ROWS);
    const size_t room = MV_RUNS_BYTES / mv_run_bytes(dims, rows);
    const size_t n_part = n_tile < room / n_run ? n_tile * n_run : room;
    const size_t n_item = mv_doubled_to(MV_LEAST_ITEMS, n_part + n_tile);
    const mv_run_memory m = mv_run_memory_of(dims, rows, n_item, n_part);
    finished = mv_doubled_to(finished, m.finished);
    rest = mv_doubled_to(rest, m.stats + m.sums);
  }
  return finished + rest;
}

typedef struct mv_cuda_plan {
  int tile_rows; /* packed rows of a tile: few where that is enough for every span, else many */
  int n_item;    /* rounded */
  int n_part;    /* runs that are left in memory */
  int max_part;  /* for which there is room */
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
