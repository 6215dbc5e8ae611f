/* rope_kv, attention over shuffled pages, kv_copy, window_attention.
 *
 * The pages of a case's sequences are drawn in a shuffled order among spare ones. Attention finds
 * random numbers in the slots of their tokens and NaN in all others, so that a wrong page, slot or
 * mask reads something else and an unused slot spoils whatever it touches. */
#include <math.h>
#include <string.h>

#include "kernels/cpu.h"
#include "runtime/memory.h"
#include "tests/kernels/cases.h"
#include "tests/tolerances.h"

enum { Q, K, V, CACHE };

#define SPARE_PAGES 3

static int pages_of(kernel_span span) {
  return (span.pos0 + span.n_row + MV_PAGE_TOKENS - 1) / MV_PAGE_TOKENS;
}

static int total_pages(const kernel_case *c) {
  int n = SPARE_PAGES;
  for (int s = 0; s < c->n_span; s++) n += pages_of(c->spans[s]);
  return n;
}

static mv_attention_dims dims_of(const kernel_case *c) {
  mv_attention_dims dims = {c->n_row,
                            c->n_head,
                            c->n_kv,
                            c->d_head,
                            c->n_head * c->d_head + c->pad,
                            c->n_kv * c->d_head + c->pad,
                            c->n_head * c->d_head + c->pad,
                            c->x,
                            c->w,
                            c->y};
  return dims;
}

/* Page tables: a shuffled list of all pages, dealt to the sequences. */
static void deal_pages(kernel_run *run) {
  const kernel_case *c = run->c;
  int n = total_pages(c);
  kernel_ints(run, (size_t)n);
  run->seqs = mv_calloc((size_t)c->n_span, sizeof *run->seqs);
  if (!run->seqs) mv_fail(&run->device->error, MV_ERR_MEMORY, "no memory for a case");
  if (run->device->error.code != MV_OK) return;
  for (int i = 0; i < n; i++) run->ints[i] = i;
  for (int i = n - 1; i > 0; i--) {
    int j = (int)(kernel_hash(run->seed, (uint64_t)i) % (uint64_t)(i + 1));
    int32_t t = run->ints[i];
    run->ints[i] = run->ints[j];
    run->ints[j] = t;
  }
  int row = 0;
  const int32_t *pages = run->ints;
  for (int s = 0; s < c->n_span; s++) {
    run->seqs[s] = (mv_seq_rows){row, c->spans[s].n_row, c->spans[s].pos0, pages, NULL};
    row += c->spans[s].n_row;
    pages += pages_of(c->spans[s]);
  }
}

static size_t slot(const kernel_case *c, int page, int which, int head, int t) {
  size_t slab = ((size_t)page * 2 + (size_t)which) * (size_t)c->n_kv + (size_t)head;
  return slab * MV_PAGE_TOKENS + (size_t)(t % MV_PAGE_TOKENS);
}

/* ---- rope_kv: the output is the cache, a row is one head of one slot; or, with `accumulate`, what
 * becomes of queries, keys and values where they are ---- */

enum { TABLE = Q, QKV = K };

static mv_attention_dims joined_dims(const kernel_case *c) {
  mv_attention_dims dims = dims_of(c);
  dims.ldq = (c->n_head + 2 * c->n_kv) * c->d_head + c->pad;
  return dims;
}

static void write_prepare(kernel_run *run) {
  const kernel_case *c = run->c;
  mv_attention_dims dims = joined_dims(c);
  int n_slot = total_pages(c) * 2 * c->n_kv * MV_PAGE_TOKENS;
  deal_pages(run);
  kernel_input(run, TABLE, MV_DTYPE_F32, (size_t)c->n_row * (size_t)c->d_head, 1);
  if (c->accumulate) {
    kernel_input(run, CACHE, c->w, (size_t)n_slot * (size_t)c->d_head, 1);
    kernel_output(run, c->x, (size_t)c->n_row, dims.ldq - c->pad, dims.ldq, 1);
  } else {
    kernel_input(run, QKV, c->x, (size_t)c->n_row * (size_t)dims.ldq, 1);
    kernel_output(run, c->w, (size_t)n_slot, c->d_head, c->d_head, 1);
  }
}

static void write_go(kernel_run *run) {
  mv_attention_dims dims = joined_dims(run->c);
  int in_place = run->c->accumulate;
  mv_seq_plan plan;
  run->ops->plan(run->device, run->seqs, run->c->n_span, &dims, &plan);
  run->ops->rope_kv(run->device, &dims, &plan, run->in[TABLE].dev,
                    in_place ? kernel_out(run) : run->in[QKV].dev,
                    in_place ? run->in[CACHE].dev : kernel_out(run));
}

