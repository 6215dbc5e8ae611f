/* Number formats of tensors, and exact conversions between them. */
#ifndef MV_RUNTIME_DTYPE_H
#define MV_RUNTIME_DTYPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mv_dtype { MV_DTYPE_F32 = 0, MV_DTYPE_BF16, MV_DTYPE_F16 } mv_dtype;

static inline size_t mv_dtype_bytes(mv_dtype dtype) { return dtype == MV_DTYPE_F32 ? 4 : 2; }

static inline const char *mv_dtype_name(mv_dtype dtype) {
  return dtype == MV_DTYPE_F32 ? "F32" : dtype == MV_DTYPE_BF16 ? "BF16" : "F16";
}

static inline float mv_f32_from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static inline uint32_t mv_f32_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float mv_bf16_to_f32(uint16_t h) { return mv_f32_from_bits((uint32_t)h << 16); }

/* Round to nearest even; NaN stays a (quiet) NaN. */
static inline uint16_t mv_f32_to_bf16(float x) {
  uint32_t bits = mv_f32_bits(x);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(bits >> 16 | 0x40u);
  return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

static inline float mv_f16_to_f32(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exp = h >> 10 & 0x1Fu, frac = h & 0x3FFu;
  if (exp == 31) return mv_f32_from_bits(sign | 0x7F800000u | frac << 13);
  if (exp) return mv_f32_from_bits(sign | (exp + 112u) << 23 | frac << 13);
  float magnitude = (float)frac * 0x1p-24f; /* subnormals are exact in f32 */
  return sign ? -magnitude : magnitude;
}

#ifdef __cplusplus
}
#endif
#endif
