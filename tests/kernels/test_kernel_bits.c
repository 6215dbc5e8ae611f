/* What must be equal to the bit: a row whatever its neighbours, a prompt however it is chunked, a
 * result on any number of threads; conversions, and what a device does without memory. */
#include <math.h>
#include <string.h>

#include "kernels/cpu_simd.h"
#include "runtime/memory.h"
#include "tests/check_main.h"
#include "tests/kernels/cases.h"
#include "tests/tolerances.h"

#define F32 MV_DTYPE_F32
#define BF16 MV_DTYPE_BF16
#define COUNT(a) (int)(sizeof(a) / sizeof *(a))

static const char *const variants[] = {"generic", "avx2", "avx512", "avx512bf16"};

static mv_error err;

/* Opens variant i of this machine; 0 when it has none. */
static int open_variant(mv_device *device, int i, int n_thread) {
  return mv_device_open_cpu(device, n_thread, variants[i], &err) == MV_OK;
}

static kernel_run start(const kernel_case *c, mv_device *device, uint64_t seed) {
  kernel_run run;
  ck_assert_msg(kernel_run_init(&run, c, device, &mv_ops_cpu, seed, &err) == MV_OK, "%s", err.msg);
  return run;
}

static void assert_same_row(const char *what, const void *a, const void *b, size_t n_bytes,
                            int row) {
  ck_assert_msg(memcmp(a, b, n_bytes) == 0, "%s: row %d differs", what, row);
}

/* ---- linear ---- */

/* Rows [row, row + n) of `run` alone, against the same rows of its own output. */
static void check_some_rows(const kernel_run *run, int row, int n, mv_linear_order order) {
  const kernel_case *c = run->c;
  size_t row_bytes = (size_t)run->n_col * mv_dtype_bytes(c->y);
  char *y = calloc((size_t)n, row_bytes), what[160];
  mv_linear_dims dims = {n, c->n_in, run->n_col, c->x, c->y, 0, order};
  mv_linear linear = {.n_in = c->n_in, .n_out = run->n_col, .n_part = 1, .dtype = c->w};
  linear.part[0].w = run->in[2].dev;
  linear.part[0].n_row = run->n_col;
  const char *x = run->in[0].dev;
  run->ops->linear(run->device, &dims, &linear,
                   x + (size_t)row * (size_t)c->n_in * mv_dtype_bytes(c->x), y);
  const char *all = kernel_out(run);
  kernel_case_print(c, what, sizeof what);
  for (int r = 0; r < n; r++)
    assert_same_row(what, all + (size_t)(row + r) * row_bytes, y + (size_t)r * row_bytes, row_bytes,
                    row + r);
  free(y);
}

static void check_rows_of(mv_device *device, mv_dtype x, mv_dtype w, mv_dtype y, int n_in) {
  enum { N = MV_LINEAR_SKINNY_ROWS_CPU };
  kernel_case skinny = {
      .op = "linear", .n_row = N, .x = x, .w = w, .y = y, .n_in = n_in, .n_out = {71}};
  kernel_run run = start(&skinny, device, 5);
  kernel_run_go(&run);
  for (int r = 0; r < N; r++) check_some_rows(&run, r, 1, MV_LINEAR_BY_ROWS);
  for (int n = 2; n < 10; n++) check_some_rows(&run, 7, n, MV_LINEAR_FEW);
  check_some_rows(&run, 1, N - 1, MV_LINEAR_BY_ROWS);
  kernel_run_free(&run);
  kernel_case wide = skinny;
  wide.n_row = 1100; /* more than one block of rows */
  run = start(&wide, device, 5);
  kernel_run_go(&run);
  check_some_rows(&run, 0, N + 1, MV_LINEAR_BY_ROWS);
  check_some_rows(&run, 5, 34, MV_LINEAR_MANY);
  check_some_rows(&run, 1001, 99, MV_LINEAR_BY_ROWS);
  check_some_rows(&run, 400, 700, MV_LINEAR_BY_ROWS);
  kernel_run_free(&run);
}

