/* A checkpoint's tensors to a model's: where they are, or converted, or copied to the device. */
#include <math.h>
#include <string.h>

#include "runtime/model.h"

/* Memory that grows with what it is asked for. */
typedef struct room {
  void *ptr; /* owns */
  size_t n_bytes;
} room;

/* Loading state: conversions go to the model's arena, or, for a device that copies its weights, one
 * after the other to the same memory, from where such a device has them read from the file; the
 * first failure stays in err. */
typedef struct loader {
  mv_model *model;
  const mv_checkpoint *ckpt;
  mv_error *err;
  mv_status status;
  uint64_t n_random; /* matrices made up so far: seeds */
  room raw, converted;
} loader;

static void *take(loader *ld, size_t n_bytes) {
  void *ptr = ld->status == MV_OK ? mv_arena_alloc(&ld->model->arena, n_bytes) : NULL;
  if (!ptr && ld->status == MV_OK)
    ld->status = mv_fail(ld->err, MV_ERR_MEMORY, "%s: no memory for %zu bytes of weights",
                         mv_checkpoint_path(ld->ckpt), n_bytes);
  return ptr;
}

static void *grown(loader *ld, room *r, size_t n_bytes) {
  if (ld->status != MV_OK) return NULL;
  if (n_bytes > r->n_bytes) {
    mv_free_aligned(r->ptr);
    r->ptr = mv_alloc_huge(n_bytes);
    r->n_bytes = r->ptr ? n_bytes : 0;
  }
  if (!r->ptr)
    ld->status = mv_fail(ld->err, MV_ERR_MEMORY, "%s: no memory to convert %zu bytes of weights",
                         mv_checkpoint_path(ld->ckpt), n_bytes);
  return r->ptr;
}

/* Memory for a conversion, until the next one or for good: as the device needs it. */
static void *take_converted(loader *ld, size_t n_bytes) {
  return ld->model->device.copies_weights ? grown(ld, &ld->converted, n_bytes) : take(ld, n_bytes);
}

/* A weight whose data is to be looked at now, until the next one. What is not borrowed for good is
 * read: a mapping would bring one page after the other, or end the program if the file is cut. */
static mv_weight looked_at(loader *ld, const mv_weight *w) {
  mv_weight out = *w;
  if (!ld->model->device.copies_weights || !w->file) return out;
  size_t n_bytes = (size_t)(w->rows * w->cols) * mv_dtype_bytes(w->dtype);
  mv_read read = {.file = w->file, .at = w->at, .n_bytes = n_bytes};
  read.room = grown(ld, &ld->raw, mv_read_room(n_bytes));
  if (read.room) ld->status = mv_infile_read(&read, ld->err);
  out.data = ld->status == MV_OK ? read.bytes : NULL;
  return out;
}

/* Where the device wants n_bytes of finished weights: the very same memory on a CPU. */
static const void *place(loader *ld, const void *host, size_t n_bytes) {
  if (!host || ld->status != MV_OK) return NULL;
  const void *placed = ld->model->ops->place(&ld->model->device, host, n_bytes);
  ld->status = mv_device_status(&ld->model->device, ld->err);
  return placed;
}

/* Device memory for matrices that lie one after another, to be filled by finish; NULL on a device
 * that borrows them where they are. */
static void *reserve(loader *ld, size_t n_bytes) {
  if (!ld->model->device.copies_weights || ld->status != MV_OK) return NULL;
  const void *reserved = ld->model->ops->place(&ld->model->device, NULL, n_bytes);
  ld->status = mv_device_status(&ld->model->device, ld->err);
  return (void *)(uintptr_t)reserved;
}

/* The bytes of the file as they are. */
static const void *stream(loader *ld, const mv_weight *w, size_t n_bytes, void *reserved) {
  mv_device *device = &ld->model->device;
  if (w->file)
    ld->model->ops->read(device, reserved, w->file, w->at, n_bytes);
  else
    ld->model->ops->upload(device, reserved, w->data, n_bytes);
  ld->status = mv_device_status(device, ld->err);
  return reserved;
}

static const void *finish(loader *ld, const void *host, size_t n_bytes, void *reserved) {
  if (!reserved) return place(ld, host, n_bytes);
  if (host && ld->status == MV_OK)
    ld->model->ops->upload(&ld->model->device, reserved, host, n_bytes);
  if (ld->status == MV_OK) ld->status = mv_device_status(&ld->model->device, ld->err);
  return reserved;
}

