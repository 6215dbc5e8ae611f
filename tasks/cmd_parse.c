/* medvision parse: an answer text to values, by the benchmark's rule. */
#include <string.h>

#include "runtime/file.h"
#include "runtime/pyfloat.h"
#include "tasks/cli_command.h"
#include "tasks/cli_io.h"
#include "tasks/cli_jsonl.h"
#include "tasks/parse.h"

#define MAX_NUMBERS 1024

/* "answer", "values", "parsed" of a text, and whether it parsed. */
static mv_status write_members(mv_str text, int k, mv_json_writer *w, int *parsed, mv_error *err) {
  mv_buf answer = {0};
  mv_answer_numbers(text, k, &answer);
  mv_status status = mv_buf_status(&answer, err);
  *parsed = answer.len > 0;
  if (status == MV_OK) {
    mv_json_key(w, "answer");
    mv_json_string(w, mv_buf_view(&answer));
    mv_json_key(w, "values");
    if (*parsed) mv_json_begin_array(w);
    for (int i = 0; *parsed && i < k && status == MV_OK; i++) {
      double value = 0;
      status = mv_answer_value(mv_buf_view(&answer), i, &value, err);
      mv_json_double(w, value);
    }
    if (*parsed)
      mv_json_end_array(w);
    else
      mv_json_null(w);
    mv_json_key(w, "parsed");
    mv_json_bool(w, *parsed);
  }
  mv_buf_free(&answer);
  return status;
}

static mv_status parse_line(void *user, const mv_json *line, mv_json_writer *w, mv_error *err) {
  const mv_cli_args *args = user;
  const mv_json *text = mv_json_get(line, "text");
  int k = args->numbers, parsed;
  if (!mv_json_is(text, MV_JSON_STRING))
    return mv_fail(err, MV_ERR_FORMAT, "\"text\": expected a string, found %s",
                   mv_json_type_name(text));
  MV_TRY(mv_jsonl_int(line, "k", 1, MAX_NUMBERS, &k, err));
  return write_members(text->text, k, w, &parsed, err);
}

static mv_status print_values(mv_str text, int k, mv_buf *out, int *parsed, mv_error *err) {
  mv_buf answer = {0};
  mv_answer_numbers(text, k, &answer);
  mv_status status = mv_buf_status(&answer, err);
  *parsed = answer.len > 0;
  for (int i = 0; *parsed && i < k && status == MV_OK; i++) {
    double value = 0;
    char number[MV_PYFLOAT_BYTES];
    status = mv_answer_value(mv_buf_view(&answer), i, &value, err);
    mv_pyfloat_repr(value, number);
    mv_buf_printf(out, "%s\n", number);
  }
  mv_buf_free(&answer);
  return status;
}

static mv_status run(const mv_cli_args *args, mv_buf *out, int *parsed, mv_error *err) {
  mv_buf text = {0};
  if (!args->operands.n && mv_cli_stdin_is_terminal())
    mv_cli_note(args, "reading standard input up to Ctrl-D");
  const char *path = args->operands.n ? args->operands.v[0] : "-";
  mv_status status = mv_file_read(path, MV_JSONL_MAX_LINE, &text, err);
  size_t bad = status == MV_OK ? mv_utf8_check(text.ptr ? text.ptr : "", text.len) : text.len;
  if (status == MV_OK && bad < text.len)
    status = mv_fail(err, MV_ERR_FORMAT, "%s: the text is not valid UTF-8 (byte %zu)",
                     args->operands.n ? path : "standard input", bad + 1);
  if (status == MV_OK && args->json) {
    mv_json_writer writer = mv_cli_json(out);
    mv_json_begin_object(&writer);
    status = write_members(mv_buf_view(&text), args->numbers, &writer, parsed, err);
    mv_json_end_object(&writer);
    mv_buf_char(out, '\n');
  } else if (status == MV_OK) {
    status = print_values(mv_buf_view(&text), args->numbers, out, parsed, err);
  }
  mv_buf_free(&text);
  return status == MV_OK ? mv_buf_status(out, err) : status;
}

int mv_cmd_parse(const mv_cli_args *args) {
  if (args->jsonl) return mv_cli_jsonl(parse_line, (void *)args);
  mv_buf out = {0};
  mv_error err = {0};
  int parsed = 0, code = MV_EXIT_DONE;
  if (run(args, &out, &parsed, &err) != MV_OK) {
    code = mv_cli_fail(&err);
  } else {
    mv_cli_put(mv_buf_view(&out));
    if (!parsed) {
      mv_cli_say("no <answer>...</answer> with at least %d number%s", args->numbers,
                 args->numbers == 1 ? "" : "s");
      code = MV_EXIT_UNPARSED;
    }
  }
  mv_buf_free(&out);
  return code;
}
