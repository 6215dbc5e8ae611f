/* SipHash-2-4 with 128 bits: names for pixels that nobody can make collide without the key. */
#ifndef MV_RUNTIME_HASH_H
#define MV_RUNTIME_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct mv_hash {
  uint64_t a, b;
} mv_hash;

mv_hash mv_hash_bytes(mv_hash key, const void *bytes, size_t n);

static inline int mv_hash_eq(mv_hash x, mv_hash y) { return x.a == y.a && x.b == y.b; }

#endif
