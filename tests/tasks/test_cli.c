/* The command line: what parses, what is refused and how, and that help, man page and completions
 * name every option. */
#include <ctype.h>
#include <string.h>

#include "runtime/file.h"
#include "tasks/cli.h"
#include "tests/check_main.h"

#define MAX_WORDS 64

/* Splits a command line as a shell would: blanks, double quotes; stops at < and >. */
static int split_words(char *line, char *words[MAX_WORDS]) {
  int n = 0;
  char *to = line;
  for (char *c = line; *c && *c != '<' && *c != '>';) {
    if (*c == ' ') {
      c++;
      continue;
    }
    ck_assert_int_lt(n, MAX_WORDS);
    words[n++] = to;
    for (int quoted = 0; *c && (quoted || *c != ' '); c++) {
      if (*c == '"')
        quoted = !quoted;
      else
        *to++ = *c;
    }
    if (*c) c++;
    *to++ = 0;
  }
  return n;
}

static mv_status parse(const char *line, mv_cli_args *args, mv_error *err) {
  static char copy[4096];
  static char *words[MAX_WORDS];
  snprintf(copy, sizeof copy, "%s", line);
  return mv_cli_parse(split_words(copy, words), words, args, err);
}

/* The line is refused, as wrong usage, with `expected` somewhere in the message. */
static void refuses(const char *line, const char *expected) {
  mv_cli_args args;
  mv_error err = {0};
  ck_assert_msg(parse(line, &args, &err) == MV_ERR_USAGE, "accepted: %s", line);
  ck_assert_msg(strstr(err.msg, expected) != NULL, "%s: '%s' does not say '%s'", line, err.msg,
                expected);
  mv_cli_args_free(&args);
}

static void accepts(const char *line, mv_cli_args *args) {
  mv_error err = {0};
  ck_assert_msg(parse(line, args, &err) == MV_OK, "%s: %s", line, err.msg);
}

START_TEST(fills_in_the_documented_defaults) {
  mv_cli_args args;
  accepts("medvision size a.png --label x --pixel-size 0.5", &args);
  ck_assert_int_eq(args.max_new_tokens, 4096);
  ck_assert_double_eq(args.temperature, 0);
  ck_assert_double_eq(args.top_p, 1);
  ck_assert_int_eq(args.top_k, 0);
  ck_assert_double_eq(args.repetition_penalty, 1);
  ck_assert_int_eq(args.logprobs, -1);
  ck_assert_int_eq(args.reshape[0], 504);
  ck_assert_int_eq(args.reshape[1], 504);
  ck_assert_str_eq(args.device, "auto");
  ck_assert_ptr_null(args.model);
  ck_assert(!mv_cli_given(&args, "reshape"));
  ck_assert(mv_cli_given(&args, "label"));
  mv_cli_args_free(&args);
}
END_TEST

START_TEST(reads_values_after_a_space_or_an_equals_sign) {
  mv_cli_args args;
  accepts(
      "medvision generate --prompt=a=b --top-k 7 --stop x --stop=y --dtype=fp32 --image 1.png "
      "--image 2.png --seed 18446744073709551615 --logprobs 0",
      &args);
  ck_assert_str_eq(args.prompt, "a=b");
  ck_assert_int_eq(args.top_k, 7);
  ck_assert_int_eq(args.stop.n, 2);
  ck_assert_str_eq(args.stop.v[1], "y");
  ck_assert_int_eq(args.dtype, 2);
  ck_assert_int_eq(args.images.n, 2);
  ck_assert_str_eq(args.images.v[1], "2.png");
  ck_assert(args.seed == UINT64_MAX);
  ck_assert_int_eq(args.logprobs, 0);
  mv_cli_args_free(&args);
}
END_TEST

