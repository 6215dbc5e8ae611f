/* tokenizer.json: Hugging Face's one file. Everything in it that could change an id is either
 * done or refused by name, but for "truncation" and "padding", which belong to the call and which
 * transformers resets too. */
#include <string.h>

#include "runtime/file.h"
#include "tokenizer/load.h"
#include "tokenizer/split.h"

static mv_status refuse(mv_error *err, const char *what, const char *expected) {
  return mv_fail(
      err, MV_ERR_UNSUPPORTED,
      "%s: expected %s (only byte-level BPE tokenizers of the Qwen2 family are supported)", what,
      expected);
}

/* A member; NULL when it is absent or null. */
static const mv_json *get(const mv_json *object, const char *key) {
  const mv_json *item = mv_json_get(object, key);
  return mv_json_is(item, MV_JSON_NULL) ? NULL : item;
}

static int is_text(const mv_json *item, const char *text) {
  return mv_json_is(item, MV_JSON_STRING) && mv_str_is(item->text, text);
}

static int is_type(const mv_json *object, const char *type) {
  return is_text(mv_json_get(object, "type"), type);
}

static int is_false(const mv_json *object, const char *key) {
  const mv_json *item = mv_json_get(object, key);
  return mv_json_is(item, MV_JSON_BOOL) && !item->truth;
}

/* False, null or absent. */
static int is_off(const mv_json *object, const char *key) {
  return !get(object, key) || is_false(object, key);
}

/* Null, absent or "". */
static int is_empty(const mv_json *object, const char *key) {
  return !get(object, key) || is_text(get(object, key), "");
}

static size_t count(const mv_json *list) { return list ? list->n_items : 0; }

static mv_status check_pre_tokenizer(const mv_json *pre, mv_error *err) {
  const mv_json *steps = mv_json_get(pre, "pretokenizers");
  if (!is_type(pre, "Sequence") || count(steps) != 2) {
    return refuse(err, "pre_tokenizer", "a Sequence of Split and ByteLevel");
  }
  const mv_json *split = mv_json_at(steps, 0), *bytes = mv_json_at(steps, 1);
  const mv_json *pattern = mv_json_get(mv_json_get(split, "pattern"), "Regex");
  if (!is_type(split, "Split") || !is_text(pattern, MV_SPLIT_PATTERN)) {
    return refuse(err, "pre_tokenizer.pretokenizers[0]", "a Split by Qwen2's regular expression");
  }
  if (!is_text(mv_json_get(split, "behavior"), "Isolated") || !is_off(split, "invert")) {
    return refuse(err, "pre_tokenizer.pretokenizers[0]", "behavior Isolated, not inverted");
  }
  if (!is_type(bytes, "ByteLevel") || !is_false(bytes, "add_prefix_space") ||
      !is_false(bytes, "use_regex")) {
    return refuse(err, "pre_tokenizer.pretokenizers[1]",
                  "a ByteLevel with add_prefix_space and use_regex false");
  }
  return MV_OK;
}

static mv_status check_pipeline(const mv_json *root, int *nfc, mv_error *err) {
  const mv_json *normalizer = get(root, "normalizer");
  const mv_json *post = get(root, "post_processor");
  *nfc = normalizer != NULL;
  if (normalizer && !is_type(normalizer, "NFC")) return refuse(err, "normalizer", "NFC or null");
  MV_TRY(check_pre_tokenizer(mv_json_get(root, "pre_tokenizer"), err));
  if (post && !is_type(post, "ByteLevel")) {
    return refuse(err, "post_processor", "ByteLevel or null");
  }
  if (!is_type(mv_json_get(root, "decoder"), "ByteLevel")) {
    return refuse(err, "decoder", "ByteLevel");
  }
  return MV_OK;
}

static mv_status check_model(const mv_json *model, mv_error *err) {
  const mv_json *dropout = get(model, "dropout");
  if (!mv_json_is(model, MV_JSON_OBJECT) || (get(model, "type") && !is_type(model, "BPE"))) {
    return refuse(err, "model", "an object of type BPE");
  }
  if (dropout && !(mv_json_is_number(dropout) && dropout->number == 0)) {
    return refuse(err, "model.dropout", "null");
  }
  if (!is_off(model, "byte_fallback")) return refuse(err, "model.byte_fallback", "false");
  if (!is_off(model, "ignore_merges")) return refuse(err, "model.ignore_merges", "false");
  if (!is_empty(model, "continuing_subword_prefix")) {
    return refuse(err, "model.continuing_subword_prefix", "none");
  }
  if (!is_empty(model, "end_of_word_suffix")) {
    return refuse(err, "model.end_of_word_suffix", "none");
  }
  return MV_OK;
}