/* Element `at` of a head whose elements are x(0) ..., rotated by the table's row. */
static double rotated(const kernel_run *run, size_t row, const double *pair, int at,
                      double *slack) {
  int half = run->c->d_head / 2;
  size_t t = 2 * (row * (size_t)half + (size_t)(at % half));
  double c = kernel_value(&run->in[TABLE], t), s = kernel_value(&run->in[TABLE], t + 1);
  *slack = MV_TOL_FEW * (fabs(pair[0]) + fabs(pair[1]));
  return at < half ? pair[0] * c - pair[1] * s : pair[1] * c + pair[0] * s;
}

/* Which token of which sequence lies in slot t of a page; 0 when none of this step does. */
static int find_writer(const kernel_run *run, int page, int t, size_t *row) {
  for (int s = 0; s < run->c->n_span; s++)
    for (int i = 0; i < run->seqs[s].n_row; i++) {
      int at = run->seqs[s].pos0 + i;
      if (run->seqs[s].pages[at / MV_PAGE_TOKENS] != page || at % MV_PAGE_TOKENS != t) continue;
      *row = (size_t)(run->seqs[s].row0 + i);
      return 1;
    }
  return 0;
}

static void in_place_expect(const kernel_run *run, size_t row, int col, int n, double *want,
                            double *slack) {
  int d = run->c->d_head, half = d / 2;
  for (int i = 0; i < n; i++) {
    int at = (col + i) % d, first = col + i - at + at % half;
    double pair[2] = {kernel_initial(run, row, first), kernel_initial(run, row, first + half)};
    slack[i] = NAN;
    want[i] = col + i < run->c->n_head * d ? rotated(run, row, pair, at, &slack[i])
                                           : kernel_initial(run, row, col + i);
  }
}

static void write_expect(const kernel_run *run, size_t row, int col, int n, double *want,
                         double *slack) {
  const kernel_case *c = run->c;
  if (c->accumulate) {
    in_place_expect(run, row, col, n, want, slack);
    return;
  }
  size_t slab = row / MV_PAGE_TOKENS, plane = slab % (size_t)(2 * c->n_kv), from = 0;
  int page = (int)(slab / (size_t)(2 * c->n_kv)), half = c->d_head / 2;
  int written = find_writer(run, page, (int)(row % MV_PAGE_TOKENS), &from);
  size_t head = from * (size_t)joined_dims(c).ldq + ((size_t)c->n_head + plane) * (size_t)c->d_head;
  for (int i = 0; i < n; i++) {
    slack[i] = NAN;
    if (!written) {
      want[i] = kernel_initial(run, row, col + i);
    } else if (plane >= (size_t)c->n_kv) {
      want[i] = kernel_rounded(c->w, kernel_value(&run->in[QKV], head + (size_t)(col + i)));
    } else {
      size_t first = head + (size_t)((col + i) % half);
      double pair[2] = {kernel_value(&run->in[QKV], first),
                        kernel_value(&run->in[QKV], first + (size_t)half)};
      want[i] = rotated(run, from, pair, col + i, &slack[i]);
    }
  }
}

static mv_cost write_cost(const kernel_run *run) {
  mv_attention_dims dims = joined_dims(run->c);
  return mv_rope_kv_cost(&dims);
}

const kernel_op kernel_rope_kv = {"rope_kv", write_prepare, write_go, write_expect, write_cost};

/* ---- the definition, for one query ---- */

/* Where the keys and values of one query are: element offsets of token t. */
typedef struct key_list {
  const kernel_array *k, *v;
  const size_t *k_at, *v_at; /* [n] */
  int n;
} key_list;

/* Whether queries and weights are rounded to bf16, for bf16 keys and values. */
static int in_bf16(const kernel_run *run, const key_list *keys) {
  int has_bf16 = run->ops != &mv_ops_cpu || mv_cpu_simd_of(run->device)->has_bf16;
  return has_bf16 && keys->k->dtype == MV_DTYPE_BF16;
}

static double score_of(const kernel_run *run, size_t q_at, const key_list *keys, int t,
                       double *mag) {
  double sum = 0, scale = 1 / sqrt((double)run->c->d_head);
  mv_dtype dtype = in_bf16(run, keys) ? MV_DTYPE_BF16 : MV_DTYPE_F32;
  *mag = 0;
  for (int i = 0; i < run->c->d_head; i++) {
    double product = kernel_rounded(dtype, kernel_value(&run->in[Q], q_at + (size_t)i)) *
                     kernel_value(keys->k, keys->k_at[t] + (size_t)i) * scale;
    sum += product;
    *mag += fabs(product);
  }
  return sum;
}

