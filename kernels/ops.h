/* The operation table: everything the forward pass asks of a device, one row an operation, one
 * column a backend. The forward pass (runtime/forward.c) is written once against it.
 *
 *   operation          contract               what it is for
 *   linear             kernels/linear.h       every projection, with bias or residual
 *   rmsnorm            kernels/rmsnorm.h      before attention, MLP, merger and head
 *   rope_table, rope   kernels/rope.h         M-RoPE and the vision tower's 2-D rope
 *   rope_kv            kernels/attention.h    queries rotated; keys, rotated, and values into pages
 *   attention          kernels/attention.h    causal or tree, grouped heads, paged
 *   kv_copy            kernels/attention.h    tokens from slot to slot
 *   window_attention   kernels/attention.h    vision windows and whole images
 *   swiglu, gelu       kernels/activation.h   MLPs, merger
 *   embed, gather_rows kernels/gather.h       tokens and image rows; undoing the window order
 *   patches            kernels/patches.h      pixels to rows of the patch embedding
 *   fill               kernels/fill.h         random weights
 *   sample             kernels/sample.h       logits to tokens and log-probabilities
 *
 * Tensors are device memory; what describes the work (dims, seqs with their page tables, segments,
 * the mv_linear itself) is host memory, read before the operation returns. Operations run in order;
 * nothing is returned: a failure makes the device sticky (runtime/device.h).
 *
 * Whose rows are whose is the same in all layers, and told once, by `plan`:
 *
 *   ops->plan(device, seqs, n_seq, &dims, &plan);
 *   for every layer: ... rope_kv(device, &dims, &plan, ...); attention(device, &dims, &plan, ...);
 *
 * A step is a short sequence of operations that comes again and again with other data (one token
 * for every sequence). A device may record it and replay it as one:
 *
 *   do {
 *     ops->step_begin(device);
 *     upload, linear, attention, ...      no download, alloc, free or place
 *   } while (ops->step_end(device));      true: issue the very same operations once more
 *
 * Where device.records_steps says so, a few rows for nothing are worth a size that comes again.
 *
 * Operations go to a lane: the main one, where plans and steps are, or the side one, for what may
 * go on beside them and yields to them. A lane keeps its order. The side lane begins after all that
 * the main lane was given before it; the main lane waits only where it is told to:
 *
 *   ops->lane(device, MV_LANE_SIDE);
 *   linear, window_attention, ...
 *   ops->mark(device, which);
 *   ops->lane(device, MV_LANE_MAIN);
 *   ...                                   what does not need the results
 *   ops->wait(device, which);             or ops->is_past said 1
 *   ...                                   what does
 *
 * Results do not depend on the lane. free waits for both lanes. A device may have one lane for all
 * (has_side_lane is 0, as on a CPU): then nothing need be waited for.
 */
#ifndef MV_KERNELS_OPS_H
#define MV_KERNELS_OPS_H

#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/fill.h"
#include "kernels/gather.h"
#include "kernels/linear.h"
#include "kernels/patches.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/sample.h"
#include "runtime/device.h"
#include "runtime/infile.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mv_lane { MV_LANE_MAIN, MV_LANE_SIDE } mv_lane;
#define MV_LANES 2

