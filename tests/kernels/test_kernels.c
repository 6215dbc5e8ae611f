/* Every operation against its plain reference, at edges and ordinary shapes, for every vector
 * variant this machine runs and for one and two threads. */
#include <math.h>
#include <string.h>

#include "runtime/memory.h"
#include "tests/check_main.h"
#include "tests/kernels/cases.h"

#define F32 MV_DTYPE_F32
#define BF16 MV_DTYPE_BF16
#define COUNT(a) (int)(sizeof(a) / sizeof *(a))

static const char *const variants[] = {"generic", "avx2", "avx512", "avx512bf16"};

/* The exact answer of a case and what it may be off by, for all output elements. */
typedef struct answer {
  double *want, *slack;
} answer;

static answer answer_of(const kernel_run *run) {
  size_t n = run->n_out_row * (size_t)run->n_col;
  answer a = {malloc(n * sizeof(double)), malloc(n * sizeof(double))};
  for (size_t r = 0; r < run->n_out_row; r++)
    run->op->expect(run, r, 0, run->n_col, a.want + r * (size_t)run->n_col,
                    a.slack + r * (size_t)run->n_col);
  return a;
}

static double worst_share; /* over the cases of one test, for the line it prints */

static void judge(kernel_run *run, const answer *a, const char *variant, int n_thread) {
  char what[160], how[400];
  void *copy = malloc(kernel_out_bytes(run));
  kernel_verdict v = {0};
  kernel_run_download(run, copy);
  kernel_check_guards(run, copy, &v);
  for (size_t r = 0; r < run->n_out_row; r++)
    kernel_compare(run, copy, r, 0, run->n_col, a->want + r * (size_t)run->n_col,
                   a->slack + r * (size_t)run->n_col, &v);
  free(copy);
  kernel_case_print(run->c, what, sizeof what);
  kernel_verdict_print(&v, how, sizeof how);
  ck_assert_msg(kernel_verdict_ok(&v), "%s (%s, %d threads): %s", what, variant, n_thread, how);
  if (v.share > worst_share) worst_share = v.share;
}

static void check_case(const kernel_case *c, uint64_t seed) {
  answer answers[2] = {{NULL, NULL}, {NULL, NULL}}; /* without bf16 products and with them */
  for (int i = 0; i < COUNT(variants) * 2; i++) {
    int n_thread = 1 + i % 2;
    mv_device device;
    mv_error err;
    if (mv_device_open_cpu(&device, n_thread, variants[i / 2], &err) != MV_OK) continue;
    kernel_run run;
    ck_assert_msg(kernel_run_init(&run, c, &device, &mv_ops_cpu, seed, &err) == MV_OK, "%s",
                  err.msg);
    kernel_run_go(&run);
    ck_assert_int_eq(device.error.code, MV_OK);
    answer *a = &answers[device.has_bf16];
    if (!a->want) *a = answer_of(&run);
    judge(&run, a, variants[i / 2], n_thread);
    kernel_run_free(&run);
    mv_device_close_cpu(&device);
  }
  for (int i = 0; i < 2; i++) {
    free(answers[i].want);
    free(answers[i].slack);
  }
}

static void check_cases(const kernel_case *cases, int n) {
  worst_share = 0;
  for (int i = 0; i < n; i++) check_case(&cases[i], (uint64_t)(i + 1));
  printf("%-18s %2d cases, at most %.0f %% of a tolerance used\n", cases[0].op, n,
         100 * worst_share);
}

/* ---- linear ---- */

static const struct {
  mv_dtype x, w, y;
} formats[] = {{F32, F32, F32}, {F32, BF16, F32}, {BF16, BF16, BF16}, {BF16, BF16, F32}};

START_TEST(linear_at_every_number_of_rows) {
  static const int rows[] = {1, 2, 3, 5, 31, 32, 33, 64, 100};
  for (int f = 0; f < COUNT(formats); f++)
    for (int i = 0; i < COUNT(rows); i++) {
      kernel_case c = {.op = "linear",
                       .n_row = rows[i],
                       .x = formats[f].x,
                       .w = formats[f].w,
                       .y = formats[f].y,
                       .n_in = 70,
                       .n_out = {37},
                       .pad = 3};
      check_case(&c, (uint64_t)i);
    }
}
END_TEST

