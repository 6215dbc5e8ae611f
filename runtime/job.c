#include "runtime/job.h"

#include <string.h>

#include "kernels/range.h"
#include "runtime/clock.h"
#include "runtime/mrope.h"
#include "tokenizer/chat.h"

#define TEXT_BYTES_PER_TOKEN 8 /* room made beforehand; longer text grows */

/* ---- checks and copies ---- */

static mv_status check_request(const mv_job *job, const mv_request *q, mv_error *err) {
  int n_vocab = job->model->head.n_out;
  if (q->max_new_tokens < 1)
    return mv_fail(err, MV_ERR_USAGE, "max-new-tokens %d: expected 1 or more", q->max_new_tokens);
  if (q->n_logprob < -1 || q->n_logprob > n_vocab)
    return mv_fail(err, MV_ERR_USAGE, "logprobs %d: expected 0 to %d, the vocabulary's size",
                   q->n_logprob, n_vocab);
  if (q->n_image < 0 || q->n_image > MV_MAX_IMAGES)
    return mv_fail(err, MV_ERR_USAGE, "%d images: a request takes up to %d", q->n_image,
                   MV_MAX_IMAGES);
  return MV_OK;
}

static mv_status copy_text(mv_job *job, mv_str *text, mv_error *err) {
  char *copy = mv_arena_alloc(&job->arena, text->len + 1);
  if (!copy) return mv_fail(err, MV_ERR_MEMORY, "no memory for a request");
  if (text->len) memcpy(copy, text->ptr, text->len);
  text->ptr = copy;
  return MV_OK;
}

/* The request without anything that the caller may take away. */
static mv_status copy_request(mv_job *job, const mv_request *q, mv_error *err) {
  mv_request *own = &job->request;
  *own = *q;
  own->images = NULL;
  own->system = own->prompt = (mv_str){NULL, 0};
  own->messages = NULL;
  MV_TRY(copy_text(job, &own->family, err));
  if (q->dump_dir) {
    mv_str dir = mv_str_of(q->dump_dir);
    MV_TRY(copy_text(job, &dir, err));
    own->dump_dir = dir.ptr;
  }
  if (q->n_stop <= 0) return MV_OK;
  mv_str *stop = mv_arena_alloc(&job->arena, (size_t)q->n_stop * sizeof *stop);
  if (!stop) return mv_fail(err, MV_ERR_MEMORY, "no memory for a request");
  for (int i = 0; i < q->n_stop; i++) {
    stop[i] = q->stop[i];
    MV_TRY(copy_text(job, &stop[i], err));
  }
  own->stop = stop;
  return MV_OK;
}

static mv_sampling sampling_of(const mv_job *job) {
  mv_sampling s = job->request.sampling;
  const mv_generation_config *g = mv_checkpoint_generation(job->model->checkpoint);
  if (!job->request.use_generation_config) return s;
  s.temperature = g->do_sample ? (float)g->temperature : 0;
  s.top_p = (float)g->top_p;
  s.top_k = g->top_k;
  s.repetition_penalty = (float)g->repetition_penalty;
  return s;
}

/* ---- images ---- */

static mv_hash hash_image(mv_hash key, const mv_pixels *pixels) {
  const mv_image *seen = &pixels->seen;
  int32_t shape[6] = {seen->width,    seen->height,   seen->channels,
                      pixels->grid.t, pixels->grid.h, pixels->grid.w};
  size_t n = (size_t)seen->width * (size_t)seen->height * (size_t)seen->channels;
  return mv_hash_bytes(mv_hash_bytes(key, seen->px, n), shape, sizeof shape);
}

static mv_status prepare_images(mv_job *job, const mv_request *q, mv_hash key, mv_error *err) {
  mv_preprocessor pp = job->model->preprocessor;
  pp.resampler = (mv_resampler)q->resampler;
  for (int i = 0; i < q->n_image; i++) {
    mv_job_image *image = &job->images[i];
    mv_pixels pixels = {0};
    if (q->on_progress) q->on_progress(q->user, "image", (size_t)i, (size_t)q->n_image);
    MV_TRY(mv_pixels_init(&pixels, &pp, &q->images[i], err));
    image->hash = hash_image(key, &pixels);
    image->grid = pixels.grid;
    image->n_token = (int)mv_grid_tokens(pixels.grid, pp.merge);
    image->seen = pixels.seen; /* owns */
    image->entry = -1;
    job->result.n_image_token += (size_t)image->n_token;
  }
  return MV_OK;
}

/* ---- the prompt ---- */

