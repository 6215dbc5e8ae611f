/* One self-contained HTML page over scored answers: tasks/report_page.html with data in it. */
#ifndef MV_TASKS_REPORT_H
#define MV_TASKS_REPORT_H

#include "tasks/eval_board.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const char mv_report_page[]; /* the file, made into C by the build */

/* Writes the page by rename. Pictures are read anew from the files the records name, as far as
 * they can be, on all cores. */
mv_status mv_report_write(const mv_rows_list *models, const mv_board_row *board, const char *path,
                          mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
