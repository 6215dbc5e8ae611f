#include "runtime/hash.h"

#include <string.h>

static uint64_t rotate(uint64_t x, int n) { return x << n | x >> (64 - n); }

static void rounds(uint64_t v[4], int n) {
  for (int i = 0; i < n; i++) {
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
  }
}

/* Little endian, as the algorithm is defined. */
static uint64_t word_at(const unsigned char *p, size_t n) {
  uint64_t w = 0;
  for (size_t i = 0; i < n; i++) w |= (uint64_t)p[i] << (8 * i);
  return w;
}

mv_hash mv_hash_bytes(mv_hash key, const void *bytes, size_t n) {
  uint64_t v[4] = {key.a ^ 0x736f6d6570736575u, key.b ^ 0x646f72616e646f6du ^ 0xee,
                   key.a ^ 0x6c7967656e657261u, key.b ^ 0x7465646279746573u};
  const unsigned char *p = bytes;
  size_t left = n;
  for (; left >= 8; p += 8, left -= 8) {
    uint64_t w = word_at(p, 8);
    v[3] ^= w;
    rounds(v, 2);
    v[0] ^= w;
  }
  uint64_t last = (uint64_t)n << 56 | word_at(p, left);
  v[3] ^= last;
  rounds(v, 2);
  v[0] ^= last;
  v[2] ^= 0xee;
  rounds(v, 4);
  mv_hash out;
  out.a = v[0] ^ v[1] ^ v[2] ^ v[3];
  v[1] ^= 0xdd;
  rounds(v, 4);
  out.b = v[0] ^ v[1] ^ v[2] ^ v[3];
  return out;
}