static void attend(const kernel_run *run, size_t q_at, const key_list *keys, int i0, int n,
                   double *want, double *slack) {
  double *p = mv_alloc((size_t)keys->n * sizeof *p);
  if (!p) return; /* `want` stays NaN */
  double max = -INFINITY, worst = 0, sum = 0;
  for (int t = 0; t < keys->n; t++) {
    double mag;
    p[t] = score_of(run, q_at, keys, t, &mag);
    max = fmax(max, p[t]);
    worst = fmax(worst, mag);
  }
  for (int t = 0; t < keys->n; t++) sum += p[t] = exp(p[t] - max);
  for (int i = 0; i < n; i++) {
    double mean = 0, mag = 0, spread = 0;
    for (int t = 0; t < keys->n; t++) {
      double term = p[t] / sum * kernel_value(keys->v, keys->v_at[t] + (size_t)(i0 + i));
      mean += term;
      mag += fabs(term);
    }
    want[i] = mean;
    slack[i] = mv_tol_attention(keys->n, mv_tol_sum(run->c->d_head, worst), mag);
    if (!in_bf16(run, keys)) continue;
    for (int t = 0; t < keys->n; t++) {
      double far = kernel_value(keys->v, keys->v_at[t] + (size_t)(i0 + i)) - mean;
      spread += pow(p[t] / sum * far, 2);
    }
    slack[i] += mv_tol_weights(spread);
  }
  mv_free(p);
}

/* Splits columns [col, col + n) by heads and calls attend for each with offsets from `locate`. */
static void by_heads(const kernel_run *run, size_t row, int col, int n, int n_key,
                     void (*locate)(const kernel_run *, size_t row, int head, int t, size_t at[2]),
                     const kernel_array *k, const kernel_array *v, double *want, double *slack) {
  const kernel_case *c = run->c;
  size_t *at = mv_alloc(2 * (size_t)n_key * sizeof *at);
  for (int i = 0; i < n; i++) want[i] = slack[i] = NAN;
  for (int done = 0; at && done < n;) {
    int head = (col + done) / c->d_head, i0 = (col + done) % c->d_head;
    int m = c->d_head - i0 < n - done ? c->d_head - i0 : n - done;
    for (int t = 0; t < n_key; t++) {
      size_t pair[2];
      locate(run, row, head, t, pair);
      at[t] = pair[0];
      at[n_key + t] = pair[1];
    }
    key_list keys = {k, v, at, at + n_key, n_key};
    size_t q_at = row * (size_t)dims_of(c).ldq + (size_t)(head * c->d_head);
    attend(run, q_at, &keys, i0, m, want + done, slack + done);
    done += m;
  }
  mv_free(at);
}

/* ---- attention ---- */

/* Drafts that branch: every row continues an earlier one of its run, or the sequence itself. */
static void grow_trees(kernel_run *run) {
  const kernel_case *c = run->c;
  if (!c->tree || run->device->error.code != MV_OK) return;
  run->trees = mv_calloc((size_t)c->n_row, sizeof *run->trees);
  if (!run->trees) mv_fail(&run->device->error, MV_ERR_MEMORY, "no memory for a case");
  for (int s = 0; run->trees && s < c->n_span; s++) {
    uint64_t *tree = run->trees + run->seqs[s].row0;
    for (int i = 0; i < run->seqs[s].n_row; i++) {
      int parent = (int)(kernel_hash(run->seed + 1, (uint64_t)i) % (uint64_t)(i + 1)) - 1;
      tree[i] = (parent < 0 ? 0 : tree[parent]) | (uint64_t)1 << i;
    }
    run->seqs[s].tree = tree;
  }
}

/* NaN wherever no token of a sequence lies. */
static void poison_unused(kernel_run *run) {
  const kernel_case *c = run->c;
  const kernel_array *cache = &run->in[CACHE];
  size_t row = (size_t)c->d_head * mv_dtype_bytes(c->w);
  if (run->device->error.code != MV_OK) return;
  for (int i = 0, n = total_pages(c); i < n; i++) {
    int first = MV_PAGE_TOKENS; /* slot of page ints[i] that holds no token */
    for (int s = 0; s < c->n_span; s++) {
      int at = i - (int)(run->seqs[s].pages - run->ints);
      if (at < 0 || at >= pages_of(c->spans[s])) continue;
      first = c->spans[s].pos0 + c->spans[s].n_row - at * MV_PAGE_TOKENS;
    }
    if (i >= n - SPARE_PAGES) first = 0;
    for (int head = 0; head < 2 * c->n_kv; head++)
      for (int t = first; t < MV_PAGE_TOKENS; t++)
        memset((char *)cache->host + slot(c, run->ints[i], 0, head, t) * row, 0xFF, row);
  }
  if (cache->host != cache->dev)
    run->ops->upload(run->device, cache->dev, cache->host, cache->n * mv_dtype_bytes(c->w));
}