START_TEST(a_row_of_linear_does_not_depend_on_its_neighbours) {
  for (int i = 0; i < COUNT(variants); i++) {
    mv_device device;
    if (!open_variant(&device, i, 1)) continue;
    static const int lengths[] = {202, 203, MV_DOT_BLOCK_BYTES / 2 + 67};
    for (int l = 0; l < COUNT(lengths); l++) {
      check_rows_of(&device, F32, F32, F32, lengths[l]);
      check_rows_of(&device, F32, BF16, F32, lengths[l]);
      check_rows_of(&device, BF16, BF16, BF16, lengths[l]);
      check_rows_of(&device, BF16, BF16, F32, lengths[l]);
    }
    mv_device_close_cpu(&device);
  }
}
END_TEST

/* ---- attention ---- */

/* The rows of one prompt that is all in the cache, as a batch of the given chunks. */
static void check_chunks(const kernel_run *run, const int *chunks, int n_chunk) {
  const kernel_case *c = run->c;
  size_t width = (size_t)(c->n_head * c->d_head);
  size_t in_row = width * mv_dtype_bytes(c->x), out_row = width * mv_dtype_bytes(c->y);
  char *out = calloc((size_t)c->n_row, out_row);
  int at = 0;
  for (int i = 0; i < n_chunk; i++) {
    mv_attention_dims dims = {chunks[i],           c->n_head,  c->n_kv, c->d_head, (int)width,
                              c->n_kv * c->d_head, (int)width, c->x,    c->w,      c->y};
    mv_seq_rows seq = {0, chunks[i], at, run->seqs[0].pages, NULL};
    mv_seq_plan plan;
    run->ops->plan(run->device, &seq, 1, &dims, &plan);
    run->ops->attention(run->device, &dims, &plan, (char *)run->in[0].dev + (size_t)at * in_row,
                        run->in[3].dev, out + (size_t)at * out_row);
    at += chunks[i];
  }
  ck_assert_int_eq(at, c->n_row);
  for (int r = 0; r < c->n_row; r++)
    assert_same_row("chunked", (char *)kernel_out(run) + (size_t)r * out_row,
                    out + (size_t)r * out_row, out_row, r);
  free(out);
}

static void check_chunking(mv_device *device, mv_dtype x, mv_dtype kv, mv_dtype y) {
  static const kernel_span spans[] = {{0, 200}};
  static const int odd[] = {1, 63, 70, 66}, pages[] = {64, 64, 64, 8}, uneven[] = {37, 163};
  kernel_case c = {.op = "attention",
                   .n_row = 200,
                   .x = x,
                   .w = kv,
                   .y = y,
                   .n_head = 7,
                   .n_kv = 1,
                   .d_head = 32,
                   .spans = spans,
                   .n_span = 1};
  int ones[200];
  for (int i = 0; i < 200; i++) ones[i] = 1;
  kernel_run run = start(&c, device, 9);
  kernel_run_go(&run);
  check_chunks(&run, odd, COUNT(odd));
  check_chunks(&run, pages, COUNT(pages));
  check_chunks(&run, uneven, COUNT(uneven));
  check_chunks(&run, ones, COUNT(ones));
  kernel_run_free(&run);
}

START_TEST(attention_does_not_depend_on_chunking) {
  for (int i = 0; i < COUNT(variants); i++) {
    mv_device device;
    if (!open_variant(&device, i, 1)) continue;
    check_chunking(&device, F32, F32, F32);
    check_chunking(&device, F32, BF16, BF16);
    mv_device_close_cpu(&device);
  }
}
END_TEST

/* A batch of three sequences, then each alone with the same queries and pages. */
START_TEST(attention_does_not_depend_on_other_sequences) {
  static const kernel_span spans[] = {{10, 50}, {130, 1}, {0, 40}};
  kernel_case c = {.op = "attention",
                   .n_row = 91,
                   .n_head = 6,
                   .n_kv = 2,
                   .d_head = 16,
                   .spans = spans,
                   .n_span = 3};
  size_t width = 6 * 16;
  for (int i = 0; i < COUNT(variants); i++) {
    mv_device device;
    if (!open_variant(&device, i, 1)) continue;
    kernel_run run = start(&c, &device, 3);
    kernel_run_go(&run);
    for (int s = 0; s < 3; s++) {
      mv_seq_rows alone = run.seqs[s];
      float out[50 * 6 * 16];
      mv_attention_dims dims = {alone.n_row, 6, 2, 16, (int)width, 32, (int)width, F32, F32, F32};
      size_t at = (size_t)alone.row0 * width;
      alone.row0 = 0;
      mv_seq_plan plan;
      run.ops->plan(&device, &alone, 1, &dims, &plan);
      run.ops->attention(&device, &dims, &plan, (float *)run.in[0].dev + at, run.in[3].dev, out);
      assert_same_row("alone", (float *)kernel_out(&run) + at, out,
                      (size_t)alone.n_row * width * sizeof *out, s);
    }
    kernel_run_free(&run);
    mv_device_close_cpu(&device);
  }
}
END_TEST

