/* Help texts, from the table. */
#include <stdio.h>
#include <string.h>

#include "tasks/cli.h"

enum { WIDTH = 80, INDENT = 26 };

void mv_cli_wrap(mv_buf *out, const char *text, int at, int indent, int width) {
  int column = at, at_start = 1;
  for (const char *word = text; *word;) {
    int n = (int)strcspn(word, " \n");
    if (!at_start && column + 1 + n > width) {
      mv_buf_printf(out, "\n%*s", indent, "");
      column = indent, at_start = 1;
    }
    if (!at_start) mv_buf_char(out, ' '), column++;
    mv_buf_add(out, word, (size_t)n);
    column += n, at_start = 0;
    word += n;
    if (word[0] == '\n' && word[1] == '\n') {
      mv_buf_printf(out, "\n\n%*s", indent, "");
      column = indent, at_start = 1;
    }
    word += strspn(word, " \n");
  }
  mv_buf_char(out, '\n');
}

static const char safety[] =
    "For research and education only: not a medical device, not for clinical use.";

static void list_commands(mv_buf *out, const char *title, int from, int to) {
  mv_buf_printf(out, "\n%s:\n", title);
  for (int i = from; i < to; i++)
    mv_buf_printf(out, "  %-16s%s\n", mv_cli_commands[i].name, mv_cli_commands[i].summary);
}

void mv_cli_overview(mv_buf *out) {
  mv_buf_text(out,
              "medvision measures medical images with MedVision-V0-7B or any other checkpoint of\n"
              "the Qwen2.5-VL architecture.\n"
              "\n"
              "Usage: medvision COMMAND [OPTION...] [ARGUMENT...]\n");
  list_commands(out, "Measure", MV_CLI_DETECT, MV_CLI_GENERATE);
  list_commands(out, "Ask", MV_CLI_GENERATE, MV_CLI_PROMPT);
  list_commands(out, "Look inside", MV_CLI_PROMPT, MV_CLI_EVAL);
  list_commands(out, "Benchmark", MV_CLI_EVAL_IMPORT, MV_CLI_COMPLETION);
  list_commands(out, "Help", MV_CLI_COMPLETION, MV_CLI_COUNT);
  mv_buf_text(out,
              "\n"
              "'medvision help COMMAND' tells more. Results go to standard output, all else to\n"
              "standard error. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the model's answer\n"
              "could not be parsed.\n"
              "\n");
  mv_buf_printf(out, "%s\n", safety);
}

static void put_option(mv_buf *out, const mv_cli_option *option, mv_cli_id id) {
  char left[64], help[512];
  snprintf(left, sizeof left, "--%s%s%s", option->name, option->metavar ? " " : "",
           option->metavar ? option->metavar : "");
  size_t n = (size_t)snprintf(help, sizeof help, "%s", option->help);
  if (option->type == MV_CLI_CHOICE)
    n += (size_t)snprintf(help + n, sizeof help - n, ": %s", option->choices);
  if (option->required >> id & 1u)
    snprintf(help + n, sizeof help - n, " (needed)");
  else if (option->initial)
    snprintf(help + n, sizeof help - n, " (default: %s)", option->initial);
  mv_buf_printf(out, "  %-*s", INDENT - 2, left);
  if (strlen(left) > INDENT - 4) mv_buf_printf(out, "\n%*s", INDENT, "");
  mv_cli_wrap(out, help, INDENT, INDENT, WIDTH);
}

static void put_examples(mv_buf *out, const char *examples) {
  mv_buf_text(out, "\nExamples:\n");
  for (const char *line = examples; *line;) {
    size_t n = strcspn(line, "\n");
    mv_buf_printf(out, "  %.*s\n", (int)n, line);
    line += n + (line[n] == '\n');
  }
}

void mv_cli_help(mv_buf *out, mv_cli_id id) {
  const mv_cli_command *command = &mv_cli_commands[id];
  mv_buf_printf(out, "medvision %s: %s\n\nUsage: medvision %s%s%s%s\n", command->name,
                command->summary, command->name, id == MV_CLI_BENCH ? "" : " [OPTION...]",
                *command->operands ? " " : "", command->operands);
  const mv_cli_option *jsonl = mv_cli_option_find(id, "jsonl");
  if (jsonl->commands >> id & 1u)
    mv_buf_printf(out, "       medvision %s --jsonl [OPTION...] < LINES\n", command->name);
  mv_buf_char(out, '\n');
  mv_cli_wrap(out, command->text, 0, 0, WIDTH);
  for (int group = 0; group < MV_CLI_GROUP_COUNT; group++) {
    int n = 0;
    for (int i = 0; i < mv_cli_n_option; i++) {
      const mv_cli_option *option = &mv_cli_options[i];
      if ((int)option->group != group || !(option->commands >> id & 1u)) continue;
      if (n++ == 0) mv_buf_printf(out, "\n%s:\n", mv_cli_group_names[group]);
      put_option(out, option, id);
    }
  }
  put_examples(out, command->examples);
  if (mv_cli_is_measurement(id)) mv_buf_printf(out, "\n%s\n", safety);
}
