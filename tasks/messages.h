/* The "messages" of OpenAI's chat requests, read into a conversation for the engine.
 *
 *   [{"role": "system" | "developer" | "user" | "assistant",
 *     "content": "text", or [{"type": "text", "text"} | {"type": "image_url", "image_url":
 * {"url"}}]}]
 *
 * Pictures are for users' messages; how a URL becomes one is the caller's.
 */
#ifndef MV_TASKS_MESSAGES_H
#define MV_TASKS_MESSAGES_H

#include "runtime/json.h"
#include "runtime/medvision.h"
#include "runtime/memory.h"
#include "vision/image.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_MESSAGES_MAX 4096
#define MV_MESSAGES_MAX_IMAGES 64

typedef mv_status (*mv_url_picture)(void *user, mv_str url, mv_image *out, mv_error *err);

/* Fills request->messages, images and their counts. Texts are those of `list`, the rest lives in
 * `arena`; *images (MV_MESSAGES_MAX_IMAGES of them, request->n_image decoded) is the caller's to
 * free with mv_messages_free_images, also after a failure. MV_ERR_USAGE names what was expected. */
mv_status mv_messages_read(const mv_json *list, mv_url_picture picture, void *user, mv_arena *arena,
                           mv_request *request, mv_image **images, mv_error *err);
void mv_messages_free_images(mv_image *images, int n); /* accepts NULL */

#ifdef __cplusplus
}
#endif
#endif
