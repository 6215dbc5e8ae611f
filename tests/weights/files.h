/* Checkpoints made on the spot, honest and lying, for the tests of weights/. */
#ifndef MV_TESTS_WEIGHTS_FILES_H
#define MV_TESTS_WEIGHTS_FILES_H

#include <stddef.h>

#include "runtime/error.h"
#include "weights/config.h"
#include "weights/safetensors_write.h"
#include "weights/table.h"

/* A small config of each shape, same values: 2 decoder layers of 16, 2 vision blocks of 16. */
extern const char small_config_flat[];
extern const char small_config_nested[];

/* `text` with the first `from` replaced by `to`; aborts when `from` is not there. Free with free.
 */
char *replaced(const char *text, const char *from, const char *to);

/* A safetensors image: length field, `header`, then n_data bytes 0, 1, 2 ... Free with free. */
unsigned char *safetensors_image(const char *header, size_t n_data, size_t *n_bytes);

/* An empty folder; temp_remove deletes it with the files in it. */
typedef struct temp_dir {
  char path[64];
} temp_dir;
temp_dir temp_make(void);
void temp_remove(const temp_dir *dir);
/* Path of a file in it; valid until the next call. */
const char *temp_path(const temp_dir *dir, const char *name);
void temp_write(const temp_dir *dir, const char *name, const void *bytes, size_t n);
void temp_text(const temp_dir *dir, const char *name, const char *text);

/* Every tensor of the table for `config`, each filled with its own numbers in -1 .. 1. */
typedef struct tensor_list {
  mv_st_source *items;
  char (*names)[MV_WEIGHT_NAME_MAX];
  size_t n;
} tensor_list;
tensor_list tensors_make(const mv_config *config, int scheme, mv_st_dtype dtype);
void tensors_free(tensor_list *list);
mv_st_source *tensors_find(tensor_list *list, const char *name);
void tensors_drop(tensor_list *list, const char *name);
/* Adds a copy of `of` under another name. */
void tensors_add(tensor_list *list, const char *name, const mv_st_source *of);

/* Runs `attempt` with the 1st, 2nd, 3rd ... allocation failing until it succeeds. Every failure
 * must be MV_ERR_MEMORY. Returns how many allocations failed, -1 on another status. */
int fail_each_allocation(mv_status (*attempt)(void *user, mv_error *err), void *user);

#endif
