#include "weights/checkpoint.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/file.h"
#include "runtime/memory.h"
#include "weights/offenders.h"

#define MAX_CONFIG_BYTES (16u << 20)
#define MAX_SHAPE_TEXT 72
#define MESSAGE_ROOM 1600 /* bytes of a message for offenders of all kinds */

struct mv_checkpoint {
  char *path; /* owns */
  mv_config config;
  mv_generation_config generation;
  mv_safetensors *files;    /* owns */
  mv_weight *weights;       /* owns: id by id, layer by layer */
  size_t first[MV_W_N + 1]; /* index of layer 0 of each id */
  mv_part_total totals[MV_PART_N];
  int64_t params_of[3]; /* by mv_dtype */
  int head_is_tied;
};

/* ---- binding ------------------------------------------------------------------------------ */

typedef struct binder {
  mv_checkpoint *ckpt;
  int scheme;
  unsigned char *used; /* owns: one flag per tensor of the files */
  mv_offenders missing, unexpected, misshaped, untyped;
} binder;

/* The scheme whose embedding is there; 0 when neither is (then the message speaks of scheme 0). */
static int find_scheme(const mv_safetensors *files) {
  char name[MV_WEIGHT_NAME_MAX];
  int best = 0;
  size_t best_hits = 0;
  static const mv_weight_id probes[] = {MV_W_EMBED, MV_W_FINAL_NORM, MV_W_PATCH_EMBED};
  for (int scheme = 0; scheme < MV_N_SCHEME; scheme++) {
    size_t hits = 0;
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
      mv_weight_name(probes[i], 0, scheme, name);
      hits += mv_safetensors_find(files, name) != NULL;
    }
    if (hits > best_hits) {
      best = scheme;
      best_hits = hits;
    }
  }
  return best;
}

static void count(mv_checkpoint *ckpt, mv_weight_id id, const mv_st_tensor *t, mv_dtype dtype) {
  mv_part_total *total = &ckpt->totals[mv_weight_part(id)];
  total->n_tensors++;
  total->n_params += t->n_elem;
  total->n_bytes += (int64_t)t->n_bytes;
  ckpt->params_of[dtype] += t->n_elem;
}

/* "[18944, 3584]" */
static void print_shape(char out[MAX_SHAPE_TEXT], const int64_t *shape, int n_dim) {
  int n = snprintf(out, MAX_SHAPE_TEXT, "[");
  for (int i = 0; i < n_dim && n < MAX_SHAPE_TEXT - 24; i++)
    n += snprintf(out + n, (size_t)(MAX_SHAPE_TEXT - n), "%s%" PRId64, i ? ", " : "", shape[i]);
  snprintf(out + n, (size_t)(MAX_SHAPE_TEXT - n), "]");
}

static void add_misshape(binder *b, const mv_st_tensor *t, const int64_t *want, int n_dim) {
  char expected[MAX_SHAPE_TEXT], found[MAX_SHAPE_TEXT];
  print_shape(expected, want, n_dim);
  print_shape(found, t->shape, t->n_dim);
  mv_offenders_add(&b->misshaped, "%s: expected %s, file has %s", t->name, expected, found);
}

