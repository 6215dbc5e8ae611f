#include "tests/weights/files.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/dtype.h"
#include "runtime/file.h"
#include "runtime/memory.h"

#define TEXT_KEYS                                                                        \
  "\"vocab_size\": 48, \"hidden_size\": 16, \"intermediate_size\": 24, "                 \
  "\"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"num_key_value_heads\": 1, "   \
  "\"max_position_embeddings\": 64, \"rms_norm_eps\": 1e-06, \"hidden_act\": \"silu\", " \
  "\"use_sliding_window\": false, \"sliding_window\": 32768, \"bos_token_id\": 5, "
#define VISION_KEYS                                                                  \
  "\"depth\": 2, \"hidden_size\": 16, \"intermediate_size\": 20, \"num_heads\": 2, " \
  "\"patch_size\": 4, \"temporal_patch_size\": 2, \"spatial_merge_size\": 2, "       \
  "\"window_size\": 16, \"fullatt_block_indexes\": [1], \"out_hidden_size\": 16, "   \
  "\"hidden_act\": \"silu\", "
#define TOKEN_KEYS                                                                  \
  "\"image_token_id\": 40, \"video_token_id\": 41, \"vision_start_token_id\": 42, " \
  "\"vision_end_token_id\": 43, "

const char small_config_flat[] =
    "{\"model_type\": \"qwen2_5_vl\", " TEXT_KEYS TOKEN_KEYS
    "\"eos_token_id\": 7, \"rope_theta\": 1000000.0, \"rope_scaling\": {\"type\": \"mrope\", "
    "\"mrope_section\": [2, 1, 1]}, \"tie_word_embeddings\": false, "
    "\"vision_config\": {" VISION_KEYS "\"in_chans\": 3, \"tokens_per_second\": 2}}";

const char small_config_nested[] =
    "{\"model_type\": \"qwen2_5_vl\", " TOKEN_KEYS
    "\"tie_word_embeddings\": false, \"text_config\": {" TEXT_KEYS
    "\"eos_token_id\": [7, 8], \"layer_types\": [\"full_attention\", \"full_attention\"], "
    "\"rope_parameters\": {\"mrope_section\": [2, 1, 1], \"rope_theta\": 1000000.0, "
    "\"rope_type\": \"default\"}}, "
    "\"vision_config\": {" VISION_KEYS
    "\"in_channels\": 3, \"in_chans\": 3, \"tokens_per_second\": 4, "
    "\"rope_parameters\": {\"rope_theta\": 10000.0, \"rope_type\": \"axial\"}}}";

char *replaced(const char *text, const char *from, const char *to) {
  const char *at = strstr(text, from);
  if (!at) {
    fprintf(stderr, "replaced: no \"%s\" in the text\n", from);
    abort();
  }
  size_t n = strlen(text) - strlen(from) + strlen(to) + 1;
  char *out = malloc(n);
  if (!out) abort();
  snprintf(out, n, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
  return out;
}

unsigned char *safetensors_image(const char *header, size_t n_data, size_t *n_bytes) {
  size_t n_header = strlen(header);
  *n_bytes = 8 + n_header + n_data;
  unsigned char *image = malloc(*n_bytes);
  if (!image) abort();
  for (int i = 0; i < 8; i++) image[i] = (unsigned char)((uint64_t)n_header >> (8 * i));
  memcpy(image + 8, header, n_header);
  for (size_t i = 0; i < n_data; i++) image[8 + n_header + i] = (unsigned char)i;
  return image;
}

/* ---- folders ------------------------------------------------------------------------------ */

temp_dir temp_make(void) {
  temp_dir dir = {"/tmp/mv-weights-XXXXXX"};
  if (!mkdtemp(dir.path)) abort();
  return dir;
}

const char *temp_path(const temp_dir *dir, const char *name) {
  static char path[512];
  snprintf(path, sizeof path, "%s/%s", dir->path, name);
  return path;
}

void temp_remove(const temp_dir *dir) {
  DIR *d = opendir(dir->path);
  for (struct dirent *entry; d && (entry = readdir(d));) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      remove(temp_path(dir, entry->d_name));
  }
  if (d) closedir(d);
  rmdir(dir->path);
}

void temp_write(const temp_dir *dir, const char *name, const void *bytes, size_t n) {
  if (mv_file_write(temp_path(dir, name), bytes, n, NULL) != MV_OK) abort();
}

