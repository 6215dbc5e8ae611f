/* Device memory of an engine, and what of it a job holds. */
#include <string.h>

#include "runtime/clock.h"
#include "runtime/engine.h"

#define FIRST_IMAGE_TOKENS 4096
#define USUAL_PATCHES 1296 /* 504 x 504 pixels, as the model card advises */

/* Marks around the tower's work for an entry of the vision cache: this one and the next. */
static int mark_of(int entry) { return MV_PROFILE_MARKS + 2 * entry; }
_Static_assert(MV_PROFILE_MARKS + 2 * MV_SEEN_IMAGES <= MV_MARKS, "marks of every entry");

size_t mv_pool_stride(const mv_engine *engine) {
  const mv_stack *s = &engine->model->decoder;
  return (size_t)engine->pages.n_page * mv_kv_page_bytes(s->n_kv, s->d_head, engine->model->dtype);
}

static void *device_alloc(mv_engine *e, size_t n_bytes) {
  return e->model->ops->alloc(&e->model->device, n_bytes);
}

static void device_free(mv_engine *e, void *ptr) { e->model->ops->free(&e->model->device, ptr); }

/* ---- sizes ---- */

static void free_pages(mv_engine *e) {
  device_free(e, e->cache);
  e->cache = NULL;
  mv_prefix_cache_free(&e->prefix);
  mv_kv_pages_free(&e->pages);
}

/* New pages, all free; what was cached is gone. */
static mv_status make_pages(mv_engine *e, size_t n_page, mv_error *err) {
  size_t bytes;
  free_pages(e);
  if (n_page > INT32_MAX / MV_PAGE_TOKENS)
    return mv_fail(err, MV_ERR_MEMORY, "a cache of %zu pages is too large", n_page);
  MV_TRY(mv_kv_pages_init(&e->pages, (int)n_page, err));
  mv_status status = mv_prefix_cache_init(&e->prefix, &e->pages, err);
  if (status == MV_OK && !mv_mul_size(mv_pool_stride(e), (size_t)e->model->decoder.n_layer, &bytes))
    status = mv_fail(err, MV_ERR_MEMORY, "a cache of %zu pages is too large", n_page);
  if (status == MV_OK) {
    e->cache = device_alloc(e, bytes);
    status = mv_device_status(&e->model->device, err);
  }
  if (status != MV_OK) free_pages(e);
  return status;
}

/* Pages for max_batch requests like this, and for some prefixes even where that is one, or as many
 * as a quarter of what is free holds. */
static mv_status grow_pages(mv_engine *e, const mv_job *job, mv_error *err) {
  const mv_stack *s = &e->model->decoder;
  size_t page = mv_kv_page_bytes(s->n_kv, s->d_head, e->model->dtype) * (size_t)s->n_layer;
  size_t need = (size_t)job->n_page_need, n = need * (size_t)e->options.max_batch;
  size_t n_free, n_total;
  e->model->ops->room(&e->model->device, &n_free, &n_total);
  if (n < MV_FIRST_KV_TOKENS / MV_PAGE_TOKENS) n = MV_FIRST_KV_TOKENS / MV_PAGE_TOKENS;
  if (n > n_free / 4 / page) n = n_free / 4 / page;
  return make_pages(e, n > need ? n : need, err);
}

static mv_status make_image_rows(mv_engine *e, size_t n_row, mv_error *err) {
  size_t bytes;
  device_free(e, e->image_rows);
  e->image_rows = NULL;
  mv_vision_cache_reset(&e->seen, 0);
  if (n_row > INT32_MAX ||
      !mv_mul_size(n_row, (size_t)e->model->decoder.d_model * sizeof *e->image_rows, &bytes))
    return mv_fail(err, MV_ERR_MEMORY, "%zu tokens of images are too many", n_row);
  e->image_rows = device_alloc(e, bytes);
  MV_TRY(mv_device_status(&e->model->device, err));
  mv_vision_cache_reset(&e->seen, (int)n_row);
  return MV_OK;
}

