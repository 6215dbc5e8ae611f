/* What the driver of an NVIDIA GPU tells of itself: energy, and the share of the time it was at
 * work. NVML is looked for at run time (libnvidia-ml.so.1); where it, the card or a figure is
 * missing, that figure is left out. */
#ifndef MV_BENCH_GPU_METER_H
#define MV_BENCH_GPU_METER_H

#include "runtime/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialise. */
typedef struct bench_gpu_meter {
  void *library; /* owns; NULL: nothing is told */
  void *card;
  int (*energy)(void *card, unsigned long long *mj);
  int (*use)(void *card, void *use);
  int (*shutdown)(void);
  unsigned long long start_mj, used_mj;
  int has_energy;
  double sum_percent, last_look_ms;
  int n_look;
} bench_gpu_meter;

/* `device` is "cuda" or "cuda:N"; of any other, nothing is told. Never fails. */
void bench_gpu_meter_open(bench_gpu_meter *m, const char *device);
void bench_gpu_meter_close(bench_gpu_meter *m);
void bench_gpu_meter_reset(bench_gpu_meter *m);
/* Energy is counted between these; several times add up. */
void bench_gpu_meter_start(bench_gpu_meter *m);
void bench_gpu_meter_stop(bench_gpu_meter *m);
/* Asks for the use, at most ten times a second: call it often. */
void bench_gpu_meter_look(bench_gpu_meter *m);
/* "gpu_busy_percent", "energy_j", "energy_j_per_request", "energy_j_per_output_token". */
void bench_gpu_meter_json(mv_json_writer *w, const bench_gpu_meter *m, int64_t n_request,
                          int64_t n_output);

#ifdef __cplusplus
}
#endif
#endif