START_TEST(linear_at_every_width) {
  static const int widths[][2] = {{1, 1},  {2, 3},    {7, 5},   {15, 64}, {16, 65}, {17, 4},
                                  {31, 8}, {33, 129}, {63, 16}, {64, 7},  {65, 66}, {127, 31}};
  for (int f = 0; f < COUNT(formats); f++)
    for (int i = 0; i < COUNT(widths); i++)
      for (int n_row = 3; n_row <= 40; n_row += 37) {
        kernel_case c = {.op = "linear",
                         .n_row = n_row,
                         .x = formats[f].x,
                         .w = formats[f].w,
                         .y = formats[f].y,
                         .n_in = widths[i][0],
                         .n_out = {widths[i][1]}};
        check_case(&c, (uint64_t)i);
      }
}
END_TEST

START_TEST(linear_with_parts_bias_and_residual) {
  static const int parts[][MV_LINEAR_PARTS] = {{9}, {6, 3}, {64, 7, 9}, {1, 1, 1}, {5, 70}};
  for (int f = 0; f < COUNT(formats); f++)
    for (int i = 0; i < COUNT(parts); i++)
      for (int mode = 0; mode < 8; mode++) {
        kernel_case c = {.op = "linear",
                         .n_row = mode & 4 ? 34 : 6,
                         .x = formats[f].x,
                         .w = formats[f].w,
                         .y = formats[f].y,
                         .n_in = 24,
                         .pad = 5,
                         .bias = mode & 1,
                         .accumulate = (mode & 2) != 0,
                         .spread = 20};
        memcpy(c.n_out, parts[i], sizeof c.n_out);
        check_case(&c, (uint64_t)i);
      }
}
END_TEST

/* More than one block of rows, of a packed panel's depth, and of threads' work. */
START_TEST(linear_at_large_shapes) {
  static const kernel_case cases[] = {
      {.op = "linear",
       .n_row = 1025,
       .x = F32,
       .w = F32,
       .y = F32,
       .n_in = 102,
       .n_out = {97},
       .pad = 1},
      {.op = "linear",
       .n_row = 1025,
       .x = F32,
       .w = BF16,
       .y = F32,
       .n_in = 101,
       .n_out = {97},
       .bias = 1},
      {.op = "linear",
       .n_row = 1025,
       .x = BF16,
       .w = BF16,
       .y = BF16,
       .n_in = 102,
       .n_out = {97},
       .accumulate = 1,
       .pad = 2},
      {.op = "linear", .n_row = 1031, .x = BF16, .w = BF16, .y = BF16, .n_in = 101, .n_out = {97}},
      {.op = "linear", .n_row = 40, .x = F32, .w = F32, .y = F32, .n_in = 4111, .n_out = {33}},
      {.op = "linear",
       .n_row = 40,
       .x = BF16,
       .w = BF16,
       .y = BF16,
       .n_in = 4110,
       .n_out = {33, 33}},
      {.op = "linear", .n_row = 1, .x = F32, .w = BF16, .y = F32, .n_in = 18944, .n_out = {40}},
      {.op = "linear", .n_row = 1, .x = BF16, .w = BF16, .y = BF16, .n_in = 18944, .n_out = {540}},
  };
  check_cases(cases, COUNT(cases));
}
END_TEST

START_TEST(no_rows_is_no_work) {
  static const char *const ops[] = {"linear", "rmsnorm",    "swiglu", "gelu",
                                    "rope",   "rope_table", "embed",  "gather_rows"};
  for (int i = 0; i < COUNT(ops); i++) {
    kernel_case c = {
        .op = ops[i], .n_in = 8, .n_out = {8}, .d = 8, .n_head = 2, .n_kv = 1, .d_head = 16};
    check_case(&c, 1);
  }
}
END_TEST

/* ---- rows ---- */

static const struct { mv_dtype x, y; } row_formats[] = {{F32, F32}, {F32, BF16}, {BF16, BF16}};