static mv_status grow_image_rows(mv_engine *e, const mv_job *job, mv_error *err) {
  size_t n = e->options.image_tokens;
  if (!n) n = FIRST_IMAGE_TOKENS;
  if (!e->options.image_tokens && n < job->result.n_image_token) n = job->result.n_image_token;
  return make_image_rows(e, n, err);
}

mv_status mv_pool_init(mv_engine *e, mv_error *err) {
  size_t vocab_bytes = (size_t)e->model->head.n_out * sizeof *e->logits;
  int max_rows = e->options.max_rows + e->max_verify;
  e->sees_beside = e->model->device.has_side_lane && !e->model->device.profile;
  mv_model_ready(e->model, e->options.max_rows, USUAL_PATCHES);
  MV_TRY(mv_activations_init(&e->decoder, e->model, &e->model->decoder, max_rows, err));
  e->logits = device_alloc(e, (size_t)e->max_verify * vocab_bytes);
  e->picks = device_alloc(e, (size_t)e->max_verify * sizeof *e->picks);
  MV_TRY(mv_device_status(&e->model->device, err));
  if (!e->options.kv_tokens) return MV_OK; /* grows with the first request */
  return make_pages(e, (e->options.kv_tokens + MV_PAGE_TOKENS - 1) / MV_PAGE_TOKENS, err);
}

void mv_pool_free(mv_engine *e) {
  free_pages(e);
  mv_activations_free(&e->vision, e->model);
  mv_activations_free(&e->decoder, e->model);
  device_free(e, e->image_rows);
  device_free(e, e->logits);
  device_free(e, e->picks);
  device_free(e, e->best);
}

mv_status mv_pool_check(const mv_engine *e, const mv_job *job, mv_error *err) {
  size_t n = (size_t)job->n_page_need * MV_PAGE_TOKENS, kv = e->options.kv_tokens;
  if (kv && n > (kv + MV_PAGE_TOKENS - 1) / MV_PAGE_TOKENS * MV_PAGE_TOKENS)
    return mv_fail(err, MV_ERR_MEMORY,
                   "the request needs keys and values of %zu tokens, the engine has %zu", n, kv);
  if (e->options.image_tokens && job->result.n_image_token > e->options.image_tokens)
    return mv_fail(err, MV_ERR_MEMORY, "the images need %zu tokens, the engine has %zu",
                   job->result.n_image_token, e->options.image_tokens);
  return MV_OK;
}

/* ---- pages of a job ---- */

int mv_pool_room(mv_engine *e, int n_page) {
  if (e->pages.n_free >= n_page) return 1;
  if (e->pages.n_free + mv_prefix_cache_evictable(&e->prefix) < n_page) return 0;
  while (e->pages.n_free < n_page && mv_prefix_cache_evict(&e->prefix)) continue;
  return e->pages.n_free >= n_page;
}

void mv_pool_move(mv_engine *e, mv_kv_move move) {
  const mv_stack *s = &e->model->decoder;
  mv_kv_copy_dims dims = {s->n_layer, s->n_kv, s->d_head, mv_pool_stride(e), e->model->dtype};
  e->model->ops->kv_copy(&e->model->device, &dims, &move, 1, e->cache);
}

static void drop_pages(mv_engine *e, mv_job *job) {
  while (job->n_page > 0) mv_kv_pages_drop(&e->pages, job->pages[--job->n_page]);
}

