#include "tasks/eval_pipe.h"

#include <pthread.h>
#include <string.h>

#include "runtime/memory.h"

enum { MAX_THREAD = 4 };

struct mv_eval_pipe {
  const mv_eval_docs *docs;
  const mv_preprocessor *pp;
  mv_eval_next next;
  void *user;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  pthread_t threads[MAX_THREAD];
  int n_thread, n_running;
  mv_eval_ready *ring;               /* [depth] ready ones, oldest at `at` */
  int depth, at, n_ready, n_claimed; /* claimed: being made, or ready */
  int stop, failed;
  mv_error err;
};

/* Waits for room, then for the next doc. 0 when the thread is to end. */
static int claim(mv_eval_pipe *p, size_t *index) {
  int found = 0;
  pthread_mutex_lock(&p->lock);
  while (!p->stop && p->n_claimed >= p->depth) pthread_cond_wait(&p->changed, &p->lock);
  if (!p->stop) found = p->next(p->user, index, &p->err);
  if (found < 0) p->failed = 1;
  if (found > 0)
    p->n_claimed++;
  else
    p->stop = 1;
  pthread_mutex_unlock(&p->lock);
  return found > 0;
}

static void hand_over(mv_eval_pipe *p, const mv_eval_ready *ready) {
  pthread_mutex_lock(&p->lock);
  p->ring[(p->at + p->n_ready++) % p->depth] = *ready;
  pthread_cond_broadcast(&p->changed);
  pthread_mutex_unlock(&p->lock);
}

static void *work(void *user) {
  mv_eval_pipe *p = user;
  mv_eval_ready ready;
  memset(&ready, 0, sizeof ready);
  while (claim(p, &ready.index)) {
    ready.err.code = MV_OK;
    mv_picture_load(&ready.picture, &p->docs->v[ready.index].question, p->pp, &ready.err);
    hand_over(p, &ready);
  }
  pthread_mutex_lock(&p->lock);
  p->n_running--;
  pthread_cond_broadcast(&p->changed);
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

mv_status mv_eval_pipe_new(mv_eval_pipe **out, const mv_eval_docs *docs, const mv_preprocessor *pp,
                           int depth, mv_eval_next next, void *user, mv_error *err) {
  mv_eval_pipe *p = mv_calloc(1, sizeof *p);
  *out = NULL;
  if (p) p->ring = mv_calloc((size_t)depth, sizeof *p->ring);
  if (!p || !p->ring) {
    mv_free(p);
    return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  }
  p->docs = docs, p->pp = pp, p->depth = depth, p->next = next, p->user = user;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->changed, NULL);
  pthread_mutex_lock(&p->lock);
  while (p->n_thread < MAX_THREAD && p->n_thread < depth &&
         pthread_create(&p->threads[p->n_thread], NULL, work, p) == 0)
    p->n_thread++, p->n_running++;
  pthread_mutex_unlock(&p->lock);
  *out = p;
  if (p->n_thread > 0) return MV_OK;
  mv_eval_pipe_free(p);
  *out = NULL;
  return mv_fail(err, MV_ERR_MEMORY, "cannot start a thread");
}

int mv_eval_pipe_take(mv_eval_pipe *p, mv_eval_ready *ready, mv_error *err) {
  int got = 0;
  pthread_mutex_lock(&p->lock);
  while (p->n_ready == 0 && p->n_running > 0) pthread_cond_wait(&p->changed, &p->lock);
  if (p->n_ready > 0) {
    *ready = p->ring[p->at];
    p->at = (p->at + 1) % p->depth;
    p->n_ready--, p->n_claimed--;
    got = 1;
    pthread_cond_broadcast(&p->changed);
  } else if (p->failed) {
    *err = p->err;
    got = -1;
  }
  pthread_mutex_unlock(&p->lock);
  return got;
}

void mv_eval_pipe_free(mv_eval_pipe *p) {
  if (!p) return;
  pthread_mutex_lock(&p->lock);
  p->stop = 1;
  pthread_cond_broadcast(&p->changed);
  pthread_mutex_unlock(&p->lock);
  for (int i = 0; i < p->n_thread; i++) pthread_join(p->threads[i], NULL);
  for (int i = 0; i < p->n_ready; i++) mv_picture_free(&p->ring[(p->at + i) % p->depth].picture);
  pthread_cond_destroy(&p->changed);
  pthread_mutex_destroy(&p->lock);
  mv_free(p->ring);
  mv_free(p);
}