/* A conversation with its images' token counts filled in. */
static mv_status encode_messages(mv_job *job, const mv_request *q, mv_ids *ids, mv_error *err) {
  size_t n_part = 0, at = 0;
  int n_image = 0;
  for (size_t i = 0; i < q->n_message; i++) n_part += q->messages[i].n_parts;
  mv_chat_part *parts = mv_arena_alloc(&job->arena, (n_part + 1) * sizeof *parts);
  mv_chat_message *own = mv_arena_alloc(&job->arena, (q->n_message + 1) * sizeof *own);
  if (!parts || !own) return mv_fail(err, MV_ERR_MEMORY, "no memory for a conversation");
  for (size_t i = 0; i < q->n_message; i++) {
    own[i] = q->messages[i];
    own[i].parts = parts + at;
    for (size_t j = 0; j < own[i].n_parts; j++, at++) {
      parts[at] = q->messages[i].parts[j];
      if (parts[at].kind != MV_PART_IMAGE) continue;
      if (n_image < q->n_image) parts[at].n_image_tokens = job->images[n_image].n_token;
      n_image++;
    }
  }
  if (n_image != q->n_image)
    return mv_fail(err, MV_ERR_USAGE, "the conversation has %d images, the request %d", n_image,
                   q->n_image);
  return mv_chat_encode(job->model->tokenizer, own, q->n_message, 1, ids, err);
}

static mv_status encode_raw(const mv_job *job, const mv_request *q, mv_ids *ids, mv_error *err) {
  if (q->n_image)
    return mv_fail(err, MV_ERR_USAGE, "a prompt without the chat template takes no images");
  MV_TRY(mv_tokenizer_encode(job->model->tokenizer, q->prompt, 0, ids, err));
  return ids->len ? MV_OK : mv_fail(err, MV_ERR_USAGE, "the prompt is empty");
}

mv_status mv_job_encode(const mv_tokenizer *tok, const mv_request *q, const int *n_tokens,
                        mv_ids *ids, mv_error *err) {
  mv_chat_part parts[MV_MAX_IMAGES + 1], system = {.text = q->system};
  size_t n = 0;
  mv_chat_part text = {.text = q->prompt};
  if (q->image_order == MV_IMAGE_LAST) parts[n++] = text;
  for (int i = 0; i < q->n_image; i++) {
    mv_chat_part image = {MV_PART_IMAGE, {NULL, 0}, n_tokens[i]};
    parts[n++] = image;
  }
  if (q->image_order == MV_IMAGE_FIRST) parts[n++] = text;
  mv_chat_message messages[2] = {{mv_str_of("system"), &system, 1}, {mv_str_of("user"), parts, n}};
  int skip = q->system.ptr == NULL;
  return mv_chat_encode(tok, messages + skip, 2 - (size_t)skip, 1, ids, err);
}

static mv_status encode_prompt(mv_job *job, const mv_request *q, mv_ids *ids, mv_error *err) {
  if (q->is_raw) return encode_raw(job, q, ids, err);
  if (q->messages) return encode_messages(job, q, ids, err);
  int n_tokens[MV_MAX_IMAGES];
  for (int i = 0; i < q->n_image; i++) n_tokens[i] = job->images[i].n_token;
  return mv_job_encode(job->model->tokenizer, q, n_tokens, ids, err);
}

static mv_status check_ids(const mv_job *job, const mv_ids *ids, mv_error *err) {
  const mv_config *config = mv_checkpoint_config(job->model->checkpoint);
  size_t n_image_token = 0;
  for (size_t i = 0; i < ids->len; i++) {
    if (ids->ids[i] < 0 || ids->ids[i] >= config->text.vocab_size)
      return mv_fail(err, MV_ERR_FORMAT,
                     "token id %d is outside the model's vocabulary of %d (is the tokenizer from "
                     "another checkpoint?)",
                     ids->ids[i], config->text.vocab_size);
    n_image_token += ids->ids[i] == config->image_token_id;
  }
  if (n_image_token != job->result.n_image_token)
    return mv_fail(err, MV_ERR_FORMAT,
                   "the prompt holds %zu image placeholders, the images need %zu (is "
                   "image_token_id in config.json the tokenizer's <|image_pad|>?)",
                   n_image_token, job->result.n_image_token);
  if (ids->len >= (size_t)config->text.max_positions)
    return mv_fail(err, MV_ERR_USAGE, "the prompt has %zu tokens, the model's context is %d",
                   ids->len, config->text.max_positions);
  return MV_OK;
}

static void make_keys(mv_job *job, int32_t image_token_id) {
  int at = -1;
  size_t row = 0;
  for (size_t i = 0; i < job->result.n_prompt; i++) {
    uint64_t position = (uint64_t)job->position[i];
    if (job->result.prompt_ids[i] != image_token_id) {
      job->keys[i] = (mv_hash){(uint64_t)job->result.prompt_ids[i], position};
      continue;
    }
    if (at < 0 || row == (size_t)job->images[at].n_token) {
      row = 0;
      job->images[++at].token0 = i;
    }
    mv_hash image = job->images[at].hash;
    job->keys[i] = (mv_hash){image.a + row++, image.b + position * 0x9E3779B97F4A7C15u};
  }
}