/* Holds what is known of the prompt, all but its last token, and takes fresh pages for the rest. */
static int take_pages(mv_engine *e, mv_job *job) {
  mv_prefix_match m = {0, -1, 0};
  if (!e->options.no_prefix_cache && !job->dump)
    m = mv_prefix_cache_find(&e->prefix, job->keys, job->result.n_prompt - 1, job->pages);
  for (; job->n_page < m.n_page; job->n_page++)
    mv_kv_pages_hold(&e->pages, job->pages[job->n_page]);
  if (m.part >= 0) mv_kv_pages_hold(&e->pages, m.part);
  int need = job->n_page_need - m.n_page, fits = mv_pool_room(e, need);
  if (!fits && m.part >= 0) {
    mv_kv_pages_drop(&e->pages, m.part);
    m.part = -1;
    fits = mv_pool_room(e, need);
  }
  if (fits) {
    while (job->n_page < job->n_page_need) job->pages[job->n_page++] = mv_kv_pages_take(&e->pages);
    if (m.part >= 0)
      mv_pool_move(e, (mv_kv_move){m.part * MV_PAGE_TOKENS, job->pages[m.n_page] * MV_PAGE_TOKENS,
                                   m.n_part});
    job->n_kv = (size_t)m.n_page * MV_PAGE_TOKENS + (size_t)(m.part >= 0 ? m.n_part : 0);
  } else {
    drop_pages(e, job);
  }
  if (m.part >= 0) mv_kv_pages_drop(&e->pages, m.part);
  return fits;
}

void mv_pool_keep_prefix(mv_engine *e, mv_job *job) {
  size_t n = job->n_kv < job->result.n_prompt ? job->n_kv / MV_PAGE_TOKENS * MV_PAGE_TOKENS
                                              : job->result.n_prompt;
  if (!e->options.no_prefix_cache && n) mv_prefix_cache_add(&e->prefix, job->keys, n, job->pages);
}

/* ---- images of a job ---- */

/* Of an image that is dropped before it was seen nobody asks. */
static double tower_ms(mv_engine *e, const mv_job_image *image) {
  const mv_ops *ops = e->model->ops;
  mv_device *dev = &e->model->device;
  int mark = mark_of(image->entry);
  return image->is_own && ops->is_past(dev, mark + 1) ? ops->elapsed(dev, mark, mark + 1) : 0;
}

void mv_pool_drop_images(mv_engine *e, mv_job *job) {
  for (int i = 0; i < job->request.n_image; i++) {
    mv_job_image *image = &job->images[i];
    if (image->entry < 0) continue;
    job->result.timings.vision_ms += tower_ms(e, image);
    if (e->options.no_vision_cache) mv_vision_cache_forget(&e->seen, image->entry);
    mv_vision_cache_drop(&e->seen, image->entry);
    image->entry = -1;
  }
}

static int is_needed(const mv_job *job, const mv_job_image *image) {
  return image->token0 + (size_t)image->n_token > job->n_kv;
}

static int hold_images(mv_engine *e, mv_job *job) {
  for (int i = 0; i < job->request.n_image; i++) {
    mv_job_image *image = &job->images[i];
    if (!is_needed(job, image)) continue;
    image->entry = mv_vision_cache_hold(&e->seen, image->hash, image->n_token,
                                        e->options.no_vision_cache || job->dump);
    if (image->entry >= 0) continue;
    mv_pool_drop_images(e, job);
    return 0;
  }
  return 1;
}

static mv_status ensure_vision(mv_engine *e, int n_patch, mv_error *err) {
  if (e->vision.x && n_patch <= e->vision.max_rows) return MV_OK;
  mv_activations_free(&e->vision, e->model);
  return mv_activations_init(&e->vision, e->model, &e->model->vision, n_patch, err);
}

static void on_stage(void *user, const char *name, int layer, const void *rows, mv_dtype dtype,
                     int n_row, int d) {
  mv_job *job = user;
  if (job->dump) mv_dump_rows(job->dump, name, layer, rows, dtype, n_row, d);
}

static void on_layer(void *user, int layer, int n_layer) {
  const mv_request *q = &((mv_job *)user)->request;
  if (q->on_progress) q->on_progress(q->user, "vision", (size_t)layer, (size_t)n_layer);
}

/* Activations and rows belong to the side lane, which keeps its order: nothing here waits for an
 * image before, seen or given up. */
