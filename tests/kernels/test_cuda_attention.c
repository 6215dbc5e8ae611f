/* Attention over pages, attention within segments and kv_copy on the emulated CUDA device: against
 * the definition, and to the bit where a row must not depend on how it is computed. Slots of the
 * cache that hold no token are NaN (case_attention.c). */
#include <string.h>

#include "kernels/cuda.h"
#include "tests/kernels/cuda_cases.h"

static kernel_case case_of(const char *op, const kernel_span *spans, int n_span, int n_head,
                           int n_kv, int d_head) {
  kernel_case c = {.op = op,
                   .x = BF16,
                   .w = BF16,
                   .y = BF16,
                   .n_head = n_head,
                   .n_kv = n_kv,
                   .d_head = d_head,
                   .spans = spans,
                   .n_span = n_span};
  for (int s = 0; s < n_span; s++) c.n_row += spans[s].n_row;
  return c;
}

/* ---- against the definition ---- */

static const kernel_span whole[] = {{0, 150}}, first[] = {{0, 1}}, page[] = {{0, 64}},
                         chunk[] = {{37, 70}}, edge[] = {{63, 2}}, next[] = {{64, 33}},
                         decode[] = {{200, 1}}, last[] = {{255, 1}}, runs[] = {{600, 1}},
                         late[] = {{500, 30}},
                         mixed[] = {{0, 70}, {300, 1}, {64, 5}, {0, 1}, {63, 1}, {511, 3}},
                         drafts[] = {{300, 12}}, tree64[] = {{0, 64}},
                         trees[] = {{60, 9}, {0, 1}, {255, 33}};

START_TEST(attention_at_every_edge_of_pages_and_runs) {
  static const kernel_span *const one[] = {whole, first,  page, chunk, edge,
                                           next,  decode, last, runs,  late};
  kernel_case cases[3 * COUNT(one)];
  int n = 0;
  for (int i = 0; i < COUNT(one); i++)
    for (int d = 32; d <= 128; d *= 2) cases[n++] = case_of("attention", one[i], 1, 2, 1, d);
  cuda_check_cases(cases, n);
}
END_TEST

START_TEST(attention_of_every_group) {
  kernel_case cases[18];
  int n = 0;
  for (int group = 1; group <= 8; group++) {
    cases[n++] = case_of("attention", mixed, COUNT(mixed), 2 * group, 2, 32);
    cases[n - 1].pad = 8;
  }
  cases[n++] = case_of("attention", chunk, 1, 28, 4, 128);
  cases[n++] = case_of("attention", decode, 1, 32, 1, 64); /* more than a tile for one token */
  cuda_check_cases(cases, n);
}
END_TEST

START_TEST(attention_of_other_formats_and_heads) {
  static const struct {
    int d_head, pad;
    mv_dtype x, w, y;
  } shapes[] = {{128, 0, F32, F32, F32},   {32, 3, F32, BF16, F32},   {64, 3, BF16, BF16, BF16},
                {16, 0, BF16, BF16, BF16}, {80, 0, BF16, BF16, BF16}, {256, 0, BF16, BF16, F32}};
  for (int i = 0; i < COUNT(shapes); i++) {
    kernel_case cases[2] = {case_of("attention", mixed, COUNT(mixed), 4, 2, shapes[i].d_head),
                            case_of("attention", trees, COUNT(trees), 3, 1, shapes[i].d_head)};
    for (int j = 0; j < 2; j++) {
      cases[j].pad = shapes[i].pad;
      cases[j].x = shapes[i].x;
      cases[j].w = shapes[i].w;
      cases[j].y = shapes[i].y;
    }
    cases[1].tree = 1;
    cuda_check_cases(cases, 2);
  }
}
END_TEST

START_TEST(attention_of_many_sequences) {
  kernel_span spans[50];
  for (int i = 0; i < COUNT(spans); i++)
    spans[i] = (kernel_span){i * 37 % 321, 1 + (i % 7 == 0) * 5};
  kernel_case c = case_of("attention", spans, COUNT(spans), 7, 1, 32);
  cuda_check_case(&c, 3);
}
END_TEST

START_TEST(attention_of_drafts_that_branch) {
  kernel_case cases[] = {
      case_of("attention", drafts, 1, 7, 1, 128), case_of("attention", tree64, 1, 6, 2, 32),
      case_of("attention", trees, COUNT(trees), 6, 2, 64), case_of("attention", edge, 1, 2, 1, 32)};
  for (int i = 0; i < COUNT(cases); i++) cases[i].tree = 1;
  cuda_check_cases(cases, COUNT(cases));
}
END_TEST

