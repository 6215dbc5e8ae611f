/* Where the checkpoint is. */
#include <string.h>
#include <unistd.h>

#include "runtime/file.h"
#include "tasks/cli_command.h"

static char *copy(const char *text) {
  size_t n = strlen(text) + 1;
  char *out = mv_alloc(n);
  if (out) memcpy(out, text, n);
  return out;
}

static int holds_checkpoint(const char *dir) {
  char *config = mv_path_join(dir, "config.json");
  int found = config && mv_file_exists(config);
  mv_free(config);
  return found;
}

/* <directory of this program>/<suffix>, if a checkpoint is there. */
static char *beside_program(const char *suffix) {
  char path[4096];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  if (n <= 0) return NULL;
  path[n] = 0;
  char *slash = strrchr(path, '/');
  if (!slash) return NULL;
  *slash = 0;
  char *dir = mv_path_join(path, suffix);
  if (dir && holds_checkpoint(dir)) return dir;
  mv_free(dir);
  return NULL;
}

char *mv_cli_model_dir(const mv_cli_args *args, mv_error *err) {
  char *dir = NULL;
  if (args->model)
    dir = copy(args->model);
  else if (holds_checkpoint(MV_TINY_DIR))
    dir = copy(MV_TINY_DIR);
  else if (!(dir = beside_program("../share/medvision/tiny")))
    dir = beside_program("../weights/tiny");
  if (dir) return dir;
  if (args->model)
    mv_fail(err, MV_ERR_MEMORY, "out of memory");
  else
    mv_fail(err, MV_ERR_IO,
            "the checkpoint that comes with the program is not at %s nor beside the program: name "
            "one with --model DIR",
            MV_TINY_DIR);
  return NULL;
}
