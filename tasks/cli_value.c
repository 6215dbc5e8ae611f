#include "tasks/cli_value.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_IMAGE_SIDE 1000000

static int parse_real(const char *text, double *value) {
  char *end;
  if (!*text || isspace((unsigned char)*text)) return 0;
  errno = 0;
  *value = strtod(text, &end);
  return !*end && isfinite(*value) && !strpbrk(text, "xXpP");
}

/* Digits alone, with a sign where `min` allows one. */
static int parse_int(const char *text, double min, double max, int *value) {
  char *end;
  if (!isdigit((unsigned char)*text) && !(*text == '-' && min < 0)) return 0;
  errno = 0;
  long parsed = strtol(text, &end, 10);
  if (*end || errno || (double)parsed < min || (double)parsed > max || parsed > INT_MAX) return 0;
  *value = (int)parsed;
  return 1;
}

static int parse_seed(const char *text, uint64_t *value) {
  char *end;
  if (!isdigit((unsigned char)*text)) return 0;
  errno = 0;
  unsigned long long parsed = strtoull(text, &end, 10);
  *value = parsed;
  return !*end && !errno;
}

/* Splits "AxB" (x or X) into two NUL-terminated pieces of at most 31 characters. */
static int split_x(const char *text, char a[32], char b[32]) {
  const char *x = strpbrk(text, "xX");
  if (!x || x == text || x - text > 31 || !x[1] || strlen(x + 1) > 31) return 0;
  memcpy(a, text, (size_t)(x - text));
  a[x - text] = 0;
  memcpy(b, x + 1, strlen(x + 1) + 1);
  return 1;
}

static int parse_size(const char *text, int value[2]) {
  char a[32], b[32];
  return split_x(text, a, b) && parse_int(a, 1, MAX_IMAGE_SIDE, &value[0]) &&
         parse_int(b, 1, MAX_IMAGE_SIDE, &value[1]);
}

static int positive_spacing(double x) { return x >= 1e-9 && x <= 1e9; }

static int parse_spacing(const char *text, double value[2]) {
  char a[32], b[32];
  if (split_x(text, a, b)) {
    if (!parse_real(a, &value[0]) || !parse_real(b, &value[1])) return 0;
  } else {
    if (!parse_real(text, &value[0])) return 0;
    value[1] = value[0];
  }
  return positive_spacing(value[0]) && positive_spacing(value[1]);
}

int mv_cli_choice(const char *choices, const char *text, int *value) {
  size_t n = strlen(text);
  int index = 0;
  for (const char *at = choices;; at = strchr(at, '|') + 1, index++) {
    size_t width = strcspn(at, "|");
    if (width == n && memcmp(at, text, n) == 0) {
      *value = index;
      return 1;
    }
    if (!at[width]) return 0;
  }
}

static int valid_device(const char *text) {
  if (!strcmp(text, "auto") || !strcmp(text, "cpu") || !strcmp(text, "cuda")) return 1;
  int ignored;
  return !strncmp(text, "cuda:", 5) && parse_int(text + 5, 0, 1023, &ignored);
}

/* "A;B": spaces after the semicolon and before A are dropped, all others are kept, because some
 * of the benchmark's landmark names end in one. 1 done, 0 not two names, -1 out of memory. */
static int parse_pair(mv_arena *arena, const char *text, const char *pair[2]) {
  char *copy = mv_arena_strdup(arena, text);
  if (!copy) return -1;
  char *semicolon = strchr(copy, ';');
  if (!semicolon || strchr(semicolon + 1, ';')) return 0;
  *semicolon = 0;
  pair[0] = copy + strspn(copy, " \t");
  pair[1] = semicolon + 1 + strspn(semicolon + 1, " \t");
  return *pair[0] && *pair[1];
}

/* "axial:57" or "axial:57:2" */
static int parse_slice(const char *text, mv_cli_slice *slice) {
  size_t n = strcspn(text, ":");
  char plane[16], index[16];
  if (!text[n] || n >= sizeof plane) return 0;
  memcpy(plane, text, n);
  plane[n] = 0;
  const char *rest = text + n + 1;
  size_t m = strcspn(rest, ":");
  if (m >= sizeof index) return 0;
  memcpy(index, rest, m);
  index[m] = 0;
  slice->frame = 0;
  if (rest[m] && !parse_int(rest + m + 1, 0, INT_MAX, &slice->frame)) return 0;
  return mv_cli_choice("sagittal|coronal|axial", plane, &slice->plane) &&
         parse_int(index, 0, MAX_IMAGE_SIDE, &slice->index);
}

