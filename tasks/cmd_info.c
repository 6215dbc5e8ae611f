/* medvision info: what a checkpoint holds, and what answering with it takes. */
#include <stdio.h>
#include <string.h>

#include "runtime/medvision.h"
#include "tasks/cli_command.h"
#include "tasks/cli_io.h"
#include "tokenizer/tokenizer.h"
#include "vision/preprocess.h"
#include "weights/checkpoint.h"

typedef struct checkpoint_info {
  char *dir;
  mv_checkpoint *checkpoint;
  mv_tokenizer *tokenizer;
  mv_preprocessor preprocessor;
  mv_part_total parts[MV_PART_N], total;
  int64_t kv_token_bytes; /* keys and values of one token, bf16 */
  mv_memory_plan plan;    /* what --plan is about */
} checkpoint_info;

static mv_status open_all(checkpoint_info *info, const char *random, mv_error *err) {
  if (random)
    MV_TRY(mv_checkpoint_open_empty(&info->checkpoint, info->dir, random, err));
  else
    MV_TRY(mv_checkpoint_open(&info->checkpoint, info->dir, err));
  /* Weights alone are a checkpoint too, if one that cannot answer. */
  if (mv_tokenizer_open(&info->tokenizer, info->dir, err) != MV_OK && err->code != MV_ERR_IO)
    return err->code;
  MV_TRY(mv_preprocessor_load(info->dir, &info->preprocessor, err));
  for (int part = 0; part < MV_PART_N; part++) {
    info->parts[part] = mv_checkpoint_total(info->checkpoint, (mv_part)part);
    info->total.n_tensors += info->parts[part].n_tensors;
    info->total.n_params += info->parts[part].n_params;
    info->total.n_bytes += info->parts[part].n_bytes;
  }
  const mv_text_config *text = &mv_checkpoint_config(info->checkpoint)->text;
  info->kv_token_bytes = 2 * (int64_t)text->n_layer * text->n_kv * text->head_dim * 2;
  return MV_OK;
}

/* The largest picture the measurement commands make: 504 x 504. */
#define PLAN_PATCHES 1296

static mv_status plan(checkpoint_info *info, const mv_cli_args *args, mv_error *err) {
  mv_engine_options options = {.max_batch = args->batch,
                               .kv_tokens = (size_t)args->batch * (size_t)args->context};
  if (mv_memory_plan_init(&info->plan, info->checkpoint, MV_PRECISION_BF16, &options, PLAN_PATCHES,
                          err) == MV_OK)
    return MV_OK;
  return mv_fail(err, MV_ERR_USAGE, "info: a batch of %d with a context of %d has no size",
                 args->batch, args->context);
}

static void close_all(checkpoint_info *info) {
  mv_tokenizer_close(info->tokenizer);
  mv_checkpoint_close(info->checkpoint);
  mv_free(info->dir);
}

/* The naming scheme, told by the embedding's name. */
static const char *naming(const mv_checkpoint *checkpoint) {
  const char *name = mv_checkpoint_get(checkpoint, MV_W_EMBED, 0)->name;
  return strncmp(name, "model.language_model.", 21) ? "model.*, visual.*"
                                                    : "model.language_model.*, model.visual.*";
}

/* ---- for people ---- */

/* 1234567 -> "1,234,567" */
static const char *thousands(int64_t value, char out[32]) {
  char digits[24];
  int n = snprintf(digits, sizeof digits, "%lld", (long long)value), at = 0;
  for (int i = 0; i < n; i++) {
    if (i && (n - i) % 3 == 0) out[at++] = ',';
    out[at++] = digits[i];
  }
  out[at] = 0;
  return out;
}

/* 1234567 -> "1.2 MB" */
static const char *human_bytes(int64_t value, char out[32]) {
  static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  double amount = (double)value;
  int unit = 0;
  while (amount >= 999.5 && unit < 5) amount /= 1000, unit++;
  snprintf(out, 32, unit && amount < 99.5 ? "%.1f %s" : "%.0f %s", amount, units[unit]);
  return out;
}

