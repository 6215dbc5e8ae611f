/* What an engine will take, before it takes it. */
#include <string.h>

#include "kernels/cuda_plan.h"
#include "runtime/engine.h"

#define DEFAULT_BATCH 16
#define DEFAULT_ROWS 1024
#define DEFAULT_DRAFT 32
#define VERIFY_ROWS 128 /* rows with logits a step, more with larger batches */
#define FIRST_IMAGE_TOKENS 4096
#define LIMIT ((size_t)1 << 30) /* of every count */

/* Few sizes, so that most steps are like one before, and such that products of few rows, which go
 * by tiles of 8, 16, 32 and 64 of them, take hardly longer. What remains are 2 to 16 kinds in 4,000
 * steps, of 1 to 64 requests with some 1,000 tokens and drafts of 0 to 32. */
int mv_step_size(int n_row) {
  static const int sizes[] = {1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 384, 512};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (n_row <= sizes[i]) return sizes[i];
  return n_row > (int)LIMIT ? n_row : (n_row + 127) / 128 * 128;
}

int mv_engine_options_resolve(mv_engine_options *o) {
  if (o->max_batch <= 0) o->max_batch = DEFAULT_BATCH;
  if (o->max_rows <= 0) o->max_rows = DEFAULT_ROWS;
  if (o->max_draft <= 0) o->max_draft = DEFAULT_DRAFT;
  if (o->no_speculation) o->max_draft = 0;
  int n = o->no_speculation ? o->max_batch : o->max_batch + o->max_draft;
  return mv_step_size(n > VERIFY_ROWS || o->no_speculation ? n : VERIFY_ROWS);
}

static mv_stack decoder_shape(const mv_text_config *t) {
  mv_stack s = {.n_layer = t->n_layer,
                .d_model = t->d_model,
                .d_ff = t->d_ff,
                .n_head = t->n_head,
                .n_kv = t->n_kv,
                .d_head = t->head_dim};
  return s;
}

static mv_stack vision_shape(const mv_vision_config *v) {
  mv_stack s = {.n_layer = v->depth,
                .d_model = v->d_model,
                .d_ff = v->d_ff,
                .n_head = v->n_head,
                .n_kv = v->n_head,
                .d_head = v->head_dim};
  return s;
}

/* A model without weights, enough to size what works on it. */
static void shape_model(mv_model *m, const mv_config *config, mv_dtype dtype) {
  const mv_vision_config *v = &config->vision;
  memset(m, 0, sizeof *m);
  mv_device_open_cpu(&m->device, 1, NULL, NULL);
  m->ops = &mv_ops_cpu;
  m->dtype = dtype;
  m->decoder = decoder_shape(&config->text);
  m->vision = vision_shape(v);
  m->patch_embed.n_in = v->d_patch;
  m->merger_fc1.n_in = v->merge_size * v->merge_size * v->d_model;
}

/* Matrices as they will be read; the embedding keeps its own format. */
static size_t weight_bytes(const mv_checkpoint *c, mv_dtype dtype) {
  double n = 0;
  for (int part = 0; part < MV_PART_N; part++) {
    mv_part_total total = mv_checkpoint_total(c, (mv_part)part);
    n += dtype == MV_DTYPE_BF16 ? 2.0 * (double)total.n_params : (double)total.n_bytes;
  }
  return (size_t)n;
}

/* What attention leaves between the blocks of a GPU. Requests that share pages are as long as if
 * they had them alone, so that lengths do not add up to the cache's: any may have all of it. */
static size_t scratch_bytes(const mv_model *shape, const mv_memory_plan *plan, size_t max_tokens) {
  const mv_stack *s = &shape->decoder;
  mv_attention_dims dims = {.n_row = plan->max_rows + plan->max_verify,
                            .n_head = s->n_head,
                            .n_kv = s->n_kv,
                            .d_head = s->d_head};
  if (shape->dtype != MV_DTYPE_BF16) return 0; /* in one piece there */
  /* spans: those of tokens have a row with logits each; and a chunk of every prompt */
  return mv_run_memory_bound(&dims, (size_t)plan->max_verify + (size_t)plan->max_batch, max_tokens);
}

