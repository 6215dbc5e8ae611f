/* The chat template of Qwen2.5-VL, in ids.
 *
 *   <|im_start|>system\nYou are a helpful assistant.<|im_end|>\n
 *   <|im_start|>user\n<|vision_start|><|image_pad|> x N<|vision_end|>text<|im_end|>\n
 *   <|im_start|>assistant\n
 *
 * The default system message is there when the first message is not a system one. Control marks
 * come only from here: the same characters in a role or a text stay characters. What lies between
 * two marks (role, newline, adjacent texts) is encoded as one string, so that the ids are those of
 * the rendered template encoded whole.
 */
#ifndef MV_TOKENIZER_CHAT_H
#define MV_TOKENIZER_CHAT_H

#include "tokenizer/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_CHAT_DEFAULT_SYSTEM "You are a helpful assistant."

typedef enum mv_part_kind { MV_PART_TEXT = 0, MV_PART_IMAGE } mv_part_kind;

typedef struct mv_chat_part {
  mv_part_kind kind;
  mv_str text;        /* MV_PART_TEXT: UTF-8 */
  int n_image_tokens; /* MV_PART_IMAGE: rows of the merged grid, at least 1 */
} mv_chat_part;

typedef struct mv_chat_message {
  mv_str role; /* "system", "user", "assistant" */
  const mv_chat_part *parts;
  size_t n_parts;
} mv_chat_message;

/* Appends the ids of a conversation, with the opening of the assistant's turn when
 * `add_generation_prompt`. A tokenizer without the template's special tokens is
 * MV_ERR_UNSUPPORTED. On failure `out` is as it was. */
mv_status mv_chat_encode(const mv_tokenizer *tok, const mv_chat_message *messages, size_t n,
                         int add_generation_prompt, mv_ids *out, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