/* ---- threads ---- */

/* Large enough that an operation takes all the threads it is given. */
START_TEST(any_number_of_threads_gives_the_same_bits) {
  static const kernel_span prompt[] = {{0, 300}}, windows[] = {{0, 200}, {0, 64}, {0, 210}};
  static const kernel_case cases[] = {
      {.op = "linear", .n_row = 700, .n_in = 130, .n_out = {100, 30}},
      {.op = "linear", .n_row = 700, .x = BF16, .w = BF16, .n_in = 131, .n_out = {130}},
      {.op = "linear", .n_row = 8, .w = BF16, .n_in = 2048, .n_out = {700}},
      {.op = "rmsnorm", .n_row = 1500, .d = 3584, .y = BF16},
      {.op = "swiglu", .n_row = 230, .d = 18944, .y = BF16},
      {.op = "gelu", .n_row = 300, .d = 2560},
      {.op = "rope_table", .n_row = 6000, .d_head = 128},
      {.op = "rope", .n_row = 1000, .n_head = 56, .d_head = 128},
      {.op = "attention",
       .n_row = 300,
       .n_head = 4,
       .n_kv = 2,
       .d_head = 64,
       .spans = prompt,
       .n_span = 1},
      {.op = "rope_kv",
       .n_row = 300,
       .n_head = 4,
       .n_kv = 2,
       .d_head = 64,
       .spans = prompt,
       .n_span = 1},
      {.op = "window_attention",
       .n_row = 474,
       .n_head = 2,
       .n_kv = 2,
       .d_head = 80,
       .spans = windows,
       .n_span = 3},
      {.op = "embed", .n_row = 300, .d = 512},
      {.op = "gather_rows", .n_row = 300, .d = 512, .y = BF16},
  };
  for (int i = 0; i < COUNT(cases); i++) {
    void *want = NULL;
    for (int n_thread = 1; n_thread <= 3; n_thread++) {
      mv_device device;
      ck_assert_int_eq(mv_device_open_cpu(&device, n_thread, NULL, &err), MV_OK);
      ck_assert_int_eq(device.n_thread, n_thread);
      kernel_run run = start(&cases[i], &device, 11);
      kernel_run_go(&run);
      void *got = malloc(kernel_out_bytes(&run));
      kernel_run_download(&run, got);
      if (!want)
        want = got;
      else
        ck_assert_msg(memcmp(want, got, kernel_out_bytes(&run)) == 0,
                      "%s on %d threads differs from one", cases[i].op, n_thread);
      if (got != want) free(got);
      kernel_run_free(&run);
      mv_device_close_cpu(&device);
    }
    free(want);
  }
}
END_TEST

/* ---- conversions and exp of every variant ---- */

START_TEST(narrow_rounds_as_the_scalar_does) {
  static const uint32_t low[] = {0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF};
  enum { N = 16 * 4096 + 13 }; /* a tail after the last full register */
  float *x = malloc(N * sizeof *x);
  uint16_t *got = malloc(N * sizeof *got);
  for (int v = 0; v < COUNT(variants); v++) {
    const mv_cpu_simd *simd = mv_cpu_simd_pick(variants[v]);
    if (!simd) continue;
    for (int l = 0; l < COUNT(low); l++) {
      for (uint32_t i = 0; i < N; i++) x[i] = mv_f32_from_bits((i * 2654435761u) << 16 | low[l]);
      simd->narrow(x, got, N);
      for (uint32_t i = 0; i < N; i++)
        ck_assert_msg(got[i] == mv_f32_to_bf16(x[i]), "%s: %08x becomes %04x, expected %04x",
                      variants[v], mv_f32_bits(x[i]), got[i], mv_f32_to_bf16(x[i]));
    }
  }
  free(x);
  free(got);
}
END_TEST

