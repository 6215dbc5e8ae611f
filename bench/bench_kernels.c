/* Times every operation at the 7B model's shapes.
 *
 * Each row is checked against the plain reference at some outputs, run once more to warm up, and
 * timed over enough runs; rows bound by memory rotate over copies of their inputs that together
 * exceed the last-level cache. The limit of a row is the time its bytes take at the machine's read
 * bandwidth or its products at the machine's multiplication rate, whichever is longer, with the
 * counts of mv_<op>_cost. On a GPU the limits are those of its best copy and its best product, and
 * runs over all copies, so many that they take STEP_MS, are one recorded step, timed by the
 * device's clock: what a kernel takes among others. While the host describes and launches a step
 * the device has nothing to do, and its clock runs: some 10 us, a percent of such a step. A machine
 * busy with something else gives meaningless figures.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/compare.h"
#include "bench/kernel_table.h"
#include "bench/machine.h"
#include "bench/options.h"
#include "runtime/clock.h"
#include "runtime/json.h"
#include "runtime/memory.h"

#define MAX_COPIES 16
#define MAX_RUNS 5000
#define PROFILE_RUNS 5
#define STEP_MS 1.0 /* of a recorded step, on a GPU */
#define MAX_STEP_RUNS 512

typedef struct bench_options {
  const char *op, *simd, *device, *compare;
  const char *profile; /* one row, a few times, and nothing else */
  int n_thread, json, quick, help, argc;
  char **argv;
} bench_options;

typedef struct bench_result {
  const bench_case *row;
  mv_cost cost;
  int n_run, right;
  double median_ms, min_ms, p25_ms, p75_ms, p90_ms, limit_ms;
  char verdict[320]; /* of a wrong result */
} bench_result;

typedef struct target {
  mv_device *device;
  const mv_ops *ops;
} target;

/* ---- arguments ---- */

static const char help_text[] =
    "usage: medvision bench kernels [--device NAME] [--op NAME] [--threads N] [--simd NAME] "
    "[--quick]\n"
    "                               [--json | --profile ROW]\n"
    "\n"
    "Measures this machine, then every operation at the shapes of the 7B model: 1 row (decode),\n"
    "700 rows (prefill), 1296 patches (vision).\n"
    "\n"
    "  --device NAME  where to run: cpu (default), cuda, cuda:N\n"
    "  --op NAME      one operation: linear, attention, ...\n"
    "  --threads N    CPU threads (all of them)\n"
    "  --simd NAME    a lesser vector variant: generic, avx2, avx512, avx512bf16\n"
    "  --quick        fewer runs: for a smoke test, not for figures\n"
    "  --json         one JSON object\n"
    "  --compare FILE exit 1 where a row is slower than in that --json output by more than both\n"
    "                 runs' spread (bench/README.md)\n"
    "  --profile ROW  runs one row a few times and nothing else, for a profiler of kernels (ncu):\n"
    "                 words of the row with / between, as in decode/linear/gate_up\n";

static int parse(int argc, char **argv, bench_options *o) {
  *o = (bench_options){.device = "cpu"};
  const bench_option options[] = {
      {"--device", BENCH_TEXT(&o->device)},   {"--op", BENCH_TEXT(&o->op)},
      {"--simd", BENCH_TEXT(&o->simd)},       {"--profile", BENCH_TEXT(&o->profile)},
      {"--compare", BENCH_TEXT(&o->compare)}, {"--threads", BENCH_COUNT(&o->n_thread)},
      {"--json", BENCH_FLAG(&o->json)},       {"--quick", BENCH_FLAG(&o->quick)},
      {"--help", BENCH_FLAG(&o->help)},       {"-h", BENCH_FLAG(&o->help)}};
  return bench_parse_options("kernels", argc, argv, options, sizeof options / sizeof *options);
}

static mv_status check(const bench_options *o, mv_error *err) {
  if (o->op && !kernel_op_find(o->op))
    return mv_fail(err, MV_ERR_USAGE, "--op %s: no such operation", o->op);
  if (o->n_thread > 4096)
    return mv_fail(err, MV_ERR_USAGE, "--threads %d: expected 1 to 4096", o->n_thread);
  return MV_OK;
}

/* ---- one row ---- */

