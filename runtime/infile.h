/* Reading large files at the disk's speed: ranges into the caller's memory, one at a time or, for
 * more than a single thread can ask for, several at once in a queue.
 *
 * What the page cache holds is copied from there. What it does not hold is read past it (O_DIRECT)
 * where the file system lets us: no copy, no pages to find. A file read so is not cached
 * afterwards. Measured on a virtual disk of 2.9 GB/s: reads past the cache reach all of it, if they
 * come in blocks of 2 MiB or more and into huge pages (mv_alloc_huge; into others 45 %), reads
 * through the cache 45 to 85 %, the page faults of a mapping 45 %.
 *
 * A file that is cut short meanwhile is an error here; in a mapping it would be a signal.
 */
#ifndef MV_RUNTIME_INFILE_H
#define MV_RUNTIME_INFILE_H

#include "runtime/file.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_READ_BLOCK 4096 /* bytes: what reads past the page cache are multiples of */

/* A regular file, mapped and open. Zero-initialise. */
typedef struct mv_infile {
  mv_mapping map;   /* owns: all of it; nothing is read before it is touched */
  const char *path; /* borrows, for messages; NULL: not open */
  int fd, direct;   /* owns: through the page cache and past it (-1: cannot be) */
} mv_infile;

mv_status mv_infile_open(mv_infile *file, const char *path, mv_error *err); /* path: until close */
void mv_infile_close(mv_infile *file); /* accepts a zeroed one */

/* Bytes [at, at + n_bytes) of a file. Those of whole blocks around them are read with them, so
 * `room` begins at a multiple of MV_READ_BLOCK and has as many bytes as those blocks. */
typedef struct mv_read {
  const mv_infile *file; /* borrows */
  size_t at, n_bytes;
  void *room;        /* borrows */
  const char *bytes; /* result: where they are in `room` */
  mv_status status;  /* of a queue: result, with .error */
  mv_error error;
  struct mv_read *next; /* of a queue */
  int is_done;
} mv_read;

/* Room for any range of n_bytes. */
static inline size_t mv_read_room(size_t n_bytes) {
  return (n_bytes + 2 * MV_READ_BLOCK - 1) / MV_READ_BLOCK * MV_READ_BLOCK;
}

/* Now. MV_ERR_IO, or MV_ERR_FORMAT: the file ends before. */
mv_status mv_infile_read(mv_read *read, mv_error *err);

/* Whether all of a range is in the page cache. Of a file that is not ours to write the system says
 * so always. */
int mv_infile_is_cached(const mv_infile *file, size_t at, size_t n_bytes);

/* Threads that read what is added, first come first served. */
typedef struct mv_read_queue mv_read_queue;

mv_status mv_read_queue_open(mv_read_queue **out, int n_thread, mv_error *err);
/* Gives up what no thread has begun with; accepts NULL. */
void mv_read_queue_close(mv_read_queue *queue);
void mv_read_queue_add(mv_read_queue *queue, mv_read *read); /* borrows it until waited for */
mv_status mv_read_queue_wait(mv_read_queue *queue, mv_read *read, mv_error *err);

/* A thread that brings what is mapped into memory in the order given, so that whoever works through
 * it behind finds it there. */
typedef struct mv_read_ahead mv_read_ahead;

typedef struct mv_range {
  const mv_infile *file; /* borrows, until stopped */
  size_t at, n_bytes;
} mv_range;

/* Returns (free with stop), or NULL: no memory or no thread, and nothing is lost but time. */
mv_read_ahead *mv_read_ahead_start(const mv_range *ranges, int n_range);
void mv_read_ahead_stop(mv_read_ahead *ahead); /* accepts NULL */

#ifdef __cplusplus
}
#endif
#endif
