/* Answers one request at a time: prepare images, write the prompt, see, prefill, decode. */
#include <math.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/dump.h"
#include "runtime/forward.h"
#include "runtime/medvision.h"
#include "runtime/mrope.h"
#include "runtime/sampler.h"
#include "runtime/stopper.h"
#include "tokenizer/chat.h"

#define CHUNK_ROWS 1024 /* rows of a prompt taken through the decoder at once */
#define MAX_IMAGES 64
#define TEXT_BYTES_PER_TOKEN 8 /* room made beforehand; longer text grows */

struct mv_engine {
  mv_model *model; /* borrows */
  mv_activations vision, decoder;
  void *cache; /* device: n_layer blocks of pages */
  int n_page;
  float *logits;      /* device [vocab] */
  float *host_logits; /* [vocab] */
  int32_t *pages;     /* [n_page] the identity: one sequence owns them all */
  size_t max_tokens;
};

/* One request on its way. */
typedef struct run {
  mv_engine *engine;
  mv_model *model;
  const mv_request *request;
  mv_result *result;
  mv_error *err;
  mv_pixels images[MAX_IMAGES];
  mv_grid grids[MAX_IMAGES];
  mv_ids ids;
  int32_t *position; /* [3, n_prompt] */
  int32_t next_position;
  float *image_rows; /* device [n_image_token, d_model] */
  mv_sampler sampler;
  mv_stopper stopper;
  size_t top_cap; /* tokens that result->top has room for */
  mv_dump *dump;
  mv_tap tap;
  const char *stage; /* for progress */
  double start_ms, first_token_ms;
} run;

/* ---- engine memory ---- */

mv_status mv_engine_new(mv_engine **out, mv_model *model, const mv_engine_options *options,
                        mv_error *err) {
  *out = NULL;
  mv_engine *engine = mv_calloc(1, sizeof *engine);
  if (!engine) return mv_fail(err, MV_ERR_MEMORY, "no memory for an engine");
  engine->model = model;
  engine->max_tokens = options ? options->max_tokens : 0;
  size_t vocab_bytes = (size_t)model->head.n_out * sizeof(float);
  engine->logits = model->ops->alloc(&model->device, vocab_bytes);
  engine->host_logits = mv_alloc(vocab_bytes);
  mv_status status = mv_device_status(&model->device, err);
  if (status == MV_OK && !engine->host_logits)
    status = mv_fail(err, MV_ERR_MEMORY, "no memory for logits");
  if (status != MV_OK) {
    mv_engine_free(engine);
    mv_device_recover(&model->device);
    return status;
  }
  *out = engine;
  return MV_OK;
}

void mv_engine_free(mv_engine *engine) {
  if (!engine) return;
  mv_model *model = engine->model;
  mv_activations_free(&engine->vision, model);
  mv_activations_free(&engine->decoder, model);
  model->ops->free(&model->device, engine->cache);
  model->ops->free(&model->device, engine->logits);
  mv_free(engine->host_logits);
  mv_free(engine->pages);
  mv_free(engine);
}

static mv_status ensure_rows(mv_engine *engine, mv_activations *act, const mv_stack *stack,
                             int n_row, mv_error *err) {
  if (act->x && n_row <= act->max_rows) return MV_OK;
  mv_activations_free(act, engine->model);
  return mv_activations_init(act, engine->model, stack, n_row, err);
}

static size_t cache_stride(const mv_engine *engine) {
  const mv_stack *s = &engine->model->decoder;
  return (size_t)engine->n_page * mv_kv_page_bytes(s->n_kv, s->d_head, engine->model->dtype);
}

static mv_status ensure_pages(mv_engine *engine, size_t n_token, mv_error *err) {
  size_t n_page = (n_token + MV_PAGE_TOKENS - 1) / MV_PAGE_TOKENS, bytes;
  if (engine->cache && n_page <= (size_t)engine->n_page) return MV_OK;
  mv_model *model = engine->model;
  model->ops->free(&model->device, engine->cache);
  mv_free(engine->pages);
  engine->cache = NULL;
  engine->n_page = (int)n_page;
  engine->pages = mv_alloc(n_page * sizeof *engine->pages);
  if (!engine->pages || !mv_mul_size(cache_stride(engine), (size_t)model->decoder.n_layer, &bytes))
    return mv_fail(err, MV_ERR_MEMORY, "no memory for a context of %zu tokens", n_token);
  for (size_t i = 0; i < n_page; i++) engine->pages[i] = (int32_t)i;
  engine->cache = model->ops->alloc(&model->device, bytes);
  return mv_device_status(&model->device, err);
}

