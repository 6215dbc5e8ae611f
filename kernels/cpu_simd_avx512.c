/* AVX-512 F/BW/VL: 32 registers, 6 x 4 of them accumulate. */
#include "kernels/cpu_simd_variants.h"
#define SIMD_NAME "avx512"
#define SIMD_SYMBOL mv_cpu_simd_avx512
#define VL 16
#define NV 4
#include "kernels/cpu_simd_body.inc"