int mv_cli_append(mv_arena *arena, int capacity, mv_cli_list *list, const char *text) {
  if (!list->v) list->v = mv_arena_alloc(arena, (size_t)capacity * sizeof *list->v);
  if (!list->v) return -1;
  list->v[list->n++] = text;
  return 1;
}

int mv_cli_store(mv_cli_args *args, int argc, const mv_cli_option *option, const char *text) {
  void *field = (char *)args + option->offset;
  switch (option->type) {
    case MV_CLI_SWITCH:
      *(int *)field = 1;
      return 1;
    case MV_CLI_TEXT:
      *(const char **)field = text;
      return 1;
    case MV_CLI_FILE:
    case MV_CLI_DIR:
      *(const char **)field = text;
      return *text != 0;
    case MV_CLI_TEXTS:
    case MV_CLI_FILES:
      return *text ? mv_cli_append(&args->arena, argc, field, text) : 0;
    case MV_CLI_INT:
      return parse_int(text, option->min, option->max, field);
    case MV_CLI_SEED:
      return parse_seed(text, field);
    case MV_CLI_REAL:
      return parse_real(text, field) && *(double *)field >= option->min &&
             *(double *)field <= option->max;
    case MV_CLI_CHOICE:
      return mv_cli_choice(option->choices, text, field);
    case MV_CLI_DEVICE:
      *(const char **)field = text;
      return valid_device(text);
    case MV_CLI_SPACING:
      return parse_spacing(text, field);
    case MV_CLI_HW:
      if (strcmp(text, "none") == 0) {
        memset(field, 0, 2 * sizeof(int));
        return 1;
      }
      return parse_size(text, field);
    case MV_CLI_WH:
      return parse_size(text, field);
    case MV_CLI_PAIR:
      return parse_pair(&args->arena, text, field);
    case MV_CLI_SLICE:
      return parse_slice(text, field);
  }
  return 0;
}

void mv_cli_expectation(const mv_cli_option *option, char out[256]) {
  switch (option->type) {
    case MV_CLI_FILE:
      snprintf(out, 256, "a file name");
      return;
    case MV_CLI_DIR:
      snprintf(out, 256, "a directory");
      return;
    case MV_CLI_FILES:
      snprintf(out, 256, "a file name");
      return;
    case MV_CLI_INT:
      snprintf(out, 256, "a whole number from %.0f to %.0f", option->min, option->max);
      return;
    case MV_CLI_SEED:
      snprintf(out, 256, "a whole number from 0 to 18446744073709551615");
      return;
    case MV_CLI_REAL:
      snprintf(out, 256, "a number from %g to %g", option->min, option->max);
      return;
    case MV_CLI_CHOICE: {
      size_t n = (size_t)snprintf(out, 256, "one of ");
      for (const char *c = option->choices; *c && n + 3 < 256; c++) {
        if (*c == '|')
          out[n++] = ',', out[n++] = ' ';
        else
          out[n++] = *c;
      }
      out[n] = 0;
      return;
    }
    case MV_CLI_DEVICE:
      snprintf(out, 256, "auto, cpu, cuda or cuda:N");
      return;
    case MV_CLI_SPACING:
      snprintf(out, 256, "one positive number or WIDTHxHEIGHT, such as 0.711 or 0.7x0.8");
      return;
    case MV_CLI_HW:
      snprintf(out, 256, "HEIGHTxWIDTH in pixels, such as 504x504, or none");
      return;
    case MV_CLI_WH:
      snprintf(out, 256, "WIDTHxHEIGHT in pixels, such as 182x218");
      return;
    case MV_CLI_PAIR:
      snprintf(out, 256, "two names separated by one semicolon, such as \"P1;P2\"");
      return;
    case MV_CLI_SLICE:
      snprintf(out, 256, "axial, coronal or sagittal, a colon and an index, such as axial:57");
      return;
    default:
      snprintf(out, 256, "text");
      return;
  }
}
