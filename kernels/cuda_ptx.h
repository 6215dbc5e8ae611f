/* Every PTX instruction the kernels and the samples of tests/cudasim use, once for the GPU and once
 * for the emulator, each helper two or three lines. Nothing else in the project contains inline
 * assembly for the GPU. The emulator cannot see the text of the assembly: on a card, kernels and
 * samples are tests labelled gpu, and each helper but mv_ldmatrix_x2* is in one of them (those for
 * sm_90 on such a card).
 *
 *   shared addresses    uint32_t, from mv_shared_addr; arithmetic on them is ordinary
 *   cp.async            mv_cp_async_{16,4}: `n_bytes` of source, the rest of the destination zero
 *                       (n_bytes 0 reads nothing, the pointer must still be valid to form)
 *   tensor cores        mv_ldmatrix_*, mv_mma_bf16 (sm_80); mv_mbar_*, mv_tma_*, mv_wgmma_*
 * (sm_90a) ordering            mv_bar_*: barriers of part of a block; mv_grid_sync, mv_cluster_*;
 *                       mv_atomic_add_acq_rel: between blocks; mv_pdl_*: overlap of kernels
 *   memory hints        mv_ld_stream_v4
 */
#ifndef MV_KERNELS_CUDA_PTX_H
#define MV_KERNELS_CUDA_PTX_H

#include "kernels/cuda_port.h"

#define MV_DEV static __device__ __forceinline__

MV_DEV uint32_t mv_shared_addr(const void *p) { return (uint32_t)__cvta_generic_to_shared(p); }

/* ---- memory ------------------------------------------------------------------------------------
 * mv_ld_stream: read once by the whole grid (weights): not kept in L1, fetched 256 bytes at a time
 * into L2. Only for memory that no kernel running at the same time writes. */
#ifndef MV_CUDASIM
MV_DEV uint4 mv_ld_stream_v4(const void *p) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.L2::256B.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  return v;
}

MV_DEV void mv_cp_async_16(uint32_t dst, const void *src, int n_bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(dst), "l"(src), "r"(n_bytes)
               : "memory");
}
MV_DEV void mv_cp_async_4(uint32_t dst, const void *src, int n_bytes) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(dst), "l"(src), "r"(n_bytes)
               : "memory");
}
MV_DEV void mv_cp_async_commit(void) { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N>
MV_DEV void mv_cp_async_wait(void) { /* until at most N of this thread's groups are in flight */
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

MV_DEV uint32_t mv_ld_acquire(const uint32_t *p) { /* device scope */
  uint32_t v;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
  return v;
}
MV_DEV uint32_t mv_atomic_add_acq_rel(uint32_t *p, uint32_t v) {
  uint32_t old;
  asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], %2;"
               : "=r"(old)
               : "l"(p), "r"(v)
               : "memory");
  return old;
}
#else
MV_DEV uint4 mv_ld_stream_v4(const void *p) { return sim::load<uint4>(p); }
MV_DEV void mv_cp_async_16(uint32_t dst, const void *src, int n_bytes) {
  sim::async_copy(dst, src, 16, n_bytes);
}
MV_DEV void mv_cp_async_4(uint32_t dst, const void *src, int n_bytes) {
  sim::async_copy(dst, src, 4, n_bytes);
}
MV_DEV void mv_cp_async_commit(void) { sim::async_commit(); }
template <int N>
MV_DEV void mv_cp_async_wait(void) {
  sim::async_wait(N);
}
MV_DEV uint32_t mv_atomic_add_acq_rel(uint32_t *p, uint32_t v) {
  __threadfence();
  return atomicAdd(p, v);
}
#endif

/* x, of which the compiler knows nothing: what follows from it is computed where it is used and not
 * kept in registers over a loop. */
#ifndef MV_CUDASIM
MV_DEV uint32_t mv_opaque(uint32_t x) {
  asm volatile("" : "+r"(x));
  return x;
}
#else
MV_DEV uint32_t mv_opaque(uint32_t x) { return x; }
#endif

/* ---- arithmetic: approximations, results differ in the last bits between card and emulator ------
 */
#ifndef MV_CUDASIM
MV_DEV float mv_exp2(float x) { /* subnormal results are zero */
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
MV_DEV float mv_rcp(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#else
MV_DEV float mv_exp2(float x) { return exp2f(x); }
MV_DEV float mv_rcp(float x) { return 1.0f / x; }
#endif

/* ---- ordering -----------------------------------------------------------------------------------
 * mv_bar_sync(id, n): barrier `id` (1..15) of n threads of the block, whole warps.
 * mv_bar_arrive: counts without waiting.
 * mv_pdl_wait: in a kernel launched with `overlap`, by every thread before the first use of what
 * earlier kernels wrote (or still read), and before it writes anything; mv_pdl_launch: the next
 * kernel may start now. Every kernel does the one first and the other next (mv_pdl_enter); between
 * them it may read what no kernel of the step writes: weights. No-ops below sm_90. */
#ifndef MV_CUDASIM
MV_DEV void mv_bar_sync(int id, int n_thread) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(n_thread) : "memory");
}
MV_DEV void mv_bar_arrive(int id, int n_thread) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(n_thread) : "memory");
}
MV_DEV void mv_pdl_wait(void) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
MV_DEV void mv_pdl_launch(void) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
#else
MV_DEV void mv_bar_sync(int id, int n_thread, int line = __builtin_LINE()) {
  sim::block_barrier(id, n_thread, 0, sim::VOTE_NONE, line);
}
MV_DEV void mv_bar_arrive(int id, int n_thread) { sim::barrier_arrive(id, n_thread); }
MV_DEV void mv_pdl_wait(void) { sim::pdl_wait(); }
MV_DEV void mv_pdl_launch(void) {}
#endif
MV_DEV void mv_pdl_enter(void) {
  mv_pdl_launch();
  mv_pdl_wait();
}

