/* AVX-512 with VDPBF16PS: products of bf16 pairs summed in f32, twice the rate of f32. */
#include <immintrin.h>
#include <string.h>

#include "kernels/cpu_simd_variants.h"
#define SIMD_NAME "avx512bf16"
#define SIMD_SYMBOL mv_cpu_simd_avx512bf16
#define SIMD_HAS_BF16 1
#define VL 16
#define NV 4

#define BF16_PANEL (NV * VL)
#define BF16_INLINE static inline __attribute__((always_inline))

BF16_INLINE __m512bh load_bh(const uint16_t *p) { return (__m512bh)_mm512_loadu_si512(p); }

BF16_INLINE __m512 add_pairs(__m512 sum, __m512bh w, __m512bh x) {
  return _mm512_dpbf16_ps(sum, w, x);
}

/* To nearest even; denormals become zero. */
BF16_INLINE __m256i round_bh(__m512 v) { return (__m256i)_mm512_cvtneps_pbh(v); }

BF16_INLINE int any_denormal(__m512 v) { return _mm512_fpclass_ps_mask(v, 0x20) != 0; }

BF16_INLINE void store_bh(uint16_t *p, __m512 v) {
  _mm256_storeu_si256((__m256i *)(void *)p, round_bh(v));
}

/* 2^x for x <= 0, to 3e-6: enough for what becomes bf16. 2^n * p(f), n the nearest integer. */
BF16_INLINE __m512 exp2_roughly(__m512 x) {
  x = _mm512_max_ps(x, _mm512_set1_ps(-200)); /* and what is no number: zero */
  __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 f = x - n, p = _mm512_set1_ps(9.5828531e-3f);
  p = p * f + 5.5906425e-2f;
  p = p * f + 2.4024099e-1f;
  p = p * f + 6.9312419e-1f;
  p = p * f + 1.0f;
  return _mm512_scalef_ps(p, n);
}

/* Of pairs in 32 bits each: one for every lane; one after the other. */
BF16_INLINE __m512bh splat_pair(const float *p) { return (__m512bh)_mm512_set1_ps(*p); }

BF16_INLINE __m512bh load_pairs(const float *p) { return (__m512bh)_mm512_loadu_ps(p); }

/* Pairs along k stay together: panel[k/2][column][2]. Sixteen weight rows at a time, gathered as
 * 32-bit pairs. */
static void pack_bf16(const uint16_t *w, size_t ldw, int n_col, int n_k, uint16_t *panel) {
  for (int c0 = 0; c0 < BF16_PANEL; c0 += 16) {
    int live = n_col - c0 < 0 ? 0 : n_col - c0 > 16 ? 16 : n_col - c0;
    for (int k = 0; k < n_k; k += 2) {
      uint32_t *out = (uint32_t *)(void *)panel + (size_t)(k / 2) * BF16_PANEL + c0;
      for (int c = 0; c < live; c++) memcpy(out + c, w + (size_t)(c0 + c) * ldw + k, 4);
      for (int c = live; c < 16; c++) out[c] = 0;
    }
  }
}

BF16_INLINE void gemm_bf16_rows(const uint16_t *x, size_t ldx, int n_row, const uint16_t *panel,
                                int n_k, float *acc) {
  __m512 sum[MV_GEMM_ROWS][NV];
  for (int r = 0; r < n_row; r++)
    for (int v = 0; v < NV; v++) sum[r][v] = _mm512_loadu_ps(acc + r * BF16_PANEL + v * VL);
  for (int k = 0; k < n_k; k += 2) {
    __m512bh w[NV];
    for (int v = 0; v < NV; v++) w[v] = load_bh(panel + (size_t)k * BF16_PANEL + v * 2 * VL);
    for (int r = 0; r < n_row; r++) {
      int pair;
      memcpy(&pair, x + (size_t)r * ldx + k, sizeof pair);
      __m512bh xv = (__m512bh)_mm512_set1_epi32(pair);
      for (int v = 0; v < NV; v++) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], w[v], xv);
    }
  }
  for (int r = 0; r < n_row; r++)
    for (int v = 0; v < NV; v++) _mm512_storeu_ps(acc + r * BF16_PANEL + v * VL, sum[r][v]);
}

static void gemm_bf16(const uint16_t *x, size_t ldx, int n_row, const uint16_t *panel, int n_k,
                      float *acc) {
  switch (n_row) {
    case 6:
      gemm_bf16_rows(x, ldx, 6, panel, n_k, acc);
      break;
    case 5:
      gemm_bf16_rows(x, ldx, 5, panel, n_k, acc);
      break;
    case 4:
      gemm_bf16_rows(x, ldx, 4, panel, n_k, acc);
      break;
    case 3:
      gemm_bf16_rows(x, ldx, 3, panel, n_k, acc);
      break;
    case 2:
      gemm_bf16_rows(x, ldx, 2, panel, n_k, acc);
      break;
    default:
      gemm_bf16_rows(x, ldx, 1, panel, n_k, acc);
      break;
  }
}

#include "kernels/cpu_simd_body.inc"
