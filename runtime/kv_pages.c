#include "runtime/kv_pages.h"

#include <assert.h>
#include <string.h>

#include "runtime/memory.h"

mv_status mv_kv_pages_init(mv_kv_pages *p, int n_page, mv_error *err) {
  memset(p, 0, sizeof *p);
  p->free = mv_calloc((size_t)n_page, sizeof *p->free);
  p->holders = mv_calloc((size_t)n_page, sizeof *p->holders);
  if (!p->free || !p->holders) {
    mv_kv_pages_free(p);
    return mv_fail(err, MV_ERR_MEMORY, "no memory for a table of %d pages", n_page);
  }
  p->n_page = p->n_free = n_page;
  for (int i = 0; i < n_page; i++) p->free[i] = n_page - 1 - i; /* page 0 goes first */
  return MV_OK;
}

void mv_kv_pages_free(mv_kv_pages *p) {
  mv_free(p->free);
  mv_free(p->holders);
  memset(p, 0, sizeof *p);
}

int32_t mv_kv_pages_take(mv_kv_pages *p) {
  if (p->n_free == 0) return -1;
  int32_t page = p->free[--p->n_free];
  assert(p->holders[page] == 0);
  p->holders[page] = 1;
  return page;
}

void mv_kv_pages_hold(mv_kv_pages *p, int32_t page) {
  assert(p->holders[page] > 0);
  p->holders[page]++;
}

void mv_kv_pages_drop(mv_kv_pages *p, int32_t page) {
  assert(p->holders[page] > 0);
  if (--p->holders[page] == 0) p->free[p->n_free++] = page;
}
