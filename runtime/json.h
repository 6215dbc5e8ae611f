/* JSON as Python's json module reads and writes it.
 *
 * Checkpoints and configs go through cJSON; JSON lines and benchmark files go through this,
 * because they must keep what cJSON loses: U+0000 in strings, bare NaN and Infinity, integers of
 * any size, the order of keys, and Python's shortest form of a float.
 *
 *   mv_json_doc doc = {0};
 *   MV_TRY(mv_json_parse(&doc, line, err));
 *   const mv_json *label = mv_json_get(doc.root, "label");
 *   ...
 *   mv_json_doc_free(&doc);
 *
 *   mv_json_writer w = {.out = &buf};          // json.dumps(...)
 *   mv_json_begin_object(&w);
 *   mv_json_key(&w, "values"); mv_json_begin_array(&w); mv_json_double(&w, 24.13); ...
 *
 * Strings are UTF-8 with one exception: a lone surrogate escape (\ud800) becomes the three bytes
 * its code point would have (WTF-8), and is written as the escape again.
 */
#ifndef MV_RUNTIME_JSON_H
#define MV_RUNTIME_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"
#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mv_json_type {
  MV_JSON_NULL = 0,
  MV_JSON_BOOL,
  MV_JSON_INT,   /* a number without fraction and exponent */
  MV_JSON_FLOAT, /* any other number, NaN, Infinity, -Infinity */
  MV_JSON_STRING,
  MV_JSON_ARRAY,
  MV_JSON_OBJECT
} mv_json_type;

/* One value. Walk the children of an array or object with
 * `for (const mv_json *item = node->first; item; item = item->next)`. */
typedef struct mv_json {
  mv_json_type type;
  int truth;     /* BOOL                                              */
  double number; /* INT, FLOAT: the nearest double, inf on overflow   */
  mv_str text;   /* STRING: its characters; INT: its digits as written */
  mv_str key;    /* the name, where this is a member of an object      */
  size_t n_items;
  struct mv_json *first, *next;
} mv_json;

/* Owns all nodes and strings of one parsed text. Zero-initialise. */
typedef struct mv_json_doc {
  mv_json *root;   /* borrows: one of the nodes below        */
  char *text;      /* owns: the copy that strings point into */
  mv_json *blocks; /* owns: blocks of nodes, the first of each links to the block before it */
} mv_json_doc;

#define MV_JSON_MAX_DEPTH 512

/* Parses one value with nothing but white space around it; `text` may go afterwards. Of equal
 * keys the first keeps its place and the last gives the value, as in a Python dict. Anything
 * wrong is MV_ERR_FORMAT with the byte offset. The document is empty after a failure. */
mv_status mv_json_parse(mv_json_doc *doc, mv_str text, mv_error *err);
void mv_json_doc_free(mv_json_doc *doc);

/* NULL where there is no such member or item, or `node` is NULL or of another type. */
const mv_json *mv_json_get(const mv_json *node, const char *key);
const mv_json *mv_json_at(const mv_json *node, size_t index);

int mv_json_is(const mv_json *node, mv_json_type type); /* NULL: 0 */
int mv_json_is_number(const mv_json *node);             /* INT or FLOAT */
/* Fills *out and returns 1 when the node is an INT that fits. */
int mv_json_to_int(const mv_json *node, int64_t *out);
/* "an object", "a string", ...: for messages. NULL is "nothing". */
const char *mv_json_type_name(const mv_json *node);

/* Writes values one after another into a buffer; commas, colons and indentation come by
 * themselves. {.out = &buf} gives json.dumps(value): one line, ", " and ": ", non-ASCII escaped.
 * Memory failures stay in the buffer (mv_buf_status). */
typedef struct mv_json_writer {
  mv_buf *out;   /* borrows */
  int indent;    /* spaces a level; 0: all on one line        */
  int compact;   /* "," and ":" without blanks                */
  int utf8;      /* non-ASCII as it is (ensure_ascii=False)   */
  int depth;     /* state: open containers                    */
  int has_items; /* state: the open container is not empty    */
  int after_key; /* state: a key was written, its value not   */
} mv_json_writer;

void mv_json_begin_object(mv_json_writer *w);
void mv_json_end_object(mv_json_writer *w);
void mv_json_begin_array(mv_json_writer *w);
void mv_json_end_array(mv_json_writer *w);
void mv_json_key(mv_json_writer *w, const char *key);
void mv_json_key_str(mv_json_writer *w, mv_str key);
void mv_json_string(mv_json_writer *w, mv_str text); /* bytes that are not UTF-8 become U+FFFD */
void mv_json_text(mv_json_writer *w, const char *text);
void mv_json_int(mv_json_writer *w, int64_t value);
void mv_json_double(mv_json_writer *w, double value); /* NaN, Infinity, -Infinity bare */
void mv_json_float(mv_json_writer *w, float value);   /* the shortest float32 form */
void mv_json_bool(mv_json_writer *w, int truth);
void mv_json_null(mv_json_writer *w);
void mv_json_raw(mv_json_writer *w, mv_str json); /* a value already written as JSON */
void mv_json_node(mv_json_writer *w, const mv_json *node);

#ifdef __cplusplus
}
#endif
#endif
