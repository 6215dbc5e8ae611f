#include "bench/kernel_table.h"

#include <string.h>

#define F32 MV_DTYPE_F32
#define BF16 MV_DTYPE_BF16

/* Decoder: 28 layers of 3584, 28 query and 4 key heads of 128, MLP of 18944, 152064 tokens.
 * Vision tower: 32 blocks of 1280, 16 heads of 80, MLP of 3420, merger 5120 -> 5120 -> 3584. */
#define D 3584
#define KV 512
#define FF 18944
#define VOCAB 152064
#define VD 1280
#define VFF 3420
#define VFF_PADDED 3456 /* on a GPU */
#define MD 5120

#define PROMPT 700   /* 324 image tokens and the text around them */
#define PATCHES 1296 /* 36 x 36 */
#define TOKENS 324

/* Formats of the bf16 precision: what a product reads is bf16, what it writes is f32. */
#define WIDE .x = BF16, .w = BF16, .y = F32
/* And of fp32 over a bf16 checkpoint. */
#define FP32 .x = F32, .w = BF16, .y = F32

static const kernel_span last_token[] = {{1023, 1}}, drafts[] = {{1008, 16}};
static const kernel_span last_tokens[32] = {
    {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1},
    {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1},
    {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1},
    {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}, {1023, 1}};
static const kernel_span prompt[] = {{0, PROMPT}};
static const kernel_span image[] = {{0, PATCHES}};
/* 5 x 5 windows of an 18 x 18 grid: 16 whole, 8 half, one quarter. */
static const kernel_span windows[] = {{0, 64}, {0, 64}, {0, 64}, {0, 64}, {0, 32}, {0, 64}, {0, 64},
                                      {0, 64}, {0, 64}, {0, 32}, {0, 64}, {0, 64}, {0, 64}, {0, 64},
                                      {0, 32}, {0, 64}, {0, 64}, {0, 64}, {0, 64}, {0, 32}, {0, 32},
                                      {0, 32}, {0, 32}, {0, 32}, {0, 16}};

static const mv_sample_row greedy[] = {{0, 1, 0, 1, 0, NULL, 0}};
static const mv_sample_row warm[] = {{0.8f, 0.95f, 50, 1, 0.4, NULL, 0}};

#define LINEAR(PHASE, WHAT, ROWS, IN, FORMAT, ...)                                           \
  {                                                                                          \
    PHASE, WHAT, { .op = "linear", .n_row = ROWS, .n_in = IN, FORMAT, .n_out = __VA_ARGS__ } \
  }
#define HEADS .n_head = 28, .n_kv = 4, .d_head = 128
#define EYES .n_head = 16, .n_kv = 16, .d_head = 80

