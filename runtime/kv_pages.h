/* Who holds which page of the KV cache: a count of holders a page, and a stack of free ones. */
#ifndef MV_RUNTIME_KV_PAGES_H
#define MV_RUNTIME_KV_PAGES_H

#include <stdint.h>

#include "runtime/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialise; owns its arrays; free with mv_kv_pages_free. */
typedef struct mv_kv_pages {
  int n_page, n_free;
  int32_t *free;    /* [n_free] */
  int32_t *holders; /* [n_page] */
} mv_kv_pages;

mv_status mv_kv_pages_init(mv_kv_pages *p, int n_page, mv_error *err);
void mv_kv_pages_free(mv_kv_pages *p);

/* Returns a page with one holder, or -1 when all are held. */
int32_t mv_kv_pages_take(mv_kv_pages *p);
void mv_kv_pages_hold(mv_kv_pages *p, int32_t page); /* one holder more */
void mv_kv_pages_drop(mv_kv_pages *p, int32_t page); /* one fewer; with none it is free */

#ifdef __cplusplus
}
#endif
#endif
