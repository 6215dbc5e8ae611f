/* What the emulator's runtime offers to kernels: called by the intrinsics (sim_intrinsics.h) and by
 * the helpers of kernels/cuda_ptx.h. Included by cuda_runtime.h.
 *
 * Kernels may be built with the checker's instrumentation, so everything here that touches memory
 * on behalf of a kernel lives out of line in the runtime, which is not. Places in reports are
 * return addresses: the wrappers in headers are always inlined, so that an address lies in the
 * kernel. */
#ifndef MV_CUDASIM_SIM_DEVICE_H
#define MV_CUDASIM_SIM_DEVICE_H

namespace sim {

enum access_kind { READ, WRITE, ATOMIC };
enum vote_kind { VOTE_NONE, VOTE_COUNT, VOTE_AND, VOTE_OR };

extern bool checking; /* a launch runs under the checker */

/* The lane (0..31) of the running thread. */
int lane(void);

/* ---- warps: the last lane of `mask` to arrive runs `op` once for all; args[lane] is its `arg`. */
typedef void (*warp_op)(void **args, unsigned mask);
void warp_collective(unsigned mask, warp_op op, void *arg);
void warp_barrier(unsigned mask); /* __syncwarp: orders memory, too */
uint64_t warp_shuffle(unsigned mask, uint64_t bits, int source_lane);
unsigned warp_ballot(unsigned mask, int predicate);
unsigned warp_match(unsigned mask, uint64_t bits);

/* ---- blocks and more. n_thread < 0: the whole block. `line` tells barriers apart (a return
 * address would not: the compiler may duplicate the call). */
int block_barrier(int id, int n_thread, int predicate, vote_kind vote, int line);
void barrier_arrive(int id, int n_thread);
void grid_barrier(const void *count);
void pdl_wait(void);
void cluster_barrier(void);
unsigned cluster_rank(void);
void *cluster_map(void *p, unsigned rank);
void fence(void); /* __threadfence */
void yield(void); /* lets other threads run: for loops that wait */

/* ---- shared memory. Addresses of 32 bits are offsets into the block's shared memory, with the
 * rank of the block in its cluster in the top byte. */
unsigned char *dynamic_shared(void);
void *static_shared(const void *key, size_t n_bytes);
uint32_t shared_addr(const void *p);

/* ---- single accesses */
void load_checked(void *out, const void *p, size_t n_bytes);
void store_checked(void *p, const void *in, size_t n_bytes);
void atomic_begin(void *p, size_t n_bytes);
bool atomic_cas(void *p, void *expected, const void *desired, size_t n_bytes);
void atomic_load(const void *p, void *out, size_t n_bytes);

template <class T>
__forceinline__ T load(const void *p) {
  T value;
  if (__builtin_expect(checking || (uintptr_t)p % sizeof value != 0, 0))
    load_checked(&value, p, sizeof value);
  else
    memcpy(&value, p, sizeof value);
  return value;
}

template <class T>
__forceinline__ void store(void *p, T value) {
  if (__builtin_expect(checking || (uintptr_t)p % sizeof value != 0, 0))
    store_checked(p, &value, sizeof value);
  else
    memcpy(p, &value, sizeof value);
}

/* ---- instructions (kernels/cuda_ptx.h says what they do) */
void async_copy(uint32_t dst, const void *src, int n_bytes, int n_source_bytes);
void async_commit(void);
void async_wait(int n_in_flight);
void ldmatrix(uint32_t *r, uint32_t addr, int n_matrix, bool transposed);
void mma_m16n8k16(float *d, const uint32_t *a, const uint32_t *b);
void mbar_init(uint32_t bar, int n_arrival);
void mbar_arrive(uint32_t bar, int n_bytes_expected);
bool mbar_try_wait(uint32_t bar, uint32_t parity);
void tma_load_2d(uint32_t dst, const void *map, int x, int y, uint32_t bar);
/* a: 4 registers of A, or NULL for descriptor a_desc; b_major_n: B's rows are along k. */
void wgmma(float *d, const uint32_t *a, uint64_t a_desc, uint64_t b_desc, int n, bool b_major_n);
void wgmma_commit(void);
void wgmma_wait(int n_in_flight);

}  // namespace sim

/* The two macros of kernels/cuda_port.h. A static array is given its place when the first thread of
 * a block comes by, at its exact size, with a forbidden zone around it. */
#define MV_DYN_SHARED(name) unsigned char *const name = ::sim::dynamic_shared()
#define MV_SHARED(type, name, dims) \
  static const char name##_key = 0; \
  typedef type name##_type dims;    \
  name##_type &name = *(name##_type *)::sim::static_shared(&name##_key, sizeof(name##_type))

#endif
