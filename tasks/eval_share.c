#include "tasks/eval_share.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/env.h"
#include "runtime/memory.h"
#include "runtime/sha256.h"

/* ---- who we are ---- */

static mv_status read_shard(mv_eval_crew *crew, const char *shard, mv_error *err) {
  int used = 0;
  if (!isdigit((unsigned char)*shard) ||
      sscanf(shard, "%5d/%5d%n", &crew->rank, &crew->size, &used) != 2 || shard[used] ||
      crew->rank >= crew->size || crew->rank < 0)
    return mv_fail(err, MV_ERR_USAGE,
                   "eval run: --shard: expected I/N with I from 0 to N-1, found '%s'", shard);
  return MV_OK;
}

/* A name that all ranks of one launch have in common and no other launch has. */
static void name_launch(mv_eval_crew *crew) {
  static const char *const parts[] = {
      "PMIX_NAMESPACE",        "OMPI_MCA_orte_hnp_uri", "OMPI_MCA_ess_base_jobid",
      "PRTE_MCA_prte_hnp_uri", "SLURM_JOB_ID",          "SLURM_STEP_ID"};
  mv_sha256 sha;
  unsigned char digest[32];
  mv_sha256_init(&sha);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    const char *value = mv_env(parts[i]);
    if (value) mv_sha256_add(&sha, value, strlen(value) + 1);
  }
  mv_sha256_finish(&sha, digest);
  for (int i = 0; i < 8; i++) snprintf(crew->launch + 2 * i, 3, "%02x", digest[i]);
}

mv_status mv_eval_crew_find(mv_eval_crew *crew, const char *shard, mv_error *err) {
  memset(crew, 0, sizeof *crew);
  crew->size = 1;
  if (shard) return read_shard(crew, shard, err);
  const char *prefix = mv_env("OMPI_COMM_WORLD_SIZE") ? "OMPI_COMM_WORLD_" : NULL;
  int size = (int)mv_env_int("OMPI_COMM_WORLD_SIZE", 1);
  int rank = (int)mv_env_int("OMPI_COMM_WORLD_RANK", 0);
  if (!prefix || size < 2 || rank < 0 || rank >= size) return MV_OK;
  crew->size = size, crew->rank = rank;
  crew->local_rank = (int)mv_env_int("OMPI_COMM_WORLD_LOCAL_RANK", 0);
  crew->claims = 1;
  name_launch(crew);
  return MV_OK;
}

/* ---- shares ---- */

mv_status mv_eval_share_begin(mv_eval_share *share, const mv_eval_crew *crew,
                              const mv_eval_place *place, const char *task, size_t n,
                              mv_error *err) {
  memset(share, 0, sizeof *share);
  share->crew = crew, share->n = n;
  if (!crew->claims) {
    share->at = (size_t)crew->rank;
    return MV_OK;
  }
  char suffix[64];
  snprintf(suffix, sizeof suffix, "_claims_%s", crew->launch);
  share->path = mv_path_make(place->cache, task, suffix);
  if (!share->path) return mv_fail(err, MV_ERR_MEMORY, "out of memory");
  share->chunk = n / ((size_t)crew->size * 16) + 1;
  if (share->chunk > 64) share->chunk = 64;
  return MV_OK;
}

/* Under the lock: reads {next index, ranks done}, adds to them, writes them back; *before is what
 * they were. */
static mv_status change(mv_eval_share *share, size_t add_next, size_t add_done, size_t before[2],
                        mv_error *err) {
  mv_eval_lock lock;
  char text[64] = {0};
  MV_TRY(mv_eval_lock_take(&lock, share->path, 1, err));
  before[0] = before[1] = 0;
  ssize_t n = pread(lock.fd, text, sizeof text - 1, 0);
  int bad = n < 0 || (n > 0 && sscanf(text, "%zu %zu", &before[0], &before[1]) != 2);
  int length =
      snprintf(text, sizeof text, "%20zu %20zu\n", before[0] + add_next, before[1] + add_done);
  bad |= pwrite(lock.fd, text, (size_t)length, 0) != length;
  int all_done = before[1] + add_done >= (size_t)share->crew->size;
  if (!bad && all_done) unlink(share->path);
  mv_eval_lock_drop(&lock);
  return bad ? mv_fail(err, MV_ERR_IO, "%s: cannot share the work out", share->path) : MV_OK;
}

int mv_eval_share_next(mv_eval_share *share, size_t *index, mv_error *err) {
  if (!share->crew->claims) {
    *index = share->at;
    share->at += (size_t)share->crew->size;
    return *index < share->n;
  }
  if (share->at == share->end) {
    size_t before[2];
    if (share->end >= share->n && share->end) return 0;
    if (change(share, share->chunk, 0, before, err) != MV_OK) return -1;
    share->at = before[0] < share->n ? before[0] : share->n;
    share->end = share->at + share->chunk < share->n ? share->at + share->chunk : share->n;
    if (share->at == share->end) return 0;
  }
  *index = share->at++;
  return 1;
}

mv_status mv_eval_share_end(mv_eval_share *share, int *last, mv_error *err) {
  *last = 1;
  if (!share->crew->claims) return MV_OK;
  size_t before[2];
  MV_TRY(change(share, 0, 1, before, err));
  *last = before[1] + 1 == (size_t)share->crew->size;
  return MV_OK;
}

void mv_eval_share_free(mv_eval_share *share) {
  mv_free(share->path);
  memset(share, 0, sizeof *share);
}