static mv_status see_image(mv_engine *e, mv_job *job, mv_job_image *image) {
  const mv_vision_config *v = &mv_checkpoint_config(e->model->checkpoint)->vision;
  mv_window_dims dims = {v->window_size, v->patch_size, v->merge_size};
  mv_tap tap = {job->dump ? on_stage : NULL, on_layer, job};
  mv_seen_image *seen = &e->seen.entries[image->entry];
  mv_window_plan plan = {0};
  MV_TRY(mv_window_plan_init(&plan, &image->grid, 1, dims, &job->err));
  mv_status status = ensure_vision(e, plan.n_patch, &job->err);
  if (status == MV_OK) {
    mv_device *dev = &e->model->device;
    float *out = e->image_rows + (size_t)seen->row0 * (size_t)e->model->decoder.d_model;
    e->model->ops->mark(dev, mark_of(image->entry));
    mv_vision_forward(e->model, &e->vision, &plan, &image->seen, out, &tap);
    e->model->ops->mark(dev, mark_of(image->entry) + 1);
    status = mv_device_status(dev, &job->err);
  }
  mv_window_plan_free(&plan);
  image->is_own = seen->is_seen = seen->is_coming = status == MV_OK;
  return status;
}

static mv_status see_images(mv_engine *e, mv_job *job) {
  for (int i = 0; i < job->request.n_image; i++) {
    mv_job_image *image = &job->images[i];
    e->count.n_image++;
    if (image->entry >= 0 && !e->seen.entries[image->entry].is_seen) {
      MV_TRY(see_image(e, job, image));
      e->count.n_image_seen++;
    } else {
      job->result.n_cached_image++;
    }
    mv_image_free(&image->seen);
  }
  return MV_OK;
}

int mv_pool_has_images(mv_engine *e, const mv_job *job, int must) {
  const mv_ops *ops = e->model->ops;
  for (int i = 0; i < job->request.n_image; i++) {
    int entry = job->images[i].entry;
    if (entry < 0 || !e->seen.entries[entry].is_coming) continue;
    if (must)
      ops->wait(&e->model->device, mark_of(entry) + 1);
    else if (!ops->is_past(&e->model->device, mark_of(entry) + 1))
      return 0;
    e->seen.entries[entry].is_coming = 0;
  }
  return 1;
}

/* ---- a job's start and end ---- */

void mv_pool_end(mv_engine *e, mv_job *job) {
  mv_pool_drop_images(e, job);
  drop_pages(e, job);
}

/* While nothing runs, what has no fixed size becomes large enough. */
static mv_status make_sizes(mv_engine *e, mv_job *job) {
  if (e->n_running) return MV_OK;
  if (job->n_page_need > e->pages.n_page) MV_TRY(grow_pages(e, job, &job->err));
  if (job->result.n_image_token > (size_t)e->seen.n_row) MV_TRY(grow_image_rows(e, job, &job->err));
  return MV_OK;
}

mv_started mv_pool_start(mv_engine *e, mv_job *job) {
  double start = mv_now_ms();
  if (make_sizes(e, job) != MV_OK) return MV_START_FAILED;
  if (job->n_page_need > e->pages.n_page || !take_pages(e, job)) return MV_NO_ROOM;
  if (!hold_images(e, job)) {
    if (e->n_running == 0) mv_vision_cache_reset(&e->seen, e->seen.n_row); /* was in pieces */
    if (e->n_running || !hold_images(e, job)) {
      drop_pages(e, job);
      return MV_NO_ROOM;
    }
  }
  job->start_ms = start;
  job->result.n_cached_token = job->n_kv;
  e->model->ops->lane(&e->model->device, MV_LANE_SIDE);
  mv_status status = see_images(e, job);
  e->model->ops->lane(&e->model->device, MV_LANE_MAIN);
  if (status != MV_OK) return MV_START_FAILED;
  job->is_seeing = !mv_pool_has_images(e, job, !e->sees_beside);
  e->count.n_prompt_token += job->result.n_prompt;
  e->count.n_cached_token += job->n_kv;
  return MV_OK == mv_device_status(&e->model->device, &job->err) ? MV_STARTED : MV_START_FAILED;
}
