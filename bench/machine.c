#include "bench/machine.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kernels/cpu_simd.h"
#include "kernels/ops_limits.h"
#include "runtime/clock.h"
#include "runtime/memory.h"
#include "runtime/team.h"

#define MIN_READ_BYTES ((size_t)256 << 20)
#define MAX_READ_BYTES ((size_t)1 << 30)
#define MAX_CACHE_BYTES                                                    \
  ((size_t)128 << 20) /* of one thread's reach: more is many chiplets' sum \
                       */

/* The multiplication: a panel of 64 KB as kernels/linear_cpu.c packs it, rows of x that stay in the
 * first-level cache beside it. */
#define PANEL_BYTES 65536
#define X_ROWS (4 * MV_GEMM_ROWS)

size_t bench_cache_bytes(void) {
  size_t largest = 0;
  for (int i = 0; i < 5; i++) {
    char path[80];
    unsigned long size = 0;
    char unit = 0;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
    FILE *f = fopen(path, "r");
    if (!f) break;
    int n = fscanf(f, "%lu%c", &size, &unit);
    fclose(f);
    size_t bytes = n < 1 ? 0 : (size_t)size << (n == 2 && unit == 'M' ? 20 : 10);
    if (bytes > largest) largest = bytes;
  }
  if (largest == 0) largest = (size_t)32 << 20;
  return largest < MAX_CACHE_BYTES ? largest : MAX_CACHE_BYTES;
}

/* ---- reading ---- */

typedef struct read_loop {
  const uint64_t *data;
  size_t n; /* of an item, a multiple of 8 */
  _Atomic uint64_t *sum;
} read_loop;

static void read_items(const void *loop, int first, int end, int thread) {
  const read_loop *l = loop;
  uint64_t sum = 0;
  (void)thread;
  for (size_t i = (size_t)first * l->n; i < (size_t)end * l->n; i += 8)
    sum += l->data[i] + l->data[i + 1] + l->data[i + 2] + l->data[i + 3] + l->data[i + 4] +
           l->data[i + 5] + l->data[i + 6] + l->data[i + 7];
  *l->sum += sum;
}

static mv_status measure_reading(bench_machine *machine, const mv_device *device, double seconds,
                                 mv_error *err) {
  int n_item = 64 * device->n_thread;
  size_t bytes = 8 * machine->cache_bytes, n;
  bytes = bytes < MIN_READ_BYTES ? MIN_READ_BYTES : bytes > MAX_READ_BYTES ? MAX_READ_BYTES : bytes;
  n = bytes / sizeof(uint64_t) / (size_t)n_item & ~(size_t)7;
  uint64_t *data = mv_alloc_aligned(bytes);
  if (!data) return mv_fail(err, MV_ERR_MEMORY, "no memory to measure reading %zu bytes", bytes);
  memset(data, 1, bytes);
  _Atomic uint64_t sum = 0;
  read_loop loop = {data, n, &sum};
  double start = mv_now_ms(), best = 0;
  do {
    double before = mv_now_ms();
    mv_team_run(device->team, n_item, read_items, &loop);
    double gbs = (double)bytes / (mv_now_ms() - before) * 1e-6;
    if (gbs > best) best = gbs;
  } while (mv_now_ms() - start < seconds * 1e3);
  mv_free_aligned(data);
  machine->read_gbs = best;
  return MV_OK;
}

/* ---- multiplying ---- */

typedef struct multiply_job {
  const mv_cpu_simd *simd;
  int bf16, n_k;
  const void *x; /* [X_ROWS, n_k], shared: read only */
  const void *panel;
  float *acc; /* [thread][X_ROWS, n_panel] */
} multiply_job;

static void multiply_once(const multiply_job *job, int thread) {
  int n_panel = job->simd->n_panel;
  for (int r = 0; r < X_ROWS; r += MV_GEMM_ROWS) {
    float *acc = job->acc + ((size_t)thread * X_ROWS + (size_t)r) * (size_t)n_panel;
    size_t at = (size_t)r * (size_t)job->n_k;
    if (job->bf16)
      job->simd->gemm_bf16((const uint16_t *)job->x + at, (size_t)job->n_k, MV_GEMM_ROWS,
                           job->panel, job->n_k, acc);
    else
      job->simd->gemm_f32((const float *)job->x + at, (size_t)job->n_k, MV_GEMM_ROWS, job->panel,
                          job->n_k, acc);
  }
}

static void multiply_items(const void *loop, int first, int end, int thread) {
  for (int i = first; i < end; i++) multiply_once(loop, thread);
}

/* GFLOP/s of all threads together, each on its own sums. */
static double multiply_rate(const multiply_job *job, const mv_device *device, double seconds) {
  int n_item = 64 * device->n_thread;
  double flops = 2.0 * X_ROWS * job->n_k * job->simd->n_panel * n_item;
  double start = mv_now_ms(), best = 0;
  do {
    double before = mv_now_ms();
    mv_team_run(device->team, n_item, multiply_items, job);
    double gflops = flops / (mv_now_ms() - before) * 1e-6;
    if (gflops > best) best = gflops;
  } while (mv_now_ms() - start < seconds * 1e3);
  return best;
}

static mv_status measure_multiplying(bench_machine *machine, const mv_device *device,
                                     double seconds, mv_error *err) {
  const mv_cpu_simd *simd = device->impl;
  size_t n_acc = (size_t)device->n_thread * X_ROWS * (size_t)simd->n_panel;
  float *x = mv_alloc_aligned(X_ROWS * (PANEL_BYTES / sizeof(float)) * sizeof *x);
  float *panel = mv_alloc_aligned(PANEL_BYTES), *acc = mv_alloc_aligned(n_acc * sizeof *acc);
  mv_status status = MV_OK;
  if (!x || !panel || !acc) {
    status = mv_fail(err, MV_ERR_MEMORY, "no memory to measure multiplying");
  } else {
    memset(x, 0, X_ROWS * (PANEL_BYTES / sizeof(float)) * sizeof *x);
    memset(panel, 0, PANEL_BYTES);
    memset(acc, 0, n_acc * sizeof *acc);
    multiply_job job = {simd, 0, PANEL_BYTES / simd->n_panel / 4, x, panel, acc};
    machine->f32_gflops = multiply_rate(&job, device, seconds);
    machine->bf16_gflops = machine->f32_gflops;
    if (simd->has_bf16) {
      job.bf16 = 1;
      job.n_k *= 2;
      machine->bf16_gflops = multiply_rate(&job, device, seconds);
    }
  }
  mv_free_aligned(x);
  mv_free_aligned(panel);
  mv_free_aligned(acc);
  return status;
}

mv_status bench_machine_measure(bench_machine *machine, const mv_device *device, double seconds,
                                mv_error *err) {
  memset(machine, 0, sizeof *machine);
  machine->cache_bytes = bench_cache_bytes();
  MV_TRY(measure_reading(machine, device, seconds, err));
  return measure_multiplying(machine, device, seconds, err);
}

mv_status bench_machine_measure_gpu(bench_machine *machine, mv_device *device, const mv_ops *ops,
                                    double seconds, mv_error *err) {
  mv_limits limits;
  memset(machine, 0, sizeof *machine);
  machine->cache_bytes = device->cache_bytes;
  MV_TRY(mv_limits_measure(&limits, device, ops, 2 * seconds, err));
  machine->read_gbs = limits.gbs;
  machine->f32_gflops = machine->bf16_gflops = limits.gflops;
  return MV_OK;
}
