#include "weights/config.h"

#include <stdio.h>
#include <string.h>

#include "weights/json_read.h"

#define MAX_TOKEN_ID INT32_MAX
#define REQUIRED (-1) /* as a default: the key must be there */

/* One JSON object being read. The first failure sticks, so that a run of `get_*` calls needs one
 * check at its end. */
typedef struct reader {
  const cJSON *object; /* borrows; may be NULL: every key is absent */
  const char *what;    /* the file */
  const char *prefix;  /* "text_config." or so, for messages */
  mv_error *err;
  mv_status *status; /* shared by the readers of one file */
} reader;

/* NULL when absent or null. */
static const cJSON *find(const reader *r, const char *key) {
  const cJSON *item = r->object ? cJSON_GetObjectItemCaseSensitive(r->object, key) : NULL;
  return cJSON_IsNull(item) ? NULL : item;
}

/* [1, 2, 3]: a short list of numbers as it is. */
static void describe_list(const cJSON *list, char *out, size_t n) {
  size_t at = (size_t)snprintf(out, n, "[");
  for (const cJSON *e = list->child; e && at < n; e = e->next) {
    if (!cJSON_IsNumber(e)) at = n;
    if (at < n)
      at += (size_t)snprintf(out + at, n - at, "%g%s", e->valuedouble, e->next ? ", " : "");
  }
  if (at + 1 < n)
    snprintf(out + at, n - at, "]");
  else
    snprintf(out, n, "a list");
}

static void describe(const cJSON *item, char *out, size_t n) {
  if (!item)
    snprintf(out, n, "nothing");
  else if (cJSON_IsNumber(item))
    snprintf(out, n, "%.17g", item->valuedouble);
  else if (cJSON_IsString(item))
    snprintf(out, n, "\"%.80s\"", item->valuestring);
  else if (cJSON_IsBool(item))
    snprintf(out, n, cJSON_IsTrue(item) ? "true" : "false");
  else if (cJSON_IsArray(item))
    describe_list(item, out, n);
  else
    snprintf(out, n, "an object");
}

static void bad_code(reader *r, mv_status code, const char *key, const cJSON *item,
                     const char *expected) {
  char found[128];
  if (*r->status != MV_OK) return;
  describe(item, found, sizeof found);
  *r->status = mv_fail(r->err, code, "%s: \"%s%s\": expected %s, found %s", r->what, r->prefix, key,
                       expected, found);
}

static void bad(reader *r, const char *key, const cJSON *item, const char *expected) {
  bad_code(r, MV_ERR_FORMAT, key, item, expected);
}

/* An integer in [min, max]; `fallback` when the key is absent. */
static int get_int(reader *r, const char *key, int64_t min, int64_t max, int fallback) {
  const cJSON *item = find(r, key);
  int64_t x;
  if (!item && fallback != REQUIRED) return fallback;
  if (item && mv_cjson_int(item, &x) && x >= min && x <= max) return (int)x;
  char expected[96];
  if (min == max)
    snprintf(expected, sizeof expected, "%lld", (long long)min);
  else
    snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)min,
             (long long)max);
  bad(r, key, item, expected);
  return (int)min; /* keeps later arithmetic defined; the status tells */
}

/* An edge that may be written as one integer or as a list of equal ones. */
static int get_edge(reader *r, const char *key, int64_t max, int fallback) {
  const cJSON *item = find(r, key);
  if (!cJSON_IsArray(item)) return get_int(r, key, 1, max, fallback);
  int64_t first = 0, x;
  for (const cJSON *e = item->child; e; e = e->next) {
    if (!mv_cjson_int(e, &x) || x < 1 || x > max || (first && x != first)) first = -1;
    if (first == 0) first = x;
    if (first < 0) break;
  }
  if (first > 0) return (int)first;
  bad(r, key, item, "an integer or a list of equal integers");
  return 1;
}

/* A number in (min, max]; a negative fallback makes the key required. */
static double get_double(reader *r, const char *key, double min, double max, double fallback) {
  const cJSON *item = find(r, key);
  if (!item && fallback >= 0) return fallback;
  if (cJSON_IsNumber(item) && item->valuedouble > min && item->valuedouble <= max)
    return item->valuedouble;
  char expected[96];
  snprintf(expected, sizeof expected, "a number above %g and up to %g", min, max);
  bad(r, key, item, expected);
  return max;
}

