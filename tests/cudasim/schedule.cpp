/* Which thread of the GPU runs next, and what makes it wait.
 *
 * A warp function is a rendezvous: each lane leaves a pointer to its arguments, which lie on its
 * own stack, and switches to the next ready lane; the last one to arrive computes for all and goes
 * on. So a warp function costs one switch a lane. */
#include "internal.h"

__thread uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace sim {

__thread fiber *current;
__thread worker *self;

namespace {

int nth_set_bit(unsigned bits, unsigned n) {
  while (n--) bits &= bits - 1;
  return __builtin_ctz(bits);
}

int random_set_bit(unsigned bits) {
  return nth_set_bit(bits, random_bits() % (unsigned)__builtin_popcount(bits));
}

int first_set_bit(unsigned bits) {
  return config.order == SIM_REVERSE ? 31 - __builtin_clz(bits) : __builtin_ctz(bits);
}

fiber *take(warp *w, int lane) {
  w->ready &= ~(1u << lane);
  if (!w->ready) w->block->ready_warps &= ~(1u << w->index);
  return &w->fibers[lane];
}

fiber *pick_random(warp *preferred) {
  if (preferred && preferred->ready && random_bits() % 8)
    return take(preferred, random_set_bit(preferred->ready));
  int n = self->n_block, start = n > 1 ? (int)(random_bits() % (unsigned)n) : 0;
  for (int i = 0; i < n; i++) {
    block *b = &self->blocks[(size_t)((start + i) % n)];
    if (!b->ready_warps) continue;
    warp *w = &b->warps[random_set_bit(b->ready_warps)];
    return take(w, random_set_bit(w->ready));
  }
  return nullptr;
}

block *first_ready_block() {
  for (int i = 0; i < self->n_block; i++) {
    int at = config.order == SIM_REVERSE ? self->n_block - 1 - i : i;
    if (self->blocks[(size_t)at].ready_warps) return &self->blocks[(size_t)at];
  }
  return nullptr;
}

void describe_waiting(block *b, std::string *out) {
  char text[128];
  for (int id = 0; id < n_barrier; id++) {
    const barrier &bar = b->barriers[id];
    if (!bar.arrived) continue;
    snprintf(text, sizeof text, " barrier %d (line %d): %d of %d threads;", id, bar.line,
             bar.arrived, bar.count < 0 ? b->n_thread : bar.count);
    *out += text;
  }
  for (int w = 0; w < b->n_warp; w++)
    for (int i = 0; i < b->warps[w].n_waiting; i++) {
      const collective &c = b->warps[w].waiting[i];
      snprintf(text, sizeof text, " warp %d: mask %08x, arrived %08x, exited %08x;", w, c.mask,
               c.arrived, b->warps[w].exited);
      *out += text;
    }
}

void deadlock() {
  std::string who;
  for (int i = 0; i < self->n_block && who.size() < 300; i++)
    if (self->blocks[(size_t)i].n_live) describe_waiting(&self->blocks[(size_t)i], &who);
  report("deadlock", "no thread can run:%s", who.c_str());
  self->dead = true;
}

/* The running fiber is not ready any more (or has just been marked so): somebody runs,
 * `preferred`'s threads first. */
void wait_for_turn(warp *preferred) {
  fiber *me = current, *next = pick_next(preferred);
  me->n_atomic = 0;
  if (next == me) return;
  if (!next) {
    deadlock();
    next = &self->main;
  }
  switch_to(me, next);
}

void release(block *b, int id) {
  barrier *bar = &b->barriers[id];
  if (checking) check_barrier(b, id, bar->waiting);
  self->n_idle = 0;
  for (int w = 0; w < b->n_warp; w++) {
    mark_ready(&b->warps[w], bar->waiting[w]);
    bar->waiting[w] = 0;
  }
  bar->arrived = 0;
}

int vote_result(const barrier &bar, vote_kind vote) {
  if (vote == VOTE_COUNT) return bar.n_true;
  if (vote == VOTE_AND) return bar.n_true == bar.arrived;
  return vote == VOTE_OR && bar.n_true != 0;
}

}  // namespace

int lane(void) { return current->lane; }

void mark_ready(warp *w, unsigned lanes) {
  if (!lanes) return;
  w->ready |= lanes;
  w->block->ready_warps |= 1u << w->index;
}

fiber *pick_next(warp *preferred) {
  if (config.order == SIM_RANDOM) return pick_random(preferred);
  warp *w = preferred;
  if (!w || !w->ready) {
    block *b = w && w->block->ready_warps ? w->block : first_ready_block();
    if (!b) return nullptr;
    w = &b->warps[first_set_bit(b->ready_warps)];
  }
  return take(w, first_set_bit(w->ready));
}

void switch_to(fiber *from, fiber *to) {
  current = to;
  if (to->block) {
    threadIdx = to->thread;
    if (to->block != from->block) blockIdx = to->block->index;
  }
#ifdef SIM_ASAN
  __sanitizer_start_switch_fiber(from->ended ? nullptr : &from->fake_stack, to->stack, stack_bytes);
#endif
  context_switch(&from->ctx, &to->ctx);
#ifdef SIM_ASAN
  __sanitizer_finish_switch_fiber(from->fake_stack, nullptr, nullptr);
#endif
}

/* For loops that poll. Everybody gets a turn; late copies land once all only poll; and when nothing
 * moves for long, it never will. */
void yield(void) {
  fiber *f = current;
  worker *me = self;
  long n_live = 0;
  for (int i = 0; i < me->n_block; i++) n_live += me->blocks[(size_t)i].n_live;
  if (config.async == SIM_EITHER && !(random_bits() & 3)) tma_deliver(true);
  if (++me->n_idle > 4 * n_live + 64 && tma_deliver(false)) me->n_idle = 0;
  if (me->n_idle > 64 * n_live + 4096) {
    report("deadlock", "every thread polls for what never comes");
    me->dead = f->ended = true;
    switch_to(f, &me->main);
  }
  f->n_atomic = 0;
  block *b = f->block;
  warp *w = f->warp;
  unsigned later = w->ready & ~((2u << f->lane) - 1);
  fiber *next = nullptr;
  if (later) {
    next = take(w, __builtin_ctz(later));
  } else { /* round robin, so that a polling lane cannot starve the rest */
    unsigned warps = b->ready_warps & ~((2u << w->index) - 1);
    for (int i = 1; !warps && i <= me->n_block; i++) {
      b = &me->blocks[(size_t)((f->block->rank + i) % me->n_block)];
      warps = b->ready_warps;
    }
    if (warps) {
      warp *other = &b->warps[__builtin_ctz(warps)];
      next = take(other, __builtin_ctz(other->ready));
    }
  }
  if (!next) return;
  mark_ready(w, 1u << f->lane);
  switch_to(f, next);
}

/* Lanes of one warp may wait in different functions: those of a part of the warp while the rest
 * goes ahead to one of the whole. What cannot be resolved ends as a deadlock. */
static collective *find_collective(warp *w, unsigned mask, warp_op op) {
  for (int i = 0; i < w->n_waiting; i++) {
    collective *c = &w->waiting[i];
    if (c->mask == mask && c->op == op) return c;
  }
  if (w->n_waiting == 8) {
    report("warp", "more than 8 groups of lanes wait");
    return nullptr;
  }
  collective *c = &w->waiting[w->n_waiting++];
  c->mask = mask;
  c->arrived = 0;
  c->op = op;
  return c;
}

static void collective_call(unsigned mask, warp_op op, void *arg, bool orders_memory) {
  fiber *f = current;
  warp *w = f->warp;
  const unsigned me = 1u << f->lane;
  if (!(mask & me)) {
    report("warp", "lane %d calls with mask %08x, which lacks it", f->lane, mask);
    mask |= me;
  }
  if (unsigned gone = mask & (w->exited | ~w->present)) {
    report("warp", "mask %08x names exited or absent lanes %08x", mask, gone);
    mask &= ~gone;
  }
  w->args[f->lane] = arg;
  collective *c = find_collective(w, mask, op);
  if (!c) return;
  c->arrived |= me;
  if (c->arrived != mask) return wait_for_turn(w);
  *c = w->waiting[--w->n_waiting];
  self->n_idle = 0;
  op(w->args, mask);
  if (checking && orders_memory) check_warp_barrier(w);
  mark_ready(w, mask & ~me);
  if (config.order == SIM_RANDOM && !(random_bits() & 1)) {
    mark_ready(w, me);
    wait_for_turn(w);
  }
}

void warp_collective(unsigned mask, warp_op op, void *arg) {
  collective_call(mask, op, arg, false);
}

static void op_nothing(void **, unsigned) {}
void warp_barrier(unsigned mask) { collective_call(mask, op_nothing, nullptr, true); }

struct shuffle_arg {
  uint64_t in, out;
  int source;
};

static void op_shuffle(void **args, unsigned mask) {
  for (int l = 0; l < 32; l++) {
    if (!(mask >> l & 1)) continue;
    shuffle_arg *a = (shuffle_arg *)args[l];
    if (mask >> a->source & 1) {
      a->out = ((shuffle_arg *)args[a->source])->in;
    } else {
      report("shuffle", "lane %d reads lane %d, which is not in mask %08x", l, a->source, mask);
      a->out = 0x7fc0deadu;
    }
  }
}

uint64_t warp_shuffle(unsigned mask, uint64_t bits, int source_lane) {
  shuffle_arg a = {bits, 0, source_lane & 31};
  collective_call(mask, op_shuffle, &a, false);
  return a.out;
}

struct vote_arg {
  uint64_t value;
  unsigned out;
};

static void op_ballot(void **args, unsigned mask) {
  unsigned bits = 0;
  for (int l = 0; l < 32; l++)
    if ((mask >> l & 1) && ((vote_arg *)args[l])->value) bits |= 1u << l;
  for (int l = 0; l < 32; l++)
    if (mask >> l & 1) ((vote_arg *)args[l])->out = bits;
}

unsigned warp_ballot(unsigned mask, int predicate) {
  vote_arg a = {predicate != 0, 0};
  collective_call(mask, op_ballot, &a, false);
  return a.out;
}

static void op_match(void **args, unsigned mask) {
  for (int l = 0; l < 32; l++) {
    if (!(mask >> l & 1)) continue;
    vote_arg *a = (vote_arg *)args[l];
    a->out = 0;
    for (int k = 0; k < 32; k++)
      if ((mask >> k & 1) && ((vote_arg *)args[k])->value == a->value) a->out |= 1u << k;
  }
}

unsigned warp_match(unsigned mask, uint64_t bits) {
  vote_arg a = {bits, 0};
  collective_call(mask, op_match, &a, false);
  return a.out;
}

static void arrive(barrier *bar, int id, int n_thread, int predicate, int line) {
  fiber *f = current;
  if (bar->arrived == 0) {
    bar->count = n_thread;
    bar->n_true = 0;
    bar->line = line;
  } else if (bar->count != n_thread) {
    report("barrier", "barrier %d used for %d and for %d threads", id, bar->count, n_thread);
  } else if (n_thread < 0 && bar->line != line) {
    report("barrier", "threads of a block wait in different __syncthreads (lines %d and %d)",
           bar->line, line);
  }
  bar->n_true += predicate != 0;
  bar->waiting[f->warp->index] |= 1u << f->lane;
  bar->arrived++;
}

int block_barrier(int id, int n_thread, int predicate, vote_kind vote, int line) {
  block *b = current->block;
  if (id < 0 || id > 15) {
    report("barrier", "no barrier %d", id);
    id = 0;
  }
  if (n_thread >= 0 && (n_thread == 0 || n_thread % 32))
    report("barrier", "barrier %d for %d threads, not a multiple of 32", id, n_thread);
  barrier *bar = &b->barriers[id];
  arrive(bar, id, n_thread, predicate, line);
  int needed = n_thread;
  if (n_thread < 0) {
    needed = b->n_live;
    if (bar->arrived == needed && needed < b->n_thread)
      report("barrier", "%d threads exited before the __syncthreads of line %d",
             b->n_thread - needed, line);
  }
  if (bar->arrived < needed) {
    wait_for_turn(current->warp);
  } else {
    bar->result = vote_result(*bar, vote);
    release(b, id);
    wait_for_turn(nullptr);
  }
  return bar->result;
}

void barrier_arrive(int id, int n_thread) {
  block *b = current->block;
  barrier *bar = &b->barriers[id];
  arrive(bar, id, n_thread, 0, 0);
  bar->waiting[current->warp->index] &= ~(1u << current->lane);
  if (checking) check_barrier_arrive(b, id);
  if (bar->arrived >= n_thread) release(b, id);
}

static void gang_barrier() {
  block *mine = current->block;
  arrive(&mine->barriers[gang_barrier_id], gang_barrier_id, -1, 0, 0);
  long n_arrived = 0, n_live = 0;
  for (int i = 0; i < self->n_block; i++) {
    n_arrived += self->blocks[(size_t)i].barriers[gang_barrier_id].arrived;
    n_live += self->blocks[(size_t)i].n_live;
  }
  if (n_arrived == n_live) {
    if (checking) check_gang_barrier();
    for (int i = 0; i < self->n_block; i++) release(&self->blocks[(size_t)i], gang_barrier_id);
  }
  wait_for_turn(n_arrived == n_live ? nullptr : current->warp);
}

void grid_barrier(const void *count) {
  if (!self->launch->dims.cooperative) report("grid barrier", "the launch is not cooperative");
  if (!device_region.holds(count)) report("grid barrier", "its counter is not in device memory");
  gang_barrier();
}

void cluster_barrier(void) { gang_barrier(); }

void fiber_ended(void) {
  fiber *f = current;
  block *b = f->block;
  copies_abandoned(f);
  self->n_idle = 0;
  f->warp->exited |= 1u << f->lane;
  f->ended = true;
  b->n_live--;
  barrier *bar = &b->barriers[0];
  if (b->n_live && bar->arrived == b->n_live && bar->count < 0) {
    report("barrier", "%d threads exited before the __syncthreads of line %d",
           b->n_thread - b->n_live, bar->line);
    release(b, 0);
  }
  if (!b->n_live) self->n_live_block--;
  fiber *next = pick_next(f->warp);
  if (!next) {
    if (self->n_live_block) deadlock();
    next = &self->main;
  }
  switch_to(f, next);
  abort(); /* an ended fiber does not run again */
}

void run_gang_until_done(void) {
  fiber *first = pick_next(nullptr);
  blockIdx = first->block->index;
  current = &self->main;
  switch_to(&self->main, first);
  current = nullptr;
}

}  // namespace sim
