/* What tests of the engine ask of a CUDA device, emulated or not. */
#ifndef MV_TESTS_RUNTIME_CUDA_CHECKS_H
#define MV_TESTS_RUNTIME_CUDA_CHECKS_H

#include <cuda_runtime_api.h>

#include "tests/check_main.h"
#include "tests/cudasim/sim.h"

static inline size_t free_memory(void) {
  size_t n_free = 0, n_total = 0;
  ck_assert_int_eq(cudaMemGetInfo(&n_free, &n_total), cudaSuccess);
  return n_free;
}

static inline void assert_no_report(void) {
  ck_assert_msg(sim_report_count() == 0, "%s", sim_report_text(0));
}

#endif
