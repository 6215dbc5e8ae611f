/* The command line, declared once.
 *
 * cli_table.c lists the commands and the options. Parsing (cli_parse.c), help (cli_help.c), the
 * shell completions (cli_completion.c) and the man page (cli_man.c) all read that table, so that
 * they cannot disagree: a new option is one line there and one field in mv_cli_args.
 *
 * Nothing here knows what a command does: main.c maps a command to its function in cmd_*.c.
 */
#ifndef MV_TASKS_CLI_H
#define MV_TASKS_CLI_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"
#include "runtime/memory.h"
#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Exit codes of every command. */
enum {
  MV_EXIT_DONE = 0,
  MV_EXIT_FAILED = 1,
  MV_EXIT_USAGE = 2,
  MV_EXIT_UNPARSED = 3 /* the model answered, but not with the numbers asked for */
};

typedef enum mv_cli_id {
  MV_CLI_DETECT = 0, /* the four measurements come first: mv_cli_is_measurement */
  MV_CLI_SIZE,
  MV_CLI_DISTANCE,
  MV_CLI_ANGLE,
  MV_CLI_GENERATE,
  MV_CLI_PROMPT,
  MV_CLI_PARSE,
  MV_CLI_INFO,
  MV_CLI_IMAGE,
  MV_CLI_TOKENIZE,
  MV_CLI_SERVE,
  MV_CLI_BENCH,
  MV_CLI_EVAL, /* its subcommands are commands of their own: "eval run" */
  MV_CLI_EVAL_IMPORT,
  MV_CLI_EVAL_RUN,
  MV_CLI_EVAL_PARSE,
  MV_CLI_EVAL_SUMMARIZE,
  MV_CLI_EVAL_BOXSIZE,
  MV_CLI_EVAL_REPORT,
  MV_CLI_EVAL_REWARD,
  MV_CLI_EVAL_BATCH,
  MV_CLI_COMPLETION,
  MV_CLI_HELP,
  MV_CLI_COUNT
} mv_cli_id;

static inline int mv_cli_is_measurement(mv_cli_id id) { return id <= MV_CLI_ANGLE; }

typedef struct mv_cli_command {
  const char *name;     /* "size"; "eval run" */
  const char *operands; /* "IMAGE...", as help shows them */
  int min_operand, max_operand;
  const char *words;    /* what the first operand may be, "a|b|c"; NULL: a file */
  const char *summary;  /* one line, no full stop */
  const char *text;     /* paragraphs separated by blank lines */
  const char *examples; /* one command a line */
} mv_cli_command;

/* [MV_CLI_COUNT], indexed by mv_cli_id */
extern const mv_cli_command mv_cli_commands[];

/* A repeatable option. Borrows the strings of argv; `v` lives in mv_cli_args.arena. */
typedef struct mv_cli_list {
  const char **v;
  int n;
} mv_cli_list;

/* Where in a volume. */
typedef struct mv_cli_slice {
  int plane; /* -1 none; 0 sagittal, 1 coronal, 2 axial */
  int index, frame;
} mv_cli_slice;

/* Every option's value, defaults filled in. Strings borrow from argv or live in `arena`. */
typedef struct mv_cli_args {
  mv_cli_id command;
  uint64_t given[2]; /* bit i: mv_cli_options[i] was on the command line (mv_cli_has) */
  mv_cli_list operands;
  mv_arena arena; /* owns lists and split names */

  /* the question */
  const char *label, *description, *name, *unit;
  const char *points[2], *line1[2], *line2[2]; /* NULL when not given */
  double pixel_size[2];                        /* width, height of a pixel of the raw image */
  int image_size[2];                           /* width, height */
  int no_cot;

  /* free questions */
  const char *prompt, *prompt_file, *system;
  mv_cli_list images;

  /* pictures */
  mv_cli_slice slice;
  int orientation; /* 0 what the command does by itself, 1 stored, 2 ras */
  const char *modality;
  int reshape[2];  /* height, width; {0, 0} is none */
  int resampler;   /* 0 torchvision, 1 pillow */
  int image_order; /* 0 first, 1 last */

  /* the model */
  const char *model, *random_weights, *device;
  int dtype; /* 0 auto, 1 bf16, 2 fp32: mv_precision */
  int threads;

  /* decoding */
  int max_new_tokens, top_k, ignore_eos, generation_config, logprobs, speculate, prefix_cache,
      any_order;
  double temperature, top_p, repetition_penalty;
  uint64_t seed;
  mv_cli_list stop;
  const char *draft_bank;

  /* what a command prints or writes */
  const char *overlay, *out, *dump;
  int json, jsonl, quiet, verbose, profile, nvtx, help, version, man;
  int numbers, decode;
  int plan, batch, context;

  /* the server */
  struct {
    const char *host, *api_key, *api_key_file, *model_name;
    int port, max_batch, max_queue, max_connections, context, max_body_mb, max_megapixels;
    int request_s, read_s, grace_s;
    mv_cli_list allow_files;
  } serve;

  /* the benchmark */
  struct {
    int family; /* mv_family */
    const char *task_dir, *model_dir, *plan;
    int limit, processes, skip_existing, skip_missing, rm_old;
    mv_cli_list models;
    const char *removed_dir, *removed_name, *parsed_name, *resps_key;
    const char *tasks_list, *status, *results_dir, *data_dir, *model_name, *sample_indices, *shard;
    double sample_limit;
    const char *reshape;
    int system_prompt, skip_status, log_system, concurrency, bootstrap;
    const char *labels, *landmarks, *boxes, *dataset, *task_id, *manifest, *answers, *set;
    mv_cli_list tables;
  } eval;
} mv_cli_args;