START_TEST(scalar_rounding_is_to_nearest_even) {
  static const struct {
    uint32_t from;
    uint16_t to;
  } cases[] = {
      {0x3F800000, 0x3F80}, {0x3F808000, 0x3F80},                       /* tie: even below */
      {0x3F818000, 0x3F82},                                             /* tie: even above */
      {0x3F808001, 0x3F81}, {0x3F807FFF, 0x3F80}, {0x7F7FFFFF, 0x7F80}, /* rounds to infinity */
      {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80}, {0x80000000, 0x8000}, {0x00008001, 0x0001},
      {0x7F800001, 0x7FC0}, {0xFFC00000, 0xFFC0}, {0x7FFFFFFF, 0x7FFF}, /* NaN stays NaN */
  };
  for (int i = 0; i < COUNT(cases); i++)
    ck_assert_uint_eq(mv_f32_to_bf16(mv_f32_from_bits(cases[i].from)), cases[i].to);
}
END_TEST

START_TEST(widen_is_exact) {
  enum { N = 65536 };
  uint16_t *x = malloc(N * sizeof *x);
  float *got = malloc(N * sizeof *got);
  for (uint32_t i = 0; i < N; i++) x[i] = (uint16_t)i;
  for (int v = 0; v < COUNT(variants); v++) {
    const mv_cpu_simd *simd = mv_cpu_simd_pick(variants[v]);
    for (int n = N - 17; simd && n <= N; n += 17) {
      simd->widen(x, got, n);
      for (int i = 0; i < n; i++) ck_assert_uint_eq(mv_f32_bits(got[i]), (uint32_t)x[i] << 16);
    }
  }
  free(x);
  free(got);
}
END_TEST

/* exp_sum over [-88, 0], where softmax uses it: every step of 2^-9 and what lies between. */
START_TEST(exp_is_accurate_over_its_range) {
  enum { N = 45056 };
  float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
  for (int v = 0; v < COUNT(variants); v++) {
    const mv_cpu_simd *simd = mv_cpu_simd_pick(variants[v]);
    if (!simd) continue;
    double worst = 0, sum = 0;
    float at = 0;
    for (int i = 0; i < N; i++)
      x[i] = -(float)i / 512 - (float)(kernel_hash(1, (uint64_t)i) % 1000) * 1e-6f;
    memcpy(y, x, N * sizeof *y);
    float got_sum = simd->exp_sum(y, N, 0, 1);
    for (int i = 0; i < N; i++) {
      double want = exp((double)x[i]), error = fabs((double)y[i] - want) / want;
      sum += (double)y[i];
      if (x[i] < -87) {
        ck_assert_msg(y[i] == 0, "%s: exp(%g) is %g, below -87 it is 0", variants[v], (double)x[i],
                      (double)y[i]);
      } else if (error > worst) {
        worst = error;
        at = x[i];
      }
    }
    ck_assert_msg(worst <= MV_TOL_EXP, "%s: exp(%.9g) is off by %.3g, relative", variants[v],
                  (double)at, worst);
    ck_assert_double_le(fabs((double)got_sum - sum), mv_tol_sum(N, sum));
    printf("exp, %-10s: worst relative error %.2f * 2^-24, at %g\n", variants[v], worst * 0x1p24,
           (double)at);
  }
  free(x);
  free(y);
}
END_TEST

START_TEST(largest_passes_over_what_is_no_number) {
  for (int v = 0; v < COUNT(variants); v++) {
    const mv_cpu_simd *simd = mv_cpu_simd_pick(variants[v]);
    float x[64];
    if (!simd) continue;
    for (int i = 0; i < 64; i++) x[i] = -INFINITY;
    ck_assert(simd->largest(x, 64, -INFINITY) == -INFINITY);
    for (int i = 0; i < 64; i++) {
      x[i] = i % 3 == 0 ? NAN : -1.0f - (float)i;
      if (i) ck_assert_float_eq(simd->largest(x, 64, -INFINITY), -2.0f);
    }
    for (int i = 0; i < 64; i++) {
      x[i] = (float)i;
      ck_assert_float_eq(simd->largest(x, 64, -INFINITY), i ? (float)i : 0.0f);
      ck_assert_float_eq(simd->largest(x, 64, 17.5f), i > 17 ? (float)i : 17.5f);
    }
  }
}
END_TEST

