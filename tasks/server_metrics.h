/* What /metrics tells, under the names that vLLM's dashboards know. */
#ifndef MV_TASKS_SERVER_METRICS_H
#define MV_TASKS_SERVER_METRICS_H

#include <pthread.h>
#include <stdint.h>

#include "runtime/medvision.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_HISTOGRAM_MAX 24

typedef struct mv_histogram {
  uint64_t count[MV_HISTOGRAM_MAX + 1]; /* by bucket, the last without a bound */
  uint64_t n;
  double sum;
} mv_histogram;

typedef enum mv_duration {
  MV_DURATION_FIRST_TOKEN = 0,
  MV_DURATION_BETWEEN_TOKENS,
  MV_DURATION_REQUEST,
  MV_DURATION_QUEUE,
  MV_DURATION_PREFILL,
  MV_DURATION_DECODE,
  MV_DURATION_COUNT
} mv_duration;

typedef struct mv_traffic {
  pthread_mutex_t lock;
  mv_histogram durations[MV_DURATION_COUNT];
  uint64_t finished[3]; /* by mv_finish */
  uint64_t failed;      /* requests the engine could not answer */
  uint64_t http[600];   /* replies by status */
  uint64_t prompt_tokens, new_tokens;
} mv_traffic;

void mv_traffic_init(mv_traffic *metrics);
void mv_traffic_free(mv_traffic *metrics);
/* n tokens, each `ms` after the one before. */
void mv_traffic_tokens(mv_traffic *metrics, size_t n, double ms);
void mv_traffic_result(mv_traffic *metrics, const mv_result *result);
void mv_traffic_http(mv_traffic *metrics, int status);
/* Appends everything in Prometheus' text form. */
void mv_traffic_write(mv_traffic *metrics, const mv_engine_stats *stats, const char *model,
                      mv_buf *out);

#ifdef __cplusplus
}
#endif
#endif