typedef struct mv_ops {
  const char *name;
  /* The format of what one operation leaves for the next (q, k, v; gate and up): f32 where that is
   * free, the precision's own where it would be traffic. */
  mv_dtype (*between)(mv_dtype precision);
  void (*step_begin)(mv_device *);
  int (*step_end)(mv_device *);

  /* memory: alloc returns device memory (free with .free) or NULL with a sticky error */
  void *(*alloc)(mv_device *, size_t n_bytes);
  void (*free)(mv_device *, void *ptr);
  /* finished weights to where the device reads them, until it closes: a CPU borrows them in place.
   * A device that copies them (copies_weights) gives undefined memory of its own for NULL. */
  const void *(*place)(mv_device *, const void *host, size_t n_bytes);
  void (*upload)(mv_device *, void *dst, const void *src, size_t n_bytes);
  void (*download)(mv_device *, void *dst, const void *src, size_t n_bytes); /* waits */
  /* Of a device that copies weights, else NULL: bytes of a file to memory that place gave, at the
   * disk's speed. Returns before they are there: after read_end they are. */
  void (*read)(mv_device *, void *dst, const mv_infile *file, size_t at, size_t n_bytes);
  void (*read_end)(mv_device *);
  /* Bytes that may be taken now (of a CPU's: all there are), and in all; 0 when unknown. */
  void (*room)(mv_device *, size_t *n_free, size_t *n_total);

  /* Makes ready for products like this one, in the order of many, with up to dims->n_row rows: what
   * a device chooses by measuring is measured now and not amid the work. */
  void (*ready)(mv_device *, const mv_linear *, const mv_linear_dims *dims);

  void (*linear)(mv_device *, const mv_linear_dims *, const mv_linear *, const void *x, void *y);
  void (*rmsnorm)(mv_device *, const mv_rmsnorm_dims *, const void *x, const float *w, void *y);
  void (*rope_table)(mv_device *, const mv_rope_table_dims *, const int32_t *position,
                     const float *inv_freq, const uint8_t *axis, float *table);
  void (*rope)(mv_device *, const mv_rope_dims *, const float *table, void *x);
  void (*plan)(mv_device *, const mv_seq_rows *seqs, int n_seq, const mv_attention_dims *,
               mv_seq_plan *plan);
  void (*rope_kv)(mv_device *, const mv_attention_dims *, const mv_seq_plan *, const float *table,
                  void *qkv, void *cache);
  void (*attention)(mv_device *, const mv_attention_dims *, const mv_seq_plan *, const void *q,
                    const void *cache, void *out);
  void (*kv_copy)(mv_device *, const mv_kv_copy_dims *, const mv_kv_move *moves, int n_move,
                  void *cache);
  void (*window_attention)(mv_device *, const mv_attention_dims *, const int32_t *segments,
                           int n_segment, const void *q, const void *k, const void *v, void *out);
  void (*swiglu)(mv_device *, const mv_activation_dims *, const void *gate_up, void *out);
  void (*gelu)(mv_device *, const mv_activation_dims *, void *x);
  void (*embed)(mv_device *, const mv_gather_dims *, const int32_t *ids, const void *table,
                const void *image, void *out);
  void (*gather_rows)(mv_device *, const mv_gather_dims *, const int32_t *index, const void *x,
                      void *out);
  void (*patches)(mv_device *, const mv_patches_dims *, const uint8_t *pixels, const float *value,
                  const int32_t *order, void *out);
  void (*fill)(mv_device *, const mv_fill_dims *, void *x);
  void (*sample)(mv_device *, const mv_sample_dims *, const mv_sample_row *rows,
                 const float *logits, mv_pick *picks, mv_pick *best);

  /* What follows goes to that lane. */
  void (*lane)(mv_device *, mv_lane which);

  /* marks: mark notes the time (under `which`, 0 ... MV_MARKS - 1) when all operations before it
   * on its lane are done. is_past tells whether they are, without waiting (1, too, after a failure
   * and for what was never marked); after wait, what this lane is given begins when they are, and
   * the caller goes on at once; elapsed waits for both marks and returns the ms between them. Not
   * within a step. */
  void (*mark)(mv_device *, int which);
  int (*is_past)(mv_device *, int which);
  void (*wait)(mv_device *, int which);
  double (*elapsed)(mv_device *, int from, int to);
} mv_ops;

#define MV_MARKS 1024
#define MV_PROFILE_MARKS 512 /* the first so many are a profile's (kernels/ops_profile.h) */

extern const mv_ops mv_ops_cpu;

/* Opens the CPU: n_thread 0 takes all cores, more than four a core become four; `simd` names a
 * vector variant (NULL: the best). */
mv_status mv_device_open_cpu(mv_device *device, int n_thread, const char *simd, mv_error *err);
void mv_device_close_cpu(mv_device *device);

/* The second column and its device, in builds with CUDA. MV_ERR_UNSUPPORTED: no driver, no device,
 * or one too old; MV_ERR_USAGE: no device of that number. */
extern const mv_ops mv_ops_cuda;
mv_status mv_device_open_cuda(mv_device *device, int ordinal, mv_error *err);
void mv_device_close_cuda(mv_device *device);

/* Opens by name: "cpu", "cuda", "cuda:N", or "auto" (NULL, too): the first CUDA device where there
 * is one, else the CPU. Fills *ops with its column; n_thread is for the CPU (0: all cores).
 * MV_ERR_USAGE: no such name; MV_ERR_UNSUPPORTED: not in this build or on this machine. */
mv_status mv_device_open(mv_device *device, const mv_ops **ops, const char *name, int n_thread,
                         mv_error *err);
void mv_device_close(mv_device *device, const mv_ops *ops); /* ops may be NULL: nothing is open */

#ifdef __cplusplus
}
#endif
#endif