static void check_rows(const char *op, float spread) {
  static const int shapes[][2] = {{1, 1}, {1, 3584}, {2, 7}, {3, 33}, {17, 64}, {5, 1280}};
  for (int i = 0; i < COUNT(shapes); i++)
    for (int f = 0; f < COUNT(row_formats); f++) {
      kernel_case c = {.op = op,
                       .n_row = shapes[i][0],
                       .d = shapes[i][1],
                       .spread = spread,
                       .x = row_formats[f].x,
                       .y = row_formats[f].y};
      if (strcmp(op, "gelu") == 0) c.x = c.y; /* in place */
      check_case(&c, (uint64_t)i);
    }
}

START_TEST(rmsnorm_of_small_and_large_rows) {
  check_rows("rmsnorm", 1);
  check_rows("rmsnorm", 1e-4f); /* where eps matters */
  check_rows("rmsnorm", 1e4f);
}
END_TEST

START_TEST(swiglu_over_its_range) {
  check_rows("swiglu", 1);
  check_rows("swiglu", 20);
  check_rows("swiglu", 100); /* where exp(-gate) leaves f32 */
  check_rows("swiglu", 1e4f);
}
END_TEST

START_TEST(fill_gives_the_numbers_of_its_seed) {
  static const kernel_case cases[] = {
      {.op = "fill", .n_row = 1, .y = F32, .d = 1},
      {.op = "fill", .n_row = 5, .y = BF16, .d = 37, .spread = 0.02f},
      {.op = "fill", .n_row = 9, .y = BF16, .d = 64, .pad = 4, .spread = 3},
      {.op = "fill", .n_row = 700, .y = F32, .d = 3000, .pad = 1}, /* more than one thread */
  };
  check_cases(cases, COUNT(cases));
}
END_TEST

START_TEST(gelu_over_its_range) {
  check_rows("gelu", 1);
  check_rows("gelu", 6);
  check_rows("gelu", 1e4f);
}
END_TEST

START_TEST(embed_and_gather_copy_exactly) {
  for (int f = 0; f < 4; f++)
    for (int n_row = 1; n_row <= 70; n_row += 23) {
      kernel_case c = {.op = "embed",
                       .n_row = n_row,
                       .d = 40 + n_row,
                       .x = f & 1 ? BF16 : F32,
                       .y = f & 2 ? BF16 : F32};
      check_case(&c, (uint64_t)n_row);
      c.op = "gather_rows";
      check_case(&c, (uint64_t)n_row);
    }
}
END_TEST

START_TEST(patches_are_cut_and_normalised) {
  static const kernel_case cases[] = {
      {.op = "patches",
       .n_row = 24,
       .height = 56,
       .width = 84,
       .channels = 3,
       .d = 14,
       .merge = 2,
       .temporal = 2,
       .y = F32},
      {.op = "patches",
       .n_row = 4,
       .height = 8,
       .width = 8,
       .channels = 1,
       .d = 4,
       .merge = 2,
       .temporal = 2,
       .y = BF16},
      {.op = "patches",
       .n_row = 18,
       .height = 9,
       .width = 18,
       .channels = 3,
       .d = 3,
       .merge = 3,
       .temporal = 1,
       .y = F32},
  };
  check_cases(cases, COUNT(cases));
}
END_TEST

START_TEST(rope_turns_heads) {
  static const kernel_case cases[] = {
      {.op = "rope", .n_row = 1, .n_head = 1, .d_head = 16, .y = F32},
      {.op = "rope", .n_row = 3, .n_head = 32, .d_head = 128, .y = F32, .pad = 512},
      {.op = "rope", .n_row = 3, .n_head = 32, .d_head = 128, .y = BF16, .pad = 512},
      {.op = "rope", .n_row = 65, .n_head = 3, .d_head = 80, .y = BF16},
      {.op = "rope", .n_row = 5, .n_head = 2, .d_head = 256, .y = F32, .pad = 1},
  };
  check_cases(cases, COUNT(cases));
  static const kernel_case tables[] = {
      {.op = "rope_table", .n_row = 1, .d_head = 16},
      {.op = "rope_table", .n_row = 7, .d_head = 80},
      {.op = "rope_table", .n_row = 300, .d_head = 128},
      {.op = "rope_table", .n_row = 3, .d_head = 256},
  };
  check_cases(tables, COUNT(tables));
}
END_TEST

