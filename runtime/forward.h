/* The forward pass, written once over the operation table (kernels/ops.h).
 *
 *   mv_vision_forward    pixels of one image -> rows the decoder takes
 *   mv_decoder_forward   a batch of rows of any number of sequences -> logits of the rows asked for
 *
 * Working memory is sized by the plan before anything runs and never grows in between.
 */
#ifndef MV_RUNTIME_FORWARD_H
#define MV_RUNTIME_FORWARD_H

#include "runtime/model.h"
#include "vision/image.h"
#include "vision/window.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Working memory of one stack for up to max_rows rows. All device memory, owned. What a product
 * reads (h, att, ff) and the KV cache are stored in the precision's dtype, what lies between two
 * operations (qkv, gate_up) in what the device wants there; the residual stream is f32. The MLP of
 * a big batch goes in slices of at most device.slice_rows rows. */
typedef struct mv_activations {
  int max_rows;
  float *x;          /* [max_rows, d]                     the residual stream */
  void *h;           /* [max_rows, d]                     normed              */
  void *qkv;         /* [max_rows, q + 2 kv]                                  */
  void *att;         /* [max_rows, q]                                         */
  void *gate_up;     /* [slice, 2 f]                                          */
  void *ff;          /* [slice, f]                                            */
  float *rope;       /* [max_rows, d_head / 2, 2]                             */
  int32_t *position; /* [3, max_rows]                                         */
  int32_t *index;    /* [max_rows]                        ids, or rows to gather */
  void *pixels;      /* vision only: the image, then the merger's rows, f32   */
  void *patches;     /* vision only: [max_rows, 1176]     in window order     */
} mv_activations;

/* Bytes that mv_activations_init takes: the plan. */
size_t mv_activations_bytes(const mv_model *model, const mv_stack *stack, int max_rows);
mv_status mv_activations_init(mv_activations *act, mv_model *model, const mv_stack *stack,
                              int max_rows, mv_error *err);
void mv_activations_free(mv_activations *act, mv_model *model);

/* Makes the device ready for prompts of up to max_rows rows and images of up to n_patch patches, so
 * that it chooses nothing by measuring amid the work. May take seconds, once for a kind of card. */
void mv_model_ready(mv_model *model, int max_rows, int n_patch);

/* Called with every named stage as it is computed ("vision.block" 3, ...); rows are device memory.
 * layer is -1 for stages without a number. */
typedef struct mv_tap {
  void (*on_stage)(void *user, const char *name, int layer, const void *rows, mv_dtype dtype,
                   int n_row, int d);
  void (*on_layer)(void *user, int layer, int n_layer); /* progress */
  void *user;
} mv_tap;

/* Runs the vision tower on one image of the size the model sees, `plan` being its window order.
 * Fills out: device f32 [n_patch / merge^2, decoder d_model], in raster order. */
void mv_vision_forward(mv_model *model, mv_activations *act, const mv_window_plan *plan,
                       const mv_image *image, float *out, const mv_tap *tap);

/* One step's rows. */
typedef struct mv_batch {
  int n_row;
  const int32_t *ids;      /* [n_row] token, or ~i for row i of image_rows      */
  const int32_t *position; /* [3, n_row] M-RoPE                                 */
  const mv_seq_rows *seqs; /* [n_seq] runs; rows of none are computed for nothing */
  int n_seq;
  const float *image_rows; /* device, [*, d_model]; NULL when no id is negative */
  const int32_t *want;     /* [n_want] rows whose logits are wanted             */
  int n_want;
  int n_new; /* the first n_new rows are tokens being generated, the others prompts: each kind keeps
                its own order of sums, so that a row's bits do not depend on what else is there */
  int any_order; /* 1: not so: one product for all rows, in the order of so many */
  const mv_kv_move *echo; /* [n_echo] copied within each layer's pages as soon as this step's keys
                             and values are there                                */
  int n_echo;
} mv_batch;

/* Runs the decoder over a batch, appending keys and values to the sequences' pages. `cache` holds
 * n_layer blocks of cache_stride bytes. Fills logits: device f32 [n_want, vocab]. */
void mv_decoder_forward(mv_model *model, mv_activations *act, const mv_batch *batch, void *cache,
                        size_t cache_stride, float *logits, const mv_tap *tap);

#ifdef __cplusplus
}
#endif
#endif