static void bind_one(binder *b, mv_weight_id id, int layer) {
  mv_checkpoint *ckpt = b->ckpt;
  char name[MV_WEIGHT_NAME_MAX];
  mv_weight_name(id, layer, b->scheme, name);
  const mv_st_tensor *t = mv_safetensors_find(ckpt->files, name);
  if (!t) {
    if (id != MV_W_HEAD || !ckpt->config.tied_head) mv_offenders_add(&b->missing, "%s", name);
    return;
  }
  b->used[t - mv_safetensors_at(ckpt->files, 0)] = 1;
  int64_t shape[5];
  int n_dim = mv_weight_shape(id, &ckpt->config, shape);
  mv_weight *w = &ckpt->weights[ckpt->first[id] + (size_t)layer];
  if (t->n_dim != n_dim || memcmp(t->shape, shape, (size_t)n_dim * sizeof *shape) != 0) {
    add_misshape(b, t, shape, n_dim);
  } else if (!mv_st_dtype_compute(t->dtype, &w->dtype)) {
    mv_offenders_add(&b->untyped, "%s (%s)", name, mv_st_dtype_name(t->dtype));
  } else {
    w->data = t->data;
    w->name = t->name;
    w->aligned = t->aligned;
    w->file = mv_safetensors_infile(ckpt->files, t->file);
    if (w->file) w->at = (size_t)((const unsigned char *)t->data - w->file->map.data);
    mv_weight_dims(id, &ckpt->config, &w->rows, &w->cols);
    count(ckpt, id, t, w->dtype);
  }
}

/* Rotary frequencies, which old checkpoints carry along. */
static int is_harmless(const char *name) {
  static const char suffix[] = ".inv_freq";
  size_t n = strlen(name);
  return n >= sizeof suffix && strcmp(name + n - (sizeof suffix - 1), suffix) == 0;
}

/* One message for all kinds of offence. */
static mv_status report(binder *b, mv_error *err) {
  const struct {
    const char *what;
    const mv_offenders *list;
  } kinds[] = {{"missing", &b->missing},
               {"unexpected", &b->unexpected},
               {"mis-shaped", &b->misshaped},
               {"of a type other than F32, BF16, F16", &b->untyped}};
  const size_t n_kinds = sizeof kinds / sizeof *kinds;
  size_t n_any = 0;
  for (size_t i = 0; i < n_kinds; i++) n_any += kinds[i].list->n > 0;
  if (n_any == 0) return MV_OK;
  mv_buf text = {0};
  for (size_t i = 0; i < n_kinds; i++) {
    if (kinds[i].list->n == 0) continue;
    mv_buf_printf(&text, "%s%zu %s: ", text.len ? "; " : "", kinds[i].list->n, kinds[i].what);
    mv_offenders_print(kinds[i].list, MESSAGE_ROOM / n_any - 60, &text);
  }
  mv_status status = mv_buf_status(&text, err);
  if (status == MV_OK)
    status = mv_fail(err, MV_ERR_SHAPE,
                     "%.200s: tensors do not fit config.json: %s (is config.json from another "
                     "model?)",
                     b->ckpt->path, text.ptr);
  mv_buf_free(&text);
  return status;
}

/* Tied heads share the embedding unless the file holds a head of other values. */
static void tie_head(mv_checkpoint *ckpt) {
  const mv_weight *embed = &ckpt->weights[ckpt->first[MV_W_EMBED]];
  mv_weight *head = &ckpt->weights[ckpt->first[MV_W_HEAD]];
  if (!ckpt->config.tied_head || !embed->data) return;
  size_t n_bytes = (size_t)embed->rows * (size_t)embed->cols * mv_dtype_bytes(embed->dtype);
  if (head->data) {
    if (head->dtype != embed->dtype || memcmp(head->data, embed->data, n_bytes) != 0) return;
    ckpt->params_of[head->dtype] -= head->rows * head->cols;
    ckpt->totals[MV_PART_HEAD] = (mv_part_total){0};
  }
  *head = *embed;
  ckpt->head_is_tied = 1;
}

static mv_status make_table(mv_checkpoint *ckpt, mv_error *err) {
  size_t n = 0;
  for (int id = 0; id < MV_W_N; id++) {
    ckpt->first[id] = n;
    n += (size_t)mv_weight_layers((mv_weight_id)id, &ckpt->config);
  }
  ckpt->first[MV_W_N] = n;
  ckpt->weights = mv_calloc(n, sizeof *ckpt->weights);
  return ckpt->weights ? MV_OK : mv_fail(err, MV_ERR_MEMORY, "%s: out of memory", ckpt->path);
}

