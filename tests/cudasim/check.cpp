/* The checker: every access of an instrumented kernel, every copy and every barrier comes here.
 *
 * Bytes: allocated? written? Cells (2 bytes of shared, 4 of global memory): who wrote last and
 * when, who has read since. "When" is the writer's warp clock; a warp knows, of every other warp of
 * its block, up to which time that one's accesses are ordered before its own (a vector clock),
 * which barriers, __syncwarp and mbarriers advance. Shuffles and votes do not: CUDA orders no
 * memory there.
 *
 * Between blocks of one launch nothing is ordered except by a grid barrier, and by an atomic after
 * a
 * __threadfence on one side, an atomic on the same word on the other. Time there is one counter
 * that advances at every such release. */
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include <link.h>

#include "internal.h"

namespace sim {

namespace {

enum { ALLOCATED = 1, WRITTEN = 2 };            /* of a byte */
enum { PENDING = 1, BY_ATOMIC = 2 };            /* of a cell: a copy into it is in flight; ... */
constexpr uint32_t several_blocks = 0xffffffff; /* block_read.block */

struct shared_cell {
  uint32_t clock, epoch; /* 0: never written; gang barriers so far */
  uint16_t writer;       /* thread in its block */
  uint8_t rank, flags, bytes;
  const void *pc;
};

struct block_read {
  uint32_t block, time; /* 1 + index in the grid */
};

struct global_cell {
  uint32_t write_block; /* 1 + index in the grid */
  uint32_t write_time, clock;
  block_read read[2]; /* of either half: neighbouring blocks may share a word of bf16 */
  uint16_t writer;
  uint8_t flags, bytes;
};

struct vector_clock {
  uint32_t of[32]; /* accesses of warp w before of[w] are ordered before us */
};

struct block_clocks {
  vector_clock warp[32];
  vector_clock arrived[n_barrier]; /* what bar.arrive left at a barrier */
};

/* Shadows: sparse mappings, as large as what they describe. */
uint8_t *device_bytes, *shared_bytes;
global_cell *device_cells;
shared_cell *shared_cells;
uint32_t *shared_reads; /* [cell][warp]: clock << 6 | more than one lane << 5 | lane */
size_t n_arena;

std::vector<block_clocks> clocks; /* by rank */
uint32_t gang_epoch;
uint32_t now = 1, launch_start; /* global time */
uint32_t overlap_start; /* what was written since may be in the making while a launch waits */
std::vector<std::vector<uint32_t>> acquired; /* [block][other]: sees its writes before this time */
std::unordered_map<const void *, std::vector<uint32_t>> released; /* by word */
std::unordered_map<const void *, vector_clock> mbar_clocks;
std::set<std::pair<std::string, const void *>> reported;
std::vector<std::pair<uintptr_t, uintptr_t>> program_ranges;

template <class T>
T *reserve(size_t n) {
  void *p = mmap(nullptr, n * sizeof(T), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    perror("cudasim: shadow memory");
    abort();
  }
  return (T *)p;
}

void forget(void *p, size_t n_bytes) {
  const uintptr_t first = (uintptr_t)p, end = first + n_bytes;
  const uintptr_t page = (first + 4095) & ~(uintptr_t)4095, last = end & ~(uintptr_t)4095;
  memset(p, 0, (page < end ? page : end) - first);
  if (page >= end) return;
  memset((void *)last, 0, end - last);
  if (last > page) madvise((void *)page, last - page, MADV_DONTNEED);
}

void reserve_device_shadow() {
  if (device_bytes || !config.check) return;
  device_bytes = reserve<uint8_t>(device_region.capacity);
  device_cells = reserve<global_cell>(device_region.capacity / 4);
}

/* One report for a place and kind in a launch. */
void complain(const char *kind, const void *pc, const char *format, ...) {
  if (!reported.insert({kind, pc}).second) return;
  char text[320];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  report(kind, "%s at %s", text, place_of(pc).c_str());
}

vector_clock &clock_of(const fiber *f) {
  return clocks[(size_t)f->block->rank].warp[f->warp->index];
}

void merge(vector_clock *into, const vector_clock &from) {
  for (int k = 0; k < 32; k++) into->of[k] = std::max(into->of[k], from.of[k]);
}

/* What the warp did until now is before what `into` sees; its next accesses are not. */
void hand_over(vector_clock *into, vector_clock *warp_clock, int w) {
  merge(into, *warp_clock);
  into->of[w] = std::max(into->of[w], warp_clock->of[w] + 1);
  warp_clock->of[w]++;
}

const char *verb(access_kind kind) { return kind == READ ? "read" : "write"; }

size_t shared_offset(const void *p) { return (size_t)((const unsigned char *)p - self->arenas); }

long shown_offset(size_t offset) { return (long)(offset % arena_bytes) - (long)arena_head; }

uint8_t bytes_in_cell(size_t first, size_t end, size_t cell, size_t cell_bytes) {
  uint8_t mask = 0;
  for (size_t i = 0; i < cell_bytes; i++) {
    size_t at = cell * cell_bytes + i;
    if (at >= first && at < end) mask |= (uint8_t)(1u << i);
  }
  return mask;
}

/* ---- shared memory */

bool ordered_before_us(const shared_cell &c, const fiber *f) {
  if (c.rank != f->block->rank) return c.epoch < gang_epoch;
  return c.writer == f->flat || c.clock < clock_of(f).of[c.writer / 32];
}

void note_shared_read(uint32_t *slot, const fiber *f, uint32_t clock) {
  uint32_t before = *slot;
  bool same_time = before && before >> 6 == clock;
  uint32_t several = same_time && ((before & 31) != f->lane || before & 32) ? 32 : 0;
  *slot = clock << 6 | several | f->lane;
}

void check_reads_before_write(uint32_t *reads, const fiber *f, size_t offset, const void *pc) {
  const vector_clock &v = clock_of(f);
  for (int w = 0; w < f->block->n_warp; w++) {
    uint32_t x = reads[w];
    if (!x) continue;
    bool own = w == f->warp->index && !(x & 32) && (x & 31) == f->lane;
    if ((x >> 6) >= v.of[w] && !own)
      complain("write-after-read race", pc,
               "shared offset %ld: thread %d overwrites what warp %d lane %u may still read",
               shown_offset(offset), f->flat, w, x & 31);
    reads[w] = 0;
  }
}

void check_shared_cell(size_t cell, uint8_t mask, size_t n_bytes, access_kind kind,
                       const void *pc) {
  const fiber *f = current;
  shared_cell *c = &shared_cells[cell];
  const uint32_t clock = clock_of(f).of[f->warp->index];
  const long at = shown_offset(cell * 2);
  if (c->flags & PENDING) {
    complain("async copy race", pc,
             "%s of shared offset %ld before the copy (issued by thread %d at %s) is waited for",
             verb(kind), at, c->writer, place_of(c->pc).c_str());
    if (kind == READ) return;
  } else if (c->clock && (c->bytes & mask) && !ordered_before_us(*c, f) &&
             !(kind == ATOMIC && c->flags & BY_ATOMIC)) {
    complain(kind == READ ? "read-after-write race" : "write-write race", pc,
             "shared offset %ld: thread %d %s what thread %d wrote at %s", at, f->flat,
             kind == READ ? "reads" : "overwrites", c->writer, place_of(c->pc).c_str());
  }
  uint32_t *reads = shared_reads + cell * 32;
  const bool at_home = cell * 2 / arena_bytes == (size_t)f->block->rank;
  if (kind == READ) {
    if (at_home && n_bytes > 1) note_shared_read(&reads[f->warp->index], f, clock);
    return;
  }
  if (at_home) check_reads_before_write(reads, f, cell * 2, pc);
  *c = {clock,
        gang_epoch,
        f->flat,
        (uint8_t)f->block->rank,
        (uint8_t)(kind == ATOMIC ? BY_ATOMIC : 0),
        mask,
        pc};
}

void check_shared(const unsigned char *p, size_t n, access_kind kind, const void *pc) {
  const size_t first = shared_offset(p);
  uint8_t all = ALLOCATED | WRITTEN;
  for (size_t i = 0; i < n; i++) all &= shared_bytes[first + i];
  if (!(all & ALLOCATED))
    return complain("shared out of bounds", pc,
                    "%s of %zu bytes at shared offset %ld (the block has %zu dynamic bytes)",
                    verb(kind), n, shown_offset(first), current->block->dynamic_bytes);
  if (kind != WRITE && !(all & WRITTEN))
    complain("uninitialised shared read", pc, "%zu bytes at shared offset %ld", n,
             shown_offset(first));
  if (config.stats) stats_add(p, n, kind, pc, true);
  for (size_t cell = first / 2; cell <= (first + n - 1) / 2; cell++)
    check_shared_cell(cell, bytes_in_cell(first, first + n, cell, 2), n, kind, pc);
  if (kind != READ) memset(shared_bytes + first, ALLOCATED | WRITTEN, n);
}

/* ---- global memory */

bool sees(uint32_t me, uint32_t block, uint32_t write_time) {
  const std::vector<uint32_t> &a = acquired[me - 1];
  return !a.empty() && write_time < a[block - 1];
}

void synchronise_through(const void *word, uint32_t me) {
  fiber *f = current;
  std::vector<uint32_t> &word_times = released[word], &mine = acquired[me - 1];
  const size_t n = acquired.size();
  if (word_times.empty()) word_times.assign(n, 0);
  if (mine.empty()) mine.assign(n, 0);
  for (size_t i = 0; i < n; i++) mine[i] = std::max(mine[i], word_times[i]);
  if (f->unfenced) return; /* the atomic says nothing about what was written before it */
  for (size_t i = 0; i < n; i++) word_times[i] = std::max(word_times[i], mine[i]);
  word_times[me - 1] = ++now;
}

void check_global_cell(size_t cell, uint8_t mask, access_kind kind, const void *pc) {
  const fiber *f = current;
  global_cell *c = &device_cells[cell];
  const uint32_t me = f->block->linear + 1;
  const vector_clock &v = clock_of(f);
  if (!f->waited && kind != READ)
    complain("write before mv_pdl_wait", pc, "thread %d of block %u", f->flat, me - 1);
  if (!f->waited && c->write_block && c->write_time >= overlap_start)
    complain("read before mv_pdl_wait", pc, "what a launch ahead of it may still be writing");
  if (c->write_block && c->write_time >= launch_start && (c->bytes & mask) &&
      !(kind == ATOMIC && c->flags & BY_ATOMIC)) {
    if (c->write_block != me && !sees(me, c->write_block, c->write_time))
      complain("race between blocks", pc, "block %u %s what block %u wrote in the same launch",
               me - 1, kind == READ ? "reads" : "overwrites", c->write_block - 1);
    if (c->write_block == me && c->writer != f->flat && c->clock >= v.of[c->writer / 32])
      complain(kind == READ ? "global read-after-write race" : "global write-write race", pc,
               "threads %d and %d of one block, no barrier between", f->flat, c->writer);
  }
  bool read_by_others = false;
  for (int half = 0; half < 2; half++) {
    block_read *r = &c->read[half];
    if (!(mask & (3 << 2 * half))) continue;
    const bool others = r->block && r->time >= launch_start && r->block != me;
    if (kind == READ) *r = {others ? several_blocks : me, (uint32_t)now};
    read_by_others |= others && (r->block == several_blocks || !sees(me, r->block, r->time));
  }
  if (kind == READ) return;
  if (kind == WRITE && read_by_others)
    complain("race between blocks", pc,
             "block %u overwrites what another block read in the same launch", me - 1);
  const bool extends = c->write_block == me && c->writer == f->flat && c->write_time == now;
  c->bytes = extends ? c->bytes | mask : mask;
  c->write_block = me;
  c->write_time = now;
  c->clock = v.of[f->warp->index];
  c->writer = f->flat;
  c->flags = kind == ATOMIC ? BY_ATOMIC : 0;
}

void check_global(const unsigned char *p, size_t n, access_kind kind, const void *pc) {
  const size_t first = (size_t)(p - device_region.base);
  uint8_t all = ALLOCATED | WRITTEN;
  for (size_t i = 0; i < n; i++) all &= device_bytes[first + i];
  if (!(all & ALLOCATED))
    return complain("global out of bounds", pc, "%s of %zu bytes, %s", verb(kind), n,
                    describe_address(p).c_str());
  if (kind != WRITE && !(all & WRITTEN))
    complain("uninitialised global read", pc, "%zu bytes, %s", n, describe_address(p).c_str());
  if (config.stats) stats_add(p, n, kind, pc, false);
  if (kind == ATOMIC) synchronise_through(p, current->block->linear + 1);
  if (kind == WRITE) current->unfenced = true;
  for (size_t cell = first / 4; cell <= (first + n - 1) / 4; cell++)
    check_global_cell(cell, bytes_in_cell(first, first + n, cell, 4), kind, pc);
  if (kind != READ) memset(device_bytes + first, ALLOCATED | WRITTEN, n);
}

/* ---- everything else a kernel may touch: its own stack, built-in variables, constants */

bool within(const void *p, const void *base, size_t n) {
  return p >= base && (const char *)p < (const char *)base + n;
}

bool is_harmless(const void *p, access_kind kind) {
  if (within(p, self->stacks, self->n_stack * stack_bytes)) return true;
  if (within(p, &threadIdx, sizeof threadIdx) || within(p, &blockIdx, sizeof blockIdx) ||
      within(p, &blockDim, sizeof blockDim) || within(p, &gridDim, sizeof gridDim))
    return true;
  if (pinned_region.holds(p)) return true;
  if (kind == READ)
    for (const auto &r : program_ranges)
      if ((uintptr_t)p >= r.first && (uintptr_t)p < r.second) return true;
  return false;
}

int add_program_ranges(dl_phdr_info *info, size_t, void *) {
  for (int k = 0; k < info->dlpi_phnum; k++) {
    const auto &h = info->dlpi_phdr[k];
    if (h.p_type != PT_LOAD) continue;
    uintptr_t start = info->dlpi_addr + h.p_vaddr;
    program_ranges.push_back({start, start + h.p_memsz});
  }
  return 1; /* the program itself, no libraries */
}

}  // namespace

void check_access(const void *p, size_t n_bytes, access_kind kind, const void *pc) {
  if (!in_kernel() || !n_bytes) return;
  const unsigned char *q = (const unsigned char *)p;
  if (device_region.holds(p)) return check_global(q, n_bytes, kind, pc);
  if (within(p, self->arenas, self->n_arena * arena_bytes))
    return check_shared(q, n_bytes, kind, pc);
  if (is_harmless(p, kind)) return;
  const char *what = (uintptr_t)p < 65536 ? "null pointer" : "host pointer in a kernel";
  complain(what, pc, "%s of %zu bytes at %p", verb(kind), n_bytes, p);
}

void check_misaligned(const void *p, size_t n_bytes, const void *pc) {
  if (!in_kernel() || within(p, self->stacks, self->n_stack * stack_bytes)) return;
  if (checking)
    complain("misaligned", pc, "%zu-byte access to %p", n_bytes, p);
  else
    report("misaligned", "%zu-byte access to %p at %s", n_bytes, p, place_of(pc).c_str());
}

void check_launch(const launch_state *l) {
  launch_start = ++now;
  if (!l->dims.overlap) overlap_start = now;
  reported.clear();
  released.clear();
  mbar_clocks.clear();
  const dim3 &g = l->dims.grid;
  acquired.assign((size_t)g.x * g.y * g.z, {});
  clocks.resize(l->gang_size);
  reserve_device_shadow();
  if (program_ranges.empty()) dl_iterate_phdr(add_program_ranges, nullptr);
}

void check_block(block *b) {
  if (n_arena < self->n_arena) { /* the arenas may have moved: offsets in them did not */
    n_arena = self->n_arena;
    shared_bytes = reserve<uint8_t>(n_arena * arena_bytes);
    shared_cells = reserve<shared_cell>(n_arena * arena_bytes / 2);
    shared_reads = reserve<uint32_t>(n_arena * arena_bytes / 2 * 32);
  }
  memset(shared_bytes + shared_offset(b->arena), 0, arena_bytes);
  if (b->dynamic_bytes) check_shared_alloc(b->arena + arena_head, b->dynamic_bytes);
  block_clocks &c = clocks[(size_t)b->rank];
  memset(&c, 0, sizeof c);
  for (int w = 0; w < 32; w++) c.warp[w].of[w] = 1;
}

void check_block_end(block *b) {
  if (config.stats) stats_block_end();
  for (int t = 0; t < b->n_thread; t++)
    if (!b->fibers[t].waited)
      return complain("no mv_pdl_wait", self->launch->kernel, "thread %d ends without one", t);
}

void check_shared_alloc(const void *p, size_t n_bytes) {
  const size_t first = shared_offset(p), n_cell = n_bytes / 2 + 1;
  memset(shared_bytes + first, ALLOCATED, n_bytes);
  memset(shared_cells + first / 2, 0, n_cell * sizeof *shared_cells);
  memset(shared_reads + first / 2 * 32, 0, n_cell * 32 * sizeof *shared_reads);
}

void check_barrier(block *b, int id, const unsigned *lanes_by_warp) {
  block_clocks &c = clocks[(size_t)b->rank];
  vector_clock all = c.arrived[id];
  c.arrived[id] = {};
  for (int w = 0; w < b->n_warp; w++)
    if (lanes_by_warp[w]) hand_over(&all, &c.warp[w], w);
  for (int w = 0; w < b->n_warp; w++)
    if (lanes_by_warp[w]) merge(&c.warp[w], all);
}

void check_barrier_arrive(block *b, int id) {
  block_clocks &c = clocks[(size_t)b->rank];
  int w = current->warp->index;
  hand_over(&c.arrived[id], &c.warp[w], w);
}

void check_warp_barrier(warp *w) { clocks[(size_t)w->block->rank].warp[w->index].of[w->index]++; }

void check_gang_barrier(void) {
  gang_epoch++;
  if (self->launch->dims.cooperative) launch_start = ++now; /* orders all the grid did */
}

void check_mbar_init(const void *bar) { mbar_clocks[bar] = {}; }
void check_mbar_arrive(const void *bar) {
  hand_over(&mbar_clocks[bar], &clock_of(current), current->warp->index);
}
void check_mbar_wait(const void *bar) {
  vector_clock &mine = clock_of(current);
  const int w = current->warp->index;
  const uint32_t own = mine.of[w];
  merge(&mine, mbar_clocks[bar]);
  mine.of[w] = own;
}

void check_copy_issue(unsigned char *dst, const unsigned char *src, int n, int n_src,
                      const void *pc) {
  if (n_src) check_access(src, (size_t)n_src, READ, pc);
  check_access(dst, (size_t)n, WRITE, pc);
  const size_t first = shared_offset(dst);
  for (size_t cell = first / 2; cell < (first + (size_t)n) / 2; cell++)
    shared_cells[cell].flags = PENDING;
  for (int i = 0; i < n; i++) shared_bytes[first + (size_t)i] &= (uint8_t)~WRITTEN;
}

/* A copy of the thread's own is a write of the thread at its wait. A bulk copy is ordered by its
 * mbarrier, from the issue on. */
void check_copy_done(unsigned char *dst, int n_bytes, bool by_tma) {
  const size_t first = shared_offset(dst), end = first + (size_t)n_bytes;
  for (size_t cell = first / 2; cell < end / 2; cell++) {
    shared_cell *c = &shared_cells[cell];
    if (!(c->flags & PENDING)) continue;
    c->flags = 0;
    if (by_tma) continue;
    c->clock = clock_of(current).of[current->warp->index];
    c->writer = current->flat;
  }
  for (size_t i = first; i < end; i++)
    if (shared_bytes[i] & ALLOCATED) shared_bytes[i] |= WRITTEN;
}

void check_alloc(void *p, size_t n_bytes) {
  reserve_device_shadow();
  if (!device_bytes) return;
  memset(device_bytes + ((unsigned char *)p - device_region.base), ALLOCATED, n_bytes);
}

/* Addresses are not used again: the shadow's whole pages go back, which makes them zero. */
void check_free(void *p, size_t n_bytes) {
  if (!device_bytes) return;
  const size_t first = (size_t)((unsigned char *)p - device_region.base);
  forget(device_bytes + first, n_bytes);
  forget(device_cells + (first + 3) / 4, n_bytes / 4 * sizeof *device_cells);
}

void check_host_write(void *p, size_t n_bytes) {
  if (!device_bytes || !device_region.holds(p)) return;
  overlap_start = ++now; /* copies wait for all ahead of them */
  memset(device_bytes + ((unsigned char *)p - device_region.base), ALLOCATED | WRITTEN, n_bytes);
}

void check_host_read(const void *p, size_t n_bytes, const char *what) {
  if (!device_bytes || !device_region.holds(p)) return;
  const uint8_t *bytes = device_bytes + ((const unsigned char *)p - device_region.base);
  for (size_t i = 0; i < n_bytes; i++)
    if (!(bytes[i] & WRITTEN))
      return report("uninitialised global read", "%s, byte %zu, %s", what, i,
                    describe_address((const unsigned char *)p + i).c_str());
}

}  // namespace sim