static void attention_prepare(kernel_run *run) {
  const kernel_case *c = run->c;
  mv_attention_dims dims = dims_of(c);
  deal_pages(run);
  grow_trees(run);
  kernel_input(run, Q, c->x, (size_t)c->n_row * (size_t)dims.ldq, 4);
  size_t cache_bytes = (size_t)total_pages(c) * mv_kv_page_bytes(c->n_kv, c->d_head, c->w);
  kernel_input(run, CACHE, c->w, cache_bytes / mv_dtype_bytes(c->w), 1);
  poison_unused(run);
  kernel_output(run, c->y, (size_t)c->n_row, c->n_head * c->d_head, dims.ldo, 0);
}

static void attention_go(kernel_run *run) {
  mv_attention_dims dims = dims_of(run->c);
  mv_seq_plan plan;
  run->ops->plan(run->device, run->seqs, run->c->n_span, &dims, &plan);
  run->ops->attention(run->device, &dims, &plan, run->in[Q].dev, run->in[CACHE].dev,
                      kernel_out(run));
}

static const mv_seq_rows *seq_of(const kernel_run *run, size_t row) {
  const mv_seq_rows *seq = run->seqs;
  while ((int)row >= seq->row0 + seq->n_row) seq++;
  return seq;
}

/* Token of the n-th key that a row sees; *n_key: how many there are. */
static int nth_visible(const kernel_run *run, size_t row, int n, int *n_key) {
  const mv_seq_rows *seq = seq_of(run, row);
  int i = (int)row - seq->row0, token = n;
  *n_key = seq->pos0 + i + 1;
  if (!seq->tree) return token;
  *n_key = seq->pos0;
  for (int j = 0; j <= i; j++)
    if (seq->tree[i] >> j & 1 && (*n_key)++ == n) token = seq->pos0 + j;
  return token;
}

static void locate_paged(const kernel_run *run, size_t row, int head, int n, size_t at[2]) {
  const kernel_case *c = run->c;
  int n_key, t = nth_visible(run, row, n, &n_key);
  int page = seq_of(run, row)->pages[t / MV_PAGE_TOKENS], kv = head / (c->n_head / c->n_kv);
  for (int which = 0; which < 2; which++)
    at[which] = slot(c, page, which, kv, t) * (size_t)c->d_head;
}

static void attention_expect(const kernel_run *run, size_t row, int col, int n, double *want,
                             double *slack) {
  int n_key;
  nth_visible(run, row, 0, &n_key);
  by_heads(run, row, col, n, n_key, locate_paged, &run->in[CACHE], &run->in[CACHE], want, slack);
}

static mv_cost attention_cost(const kernel_run *run) {
  mv_attention_dims dims = dims_of(run->c);
  return mv_attention_cost(&dims, run->seqs, run->c->n_span);
}

const kernel_op kernel_attention = {"attention", attention_prepare, attention_go, attention_expect,
                                    attention_cost};

/* ---- kv_copy: the output is the cache of all layers, a row is one head of one slot ---- */

/* Sources are in the first page, a move's destination in a page of its own; two pages stay. */
static size_t copy_pages(const kernel_case *c) { return (size_t)c->n_row + 3; }

static mv_kv_copy_dims copy_dims_of(const kernel_case *c) {
  mv_kv_copy_dims dims = {c->n_layer, c->n_kv, c->d_head,
                          copy_pages(c) * mv_kv_page_bytes(c->n_kv, c->d_head, c->w), c->w};
  return dims;
}

static mv_kv_move copy_move(const kernel_run *run, int i) {
  const int32_t *m = run->ints + 3 * (size_t)i;
  return (mv_kv_move){m[0], m[1], m[2]};
}

