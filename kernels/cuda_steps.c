/* Steps of a CUDA device: what the host describes is copied once, and what comes again and again is
 * one graph. How it works for the caller: kernels/ops.h; for launchers: kernels/cuda.h.
 *
 * A step passes twice over the same operations unless its graph exists:
 *
 *   describe   nothing is launched: fingerprint, and bytes of the host into pinned memory
 *   then       graph known           replay
 *              fingerprint known     second pass, captured, instantiated, launched
 *              never seen            second pass, launched directly: shapes that do not come again
 *                                    are not worth a graph, and every kernel is loaded before it is
 *                                    captured
 *
 * All bytes of the host are one copy at the beginning of the second pass, from pinned memory that
 * keeps its address: the graph needs no change for new ids, positions and page tables. */
#include <assert.h>
#include <string.h>

#include "kernels/cuda.h"
#include "runtime/memory.h"

#define MAX_GRAPHS 64
#define MAX_STAGED 128 /* pieces remembered; more are copied though they might be there */
#define ARENA_BYTES ((size_t)1 << 20)
#define MAX_RETIRED 40

enum { DIRECT, DESCRIBE, LAUNCH, CAPTURE };

/* Pieces of host memory and where they are on the device: the same offset in both. Direct
 * operations use their lane's as a ring, a step from its beginning. */
typedef struct arena {
  char *host, *dev; /* owns; host is pinned in a step's arena */
  size_t size, used;
  struct {
    size_t at, n_bytes;
  } piece[MAX_STAGED];
  int n_piece;
} arena;

typedef struct fingerprint {
  uint64_t a, b;
} fingerprint;

typedef struct graph {
  fingerprint key;
  cudaGraphExec_t exec; /* owns; NULL: seen once */
  uint64_t last_use;    /* 0: a free place */
} graph;

struct mv_cuda_steps {
  int pass;
  int after_kernel;   /* whether the last thing launched is a kernel of ours */
  fingerprint print;  /* of the pass so far */
  size_t n_described; /* bytes of the step's arena, from its first pass */
  arena direct[MV_LANES], step;
  cudaEvent_t done; /* the last step has read its arena */
  graph graphs[MAX_GRAPHS];
  uint64_t clock;
  void *retired[MAX_RETIRED]; /* owns: outgrown arenas that launches may still read */
  int n_retired;
};

static struct mv_cuda_steps *steps_of(mv_device *device) { return mv_cuda_of(device)->steps; }

/* ---- fingerprints ---- */

static uint64_t mixed(uint64_t h, uint64_t word, uint64_t odd) {
  h = (h ^ word) * odd; /* no two words give the same h */
  return h << 29 | h >> 35;
}

static void add_word(fingerprint *f, uint64_t word) {
  f->a = mixed(f->a, word, 0x9E3779B97F4A7C15u);
  f->b = mixed(f->b, word, 0xD1342543DE82EF95u);
}

/* Called for every argument of every launch: half of what describing a step costs. */
static void add(fingerprint *f, const void *bytes, size_t n_bytes) {
  const char *from = bytes;
  uint64_t word;
  uint32_t half;
  for (; n_bytes >= sizeof word; from += sizeof word, n_bytes -= sizeof word) {
    memcpy(&word, from, sizeof word);
    add_word(f, word);
  }
  for (; n_bytes >= sizeof half; from += sizeof half, n_bytes -= sizeof half) {
    memcpy(&half, from, sizeof half);
    add_word(f, half);
  }
  for (; n_bytes; from++, n_bytes--) add_word(f, (unsigned char)*from);
}

static void restart(fingerprint *f) {
  f->a = 1;
  f->b = 2;
}

int mv_cuda_in_step(mv_device *device) { return steps_of(device)->pass != DIRECT; }

int mv_cuda_may_launch(mv_device *device, const void *what, size_t n_bytes) {
  struct mv_cuda_steps *s = steps_of(device);
  if (device->error.code != MV_OK) return 0;
  if (s->pass != DIRECT) add(&s->print, what, n_bytes);
  return s->pass != DESCRIBE;
}

