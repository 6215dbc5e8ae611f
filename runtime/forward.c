#include "runtime/forward.h"

#include <assert.h>
#include <string.h>

#include "kernels/range.h"

static size_t at_least_one(int n) { return n > 0 ? (size_t)n : 1; }

static int qkv_width(const mv_stack *s) { return (s->n_head + 2 * s->n_kv) * s->d_head; }

/* Rows of an MLP at a time. */
static int slice_of(const mv_model *model, int n_row) {
  return n_row < model->device.slice_rows ? n_row : model->device.slice_rows;
}

/* What one operation leaves for the next. */
static mv_dtype between(const mv_model *model) { return model->ops->between(model->dtype); }

static const void *at(const void *base, mv_dtype dtype, size_t n) {
  return (const char *)base + n * mv_dtype_bytes(dtype);
}

static void *at_mut(void *base, mv_dtype dtype, size_t n) {
  return (char *)base + n * mv_dtype_bytes(dtype);
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* ---- working memory ---- */

typedef struct buffer_sizes {
  size_t x, h, qkv, att, gate_up, ff, rope, position, index;
  size_t pixels, patches; /* 0 but for vision */
} buffer_sizes;

static buffer_sizes sizes_of(const mv_model *model, const mv_stack *s, int max_rows) {
  size_t n = at_least_one(max_rows), n_mlp = at_least_one(slice_of(model, max_rows));
  size_t e = mv_dtype_bytes(model->dtype), mid = mv_dtype_bytes(between(model));
  buffer_sizes b = {
      .x = n * (size_t)s->d_model * sizeof(float),
      .h = n * (size_t)s->d_model * e,
      .qkv = n * (size_t)qkv_width(s) * mid,
      .att = n * (size_t)(s->n_head * s->d_head) * e,
      .gate_up = n_mlp * 2 * (size_t)s->d_ff * mid,
      .ff = n_mlp * (size_t)s->d_ff * e,
      .rope = n * (size_t)s->d_head * sizeof(float),
      .position = 3 * n * sizeof(int32_t),
      .index = n * sizeof(int32_t),
  };
  if (s == &model->vision) {
    size_t d_patch = (size_t)model->patch_embed.n_in, d_out = (size_t)model->decoder.d_model;
    size_t group = (size_t)(model->merger_fc1.n_in / s->d_model), n_out = n / group;
    b.pixels = larger(n * d_patch, n_out * d_out * sizeof(float)); /* a byte a value at most */
    b.patches = n * d_patch * mid;
  }
  return b;
}

size_t mv_activations_bytes(const mv_model *model, const mv_stack *stack, int max_rows) {
  buffer_sizes b = sizes_of(model, stack, max_rows);
  return b.x + b.h + b.qkv + b.att + b.gate_up + b.ff + b.rope + b.position + b.index + b.pixels +
         b.patches;
}

mv_status mv_activations_init(mv_activations *act, mv_model *model, const mv_stack *stack,
                              int max_rows, mv_error *err) {
  memset(act, 0, sizeof *act);
  buffer_sizes b = sizes_of(model, stack, max_rows);
  mv_device *dev = &model->device;
  const mv_ops *ops = model->ops;
  act->max_rows = max_rows;
  act->x = ops->alloc(dev, b.x);
  act->h = ops->alloc(dev, b.h);
  act->qkv = ops->alloc(dev, b.qkv);
  act->att = ops->alloc(dev, b.att);
  act->gate_up = ops->alloc(dev, b.gate_up);
  act->ff = ops->alloc(dev, b.ff);
  act->rope = ops->alloc(dev, b.rope);
  act->position = ops->alloc(dev, b.position);
  act->index = ops->alloc(dev, b.index);
  if (b.pixels) act->pixels = ops->alloc(dev, b.pixels);
  if (b.patches) act->patches = ops->alloc(dev, b.patches);
  /* attention leaves rows that no run has as they are, and they are read */
  mv_fill_dims zeros = {max_rows, stack->n_head * stack->d_head, 0, 0, model->dtype, 0, 0};
  if (dev->records_steps && stack == &model->decoder) ops->fill(dev, &zeros, act->att);
  mv_status status = mv_device_status(dev, err);
  if (status != MV_OK) mv_activations_free(act, model);
  return status;
}

void mv_activations_free(mv_activations *act, mv_model *model) {
  void *all[] = {act->x,    act->h,        act->qkv,   act->att,    act->gate_up, act->ff,
                 act->rope, act->position, act->index, act->pixels, act->patches};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) model->ops->free(&model->device, all[i]);
  memset(act, 0, sizeof *act);
}

