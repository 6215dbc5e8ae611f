/* Asks one question about one picture: ask MODEL_DIR PICTURE QUESTION
 * cc ask.c $(pkg-config --cflags --libs medvision) -o ask */
#include <stdio.h>

#include "runtime/medvision.h"
#include "vision/image.h"

int main(int argc, char **argv) {
  mv_model *model = NULL;
  mv_engine *engine = NULL;
  mv_image image = {0};
  mv_request request;
  mv_result result = {0};
  mv_error err;
  if (argc != 4) return 2;
  mv_request_init(&request);
  request.prompt = mv_str_of(argv[3]);
  request.images = &image, request.n_image = 1;
  mv_status status = mv_model_open(&model, &(mv_model_options){.dir = argv[1]}, &err);
  if (status == MV_OK) status = mv_engine_new(&engine, model, NULL, &err);
  if (status == MV_OK) status = mv_image_load(argv[2], &image, &err);
  if (status == MV_OK) status = mv_engine_generate(engine, &request, &result, &err);
  puts(status == MV_OK ? result.text.ptr : err.msg);
  mv_result_free(&result);
  mv_image_free(&image);
  mv_engine_free(engine);
  mv_model_close(model);
  return status != MV_OK;
}
