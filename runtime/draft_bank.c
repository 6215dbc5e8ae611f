/* Patterns to text and back: JSON lines, first what they are of, then one pattern a line.
 *
 *   {"format": "medvision drafts", "version": 1, "vocabulary": 152064}
 *   {"family": "size", "worth": 1630.5, "prompt": [151644, ...], "answer": [151667, ...]}
 */
#include <string.h>

#include "runtime/draft.h"
#include "runtime/json.h"
#include "runtime/memory.h"

#define FORMAT "medvision drafts"
#define VERSION 1

/* ---- writing ---- */

static void write_ids(mv_json_writer *w, const char *key, const int32_t *ids, int n) {
  mv_json_key(w, key);
  mv_json_begin_array(w);
  for (int i = 0; i < n; i++) mv_json_int(w, ids[i]);
  mv_json_end_array(w);
}

static void write_pattern(const mv_family *f, const mv_pattern *p, mv_buf *out) {
  mv_json_writer w = {.out = out};
  mv_json_begin_object(&w);
  mv_json_key(&w, "family");
  mv_json_text(&w, f->name);
  mv_json_key(&w, "worth");
  mv_json_double(&w, p->worth);
  write_ids(&w, "prompt", p->prompt, p->n_prompt);
  write_ids(&w, "answer", p->answer, p->n_answer);
  mv_json_end_object(&w);
  mv_buf_char(out, '\n');
}

void mv_drafter_write(const mv_drafter *d, int n_vocab, mv_buf *out) {
  mv_json_writer w = {.out = out};
  mv_json_begin_object(&w);
  mv_json_key(&w, "format");
  mv_json_text(&w, FORMAT);
  mv_json_key(&w, "version");
  mv_json_int(&w, VERSION);
  mv_json_key(&w, "vocabulary");
  mv_json_int(&w, n_vocab);
  mv_json_end_object(&w);
  mv_buf_char(out, '\n');
  for (int f = 0; f < d->n_family; f++)
    for (int i = 0; i < d->families[f].n_pattern; i++) {
      const mv_pattern *p = &d->families[f].patterns[i];
      if (!p->taught && p->n_answer) write_pattern(&d->families[f], p, out);
    }
}

/* ---- reading ---- */

typedef struct reader {
  mv_drafter *d; /* NULL: only looks whether all is well */
  int n_vocab;
  int32_t *prompt, *answer; /* [MV_DRAFT_PROMPT], [MV_DRAFT_ANSWER] */
} reader;

static mv_status read_head(const reader *r, const mv_json *line, mv_error *err) {
  int64_t version = 0, vocabulary = 0;
  const mv_json *format = mv_json_get(line, "format");
  if (!mv_json_is(format, MV_JSON_STRING) || !mv_str_is(format->text, FORMAT))
    return mv_fail(err, MV_ERR_FORMAT, "not a file of drafts");
  if (!mv_json_to_int(mv_json_get(line, "version"), &version) || version != VERSION)
    return mv_fail(err, MV_ERR_FORMAT, "drafts of another version of this program");
  if (!mv_json_to_int(mv_json_get(line, "vocabulary"), &vocabulary) || vocabulary != r->n_vocab)
    return mv_fail(err, MV_ERR_FORMAT, "drafts of a model with another vocabulary than %d",
                   r->n_vocab);
  return MV_OK;
}

/* Fills out[]; returns how many, -1 when they are not up to `max` ids. */
static int read_ids(const reader *r, const mv_json *list, int32_t *out, int max) {
  int n = 0;
  if (!mv_json_is(list, MV_JSON_ARRAY) || list->n_items > (size_t)max) return -1;
  for (const mv_json *item = list->first; item; item = item->next) {
    int64_t id;
    if (!mv_json_to_int(item, &id) || id < 0 || id >= r->n_vocab) return -1;
    out[n++] = (int32_t)id;
  }
  return n;
}

static mv_status read_pattern(const reader *r, const mv_json *line, mv_error *err) {
  const mv_json *family = mv_json_get(line, "family"), *worth = mv_json_get(line, "worth");
  int n_prompt = read_ids(r, mv_json_get(line, "prompt"), r->prompt, MV_DRAFT_PROMPT);
  int n_answer = read_ids(r, mv_json_get(line, "answer"), r->answer, MV_DRAFT_ANSWER);
  if (!mv_json_is(family, MV_JSON_STRING) || !family->text.len ||
      family->text.len >= sizeof r->d->families[0].name ||
      memchr(family->text.ptr, 0, family->text.len))
    return mv_fail(err, MV_ERR_FORMAT, "a pattern's family is a short name");
  if (!mv_json_is_number(worth) || !(worth->number >= 0 && worth->number <= 1e9))
    return mv_fail(err, MV_ERR_FORMAT, "a pattern's worth is a number up to 1e9");
  if (n_prompt < 0 || n_answer < 1)
    return mv_fail(err, MV_ERR_FORMAT,
                   "a pattern's prompt and answer are up to %d and %d token ids", MV_DRAFT_PROMPT,
                   MV_DRAFT_ANSWER);
  if (r->d)
    mv_drafter_keep(r->d, family->text, r->prompt, (size_t)n_prompt, r->answer, (size_t)n_answer,
                    worth->number);
  return MV_OK;
}

static mv_status read_lines(const reader *r, mv_str text, mv_error *err) {
  for (int number = 1; text.len || number == 1; number++) {
    const char *end = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
    mv_str line = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
    mv_json_doc doc = {0};
    mv_error why = {0};
    mv_status status = mv_json_parse(&doc, line, &why);
    if (status == MV_OK)
      status = number == 1 ? read_head(r, doc.root, &why) : read_pattern(r, doc.root, &why);
    mv_json_doc_free(&doc);
    if (status != MV_OK) return mv_fail(err, status, "line %d: %s", number, why.msg);
    text.ptr += line.len + (end != NULL);
    text.len -= line.len + (end != NULL);
  }
  return MV_OK;
}

mv_status mv_drafter_read(mv_drafter *d, int n_vocab, mv_str text, mv_error *err) {
  int32_t *room = mv_alloc((MV_DRAFT_PROMPT + MV_DRAFT_ANSWER) * sizeof *room);
  if (!room) return mv_fail(err, MV_ERR_MEMORY, "no memory for drafts");
  reader r = {NULL, n_vocab, room, room + MV_DRAFT_PROMPT};
  mv_status status = read_lines(&r, text, err);
  r.d = d;
  if (status == MV_OK) status = read_lines(&r, text, err);
  mv_free(room);
  return status;
}
