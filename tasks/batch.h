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
#include "runtime/memory.h"
#include "vision/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A request read from its line; borrows texts from that. Zero-initialise; free with
 * mv_batch_question_free. */
typedef struct mv_batch_question {
  mv_arena arena;   /* owns the conversation */
  mv_image *images; /* owns [n_image] */
  int n_image;
  mv_str stop[4];
} mv_batch_question;

/* Fills in what the line's body says: the conversation, and what it tells of decoding. What
 * `request` points to lives in `q` and the line. MV_ERR_USAGE names what the body has and this
 * program does not take. */
mv_status mv_batch_question_read(mv_batch_question *q, const mv_json *line, mv_request *request,
                                 mv_error *err);
void mv_batch_question_free(mv_batch_question *q);

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