START_TEST(attention_of_nobody) {
  kernel_case c = case_of("attention", NULL, 0, 2, 1, 32);
  cuda_check_case(&c, 1);
  c.op = "window_attention";
  c.n_kv = 2;
  cuda_check_case(&c, 1);
}
END_TEST

START_TEST(window_attention_of_every_segment_length) {
  static const kernel_span windows[] = {{0, 64}, {0, 32}, {0, 16}, {0, 4},
                                        {0, 60}, {0, 1},  {0, 37}},
                           images[] = {{0, 64}, {0, 200}, {0, 65}, {0, 128}};
  static const int heads[] = {32, 64, 80, 128};
  kernel_case cases[2 * COUNT(heads)];
  int n = 0;
  for (int i = 0; i < COUNT(heads); i++) {
    cases[n++] = case_of("window_attention", windows, COUNT(windows), 2, 2, heads[i]);
    cases[n] = case_of("window_attention", images, COUNT(images), 1, 1, heads[i]);
    cases[n++].pad = 16;
  }
  cuda_check_cases(cases, n);
  kernel_case plain[] = {case_of("window_attention", windows, COUNT(windows), 2, 2, 48),
                         case_of("window_attention", images, COUNT(images), 1, 1, 80),
                         case_of("window_attention", windows, COUNT(windows), 2, 2, 80)};
  plain[1].x = plain[1].y = plain[1].w = F32;
  plain[2].pad = 1;
  cuda_check_cases(plain, COUNT(plain));
}
END_TEST

START_TEST(kv_copy_moves_runs_of_tokens) {
  static const kernel_case cases[] = {
      {.op = "kv_copy", .n_row = 0, .n_layer = 1, .n_kv = 1, .d_head = 16},
      {.op = "kv_copy", .n_row = 1, .n_layer = 1, .n_kv = 1, .d_head = 16},
      {.op = "kv_copy", .n_row = 7, .n_layer = 3, .n_kv = 2, .d_head = 48, .w = BF16},
      {.op = "kv_copy", .n_row = 10, .n_layer = 2, .n_kv = 4, .d_head = 128, .w = BF16},
      {.op = "kv_copy", .n_row = 33, .n_layer = 2, .n_kv = 1, .d_head = 32},
  };
  cuda_check_cases(cases, COUNT(cases));
}
END_TEST

/* ---- to the bit ---- */

typedef struct rows {
  kernel_run run;
  size_t row_bytes;
  char *all; /* the output of the case as one batch */
} rows;

static rows rows_start(const kernel_case *c) {
  rows r;
  mv_error err;
  ck_assert_msg(kernel_run_init(&r.run, c, &cuda, &mv_ops_cuda, 9, &err) == MV_OK, "%s", err.msg);
  r.row_bytes = (size_t)(c->n_head * c->d_head) * mv_dtype_bytes(c->y);
  r.all = malloc((size_t)c->n_row * r.row_bytes);
  kernel_run_go(&r.run);
  mv_ops_cuda.download(&cuda, r.all, kernel_out(&r.run), (size_t)c->n_row * r.row_bytes);
  ck_assert_msg(cuda.error.code == MV_OK, "%s", cuda.error.msg);
  return r;
}

static void rows_end(rows *r) {
  free(r->all);
  kernel_run_free(&r->run);
}

/* Rows [at, at + n) of sequence s as a batch of their own: the same bits as in the whole. */
static void check_alone(rows *r, int s, int at, int n) {
  const kernel_case *c = r->run.c;
  const mv_seq_rows *whole_seq = &r->run.seqs[s];
  mv_seq_rows seq = *whole_seq;
  size_t from = (size_t)(seq.row0 + at), n_bytes = (size_t)n * r->row_bytes;
  int width = c->n_head * c->d_head;
  mv_attention_dims dims = {n,     c->n_head, c->n_kv, c->d_head, width, c->n_kv * c->d_head,
                            width, c->x,      c->w,    c->y};
  seq.row0 = 0;
  seq.n_row = n;
  seq.pos0 += at;
  char *got = malloc(n_bytes);
  char *out = kernel_out(&r->run);
  mv_seq_plan plan;
  mv_ops_cuda.plan(&cuda, &seq, 1, &dims, &plan);
  mv_ops_cuda.attention(&cuda, &dims, &plan, (char *)r->run.in[0].dev + from * r->row_bytes,
                        r->run.in[3].dev, out + from * r->row_bytes);
  mv_ops_cuda.download(&cuda, got, out + from * r->row_bytes, n_bytes);
  ck_assert_msg(cuda.error.code == MV_OK, "%s", cuda.error.msg);
  for (int i = 0; i < n; i++)
    ck_assert_msg(memcmp(got + (size_t)i * r->row_bytes, r->all + (from + (size_t)i) * r->row_bytes,
                         r->row_bytes) == 0,
                  "row %d of sequence %d has other bits in a batch of rows %d to %d", at + i, s, at,
                  at + n - 1);
  free(got);
}