static void print_shape(mv_buf *out, const checkpoint_info *info) {
  const mv_config *config = mv_checkpoint_config(info->checkpoint);
  const mv_text_config *text = &config->text;
  const mv_vision_config *vision = &config->vision;
  mv_buf_printf(out, "  decoder       %d layers, width %d, feed-forward %d\n", text->n_layer,
                text->d_model, text->d_ff);
  mv_buf_printf(out, "                %d heads of %d, %d key-value heads, vocabulary %d\n",
                text->n_head, text->head_dim, text->n_kv, text->vocab_size);
  mv_buf_printf(out, "                context %d, rope theta %.0f, sections %d + %d + %d\n",
                text->max_positions, text->rope_theta, text->mrope_section[0],
                text->mrope_section[1], text->mrope_section[2]);
  mv_buf_printf(out, "  vision        %d blocks, width %d, feed-forward %d, %d heads of %d\n",
                vision->depth, vision->d_model, vision->d_ff, vision->n_head, vision->head_dim);
  mv_buf_printf(out, "                window %d px, whole image in blocks", vision->window_size);
  int n = 0;
  for (int i = 0; i < vision->depth; i++)
    if (vision->full_attention[i]) mv_buf_printf(out, "%s%d", n++ ? ", " : " ", i);
  mv_buf_text(out, n ? "\n" : " none\n");
}

static void print_rest(mv_buf *out, const checkpoint_info *info) {
  const mv_preprocessor *pp = &info->preprocessor;
  char a[32], b[32];
  int eos[MV_MAX_EOS], n_eos = mv_checkpoint_eos(info->checkpoint, eos);
  const mv_tokenizer *tok = info->tokenizer;
  if (tok)
    mv_buf_printf(out, "  tokenizer     %s tokens; an answer ends at",
                  thousands((int64_t)mv_tokenizer_vocab_size(tok), a));
  else
    mv_buf_text(out, "  tokenizer     none; an answer ends at");
  for (int i = 0; i < n_eos; i++) {
    mv_buf_printf(out, "%s %d", i ? "," : "", eos[i]);
    if (!tok) continue;
    mv_buf_char(out, ' ');
    mv_cli_visible(out, mv_tokenizer_token(tok, eos[i]));
  }
  mv_buf_text(out, n_eos ? "\n" : " nothing\n");
  mv_buf_printf(out, "  preprocessor  patches of %d px, merged %d x %d; %s to %s pixels\n",
                pp->patch, pp->merge, pp->merge, thousands(pp->min_pixels, a),
                thousands(pp->max_pixels, b));
  mv_buf_printf(out, "  names         %s\n", naming(info->checkpoint));
  mv_buf_printf(
      out, "  head          %s\n",
      mv_checkpoint_head_is_tied(info->checkpoint) ? "tied to the embedding" : "its own weights");
  mv_buf_text(out, "  stored as    ");
  const char *comma = " ";
  for (int dtype = MV_DTYPE_F32; dtype <= MV_DTYPE_F16; dtype++) {
    int64_t n = mv_checkpoint_params_of(info->checkpoint, (mv_dtype)dtype);
    if (!n) continue;
    mv_buf_printf(out, "%s%s", comma, mv_dtype_name((mv_dtype)dtype));
    comma = ", ";
  }
  mv_buf_char(out, '\n');
}

static void print_row(mv_buf *out, const char *name, mv_part_total total) {
  char params[32], bytes[32], human[32];
  mv_buf_printf(out, "  %-12s %8lld %16s %18s  %9s\n", name, (long long)total.n_tensors,
                thousands(total.n_params, params), thousands(total.n_bytes, bytes),
                human_bytes(total.n_bytes, human));
}

static void print_plan_row(mv_buf *out, const char *name, int64_t bytes) {
  char text[32], human[32];
  mv_buf_printf(out, "  %-38s %18s  %9s\n", name, thousands(bytes, text),
                human_bytes(bytes, human));
}

