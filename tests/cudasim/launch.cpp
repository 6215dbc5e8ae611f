/* A launch: its limits, the gangs of blocks it falls into, the OS threads that run them. */
#include <sys/mman.h>

#include <condition_variable>
#include <numeric>
#include <thread>

#include "internal.h"

#ifdef SIM_ASAN
#include <pthread.h>
#endif

/* Defined by tsan.cpp, which is linked when kernels call it. */
extern "C" const int sim_instrumented __attribute__((weak));

namespace sim {

bool checking = false;

namespace {

std::mutex limits_mutex;
std::map<const void *, size_t> shared_limits; /* by kernel, where asked for */

void fiber_main() {
#ifdef SIM_ASAN
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  self->launch->call.run(self->launch->call.args.get());
  fiber_ended();
}

void *map_memory(size_t n_bytes) {
  void *p = mmap(nullptr, n_bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    perror("cudasim: mmap");
    abort();
  }
  return p;
}

/* Memory for a gang of n_block blocks of n_thread threads, kept for later gangs. */
void make_room(worker *w, size_t n_block, size_t n_thread) {
  const size_t n_warp = n_block * ((n_thread + 31) / 32), n_fiber = n_block * n_thread;
  if (w->n_stack < n_fiber) {
    if (w->stacks) munmap(w->stacks, w->n_stack * stack_bytes);
    w->stacks = (char *)map_memory(n_fiber * stack_bytes);
    w->n_stack = n_fiber;
    /* A guard page costs a mapping, of which a process has some 65,000. */
    for (size_t i = 0; i < n_fiber && n_fiber <= 8192; i++)
      mprotect(w->stacks + i * stack_bytes, 4096, PROT_NONE);
  }
  if (w->fibers.size() < n_warp * 32) w->fibers = std::vector<fiber>(n_warp * 32);
  if (w->warps.size() < n_warp) w->warps = std::vector<warp>(n_warp);
  if (w->blocks.size() < n_block) w->blocks = std::vector<block>(n_block);
  if (w->n_arena < n_block) {
    if (w->arenas) munmap(w->arenas, w->n_arena * arena_bytes);
    w->arenas = (unsigned char *)map_memory(n_block * arena_bytes);
    w->n_arena = n_block;
  }
}

/* Index in the grid of block `rank` of gang `gang`. */
uint3 block_index(const launch_dims &d, unsigned gang, unsigned rank) {
  if (d.cooperative)
    return {rank % d.grid.x, rank / d.grid.x % d.grid.y, rank / (d.grid.x * d.grid.y)};
  unsigned gx = d.grid.x / d.cluster.x, gy = d.grid.y / d.cluster.y;
  return {gang % gx * d.cluster.x + rank % d.cluster.x,
          gang / gx % gy * d.cluster.y + rank / d.cluster.x % d.cluster.y,
          gang / (gx * gy) * d.cluster.z + rank / (d.cluster.x * d.cluster.y)};
}

void start_fiber(worker *w, block *b, unsigned t) {
  const dim3 &dim = self->launch->dims.block;
  fiber *f = &b->fibers[t];
  f->thread = {t % dim.x, t / dim.x % dim.y, t / (dim.x * dim.y)};
  f->block = b;
  f->warp = &b->warps[t / 32];
  f->lane = (uint16_t)(t % 32);
  f->flat = (uint16_t)t;
  f->ended = f->unfenced = false;
  f->waited = !self->launch->dims.overlap;
  f->n_atomic = 0;
  f->copies.clear();
  size_t at = (size_t)b->rank * (size_t)b->n_thread + t;
  f->stack = w->stacks + at * stack_bytes;
  __asan_unpoison_memory_region(f->stack + 4096, stack_bytes - 4096);
  /* Staggered: stacks at equal offsets would fall into the same sets of the cache. */
  context_make(&f->ctx, f->stack + stack_bytes - 64 - at * 320 % 4096, fiber_main);
  f->warp->present |= 1u << f->lane;
  mark_ready(f->warp, 1u << f->lane);
}

void start_block(worker *w, unsigned gang, unsigned rank) {
  const launch_dims &d = w->launch->dims;
  const unsigned n_thread = d.block.x * d.block.y * d.block.z, n_warp = (n_thread + 31) / 32;
  block *b = &w->blocks[rank];
  b->index = block_index(d, gang, rank);
  b->linear = b->index.x + d.grid.x * (b->index.y + d.grid.y * b->index.z);
  b->rank = (int)rank;
  b->n_thread = b->n_live = (int)n_thread;
  b->n_warp = (int)n_warp;
  b->ready_warps = 0;
  b->warps = &w->warps[rank * n_warp];
  b->fibers = &w->fibers[(size_t)rank * n_warp * 32];
  for (barrier &bar : b->barriers) bar = barrier{};
  b->arena = w->arenas + rank * arena_bytes;
  b->dynamic_bytes = d.shared_bytes;
  shared_reset(b);
  for (unsigned i = 0; i < n_warp; i++) {
    warp *x = &b->warps[i];
    x->block = b;
    x->index = (int)i;
    x->ready = x->exited = x->present = 0;
    x->n_waiting = 0;
    x->fibers = b->fibers + i * 32;
    x->products.clear();
  }
  for (unsigned t = 0; t < n_thread; t++) start_fiber(w, b, t);
  if (checking) check_block(b);
}

void describe_own_stack(worker *w) {
#ifdef SIM_ASAN
  static __thread void *base;
  static __thread size_t size;
  if (!base) {
    pthread_attr_t attr;
    pthread_getattr_np(pthread_self(), &attr);
    pthread_attr_getstack(&attr, &base, &size);
    pthread_attr_destroy(&attr);
  }
  /* switch_to announces stack_bytes; the topmost part of the own stack is the one in use. */
  w->main.stack = (char *)base + size - stack_bytes;
#else
  (void)w;
#endif
}

void run_gang(worker *w, launch_state *launch, unsigned gang) {
  const dim3 &b = launch->dims.block, &g = launch->dims.grid;
  w->launch = launch;
  w->n_block = w->n_live_block = (int)launch->gang_size;
  w->dead = false;
  w->n_idle = 0;
  w->tma.clear();
  w->random_state = (config.seed * 0x9E3779B97F4A7C15ull) ^ (gang + 1) * 0xD1B54A32D192ED03ull;
  random_bits();
  make_room(w, launch->gang_size, (size_t)b.x * b.y * b.z);
  for (unsigned i = 0; i < launch->gang_size; i++) start_block(w, gang, i);
  blockDim = {b.x, b.y, b.z};
  gridDim = {g.x, g.y, g.z};
  w->main.block = nullptr;
  w->main.ended = false;
  describe_own_stack(w);
  run_gang_until_done();
  if (w->dead) {
    launch->failed = true;
    return;
  }
  if (!w->tma.empty()) report("tma", "%zu copies in flight when the block ended", w->tma.size());
  for (unsigned i = 0; i < launch->gang_size; i++) {
    block *x = &w->blocks[i];
    for (int k = 0; k < x->n_warp; k++)
      if (!x->warps[k].products.ops.empty()) report("wgmma", "products nobody waited for");
    if (checking) check_block_end(x);
  }
}

/* The gang that is run as number `turn`. */
unsigned gang_at(unsigned turn, unsigned n_gang) {
  if (config.order == SIM_REVERSE) return n_gang - 1 - turn;
  if (config.order == SIM_FORWARD || n_gang < 2) return turn;
  unsigned step = 1 + config.seed * 2654435761u % (n_gang - 1);
  while (std::gcd(step, n_gang) != 1) step++;
  return (unsigned)(((uint64_t)turn * step + config.seed * 40503u) % n_gang);
}

void run_gangs(launch_state *launch) {
  static thread_local std::unique_ptr<worker> mine(new worker());
  self = mine.get();
  while (!launch->failed) {
    unsigned turn = launch->next.fetch_add(1);
    if (turn >= launch->n_gang) break;
    run_gang(self, launch, gang_at(turn, launch->n_gang));
  }
}

/* OS threads that wait for launches. */
struct pool {
  std::mutex mutex;
  std::condition_variable wake, done;
  std::vector<std::thread> threads;
  launch_state *launch = nullptr;
  unsigned generation = 0, n_busy = 0;
  bool stop = false;

