/* config.json and generation_config.json of a Qwen2.5-VL checkpoint, checked.
 *
 * Two shapes of config.json are read: flat (transformers 4.x: the decoder's keys at the top) and
 * nested (later: the decoder's keys under "text_config", which then wins over the top).
 *
 * Absent keys. Some versions of the reference save of "vision_config" and "text_config" only what
 * differs from the class's default, so there an absent key means that default. Not so where no
 * released checkpoint agrees with it: rms_norm_eps, max_position_embeddings and the tower's
 * hidden_size are always required by name, as are all sizes in a flat file, which savers never
 * leave out. Sizes that came from a default are then checked against the tensors.
 *
 * Every number is bounded and every relation checked here, so that the rest of the program may
 * multiply these values as int64 without a second thought.
 */
#ifndef MV_WEIGHTS_CONFIG_H
#define MV_WEIGHTS_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"
#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MV_MAX_LAYERS = 1024, MV_MAX_EOS = 16 };

typedef struct mv_text_config {
  int vocab_size; /* rows of the embedding; may exceed the tokenizer's vocabulary */
  int d_model, d_ff, n_layer;
  int n_head, n_kv;  /* n_head % n_kv == 0 */
  int head_dim;      /* d_model / n_head, even */
  int max_positions; /* longest context the checkpoint was made for */
  double rms_eps;    /* of every decoder norm */
  double rope_theta;
  int mrope_section[3]; /* t, h, w; contiguous chunks of head_dim/2, to which they sum */
} mv_text_config;

typedef struct mv_vision_config {
  int depth, d_model, d_ff, n_head;
  int head_dim;      /* d_model / n_head, a multiple of 4 */
  int n_channel;     /* 3 */
  int patch_size;    /* px */
  int temporal_size; /* frames a patch spans; a still image is repeated */
  int merge_size;    /* merge_size x merge_size patches become one row of the decoder */
  int window_size;   /* px */
  int window_merged; /* edge of an attention window in merged rows: window_size / merge / patch */
  int d_out;         /* == text.d_model */
  int d_patch;       /* n_channel * temporal_size * patch_size^2, the columns of patch_embed */
  double rms_eps;    /* 1e-6, fixed by the architecture */
  double rope_theta; /* 10000 unless the file says otherwise */
  double tokens_per_second;                    /* video only */
  unsigned char full_attention[MV_MAX_LAYERS]; /* 1 for blocks that see the whole image */
} mv_vision_config;

typedef struct mv_config {
  mv_text_config text;
  mv_vision_config vision;
  int tied_head; /* the head is the embedding */
  /* Ids of the placeholders. They may lie beyond vocab_size in a checkpoint that never sees images;
   * whoever embeds an id checks it. */
  int image_token_id, video_token_id, vision_start_token_id, vision_end_token_id;
  int bos_token_id;             /* -1: none */
  int eos_token_id[MV_MAX_EOS]; /* a model stops at any of them */
  int n_eos;                    /* may be 0 */
} mv_config;

/* generation_config.json. The end tokens always apply; the sampling values only where the user
 * asks for them. A value that the file does not give is the reference's neutral one. */
typedef struct mv_generation_config {
  int present; /* there was a file */
  int eos_token_id[MV_MAX_EOS];
  int n_eos; /* 0: the file names none */
  int do_sample;
  double temperature;        /* 1 */
  double top_p;              /* 1 */
  int top_k;                 /* 50, as in the reference; 0 = off */
  double repetition_penalty; /* 1 */
} mv_generation_config;

/* Parse the files' text. `what` names it in messages (the path). MV_ERR_FORMAT for a missing key
 * or a bad value, MV_ERR_UNSUPPORTED for a model that is not this architecture. */
mv_status mv_config_parse(mv_config *out, mv_str json, const char *what, mv_error *err);
mv_status mv_generation_config_parse(mv_generation_config *out, mv_str json, const char *what,
                                     mv_error *err);
/* What holds when a checkpoint has no generation_config.json. */
void mv_generation_config_default(mv_generation_config *out);

#ifdef __cplusplus
}
#endif
#endif
