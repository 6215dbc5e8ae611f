/* argv -> mv_cli_args, by the table. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tasks/cli_value.h"

/* ---- looking things up ---- */

static int takes(mv_cli_id command, const mv_cli_option *option) {
  return (option->commands >> command & 1u) != 0;
}

const mv_cli_option *mv_cli_option_find(mv_cli_id id, const char *name) {
  const mv_cli_option *any = NULL;
  for (int i = 0; i < mv_cli_n_option; i++) {
    const mv_cli_option *option = &mv_cli_options[i];
    if (strcmp(option->name, name) != 0) continue;
    if (takes(id, option)) return option;
    if (!any) any = option;
  }
  return any;
}

int mv_cli_command_find(const char *name, mv_cli_id *id) {
  for (int i = 0; i < MV_CLI_COUNT; i++)
    if (strcmp(mv_cli_commands[i].name, name) == 0) {
      *id = (mv_cli_id)i;
      return 1;
    }
  return 0;
}

int mv_cli_given(const mv_cli_args *args, const char *name) {
  const mv_cli_option *option = mv_cli_option_find(args->command, name);
  return option && (mv_cli_has(args, (int)(option - mv_cli_options)));
}

/* Edits (insert, delete, replace) from a to b; words of more than 31 characters are never close. */
static int edit_distance(const char *a, const char *b) {
  enum { LONGEST = 31 };
  size_t n_a = strlen(a), n_b = strlen(b);
  if (n_a > LONGEST || n_b > LONGEST) return INT_MAX;
  int row[LONGEST + 1];
  for (size_t j = 0; j <= n_b; j++) row[j] = (int)j;
  for (size_t i = 1; i <= n_a; i++) {
    int diagonal = row[0];
    row[0] = (int)i;
    for (size_t j = 1; j <= n_b; j++) {
      int best = diagonal + (a[i - 1] != b[j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[n_b];
}

const char *mv_cli_closest(const char *text, const char *const *words, int n) {
  int limit = (int)(strlen(text) / 3) + 1, best = limit + 1;
  const char *closest = NULL;
  for (int i = 0; i < n; i++) {
    int distance = edit_distance(text, words[i]);
    if (distance < best) best = distance, closest = words[i];
  }
  return closest;
}

/* ---- values ---- */

static mv_status bad_value(const mv_cli_args *args, const mv_cli_option *option, const char *text,
                           mv_error *err) {
  char expected[256];
  mv_cli_expectation(option, expected);
  return mv_fail(err, MV_ERR_USAGE, "%s: --%s: expected %s, found '%s'",
                 mv_cli_commands[args->command].name, option->name, expected, text);
}

static mv_status set_option(mv_cli_args *args, int argc, const mv_cli_option *option,
                            const char *text, mv_error *err) {
  int is_text =
      option->type == MV_CLI_TEXT || option->type == MV_CLI_TEXTS || option->type == MV_CLI_PAIR;
  size_t n = text ? strlen(text) : 0, bad = is_text ? mv_utf8_check(text, n) : n;
  if (bad < n)
    return mv_fail(err, MV_ERR_USAGE, "%s: --%s: the text is not valid UTF-8 (byte %zu)",
                   mv_cli_commands[args->command].name, option->name, bad + 1);
  int done = mv_cli_store(args, argc, option, text);
  if (done < 0) return mv_fail(err, MV_ERR_MEMORY, "out of memory reading the command line");
  if (!done) return bad_value(args, option, text, err);
  size_t bit = (size_t)(option - mv_cli_options);
  args->given[bit / 64] |= (uint64_t)1 << bit % 64;
  return MV_OK;
}

static mv_status set_defaults(mv_cli_args *args, int argc, mv_error *err) {
  args->logprobs = -1;
  args->slice.plane = -1;
  for (int i = 0; i < mv_cli_n_option; i++)
    if (mv_cli_options[i].initial)
      MV_TRY(set_option(args, argc, &mv_cli_options[i], mv_cli_options[i].initial, err));
  memset(args->given, 0, sizeof args->given);
  return MV_OK;
}

/* ---- options ---- */

/* "detect, size and prompt": the commands that take the option. */
static void name_commands(const mv_cli_option *option, char *out, size_t capacity) {
  int left = 0, first = 1;
  for (int i = 0; i < MV_CLI_COUNT; i++) left += takes((mv_cli_id)i, option);
  size_t n = 0;
  for (int i = 0; i < MV_CLI_COUNT && n < capacity; i++) {
    if (!takes((mv_cli_id)i, option)) continue;
    const char *between = first ? "" : left == 1 ? " and " : ", ";
    n += (size_t)snprintf(out + n, capacity - n, "%s%s", between, mv_cli_commands[i].name);
    first = 0, left--;
  }
}

static mv_status unknown_option(const mv_cli_args *args, const char *name, mv_error *err) {
  const char *command = mv_cli_commands[args->command].name;
  const mv_cli_option *elsewhere = mv_cli_option_find(args->command, name);
  if (elsewhere) {
    char commands[512];
    name_commands(elsewhere, commands, sizeof commands);
    return mv_fail(err, MV_ERR_USAGE, "%s: --%s is not an option of '%s' (only of %s)", command,
                   name, command, commands);
  }
  const char *known[64];
  int n = 0;
  for (int i = 0; i < mv_cli_n_option; i++)
    if (takes(args->command, &mv_cli_options[i])) known[n++] = mv_cli_options[i].name;
  const char *closest = mv_cli_closest(name, known, n);
  if (closest)
    return mv_fail(err, MV_ERR_USAGE, "%s: unknown option '--%s' (did you mean --%s?)", command,
                   name, closest);
  return mv_fail(err, MV_ERR_USAGE, "%s: unknown option '--%s' (see 'medvision %s --help')",
                 command, name, command);
}

/* Whether `word` is itself an option of this command: then it is hardly meant as a value. */
static int looks_like_option(const mv_cli_args *args, const char *word) {
  if (strncmp(word, "--", 2) != 0) return 0;
  char name[64];
  size_t n = strcspn(word + 2, "=");
  if (n >= sizeof name) return 0;
  memcpy(name, word + 2, n);
  name[n] = 0;
  const mv_cli_option *option = mv_cli_option_find(args->command, name);
  return option && takes(args->command, option);
}

/* argv[*at] starts with "--". Moves *at to the last word used. */
static mv_status parse_option(mv_cli_args *args, int argc, char **argv, int *at, mv_error *err) {
  const char *command = mv_cli_commands[args->command].name, *word = argv[*at] + 2;
  char name[64];
  size_t n = strcspn(word, "=");
  snprintf(name, sizeof name, "%.*s", (int)(n < 63 ? n : 63), word);
  const mv_cli_option *option = mv_cli_option_find(args->command, name);
  if (!option || !takes(args->command, option)) return unknown_option(args, name, err);
  const char *value = word[n] == '=' ? word + n + 1 : NULL;
  if (!option->metavar) {
    if (value)
      return mv_fail(err, MV_ERR_USAGE, "%s: --%s takes no value, found '%s'", command, name,
                     value);
    return set_option(args, argc, option, NULL, err);
  }
  if (!value) {
    char expected[256];
    mv_cli_expectation(option, expected);
    if (*at + 1 >= argc)
      return mv_fail(err, MV_ERR_USAGE, "%s: --%s needs a value: %s", command, name, expected);
    if (looks_like_option(args, argv[*at + 1]))
      return mv_fail(err, MV_ERR_USAGE,
                     "%s: --%s needs a value (%s), found the option '%s' (write --%s=%s if that is "
                     "the value)",
                     command, name, expected, argv[*at + 1], name, argv[*at + 1]);
    value = argv[++*at];
  }
  return set_option(args, argc, option, value, err);
}

static mv_status parse_words(mv_cli_args *args, int argc, char **argv, int from, mv_error *err) {
  int only_operands = 0;
  for (int i = from; i < argc; i++) {
    const char *word = argv[i];
    int is_option = !only_operands && word[0] == '-' && word[1];
    if (is_option && strcmp(word, "--") == 0)
      only_operands = 1;
    else if (is_option && strcmp(word, "-h") == 0)
      args->help = 1;
    else if (is_option && word[1] == '-')
      MV_TRY(parse_option(args, argc, argv, &i, err));
    else if (is_option)
      return mv_fail(err, MV_ERR_USAGE,
                     "%s: unknown option '%s' (options are written --name; -- before a file whose "
                     "name starts with a dash)",
                     mv_cli_commands[args->command].name, word);
    else if (mv_cli_append(&args->arena, argc, &args->operands, word) < 0)
      return mv_fail(err, MV_ERR_MEMORY, "out of memory reading the command line");
    if (args->help || args->version) return MV_OK;
  }
  return MV_OK;
}

/* ---- what must be there ---- */

/* A slice of a volume or a DICOM file brings its pixel size along: whether it does, the command
 * finds out when it opens the file. */
static int may_have_spacing(const mv_cli_args *args) {
  static const char *const never[] = {".png", ".jpg", ".jpeg", "-"};
  if (args->slice.plane >= 0) return 1;
  for (int i = 0; i < args->operands.n; i++) {
    const char *name = args->operands.v[i];
    int plain = 0;
    for (size_t j = 0; j < sizeof never / sizeof *never; j++) {
      size_t n = strlen(never[j]), length = strlen(name);
      plain |= length >= n && !strcmp(name + length - n, never[j]);
    }
    if (!plain && strchr(name, '.')) return 1;
  }
  return 0;
}

mv_status mv_cli_require(const mv_cli_args *args, mv_cli_id id, mv_error *err) {
  for (int i = 0; i < mv_cli_n_option; i++) {
    const mv_cli_option *option = &mv_cli_options[i];
    if (!(option->required >> id & 1u) || mv_cli_has(args, i)) continue;
    if (!strcmp(option->name, "pixel-size") && may_have_spacing(args)) continue;
    return mv_fail(err, MV_ERR_USAGE, "%s: --%s %s is needed (%s)", mv_cli_commands[id].name,
                   option->name, option->metavar, option->help);
  }
  return MV_OK;
}

/* With --jsonl the lines say what is asked: an option that would be ignored is refused. */
static mv_status check_jsonl(const mv_cli_args *args, mv_error *err) {
  static const char *const single[] = {"reshape", "image-size", "overlay", "out", "dump", "slice"};
  const char *command = mv_cli_commands[args->command].name;
  if (args->operands.n > 0)
    return mv_fail(err, MV_ERR_USAGE, "%s: --jsonl reads standard input, so '%s' has no place",
                   command, args->operands.v[0]);
  for (int i = 0; i < mv_cli_n_option; i++) {
    const mv_cli_option *option = &mv_cli_options[i];
    int refused = option->group == MV_CLI_GROUP_QUESTION;
    for (size_t j = 0; j < sizeof single / sizeof *single; j++)
      refused |= !strcmp(option->name, single[j]);
    if (refused && mv_cli_has(args, i))
      return mv_fail(err, MV_ERR_USAGE, "%s: --%s has no place beside --jsonl (%s)", command,
                     option->name,
                     option->group == MV_CLI_GROUP_OUTPUT ? "results are lines"
                                                          : "the lines say what is asked");
  }
  return MV_OK;
}

static mv_status check_operands(const mv_cli_args *args, mv_error *err) {
  const mv_cli_command *command = &mv_cli_commands[args->command];
  int n = args->operands.n;
  if (n > command->max_operand)
    return mv_fail(err, MV_ERR_USAGE, "%s: unexpected argument '%s' (see 'medvision %s --help')",
                   command->name, args->operands.v[command->max_operand], command->name);
  if (n < command->min_operand)
    return mv_fail(err, MV_ERR_USAGE, "%s: %s is missing (see 'medvision %s --help')",
                   command->name, command->operands, command->name);
  for (int i = 0; i < n; i++)
    if (!*args->operands.v[i])
      return mv_fail(err, MV_ERR_USAGE, "%s: an argument is empty", command->name);
  int ignored;
  if (n > 0 && command->words && !mv_cli_choice(command->words, args->operands.v[0], &ignored))
    return mv_fail(err, MV_ERR_USAGE, "%s: expected one of %s, found '%s'", command->name,
                   command->words, args->operands.v[0]);
  return MV_OK;
}

static mv_status unknown_command(const char *word, mv_error *err) {
  const char *names[MV_CLI_COUNT];
  for (int i = 0; i < MV_CLI_COUNT; i++) names[i] = mv_cli_commands[i].name;
  const char *closest = mv_cli_closest(word, names, MV_CLI_COUNT);
  if (word[0] == '-')
    return mv_fail(err, MV_ERR_USAGE, "expected a command before '%s' (see 'medvision help')",
                   word);
  if (closest)
    return mv_fail(err, MV_ERR_USAGE, "unknown command '%s' (did you mean '%s'?)", word, closest);
  return mv_fail(err, MV_ERR_USAGE, "unknown command '%s' (see 'medvision help')", word);
}

/* "run" after "eval". */
static mv_status find_subcommand(const char *word, mv_cli_id *id, mv_error *err) {
  char name[64];
  snprintf(name, sizeof name, "eval %.40s", word);
  if (mv_cli_command_find(name, id)) return MV_OK;
  const char *names[MV_CLI_COUNT];
  int n = 0;
  for (int i = 0; i < MV_CLI_COUNT; i++)
    if (!strncmp(mv_cli_commands[i].name, "eval ", 5)) names[n++] = mv_cli_commands[i].name + 5;
  const char *closest = mv_cli_closest(word, names, n);
  if (closest)
    return mv_fail(err, MV_ERR_USAGE, "eval: unknown command '%s' (did you mean '%s'?)", word,
                   closest);
  return mv_fail(err, MV_ERR_USAGE, "eval: unknown command '%s' (expected one of %s)", word,
                 mv_cli_commands[MV_CLI_EVAL].words);
}

mv_status mv_cli_parse(int argc, char **argv, mv_cli_args *args, mv_error *err) {
  memset(args, 0, sizeof *args);
  args->command = MV_CLI_HELP;
  MV_TRY(set_defaults(args, argc, err));
  if (argc < 2) return mv_fail(err, MV_ERR_USAGE, "expected a command (see 'medvision help')");
  const char *word = argv[1];
  if (!strcmp(word, "-h") || !strcmp(word, "--help")) return MV_OK;
  if (!strcmp(word, "--version") || !strcmp(word, "version")) {
    args->version = 1;
    return MV_OK;
  }
  if (!mv_cli_command_find(word, &args->command)) return unknown_command(word, err);
  int from = 2;
  if (args->command == MV_CLI_EVAL && argc > 2 && argv[2][0] != '-') {
    MV_TRY(find_subcommand(argv[2], &args->command, err));
    from = 3;
  }
  if (args->command == MV_CLI_BENCH && argc > 2) { /* a benchmark has its own options */
    for (int i = 2; i < argc; i++)
      if (mv_cli_append(&args->arena, argc, &args->operands, argv[i]) < 0)
        return mv_fail(err, MV_ERR_MEMORY, "out of memory reading the command line");
    args->help = !strcmp(argv[2], "-h") || !strcmp(argv[2], "--help");
  } else {
    MV_TRY(parse_words(args, argc, argv, from, err));
  }
  if (args->help || args->version) return MV_OK;
  if (args->jsonl) return check_jsonl(args, err);
  MV_TRY(check_operands(args, err));
  return mv_cli_require(args, args->command, err);
}

void mv_cli_args_free(mv_cli_args *args) { mv_arena_reset(&args->arena); }
