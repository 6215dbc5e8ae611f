/* A loaded model: every tensor of Qwen2.5-VL with its shape. This file is the map of the program.
 *
 *   pixels ─ patch_embed ─► vision stack (windows, then whole images) ─ merger ─► image rows
 *   ids ─ embed, image rows spliced in ─► decoder stack (causal, KV pages) ─ norm, head ─► logits
 *
 * Both stacks are made of the same layer:
 *
 *   x += o(attention(rope(qkv(norm1 x))));   x += down(swiglu(gate_up(norm2 x)))
 *
 * Matrices are borrowed from the mapped checkpoint in its own number format where the precision
 * allows it (bf16 serves both precisions), and converted once at load where it does not. Norms and
 * biases are widened to f32.
 */
#ifndef MV_RUNTIME_MODEL_H
#define MV_RUNTIME_MODEL_H

#include "kernels/ops.h"
#include "runtime/medvision.h"
#include "runtime/memory.h"
#include "tokenizer/tokenizer.h"
#include "vision/preprocess.h"
#include "weights/checkpoint.h"

#ifdef __cplusplus
extern "C" {
#endif

/* d = d_model, q = n_head * d_head, kv = n_kv * d_head, f = d_ff of the stack */
typedef struct mv_layer {
  const float *norm1; /* [d]                                     */
  mv_linear qkv;      /* [q + kv + kv, d] + bias                 */
  mv_linear o;        /* [d, q]            + bias (vision only)  */
  const float *norm2; /* [d]                                     */
  mv_linear gate_up;  /* [f + f, d]        + bias (vision only)  */
  mv_linear down;     /* [d, f]            + bias (vision only)  */
} mv_layer;

typedef struct mv_stack {
  int n_layer, d_model, d_ff;
  int n_head, n_kv, d_head;
  float eps;
  const float *inv_freq; /* [d_head / 2] rotary frequencies                    */
  const uint8_t *axis;   /* [d_head / 2] position that turns each: 0 t, 1 h, 2 w */
  mv_layer *layers;      /* [n_layer]                                          */
} mv_stack;

struct mv_model {
  mv_arena arena;            /* owns what was converted, and the tables below */
  mv_checkpoint *checkpoint; /* owns the mappings and the config */
  mv_read_ahead *ahead;      /* owns: brings the mappings in; NULL where nothing is borrowed */
  mv_tokenizer *tokenizer;   /* owns */
  mv_preprocessor preprocessor;
  mv_device device; /* owns */
  const mv_ops *ops;
  struct mv_profile *profile; /* owns; NULL unless asked for, else `ops` is its table */
  mv_precision precision;
  mv_dtype dtype; /* of activations and KV cache */

  const float *pixel_value;            /* [3, 256] what a pixel counts as                 */
  mv_linear patch_embed;               /* [vision.d, 3 * 2 * 14 * 14]                     */
  mv_stack vision;                     /* heads not grouped                               */
  const unsigned char *full_attention; /* [vision.n_layer] 1: whole image, 0: windows     */
  const float *merger_norm;            /* [vision.d]                                      */
  mv_linear merger_fc1, merger_fc2;    /* [4 vision.d, 4 vision.d], [d, 4 vision.d], bias */

  mv_linear head;    /* [vocab, d]; the embedding when tied */
  const void *embed; /* [vocab, d] embed_dtype              */
  mv_dtype embed_dtype;
  mv_stack decoder;
  const float *final_norm; /* [d] */
};

/* Loads all tensors from model->checkpoint, whose device and precision are chosen. model_load.c */
mv_status mv_model_load(mv_model *model, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
