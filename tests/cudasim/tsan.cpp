/* What -fsanitize=thread makes kernels call, given a new meaning: the compiler announces every load
 * and store that another thread might see, and each announcement becomes a check. Kernels are
 * compiled with that flag and linked with this file instead of the sanitizer's library. */
#include "internal.h"

using namespace sim;

#define CHECK(p, n, kind)                                     \
  do {                                                        \
    if (checking) check_access((p), (n), (kind), SIM_CALLER); \
  } while (0)
#define CHECK_UNALIGNED(p, n, kind)                                               \
  do {                                                                            \
    if (checking && (uintptr_t)(p) % (n)) check_misaligned((p), (n), SIM_CALLER); \
    CHECK(p, n, kind);                                                            \
  } while (0)

#define ACCESSES(N)                                                                \
  void __tsan_read##N(void *p) { CHECK(p, N, READ); }                              \
  void __tsan_write##N(void *p) { CHECK(p, N, WRITE); }                            \
  void __tsan_volatile_read##N(void *p) { CHECK(p, N, READ); }                     \
  void __tsan_volatile_write##N(void *p) { CHECK(p, N, WRITE); }                   \
  void __tsan_unaligned_read##N(void *p) { CHECK_UNALIGNED(p, N, READ); }          \
  void __tsan_unaligned_write##N(void *p) { CHECK_UNALIGNED(p, N, WRITE); }        \
  void __tsan_unaligned_volatile_read##N(void *p) { CHECK_UNALIGNED(p, N, READ); } \
  void __tsan_unaligned_volatile_write##N(void *p) { CHECK_UNALIGNED(p, N, WRITE); }

/* Atomics in instrumented code are the C++ library's own (reference counts of launches). */
#define ATOMICS(bits)                                                                              \
  uint##bits##_t __tsan_atomic##bits##_load(const uint##bits##_t *p, int) {                        \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                   \
  }                                                                                                \
  void __tsan_atomic##bits##_store(uint##bits##_t *p, uint##bits##_t v, int) {                     \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                \
  uint##bits##_t __tsan_atomic##bits##_exchange(uint##bits##_t *p, uint##bits##_t v, int) {        \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                            \
  }                                                                                                \
  uint##bits##_t __tsan_atomic##bits##_fetch_add(uint##bits##_t *p, uint##bits##_t v, int) {       \
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  uint##bits##_t __tsan_atomic##bits##_fetch_sub(uint##bits##_t *p, uint##bits##_t v, int) {       \
    return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_strong(uint##bits##_t *p, uint##bits##_t *expected,   \
                                                    uint##bits##_t v, int, int) {                  \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_weak(uint##bits##_t *p, uint##bits##_t *expected,     \
                                                  uint##bits##_t v, int, int) {                    \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }

extern "C" {

extern const int sim_instrumented; /* see launch.cpp: kernels were built for the checker */
const int sim_instrumented = 1;

ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)
ATOMICS(8)
ATOMICS(16)
ATOMICS(32)
ATOMICS(64)

void __tsan_read_range(void *p, size_t n) { CHECK(p, n, READ); }
void __tsan_write_range(void *p, size_t n) { CHECK(p, n, WRITE); }
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}
void __tsan_init() {}
void __tsan_vptr_update(void **, void *) {}
void __tsan_vptr_read(void **) {}

}  // extern "C"
