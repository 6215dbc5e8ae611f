/* A checkpoint directory, opened: configuration and weights, checked against each other.
 *
 *   config.json                     required
 *   generation_config.json          optional
 *   model.safetensors               or model.safetensors.index.json and its shards
 *
 * Opening maps the files and binds every tensor of the table (weights/table.h). A tensor that is
 * missing, unexpected, of another shape or of a type we do not compute with is an error that names
 * all offenders. Only rotary `inv_freq` buffers, which old checkpoints carry and which follow from
 * the config, are ignored. No weight is copied or even touched: pages come in as they are used.
 *
 * Tied heads, as the reference does it: with "tie_word_embeddings" the head is the embedding; if
 * the file holds an lm_head all the same and its values differ, the file is believed.
 */
#ifndef MV_WEIGHTS_CHECKPOINT_H
#define MV_WEIGHTS_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/dtype.h"
#include "runtime/error.h"
#include "runtime/text.h"
#include "weights/config.h"
#include "weights/safetensors.h"
#include "weights/table.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_checkpoint mv_checkpoint; /* owns mappings, configs and the bound table */

typedef struct mv_weight {
  const void *data;   /* borrows from the mapping: rows * cols elements, row-major; NULL in an empty
                         checkpoint */
  const char *name;   /* as in the file; borrows */
  int64_t rows, cols; /* vectors: rows 1 */
  mv_dtype dtype;     /* of the file */
  int aligned;        /* 0: not a multiple of the element size, so copy before use */
  const mv_infile *file; /* where `data` is mapped from, and its first byte there; NULL: memory */
  size_t at;
} mv_weight;

/* `dir` holds the files above. MV_ERR_IO, MV_ERR_FORMAT, MV_ERR_SHAPE (missing, unexpected or
 * mis-shaped tensors), MV_ERR_UNSUPPORTED or MV_ERR_MEMORY. */
mv_status mv_checkpoint_open(mv_checkpoint **out, const char *dir, mv_error *err);

/* The same from memory (borrowed until close): for a checkpoint linked into the program.
 * `generation_json` may be empty; `label` names the checkpoint in messages. */
mv_status mv_checkpoint_open_memory(mv_checkpoint **out, const char *label, mv_str config_json,
                                    mv_str generation_json, mv_str safetensors, mv_error *err);

/* A checkpoint without weights, for measuring: the table of `dir`'s config.json, with the sizes of
 * `shape` in it: "3b", "7b", "32b" (Qwen2.5-VL's), or "config" for its own. All weights are bf16
 * and have no data: whoever uses them fills in numbers. MV_ERR_USAGE: no such shape. */
mv_status mv_checkpoint_open_empty(mv_checkpoint **out, const char *dir, const char *shape,
                                   mv_error *err);

void mv_checkpoint_close(mv_checkpoint *ckpt); /* accepts NULL */

/* Never NULL for a valid id and layer (asserted): everything was bound at open. Borrows. */
const mv_weight *mv_checkpoint_get(const mv_checkpoint *ckpt, mv_weight_id id, int layer);

const mv_config *mv_checkpoint_config(const mv_checkpoint *ckpt);
const mv_generation_config *mv_checkpoint_generation(const mv_checkpoint *ckpt);
const char *mv_checkpoint_path(const mv_checkpoint *ckpt);            /* the directory or label */
const mv_safetensors *mv_checkpoint_files(const mv_checkpoint *ckpt); /* every tensor, by name */

/* Ids at which generation stops: generation_config.json's, else config.json's. Fills up to
 * MV_MAX_EOS ids and returns how many. */
int mv_checkpoint_eos(const mv_checkpoint *ckpt, int out[MV_MAX_EOS]);

/* 1 when the head shares the embedding's memory. */
int mv_checkpoint_head_is_tied(const mv_checkpoint *ckpt);

typedef struct mv_part_total {
  int64_t n_tensors, n_params, n_bytes;
} mv_part_total;

/* Bound tensors by part; a tied head counts as none. */
mv_part_total mv_checkpoint_total(const mv_checkpoint *ckpt, mv_part part);
/* Parameters stored in `dtype`, over all parts. */
int64_t mv_checkpoint_params_of(const mv_checkpoint *ckpt, mv_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