static int get_bool(reader *r, const char *key, int fallback) {
  const cJSON *item = find(r, key);
  if (!item) return fallback;
  if (!cJSON_IsBool(item)) bad(r, key, item, "true or false");
  return cJSON_IsTrue(item);
}

/* The key, where present, must have this text. */
static void need_text(reader *r, const char *key, const char *text) {
  const cJSON *item = find(r, key);
  char expected[64];
  if (!item || (cJSON_IsString(item) && strcmp(item->valuestring, text) == 0)) return;
  snprintf(expected, sizeof expected, "\"%s\"", text);
  bad_code(r, MV_ERR_UNSUPPORTED, key, item, expected);
}

/* A relation between values that each are fine. */
static void need(reader *r, int holds, const char *key, const char *expected) {
  if (!holds) bad(r, key, find(r, key), expected);
}

/* The object under `key`; without one, every key of it is absent. */
static reader sub_reader(reader *r, const char *key, const char *prefix) {
  reader sub = *r;
  sub.object = find(r, key);
  sub.prefix = prefix;
  if (sub.object && !cJSON_IsObject(sub.object)) {
    bad(r, key, sub.object, "an object");
    sub.object = NULL;
  }
  return sub;
}

/* An id, a list of ids, or null. Returns how many. */
static int get_ids(reader *r, const char *key, int out[MV_MAX_EOS]) {
  const cJSON *item = find(r, key);
  if (!item) return 0;
  int n = 0;
  const cJSON *first = cJSON_IsArray(item) ? item->child : item;
  for (const cJSON *e = first; e; e = cJSON_IsArray(item) ? e->next : NULL) {
    int64_t id;
    if (n == MV_MAX_EOS || !mv_cjson_int(e, &id) || id < 0 || id > MAX_TOKEN_ID) {
      bad(r, key, e, "a token id or a list of at most 16");
      return 0;
    }
    out[n++] = (int)id;
  }
  return n;
}

/* ---- the decoder -------------------------------------------------------------------------- */

static void read_mrope(reader *r, mv_text_config *t) {
  const cJSON *list = find(r, "mrope_section");
  static const int usual[3] = {16, 24, 24}; /* what the reference assumes where nothing is said */
  memcpy(t->mrope_section, usual, sizeof usual);
  if (list) {
    int n = 0;
    int64_t x;
    const cJSON *e = cJSON_IsArray(list) ? list->child : NULL;
    for (; e && n < 3 && mv_cjson_int(e, &x) && x >= 0 && x <= 65536; e = e->next)
      t->mrope_section[n++] = (int)x;
    if (n != 3 || e) bad(r, "mrope_section", list, "three non-negative integers");
  }
  int sum = t->mrope_section[0] + t->mrope_section[1] + t->mrope_section[2];
  char expected[96];
  snprintf(expected, sizeof expected, "sections that sum to half the head dimension, %d",
           t->head_dim / 2);
  need(r, sum == t->head_dim / 2, "mrope_section", expected);
}

/* `rope_scaling` (4.x) or `rope_parameters` (5.x); theta inside or beside it. */
static void read_rope(reader *r, mv_text_config *t) {
  const char *key = find(r, "rope_scaling") ? "rope_scaling" : "rope_parameters";
  char prefix[64];
  snprintf(prefix, sizeof prefix, "%s%s.", r->prefix, key);
  reader rope = sub_reader(r, key, prefix);
  const char *type_key = find(&rope, "rope_type") ? "rope_type" : "type";
  const cJSON *type = find(&rope, type_key);
  if (!(cJSON_IsString(type) && strcmp(type->valuestring, "mrope") == 0))
    need_text(&rope, type_key, "default");
  double beside = get_double(r, "rope_theta", 0, 1e12, 1e6);
  t->rope_theta = get_double(&rope, "rope_theta", 0, 1e12, beside);
  read_mrope(&rope, t);
}

static void need_full_attention(reader *r) {
  const cJSON *use = find(r, "use_sliding_window"), *types = find(r, "layer_types");
  if (get_bool(r, "use_sliding_window", 0))
    bad_code(r, MV_ERR_UNSUPPORTED, "use_sliding_window", use, "false");
  for (const cJSON *e = cJSON_IsArray(types) ? types->child : NULL; e; e = e->next) {
    if (!cJSON_IsString(e) || strcmp(e->valuestring, "full_attention") != 0)
      bad_code(r, MV_ERR_UNSUPPORTED, "layer_types", e, "\"full_attention\" in every layer");
  }
}

