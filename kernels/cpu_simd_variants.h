/* The variants of kernels/cpu_simd.h that a build may hold; private to kernels/. */
#ifndef MV_KERNELS_CPU_SIMD_VARIANTS_H
#define MV_KERNELS_CPU_SIMD_VARIANTS_H

#include "kernels/cpu_simd.h"

extern const mv_cpu_simd mv_cpu_simd_generic, mv_cpu_simd_avx2, mv_cpu_simd_avx512,
    mv_cpu_simd_avx512bf16;

#endif
