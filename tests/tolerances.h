/* How far a result may be from the exact one, and why. The reference is computed in double from the
 * very inputs (already rounded to bf16 where they are bf16), so only the operation's own rounding
 * is judged:
 *
 *   |got - want|  <=  slack + unit * |want| + MV_TOL_TINY
 *
 * `unit` is the one rounding at the store, `slack` what the contract's f32 arithmetic may add
 * before it. A test prints the share of this bound that the worst element used.
 */
#ifndef MV_TESTS_TOLERANCES_H
#define MV_TESTS_TOLERANCES_H

#include <math.h>

#include "runtime/dtype.h"

/* Half a unit in the last place, relative: 8 and 24 significant bits, rounded to nearest. */
#define MV_TOL_BF16 0x1p-8
#define MV_TOL_F32 0x1p-24

/* Below this results may be flushed: exp() returns zero for what would be subnormal. */
#define MV_TOL_TINY 0x1p-120

static inline double mv_tol_unit(mv_dtype dtype) {
  return dtype == MV_DTYPE_F32 ? MV_TOL_F32 : MV_TOL_BF16;
}

/* A sum of n products in f32 whose magnitudes add up to `mag`, in any order. Each of the ~n
 * roundings is at most half an ulp of a partial sum <= mag and has a random sign, so together they
 * walk sqrt(n) of them; 4 for bias, residual and the last steps. (The bound without chance is n.)
 */
static inline double mv_tol_sum(double n, double mag) { return (4 + sqrt(n)) * MV_TOL_F32 * mag; }

/* A few f32 operations and one transcendental function of 1 to 2 ulp, relative to the result. */
#define MV_TOL_FEW (8 * MV_TOL_F32)

/* exp(x) of the vector variants, relative: the polynomial's error and its last roundings, which
 * come to 1.3 of these units. */
#define MV_TOL_EXP (2 * MV_TOL_F32)

/* Their exp() saturates at 88 so that it never overflows; silu(g) for g < -88 is therefore
 * g * exp(-88) where the exact value is smaller still. Absolute, per unit of |gate * up|. */
#define MV_TOL_SILU_TAIL 6.1e-39

/* cos and sin of an f32 angle: 2 ulp of a value up to 1. */
#define MV_TOL_TRIG (4 * MV_TOL_F32)

/* Attention: weights exp(s) / sum with scores s off by `score` (absolute) are off by twice that,
 * relative; then a weighted mean of n values with magnitude `mag`. */
static inline double mv_tol_attention(double n, double score, double mag) {
  return 2 * (score + MV_TOL_EXP) * mag + mv_tol_sum(n, mag);
}

/* Attention in bf16 products rounds the weights to bf16, and divides by the sum of the rounded
 * ones, so that a weight that is off moves the mean by its share of the value's distance from the
 * mean. `spread`: the sum of the squares of weight times distance. Roundings have random signs and
 * at most half a unit: four deviations of their sum. */
static inline double mv_tol_weights(double spread) { return 4 * MV_TOL_BF16 * sqrt(spread); }

/* Log-probabilities of a whole model in fp32 against the reference in fp32: both are off by some
 * 1e-5 through thousands of differently ordered sums; a wrong formula moves them by 1e-2 and more
 * (tests/reference/test_sensitivity.py). */
#define MV_TOL_LOGPROB 1e-3

/* Two best tokens nearer than this (natural log) may change places in fp32: twice the above. */
#define MV_TOL_NEAR_TIE 2e-3

#endif