START_TEST(reads_sizes_and_spacings_in_their_documented_order) {
  mv_cli_args args;
  accepts("medvision size a.png --label x --pixel-size 0.5x0.25 --reshape 100x200", &args);
  ck_assert_double_eq(args.pixel_size[0], 0.5);
  ck_assert_double_eq(args.pixel_size[1], 0.25);
  ck_assert_int_eq(args.reshape[0], 100);
  ck_assert_int_eq(args.reshape[1], 200);
  mv_cli_args_free(&args);
  accepts("medvision size a.png --label x --pixel-size 2 --reshape none", &args);
  ck_assert_double_eq(args.pixel_size[1], 2);
  ck_assert_int_eq(args.reshape[0], 0);
  mv_cli_args_free(&args);
  accepts("medvision prompt size --label x --image-size 182x218 --pixel-size 1e-1", &args);
  ck_assert_int_eq(args.image_size[0], 182);
  ck_assert_int_eq(args.image_size[1], 218);
  mv_cli_args_free(&args);
}
END_TEST

START_TEST(keeps_the_blanks_that_belong_to_a_landmark) {
  mv_cli_args args;
  accepts("medvision distance a.png --pixel-size 1 --points \"left eminence ; right eminence \"",
          &args);
  ck_assert_str_eq(args.points[0], "left eminence ");
  ck_assert_str_eq(args.points[1], "right eminence ");
  mv_cli_args_free(&args);
}
END_TEST

START_TEST(treats_everything_after_two_dashes_as_a_file) {
  mv_cli_args args;
  accepts("medvision detect --label x -- --json -h", &args);
  ck_assert_int_eq(args.operands.n, 2);
  ck_assert_str_eq(args.operands.v[0], "--json");
  ck_assert_int_eq(args.json, 0);
  ck_assert_int_eq(args.help, 0);
  mv_cli_args_free(&args);
}
END_TEST

START_TEST(lets_help_and_version_through_whatever_is_missing) {
  mv_cli_args args;
  accepts("medvision size --help", &args);
  ck_assert_int_eq(args.help, 1);
  mv_cli_args_free(&args);
  accepts("medvision angle -h --nonsense", &args);
  ck_assert_int_eq(args.help, 1);
  mv_cli_args_free(&args);
  accepts("medvision --version", &args);
  ck_assert_int_eq(args.version, 1);
  mv_cli_args_free(&args);
  accepts("medvision --help", &args);
  ck_assert_int_eq(args.command, MV_CLI_HELP);
  mv_cli_args_free(&args);
}
END_TEST

START_TEST(asks_for_nothing_else_with_jsonl) {
  mv_cli_args args;
  accepts("medvision angle --jsonl", &args);
  mv_cli_args_free(&args);
  refuses("medvision angle --jsonl a.png", "'a.png'");
  refuses("medvision size --jsonl --label x", "the lines say what is asked");
  refuses("medvision size --jsonl --overlay x.png", "results are lines");
}
END_TEST

