/* Shared memory, single accesses, cp.async. */
#include <string.h>

#include "internal.h"

namespace sim {

unsigned char *dynamic_shared(void) { return current->block->arena + arena_head; }

uint32_t shared_addr(const void *p) {
  const block *b = current->block;
  size_t offset = (size_t)((const unsigned char *)p - b->arena);
  if (offset >= arena_bytes) {
    report("shared memory", "%p is not in this block's shared memory", p);
    return 0;
  }
  return (uint32_t)offset | (uint32_t)b->rank << 24;
}

void *shared_pointer(uint32_t addr) {
  size_t rank = addr >> 24;
  if (rank >= (size_t)self->n_block || (addr & 0xffffffu) >= arena_bytes) {
    report("shared memory", "%08x is not an address in shared memory", addr);
    addr = 0, rank = 0;
  }
  return self->blocks[rank].arena + (addr & 0xffffffu);
}

/* Nothing in what is made of PTX for cards before sm_90. */
void pdl_wait(void) {
  if (!config.code || config.code >= 90) current->waited = true;
}

unsigned cluster_rank(void) { return (unsigned)current->block->rank; }

void *cluster_map(void *p, unsigned rank) {
  if (rank >= (unsigned)self->n_block) {
    report("cluster", "no block of rank %u", rank);
    return p;
  }
  return self->blocks[rank].arena + ((unsigned char *)p - current->block->arena);
}

/* Fresh shared memory is NaN in f32 and bf16, so that what nobody wrote shows. */
static void new_piece(unsigned char *p, size_t n_bytes) {
  __asan_unpoison_memory_region(p, n_bytes);
  memset(p, 0xff, n_bytes);
}

void shared_reset(block *b) {
  __asan_poison_memory_region(b->arena, arena_bytes);
  new_piece(b->arena + arena_head, b->dynamic_bytes);
  b->arena_used = arena_head + b->dynamic_bytes;
  b->static_bytes = 0;
  b->variables.clear();
}

void *static_shared(const void *key, size_t n_bytes) {
  block *b = current->block;
  for (const block::variable &v : b->variables)
    if (v.key == key) return v.p;
  size_t at = (b->arena_used + 64 + 127) & ~(size_t)127; /* a forbidden zone in between */
  b->static_bytes += n_bytes;
  if (b->static_bytes > 48 * 1024 || b->static_bytes + b->dynamic_bytes > shared_limit(config.arch))
    report("shared memory", "%zu bytes static, %zu dynamic: more than a block has", b->static_bytes,
           b->dynamic_bytes);
  if (at + n_bytes > arena_bytes) abort();
  unsigned char *p = b->arena + at;
  b->arena_used = at + n_bytes;
  new_piece(p, n_bytes);
  if (checking) check_shared_alloc(p, n_bytes);
  b->variables.push_back({key, p});
  return p;
}

void load_checked(void *out, const void *p, size_t n_bytes) {
  if ((uintptr_t)p % n_bytes) check_misaligned(p, n_bytes, SIM_CALLER);
  if (checking) check_access(p, n_bytes, READ, SIM_CALLER);
  memcpy(out, p, n_bytes);
}

void store_checked(void *p, const void *in, size_t n_bytes) {
  if ((uintptr_t)p % n_bytes) check_misaligned(p, n_bytes, SIM_CALLER);
  if (checking) check_access(p, n_bytes, WRITE, SIM_CALLER);
  memcpy(p, in, n_bytes);
}

/* A thread that polls with atomics must let the others run. */
static void poll_politely() {
  if (++current->n_atomic > 64) yield();
}

void atomic_begin(void *p, size_t n_bytes) {
  if (!in_kernel()) return;
  if (checking) check_access(p, n_bytes, ATOMIC, SIM_CALLER);
  poll_politely();
}

bool atomic_cas(void *p, void *expected, const void *desired, size_t n_bytes) {
  if (n_bytes == 4) {
    uint32_t v;
    memcpy(&v, desired, 4);
    return __atomic_compare_exchange_n((uint32_t *)p, (uint32_t *)expected, v, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  }
  uint64_t v;
  memcpy(&v, desired, 8);
  return __atomic_compare_exchange_n((uint64_t *)p, (uint64_t *)expected, v, false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void atomic_load(const void *p, void *out, size_t n_bytes) {
  if (n_bytes == 4)
    *(uint32_t *)out = __atomic_load_n((const uint32_t *)p, __ATOMIC_SEQ_CST);
  else
    *(uint64_t *)out = __atomic_load_n((const uint64_t *)p, __ATOMIC_SEQ_CST);
}

void fence(void) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  current->unfenced = false;
}

/* ---- cp.async: the bytes land at the wait, at the issue, or at either; until they must have
 * landed the destination is NaN. */

static void land(copy_op *op) {
  if (op->landed) return;
  memcpy(op->dst, op->src, (size_t)op->n_source);
  memset(op->dst + op->n_source, 0, (size_t)(op->n_bytes - op->n_source));
  op->landed = true;
}

void async_copy(uint32_t dst, const void *src, int n_bytes, int n_source_bytes) {
  unsigned char *to = (unsigned char *)shared_pointer(dst);
  if (n_source_bytes < 0 || n_source_bytes > n_bytes)
    return report("cp.async", "%d of %d bytes", n_source_bytes, n_bytes);
  if (dst % (unsigned)n_bytes || (n_source_bytes && (uintptr_t)src % (unsigned)n_bytes))
    report("misaligned", "cp.async of %d bytes, %08x from %p at %s", n_bytes, dst, src,
           place_of(SIM_CALLER).c_str());
  if (checking)
    check_copy_issue(to, (const unsigned char *)src, n_bytes, n_source_bytes, SIM_CALLER);
  copy_op op = {to, (const unsigned char *)src, n_bytes, n_source_bytes, false};
  if (config.async == SIM_EARLY || (config.async == SIM_EITHER && random_bits() & 1))
    land(&op);
  else
    memset(to, 0xff, (size_t)n_bytes);
  current->copies.ops.push_back(op);
}

void async_commit(void) { current->copies.commit(); }

void async_wait(int n_in_flight) {
  current->copies.wait(n_in_flight, [](copy_op &op) {
    land(&op);
    if (checking) check_copy_done(op.dst, op.n_bytes, false);
  });
}

void copies_abandoned(fiber *f) {
  if (!f->copies.ops.empty())
    report("cp.async", "a thread ended with %zu copies it never waited for", f->copies.ops.size());
  f->copies.clear();
}

}  // namespace sim
