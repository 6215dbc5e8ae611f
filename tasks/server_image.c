/* Pictures and volumes that requests bring: data: URLs, and files where that is allowed. */
#define _XOPEN_SOURCE 700 /* realpath */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/file.h"
#include "tasks/batch.h"
#include "tasks/server.h"
#include "vision/volume.h"

static int starts(mv_str text, const char *with) {
  size_t n = strlen(with);
  return text.len >= n && memcmp(text.ptr, with, n) == 0;
}

static mv_status decode_data(mv_str url, mv_buf *out, mv_error *err) {
  static const char mark[] = ";base64,";
  size_t at = 5;
  while (at + 8 <= url.len && at < 200 && memcmp(url.ptr + at, mark, 8) != 0) at++;
  if (at + 8 > url.len || at >= 200)
    return mv_fail(err, MV_ERR_USAGE, "a picture: expected data:image/png;base64,...");
  return mv_base64_decode((mv_str){url.ptr + at + 8, url.len - at - 8}, out, err);
}

/* Whether `path`, with every link followed, lies below a folder of --allow-files. */
static int is_allowed(const mv_server *server, const char *path) {
  for (int i = 0; i < server->options->n_allow_dir; i++) {
    char *dir = realpath(server->options->allow_dirs[i], NULL);
    size_t n = dir ? strlen(dir) : 0;
    int inside = dir && strncmp(path, dir, n) == 0 && (path[n] == '/' || (n && dir[n - 1] == '/'));
    free(dir);
    if (inside) return 1;
  }
  return 0;
}

static mv_status read_file(mv_server *server, mv_str path, mv_buf *out, mv_error *err) {
  struct stat info;
  if (!server->options->n_allow_dir || memchr(path.ptr, 0, path.len) || path.len > 4095)
    return mv_fail(err, MV_ERR_USAGE,
                   "a picture: expected a data: URL; this server reads no files and fetches "
                   "nothing");
  mv_buf name = {0};
  mv_buf_str(&name, path);
  char *real = name.ptr ? realpath(name.ptr, NULL) : NULL;
  mv_status status;
  /* One answer for all that may not be read, so that nobody learns what files there are. */
  if (!real || !is_allowed(server, real) || stat(real, &info) != 0 || !S_ISREG(info.st_mode))
    status = mv_fail(err, MV_ERR_USAGE, "a picture: no such file below the folders allowed");
  else
    status = mv_file_read(real, server->options->max_body_bytes, out, err);
  free(real);
  mv_buf_free(&name);
  return status;
}

mv_status mv_server_fetch(mv_server *server, mv_str url, mv_buf *out, mv_error *err) {
  if (starts(url, "data:")) return decode_data(url, out, err);
  if (starts(url, "http:") || starts(url, "https:"))
    return mv_fail(err, MV_ERR_USAGE, "a picture: this server fetches nothing, send a data: URL");
  size_t skip = starts(url, "file://") ? 7 : 0;
  return read_file(server, (mv_str){url.ptr + skip, url.len - skip}, out, err);
}

mv_status mv_server_check_pixels(const mv_server *server, const mv_buf *bytes, mv_error *err) {
  mv_image header = {0};
  MV_TRY(mv_image_probe(bytes->ptr, bytes->len, &header, err));
  int64_t n = (int64_t)header.width * header.height, most = server->options->max_pixels;
  if (n <= most) return MV_OK;
  return mv_fail(err, MV_ERR_SHAPE, "a picture of %d x %d: this server takes up to %lld pixels",
                 header.width, header.height, (long long)most);
}

mv_status mv_server_picture(mv_server *server, mv_str url, mv_image *out, mv_error *err) {
  mv_buf bytes = {0};
  mv_status status = mv_server_fetch(server, url, &bytes, err);
  if (status == MV_OK) status = mv_server_check_pixels(server, &bytes, err);
  if (status == MV_OK) status = mv_image_decode(bytes.ptr, bytes.len, out, err);
  mv_buf_free(&bytes);
  return status;
}

#define MAX_VOLUME_BYTES ((double)((int64_t)2 << 30)) /* inflated: seconds of work */

mv_status mv_server_check_volume(const mv_server *server, const char *path, mv_error *err) {
  mv_volume v = {0};
  MV_TRY(mv_volume_open(&v, path, err));
  double x = v.dim[0], y = v.dim[1], z = v.dim[2], bytes = x * y * z * v.n_frame * v.voxel_bytes;
  double pixels = x * y > x * z ? x * y : x * z;
  if (y * z > pixels) pixels = y * z;
  mv_volume_close(&v);
  if (pixels <= (double)server->options->max_pixels && bytes <= MAX_VOLUME_BYTES) return MV_OK;
  return mv_fail(err, MV_ERR_SHAPE,
                 "a volume of %.0f x %.0f x %.0f voxels, %.0f MB: this server takes up to %lld "
                 "pixels a slice and %.0f MB",
                 x, y, z, bytes / 1e6, (long long)server->options->max_pixels,
                 MAX_VOLUME_BYTES / 1e6);
}

/* ---- files for readers that want a path ---- */

static const char *suffix_of(const mv_buf *bytes) {
  const unsigned char *b = (const unsigned char *)bytes->ptr;
  if (bytes->len > 2 && b[0] == 0x1f && b[1] == 0x8b) return "nii.gz";
  if (bytes->len > 132 && memcmp(b + 128, "DICM", 4) == 0) return "dcm";
  if (bytes->len > 348 && (memcmp(b + 344, "n+1", 4) == 0 || memcmp(b + 4, "n+2", 4) == 0))
    return "nii";
  return "img";
}

mv_status mv_server_keep(mv_server *server, const mv_buf *bytes, mv_buf *path, mv_error *err) {
  uint64_t number = atomic_fetch_add(&server->last_id, 1);
  mv_buf_printf(path, "%s/%llx.%s", server->upload_dir, (unsigned long long)number,
                suffix_of(bytes));
  MV_TRY(mv_buf_status(path, err));
  mv_status status = mv_file_write(path->ptr, bytes->ptr, bytes->len, err);
  return status == MV_OK ? MV_OK : mv_fail(err, MV_ERR_MEMORY, "no room for a picture");
}

void mv_server_drop(mv_buf *path) {
  if (path->ptr) unlink(path->ptr);
  mv_buf_free(path);
}