  ~pool() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      stop = true;
    }
    wake.notify_all();
    for (std::thread &t : threads) t.join();
  }

  void loop(unsigned seen) {
    for (;;) {
      launch_state *work;
      {
        std::unique_lock<std::mutex> lock(mutex);
        wake.wait(lock, [&] { return stop || generation != seen; });
        if (stop) return;
        seen = generation;
        work = launch;
      }
      run_gangs(work);
      std::lock_guard<std::mutex> lock(mutex);
      if (--n_busy == 0) done.notify_all();
    }
  }

  void run(launch_state *l, unsigned n_thread) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      while (threads.size() + 1 < n_thread)
        threads.emplace_back([this, seen = generation] { loop(seen); });
      launch = l;
      n_busy = (unsigned)threads.size();
      generation++;
    }
    wake.notify_all();
    run_gangs(l);
    std::unique_lock<std::mutex> lock(mutex);
    done.wait(lock, [&] { return n_busy == 0; });
  }
};

cudaError_t check_limits(const launch_dims &d, const void *kernel) {
  const uint64_t n_thread = (uint64_t)d.block.x * d.block.y * d.block.z;
  const dim3 &g = d.grid, &c = d.cluster;
  if (!n_thread || n_thread > 1024 || d.block.z > 64 || !g.x || !g.y || !g.z || g.x > 0x7fffffffu ||
      g.y > 65535 || g.z > 65535) {
    report("launch", "grid %u,%u,%u of blocks %u,%u,%u", g.x, g.y, g.z, d.block.x, d.block.y,
           d.block.z);
    return cudaErrorInvalidConfiguration;
  }
  if (g.x % c.x || g.y % c.y || g.z % c.z || c.x * c.y * c.z > 8 ||
      (c.x * c.y * c.z > 1 && config.arch < 90)) {
    report("launch", "grid %u,%u,%u in clusters of %u,%u,%u on sm_%d", g.x, g.y, g.z, c.x, c.y, c.z,
           config.arch);
    return cudaErrorInvalidConfiguration;
  }
  if (d.shared_bytes <= 48 * 1024) return cudaSuccess;
  std::lock_guard<std::mutex> lock(limits_mutex);
  auto found = shared_limits.find(kernel);
  if (found != shared_limits.end() && d.shared_bytes <= found->second) return cudaSuccess;
  report("launch", "%zu bytes of shared memory that cudaFuncSetAttribute was not asked for",
         d.shared_bytes);
  return cudaErrorInvalidValue;
}

}  // namespace

