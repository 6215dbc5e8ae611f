/* The files of a checkpoint folder: one, or the shards that an index names. */
#include <stdlib.h>
#include <string.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "runtime/text.h"
#include "weights/json_read.h"
#include "weights/offenders.h"
#include "weights/safetensors.h"

#define MAX_INDEX_BYTES (64u << 20)
#define MAX_SHARDS 4096

static mv_status out_of_memory(const char *path, mv_error *err) {
  return mv_fail(err, MV_ERR_MEMORY, "%s: out of memory", path);
}

/* The index, parsed: tensor names and the shards they name. */
typedef struct shard_index {
  const char *dir, *path;
  cJSON *root;        /* owns */
  const cJSON *map;   /* "weight_map": name -> file name */
  const char **files; /* owns the array: distinct file names, sorted; borrows them from root */
  int n_files;
} shard_index;

static int compare_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Fills index->files with the distinct shard names. A name is a plain file name: an index from
 * elsewhere must not reach outside of its folder. */
static mv_status list_shards(shard_index *index, mv_error *err) {
  int n = cJSON_GetArraySize(index->map), n_distinct = 0;
  index->files = mv_calloc((size_t)n, sizeof *index->files);
  if (!index->files) return out_of_memory(index->path, err);
  for (const cJSON *item = index->map->child; item; item = item->next) {
    const char *file = cJSON_IsString(item) ? item->valuestring : "";
    if (!*file || strchr(file, '/') || strcmp(file, "..") == 0 || strcmp(file, ".") == 0)
      return mv_fail(err, MV_ERR_FORMAT,
                     "%s: tensor \"%.200s\": expected a file name, found "
                     "\"%.200s\"",
                     index->path, item->string, file);
    index->files[index->n_files++] = file;
  }
  qsort(index->files, (size_t)n, sizeof *index->files, compare_text);
  for (int i = 0; i < n; i++) {
    if (i == 0 || strcmp(index->files[i], index->files[i - 1]) != 0)
      index->files[n_distinct++] = index->files[i];
  }
  index->n_files = n_distinct;
  if (n_distinct > MAX_SHARDS)
    return mv_fail(err, MV_ERR_FORMAT, "%s: %d shards, at most %d are read", index->path,
                   n_distinct, MAX_SHARDS);
  return MV_OK;
}

static mv_status read_index(shard_index *index, mv_error *err) {
  mv_buf text = {0};
  mv_status status = mv_file_read(index->path, MAX_INDEX_BYTES, &text, err);
  mv_str view = mv_buf_view(&text);
  if (status == MV_OK) status = mv_cjson_object(&index->root, view.ptr, view.len, index->path, err);
  mv_buf_free(&text);
  MV_TRY(status);
  index->map = cJSON_GetObjectItemCaseSensitive(index->root, "weight_map");
  if (!cJSON_IsObject(index->map) || !index->map->child)
    return mv_fail(err, MV_ERR_FORMAT, "%s: expected a non-empty object \"weight_map\"",
                   index->path);
  return list_shards(index, err);
}

/* Fails when the list is not empty; releases it. */
static mv_status fail_if_any(mv_offenders *list, const char *path, const char *what,
                             const char *advice, mv_error *err) {
  mv_buf text = {0};
  mv_offenders_print(list, 1600, &text);
  mv_status status = mv_buf_status(&text, err);
  if (status == MV_OK && list->n)
    status = mv_fail(err, MV_ERR_FORMAT, "%.200s: %s: %s (%s)", path, what, text.ptr, advice);
  mv_buf_free(&text);
  mv_offenders_free(list);
  return status;
}

/* Names all shards that are not there, at once. */
static mv_status check_shards_exist(const shard_index *index, char *const *paths, mv_error *err) {
  mv_offenders list = {0};
  for (int i = 0; i < index->n_files; i++) {
    if (!mv_file_exists(paths[i])) mv_offenders_add(&list, "%s", index->files[i]);
  }
  return fail_if_any(&list, index->path, "missing shards", "is the download complete?", err);
}