void temp_text(const temp_dir *dir, const char *name, const char *text) {
  temp_write(dir, name, text, strlen(text));
}

/* ---- tensors ------------------------------------------------------------------------------ */

/* Small numbers that F32, BF16 and F16 all hold exactly: multiples of 1/64. */
static void *fill(int64_t n_elem, mv_st_dtype dtype, unsigned seed) {
  unsigned char *data = malloc((size_t)n_elem * mv_st_dtype_bytes(dtype));
  if (!data) abort();
  for (int64_t i = 0; i < n_elem; i++) {
    float x = (float)((int)((seed * 7919u + (unsigned)i * 31u) % 129u) - 64) / 64.0f;
    uint16_t half = mv_f32_to_bf16(x);
    if (dtype == MV_ST_F32)
      memcpy(data + 4 * i, &x, 4);
    else
      memcpy(data + 2 * i, &half, 2);
  }
  return data;
}

tensor_list tensors_make(const mv_config *config, int scheme, mv_st_dtype dtype) {
  size_t n = 0;
  for (int id = 0; id < MV_W_N; id++) n += (size_t)mv_weight_layers((mv_weight_id)id, config);
  tensor_list list = {calloc(n + 8, sizeof(mv_st_source)), calloc(n + 8, sizeof *list.names), 0};
  if (!list.items || !list.names) abort();
  for (int id = 0; id < MV_W_N; id++) {
    if (id == MV_W_HEAD && config->tied_head) continue;
    for (int layer = 0; layer < mv_weight_layers((mv_weight_id)id, config); layer++) {
      mv_st_source *t = &list.items[list.n];
      int64_t n_elem = 1;
      mv_weight_name((mv_weight_id)id, layer, scheme, list.names[list.n]);
      t->name = list.names[list.n];
      t->dtype = dtype;
      t->n_dim = mv_weight_shape((mv_weight_id)id, config, t->shape);
      for (int d = 0; d < t->n_dim; d++) n_elem *= t->shape[d];
      t->data = fill(n_elem, dtype, (unsigned)list.n++);
    }
  }
  return list;
}

void tensors_free(tensor_list *list) {
  for (size_t i = 0; i < list->n; i++) free((void *)(uintptr_t)list->items[i].data);
  free(list->items);
  free(list->names);
}

mv_st_source *tensors_find(tensor_list *list, const char *name) {
  for (size_t i = 0; i < list->n; i++) {
    if (strcmp(list->items[i].name, name) == 0) return &list->items[i];
  }
  fprintf(stderr, "no tensor %s\n", name);
  abort();
}

void tensors_drop(tensor_list *list, const char *name) {
  mv_st_source *t = tensors_find(list, name);
  free((void *)(uintptr_t)t->data);
  memmove(t, t + 1, (size_t)(list->items + --list->n - t) * sizeof *t);
}

void tensors_add(tensor_list *list, const char *name, const mv_st_source *of) {
  mv_st_source *t = &list->items[list->n];
  size_t n_bytes = mv_st_dtype_bytes(of->dtype);
  for (int d = 0; d < of->n_dim; d++) n_bytes *= (size_t)of->shape[d];
  *t = *of;
  t->name = name;
  void *copy = malloc(n_bytes);
  if (!copy) abort();
  t->data = memcpy(copy, of->data, n_bytes);
  list->n++;
}

/* ---- out of memory ------------------------------------------------------------------------ */

typedef struct countdown {
  int left;
} countdown;

static int refuse_at_zero(size_t n_bytes, void *user) {
  countdown *c = user;
  (void)n_bytes;
  return c->left-- != 0;
}

int fail_each_allocation(mv_status (*attempt)(void *user, mv_error *err), void *user) {
  for (int k = 0; k < 100000; k++) {
    countdown c = {k};
    mv_error err;
    mv_alloc_set_hook(refuse_at_zero, &c);
    mv_status status = attempt(user, &err);
    mv_alloc_set_hook(NULL, NULL);
    if (status == MV_OK) return c.left >= 0 ? k : -1;
    if (status != MV_ERR_MEMORY) {
      fprintf(stderr, "allocation %d failed: status %d, %s\n", k, (int)status, err.msg);
      return -1;
    }
  }
  return -1;
}
