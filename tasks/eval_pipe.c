#include "tasks/eval_pipe.h"

#include <pthread.h>
#include <string.h>

#include "runtime/memory.h"
#include "runtime/team.h"

enum { MAX_THREAD = 16, WAIT_MS = 20 };

/* A question on its way; ticket 0: not handed over yet, or a slot that is free. */
typedef struct slot {
  int used;
  mv_ticket ticket;
  size_t index;
  mv_error err; /* why it never reached the engine */
} slot;

struct mv_eval_pipe {
  mv_eval_source s;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  pthread_t threads[MAX_THREAD];
  int n_thread, n_running;
  slot *slots; /* [depth] */
  int stop, failed;
  mv_error err;
};

/* ---- the threads ---- */

static slot *free_slot(mv_eval_pipe *p) {
  for (int i = 0; i < p->s.depth; i++)
    if (!p->slots[i].used) return &p->slots[i];
  return NULL;
}

/* Waits for room, then for the next doc. NULL when the thread is to end. */
static slot *claim(mv_eval_pipe *p) {
  slot *at = NULL;
  int found = 0;
  size_t index = 0;
  pthread_mutex_lock(&p->lock);
  while (!p->stop && !(at = free_slot(p))) pthread_cond_wait(&p->changed, &p->lock);
  if (!p->stop) found = p->s.next(p->s.user, &index, &p->err);
  if (found < 0) p->failed = 1;
  if (found > 0) {
    memset(at, 0, sizeof *at);
    at->used = 1, at->index = index;
  } else {
    p->stop = 1;
    at = NULL;
  }
  pthread_cond_broadcast(&p->changed);
  pthread_mutex_unlock(&p->lock);
  return at;
}

static mv_status hand_over(mv_eval_pipe *p, size_t index, mv_ticket *ticket, mv_error *err) {
  mv_picture picture = {0};
  mv_request request;
  MV_TRY(mv_picture_load(&picture, &p->s.docs->v[index].question, p->s.pp, err));
  p->s.ask(p->s.user, index, &request);
  request.images = &picture.image;
  request.n_image = 1;
  mv_status status = mv_engine_submit(p->s.engine, &request, ticket, err);
  mv_picture_free(&picture);
  return status;
}

static void *work(void *user) {
  mv_eval_pipe *p = user;
  for (slot *at; (at = claim(p));) {
    mv_ticket ticket = 0;
    mv_error err = {0};
    mv_status status = hand_over(p, at->index, &ticket, &err);
    pthread_mutex_lock(&p->lock);
    if (status == MV_OK)
      at->ticket = ticket;
    else
      at->err = err;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
  }
  pthread_mutex_lock(&p->lock);
  p->n_running--;
  pthread_cond_broadcast(&p->changed);
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

mv_status mv_eval_pipe_new(mv_eval_pipe **out, const mv_eval_source *source, mv_error *err) {
  mv_eval_pipe *p = mv_calloc(1, sizeof *p);
  int n_core = mv_core_count(), wanted = n_core < 2 ? 2 : n_core < MAX_THREAD ? n_core : MAX_THREAD;
  *out = NULL;
  if (p) p->slots = mv_calloc((size_t)source->depth, sizeof *p->slots);
  if (!p || !p->slots) {
    mv_free(p);
    return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  }
  p->s = *source;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->changed, NULL);
  pthread_mutex_lock(&p->lock);
  while (p->n_thread < wanted && p->n_thread < source->depth &&
         mv_thread_start(&p->threads[p->n_thread], work, p))
    p->n_thread++, p->n_running++;
  pthread_mutex_unlock(&p->lock);
  *out = p;
  if (p->n_thread > 0) return MV_OK;
  mv_eval_pipe_free(p);
  *out = NULL;
  return mv_fail(err, MV_ERR_MEMORY, "cannot start a thread");
}

/* ---- the calling thread ---- */

/* A question that failed on its way to the engine. Under the lock. */
static int take_failed(mv_eval_pipe *p, mv_eval_done *done) {
  for (int i = 0; i < p->s.depth; i++) {
    slot *at = &p->slots[i];
    if (!at->used || at->err.code == MV_OK) continue;
    done->index = at->index;
    done->err = at->err;
    memset(at, 0, sizeof *at);
    pthread_cond_broadcast(&p->changed);
    return 1;
  }
  return 0;
}

/* The doc of a ticket, which its thread notes right after the engine has it. Under the lock. */
static size_t take_ticket(mv_eval_pipe *p, mv_ticket ticket) {
  for (;;) {
    for (int i = 0; i < p->s.depth; i++) {
      slot *at = &p->slots[i];
      if (!at->used || at->ticket != ticket) continue;
      size_t index = at->index;
      memset(at, 0, sizeof *at);
      pthread_cond_broadcast(&p->changed);
      return index;
    }
    pthread_cond_wait(&p->changed, &p->lock);
  }
}

/* Whether nothing is on its way and nothing will be. Under the lock. */
static int is_over(const mv_eval_pipe *p) {
  for (int i = 0; i < p->s.depth; i++)
    if (p->slots[i].used) return 0;
  return p->n_running == 0;
}

static int poll(mv_eval_pipe *p, mv_eval_done *done) {
  mv_ticket ticket = 0;
  if (!mv_engine_poll(p->s.engine, &ticket, &done->result, &done->err)) return 0;
  if (done->result.status == MV_OK) done->err.code = MV_OK;
  pthread_mutex_lock(&p->lock);
  done->index = take_ticket(p, ticket);
  pthread_mutex_unlock(&p->lock);
  return 1;
}

int mv_eval_pipe_take(mv_eval_pipe *p, mv_eval_done *done, mv_error *err) {
  memset(done, 0, sizeof *done);
  for (;;) {
    size_t n_left;
    pthread_mutex_lock(&p->lock);
    int failed = take_failed(p, done), over = !failed && is_over(p), broken = p->failed;
    if (over && broken) *err = p->err;
    pthread_mutex_unlock(&p->lock);
    if (failed) return 1;
    if (over) return broken ? -1 : 0;
    if (poll(p, done)) return 1;
    if (mv_engine_wait(p->s.engine, WAIT_MS) && mv_engine_step(p->s.engine, &n_left, err) != MV_OK)
      return -1;
  }
}

/* Ends what is still on its way, so that the engine is empty for whoever comes next. */
static void drain(mv_eval_pipe *p) {
  size_t n_left = 1;
  mv_ticket ticket;
  mv_result result;
  for (int i = 0; i < p->s.depth; i++)
    if (p->slots[i].ticket) mv_engine_cancel(p->s.engine, p->slots[i].ticket);
  while (n_left > 0 && mv_engine_step(p->s.engine, &n_left, NULL) == MV_OK) {
  }
  for (ticket = 0; mv_engine_poll(p->s.engine, &ticket, &result, NULL); ticket = 0)
    mv_result_free(&result);
}

void mv_eval_pipe_free(mv_eval_pipe *p) {
  if (!p) return;
  pthread_mutex_lock(&p->lock);
  p->stop = 1;
  pthread_cond_broadcast(&p->changed);
  pthread_mutex_unlock(&p->lock);
  for (int i = 0; i < p->n_thread; i++) pthread_join(p->threads[i], NULL);
  drain(p);
  pthread_cond_destroy(&p->changed);
  pthread_mutex_destroy(&p->lock);
  mv_free(p->slots);
  mv_free(p);
}