/* `nested`: under "text_config", where some savers leave out what equals the class's default. */
static void read_sizes(reader *r, int nested, mv_text_config *t) {
  t->vocab_size = get_int(r, "vocab_size", 1, 1 << 24, nested ? 152064 : REQUIRED);
  t->d_model = get_int(r, "hidden_size", 1, 1 << 17, nested ? 8192 : REQUIRED);
  t->d_ff = get_int(r, "intermediate_size", 1, 1 << 20, nested ? 29568 : REQUIRED);
  t->n_layer = get_int(r, "num_hidden_layers", 1, MV_MAX_LAYERS, nested ? 80 : REQUIRED);
  t->n_head = get_int(r, "num_attention_heads", 1, 1 << 12, nested ? 64 : REQUIRED);
  int n_kv = nested ? 8 : REQUIRED;
  if (r->object && cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(r->object, "num_key_value_heads")))
    n_kv = t->n_head; /* as the reference reads null */
  t->n_kv = get_int(r, "num_key_value_heads", 1, 1 << 12, n_kv);
}

static void read_text(reader *r, int nested, mv_text_config *t) {
  read_sizes(r, nested, t);
  t->max_positions = get_int(r, "max_position_embeddings", 1, 1 << 28, REQUIRED);
  t->rms_eps = get_double(r, "rms_norm_eps", 0, 1, REQUIRED);
  need(r, t->d_model % t->n_head == 0, "hidden_size", "a multiple of num_attention_heads");
  need(r, t->n_head % t->n_kv == 0, "num_key_value_heads", "a divisor of num_attention_heads");
  t->head_dim = t->d_model / t->n_head;
  need(r, t->head_dim % 2 == 0, "hidden_size", "an even hidden_size / num_attention_heads");
  need(r, get_int(r, "head_dim", 1, 1 << 17, t->head_dim) == t->head_dim, "head_dim",
       "hidden_size / num_attention_heads");
  need_text(r, "hidden_act", "silu");
  need_full_attention(r);
  read_rope(r, t);
}

/* ---- the vision tower --------------------------------------------------------------------- */

/* Blocks that see the whole image. An index past the last block chooses none, as in the
 * reference. */
static void read_full_attention(reader *r, mv_vision_config *v) {
  const char *key = "fullatt_block_indexes";
  const cJSON *list = find(r, key);
  static const int usual[] = {7, 15, 23, 31};
  for (size_t i = 0; !list && i < sizeof usual / sizeof *usual; i++) {
    if (usual[i] < v->depth) v->full_attention[usual[i]] = 1;
  }
  if (!list) return;
  if (!cJSON_IsArray(list)) bad(r, key, list, "a list of block indexes");
  for (const cJSON *e = list->child; e; e = e->next) {
    int64_t i;
    if (!mv_cjson_int(e, &i) || i < 0)
      bad(r, key, e, "non-negative block indexes");
    else if (i < v->depth)
      v->full_attention[i] = 1;
  }
}

static int read_channels(reader *r) {
  static const char *const keys[] = {"in_channels", "in_chans", "in_channel"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    if (find(r, keys[i])) return get_int(r, keys[i], 3, 3, REQUIRED);
  }
  return 3;
}

static void read_vision(reader *r, const mv_text_config *t, mv_vision_config *v) {
  v->depth = get_int(r, "depth", 1, MV_MAX_LAYERS, 32);
  v->d_model = get_int(r, "hidden_size", 1, 1 << 16, REQUIRED);
  v->d_ff = get_int(r, "intermediate_size", 1, 1 << 20, 3420);
  v->n_head = get_int(r, "num_heads", 1, 1 << 12, 16);
  v->n_channel = read_channels(r);
  v->patch_size = get_edge(r, "patch_size", 512, 14);
  v->temporal_size = get_edge(r, "temporal_patch_size", 16, 2);
  v->merge_size = get_int(r, "spatial_merge_size", 1, 16, 2);
  v->window_size = get_int(r, "window_size", 1, 1 << 16, 112);
  v->d_out = get_int(r, "out_hidden_size", 1, 1 << 17, 3584);
  v->tokens_per_second = get_double(r, "tokens_per_second", 0, 1e6, 4);
  need(r, v->d_model % v->n_head == 0, "hidden_size", "a multiple of num_heads");
  v->head_dim = v->d_model / v->n_head;
  need(r, v->head_dim % 4 == 0, "hidden_size", "hidden_size / num_heads a multiple of 4");
  need(r, v->d_out == t->d_model, "out_hidden_size", "the decoder's hidden_size");
  v->window_merged = v->window_size / v->merge_size / v->patch_size; /* floors, twice */
  need(r, v->window_merged >= 1, "window_size", "at least patch_size * spatial_merge_size");
  v->d_patch = v->n_channel * v->temporal_size * v->patch_size * v->patch_size;
  v->rms_eps = 1e-6;
  need_text(r, "hidden_act", "silu");
  read_full_attention(r, v);
  reader rope = sub_reader(r, "rope_parameters", "vision_config.rope_parameters.");
  v->rope_theta = get_double(&rope, "rope_theta", 0, 1e12, 1e4);
}