/* Runs of every length, from none to a whole page. */
static void copy_prepare(kernel_run *run) {
  const kernel_case *c = run->c;
  kernel_ints(run, 3 * (size_t)c->n_row + 1);
  if (run->device->error.code != MV_OK) return;
  for (int i = 0; i < c->n_row; i++) {
    int32_t *m = run->ints + 3 * (size_t)i;
    m[2] = (i + c->n_row) * 7 % (MV_PAGE_TOKENS + 1);
    uint64_t n_place = (uint64_t)(MV_PAGE_TOKENS - m[2] + 1);
    m[0] = (int32_t)(kernel_hash(run->seed, (uint64_t)i) % n_place);
    m[1] = (2 + i) * MV_PAGE_TOKENS + (int32_t)(kernel_hash(run->seed + 1, (uint64_t)i) % n_place);
  }
  size_t rows = (size_t)c->n_layer * copy_pages(c) * 2 * (size_t)c->n_kv * MV_PAGE_TOKENS;
  kernel_output(run, c->w, rows, c->d_head, c->d_head, 1);
}

static void copy_go(kernel_run *run) {
  mv_kv_copy_dims dims = copy_dims_of(run->c);
  mv_kv_move moves[MV_KV_MOVES];
  for (int i = 0; i < run->c->n_row; i++) moves[i] = copy_move(run, i);
  run->ops->kv_copy(run->device, &dims, moves, run->c->n_row, kernel_out(run));
}

static void copy_expect(const kernel_run *run, size_t row, int col, int n, double *want,
                        double *slack) {
  size_t plane = row / MV_PAGE_TOKENS, n_plane = 2 * (size_t)run->c->n_kv;
  size_t page = plane / n_plane % copy_pages(run->c), from = row;
  int slot = (int)(page * MV_PAGE_TOKENS + row % MV_PAGE_TOKENS);
  for (int i = 0; i < run->c->n_row; i++) {
    mv_kv_move m = copy_move(run, i);
    if (slot >= m.dst && slot < m.dst + m.n) /* from page 0 */
      from = (plane - page * n_plane) * MV_PAGE_TOKENS + (size_t)(m.src + slot - m.dst);
  }
  for (int i = 0; i < n; i++) {
    want[i] = kernel_initial(run, from, col + i);
    slack[i] = NAN;
  }
}

static mv_cost copy_cost(const kernel_run *run) {
  mv_kv_copy_dims dims = copy_dims_of(run->c);
  mv_kv_move moves[MV_KV_MOVES];
  for (int i = 0; i < run->c->n_row; i++) moves[i] = copy_move(run, i);
  return mv_kv_copy_cost(&dims, moves, run->c->n_row);
}

const kernel_op kernel_kv_copy = {"kv_copy", copy_prepare, copy_go, copy_expect, copy_cost};

/* ---- window_attention ---- */

static void window_prepare(kernel_run *run) {
  const kernel_case *c = run->c;
  mv_attention_dims dims = dims_of(c);
  kernel_ints(run, (size_t)c->n_span + 1);
  if (run->device->error.code != MV_OK) return;
  for (int s = 0; s < c->n_span; s++) run->ints[s + 1] = run->ints[s] + c->spans[s].n_row;
  for (int i = Q; i <= V; i++)
    kernel_input(run, i, c->x, (size_t)c->n_row * (size_t)dims.ldq, i == Q ? 4 : 1);
  kernel_output(run, c->y, (size_t)c->n_row, c->n_head * c->d_head, dims.ldo, 0);
}

static void window_go(kernel_run *run) {
  mv_attention_dims dims = dims_of(run->c);
  run->ops->window_attention(run->device, &dims, run->ints, run->c->n_span, run->in[Q].dev,
                             run->in[K].dev, run->in[V].dev, kernel_out(run));
}

static int segment_of(const kernel_run *run, size_t row) {
  int s = 0;
  while (run->ints[s + 1] <= (int32_t)row) s++;
  return s;
}

static void locate_row(const kernel_run *run, size_t row, int head, int t, size_t at[2]) {
  size_t r = (size_t)(run->ints[segment_of(run, row)] + t);
  at[0] = at[1] = r * (size_t)dims_of(run->c).ldkv + (size_t)(head * run->c->d_head);
}

static void window_expect(const kernel_run *run, size_t row, int col, int n, double *want,
                          double *slack) {
  int s = segment_of(run, row);
  by_heads(run, row, col, n, run->ints[s + 1] - run->ints[s], locate_row, &run->in[K], &run->in[V],
           want, slack);
}

static mv_cost window_cost(const kernel_run *run) {
  mv_attention_dims dims = dims_of(run->c);
  return mv_window_attention_cost(&dims, run->ints, run->c->n_span);
}

const kernel_op kernel_window_attention = {"window_attention", window_prepare, window_go,
                                           window_expect, window_cost};
