/* medvision tokenize: text to ids and back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/file.h"
#include "tasks/cli_command.h"
#include "tasks/cli_io.h"
#include "tasks/cli_jsonl.h"
#include "tokenizer/tokenizer.h"

/* An id of the text form: digits, an int32. */
static int parse_id(const char *from, size_t n, int32_t *id) {
  if (n == 0 || n > 10) return 0;
  int64_t value = 0;
  for (size_t i = 0; i < n; i++) {
    if (from[i] < '0' || from[i] > '9') return 0;
    value = value * 10 + (from[i] - '0');
  }
  *id = (int32_t)value;
  return value <= INT32_MAX;
}

/* Ids separated by white space or commas, brackets allowed around them. */
static mv_status read_ids(mv_str text, mv_ids *ids, mv_error *err) {
  static const char between[] = " \t\r\n,[]";
  for (size_t at = 0; at < text.len;) {
    if (text.ptr[at] && strchr(between, text.ptr[at])) {
      at++;
      continue;
    }
    size_t n = 0;
    while (at + n < text.len && (!text.ptr[at + n] || !strchr(between, text.ptr[at + n]))) n++;
    int32_t id;
    if (!parse_id(text.ptr + at, n, &id))
      return mv_fail(err, MV_ERR_FORMAT, "expected token ids, found '%.*s'", (int)(n < 40 ? n : 40),
                     text.ptr + at);
    MV_TRY(mv_ids_add(ids, id, err));
    at += n;
  }
  return MV_OK;
}

/* The text of a token in quotes; bytes that are no character as \xNN. */
static void put_quoted(mv_buf *out, mv_str token) {
  mv_buf_char(out, '"');
  for (size_t i = 0; i < token.len;) {
    uint32_t cp;
    size_t n = mv_utf8_decode(token.ptr + i, token.len - i, &cp);
    unsigned char byte = (unsigned char)token.ptr[i];
    if (n == 0 || cp < 0x20 || (cp >= 0x7F && cp < 0xA0)) {
      if (n && cp == '\n')
        mv_buf_text(out, "\\n");
      else if (n && cp == '\t')
        mv_buf_text(out, "\\t");
      else
        mv_buf_printf(out, "\\x%02X", byte);
      i++;
      continue;
    }
    if (cp == '"' || cp == '\\') mv_buf_char(out, '\\');
    mv_buf_add(out, token.ptr + i, n);
    i += n;
  }
  mv_buf_char(out, '"');
}

static void put_ids_json(mv_json_writer *writer, const mv_ids *ids) {
  mv_json_key(writer, "ids");
  mv_json_begin_array(writer);
  for (size_t i = 0; i < ids->len; i++) mv_json_int(writer, ids->ids[i]);
  mv_json_end_array(writer);
}

/* ---- JSON lines ---- */

static mv_status encode_line(void *user, const mv_json *line, mv_json_writer *writer,
                             mv_error *err) {
  const mv_json *text = mv_json_get(line, "text");
  if (!mv_json_is(text, MV_JSON_STRING))
    return mv_fail(err, MV_ERR_FORMAT, "\"text\": expected a string, found %s",
                   mv_json_type_name(text));
  mv_ids ids = {0};
  mv_status status = mv_tokenizer_encode(user, text->text, MV_ENCODE_SPECIAL, &ids, err);
  if (status == MV_OK) put_ids_json(writer, &ids);
  mv_ids_free(&ids);
  return status;
}

static mv_status collect_ids(const mv_json *list, mv_ids *ids, mv_error *err) {
  if (!mv_json_is(list, MV_JSON_ARRAY))
    return mv_fail(err, MV_ERR_FORMAT, "\"ids\": expected an array, found %s",
                   mv_json_type_name(list));
  for (const mv_json *item = list->first; item; item = item->next) {
    int64_t id;
    if (!mv_json_to_int(item, &id) || id < 0 || id > INT32_MAX)
      return mv_fail(err, MV_ERR_FORMAT, "\"ids\": expected whole numbers from 0 to %d", INT32_MAX);
    MV_TRY(mv_ids_add(ids, (int32_t)id, err));
  }
  return MV_OK;
}

