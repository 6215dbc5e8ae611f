/* The page and the description of the API, embedded from tasks/page/. */
#include <microhttpd.h>
#include <string.h>

#include "tasks/server.h"

extern const char mv_page_html[], mv_page_css[], mv_page_js[], mv_openapi_json[];

int mv_serve_page(mv_call *call) {
  const struct {
    const char *path, *type, *text;
  } files[] = {
      {"/", "text/html; charset=utf-8", mv_page_html},
      {"/page.css", "text/css; charset=utf-8", mv_page_css},
      {"/page.js", "text/javascript; charset=utf-8", mv_page_js},
      {"/openapi.json", "application/json", mv_openapi_json},
  };
  size_t i = 0;
  while (i < 3 && strcmp(files[i].path, call->route->path) != 0) i++;
  return mv_reply_bytes(call, 200, files[i].type, files[i].text, strlen(files[i].text));
}
