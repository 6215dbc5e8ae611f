/* medvision(1) in troff, from the table: tasks/medvision.1 is this output, kept by a test. */
#include <string.h>

#include "tasks/cli.h"

/* Text with troff's own characters quoted. */
static void put(mv_buf *out, const char *text) {
  for (const char *c = text; *c; c++) {
    if (*c == '\\')
      mv_buf_text(out, "\\e");
    else if (*c == '-')
      mv_buf_text(out, "\\-");
    else if (*c == '\'')
      mv_buf_text(out, "\\(aq");
    else if (*c == '"')
      mv_buf_text(out, "\\(dq");
    else if (*c == '.' && c == text)
      mv_buf_text(out, "\\&.");
    else if (c[0] == '\n' && c[1] == '\n')
      mv_buf_text(out, "\n.PP\n"), c++;
    else
      mv_buf_char(out, *c);
  }
}

static void put_option(mv_buf *out, const mv_cli_option *option) {
  mv_buf_text(out, ".TP\n\\fB\\-\\-");
  put(out, option->name);
  mv_buf_text(out, "\\fR");
  if (option->metavar) {
    mv_buf_text(out, " \\fI");
    put(out, option->metavar);
    mv_buf_text(out, "\\fR");
  }
  mv_buf_char(out, '\n');
  put(out, option->help);
  if (option->type == MV_CLI_CHOICE) {
    mv_buf_text(out, ": ");
    put(out, option->choices);
  }
  if (option->initial) {
    mv_buf_text(out, " (default: ");
    put(out, option->initial);
    mv_buf_char(out, ')');
  }
  mv_buf_text(out, ".\n");
  if (option->type == MV_CLI_SWITCH && !strcmp(option->name, "version")) return;
  mv_buf_text(out, "Commands: ");
  int n = 0;
  for (int i = 0; i < MV_CLI_COUNT; i++)
    if (option->commands >> i & 1u)
      mv_buf_printf(out, "%s%s%s", n++ ? ", " : "", mv_cli_commands[i].name,
                    option->required >> i & 1u ? " (needed)" : "");
  mv_buf_text(out, ".\n");
}

static void put_command(mv_buf *out, const mv_cli_command *command) {
  mv_buf_text(out, ".SS ");
  put(out, command->name);
  mv_buf_text(out, "\n.B medvision ");
  put(out, command->name);
  if (*command->operands) {
    mv_buf_char(out, ' ');
    put(out, command->operands);
  }
  mv_buf_text(out, "\n.PP\n");
  put(out, command->text);
  mv_buf_text(out, "\n.PP\n.EX\n");
  put(out, command->examples);
  mv_buf_text(out, "\n.EE\n");
}

static const char footer[] =
    ".SH EXIT STATUS\n"
    "0 done; 1 failed; 2 wrong usage; 3 the model\\(aqs answer could not be parsed.\n"
    "With \\fB\\-\\-jsonl\\fR every line gets its line back and the status is 0 unless the stream\n"
    "itself failed.\n"
    ".SH NOTES\n"
    "Coordinates are relative to the picture, with the origin at its lower\\-left corner.\n"
    "Results go to standard output, all else to standard error.\n"
    "Files that are written appear whole, by rename.\n"
    ".PP\n"
    "For research and education only: not a medical device, not for clinical use.\n";

void mv_cli_man(mv_buf *out) {
  mv_buf_text(out, ".TH MEDVISION 1 \"\" \"medvision " MV_VERSION
                   "\" \"User Commands\"\n"
                   ".SH NAME\nmedvision \\- measure medical images\n"
                   ".SH SYNOPSIS\n.B medvision\n"
                   "\\fICOMMAND\\fR [\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n"
                   ".SH DESCRIPTION\n"
                   "Runs MedVision\\-V0\\-7B, or any other checkpoint of the Qwen2.5\\-VL "
                   "architecture, on pictures:\ndetection boxes, tumour and lesion axes, distances "
                   "and angles between landmarks.\n"
                   ".SH COMMANDS\n");
  for (int i = 0; i < MV_CLI_COUNT; i++) put_command(out, &mv_cli_commands[i]);
  mv_buf_text(out,
              ".SH OPTIONS\n"
              "\\fB\\-\\-name value\\fR and \\fB\\-\\-name=value\\fR mean the same; "
              "\\fB\\-\\-\\fR ends the options.\n");
  for (int group = 0; group < MV_CLI_GROUP_COUNT; group++) {
    mv_buf_printf(out, ".SS %s\n", mv_cli_group_names[group]);
    for (int i = 0; i < mv_cli_n_option; i++)
      if ((int)mv_cli_options[i].group == group) put_option(out, &mv_cli_options[i]);
  }
  mv_buf_text(out, footer);
}