static mv_status bind_all(binder *b, mv_error *err) {
  mv_checkpoint *ckpt = b->ckpt;
  size_t n_files = mv_safetensors_count(ckpt->files);
  MV_TRY(make_table(ckpt, err));
  b->used = mv_calloc(n_files, 1);
  if (!b->used) return mv_fail(err, MV_ERR_MEMORY, "%s: out of memory", ckpt->path);
  b->scheme = find_scheme(ckpt->files);
  for (int id = 0; id < MV_W_N; id++) {
    int n_layers = (int)(ckpt->first[id + 1] - ckpt->first[id]);
    for (int layer = 0; layer < n_layers; layer++) bind_one(b, (mv_weight_id)id, layer);
  }
  for (size_t i = 0; i < n_files; i++) {
    const char *name = mv_safetensors_at(ckpt->files, i)->name;
    if (!b->used[i] && !is_harmless(name)) mv_offenders_add(&b->unexpected, "%.100s", name);
  }
  MV_TRY(report(b, err));
  tie_head(ckpt);
  return MV_OK;
}

static mv_status bind_checkpoint(mv_checkpoint *ckpt, mv_error *err) {
  binder b = {.ckpt = ckpt};
  mv_status status = bind_all(&b, err);
  mv_offenders *lists[] = {&b.missing, &b.unexpected, &b.misshaped, &b.untyped};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) mv_offenders_free(lists[i]);
  mv_free(b.used);
  return status;
}

/* ---- opening ------------------------------------------------------------------------------ */

static mv_checkpoint *new_checkpoint(const char *path) {
  mv_checkpoint *ckpt = mv_calloc(1, sizeof *ckpt);
  size_t n = strlen(path) + 1;
  if (!ckpt) return NULL;
  ckpt->path = mv_alloc(n);
  if (ckpt->path) {
    memcpy(ckpt->path, path, n);
    return ckpt;
  }
  mv_free(ckpt);
  return NULL;
}

static mv_status parse_configs(mv_checkpoint *ckpt, mv_str config, const char *config_name,
                               mv_str generation, const char *generation_name, mv_error *err) {
  MV_TRY(mv_config_parse(&ckpt->config, config, config_name, err));
  mv_generation_config_default(&ckpt->generation);
  if (generation.len == 0) return MV_OK;
  return mv_generation_config_parse(&ckpt->generation, generation, generation_name, err);
}

/* Reads and parses both configuration files of ckpt->path. */
static mv_status read_configs(mv_checkpoint *ckpt, mv_error *err) {
  mv_buf config = {0}, generation = {0};
  char *path = mv_path_join(ckpt->path, "config.json");
  char *gen_path = mv_path_join(ckpt->path, "generation_config.json");
  mv_status status = MV_OK;
  if (!path || !gen_path) {
    status = mv_fail(err, MV_ERR_MEMORY, "%s: out of memory", ckpt->path);
  } else if (!mv_file_exists(path)) {
    status = mv_fail(err, MV_ERR_IO,
                     "%s: expected a checkpoint directory with config.json and *.safetensors, "
                     "found no config.json",
                     ckpt->path);
  } else {
    status = mv_file_read(path, MAX_CONFIG_BYTES, &config, err);
    if (status == MV_OK && mv_file_exists(gen_path))
      status = mv_file_read(gen_path, MAX_CONFIG_BYTES, &generation, err);
    if (status == MV_OK)
      status =
          parse_configs(ckpt, mv_buf_view(&config), path, mv_buf_view(&generation), gen_path, err);
  }
  mv_buf_free(&config);
  mv_buf_free(&generation);
  mv_free(path);
  mv_free(gen_path);
  return status;
}

