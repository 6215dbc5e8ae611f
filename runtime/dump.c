#include "runtime/dump.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/file.h"
#include "weights/safetensors_write.h"

typedef struct stage {
  char name[64];
  int d;
  mv_buf rows; /* f32 bytes */
} stage;

struct mv_dump {
  mv_model *model;
  stage *stages;
  size_t n, cap;
  int failed;
};

mv_status mv_dump_new(mv_dump **out, mv_model *model, mv_error *err) {
  *out = mv_calloc(1, sizeof **out);
  if (!*out) return mv_fail(err, MV_ERR_MEMORY, "no memory for a dump");
  (*out)->model = model;
  return MV_OK;
}

void mv_dump_free(mv_dump *dump) {
  if (!dump) return;
  for (size_t i = 0; i < dump->n; i++) mv_buf_free(&dump->stages[i].rows);
  mv_free(dump->stages);
  mv_free(dump);
}

static stage *find_stage(mv_dump *dump, const char *name, int layer, int d) {
  char full[64];
  if (layer >= 0)
    snprintf(full, sizeof full, "%s.%d", name, layer);
  else
    snprintf(full, sizeof full, "%s", name);
  for (size_t i = 0; i < dump->n; i++)
    if (strcmp(dump->stages[i].name, full) == 0) return &dump->stages[i];
  if (dump->n == dump->cap) {
    size_t cap = dump->cap ? dump->cap * 2 : 32;
    stage *grown = mv_realloc(dump->stages, cap * sizeof *grown);
    if (!grown) return NULL;
    dump->stages = grown;
    dump->cap = cap;
  }
  stage *s = &dump->stages[dump->n++];
  memset(s, 0, sizeof *s);
  memcpy(s->name, full, sizeof full);
  s->d = d;
  return s;
}

void mv_dump_rows(mv_dump *dump, const char *name, int layer, const void *rows, mv_dtype dtype,
                  int n_row, int d) {
  size_t n = (size_t)n_row * (size_t)d, bytes = n * mv_dtype_bytes(dtype);
  stage *s = find_stage(dump, name, layer, d);
  char *host = mv_alloc(bytes);
  if (!s || !host) {
    dump->failed = 1;
    mv_free(host);
    return;
  }
  dump->model->ops->download(&dump->model->device, host, rows, bytes);
  if (dtype == MV_DTYPE_F32) {
    mv_buf_add(&s->rows, host, bytes);
  } else {
    for (size_t i = 0; i < n; i++) {
      uint16_t h;
      memcpy(&h, host + 2 * i, sizeof h);
      float x = mv_bf16_to_f32(h);
      mv_buf_add(&s->rows, &x, sizeof x);
    }
  }
  mv_free(host);
}

mv_status mv_dump_write(const mv_dump *dump, const char *dir, mv_error *err) {
  for (size_t i = 0; i < dump->n; i++) MV_TRY(mv_buf_status(&dump->stages[i].rows, err));
  if (dump->failed) return mv_fail(err, MV_ERR_MEMORY, "%s: no memory for the dump", dir);
  if (mkdir(dir, 0777) != 0 && errno != EEXIST)
    return mv_fail(err, MV_ERR_IO, "%s: cannot make the directory: %s", dir, strerror(errno));
  char *path = mv_path_join(dir, "prefill.safetensors");
  mv_st_source *sources = mv_calloc(dump->n, sizeof *sources);
  mv_status status = path && sources ? MV_OK : mv_fail(err, MV_ERR_MEMORY, "%s: no memory", dir);
  for (size_t i = 0; status == MV_OK && i < dump->n; i++) {
    const stage *s = &dump->stages[i];
    int64_t n_row = (int64_t)(s->rows.len / sizeof(float) / (size_t)s->d);
    sources[i] = (mv_st_source){.name = s->name,
                                .dtype = MV_ST_F32,
                                .n_dim = 2,
                                .shape = {n_row, s->d},
                                .data = s->rows.ptr};
  }
  if (status == MV_OK) status = mv_safetensors_write(path, sources, dump->n, err);
  mv_free(sources);
  mv_free(path);
  return status;
}
