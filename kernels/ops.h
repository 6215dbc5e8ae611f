/* The operation table: everything the forward pass asks of a device, one row an operation, one
 * column a backend. The forward pass (runtime/forward.c) is written once against it.
 *
 *   operation          contract               what it is for
 *   linear             kernels/linear.h       every projection, with bias or residual
 *   rmsnorm            kernels/rmsnorm.h      before attention, MLP, merger and head
 *   rope_table, rope   kernels/rope.h         M-RoPE and the vision tower's 2-D rope
 *   kv_write           kernels/attention.h    keys and values into pages
 *   attention          kernels/attention.h    causal, grouped heads, paged
 *   window_attention   kernels/attention.h    vision windows and whole images
 *   swiglu, gelu       kernels/activation.h   MLPs, merger
 *   embed, gather_rows kernels/gather.h       tokens and image rows; window order
 *
 * Tensors are device memory; what describes the work (dims, seqs with their page tables, segments,
 * the mv_linear itself) is host memory. Operations run in order; nothing is returned: a failure
 * makes the device sticky (runtime/device.h).
 */
#ifndef MV_KERNELS_OPS_H
#define MV_KERNELS_OPS_H

#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/gather.h"
#include "kernels/linear.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "runtime/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_ops {
  const char *name;
  /* memory: alloc returns device memory (free with .free) or NULL with a sticky error */
  void *(*alloc)(mv_device *, size_t n_bytes);
  void (*free)(mv_device *, void *ptr);
  /* finished weights to where the device reads them, until it closes: a CPU borrows them in place
   */
  const void *(*place)(mv_device *, const void *host, size_t n_bytes);
  void (*upload)(mv_device *, void *dst, const void *src, size_t n_bytes);
  void (*download)(mv_device *, void *dst, const void *src, size_t n_bytes); /* waits */

  void (*linear)(mv_device *, const mv_linear_dims *, const mv_linear *, const void *x, void *y);
  void (*rmsnorm)(mv_device *, const mv_rmsnorm_dims *, const void *x, const float *w, void *y);
  void (*rope_table)(mv_device *, const mv_rope_table_dims *, const int32_t *position,
                     const float *inv_freq, const uint8_t *axis, float *table);
  void (*rope)(mv_device *, const mv_rope_dims *, const float *table, void *x);
  void (*kv_write)(mv_device *, const mv_attention_dims *, const mv_seq_rows *, int n_seq,
                   const void *k, const void *v, void *cache);
  void (*attention)(mv_device *, const mv_attention_dims *, const mv_seq_rows *, int n_seq,
                    const void *q, const void *cache, void *out);
  void (*window_attention)(mv_device *, const mv_attention_dims *, const int32_t *segments,
                           int n_segment, const void *q, const void *k, const void *v, void *out);
  void (*swiglu)(mv_device *, const mv_activation_dims *, const void *gate_up, void *out);
  void (*gelu)(mv_device *, const mv_activation_dims *, void *x);
  void (*embed)(mv_device *, const mv_gather_dims *, const int32_t *ids, const void *table,
                const void *image, void *out);
  void (*gather_rows)(mv_device *, const mv_gather_dims *, const int32_t *index, const void *x,
                      void *out);
} mv_ops;

extern const mv_ops mv_ops_cpu;

/* Opens the CPU: n_thread 0 takes all cores, more than four a core become four; `simd` names a
 * vector variant (NULL: the best). */
mv_status mv_device_open_cpu(mv_device *device, int n_thread, const char *simd, mv_error *err);
void mv_device_close_cpu(mv_device *device);

#ifdef __cplusplus
}
#endif
#endif
