/* The writer: json.dumps in its default, compact and indented forms. */
#include <inttypes.h>
#include <math.h>

#include "runtime/json.h"
#include "runtime/pyfloat.h"

static void new_line(mv_json_writer *w) {
  if (!w->indent) return;
  mv_buf_char(w->out, '\n');
  for (int i = 0; i < w->depth * w->indent; i++) mv_buf_char(w->out, ' ');
}

/* Before a key, and before a value that has none. */
static void separate(mv_json_writer *w) {
  if (w->has_items) mv_buf_text(w->out, w->indent || w->compact ? "," : ", ");
  if (w->depth) new_line(w);
  w->has_items = 1;
}

static void before_value(mv_json_writer *w) {
  if (!w->after_key) separate(w);
  w->after_key = 0;
}

static void begin(mv_json_writer *w, char bracket) {
  before_value(w);
  mv_buf_char(w->out, bracket);
  w->depth++;
  w->has_items = 0;
}

static void end(mv_json_writer *w, char bracket) {
  w->depth--;
  if (w->has_items) new_line(w);
  mv_buf_char(w->out, bracket);
  w->has_items = w->depth > 0; /* at the top a next value starts afresh */
}

void mv_json_begin_object(mv_json_writer *w) { begin(w, '{'); }
void mv_json_end_object(mv_json_writer *w) { end(w, '}'); }
void mv_json_begin_array(mv_json_writer *w) { begin(w, '['); }
void mv_json_end_array(mv_json_writer *w) { end(w, ']'); }

static void scalar(mv_json_writer *w, mv_str text) {
  before_value(w);
  mv_buf_str(w->out, text);
  if (!w->depth) w->has_items = 0;
}

/* Decodes one character, lone surrogates in their three-byte form too; 0 if neither. */
static size_t decode(const char *s, size_t n, uint32_t *cp) {
  size_t len = mv_utf8_decode(s, n, cp);
  const unsigned char *u = (const unsigned char *)s;
  if (len || n < 3 || u[0] != 0xED || u[1] < 0xA0 || u[1] > 0xBF || (u[2] & 0xC0) != 0x80)
    return len;
  *cp = 0xD000u | (u[1] & 0x3Fu) << 6 | (u[2] & 0x3Fu);
  return 3;
}

static void write_unicode(mv_buf *out, uint32_t cp) {
  if (cp < 0x10000) {
    mv_buf_printf(out, "\\u%04" PRIx32, cp);
  } else {
    mv_buf_printf(out, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xD800 + ((cp - 0x10000) >> 10),
                  0xDC00 + (cp & 0x3FF));
  }
}

static void write_special(mv_json_writer *w, const char *s, size_t len, uint32_t cp) {
  static const char escapes[] = "\b\t\n\f\r\"\\", names[] = "btnfr\"\\";
  for (size_t i = 0; i < sizeof escapes - 1; i++) {
    if (cp != (unsigned char)escapes[i]) continue;
    mv_buf_char(w->out, '\\');
    mv_buf_char(w->out, names[i]);
    return;
  }
  int surrogate = cp >= 0xD800 && cp <= 0xDFFF;
  if (cp < 0x20 || surrogate || !w->utf8) {
    write_unicode(w->out, cp);
  } else {
    mv_buf_add(w->out, s, len);
  }
}

static void write_quoted(mv_json_writer *w, mv_str text) {
  size_t at = 0;
  mv_buf_char(w->out, '"');
  while (at < text.len) {
    size_t run = at;
    while (at < text.len && text.ptr[at] >= 0x20 && text.ptr[at] < 0x7F && text.ptr[at] != '"' &&
           text.ptr[at] != '\\')
      at++;
    mv_buf_add(w->out, text.ptr + run, at - run);
    if (at == text.len) break;
    uint32_t cp;
    size_t len = decode(text.ptr + at, text.len - at, &cp);
    if (len) {
      write_special(w, text.ptr + at, len, cp);
    } else {
      len = 1;
      write_special(w, "\xEF\xBF\xBD", 3, 0xFFFD);
    }
    at += len;
  }
  mv_buf_char(w->out, '"');
}

void mv_json_key_str(mv_json_writer *w, mv_str key) {
  separate(w);
  write_quoted(w, key);
  mv_buf_text(w->out, w->compact && !w->indent ? ":" : ": ");
  w->after_key = 1;
}

void mv_json_key(mv_json_writer *w, const char *key) { mv_json_key_str(w, mv_str_of(key)); }

void mv_json_string(mv_json_writer *w, mv_str text) {
  scalar(w, mv_str_of(""));
  write_quoted(w, text);
}

void mv_json_text(mv_json_writer *w, const char *text) { mv_json_string(w, mv_str_of(text)); }
void mv_json_raw(mv_json_writer *w, mv_str json) { scalar(w, json); }
void mv_json_bool(mv_json_writer *w, int truth) { scalar(w, mv_str_of(truth ? "true" : "false")); }
void mv_json_null(mv_json_writer *w) { scalar(w, mv_str_of("null")); }

void mv_json_int(mv_json_writer *w, int64_t value) {
  scalar(w, mv_str_of(""));
  mv_buf_printf(w->out, "%" PRId64, value);
}

static void write_real(mv_json_writer *w, double value, const char *repr) {
  if (isnan(value)) repr = "NaN";
  if (isinf(value)) repr = value > 0 ? "Infinity" : "-Infinity";
  scalar(w, mv_str_of(repr));
}

void mv_json_double(mv_json_writer *w, double value) {
  char repr[MV_PYFLOAT_BYTES];
  mv_pyfloat_repr(value, repr);
  write_real(w, value, repr);
}

void mv_json_float(mv_json_writer *w, float value) {
  char repr[MV_PYFLOAT_BYTES];
  mv_pyfloat_repr_f32(value, repr);
  write_real(w, (double)value, repr);
}

/* Recursion is bounded by the depth the reader allows. */
void mv_json_node(mv_json_writer *w, const mv_json *node) {
  switch (node->type) {
    case MV_JSON_NULL:
      mv_json_null(w);
      return;
    case MV_JSON_BOOL:
      mv_json_bool(w, node->truth);
      return;
    case MV_JSON_INT:
      scalar(w, mv_str_is(node->text, "-0") ? mv_str_of("0") : node->text);
      return;
    case MV_JSON_FLOAT:
      mv_json_double(w, node->number);
      return;
    case MV_JSON_STRING:
      mv_json_string(w, node->text);
      return;
    case MV_JSON_ARRAY:
    case MV_JSON_OBJECT:
      break;
  }
  int object = node->type == MV_JSON_OBJECT;
  begin(w, object ? '{' : '[');
  for (const mv_json *item = node->first; item; item = item->next) {
    if (object) mv_json_key_str(w, item->key);
    mv_json_node(w, item);
  }
  end(w, object ? '}' : ']');
}