static mv_status decode_line(void *user, const mv_json *line, mv_json_writer *writer,
                             mv_error *err) {
  mv_ids ids = {0};
  mv_buf text = {0};
  mv_status status = collect_ids(mv_json_get(line, "ids"), &ids, err);
  if (status == MV_OK) status = mv_tokenizer_decode(user, ids.ids, ids.len, 0, &text, err);
  if (status == MV_OK) status = mv_buf_status(&text, err);
  if (status == MV_OK) {
    mv_json_key(writer, "text");
    mv_json_string(writer, mv_buf_view(&text));
  }
  mv_ids_free(&ids);
  mv_buf_free(&text);
  return status;
}

/* ---- one text ---- */

static mv_status print_ids(const mv_cli_args *args, const mv_tokenizer *tok, mv_str text,
                           mv_buf *out, mv_error *err) {
  mv_ids ids = {0};
  mv_status status = mv_tokenizer_encode(tok, text, MV_ENCODE_SPECIAL, &ids, err);
  if (status == MV_OK && args->json) {
    mv_json_writer writer = mv_cli_json(out);
    mv_json_begin_object(&writer);
    put_ids_json(&writer, &ids);
    mv_json_end_object(&writer);
    mv_buf_char(out, '\n');
  } else if (status == MV_OK) {
    for (size_t i = 0; i < ids.len; i++) {
      mv_buf_printf(out, "%6d  ", ids.ids[i]);
      put_quoted(out, mv_tokenizer_token(tok, ids.ids[i]));
      mv_buf_char(out, '\n');
    }
  }
  mv_ids_free(&ids);
  return status;
}

static mv_status print_text(const mv_cli_args *args, const mv_tokenizer *tok, mv_str input,
                            mv_buf *out, mv_error *err) {
  mv_ids ids = {0};
  mv_buf text = {0};
  mv_status status = read_ids(input, &ids, err);
  if (status == MV_OK) status = mv_tokenizer_decode(tok, ids.ids, ids.len, 0, &text, err);
  if (status == MV_OK) status = mv_buf_status(&text, err);
  if (status == MV_OK && args->json) {
    mv_json_writer writer = mv_cli_json(out);
    mv_json_begin_object(&writer);
    mv_json_key(&writer, "text");
    mv_json_string(&writer, mv_buf_view(&text));
    mv_json_end_object(&writer);
    mv_buf_char(out, '\n');
  } else if (status == MV_OK) {
    mv_buf_str(out, mv_buf_view(&text));
    if (mv_cli_stdout_is_terminal()) mv_buf_char(out, '\n');
  }
  mv_ids_free(&ids);
  mv_buf_free(&text);
  return status;
}

/* The arguments, joined by spaces, or standard input where there are none. */
static mv_status read_input(const mv_cli_args *args, mv_buf *input, mv_error *err) {
  if (args->operands.n == 0) {
    if (mv_cli_stdin_is_terminal()) mv_cli_note(args, "reading standard input up to Ctrl-D");
    return mv_file_read("-", MV_JSONL_MAX_LINE, input, err);
  }
  for (int i = 0; i < args->operands.n; i++) {
    if (i) mv_buf_char(input, ' ');
    mv_buf_text(input, args->operands.v[i]);
  }
  return mv_buf_status(input, err);
}

static mv_status run(const mv_cli_args *args, const mv_tokenizer *tok, mv_error *err) {
  mv_buf input = {0}, out = {0};
  mv_status status = read_input(args, &input, err);
  if (status == MV_OK)
    status = (args->decode ? print_text : print_ids)(args, tok, mv_buf_view(&input), &out, err);
  if (status == MV_OK) status = mv_buf_status(&out, err);
  if (status == MV_OK) mv_cli_put(mv_buf_view(&out));
  mv_buf_free(&input);
  mv_buf_free(&out);
  return status;
}

int mv_cmd_tokenize(const mv_cli_args *args) {
  mv_error err = {0};
  mv_tokenizer *tok = NULL;
  int code = MV_EXIT_DONE;
  char *dir = mv_cli_model_dir(args, &err);
  if (!dir || mv_tokenizer_open(&tok, dir, &err) != MV_OK)
    code = mv_cli_fail(&err);
  else if (args->jsonl)
    code = mv_cli_jsonl(args->decode ? decode_line : encode_line, tok);
  else if (run(args, tok, &err) != MV_OK)
    code = mv_cli_fail(&err);
  mv_tokenizer_close(tok);
  mv_free(dir);
  return code;
}
