#define _GNU_SOURCE /* O_DIRECT, mincore */
#include "runtime/infile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGES_AT_ONCE 1024

/* The same file once more, for reads past the page cache; -1 where that cannot be. */
static int open_direct(int fd, const char *path) {
#ifdef O_DIRECT
  struct stat a, b;
  int direct = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECT);
  if (direct < 0) return -1;
  if (fstat(fd, &a) == 0 && fstat(direct, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
    return direct;
  close(direct); /* another was put in its place */
#endif
  (void)fd;
  (void)path;
  return -1;
}

mv_status mv_infile_open(mv_infile *file, const char *path, mv_error *err) {
  *file = (mv_infile){.fd = -1, .direct = -1};
  MV_TRY(mv_mapping_open_with(&file->map, path, &file->fd, err));
  file->path = path;
  file->direct = open_direct(file->fd, path);
  return MV_OK;
}

void mv_infile_close(mv_infile *file) {
  if (!file->path) return;
  mv_mapping_close(&file->map);
  if (file->direct >= 0) close(file->direct);
  close(file->fd);
  *file = (mv_infile){.fd = -1, .direct = -1};
}

int mv_infile_is_cached(const mv_infile *file, size_t at, size_t n_bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), end = at + n_bytes;
  unsigned char is_there[PAGES_AT_ONCE];
  if (end > file->map.size) return 0;
  for (at -= at % page; at < end; at += PAGES_AT_ONCE * page) {
    size_t n = end - at < PAGES_AT_ONCE * page ? end - at : PAGES_AT_ONCE * page;
    if (mincore((void *)(uintptr_t)(file->map.data + at), n, is_there) != 0) return 0;
    for (size_t i = 0; i * page < n; i++)
      if (!(is_there[i] & 1)) return 0;
  }
  return 1;
}

mv_status mv_infile_read(mv_read *read, mv_error *err) {
  const mv_infile *file = read->file;
  size_t skip = read->at % MV_READ_BLOCK, from = read->at - skip, want = skip + read->n_bytes;
  int past_cache = file->direct >= 0 && !mv_infile_is_cached(file, from, want);
  char *room = read->room;
  read->bytes = room + skip;
  for (size_t got = 0; got < want;) {
    size_t n_ask = want - got;
    if (past_cache) n_ask = (n_ask + MV_READ_BLOCK - 1) / MV_READ_BLOCK * MV_READ_BLOCK;
    ssize_t n = pread(past_cache ? file->direct : file->fd, room + got, n_ask, (off_t)(from + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && !past_cache)
      return mv_fail(err, MV_ERR_IO, "%s: reading at byte %zu: %s", file->path, from + got,
                     strerror(errno));
    if (n == 0)
      return mv_fail(err, MV_ERR_FORMAT,
                     "%s: expected %zu bytes, found %zu (was it cut short meanwhile?)", file->path,
                     file->map.size, from + got);
    if (n > 0) got += (size_t)n;
    if (n < 0 || got % MV_READ_BLOCK) past_cache = 0; /* refused, or unfit to go on with */
  }
  return MV_OK;
}
