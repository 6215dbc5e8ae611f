/* The CUDA products on the emulator: few rows (linear_skinny.cu), many rows (cuBLASLt's stand-in),
 * everything else (linear_plain.cu). Alignment decides: n_in and the distance of rows are multiples
 * of 8 for the first two. */
#include <string.h>

#include "tests/kernels/cuda_cases.h"

static const struct {
  mv_dtype x, w, y;
} formats[] = {{BF16, BF16, BF16}, {BF16, BF16, F32}, {F32, F32, F32}, {F32, BF16, F32}};

static kernel_case product(int f, int n_row, int n_in, int n_out, int pad) {
  kernel_case c = {.op = "linear",
                   .n_row = n_row,
                   .x = formats[f].x,
                   .w = formats[f].w,
                   .y = formats[f].y,
                   .n_in = n_in,
                   .n_out = {n_out},
                   .pad = pad};
  return c;
}

START_TEST(few_rows_of_every_number) {
  static const int rows[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 63, 64};
  for (int f = 0; f < 2; f++)
    for (int i = 0; i < COUNT(rows); i++) {
      kernel_case c = product(f, rows[i], 72, 37, 8);
      cuda_check_case(&c, (uint64_t)i);
    }
}
END_TEST

START_TEST(few_rows_at_every_width) {
  static const int widths[][2] = {{8, 1},   {16, 16}, {24, 17},  {32, 33},  {40, 5},    {64, 64},
                                  {96, 15}, {248, 7}, {256, 48}, {264, 31}, {1024, 18}, {1288, 40}};
  for (int f = 0; f < 2; f++)
    for (int i = 0; i < COUNT(widths); i++)
      for (int n_row = 3; n_row <= 64; n_row += 15) {
        kernel_case c = product(f, n_row, widths[i][0], widths[i][1], 0);
        cuda_check_case(&c, (uint64_t)i);
      }
}
END_TEST

/* Sums cut between blocks: long rows, few columns. */
START_TEST(few_rows_with_cut_sums) {
  static const int widths[][2] = {{2048, 16}, {4096 + 24, 50}, {16384, 7}, {8192, 600}};
  static const int rows[] = {1, 8, 20, 64};
  for (int i = 0; i < COUNT(widths); i++)
    for (int j = 0; j < COUNT(rows); j++) {
      kernel_case c = product(j % 2, rows[j], widths[i][0], widths[i][1], 0);
      c.bias = j % 2;
      c.accumulate = j / 2;
      if (widths[i][1] > 64 && rows[j] > 8) continue; /* slow */
      cuda_check_case(&c, (uint64_t)i);
    }
}
END_TEST

/* So many columns that a warp takes several tiles. */
START_TEST(few_rows_of_a_large_head) {
  static const int rows[] = {1, 9, 17, 33};
  for (int i = 0; i < COUNT(rows); i++) {
    kernel_case c = product(1, rows[i], 40, 16400, 0);
    c.n_out[1] = 9;
    cuda_check_case(&c, (uint64_t)i);
  }
}
END_TEST

START_TEST(parts_bias_and_residual) {
  static const int parts[][MV_LINEAR_PARTS] = {{9}, {6, 3}, {64, 7, 9}, {1, 1, 1}, {16, 72}};
  static const int rows[] = {6, 40, 70};
  for (int f = 0; f < COUNT(formats); f++)
    for (int i = 0; i < COUNT(parts); i++)
      for (int mode = 0; mode < 4; mode++) {
        kernel_case c = product(f, rows[(i + mode) % 3], 24, 0, 8);
        c.bias = mode & 1;
        c.accumulate = mode >> 1;
        c.spread = 20;
        memcpy(c.n_out, parts[i], sizeof c.n_out);
        cuda_check_case(&c, (uint64_t)i);
      }
}
END_TEST

START_TEST(odd_sizes_take_the_plain_kernel) {
  static const int sizes[][4] = {{1, 1, 1, 0},   {3, 7, 5, 1},     {16, 70, 64, 3}, {17, 33, 65, 0},
                                 {65, 20, 3, 4}, {100, 17, 70, 2}, {2, 1023, 8, 1}};
  for (int f = 0; f < COUNT(formats); f++)
    for (int i = 0; i < COUNT(sizes); i++) {
      kernel_case c = product(f, sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
      cuda_check_case(&c, (uint64_t)i);
    }
}
END_TEST

START_TEST(many_rows_go_through_the_library) {
  static const int sizes[][3] = {{65, 64, 32}, {96, 40, 16}, {130, 72, 80}, {600, 32, 24}};
  for (int f = 0; f < 2; f++)
    for (int i = 0; i < COUNT(sizes); i++)
      for (int mode = 0; mode < 4; mode++) {
        kernel_case c = product(f, sizes[i][0], sizes[i][1], sizes[i][2], 8);
        c.n_out[1] = 8 * i;
        c.bias = mode & 1;
        c.accumulate = mode >> 1;
        cuda_check_case(&c, (uint64_t)i);
      }
}
END_TEST

START_TEST(no_rows_is_no_work) {
  kernel_case c = product(0, 0, 8, 8, 0);
  cuda_check_case(&c, 1);
}
END_TEST

/* W in whole sectors, each once. */
START_TEST(accesses_are_whole_sectors) {
  static const int rows[] = {1, 8, 32, 64};
  for (int i = 0; i < COUNT(rows); i++) {
    kernel_case c = product(1, rows[i], 1024, 128, 0);
    cuda_check_access(&c, "linear_skinny.cu", 1.001, 1.0);
  }
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("cuda linear");
  TCase *t = tcase_create("linear");
  tcase_add_unchecked_fixture(t, cuda_set_up, cuda_tear_down);
  tcase_add_test(t, few_rows_of_every_number);
  tcase_add_test(t, few_rows_at_every_width);
  tcase_add_test(t, few_rows_with_cut_sums);
  tcase_add_test(t, few_rows_of_a_large_head);
  tcase_add_test(t, parts_bias_and_residual);
  tcase_add_test(t, odd_sizes_take_the_plain_kernel);
  tcase_add_test(t, many_rows_go_through_the_library);
  tcase_add_test(t, no_rows_is_no_work);
  tcase_add_test(t, accesses_are_whole_sectors);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
