/* Any bytes as JSON: what is accepted must read back, once written, as what writes the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "runtime/json.h"
#include "tasks/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Holds in every build type, unlike assert. */
static void must(int condition) {
  if (!condition) abort();
}

static void write(const mv_json *node, int utf8, mv_buf *out) {
  mv_json_writer w = {.out = out, .utf8 = utf8, .indent = utf8};
  mv_json_node(&w, node);
}

static void check_round_trip(const mv_json *root, int utf8) {
  mv_buf once = {0}, twice = {0};
  mv_json_doc again = {0};
  write(root, utf8, &once);
  mv_status status = mv_json_parse(&again, mv_buf_view(&once), NULL);
  must(status == MV_OK);
  write(again.root, utf8, &twice);
  must(mv_str_eq(mv_buf_view(&once), mv_buf_view(&twice)));
  mv_json_doc_free(&again);
  mv_buf_free(&once);
  mv_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mv_json_doc doc = {0};
  mv_manifest manifest;
  mv_str text = {(const char *)data, size};
  if (mv_json_parse(&doc, text, NULL) != MV_OK) return 0;
  check_round_trip(doc.root, 0);
  check_round_trip(doc.root, 1);
  if (mv_manifest_read(doc.root, &manifest, NULL) == MV_OK) {
    mv_preprocessor pp;
    mv_frame frame;
    mv_prompt prompt;
    mv_buf out = {0};
    mv_preprocessor_default(&pp);
    if (mv_manifest_frame(&manifest, 0, 0, &pp, &frame, NULL) == MV_OK &&
        mv_manifest_prompt(&manifest, &frame, &prompt, NULL) == MV_OK)
      (void)mv_prompt_render(&prompt, &out, NULL);
    mv_buf_free(&out);
  }
  mv_json_doc_free(&doc);
  return 0;
}