static const struct {
  const char *line, *expected;
} refused[] = {
    {"medvision", "expected a command"},
    {"medvision siz", "did you mean 'size'"},
    {"medvision --json", "expected a command before '--json'"},
    {"medvision size a.png --labl x", "did you mean --label"},
    {"medvision size a.png --zzzzzzzz x", "unknown option '--zzzzzzzz'"},
    {"medvision detect a.png --points a;b", "only of distance and prompt"},
    {"medvision size a.png -l x", "options are written --name"},
    {"medvision size a.png --label", "--label needs a value"},
    {"medvision size a.png --label --json", "found the option '--json'"},
    {"medvision size a.png --json=yes", "takes no value"},
    {"medvision size a.png --label x", "--pixel-size W[xH] is needed"},
    {"medvision size --label x --pixel-size 1", "IMAGE... is missing"},
    {"medvision distance a.png --pixel-size 1", "--points"},
    {"medvision generate surplus", "unexpected argument 'surplus'"},
    {"medvision help nothing", "expected one of"},
    {"medvision completion tcsh", "bash|zsh|fish"},
    {"medvision prompt volume", "detect|size|distance|angle"},
    /* values */
    {"medvision size a.png --label x --pixel-size 0", "--pixel-size: expected one positive number"},
    {"medvision size a.png --label x --pixel-size -1", "found '-1'"},
    {"medvision size a.png --label x --pixel-size nan", "found 'nan'"},
    {"medvision size a.png --label x --pixel-size inf", "found 'inf'"},
    {"medvision size a.png --label x --pixel-size 1e999", "found '1e999'"},
    {"medvision size a.png --label x --pixel-size 0x1p3", "found '0x1p3'"},
    {"medvision size a.png --label x --pixel-size 1x", "found '1x'"},
    {"medvision size a.png --label x --pixel-size 1x2x3", "found '1x2x3'"},
    {"medvision size a.png --label x --pixel-size \" 1\"", "found ' 1'"},
    {"medvision size a.png --label x --reshape 504", "HEIGHTxWIDTH"},
    {"medvision size a.png --label x --reshape 0x504", "found '0x504'"},
    {"medvision distance a.png --points ab --pixel-size 1", "separated by one semicolon"},
    {"medvision distance a.png --points a;b;c --pixel-size 1", "found 'a;b;c'"},
    {"medvision distance a.png --points a; --pixel-size 1", "found 'a;'"},
    {"medvision generate --prompt x --max-new-tokens 0", "from 1 to 16777216"},
    {"medvision generate --prompt x --max-new-tokens 1.5", "found '1.5'"},
    {"medvision generate --prompt x --max-new-tokens 99999999999999999999", "whole number"},
    {"medvision generate --prompt x --temperature -1", "--temperature"},
    {"medvision generate --prompt x --top-p 1.01", "a number from 1e-06 to 1"},
    {"medvision generate --prompt x --seed -1", "found '-1'"},
    {"medvision generate --prompt x --seed 18446744073709551616", "whole number"},
    {"medvision generate --prompt x --dtype fp64", "one of auto, bf16, fp32"},
    {"medvision generate --prompt x --dtype bf", "found 'bf'"},
    {"medvision generate --prompt x --device gpu", "cuda:N"},
    {"medvision generate --prompt x --device cuda:x", "cuda:N"},
    {"medvision generate --prompt x --stop=", "--stop"},
    {"medvision generate --prompt \xC3\x28", "not valid UTF-8 (byte 1)"},
    {"medvision parse --numbers 0", "from 1 to"},
};

START_TEST(refuses_with_one_line_that_says_why) { refuses(refused[_i].line, refused[_i].expected); }
END_TEST

/* Calls `visit` with each example line of every command. */
static void each_example(void (*visit)(mv_cli_id id, const char *line)) {
  for (int id = 0; id < MV_CLI_COUNT; id++) {
    char line[512];
    for (const char *at = mv_cli_commands[id].examples; *at;) {
      size_t n = strcspn(at, "\n");
      ck_assert_uint_lt(n, sizeof line);
      memcpy(line, at, n);
      line[n] = 0;
      visit((mv_cli_id)id, line);
      at += n + (at[n] == '\n');
    }
  }
}

static void parses_as(mv_cli_id id, const char *line) {
  mv_cli_args args;
  accepts(line, &args);
  ck_assert_int_eq(args.command, id);
  mv_cli_args_free(&args);
}

START_TEST(parses_every_example_of_the_help) { each_example(parses_as); }
END_TEST

START_TEST(describes_every_option_in_help_man_page_and_completions) {
  mv_buf man = {0}, scripts[3] = {{0}};
  static const char *const shells[] = {"bash", "zsh", "fish"};
  mv_cli_man(&man);
  for (int s = 0; s < 3; s++) ck_assert_int_eq(mv_cli_completion(&scripts[s], shells[s]), 1);
  for (int id = 0; id < MV_CLI_COUNT; id++) {
    mv_buf help = {0};
    mv_cli_help(&help, (mv_cli_id)id);
    for (int i = 0; i < mv_cli_n_option; i++) {
      if (!(mv_cli_options[i].commands >> id & 1u)) continue;
      char flag[64];
      snprintf(flag, sizeof flag, "  --%s", mv_cli_options[i].name);
      ck_assert_msg(strstr(help.ptr, flag) != NULL, "%s: %s", mv_cli_commands[id].name, flag);
      ck_assert_ptr_nonnull(strstr(scripts[0].ptr, flag + 2));
      ck_assert_ptr_nonnull(strstr(scripts[1].ptr, flag + 2));
      snprintf(flag, sizeof flag, " -l %s", mv_cli_options[i].name);
      ck_assert_ptr_nonnull(strstr(scripts[2].ptr, flag));
    }
    mv_buf_free(&help);
  }
  for (int s = 0; s < 3; s++) mv_buf_free(&scripts[s]);
  mv_buf_free(&man);
  mv_buf none = {0};
  ck_assert_int_eq(mv_cli_completion(&none, "tcsh"), 0);
}
END_TEST

