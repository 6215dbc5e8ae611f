/* The CUDA kernels that go over rows once, on the emulator: rmsnorm, rope_table, rope, rope_kv,
 * swiglu, gelu, embed, gather_rows, patches. */
#include "tests/kernels/cuda_cases.h"

static const mv_dtype pairs[][2] = {{F32, F32}, {F32, BF16}, {BF16, F32}, {BF16, BF16}};

/* Rows of every width that changes the path: vectors or not, registers or a second reading. */
static void check_widths(const char *op, const int *widths, int n_width, int same_format) {
  static const int rows[] = {1, 7};
  kernel_case cases[64];
  int n = 0;
  for (int f = 0; f < COUNT(pairs); f++)
    for (int i = 0; i < n_width && !(same_format && pairs[f][0] != pairs[f][1]); i++) {
      kernel_case c = {.op = op,
                       .n_row = rows[i % 2],
                       .x = pairs[f][0],
                       .y = pairs[f][1],
                       .d = widths[i],
                       .spread = i % 3 ? 3 : 0.01f};
      cases[n++] = c;
    }
  cuda_check_cases(cases, n);
}

START_TEST(rmsnorm_at_every_width) {
  static const int widths[] = {1, 4, 7, 8, 30, 64, 1280, 1284, 3584, 4100, 16400};
  check_widths("rmsnorm", widths, COUNT(widths), 0);
}
END_TEST

START_TEST(swiglu_at_every_width) {
  static const int widths[] = {1, 6, 8, 12, 64, 3420, 3456, 2056};
  check_widths("swiglu", widths, COUNT(widths), 0);
  static const kernel_case steep = {
      .op = "swiglu", .n_row = 3, .x = F32, .y = F32, .d = 64, .spread = 100};
  cuda_check_case(&steep, 5);
}
END_TEST

START_TEST(gelu_at_every_width) {
  static const int widths[] = {1, 6, 8, 12, 64, 2056, 5120};
  check_widths("gelu", widths, COUNT(widths), 1);
}
END_TEST

START_TEST(embed_and_gather_at_every_width) {
  static const int widths[] = {1, 4, 6, 8, 64, 1176, 2056, 3584};
  check_widths("embed", widths, COUNT(widths), 0);
  check_widths("gather_rows", widths, COUNT(widths), 0);
}
END_TEST

START_TEST(patches_of_every_image) {
  static const kernel_case images[] = {
      {.op = "patches",
       .height = 56,
       .width = 84,
       .channels = 3,
       .d = 14,
       .merge = 2,
       .temporal = 2},
      {.op = "patches",
       .height = 28,
       .width = 28,
       .channels = 1,
       .d = 14,
       .merge = 2,
       .temporal = 2},
      {.op = "patches", .height = 9, .width = 18, .channels = 3, .d = 3, .merge = 3, .temporal = 1},
  };
  kernel_case cases[2 * COUNT(images)];
  int n = 0;
  for (int f = 0; f < 2; f++)
    for (int i = 0; i < COUNT(images); i++, n++) {
      cases[n] = images[i];
      cases[n].y = f ? BF16 : F32;
      cases[n].n_row = images[i].height / images[i].d * (images[i].width / images[i].d);
    }
  cuda_check_cases(cases, n);
}
END_TEST

START_TEST(fill_gives_the_numbers_of_its_seed) {
  static const kernel_case cases[] = {
      {.op = "fill", .n_row = 1, .y = F32, .d = 1},
      {.op = "fill", .n_row = 5, .y = BF16, .d = 37, .spread = 0.02f},
      {.op = "fill", .n_row = 9, .y = BF16, .d = 64, .pad = 4, .spread = 3},
      {.op = "fill", .n_row = 3, .y = BF16, .d = 3456, .pad = 36},
      {.op = "fill", .n_row = 3, .y = F32, .d = 2056},
  };
  cuda_check_cases(cases, COUNT(cases));
}
END_TEST

START_TEST(rope_table_of_every_head) {
  static const kernel_case cases[] = {
      {.op = "rope_table", .n_row = 1, .y = F32, .d_head = 128},
      {.op = "rope_table", .n_row = 37, .y = F32, .d_head = 80},
      {.op = "rope_table", .n_row = 5, .y = F32, .d_head = 16},
      {.op = "rope_table", .n_row = 3, .y = F32, .d_head = 6},
  };
  cuda_check_cases(cases, COUNT(cases));
}
END_TEST

