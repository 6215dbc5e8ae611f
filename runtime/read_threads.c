#include <pthread.h>
#include <stdatomic.h>

#include "runtime/infile.h"
#include "runtime/memory.h"
#include "runtime/team.h"

#define CHUNK_BYTES ((size_t)1 << 20) /* is cached where its first page is */

/* ---- a queue of reads ---- */

struct mv_read_queue {
  pthread_mutex_t lock;
  pthread_cond_t added, done;
  mv_read *first, *last; /* borrows: what no thread has begun with */
  int is_closing;
  int n_thread;
  pthread_t thread[]; /* owns */
};

static void *serve(void *user) {
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

mv_status mv_read_queue_open(mv_read_queue **out, int n_thread, mv_error *err) {
  mv_read_queue *q = mv_calloc(1, sizeof *q + (size_t)n_thread * sizeof q->thread[0]);
  *out = q;
  if (!q) return mv_fail(err, MV_ERR_MEMORY, "no memory to read files");
  pthread_mutex_init(&q->lock, NULL);
  pthread_cond_init(&q->added, NULL);
  pthread_cond_init(&q->done, NULL);
  while (q->n_thread < n_thread && mv_thread_start(&q->thread[q->n_thread], serve, q))
    q->n_thread++;
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

/* ---- reading ahead ---- */

struct mv_read_ahead {
  pthread_t thread; /* owns */
  atomic_int is_stopping;
  int n_range;
  mv_range range[];
};

/* One byte of each page is enough. */
static void touch(const unsigned char *at, size_t n_bytes) {
  const volatile unsigned char *bytes = at;
  for (size_t i = 0; i < n_bytes; i += MV_READ_BLOCK) (void)bytes[i];
}

static void *go_ahead(void *user) {
  mv_read_ahead *ahead = user;
  for (int i = 0; i < ahead->n_range; i++) {
    const mv_range *r = &ahead->range[i];
    for (size_t at = 0; at < r->n_bytes && !ahead->is_stopping; at += CHUNK_BYTES) {
      size_t n = r->n_bytes - at < CHUNK_BYTES ? r->n_bytes - at : CHUNK_BYTES;
      if (!mv_infile_is_cached(r->file, r->at + at, 1)) touch(r->file->map.data + r->at + at, n);
    }
  }
  return NULL;
}

mv_read_ahead *mv_read_ahead_start(const mv_range *ranges, int n_range) {
  mv_read_ahead *ahead = mv_calloc(1, sizeof *ahead + (size_t)n_range * sizeof *ranges);
  if (!ahead) return NULL;
  ahead->n_range = n_range;
  for (int i = 0; i < n_range; i++) ahead->range[i] = ranges[i];
  if (mv_thread_start(&ahead->thread, go_ahead, ahead)) return ahead;
  mv_free(ahead);
  return NULL;
}

void mv_read_ahead_stop(mv_read_ahead *ahead) {
  if (!ahead) return;
  ahead->is_stopping = 1;
  pthread_join(ahead->thread, NULL);
  mv_free(ahead);
}
