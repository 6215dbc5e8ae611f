/* medvision eval: the benchmark's subcommands; parse, summarize and boxsize are here. */
#include <string.h>

#include "tasks/cli_io.h"
#include "tasks/eval.h"
#include "tasks/eval_score.h"

typedef mv_status (*score_function)(const mv_score_options *o, mv_error *err);

/* A slash at the end of a folder changes nothing. */
static const char *folder(mv_arena *arena, const char *path, mv_error *err) {
  if (!path) return NULL;
  char *copy = mv_arena_strdup(arena, path);
  if (!copy) mv_fail(err, MV_ERR_MEMORY, "out of memory");
  for (size_t n = copy ? strlen(copy) : 0; n > 1 && copy[n - 1] == '/'; n--) copy[n - 1] = 0;
  return copy;
}

/* "--models a b": the second name arrives as an operand. */
static mv_status name_models(const mv_cli_args *args, mv_arena *arena, mv_score_options *o,
                             mv_error *err) {
  int n = args->eval.models.n + args->operands.n;
  if (!n) return MV_OK;
  const char **all = mv_arena_alloc(arena, (size_t)n * sizeof *all);
  if (!all) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  for (int i = 0; i < args->eval.models.n; i++) all[i] = args->eval.models.v[i];
  for (int i = 0; i < args->operands.n; i++) all[args->eval.models.n + i] = args->operands.v[i];
  o->models = all, o->n_model = n;
  return MV_OK;
}

static mv_status make_options(const mv_cli_args *args, mv_arena *arena, mv_score_options *o,
                              mv_error *err) {
  const char *name = mv_cli_commands[args->command].name;
  memset(o, 0, sizeof *o);
  if (!args->eval.task_dir == !args->eval.model_dir)
    return mv_fail(err, MV_ERR_USAGE, "%s: expected either --task-dir or --model-dir", name);
  if (args->command == MV_CLI_EVAL_BOXSIZE && mv_cli_given(args, "task") && args->eval.family != 0)
    return mv_fail(err, MV_ERR_USAGE, "%s: --task: only detect has boxes", name);
  if (args->eval.removed_dir && args->eval.family != MV_FAMILY_SIZE)
    return mv_fail(err, MV_ERR_USAGE, "%s: --removed-samples-dir is for --task size", name);
  err->code = MV_OK;
  o->family = (mv_family)args->eval.family;
  o->task_dir = folder(arena, args->eval.task_dir, err);
  o->model_dir = folder(arena, args->eval.model_dir, err);
  o->removed_dir = folder(arena, args->eval.removed_dir, err);
  o->removed_name = args->eval.removed_name;
  o->parsed_name = args->command == MV_CLI_EVAL_PARSE ? "parsed" : args->eval.parsed_name;
  o->resps_key = args->eval.resps_key;
  o->limit = args->eval.limit;
  o->skip_existing = args->eval.skip_existing;
  o->skip_missing = args->eval.skip_missing;
  o->rm_old = args->eval.rm_old;
  if (err->code != MV_OK) return err->code;
  return name_models(args, arena, o, err);
}

static int score(const mv_cli_args *args, score_function run) {
  mv_error err = {0};
  mv_arena arena = {0};
  mv_plan plan = {0};
  mv_score_options o;
  mv_status status = make_options(args, &arena, &o, &err);
  if (status == MV_OK) status = mv_plan_load(&plan, args->eval.plan, &err);
  o.plan = &plan;
  if (status == MV_OK) status = run(&o, &err);
  mv_plan_free(&plan);
  mv_arena_reset(&arena);
  return status == MV_OK ? MV_EXIT_DONE : mv_cli_fail(&err);
}

int mv_cmd_eval(const mv_cli_args *args) {
  switch (args->command) {
    case MV_CLI_EVAL_PARSE:
      return score(args, mv_eval_parse);
    case MV_CLI_EVAL_SUMMARIZE:
      return score(args, mv_eval_summarize);
    case MV_CLI_EVAL_BOXSIZE:
      return score(args, mv_eval_boxsize);
    case MV_CLI_EVAL_RUN:
      return mv_eval_cmd_run(args);
    case MV_CLI_EVAL_IMPORT:
      return mv_eval_cmd_import(args);
    case MV_CLI_EVAL_REPORT:
      return mv_eval_cmd_report(args);
    case MV_CLI_EVAL_REWARD:
      return mv_eval_cmd_reward(args);
    case MV_CLI_EVAL_BATCH:
      return mv_eval_cmd_batch(args);
    default:
      break;
  }
  mv_cli_say("eval: expected one of %s", mv_cli_commands[MV_CLI_EVAL].words);
  return MV_EXIT_USAGE;
}
