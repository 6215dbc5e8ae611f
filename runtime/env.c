#include "runtime/env.h"

#include <stdlib.h>

const char *mv_env(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : 0;
}

long mv_env_int(const char *name, long otherwise) {
  const char *value = mv_env(name);
  char *end = NULL;
  long number = value ? strtol(value, &end, 10) : otherwise;
  return value && *end ? otherwise : number;
}
