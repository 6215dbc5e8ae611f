#include "weights/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/memory.h"
#include "weights/json_read.h"

#define MAX_HEADER_BYTES 100000000u /* the format's own limit */
#define MAX_NAME_BYTES 512

static const struct {
  const char *name;
  unsigned char bytes;
} dtypes[MV_ST_N_DTYPE] = {
    [MV_ST_F32] = {"F32", 4},   [MV_ST_BF16] = {"BF16", 2},       [MV_ST_F16] = {"F16", 2},
    [MV_ST_F64] = {"F64", 8},   [MV_ST_I64] = {"I64", 8},         [MV_ST_I32] = {"I32", 4},
    [MV_ST_I16] = {"I16", 2},   [MV_ST_I8] = {"I8", 1},           [MV_ST_U64] = {"U64", 8},
    [MV_ST_U32] = {"U32", 4},   [MV_ST_U16] = {"U16", 2},         [MV_ST_U8] = {"U8", 1},
    [MV_ST_BOOL] = {"BOOL", 1}, [MV_ST_F8_E4M3] = {"F8_E4M3", 1}, [MV_ST_F8_E5M2] = {"F8_E5M2", 1},
};

typedef struct st_file {
  char *label;                /* owns: the path, or what the caller called the bytes */
  mv_infile in;               /* owns; not open when the bytes were given */
  const unsigned char *bytes; /* == in.map.data, or borrowed memory */
  size_t n_bytes;
} st_file;

struct mv_safetensors {
  mv_arena arena; /* names */
  st_file *files; /* owns */
  int n_files;
  mv_st_tensor *tensors; /* owns; sorted by name once complete */
  size_t n_tensors, cap;
};

const char *mv_st_dtype_name(mv_st_dtype dtype) { return dtypes[dtype].name; }
size_t mv_st_dtype_bytes(mv_st_dtype dtype) { return dtypes[dtype].bytes; }

int mv_st_dtype_compute(mv_st_dtype dtype, mv_dtype *out) {
  if (dtype == MV_ST_F32)
    *out = MV_DTYPE_F32;
  else if (dtype == MV_ST_BF16)
    *out = MV_DTYPE_BF16;
  else if (dtype == MV_ST_F16)
    *out = MV_DTYPE_F16;
  else
    return 0;
  return 1;
}

static mv_status out_of_memory(const char *label, mv_error *err) {
  return mv_fail(err, MV_ERR_MEMORY, "%s: out of memory", label);
}

/* ---- one file's header -------------------------------------------------------------------- */

typedef struct header {
  const char *label;
  const unsigned char *bytes; /* the whole file */
  size_t n_bytes;
  size_t data_at; /* offset of the first tensor byte */
} header;

/* Checks the length field; fills h->data_at. */
static mv_status read_length(header *h, mv_error *err) {
  if (h->n_bytes < 8)
    return mv_fail(err, MV_ERR_FORMAT, "%s: %zu bytes is too short for a safetensors file",
                   h->label, h->n_bytes);
  uint64_t n = 0;
  for (int i = 7; i >= 0; i--) n = n << 8 | h->bytes[i];
  if (n > MAX_HEADER_BYTES)
    return mv_fail(err, MV_ERR_FORMAT,
                   "%s: header of %llu bytes exceeds the format's limit of %u (is this a "
                   "safetensors file?)",
                   h->label, (unsigned long long)n, MAX_HEADER_BYTES);
  if (n > h->n_bytes - 8)
    return mv_fail(err, MV_ERR_FORMAT,
                   "%s: header of %llu bytes is longer than the file (%zu bytes; was it cut "
                   "short?)",
                   h->label, (unsigned long long)n, h->n_bytes);
  if (n == 0 || h->bytes[8] != '{')
    return mv_fail(err, MV_ERR_FORMAT, "%s: header does not begin with '{'", h->label);
  h->data_at = 8 + (size_t)n;
  return MV_OK;
}