/* ---- products made ready ---- */

static void ready(mv_model *m, const mv_linear *w, int n_row, mv_dtype x, mv_dtype y, int adds) {
  mv_linear_dims dims = {n_row, w->n_in, w->n_out, x, y, adds, MV_LINEAR_MANY};
  m->ops->ready(&m->device, w, &dims);
}

/* Layers are alike. */
static void ready_stack(mv_model *m, const mv_stack *s, int n_row) {
  const mv_layer *layer = &s->layers[0];
  int n_mlp = slice_of(m, n_row);
  ready(m, &layer->qkv, n_row, m->dtype, between(m), 0);
  ready(m, &layer->o, n_row, m->dtype, MV_DTYPE_F32, 1);
  ready(m, &layer->gate_up, n_mlp, m->dtype, between(m), 0);
  ready(m, &layer->down, n_mlp, m->dtype, MV_DTYPE_F32, 1);
}

void mv_model_ready(mv_model *m, int max_rows, int n_patch) {
  int n_group = n_patch * m->vision.d_model / m->merger_fc1.n_in;
  ready_stack(m, &m->decoder, max_rows);
  ready_stack(m, &m->vision, n_patch);
  ready(m, &m->patch_embed, n_patch, between(m), MV_DTYPE_F32, 0);
  ready(m, &m->merger_fc1, n_group, m->dtype, between(m), 0);
  ready(m, &m->merger_fc2, n_group, between(m), MV_DTYPE_F32, 0);
}

/* ---- one layer of either stack ---- */

/* What a pass over a stack works on. */
typedef struct pass {
  mv_model *model;
  const mv_stack *stack;
  mv_activations *act;
  int n_row;
  int n_new; /* the first rows are being generated, the others prompts; -1: an image's rows, or any
                order */
  const mv_tap *tap;
} pass;

static void tap_stage(const pass *p, const char *name, int layer, const void *rows, mv_dtype dtype,
                      int n_row, int d) {
  if (p->tap && p->tap->on_stage)
    p->tap->on_stage(p->tap->user, name, layer, rows, dtype, n_row, d);
}

/* A product for rows row0 and on, whose first x and y point to; both formats as dims says. Prompts
 * and generated tokens keep to one order of sums each, whatever shares the step. */
static void linear_in_order(const pass *p, mv_linear_dims dims, const mv_linear *w, int row0,
                            const void *x, void *y) {
  int n_row = dims.n_row;
  int n_new = p->n_new - row0 < n_row ? p->n_new - row0 : n_row;
  if (n_new < 0) n_new = 0;
  dims.n_row = n_new;
  dims.order = MV_LINEAR_FEW;
  if (n_new) p->model->ops->linear(&p->model->device, &dims, w, x, y);
  dims.n_row = n_row - n_new;
  dims.order = p->n_new < 0 ? MV_LINEAR_BY_ROWS : MV_LINEAR_MANY;
  if (dims.n_row)
    p->model->ops->linear(&p->model->device, &dims, w,
                          at(x, dims.x_dtype, (size_t)n_new * (size_t)w->n_in),
                          at_mut(y, dims.y_dtype, (size_t)n_new * (size_t)w->n_out));
}

