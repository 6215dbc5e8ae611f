/* OpenAI's batch files: one request or answer a line.
 *
 *   request  {"custom_id", "method": "POST", "url": "/v1/chat/completions", "body": {"model",
 *             "messages": [{"role", "content": text or [{"type": "text"|"image_url", ...}]}],
 *             "max_tokens", "temperature", "top_p", "seed", "stop"}}
 *   answer   {"id", "custom_id", "response": {"status_code", "request_id", "body": a chat
 *             completion}, "error": null or {"code", "message"}}
 *
 * Pictures are data: URLs of PNG or JPEG, or paths of files.
 */
#ifndef MV_TASKS_BATCH_H
#define MV_TASKS_BATCH_H

#include "runtime/json.h"
#include "runtime/medvision.h"
#include "vision/image.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_BATCH_MAX_IMAGES 16

/* A conversation of one turn, read from a request's body. Zero-initialise; owns; free with
 * mv_batch_question_free. */
typedef struct mv_batch_question {
  mv_buf system, prompt;
  mv_image images[MV_BATCH_MAX_IMAGES];
  int n_image;
  mv_image_order order; /* of the first picture and the first text */
  mv_str stop[4];
  int n_stop;
  const mv_json *body;
} mv_batch_question;

/* MV_ERR_USAGE names what the body has and this program does not take. */
mv_status mv_batch_question_read(mv_batch_question *q, const mv_json *request, mv_error *err);
void mv_batch_question_free(mv_batch_question *q);
/* Takes over what the body says of decoding. */
mv_status mv_batch_question_decoding(const mv_batch_question *q, mv_request *request,
                                     mv_error *err);

/* Appends the request's line for a prompt and a picture. */
mv_status mv_batch_write_request(const char *custom_id, const char *model, mv_str system,
                                 mv_str prompt, const mv_image *image, mv_image_order order,
                                 int max_tokens, mv_buf *out, mv_error *err);
/* Appends the answer's line; `why` NULL: answered. */
void mv_batch_write_answer(mv_str custom_id, const char *model, const mv_result *result,
                           const mv_error *why, mv_buf *out);

/* The text of an answer's line; 0 and a reason when it has none. Borrows from the line. */
int mv_batch_answer_text(const mv_json *line, mv_str *text, mv_str *why);

/* Base64 of bytes; and back, MV_ERR_FORMAT for anything else. */
void mv_base64_encode(const void *bytes, size_t n, mv_buf *out);
mv_status mv_base64_decode(mv_str text, mv_buf *out, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