static void check_chunks(rows *r, const int *chunks, int n_chunk) {
  int at = 0;
  for (int i = 0; i < n_chunk; i++) {
    check_alone(r, 0, at, chunks[i]);
    at += chunks[i];
  }
}

/* A prompt as one batch, split over its runs or not; in chunks; and token by token, which is
 * another kind of tile. */
START_TEST(attention_does_not_depend_on_chunking) {
  static const kernel_span prompt[] = {{0, 330}};
  static const int odd[] = {1, 63, 70, 130, 66}, pages[] = {64, 64, 64, 64, 64, 10},
                   uneven[] = {297, 33};
  kernel_case c = case_of("attention", prompt, 1, 7, 1, 128);
  rows r = rows_start(&c);
  check_chunks(&r, odd, COUNT(odd));
  check_chunks(&r, pages, COUNT(pages));
  check_chunks(&r, uneven, COUNT(uneven));
  for (int i = 0; i < 330; i += i % 64 < 62 ? 21 : 1) check_alone(&r, 0, i, 1);
  for (int i = 250; i < 260; i++) check_alone(&r, 0, i, 2);
  int n_sm = mv_cuda_of(&cuda)->n_sm; /* a device so small that the tiles fill it */
  mv_cuda_of(&cuda)->n_sm = 1;
  check_chunks(&r, uneven, COUNT(uneven));
  mv_cuda_of(&cuda)->n_sm = n_sm;
  rows_end(&r);
}
END_TEST

START_TEST(attention_does_not_depend_on_other_sequences) {
  kernel_case c = case_of("attention", mixed, COUNT(mixed), 6, 2, 64);
  rows r = rows_start(&c);
  for (int s = 0; s < COUNT(mixed); s++) check_alone(&r, s, 0, mixed[s].n_row);
  for (int s = 0; s < COUNT(mixed); s++) check_alone(&r, s, mixed[s].n_row - 1, 1);
  rows_end(&r);
}
END_TEST

/* Tiles for whose runs there is no room are done whole. */
START_TEST(attention_does_not_depend_on_the_room_for_runs) {
  kernel_case c = case_of("attention", mixed, COUNT(mixed), 6, 2, 64);
  mv_attention_dims dims = {.n_kv = 2, .d_head = 64};
  mv_cuda *device = mv_cuda_of(&cuda);
  rows r = rows_start(&c);
  int n_part = device->plan.n_part;
  size_t n_bytes = (size_t)c.n_row * r.row_bytes;
  char *got = malloc(n_bytes);
  ck_assert_int_gt(n_part, 2);
  for (int room = 0; room <= n_part; room++) {
    device->runs_bytes = (size_t)room * mv_run_bytes(&dims, MV_MANY_ROWS);
    kernel_run_reset(&r.run);
    kernel_run_go(&r.run);
    ck_assert_int_le(device->plan.n_part, room);
    mv_ops_cuda.download(&cuda, got, kernel_out(&r.run), n_bytes);
    ck_assert_msg(memcmp(got, r.all, n_bytes) == 0, "other bits with room for %d", room);
  }
  ck_assert_int_eq(device->plan.n_part, n_part);
  device->runs_bytes = MV_RUNS_BYTES;
  free(got);
  rows_end(&r);
}
END_TEST

