#include "tasks/eval_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/file.h"
#include "runtime/memory.h"

/* ---- names ---- */

static int ends_with(const char *name, const char *ending) {
  size_t n = strlen(name), m = strlen(ending);
  return n >= m && !strcmp(name + n - m, ending);
}

static mv_status add_name(mv_names *names, const char *name, mv_error *err) {
  if (names->n == names->cap) {
    size_t cap = names->cap ? 2 * names->cap : 16;
    char **grown = mv_realloc(names->v, cap * sizeof *grown);
    if (!grown) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
    names->v = grown, names->cap = cap;
  }
  char *copy = mv_alloc(strlen(name) + 1);
  if (!copy) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  memcpy(copy, name, strlen(name) + 1);
  names->v[names->n++] = copy;
  return MV_OK;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static mv_status is_dir(const char *dir, const char *name, int *out, mv_error *err) {
  struct stat info;
  char *path = mv_path_join(dir, name);
  if (!path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  *out = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
  mv_free(path);
  return MV_OK;
}

mv_status mv_names_read(mv_names *names, const char *dir, const char *ending, mv_error *err) {
  memset(names, 0, sizeof *names);
  DIR *stream = opendir(dir);
  if (!stream) return mv_fail(err, MV_ERR_IO, "%s: %s", dir, strerror(errno));
  mv_status status = MV_OK;
  for (struct dirent *entry; status == MV_OK && (entry = readdir(stream));) {
    const char *name = entry->d_name;
    if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
    int is_folder = 0;
    status = is_dir(dir, name, &is_folder, err);
    if (status == MV_OK && (ending ? ends_with(name, ending) && !is_folder : is_folder))
      status = add_name(names, name, err);
  }
  closedir(stream);
  if (names->n) qsort(names->v, names->n, sizeof *names->v, by_name);
  if (status != MV_OK) mv_names_free(names);
  return status;
}

void mv_names_free(mv_names *names) {
  for (size_t i = 0; i < names->n; i++) mv_free(names->v[i]);
  mv_free(names->v);
  memset(names, 0, sizeof *names);
}

char *mv_path_make(const char *dir, const char *name, const char *suffix) {
  mv_buf all = {0};
  mv_buf_printf(&all, "%s%s", name, suffix);
  char *path = all.failed ? NULL : mv_path_join(dir, all.ptr);
  mv_buf_free(&all);
  return path;
}

mv_status mv_dir_remove(const char *path, mv_error *err) {
  struct stat info;
  if (lstat(path, &info) != 0) return MV_OK;
  mv_status status = MV_OK;
  if (S_ISDIR(info.st_mode)) {
    mv_names all = {0};
    MV_TRY(mv_names_read(&all, path, "", err));
    mv_names dirs = {0};
    status = mv_names_read(&dirs, path, NULL, err);
    for (int pass = 0; pass < 2; pass++) {
      const mv_names *names = pass ? &dirs : &all;
      for (size_t i = 0; status == MV_OK && i < names->n; i++) {
        char *inner = mv_path_join(path, names->v[i]);
        status = inner ? mv_dir_remove(inner, err) : mv_fail(err, MV_ERR_MEMORY, "out of memory");
        mv_free(inner);
      }
    }
    mv_names_free(&dirs);
    mv_names_free(&all);
    MV_TRY(status);
  }
  if (remove(path) != 0)
    status = mv_fail(err, MV_ERR_IO, "%s: cannot delete: %s", path, strerror(errno));
  return status;
}

/* ---- records ---- */

static mv_status add_record(mv_records *records, mv_str line, mv_error *err) {
  if (records->n == records->cap) {
    size_t cap = records->cap ? 2 * records->cap : 64;
    mv_record *grown = mv_realloc(records->v, cap * sizeof *grown);
    if (!grown) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
    records->v = grown, records->cap = cap;
  }
  mv_record *r = &records->v[records->n];
  memset(r, 0, sizeof *r);
  MV_TRY(mv_json_parse(&r->doc, line, err));
  if (!mv_json_is(r->doc.root, MV_JSON_OBJECT)) {
    mv_status status =
        mv_fail(err, MV_ERR_FORMAT, "expected an object, found %s", mv_json_type_name(r->doc.root));
    mv_json_doc_free(&r->doc);
    return status;
  }
  mv_json_to_int(mv_json_get(r->doc.root, "doc_id"), &r->id);
  records->n++;
  return MV_OK;
}

/* Stable merge sort by id. */
static void sort_records(mv_record *v, mv_record *spare, size_t n) {
  if (n < 2) return;
  size_t half = n / 2, i = 0, j = half, k = 0;
  sort_records(v, spare, half);
  sort_records(v + half, spare, n - half);
  while (k < n) spare[k++] = i < half && (j == n || v[i].id <= v[j].id) ? v[i++] : v[j++];
  memcpy(v, spare, n * sizeof *v);
}

static mv_status sort_and_cut(mv_records *records, int sorted, int limit, mv_error *err) {
  if (sorted && records->n > 1) {
    mv_record *spare = mv_calloc(records->n, sizeof *spare);
    if (!spare) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
    sort_records(records->v, spare, records->n);
    mv_free(spare);
  }
  while (limit > 0 && records->n > (size_t)limit) mv_json_doc_free(&records->v[--records->n].doc);
  return MV_OK;
}

mv_status mv_records_read(mv_records *records, const char *path, int sorted, int limit,
                          mv_error *err) {
  mv_buf text = {0};
  memset(records, 0, sizeof *records);
  mv_status status = mv_file_read(path, MV_EVAL_MAX_BYTES, &text, err);
  const char *at = text.ptr, *end = text.ptr ? text.ptr + text.len : NULL;
  for (int line = 1; status == MV_OK && at && at < end; line++) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    mv_str view = {at, (size_t)((newline ? newline : end) - at)};
    at = newline ? newline + 1 : end;
    if (!mv_str_strip(view).len) continue;
    status = add_record(records, view, err);
    if (status != MV_OK) mv_error_prefix(err, "%s:%d", path, line);
    if (limit > 0 && !sorted && records->n == (size_t)limit) break;
  }
  mv_buf_free(&text);
  if (status == MV_OK) status = sort_and_cut(records, sorted, limit, err);
  if (status != MV_OK) mv_records_free(records);
  return status;
}

void mv_records_free(mv_records *records) {
  for (size_t i = 0; i < records->n; i++) mv_json_doc_free(&records->v[i].doc);
  mv_free(records->v);
  memset(records, 0, sizeof *records);
}

mv_str mv_dataset_of_name(const char *name) {
  static const char mark[] = "samples_";
  for (const char *at = strstr(name, mark); at; at = strstr(at + 1, mark)) {
    const char *from = at + sizeof mark - 1;
    size_t n = strcspn(from, "_");
    if (n > 0 && from[n] == '_') return (mv_str){from, n};
  }
  return (mv_str){"", 0};
}

mv_status mv_eval_write(const char *path, const mv_buf *text, mv_error *err) {
  if (!path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  MV_TRY(mv_buf_status(text, err));
  return mv_file_write(path, text->ptr, text->len, err);
}
