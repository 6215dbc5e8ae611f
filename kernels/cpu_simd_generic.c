/* What the compiler's baseline offers: SSE2 on x86-64, NEON on arm64. */
#include "kernels/cpu_simd_variants.h"
#define SIMD_NAME "generic"
#define SIMD_SYMBOL mv_cpu_simd_generic
#define VL 4
#define NV 2
#include "kernels/cpu_simd_body.inc"
