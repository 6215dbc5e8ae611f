/* Completion scripts for bash, zsh and fish, from the table. */
#include <stdio.h>
#include <string.h>

#include "tasks/cli.h"

static int takes(int command, const mv_cli_option *option) {
  return (option->commands >> command & 1u) != 0;
}

static int completes_files(const mv_cli_option *option) {
  return option->type == MV_CLI_FILE || option->type == MV_CLI_FILES;
}

/* "eval run": the second word of two. */
static int is_sub(int id) { return strchr(mv_cli_commands[id].name, ' ') != NULL; }

/* Whether the first operand is one of a few words, and whether files may come anywhere. */
static int takes_files(int id) {
  return mv_cli_is_measurement((mv_cli_id)id) || id == MV_CLI_IMAGE || id == MV_CLI_PROMPT ||
         id == MV_CLI_PARSE || is_sub(id);
}

/* "a|b|c" -> "a b c" */
static void put_words(mv_buf *out, const char *choices) {
  for (const char *c = choices; *c; c++) mv_buf_char(out, *c == '|' ? ' ' : *c);
}

/* Text inside single quotes, for a shell where '\'' closes, quotes and opens. */
static void put_quoted(mv_buf *out, const char *text, const char *also) {
  for (const char *c = text; *c; c++) {
    if (*c == '\'')
      mv_buf_text(out, "'\\''");
    else {
      if (strchr(also, *c)) mv_buf_char(out, '\\');
      mv_buf_char(out, *c);
    }
  }
}

/* ---- bash ---- */

static void bash_values(mv_buf *out) {
  mv_buf_text(out, "  case $prev in\n");
  for (int i = 0; i < mv_cli_n_option; i++) {
    const mv_cli_option *option = &mv_cli_options[i];
    if (!option->metavar) continue;
    mv_buf_printf(out, "    --%s) ", option->name);
    if (option->choices) {
      mv_buf_text(out, "COMPREPLY=($(compgen -W '");
      put_words(out, option->choices);
      mv_buf_text(out, "' -- \"$cur\"))");
    } else if (completes_files(option)) {
      mv_buf_text(out, "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\"))");
    } else if (option->type == MV_CLI_DIR) {
      mv_buf_text(out, "compopt -o filenames; COMPREPLY=($(compgen -d -- \"$cur\"))");
    } else {
      mv_buf_text(out, "COMPREPLY=()");
    }
    mv_buf_text(out, "; return;;\n");
  }
  mv_buf_text(out, "  esac\n");
}

static void bash_command(mv_buf *out, int id) {
  const mv_cli_command *command = &mv_cli_commands[id];
  mv_buf_printf(out, "    '%s') options='", command->name);
  const char *space = "";
  for (int i = 0; i < mv_cli_n_option; i++)
    if (takes(id, &mv_cli_options[i])) {
      mv_buf_printf(out, "%s--%s", space, mv_cli_options[i].name);
      space = " ";
    }
  mv_buf_text(out, "'; words='");
  if (command->words) put_words(out, command->words);
  mv_buf_printf(out, "'; files=%s;;\n", takes_files(id) ? "-f" : id == MV_CLI_INFO ? "-d" : "''");
}

static void bash(mv_buf *out) {
  mv_buf_text(out,
              "# bash completion of medvision, made by 'medvision completion bash'\n"
              "_medvision() {\n"
              "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
              "  local options words files\n"
              "  COMPREPLY=()\n"
              "  if ((COMP_CWORD == 1)); then\n"
              "    COMPREPLY=($(compgen -W '");
  for (int i = 0; i < MV_CLI_COUNT; i++)
    if (!is_sub(i)) mv_buf_printf(out, "%s ", mv_cli_commands[i].name);
  mv_buf_text(out, "--help --version' -- \"$cur\")); return\n  fi\n");
  bash_values(out);
  mv_buf_text(out,
              "  local command=${COMP_WORDS[1]} first=2\n"
              "  if [[ $command == eval ]] && ((COMP_CWORD > 2)); then\n"
              "    command+=\" ${COMP_WORDS[2]}\"; first=3\n"
              "  fi\n"
              "  case $command in\n");
  for (int i = 0; i < MV_CLI_COUNT; i++) bash_command(out, i);
  mv_buf_text(out,
              "    *) return;;\n"
              "  esac\n"
              "  if [[ $cur == -* ]]; then\n"
              "    COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
              "  elif ((COMP_CWORD == first)) && [[ $words ]]; then\n"
              "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
              "  elif [[ $files ]]; then\n"
              "    compopt -o filenames; COMPREPLY=($(compgen $files -- \"$cur\"))\n"
              "  fi\n"
              "}\n"
              "complete -F _medvision medvision\n");
}

/* ---- zsh ---- */

static void zsh_option(mv_buf *out, const mv_cli_option *option) {
  int repeats = option->type == MV_CLI_TEXTS || option->type == MV_CLI_FILES;
  mv_buf_printf(out, "        '%s--%s%s[", repeats ? "*" : "", option->name,
                option->metavar ? "=" : "");
  put_quoted(out, option->help, "[]\\:");
  mv_buf_char(out, ']');
  if (option->metavar) {
    mv_buf_char(out, ':');
    put_quoted(out, option->metavar, "[]\\:");
    mv_buf_char(out, ':');
    if (option->choices) {
      mv_buf_char(out, '(');
      put_words(out, option->choices);
      mv_buf_char(out, ')');
    } else if (completes_files(option)) {
      mv_buf_text(out, "_files");
    } else if (option->type == MV_CLI_DIR) {
      mv_buf_text(out, "_files -/");
    }
  }
  mv_buf_text(out, "' \\\n");
}

