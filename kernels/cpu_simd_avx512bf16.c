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

BF16_INLINE __mmask32 first_lanes(int n) {
  return n <= 0 ? 0 : n >= BF16_LANES ? ~(__mmask32)0 : ((__mmask32)1 << n) - 1;
}

/* Zeros for the other lanes, whose memory is not read. */
BF16_INLINE __m512bh load_bh_part(const uint16_t *p, __mmask32 lanes) {
  return (__m512bh)_mm512_maskz_loadu_epi16(lanes, p);
}

/* As the f32 dot products in the body: register k into chain k % 4. Loops over chains have a
 * constant count, so that they unroll and the sums stay in registers. */
#define BF16_CHAINS 4
#define BF16_ROWS 3
#define BF16_COLS 2
#define BF16_STRIP 16 /* weight rows whose sums over lanes are made together */

BF16_INLINE void dot_bf16_tile(const uint16_t *x, size_t ldx, int n_row, const uint16_t *w,
                               int n_col, int n, __m512 *out) {
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
  if (k < n)
    for (int a = 0; a < BF16_CHAINS; a++) {
      size_t at = (size_t)(k + a * BF16_LANES);
      __mmask32 part = first_lanes(n - k - a * BF16_LANES);
      for (int c = 0; c < n_col; c++) {
        __m512bh wv = load_bh_part(w + (size_t)c * (size_t)n + at, part);
        for (int r = 0; r < n_row; r++)
          sum[r][c][a] =
              _mm512_dpbf16_ps(sum[r][c][a], wv, load_bh_part(x + (size_t)r * ldx + at, part));
      }
    }
  for (int r = 0; r < n_row; r++)
    for (int c = 0; c < n_col; c++)
      out[r * BF16_STRIP + c] = _mm512_add_ps(_mm512_add_ps(sum[r][c][0], sum[r][c][1]),
                                              _mm512_add_ps(sum[r][c][2], sum[r][c][3]));
}

/* Lane i is the sum of v[i]'s lanes, halves first (8 apart, 4, 2, 1): the sixteen trees side by
 * side. A tree of its own for every output took longer than the products of a short row. */
BF16_INLINE __m512 lane_sums(const __m512 *v) {
  __m512 half[8], quarter[4], pair[2];
  for (int i = 0; i < 8; i++) {
    const __m512 *a = v + i / 2 + i % 2 * 8, *b = a + 4;
    half[i] = _mm512_add_ps(_mm512_shuffle_f32x4(*a, *b, 0x44), _mm512_shuffle_f32x4(*a, *b, 0xEE));
  }
  for (int i = 0; i < 4; i++)
    quarter[i] = _mm512_add_ps(_mm512_shuffle_f32x4(half[2 * i], half[2 * i + 1], 0x88),
                               _mm512_shuffle_f32x4(half[2 * i], half[2 * i + 1], 0xDD));
  for (int i = 0; i < 2; i++) {
    __m512d a = _mm512_castps_pd(quarter[2 * i]), b = _mm512_castps_pd(quarter[2 * i + 1]);
    pair[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                            _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
  return _mm512_add_ps(_mm512_shuffle_ps(pair[0], pair[1], 0x88),
                       _mm512_shuffle_ps(pair[0], pair[1], 0xDD));
}

/* Up to BF16_STRIP weight rows. */
BF16_INLINE void dot_bf16_strip(const uint16_t *x, size_t ldx, int n_row, const uint16_t *w,
                                int n_col, int n, float *acc, int ld_acc) {
  __m512 sum[BF16_ROWS * BF16_STRIP];
  int c = 0, cols = n_row == 1 ? 1 : BF16_COLS; /* a lone row reads one weight row at a time */
  if (n_col < BF16_STRIP) memset(sum, 0, sizeof sum);
  for (; cols == BF16_COLS && c + BF16_COLS <= n_col; c += BF16_COLS)
    dot_bf16_tile(x, ldx, n_row, w + (size_t)c * (size_t)n, BF16_COLS, n, sum + c);
  for (; c < n_col; c++) dot_bf16_tile(x, ldx, n_row, w + (size_t)c * (size_t)n, 1, n, sum + c);
  for (int r = 0; r < n_row; r++)
    _mm512_mask_storeu_ps(acc + r * ld_acc, (__mmask16)((1u << n_col) - 1),
                          lane_sums(sum + r * BF16_STRIP));
}

static void dot_bf16(const uint16_t *x, size_t ldx, int n_row, const uint16_t *w, int n_col, int n,
                     float *acc) {
  for (int c = 0; c < n_col; c += BF16_STRIP) {
    const uint16_t *cols = w + (size_t)c * (size_t)n;
    int r = 0, m = n_col - c < BF16_STRIP ? n_col - c : BF16_STRIP;
    for (; r + BF16_ROWS <= n_row; r += BF16_ROWS)
      dot_bf16_strip(x + (size_t)r * ldx, ldx, BF16_ROWS, cols, m, n, acc + r * n_col + c, n_col);
    if (n_row - r == 2)
      dot_bf16_strip(x + (size_t)r * ldx, ldx, 2, cols, m, n, acc + r * n_col + c, n_col);
    else if (n_row - r == 1)
      dot_bf16_strip(x + (size_t)r * ldx, ldx, 1, cols, m, n, acc + r * n_col + c, n_col);
  }
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
