/* Numbers printed as Python prints them.
 *
 * The benchmark's files, prompts and JSON are made by Python, so every float that reaches the
 * outside goes through these: the shortest decimal that reads back as the same number
 * (24.13, 1e-05, 1e+16, 3.0), and "%.3f", whose NaN has no sign.
 *
 * Both assume LC_NUMERIC is "C", the default of a program that never calls setlocale.
 */
#ifndef MV_RUNTIME_PYFLOAT_H
#define MV_RUNTIME_PYFLOAT_H

#include <stddef.h>

#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_PYFLOAT_BYTES 32

/* repr(x): fills `out` (NUL-terminated) and returns its length. "nan", "inf", "-inf". */
size_t mv_pyfloat_repr(double x, char out[MV_PYFLOAT_BYTES]);
/* The same for a float32: the shortest decimal that reads back as this float32. */
size_t mv_pyfloat_repr_f32(float x, char out[MV_PYFLOAT_BYTES]);

/* Appends f"{x:.3f}": the exact binary value rounded once; "-0.000" can occur, "-nan" cannot. */
void mv_pyfloat_fixed3(mv_buf *out, double x);

#ifdef __cplusplus
}
#endif
#endif
