/* The CUDA products on the emulator: few rows (linear_skinny.cu), many rows (cuBLASLt's stand-in),
 * everything else (linear_plain.cu). Alignment decides: n_in and the distance of rows are multiples
 * of 8 for the first two. */
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/file.h"
#include "runtime/memory.h"
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
        c.loaded = i % 2;
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
        c.loaded = 1;
        cuda_check_case(&c, (uint64_t)i);
      }
}
END_TEST

START_TEST(no_rows_is_no_work) {
  kernel_case c = product(0, 0, 8, 8, 0);
  cuda_check_case(&c, 1);
}
END_TEST

/* ---- bits ---- */

/* One matrix and many rows, the results of any run of which are compared. */
typedef struct row_set {
  int n_row, n_in, n_out;
  mv_dtype y_dtype;
  void *x, *w, *y; /* own: device memory */
  char *all;       /* owns: y of all rows at once, on the host */
  mv_linear linear;
} row_set;

static uint16_t number(uint64_t seed, size_t i) {
  return mv_f32_to_bf16((float)(kernel_hash(seed, i) % 2001) / 1000 - 1);
}

static void *uploaded(uint64_t seed, size_t n) {
  uint16_t *host = malloc(n * sizeof *host);
  for (size_t i = 0; i < n; i++) host[i] = number(seed, i);
  void *dev = mv_ops_cuda.alloc(&cuda, n * sizeof *host);
  mv_ops_cuda.upload(&cuda, dev, host, n * sizeof *host);
  free(host);
  return dev;
}

static size_t row_bytes(const row_set *r) { return (size_t)r->n_out * mv_dtype_bytes(r->y_dtype); }

static void multiply(const row_set *r, int first, int n, mv_linear_order order, char *out) {
  mv_linear_dims dims = {n, r->n_in, r->n_out, BF16, r->y_dtype, 0, order};
  mv_ops_cuda.linear(&cuda, &dims, &r->linear, (uint16_t *)r->x + (size_t)first * (size_t)r->n_in,
                     r->y);
  mv_ops_cuda.download(&cuda, out, r->y, (size_t)n * row_bytes(r));
  ck_assert_msg(cuda.error.code == MV_OK, "%s", cuda.error.msg);
}

static row_set rows_new(int n_row, int n_in, int n_out, mv_dtype y_dtype, mv_linear_order order) {
  row_set r = {.n_row = n_row, .n_in = n_in, .n_out = n_out, .y_dtype = y_dtype};
  r.x = uploaded(1, (size_t)n_row * (size_t)n_in);
  r.w = uploaded(2, (size_t)n_out * (size_t)n_in);
  r.y = mv_ops_cuda.alloc(&cuda, (size_t)n_row * row_bytes(&r));
  r.linear.n_in = n_in;
  r.linear.n_out = r.linear.part[0].n_row = n_out;
  r.linear.n_part = 1;
  r.linear.part[0].w = r.w;
  r.linear.dtype = BF16;
  r.all = malloc((size_t)n_row * row_bytes(&r));
  multiply(&r, 0, n_row, order, r.all);
  return r;
}

static void rows_free(row_set *r) {
  mv_ops_cuda.free(&cuda, r->x);
  mv_ops_cuda.free(&cuda, r->w);
  mv_ops_cuda.free(&cuda, r->y);
  free(r->all);
}

static void check_some(const row_set *r, int first, int n, mv_linear_order order) {
  char *some = malloc((size_t)n * row_bytes(r));
  multiply(r, first, n, order, some);
  for (int i = 0; i < n; i++)
    ck_assert_msg(memcmp(some + (size_t)i * row_bytes(r),
                         r->all + (size_t)(first + i) * row_bytes(r), row_bytes(r)) == 0,
                  "%dx%d: row %d differs as row %d of %d", r->n_in, r->n_out, first + i, i, n);
  free(some);
}