/* Stored activations to what the next operation takes. */
static void linear(const pass *p, const mv_linear *w, int row0, int n_row, const void *x, void *y) {
  mv_linear_dims dims = {n_row, w->n_in, w->n_out, p->model->dtype, between(p->model), 0, 0};
  linear_in_order(p, dims, w, row0, x, y);
}

/* Stored activations, added to the residual stream. */
static void linear_add(const pass *p, const mv_linear *w, int row0, int n_row, const void *x,
                       float *y) {
  mv_linear_dims dims = {n_row, w->n_in, w->n_out, p->model->dtype, MV_DTYPE_F32, 1, 0};
  linear_in_order(p, dims, w, row0, x, y);
}

/* The two ends of the vision tower, to f32. */
static void linear_wide(const pass *p, const mv_linear *w, int n_row, const void *x, float *y) {
  mv_linear_dims dims = {n_row, w->n_in, w->n_out, between(p->model), MV_DTYPE_F32, 0, 0};
  linear_in_order(p, dims, w, 0, x, y);
}

static void rmsnorm(const pass *p, int n_row, const float *x, const float *w, void *y) {
  mv_rmsnorm_dims dims = {n_row, p->stack->d_model, MV_DTYPE_F32, p->model->dtype, p->stack->eps};
  p->model->ops->rmsnorm(&p->model->device, &dims, x, w, y);
}

static void rope_tables(const pass *p, const int32_t *host_position) {
  const mv_stack *s = p->stack;
  mv_rope_table_dims dims = {p->n_row, s->d_head / 2};
  p->model->ops->upload(&p->model->device, p->act->position, host_position,
                        3 * (size_t)p->n_row * sizeof *host_position);
  p->model->ops->rope_table(&p->model->device, &dims, p->act->position, s->inv_freq, s->axis,
                            p->act->rope);
}

/* x -> queries, keys and values in act->qkv, not rotated yet. */
static void project_qkv(const pass *p, const mv_layer *layer) {
  rmsnorm(p, p->n_row, p->act->x, layer->norm1, p->act->h);
  linear(p, &layer->qkv, 0, p->n_row, p->act->h, p->act->qkv);
}

static mv_attention_dims attention_dims(const pass *p) {
  const mv_stack *s = p->stack;
  mv_attention_dims dims = {
      .n_row = p->n_row,
      .n_head = s->n_head,
      .n_kv = s->n_kv,
      .d_head = s->d_head,
      .ldq = qkv_width(s),
      .ldkv = qkv_width(s),
      .ldo = s->n_head * s->d_head,
      .dtype = between(p->model),
      .kv_dtype = p->model->dtype,
      .out_dtype = p->model->dtype,
  };
  return dims;
}

static const void *keys(const pass *p) {
  return at(p->act->qkv, between(p->model), (size_t)(p->stack->n_head * p->stack->d_head));
}

static const void *values(const pass *p) {
  return at(keys(p), between(p->model), (size_t)(p->stack->n_kv * p->stack->d_head));
}

/* The MLP in slices of rows, so that its wide buffers stay small. */
static void mlp(const pass *p, const mv_layer *layer) {
  const mv_stack *s = p->stack;
  mv_model *m = p->model;
  rmsnorm(p, p->n_row, p->act->x, layer->norm2, p->act->h);
  for (int row = 0, n; row < p->n_row; row += n) {
    n = slice_of(m, p->n_row - row);
    size_t first = (size_t)row * (size_t)s->d_model;
    mv_activation_dims dims = {n, s->d_ff, between(m), m->dtype};
    linear(p, &layer->gate_up, row, n, at(p->act->h, m->dtype, first), p->act->gate_up);
    m->ops->swiglu(&m->device, &dims, p->act->gate_up, p->act->ff);
    linear_add(p, &layer->down, row, n, p->act->ff, p->act->x + first);
  }
}

static void finish_layer(const pass *p, int i, const char *name) {
  const mv_layer *layer = &p->stack->layers[i];
  linear_add(p, &layer->o, 0, p->n_row, p->act->att, p->act->x);
  mlp(p, layer);
  tap_stage(p, name, i, p->act->x, MV_DTYPE_F32, p->n_row, p->stack->d_model);
  if (p->tap && p->tap->on_layer) p->tap->on_layer(p->tap->user, i + 1, p->stack->n_layer);
}

