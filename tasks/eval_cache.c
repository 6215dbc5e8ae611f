#include "tasks/eval_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/file.h"
#include "runtime/memory.h"

/* ---- folders and locks ---- */

mv_status mv_eval_place_open(mv_eval_place *place, const char *results_dir, const char *model,
                             mv_error *err) {
  memset(place, 0, sizeof *place);
  snprintf(place->model, sizeof place->model, "%s", model);
  place->dir = mv_path_join(results_dir, model);
  place->cache = place->dir ? mv_path_join(place->dir, "response_cache") : NULL;
  if (!place->cache) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  return mv_dir_make(place->cache, err);
}

void mv_eval_place_free(mv_eval_place *place) {
  mv_free(place->dir);
  mv_free(place->cache);
  memset(place, 0, sizeof *place);
}

static int lock_fd(int fd, int wait) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  int done;
  do done = fcntl(fd, wait ? F_SETLKW : F_SETLK, &lock);
  while (done != 0 && errno == EINTR);
  return done == 0;
}

mv_status mv_eval_lock_take(mv_eval_lock *lock, const char *path, int wait, mv_error *err) {
  lock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock->fd < 0) return mv_fail(err, MV_ERR_IO, "%s: %s", path, strerror(errno));
  if (lock_fd(lock->fd, wait)) return MV_OK;
  mv_status status = mv_fail(err, MV_ERR_IO, "%s: cannot be locked: %s", path, strerror(errno));
  mv_eval_lock_drop(lock);
  return status;
}

void mv_eval_lock_drop(mv_eval_lock *lock) {
  if (lock->fd >= 0) close(lock->fd);
  lock->fd = -1;
}

/* ---- appending ---- */

/* Cuts what follows the last newline. */
static mv_status cut_torn_line(int fd, const char *path, mv_error *err) {
  off_t end = lseek(fd, 0, SEEK_END), keep = end;
  char chunk[4096];
  while (keep > 0) {
    size_t n = (size_t)(keep < (off_t)sizeof chunk ? keep : (off_t)sizeof chunk);
    if (pread(fd, chunk, n, keep - (off_t)n) != (ssize_t)n)
      return mv_fail(err, MV_ERR_IO, "%s: %s", path, strerror(errno));
    while (n > 0 && chunk[n - 1] != '\n') n--, keep--;
    if (n > 0) break;
  }
  if (keep < end && ftruncate(fd, keep) != 0)
    return mv_fail(err, MV_ERR_IO, "%s: %s", path, strerror(errno));
  return MV_OK;
}