/* ---- taps: dump and progress ---- */

static void on_stage(void *user, const char *name, int layer, const void *rows, mv_dtype dtype,
                     int n_row, int d) {
  run *r = user;
  if (r->dump) mv_dump_rows(r->dump, name, layer, rows, dtype, n_row, d);
}

static void on_layer(void *user, int layer, int n_layer) {
  run *r = user;
  if (r->request->on_progress)
    r->request->on_progress(r->request->user, r->stage, (size_t)layer, (size_t)n_layer);
}

/* ---- prompt ---- */

static mv_status prepare_images(run *r) {
  const mv_request *q = r->request;
  if (q->n_image < 0 || q->n_image > MAX_IMAGES)
    return mv_fail(r->err, MV_ERR_USAGE, "%d images: a request takes up to %d", q->n_image,
                   MAX_IMAGES);
  mv_preprocessor pp = r->model->preprocessor;
  pp.resampler = (mv_resampler)q->resampler;
  for (int i = 0; i < q->n_image; i++) {
    if (q->on_progress) q->on_progress(q->user, "image", (size_t)i, (size_t)q->n_image);
    MV_TRY(mv_pixels_init(&r->images[i], &pp, &q->images[i], r->err));
    r->grids[i] = r->images[i].grid;
    r->result->n_image_token += mv_grid_tokens(r->grids[i], pp.merge);
  }
  return MV_OK;
}

static mv_status encode_prompt(run *r) {
  const mv_request *q = r->request;
  mv_chat_part parts[MAX_IMAGES + 1], system = {.text = q->system};
  size_t n = 0;
  mv_chat_part text = {.text = q->prompt};
  if (q->image_order == MV_IMAGE_LAST) parts[n++] = text;
  for (int i = 0; i < q->n_image; i++) {
    mv_chat_part image = {
        MV_PART_IMAGE, {NULL, 0}, (int)mv_grid_tokens(r->grids[i], r->model->preprocessor.merge)};
    parts[n++] = image;
  }
  if (q->image_order == MV_IMAGE_FIRST) parts[n++] = text;
  mv_chat_message messages[2] = {{mv_str_of("system"), &system, 1}, {mv_str_of("user"), parts, n}};
  int skip = q->system.len == 0;
  return mv_chat_encode(r->model->tokenizer, messages + skip, 2 - (size_t)skip, 1, &r->ids, r->err);
}

static mv_status check_ids(const run *r) {
  const mv_config *config = mv_checkpoint_config(r->model->checkpoint);
  size_t n_image_token = 0;
  for (size_t i = 0; i < r->ids.len; i++) {
    if (r->ids.ids[i] < 0 || r->ids.ids[i] >= config->text.vocab_size)
      return mv_fail(r->err, MV_ERR_FORMAT,
                     "token id %d is outside the model's vocabulary of %d (is the tokenizer from "
                     "another checkpoint?)",
                     r->ids.ids[i], config->text.vocab_size);
    n_image_token += r->ids.ids[i] == config->image_token_id;
  }
  if (n_image_token != r->result->n_image_token)
    return mv_fail(r->err, MV_ERR_FORMAT,
                   "the prompt holds %zu image placeholders, the images need %zu (is "
                   "image_token_id in config.json the tokenizer's <|image_pad|>?)",
                   n_image_token, r->result->n_image_token);
  if (r->ids.len >= (size_t)config->text.max_positions)
    return mv_fail(r->err, MV_ERR_USAGE, "the prompt has %zu tokens, the model's context is %d",
                   r->ids.len, config->text.max_positions);
  return MV_OK;
}

static mv_status place_prompt(run *r) {
  size_t n = r->ids.len;
  r->position = mv_alloc(3 * n * sizeof *r->position);
  r->result->prompt_ids = mv_alloc(n * sizeof *r->result->prompt_ids);
  if (!r->position || !r->result->prompt_ids)
    return mv_fail(r->err, MV_ERR_MEMORY, "no memory for a prompt of %zu tokens", n);
  memcpy(r->result->prompt_ids, r->ids.ids, n * sizeof *r->ids.ids);
  r->result->n_prompt = n;
  const mv_config *config = mv_checkpoint_config(r->model->checkpoint);
  r->next_position =
      mv_mrope_positions(r->ids.ids, n, config->image_token_id, r->grids, r->request->n_image,
                         r->model->preprocessor.merge, r->position);
  for (size_t i = 0; i < n; i++) mv_sampler_note(&r->sampler, r->ids.ids[i]);
  int32_t row = 0; /* from here on ~row stands for a row of the vision tower's output */
  for (size_t i = 0; i < n; i++)
    if (r->ids.ids[i] == config->image_token_id) r->ids.ids[i] = ~row++;
  return MV_OK;
}