START_TEST(a_row_among_few_has_one_result) {
  static const int widths[][2] = {{232, 40}, {2048, 24}};
  for (int i = 0; i < COUNT(widths); i++) {
    row_set r = rows_new(64, widths[i][0], widths[i][1], F32, MV_LINEAR_FEW);
    for (int n = 1; n < 64; n++) check_some(&r, (n * 37) % (65 - n), n, MV_LINEAR_FEW);
    for (int row = 0; row < 64; row += 5) check_some(&r, row, 1, MV_LINEAR_BY_ROWS);
    rows_free(&r);
  }
  for (int i = 0; i < COUNT(widths); i++) { /* chunks of 64 */
    row_set r = rows_new(150, widths[i][0], widths[i][1], BF16, MV_LINEAR_FEW);
    check_some(&r, 0, 1, MV_LINEAR_FEW);
    check_some(&r, 60, 10, MV_LINEAR_FEW);
    check_some(&r, 1, 149, MV_LINEAR_FEW);
    rows_free(&r);
  }
}
END_TEST

/* The library's algorithms have several orders; per shape one must do for any number of rows. */
START_TEST(a_row_among_many_has_one_result) {
  static const int some[] = {1, 5, 16, 17, 40, 64, 65, 90, 128, 150, 200, 300, 520};
  for (int n_in = 64; n_in <= 1024; n_in *= 4) {
    row_set r = rows_new(700, n_in, 16, F32, MV_LINEAR_MANY);
    for (int i = 0; i < COUNT(some); i++)
      check_some(&r, (i * 97) % (700 - some[i]), some[i], MV_LINEAR_MANY);
    rows_free(&r);
  }
}
END_TEST

/* The widest product of the 7B model, for which the library has algorithms that small ones do not
 * have: on a card, where it is no work. */
START_TEST(a_row_of_a_wide_product_has_one_result) {
  enum { N_ROW = 700, N_IN = 3584, N_OUT = 37888 };
  static const int some[] = {1, 64, 65, 128, 130, 257, 512, 513, 699};
  static const mv_dtype y[] = {BF16, F32};
  if (!cuda_on_card()) return;
  for (int f = 0; f < COUNT(y); f++) {
    row_set r = rows_new(N_ROW, N_IN, N_OUT, y[f], MV_LINEAR_MANY);
    for (int i = 0; i < COUNT(some); i++)
      check_some(&r, (i * 97) % (N_ROW - some[i]), some[i], MV_LINEAR_MANY);
    rows_free(&r);
  }
}
END_TEST

/* What a library cannot add in the format of the result, it is given in that format. */
START_TEST(a_bias_without_loss_is_as_good_as_f32) {
  row_set r = rows_new(100, 64, 32, BF16, MV_LINEAR_MANY);
  float bias[32];
  uint16_t narrow[32];
  for (size_t i = 0; i < 32; i++) {
    narrow[i] = number(3, i);
    bias[i] = mv_bf16_to_f32(narrow[i]);
  }
  void *dev_bias = mv_ops_cuda.alloc(&cuda, sizeof bias);
  void *dev_narrow = mv_ops_cuda.alloc(&cuda, sizeof narrow);
  mv_ops_cuda.upload(&cuda, dev_bias, bias, sizeof bias);
  mv_ops_cuda.upload(&cuda, dev_narrow, narrow, sizeof narrow);
  r.linear.bias = dev_bias;
  multiply(&r, 0, 100, MV_LINEAR_MANY, r.all); /* f32 sums, rounded by us */
  r.linear.bias_bf16 = dev_narrow;
  uint16_t got[100 * 32], want[100 * 32];
  multiply(&r, 0, 100, MV_LINEAR_MANY, (char *)got);
  memcpy(want, r.all, sizeof want);
  for (int i = 0; i < 100 * 32; i++) { /* the two keys may have different orders of sums */
    float a = mv_bf16_to_f32(got[i]), b = mv_bf16_to_f32(want[i]);
    ck_assert_msg(a - b <= 0.01f * (1 + b * b) && b - a <= 0.01f * (1 + b * b), "%d: %g, %g", i,
                  (double)a, (double)b);
  }
  mv_ops_cuda.free(&cuda, dev_bias);
  mv_ops_cuda.free(&cuda, dev_narrow);
  rows_free(&r);
}
END_TEST

