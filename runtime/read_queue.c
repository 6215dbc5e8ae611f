#include <pthread.h>
#include <signal.h>

#include "runtime/infile.h"
#include "runtime/memory.h"

struct mv_read_queue {
  pthread_mutex_t lock;
  pthread_cond_t added, done;
  mv_read *first, *last; /* borrows: what no thread has begun with */
  int is_closing;
  int n_thread;
  pthread_t thread[]; /* owns */
};

static void *work(void *user) {
  mv_read_queue *q = user;
  pthread_mutex_lock(&q->lock);
  for (;;) {
    while (!q->first && !q->is_closing) pthread_cond_wait(&q->added, &q->lock);
    if (q->is_closing) break;
    mv_read *read = q->first;
    q->first = read->next;
    pthread_mutex_unlock(&q->lock);
    read->status = mv_infile_read(read, &read->error);
    pthread_mutex_lock(&q->lock);
    read->is_done = 1;
    pthread_cond_signal(&q->done);
  }
  pthread_mutex_unlock(&q->lock);
  return NULL;
}

/* Signals are for the program's own threads. */
static void start_threads(mv_read_queue *q, int n_thread) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (q->n_thread < n_thread && pthread_create(&q->thread[q->n_thread], NULL, work, q) == 0)
    q->n_thread++;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

mv_status mv_read_queue_open(mv_read_queue **out, int n_thread, mv_error *err) {
  mv_read_queue *q = mv_calloc(1, sizeof *q + (size_t)n_thread * sizeof q->thread[0]);
  *out = q;
  if (!q) return mv_fail(err, MV_ERR_MEMORY, "no memory to read files");
  pthread_mutex_init(&q->lock, NULL);
  pthread_cond_init(&q->added, NULL);
  pthread_cond_init(&q->done, NULL);
  start_threads(q, n_thread);
  if (q->n_thread > 0) return MV_OK; /* some are enough */
  mv_read_queue_close(q);
  *out = NULL;
  return mv_fail(err, MV_ERR_MEMORY, "no thread to read files");
}

void mv_read_queue_close(mv_read_queue *q) {
  if (!q) return;
  pthread_mutex_lock(&q->lock);
  q->is_closing = 1;
  pthread_cond_broadcast(&q->added);
  pthread_mutex_unlock(&q->lock);
  for (int i = 0; i < q->n_thread; i++) pthread_join(q->thread[i], NULL);
  pthread_cond_destroy(&q->done);
  pthread_cond_destroy(&q->added);
  pthread_mutex_destroy(&q->lock);
  mv_free(q);
}

void mv_read_queue_add(mv_read_queue *q, mv_read *read) {
  read->next = NULL;
  read->is_done = 0;
  pthread_mutex_lock(&q->lock);
  if (q->first)
    q->last->next = read;
  else
    q->first = read;
  q->last = read;
  pthread_cond_signal(&q->added);
  pthread_mutex_unlock(&q->lock);
}

mv_status mv_read_queue_wait(mv_read_queue *q, mv_read *read, mv_error *err) {
  pthread_mutex_lock(&q->lock);
  while (!read->is_done) pthread_cond_wait(&q->done, &q->lock);
  pthread_mutex_unlock(&q->lock);
  if (read->status != MV_OK && err) *err = read->error;
  return read->status;
}
