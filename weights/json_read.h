/* JSON from a checkpoint, read strictly.
 *
 * cJSON does the parsing, out of mv_alloc's memory. Around it stand the checks that it does not
 * make itself and that untrusted files need: limits on nesting and on the number of values before
 * anything is allocated, valid UTF-8, no control characters and no U+0000 in strings (cJSON would
 * cut the string there), no duplicate keys, nothing but white space after the value.
 */
#ifndef MV_WEIGHTS_JSON_READ_H
#define MV_WEIGHTS_JSON_READ_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MV_CJSON_MAX_DEPTH = 32, MV_CJSON_MAX_VALUES = 1 << 20 };

/* Parses `n` bytes whose top level must be an object. `what` names the text in messages.
 * Returns in *out (free with cJSON_Delete). MV_ERR_FORMAT or MV_ERR_MEMORY. */
mv_status mv_cjson_object(cJSON **out, const char *text, size_t n, const char *what, mv_error *err);

/* Fills *out and returns 1 if `item` is a number that is an integer with |x| < 2^53, 0 if not
 * (NULL included). */
int mv_cjson_int(const cJSON *item, int64_t *out);

#ifdef __cplusplus
}
#endif
#endif
