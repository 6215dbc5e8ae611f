#include "tokenizer/chat.h"

#include <string.h>

#include "tokenizer/model.h"

/* The control marks of the template, and the text collected since the last one. */
typedef struct mv_chat {
  const mv_tokenizer *tok;
  int32_t im_start, im_end, vision_start, vision_end, image_pad;
  mv_buf text; /* owns */
  mv_ids *out;
  mv_error *err;
} mv_chat;

/* A mark that took spaces or stood only between words would change the text beside it. */
static mv_status find_mark(const mv_chat *chat, const char *text, int32_t *id) {
  *id = mv_tokenizer_special_id(chat->tok, text);
  if (*id < 0) {
    return mv_fail(chat->err, MV_ERR_UNSUPPORTED,
                   "the tokenizer has no special token %s, which the chat template needs", text);
  }
  const mv_added_set *sets[2] = {&chat->tok->before_nfc, &chat->tok->after_nfc};
  for (int k = 0; k < 2; k++) {
    for (size_t i = 0; i < sets[k]->n; i++) {
      const mv_added *item = &sets[k]->items[i];
      if (item->id == *id && (item->lstrip || item->rstrip || item->single_word)) {
        return mv_fail(chat->err, MV_ERR_UNSUPPORTED,
                       "special token %s: lstrip, rstrip and single_word are not supported in the "
                       "chat template",
                       text);
      }
    }
  }
  return MV_OK;
}

static mv_status find_marks(mv_chat *chat) {
  MV_TRY(find_mark(chat, "<|im_start|>", &chat->im_start));
  MV_TRY(find_mark(chat, "<|im_end|>", &chat->im_end));
  MV_TRY(find_mark(chat, "<|vision_start|>", &chat->vision_start));
  MV_TRY(find_mark(chat, "<|vision_end|>", &chat->vision_end));
  return find_mark(chat, "<|image_pad|>", &chat->image_pad);
}

/* Encodes the text collected so far, then puts the mark `count` times. */
static mv_status put_mark(mv_chat *chat, int32_t id, int count) {
  MV_TRY(mv_buf_status(&chat->text, chat->err));
  MV_TRY(mv_tokenizer_encode(chat->tok, mv_buf_view(&chat->text), 0, chat->out, chat->err));
  mv_buf_clear(&chat->text);
  for (int i = 0; i < count; i++) MV_TRY(mv_ids_add(chat->out, id, chat->err));
  return MV_OK;
}

static mv_status open_turn(mv_chat *chat, mv_str role) {
  MV_TRY(put_mark(chat, chat->im_start, 1));
  mv_buf_str(&chat->text, role);
  mv_buf_char(&chat->text, '\n');
  return MV_OK;
}

static mv_status close_turn(mv_chat *chat) {
  MV_TRY(put_mark(chat, chat->im_end, 1));
  mv_buf_char(&chat->text, '\n');
  return MV_OK;
}

static mv_status put_image(mv_chat *chat, int n_image_tokens) {
  if (n_image_tokens < 1) {
    return mv_fail(chat->err, MV_ERR_USAGE, "an image of %d tokens: expected at least 1",
                   n_image_tokens);
  }
  MV_TRY(put_mark(chat, chat->vision_start, 1));
  MV_TRY(put_mark(chat, chat->image_pad, n_image_tokens));
  return put_mark(chat, chat->vision_end, 1);
}

static mv_status put_message(mv_chat *chat, const mv_chat_message *message) {
  MV_TRY(open_turn(chat, message->role));
  for (size_t i = 0; i < message->n_parts; i++) {
    const mv_chat_part *part = &message->parts[i];
    size_t valid = mv_utf8_check(part->text.ptr, part->text.len);
    if (part->kind == MV_PART_IMAGE) {
      MV_TRY(put_image(chat, part->n_image_tokens));
    } else if (valid != part->text.len) {
      return mv_fail(chat->err, MV_ERR_FORMAT, "%.*s text is not UTF-8 at byte %zu",
                     (int)(message->role.len < 40 ? message->role.len : 40), message->role.ptr,
                     valid);
    } else {
      mv_buf_str(&chat->text, part->text);
    }
  }
  return close_turn(chat);
}

static mv_status put_all(mv_chat *chat, const mv_chat_message *messages, size_t n,
                         int add_generation_prompt) {
  MV_TRY(find_marks(chat));
  if (n && !mv_str_is(messages[0].role, "system")) {
    mv_chat_part text = {MV_PART_TEXT, mv_str_of(MV_CHAT_DEFAULT_SYSTEM), 0};
    mv_chat_message system = {mv_str_of("system"), &text, 1};
    MV_TRY(put_message(chat, &system));
  }
  for (size_t i = 0; i < n; i++) MV_TRY(put_message(chat, &messages[i]));
  if (add_generation_prompt) MV_TRY(open_turn(chat, mv_str_of("assistant")));
  return put_mark(chat, 0, 0);
}

mv_status mv_chat_encode(const mv_tokenizer *tok, const mv_chat_message *messages, size_t n,
                         int add_generation_prompt, mv_ids *out, mv_error *err) {
  mv_chat chat = {.tok = tok, .out = out, .err = err};
  size_t before = out->len;
  mv_status status = put_all(&chat, messages, n, add_generation_prompt);
  if (status != MV_OK) out->len = before;
  mv_buf_free(&chat.text);
  return status;
}