/* ---- vision tower ---- */

/* Pixels to patches in window order, and through the patch embedding; positions likewise. */
static void embed_patches(const pass *p, const mv_window_plan *plan, const mv_image *image) {
  mv_model *m = p->model;
  const mv_preprocessor *pp = &m->preprocessor;
  int n = plan->n_patch, group = n / plan->n_group;
  assert(image->height / pp->patch * (image->width / pp->patch) == n);
  int32_t *order = mv_alloc((size_t)n * 4 * sizeof *order);
  if (!order) {
    if (m->device.error.code == MV_OK)
      mv_fail(&m->device.error, MV_ERR_MEMORY, "no memory for the order of patches");
    return;
  }
  int32_t *position = order + n;
  for (int i = 0; i < n; i++) {
    order[i] = plan->index[i / group] * group + i % group;
    position[i] = 0;
    position[n + i] = plan->position[2 * order[i]];
    position[2 * n + i] = plan->position[2 * order[i] + 1];
  }
  mv_patches_dims dims = {image->height, image->width, image->channels, pp->patch,
                          pp->merge,     pp->temporal, between(m)};
  m->ops->upload(&m->device, p->act->pixels, image->px,
                 (size_t)image->height * (size_t)image->width * (size_t)image->channels);
  if (p->tap && p->tap->on_stage) { /* shown as the processor orders them */
    m->ops->patches(&m->device, &dims, p->act->pixels, m->pixel_value, NULL, p->act->patches);
    tap_stage(p, "patches", -1, p->act->patches, dims.dtype, n, m->patch_embed.n_in);
  }
  m->ops->upload(&m->device, p->act->index, order, (size_t)n * sizeof *order);
  m->ops->patches(&m->device, &dims, p->act->pixels, m->pixel_value, p->act->index,
                  p->act->patches);
  linear_wide(p, &m->patch_embed, n, p->act->patches, p->act->x);
  rope_tables(p, position);
  mv_free(order);
}

/* Four patch rows become one decoder row, back in raster order. */
static void merge(const pass *p, const mv_window_plan *plan, float *out) {
  mv_model *m = p->model;
  int n = plan->n_group, d = m->decoder.d_model;
  /* qkv is free now and wide enough for [n_group, 4 d]: it has 3 d columns and 4 times the rows. */
  void *hidden = p->act->qkv;
  float *merged = p->act->pixels;
  rmsnorm(p, p->n_row, p->act->x, m->merger_norm, p->act->h);
  linear(p, &m->merger_fc1, 0, n, p->act->h, hidden);
  mv_activation_dims gelu = {n, m->merger_fc1.n_out, between(m), between(m)};
  m->ops->gelu(&m->device, &gelu, hidden);
  linear_wide(p, &m->merger_fc2, n, hidden, merged);
  mv_gather_dims dims = {n, d, MV_DTYPE_F32, MV_DTYPE_F32};
  m->ops->upload(&m->device, p->act->index, plan->inverse, (size_t)n * sizeof *plan->inverse);
  m->ops->gather_rows(&m->device, &dims, p->act->index, merged, out);
}