static mv_status check_directory(const char *dir, mv_error *err) {
  struct stat st;
  const char *problem = NULL;
  if (stat(dir, &st) != 0)
    problem = strerror(errno);
  else if (!S_ISDIR(st.st_mode))
    problem = "not a directory";
  if (!problem) return MV_OK;
  return mv_fail(err, MV_ERR_IO,
                 "\"%s\": %s (expected a checkpoint directory with config.json and *.safetensors)",
                 dir, problem);
}

static mv_status deliver(mv_checkpoint **out, mv_checkpoint *ckpt, mv_status status) {
  if (status != MV_OK) {
    mv_checkpoint_close(ckpt);
    ckpt = NULL;
  }
  *out = ckpt;
  return status;
}

mv_status mv_checkpoint_open(mv_checkpoint **out, const char *dir, mv_error *err) {
  *out = NULL;
  MV_TRY(check_directory(dir, err));
  mv_checkpoint *ckpt = new_checkpoint(dir);
  if (!ckpt) return mv_fail(err, MV_ERR_MEMORY, "%s: out of memory", dir);
  mv_status status = read_configs(ckpt, err);
  if (status == MV_OK) status = mv_safetensors_open_dir(&ckpt->files, dir, err);
  if (status == MV_OK) status = bind_checkpoint(ckpt, err);
  return deliver(out, ckpt, status);
}

mv_status mv_checkpoint_open_memory(mv_checkpoint **out, const char *label, mv_str config_json,
                                    mv_str generation_json, mv_str safetensors, mv_error *err) {
  *out = NULL;
  mv_checkpoint *ckpt = new_checkpoint(label);
  if (!ckpt) return mv_fail(err, MV_ERR_MEMORY, "%s: out of memory", label);
  mv_status status = parse_configs(ckpt, config_json, "config.json", generation_json,
                                   "generation_config.json", err);
  if (status == MV_OK)
    status = mv_safetensors_open_memory(&ckpt->files, safetensors.ptr, safetensors.len, label, err);
  if (status == MV_OK) status = bind_checkpoint(ckpt, err);
  return deliver(out, ckpt, status);
}

/* ---- empty checkpoints ---------------------------------------------------------------------- */

/* The released Qwen2.5-VL models; what is not here is the same in all of them. */
static const struct {
  const char *name;
  int vocab_size, d_model, d_ff, n_layer, n_head, n_kv, tied_head, vision_d_ff;
} shapes[] = {{"3b", 151936, 2048, 11008, 36, 16, 2, 1, 3420},
              {"7b", 152064, 3584, 18944, 28, 28, 4, 0, 3420},
              {"32b", 152064, 5120, 27648, 64, 40, 8, 0, 3456}};

static mv_status set_shape(mv_config *config, const char *name, mv_error *err) {
  if (strcmp(name, "config") == 0) return MV_OK;
  size_t i = 0, n = sizeof shapes / sizeof *shapes;
  while (i < n && strcmp(shapes[i].name, name) != 0) i++;
  if (i == n)
    return mv_fail(err, MV_ERR_USAGE, "shape %.40s: expected 3b, 7b, 32b or config", name);
  mv_text_config *t = &config->text;
  mv_vision_config *v = &config->vision;
  t->vocab_size = shapes[i].vocab_size;
  t->d_model = v->d_out = shapes[i].d_model;
  t->d_ff = shapes[i].d_ff;
  t->n_layer = shapes[i].n_layer;
  t->n_head = shapes[i].n_head;
  t->n_kv = shapes[i].n_kv;
  t->head_dim = 128;
  t->max_positions = 128000;
  t->rope_theta = 1e6;
  t->mrope_section[0] = 16;
  t->mrope_section[1] = t->mrope_section[2] = 24;
  config->tied_head = shapes[i].tied_head;
  v->depth = 32;
  v->d_model = 1280;
  v->d_ff = shapes[i].vision_d_ff;
  v->n_head = 16;
  v->head_dim = 80;
  v->window_size = 112;
  v->window_merged = v->window_size / v->merge_size / v->patch_size;
  memset(v->full_attention, 0, sizeof v->full_attention);
  for (int layer = 7; layer < 32; layer += 8) v->full_attention[layer] = 1;
  return MV_OK;
}