static mv_status place_prompt(mv_job *job, mv_error *err) {
  size_t n = job->result.n_prompt;
  mv_grid grids[MV_MAX_IMAGES];
  for (int i = 0; i < job->request.n_image; i++) grids[i] = job->images[i].grid;
  job->position = mv_arena_alloc(&job->arena, 3 * n * sizeof *job->position);
  job->keys = mv_arena_alloc(&job->arena, n * sizeof *job->keys);
  if (!job->position || !job->keys)
    return mv_fail(err, MV_ERR_MEMORY, "no memory for a prompt of %zu tokens", n);
  int32_t image_token_id = mv_checkpoint_config(job->model->checkpoint)->image_token_id;
  job->next_position =
      mv_mrope_positions(job->result.prompt_ids, n, image_token_id, grids, job->request.n_image,
                         job->model->preprocessor.merge, job->position);
  make_keys(job, image_token_id);
  for (size_t i = 0; i < n; i++) mv_sampler_note(&job->sampler, job->result.prompt_ids[i]);
  return MV_OK;
}

/* ---- room for the answer ---- */

static mv_status reserve_answer(mv_job *job, const mv_job_limits *limits, mv_error *err) {
  size_t n_prompt = job->result.n_prompt, n = (size_t)job->request.max_new_tokens;
  size_t limit = (size_t)mv_checkpoint_config(job->model->checkpoint)->text.max_positions;
  if (limits->max_tokens && limits->max_tokens < limit) limit = limits->max_tokens;
  if (n_prompt >= limit)
    return mv_fail(err, MV_ERR_USAGE, "the prompt has %zu tokens, the context is %zu", n_prompt,
                   limit);
  if (n > limit - n_prompt) n = limit - n_prompt;
  job->max_new = n;
  int k = job->request.n_logprob;
  job->result.n_logprob = k;
  job->result.token_ids = mv_alloc(n * sizeof *job->result.token_ids);
  job->result.logprobs = k >= 0 ? mv_calloc(n, sizeof(mv_logprob)) : NULL;
  job->n_page_need = (int)((n_prompt + n + MV_PAGE_TOKENS - 1) / MV_PAGE_TOKENS);
  job->pages = mv_arena_alloc(&job->arena, (size_t)job->n_page_need * sizeof *job->pages);
  job->draft.ids =
      mv_arena_alloc(&job->arena, (size_t)(limits->max_draft + 1) * sizeof *job->draft.ids);
  job->branches.pages = mv_arena_alloc(
      &job->arena, MV_DIGITS * (size_t)job->n_page_need * sizeof *job->branches.pages);
  if (!job->result.token_ids || (k >= 0 && !job->result.logprobs) || !job->pages ||
      !job->draft.ids || !job->branches.pages)
    return mv_fail(err, MV_ERR_MEMORY, "no memory for an answer of %zu tokens", n);
  mv_buf_reserve(&job->stopper.text, TEXT_BYTES_PER_TOKEN * n);
  return mv_buf_status(&job->stopper.text, err);
}

/* ---- from request to job ---- */

static mv_status prepare(mv_job *job, const mv_job_limits *limits, const mv_request *q,
                         mv_error *err) {
  mv_ids ids = {0};
  MV_TRY(check_request(job, q, err));
  MV_TRY(copy_request(job, q, err));
  mv_sampling sampling = sampling_of(job);
  MV_TRY(mv_sampler_init(&job->sampler, &sampling, job->model->head.n_out, err));
  mv_stopper_init(&job->stopper, job->model->tokenizer, job->request.stop, job->request.n_stop);
  if (q->dump_dir) MV_TRY(mv_dump_new(&job->dump, job->model, err));
  MV_TRY(prepare_images(job, q, limits->hash_key, err));
  mv_status status = encode_prompt(job, q, &ids, err);
  if (status == MV_OK) status = check_ids(job, &ids, err);
  if (status != MV_OK) {
    mv_ids_free(&ids);
    return status;
  }
  job->result.prompt_ids = ids.ids; /* owns */
  job->result.n_prompt = ids.len;
  MV_TRY(place_prompt(job, err));
  MV_TRY(reserve_answer(job, limits, err));
  if (!q->ignore_eos) job->n_eos = mv_checkpoint_eos(job->model->checkpoint, job->eos);
  return MV_OK;
}

mv_status mv_job_new(mv_job **out, mv_model *model, const mv_job_limits *limits,
                     const mv_request *request, mv_error *err) {
  *out = NULL;
  mv_job *job = mv_calloc(1, sizeof *job);
  if (!job) return mv_fail(err, MV_ERR_MEMORY, "no memory for a request");
  job->model = model;
  job->range = mv_range_open(&model->device, "request");
  job->submit_ms = mv_now_ms();
  job->drafts = -1;
  atomic_init(&job->cancelled, 0);
  mv_status status = prepare(job, limits, request, err);
  if (status != MV_OK) {
    mv_job_free(job);
    return status;
  }
  job->result.timings.image_ms = mv_now_ms() - job->submit_ms;
  *out = job;
  return MV_OK;
}

void mv_job_free(mv_job *job) {
  if (!job) return;
  mv_range_close(&job->model->device, job->range);
  for (int i = 0; i < MV_MAX_IMAGES; i++) mv_image_free(&job->images[i].seen);
  mv_sampler_free(&job->sampler);
  mv_stopper_free(&job->stopper);
  mv_dump_free(job->dump);
  mv_result_free(&job->result);
  mv_arena_reset(&job->arena);
  mv_free(job);
}
