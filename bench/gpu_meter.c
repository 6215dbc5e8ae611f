#include "bench/gpu_meter.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "bench/sample.h"
#include "runtime/clock.h"

#define LOOK_EVERY_MS 100

/* nvmlUtilization_t: percent of the last sample period in which a kernel ran; memory. */
typedef struct use_rates {
  unsigned gpu, memory;
} use_rates;

/* ISO C has no conversion from a data pointer to a function's; POSIX gives it this form. */
static void find(void *library, const char *name, void *function) {
  void *found = dlsym(library, name);
  memcpy(function, &found, sizeof found);
}

void bench_gpu_meter_open(bench_gpu_meter *m, const char *device) {
  int (*init)(void) = NULL, (*by_index)(unsigned, void **) = NULL;
  memset(m, 0, sizeof *m);
  if (strncmp(device, "cuda", 4) != 0) return;
  unsigned index = device[4] == ':' ? (unsigned)strtoul(device + 5, NULL, 10) : 0;
  m->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!m->library) return;
  find(m->library, "nvmlInit_v2", &init);
  find(m->library, "nvmlShutdown", &m->shutdown);
  find(m->library, "nvmlDeviceGetHandleByIndex_v2", &by_index);
  find(m->library, "nvmlDeviceGetTotalEnergyConsumption", &m->energy);
  find(m->library, "nvmlDeviceGetUtilizationRates", &m->use);
  if (init && by_index && m->shutdown && init() == 0) {
    if (by_index(index, &m->card) == 0) return;
    m->shutdown();
  }
  dlclose(m->library);
  m->library = NULL;
}

void bench_gpu_meter_close(bench_gpu_meter *m) {
  if (!m->library) return;
  m->shutdown();
  dlclose(m->library);
  m->library = NULL;
}

void bench_gpu_meter_reset(bench_gpu_meter *m) {
  m->used_mj = 0;
  m->has_energy = m->n_look = 0;
  m->sum_percent = 0;
}

void bench_gpu_meter_start(bench_gpu_meter *m) {
  m->has_energy = m->library && m->energy && m->energy(m->card, &m->start_mj) == 0;
}

void bench_gpu_meter_stop(bench_gpu_meter *m) {
  unsigned long long now;
  m->has_energy = m->has_energy && m->energy(m->card, &now) == 0;
  if (m->has_energy) m->used_mj += now - m->start_mj;
}

void bench_gpu_meter_look(bench_gpu_meter *m) {
  use_rates use;
  if (!m->library || !m->use) return;
  double now = mv_now_ms();
  if (now - m->last_look_ms < LOOK_EVERY_MS) return;
  m->last_look_ms = now;
  if (m->use(m->card, &use) != 0) return;
  m->sum_percent += use.gpu;
  m->n_look++;
}

void bench_gpu_meter_json(mv_json_writer *w, const bench_gpu_meter *m, int64_t n_request,
                          int64_t n_output) {
  double j = (double)m->used_mj * 1e-3;
  if (m->n_look) bench_json_double(w, "gpu_busy_percent", m->sum_percent / m->n_look);
  if (!m->has_energy) return;
  bench_json_double(w, "energy_j", j);
  if (n_request) bench_json_double(w, "energy_j_per_request", j / (double)n_request);
  if (n_output) bench_json_double(w, "energy_j_per_output_token", j / (double)n_output);
}
