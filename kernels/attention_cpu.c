#include "kernels/attention.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "kernels/cpu.h"

#define MAX_D_HEAD 256
#define QUERY_BLOCK 64 /* queries that share one key tile brought into f32 */

size_t mv_kv_page_bytes(int n_kv, int d_head, mv_dtype dtype) {
  return 2 * (size_t)n_kv * MV_PAGE_TOKENS * (size_t)d_head * mv_dtype_bytes(dtype);
}

mv_cost mv_rope_kv_cost(const mv_attention_dims *dims) {
  double n = (double)dims->n_row * dims->d_head, e = (double)mv_dtype_bytes(dims->dtype);
  double kv_bytes = e + (double)mv_dtype_bytes(dims->kv_dtype);
  mv_cost cost = {n * (2 * e * dims->n_head + 2 * kv_bytes * dims->n_kv + sizeof(float)),
                  3 * n * (dims->n_head + dims->n_kv)};
  return cost;
}

mv_cost mv_attention_cost(const mv_attention_dims *dims, const mv_seq_rows *seqs, int n_seq) {
  double pairs = 0, keys = 0, d = dims->d_head;
  for (int s = 0; s < n_seq; s++) {
    pairs += seqs[s].n_row * (seqs[s].pos0 + (seqs[s].n_row + 1) / 2.0);
    keys += seqs[s].pos0 + seqs[s].n_row;
  }
  mv_cost cost = {(double)dims->n_row * dims->n_head * d *
                          (double)(mv_dtype_bytes(dims->dtype) + mv_dtype_bytes(dims->out_dtype)) +
                      2 * keys * dims->n_kv * d * (double)mv_dtype_bytes(dims->kv_dtype),
                  4 * d * dims->n_head * pairs};
  return cost;
}

mv_cost mv_window_attention_cost(const mv_attention_dims *dims, const int32_t *segments,
                                 int n_segment) {
  double pairs = 0, d = dims->d_head;
  for (int s = 0; s < n_segment; s++) {
    double n = segments[s + 1] - segments[s];
    pairs += n * n;
  }
  mv_cost cost = {(double)dims->n_row * dims->n_head * d *
                      (double)(3 * mv_dtype_bytes(dims->dtype) + mv_dtype_bytes(dims->out_dtype)),
                  4 * d * dims->n_head * pairs};
  return cost;
}

/* Element offset of token t's head in a layer's pages; which: 0 key, 1 value. */
static size_t cache_at(const mv_attention_dims *dims, const mv_seq_rows *seq, int which, int head,
                       int t) {
  size_t page = (size_t)seq->pages[t / MV_PAGE_TOKENS];
  size_t slab = (page * 2 + (size_t)which) * (size_t)dims->n_kv + (size_t)head;
  return (slab * MV_PAGE_TOKENS + (size_t)(t % MV_PAGE_TOKENS)) * (size_t)dims->d_head;
}

typedef struct kv_loop {
  const mv_cpu_simd *simd;
  const mv_attention_dims *dims;
  const mv_seq_plan *plan;
  const float *table;
  void *qkv, *cache;
} kv_loop;

/* Row i of a run: heads of queries, keys, values. */
static void place_row(const kv_loop *l, const mv_seq_rows *seq, int i) {
  const mv_attention_dims *dims = l->dims;
  int d = dims->d_head, n_head = dims->n_head, n_kv = dims->n_kv, t = seq->pos0 + i;
  size_t row = (size_t)(seq->row0 + i);
  for (int h = 0; h < n_head + 2 * n_kv; h++) {
    float head[MAX_D_HEAD];
    size_t at = row * (size_t)dims->ldq + (size_t)h * (size_t)d;
    int which = h >= n_head + n_kv; /* of keys and values */
    mv_row_load(l->simd, dims->dtype, mv_at(l->qkv, dims->dtype, at), head, d);
    if (!which) mv_rotate(head, l->table + row * (size_t)d, d / 2);
    if (h < n_head)
      mv_row_store(l->simd, dims->dtype, head, mv_at_mut(l->qkv, dims->dtype, at), d);
    else
      mv_row_store(l->simd, dims->kv_dtype, head,
                   mv_at_mut(l->cache, dims->kv_dtype,
                             cache_at(dims, seq, which, h - n_head - which * n_kv, t)),
                   d);
  }
}

