/* AVX-512 with VDPBF16PS: products of bf16 pairs summed in f32, twice the rate of f32. */
#include <immintrin.h>
#include <string.h>

#include "kernels/cpu_simd_variants.h"
#define SIMD_NAME "avx512bf16"
#define SIMD_SYMBOL mv_cpu_simd_avx512bf16
#define SIMD_HAS_BF16 1
#define VL 16
#define NV 4

#define BF16_LANES 32
#define BF16_PANEL (NV * VL)
#define BF16_INLINE static inline __attribute__((always_inline))

BF16_INLINE __m512bh load_bh(const uint16_t *p) { return (__m512bh)_mm512_loadu_si512(p); }

BF16_INLINE __m512bh load_bh_part(const uint16_t *p, int n) {
  return (__m512bh)_mm512_maskz_loadu_epi16((__mmask32)((1ull << n) - 1), p); /* n 1..32 */
}

/* As the f32 dot products in the body: register k into chain k % 4. */
#define BF16_CHAINS 4
#define BF16_ROWS 3
#define BF16_COLS 2

BF16_INLINE void dot_bf16_tile(const uint16_t *x, size_t ldx, int n_row, const uint16_t *w,
                               int n_col, int n, float *acc, int ld_acc) {
  __m512 sum[BF16_ROWS][BF16_COLS][BF16_CHAINS];
  for (int r = 0; r < n_row; r++)
    for (int c = 0; c < n_col; c++)
      for (int a = 0; a < BF16_CHAINS; a++) sum[r][c][a] = _mm512_setzero_ps();
  int k = 0;
  for (; k + BF16_CHAINS * BF16_LANES <= n; k += BF16_CHAINS * BF16_LANES)
    for (int a = 0; a < BF16_CHAINS; a++)
      for (int c = 0; c < n_col; c++) {
        const uint16_t *at = w + (size_t)c * (size_t)n + k + a * BF16_LANES;
        MV_PREFETCH(at);
        __m512bh wv = load_bh(at);
        for (int r = 0; r < n_row; r++)
          sum[r][c][a] =
              _mm512_dpbf16_ps(sum[r][c][a], wv, load_bh(x + (size_t)r * ldx + k + a * BF16_LANES));
      }
  for (int a = 0; k < n; a++, k += BF16_LANES) {
    int left = n - k < BF16_LANES ? n - k : BF16_LANES;
    for (int c = 0; c < n_col; c++) {
      __m512bh wv = load_bh_part(w + (size_t)c * (size_t)n + k, left);
      for (int r = 0; r < n_row; r++)
        sum[r][c][a] =
            _mm512_dpbf16_ps(sum[r][c][a], wv, load_bh_part(x + (size_t)r * ldx + k, left));
    }
  }
  for (int r = 0; r < n_row; r++)
    for (int c = 0; c < n_col; c++)
      acc[r * ld_acc + c] = _mm512_reduce_add_ps(_mm512_add_ps(
          _mm512_add_ps(sum[r][c][0], sum[r][c][1]), _mm512_add_ps(sum[r][c][2], sum[r][c][3])));
}

static void dot_bf16(const uint16_t *x, size_t ldx, int n_row, const uint16_t *w, int n_col, int n,
                     float *acc) {
  int r = 0, c;
  for (; r + BF16_ROWS <= n_row; r += BF16_ROWS) {
    const uint16_t *rows = x + (size_t)r * ldx;
    for (c = 0; c + BF16_COLS <= n_col; c += BF16_COLS)
      dot_bf16_tile(rows, ldx, BF16_ROWS, w + (size_t)c * (size_t)n, BF16_COLS, n,
                    acc + r * n_col + c, n_col);
    for (; c < n_col; c++)
      dot_bf16_tile(rows, ldx, BF16_ROWS, w + (size_t)c * (size_t)n, 1, n, acc + r * n_col + c,
                    n_col);
  }
  for (; r < n_row; r++)
    for (c = 0; c < n_col; c++)
      dot_bf16_tile(x + (size_t)r * ldx, ldx, 1, w + (size_t)c * (size_t)n, 1, n,
                    acc + r * n_col + c, n_col);
}

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
