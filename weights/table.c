#include "weights/table.h"

#include <assert.h>
#include <stdio.h>

/* Dimensions by their letter in weights/table.h. */
typedef enum dim { ONE, V, D, F, Q, K, P, H, H3, G, M } dim;

/* Whose layers a weight repeats over; also chooses the prefix of its name. */
typedef enum group { TOP, TEXT, LAYER, VISION, BLOCK, N_GROUP } group;

typedef struct row {
  const char *suffix;
  unsigned char group, part, rows, cols; /* rows ONE: a vector */
} row;

static const char *const prefixes[MV_N_SCHEME][N_GROUP] = {
    {"", "model.", "model.layers.", "visual.", "visual.blocks."},
    {"", "model.language_model.", "model.language_model.layers.", "model.visual.",
     "model.visual.blocks."},
};

/* clang-format off */
static const row table[MV_W_N] = {
  [MV_W_EMBED]           = {"embed_tokens.weight",             TEXT,   MV_PART_EMBED,   V,   D},
  [MV_W_HEAD]            = {"lm_head.weight",                  TOP,    MV_PART_HEAD,    V,   D},
  [MV_W_FINAL_NORM]      = {"norm.weight",                     TEXT,   MV_PART_DECODER, ONE, D},
  [MV_W_LAYER_NORM1]     = {"input_layernorm.weight",          LAYER,  MV_PART_DECODER, ONE, D},
  [MV_W_LAYER_Q]         = {"self_attn.q_proj.weight",         LAYER,  MV_PART_DECODER, Q,   D},
  [MV_W_LAYER_Q_BIAS]    = {"self_attn.q_proj.bias",           LAYER,  MV_PART_DECODER, ONE, Q},
  [MV_W_LAYER_K]         = {"self_attn.k_proj.weight",         LAYER,  MV_PART_DECODER, K,   D},
  [MV_W_LAYER_K_BIAS]    = {"self_attn.k_proj.bias",           LAYER,  MV_PART_DECODER, ONE, K},
  [MV_W_LAYER_V]         = {"self_attn.v_proj.weight",         LAYER,  MV_PART_DECODER, K,   D},
  [MV_W_LAYER_V_BIAS]    = {"self_attn.v_proj.bias",           LAYER,  MV_PART_DECODER, ONE, K},
  [MV_W_LAYER_O]         = {"self_attn.o_proj.weight",         LAYER,  MV_PART_DECODER, D,   Q},
  [MV_W_LAYER_NORM2]     = {"post_attention_layernorm.weight", LAYER,  MV_PART_DECODER, ONE, D},
  [MV_W_LAYER_GATE]      = {"mlp.gate_proj.weight",            LAYER,  MV_PART_DECODER, F,   D},
  [MV_W_LAYER_UP]        = {"mlp.up_proj.weight",              LAYER,  MV_PART_DECODER, F,   D},
  [MV_W_LAYER_DOWN]      = {"mlp.down_proj.weight",            LAYER,  MV_PART_DECODER, D,   F},
  [MV_W_PATCH_EMBED]     = {"patch_embed.proj.weight",         VISION, MV_PART_VISION,  H,   P},
  [MV_W_BLOCK_NORM1]     = {"norm1.weight",                    BLOCK,  MV_PART_VISION,  ONE, H},
  [MV_W_BLOCK_QKV]       = {"attn.qkv.weight",                 BLOCK,  MV_PART_VISION,  H3,  H},
  [MV_W_BLOCK_QKV_BIAS]  = {"attn.qkv.bias",                   BLOCK,  MV_PART_VISION,  ONE, H3},
  [MV_W_BLOCK_PROJ]      = {"attn.proj.weight",                BLOCK,  MV_PART_VISION,  H,   H},
  [MV_W_BLOCK_PROJ_BIAS] = {"attn.proj.bias",                  BLOCK,  MV_PART_VISION,  ONE, H},
  [MV_W_BLOCK_NORM2]     = {"norm2.weight",                    BLOCK,  MV_PART_VISION,  ONE, H},
  [MV_W_BLOCK_GATE]      = {"mlp.gate_proj.weight",            BLOCK,  MV_PART_VISION,  G,   H},
  [MV_W_BLOCK_GATE_BIAS] = {"mlp.gate_proj.bias",              BLOCK,  MV_PART_VISION,  ONE, G},
  [MV_W_BLOCK_UP]        = {"mlp.up_proj.weight",              BLOCK,  MV_PART_VISION,  G,   H},
  [MV_W_BLOCK_UP_BIAS]   = {"mlp.up_proj.bias",                BLOCK,  MV_PART_VISION,  ONE, G},
  [MV_W_BLOCK_DOWN]      = {"mlp.down_proj.weight",            BLOCK,  MV_PART_VISION,  H,   G},
  [MV_W_BLOCK_DOWN_BIAS] = {"mlp.down_proj.bias",              BLOCK,  MV_PART_VISION,  ONE, H},
  [MV_W_MERGER_NORM]     = {"merger.ln_q.weight",              VISION, MV_PART_VISION,  ONE, H},
  [MV_W_MERGER_FC1]      = {"merger.mlp.0.weight",             VISION, MV_PART_VISION,  M,   M},
  [MV_W_MERGER_FC1_BIAS] = {"merger.mlp.0.bias",               VISION, MV_PART_VISION,  ONE, M},
  [MV_W_MERGER_FC2]      = {"merger.mlp.2.weight",             VISION, MV_PART_VISION,  D,   M},
  [MV_W_MERGER_FC2_BIAS] = {"merger.mlp.2.bias",               VISION, MV_PART_VISION,  ONE, D},
};
/* clang-format on */

