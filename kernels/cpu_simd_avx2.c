/* AVX2 + FMA: 16 registers, 6 x 2 of them accumulate. */
#include "kernels/cpu_simd_variants.h"
#define SIMD_NAME "avx2"
#define SIMD_SYMBOL mv_cpu_simd_avx2
#define VL 8
#define NV 2
#include "kernels/cpu_simd_body.inc"
