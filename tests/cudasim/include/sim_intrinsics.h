/* CUDA's device functions for the emulator. Included by cuda_runtime.h. */
#ifndef MV_CUDASIM_SIM_INTRINSICS_H
#define MV_CUDASIM_SIM_INTRINSICS_H

/* ---- barriers and fences */
static __forceinline__ void __syncthreads(int line = __builtin_LINE()) {
  sim::block_barrier(0, -1, 0, sim::VOTE_NONE, line);
}
static __forceinline__ int __syncthreads_count(int p, int line = __builtin_LINE()) {
  return sim::block_barrier(0, -1, p, sim::VOTE_COUNT, line);
}
static __forceinline__ int __syncthreads_and(int p, int line = __builtin_LINE()) {
  return sim::block_barrier(0, -1, p, sim::VOTE_AND, line);
}
static __forceinline__ int __syncthreads_or(int p, int line = __builtin_LINE()) {
  return sim::block_barrier(0, -1, p, sim::VOTE_OR, line);
}
static __forceinline__ void __syncwarp(unsigned mask = 0xffffffffu) { sim::warp_barrier(mask); }
static inline void __threadfence() { sim::fence(); }
static inline void __threadfence_block() {}
static inline void __nanosleep(unsigned) { sim::yield(); }

/* ---- warps */
template <class T>
static __forceinline__ T sim_shuffle(unsigned mask, T value, int source) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable<T>::value, "type of a shuffle");
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  bits = sim::warp_shuffle(mask, bits, source);
  memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T>
static __forceinline__ T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  return sim_shuffle(mask, value, (sim::lane() & ~(width - 1)) | (source & (width - 1)));
}
template <class T>
static __forceinline__ T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
  int me = sim::lane(), source = me ^ lane_mask;
  return sim_shuffle(mask, value, source >= (me & ~(width - 1)) + width ? me : source);
}
template <class T>
static __forceinline__ T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  int me = sim::lane(), source = me + (int)delta;
  return sim_shuffle(mask, value, source >= (me & ~(width - 1)) + width ? me : source);
}
template <class T>
static __forceinline__ T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  int me = sim::lane(), source = me - (int)delta;
  return sim_shuffle(mask, value, source < (me & ~(width - 1)) ? me : source);
}
static __forceinline__ unsigned __ballot_sync(unsigned mask, int p) {
  return sim::warp_ballot(mask, p);
}
static __forceinline__ int __any_sync(unsigned mask, int p) {
  return sim::warp_ballot(mask, p) != 0;
}
static __forceinline__ int __all_sync(unsigned mask, int p) {
  return sim::warp_ballot(mask, p) == mask;
}
template <class T>
static __forceinline__ unsigned __match_any_sync(unsigned mask, T value) {
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  return sim::warp_match(mask, bits);
}

/* ---- atomics */
template <class T, class F>
static __forceinline__ T sim_atomic(T *p, F update) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "size of an atomic");
  sim::atomic_begin(p, sizeof(T));
  T old, wanted;
  sim::atomic_load(p, &old, sizeof old);
  do wanted = update(old);
  while (!sim::atomic_cas(p, &old, &wanted, sizeof old));
  return old;
}
template <class T>
struct sim_same { /* keeps the second argument out of template deduction, as in CUDA's overloads */
  typedef T type;
};
template <class T>
static __forceinline__ T atomicAdd(T *p, typename sim_same<T>::type v) {
  return sim_atomic(p, [=](T a) { return (T)(a + v); });
}
template <class T>
static __forceinline__ T atomicMax(T *p, typename sim_same<T>::type v) {
  return sim_atomic(p, [=](T a) { return a > v ? a : v; });
}
template <class T>
static __forceinline__ T atomicMin(T *p, typename sim_same<T>::type v) {
  return sim_atomic(p, [=](T a) { return a < v ? a : v; });
}
template <class T>
static __forceinline__ T atomicOr(T *p, typename sim_same<T>::type v) {
  return sim_atomic(p, [=](T a) { return (T)(a | v); });
}
template <class T>
static __forceinline__ T atomicExch(T *p, typename sim_same<T>::type v) {
  return sim_atomic(p, [=](T) { return v; });
}
template <class T>
static __forceinline__ T atomicCAS(T *p, typename sim_same<T>::type compare,
                                   typename sim_same<T>::type v) {
  return sim_atomic(p, [=](T a) { return a == compare ? v : a; });
}
static __forceinline__ unsigned atomicInc(unsigned *p, unsigned limit) {
  return sim_atomic(p, [=](unsigned a) { return a >= limit ? 0u : a + 1; });
}

/* ---- arithmetic. glibc declares functions of some of these names, so they are macros. */
#define __expf(x) expf(x)
#define __exp10f(x) exp10f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __powf(x, y) powf(x, y)

static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __saturatef(float x) { return x < 0 ? 0 : x > 1 ? 1 : x == x ? x : 0; }

/* Each of these rounds once: the compiler may not fuse them with what follows. */
static inline float sim_rounded(float x) {
  __asm__ volatile("" : "+m"(x));
  return x;
}
static inline float __fadd_rn(float a, float b) { return sim_rounded(a + b); }
static inline float __fsub_rn(float a, float b) { return sim_rounded(a - b); }
static inline float __fmul_rn(float a, float b) { return sim_rounded(a * b); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __frsqrt_rn(float x) { return (float)(1.0 / sqrt((double)x)); }

static inline unsigned __float_as_uint(float x) {
  unsigned u;
  memcpy(&u, &x, sizeof u);
  return u;
}
static inline int __float_as_int(float x) { return (int)__float_as_uint(x); }
static inline float __uint_as_float(unsigned u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}
static inline float __int_as_float(int i) { return __uint_as_float((unsigned)i); }
static inline int __float2int_rn(float x) { return (int)rintf(x); }
static inline int __float2int_rd(float x) { return (int)floorf(x); }
static inline int __float2int_rz(float x) { return (int)x; }
static inline float __int2float_rn(int i) { return (float)i; }
static inline float __uint2float_rn(unsigned u) { return (float)u; }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __ffsll(long long x) { return __builtin_ffsll(x); }
static inline unsigned __umulhi(unsigned a, unsigned b) {
  return (unsigned)((unsigned long long)a * b >> 32);
}
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}
template <class T>
static __forceinline__ T __ldg(const T *p) {
  return *p;
}
static inline size_t __cvta_generic_to_shared(const void *p) { return sim::shared_addr(p); }

static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
static inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline long long min(long long a, long long b) { return a < b ? a : b; }
static inline long long max(long long a, long long b) { return a > b ? a : b; }

#endif