/* ---- the table of algorithms ---- */

static char table_path[64]; /* of this process: others run beside it */

static void reopen(void) {
  mv_error err;
  mv_device_close_cuda(&cuda);
  ck_assert_msg(mv_device_open_cuda(&cuda, 0, &err) == MV_OK, "%s", err.msg);
}

static void use_table(void) {
  mv_error err;
  ck_assert_msg(mv_linear_cuda_table(&cuda, table_path, &err) == MV_OK, "%s", err.msg);
}

static mv_buf table_text(void) {
  mv_buf text = {0};
  mv_error err;
  ck_assert_msg(mv_file_read(table_path, 1 << 20, &text, &err) == MV_OK, "%s", err.msg);
  return text;
}

static void multiply_many(void) {
  row_set r = rows_new(100, 64, 32, F32, MV_LINEAR_MANY);
  rows_free(&r);
}

/* Not on a card: there calls are not counted, and none fails to order. */
static int is_emulated(void) { return sim_settings()->sms > 0; }

/* Calls of the runtime for one product: measuring makes many. */
static long calls_of_a_product(void) {
  sim_fail_call(-1, 0);
  multiply_many();
  return sim_fail_call(-1, 0);
}

START_TEST(times_are_kept_in_a_file) {
  if (cuda_on_card()) return;
  remove(table_path);
  reopen();
  use_table();
  multiply_many();
  mv_buf first = table_text();
  int n_line = 0;
  for (size_t i = 0; i < first.len; i++) n_line += first.ptr[i] == '\n';
  ck_assert_int_eq(n_line, 3 + 2 + 1); /* head; 512 and 128 rows; sum */
  long known = calls_of_a_product();
  reopen();
  use_table();
  long loaded = calls_of_a_product();
  ck_assert_int_le(loaded, known + 4);
  mv_buf second = table_text();
  ck_assert_uint_eq(first.len, second.len);
  ck_assert_int_eq(memcmp(first.ptr, second.ptr, first.len), 0);
  reopen();
  if (is_emulated()) ck_assert_int_gt(calls_of_a_product(), known + 20);
  mv_buf_free(&first);
  mv_buf_free(&second);
  remove(table_path);
}
END_TEST

static void check_replaced(const char *bytes, size_t n, const char *what) {
  mv_error err;
  ck_assert_int_eq(mv_file_write(table_path, bytes, n, &err), MV_OK);
  reopen();
  use_table();
  multiply_many();
  mv_buf text = table_text();
  ck_assert_msg(n != text.len || memcmp(bytes, text.ptr, n) != 0, "%s was taken", what);
  mv_buf_free(&text);
  reopen();
  use_table();
  ck_assert_int_eq(cuda.error.code, MV_OK);
}

START_TEST(a_damaged_file_is_replaced) {
  if (cuda_on_card()) return;
  remove(table_path);
  reopen();
  use_table();
  multiply_many();
  mv_buf good = table_text();
  char *bad = malloc(good.len + 1);
  for (size_t at = 0; at < good.len; at += 13) { /* a bit here or there */
    memcpy(bad, good.ptr, good.len);
    bad[at] ^= 1;
    check_replaced(bad, good.len, "a flipped bit");
  }
  for (size_t n = 0; n < good.len; n += 29) check_replaced(good.ptr, n, "a cut file");
  memset(bad, 0xff, good.len);
  check_replaced(bad, good.len, "noise");
  free(bad);
  mv_buf_free(&good);
  remove(table_path);
}
END_TEST

/* ---- failures ---- */

/* Every call of the runtime fails once: an error that stays, nothing worse, and a device that can
 * be closed. */