/* Rows [first, end) of all runs, counted one after the other. */
static void place_rows(const void *loop, int first, int end, int thread) {
  const kv_loop *l = loop;
  const mv_seq_rows *seq = l->plan->seqs;
  (void)thread;
  for (int i = first, run0 = 0; i < end; i++) {
    for (; i - run0 >= seq->n_row; seq++) run0 += seq->n_row;
    place_row(l, seq, i - run0);
  }
}

/* What the rows are told by is what is read. */
void mv_plan_cpu(mv_device *device, const mv_seq_rows *seqs, int n_seq,
                 const mv_attention_dims *dims, mv_seq_plan *plan) {
  (void)device;
  (void)dims;
  *plan = (mv_seq_plan){seqs, n_seq, NULL};
}

void mv_rope_kv_cpu(mv_device *device, const mv_attention_dims *dims, const mv_seq_plan *plan,
                    const float *table, void *qkv, void *cache) {
  assert(dims->d_head % 2 == 0 && dims->d_head <= MAX_D_HEAD);
  if (device->error.code != MV_OK) return;
  kv_loop loop = {mv_cpu_simd_of(device), dims, plan, table, qkv, cache};
  int n_row = 0;
  for (int s = 0; s < plan->n_seq; s++) n_row += plan->seqs[s].n_row;
  mv_cpu_run(device, 40 * mv_rope_kv_cost(dims).flops, n_row, place_rows, &loop);
}

/* ---- moving tokens ---- */

mv_cost mv_kv_copy_cost(const mv_kv_copy_dims *dims, const mv_kv_move *moves, int n_move) {
  double row = 2.0 * dims->n_kv * dims->d_head * (double)mv_dtype_bytes(dims->kv_dtype), n = 0;
  for (int i = 0; i < n_move; i++) n += moves[i].n;
  mv_cost cost = {2 * n * dims->n_layer * row, 0};
  return cost;
}

/* Bytes of the pages before the row of head `plane` (keys of all heads, then values) of a slot. */
static size_t slot_at(const mv_kv_copy_dims *dims, int32_t slot, int plane, size_t row_bytes) {
  size_t slab = (size_t)(slot / MV_PAGE_TOKENS) * 2 * (size_t)dims->n_kv + (size_t)plane;
  return (slab * MV_PAGE_TOKENS + (size_t)(slot % MV_PAGE_TOKENS)) * row_bytes;
}

void mv_kv_copy_cpu(mv_device *device, const mv_kv_copy_dims *dims, const mv_kv_move *moves,
                    int n_move, void *cache) {
  assert(n_move <= MV_KV_MOVES);
  if (device->error.code != MV_OK) return;
  size_t row = (size_t)dims->d_head * mv_dtype_bytes(dims->kv_dtype);
  for (int layer = 0; layer < dims->n_layer; layer++) {
    char *pages = (char *)cache + (size_t)layer * dims->layer_bytes;
    for (int plane = 0; plane < 2 * dims->n_kv; plane++)
      for (int i = 0; i < n_move; i++)
        memcpy(pages + slot_at(dims, moves[i].dst, plane, row),
               pages + slot_at(dims, moves[i].src, plane, row), (size_t)moves[i].n * row);
  }
}

/* ---- the shared core: a block of queries against tiles of keys ---- */

/* One thread's working set. Where the machine multiplies bf16 pairs and everything is bf16,
 * queries, keys, weights and values are pairs (kernels/cpu_simd.h); everywhere else f32. Sums are
 * f32. */
typedef struct tiles {
  const mv_cpu_simd *simd;
  int d, is_pairs, n_cell;             /* n_cell: 32-bit cells of a head */
  float scale;                         /* of scores */
  float q[QUERY_BLOCK * MAX_D_HEAD];   /* queries                 */
  float out[QUERY_BLOCK * MAX_D_HEAD]; /* sums so far             */
  float k[MAX_D_HEAD * MV_KEY_TILE];   /* keys of a tile, [n_cell][64] */
  float v[MV_KEY_TILE * MAX_D_HEAD];   /* values, [64][d] or [32][d] pairs */
  float scores[QUERY_BLOCK * MV_KEY_TILE];
  uint16_t weights[QUERY_BLOCK * MV_KEY_TILE]; /* exp(scores), of pairs; else they replace scores */
  float max[QUERY_BLOCK], sum[QUERY_BLOCK];
} tiles;