static mv_status tensor_fail(const header *h, const char *name, const char *what, mv_error *err) {
  return mv_fail(err, MV_ERR_FORMAT, "%s: tensor \"%.200s\": %s", h->label, name, what);
}

static mv_status read_dtype(const header *h, const cJSON *item, mv_st_dtype *out, mv_error *err) {
  const cJSON *text = cJSON_GetObjectItemCaseSensitive(item, "dtype");
  if (!cJSON_IsString(text)) return tensor_fail(h, item->string, "\"dtype\" must be a string", err);
  for (int i = 0; i < MV_ST_N_DTYPE; i++) {
    if (strcmp(text->valuestring, dtypes[i].name) == 0) {
      *out = (mv_st_dtype)i;
      return MV_OK;
    }
  }
  return mv_fail(err, MV_ERR_UNSUPPORTED, "%s: tensor \"%.200s\": unknown dtype \"%.40s\"",
                 h->label, item->string, text->valuestring);
}

/* Shape, element count and byte count, overflow checked. */
static mv_status read_shape(const header *h, const cJSON *item, mv_st_tensor *t, mv_error *err) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(item, "shape");
  if (!cJSON_IsArray(list)) return tensor_fail(h, item->string, "\"shape\" must be a list", err);
  size_t n_elem = 1;
  for (const cJSON *dim = list->child; dim; dim = dim->next) {
    int64_t d;
    if (t->n_dim == MV_ST_MAX_DIMS)
      return tensor_fail(h, item->string, "more than 8 dimensions", err);
    if (!mv_cjson_int(dim, &d) || d < 0)
      return tensor_fail(h, item->string, "a dimension is not a non-negative integer", err);
    if (!mv_mul_size(n_elem, (size_t)d, &n_elem) || n_elem > INT64_MAX)
      return tensor_fail(h, item->string, "shape overflows", err);
    t->shape[t->n_dim++] = d;
  }
  if (!mv_mul_size(n_elem, dtypes[t->dtype].bytes, &t->n_bytes))
    return tensor_fail(h, item->string, "shape overflows", err);
  t->n_elem = (int64_t)n_elem;
  return MV_OK;
}

static mv_status read_offsets(const header *h, const cJSON *item, mv_st_tensor *t, mv_error *err) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
  const cJSON *first = cJSON_IsArray(list) ? list->child : NULL;
  int64_t begin, end;
  if (!first || !first->next || first->next->next || !mv_cjson_int(first, &begin) ||
      !mv_cjson_int(first->next, &end) || begin < 0 || end < begin || end >= (int64_t)1 << 53)
    return tensor_fail(h, item->string,
                       "\"data_offsets\" must be two integers, begin <= end < 2^53", err);
  size_t room = h->n_bytes - h->data_at;
  if ((uint64_t)end > room)
    return mv_fail(err, MV_ERR_FORMAT,
                   "%s: tensor \"%.200s\" ends at byte %lld of %zu (was the file cut short?)",
                   h->label, item->string, (long long)end, room);
  if ((uint64_t)(end - begin) != t->n_bytes)
    return mv_fail(err, MV_ERR_FORMAT,
                   "%s: tensor \"%.200s\": dtype and shape need %zu bytes, data_offsets give %lld",
                   h->label, item->string, t->n_bytes, (long long)(end - begin));
  const unsigned char *at = h->bytes + h->data_at + begin;
  t->data = at;
  t->aligned = (uintptr_t)at % dtypes[t->dtype].bytes == 0;
  return MV_OK;
}