static mv_status bind_nothing(mv_checkpoint *ckpt, mv_error *err) {
  MV_TRY(make_table(ckpt, err));
  for (int id = 0; id < MV_W_N; id++)
    for (size_t i = ckpt->first[id]; i < ckpt->first[id + 1]; i++) {
      mv_weight *w = &ckpt->weights[i];
      mv_weight_dims((mv_weight_id)id, &ckpt->config, &w->rows, &w->cols);
      w->name = "random";
      w->dtype = MV_DTYPE_BF16;
      w->aligned = 1;
      if (id == MV_W_HEAD && ckpt->config.tied_head) continue;
      mv_part_total *total = &ckpt->totals[mv_weight_part((mv_weight_id)id)];
      total->n_tensors++;
      total->n_params += w->rows * w->cols;
      total->n_bytes += w->rows * w->cols * 2;
      ckpt->params_of[MV_DTYPE_BF16] += w->rows * w->cols;
    }
  ckpt->head_is_tied = ckpt->config.tied_head;
  return MV_OK;
}

mv_status mv_checkpoint_open_empty(mv_checkpoint **out, const char *dir, const char *shape,
                                   mv_error *err) {
  *out = NULL;
  MV_TRY(check_directory(dir, err));
  mv_checkpoint *ckpt = new_checkpoint(dir);
  if (!ckpt) return mv_fail(err, MV_ERR_MEMORY, "%s: out of memory", dir);
  mv_status status = read_configs(ckpt, err);
  if (status == MV_OK) status = set_shape(&ckpt->config, shape, err);
  if (status == MV_OK) status = bind_nothing(ckpt, err);
  return deliver(out, ckpt, status);
}

void mv_checkpoint_close(mv_checkpoint *ckpt) {
  if (!ckpt) return;
  mv_safetensors_close(ckpt->files);
  mv_free(ckpt->weights);
  mv_free(ckpt->path);
  mv_free(ckpt);
}

/* ---- looking ------------------------------------------------------------------------------ */

const mv_weight *mv_checkpoint_get(const mv_checkpoint *ckpt, mv_weight_id id, int layer) {
  assert(id < MV_W_N && layer >= 0 && ckpt->first[id] + (size_t)layer < ckpt->first[id + 1]);
  return &ckpt->weights[ckpt->first[id] + (size_t)layer];
}

const mv_config *mv_checkpoint_config(const mv_checkpoint *ckpt) { return &ckpt->config; }
const mv_generation_config *mv_checkpoint_generation(const mv_checkpoint *ckpt) {
  return &ckpt->generation;
}
const char *mv_checkpoint_path(const mv_checkpoint *ckpt) { return ckpt->path; }
const mv_safetensors *mv_checkpoint_files(const mv_checkpoint *ckpt) { return ckpt->files; }
int mv_checkpoint_head_is_tied(const mv_checkpoint *ckpt) { return ckpt->head_is_tied; }

int mv_checkpoint_eos(const mv_checkpoint *ckpt, int out[MV_MAX_EOS]) {
  int from_generation = ckpt->generation.n_eos > 0;
  int n = from_generation ? ckpt->generation.n_eos : ckpt->config.n_eos;
  const int *ids = from_generation ? ckpt->generation.eos_token_id : ckpt->config.eos_token_id;
  memcpy(out, ids, (size_t)n * sizeof *out);
  return n;
}

mv_part_total mv_checkpoint_total(const mv_checkpoint *ckpt, mv_part part) {
  return ckpt->totals[part];
}

int64_t mv_checkpoint_params_of(const mv_checkpoint *ckpt, mv_dtype dtype) {
  return ckpt->params_of[dtype];
}
