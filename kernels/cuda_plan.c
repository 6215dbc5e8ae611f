/* The operation `plan` on CUDA: counts what there will be, lays it out in host memory in one piece,
 * and copies that piece to the device. */
#include "kernels/cuda_plan.h"

#include <string.h>

#include "kernels/cuda.h"

/* So few take no time, and are not worth a recorded step of their own. */
#define LEAST_SPANS 64
#define LEAST_TREES 128
#define LEAST_PAGES 1024
#define LEAST_BYTES ((size_t)64 << 10)

static int rounded(int n, int least) {
  while (least < n) least *= 2;
  return least;
}

static int page_count(int n_token) { return (n_token + MV_PAGE_TOKENS - 1) / MV_PAGE_TOKENS; }

/* ---- items ---- */

static int tiles_of(const mv_seq_rows *seq, int group, int tile_rows) {
  return (seq->n_row * group + tile_rows - 1) / tile_rows;
}

/* Adds a span's items to n_item (and to items, when not NULL) and its runs to n_part. */
static void add_items(const mv_seq_rows *seq, int index, int group, int split, mv_cuda_plan *plan,
                      mv_attention_item *items) {
  int rows = plan->tile_rows, n_packed = seq->n_row * group;
  for (int tile = tiles_of(seq, group, rows) - 1; tile >= 0; tile--) { /* longest first */
    int last = (tile + 1) * rows < n_packed ? (tile + 1) * rows : n_packed;
    int n_page = page_count(seq->pos0 + (last - 1) / group + 1);
    int n_run = (n_page + MV_RUN_PAGES - 1) / MV_RUN_PAGES;
    int parts = split && n_run > 1 && n_run <= plan->max_part - plan->n_part;
    for (int run = 0; run < (parts ? n_run : 1); run++, plan->n_item++)
      if (items)
        items[plan->n_item] = (mv_attention_item){index, tile, parts ? run : -1, plan->n_part};
    if (parts) plan->n_part += n_run;
  }
}

static int is_few(const mv_seq_rows *seq, int group) { return seq->n_row * group <= MV_FEW_ROWS; }

/* Counts items and the runs they leave, and fills the list where it is not NULL. All spans have one
 * kind of tile, so that a step is one launch a layer whoever drafts. Runs are items of their own
 * for a token or two, and for all where tiles are too few to fill the device; as long as there is
 * room for what they leave. */
static void make_items(const mv_seq_rows *seqs, int n_seq, const mv_attention_dims *dims,
                       mv_cuda *cuda, mv_attention_item *items) {
  mv_cuda_plan *plan = &cuda->plan;
  int group = dims->n_head / dims->n_kv, n_tile = 0;
  plan->tile_rows = MV_FEW_ROWS;
  plan->n_item = plan->n_part = 0;
  for (int s = 0; s < n_seq; s++) {
    if (is_few(&seqs[s], group)) continue;
    plan->tile_rows = MV_MANY_ROWS;
    n_tile += tiles_of(&seqs[s], group, MV_MANY_ROWS);
  }
  plan->max_part = (int)(cuda->runs_bytes / mv_run_bytes(dims, plan->tile_rows));
  int split = n_tile * dims->n_kv < 2 * cuda->n_sm;
  for (int s = 0; s < n_seq; s++)
    add_items(&seqs[s], s, group, split || is_few(&seqs[s], group), plan, items);
}

/* ---- what items and rows refer to ---- */

static void fill_spans(const mv_seq_rows *seqs, int n_seq, mv_span *spans, uint64_t *trees,
                       int32_t *pages, int32_t *slots) {
  int page_at = 0, tree_at = 0;
  for (int s = 0; s < n_seq; s++) {
    const mv_seq_rows *seq = &seqs[s];
    int n_page = page_count(seq->pos0 + seq->n_row);
    spans[s] = (mv_span){seq->row0, seq->n_row, seq->pos0, page_at, -1, {0, 0, 0}};
    memcpy(pages + page_at, seq->pages, (size_t)n_page * sizeof *pages);
    page_at += n_page;
    for (int i = 0, token = seq->pos0; i < seq->n_row; i++, token++)
      slots[seq->row0 + i] =
          seq->pages[token / MV_PAGE_TOKENS] * MV_PAGE_TOKENS + token % MV_PAGE_TOKENS;
    if (!seq->tree) continue;
    spans[s].tree_at = tree_at;
    memcpy(trees + tree_at, seq->tree, (size_t)seq->n_row * sizeof *trees);
    tree_at += seq->n_row;
  }
}

