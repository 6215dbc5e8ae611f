/* medvision.h: the public C API. The nouns, and who owns what:
 *
 *   model    a checkpoint: weights (mapped), config, tokenizer, image preprocessor. Read-only once
 *            open; any number of engines may share it, one of them working at a time.
 *   engine   one device's working memory over a model: activations, KV pages, cached prefixes and
 *            image features. Owns its memory, borrows the model. Answers many requests at once.
 *   request  what to answer: a conversation (system text, user text, images in either order) and
 *            how to decode it. The caller owns everything in it and may let go of it as soon as
 *            the call that takes it returns (but for callbacks and their user pointer).
 *   ticket   the name of a submitted request, never 0.
 *   result   ids, text, log-probabilities, counts and times. The caller owns it and frees it with
 *            mv_result_free.
 *
 * One question:                        Many at once:
 *
 *   mv_model_open(&model, ...)           mv_engine_submit(engine, &request, &ticket, &err) ...
 *   mv_engine_new(&engine, model, ...)   do mv_engine_step(engine, &n_left, &err) while (n_left)
 *   mv_engine_generate(engine, ...)      mv_engine_poll(engine, &ticket, &result, &err) ...
 *
 * An answer does not depend on what else is in the engine: not on the batch, nor on chunks, cached
 * prefixes or drafts.
 *
 * Threads: submit, cancel, poll, wait and stats may be called from any; step and generate from one
 * thread at a time, which is also where callbacks come from (but for "image" progress: that comes
 * from submit).
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
struct mv_chat_message; /* tokenizer/chat.h     */

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
  const char *random;     /* "3b", "7b", "32b" or "config": for measuring, random weights of that
                             shape, filled in on the device; the tokenizer is dir's. NULL: dir's
                             weights */
  const char *device;     /* "auto", "cpu", "cuda", "cuda:N"; NULL is "auto" */
  mv_precision precision; /* */
  int n_thread;           /* CPU threads; 0 = all of them */
  int ranges;             /* name what runs for Nsight Systems: kernels/range.h */
  int profile;            /* time every operation: mv_model_profile */
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

/* What the operations took since the model opened, as a table of text, beside what the device can
 * do (measured here, some 0.1 s); for models opened with options.profile and not in use by another
 * thread. Adds nothing for other models. */
mv_status mv_model_profile(mv_model *model, mv_buf *out, mv_error *err);

/* ---- an answer as it grows ---- */

typedef struct mv_logprob {
  int32_t token_id;
  float logprob;
} mv_logprob;

/* Text that became complete (never half a character, never empty), and the tokens that came since
 * the piece before: those the text was decoded from, special ones among them, but never the end
 * token. Tokens after the last text are in the result alone. Borrowed during the call. */
typedef struct mv_piece {
  mv_str text;
  const int32_t *token_ids; /* [n_token] */
  size_t n_token;
  const mv_logprob *logprobs; /* [n_token], NULL unless asked for */
  const mv_logprob *top;      /* [n_token, K], NULL where K is 0 */
} mv_piece;

/* ---- request ---- */

typedef enum mv_image_order { MV_IMAGE_FIRST = 0, MV_IMAGE_LAST } mv_image_order;

/* Token i of an answer is drawn with a random number that depends on the seed and i alone, from the
 * distribution of the tokens before it. The same seed gives the same answer, whatever shares the
 * engine; with drafts too, which are kept where they are the token drawn: no distribution is
 * changed and no draw spent. */
typedef struct mv_sampling {
  float temperature;        /* 0 = greedy; ties go to the lowest id */
  float top_p;              /* 1 = off */
  int top_k;                /* 0 = off */
  float repetition_penalty; /* 1 = off; covers prompt and answer, as the reference does */
  uint64_t seed;
} mv_sampling;