static float element(const mv_weight *w, size_t i) {
  const char *at = (const char *)w->data + i * mv_dtype_bytes(w->dtype);
  if (w->dtype == MV_DTYPE_F32) {
    float x;
    memcpy(&x, at, sizeof x);
    return x;
  }
  uint16_t h;
  memcpy(&h, at, sizeof h);
  return w->dtype == MV_DTYPE_BF16 ? mv_bf16_to_f32(h) : mv_f16_to_f32(h);
}

/* A vector as f32; in bf16 mode it holds what bf16 storage would. One without data is all
 * `otherwise`. */
static void widen_into(const loader *ld, const mv_weight *w, float otherwise, float *out) {
  size_t n = (size_t)(w->rows * w->cols);
  for (size_t i = 0; i < n; i++) {
    float x = w->data ? element(w, i) : otherwise;
    out[i] = ld->model->dtype == MV_DTYPE_BF16 ? mv_bf16_to_f32(mv_f32_to_bf16(x)) : x;
  }
}

static const float *load_vector(loader *ld, mv_weight_id id, int layer) {
  const mv_weight *w = mv_checkpoint_get(ld->ckpt, id, layer);
  size_t n_bytes = (size_t)(w->rows * w->cols) * sizeof(float);
  mv_weight from = looked_at(ld, w);
  float *out = take_converted(ld, n_bytes);
  if (out) widen_into(ld, &from, 1, out);
  return place(ld, out, n_bytes);
}

/* The number format a matrix is used in: bf16 products need bf16; f32 products take either, so
 * bf16 stays as it is. */
static mv_dtype matrix_dtype(const loader *ld, const mv_weight *w) {
  if (ld->model->dtype == MV_DTYPE_BF16) return MV_DTYPE_BF16;
  return w->dtype == MV_DTYPE_F16 ? MV_DTYPE_F32 : w->dtype;
}

/* Random numbers in the place of a matrix, of a size that keeps activations as they are. */
static const void *random_matrix(loader *ld, const mv_weight *w, mv_dtype dtype, int64_t rows,
                                 int64_t cols, void *reserved) {
  mv_model *m = ld->model;
  size_t n_bytes = (size_t)rows * (size_t)cols * mv_dtype_bytes(dtype);
  mv_fill_dims dims = {.n_row = (int)rows,
                       .ld = (int)cols,
                       .n_value_row = (int)w->rows,
                       .n_col = (int)w->cols,
                       .dtype = dtype,
                       .spread = sqrtf(3.0f / (float)w->cols),
                       .seed = ++ld->n_random};
  if (ld->status != MV_OK) return NULL;
  void *out = reserved ? reserved : take(ld, n_bytes);
  if (out) m->ops->fill(&m->device, &dims, out);
  return finish(ld, reserved ? NULL : out, n_bytes, reserved);
}

static void convert_row(const mv_weight *w, size_t r, mv_dtype dtype, void *out) {
  size_t n = (size_t)w->cols;
  if (w->dtype == dtype)
    memcpy(out, (const char *)w->data + r * n * mv_dtype_bytes(dtype), n * mv_dtype_bytes(dtype));
  else if (dtype == MV_DTYPE_F32)
    for (size_t c = 0; c < n; c++) ((float *)out)[c] = element(w, r * n + c);
  else
    for (size_t c = 0; c < n; c++) ((uint16_t *)out)[c] = mv_f32_to_bf16(element(w, r * n + c));
}

/* The matrix in `dtype`, with zeros below and to the right up to [rows, cols]. */
static const void *load_matrix(loader *ld, const mv_weight *w, mv_dtype dtype, int64_t rows,
                               int64_t cols, void *reserved) {
  size_t size = mv_dtype_bytes(dtype), n_bytes = (size_t)rows * (size_t)cols * size;
  int is_whole = rows == w->rows && cols == w->cols;
  if (!w->data) return random_matrix(ld, w, dtype, rows, cols, reserved);
  if (w->dtype == dtype && is_whole) {
    if (reserved) return stream(ld, w, n_bytes, reserved);
    if (w->aligned) return place(ld, w->data, n_bytes);
  }
  mv_weight from = looked_at(ld, w);
  char *out = take_converted(ld, n_bytes);
  if (!out) return NULL;
  if (!is_whole) memset(out, 0, n_bytes);
  for (size_t r = 0; r < (size_t)w->rows; r++)
    convert_row(&from, r, dtype, out + r * (size_t)cols * size);
  return finish(ld, out, n_bytes, reserved);
}