typedef enum mv_cli_type {
  MV_CLI_SWITCH = 0, /* int, 1 when given */
  MV_CLI_TEXT,       /* const char *, valid UTF-8 */
  MV_CLI_FILE,       /* const char *, any bytes but none; completed as a file */
  MV_CLI_DIR,        /* the same, completed as a directory */
  MV_CLI_TEXTS,      /* mv_cli_list, repeatable */
  MV_CLI_FILES,      /* mv_cli_list, repeatable */
  MV_CLI_INT,        /* int in [min, max] */
  MV_CLI_SEED,       /* uint64_t */
  MV_CLI_REAL,       /* double in [min, max] */
  MV_CLI_CHOICE,     /* int: index into `choices` */
  MV_CLI_DEVICE,     /* const char *: auto, cpu, cuda, cuda:N */
  MV_CLI_SPACING,    /* double[2]: W or WxH, positive */
  MV_CLI_HW,         /* int[2]: HxW, or none = {0, 0} */
  MV_CLI_WH,         /* int[2]: WxH */
  MV_CLI_PAIR,       /* const char *[2]: "A;B" */
  MV_CLI_SLICE       /* PLANE:INDEX[:FRAME] */
} mv_cli_type;

typedef enum mv_cli_group {
  MV_CLI_GROUP_QUESTION = 0,
  MV_CLI_GROUP_BENCHMARK,
  MV_CLI_GROUP_SERVER,
  MV_CLI_GROUP_IMAGE,
  MV_CLI_GROUP_OUTPUT,
  MV_CLI_GROUP_MODEL,
  MV_CLI_GROUP_DECODING,
  MV_CLI_GROUP_GENERAL,
  MV_CLI_GROUP_COUNT
} mv_cli_group;

typedef struct mv_cli_option {
  const char *name;    /* without the dashes */
  const char *metavar; /* NULL for a switch */
  mv_cli_type type;
  size_t offset;     /* of its field in mv_cli_args */
  uint32_t commands; /* bit per mv_cli_id that takes it */
  uint32_t required; /* bit per mv_cli_id that needs it (unless --jsonl) */
  mv_cli_group group;
  const char *initial; /* the default as it would be typed; NULL: none */
  double min, max;     /* INT, REAL */
  const char *choices; /* CHOICE: "a|b|c"; else words worth completing, or NULL */
  const char *help;    /* one sentence or two, no full stop at the end */
} mv_cli_option;

extern const mv_cli_option mv_cli_options[];
extern const int mv_cli_n_option;
extern const char *const mv_cli_group_names[MV_CLI_GROUP_COUNT];

/* Fills *args (zeroed first; free with mv_cli_args_free, also after a failure) from
 * argv[1..argc-1]. Fails with MV_ERR_USAGE and one line naming the option, its value and what was
 * expected. --help and --version stop all further checks. */
mv_status mv_cli_parse(int argc, char **argv, mv_cli_args *args, mv_error *err);
void mv_cli_args_free(mv_cli_args *args);

/* The options that command `id` needs and that were not given: MV_ERR_USAGE naming them.
 * mv_cli_parse has done this for args->command; `prompt` does it for the task it was given. */
mv_status mv_cli_require(const mv_cli_args *args, mv_cli_id id, mv_error *err);
/* Whether option i was on the command line. */
static inline int mv_cli_has(const mv_cli_args *args, int i) {
  return (int)(args->given[i / 64] >> i % 64 & 1u);
}
/* Whether the option called `name` was on the command line. */
int mv_cli_given(const mv_cli_args *args, const char *name);
/* The option of that name that command `id` takes, else any of that name, else NULL. */
const mv_cli_option *mv_cli_option_find(mv_cli_id id, const char *name);
int mv_cli_command_find(const char *name, mv_cli_id *id); /* 0 when there is none */
/* The closest of the n words to `text`, or NULL when none is close. */
const char *mv_cli_closest(const char *text, const char *const *words, int n);

/* What `medvision help`, `medvision COMMAND --help`, `help --man` and `completion` print. */
void mv_cli_overview(mv_buf *out);
void mv_cli_help(mv_buf *out, mv_cli_id id);
void mv_cli_man(mv_buf *out);
/* 0 when the shell is none of bash, zsh, fish. */
int mv_cli_completion(mv_buf *out, const char *shell);

/* Appends `text` broken at spaces to lines of at most `width` columns; the first line starts at
 * column `at`, the others after `indent` spaces. Ends with a newline. */
void mv_cli_wrap(mv_buf *out, const char *text, int at, int indent, int width);

#ifdef __cplusplus
}
#endif
#endif
