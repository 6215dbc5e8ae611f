/* Inside the emulator: what its sources share.
 *
 *   report.cpp     settings, reports
 *   context.cpp    stacks and the switch between them
 *   schedule.cpp   which thread runs; warps, barriers, waiting
 *   shared.cpp     shared memory, single accesses, cp.async
 *   launch.cpp     a launch: its blocks, its OS threads, its limits
 *   tensor.cpp     ldmatrix, mma              hopper.cpp   mbarrier, TMA, wgmma
 *   memory.cpp     device and pinned memory   stream.cpp   streams, events, graphs
 *   device.cpp     the device, errors         cublaslt.cpp products
 *   check.cpp      races, bounds, initialisation; tsan.cpp calls it; stats.cpp counts transactions
 *
 * A thread of the GPU is a fiber. All fibers of a gang (a block; a cluster; a cooperative grid) run
 * on one OS thread, one at a time, until they wait: so inside a gang nothing needs locks, and a
 * thread runs ahead of the others as far as barriers let it, which is where missing ones show. */
#ifndef MV_CUDASIM_INTERNAL_H
#define MV_CUDASIM_INTERNAL_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cuda_runtime.h"
#include "sim.h"

#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif
#ifdef SIM_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define __asan_poison_memory_region(p, n) ((void)(p), (void)(n))
#define __asan_unpoison_memory_region(p, n) ((void)(p), (void)(n))
#define __asan_region_is_poisoned(p, n) ((void *)0)
#endif

#define SIM_CALLER __builtin_return_address(0)