/* First, middle and last row, at columns spread over the width. */
static mv_status check_some(kernel_run *run, bench_result *result, mv_error *err) {
  enum { COLUMNS = 8 };
  void *copy = mv_alloc(kernel_out_bytes(run));
  if (!copy) return mv_fail(err, MV_ERR_MEMORY, "no memory to check a result");
  kernel_verdict v = {0};
  kernel_run_reset(run);
  kernel_run_go(run);
  kernel_run_download(run, copy);
  kernel_check_guards(run, copy, &v);
  for (int r = 0; r < 3; r++)
    for (int c = 0; c < COLUMNS; c++) {
      size_t row = (run->n_out_row - 1) * (size_t)r / 2;
      int col = (int)((double)(run->n_col - 1) * c / (COLUMNS - 1));
      double want, slack;
      run->op->expect(run, row, col, 1, &want, &slack);
      kernel_compare(run, copy, row, col, 1, &want, &slack, &v);
    }
  mv_free(copy);
  result->right = kernel_verdict_ok(&v);
  if (!result->right) kernel_verdict_print(&v, result->verdict, sizeof result->verdict);
  return mv_device_status(run->device, err);
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* One run of one copy. */
static double time_one(kernel_run *run) {
  run->ops->mark(run->device, 0);
  kernel_run_go(run);
  run->ops->mark(run->device, 1);
  return run->ops->elapsed(run->device, 0, 1);
}

/* n_run runs over all copies in turn as one step: directly, recorded, then replayed. The mean. */
static double time_step(kernel_run *runs, int n_copy, int n_run) {
  mv_device *device = runs[0].device;
  const mv_ops *ops = runs[0].ops;
  ops->mark(device, 0);
  do {
    ops->step_begin(device);
    for (int i = 0; i < n_run; i++) kernel_run_go(&runs[i % n_copy]);
  } while (ops->step_end(device));
  ops->mark(device, 1);
  return ops->elapsed(device, 0, 1) / n_run;
}

/* How many runs, a multiple of the copies, take step_ms; a step of so many is recorded then. */
static int step_runs(kernel_run *runs, int n_copy, double step_ms) {
  double ms = 0;
  for (int i = 0; i < 3; i++) ms = time_step(runs, n_copy, n_copy);
  int n_run = n_copy;
  while (n_run + n_copy <= MAX_STEP_RUNS && n_run * ms < step_ms) n_run += n_copy;
  for (int i = 0; i < 3 && n_run > n_copy; i++) time_step(runs, n_copy, n_run);
  return n_run;
}

/* Runs until there are enough and long enough, or it takes too long; in-place operations that
 * would shrink their input to nothing get it anew each time, untimed. */
static void time_runs(kernel_run *runs, int n_copy, int quick, bench_result *out) {
  static double ms[MAX_RUNS];
  int n = 0, at_least = quick ? 3 : 30, on_gpu = runs[0].ops != &mv_ops_cpu, n_run = 1;
  double enough_ms = quick ? 5 : 300, too_long_ms = quick ? 300 : 3000, total = 0;
  int renew = strcmp(runs[0].c->op, "gelu") == 0 && !on_gpu;
  if (on_gpu)
    n_run = step_runs(runs, n_copy, quick ? 0 : STEP_MS);
  else
    time_one(&runs[0]);
  while (n < MAX_RUNS && total < too_long_ms && (n < at_least || total < enough_ms)) {
    kernel_run *run = &runs[n % n_copy];
    if (renew) kernel_run_reset(run);
    ms[n] = on_gpu ? time_step(runs, n_copy, n_run) : time_one(run);
    total += n_run * ms[n++];
    if (runs[0].device->error.code != MV_OK) break;
  }
  qsort(ms, (size_t)n, sizeof *ms, by_size);
  out->n_run = n;
  out->median_ms = ms[n / 2];
  out->min_ms = ms[0];
  out->p25_ms = ms[n / 4];
  out->p75_ms = ms[n - 1 - n / 4];
  out->p90_ms = ms[n - 1 - n / 10];
}

static double rate_of(const bench_machine *machine, const kernel_case *c) {
  int bf16 = strcmp(c->op, "linear") == 0 && c->x == MV_DTYPE_BF16 && c->w == MV_DTYPE_BF16;
  return bf16 ? machine->bf16_gflops : machine->f32_gflops;
}

/* Copies of the inputs so that, together, they do not stay in the cache. */
static int copies_of(const bench_machine *machine, const bench_result *r, double memory_ms) {
  if (memory_ms < r->limit_ms || r->cost.bytes < 1) return 1;
  double n = 2.0 * (double)machine->cache_bytes / r->cost.bytes + 1;
  return n < MAX_COPIES ? (int)n : MAX_COPIES;
}

static mv_status bench_row(const bench_case *row, const bench_machine *machine, const target *t,
                           int quick, bench_result *out, mv_error *err) {
  kernel_run runs[MAX_COPIES];
  int n_copy = 1, n_made = 1;
  memset(out, 0, sizeof *out);
  out->row = row;
  mv_status status = kernel_run_init(&runs[0], &row->c, t->device, t->ops, 1, err);
  if (status == MV_OK) status = check_some(&runs[0], out, err);
  if (status == MV_OK) {
    out->cost = runs[0].op->cost(&runs[0]);
    double memory_ms = out->cost.bytes / machine->read_gbs * 1e-6;
    double product_ms = out->cost.flops / rate_of(machine, &row->c) * 1e-6;
    out->limit_ms = memory_ms > product_ms ? memory_ms : product_ms;
    n_copy = copies_of(machine, out, memory_ms);
  }
  for (; status == MV_OK && n_made < n_copy; n_made++)
    status = kernel_run_init(&runs[n_made], &row->c, t->device, t->ops, (uint64_t)n_made + 1, err);
  if (status == MV_OK) time_runs(runs, n_copy, quick, out);
  for (int i = 0; i < n_made; i++) kernel_run_free(&runs[i]);
  return status == MV_OK ? mv_device_status(t->device, err) : status;
}

/* Whether every word of `what` (a/b/c) is the row's phase, operation or product. */
static int is_row(const bench_case *row, const char *what) {
  for (const char *at = what; *at;) {
    size_t n = strcspn(at, "/");
    const char *const words[] = {row->phase, row->c.op, row->what};
    int found = 0;
    for (int i = 0; i < 3; i++) found |= strlen(words[i]) == n && strncmp(words[i], at, n) == 0;
    if (!found) return 0;
    at += n + (at[n] == '/');
  }
  return 1;
}

static mv_status profile_row(const char *what, const target *t, mv_error *err) {
  kernel_run run;
  for (int i = 0; i < bench_n_kernel_case; i++) {
    const bench_case row = bench_case_for(&bench_kernel_table[i], t->ops);
    if (!is_row(&row, what)) continue;
    mv_status status = kernel_run_init(&run, &row.c, t->device, t->ops, 1, err);
    for (int k = 0; status == MV_OK && k < PROFILE_RUNS; k++)
      printf("%s %s %s: %.4f ms\n", row.phase, row.c.op, row.what, time_one(&run));
    kernel_run_free(&run);
    return status == MV_OK ? mv_device_status(t->device, err) : status;
  }
  return mv_fail(err, MV_ERR_USAGE, "--profile %s: no such row", what);
}

/* ---- printing ---- */

static void print_machine(const bench_machine *m, const mv_device *device) {
  printf("%s, %d threads, %zu MiB cache: reads %.1f GB/s, multiplies %.0f GFLOP/s f32, %.0f bf16\n",
         device->name, device->n_thread, m->cache_bytes >> 20, m->read_gbs, m->f32_gflops,
         m->bf16_gflops);
  printf("\n%-8s %-17s %-12s %5s %10s %10s %10s %8s %9s %8s\n", "phase", "operation", "what",
         "runs", "median ms", "min", "p90", "GB/s", "GFLOP/s", "% limit");
}

static void print_row(const bench_result *r) {
  double s = r->median_ms * 1e6;
  printf("%-8s %-17s %-12s %5d %10.4f %10.4f %10.4f %8.2f %9.1f %7.0f%%\n", r->row->phase,
         r->row->c.op, r->row->what, r->n_run, r->median_ms, r->min_ms, r->p90_ms,
         r->cost.bytes / s, r->cost.flops / s, 100 * r->limit_ms / r->median_ms);
  if (!r->right) printf("  WRONG: %s\n", r->verdict);
  fflush(stdout);
}

static void json_machine(mv_json_writer *w, const bench_machine *m, const mv_device *device,
                         const bench_options *o) {
  mv_json_key(w, "bench");
  mv_json_text(w, "kernels");
  bench_json_command(w, o->argc, o->argv);
  mv_json_key(w, "machine");
  mv_json_begin_object(w);
  mv_json_key(w, "device");
  mv_json_text(w, device->name);
  mv_json_key(w, "threads");
  mv_json_int(w, device->n_thread);
  mv_json_key(w, "cache_bytes");
  mv_json_int(w, (int64_t)m->cache_bytes);
  mv_json_key(w, "read_gbs");
  mv_json_double(w, m->read_gbs);
  mv_json_key(w, "f32_gflops");
  mv_json_double(w, m->f32_gflops);
  mv_json_key(w, "bf16_gflops");
  mv_json_double(w, m->bf16_gflops);
  mv_json_end_object(w);
  mv_json_key(w, "quick");
  mv_json_bool(w, o->quick);
}

static void json_row(mv_json_writer *w, const bench_result *r) {
  char shape[160];
  const struct {
    const char *key;
    double value;
  } numbers[] = {{"median_ms", r->median_ms}, {"min_ms", r->min_ms},   {"p25_ms", r->p25_ms},
                 {"p75_ms", r->p75_ms},       {"p90_ms", r->p90_ms},   {"limit_ms", r->limit_ms},
                 {"bytes", r->cost.bytes},    {"flops", r->cost.flops}};
  kernel_case_print(&r->row->c, shape, sizeof shape);
  mv_json_begin_object(w);
  mv_json_key(w, "phase");
  mv_json_text(w, r->row->phase);
  mv_json_key(w, "op");
  mv_json_text(w, r->row->c.op);
  mv_json_key(w, "what");
  mv_json_text(w, r->row->what);
  mv_json_key(w, "shape");
  mv_json_text(w, shape);
  mv_json_key(w, "runs");
  mv_json_int(w, r->n_run);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    mv_json_key(w, numbers[i].key);
    mv_json_double(w, numbers[i].value);
  }
  mv_json_key(w, "right");
  mv_json_bool(w, r->right);
  mv_json_end_object(w);
}