/* ---- attention ---- */

static void check_spans(const char *op, const kernel_span *spans, int n_span, int n_head, int n_kv,
                        int d_head) {
  int n_row = 0;
  for (int s = 0; s < n_span; s++) n_row += spans[s].n_row;
  for (int f = 0; f < 3; f++) { /* all f32; f32 queries over bf16 keys; all bf16 */
    kernel_case c = {.op = op,
                     .n_row = n_row,
                     .n_head = n_head,
                     .n_kv = n_kv,
                     .d_head = d_head,
                     .spans = spans,
                     .n_span = n_span,
                     .pad = 17 * (f > 0)};
    c.x = f < 2 ? F32 : BF16;
    c.w = c.y = f < 1 ? F32 : BF16;
    check_case(&c, (uint64_t)n_row);
    c.accumulate = strcmp(op, "rope_kv") == 0; /* what becomes of the queries, too */
    if (c.accumulate) check_case(&c, (uint64_t)n_row);
  }
}

START_TEST(attention_prefills_continues_and_decodes) {
  static const kernel_span whole[] = {{0, 150}}, first[] = {{0, 1}}, page[] = {{0, 64}},
                           chunk[] = {{37, 70}}, edge[] = {{63, 2}}, next[] = {{64, 33}},
                           decode[] = {{200, 1}}, full[] = {{127, 1}};
  check_spans("attention", whole, 1, 4, 2, 32);
  check_spans("attention", first, 1, 4, 2, 32);
  check_spans("attention", page, 1, 4, 2, 32);
  check_spans("attention", chunk, 1, 4, 2, 32);
  check_spans("attention", edge, 1, 4, 2, 32);
  check_spans("attention", next, 1, 4, 2, 32);
  check_spans("attention", decode, 1, 4, 2, 32);
  check_spans("attention", full, 1, 4, 2, 32);
}
END_TEST

START_TEST(attention_of_every_group_and_head_size) {
  static const kernel_span spans[] = {{10, 40}};
  static const int heads[][2] = {{1, 1}, {4, 2}, {3, 1}, {7, 1}, {14, 2}, {8, 1}, {32, 1}};
  for (int i = 0; i < COUNT(heads); i++)
    check_spans("attention", spans, 1, heads[i][0], heads[i][1], 16);
  for (int d = 16; d <= 256; d += 16) check_spans("attention", spans, 1, 2, 1, d);
}
END_TEST

START_TEST(attention_keeps_sequences_apart) {
  static const kernel_span spans[] = {{0, 70}, {129, 1}, {64, 5}, {0, 1}, {63, 1}};
  check_spans("attention", spans, COUNT(spans), 7, 1, 32);
  check_spans("rope_kv", spans, COUNT(spans), 4, 2, 16);
}
END_TEST

START_TEST(rope_kv_touches_its_slots_only) {
  static const kernel_span across[] = {{60, 10}}, one[] = {{0, 1}};
  check_spans("rope_kv", across, 1, 2, 1, 32);
  check_spans("rope_kv", one, 1, 7, 1, 48);
}
END_TEST

START_TEST(attention_sees_the_branch_of_a_draft_only) {
  static const kernel_span drafts[] = {{130, 12}}, first[] = {{0, 64}},
                           many[] = {{60, 9}, {0, 1}, {5, 64}};
  static const struct {
    const kernel_span *spans;
    int n_span, n_row;
  } batches[] = {{drafts, 1, 12}, {first, 1, 64}, {many, 3, 74}};
  for (int i = 0; i < COUNT(batches); i++)
    for (int f = 0; f < 2; f++) {
      kernel_case c = {.op = "attention",
                       .n_row = batches[i].n_row,
                       .n_head = 6,
                       .n_kv = 2,
                       .d_head = 32,
                       .spans = batches[i].spans,
                       .n_span = batches[i].n_span,
                       .tree = 1};
      c.x = c.w = c.y = f ? BF16 : F32;
      check_case(&c, (uint64_t)i + 1);
    }
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
  check_cases(cases, COUNT(cases));
}
END_TEST

