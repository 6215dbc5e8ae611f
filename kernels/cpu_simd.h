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

  /* Attention over one tile of MV_KEY_TILE keys, d values a head. A cell is 32 bits: an f32, or
   * two bf16 (with has_bf16) that lie side by side along what is summed.
   * k_t[i*64 + j] = cell i of n of key j; keys are ldk bytes apart, those from n_key on zero;
   *   parted: the cells are pairs, and become two f32 each, in their order;
   * pairs[j/2*d + i] = v[j*ldv + i] and v[(j+1)*ldv + i], zero from n_key on;
   * scores[r*64 + j] = <q_r, k_j>, queries are n cells apart;
   * out[r*d + i] += sum_j p[r*ldp + j] * v[j*d + i], for n cells j. */
  void (*tile_keys)(const void *k, size_t ldk, int n_key, int n, void *k_t);
  void (*tile_keys_parted)(const void *k, size_t ldk, int n_key, int n, float *k_t);
  void (*tile_pairs)(const uint16_t *v, size_t ldv, int n_key, int d, void *pairs);
  void (*tile_scores_f32)(const void *q, int n_row, const void *k_t, int n, float *scores);
  void (*tile_scores_bf16)(const void *q, int n_row, const void *k_t, int n, float *scores);
  void (*tile_values_f32)(const void *p, int ldp, int n_row, const void *v, int n, int d,
                          float *out);
  void (*tile_values_bf16)(const void *p, int ldp, int n_row, const void *v, int n, int d,
                           float *out);
  /* The largest of x[0..n) and `least`, without what is no number. n is a multiple of 16. */
  float (*largest)(const float *x, int n, float least);
  /* x[i] = exp((x[i] - max) * scale), returns the sum, in lane order; the bf16 one (with
   * has_bf16) rounds them, and sums what is rounded. x[i] <= max; n is a multiple of 16. */
  float (*exp_sum)(float *x, int n, float max, float scale);
  float (*exp_sum_bf16)(const float *x, int n, float max, float scale, uint16_t *out);

  void (*swiglu)(const float *gate, const float *up, float *out, int n); /* silu(gate) * up */
  void (*widen)(const uint16_t *x, float *out, int n);                   /* bf16 -> f32, exact */
  void (*narrow)(const float *x, uint16_t *out, int n); /* f32 -> bf16, to nearest even */
} mv_cpu_simd;

/* The best variant this machine runs. `name` (may be NULL) asks for a lesser one, for tests;
 * NULL is returned when the machine cannot run it. */
const mv_cpu_simd *mv_cpu_simd_pick(const char *name);

#endif
