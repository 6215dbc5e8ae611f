/* What the vision tower saw: rows of image features, kept by the hash of the pixels.
 *
 * One block of device memory holds the rows of all images; an entry is a range of it. A request
 * holds the entries it reads until its prompt is computed; entries nobody holds stay until room is
 * needed, the oldest going first.
 */
#ifndef MV_RUNTIME_VISION_CACHE_H
#define MV_RUNTIME_VISION_CACHE_H

#include <stddef.h>

#include "runtime/error.h"
#include "runtime/hash.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MV_SEEN_IMAGES 256

typedef struct mv_seen_image {
  mv_hash hash;
  int row0, n_row; /* n_row 0: the entry is free */
  int n_holder;
  int is_seen;   /* the rows are there, or on their way */
  int is_coming; /* on their way: on the device's side lane, and the main lane does not wait yet */
  uint64_t used;
} mv_seen_image;

/* Zero-initialise: no rows. */
typedef struct mv_vision_cache {
  int n_row; /* of the block */
  mv_seen_image entries[MV_SEEN_IMAGES];
  uint64_t clock;
} mv_vision_cache;

/* Returns the entry of an image, held once more; makes one, not yet seen, when there is none (or
 * `fresh` asks for another). -1: no room while the others are held. */
int mv_vision_cache_hold(mv_vision_cache *cache, mv_hash hash, int n_row, int fresh);
void mv_vision_cache_drop(mv_vision_cache *cache, int entry);
/* Forgets an entry as soon as nobody holds it. */
void mv_vision_cache_forget(mv_vision_cache *cache, int entry);
/* Nobody holds anything: forgets all, and the block has n_row rows from now on. */
void mv_vision_cache_reset(mv_vision_cache *cache, int n_row);

#ifdef __cplusplus
}
#endif
#endif