mv_status mv_memory_plan_init(mv_memory_plan *plan, const mv_checkpoint *checkpoint,
                              mv_precision precision, const mv_engine_options *options, int n_patch,
                              mv_error *err) {
  mv_engine_options o = options ? *options : (mv_engine_options){0};
  const mv_config *config = mv_checkpoint_config(checkpoint);
  mv_model shape;
  mv_dtype dtype = precision == MV_PRECISION_FP32 ? MV_DTYPE_F32 : MV_DTYPE_BF16;
  memset(plan, 0, sizeof *plan);
  shape_model(&shape, config, dtype);
  plan->max_verify = mv_engine_options_resolve(&o);
  plan->max_batch = o.max_batch;
  plan->max_rows = o.max_rows;
  plan->kv_tokens = o.kv_tokens ? o.kv_tokens : MV_FIRST_KV_TOKENS;
  plan->image_tokens = o.image_tokens ? o.image_tokens : FIRST_IMAGE_TOKENS;
  if (plan->kv_tokens > LIMIT || plan->image_tokens > LIMIT || (size_t)o.max_rows > LIMIT / 2 ||
      (size_t)o.max_batch > LIMIT / 2 || (size_t)o.max_draft > LIMIT / 2)
    return mv_fail(err, MV_ERR_USAGE, "a batch of %d, %d rows and %zu tokens has no size",
                   o.max_batch, o.max_rows, plan->kv_tokens);
  size_t n_page = (plan->kv_tokens + MV_PAGE_TOKENS - 1) / MV_PAGE_TOKENS;
  plan->weight_bytes = weight_bytes(checkpoint, dtype);
  plan->kv_bytes = n_page * (size_t)shape.decoder.n_layer *
                   mv_kv_page_bytes(shape.decoder.n_kv, shape.decoder.d_head, dtype);
  plan->decoder_bytes = mv_activations_bytes(&shape, &shape.decoder, o.max_rows + plan->max_verify);
  plan->vision_bytes = n_patch > 0 ? mv_activations_bytes(&shape, &shape.vision, n_patch) : 0;
  plan->image_bytes = plan->image_tokens * (size_t)shape.decoder.d_model * sizeof(float);
  plan->logits_bytes = (size_t)plan->max_verify * (size_t)config->text.vocab_size * sizeof(float);
  size_t n_token = (size_t)config->text.max_positions; /* of the longest request */
  if (o.kv_tokens && n_token > n_page * MV_PAGE_TOKENS) n_token = n_page * MV_PAGE_TOKENS;
  plan->scratch_bytes = scratch_bytes(&shape, plan, n_token);
  plan->host_bytes = n_page * (mv_prefix_cache_page_bytes() + 2 * sizeof(int32_t));
  plan->total_bytes = plan->weight_bytes + plan->kv_bytes + plan->decoder_bytes +
                      plan->vision_bytes + plan->image_bytes + plan->logits_bytes +
                      plan->scratch_bytes + plan->host_bytes;
  return MV_OK;
}

/* A card's weights are there already, its buffers as wide as it wants them. */
mv_status mv_plan_check(mv_model *model, const mv_engine_options *options, mv_error *err) {
  mv_memory_plan plan;
  size_t have, total;
  MV_TRY(mv_memory_plan_init(&plan, model->checkpoint, model->precision, options, 0, err));
  model->ops->room(&model->device, &have, &total);
  MV_TRY(mv_device_status(&model->device, err));
  size_t working = mv_activations_bytes(model, &model->decoder, plan.max_rows + plan.max_verify);
  if (!model->device.copies_weights) plan.total_bytes -= plan.scratch_bytes; /* not a GPU */
  size_t need = plan.total_bytes - plan.decoder_bytes + working + model->device.spare_bytes;
  if (have && model->device.copies_weights) have += plan.weight_bytes + plan.host_bytes;
  if (!have || need <= have) return MV_OK;
  return mv_fail(err, MV_ERR_MEMORY,
                 "%s: the plan needs %zu MB (weights %zu, keys and values %zu, activations %zu, "
                 "logits %zu, to spare %zu), there are %zu: lower the batch or the context",
                 model->device.name, need >> 20, plan.weight_bytes >> 20, plan.kv_bytes >> 20,
                 (working + plan.scratch_bytes + plan.image_bytes) >> 20, plan.logits_bytes >> 20,
                 model->device.spare_bytes >> 20, have >> 20);
}