namespace sim {

/* ---- settings and reports (report.cpp) */
extern sim_config config;
void report(const char *kind, const char *format, ...) __attribute__((format(printf, 2, 3)));
std::string place_of(const void *pc); /* "rmsnorm.cu:40" */

/* ---- contexts (context.cpp) */
struct context {
  void *stack_pointer;
};
constexpr size_t stack_bytes = 128 << 10; /* of a fiber; the lowest page is a guard */
void context_make(context *c, char *stack_top, void (*entry)());
void context_switch(context *from, context *to);

/* ---- a running launch */
struct block;
struct warp;
struct fiber;

struct copy_op { /* one cp.async */
  unsigned char *dst;
  const unsigned char *src;
  int n_bytes, n_source;
  bool landed;
};

template <class Op>
struct async_queue { /* operations of a thread or warp in order, and where its groups end */
  std::vector<Op> ops;
  std::vector<size_t> group_ends;
  void commit() { group_ends.push_back(ops.size()); }
  /* Runs what must be over when at most `n` groups may be in flight. */
  template <class F>
  void wait(int n, F run) {
    size_t n_done = group_ends.size() > (size_t)n ? group_ends.size() - (size_t)n : 0;
    size_t n_op = n_done ? group_ends[n_done - 1] : 0;
    for (size_t i = 0; i < n_op; i++) run(ops[i]);
    ops.erase(ops.begin(), ops.begin() + (long)n_op);
    group_ends.erase(group_ends.begin(), group_ends.begin() + (long)n_done);
    for (size_t &end : group_ends) end -= n_op;
  }
  void clear() {
    ops.clear();
    group_ends.clear();
  }
};

struct wgmma_op {
  float *d[32];
  uint32_t a[32][4];
  bool a_in_registers, b_major_n;
  uint64_t a_desc, b_desc;
  int n;
  const void *pc;
};

struct fiber {
  context ctx;
  uint3 thread;
  struct block *block;
  struct warp *warp;
  uint16_t lane, flat; /* flat: index in the block */
  bool ended;
  bool unfenced; /* wrote global memory since its last __threadfence */
  bool waited;   /* for the launches ahead of it: pdl_wait, or no overlap */
  int n_atomic;  /* atomics since it last waited */
  async_queue<copy_op> copies;
  char *stack;
  void *fake_stack; /* ASan's */
};

struct collective { /* a warp function some lanes have reached */
  unsigned mask, arrived;
  warp_op op;
};

struct warp {
  struct block *block;
  int index;
  unsigned ready, exited, present; /* lanes */
  int n_waiting;
  collective waiting[8];
  void *args[32];
  fiber *fibers; /* [32] */
  async_queue<wgmma_op> products;
};

enum { gang_barrier_id = 16, n_barrier };

struct barrier {
  int arrived, count; /* count < 0: the whole block */
  int n_true;
  int result, line;
  unsigned waiting[32]; /* lanes by warp */
};

struct block {
  uint3 index;
  unsigned linear; /* index in the grid */
  int rank;        /* in its gang */
  int n_thread, n_warp, n_live;
  unsigned ready_warps;
  warp *warps;
  fiber *fibers;
  barrier barriers[n_barrier];
  unsigned char *arena; /* its shared memory */
  size_t dynamic_bytes, arena_used, static_bytes;
  struct variable {
    const void *key;
    void *p;
  };
  std::vector<variable> variables;
};

struct launch_state {
  launch_dims dims;
  const void *kernel;
  kernel_call call;
  unsigned gang_size, n_gang;
  std::atomic<unsigned> next{0};
  std::atomic<bool> failed{false};
};

struct tma_op {
  uint32_t dst, bar;
  unsigned char map[128];
  int x, y;
  fiber *by;
};

struct worker { /* an OS thread that runs gangs */
  launch_state *launch;
  fiber main; /* the OS thread's own stack */
  std::vector<block> blocks;
  std::vector<warp> warps;
  std::vector<fiber> fibers;
  int n_block, n_live_block;
  char *stacks;
  size_t n_stack;
  unsigned char *arenas;
  size_t n_arena;
  uint64_t random_state;
  long n_idle; /* yields since anything moved */
  bool dead;   /* nothing can run */
  std::vector<tma_op> tma;
  ~worker();
};

extern __thread fiber *current; /* NULL outside kernels */
extern __thread worker *self;

inline bool in_kernel() { return current && current != &self->main; }
inline uint32_t random_bits() {
  uint64_t x = self->random_state;
  x ^= x << 13, x ^= x >> 7, x ^= x << 17;
  self->random_state = x;
  return (uint32_t)(x >> 16);
}

/* ---- schedule.cpp */
void mark_ready(warp *w, unsigned lanes);
fiber *pick_next(warp *preferred); /* NULL: nobody is ready */
void switch_to(fiber *from, fiber *to);
void fiber_ended(void); /* on the ended fiber's stack; does not return */
void run_gang_until_done(void);
unsigned collective_barrier(unsigned mask, warp_op op, void *arg, bool orders_memory);

/* ---- shared.cpp: an arena is [1 KiB forbidden][dynamic][forbidden zones and static arrays ...] */
constexpr size_t arena_bytes = 256 << 10, arena_head = 1024;
void *shared_pointer(uint32_t addr);
void shared_reset(block *b);
void copies_abandoned(fiber *f); /* complains about copies nobody waited for */

/* ---- launch.cpp */
cudaError_t run_launch(const launch_dims &dims, const void *kernel, const kernel_call &call);
size_t shared_limit(int arch); /* bytes a block may opt in to */

/* ---- hopper.cpp */
bool tma_deliver(bool any); /* completes one copy in flight; false: there is none */
void run_wgmma(const wgmma_op &op);
cudaError_t find_driver_function(const char *symbol, void **function);

/* ---- memory.cpp */
struct allocation {
  size_t n_bytes;
  bool is_freed, is_device;
};
struct region { /* of addresses that one kind of memory is taken from */
  unsigned char *base;
  size_t capacity, top;
  bool holds(const void *p) const {
    return base && (const unsigned char *)p >= base && (const unsigned char *)p < base + capacity;
  }
};
extern region device_region, pinned_region;
/* Where p lies: "128 bytes into (freed) allocation of 64 bytes at ...". */
std::string describe_address(const void *p);
/* Whether [p, p + n) lies in one live allocation of the device (or is no device memory at all and
 * `host_ok`); reports when it does not. */
bool range_ok(const void *p, size_t n_bytes, const char *what, bool host_ok);

/* ---- stream.cpp */
typedef std::function<cudaError_t()> stream_op;
cudaError_t submit(cudaStream_t stream, stream_op op); /* runs, queues or captures */
/* Notes whether what is submitted next is a kernel; returns whether the last was one. */
bool note_kernel(cudaStream_t stream, bool is_kernel);
bool is_of_current_device(cudaStream_t stream);
int current_device(void); /* of the calling thread: device.cpp */
bool refused_in_capture(const char *function);
extern std::recursive_mutex api_mutex;
void synchronise_blocking_streams(void);
cudaError_t drain_stream(cudaStream_t stream); /* NULL: the default one */
bool stream_is_capturing(cudaStream_t stream);
cudaError_t drain_all_streams(void);

/* ---- device.cpp: every runtime function starts with API_BEGIN (locks, injected and sticky errors)
 * and ends with `return remember(...)`. */
cudaError_t begin_call(void);
cudaError_t remember(cudaError_t error);
void set_sticky(cudaError_t error);
cudaError_t sticky(void);
#define API_BEGIN()                                          \
  std::lock_guard<std::recursive_mutex> api_lock(api_mutex); \
  if (cudaError_t begin_error = begin_call()) return begin_error

/* ---- check.cpp; called only while `checking`, except check_alloc, check_free and check_host_write
 */
void check_access(const void *p, size_t n_bytes, access_kind kind, const void *pc);
void check_misaligned(const void *p, size_t n_bytes, const void *pc);
void check_launch(const launch_state *launch);
void check_block(block *b);
void check_block_end(block *b);
void check_shared_alloc(const void *p, size_t n_bytes);
void check_barrier(block *b, int id, const unsigned *lanes_by_warp);
void check_barrier_arrive(block *b, int id);
void check_warp_barrier(warp *w);
void check_gang_barrier(void);
void check_copy_issue(unsigned char *dst, const unsigned char *src, int n, int n_src,
                      const void *pc);
void check_copy_done(unsigned char *dst, int n_bytes, bool by_tma);
void check_mbar_init(const void *bar);
void check_mbar_arrive(const void *bar);
void check_mbar_wait(const void *bar);
void check_alloc(void *p, size_t n_bytes);
void check_free(void *p, size_t n_bytes);
void check_host_write(void *p, size_t n_bytes);
/* Reports device memory that a library call would read before anybody wrote it. */
void check_host_read(const void *p, size_t n_bytes, const char *what);

/* ---- stats.cpp */
void stats_add(const void *p, size_t n_bytes, access_kind kind, const void *pc, bool is_shared);
void stats_block_end(void);

}  // namespace sim
#endif