/* Which tensors a product is stacked from: n_part weights, and as many biases or none. */
typedef struct stacked {
  int n_part;
  mv_weight_id weight[MV_LINEAR_PARTS];
  int has_bias;
  mv_weight_id bias[MV_LINEAR_PARTS];
  int pad_out, pad_in; /* the side that is an MLP's width: padded as the device wants it */
} stacked;

static int64_t padded(const loader *ld, int64_t n, int is_wanted) {
  int64_t multiple = is_wanted ? ld->model->device.ff_multiple : 1;
  return (n + multiple - 1) / multiple * multiple;
}

static void load_bias(loader *ld, const stacked *s, int layer, mv_linear *out) {
  size_t n_bytes = (size_t)out->n_out * sizeof(float);
  float *bias = take_converted(ld, n_bytes), *at = bias;
  if (bias && s->pad_out) memset(bias, 0, n_bytes);
  for (int i = 0; bias && i < s->n_part; i++) {
    mv_weight from = looked_at(ld, mv_checkpoint_get(ld->ckpt, s->bias[i], layer));
    widen_into(ld, &from, 0, at);
    at += out->part[i].n_row;
  }
  out->bias = place(ld, bias, n_bytes);
  if (ld->model->dtype != MV_DTYPE_BF16 || !bias) return;
  /* exact: widen_into rounded. The memory may be bias's own: read before it is written. */
  char *narrow = take_converted(ld, n_bytes / 2);
  for (int i = 0; narrow && i < out->n_out; i++) {
    uint16_t h = mv_f32_to_bf16(bias[i]);
    memcpy(narrow + sizeof h * (size_t)i, &h, sizeof h);
  }
  out->bias_bf16 = place(ld, narrow, n_bytes / 2);
}

/* Sizes and the number format. */
static mv_linear shape_linear(const loader *ld, const stacked *s, int layer) {
  mv_linear out = {.n_part = s->n_part};
  for (int i = 0; i < s->n_part; i++) {
    const mv_weight *w = mv_checkpoint_get(ld->ckpt, s->weight[i], layer);
    mv_dtype dtype = matrix_dtype(ld, w);
    out.dtype = i == 0 || dtype == out.dtype ? dtype : MV_DTYPE_F32; /* one for all parts */
    out.n_in = (int)padded(ld, w->cols, s->pad_in);
    out.part[i].n_row = (int)padded(ld, w->rows, s->pad_out);
    out.n_out += out.part[i].n_row;
  }
  return out;
}

static mv_linear load_linear(loader *ld, const stacked *s, int layer) {
  mv_linear out = shape_linear(ld, s, layer);
  size_t row_bytes = (size_t)out.n_in * mv_dtype_bytes(out.dtype);
  char *reserved = reserve(ld, (size_t)out.n_out * row_bytes); /* one matrix, so one product */
  for (int i = 0; i < s->n_part; i++) {
    const mv_weight *w = mv_checkpoint_get(ld->ckpt, s->weight[i], layer);
    out.part[i].w = load_matrix(ld, w, out.dtype, out.part[i].n_row, out.n_in, reserved);
    if (reserved) reserved += (size_t)out.part[i].n_row * row_bytes;
  }
  if (s->has_bias) load_bias(ld, s, layer, &out);
  return out;
}

/* Where the tensors of a stack's layers are. */
typedef struct layer_parts {
  mv_weight_id norm1, norm2;
  stacked qkv, o, gate_up, down;
} layer_parts;

static const layer_parts decoder_parts = {
    .norm1 = MV_W_LAYER_NORM1,
    .qkv = {.n_part = 3,
            .weight = {MV_W_LAYER_Q, MV_W_LAYER_K, MV_W_LAYER_V},
            .has_bias = 1,
            .bias = {MV_W_LAYER_Q_BIAS, MV_W_LAYER_K_BIAS, MV_W_LAYER_V_BIAS}},
    .o = {.n_part = 1, .weight = {MV_W_LAYER_O}},
    .norm2 = MV_W_LAYER_NORM2,
    .gate_up = {.n_part = 2, .weight = {MV_W_LAYER_GATE, MV_W_LAYER_UP}, .pad_out = 1},
    .down = {.n_part = 1, .weight = {MV_W_LAYER_DOWN}, .pad_in = 1}};