typedef struct mv_request {
  mv_str system;                 /* {NULL, 0}: the template's default system prompt */
  mv_str prompt;                 /* user text; special tokens in it are ordinary characters */
  const struct mv_image *images; /* n_image decoded pictures, grey or RGB, any size */
  int n_image;
  mv_image_order image_order;
  /* A whole conversation in place of system and prompt: n_message of them, each image of their
   * parts being the next of `images` (the parts' token counts are ignored). NULL: none. */
  const struct mv_chat_message *messages;
  size_t n_message;
  int is_raw;    /* the prompt alone, without the chat template; takes no images */
  int resampler; /* mv_resampler of vision/image.h; 0 = torchvision's fixed point */

  /* Requests of one family have answers of one form (a task's name): drafts are learned from its
   * answers. Empty: none are. Never changes an answer, only how fast it comes. */
  mv_str family;

  int max_new_tokens;
  mv_sampling sampling;
  int use_generation_config; /* take the checkpoint's sampling values instead */
  int ignore_eos;
  const mv_str *stop; /* n_stop texts; the answer ends before the first one found */
  int n_stop;
  int n_logprob; /* -1 none; K >= 0: the token's own and the K best, natural log, unpenalised */

  /* The answer piece by piece; return non-zero to cancel. */
  int (*on_text)(void *user, const mv_piece *piece);
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

typedef struct mv_timings {
  double queue_ms;   /* from submit until the engine took it up */
  double image_ms;   /* processor resize and patches */
  double vision_ms;  /* vision tower, by the device's clock; others' steps may go on beside it */
  double prefill_ms; /* what else there is up to the first token: prompt through the decoder, shared
                        with others */
  double decode_ms;  /* the tokens after the first */
  double total_ms;
  double ttft_ms; /* time to first token, from submit */
} mv_timings;

typedef struct mv_result {
  mv_status status;    /* of mv_engine_poll; MV_OK everywhere else */
  int32_t *prompt_ids; /* [n_prompt] image placeholders expanded */
  size_t n_prompt;
  int32_t *token_ids; /* [n_token] the end token included */
  size_t n_token;
  mv_buf text; /* decoded, special tokens left out */
  mv_finish finish;
  size_t n_image_token;
  size_t n_cached_token;        /* of the prompt, whose keys and values were there already */
  size_t n_cached_image;        /* images that the vision tower did not have to see again */
  size_t n_step;                /* steps that gave at least one token */
  size_t n_drafted, n_accepted; /* tokens guessed ahead, and how many of those were right */
  int n_logprob;                /* K of the request, -1 none */
  mv_logprob *logprobs;         /* [n_token] of the chosen token */
  mv_logprob *top;              /* [n_token, K] best first */
  mv_timings timings;
} mv_result;

void mv_result_free(mv_result *result); /* accepts a zeroed result */

/* ---- engine ---- */

/* Zero everywhere is a good choice for one machine and one user. */
typedef struct mv_engine_options {
  size_t max_tokens; /* context of one request, prompt and answer; 0: the model's */
  size_t kv_tokens;  /* keys and values of all requests and cached prefixes; 0: grows, while nothing
                        runs, to what max_batch of the largest request need, 8192 at least */
  int max_batch;     /* requests at once; 0: 16 */
  int max_rows;      /* rows of one step: prompts in chunks, and tokens; 0: 1024 */
  size_t image_tokens; /* image features kept; 0: 4096, and grows like kv_tokens */
  int max_draft;       /* tokens guessed ahead for one request; 0: 32 */
  int spare_rows;      /* rows that a step may have for the sake of trying all ten digits where one
                          comes that nobody can guess; 0: as many as cost the device nothing (of a
                          CPU none), -1: none */
  int no_prefix_cache; /* 1: every prompt is computed whole */
  int no_vision_cache; /* 1: every image is seen again */
  int no_speculation;  /* 1: one token a step */
  int any_order; /* 1: sums in the order that is fastest for all rows of a step together. Steps
                    of prompts beside answers read weights once, not twice; last bits then
                    depend on what shares a step, and where two tokens are all but equally
                    likely so does the answer */
} mv_engine_options;

/* Bytes an engine takes, by part; the model's own beside them. */
typedef struct mv_memory_plan {
  size_t kv_tokens, image_tokens;
  int max_batch, max_rows, max_verify; /* verify: rows of a step that may have logits */
  size_t weight_bytes;                 /* matrices as the device reads them         */
  size_t kv_bytes;                     /* pages of keys and values                  */
  size_t decoder_bytes;                /* activations of max_rows rows              */
  size_t vision_bytes;                 /* activations of one image of n_patch       */
  size_t image_bytes;                  /* features of image_tokens                  */
  size_t logits_bytes;                 /* of max_verify rows                        */
  size_t scratch_bytes;                /* attention's own, on a GPU                 */
  size_t host_bytes;                   /* tables of pages and prefixes              */
  size_t total_bytes;
} mv_memory_plan;

/* What options come to. n_patch is the largest image's (504 x 504: 1296); 0: none. MV_ERR_USAGE for
 * options that have no size. */
mv_status mv_memory_plan_init(mv_memory_plan *plan, const struct mv_checkpoint *checkpoint,
                              mv_precision precision, const mv_engine_options *options, int n_patch,
                              mv_error *err);

/* Takes the plan's memory. MV_ERR_MEMORY, before any is taken, when the plan is more than the
 * machine has. */
mv_status mv_engine_new(mv_engine **out, mv_model *model, const mv_engine_options *options,
                        mv_error *err);
/* Requests not polled are dropped. Accepts NULL. */
void mv_engine_free(mv_engine *engine);

/* Answers one request, and works on others submitted meanwhile. Fills *result (zeroed first). */
mv_status mv_engine_generate(mv_engine *engine, const mv_request *request, mv_result *result,
                             mv_error *err);

typedef uint64_t mv_ticket;

/* Prepares a request (pixels, ids) in the calling thread and queues it. Refuses what can never be
 * answered. The queue has no limit: whoever submits without polling should keep one. */
mv_status mv_engine_submit(mv_engine *engine, const mv_request *request, mv_ticket *ticket,
                           mv_error *err);
/* One step of everything: takes requests up, runs one batch, ends those that are done. Fills
 * *n_left with the requests not finished. A request's own failure ends that request; a status is
 * returned for a failure of the device, after which all requests have ended. */
mv_status mv_engine_step(mv_engine *engine, size_t *n_left, mv_error *err);
/* Waits until a step would find work. Returns 0 when timeout_ms (< 0: none) passed first. */
int mv_engine_wait(mv_engine *engine, int timeout_ms);
/* Takes a finished request: *ticket says which, 0 takes any (and is filled). Returns 1 and fills
 * *result; where result->status is not MV_OK, *err says why and the rest is zero. Returns 0 when
 * there is none yet. */
int mv_engine_poll(mv_engine *engine, mv_ticket *ticket, mv_result *result, mv_error *err);
/* Ends a request soon; its result holds what was answered. Unknown tickets are ignored. */
void mv_engine_cancel(mv_engine *engine, mv_ticket ticket);

/* Shows what answers of request->family look like: an example whose names and digits stand for
 * others. Only the family and the texts of the request are read. Not while another thread steps. */
mv_status mv_engine_teach(mv_engine *engine, const mv_request *request, mv_str answer,
                          mv_error *err);

/* What was learned of answers for drafts, to a file and back, so that the next process starts with
 * it; examples that were taught are not among it. A file holds the last prompts and answers of
 * every family as token ids: it is as confidential as they are. Answers never depend on it. A
 * missing file is MV_ERR_IO; one that is damaged, larger than 16 MiB or of another vocabulary
 * changes nothing and is MV_ERR_FORMAT or MV_ERR_MEMORY. A saved file appears by rename. Without
 * speculation both do nothing. Not while another thread steps. */
mv_status mv_engine_load_drafts(mv_engine *engine, const char *path, mv_error *err);
mv_status mv_engine_save_drafts(mv_engine *engine, const char *path, mv_error *err);

/* Totals since the engine was made. */
typedef struct mv_engine_stats {
  uint64_t n_request, n_step;
  uint64_t n_recorded, n_replayed;         /* of those, by a device that records them        */
  uint64_t n_prompt_row, n_new_row;        /* rows computed: prompts, tokens and drafts      */
  uint64_t n_prompt_token, n_cached_token; /* of prompts taken up; found in the prefix cache */
  uint64_t n_image, n_image_seen;          /* of requests; through the vision tower          */
  uint64_t n_token, n_verify, n_drafted, n_accepted; /* verify: rows runs that gave tokens      */
  uint64_t n_evicted;                        /* pages dropped from the prefix cache            */
  size_t n_page, n_page_free, n_page_cached; /* now                                            */
  size_t n_queued, n_running;                /* now                                            */
} mv_engine_stats;
void mv_engine_get_stats(mv_engine *engine, mv_engine_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
