/* Files: read-only mappings, bounded reads, writes that appear by rename. */
#ifndef MV_RUNTIME_FILE_H
#define MV_RUNTIME_FILE_H

#include <stddef.h>
#include <stdio.h>

#include "runtime/error.h"
#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A read-only mapping of a whole regular file. Zero bytes gives data == NULL, size == 0. */
typedef struct mv_mapping {
  const unsigned char *data; /* owns the mapping */
  size_t size;
} mv_mapping;

mv_status mv_mapping_open(mv_mapping *map, const char *path, mv_error *err);
/* The same, and the file stays open: *fd (close with close), -1 after a failure. */
mv_status mv_mapping_open_with(mv_mapping *map, const char *path, int *fd, mv_error *err);
void mv_mapping_close(mv_mapping *map); /* accepts a zeroed mapping */

/* Reads a regular file, a pipe, or standard input when path is "-". More than `limit_bytes` is
 * MV_ERR_MEMORY. Fills `out` (cleared first). */
mv_status mv_file_read(const char *path, size_t limit_bytes, mv_buf *out, mv_error *err);

int mv_file_exists(const char *path);
/* Creates a folder and those above it; one that is there is fine. */
mv_status mv_dir_make(const char *path, mv_error *err);

/* dir + "/" + name (one slash; an empty dir is the current one). Returns (free with mv_free), or
 * NULL when out of memory. */
char *mv_path_join(const char *dir, const char *name);

/* A file being written: it appears under its name only at commit, so that a crash or a full disk
 * leaves nothing half-written. Links are followed; a device or pipe of that name (/dev/stdout) is
 * written to as it is. Zero-initialise. */
typedef struct mv_outfile {
  FILE *stream; /* write here; NULL when not open */
  char *path;   /* owns: the final name     */
  char *temp;   /* owns: the name meanwhile; NULL for a device */
} mv_outfile;

mv_status mv_outfile_open(mv_outfile *out, const char *path, mv_error *err);
mv_status mv_outfile_commit(mv_outfile *out, mv_error *err); /* flush, sync, rename, release */
void mv_outfile_discard(mv_outfile *out);                    /* removes the temporary; idempotent */

/* The three steps above for bytes already in memory. */
mv_status mv_file_write(const char *path, const void *bytes, size_t n, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
