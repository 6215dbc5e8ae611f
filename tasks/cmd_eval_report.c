/* medvision eval report: leaderboard files and the page. */
#include "tasks/cli_io.h"
#include "tasks/eval.h"
#include "tasks/report.h"

static mv_status write_all(const mv_cli_args *args, const mv_rows_list *models,
                           const mv_board_row *rows, mv_error *err) {
  for (int i = 0; i < args->eval.tables.n; i++)
    MV_TRY(mv_board_write(models, rows, args->eval.tables.v[i], err));
  return args->out ? mv_report_write(models, rows, args->out, err) : MV_OK;
}

static mv_status report(const mv_cli_args *args, mv_error *err) {
  mv_plan plan = {0};
  mv_rows_list models = {0};
  mv_board_row *rows = NULL;
  if (!args->out && !args->eval.tables.n)
    return mv_fail(err, MV_ERR_USAGE,
                   "eval report: nothing to write: give --out PAGE.html or --table FILE");
  MV_TRY(mv_plan_load(&plan, args->eval.plan, err));
  mv_status status = MV_OK;
  for (int i = 0; status == MV_OK && i < args->operands.n; i++)
    status = mv_rows_read(&models, args->operands.v[i], &plan, err);
  if (status == MV_OK) {
    rows = mv_calloc(models.n + 1, sizeof *rows);
    if (!rows) status = mv_fail(err, MV_ERR_MEMORY, "out of memory");
  }
  for (size_t i = 0; status == MV_OK && i < models.n; i++)
    status = mv_board_compute(&models.v[i], args->eval.bootstrap, &rows[i], err);
  if (status == MV_OK) status = write_all(args, &models, rows, err);
  mv_free(rows);
  mv_rows_list_free(&models);
  mv_plan_free(&plan);
  return status;
}

int mv_eval_cmd_report(const mv_cli_args *args) {
  mv_error err = {0};
  return report(args, &err) == MV_OK ? MV_EXIT_DONE : mv_cli_fail(&err);
}