mv_status mv_eval_cache_open(mv_eval_cache *cache, const mv_eval_place *place, const char *task,
                             int rank, mv_error *err) {
  char suffix[32];
  cache->fd = cache->lock.fd = -1;
  snprintf(suffix, sizeof suffix, "_rank%d.lock", rank);
  cache->path = mv_path_make(place->cache, task, suffix);
  if (!cache->path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  if (mv_eval_lock_take(&cache->lock, cache->path, 0, err) != MV_OK)
    return mv_fail(err, MV_ERR_IO,
                   "%s: cannot be locked: is another run writing here? (wait for it, or give "
                   "another --results-dir)",
                   cache->path);
  mv_free(cache->path);
  snprintf(suffix, sizeof suffix, "_rank%d.jsonl", rank);
  cache->path = mv_path_make(place->cache, task, suffix);
  if (!cache->path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  cache->fd = open(cache->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (cache->fd < 0) return mv_fail(err, MV_ERR_IO, "%s: %s", cache->path, strerror(errno));
  return cut_torn_line(cache->fd, cache->path, err);
}

mv_status mv_eval_cache_add(mv_eval_cache *cache, const mv_eval_doc *doc, mv_str response,
                            mv_error *err) {
  mv_buf line = {0};
  mv_json_writer w = {.out = &line};
  mv_json_begin_object(&w);
  mv_json_key(&w, "key");
  mv_json_text(&w, doc->key);
  mv_json_key(&w, "response");
  mv_json_string(&w, response);
  mv_json_key(&w, "line");
  mv_json_text(&w, doc->line_sha);
  mv_json_end_object(&w);
  mv_buf_char(&line, '\n');
  mv_status status = mv_buf_status(&line, err);
  for (size_t at = 0; status == MV_OK && at < line.len;) {
    ssize_t n = write(cache->fd, line.ptr + at, line.len - at);
    if (n > 0)
      at += (size_t)n;
    else if (n < 0 && errno != EINTR)
      status = mv_fail(err, MV_ERR_IO, "%s: cannot write: %s", cache->path, strerror(errno));
  }
  if (status == MV_OK && fsync(cache->fd) != 0 && errno != EINVAL)
    status = mv_fail(err, MV_ERR_IO, "%s: cannot write: %s", cache->path, strerror(errno));
  mv_buf_free(&line);
  return status;
}

void mv_eval_cache_close(mv_eval_cache *cache) {
  if (!cache->path) return;
  if (cache->fd >= 0) close(cache->fd);
  mv_eval_lock_drop(&cache->lock);
  mv_free(cache->path);
  memset(cache, 0, sizeof *cache);
  cache->fd = cache->lock.fd = -1;
}

/* ---- reading ---- */

static size_t hash_text(mv_str text) {
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < text.len; i++) h = (h ^ (unsigned char)text.ptr[i]) * 1099511628211u;
  return (size_t)(h ^ h >> 32);
}

static mv_str member(const mv_json *record, const char *key) {
  const mv_json *node = mv_json_get(record, key);
  return mv_json_is(node, MV_JSON_STRING) ? node->text : (mv_str){NULL, 0};
}

/* The slot of (key, line): the first of such, or an empty one. */
static size_t find_slot(const mv_eval_answers *a, mv_str key, mv_str line) {
  size_t at = hash_text(key) & (a->n_slot - 1);
  while (a->slots[at]) {
    mv_str found = member(a->slots[at], "line");
    if (mv_str_eq(member(a->slots[at], "key"), key) &&
        (!found.ptr || !line.ptr || mv_str_eq(found, line)))
      break;
    at = (at + 1) & (a->n_slot - 1);
  }
  return at;
}

static mv_status index_answers(mv_eval_answers *a, mv_error *err) {
  size_t n = 0;
  for (size_t f = 0; f < a->n_file; f++) n += a->files[f].n;
  for (a->n_slot = 16; a->n_slot < 2 * n;) a->n_slot *= 2;
  a->slots = mv_calloc(a->n_slot, sizeof *a->slots);
  if (!a->slots) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  for (size_t f = 0; f < a->n_file; f++)
    for (size_t i = 0; i < a->files[f].n; i++) {
      const mv_json *record = a->files[f].v[i].doc.root;
      mv_str key = member(record, "key");
      if (!key.ptr || !member(record, "response").ptr) continue;
      size_t at = find_slot(a, key, member(record, "line"));
      if (!a->slots[at]) a->slots[at] = record;
    }
  return MV_OK;
}

/* Whole lines of a file that parse; a torn one is dropped. */
static mv_status read_whole_lines(mv_records *records, const char *path, mv_error *err) {
  mv_buf text = {0};
  mv_status status = mv_file_read(path, MV_EVAL_MAX_BYTES, &text, err);
  for (size_t at = 0; status == MV_OK && at < text.len;) {
    const char *newline = memchr(text.ptr + at, '\n', text.len - at);
    if (!newline) break;
    mv_str line = {text.ptr + at, (size_t)(newline - text.ptr) - at};
    at += line.len + 1;
    if (records->n == records->cap) {
      size_t cap = records->cap ? 2 * records->cap : 64;
      mv_record *grown = mv_realloc(records->v, cap * sizeof *grown);
      if (!grown) {
        status = mv_fail(err, MV_ERR_MEMORY, "out of memory");
        break;
      }
      records->v = grown, records->cap = cap;
    }
    mv_record *r = &records->v[records->n];
    memset(r, 0, sizeof *r);
    if (mv_json_parse(&r->doc, line, NULL) == MV_OK) records->n++;
  }
  mv_buf_free(&text);
  return status;
}

static int is_rank_file(const char *name, const char *task) {
  size_t n = strlen(task);
  return !strncmp(name, task, n) && !strncmp(name + n, "_rank", 5) &&
         name[n + 5 + strspn(name + n + 5, "0123456789")] == '.';
}

mv_status mv_eval_answers_read(mv_eval_answers *answers, const mv_eval_place *place,
                               const char *task, mv_error *err) {
  mv_names names = {0};
  memset(answers, 0, sizeof *answers);
  MV_TRY(mv_names_read(&names, place->cache, ".jsonl", err));
  answers->files = mv_calloc(names.n + 1, sizeof *answers->files);
  mv_status status = answers->files ? MV_OK : mv_fail(err, MV_ERR_MEMORY, "out of memory");
  for (size_t i = 0; status == MV_OK && i < names.n; i++) {
    if (!is_rank_file(names.v[i], task)) continue;
    char *path = mv_path_join(place->cache, names.v[i]);
    status = path ? read_whole_lines(&answers->files[answers->n_file++], path, err)
                  : mv_fail(err, MV_ERR_MEMORY, "out of memory");
    mv_free(path);
  }
  if (status == MV_OK) status = index_answers(answers, err);
  mv_names_free(&names);
  if (status != MV_OK) mv_eval_answers_free(answers);
  return status;
}

void mv_eval_answers_free(mv_eval_answers *answers) {
  for (size_t i = 0; i < answers->n_file; i++) mv_records_free(&answers->files[i]);
  mv_free(answers->files);
  mv_free(answers->slots);
  memset(answers, 0, sizeof *answers);
}

int mv_eval_answers_find(const mv_eval_answers *answers, const mv_eval_doc *doc, mv_str *response) {
  size_t at = find_slot(answers, mv_str_of(doc->key), mv_str_of(doc->line_sha));
  if (!answers->slots[at]) return 0;
  *response = member(answers->slots[at], "response");
  return 1;
}

/* ---- settings ---- */

/* Names the first member that differs. */
static mv_status refuse(const char *path, const mv_json *old, const mv_json *now, mv_error *err) {
  for (const mv_json *a = old->first, *b = now->first; a && b; a = a->next, b = b->next) {
    mv_buf was = {0}, is = {0};
    mv_json_writer wa = {.out = &was}, wb = {.out = &is};
    mv_json_node(&wa, a);
    mv_json_node(&wb, b);
    int same = mv_str_eq(mv_buf_view(&was), mv_buf_view(&is));
    if (!same)
      mv_fail(err, MV_ERR_USAGE,
              "%s: the answers there were made with %.*s %.200s, not %.200s (give another "
              "--results-dir, or the same options)",
              path, (int)a->key.len, a->key.ptr, was.ptr, is.ptr);
    mv_buf_free(&was);
    mv_buf_free(&is);
    if (!same) return MV_ERR_USAGE;
  }
  return MV_OK;
}

mv_status mv_eval_settings_check(const mv_eval_place *place, const char *task, mv_str settings,
                                 mv_error *err) {
  mv_buf text = {0};
  mv_json_doc old = {0}, now = {0};
  char *path = mv_path_make(place->cache, task, "_settings.json");
  if (!path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  mv_status status = MV_OK;
  if (!mv_file_exists(path)) {
    status = mv_file_write(path, settings.ptr, settings.len, err);
  } else {
    status = mv_file_read(path, 1 << 20, &text, err);
    if (status == MV_OK) status = mv_json_parse(&old, mv_buf_view(&text), err);
    if (status == MV_OK) status = mv_json_parse(&now, settings, err);
    if (status == MV_OK && mv_json_is(old.root, MV_JSON_OBJECT))
      status = refuse(path, old.root, now.root, err);
  }
  mv_json_doc_free(&old);
  mv_json_doc_free(&now);
  mv_buf_free(&text);
  mv_free(path);
  return status;
}