static void start_queries(tiles *t, const mv_cpu_simd *simd, const mv_attention_dims *dims,
                          mv_dtype kv_dtype, int n_query) {
  t->simd = simd;
  t->d = dims->d_head;
  t->is_pairs = simd->has_bf16 && kv_dtype == MV_DTYPE_BF16;
  t->n_cell = t->is_pairs ? t->d / 2 : t->d;
  t->scale = 1.0f / sqrtf((float)t->d);
  memset(t->out, 0, (size_t)n_query * (size_t)t->d * sizeof *t->out);
  for (int i = 0; i < n_query; i++) {
    t->max[i] = -INFINITY;
    t->sum[i] = 0;
  }
}

static void load_query(tiles *t, int i, mv_dtype dtype, const void *q) {
  float *cells = t->q + i * t->n_cell;
  mv_row_copy(t->simd, dtype, q, t->is_pairs ? MV_DTYPE_BF16 : MV_DTYPE_F32, cells, t->d);
}

/* Keys and values of n_key rows, ld elements apart. Slots past n_key are zero: their scores are
 * masked. */
static void load_tile(tiles *t, mv_dtype dtype, const void *k, const void *v, size_t ld,
                      int n_key) {
  int n_run = ld == (size_t)t->d ? n_key : 1; /* rows of a page adjoin */
  size_t ld_bytes = ld * mv_dtype_bytes(dtype);
  if (dtype == MV_DTYPE_BF16 && !t->is_pairs)
    t->simd->tile_keys_parted(k, ld_bytes, n_key, t->d / 2, t->k);
  else
    t->simd->tile_keys(k, ld_bytes, n_key, t->n_cell, t->k);
  if (t->is_pairs)
    t->simd->tile_pairs(v, ld, n_key, t->d, t->v);
  else
    for (int j = 0; j < n_key; j += n_run)
      mv_row_load(t->simd, dtype, mv_at(v, dtype, (size_t)j * ld), t->v + j * t->d, n_run * t->d);
}

static void ask_for(const void *p, size_t n_byte) {
  for (size_t i = 0; i < n_byte; i += 64) __builtin_prefetch((const char *)p + i, 0, 3);
}

static void score_tile(tiles *t, int n_query) {
  if (t->is_pairs)
    t->simd->tile_scores_bf16(t->q, n_query, t->k, t->n_cell, t->scores);
  else
    t->simd->tile_scores_f32(t->q, n_query, t->k, t->n_cell, t->scores);
}

/* Scores of a tile become weights in the running softmax of each query, in passes over all queries:
 * what one query does waits for itself, but not for the others. Hidden scores are -infinity. */
static void fold_scores(tiles *t, int n_query) {
  const mv_cpu_simd *simd = t->simd;
  float shrink[QUERY_BLOCK];
  for (int i = 0; i < n_query; i++) {
    float max = simd->largest(t->scores + i * MV_KEY_TILE, MV_KEY_TILE, t->max[i]);
    shrink[i] = t->max[i] == max ? 0 : (t->max[i] - max) * t->scale; /* both may be infinite */
    t->max[i] = max;
  }
  for (int i = 0; i < n_query; i++) {
    float *s = t->scores + i * MV_KEY_TILE;
    float sum = t->is_pairs ? simd->exp_sum_bf16(s, MV_KEY_TILE, t->max[i], t->scale,
                                                 t->weights + i * MV_KEY_TILE)
                            : simd->exp_sum(s, MV_KEY_TILE, t->max[i], t->scale);
    if (shrink[i] != 0) { /* another largest score than before */
      float factor = expf(shrink[i]), *out = t->out + i * t->d;
      for (int c = 0; c < t->d; c++) out[c] *= factor;
      t->sum[i] *= factor;
    }
    t->sum[i] += sum;
  }
}

static void add_values(tiles *t, int n_query, int n_key) {
  if (t->is_pairs)
    t->simd->tile_values_bf16(t->weights, MV_KEY_TILE / 2, n_query, t->v, (n_key + 1) / 2, t->d,
                              t->out);
  else
    t->simd->tile_values_f32(t->scores, MV_KEY_TILE, n_query, t->v, n_key, t->d, t->out);
}

static void store_queries(tiles *t, int n_query, mv_dtype dtype, void *const *dst) {
  for (int i = 0; i < n_query; i++) {
    float *out = t->out + i * t->d;
    for (int c = 0; c < t->d; c++) out[c] /= t->sum[i];
    mv_row_store(t->simd, dtype, out, dst[i], t->d);
  }
}

static tiles *thread_tiles(mv_device *device) {
  return mv_device_scratch(device, (size_t)device->n_thread * sizeof(tiles));
}

/* ---- causal attention over pages ---- */

