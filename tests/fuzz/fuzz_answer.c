/* Any text as a model's answer, for every task: nothing may crash, and what is found must hold. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "tasks/answer.h"
#include "tasks/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Holds in every build type, unlike assert. */
static void must(int condition) {
  if (!condition) abort();
}

static void check_write(const mv_answer *answer, mv_str text) {
  mv_buf out = {0};
  mv_json_doc doc = {0};
  mv_json_writer w = {.out = &out, .utf8 = 1};
  mv_json_begin_object(&w);
  mv_answer_write(answer, text, &w);
  mv_json_end_object(&w);
  mv_status status = mv_json_parse(&doc, mv_buf_view(&out), NULL);
  must(status == MV_OK); /* any bytes make a line that reads back */
  mv_json_doc_free(&doc);
  mv_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const mv_spacing spacing = {504, 504, 0.7f, 1e-5f};
  mv_str text = {(const char *)data, size};
  for (int task = 0; task < MV_TASK_COUNT; task++) {
    mv_answer answer = {.task = (mv_task)task};
    mv_status status = mv_answer_read(&answer, (mv_task)task, &spacing, text, NULL);
    must(status == MV_OK);
    for (int i = 0; answer.parsed && i < answer.n_value; i++) must(!isnan(answer.values[i]));
    check_write(&answer, text);
    mv_answer_free(&answer);
  }
  return 0;
}
