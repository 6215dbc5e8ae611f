#include "bench/serve_body.h"

#include "bench/sample.h"
#include "runtime/json.h"
#include "runtime/memory.h"
#include "tasks/batch.h"

static mv_status encode(int side, unsigned seed, mv_buf *out, mv_error *err) {
  mv_image image = {0};
  mv_buf png = {0};
  mv_status status = bench_draw(&image, side, seed, err);
  if (status == MV_OK) status = mv_image_encode_png(&image, &png, err);
  if (status == MV_OK) {
    mv_buf_text(out, "\"data:image/png;base64,");
    mv_base64_encode(png.ptr, png.len, out);
    mv_buf_char(out, '"');
    status = mv_buf_status(out, err);
  }
  mv_buf_free(&png);
  mv_image_free(&image);
  return status;
}

mv_status bench_bodies_draw(bench_bodies *b, mv_error *err) {
  const bench_workload *w = b->workload;
  for (int i = 0; i < w->n_ask; i++)
    if ((int)w->asks[i].picture >= b->n_picture) b->n_picture = (int)w->asks[i].picture + 1;
  b->pictures = mv_calloc((size_t)b->n_picture, sizeof *b->pictures);
  if (!b->pictures) return mv_fail(err, MV_ERR_MEMORY, "no memory for %d pictures", b->n_picture);
  for (int i = 0; i < w->n_ask; i++) {
    unsigned picture = w->asks[i].picture;
    int side = w->kinds[w->asks[i].kind].side;
    if (side && !b->pictures[picture].len)
      MV_TRY(encode(side, picture + w->salt, &b->pictures[picture], err));
  }
  return MV_OK;
}

void bench_bodies_free(bench_bodies *b) {
  for (int i = 0; b->pictures && i < b->n_picture; i++) mv_buf_free(&b->pictures[i]);
  mv_free(b->pictures);
  b->pictures = NULL;
}

static void text_part(mv_json_writer *w, mv_str text) {
  mv_json_begin_object(w);
  bench_json_text(w, "type", "text");
  mv_json_key(w, "text");
  mv_json_string(w, text);
  mv_json_end_object(w);
}

static void picture_part(mv_json_writer *w, mv_str url) {
  mv_json_begin_object(w);
  bench_json_text(w, "type", "image_url");
  mv_json_key(w, "image_url");
  mv_json_begin_object(w);
  mv_json_key(w, "url");
  mv_json_raw(w, url);
  mv_json_end_object(w);
  mv_json_end_object(w);
}

static void messages(mv_json_writer *w, const bench_kind *kind, mv_str text, mv_str system,
                     mv_str url) {
  mv_json_key(w, "messages");
  mv_json_begin_array(w);
  if (system.len) {
    mv_json_begin_object(w);
    bench_json_text(w, "role", "system");
    mv_json_key(w, "content");
    mv_json_string(w, system);
    mv_json_end_object(w);
  }
  mv_json_begin_object(w);
  bench_json_text(w, "role", "user");
  mv_json_key(w, "content");
  mv_json_begin_array(w);
  if (kind->text_first) text_part(w, text);
  if (url.len) picture_part(w, url);
  if (!kind->text_first) text_part(w, text);
  mv_json_end_array(w);
  mv_json_end_object(w);
  mv_json_end_array(w);
}

static void settings(mv_json_writer *w, const bench_bodies *b, int n_output) {
  bench_json_text(w, "model", b->model);
  bench_json_int(w, "max_tokens", n_output);
  bench_json_int(w, "temperature", 0);
  mv_json_key(w, "stream");
  mv_json_bool(w, 1);
  mv_json_key(w, "stream_options");
  mv_json_begin_object(w);
  mv_json_key(w, "include_usage");
  mv_json_bool(w, 1);
  mv_json_end_object(w);
  if (b->respect_eos) return;
  mv_json_key(w, "ignore_eos");
  mv_json_bool(w, 1);
}

static void write_body(mv_json_writer *w, const bench_bodies *b, const bench_ask *ask, int n_output,
                       mv_str url) {
  const bench_kind *kind = &b->workload->kinds[ask->kind];
  mv_buf text = {0}, system = {0};
  bench_ask_text(b->workload, ask, &text);
  bench_kind_system(kind, &system);
  mv_json_begin_object(w);
  settings(w, b, n_output);
  if (b->is_chat) {
    messages(w, kind, mv_buf_view(&text), mv_buf_view(&system), url);
  } else {
    mv_json_key(w, "prompt");
    mv_json_string(w, mv_buf_view(&text));
  }
  mv_json_end_object(w);
  if (text.failed || system.failed) w->out->failed = 1;
  mv_buf_free(&text);
  mv_buf_free(&system);
}

mv_status bench_body(const bench_bodies *b, const bench_ask *ask, int n_output, mv_buf *out,
                     mv_error *err) {
  int side = b->workload->kinds[ask->kind].side;
  mv_json_writer w = {.out = out};
  mv_buf drawn = {0};
  mv_str url = {0};
  mv_buf_clear(out);
  if (side && (int)ask->picture < b->n_picture) {
    url = mv_buf_view(&b->pictures[ask->picture]);
  } else if (side) {
    mv_status status = encode(side, ask->picture + b->workload->salt, &drawn, err);
    if (status != MV_OK) mv_buf_free(&drawn);
    if (status != MV_OK) return status;
    url = mv_buf_view(&drawn);
  }
  mv_buf_reserve(out, url.len + 4096);
  write_body(&w, b, ask, n_output, url);
  mv_buf_free(&drawn);
  return mv_buf_status(out, err);
}