static void print_plan(mv_buf *out, const checkpoint_info *info, const mv_cli_args *args) {
  const mv_memory_plan *p = &info->plan;
  char row[64], token[32];
  snprintf(row, sizeof row, "keys and values (%s a token)", thousands(info->kv_token_bytes, token));
  mv_buf_printf(out, "\n  plan for a batch of %d, context %d, bf16\n", args->batch, args->context);
  print_plan_row(out, "weights", (int64_t)p->weight_bytes);
  print_plan_row(out, row, (int64_t)p->kv_bytes);
  snprintf(row, sizeof row, "decoder, steps of %d rows", p->max_rows + p->max_verify);
  print_plan_row(out, row, (int64_t)p->decoder_bytes);
  print_plan_row(out, "vision, pictures of 504 x 504", (int64_t)p->vision_bytes);
  snprintf(row, sizeof row, "features of pictures, %zu tokens", p->image_tokens);
  print_plan_row(out, row, (int64_t)p->image_bytes);
  snprintf(row, sizeof row, "logits of %d rows", p->max_verify);
  print_plan_row(out, row, (int64_t)p->logits_bytes);
  print_plan_row(out, "attention's own, on a GPU", (int64_t)p->scratch_bytes);
  print_plan_row(out, "tables of pages, on the host", (int64_t)p->host_bytes);
  print_plan_row(out, "together", (int64_t)p->total_bytes);
}

static void print_text(mv_buf *out, const checkpoint_info *info, const mv_cli_args *args) {
  mv_cli_visible(out, mv_str_of(info->dir));
  mv_buf_text(out, ": Qwen2.5-VL\n\n");
  print_shape(out, info);
  print_rest(out, info);
  mv_buf_printf(out, "\n  %-12s %8s %16s %18s\n", "part", "tensors", "parameters", "bytes");
  for (int part = 0; part < MV_PART_N; part++)
    print_row(out, mv_part_name((mv_part)part), info->parts[part]);
  print_row(out, "all", info->total);
  if (args->plan) print_plan(out, info, args);
}

/* ---- for programs ---- */

static void int_member(mv_json_writer *w, const char *key, int64_t value) {
  mv_json_key(w, key);
  mv_json_int(w, value);
}

static void write_text_config(mv_json_writer *w, const mv_text_config *text) {
  mv_json_key(w, "decoder");
  mv_json_begin_object(w);
  int_member(w, "layers", text->n_layer);
  int_member(w, "width", text->d_model);
  int_member(w, "feed_forward", text->d_ff);
  int_member(w, "heads", text->n_head);
  int_member(w, "kv_heads", text->n_kv);
  int_member(w, "head_dim", text->head_dim);
  int_member(w, "vocabulary", text->vocab_size);
  int_member(w, "context", text->max_positions);
  mv_json_key(w, "rope_theta");
  mv_json_double(w, text->rope_theta);
  mv_json_key(w, "mrope_section");
  mv_json_begin_array(w);
  for (int i = 0; i < 3; i++) mv_json_int(w, text->mrope_section[i]);
  mv_json_end_array(w);
  mv_json_end_object(w);
}

static void write_vision_config(mv_json_writer *w, const mv_vision_config *vision) {
  mv_json_key(w, "vision");
  mv_json_begin_object(w);
  int_member(w, "blocks", vision->depth);
  int_member(w, "width", vision->d_model);
  int_member(w, "feed_forward", vision->d_ff);
  int_member(w, "heads", vision->n_head);
  int_member(w, "head_dim", vision->head_dim);
  int_member(w, "window_px", vision->window_size);
  mv_json_key(w, "full_attention");
  mv_json_begin_array(w);
  for (int i = 0; i < vision->depth; i++)
    if (vision->full_attention[i]) mv_json_int(w, i);
  mv_json_end_array(w);
  mv_json_end_object(w);
}

static void write_total(mv_json_writer *w, const char *key, mv_part_total total) {
  mv_json_key(w, key);
  mv_json_begin_object(w);
  int_member(w, "tensors", total.n_tensors);
  int_member(w, "parameters", total.n_params);
  int_member(w, "bytes", total.n_bytes);
  mv_json_end_object(w);
}

