/* vocab.json + merges.txt: the older form, with the added tokens in files beside it. */
#include <stdlib.h>
#include <string.h>

#include "runtime/file.h"
#include "tokenizer/load.h"

#define QWEN_BASE_TOKENS 151643
#define QWEN_ADDED_TOKENS 22

/* The added tokens of Qwen2.5, from id 151643 on. */
static const struct {
  const char *text;
  unsigned char special;
} qwen_added[QWEN_ADDED_TOKENS] = {
    {"<|endoftext|>", 1},        {"<|im_start|>", 1},       {"<|im_end|>", 1},
    {"<|object_ref_start|>", 1}, {"<|object_ref_end|>", 1}, {"<|box_start|>", 1},
    {"<|box_end|>", 1},          {"<|quad_start|>", 1},     {"<|quad_end|>", 1},
    {"<|vision_start|>", 1},     {"<|vision_end|>", 1},     {"<|vision_pad|>", 1},
    {"<|image_pad|>", 1},        {"<|video_pad|>", 1},      {"<tool_call>", 0},
    {"</tool_call>", 0},         {"<|fim_prefix|>", 0},     {"<|fim_middle|>", 0},
    {"<|fim_suffix|>", 0},       {"<|fim_pad|>", 0},        {"<|repo_name|>", 0},
    {"<|file_sep|>", 0},
};

/* The files of one folder; owns all. Zero-initialise. */
typedef struct mv_source {
  mv_json_doc vocab, config, added; /* config and added may be empty */
  mv_mapping merges;
  mv_added *list; /* added tokens in id order */
  size_t n_list;
} mv_source;

static void close_source(mv_source *src) {
  mv_json_doc_free(&src->vocab);
  mv_json_doc_free(&src->config);
  mv_json_doc_free(&src->added);
  mv_mapping_close(&src->merges);
  mv_free(src->list);
}

static mv_status read_path(mv_json_doc *doc, const char *path, mv_error *err) {
  mv_mapping map = {0};
  MV_TRY(mv_mapping_open(&map, path, err));
  mv_status status = mv_json_parse(doc, (mv_str){(const char *)map.data, map.size}, err);
  if (status != MV_OK) mv_error_prefix(err, "%s", path);
  mv_mapping_close(&map);
  return status;
}

/* A file that is not there leaves an optional document empty. */
static mv_status read_json(mv_json_doc *doc, const char *dir, const char *name, int optional,
                           mv_error *err) {
  char *path = mv_path_join(dir, name);
  if (!path) return mv_fail(err, MV_ERR_MEMORY, "out of memory opening %s", name);
  mv_status status = MV_OK;
  if (!optional || mv_file_exists(path)) status = read_path(doc, path, err);
  mv_free(path);
  return status;
}

static mv_status open_source(mv_source *src, const char *dir, mv_error *err) {
  char *path = mv_path_join(dir, "merges.txt");
  if (!path) return mv_fail(err, MV_ERR_MEMORY, "out of memory opening merges.txt");
  mv_status status;
  if (mv_file_exists(path)) {
    status = mv_mapping_open(&src->merges, path, err);
  } else {
    status = mv_fail(
        err, MV_ERR_IO,
        "%s: no tokenizer there: expected tokenizer.json, or vocab.json and merges.txt", dir);
  }
  mv_free(path);
  MV_TRY(status);
  MV_TRY(read_json(&src->vocab, dir, "vocab.json", 0, err));
  MV_TRY(read_json(&src->config, dir, "tokenizer_config.json", 1, err));
  return read_json(&src->added, dir, "added_tokens.json", 1, err);
}

/* ---- added tokens ---- */

static int by_id(const void *a, const void *b) {
  int32_t left = ((const mv_added *)a)->id, right = ((const mv_added *)b)->id;
  return left < right ? -1 : left > right;
}

/* A token id written in decimal, or -1. */
static int32_t id_of_text(mv_str text) {
  int32_t id = text.len ? 0 : -1;
  for (size_t i = 0; i < text.len && id >= 0; i++) {
    int digit = text.ptr[i] - '0';
    id = digit >= 0 && digit <= 9 && id < MV_TOKENIZER_MAX_IDS ? id * 10 + digit : -1;
  }
  return id < MV_TOKENIZER_MAX_IDS ? id : -1;
}

/* tokenizer_config.json: "added_tokens_decoder": {"151643": {"content": ...}} */
static mv_status list_config(mv_source *src, const mv_json *decoder, mv_error *err) {
  for (const mv_json *item = decoder ? decoder->first : NULL; item; item = item->next) {
    mv_added *token = &src->list[src->n_list++];
    token->id = id_of_text(item->key);
    if (token->id < 0) {
      return mv_fail(err, MV_ERR_FORMAT, "added_tokens_decoder: \"%.*s\" is not a token id",
                     MV_SHOWN(item->key));
    }
    MV_TRY(mv_load_added(item, token, err));
  }
  return MV_OK;
}