int mv_cuda_may_overlap(mv_device *device, int is_kernel) {
  struct mv_cuda_steps *s = steps_of(device);
  int after_kernel = s->after_kernel;
  s->after_kernel = is_kernel;
  if (s->pass == DIRECT) /* a step has begun with it; else the thread may have another device */
    mv_cuda_check(device, cudaSetDevice(mv_cuda_of(device)->ordinal), "choosing the device");
  return after_kernel && is_kernel && s->pass != DIRECT && mv_cuda_of(device)->overlaps;
}

/* ---- arenas ---- */

static void forget(arena *a) {
  a->used = 0;
  a->n_piece = 0;
}

static int make_arena(mv_device *device, arena *a, size_t size, int is_pinned) {
  void *host = NULL;
  if (is_pinned)
    mv_cuda_check(device, cudaMallocHost(&host, size), "pinned memory");
  else if (!(host = mv_alloc(size)) && device->error.code == MV_OK)
    mv_fail(&device->error, MV_ERR_MEMORY, "%s: no memory for %zu bytes of staging", device->name,
            size);
  a->host = host;
  a->dev = mv_cuda_alloc(device, size);
  a->size = a->host && a->dev ? size : 0; /* after a failure the next use tries again */
  forget(a);
  return a->size != 0;
}

static void free_arena(mv_device *device, arena *a, int is_pinned) {
  if (!is_pinned)
    mv_free(a->host);
  else if (a->host)
    cudaFreeHost(a->host);
  mv_cuda_free(device, a->dev);
  memset(a, 0, sizeof *a);
}

static size_t doubled(size_t size, size_t n_bytes) {
  if (size < ARENA_BYTES) size = ARENA_BYTES;
  while (size < n_bytes) size *= 2;
  return size;
}

/* From place `from` on. */
static const char *find_piece(const arena *a, const void *host, size_t n_bytes, size_t from) {
  for (int i = 0; i < a->n_piece; i++)
    if (a->piece[i].at >= from && a->piece[i].n_bytes == n_bytes &&
        memcmp(a->host + a->piece[i].at, host, n_bytes) == 0)
      return a->dev + a->piece[i].at;
  return NULL;
}

/* The next n_bytes of the arena, which may lie beyond its size. */
static size_t take(arena *a, size_t n_bytes) {
  size_t at = a->used;
  a->used += (n_bytes + 255) / 256 * 256;
  return at;
}

static void remember(arena *a, size_t at, size_t n_bytes) {
  if (a->n_piece == MAX_STAGED) return;
  a->piece[a->n_piece].at = at;
  a->piece[a->n_piece++].n_bytes = n_bytes;
}

/* A bigger ring; launches of the operation at hand may still be given the old one's addresses. */
static int grow_direct(mv_device *device, arena *a, size_t n_bytes) {
  struct mv_cuda_steps *s = steps_of(device);
  size_t size = doubled(a->size, 4 * n_bytes);
  assert(s->n_retired < MAX_RETIRED);
  s->retired[s->n_retired++] = a->dev;
  a->dev = NULL;
  free_arena(device, a, 0);
  return make_arena(device, a, size, 0);
}

/* A piece is a quarter of the ring at most, so an operation may hold three: from the ring's second
 * half on, the two after this one may come round to its first half, where none is taken from. */
static const void *stage_direct(mv_device *device, const void *host, size_t n_bytes) {
  arena *a = &steps_of(device)->direct[mv_cuda_of(device)->lane];
  const char *there = find_piece(a, host, n_bytes, a->used > a->size / 2 ? a->size / 2 : 0);
  if (there) return there;
  if (n_bytes > a->size / 4 && !grow_direct(device, a, n_bytes)) return NULL;
  if (a->used + n_bytes > a->size) forget(a);
  if (a->n_piece == MAX_STAGED) a->n_piece = 0;
  size_t at = take(a, n_bytes);
  memcpy(a->host + at, host, n_bytes);
  remember(a, at, n_bytes);
  mv_cuda_copy_in(device, a->dev + at, host, n_bytes);
  return device->error.code == MV_OK ? a->dev + at : NULL;
}