const bench_case bench_kernel_table[] = {
    LINEAR("decode", "qkv", 1, D, WIDE, {D, KV, KV}, .bias = 1),
    LINEAR("decode", "o", 1, D, WIDE, {D}, .accumulate = 1),
    LINEAR("decode", "gate_up", 1, D, WIDE, {FF, FF}),
    LINEAR("decode", "gate_up x8", 8, D, WIDE, {FF, FF}), /* requests, or drafts, together */
    LINEAR("decode", "gate_up x32", 32, D, WIDE, {FF, FF}),
    LINEAR("decode", "gate_up x64", 64, D, WIDE, {FF, FF}),
    LINEAR("decode", "down", 1, FF, WIDE, {D}, .accumulate = 1),
    LINEAR("decode", "head", 1, D, WIDE, {VOCAB}),
    LINEAR("decode", "down fp32", 1, FF, FP32, {D}, .accumulate = 1),
    LINEAR("decode", "down fp32 x32", 32, FF, FP32, {D}, .accumulate = 1),
    {"decode", "", {.op = "rmsnorm", .n_row = 1, .d = D, .y = BF16}},
    {"decode",
     "",
     {.op = "rope_kv", .n_row = 1, HEADS, .w = BF16, .spans = last_token, .n_span = 1}},
    {"decode",
     "",
     {.op = "attention",
      .n_row = 1,
      HEADS,
      .w = BF16,
      .y = BF16,
      .spans = last_token,
      .n_span = 1}},
    {"decode",
     "x32",
     {.op = "attention",
      .n_row = 32,
      HEADS,
      .w = BF16,
      .y = BF16,
      .spans = last_tokens,
      .n_span = 32}},
    {"decode",
     "tree",
     {.op = "attention",
      .n_row = 16,
      HEADS,
      .w = BF16,
      .y = BF16,
      .spans = drafts,
      .n_span = 1,
      .tree = 1}},
    {"decode", "digits", {.op = "kv_copy", .n_row = 10, .n_layer = 28, HEADS, .w = BF16}},
    {"decode", "", {.op = "swiglu", .n_row = 1, .d = FF, .y = BF16}},
    {"decode", "greedy", {.op = "sample", .n_row = 1, .d = VOCAB, .how = greedy, .n_how = 1}},
    {"decode", "top-k top-p", {.op = "sample", .n_row = 1, .d = VOCAB, .how = warm, .n_how = 1}},

    LINEAR("prefill", "qkv", PROMPT, D, WIDE, {D, KV, KV}, .bias = 1),
    LINEAR("prefill", "o", PROMPT, D, WIDE, {D}, .accumulate = 1),
    LINEAR("prefill", "gate_up", PROMPT, D, WIDE, {FF, FF}),
    LINEAR("prefill", "down", PROMPT, FF, WIDE, {D}, .accumulate = 1),
    LINEAR("prefill", "o fp32", PROMPT, D, FP32, {D}, .accumulate = 1),
    {"prefill", "", {.op = "embed", .n_row = PROMPT, .d = D, .x = BF16, .y = F32}},
    {"prefill", "", {.op = "rope_table", .n_row = PROMPT, .d_head = 128}},
    {"prefill", "", {.op = "rmsnorm", .n_row = PROMPT, .d = D, .y = BF16}},
    {"prefill",
     "",
     {.op = "rope_kv", .n_row = PROMPT, HEADS, .w = BF16, .spans = prompt, .n_span = 1}},
    {"prefill",
     "",
     {.op = "attention",
      .n_row = PROMPT,
      HEADS,
      .w = BF16,
      .y = BF16,
      .spans = prompt,
      .n_span = 1}},
    {"prefill", "", {.op = "swiglu", .n_row = PROMPT, .d = FF, .y = BF16}},

    LINEAR("vision", "patch_embed", PATCHES, 1176, WIDE, {VD}),
    LINEAR("vision", "qkv", PATCHES, VD, WIDE, {3 * VD}, .bias = 1),
    LINEAR("vision", "o", PATCHES, VD, WIDE, {VD}, .bias = 1, .accumulate = 1),
    LINEAR("vision", "gate_up", PATCHES, VD, WIDE, {VFF, VFF}, .bias = 1),
    LINEAR("vision", "down", PATCHES, VFF, WIDE, {VD}, .bias = 1, .accumulate = 1),
    LINEAR("vision", "merger_fc1", TOKENS, MD, WIDE, {MD}, .bias = 1),
    LINEAR("vision", "merger_fc2", TOKENS, MD, WIDE, {D}, .bias = 1),
    {"vision", "", {.op = "rmsnorm", .n_row = PATCHES, .d = VD, .y = BF16}},
    {"vision", "", {.op = "rope", .n_row = PATCHES, .n_head = 32, .d_head = 80, .pad = VD}},
    {"vision",
     "windows",
     {.op = "window_attention", .n_row = PATCHES, EYES, .y = BF16, .spans = windows, .n_span = 25}},
    {"vision",
     "whole",
     {.op = "window_attention", .n_row = PATCHES, EYES, .y = BF16, .spans = image, .n_span = 1}},
    {"vision", "", {.op = "swiglu", .n_row = PATCHES, .d = VFF, .y = BF16}},
    {"vision", "", {.op = "gelu", .n_row = TOKENS, .d = MD, .x = BF16, .y = BF16}},
    {"vision", "", {.op = "gather_rows", .n_row = TOKENS, .d = D}},
    {"vision",
     "",
     {.op = "patches",
      .n_row = PATCHES,
      .d = 14,
      .height = 504,
      .width = 504,
      .channels = 3,
      .merge = 2,
      .temporal = 2}},
    {"load", "random gate", {.op = "fill", .n_row = FF, .d = D, .y = BF16}},
};

const int bench_n_kernel_case = sizeof bench_kernel_table / sizeof *bench_kernel_table;

/* What loading makes of products on a device that copies weights; the tower's MLP is as wide as the
 * device's ff_multiple makes it. */
static void load(kernel_case *c) {
  int *widths[] = {&c->d, &c->n_in, &c->n_out[0], &c->n_out[1]};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
    if (*widths[i] == VFF) *widths[i] = VFF_PADDED;
  c->loaded = 1;
}

bench_case bench_case_for(const bench_case *row, const mv_ops *ops) {
  bench_case out = *row;
  kernel_case *c = &out.c;
  if (ops->between(BF16) == F32) return out;
  load(c);
  if (strcmp(c->op, "linear") == 0) {
    /* the residual, the logits and both ends of the tower stay f32, as does precision fp32 */
    int is_wide = strcmp(row->what, "head") == 0 || strcmp(row->what, "patch_embed") == 0 ||
                  strcmp(row->what, "merger_fc2") == 0;
    if (c->x == BF16 && !c->accumulate && !is_wide) c->y = BF16;
  } else if (strcmp(c->op, "rope") == 0 || strcmp(c->op, "patches") == 0) {
    c->y = BF16;
  } else if (strcmp(c->op, "rope_kv") == 0 || strcmp(c->op, "attention") == 0 ||
             strcmp(c->op, "window_attention") == 0 || strcmp(c->op, "swiglu") == 0) {
    c->x = BF16;
  }
  return out;
}
