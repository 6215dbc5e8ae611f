#define _GNU_SOURCE /* sched_getaffinity */
#include "runtime/team.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/memory.h"

#define RUNS_PER_THREAD 32 /* of iterations: the last to end are short */
#define LINE 64            /* bytes of a cache line: what one thread writes often lies in its own */
/* Pauses before a thread that waits lets others have its core, and how long it waits for a loop
 * before it sleeps: longer than from one operation of a step to the next. */
#define PAUSES 200
#define AWAKE_MS 0.2

struct mv_team {
  int n_thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  atomic_int n_asleep, is_closing;
  mv_team_part *part; /* of the loop */
  const void *loop;
  int n, run;
  _Alignas(LINE) atomic_uint turn;    /* odd while a loop is open */
  _Alignas(LINE) atomic_int next;     /* iteration that nobody has */
  _Alignas(LINE) atomic_int n_inside; /* threads, without the caller, that may have iterations */
  pthread_t thread[];                 /* owns; [0] is the caller and unused */
};

typedef struct worker {
  mv_team *team;
  int thread;
} worker;

int mv_core_count(void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef CPU_COUNT
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
#endif
  return n < 1 ? 1 : (int)n;
}

int mv_thread_start(pthread_t *thread, void *(*work)(void *), void *user) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(thread, NULL, work, user);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return !failed;
}

/* ---- waiting ---- */

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* The k-th time that a thread finds nothing to go on with. */
static void wait_a_little(int k) {
  if (k < PAUSES)
    pause_briefly();
  else
    sched_yield(); /* who we wait for may be waiting for our core */
}

static int is_open(unsigned turn, unsigned done) { return turn % 2 == 1 && turn != done; }

/* Until there is another loop than the one of turn `done`, or none will be. */
static unsigned sleep_until_open(mv_team *team, unsigned done) {
  unsigned turn;
  pthread_mutex_lock(&team->lock);
  atomic_fetch_add(&team->n_asleep, 1);
  while (!is_open(turn = atomic_load(&team->turn), done) && !atomic_load(&team->is_closing))
    pthread_cond_wait(&team->wake, &team->lock);
  atomic_fetch_sub(&team->n_asleep, 1);
  pthread_mutex_unlock(&team->lock);
  return turn;
}

static unsigned wait_until_open(mv_team *team, unsigned done) {
  double until = 0;
  for (int k = 0;; k++) {
    unsigned turn = atomic_load(&team->turn);
    if (is_open(turn, done) || atomic_load(&team->is_closing)) return turn;
    wait_a_little(k);
    if (k < PAUSES) continue;
    if (k == PAUSES) until = mv_now_ms() + AWAKE_MS;
    if (mv_now_ms() > until) return sleep_until_open(team, done);
  }
}

/* ---- loops ---- */

static void take_runs(mv_team *team, int thread) {
  for (;;) {
    int first = atomic_fetch_add(&team->next, team->run), left = team->n - first;
    if (left <= 0) return;
    team->part(team->loop, first, first + (left < team->run ? left : team->run), thread);
  }
}

/* A thread goes in before it looks whether the loop is still open, and the caller closes a loop
 * before it looks whether anyone is inside: one of them sees the other. */
static void *work(void *user) {
  worker *w = user;
  mv_team *team = w->team;
  int thread = w->thread;
  mv_free(w);
  for (unsigned turn = 0;;) {
    turn = wait_until_open(team, turn);
    if (atomic_load(&team->is_closing)) return NULL;
    atomic_fetch_add(&team->n_inside, 1);
    if (atomic_load(&team->turn) == turn) take_runs(team, thread);
    atomic_fetch_sub(&team->n_inside, 1);
  }
}

static void wake_all(mv_team *team) {
  pthread_mutex_lock(&team->lock);
  pthread_cond_broadcast(&team->wake);
  pthread_mutex_unlock(&team->lock);
}

void mv_team_run(mv_team *team, int n, mv_team_part *part, const void *loop) {
  if (n < 1) return;
  if (!team || n == 1) {
    part(loop, 0, n, 0);
    return;
  }
  team->part = part;
  team->loop = loop;
  team->n = n;
  team->run = n / (RUNS_PER_THREAD * team->n_thread);
  if (team->run < 1) team->run = 1;
  atomic_store(&team->next, 0);
  atomic_fetch_add(&team->turn, 1);
  if (atomic_load(&team->n_asleep) > 0) wake_all(team);
  take_runs(team, 0);
  atomic_fetch_add(&team->turn, 1);
  for (int k = 0; atomic_load(&team->n_inside) > 0; k++) wait_a_little(k);
}

/* ---- */

static int start_worker(mv_team *team) {
  worker *w = mv_alloc(sizeof *w);
  if (!w) return 0;
  *w = (worker){team, team->n_thread};
  if (mv_thread_start(&team->thread[team->n_thread], work, w)) return 1;
  mv_free(w);
  return 0;
}

mv_status mv_team_new(mv_team **out, int n_thread, mv_error *err) {
  *out = NULL;
  if (n_thread <= 1) return MV_OK;
  size_t size = sizeof(mv_team) + (size_t)n_thread * sizeof(pthread_t);
  mv_team *team = mv_alloc_aligned(size);
  if (!team) return mv_fail(err, MV_ERR_MEMORY, "no memory for %d threads", n_thread);
  memset(team, 0, size);
  team->n_thread = 1;
  pthread_mutex_init(&team->lock, NULL);
  pthread_cond_init(&team->wake, NULL);
  while (team->n_thread < n_thread && start_worker(team)) team->n_thread++;
  *out = team;
  return MV_OK;
}

void mv_team_free(mv_team *team) {
  if (!team) return;
  atomic_store(&team->is_closing, 1);
  wake_all(team);
  for (int i = 1; i < team->n_thread; i++) pthread_join(team->thread[i], NULL);
  pthread_cond_destroy(&team->wake);
  pthread_mutex_destroy(&team->lock);
  mv_free_aligned(team);
}

int mv_team_threads(const mv_team *team) { return team ? team->n_thread : 1; }