/* ---- vision ---- */

static mv_status see_image(run *r, int i, float *out) {
  const mv_vision_config *v = &mv_checkpoint_config(r->model->checkpoint)->vision;
  mv_window_dims dims = {v->window_size, v->patch_size, v->merge_size};
  mv_window_plan plan = {0};
  MV_TRY(mv_window_plan_init(&plan, &r->grids[i], 1, dims, r->err));
  mv_status status =
      ensure_rows(r->engine, &r->engine->vision, &r->model->vision, plan.n_patch, r->err);
  if (status == MV_OK) {
    if (r->dump)
      mv_dump_rows(r->dump, "patches", -1, r->images[i].patches, MV_DTYPE_F32, plan.n_patch,
                   r->model->patch_embed.n_in);
    mv_vision_forward(r->model, &r->engine->vision, &plan, r->images[i].patches, out, &r->tap);
    status = mv_device_status(&r->model->device, r->err);
  }
  mv_window_plan_free(&plan);
  return status;
}

static mv_status see_images(run *r) {
  if (r->request->n_image == 0) return MV_OK;
  size_t d = (size_t)r->model->decoder.d_model;
  r->image_rows =
      r->model->ops->alloc(&r->model->device, r->result->n_image_token * d * sizeof *r->image_rows);
  if (!r->image_rows) return mv_device_status(&r->model->device, r->err);
  r->stage = "vision";
  float *out = r->image_rows;
  for (int i = 0; i < r->request->n_image; i++) {
    MV_TRY(see_image(r, i, out));
    out += mv_grid_tokens(r->grids[i], r->model->preprocessor.merge) * d;
  }
  return MV_OK;
}

/* ---- decoder ---- */

/* Takes n rows (ids, positions [3, n]) through the decoder; the last row's logits end up in
 * host_logits when wanted. */
static mv_status step(run *r, const int32_t *ids, const int32_t *position, int n, int pos0,
                      int want_logits) {
  mv_engine *e = r->engine;
  mv_seq_rows seq = {0, n, pos0, e->pages, NULL};
  int32_t last = n - 1;
  mv_batch batch = {
      n, ids, position, &seq, 1, r->image_rows, &last, want_logits, r->result->n_token > 0};
  mv_decoder_forward(r->model, &e->decoder, &batch, e->cache, cache_stride(e), e->logits, &r->tap);
  if (want_logits)
    r->model->ops->download(&r->model->device, e->host_logits, e->logits,
                            (size_t)r->model->head.n_out * sizeof(float));
  return mv_device_status(&r->model->device, r->err);
}

static mv_status prefill(run *r) {
  int n = (int)r->ids.len;
  r->stage = "prefill";
  MV_TRY(ensure_rows(r->engine, &r->engine->decoder, &r->model->decoder,
                     n < CHUNK_ROWS ? n : CHUNK_ROWS, r->err));
  int32_t *chunk_position = mv_alloc(3 * CHUNK_ROWS * sizeof *chunk_position);
  if (!chunk_position) return mv_fail(r->err, MV_ERR_MEMORY, "no memory for a chunk");
  mv_status status = MV_OK;
  for (int at = 0; at < n && status == MV_OK; at += CHUNK_ROWS) {
    int rows = n - at < CHUNK_ROWS ? n - at : CHUNK_ROWS;
    for (int axis = 0; axis < 3; axis++)
      memcpy(chunk_position + axis * rows, r->position + axis * n + at,
             (size_t)rows * sizeof *chunk_position);
    status = step(r, r->ids.ids + at, chunk_position, rows, at, at + rows == n);
  }
  mv_free(chunk_position);
  if (status == MV_OK && r->dump)
    mv_dump_rows(r->dump, "logits", -1, r->engine->logits, MV_DTYPE_F32, 1, r->model->head.n_out);
  return status;
}

/* ---- the answer ---- */

static int is_end(const run *r, int32_t id) {
  int eos[MV_MAX_EOS];
  int n = r->request->ignore_eos ? 0 : mv_checkpoint_eos(r->model->checkpoint, eos);
  for (int i = 0; i < n; i++)
    if (eos[i] == id) return 1;
  return 0;
}