/* Weights in bf16 are the nearest ones or their neighbours, and the sum is of them. */
START_TEST(exp_in_bf16_is_rounded_and_summed) {
  const mv_cpu_simd *simd = mv_cpu_simd_pick("avx512bf16");
  if (!simd) return;
  for (int i = 0; i < 4096; i++) {
    float x[64], max = (float)(i % 7) - 3, scale = 0.125f + (float)(i % 5);
    uint16_t out[64];
    double sum = 0;
    for (int j = 0; j < 64; j++) x[j] = j % 9 == 8 ? -INFINITY : max - (float)(i * j) * 0x1p-11f;
    float got_sum = simd->exp_sum_bf16(x, 64, max, scale, out);
    for (int j = 0; j < 64; j++) {
      double want = exp(((double)x[j] - max) * scale), got = mv_bf16_to_f32(out[j]);
      ck_assert_msg(fabs(got - want) <= 0x1.01p-8 * want + 0x1p-126, "exp(%g * %g): %g", x[j] - max,
                    scale, got);
      sum += got;
    }
    ck_assert(out[0] == 0x3F80 && out[8] == 0);
    ck_assert_double_le(fabs(got_sum - sum), 1e-6 * sum);
  }
}
END_TEST

START_TEST(exp_of_masked_and_equal_scores) {
  for (int v = 0; v < COUNT(variants); v++) {
    const mv_cpu_simd *simd = mv_cpu_simd_pick(variants[v]);
    float x[64];
    if (!simd) continue;
    for (int i = 0; i < 64; i++) x[i] = i % 2 ? -INFINITY : 1e4f;
    ck_assert_float_eq(simd->exp_sum(x, 64, 1e4f, 1), 32);
    for (int i = 0; i < 64; i++) ck_assert_float_eq(x[i], i % 2 ? 0.0f : 1.0f);
  }
}
END_TEST

START_TEST(variants_are_offered_by_name) {
  mv_device device;
  const mv_cpu_simd *best = mv_cpu_simd_pick(NULL);
  ck_assert_ptr_nonnull(best);
  ck_assert_ptr_eq(mv_cpu_simd_pick(best->name), best);
  ck_assert_ptr_nonnull(mv_cpu_simd_pick("generic"));
  ck_assert_ptr_null(mv_cpu_simd_pick("avx1024"));
  ck_assert_int_eq(mv_device_open_cpu(&device, 1, "avx1024", &err), MV_ERR_UNSUPPORTED);
  ck_assert_msg(strstr(err.msg, "avx1024"), "%s", err.msg);
}
END_TEST

/* ---- no memory ---- */

static int refuse(size_t n_bytes, void *user) {
  (void)n_bytes;
  ++*(int *)user;
  return 0;
}

static const kernel_span some_rows[] = {{5, 40}};

/* Runs the case while every allocation fails. Whatever needed memory must say so and leave the
 * output alone; then the device is sticky. */
static void run_without_memory(const kernel_case *c) {
  mv_device device;
  int n_refused = 0;
  ck_assert_int_eq(mv_device_open_cpu(&device, 2, NULL, &err), MV_OK);
  kernel_run run = start(c, &device, 1);
  mv_alloc_set_hook(refuse, &n_refused);
  kernel_run_go(&run);
  mv_alloc_set_hook(NULL, NULL);
  ck_assert_int_eq(mv_device_status(&device, &err), n_refused ? MV_ERR_MEMORY : MV_OK);
  if (n_refused) {
    ck_assert_msg(strstr(err.msg, "cpu: no memory"), "%s: %s", c->op, err.msg);
    kernel_run_go(&run); /* there is memory now, but the first failure stays */
    ck_assert_int_eq(device.error.code, MV_ERR_MEMORY);
    ck_assert_msg(memcmp(run.out.host, run.initial, kernel_out_bytes(&run)) == 0,
                  "%s wrote though the device had failed", c->op);
  }
  kernel_run_free(&run);
  mv_device_close_cpu(&device);
}

