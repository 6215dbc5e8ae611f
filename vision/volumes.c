#include "vision/volumes.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/memory.h"
#include "vision/nifti.h"

enum { MAX_OPEN = 32 };

typedef struct entry {
  mv_volume volume; /* path NULL: free, or being opened */
  pthread_mutex_t opening;
  struct stat file;
  int is_used, n_taken, n_slice;
  size_t bytes;  /* what it holds in memory */
  uint64_t last; /* the clock when it was last taken */
} entry;

struct mv_volumes {
  pthread_mutex_t lock; /* of all below but the volumes themselves */
  size_t limit, bytes;
  uint64_t clock;
  entry entries[MAX_OPEN];
};

mv_status mv_volumes_new(mv_volumes **out, size_t limit, mv_error *err) {
  mv_volumes *v = *out = mv_calloc(1, sizeof *v);
  if (!v) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  v->limit = limit;
  pthread_mutex_init(&v->lock, NULL);
  for (int i = 0; i < MAX_OPEN; i++) pthread_mutex_init(&v->entries[i].opening, NULL);
  return MV_OK;
}

void mv_volumes_free(mv_volumes *v) {
  if (!v) return;
  for (int i = 0; i < MAX_OPEN; i++) {
    mv_volume_close(&v->entries[i].volume);
    pthread_mutex_destroy(&v->entries[i].opening);
  }
  pthread_mutex_destroy(&v->lock);
  mv_free(v);
}

/* ---- entries, under the lock ---- */

static int is_same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
         a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void drop(mv_volumes *v, entry *e) {
  mv_volume_close(&e->volume);
  v->bytes -= e->bytes;
  e->bytes = 0, e->n_slice = 0, e->is_used = 0;
}

static entry *oldest(mv_volumes *v) {
  entry *found = NULL;
  for (entry *e = v->entries; e < v->entries + MAX_OPEN; e++)
    if (e->is_used && !e->n_taken && (!found || e->last < found->last)) found = e;
  return found;
}

/* The file's entry, or a free one. NULL when all are taken. */
static entry *find(mv_volumes *v, const struct stat *file) {
  entry *room = NULL;
  for (entry *e = v->entries; e < v->entries + MAX_OPEN; e++) {
    if (e->is_used && is_same_file(&e->file, file)) return e;
    if (!e->is_used) room = e;
  }
  if (!room && (room = oldest(v))) drop(v, room);
  if (room) room->file = *file;
  return room;
}

/* Room for more bytes, at the cost of volumes that nobody has. */
static int reserve(mv_volumes *v, entry *e, size_t bytes) {
  int fits = bytes <= v->limit;
  pthread_mutex_lock(&v->lock);
  for (entry *old; fits && v->bytes > v->limit - bytes; drop(v, old))
    if (!(old = oldest(v))) fits = 0;
  if (fits) e->bytes += bytes, v->bytes += bytes;
  pthread_mutex_unlock(&v->lock);
  return fits;
}

/* ---- taking ---- */

/* Opens what is not open; inflates at the second slice. */
static mv_status prepare(mv_volumes *v, entry *e, const char *path, int reads_slice,
                         mv_error *err) {
  mv_volume *volume = &e->volume;
  if (!volume->path) {
    MV_TRY(mv_volume_open(volume, path, err));
    if (volume->voxels) /* a series is all in memory; too much of it goes when it is given back */
      reserve(v, e,
              (size_t)volume->dim[0] * (size_t)volume->dim[1] * (size_t)volume->dim[2] *
                  (size_t)volume->n_frame * sizeof *volume->voxels);
  }
  size_t need = mv_nifti_inflated_bytes(volume);
  if (!reads_slice || ++e->n_slice != 2 || !need || !reserve(v, e, need)) return MV_OK;
  mv_nifti_inflate(volume); /* what is damaged or does not fit is read slice by slice */
  return MV_OK;
}

static void release(mv_volumes *v, entry *e) {
  pthread_mutex_lock(&v->lock);
  int is_kept = e->volume.path && (!e->volume.voxels || e->bytes);
  if (--e->n_taken == 0 && !is_kept) drop(v, e);
  pthread_mutex_unlock(&v->lock);
}

mv_status mv_volumes_take(mv_volumes *v, const char *path, int reads_slice, mv_volume *out,
                          mv_error *err) {
  struct stat file;
  entry *e = NULL;
  memset(out, 0, sizeof *out);
  if (v && stat(path, &file) == 0) {
    pthread_mutex_lock(&v->lock);
    if ((e = find(v, &file))) e->is_used = 1, e->n_taken++, e->last = ++v->clock;
    pthread_mutex_unlock(&v->lock);
  }
  if (!e) return mv_volume_open(out, path, err);
  pthread_mutex_lock(&e->opening);
  mv_status status = prepare(v, e, path, reads_slice, err);
  if (status == MV_OK) *out = e->volume; /* as it is now: others may go on to inflate it */
  pthread_mutex_unlock(&e->opening);
  if (status != MV_OK) release(v, e);
  return status;
}

void mv_volumes_give(mv_volumes *v, mv_volume *volume) {
  entry *e = NULL;
  if (!volume->path) return;
  if (v) pthread_mutex_lock(&v->lock);
  for (int i = 0; v && i < MAX_OPEN; i++)
    if (volume->path == v->entries[i].volume.path) e = &v->entries[i];
  if (v) pthread_mutex_unlock(&v->lock);
  if (!e)
    mv_volume_close(volume);
  else
    release(v, e);
  memset(volume, 0, sizeof *volume);
}