static mv_status add_tensor(mv_safetensors *set, const header *h, const cJSON *item,
                            mv_error *err) {
  mv_st_tensor t = {.file = set->n_files};
  if (!cJSON_IsObject(item)) return tensor_fail(h, item->string, "expected an object", err);
  size_t n_name = strlen(item->string);
  if (n_name == 0 || n_name > MAX_NAME_BYTES)
    return tensor_fail(h, item->string, "name must have 1 to 512 bytes", err);
  MV_TRY(read_dtype(h, item, &t.dtype, err));
  MV_TRY(read_shape(h, item, &t, err));
  MV_TRY(read_offsets(h, item, &t, err));
  if (set->n_tensors == set->cap) {
    size_t cap = set->cap ? set->cap * 2 : 256;
    mv_st_tensor *grown = mv_realloc(set->tensors, cap * sizeof *grown);
    if (!grown) return out_of_memory(h->label, err);
    set->tensors = grown;
    set->cap = cap;
  }
  char *name = mv_arena_alloc(&set->arena, n_name + 1);
  if (!name) return out_of_memory(h->label, err);
  t.name = memcpy(name, item->string, n_name + 1);
  set->tensors[set->n_tensors++] = t;
  return MV_OK;
}

static int compare_data(const void *a, const void *b) {
  const mv_st_tensor *x = a, *y = b;
  uintptr_t px = (uintptr_t)x->data, py = (uintptr_t)y->data;
  if (px != py) return px < py ? -1 : 1;
  return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

/* The tensors must tile the bytes after the header: each begins where the one before it ended. */
static mv_status check_cover(const header *h, mv_st_tensor *tensors, size_t n, mv_error *err) {
  qsort(tensors, n, sizeof *tensors, compare_data);
  const unsigned char *at = h->bytes + h->data_at, *end = h->bytes + h->n_bytes;
  for (size_t i = 0; i < n; i++) {
    const unsigned char *begin = tensors[i].data;
    if (begin < at)
      return mv_fail(err, MV_ERR_FORMAT, "%s: tensors \"%.200s\" and \"%.200s\" overlap", h->label,
                     tensors[i - 1].name, tensors[i].name);
    if (begin > at)
      return mv_fail(err, MV_ERR_FORMAT, "%s: a hole of %zu bytes before tensor \"%.200s\"",
                     h->label, (size_t)(begin - at), tensors[i].name);
    at = begin + tensors[i].n_bytes;
  }
  if (at != end)
    return mv_fail(err, MV_ERR_FORMAT, "%s: %zu bytes after the last tensor belong to none",
                   h->label, (size_t)(end - at));
  return MV_OK;
}

/* Reads the header of file number set->n_files and appends its tensors. */
static mv_status add_tensors(mv_safetensors *set, const st_file *file, mv_error *err) {
  header h = {file->label, file->bytes, file->n_bytes, 0};
  MV_TRY(read_length(&h, err));
  cJSON *root;
  MV_TRY(mv_cjson_object(&root, (const char *)h.bytes + 8, h.data_at - 8, h.label, err));
  size_t first = set->n_tensors;
  mv_status status = MV_OK;
  for (const cJSON *item = root->child; item && status == MV_OK; item = item->next) {
    if (strcmp(item->string, "__metadata__") != 0) status = add_tensor(set, &h, item, err);
  }
  cJSON_Delete(root);
  MV_TRY(status);
  if (first == set->n_tensors) return mv_fail(err, MV_ERR_FORMAT, "%s: holds no tensors", h.label);
  return check_cover(&h, set->tensors + first, set->n_tensors - first, err);
}

/* ---- sets of files ------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b) {
  return strcmp(((const mv_st_tensor *)a)->name, ((const mv_st_tensor *)b)->name);
}

/* Sorts by name and refuses a name that two files hold (one file's names are unique already). */
static mv_status finish(mv_safetensors *set, mv_error *err) {
  qsort(set->tensors, set->n_tensors, sizeof *set->tensors, compare_names);
  for (size_t i = 1; i < set->n_tensors; i++) {
    const mv_st_tensor *a = &set->tensors[i - 1], *b = &set->tensors[i];
    if (strcmp(a->name, b->name) == 0)
      return mv_fail(err, MV_ERR_FORMAT, "tensor \"%.200s\" is in both %s and %s", a->name,
                     set->files[a->file].label, set->files[b->file].label);
  }
  return MV_OK;
}

static mv_safetensors *new_set(int n_files) {
  mv_safetensors *set = mv_calloc(1, sizeof *set);
  if (!set) return NULL;
  set->files = mv_calloc((size_t)n_files, sizeof *set->files);
  if (set->files) return set;
  mv_free(set);
  return NULL;
}

static char *copy_text(const char *text) {
  size_t n = strlen(text) + 1;
  char *copy = mv_alloc(n);
  return copy ? memcpy(copy, text, n) : NULL;
}

/* The next file, from memory or, with bytes NULL, from its path; set->files has room. */
static mv_status add_file(mv_safetensors *set, const char *label, const void *bytes, size_t n_bytes,
                          mv_error *err) {
  st_file *file = &set->files[set->n_files];
  *file = (st_file){.label = copy_text(label), .bytes = bytes, .n_bytes = n_bytes};
  if (!file->label) return out_of_memory(label, err);
  mv_status status = bytes ? MV_OK : mv_infile_open(&file->in, file->label, err);
  if (!bytes) file->bytes = file->in.map.data;
  if (!bytes) file->n_bytes = file->in.map.size;
  if (status == MV_OK) status = add_tensors(set, file, err);
  set->n_files++;
  return status;
}

/* Hands the set over on success, releases it on failure. */
static mv_status deliver(mv_safetensors **out, mv_safetensors *set, mv_status status,
                         mv_error *err) {
  if (status == MV_OK) status = finish(set, err);
  if (status != MV_OK) {
    mv_safetensors_close(set);
    set = NULL;
  }
  *out = set;
  return status;
}

mv_status mv_safetensors_open_files(mv_safetensors **out, const char *const *paths, int n_paths,
                                    mv_error *err) {
  *out = NULL;
  mv_safetensors *set = new_set(n_paths);
  if (!set) return out_of_memory(paths[0], err);
  mv_status status = MV_OK;
  for (int i = 0; i < n_paths && status == MV_OK; i++)
    status = add_file(set, paths[i], NULL, 0, err);
  return deliver(out, set, status, err);
}

mv_status mv_safetensors_open(mv_safetensors **out, const char *path, mv_error *err) {
  return mv_safetensors_open_files(out, &path, 1, err);
}

mv_status mv_safetensors_open_memory(mv_safetensors **out, const void *bytes, size_t n_bytes,
                                     const char *label, mv_error *err) {
  *out = NULL;
  mv_safetensors *set = new_set(1);
  if (!set) return out_of_memory(label, err);
  return deliver(out, set, add_file(set, label, bytes ? bytes : "", n_bytes, err), err);
}

void mv_safetensors_close(mv_safetensors *set) {
  if (!set) return;
  for (int i = 0; i < set->n_files; i++) {
    mv_infile_close(&set->files[i].in);
    mv_free(set->files[i].label);
  }
  mv_arena_reset(&set->arena);
  mv_free(set->files);
  mv_free(set->tensors);
  mv_free(set);
}

size_t mv_safetensors_count(const mv_safetensors *set) { return set->n_tensors; }
const mv_st_tensor *mv_safetensors_at(const mv_safetensors *set, size_t i) {
  return &set->tensors[i];
}

const mv_st_tensor *mv_safetensors_find(const mv_safetensors *set, const char *name) {
  mv_st_tensor key = {.name = name};
  return bsearch(&key, set->tensors, set->n_tensors, sizeof key, compare_names);
}

int mv_safetensors_n_files(const mv_safetensors *set) { return set->n_files; }
const char *mv_safetensors_file(const mv_safetensors *set, int i) { return set->files[i].label; }

const mv_infile *mv_safetensors_infile(const mv_safetensors *set, int i) {
  return set->files[i].in.path ? &set->files[i].in : NULL;
}

size_t mv_safetensors_bytes(const mv_safetensors *set) {
  size_t n = 0;
  for (int i = 0; i < set->n_files; i++) n += set->files[i].n_bytes;
  return n;
}