void mv_vision_forward(mv_model *model, mv_activations *act, const mv_window_plan *plan,
                       const mv_image *image, float *out, const mv_tap *tap) {
  assert(plan->n_patch <= act->max_rows);
  pass p = {model, &model->vision, act, plan->n_patch, -1, tap};
  mv_range_begin(&model->device, "vision");
  embed_patches(&p, plan, image);
  tap_stage(&p, "vision.patch_embed", -1, act->x, MV_DTYPE_F32, p.n_row, model->vision.d_model);
  const mv_stack *s = &model->vision;
  mv_attention_dims dims = attention_dims(&p);
  mv_rope_dims rope = {p.n_row, 2 * s->n_head, s->d_head, qkv_width(s), between(model)};
  for (int i = 0; i < s->n_layer; i++) {
    int full = model->full_attention[i];
    mv_range_begin(&model->device, "layer");
    project_qkv(&p, &s->layers[i]);
    model->ops->rope(&model->device, &rope, act->rope, act->qkv); /* queries and keys adjoin */
    model->ops->window_attention(&model->device, &dims, full ? plan->cu_full : plan->cu_window,
                                 full ? plan->n_full : plan->n_window, act->qkv, keys(&p),
                                 values(&p), act->att);
    finish_layer(&p, i, "vision.block");
    mv_range_end(&model->device);
  }
  merge(&p, plan, out);
  tap_stage(&p, "vision.merged", -1, out, MV_DTYPE_F32, plan->n_group, model->decoder.d_model);
  mv_range_end(&model->device);
}

/* ---- decoder ---- */

/* All rows are normed, which costs little, and the wanted ones gathered: act->att is as wide. */
static void head(const pass *p, const mv_batch *batch, float *logits) {
  mv_model *m = p->model;
  int n = batch->n_want, d = m->decoder.d_model;
  mv_gather_dims gather = {n, d, m->dtype, m->dtype};
  mv_linear_dims dims = {n, d, m->head.n_out, m->dtype, MV_DTYPE_F32, 0, MV_LINEAR_FEW};
  rmsnorm(p, p->n_row, p->act->x, m->final_norm, p->act->h);
  m->ops->upload(&m->device, p->act->index, batch->want, (size_t)n * sizeof *batch->want);
  m->ops->gather_rows(&m->device, &gather, p->act->index, p->act->h, p->act->att);
  tap_stage(p, "decoder.norm", -1, p->act->att, m->dtype, n, d);
  m->ops->linear(&m->device, &dims, &m->head, p->act->att, logits);
}

void mv_decoder_forward(mv_model *model, mv_activations *act, const mv_batch *batch, void *cache,
                        size_t cache_stride, float *logits, const mv_tap *tap) {
  assert(batch->n_row <= act->max_rows && batch->n_want <= batch->n_row);
  pass p = {model, &model->decoder, act, batch->n_row, batch->any_order ? -1 : batch->n_new, tap};
  mv_range_begin(&model->device, batch->n_new < batch->n_row ? "prefill" : "step");
  mv_gather_dims embed = {batch->n_row, model->decoder.d_model, model->embed_dtype, MV_DTYPE_F32};
  model->ops->upload(&model->device, act->index, batch->ids,
                     (size_t)batch->n_row * sizeof *batch->ids);
  model->ops->embed(&model->device, &embed, act->index, model->embed, batch->image_rows, act->x);
  tap_stage(&p, "embed", -1, act->x, MV_DTYPE_F32, batch->n_row, model->decoder.d_model);
  rope_tables(&p, batch->position);
  mv_attention_dims dims = attention_dims(&p);
  mv_kv_copy_dims echo = {1, dims.n_kv, dims.d_head, cache_stride, dims.kv_dtype};
  mv_seq_plan plan;
  model->ops->plan(&model->device, batch->seqs, batch->n_seq, &dims, &plan);
  for (int i = 0; i < model->decoder.n_layer; i++) {
    void *layer_cache = (char *)cache + (size_t)i * cache_stride;
    mv_range_begin(&model->device, "layer");
    project_qkv(&p, &model->decoder.layers[i]);
    model->ops->rope_kv(&model->device, &dims, &plan, act->rope, act->qkv, layer_cache);
    if (batch->n_echo)
      model->ops->kv_copy(&model->device, &echo, batch->echo, batch->n_echo, layer_cache);
    model->ops->attention(&model->device, &dims, &plan, act->qkv, layer_cache, act->att);
    finish_layer(&p, i, "decoder.layer");
    mv_range_end(&model->device);
  }
  if (batch->n_want) head(&p, batch, logits);
  mv_range_end(&model->device);
}