/* ---- all of it ---- */

static mv_status measure(const bench_options *o, const target *t, bench_machine *machine,
                         mv_error *err) {
  double seconds = o->quick ? 0.05 : 1;
  return t->ops == &mv_ops_cpu
             ? bench_machine_measure(machine, t->device, seconds, err)
             : bench_machine_measure_gpu(machine, t->device, t->ops, seconds, err);
}

static mv_status bench_all(const bench_options *o, const target *t, mv_buf *json, int *n_wrong,
                           mv_error *err) {
  bench_machine machine;
  const mv_device *device = t->device;
  mv_json_writer w = {.out = json, .indent = 2};
  MV_TRY(measure(o, t, &machine, err));
  mv_json_begin_object(&w);
  json_machine(&w, &machine, device, o);
  mv_json_key(&w, "results");
  mv_json_begin_array(&w);
  if (!o->json) print_machine(&machine, device);
  for (int i = 0; i < bench_n_kernel_case; i++) {
    const bench_case row = bench_case_for(&bench_kernel_table[i], t->ops);
    bench_result result;
    if (o->op && strcmp(o->op, row.c.op) != 0) continue;
    MV_TRY(bench_row(&row, &machine, t, o->quick, &result, err));
    *n_wrong += !result.right;
    if (!o->json) print_row(&result);
    json_row(&w, &result);
  }
  mv_json_end_array(&w);
  mv_json_end_object(&w);
  mv_buf_char(json, '\n');
  return mv_buf_status(json, err);
}

