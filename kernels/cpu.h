/* What the CPU twins share: the vector variant in use, threads, rows as f32. Private to kernels/.
 *
 * A twin reads bf16 rows into f32, computes, and rounds once at the store, so each is written once
 * for both precisions. */
#ifndef MV_KERNELS_CPU_H
#define MV_KERNELS_CPU_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/cpu_simd.h"
#include "runtime/device.h"
#include "runtime/dtype.h"
#include "runtime/team.h"

static inline const mv_cpu_simd *mv_cpu_simd_of(const mv_device *device) { return device->impl; }

/* The iterations of a loop, on all threads if that is worth asking them: from some ten microseconds
 * of work. A loop costs much less, but has to wait for a thread whose core is taken away while it
 * has a part: from a quarter of that, the tiny model was 1.2 times as fast on an idle machine, and
 * 0.7 times beside two busy processes. `flops` are those that a product does in the time; other
 * operations count theirs as many times as they are slower. */
static inline void mv_cpu_run(mv_device *device, double flops, int n, mv_team_part *part,
                              const void *loop) {
  mv_team_run(flops < 2e6 ? NULL : device->team, n, part, loop);
}

/* Element `at` of an array of `dtype`. */
static inline const void *mv_at(const void *base, mv_dtype dtype, size_t at) {
  return (const char *)base + at * mv_dtype_bytes(dtype);
}

static inline void *mv_at_mut(void *base, mv_dtype dtype, size_t at) {
  return (char *)base + at * mv_dtype_bytes(dtype);
}

static inline void mv_row_load(const mv_cpu_simd *simd, mv_dtype dtype, const void *src, float *dst,
                               int n) {
  if (dtype == MV_DTYPE_F32)
    memcpy(dst, src, (size_t)n * sizeof *dst);
  else
    simd->widen(src, dst, n);
}

static inline void mv_row_store(const mv_cpu_simd *simd, mv_dtype dtype, const float *src,
                                void *dst, int n) {
  if (dtype == MV_DTYPE_F32)
    memcpy(dst, src, (size_t)n * sizeof *src);
  else
    simd->narrow(src, dst, n);
}

/* A head of 2 * half values by its row of a rope table. */
static inline void mv_rotate(float *x, const float *table, int half) {
  for (int i = 0; i < half; i++) {
    float c = table[2 * i], s = table[2 * i + 1], a = x[i], b = x[i + half];
    x[i] = a * c - b * s;
    x[i + half] = b * c + a * s;
  }
}

/* One row from any format to any other. */
static inline void mv_row_copy(const mv_cpu_simd *simd, mv_dtype from, const void *src, mv_dtype to,
                               void *dst, int n) {
  if (from == to)
    memcpy(dst, src, (size_t)n * mv_dtype_bytes(to));
  else if (from == MV_DTYPE_BF16)
    simd->widen(src, dst, n);
  else
    simd->narrow(src, dst, n);
}

#endif