static void list_plain(mv_source *src, mv_str text, int32_t id) {
  for (size_t i = 0; i < src->n_list; i++) {
    if (mv_str_eq(src->list[i].text, text)) return;
  }
  mv_added token = {.text = text, .id = id};
  for (size_t i = 0; i < QWEN_ADDED_TOKENS; i++) {
    if (mv_str_is(text, qwen_added[i].text)) token.special = qwen_added[i].special;
  }
  src->list[src->n_list++] = token;
}

static mv_status list_added(mv_source *src, mv_error *err) {
  const mv_json *decoder = mv_json_get(src->config.root, "added_tokens_decoder");
  const mv_json *added = src->added.root;
  size_t n = (decoder ? decoder->n_items : 0) + (added ? added->n_items : 0);
  src->list = mv_calloc(n + QWEN_ADDED_TOKENS, sizeof *src->list);
  if (!src->list) return mv_fail(err, MV_ERR_MEMORY, "out of memory for %zu added tokens", n);
  MV_TRY(list_config(src, decoder, err));
  for (const mv_json *item = added ? added->first : NULL; item; item = item->next) {
    if (mv_load_id(item) < 0) {
      return mv_fail(err, MV_ERR_FORMAT, "added_tokens.json: \"%.*s\": expected an id below %d",
                     MV_SHOWN(item->key), MV_TOKENIZER_MAX_IDS);
    }
    list_plain(src, item->key, mv_load_id(item));
  }
  if (n == 0 && src->vocab.root->n_items == QWEN_BASE_TOKENS) {
    for (int32_t i = 0; i < QWEN_ADDED_TOKENS; i++) {
      list_plain(src, mv_str_of(qwen_added[i].text), QWEN_BASE_TOKENS + i);
    }
  }
  qsort(src->list, src->n_list, sizeof *src->list, by_id);
  return MV_OK;
}

/* ---- merges ---- */

/* The next line of merges.txt without its end, or 0 when there is none. */
static int next_line(mv_str *rest, mv_str *line) {
  if (rest->len == 0) return 0;
  const char *end = memchr(rest->ptr, '\n', rest->len);
  size_t n = end ? (size_t)(end - rest->ptr) : rest->len, step = n + (end != NULL);
  *line = (mv_str){rest->ptr, n};
  *rest = (mv_str){rest->ptr + step, rest->len - step};
  if (line->len && line->ptr[line->len - 1] == '\r') line->len--;
  return 1;
}

static int is_merge_line(mv_str line) {
  return line.len && !(line.len >= 8 && !memcmp(line.ptr, "#version", 8));
}

static mv_status put_merges(mv_builder *b, mv_str rest, mv_error *err) {
  mv_str line, left, right;
  for (size_t number = 1; next_line(&rest, &line); number++) {
    if (!is_merge_line(line)) continue;
    mv_merge_split(line, &left, &right);
    if (!left.len || !right.len) {
      return mv_fail(err, MV_ERR_FORMAT, "merges.txt: line %zu: expected \"left right\"", number);
    }
    MV_TRY(mv_builder_merge(b, left, right, err));
  }
  return MV_OK;
}

static mv_status load(mv_builder *b, mv_source *src, mv_tokenizer **out, mv_error *err) {
  mv_str merges = {(const char *)src->merges.data, src->merges.size}, rest = merges, line;
  mv_builder_sizes sizes = {0};
  MV_TRY(mv_load_vocab_size(src->vocab.root, &sizes.n_ids, err));
  MV_TRY(list_added(src, err));
  sizes.n_added = src->n_list;
  while (next_line(&rest, &line)) sizes.n_merges += is_merge_line(line);
  MV_TRY(mv_builder_init(b, sizes, err));
  MV_TRY(mv_load_vocab(b, src->vocab.root, err));
  MV_TRY(put_merges(b, merges, err));
  for (size_t i = 0; i < src->n_list; i++) MV_TRY(mv_builder_added(b, &src->list[i], err));
  return mv_builder_finish(b, 1, out, err);
}

mv_status mv_tokenizer_open_files(mv_tokenizer **out, const char *dir, mv_error *err) {
  mv_source src = {0};
  mv_builder b = {0};
  mv_status status = open_source(&src, dir, err);
  if (status == MV_OK) {
    status = load(&b, &src, out, err);
    if (status != MV_OK) mv_error_prefix(err, "%s", dir);
  }
  mv_builder_free(&b);
  close_source(&src);
  return status;
}