START_TEST(keeps_help_within_eighty_columns) {
  for (int id = 0; id < MV_CLI_COUNT; id++) {
    mv_buf help = {0};
    mv_cli_help(&help, (mv_cli_id)id);
    const char *end = strstr(help.ptr, "\nExamples:\n"); /* commands are not broken */
    ck_assert_ptr_nonnull(end);
    for (const char *at = help.ptr; at < end;) {
      size_t n = strcspn(at, "\n");
      ck_assert_msg(n <= 80, "%s: %.*s", mv_cli_commands[id].name, (int)n, at);
      ck_assert_msg(n == 0 || at[n - 1] != ' ', "blank at the end: %.*s", (int)n, at);
      at += n + 1;
    }
    mv_buf_free(&help);
  }
}
END_TEST

START_TEST(has_a_man_page_made_from_this_table) {
  mv_buf kept = {0}, made = {0};
  mv_error err = {0};
  mv_cli_man(&made);
  mv_status status = mv_file_read("tasks/medvision.1", 1 << 20, &kept, &err);
  ck_assert_msg(status == MV_OK, "%s", err.msg);
  ck_assert_msg(kept.len == made.len && memcmp(kept.ptr, made.ptr, made.len) == 0,
                "run: build/medvision help --man > tasks/medvision.1");
  mv_buf_free(&kept);
  mv_buf_free(&made);
}
END_TEST

static int fail_at;
static int fail_one(size_t n_bytes, void *user) {
  (void)n_bytes, (void)user;
  return fail_at-- != 0;
}

START_TEST(survives_every_failing_allocation) {
  for (int k = 0;; k++) {
    mv_cli_args args;
    mv_error err = {0};
    fail_at = k;
    mv_alloc_set_hook(fail_one, NULL);
    mv_status status =
        parse("medvision distance a.png b.png --points a;b --pixel-size 1 --stop x", &args, &err);
    mv_alloc_set_hook(NULL, NULL);
    mv_cli_args_free(&args);
    if (fail_at >= 0) {
      ck_assert_int_eq(status, MV_OK);
      break;
    }
    ck_assert_int_eq(status, MV_ERR_MEMORY);
  }
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("cli");
  TCase *tc = tcase_create("cli");
  tcase_add_test(tc, fills_in_the_documented_defaults);
  tcase_add_test(tc, reads_values_after_a_space_or_an_equals_sign);
  tcase_add_test(tc, reads_sizes_and_spacings_in_their_documented_order);
  tcase_add_test(tc, keeps_the_blanks_that_belong_to_a_landmark);
  tcase_add_test(tc, treats_everything_after_two_dashes_as_a_file);
  tcase_add_test(tc, lets_help_and_version_through_whatever_is_missing);
  tcase_add_test(tc, asks_for_nothing_else_with_jsonl);
  tcase_add_loop_test(tc, refuses_with_one_line_that_says_why, 0,
                      (int)(sizeof refused / sizeof *refused));
  tcase_add_test(tc, parses_every_example_of_the_help);
  tcase_add_test(tc, describes_every_option_in_help_man_page_and_completions);
  tcase_add_test(tc, keeps_help_within_eighty_columns);
  tcase_add_test(tc, has_a_man_page_made_from_this_table);
  tcase_add_test(tc, survives_every_failing_allocation);
  suite_add_tcase(s, tc);
  return s;
}

MV_CHECK_MAIN(suite)