static mv_status open_target(const bench_options *o, mv_device *device, const mv_ops **ops,
                             mv_error *err) {
  if (!o->simd) return mv_device_open(device, ops, o->device, o->n_thread, err);
  *ops = &mv_ops_cpu;
  return mv_device_open_cpu(device, o->n_thread, o->simd, err);
}

static mv_status run(const bench_options *o, mv_buf *json, int *n_wrong, mv_error *err) {
  mv_device device;
  target t = {&device, NULL};
  MV_TRY(check(o, err));
  MV_TRY(open_target(o, &device, &t.ops, err));
  mv_status status =
      o->profile ? profile_row(o->profile, &t, err) : bench_all(o, &t, json, n_wrong, err);
  mv_device_close(&device, t.ops);
  return status;
}

int mv_bench_kernels_main(int argc, char **argv, const char *default_model) {
  bench_options o;
  mv_error err = {0};
  mv_buf json = {0};
  int n_wrong = 0, code = parse(argc, argv, &o);
  (void)default_model;
  if (code) return code;
  if (o.help) {
    fputs(help_text, stdout);
    return 0;
  }
  o.argc = argc;
  o.argv = argv;
  mv_status status = run(&o, &json, &n_wrong, &err);
  if (status != MV_OK)
    code = bench_failed("kernels", &err);
  else if (!o.profile)
    code = bench_finish("kernels", &json, o.json, o.compare);
  mv_buf_free(&json);
  if (n_wrong) fprintf(stderr, "medvision: bench kernels: %d wrong results\n", n_wrong);
  if (status == MV_ERR_UNSUPPORTED) return 2;
  return n_wrong && code == 0 ? 1 : code;
}
