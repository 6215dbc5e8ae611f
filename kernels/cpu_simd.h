/* The vector inner loops of the CPU twins, compiled several times from one source
 * (cpu_simd_body.inc) for different instruction sets and chosen once at run time, so that one
 * binary runs on any machine of the architecture.
 *
 * Every function computes each output with one fixed order of additions that does not depend on
 * how many rows or columns are computed with it: a row's bits do not depend on its neighbours.
 */
#ifndef MV_KERNELS_CPU_SIMD_H
#define MV_KERNELS_CPU_SIMD_H

#include <stddef.h>
#include <stdint.h>

#define MV_KEY_TILE 64 /* keys scored together: one KV page, one vision window */
#define MV_GEMM_ROWS 6 /* rows of x per call of gemm_*: what fills the accumulator registers */
#define MV_DOT_ROWS 64 /* rows of x per call of dot_* */
#define MV_DOT_BLOCK_BYTES 4096 /* of a row of x that dot_* take before they turn to the next */

typedef struct mv_cpu_simd {
  const char *name; /* "generic", "avx2", "avx512", "avx512bf16" */
  int n_panel;      /* columns of one packed weight panel */
  int has_bf16;     /* dot_bf16 and gemm_bf16 exist (bf16 x bf16 products, f32 sums) */

  /* Dot products of n_row <= MV_DOT_ROWS x-rows with n_col weight rows, length n:
   * acc[r*n_col + c] = <x_r, w_c>. x rows are ldx elements apart, weight rows n; weights come from
   * memory once. */
  void (*dot_f32)(const float *x, size_t ldx, int n_row, const float *w, int n_col, int n,
                  float *acc);
  void (*dot_f32_bf16)(const float *x, size_t ldx, int n_row, const uint16_t *w, int n_col, int n,
                       float *acc);
  void (*dot_bf16)(const uint16_t *x, size_t ldx, int n_row, const uint16_t *w, int n_col, int n,
                   float *acc);

  /* Panels: rows [0, n_col) and columns [0, n_k) of w (rows ldw elements apart) rearranged so that
   * the n_panel outputs of one k lie side by side; missing columns are zero. */
  void (*pack_f32)(const float *w, size_t ldw, int n_col, int n_k, float *panel);
  void (*pack_f32_bf16)(const uint16_t *w, size_t ldw, int n_col, int n_k, float *panel);
  void (*pack_bf16)(const uint16_t *w, size_t ldw, int n_col, int n_k, uint16_t *panel);

  /* acc[r*n_panel + c] += sum_k x[r*ldx + k] * panel[k][c] for n_row <= MV_GEMM_ROWS. n_k is even
   * for bf16. */
  void (*gemm_f32)(const float *x, size_t ldx, int n_row, const float *panel, int n_k, float *acc);
  void (*gemm_bf16)(const uint16_t *x, size_t ldx, int n_row, const uint16_t *panel, int n_k,
                    float *acc);

  /* Attention over one tile of MV_KEY_TILE keys, d values a head:
   * k_t[i*64 + j] = k[j*ldk + i] in f32 (keys side by side; those from n_key on are zero),
   * scores[r*64 + j] = <q_r, k_j>, and
   * out[r*d + i] += sum_j p[r*64 + j] * v[j*d + i]. */
  void (*tile_keys_f32)(const float *k, size_t ldk, int n_key, int d, float *k_t);
  void (*tile_keys_bf16)(const uint16_t *k, size_t ldk, int n_key, int d, float *k_t);
  void (*tile_scores)(const float *q, int n_row, const float *k_t, int d, float *scores);
  void (*tile_values)(const float *p, int n_row, const float *v, int n_key, int d, float *out);
  /* The largest of x[0..n), -infinity where none is a number. n is a multiple of 16. */
  float (*largest)(const float *x, int n);
  /* x[i] = exp(x[i] - max), returns the sum, in lane order. n is a multiple of 16. */
  float (*exp_sum)(float *x, int n, float max);

  void (*swiglu)(const float *gate, const float *up, float *out, int n); /* silu(gate) * up */
  void (*widen)(const uint16_t *x, float *out, int n);                   /* bf16 -> f32, exact */
  void (*narrow)(const float *x, uint16_t *out, int n); /* f32 -> bf16, to nearest even */
} mv_cpu_simd;

/* The best variant this machine runs. `name` (may be NULL) asks for a lesser one, for tests;
 * NULL is returned when the machine cannot run it. */
const mv_cpu_simd *mv_cpu_simd_pick(const char *name);

#endif
