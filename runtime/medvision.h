/* medvision.h: the public C API. The nouns, and who owns what:
 *
 *   model    a checkpoint: weights (mapped), config, tokenizer, image preprocessor. Read-only once
 *            open; any number of engines may share it.
 *   engine   one device's working memory over a model: activations, KV cache, sampler state. Owns
 *            its memory, borrows the model. One thread at a time.
 *   request  what to answer: a conversation (system text, user text, images in either order) and
 *            how to decode it. The caller owns everything in it until the call returns.
 *   result   ids, text, log-probabilities, counts and times. The caller owns it and frees it with
 *            mv_result_free.
 *
 * Every fallible call returns an mv_status and fills `err` with one sentence (runtime/error.h).
 * Data flows one way: images and text -> patches and ids -> engine -> text. What the text measures
 * is read by tasks/.
 */
#ifndef MV_RUNTIME_MEDVISION_H
#define MV_RUNTIME_MEDVISION_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/dtype.h"
#include "runtime/error.h"
#include "runtime/text.h"

#ifdef __cplusplus
extern "C" {
#endif

struct mv_image;        /* vision/image.h      */
struct mv_preprocessor; /* vision/preprocess.h */
struct mv_tokenizer;    /* tokenizer/tokenizer.h */
struct mv_checkpoint;   /* weights/checkpoint.h */

typedef struct mv_model mv_model;
typedef struct mv_engine mv_engine;

/* ---- model ---- */

typedef enum mv_precision {
  MV_PRECISION_AUTO = 0, /* bf16 where the device has bf16 arithmetic, fp32 elsewhere */
  MV_PRECISION_BF16,     /* weights and activations stored in bf16, sums in f32       */
  MV_PRECISION_FP32      /* weights widened, every sum in f32: the definition of right */
} mv_precision;

typedef struct mv_model_options {
  const char *dir;        /* checkpoint directory */
  const char *device;     /* "auto", "cpu", "cuda", "cuda:N"; NULL is "auto" */
  mv_precision precision; /* */
  int n_thread;           /* CPU threads; 0 = all of them */
  /* Called while loading with bytes done and in all; may be NULL. */
  void (*on_progress)(void *user, const char *stage, size_t done, size_t total);
  void *user;
} mv_model_options;

/* Opens a checkpoint and checks every file, name, shape and value in it before use. Returns the
 * model in *out (free with mv_model_close). */
mv_status mv_model_open(mv_model **out, const mv_model_options *options, mv_error *err);
void mv_model_close(mv_model *model); /* accepts NULL */

const struct mv_tokenizer *mv_model_tokenizer(const mv_model *model);       /* borrows */
const struct mv_preprocessor *mv_model_preprocessor(const mv_model *model); /* borrows */
const struct mv_checkpoint *mv_model_checkpoint(const mv_model *model);     /* borrows */
const char *mv_model_device_name(const mv_model *model);                    /* "cpu", ... */
mv_precision mv_model_precision(const mv_model *model);                     /* never AUTO */

/* ---- request ---- */

typedef enum mv_image_order { MV_IMAGE_FIRST = 0, MV_IMAGE_LAST } mv_image_order;

typedef struct mv_sampling {
  float temperature;        /* 0 = greedy; ties go to the lowest id */
  float top_p;              /* 1 = off */
  int top_k;                /* 0 = off */
  float repetition_penalty; /* 1 = off; covers prompt and answer, as the reference does */
  uint64_t seed;
} mv_sampling;

typedef struct mv_request {
  mv_str system; /* empty: the template's default system prompt */
  mv_str prompt; /* user text; special tokens in it are ordinary characters */
  const struct mv_image *images; /* n_image decoded pictures, grey or RGB, any size */
  int n_image;
  mv_image_order image_order;
  int resampler; /* mv_resampler of vision/image.h; 0 = torchvision's fixed point */

  int max_new_tokens;
  mv_sampling sampling;
  int use_generation_config; /* take the checkpoint's sampling values instead */
  int ignore_eos;
  const mv_str *stop; /* n_stop texts; the answer ends before the first one found */
  int n_stop;
  int n_logprob; /* -1 none; K >= 0: the token's own and the K best, natural log, unpenalised */

  /* Text as it becomes complete (never half a character); return non-zero to cancel. */
  int (*on_text)(void *user, mv_str text);
  /* "image", "vision", "prefill": done of total; may be NULL. */
  void (*on_progress)(void *user, const char *stage, size_t done, size_t total);
  void *user;
  const char *dump_dir; /* named tensors of every stage as safetensors; NULL = none */
} mv_request;

/* Greedy, 4096 new tokens, no penalty, no log-probabilities: the defaults of every command. */
void mv_request_init(mv_request *request);

/* ---- result ---- */

typedef enum mv_finish {
  MV_FINISH_STOP = 0, /* an end token or a stop text */
  MV_FINISH_LENGTH,   /* max_new_tokens reached      */
  MV_FINISH_CANCELLED
} mv_finish;

const char *mv_finish_name(mv_finish finish); /* "stop", "length", "cancelled" */

typedef struct mv_logprob {
  int32_t token_id;
  float logprob;
} mv_logprob;

typedef struct mv_timings {
  double image_ms;   /* processor resize and patches */
  double vision_ms;  /* vision tower */
  double prefill_ms; /* prompt through the decoder, up to the first token */
  double decode_ms;  /* the tokens after the first */
  double total_ms;
  double ttft_ms; /* time to first token, from submit */
} mv_timings;

typedef struct mv_result {
  int32_t *prompt_ids; /* [n_prompt] image placeholders expanded */
  size_t n_prompt;
  int32_t *token_ids; /* [n_token] the end token included */
  size_t n_token;
  mv_buf text; /* decoded, special tokens left out */
  mv_finish finish;
  size_t n_image_token, n_cached_token;
  int n_logprob;          /* K of the request, -1 none */
  mv_logprob *logprobs;   /* [n_token] of the chosen token */
  mv_logprob *top;        /* [n_token, K] best first */
  mv_timings timings;
} mv_result;

void mv_result_free(mv_result *result); /* accepts a zeroed result */

/* ---- engine ---- */

typedef struct mv_engine_options {
  size_t max_tokens; /* context of one request, prompt and answer; 0 = what each request needs */
} mv_engine_options;

mv_status mv_engine_new(mv_engine **out, mv_model *model, const mv_engine_options *options,
                        mv_error *err);
void mv_engine_free(mv_engine *engine); /* accepts NULL */

/* Answers one request. Fills *result (zeroed first). */
mv_status mv_engine_generate(mv_engine *engine, const mv_request *request, mv_result *result,
                             mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
