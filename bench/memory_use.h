/* Peak memory by part: what the engine's plan comes to, and what the system saw. */
#ifndef MV_BENCH_MEMORY_USE_H
#define MV_BENCH_MEMORY_USE_H

#include "bench/subject.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The most memory this process had resident, mapped files included; 0 when the system does not
 * say. */
int64_t bench_peak_rss_bytes(void);

/* "peak_rss_bytes", and "memory": bytes by part, pages of keys and values as many as there are. */
void bench_memory_json(mv_json_writer *w, const mv_model *model, mv_engine *engine,
                       const bench_subject_options *o);

#ifdef __cplusplus
}
#endif
#endif