/* A barrier of the whole grid, for kernels launched with `cooperative`. `count` is a word of global
 * memory, zero before the first launch that uses it; every launch leaves it ready for the next one
 * with the same grid. All threads of all blocks call. */
#ifndef MV_CUDASIM
MV_DEV void mv_grid_sync(uint32_t *count) {
  __syncthreads();
  if (threadIdx.x == 0 && threadIdx.y == 0 && threadIdx.z == 0) {
    const uint32_t n_block = gridDim.x * gridDim.y * gridDim.z;
    const bool first = blockIdx.x == 0 && blockIdx.y == 0 && blockIdx.z == 0;
    const uint32_t step =
        first ? 0x80000000u - (n_block - 1) : 1; /* the top bit flips when all came */
    __threadfence();
    const uint32_t old = mv_atomic_add_acq_rel(count, step);
    while (((mv_ld_acquire(count) ^ old) & 0x80000000u) == 0) {
    }
    __threadfence();
  }
  __syncthreads();
}
#else
MV_DEV void mv_grid_sync(uint32_t *count) { sim::grid_barrier(count); }
#endif

/* Clusters (sm_90): blocks of a cluster read each other's shared memory through mv_cluster_map. All
 * threads of all blocks of the cluster call mv_cluster_sync, also before any of them ends. */
#ifndef MV_CUDASIM
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
MV_DEV void mv_cluster_sync(void) {
  asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
}
MV_DEV unsigned mv_cluster_rank(void) {
  unsigned rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
template <class T>
MV_DEV T *mv_cluster_map(T *p, unsigned rank) {
  uint64_t mapped;
  asm volatile("mapa.u64 %0, %1, %2;" : "=l"(mapped) : "l"((uint64_t)p), "r"(rank));
  return (T *)mapped;
}
#endif
#else
MV_DEV void mv_cluster_sync(void) { sim::cluster_barrier(); }
MV_DEV unsigned mv_cluster_rank(void) { return sim::cluster_rank(); }
template <class T>
MV_DEV T *mv_cluster_map(T *p, unsigned rank) {
  return (T *)sim::cluster_map((void *)p, rank);
}
#endif

/* ---- tensor cores, sm_80 ------------------------------------------------------------------------
 * ldmatrix: n matrices of 8 x 8 bf16; lane 8i + r gives the address of row r of matrix i (16 bytes,
 * aligned). r[i] of lane l is elements (l/4, 2(l%4)) and the next one of matrix i; with trans, of
 * its transpose.
 *
 * mma m16n8k16: d += a b. Lane l, g = l/4, t = 2(l%4):
 *   a[0] (g, t)   a[1] (g+8, t)   a[2] (g, t+8)   a[3] (g+8, t+8)   and the next column, 16 x 16
 *   b0   (t, g)   b1   (t+8, g)                                     and the next row, 16 x 8
 *   d[0] (g, t)   d[1] (g, t+1)   d[2] (g+8, t)   d[3] (g+8, t+1)   16 x 8
 */
#ifndef MV_CUDASIM
MV_DEV void mv_ldmatrix_x4(uint32_t (&r)[4], uint32_t addr) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(addr)
               : "memory");
}
MV_DEV void mv_ldmatrix_x2(uint32_t (&r)[2], uint32_t addr) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(addr)
               : "memory");
}
MV_DEV void mv_ldmatrix_x4_trans(uint32_t (&r)[4], uint32_t addr) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(addr)
               : "memory");
}
MV_DEV void mv_ldmatrix_x2_trans(uint32_t (&r)[2], uint32_t addr) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(addr)
               : "memory");
}
MV_DEV void mv_mma_bf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#else
MV_DEV void mv_ldmatrix_x4(uint32_t (&r)[4], uint32_t addr) { sim::ldmatrix(r, addr, 4, false); }
MV_DEV void mv_ldmatrix_x2(uint32_t (&r)[2], uint32_t addr) { sim::ldmatrix(r, addr, 2, false); }
MV_DEV void mv_ldmatrix_x4_trans(uint32_t (&r)[4], uint32_t addr) {
  sim::ldmatrix(r, addr, 4, true);
}
MV_DEV void mv_ldmatrix_x2_trans(uint32_t (&r)[2], uint32_t addr) {
  sim::ldmatrix(r, addr, 2, true);
}
MV_DEV void mv_mma_bf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  const uint32_t b[2] = {b0, b1};
  sim::mma_m16n8k16(d, a, b);
}
#endif