/* Bytes from the beginning of the plan's memory. */
typedef struct layout {
  size_t spans, trees, slots, pages, end;
} layout;

/* Sizes of the lists, rounded; and where each will be. */
static layout lay_out(const mv_seq_rows *seqs, int n_seq, int n_row, mv_cuda_plan *plan) {
  int n_page = 0, n_tree = 0, max_row = 0;
  for (int s = 0; s < n_seq; s++) {
    n_page += page_count(seqs[s].pos0 + seqs[s].n_row);
    n_tree += seqs[s].tree ? seqs[s].n_row : 0;
    max_row = seqs[s].n_row > max_row ? seqs[s].n_row : max_row;
  }
  plan->n_item = rounded(plan->n_item, MV_LEAST_ITEMS);
  plan->n_span = rounded(n_seq, 4);
  plan->max_row = rounded(max_row, 4);
  layout at;
  at.spans = (size_t)plan->n_item * sizeof(mv_attention_item);
  at.trees = at.spans + (size_t)rounded(n_seq, LEAST_SPANS) * sizeof(mv_span);
  at.slots = at.trees + (size_t)rounded(n_tree, LEAST_TREES) * sizeof(uint64_t);
  at.pages = at.slots + (size_t)n_row * sizeof(int32_t);
  at.end = at.pages + (size_t)rounded(n_page, LEAST_PAGES) * sizeof(int32_t);
  return at;
}

/* Device memory of a plan outside a step; launches that still read the former are waited for. */
static int reserve(mv_device *device, mv_cuda_plan *plan, size_t n_bytes) {
  if (n_bytes <= plan->n_bytes) return 1;
  size_t size = plan->n_bytes ? plan->n_bytes : LEAST_BYTES;
  while (size < n_bytes) size *= 2;
  mv_cuda_free_plan(device);
  plan->memory = mv_cuda_alloc(device, size);
  if (plan->memory) plan->n_bytes = size;
  return plan->memory != NULL;
}

/* The plan's bytes to the device, for as long as it is valid. NULL with a sticky error. */
static const char *to_device(mv_device *device, mv_cuda_plan *plan, const char *host,
                             size_t n_bytes) {
  if (mv_cuda_in_step(device)) return mv_cuda_stage(device, host, n_bytes);
  if (!reserve(device, plan, n_bytes)) return NULL;
  mv_cuda_upload(device, plan->memory, host, n_bytes);
  return plan->memory;
}

void mv_cuda_free_plan(mv_device *device) {
  mv_cuda_plan *plan = &mv_cuda_of(device)->plan;
  mv_cuda_free(device, plan->memory);
  plan->memory = NULL;
  plan->n_bytes = 0;
}

void mv_plan_cuda(mv_device *device, const mv_seq_rows *seqs, int n_seq,
                  const mv_attention_dims *dims, mv_seq_plan *out) {
  mv_cuda *cuda = mv_cuda_of(device);
  mv_cuda_plan *plan = &cuda->plan;
  *out = (mv_seq_plan){seqs, n_seq, plan};
  if (device->error.code != MV_OK) return;
  make_items(seqs, n_seq, dims, cuda, NULL);
  layout at = lay_out(seqs, n_seq, dims->n_row, plan);
  int n_item = plan->n_item;
  char *host = mv_device_scratch(device, at.end);
  if (!host) return;
  memset(host, 0, at.end);
  memset(host + at.slots, -1, (size_t)dims->n_row * sizeof(int32_t));
  mv_attention_item *items = (mv_attention_item *)host;
  make_items(seqs, n_seq, dims, cuda, items);
  for (int i = plan->n_item; i < n_item; i++) items[i].seq = -1;
  plan->n_item = n_item;
  fill_spans(seqs, n_seq, (mv_span *)(host + at.spans), (uint64_t *)(host + at.trees),
             (int32_t *)(host + at.pages), (int32_t *)(host + at.slots));
  const char *there = to_device(device, plan, host, at.end);
  if (!there) return;
  plan->items = (const mv_attention_item *)there;
  plan->spans = (const mv_span *)(there + at.spans);
  plan->trees = (const uint64_t *)(there + at.trees);
  plan->slots = (const int32_t *)(there + at.slots);
  plan->pages = (const int32_t *)(there + at.pages);
}