static int64_t dim_of(dim d, const mv_config *config) {
  const mv_text_config *t = &config->text;
  const mv_vision_config *v = &config->vision;
  switch (d) {
    case ONE:
      return 1;
    case V:
      return t->vocab_size;
    case D:
      return t->d_model;
    case F:
      return t->d_ff;
    case Q:
      return (int64_t)t->n_head * t->head_dim;
    case K:
      return (int64_t)t->n_kv * t->head_dim;
    case P:
      return v->d_patch;
    case H:
      return v->d_model;
    case H3:
      return 3 * (int64_t)v->d_model;
    case G:
      return v->d_ff;
    case M:
      return (int64_t)v->d_model * v->merge_size * v->merge_size;
  }
  return 0;
}

const char *mv_part_name(mv_part part) {
  static const char *const names[MV_PART_N] = {"vision", "decoder", "embedding", "head"};
  return names[part];
}

mv_part mv_weight_part(mv_weight_id id) { return (mv_part)table[id].part; }
int mv_weight_is_matrix(mv_weight_id id) { return table[id].rows != ONE; }

int mv_weight_layers(mv_weight_id id, const mv_config *config) {
  if (table[id].group == LAYER) return config->text.n_layer;
  return table[id].group == BLOCK ? config->vision.depth : 1;
}

void mv_weight_dims(mv_weight_id id, const mv_config *config, int64_t *rows, int64_t *cols) {
  *rows = dim_of((dim)table[id].rows, config);
  *cols = dim_of((dim)table[id].cols, config);
}

int mv_weight_shape(mv_weight_id id, const mv_config *config, int64_t shape[5]) {
  int64_t rows, cols;
  mv_weight_dims(id, config, &rows, &cols);
  if (id == MV_W_PATCH_EMBED) { /* the reference holds it as a 3-D convolution */
    const mv_vision_config *v = &config->vision;
    shape[0] = rows;
    shape[1] = v->n_channel;
    shape[2] = v->temporal_size;
    shape[3] = shape[4] = v->patch_size;
    return 5;
  }
  if (!mv_weight_is_matrix(id)) {
    shape[0] = cols;
    return 1;
  }
  shape[0] = rows;
  shape[1] = cols;
  return 2;
}

void mv_weight_name(mv_weight_id id, int layer, int scheme, char out[MV_WEIGHT_NAME_MAX]) {
  assert(id < MV_W_N && scheme >= 0 && scheme < MV_N_SCHEME);
  const char *prefix = prefixes[scheme][table[id].group];
  const char *suffix = table[id].suffix;
  if (table[id].group == LAYER || table[id].group == BLOCK)
    snprintf(out, MV_WEIGHT_NAME_MAX, "%s%d.%s", prefix, layer, suffix);
  else
    snprintf(out, MV_WEIGHT_NAME_MAX, "%s%s", prefix, suffix);
}