static const layer_parts vision_parts = {
    .norm1 = MV_W_BLOCK_NORM1,
    .qkv = {.n_part = 1, .weight = {MV_W_BLOCK_QKV}, .has_bias = 1, .bias = {MV_W_BLOCK_QKV_BIAS}},
    .o = {.n_part = 1, .weight = {MV_W_BLOCK_PROJ}, .has_bias = 1, .bias = {MV_W_BLOCK_PROJ_BIAS}},
    .norm2 = MV_W_BLOCK_NORM2,
    .gate_up = {.n_part = 2,
                .weight = {MV_W_BLOCK_GATE, MV_W_BLOCK_UP},
                .has_bias = 1,
                .bias = {MV_W_BLOCK_GATE_BIAS, MV_W_BLOCK_UP_BIAS},
                .pad_out = 1},
    .down = {.n_part = 1,
             .weight = {MV_W_BLOCK_DOWN},
             .has_bias = 1,
             .bias = {MV_W_BLOCK_DOWN_BIAS},
             .pad_in = 1}};

/* All layers of a stack. */
static void load_layers(loader *ld, const layer_parts *parts, mv_stack *s) {
  s->layers = take(ld, (size_t)s->n_layer * sizeof *s->layers);
  for (int i = 0; s->layers && i < s->n_layer; i++) {
    mv_layer *layer = &s->layers[i];
    layer->norm1 = load_vector(ld, parts->norm1, i);
    layer->qkv = load_linear(ld, &parts->qkv, i);
    layer->o = load_linear(ld, &parts->o, i);
    layer->norm2 = load_vector(ld, parts->norm2, i);
    layer->gate_up = load_linear(ld, &parts->gate_up, i);
    layer->down = load_linear(ld, &parts->down, i);
  }
}

/* theta^(-2i/dim), rounded as the reference rounds it. */
static float inverse_frequency(double theta, int i, int dim) {
  return 1.0f / powf((float)theta, (float)(2 * i) / (float)dim);
}

/* M-RoPE: frequency i turns with the axis whose section it falls into. */
static void load_decoder_rope(loader *ld, const mv_text_config *text) {
  int n = text->head_dim / 2, section_end = 0, a = 0;
  float *inv_freq = take(ld, (size_t)n * sizeof *inv_freq);
  uint8_t *axis = take(ld, (size_t)n);
  for (int i = 0; inv_freq && axis && i < n; i++) {
    if (i == 0) section_end = text->mrope_section[0];
    while (i >= section_end && a < 2) section_end += text->mrope_section[++a];
    inv_freq[i] = inverse_frequency(text->rope_theta, i, text->head_dim);
    axis[i] = (uint8_t)a;
  }
  ld->model->decoder.inv_freq = place(ld, inv_freq, (size_t)n * sizeof *inv_freq);
  ld->model->decoder.axis = place(ld, axis, (size_t)n);
}

/* 2-D rope: the first half of the frequencies turns with the row, the second with the column. */
static void load_vision_rope(loader *ld, const mv_vision_config *vision) {
  int n = vision->head_dim / 2;
  float *inv_freq = take(ld, (size_t)n * sizeof *inv_freq);
  uint8_t *axis = take(ld, (size_t)n);
  for (int i = 0; inv_freq && axis && i < n; i++) {
    inv_freq[i] = inverse_frequency(vision->rope_theta, i % (n / 2), n);
    axis[i] = i < n / 2 ? 1 : 2;
  }
  ld->model->vision.inv_freq = place(ld, inv_freq, (size_t)n * sizeof *inv_freq);
  ld->model->vision.axis = place(ld, axis, (size_t)n);
}

static void load_decoder(loader *ld, const mv_text_config *text) {
  mv_stack *s = &ld->model->decoder;
  s->n_layer = text->n_layer;
  s->d_model = text->d_model;
  s->d_ff = (int)padded(ld, text->d_ff, 1);
  s->n_head = text->n_head;
  s->n_kv = text->n_kv;
  s->d_head = text->head_dim;
  s->eps = (float)text->rms_eps;
  load_decoder_rope(ld, text);
  load_layers(ld, &decoder_parts, s);
}

