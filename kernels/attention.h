/* Scaled dot-product attention with an online softmax over tiles of 64 keys.
 *
 * rope_kv: rotates (kernels/rope.h) the queries of a step where they are, its keys on their way to
 *          the pages of their sequences, and copies its values there
 *
 *   qkv   f32 | bf16 [n_row, (n_head + 2 n_kv) * d_head]   dtype, rows ldq elements apart: queries,
 *         keys and values adjoin, as one product leaves them; rows that no run has stay as they are
 *   table f32 [n_row, d_head / 2, 2]                       of rope_table
 *
 * attention: causal attention of the step's queries over those pages, grouped heads
 *
 *   q     f32 | bf16 [n_row, n_head * d_head]    dtype, rows ldq elements apart, rotated already
 *   k, v  f32 | bf16 [n_row, n_kv * d_head]      dtype, rows ldkv elements apart
 *   out   f32 | bf16 [n_row, n_head * d_head]    out_dtype, rows ldo elements apart
 *   cache one layer's pages, [n_page][2 (k, v)][n_kv][64 tokens][d_head] of kv_dtype
 *   plan  whose rows they are: n_seq runs of consecutive rows. Row i of a run is token pos0 + i of
 *         its sequence and sees tokens 0 .. pos0 + i; token t lives in page pages[t / 64], slot
 *         t % 64. With a tree (drafts that branch), row i sees all tokens before pos0 and those
 *         rows of its run that its mask names; slots stay in row order. Rows of `out` that no run
 *         has stay as they are.
 *
 * plan: makes the runs ready for rope_kv and attention, once for all layers: they have the same
 *       rows and heads. It is valid until the device's next one and, made within a step, until the
 *       step ends; it borrows seqs and page tables.
 *
 * kv_copy: copies tokens from slot to slot in n_layer layers: a shared page before it is written,
 *          what a draft of its own page has computed. No slot is read and written.
 *
 * window_attention: every row sees all rows of its own segment, no mask (vision tower)
 *
 *   q, k, v, out  as above with n_kv == n_head, from one fused buffer
 *   segments      int32 [n_segment + 1] on the host, ascending row offsets, first 0, last n_row
 *
 * Rounding  scores, softmax and sums in f32; one rounding at the store. Where keys and values are
 *           bf16 and the machine multiplies that (CUDA; CPUs with the instruction),
 *           queries and the weights of values are rounded to bf16 too, and the sum that is divided
 *           by is of the rounded. Key tiles are anchored at token 0 (of the sequence or segment),
 *           so chunking a prompt cannot change a bit.
 * Cost      4 * d_head * n_head flop per (query, visible key) pair.
 * d_head    multiple of 16, up to 256; n_head % n_kv == 0.
 */
#ifndef MV_KERNELS_ATTENTION_H
#define MV_KERNELS_ATTENTION_H

#include <stdint.h>

#include "kernels/cost.h"
#include "runtime/device.h"
#include "runtime/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_PAGE_TOKENS 64

typedef struct mv_attention_dims {
  int n_row, n_head, n_kv, d_head;
  int ldq, ldkv, ldo; /* elements */
  mv_dtype dtype, kv_dtype, out_dtype;
} mv_attention_dims;

/* A run of rows of one sequence. */
typedef struct mv_seq_rows {
  int row0, n_row;      /* rows of the step's batch              */
  int pos0;             /* tokens of the sequence before row0    */
  const int32_t *pages; /* page table, (pos0 + n_row + 63) / 64  */
  const uint64_t *tree; /* NULL: causal. Else [n_row], n_row <= 64: bit j of tree[i] says that row i
                           sees row j of the run; bit i is set, bits above i are not */
} mv_seq_rows;

/* A step's runs, as `plan` leaves them. */
typedef struct mv_seq_plan {
  const mv_seq_rows *seqs; /* [n_seq], borrowed */
  int n_seq;
  const void *impl; /* the device's own; NULL of a CPU */
} mv_seq_plan;

#define MV_KV_MOVES 256 /* of one call; a power of two */

/* Keys and values of n tokens, from slot src and on to slot dst and on; a slot is
 * page * MV_PAGE_TOKENS + place, and a move stays within a page on either side. */
typedef struct mv_kv_move {
  int32_t src, dst, n;
} mv_kv_move;

typedef struct mv_kv_copy_dims {
  int n_layer, n_kv, d_head;
  size_t layer_bytes; /* from one layer's pages to the next layer's */
  mv_dtype kv_dtype;
} mv_kv_copy_dims;

/* Bytes of one page of one layer. */
size_t mv_kv_page_bytes(int n_kv, int d_head, mv_dtype dtype);

mv_cost mv_attention_cost(const mv_attention_dims *dims, const mv_seq_rows *seqs, int n_seq);
mv_cost mv_rope_kv_cost(const mv_attention_dims *dims);
void mv_plan_cpu(mv_device *device, const mv_seq_rows *seqs, int n_seq,
                 const mv_attention_dims *dims, mv_seq_plan *plan);
void mv_rope_kv_cpu(mv_device *device, const mv_attention_dims *dims, const mv_seq_plan *plan,
                    const float *table, void *qkv, void *cache);
/* n_move <= MV_KV_MOVES; destinations differ from one another. */
mv_cost mv_kv_copy_cost(const mv_kv_copy_dims *dims, const mv_kv_move *moves, int n_move);
void mv_kv_copy_cpu(mv_device *device, const mv_kv_copy_dims *dims, const mv_kv_move *moves,
                    int n_move, void *cache);
void mv_attention_cpu(mv_device *device, const mv_attention_dims *dims, const mv_seq_plan *plan,
                      const void *q, const void *cache, void *out);

mv_cost mv_window_attention_cost(const mv_attention_dims *dims, const int32_t *segments,
                                 int n_segment);
void mv_window_attention_cpu(mv_device *device, const mv_attention_dims *dims,
                             const int32_t *segments, int n_segment, const void *q, const void *k,
                             const void *v, void *out);

#ifdef __cplusplus
}
#endif
#endif