START_TEST(rope_of_every_head) {
  static const int heads[][3] = {{32, 128, 0}, {32, 128, 512}, {32, 80, 16}, {3, 16, 8},
                                 {5, 32, 4},   {1, 6, 1},      {70, 48, 3},  {2, 256, 0}};
  kernel_case cases[2 * COUNT(heads)];
  int n = 0;
  for (int f = 0; f < 2; f++)
    for (int i = 0; i < COUNT(heads); i++) {
      kernel_case c = {.op = "rope",
                       .n_row = 1 + 4 * (i % 2),
                       .y = f ? BF16 : F32,
                       .n_head = heads[i][0],
                       .n_kv = heads[i][0],
                       .d_head = heads[i][1],
                       .pad = heads[i][2]};
      cases[n++] = c;
    }
  cuda_check_cases(cases, n);
}
END_TEST

START_TEST(rope_kv_into_pages) {
  static const kernel_span one[] = {{63, 1}}, prompt[] = {{0, 130}},
                           mixed[] = {{5, 1}, {60, 9}, {0, 3}, {200, 64}};
  static const struct {
    const kernel_span *spans;
    int n_span, n_row, n_kv, d_head, pad;
  } shapes[] = {{one, 1, 1, 4, 128, 0}, {prompt, 1, 130, 2, 32, 8}, {mixed, 4, 77, 1, 80, 3}};
  kernel_case cases[8 * COUNT(shapes)];
  int n = 0;
  for (int f = 0; f < 2 * COUNT(pairs); f++)
    for (int i = 0; i < COUNT(shapes); i++) {
      kernel_case c = {.op = "rope_kv",
                       .accumulate = f / COUNT(pairs),
                       .n_row = shapes[i].n_row,
                       .x = pairs[f % COUNT(pairs)][0],
                       .w = pairs[f % COUNT(pairs)][1],
                       .y = pairs[f % COUNT(pairs)][1],
                       .n_head = 3 * shapes[i].n_kv,
                       .n_kv = shapes[i].n_kv,
                       .d_head = shapes[i].d_head,
                       .pad = shapes[i].pad,
                       .spans = shapes[i].spans,
                       .n_span = shapes[i].n_span};
      cases[n++] = c;
    }
  cuda_check_cases(cases, n);
}
END_TEST

/* What moves over the bus is little more than what the cost functions say. rope reads its table in
 * strides of a thread's share, 64 bytes: twice the sectors a request, but of a row that the block
 * has in its cache. */
START_TEST(accesses_are_whole_sectors) {
  static const kernel_span prompt[] = {{60, 9}};
  static const struct {
    kernel_case c;
    const char *file;
    double most;
  } cases[] = {
      {{.op = "rmsnorm", .n_row = 2, .x = F32, .y = BF16, .d = 3584}, "rmsnorm.cu", 1.1},
      {{.op = "swiglu", .n_row = 2, .x = BF16, .y = BF16, .d = 3456}, "activation.cu", 1.1},
      {{.op = "gelu", .n_row = 2, .x = BF16, .y = BF16, .d = 5120}, "activation.cu", 1.1},
      {{.op = "embed", .n_row = 3, .x = BF16, .y = F32, .d = 3584}, "gather.cu", 1.1},
      {{.op = "fill", .n_row = 3, .y = BF16, .d = 3456, .pad = 36}, "fill.cu", 1.1},
      {{.op = "rope", .n_row = 2, .y = BF16, .n_head = 32, .n_kv = 32, .d_head = 128, .pad = 512},
       "rope.cu",
       1.6},
      {{.op = "rope_kv",
        .n_row = 9,
        .x = BF16,
        .w = BF16,
        .y = BF16,
        .n_head = 28,
        .n_kv = 4,
        .d_head = 128,
        .spans = prompt,
        .n_span = 1},
       "rope.cu",
       1.6},
  };
  for (int i = 0; i < COUNT(cases); i++)
    cuda_check_access(&cases[i].c, cases[i].file, cases[i].most, 1.0);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("cuda rows");
  TCase *t = tcase_create("rows");
  tcase_add_unchecked_fixture(t, cuda_set_up, cuda_tear_down);
  tcase_add_test(t, rmsnorm_at_every_width);
  tcase_add_test(t, swiglu_at_every_width);
  tcase_add_test(t, gelu_at_every_width);
  tcase_add_test(t, embed_and_gather_at_every_width);
  tcase_add_test(t, patches_of_every_image);
  tcase_add_test(t, fill_gives_the_numbers_of_its_seed);
  tcase_add_test(t, rope_table_of_every_head);
  tcase_add_test(t, rope_of_every_head);
  tcase_add_test(t, rope_kv_into_pages);
  tcase_add_test(t, accesses_are_whole_sectors);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
