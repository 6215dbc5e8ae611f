#include "bench/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bad(const char *name, const char *format, const char *what) {
  fprintf(stderr, "medvision: bench %s: ", name);
  fprintf(stderr, format, what);
  fprintf(stderr, " (see medvision bench %s --help)\n", name);
  return 2;
}

static int parse_count(const char *text, int *out) {
  char *end;
  long n = strtol(text, &end, 10);
  if (*text == 0 || *end != 0 || n < 0 || n > 10000000) return 0;
  *out = (int)n;
  return 1;
}

static int parse_real(const char *text, double *out) {
  char *end;
  double x = strtod(text, &end);
  if (*text == 0 || *end != 0 || !(x >= 0)) return 0;
  *out = x;
  return 1;
}

static int set(const char *name, const bench_option *option, const char *value) {
  if (option->text) {
    *option->text = value;
    return 0;
  }
  if (option->count)
    return parse_count(value, option->count) ? 0 : bad(name, "%s: expected a count", value);
  return parse_real(value, option->real) ? 0 : bad(name, "%s: expected a number", value);
}

static int take_operand(bench_arguments *a, const char *word) {
  if (!a->operands || word[0] == '-') return bad(a->name, "unknown argument %s", word);
  if (a->n_operand == a->max_operand) return bad(a->name, "%s: too many arguments", word);
  a->operands[a->n_operand++] = word;
  return 0;
}

int bench_parse(bench_arguments *a, int argc, char **argv) {
  int code = 0;
  for (int i = 1; i < argc && code == 0; i++) {
    const bench_option *option = a->options, *end = option + a->n_option;
    while (option < end && strcmp(argv[i], option->name) != 0) option++;
    if (option == end)
      code = take_operand(a, argv[i]);
    else if (option->flag)
      *option->flag = 1;
    else if (++i == argc)
      code = bad(a->name, "%s needs a value", option->name);
    else
      code = set(a->name, option, argv[i]);
  }
  return code;
}

int bench_parse_options(const char *name, int argc, char **argv, const bench_option *options,
                        int n) {
  bench_arguments a = {.name = name, .options = options, .n_option = n};
  return bench_parse(&a, argc, argv);
}

void bench_json_command(mv_json_writer *w, int argc, char **argv) {
  mv_buf line = {0};
  mv_buf_text(&line, "medvision bench");
  for (int i = 0; i < argc; i++) mv_buf_printf(&line, " %s", argv[i]);
  mv_json_key(w, "command");
  mv_json_string(w, mv_buf_view(&line));
  if (line.failed) w->out->failed = 1;
  mv_buf_free(&line);
}

int bench_failed(const char *name, const mv_error *err) {
  fprintf(stderr, "medvision: bench %s: %s\n", name, err->msg);
  return err->code == MV_ERR_USAGE ? 2 : 1;
}

mv_status bench_precision(const char *name, mv_precision *out, mv_error *err) {
  static const char *const names[] = {"auto", "bf16", "fp32"};
  for (int i = 0; i < 3; i++)
    if (strcmp(name, names[i]) == 0) {
      *out = (mv_precision)i;
      return MV_OK;
    }
  return mv_fail(err, MV_ERR_USAGE, "--dtype %s: expected auto, bf16 or fp32", name);
}

int bench_list(const char *text, int *out, int max) {
  int n = 0;
  for (;;) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || value < 1 || value > 65536 || n == max) return 0;
    out[n++] = (int)value;
    if (*end == 0) return n;
    if (*end != ',') return 0;
    text = end + 1;
  }
}
