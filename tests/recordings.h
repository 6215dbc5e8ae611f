/* The real model's recorded answers, which lie beside the project and are not part of it. */
#ifndef MV_TESTS_RECORDINGS_H
#define MV_TESTS_RECORDINGS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/jsonl.h"

#define CASES "../shared/medvision/cases.jsonl"
#define TOKENIZER "../shared/qwen2.5-tokenizer"

/* A whole answer about two axes, reasoning and all. */
static inline int is_recorded_size(const mv_json *row) {
  return mv_str_is(jsonl_text(row, "task"), "TL") &&
         mv_str_is(jsonl_text(row, "completeness"), "full") &&
         strncmp(jsonl_text(row, "model").ptr, "MedVision-V0", 12) == 0;
}

/* To be called by the suite and not by a test, which runs in a child: the whole program says that
 * it skipped. */
static inline void skip_without_recordings(void) {
  if (access(CASES, R_OK) == 0 && access(TOKENIZER, R_OK) == 0) return;
  printf("skip: no %s or %s\n", CASES, TOKENIZER);
  exit(77);
}

#endif