/* Every tensor of the index must be in the shard it names. Marks the tensors met in `seen`. */
static mv_status check_listed(const mv_safetensors *set, const shard_index *index,
                              unsigned char *seen, mv_error *err) {
  mv_offenders list = {0};
  for (const cJSON *item = index->map->child; item; item = item->next) {
    const mv_st_tensor *t = mv_safetensors_find(set, item->string);
    const char *file = t ? strrchr(mv_safetensors_file(set, t->file), '/') : NULL;
    if (t) seen[t - mv_safetensors_at(set, 0)] = 1;
    if (!file || strcmp(file + 1, item->valuestring) != 0)
      mv_offenders_add(&list, "%s", item->string);
  }
  return fail_if_any(&list, index->path, "tensors not in the shard the index names",
                     "are the shards from another download?", err);
}

static mv_status check_unlisted(const mv_safetensors *set, const shard_index *index,
                                const unsigned char *seen, mv_error *err) {
  mv_offenders list = {0};
  for (size_t i = 0; i < mv_safetensors_count(set); i++) {
    if (!seen[i]) mv_offenders_add(&list, "%s", mv_safetensors_at(set, i)->name);
  }
  return fail_if_any(&list, index->path, "tensors in the shards but not in the index",
                     "are the shards from another download?", err);
}

/* Index and shards must agree, both ways. */
static mv_status check_index(const mv_safetensors *set, const shard_index *index, mv_error *err) {
  unsigned char *seen = mv_calloc(mv_safetensors_count(set), 1);
  if (!seen) return out_of_memory(index->path, err);
  mv_status status = check_listed(set, index, seen, err);
  if (status == MV_OK) status = check_unlisted(set, index, seen, err);
  mv_free(seen);
  return status;
}

/* Joins the folder's path to every shard's name, in place: paths[i] is then owned. */
static mv_status open_paths(mv_safetensors **out, const shard_index *index, char **paths,
                            mv_error *err) {
  for (int i = 0; i < index->n_files; i++) {
    paths[i] = mv_path_join(index->dir, index->files[i]);
    if (!paths[i]) return out_of_memory(index->path, err);
  }
  MV_TRY(check_shards_exist(index, paths, err));
  return mv_safetensors_open_files(out, (const char *const *)paths, index->n_files, err);
}

static mv_status open_shards(mv_safetensors **out, shard_index *index, mv_error *err) {
  MV_TRY(read_index(index, err));
  char **paths = mv_calloc((size_t)index->n_files, sizeof *paths);
  if (!paths) return out_of_memory(index->path, err);
  mv_status status = open_paths(out, index, paths, err);
  for (int i = 0; i < index->n_files; i++) mv_free(paths[i]);
  mv_free(paths);
  if (status == MV_OK) status = check_index(*out, index, err);
  if (status != MV_OK) {
    mv_safetensors_close(*out);
    *out = NULL;
  }
  return status;
}

mv_status mv_safetensors_open_dir(mv_safetensors **out, const char *dir, mv_error *err) {
  *out = NULL;
  char *single = mv_path_join(dir, "model.safetensors");
  char *path = mv_path_join(dir, "model.safetensors.index.json");
  mv_status status;
  if (!single || !path) {
    status = out_of_memory(dir, err);
  } else if (mv_file_exists(single)) {
    status = mv_safetensors_open(out, single, err);
  } else if (mv_file_exists(path)) {
    shard_index index = {.dir = dir, .path = path};
    status = open_shards(out, &index, err);
    mv_free(index.files);
    cJSON_Delete(index.root);
  } else {
    status = mv_fail(err, MV_ERR_IO,
                     "%s: expected model.safetensors or model.safetensors.index.json, found "
                     "neither (weights in other formats must be converted first)",
                     dir);
  }
  mv_free(single);
  mv_free(path);
  return status;
}