/* A merge is "left right" or ["left", "right"]. */
static mv_status put_merge(mv_builder *b, const mv_json *item, mv_error *err) {
  const mv_json *first = mv_json_at(item, 0), *second = mv_json_at(item, 1);
  mv_str left = {0}, right = {0};
  if (mv_json_is(item, MV_JSON_STRING)) {
    mv_merge_split(item->text, &left, &right);
  } else if (count(item) == 2 && mv_json_is(first, MV_JSON_STRING) &&
             mv_json_is(second, MV_JSON_STRING)) {
    left = first->text;
    right = second->text;
  }
  if (!left.len || !right.len) {
    return mv_fail(err, MV_ERR_FORMAT,
                   "model.merges[%u]: expected \"left right\" or [\"left\", \"right\"]",
                   b->n_merges);
  }
  return mv_builder_merge(b, left, right, err);
}

static mv_status fill(mv_builder *b, const mv_json *root, mv_error *err) {
  const mv_json *model = mv_json_get(root, "model"), *vocab = mv_json_get(model, "vocab");
  const mv_json *merges = mv_json_get(model, "merges"), *added = get(root, "added_tokens");
  mv_builder_sizes sizes = {0};
  if (!mv_json_is(merges, MV_JSON_ARRAY))
    return mv_fail(err, MV_ERR_FORMAT, "model.merges: expected a list");
  if (added && !mv_json_is(added, MV_JSON_ARRAY)) {
    return mv_fail(err, MV_ERR_FORMAT, "added_tokens: expected a list");
  }
  MV_TRY(mv_load_vocab_size(vocab, &sizes.n_ids, err));
  sizes.n_merges = count(merges);
  sizes.n_added = count(added);
  MV_TRY(mv_builder_init(b, sizes, err));
  MV_TRY(mv_load_vocab(b, vocab, err));
  for (const mv_json *item = merges->first; item; item = item->next) {
    MV_TRY(put_merge(b, item, err));
  }
  for (const mv_json *item = added ? added->first : NULL; item; item = item->next) {
    mv_added token = {.id = mv_load_id(mv_json_get(item, "id"))};
    MV_TRY(mv_load_added(item, &token, err));
    MV_TRY(mv_builder_added(b, &token, err));
  }
  return MV_OK;
}

/* With an unknown token the reference would use it for bytes that have none. */
static mv_status check_unknown(const mv_tokenizer *tok, const mv_json *root, mv_error *err) {
  if (!get(mv_json_get(root, "model"), "unk_token")) return MV_OK;
  for (int byte = 0; byte < 256; byte++) {
    if (tok->byte_id[byte] < 0) return refuse(err, "model.unk_token", "null, or all 256 bytes");
  }
  return MV_OK;
}

static mv_status load(mv_builder *b, mv_tokenizer **out, const mv_json *root, mv_error *err) {
  int nfc = 0;
  MV_TRY(check_model(mv_json_get(root, "model"), err));
  MV_TRY(check_pipeline(root, &nfc, err));
  MV_TRY(fill(b, root, err));
  mv_tokenizer *tok = NULL;
  MV_TRY(mv_builder_finish(b, nfc, &tok, err));
  mv_status status = check_unknown(tok, root, err);
  if (status == MV_OK) {
    *out = tok;
  } else {
    mv_tokenizer_close(tok);
  }
  return status;
}

mv_status mv_tokenizer_parse(mv_tokenizer **out, const char *json, size_t n, mv_error *err) {
  *out = NULL;
  mv_json_doc doc = {0};
  mv_builder b = {0};
  mv_status status = mv_json_parse(&doc, (mv_str){json, n}, err);
  if (status == MV_OK) status = load(&b, out, doc.root, err);
  mv_builder_free(&b);
  mv_json_doc_free(&doc);
  return status;
}

static mv_status open_path(mv_tokenizer **out, const char *path, mv_error *err) {
  mv_mapping map = {0};
  MV_TRY(mv_mapping_open(&map, path, err));
  mv_status status = mv_tokenizer_parse(out, (const char *)map.data, map.size, err);
  if (status != MV_OK) mv_error_prefix(err, "%s", path);
  mv_mapping_close(&map);
  return status;
}

mv_status mv_tokenizer_open(mv_tokenizer **out, const char *dir, mv_error *err) {
  *out = NULL;
  char *path = mv_path_join(dir, "tokenizer.json");
  if (!path) return mv_fail(err, MV_ERR_MEMORY, "out of memory opening the tokenizer");
  mv_status status =
      mv_file_exists(path) ? open_path(out, path, err) : mv_tokenizer_open_files(out, dir, err);
  mv_free(path);
  return status;
}