static void zsh_command(mv_buf *out, int id) {
  const mv_cli_command *command = &mv_cli_commands[id];
  mv_buf_printf(out, "    ('%s')\n      _arguments \\\n", command->name);
  for (int i = 0; i < mv_cli_n_option; i++)
    if (takes(id, &mv_cli_options[i])) zsh_option(out, &mv_cli_options[i]);
  if (command->words) {
    mv_buf_text(out, "        '1:what:(");
    put_words(out, command->words);
    mv_buf_text(out, ")' \\\n");
  }
  mv_buf_printf(out, "        %s;;\n",
                takes_files(id)     ? "'*:picture:_files'"
                : id == MV_CLI_INFO ? "'*:checkpoint:_files -/'"
                                    : "'*::'");
}

static void zsh(mv_buf *out) {
  mv_buf_text(out,
              "#compdef medvision\n"
              "# zsh completion of medvision, made by 'medvision completion zsh'\n"
              "_medvision() {\n"
              "  local -a commands\n"
              "  commands=(\n");
  for (int i = 0; i < MV_CLI_COUNT; i++) {
    if (is_sub(i)) continue;
    mv_buf_printf(out, "    '%s:", mv_cli_commands[i].name);
    put_quoted(out, mv_cli_commands[i].summary, "\\:");
    mv_buf_text(out, "'\n");
  }
  mv_buf_text(out,
              "  )\n"
              "  if ((CURRENT == 2)); then\n"
              "    _describe command commands\n"
              "    return\n"
              "  fi\n"
              "  local command=$words[2]\n"
              "  shift words\n"
              "  ((CURRENT--))\n"
              "  if [[ $command = eval ]] && ((CURRENT > 2)); then\n"
              "    command+=\" $words[2]\"\n"
              "    shift words\n"
              "    ((CURRENT--))\n"
              "  fi\n"
              "  case $command in\n");
  for (int i = 0; i < MV_CLI_COUNT; i++) zsh_command(out, i);
  mv_buf_text(out,
              "  esac\n"
              "}\n"
              "if [[ $funcstack[1] = _medvision ]]; then\n"
              "  _medvision \"$@\"\n"
              "else\n"
              "  compdef _medvision medvision\n"
              "fi\n");
}

/* ---- fish ---- */

/* When a command's completions apply. */
static void fish_condition(mv_buf *out, const char *command) {
  const char *second = strchr(command, ' ');
  mv_buf_text(out, "complete -c medvision -n '");
  if (second)
    mv_buf_printf(out, "__fish_seen_subcommand_from eval; and __fish_seen_subcommand_from%s",
                  second);
  else
    mv_buf_printf(out, "__fish_seen_subcommand_from %s", command);
  mv_buf_char(out, '\'');
}

static void fish_option(mv_buf *out, const char *command, const mv_cli_option *option) {
  fish_condition(out, command);
  mv_buf_printf(out, " -l %s", option->name);
  if (!strcmp(option->name, "help")) mv_buf_text(out, " -s h");
  if (option->metavar) mv_buf_text(out, completes_files(option) ? " -r -F" : " -x");
  if (option->choices) {
    mv_buf_text(out, " -a '");
    put_words(out, option->choices);
    mv_buf_char(out, '\'');
  } else if (option->type == MV_CLI_DIR) {
    mv_buf_text(out, " -a '(__fish_complete_directories)'");
  }
  mv_buf_text(out, " -d '");
  for (const char *c = option->help; *c; c++) {
    if (*c == '\'' || *c == '\\') mv_buf_char(out, '\\');
    mv_buf_char(out, *c);
  }
  mv_buf_text(out, "'\n");
}

static void fish_word(mv_buf *out, const mv_cli_command *command) {
  mv_buf_printf(out, "complete -c medvision -n __fish_use_subcommand -a %s -d '", command->name);
  for (const char *c = command->summary; *c; c++) {
    if (*c == '\'' || *c == '\\') mv_buf_char(out, '\\');
    mv_buf_char(out, *c);
  }
  mv_buf_text(out, "'\n");
}

static void fish(mv_buf *out) {
  mv_buf_text(out,
              "# fish completion of medvision, made by 'medvision completion fish'\n"
              "complete -c medvision -f\n");
  for (int i = 0; i < MV_CLI_COUNT; i++) {
    const mv_cli_command *command = &mv_cli_commands[i];
    if (!is_sub(i)) fish_word(out, command);
    fish_condition(out, command->name);
    if (takes_files(i))
      mv_buf_text(out, " -F");
    else if (i == MV_CLI_INFO)
      mv_buf_text(out, " -a '(__fish_complete_directories)'");
    else
      mv_buf_text(out, " -f");
    if (command->words) {
      mv_buf_text(out, " -a '");
      put_words(out, command->words);
      mv_buf_char(out, '\'');
    }
    mv_buf_char(out, '\n');
    for (int j = 0; j < mv_cli_n_option; j++)
      if (takes(i, &mv_cli_options[j])) fish_option(out, command->name, &mv_cli_options[j]);
  }
}

int mv_cli_completion(mv_buf *out, const char *shell) {
  if (!strcmp(shell, "bash"))
    bash(out);
  else if (!strcmp(shell, "zsh"))
    zsh(out);
  else if (!strcmp(shell, "fish"))
    fish(out);
  else
    return 0;
  return 1;
}
