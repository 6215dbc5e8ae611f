/* The limits of a whole model on this machine: what its bytes and products take at the measured
 * bandwidth and rate, whichever is longer. */
#ifndef MV_BENCH_ROOFLINE_H
#define MV_BENCH_ROOFLINE_H

#include "bench/machine.h"
#include "runtime/medvision.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bench_roofline {
  bench_machine machine;
  double gflops;       /* at the model's precision                          */
  double weight_bytes; /* of decoder and head: read once a step             */
  double kv_bytes;     /* of a token of context: read once a step and request */
  double token_flops;  /* a token through the decoder                       */
  double head_flops;   /* and through the head                              */
  double pair_flops;   /* a token's attention to one other                  */
} bench_roofline;

/* Measures the machine for about `seconds` a limit. Nothing may run on the model meanwhile. */
mv_status bench_roofline_measure(bench_roofline *r, mv_model *model, double seconds, mv_error *err);

/* A step that gives each of `batch` requests a token, each with `context` tokens. */
double bench_decode_limit_ms(const bench_roofline *r, int batch, double context);
/* A prompt of n tokens without a picture, its first token included. */
double bench_prefill_limit_ms(const bench_roofline *r, double n);

#ifdef __cplusplus
}
#endif
#endif
