#define _XOPEN_SOURCE 700 /* realpath */
#include "runtime/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/memory.h"

mv_status mv_mapping_open_with(mv_mapping *map, const char *path, int *out, mv_error *err) {
  memset(map, 0, sizeof *map);
  int fd = *out = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not make us wait */
  if (fd < 0) return mv_fail(err, MV_ERR_IO, "%s: %s", path, strerror(errno));
  mv_status status = MV_OK;
  struct stat st;
  if (fstat(fd, &st) != 0) {
    status = mv_fail(err, MV_ERR_IO, "%s: %s", path, strerror(errno));
  } else if (!S_ISREG(st.st_mode)) {
    status = mv_fail(err, MV_ERR_IO, "%s: expected a regular file", path);
  } else if (st.st_size > 0) {
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
      status = mv_fail(err, MV_ERR_IO, "%s: cannot map %lld bytes: %s", path, (long long)st.st_size,
                       strerror(errno));
    } else {
      map->data = data;
      map->size = (size_t)st.st_size;
    }
  }
  if (status == MV_OK) return MV_OK;
  close(fd);
  *out = -1;
  return status;
}

mv_status mv_mapping_open(mv_mapping *map, const char *path, mv_error *err) {
  int fd;
  MV_TRY(mv_mapping_open_with(map, path, &fd, err));
  close(fd);
  return MV_OK;
}

void mv_mapping_close(mv_mapping *map) {
  if (map->data) munmap((void *)(uintptr_t)map->data, map->size);
  memset(map, 0, sizeof *map);
}

mv_status mv_file_read(const char *path, size_t limit_bytes, mv_buf *out, mv_error *err) {
  mv_buf_clear(out);
  int is_stdin = strcmp(path, "-") == 0;
  FILE *f = is_stdin ? stdin : fopen(path, "rb");
  if (!f) return mv_fail(err, MV_ERR_IO, "%s: %s", path, strerror(errno));
  char chunk[65536];
  mv_status status = MV_OK;
  for (;;) {
    size_t n = fread(chunk, 1, sizeof chunk, f);
    if (n == 0) break;
    if (out->len + n > limit_bytes) {
      status =
          mv_fail(err, MV_ERR_MEMORY, "%s: larger than the limit of %zu bytes", path, limit_bytes);
      break;
    }
    mv_buf_add(out, chunk, n);
    if (n < sizeof chunk) break; /* a terminal would be asked for a second end of file */
  }
  if (status == MV_OK && ferror(f))
    status = mv_fail(err, MV_ERR_IO, "%s: %s", path, strerror(errno));
  if (!is_stdin) fclose(f);
  return status == MV_OK ? mv_buf_status(out, err) : status;
}

int mv_file_exists(const char *path) {
  struct stat st;
  return stat(path, &st) == 0;
}

char *mv_path_join(const char *dir, const char *name) {
  size_t n_dir = strlen(dir), n_name = strlen(name);
  int slash = n_dir > 0;
  while (n_dir > 0 && dir[n_dir - 1] == '/') n_dir--;
  char *path = mv_alloc(n_dir + n_name + 2);
  if (!path) return NULL;
  memcpy(path, dir, n_dir);
  if (slash) path[n_dir++] = '/';
  memcpy(path + n_dir, name, n_name + 1);
  return path;
}

/* A device or a pipe cannot be put in place by rename: that would replace it. /dev/stdout, a link,
 * is one even where it leads to a file. */
static int is_device(const char *path) {
  struct stat st, link;
  if (stat(path, &st) != 0 || lstat(path, &link) != 0 || S_ISDIR(st.st_mode)) return 0;
  return !S_ISREG(st.st_mode) || (S_ISLNK(link.st_mode) && strncmp(path, "/dev/", 5) == 0);
}

mv_status mv_outfile_open(mv_outfile *out, const char *path, mv_error *err) {
  char target[PATH_MAX];
  memset(out, 0, sizeof *out);
  int direct = is_device(path);
  const char *at = !direct && realpath(path, target) ? target : path; /* a link stays a link */
  size_t n = strlen(at) + 32;
  out->path = mv_alloc(n);
  out->temp = direct ? NULL : mv_alloc(n);
  if (!out->path || (!out->temp && !direct)) {
    mv_outfile_discard(out);
    return mv_fail(err, MV_ERR_MEMORY, "%s: out of memory", path);
  }
  snprintf(out->path, n, "%s", at);
  if (out->temp) snprintf(out->temp, n, "%s.tmp.%ld", at, (long)getpid());
  out->stream = fopen(direct ? at : out->temp, "wb");
  if (!out->stream) {
    mv_status status = mv_fail(err, MV_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    mv_outfile_discard(out);
    return status;
  }
  return MV_OK;
}

mv_status mv_outfile_commit(mv_outfile *out, mv_error *err) {
  int bad = fflush(out->stream) != 0 || ferror(out->stream) ||
            (out->temp && fsync(fileno(out->stream)) != 0);
  int saved = errno;
  if (fclose(out->stream) != 0 && !bad) {
    bad = 1;
    saved = errno;
  }
  out->stream = NULL;
  if (!bad && out->temp && rename(out->temp, out->path) != 0) {
    bad = 1;
    saved = errno;
  }
  mv_status status =
      bad ? mv_fail(err, MV_ERR_IO, "%s: cannot write: %s", out->path, strerror(saved)) : MV_OK;
  if (!bad) {
    mv_free(out->temp);
    out->temp = NULL;
  }
  mv_outfile_discard(out);
  return status;
}

void mv_outfile_discard(mv_outfile *out) {
  if (out->stream) fclose(out->stream);
  if (out->temp) remove(out->temp);
  mv_free(out->temp);
  mv_free(out->path);
  memset(out, 0, sizeof *out);
}

mv_status mv_file_write(const char *path, const void *bytes, size_t n, mv_error *err) {
  mv_outfile out;
  MV_TRY(mv_outfile_open(&out, path, err));
  if (n) fwrite(bytes, 1, n, out.stream);
  return mv_outfile_commit(&out, err);
}

mv_status mv_dir_make(const char *path, mv_error *err) {
  mv_buf part = {0};
  mv_status status = MV_OK;
  for (const char *c = path; status == MV_OK && *c;) {
    size_t n = strcspn(c + 1, "/") + 1;
    mv_buf_add(&part, c, n);
    c += n;
    status = mv_buf_status(&part, err);
    struct stat info;
    if (status != MV_OK || (mkdir(part.ptr, 0777) == 0)) continue;
    int failed = errno;
    if (failed == EEXIST || (stat(part.ptr, &info) == 0 && S_ISDIR(info.st_mode))) continue;
    status = mv_fail(err, MV_ERR_IO, "%s: cannot make this folder: %s", part.ptr, strerror(failed));
  }
  mv_buf_free(&part);
  return status;
}
