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

/* Row i of a run: heads of queries, keys, values. */
static void place_row(const mv_cpu_simd *simd, const mv_attention_dims *dims,
                      const mv_seq_rows *seq, int i, const float *table, void *qkv, void *cache) {
  int d = dims->d_head, n_head = dims->n_head, n_kv = dims->n_kv, t = seq->pos0 + i;
  size_t row = (size_t)(seq->row0 + i);
  for (int h = 0; h < n_head + 2 * n_kv; h++) {
    float head[MAX_D_HEAD];
    size_t at = row * (size_t)dims->ldq + (size_t)h * (size_t)d;
    int which = h >= n_head + n_kv; /* of keys and values */
    mv_row_load(simd, dims->dtype, mv_at(qkv, dims->dtype, at), head, d);
    if (!which) mv_rotate(head, table + row * (size_t)d, d / 2);
    if (h < n_head)
      mv_row_store(simd, dims->dtype, head, mv_at_mut(qkv, dims->dtype, at), d);
    else
      mv_row_store(simd, dims->kv_dtype, head,
                   mv_at_mut(cache, dims->kv_dtype,
                             cache_at(dims, seq, which, h - n_head - which * n_kv, t)),
                   d);
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
  const mv_cpu_simd *simd = mv_cpu_simd_of(device);
  int n_thread = mv_cpu_threads(device, mv_rope_kv_cost(dims).flops);
  for (int s = 0; s < plan->n_seq; s++) {
    const mv_seq_rows *seq = &plan->seqs[s];
#pragma omp parallel for schedule(static) num_threads(n_thread)
    for (int i = 0; i < seq->n_row; i++) place_row(simd, dims, seq, i, table, qkv, cache);
  }
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

/* One thread's working set. */
typedef struct tiles {
  float q[QUERY_BLOCK * MAX_D_HEAD];   /* scaled queries          */
  float out[QUERY_BLOCK * MAX_D_HEAD]; /* sums so far             */
  float k[MAX_D_HEAD * MV_KEY_TILE];   /* keys of a tile, [d][64] */
  float v[MV_KEY_TILE * MAX_D_HEAD];   /* values, [64][d]         */
  float scores[QUERY_BLOCK * MV_KEY_TILE];
  float max[QUERY_BLOCK], sum[QUERY_BLOCK];
} tiles;

static void start_queries(tiles *t, int n_query, int d) {
  memset(t->out, 0, (size_t)n_query * (size_t)d * sizeof *t->out);
  for (int i = 0; i < n_query; i++) {
    t->max[i] = -INFINITY;
    t->sum[i] = 0;
  }
}

/* Brings n_key keys and values (rows ld elements apart) into f32, keys transposed. Slots past n_key
 * are zero: their scores are masked. */
static void load_tile(const mv_cpu_simd *simd, tiles *t, mv_dtype dtype, const void *k,
                      const void *v, size_t ld, int n_key, int d) {
  if (dtype == MV_DTYPE_BF16)
    simd->tile_keys_bf16(k, ld, n_key, d, t->k);
  else
    simd->tile_keys_f32(k, ld, n_key, d, t->k);
  int n_run = ld == (size_t)d ? n_key : 1; /* rows of a page adjoin */
  for (int j = 0; j < n_key; j += n_run)
    mv_row_load(simd, dtype, mv_at(v, dtype, (size_t)j * ld), t->v + j * d, n_run * d);
}

/* Adds one loaded tile to query i's running softmax; it sees the first `visible` keys. */
static void fold_scores(const mv_cpu_simd *simd, tiles *t, int i, int visible, int d) {
  float *s = t->scores + i * MV_KEY_TILE;
  for (int j = visible; j < MV_KEY_TILE; j++) s[j] = -INFINITY;
  float max = simd->largest(s, MV_KEY_TILE);
  if (t->max[i] > max) max = t->max[i];
  float shrink = t->max[i] == max ? 1.0f : expf(t->max[i] - max);
  float *out = t->out + i * d;
  if (shrink != 1.0f)
    for (int c = 0; c < d; c++) out[c] *= shrink;
  t->sum[i] = t->sum[i] * shrink + simd->exp_sum(s, MV_KEY_TILE, max);
  t->max[i] = max;
}

static void store_queries(const mv_cpu_simd *simd, tiles *t, int n_query, int d, mv_dtype dtype,
                          void *const *dst) {
  for (int i = 0; i < n_query; i++) {
    float *out = t->out + i * d;
    for (int c = 0; c < d; c++) out[c] /= t->sum[i];
    mv_row_store(simd, dtype, out, dst[i], d);
  }
}

static void load_query(const mv_cpu_simd *simd, tiles *t, int i, mv_dtype dtype, const void *q,
                       int d) {
  float scale = 1.0f / sqrtf((float)d);
  mv_row_load(simd, dtype, q, t->q + i * d, d);
  for (int c = 0; c < d; c++) t->q[i * d + c] *= scale;
}

static tiles *thread_tiles(mv_device *device) {
  return mv_device_scratch(device, (size_t)device->n_thread * sizeof(tiles));
}

/* ---- causal attention over pages ---- */

/* Hides the keys of a tile that are rows of the run `bits` does not name. */
static void hide_branches(float *scores, int visible, int first_row, uint64_t bits) {
  for (int j = first_row < 0 ? -first_row : 0; j < visible; j++)
    if (!(bits >> (first_row + j) & 1)) scores[j] = -INFINITY;
}

/* All queries of rows [row, row + n) that share key head kv: n * group of them, row-major. */
static void attend_pages(const mv_cpu_simd *simd, const mv_attention_dims *dims,
                         const mv_seq_rows *seq, int kv, int row, int n, const void *q,
                         const void *cache, void *out, tiles *t) {
  int d = dims->d_head, group = dims->n_head / dims->n_kv;
  void *dst[QUERY_BLOCK];
  for (int i = 0; i < n * group; i++) {
    size_t head = (size_t)(kv * group + i % group) * (size_t)d;
    size_t r = (size_t)(seq->row0 + row + i / group);
    load_query(simd, t, i, dims->dtype, mv_at(q, dims->dtype, r * (size_t)dims->ldq + head), d);
    dst[i] = mv_at_mut(out, dims->out_dtype, r * (size_t)dims->ldo + head);
  }
  start_queries(t, n * group, d);
  int n_ctx = seq->pos0 + row + n;
  for (int key0 = 0; key0 < n_ctx; key0 += MV_KEY_TILE) {
    int n_key = n_ctx - key0 < MV_KEY_TILE ? n_ctx - key0 : MV_KEY_TILE;
    load_tile(simd, t, dims->kv_dtype,
              mv_at(cache, dims->kv_dtype, cache_at(dims, seq, 0, kv, key0)),
              mv_at(cache, dims->kv_dtype, cache_at(dims, seq, 1, kv, key0)), (size_t)d, n_key, d);
    simd->tile_scores(t->q, n * group, t->k, d, t->scores);
    for (int i = 0; i < n * group; i++) {
      int visible = seq->pos0 + row + i / group + 1 - key0;
      if (visible > n_key) visible = n_key;
      if (seq->tree)
        hide_branches(t->scores + i * MV_KEY_TILE, visible, key0 - seq->pos0,
                      seq->tree[row + i / group]);
      if (visible > 0)
        fold_scores(simd, t, i, visible, d);
      else
        memset(t->scores + i * MV_KEY_TILE, 0, MV_KEY_TILE * sizeof *t->scores);
    }
    simd->tile_values(t->scores, n * group, t->v, n_key, d, t->out);
  }
  store_queries(simd, t, n * group, d, dims->out_dtype, dst);
}

/* Runs of rows that share a key tile. */
static int blocks_of(const mv_seq_rows *seq, int rows_a_block) {
  return (seq->n_row + rows_a_block - 1) / rows_a_block;
}

/* Part i of the work: a block of one sequence and a key head; the longest of a sequence first. */
static void attend_part(const mv_cpu_simd *simd, const mv_attention_dims *dims,
                        const mv_seq_rows *seq, int i, const void *q, const void *cache, void *out,
                        tiles *t) {
  int rows_a_block = QUERY_BLOCK / (dims->n_head / dims->n_kv);
  while (i >= blocks_of(seq, rows_a_block) * dims->n_kv)
    i -= blocks_of(seq++, rows_a_block) * dims->n_kv;
  int row = (blocks_of(seq, rows_a_block) - 1 - i / dims->n_kv) * rows_a_block;
  int n = seq->n_row - row < rows_a_block ? seq->n_row - row : rows_a_block;
  attend_pages(simd, dims, seq, i % dims->n_kv, row, n, q, cache, out, t);
}

void mv_attention_cpu(mv_device *device, const mv_attention_dims *dims, const mv_seq_plan *plan,
                      const void *q, const void *cache, void *out) {
  const mv_seq_rows *seqs = plan->seqs;
  int n_seq = plan->n_seq;
  int group = dims->n_head / dims->n_kv, n_part = 0;
  assert(dims->d_head <= MAX_D_HEAD && dims->d_head % 16 == 0 && group <= QUERY_BLOCK);
  tiles *all = device->error.code == MV_OK ? thread_tiles(device) : NULL;
  if (!all) return;
  const mv_cpu_simd *simd = mv_cpu_simd_of(device);
  for (int s = 0; s < n_seq; s++) n_part += blocks_of(&seqs[s], QUERY_BLOCK / group) * dims->n_kv;
  int n_thread = mv_cpu_threads(device, 4 * mv_attention_cost(dims, seqs, n_seq).flops);
#pragma omp parallel for schedule(dynamic, 1) num_threads(n_thread)
  for (int i = 0; i < n_part; i++)
    attend_part(simd, dims, seqs, i, q, cache, out, all + mv_cpu_thread());
}

/* ---- attention within segments ---- */

static void attend_segment(const mv_cpu_simd *simd, const mv_attention_dims *dims, int head,
                           const int32_t *segment, int row, int n, const void *const qkv[3],
                           void *out, tiles *t) {
  int d = dims->d_head;
  size_t col = (size_t)head * (size_t)d;
  void *dst[QUERY_BLOCK];
  for (int i = 0; i < n; i++) {
    size_t r = (size_t)(row + i);
    load_query(simd, t, i, dims->dtype, mv_at(qkv[0], dims->dtype, r * (size_t)dims->ldq + col), d);
    dst[i] = mv_at_mut(out, dims->out_dtype, r * (size_t)dims->ldo + col);
  }
  start_queries(t, n, d);
  for (int key0 = segment[0]; key0 < segment[1]; key0 += MV_KEY_TILE) {
    int n_key = segment[1] - key0 < MV_KEY_TILE ? segment[1] - key0 : MV_KEY_TILE;
    size_t at = (size_t)key0 * (size_t)dims->ldkv + col;
    load_tile(simd, t, dims->dtype, mv_at(qkv[1], dims->dtype, at), mv_at(qkv[2], dims->dtype, at),
              (size_t)dims->ldkv, n_key, d);
    simd->tile_scores(t->q, n, t->k, d, t->scores);
    for (int i = 0; i < n; i++) fold_scores(simd, t, i, n_key, d);
    simd->tile_values(t->scores, n, t->v, n_key, d, t->out);
  }
  store_queries(simd, t, n, d, dims->out_dtype, dst);
}

void mv_window_attention_cpu(mv_device *device, const mv_attention_dims *dims,
                             const int32_t *segments, int n_segment, const void *q, const void *k,
                             const void *v, void *out) {
  assert(dims->d_head <= MAX_D_HEAD && dims->d_head % 16 == 0 && dims->n_kv == dims->n_head);
  tiles *all = device->error.code == MV_OK ? thread_tiles(device) : NULL;
  if (!all) return;
  const mv_cpu_simd *simd = mv_cpu_simd_of(device);
  const void *const qkv[3] = {q, k, v};
  int n_thread = mv_cpu_threads(device, mv_window_attention_cost(dims, segments, n_segment).flops);
#pragma omp parallel for collapse(2) schedule(dynamic, 1) num_threads(n_thread)
  for (int s = 0; s < n_segment; s++)
    for (int head = 0; head < dims->n_head; head++)
      for (int row = segments[s]; row < segments[s + 1]; row += QUERY_BLOCK) {
        int n = segments[s + 1] - row < QUERY_BLOCK ? segments[s + 1] - row : QUERY_BLOCK;
        attend_segment(simd, dims, head, segments + s, row, n, qkv, out, all + mv_cpu_thread());
      }
}