/* Some spans of up to n_token tokens, few of one row or all; returns the rows they have. */
static int draw_spans(mv_seq_rows *seqs, int n_seq, int n_row, int n_token, uint64_t seed) {
  int row0 = 0;
  for (int s = 0; s < n_seq; s++) {
    uint64_t draw = kernel_hash(seed, (uint64_t)s);
    int left = n_row - row0 - (n_seq - s - 1), n = draw % 8 ? 1 : 1 + (int)(draw >> 40) % left;
    if (n > n_token) n = n_token;
    seqs[s].row0 = row0;
    seqs[s].n_row = seed % 2 ? n : 1;
    seqs[s].pos0 = (int)(draw >> 33) % (n_token - seqs[s].n_row + 1);
    if (draw >> 16 & 1) seqs[s].pos0 = n_token - seqs[s].n_row;
    row0 += seqs[s].n_row;
  }
  return row0;
}

/* An engine's plan counts on it. */
START_TEST(runs_take_no_more_than_the_bound) {
  enum { MAX_SEQ = 150, MAX_ROW = 1152, MAX_TOKEN = 40000 };
  static const int tokens[] = {64, 256, 257, 2048, 9000, MAX_TOKEN};
  static const int heads[][3] = {{28, 4, 128}, {16, 2, 128}, {4, 2, 32}, {12, 12, 64}, {7, 1, 64}};
  static int32_t pages[MAX_TOKEN / MV_PAGE_TOKENS + 1];
  mv_cuda *device = mv_cuda_of(&cuda);
  int n_sm = device->n_sm, n_full = 0;
  mv_seq_rows seqs[MAX_SEQ] = {{0}};
  for (int s = 0; s < MAX_SEQ; s++) seqs[s].pages = pages;
  device->n_sm = 132;
  for (int i = 0; i < 10 * COUNT(tokens) * COUNT(heads); i++) {
    const int n_token = tokens[i % COUNT(tokens)], *h = heads[i % COUNT(heads)];
    int n_seq = 1 + (int)(kernel_hash(3, (uint64_t)i) % (i % 3 ? MAX_SEQ : 4));
    mv_attention_dims dims = {.n_head = h[0], .n_kv = h[1], .d_head = h[2]};
    mv_seq_plan plan;
    dims.n_row = draw_spans(seqs, n_seq, MAX_ROW, n_token, (uint64_t)i);
    mv_ops_cuda.plan(&cuda, seqs, n_seq, &dims, &plan);
    const mv_cuda_plan *p = &device->plan;
    mv_run_memory m = mv_run_memory_of(&dims, p->tile_rows, (size_t)p->n_item, (size_t)p->n_part);
    size_t takes = mv_doubled_to(MV_ZERO_BYTES, m.finished) +
                   mv_doubled_to(MV_SCRATCH_BYTES, m.stats + m.sums);
    size_t most = mv_run_memory_bound(&dims, (size_t)n_seq, (size_t)n_token);
    ck_assert_msg(p->n_part == 0 || takes <= most, "%d spans, %d tokens: %zu bytes, not %zu", n_seq,
                  n_token, takes, most);
    ck_assert_uint_le(most, ((size_t)64 << 20) + ((size_t)1 << 20));
    n_full += p->n_part > p->max_part * 9 / 10;
  }
  ck_assert_int_gt(n_full, 0);
  device->n_sm = n_sm;
  ck_assert_msg(cuda.error.code == MV_OK, "%s", cuda.error.msg);
}
END_TEST

/* A chain of drafts, given as a tree, is what it is without one; and a branch has the bits it has
 * alone. */
START_TEST(attention_of_a_branch_is_that_of_the_branch_alone) {
  kernel_case c = case_of("attention", drafts, 1, 7, 1, 64);
  rows r = rows_start(&c); /* causal */
  uint64_t chain[12];
  for (int i = 0; i < 12; i++) chain[i] = ((uint64_t)2 << i) - 1;
  r.run.seqs[0].tree = chain;
  check_alone(&r, 0, 0, 12);
  check_alone(&r, 0, 0, 2); /* the other kind of tile */
  rows_end(&r);
}
END_TEST

/* One token after another as steps: what was recorded for one length is replayed for the next, also
 * over the edges of a page and of a run. */