/* Host bytes of a step: written in its first pass, found there in its second. */
static size_t put(struct mv_cuda_steps *s, const void *host, size_t n_bytes) {
  size_t at = take(&s->step, n_bytes);
  if (s->pass == DESCRIBE && s->step.used <= s->step.size) memcpy(s->step.host + at, host, n_bytes);
  return at;
}

const void *mv_cuda_stage(mv_device *device, const void *host, size_t n_bytes) {
  struct mv_cuda_steps *s = steps_of(device);
  if (n_bytes == 0 || device->error.code != MV_OK) return NULL;
  if (s->pass == DIRECT) return stage_direct(device, host, n_bytes);
  const char *there = find_piece(&s->step, host, n_bytes, 0);
  if (there) return there;
  size_t at = put(s, host, n_bytes);
  if (s->step.used > s->step.size) return s; /* for nobody: the step will be described again */
  remember(&s->step, at, n_bytes);
  return s->step.dev + at;
}

void mv_cuda_upload(mv_device *device, void *dst, const void *src, size_t n_bytes) {
  struct mv_cuda_steps *s = steps_of(device);
  if (n_bytes == 0 || device->error.code != MV_OK) return;
  if (s->pass == DIRECT) {
    mv_cuda_copy_in(device, dst, src, n_bytes);
    return;
  }
  size_t at = put(s, src, n_bytes);
  const char *from = s->step.host + at;
  add(&s->print, &dst, sizeof dst);
  add(&s->print, &from, sizeof from);
  add(&s->print, &n_bytes, sizeof n_bytes);
  if (s->pass == DESCRIBE) return;
  mv_cuda_may_overlap(device, 0);
  mv_cuda_check(
      device,
      cudaMemcpyAsync(dst, from, n_bytes, cudaMemcpyHostToDevice, mv_cuda_of(device)->stream),
      "upload");
}

/* ---- graphs ---- */

static graph *find_graph(struct mv_cuda_steps *s) {
  for (int i = 0; i < MAX_GRAPHS; i++) {
    graph *g = &s->graphs[i];
    if (g->last_use && g->key.a == s->print.a && g->key.b == s->print.b) return g;
  }
  return NULL;
}

static void drop_graph(graph *g) {
  if (g->exec) cudaGraphExecDestroy(g->exec);
  memset(g, 0, sizeof *g);
}

/* A place for the step's graph: its own, a free one, or that of the graph longest out of use. */
static graph *graph_place(struct mv_cuda_steps *s) {
  graph *g = find_graph(s);
  if (g) return g;
  g = &s->graphs[0];
  for (int i = 1; i < MAX_GRAPHS; i++)
    if (s->graphs[i].last_use < g->last_use) g = &s->graphs[i];
  drop_graph(g);
  g->key = s->print;
  return g;
}

static void replay(mv_device *device, graph *g) {
  g->last_use = ++steps_of(device)->clock;
  mv_cuda_check(device, cudaGraphLaunch(g->exec, mv_cuda_of(device)->stream), "replay of a step");
}

/* ---- passes ---- */

static void begin_pass(struct mv_cuda_steps *s, int pass) {
  s->pass = pass;
  s->after_kernel = 0;
  forget(&s->step);
  restart(&s->print);
}

void mv_cuda_step_begin(mv_device *device) {
  struct mv_cuda_steps *s = steps_of(device);
  assert(mv_cuda_of(device)->lane == MV_LANE_MAIN);
  if (device->error.code != MV_OK || s->pass != DIRECT) return; /* second pass: already begun */
  if (mv_cuda_check(device, cudaSetDevice(mv_cuda_of(device)->ordinal), "choosing the device") &&
      mv_cuda_check(device, cudaEventSynchronize(s->done), "the step before"))
    begin_pass(s, DESCRIBE);
}

/* Host bytes to the device, first thing in the second pass. */
static void copy_arena(mv_device *device) {
  struct mv_cuda_steps *s = steps_of(device);
  if (s->n_described)
    mv_cuda_check(device,
                  cudaMemcpyAsync(s->step.dev, s->step.host, s->n_described, cudaMemcpyHostToDevice,
                                  mv_cuda_of(device)->stream),
                  "upload");
}