static void hide_keys(float *scores, int first) {
  for (int j = first; j < MV_KEY_TILE; j++) scores[j] = -INFINITY;
}

/* Those of a tile that are rows of the run and not named in `bits`. */
static void hide_branches(float *scores, int visible, int first_row, uint64_t bits) {
  for (int j = first_row < 0 ? -first_row : 0; j < visible; j++)
    if (!(bits >> (first_row + j) & 1)) scores[j] = -INFINITY;
}

typedef struct page_loop {
  const mv_cpu_simd *simd;
  const mv_attention_dims *dims;
  const mv_seq_plan *plan;
  const void *q, *cache;
  void *out;
  tiles *tiles; /* [thread] */
} page_loop;

/* A block of n rows of a run from `row` on, and one key head: n * group queries, row-major. */
typedef struct page_block {
  const mv_seq_rows *seq;
  int kv, row, n;
} page_block;

static void load_queries(const page_loop *l, const page_block *b, tiles *t, void **dst) {
  const mv_attention_dims *dims = l->dims;
  int d = dims->d_head, group = dims->n_head / dims->n_kv;
  start_queries(t, l->simd, dims, dims->kv_dtype, b->n * group);
  for (int i = 0; i < b->n * group; i++) {
    size_t head = (size_t)(b->kv * group + i % group) * (size_t)d;
    size_t r = (size_t)(b->seq->row0 + b->row + i / group);
    load_query(t, i, dims->dtype, mv_at(l->q, dims->dtype, r * (size_t)dims->ldq + head));
    dst[i] = mv_at_mut(l->out, dims->out_dtype, r * (size_t)dims->ldo + head);
  }
}

static const void *page_part(const page_loop *l, const page_block *b, int which, int key0) {
  return mv_at(l->cache, l->dims->kv_dtype, cache_at(l->dims, b->seq, which, b->kv, key0));
}

/* The tile from key0 on, and word that the next will be wanted. */
static void load_page(const page_loop *l, const page_block *b, tiles *t, int key0, int n_key,
                      int is_last) {
  mv_dtype dtype = l->dims->kv_dtype;
  size_t bytes = (size_t)MV_KEY_TILE * (size_t)t->d * mv_dtype_bytes(dtype);
  load_tile(t, dtype, page_part(l, b, 0, key0), page_part(l, b, 1, key0), (size_t)t->d, n_key);
  for (int which = 0; which < 2 && !is_last; which++)
    ask_for(page_part(l, b, which, key0 + MV_KEY_TILE), bytes);
}

static void attend_pages(const page_loop *l, const page_block *b, tiles *t) {
  const mv_seq_rows *seq = b->seq;
  int group = l->dims->n_head / l->dims->n_kv, n_query = b->n * group;
  int n_ctx = seq->pos0 + b->row + b->n;
  void *dst[QUERY_BLOCK];
  load_queries(l, b, t, dst);
  for (int key0 = 0; key0 < n_ctx; key0 += MV_KEY_TILE) {
    int is_last = key0 + MV_KEY_TILE >= n_ctx, n_key = is_last ? n_ctx - key0 : MV_KEY_TILE;
    load_page(l, b, t, key0, n_key, is_last);
    score_tile(t, n_query);
    for (int i = 0; i < n_query && key0 + MV_KEY_TILE > seq->pos0; i++) {
      int row = b->row + i / group, visible = seq->pos0 + row + 1 - key0;
      float *scores = t->scores + i * MV_KEY_TILE;
      hide_keys(scores, visible < 0 ? 0 : visible);
      if (seq->tree) hide_branches(scores, n_key, key0 - seq->pos0, seq->tree[row]);
    }
    fold_scores(t, n_query);
    add_values(t, n_query, n_key);
  }
  store_queries(t, n_query, l->dims->out_dtype, dst);
}

static int rows_a_block(const mv_attention_dims *dims) {
  return QUERY_BLOCK / (dims->n_head / dims->n_kv);
}

/* Runs of rows that share a key tile. */
static int blocks_of(const mv_attention_dims *dims, const mv_seq_rows *seq) {
  return (seq->n_row + rows_a_block(dims) - 1) / rows_a_block(dims);
}

/* Item i of the work: a block of one sequence and a key head; the longest of a sequence first. */
static page_block nth_block(const page_loop *l, int i) {
  const mv_attention_dims *dims = l->dims;
  const mv_seq_rows *seq = l->plan->seqs;
  for (; i >= blocks_of(dims, seq) * dims->n_kv; seq++) i -= blocks_of(dims, seq) * dims->n_kv;
  int row = (blocks_of(dims, seq) - 1 - i / dims->n_kv) * rows_a_block(dims);
  int left = seq->n_row - row, n = left < rows_a_block(dims) ? left : rows_a_block(dims);
  return (page_block){seq, i % dims->n_kv, row, n};
}