/* ---- Hopper: mbarriers, bulk tensor copies, warpgroup products (sm_90a only) --------------------
 * An mbarrier is 8 bytes of shared memory. It completes a phase when all its arrivals and all the
 * bytes announced by mv_mbar_expect came; mv_mbar_try_wait(bar, parity) is true once the phase of
 * that parity (0, 1, 0, ...) is over, so poll it in a loop.
 *
 * mv_tma_load_2d: the box of `map` at column x, row y to shared memory, counted on `bar`; what lies
 * outside the tensor is zero. `map` is a __grid_constant__ parameter.
 *
 * mv_wgmma_n128: d += A B^T of a warpgroup, A 64 x 16, B 128 x 16 in shared memory given by
 * descriptors (mv_wgmma_desc). Between mv_wgmma_fence and mv_wgmma_wait<0> nobody touches d. d[4j +
 * 2h + i] of lane l of warp w is row 16w + l/4 + 8h, column 8j + 2(l%4) + i. */
#ifndef MV_CUDASIM
#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || !defined(__CUDA_ARCH__)
MV_DEV void mv_mbar_init(uint32_t bar, int n_arrival) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(bar), "r"(n_arrival) : "memory");
}
MV_DEV void mv_mbar_expect(uint32_t bar, int n_bytes) { /* arrives, too */
  asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(bar), "r"(n_bytes)
               : "memory");
}
MV_DEV void mv_mbar_arrive(uint32_t bar) {
  asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(bar) : "memory");
}
MV_DEV bool mv_mbar_try_wait(uint32_t bar, uint32_t parity) {
  uint32_t done;
  asm volatile(
      "{.reg .pred p; mbarrier.try_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p;}"
      : "=r"(done)
      : "r"(bar), "r"(parity)
      : "memory");
  return done;
}
MV_DEV void mv_mbar_fence_init(void) { /* after mv_mbar_init, before the block's barrier */
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async;" ::: "memory");
}
MV_DEV void mv_tma_load_2d(uint32_t dst, const void *map, int x, int y, uint32_t bar) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, "
      "{%3, %4}], [%2];" ::"r"(dst),
      "l"((uint64_t)map), "r"(bar), "r"(x), "r"(y)
      : "memory");
}
MV_DEV void mv_wgmma_fence(void) { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
MV_DEV void mv_wgmma_commit(void) { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N>
MV_DEV void mv_wgmma_wait(void) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}
#define MV_R4(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define MV_R16(d, i) MV_R4(d, i), MV_R4(d, i + 4), MV_R4(d, i + 8), MV_R4(d, i + 12)
MV_DEV void mv_wgmma_n128(float (&d)[64], uint64_t a, uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,"
      "%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
      "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, %64, %65, 1, 1, 1, 0, 0;"
      : MV_R16(d, 0), MV_R16(d, 16), MV_R16(d, 32), MV_R16(d, 48)
      : "l"(a), "l"(b));
}
#undef MV_R16
#undef MV_R4
#endif
#else
MV_DEV void mv_mbar_init(uint32_t bar, int n_arrival) { sim::mbar_init(bar, n_arrival); }
MV_DEV void mv_mbar_expect(uint32_t bar, int n_bytes) { sim::mbar_arrive(bar, n_bytes); }
MV_DEV void mv_mbar_arrive(uint32_t bar) { sim::mbar_arrive(bar, 0); }
MV_DEV bool mv_mbar_try_wait(uint32_t bar, uint32_t parity) {
  return sim::mbar_try_wait(bar, parity);
}
MV_DEV void mv_mbar_fence_init(void) {}
MV_DEV void mv_tma_load_2d(uint32_t dst, const void *map, int x, int y, uint32_t bar) {
  sim::tma_load_2d(dst, map, x, y, bar);
}
MV_DEV void mv_wgmma_fence(void) {}
MV_DEV void mv_wgmma_commit(void) { sim::wgmma_commit(); }
template <int N>
MV_DEV void mv_wgmma_wait(void) {
  sim::wgmma_wait(N);
}
MV_DEV void mv_wgmma_n128(float (&d)[64], uint64_t a, uint64_t b) {
  sim::wgmma(d, nullptr, a, b, 128, false);
}
#endif

/* Descriptor of a tile in shared memory, rows of 64 bf16 (128 bytes) swizzled by 128 bytes as TMA
 * writes them, 1024-byte aligned; add 32 bytes to `addr` for every 16 columns. */
MV_DEV uint64_t mv_wgmma_desc(uint32_t addr) {
  return (uint64_t)((addr & 0x3ffffu) >> 4) | (uint64_t)1 << 16 | (uint64_t)(1024 >> 4) << 32 |
         (uint64_t)1 << 62;
}

#endif
