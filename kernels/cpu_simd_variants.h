/* The variants of kernels/cpu_simd.h that a build may hold; private to kernels/. */
#ifndef MV_KERNELS_CPU_SIMD_VARIANTS_H
#define MV_KERNELS_CPU_SIMD_VARIANTS_H

#include "kernels/cpu_simd.h"

/* Asks for a weight two pages ahead of the one in use. Hardware prefetchers stop at the end of a
 * 4 KB page: this is 29 against 34 GB/s on one core. Past the end of a matrix it does nothing. */
#if defined(__GNUC__)
#define MV_PREFETCH(p) __builtin_prefetch((const char *)(p) + 8192, 0, 0)
#else
#define MV_PREFETCH(p) ((void)0)
#endif

extern const mv_cpu_simd mv_cpu_simd_generic, mv_cpu_simd_avx2, mv_cpu_simd_avx512,
    mv_cpu_simd_avx512bf16;

#endif