static void attend_blocks(const void *loop, int first, int end, int thread) {
  const page_loop *l = loop;
  for (int i = first; i < end; i++) {
    page_block block = nth_block(l, i);
    attend_pages(l, &block, &l->tiles[thread]);
  }
}

void mv_attention_cpu(mv_device *device, const mv_attention_dims *dims, const mv_seq_plan *plan,
                      const void *q, const void *cache, void *out) {
  int n_block = 0;
  assert(dims->d_head <= MAX_D_HEAD && dims->d_head % 16 == 0);
  assert(dims->n_head / dims->n_kv <= QUERY_BLOCK);
  tiles *all = device->error.code == MV_OK ? thread_tiles(device) : NULL;
  if (!all) return;
  page_loop loop = {mv_cpu_simd_of(device), dims, plan, q, cache, out, all};
  for (int s = 0; s < plan->n_seq; s++) n_block += blocks_of(dims, &plan->seqs[s]) * dims->n_kv;
  double flops = mv_attention_cost(dims, plan->seqs, plan->n_seq).flops;
  mv_cpu_run(device, 4 * flops, n_block, attend_blocks, &loop);
}

/* ---- attention within segments ---- */

typedef struct segment_loop {
  const mv_cpu_simd *simd;
  const mv_attention_dims *dims;
  const int32_t *segments;
  const void *q, *k, *v;
  void *out;
  tiles *tiles; /* [thread] */
} segment_loop;

/* n rows from `row` on, and one head. */
static void attend_segment(const segment_loop *l, const int32_t *segment, int head, int row, int n,
                           tiles *t) {
  const mv_attention_dims *dims = l->dims;
  size_t col = (size_t)head * (size_t)dims->d_head, ldkv = (size_t)dims->ldkv;
  void *dst[QUERY_BLOCK];
  start_queries(t, l->simd, dims, dims->dtype, n);
  for (int i = 0; i < n; i++) {
    size_t r = (size_t)(row + i);
    load_query(t, i, dims->dtype, mv_at(l->q, dims->dtype, r * (size_t)dims->ldq + col));
    dst[i] = mv_at_mut(l->out, dims->out_dtype, r * (size_t)dims->ldo + col);
  }
  for (int key0 = segment[0]; key0 < segment[1]; key0 += MV_KEY_TILE) {
    int n_key = segment[1] - key0 < MV_KEY_TILE ? segment[1] - key0 : MV_KEY_TILE;
    size_t at = (size_t)key0 * ldkv + col;
    load_tile(t, dims->dtype, mv_at(l->k, dims->dtype, at), mv_at(l->v, dims->dtype, at), ldkv,
              n_key);
    score_tile(t, n);
    for (int i = 0; i < n; i++) hide_keys(t->scores + i * MV_KEY_TILE, n_key);
    fold_scores(t, n);
    add_values(t, n, n_key);
  }
  store_queries(t, n, dims->out_dtype, dst);
}

/* Item i of the work: all of a segment, and a head. */
static void attend_segments(const void *loop, int first, int end, int thread) {
  const segment_loop *l = loop;
  for (int i = first; i < end; i++) {
    const int32_t *segment = l->segments + i / l->dims->n_head;
    for (int row = segment[0]; row < segment[1]; row += QUERY_BLOCK) {
      int n = segment[1] - row < QUERY_BLOCK ? segment[1] - row : QUERY_BLOCK;
      attend_segment(l, segment, i % l->dims->n_head, row, n, &l->tiles[thread]);
    }
  }
}

void mv_window_attention_cpu(mv_device *device, const mv_attention_dims *dims,
                             const int32_t *segments, int n_segment, const void *q, const void *k,
                             const void *v, void *out) {
  assert(dims->d_head <= MAX_D_HEAD && dims->d_head % 16 == 0 && dims->n_kv == dims->n_head);
  tiles *all = device->error.code == MV_OK ? thread_tiles(device) : NULL;
  if (!all) return;
  segment_loop loop = {mv_cpu_simd_of(device), dims, segments, q, k, v, out, all};
  double flops = mv_window_attention_cost(dims, segments, n_segment).flops;
  mv_cpu_run(device, flops, n_segment * dims->n_head, attend_segments, &loop);
}