static mv_status show(run *r, mv_str fresh, int *cancelled) {
  if (fresh.len && r->request->on_text) *cancelled |= r->request->on_text(r->request->user, fresh);
  return MV_OK;
}

/* Room for the K best of one more token. K may be the whole vocabulary, so it grows as needed. */
static mv_status reserve_top(run *r) {
  mv_result *out = r->result;
  if (out->n_logprob <= 0 || out->n_token < r->top_cap) return MV_OK;
  size_t cap = r->top_cap ? 2 * r->top_cap : 16, bytes;
  mv_logprob *top = NULL;
  if (mv_mul_size(cap, (size_t)out->n_logprob * sizeof *top, &bytes))
    top = mv_realloc(out->top, bytes);
  if (!top) return mv_fail(r->err, MV_ERR_MEMORY, "no memory for log-probabilities");
  out->top = top;
  r->top_cap = cap;
  return MV_OK;
}

/* Chooses the next token from host_logits, records it, and says whether the answer is over. */
static mv_status take_token(run *r, int32_t *id, int *done) {
  mv_result *out = r->result;
  int k = r->request->n_logprob;
  MV_TRY(reserve_top(r));
  *id = mv_sampler_next(&r->sampler, r->engine->host_logits);
  if (!isfinite(r->engine->host_logits[*id]))
    return mv_fail(r->err, MV_ERR_FORMAT,
                   "token %zu: the model's logits are not finite (are its weights damaged?)",
                   out->n_token);
  mv_sampler_note(&r->sampler, *id);
  if (k >= 0)
    mv_sampler_logprobs(&r->sampler, r->engine->host_logits, *id, &out->logprobs[out->n_token],
                        k ? out->top + out->n_token * (size_t)k : NULL, k);
  out->token_ids[out->n_token++] = *id;
  if (out->n_token == 1) r->first_token_ms = mv_now_ms();
  if (is_end(r, *id)) {
    *done = 1;
    return MV_OK;
  }
  mv_str fresh;
  int cancelled = 0;
  MV_TRY(mv_stopper_push(&r->stopper, *id, &fresh, r->err));
  show(r, fresh, &cancelled);
  *done = r->stopper.stopped || cancelled;
  if (cancelled) out->finish = MV_FINISH_CANCELLED;
  return MV_OK;
}

static mv_status answer(run *r, size_t max_new) {
  int done = 0;
  r->result->finish = MV_FINISH_STOP;
  r->tap.on_layer = NULL;
  r->tap.on_stage = NULL;
  while (r->result->n_token < max_new && !done) {
    int32_t id;
    MV_TRY(take_token(r, &id, &done));
    if (done || r->result->n_token == max_new) break;
    int32_t position[3] = {r->next_position, r->next_position, r->next_position};
    int pos0 = (int)(r->result->n_prompt + r->result->n_token) - 1;
    MV_TRY(step(r, &id, position, 1, pos0, 1));
    r->next_position++;
  }
  if (!done) r->result->finish = MV_FINISH_LENGTH;
  mv_str fresh;
  int ignored = 0;
  MV_TRY(mv_stopper_finish(&r->stopper, &fresh, r->err));
  if (r->result->finish != MV_FINISH_CANCELLED) show(r, fresh, &ignored);
  mv_buf_str(&r->result->text, mv_buf_view(&r->stopper.text));
  return mv_buf_status(&r->result->text, r->err);
}

/* ---- a request from end to end ---- */

static mv_sampling sampling_of(const run *r) {
  mv_sampling s = r->request->sampling;
  const mv_generation_config *g = mv_checkpoint_generation(r->model->checkpoint);
  if (!r->request->use_generation_config) return s;
  s.temperature = g->do_sample ? (float)g->temperature : 0;
  s.top_p = (float)g->top_p;
  s.top_k = g->top_k;
  s.repetition_penalty = (float)g->repetition_penalty;
  return s;
}