START_TEST(every_failure_makes_the_device_sticky) {
  if (cuda_on_card()) return;
  static const struct {
    int n_row, n_in, n_out;
    mv_linear_order order;
  } cases[] = {{3, 2048, 16, MV_LINEAR_FEW}, {70, 64, 32, MV_LINEAR_MANY}, {2, 7, 5, 0}};
  for (int i = 0; i < COUNT(cases); i++) {
    long n_call = 0, n_failed = 0;
    for (long k = -1; k < n_call; k += k < 40 ? 1 : 7) { /* -1: counts the calls */
      reopen();
      row_set r = {.n_row = cases[i].n_row, .n_in = cases[i].n_in, .n_out = cases[i].n_out};
      r.y_dtype = F32;
      size_t n_x = (size_t)(r.n_row * r.n_in), n_w = (size_t)(r.n_out * r.n_in);
      r.x = uploaded(1, n_x);
      r.w = uploaded(2, n_w);
      r.y = mv_ops_cuda.alloc(&cuda, (size_t)r.n_row * row_bytes(&r));
      mv_linear linear = {
          .n_in = r.n_in, .n_out = r.n_out, .n_part = 1, .part = {{r.w, r.n_out}}, .dtype = BF16};
      mv_linear_dims dims = {r.n_row, r.n_in, r.n_out, BF16, F32, 0, cases[i].order};
      sim_fail_call(k, k % 2 ? cudaErrorUnknown : cudaErrorMemoryAllocation);
      mv_ops_cuda.linear(&cuda, &dims, &linear, r.x, r.y);
      long n = sim_fail_call(-1, 0);
      if (k < 0) n_call = n;
      int failed = cuda.error.code != MV_OK;
      n_failed += failed;
      if (failed) ck_assert_msg(strstr(cuda.error.msg, "cuda:0"), "%s", cuda.error.msg);
      mv_device_recover(&cuda);
      rows_free(&r);
    }
    printf("%d rows: %ld calls, %ld of those failed stopped the product\n", cases[i].n_row, n_call,
           n_failed);
    ck_assert(n_failed > 0 || !is_emulated());
    reopen();
  }
}
END_TEST

/* Counts down; the allocation at zero fails. */
static int fails_at_zero(size_t n_bytes, void *left) {
  (void)n_bytes;
  return (*(long *)left)-- != 0;
}

/* Without memory for the table: an error or a product, and the file as it was or whole. */
START_TEST(memory_may_end_anywhere) {
  remove(table_path);
  reopen();
  use_table();
  row_set r = rows_new(100, 64, 32, F32, MV_LINEAR_MANY);
  mv_linear_dims dims = {100, 64, 32, BF16, F32, 0, MV_LINEAR_MANY};
  for (long k = 0, left = -1; left < 0; k++) {
    mv_error err;
    mv_device_close_cuda(&cuda);
    ck_assert_int_eq(mv_device_open_cuda(&cuda, 0, &err), MV_OK);
    if (k % 2) remove(table_path);
    left = k;
    mv_alloc_set_hook(fails_at_zero, &left);
    if (mv_linear_cuda_table(&cuda, table_path, &err) == MV_OK)
      mv_ops_cuda.linear(&cuda, &dims, &r.linear, r.x, r.y);
    mv_alloc_set_hook(NULL, NULL);
    if (k % 2 == 0) left = -1; /* the odd ones measure, which takes more */
    ck_assert_int_lt(k, 1000);
  }
  reopen();
  use_table();
  multiply_many();
  rows_free(&r);
  remove(table_path);
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
  snprintf(table_path, sizeof table_path, "/tmp/medvision-table-%ld", (long)getpid());
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
  tcase_add_test(t, a_row_among_few_has_one_result);
  tcase_add_test(t, a_row_among_many_has_one_result);
  tcase_add_test(t, a_row_of_a_wide_product_has_one_result);
  tcase_add_test(t, a_bias_without_loss_is_as_good_as_f32);
  tcase_add_test(t, times_are_kept_in_a_file);
  tcase_add_test(t, a_damaged_file_is_replaced);
  tcase_add_test(t, every_failure_makes_the_device_sticky);
  tcase_add_test(t, memory_may_end_anywhere);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
