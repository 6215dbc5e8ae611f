#include <string.h>
#include <unistd.h>

#include "kernels/cpu.h"
#include "kernels/ops.h"
#include "runtime/clock.h"
#include "runtime/env.h"
#include "runtime/memory.h"

/* More bring nothing. */
#define THREADS_PER_CORE 4
/* Gate and up of so many rows stay in the caches' reach, and more rows are not multiplied faster.
 */
#define SLICE_ROWS 1024

static void *alloc_cpu(mv_device *device, size_t n_bytes) {
  void *ptr = mv_alloc_aligned(n_bytes);
  if (!ptr && device->error.code == MV_OK)
    mv_fail(&device->error, MV_ERR_MEMORY, "cpu: no memory for %zu bytes", n_bytes);
  return ptr;
}

static void free_cpu(mv_device *device, void *ptr) {
  (void)device;
  mv_free_aligned(ptr);
}

static const void *place_cpu(mv_device *device, const void *host, size_t n_bytes) {
  (void)device;
  (void)n_bytes;
  return host;
}

static void copy_cpu(mv_device *device, void *dst, const void *src, size_t n_bytes) {
  if (device->error.code == MV_OK && n_bytes) memcpy(dst, src, n_bytes);
}

static void room_cpu(mv_device *device, size_t *n_free, size_t *n_total) {
  (void)device;
  *n_total = 0;
#ifdef _SC_PHYS_PAGES
  long n_page = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (n_page > 0 && page > 0) *n_total = (size_t)n_page * (size_t)page;
#endif
  *n_free = *n_total;
}

static void ready_cpu(mv_device *device, const mv_linear *linear, const mv_linear_dims *dims) {
  (void)device;
  (void)linear;
  (void)dims;
}

static mv_dtype between_cpu(mv_dtype precision) {
  (void)precision;
  return MV_DTYPE_F32;
}

static void mark_cpu(mv_device *device, int which) {
  if (!device->marks) device->marks = mv_calloc(MV_MARKS, sizeof *device->marks);
  if (device->marks)
    device->marks[which] = mv_now_ms();
  else if (device->error.code == MV_OK)
    mv_fail(&device->error, MV_ERR_MEMORY, "cpu: no memory for times");
}

static double elapsed_cpu(mv_device *device, int from, int to) {
  return device->marks ? device->marks[to] - device->marks[from] : 0;
}

static void lane_cpu(mv_device *device, mv_lane which) {
  (void)device;
  (void)which;
}

static int is_past_cpu(mv_device *device, int which) {
  (void)device;
  (void)which;
  return 1;
}

static void wait_cpu(mv_device *device, int which) {
  (void)device;
  (void)which;
}

static void step_begin_cpu(mv_device *device) { (void)device; }

static int step_end_cpu(mv_device *device) {
  (void)device;
  return 0;
}

const mv_ops mv_ops_cpu = {
    .name = "cpu",
    .between = between_cpu,
    .step_begin = step_begin_cpu,
    .step_end = step_end_cpu,
    .alloc = alloc_cpu,
    .free = free_cpu,
    .place = place_cpu,
    .upload = copy_cpu,
    .download = copy_cpu,
    .room = room_cpu,
    .ready = ready_cpu,
    .linear = mv_linear_cpu,
    .rmsnorm = mv_rmsnorm_cpu,
    .rope_table = mv_rope_table_cpu,
    .rope = mv_rope_cpu,
    .plan = mv_plan_cpu,
    .rope_kv = mv_rope_kv_cpu,
    .attention = mv_attention_cpu,
    .kv_copy = mv_kv_copy_cpu,
    .window_attention = mv_window_attention_cpu,
    .swiglu = mv_swiglu_cpu,
    .gelu = mv_gelu_cpu,
    .embed = mv_embed_cpu,
    .gather_rows = mv_gather_rows_cpu,
    .patches = mv_patches_cpu,
    .fill = mv_fill_cpu,
    .sample = mv_sample_cpu,
    .lane = lane_cpu,
    .mark = mark_cpu,
    .is_past = is_past_cpu,
    .wait = wait_cpu,
    .elapsed = elapsed_cpu,
};

mv_status mv_device_open_cpu(mv_device *device, int n_thread, const char *simd, mv_error *err) {
  memset(device, 0, sizeof *device);
  const mv_cpu_simd *variant = mv_cpu_simd_pick(simd);
  if (!variant)
    return mv_fail(err, MV_ERR_UNSUPPORTED, "cpu: this machine cannot run the %s kernels", simd);
  int n_core = mv_core_count();
  if (n_thread < 1) n_thread = (int)mv_env_int("OMP_NUM_THREADS", n_core);
  if (n_thread > THREADS_PER_CORE * n_core) n_thread = THREADS_PER_CORE * n_core;
  MV_TRY(mv_team_new(&device->team, n_thread, err));
  device->n_thread = mv_team_threads(device->team);
  device->name = "cpu";
  device->has_bf16 = variant->has_bf16;
  device->slice_rows = SLICE_ROWS;
  device->ff_multiple = 1;
  device->impl = (void *)variant;
  return MV_OK;
}

void mv_device_close_cpu(mv_device *device) {
  mv_team_free(device->team);
  mv_free_aligned(device->scratch);
  mv_free(device->marks);
  memset(device, 0, sizeof *device);
}