worker::~worker() {
  if (stacks) munmap(stacks, n_stack * stack_bytes);
  if (arenas) {
    __asan_unpoison_memory_region(arenas, n_arena * arena_bytes);
    munmap(arenas, n_arena * arena_bytes);
  }
}

size_t shared_limit(int arch) {
  return arch == 90 || arch == 100 ? 232448 : arch == 80 ? 166912 : 101376;
}

cudaError_t set_shared_limit(const void *kernel, int n_bytes) {
  API_BEGIN();
  if (n_bytes < 0 || (size_t)n_bytes > shared_limit(config.arch))
    return remember(cudaErrorInvalidValue);
  std::lock_guard<std::mutex> lock(limits_mutex);
  shared_limits[kernel] = (size_t)n_bytes;
  return cudaSuccess;
}

cudaError_t code_versions(cudaFuncAttributes *attributes) {
  API_BEGIN();
  attributes->ptxVersion = config.code ? config.code : config.arch;
  attributes->binaryVersion = config.arch;
  return attributes->ptxVersion <= config.arch ? cudaSuccess
                                               : remember(cudaErrorNoKernelImageForDevice);
}

cudaError_t blocks_per_sm(int *n_block, int n_thread, size_t shared_bytes) {
  API_BEGIN();
  if (n_thread <= 0 || n_thread > 1024) return remember(cudaErrorInvalidValue);
  size_t by_memory = (shared_limit(config.arch) + 1024) / (shared_bytes + 1024);
  size_t by_threads = 2048 / (size_t)((n_thread + 31) / 32 * 32);
  *n_block = (int)(by_memory < by_threads ? by_memory : by_threads);
  return cudaSuccess;
}

cudaError_t launch(const launch_dims &dims, cudaStream_t stream, const void *kernel,
                   kernel_call call) {
  API_BEGIN();
  if (cudaError_t error = check_limits(dims, kernel)) return remember(error);
  if (!is_of_current_device(stream)) {
    report("device", "a kernel for a stream of a device that this thread did not choose");
    return remember(cudaErrorInvalidResourceHandle);
  }
  uint64_t n_block = (uint64_t)dims.grid.x * dims.grid.y * dims.grid.z;
  if (dims.cooperative) {
    int per_sm = 0;
    int n_thread = (int)(dims.block.x * dims.block.y * dims.block.z);
    if (cudaError_t error = blocks_per_sm(&per_sm, n_thread, dims.shared_bytes)) return error;
    if (n_block > (uint64_t)per_sm * (uint64_t)config.sms)
      return remember(cudaErrorCooperativeLaunchTooLarge);
  }
  if (!note_kernel(stream, true) && dims.overlap)
    report("launch", "overlap asked for behind what is no kernel");
  return remember(submit(stream, [=] { return run_launch(dims, kernel, call); }));
}

cudaError_t run_launch(const launch_dims &dims, const void *kernel, const kernel_call &call) {
  static pool workers;
  if (sticky()) return sticky();
  launch_state state;
  state.dims = dims;
  state.kernel = kernel;
  state.call = call;
  unsigned n_block = dims.grid.x * dims.grid.y * dims.grid.z;
  state.gang_size = dims.cooperative ? n_block : dims.cluster.x * dims.cluster.y * dims.cluster.z;
  state.n_gang = n_block / state.gang_size;
  const long n_before = sim_report_count();
  checking = config.check != 0;
  if (checking && !&sim_instrumented)
    report("checker", "SIM_CHECK is set, but these kernels are not built for it");
  if (checking) check_launch(&state);
  unsigned n_thread =
      config.threads > 0 ? (unsigned)config.threads : std::thread::hardware_concurrency();
  if (checking || n_thread < 2 || state.n_gang < 2)
    run_gangs(&state);
  else
    workers.run(&state, n_thread);
  checking = false;
  if (state.failed || sim_report_count() != n_before) set_sticky(cudaErrorIllegalAddress);
  return cudaSuccess; /* a kernel's failure shows at the next synchronisation */
}

}  // namespace sim