static void load_vision(loader *ld, const mv_vision_config *vision) {
  mv_stack *s = &ld->model->vision;
  s->n_layer = vision->depth;
  s->d_model = vision->d_model;
  s->d_ff = (int)padded(ld, vision->d_ff, 1);
  s->n_head = s->n_kv = vision->n_head;
  s->d_head = vision->head_dim;
  s->eps = (float)vision->rms_eps;
  load_vision_rope(ld, vision);
  load_layers(ld, &vision_parts, s);
}

/* Weights that are borrowed come from the disk as they are first used, page by page: a thread goes
 * ahead through the files. Of an embedding that is not the head too, only rows are used. */
static void read_ahead(mv_model *model) {
  const mv_safetensors *files = mv_checkpoint_files(model->checkpoint);
  const mv_weight *embed = mv_checkpoint_get(model->checkpoint, MV_W_EMBED, 0);
  size_t n_free, n_memory;
  model->ops->room(&model->device, &n_free, &n_memory);
  if (model->device.copies_weights || !embed->file || mv_safetensors_bytes(files) > n_memory / 2)
    return;
  int n_file = mv_safetensors_n_files(files), n = 0;
  mv_range *ranges = mv_calloc((size_t)n_file + 1, sizeof *ranges);
  for (int i = 0; ranges && i < n_file; i++) {
    mv_range *r = &ranges[n++];
    r->file = mv_safetensors_infile(files, i);
    r->n_bytes = r->file->map.size;
    if (r->file != embed->file || mv_checkpoint_head_is_tied(model->checkpoint)) continue;
    size_t end = embed->at + (size_t)(embed->rows * embed->cols) * mv_dtype_bytes(embed->dtype);
    ranges[n++] = (mv_range){r->file, end, r->n_bytes - end};
    r->n_bytes = embed->at;
  }
  if (ranges) model->ahead = mv_read_ahead_start(ranges, n);
  mv_free(ranges);
}

mv_status mv_model_load(mv_model *model, mv_error *err) {
  static const stacked patch = {.n_part = 1, .weight = {MV_W_PATCH_EMBED}};
  static const stacked fc1 = {
      .n_part = 1, .weight = {MV_W_MERGER_FC1}, .has_bias = 1, .bias = {MV_W_MERGER_FC1_BIAS}};
  static const stacked fc2 = {
      .n_part = 1, .weight = {MV_W_MERGER_FC2}, .has_bias = 1, .bias = {MV_W_MERGER_FC2_BIAS}};
  static const stacked head = {.n_part = 1, .weight = {MV_W_HEAD}};
  loader ld = {.model = model, .ckpt = model->checkpoint, .err = err};
  const mv_config *config = mv_checkpoint_config(model->checkpoint);
  read_ahead(model);
  float *value = take(&ld, MV_PIXEL_VALUES * sizeof *value);
  if (value) mv_preprocessor_values(&model->preprocessor, value);
  model->pixel_value = place(&ld, value, MV_PIXEL_VALUES * sizeof *value);
  model->patch_embed = load_linear(&ld, &patch, 0);
  load_vision(&ld, &config->vision);
  model->full_attention = config->vision.full_attention;
  model->merger_norm = load_vector(&ld, MV_W_MERGER_NORM, 0);
  model->merger_fc1 = load_linear(&ld, &fc1, 0);
  model->merger_fc2 = load_linear(&ld, &fc2, 0);
  const mv_weight *embed = mv_checkpoint_get(model->checkpoint, MV_W_EMBED, 0);
  model->embed_dtype = matrix_dtype(&ld, embed);
  size_t embed_bytes = (size_t)(embed->rows * embed->cols) * mv_dtype_bytes(model->embed_dtype);
  model->embed = load_matrix(&ld, embed, model->embed_dtype, embed->rows, embed->cols,
                             reserve(&ld, embed_bytes));
  load_decoder(&ld, &config->text);
  model->final_norm = load_vector(&ld, MV_W_FINAL_NORM, 0);
  if (mv_checkpoint_head_is_tied(model->checkpoint))
    model->head = (mv_linear){.n_in = config->text.d_model,
                              .n_out = config->text.vocab_size,
                              .n_part = 1,
                              .part = {{model->embed, config->text.vocab_size}},
                              .dtype = model->embed_dtype};
  else
    model->head = load_linear(&ld, &head, 0);
  if (model->device.copies_weights) {
    model->ops->read_end(&model->device);
    if (ld.status == MV_OK) ld.status = mv_device_status(&model->device, err);
  }
  mv_free_aligned(ld.raw.ptr);
  mv_free_aligned(ld.converted.ptr);
  return ld.status;
}
