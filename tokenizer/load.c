#include "tokenizer/load.h"

int32_t mv_load_id(const mv_json *node) {
  int64_t id;
  return mv_json_to_int(node, &id) && id >= 0 && id < MV_TOKENIZER_MAX_IDS ? (int32_t)id : -1;
}

mv_status mv_load_vocab_size(const mv_json *vocab, size_t *n_ids, mv_error *err) {
  *n_ids = 0;
  if (!mv_json_is(vocab, MV_JSON_OBJECT)) {
    return mv_fail(err, MV_ERR_FORMAT, "vocabulary: expected an object of token: id, found %s",
                   mv_json_type_name(vocab));
  }
  for (const mv_json *item = vocab->first; item; item = item->next) {
    int32_t id = mv_load_id(item);
    if (id < 0) {
      return mv_fail(err, MV_ERR_FORMAT, "vocabulary: token \"%.*s\": expected an id below %d",
                     MV_SHOWN(item->key), MV_TOKENIZER_MAX_IDS);
    }
    if ((size_t)id >= *n_ids) *n_ids = (size_t)id + 1;
  }
  return MV_OK;
}

mv_status mv_load_vocab(mv_builder *b, const mv_json *vocab, mv_error *err) {
  for (const mv_json *item = vocab->first; item; item = item->next) {
    MV_TRY(mv_builder_token(b, item->key, mv_load_id(item), err));
  }
  return MV_OK;
}

static unsigned char is_true(const mv_json *node, const char *key) {
  const mv_json *item = mv_json_get(node, key);
  return mv_json_is(item, MV_JSON_BOOL) && item->truth;
}

mv_status mv_load_added(const mv_json *node, mv_added *out, mv_error *err) {
  const mv_json *content = mv_json_get(node, "content");
  if (!mv_json_is(content, MV_JSON_STRING)) {
    return mv_fail(err, MV_ERR_FORMAT, "added token %d: expected a \"content\" string", out->id);
  }
  out->text = content->text;
  out->special = is_true(node, "special");
  out->normalized = is_true(node, "normalized");
  out->single_word = is_true(node, "single_word");
  out->lstrip = is_true(node, "lstrip");
  out->rstrip = is_true(node, "rstrip");
  return MV_OK;
}