static mv_status reserve_answer(run *r, size_t *max_new) {
  const mv_request *q = r->request;
  size_t n_prompt = r->result->n_prompt;
  size_t limit = (size_t)mv_checkpoint_config(r->model->checkpoint)->text.max_positions;
  if (r->engine->max_tokens && r->engine->max_tokens < limit) limit = r->engine->max_tokens;
  if (n_prompt >= limit)
    return mv_fail(r->err, MV_ERR_USAGE, "the prompt has %zu tokens, the context is %zu", n_prompt,
                   limit);
  size_t n = (size_t)q->max_new_tokens;
  if (n > limit - n_prompt) n = limit - n_prompt;
  *max_new = n;
  r->result->n_logprob = q->n_logprob;
  r->result->token_ids = mv_alloc(n * sizeof *r->result->token_ids);
  r->result->logprobs = q->n_logprob >= 0 ? mv_calloc(n, sizeof(mv_logprob)) : NULL;
  if (!r->result->token_ids || (q->n_logprob >= 0 && !r->result->logprobs))
    return mv_fail(r->err, MV_ERR_MEMORY, "no memory for an answer of %zu tokens", n);
  mv_buf_reserve(&r->stopper.text, TEXT_BYTES_PER_TOKEN * n);
  return ensure_pages(r->engine, n_prompt + n, r->err);
}

static mv_status check_request(const run *r) {
  const mv_request *q = r->request;
  int n_vocab = r->model->head.n_out;
  if (q->max_new_tokens < 1)
    return mv_fail(r->err, MV_ERR_USAGE, "max-new-tokens %d: expected 1 or more",
                   q->max_new_tokens);
  if (q->n_logprob < -1 || q->n_logprob > n_vocab)
    return mv_fail(r->err, MV_ERR_USAGE, "logprobs %d: expected 0 to %d, the vocabulary's size",
                   q->n_logprob, n_vocab);
  return MV_OK;
}

static mv_status run_request(run *r) {
  mv_timings *t = &r->result->timings;
  mv_sampling sampling = sampling_of(r);
  size_t max_new = 0;
  MV_TRY(check_request(r));
  MV_TRY(mv_sampler_init(&r->sampler, &sampling, r->model->head.n_out, r->err));
  mv_stopper_init(&r->stopper, r->model->tokenizer, r->request->stop, r->request->n_stop);
  if (r->request->dump_dir) MV_TRY(mv_dump_new(&r->dump, r->model, r->err));
  MV_TRY(prepare_images(r));
  MV_TRY(encode_prompt(r));
  MV_TRY(check_ids(r));
  MV_TRY(place_prompt(r));
  MV_TRY(reserve_answer(r, &max_new));
  double prepared = mv_now_ms();
  t->image_ms = prepared - r->start_ms;
  MV_TRY(see_images(r));
  double seen = mv_now_ms();
  t->vision_ms = seen - prepared;
  MV_TRY(prefill(r));
  if (r->dump) MV_TRY(mv_dump_write(r->dump, r->request->dump_dir, r->err));
  MV_TRY(answer(r, max_new));
  double end = mv_now_ms();
  t->prefill_ms = r->first_token_ms - seen;
  t->decode_ms = end - r->first_token_ms;
  t->ttft_ms = r->first_token_ms - r->start_ms;
  t->total_ms = end - r->start_ms;
  return MV_OK;
}

mv_status mv_engine_generate(mv_engine *engine, const mv_request *request, mv_result *result,
                             mv_error *err) {
  memset(result, 0, sizeof *result);
  run *r = mv_calloc(1, sizeof *r);
  if (!r) return mv_fail(err, MV_ERR_MEMORY, "no memory for a request");
  r->engine = engine;
  r->model = engine->model;
  r->request = request;
  r->result = result;
  r->err = err;
  r->tap = (mv_tap){on_stage, on_layer, r};
  r->start_ms = mv_now_ms();
  mv_status status = run_request(r);
  for (int i = 0; i < MAX_IMAGES; i++) mv_pixels_free(&r->images[i]);
  mv_ids_free(&r->ids);
  mv_free(r->position);
  engine->model->ops->free(&engine->model->device, r->image_rows);
  mv_sampler_free(&r->sampler);
  mv_stopper_free(&r->stopper);
  mv_dump_free(r->dump);
  mv_free(r);
  if (status != MV_OK) mv_result_free(result);
  if (status == MV_ERR_MEMORY) mv_device_recover(&engine->model->device);
  return status;
}

/* ---- plain data ---- */

void mv_request_init(mv_request *request) {
  memset(request, 0, sizeof *request);
  request->max_new_tokens = 4096;
  request->sampling.top_p = 1;
  request->sampling.repetition_penalty = 1;
  request->n_logprob = -1;
}

void mv_result_free(mv_result *result) {
  mv_free(result->prompt_ids);
  mv_free(result->token_ids);
  mv_free(result->logprobs);
  mv_free(result->top);
  mv_buf_free(&result->text);
  memset(result, 0, sizeof *result);
}

const char *mv_finish_name(mv_finish finish) {
  static const char *const names[] = {"stop", "length", "cancelled"};
  return names[finish];
}
