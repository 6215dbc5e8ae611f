#include "kernels/cpu_simd.h"

#include <string.h>

#include "kernels/cpu_simd_variants.h"

/* Best first; each asks the machine before it is offered. */
#if defined(__x86_64__)
static int runs_avx512bf16(void) {
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
}
static int runs_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
}
static int runs_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif
static int runs_always(void) { return 1; }

static const struct {
  const mv_cpu_simd *simd;
  int (*runs)(void);
} variants[] = {
#if defined(__x86_64__)
    {&mv_cpu_simd_avx512bf16, runs_avx512bf16},
    {&mv_cpu_simd_avx512, runs_avx512},
    {&mv_cpu_simd_avx2, runs_avx2},
#endif
    {&mv_cpu_simd_generic, runs_always},
};

const mv_cpu_simd *mv_cpu_simd_pick(const char *name) {
  for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
    if ((!name || strcmp(name, variants[i].simd->name) == 0) && variants[i].runs())
      return variants[i].simd;
  return NULL;
}
