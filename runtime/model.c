#include "runtime/model.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/ops_profile.h"

#define MAX_D_HEAD 256

static mv_status check_head(const char *what, int n_head, int n_kv, int d_head, mv_error *err) {
  if (d_head % 16 != 0 || d_head > MAX_D_HEAD)
    return mv_fail(err, MV_ERR_UNSUPPORTED,
                   "%s head dimension %d: this engine takes multiples of 16 up to %d", what, d_head,
                   MAX_D_HEAD);
  if (n_head / n_kv > 32)
    return mv_fail(err, MV_ERR_UNSUPPORTED,
                   "%s: %d query heads share a key head; this engine takes up to 32", what,
                   n_head / n_kv);
  return MV_OK;
}

/* What the kernels cannot take is refused by name, before anything is loaded. */
static mv_status check_limits(const mv_model *model, mv_error *err) {
  const mv_config *config = mv_checkpoint_config(model->checkpoint);
  const mv_vision_config *v = &config->vision;
  const mv_preprocessor *pp = &model->preprocessor;
  MV_TRY(check_head("decoder", config->text.n_head, config->text.n_kv, config->text.head_dim, err));
  MV_TRY(check_head("vision", v->n_head, v->n_head, v->head_dim, err));
  if (pp->patch != v->patch_size || pp->temporal != v->temporal_size || pp->merge != v->merge_size)
    return mv_fail(err, MV_ERR_FORMAT,
                   "preprocessor_config.json has patch %d, temporal %d, merge %d but config.json "
                   "has %d, %d, %d (are the files from one checkpoint?)",
                   pp->patch, pp->temporal, pp->merge, v->patch_size, v->temporal_size,
                   v->merge_size);
  return MV_OK;
}

static void choose_precision(mv_model *model, mv_precision wanted) {
  model->precision = wanted != MV_PRECISION_AUTO ? wanted
                     : model->device.has_bf16    ? MV_PRECISION_BF16
                                                 : MV_PRECISION_FP32;
  model->dtype = model->precision == MV_PRECISION_BF16 ? MV_DTYPE_BF16 : MV_DTYPE_F32;
}

static mv_status open_parts(mv_model *model, const mv_model_options *options, mv_error *err) {
  MV_TRY(mv_device_open(&model->device, &model->ops, options->device, options->n_thread, err));
  model->device.ranges = options->ranges;
  if (options->profile) MV_TRY(mv_profile_open(&model->profile, &model->device, &model->ops, err));
  choose_precision(model, options->precision);
  if (options->random)
    MV_TRY(mv_checkpoint_open_empty(&model->checkpoint, options->dir, options->random, err));
  else
    MV_TRY(mv_checkpoint_open(&model->checkpoint, options->dir, err));
  MV_TRY(mv_preprocessor_load(options->dir, &model->preprocessor, err));
  MV_TRY(check_limits(model, err));
  MV_TRY(mv_tokenizer_open(&model->tokenizer, options->dir, err));
  if (options->on_progress) options->on_progress(options->user, "load", 0, 1);
  MV_TRY(mv_model_load(model, err));
  if (options->on_progress) options->on_progress(options->user, "load", 1, 1);
  return MV_OK;
}

mv_status mv_model_open(mv_model **out, const mv_model_options *options, mv_error *err) {
  *out = NULL;
  if (!options->dir) return mv_fail(err, MV_ERR_USAGE, "no checkpoint directory given");
  mv_model *model = mv_calloc(1, sizeof *model);
  if (!model) return mv_fail(err, MV_ERR_MEMORY, "%s: out of memory", options->dir);
  mv_status status = open_parts(model, options, err);
  if (status != MV_OK) {
    mv_model_close(model);
    return status;
  }
  *out = model;
  return MV_OK;
}

void mv_model_close(mv_model *model) {
  if (!model) return;
  const mv_ops *ops = model->profile ? mv_profile_inner(model->profile) : model->ops;
  mv_profile_close(model->profile);
  mv_device_close(&model->device, ops);
  mv_tokenizer_close(model->tokenizer);
  mv_read_ahead_stop(model->ahead);
  mv_checkpoint_close(model->checkpoint);
  mv_arena_reset(&model->arena);
  mv_free(model);
}

const mv_tokenizer *mv_model_tokenizer(const mv_model *model) { return model->tokenizer; }
const mv_preprocessor *mv_model_preprocessor(const mv_model *model) { return &model->preprocessor; }
const mv_checkpoint *mv_model_checkpoint(const mv_model *model) { return model->checkpoint; }
const char *mv_model_device_name(const mv_model *model) { return model->device.name; }
mv_precision mv_model_precision(const mv_model *model) { return model->precision; }

mv_status mv_model_profile(mv_model *model, mv_buf *out, mv_error *err) {
  mv_limits limits;
  if (!model->profile) return MV_OK;
  MV_TRY(mv_limits_measure(&limits, &model->device, mv_profile_inner(model->profile), 2, err));
  mv_profile_print(model->profile, &limits, out);
  return mv_buf_status(out, err);
}