START_TEST(window_attention_of_every_segment_length) {
  static const kernel_span windows[] = {{0, 64}, {0, 32}, {0, 16}, {0, 1}, {0, 100}, {0, 33}},
                           single[] = {{0, 1}}, even[] = {{0, 64}, {0, 64}, {0, 64}},
                           big[] = {{0, 1296}};
  check_spans("window_attention", windows, COUNT(windows), 2, 2, 80);
  check_spans("window_attention", single, 1, 3, 3, 16);
  check_spans("window_attention", even, COUNT(even), 1, 1, 256);
  check_spans("window_attention", big, 1, 1, 1, 16);
}
END_TEST

/* ---- sample ---- */

#define SAMPLE(...) .op = "sample", .how = kernel_choices, .n_how = KERNEL_CHOICES, __VA_ARGS__

START_TEST(sample_chooses_by_definition) {
  static const kernel_case cases[] = {
      {SAMPLE(.n_row = 13, .d = 7)},
      {SAMPLE(.n_row = 13, .d = 7, .n_best = 7, .spread = 4)},
      {SAMPLE(.n_row = 26, .d = 100, .n_best = 3, .spread = 6)},
      {SAMPLE(.n_row = 39, .d = 1021, .n_best = 20, .spread = 10)},
      {SAMPLE(.n_row = 13, .d = 4099, .spread = 20)},
      {SAMPLE(.n_row = 13, .d = 2048, .n_best = 1, .spread = 1e30f)},
      {SAMPLE(.n_row = 0, .d = 9, .n_best = 2)},
  };
  check_cases(cases, COUNT(cases));
}
END_TEST

START_TEST(sample_orders_equal_and_missing_logits) {
  static const kernel_case cases[] = {
      {SAMPLE(.n_row = 26, .d = 300, .n_best = 30, .spread = 4, .step = 1)},
      {SAMPLE(.n_row = 26, .d = 1500, .n_best = 9, .spread = 1, .step = 4)}, /* all equal */
      {SAMPLE(.n_row = 26, .d = 300, .n_best = 300, .spread = 4, .step = 0.5f, .holes = 1)},
      {SAMPLE(.n_row = 26, .d = 301, .n_best = 301, .spread = 4, .holes = 2)},
      {SAMPLE(.n_row = 26, .d = 300, .n_best = 120, .spread = 4, .step = 1, .holes = 3)},
  };
  check_cases(cases, COUNT(cases));
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("kernels");
  TCase *t = tcase_create("operations");
  tcase_set_timeout(t, 240);
  tcase_add_test(t, linear_at_every_number_of_rows);
  tcase_add_test(t, linear_at_every_width);
  tcase_add_test(t, linear_with_parts_bias_and_residual);
  tcase_add_test(t, linear_at_large_shapes);
  tcase_add_test(t, no_rows_is_no_work);
  tcase_add_test(t, rmsnorm_of_small_and_large_rows);
  tcase_add_test(t, swiglu_over_its_range);
  tcase_add_test(t, gelu_over_its_range);
  tcase_add_test(t, fill_gives_the_numbers_of_its_seed);
  tcase_add_test(t, embed_and_gather_copy_exactly);
  tcase_add_test(t, patches_are_cut_and_normalised);
  tcase_add_test(t, rope_turns_heads);
  tcase_add_test(t, attention_prefills_continues_and_decodes);
  tcase_add_test(t, attention_of_every_group_and_head_size);
  tcase_add_test(t, attention_keeps_sequences_apart);
  tcase_add_test(t, rope_kv_touches_its_slots_only);
  tcase_add_test(t, attention_sees_the_branch_of_a_draft_only);
  tcase_add_test(t, kv_copy_moves_runs_of_tokens);
  tcase_add_test(t, window_attention_of_every_segment_length);
  tcase_add_test(t, sample_chooses_by_definition);
  tcase_add_test(t, sample_orders_equal_and_missing_logits);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
