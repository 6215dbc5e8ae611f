#include "bench/memory_use.h"

#include <sys/resource.h>

#include "kernels/attention.h"

#define PICTURE_PATCHES 1296 /* 504 x 504 */

int64_t bench_peak_rss_bytes(void) {
  struct rusage use;
  return getrusage(RUSAGE_SELF, &use) == 0 ? (int64_t)use.ru_maxrss * 1024 : 0;
}

static mv_status plan_of(const mv_model *model, mv_engine *engine, const bench_subject_options *o,
                         mv_memory_plan *plan) {
  mv_engine_stats stats;
  mv_engine_get_stats(engine, &stats);
  mv_engine_options options = {.max_batch = o->max_batch,
                               .no_speculation = !o->speculate,
                               .kv_tokens = stats.n_page * MV_PAGE_TOKENS};
  int n_patch = stats.n_image_seen ? PICTURE_PATCHES : 0;
  return mv_memory_plan_init(plan, mv_model_checkpoint(model), mv_model_precision(model), &options,
                             n_patch, NULL);
}

void bench_memory_json(mv_json_writer *w, const mv_model *model, mv_engine *engine,
                       const bench_subject_options *o) {
  mv_memory_plan p;
  bench_json_int(w, "peak_rss_bytes", bench_peak_rss_bytes());
  if (plan_of(model, engine, o, &p) != MV_OK) return;
  const struct {
    const char *part;
    size_t bytes;
  } parts[] = {{"weights", p.weight_bytes},       {"kv_pages", p.kv_bytes},
               {"decoder", p.decoder_bytes},      {"vision", p.vision_bytes},
               {"image_features", p.image_bytes}, {"logits", p.logits_bytes},
               {"scratch", p.scratch_bytes},      {"host", p.host_bytes},
               {"total", p.total_bytes}};
  mv_json_key(w, "memory_bytes");
  mv_json_begin_object(w);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    bench_json_int(w, parts[i].part, (int64_t)parts[i].bytes);
  mv_json_end_object(w);
}