static int end_describing(mv_device *device) {
  struct mv_cuda_steps *s = steps_of(device);
  cudaStream_t stream = mv_cuda_of(device)->stream;
  size_t n = s->step.used;
  if (n > s->step.size) {
    size_t size = doubled(s->step.size, n);
    free_arena(device, &s->step, 1);
    if (!make_arena(device, &s->step, size, 1)) return 0;
    begin_pass(s, DESCRIBE);
    return 1;
  }
  graph *g = find_graph(s);
  if (g && g->exec) {
    replay(device, g);
    device->steps.n_replayed++;
    return 0;
  }
  s->n_described = n;
  if (g && !mv_cuda_check(device, cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
                          "recording a step"))
    return 0;
  begin_pass(s, g ? CAPTURE : LAUNCH);
  copy_arena(device);
  return 1;
}

static void end_capture(mv_device *device) {
  struct mv_cuda_steps *s = steps_of(device);
  cudaGraph_t recorded = NULL;
  cudaGraphExec_t exec = NULL;
  /* also after a failure: the stream must leave its capture */
  mv_cuda_check(device, cudaStreamEndCapture(mv_cuda_of(device)->stream, &recorded),
                "recording a step");
  if (device->error.code == MV_OK &&
      mv_cuda_check(device, cudaGraphInstantiate(&exec, recorded, 0), "recording a step")) {
    graph *g = graph_place(s);
    if (g->exec) cudaGraphExecDestroy(g->exec);
    g->exec = exec;
    replay(device, g);
    device->steps.n_recorded++;
  }
  if (recorded) cudaGraphDestroy(recorded);
}

int mv_cuda_step_end(mv_device *device) {
  struct mv_cuda_steps *s = steps_of(device);
  int again = 0;
  /* the copy of the arena: how much, and from where, should it have grown since */
  add(&s->print, &s->step.used, sizeof s->step.used);
  add(&s->print, &s->step.host, sizeof s->step.host);
  if (s->pass == CAPTURE)
    end_capture(device);
  else if (device->error.code == MV_OK && s->pass == DESCRIBE)
    again = end_describing(device);
  else if (device->error.code == MV_OK && s->pass == LAUNCH) {
    graph_place(s)->last_use = ++s->clock;
    device->steps.n_launched++;
  }
  if (again && device->error.code == MV_OK) return 1;
  if (s->pass == CAPTURE && again) end_capture(device); /* failed as it began */
  s->pass = DIRECT;
  if (device->error.code == MV_OK)
    mv_cuda_check(device, cudaEventRecord(s->done, mv_cuda_of(device)->stream), "step");
  return 0;
}

/* ---- opening and closing ---- */

void mv_cuda_open_steps(mv_device *device) {
  struct mv_cuda_steps *s = mv_cuda_of(device)->steps = mv_calloc(1, sizeof *s);
  if (!s) {
    mv_fail(&device->error, MV_ERR_MEMORY, "%s: out of memory", device->name);
    return;
  }
  int ok =
      mv_cuda_check(device, cudaEventCreateWithFlags(&s->done, cudaEventDisableTiming), "events");
  for (int i = 0; i < MV_LANES && ok; i++) ok = make_arena(device, &s->direct[i], ARENA_BYTES, 0);
  if (ok) make_arena(device, &s->step, ARENA_BYTES, 1);
}

void mv_cuda_close_steps(mv_device *device) {
  struct mv_cuda_steps *s = steps_of(device);
  if (!s) return;
  for (int i = 0; i < MAX_GRAPHS; i++) drop_graph(&s->graphs[i]);
  for (int i = 0; i < s->n_retired; i++) mv_cuda_free(device, s->retired[i]);
  for (int i = 0; i < MV_LANES; i++) free_arena(device, &s->direct[i], 0);
  free_arena(device, &s->step, 1);
  if (s->done) cudaEventDestroy(s->done);
  mv_free(s);
}