static void write_rest(mv_json_writer *w, const checkpoint_info *info) {
  int eos[MV_MAX_EOS], n_eos = mv_checkpoint_eos(info->checkpoint, eos);
  mv_json_key(w, "dtypes");
  mv_json_begin_array(w);
  for (int dtype = MV_DTYPE_F32; dtype <= MV_DTYPE_F16; dtype++)
    if (mv_checkpoint_params_of(info->checkpoint, (mv_dtype)dtype))
      mv_json_text(w, mv_dtype_name((mv_dtype)dtype));
  mv_json_end_array(w);
  mv_json_key(w, "names");
  mv_json_text(w, naming(info->checkpoint));
  mv_json_key(w, "tied_head");
  mv_json_bool(w, mv_checkpoint_head_is_tied(info->checkpoint));
  mv_json_key(w, "tokens");
  if (info->tokenizer)
    mv_json_int(w, (int64_t)mv_tokenizer_vocab_size(info->tokenizer));
  else
    mv_json_null(w);
  mv_json_key(w, "end_tokens");
  mv_json_begin_array(w);
  for (int i = 0; i < n_eos; i++) mv_json_int(w, eos[i]);
  mv_json_end_array(w);
  mv_json_key(w, "preprocessor");
  mv_json_begin_object(w);
  int_member(w, "patch", info->preprocessor.patch);
  int_member(w, "merge", info->preprocessor.merge);
  int_member(w, "min_pixels", info->preprocessor.min_pixels);
  int_member(w, "max_pixels", info->preprocessor.max_pixels);
  mv_json_end_object(w);
}

static void print_json(mv_buf *out, const checkpoint_info *info, const mv_cli_args *args) {
  mv_json_writer writer = mv_cli_json(out), *w = &writer;
  const mv_config *config = mv_checkpoint_config(info->checkpoint);
  mv_json_begin_object(w);
  mv_json_key(w, "model");
  mv_json_text(w, info->dir);
  mv_json_key(w, "architecture");
  mv_json_text(w, "Qwen2.5-VL");
  write_text_config(w, &config->text);
  write_vision_config(w, &config->vision);
  write_rest(w, info);
  mv_json_key(w, "parts");
  mv_json_begin_object(w);
  for (int part = 0; part < MV_PART_N; part++)
    write_total(w, mv_part_name((mv_part)part), info->parts[part]);
  mv_json_end_object(w);
  write_total(w, "all", info->total);
  if (args->plan) {
    mv_json_key(w, "plan");
    mv_json_begin_object(w);
    int_member(w, "batch", args->batch);
    int_member(w, "context", args->context);
    int_member(w, "weights_bytes", (int64_t)info->plan.weight_bytes);
    int_member(w, "kv_token_bytes", info->kv_token_bytes);
    int_member(w, "kv_bytes", (int64_t)info->plan.kv_bytes);
    int_member(w, "decoder_bytes", (int64_t)info->plan.decoder_bytes);
    int_member(w, "vision_bytes", (int64_t)info->plan.vision_bytes);
    int_member(w, "image_bytes", (int64_t)info->plan.image_bytes);
    int_member(w, "logits_bytes", (int64_t)info->plan.logits_bytes);
    int_member(w, "scratch_bytes", (int64_t)info->plan.scratch_bytes);
    int_member(w, "host_bytes", (int64_t)info->plan.host_bytes);
    int_member(w, "total_bytes", (int64_t)info->plan.total_bytes);
    mv_json_end_object(w);
  }
  mv_json_end_object(w);
  mv_buf_char(out, '\n');
}

static mv_status find_dir(const mv_cli_args *args, char **dir, mv_error *err) {
  if (args->operands.n && args->model)
    return mv_fail(err, MV_ERR_USAGE, "info: '%s' and --model both name a checkpoint",
                   args->operands.v[0]);
  mv_cli_args named = *args;
  if (args->operands.n) named.model = args->operands.v[0];
  *dir = mv_cli_model_dir(&named, err);
  return *dir ? MV_OK : err->code;
}

int mv_cmd_info(const mv_cli_args *args) {
  checkpoint_info info = {0};
  mv_error err = {0};
  mv_buf out = {0};
  mv_status status = find_dir(args, &info.dir, &err);
  if (status == MV_OK) status = open_all(&info, args->random_weights, &err);
  if (status == MV_OK) status = plan(&info, args, &err);
  if (status == MV_OK) {
    (args->json ? print_json : print_text)(&out, &info, args);
    status = mv_buf_status(&out, &err);
  }
  if (status == MV_OK) mv_cli_put(mv_buf_view(&out));
  mv_buf_free(&out);
  close_all(&info);
  return status == MV_OK ? MV_EXIT_DONE : mv_cli_fail(&err);
}