/* ---- files -------------------------------------------------------------------------------- */

static void read_tokens(reader *top, reader *text, mv_config *out) {
  out->image_token_id = get_int(top, "image_token_id", 0, MAX_TOKEN_ID, 151655);
  out->video_token_id = get_int(top, "video_token_id", 0, MAX_TOKEN_ID, 151656);
  out->vision_start_token_id = get_int(top, "vision_start_token_id", 0, MAX_TOKEN_ID, 151652);
  out->vision_end_token_id = get_int(top, "vision_end_token_id", 0, MAX_TOKEN_ID, 151653);
  reader *bos = find(text, "bos_token_id") ? text : top;
  out->bos_token_id =
      find(bos, "bos_token_id") ? get_int(bos, "bos_token_id", 0, MAX_TOKEN_ID, 0) : -1;
  out->n_eos = get_ids(find(text, "eos_token_id") ? text : top, "eos_token_id", out->eos_token_id);
}

static void read_config(reader *top, mv_config *out) {
  if (!find(top, "model_type")) bad(top, "model_type", NULL, "\"qwen2_5_vl\"");
  need_text(top, "model_type", "qwen2_5_vl");
  if (find(top, "quantization_config"))
    bad_code(top, MV_ERR_UNSUPPORTED, "quantization_config", find(top, "quantization_config"),
             "none: only unquantised weights are read");
  reader vision = sub_reader(top, "vision_config", "vision_config.");
  reader text = *top;
  int nested = find(top, "text_config") != NULL;
  if (nested) text = sub_reader(top, "text_config", "text_config.");
  read_text(&text, nested, &out->text);
  read_vision(&vision, &out->text, &out->vision);
  /* 4.x keeps the flag with the decoder, 5.x at the top; either one ties */
  out->tied_head =
      get_bool(top, "tie_word_embeddings", 0) | get_bool(&text, "tie_word_embeddings", 0);
  read_tokens(top, &text, out);
}

mv_status mv_config_parse(mv_config *out, mv_str json, const char *what, mv_error *err) {
  memset(out, 0, sizeof *out);
  cJSON *root;
  MV_TRY(mv_cjson_object(&root, json.ptr, json.len, what, err));
  mv_status status = MV_OK;
  reader top = {root, what, "", err, &status};
  read_config(&top, out);
  cJSON_Delete(root);
  return status;
}

void mv_generation_config_default(mv_generation_config *out) {
  memset(out, 0, sizeof *out);
  out->temperature = out->top_p = out->repetition_penalty = 1;
  out->top_k = 50;
}

mv_status mv_generation_config_parse(mv_generation_config *out, mv_str json, const char *what,
                                     mv_error *err) {
  mv_generation_config_default(out);
  cJSON *root;
  MV_TRY(mv_cjson_object(&root, json.ptr, json.len, what, err));
  mv_status status = MV_OK;
  reader r = {root, what, "", err, &status};
  out->present = 1;
  out->n_eos = get_ids(&r, "eos_token_id", out->eos_token_id);
  out->do_sample = get_bool(&r, "do_sample", 0);
  const cJSON *temperature = find(&r, "temperature");
  int is_zero = cJSON_IsNumber(temperature) && temperature->valuedouble == 0; /* greedy */
  out->temperature = is_zero ? 0 : get_double(&r, "temperature", 0, 1e6, 1);
  out->top_p = get_double(&r, "top_p", 0, 1, 1);
  out->top_k = get_int(&r, "top_k", 0, 1 << 24, 50);
  out->repetition_penalty = get_double(&r, "repetition_penalty", 0, 1e6, 1);
  cJSON_Delete(root);
  return status;
}