START_TEST(attention_of_a_growing_sequence_in_steps) {
  static const kernel_span grown[] = {{240, 40}, {0, 30}};
  kernel_case c = case_of("attention", grown, 2, 7, 1, 64);
  rows r = rows_start(&c);
  int width = c.n_head * c.d_head;
  mv_attention_dims dims = {2,     c.n_head, c.n_kv, c.d_head, width, c.n_kv * c.d_head,
                            width, c.x,      c.w,    c.y};
  char *q = mv_ops_cuda.alloc(&cuda, 2 * r.row_bytes),
       *out = mv_ops_cuda.alloc(&cuda, 2 * r.row_bytes);
  char *got = malloc(2 * r.row_bytes);
  for (int i = 0; i < 30; i++) {
    mv_seq_rows seqs[2] = {r.run.seqs[0], r.run.seqs[1]};
    do {
      mv_ops_cuda.step_begin(&cuda);
      for (int s = 0; s < 2; s++) {
        size_t row = (size_t)(r.run.seqs[s].row0 + i);
        seqs[s].row0 = s;
        seqs[s].n_row = 1;
        seqs[s].pos0 = r.run.seqs[s].pos0 + i;
        mv_ops_cuda.upload(&cuda, q + (size_t)s * r.row_bytes,
                           (char *)r.run.in[0].host + row * r.row_bytes, r.row_bytes);
      }
      mv_seq_plan plan;
      mv_ops_cuda.plan(&cuda, seqs, 2, &dims, &plan);
      mv_ops_cuda.attention(&cuda, &dims, &plan, q, r.run.in[3].dev, out);
    } while (mv_ops_cuda.step_end(&cuda));
    mv_ops_cuda.download(&cuda, got, out, 2 * r.row_bytes);
    ck_assert_msg(cuda.error.code == MV_OK, "%s", cuda.error.msg);
    for (int s = 0; s < 2; s++)
      ck_assert_msg(
          memcmp(got + (size_t)s * r.row_bytes,
                 r.all + (size_t)(r.run.seqs[s].row0 + i) * r.row_bytes, r.row_bytes) == 0,
          "token %d of sequence %d has other bits in a step", i, s);
  }
  free(got);
  mv_ops_cuda.free(&cuda, q);
  mv_ops_cuda.free(&cuda, out);
  rows_end(&r);
}
END_TEST

/* ---- the memory's work ---- */

START_TEST(accesses_are_whole_sectors_without_conflicts) {
  kernel_case cases[] = {
      case_of("attention", late, 1, 7, 1, 128), case_of("attention", runs, 1, 7, 1, 128),
      case_of("attention", late, 1, 7, 1, 64), case_of("attention", late, 1, 7, 1, 32),
      case_of("attention", runs, 1, 7, 1, 32)};
  for (int i = 0; i < COUNT(cases); i++) cuda_check_access(&cases[i], "attention.cu", 1.02, 1.0);
  static const kernel_span windows[] = {{0, 64}, {0, 32}, {0, 16}}, image[] = {{0, 128}};
  for (int d = 32; d <= 80; d += 48) {
    kernel_case c = case_of("window_attention", windows, 3, 2, 2, d);
    cuda_check_access(&c, "window_attention.cu", 1.02, 1.0);
    c = case_of("window_attention", image, 1, 1, 1, d);
    cuda_check_access(&c, "window_attention.cu", 1.02, 1.0);
  }
  kernel_case copy = {
      .op = "kv_copy", .n_row = 10, .n_layer = 2, .n_kv = 2, .d_head = 128, .w = BF16};
  cuda_check_access(&copy, "kv_copy.cu", 1.2, 1.0);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("cuda attention");
  TCase *t = tcase_create("attention");
  tcase_add_unchecked_fixture(t, cuda_set_up, cuda_tear_down);
  tcase_add_test(t, attention_at_every_edge_of_pages_and_runs);
  tcase_add_test(t, attention_of_every_group);
  tcase_add_test(t, attention_of_other_formats_and_heads);
  tcase_add_test(t, attention_of_many_sequences);
  tcase_add_test(t, attention_of_drafts_that_branch);
  tcase_add_test(t, attention_of_nobody);
  tcase_add_test(t, window_attention_of_every_segment_length);
  tcase_add_test(t, kv_copy_moves_runs_of_tokens);
  tcase_add_test(t, attention_does_not_depend_on_chunking);
  tcase_add_test(t, attention_does_not_depend_on_other_sequences);
  tcase_add_test(t, attention_does_not_depend_on_the_room_for_runs);
  tcase_add_test(t, runs_take_no_more_than_the_bound);
  tcase_add_test(t, attention_of_a_branch_is_that_of_the_branch_alone);
  tcase_add_test(t, attention_of_a_growing_sequence_in_steps);
  tcase_add_test(t, accesses_are_whole_sectors_without_conflicts);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
