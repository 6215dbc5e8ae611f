/* SHA-256 (FIPS 180-4): checksums of pixels, patches and files. */
#ifndef MV_RUNTIME_SHA256_H
#define MV_RUNTIME_SHA256_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_sha256 {
  uint32_t state[8];
  uint64_t n_bytes;
  unsigned char block[64]; /* the last n_bytes % 64 bytes, not yet hashed */
} mv_sha256;

void mv_sha256_init(mv_sha256 *sha);
void mv_sha256_add(mv_sha256 *sha, const void *bytes, size_t n);
/* Fills the digest; `sha` must be initialised again before further use. */
void mv_sha256_finish(mv_sha256 *sha, unsigned char digest[32]);

/* The whole in one call: fills 64 lower-case hexadecimal digits and a NUL. */
void mv_sha256_hex(const void *bytes, size_t n, char hex[65]);

#ifdef __cplusplus
}
#endif
#endif