static const kernel_case every_op[] = {
    {.op = "linear", .n_row = 2, .n_in = 20, .n_out = {9}},
    {.op = "linear", .n_row = 40, .n_in = 20, .n_out = {9}},
    {.op = "linear", .n_row = 40, .x = BF16, .w = BF16, .n_in = 21, .n_out = {9}},
    {.op = "rmsnorm", .n_row = 3, .d = 40},
    {.op = "swiglu", .n_row = 3, .d = 40},
    {.op = "gelu", .n_row = 3, .d = 40},
    {.op = "embed", .n_row = 3, .d = 40},
    {.op = "gather_rows", .n_row = 3, .d = 40},
    {.op = "patches",
     .n_row = 4,
     .height = 8,
     .width = 8,
     .channels = 3,
     .d = 4,
     .merge = 2,
     .temporal = 2},
    {.op = "rope_table", .n_row = 3, .d_head = 16},
    {.op = "rope", .n_row = 3, .n_head = 2, .d_head = 16},
    {.op = "rope_kv",
     .n_row = 40,
     .n_head = 2,
     .n_kv = 1,
     .d_head = 16,
     .spans = some_rows,
     .n_span = 1},
    {.op = "attention",
     .n_row = 40,
     .n_head = 2,
     .n_kv = 1,
     .d_head = 16,
     .spans = some_rows,
     .n_span = 1},
    {.op = "kv_copy", .n_row = 3, .n_layer = 2, .n_kv = 1, .d_head = 16},
    {.op = "window_attention",
     .n_row = 40,
     .n_head = 2,
     .n_kv = 2,
     .d_head = 16,
     .spans = some_rows,
     .n_span = 1},
};

START_TEST(an_operation_without_memory_makes_the_device_sticky) {
  for (int i = 0; i < COUNT(every_op); i++) run_without_memory(&every_op[i]);
}
END_TEST

START_TEST(a_failed_device_does_no_work) {
  for (int i = 0; i < COUNT(every_op); i++) {
    mv_device device;
    ck_assert_int_eq(mv_device_open_cpu(&device, 1, NULL, &err), MV_OK);
    kernel_run run = start(&every_op[i], &device, 1);
    mv_fail(&device.error, MV_ERR_DEVICE, "it caught fire");
    kernel_run_go(&run);
    ck_assert_msg(memcmp(run.out.host, run.initial, kernel_out_bytes(&run)) == 0, "%s wrote",
                  every_op[i].op);
    ck_assert_int_eq(mv_device_status(&device, &err), MV_ERR_DEVICE);
    ck_assert_str_eq(err.msg, "it caught fire");
    kernel_run_free(&run);
    mv_device_close_cpu(&device);
  }
}
END_TEST

START_TEST(device_memory_that_cannot_be_had_is_an_error) {
  mv_device device;
  int n_refused = 0;
  ck_assert_int_eq(mv_device_open_cpu(&device, 1, NULL, &err), MV_OK);
  mv_alloc_set_hook(refuse, &n_refused);
  ck_assert_ptr_null(mv_ops_cpu.alloc(&device, 100));
  mv_alloc_set_hook(NULL, NULL);
  ck_assert_int_eq(mv_device_status(&device, &err), MV_ERR_MEMORY);
  mv_ops_cpu.free(&device, NULL);
  mv_device_close_cpu(&device);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("kernel bits");
  TCase *t = tcase_create("bits");
  tcase_set_timeout(t, 240);
  tcase_add_test(t, a_row_of_linear_does_not_depend_on_its_neighbours);
  tcase_add_test(t, attention_does_not_depend_on_chunking);
  tcase_add_test(t, attention_does_not_depend_on_other_sequences);
  tcase_add_test(t, any_number_of_threads_gives_the_same_bits);
  tcase_add_test(t, narrow_rounds_as_the_scalar_does);
  tcase_add_test(t, scalar_rounding_is_to_nearest_even);
  tcase_add_test(t, widen_is_exact);
  tcase_add_test(t, exp_is_accurate_over_its_range);
  tcase_add_test(t, largest_passes_over_what_is_no_number);
  tcase_add_test(t, exp_of_masked_and_equal_scores);
  tcase_add_test(t, exp_in_bf16_is_rounded_and_summed);
  tcase_add_test(t, variants_are_offered_by_name);
  tcase_add_test(t, an_operation_without_memory_makes_the_device_sticky);
  tcase_add_test(t, a_failed_device_does_no_work);
  tcase_add_test(t, device_memory_that_cannot_be_had_is_an_error);
  suite_add_tcase(s, t);
  return s;
}

MV_CHECK_MAIN(suite)
