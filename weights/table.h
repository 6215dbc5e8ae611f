/* The tensors of Qwen2.5-VL: the one table of names and shapes.
 *
 * A weight is (id, layer): layer counts decoder layers for MV_W_LAYER_* and vision blocks for
 * MV_W_BLOCK_*, and is 0 for the rest. Matrices are [out, in] as the reference stores them:
 * y = x W^T. Two schemes of names exist in the world:
 *
 *   scheme 0   model.layers.3...                  visual.blocks.3...         lm_head.weight
 *   scheme 1   model.language_model.layers.3...   model.visual.blocks.3...   lm_head.weight
 */
#ifndef MV_WEIGHTS_TABLE_H
#define MV_WEIGHTS_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "weights/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* V vocab_size, D text.d_model, F text.d_ff, Q n_head*head_dim, K n_kv*head_dim;
 * P d_patch, H vision.d_model, G vision.d_ff, M H*merge_size^2. */
typedef enum mv_weight_id {
  MV_W_EMBED = 0,       /* [V, D]                                   */
  MV_W_HEAD,            /* [V, D]; the embedding when tied          */
  MV_W_FINAL_NORM,      /* [D]                                      */
  MV_W_LAYER_NORM1,     /* [D]     before attention                 */
  MV_W_LAYER_Q,         /* [Q, D]                                   */
  MV_W_LAYER_Q_BIAS,    /* [Q]                                      */
  MV_W_LAYER_K,         /* [K, D]                                   */
  MV_W_LAYER_K_BIAS,    /* [K]                                      */
  MV_W_LAYER_V,         /* [K, D]                                   */
  MV_W_LAYER_V_BIAS,    /* [K]                                      */
  MV_W_LAYER_O,         /* [D, Q]  no bias                          */
  MV_W_LAYER_NORM2,     /* [D]     before the MLP                   */
  MV_W_LAYER_GATE,      /* [F, D]                                   */
  MV_W_LAYER_UP,        /* [F, D]                                   */
  MV_W_LAYER_DOWN,      /* [D, F]                                   */
  MV_W_PATCH_EMBED,     /* [H, P]  stored [H, channel, time, y, x]  */
  MV_W_BLOCK_NORM1,     /* [H]                                      */
  MV_W_BLOCK_QKV,       /* [3H, H] rows: all q, all k, all v        */
  MV_W_BLOCK_QKV_BIAS,  /* [3H]                                     */
  MV_W_BLOCK_PROJ,      /* [H, H]                                   */
  MV_W_BLOCK_PROJ_BIAS, /* [H]                                      */
  MV_W_BLOCK_NORM2,     /* [H]                                      */
  MV_W_BLOCK_GATE,      /* [G, H]                                   */
  MV_W_BLOCK_GATE_BIAS, /* [G]                                      */
  MV_W_BLOCK_UP,        /* [G, H]                                   */
  MV_W_BLOCK_UP_BIAS,   /* [G]                                      */
  MV_W_BLOCK_DOWN,      /* [H, G]                                   */
  MV_W_BLOCK_DOWN_BIAS, /* [H]                                      */
  MV_W_MERGER_NORM,     /* [H]     before four rows become one      */
  MV_W_MERGER_FC1,      /* [M, M]                                   */
  MV_W_MERGER_FC1_BIAS, /* [M]                                      */
  MV_W_MERGER_FC2,      /* [D, M]                                   */
  MV_W_MERGER_FC2_BIAS, /* [D]                                      */
  MV_W_N
} mv_weight_id;

typedef enum mv_part {
  MV_PART_VISION = 0, /* patch embedding, blocks, merger */
  MV_PART_DECODER,    /* layers and final norm */
  MV_PART_EMBED,
  MV_PART_HEAD,
  MV_PART_N
} mv_part;

const char *mv_part_name(mv_part part); /* "vision", "decoder", "embedding", "head" */

enum { MV_N_SCHEME = 2, MV_WEIGHT_NAME_MAX = 96 };

mv_part mv_weight_part(mv_weight_id id);
/* 1: a matrix, used in place in the file's dtype. 0: a vector (norm, bias), small enough to widen.
 */
int mv_weight_is_matrix(mv_weight_id id);
/* How many layers have this weight: text.n_layer, vision.depth or 1. */
int mv_weight_layers(mv_weight_id id, const mv_config *config);
/* Rows and columns as used (vectors: rows 1). */
void mv_weight_dims(mv_weight_id id, const mv_config *config, int64_t *rows, int64_t *cols);
/* The shape as stored; returns the number of dimensions (1, 2 or 5). */
int mv_weight_shape(mv_weight_id id, const mv_config *config, int64_t shape[5]);
/* The name in a file, NUL-terminated. */
void mv_weight_name(mv_weight_id id, int layer, int scheme, char out[MV_WEIGHT_NAME_MAX]);

#ifdef __cplusplus
}
#endif
#endif
