/* The HTTP server: OpenAI's API, measurements, and a page to take them on.
 *
 *   mv_serve_options options = {.host = "127.0.0.1", ...};
 *   MV_TRY(mv_server_new(&server, model, &options, err));
 *   mv_server_port(server) ...
 *   mv_server_quiesce(server);           // from the thread that waits for signals
 *   mv_server_drain(server, grace_ms);
 *   mv_server_free(server);
 */
#ifndef MV_TASKS_SERVE_H
#define MV_TASKS_SERVE_H

#include "runtime/error.h"
#include "runtime/medvision.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mv_serve_options {
  const char *host;    /* a numeric address */
  int port;            /* 0: any that is free */
  const char *api_key; /* NULL: none is asked for */
  const char *model_name;
  const char *const *allow_dirs; /* files below these may be named in requests */
  int n_allow_dir;
  int max_batch, max_queue; /* requests at work; and waiting, beyond which 429 */
  int max_connections;
  int max_new_tokens; /* most, and where a request does not say */
  size_t max_tokens;  /* context of one request; 0: the model's, up to 8192 */
  size_t max_body_bytes;
  int64_t max_pixels; /* of one picture */
  int request_s;      /* a request's time, from its body on */
  int read_s;         /* to send a request, or to take in a reply's next part */
  int quiet;          /* no access log */
  int no_prefix_cache, no_speculation, any_order;
  const char
      *draft_bank;     /* where drafts are learned from, and kept by mv_server_stop; NULL: none */
  mv_request defaults; /* decoding where a request does not say */
} mv_serve_options;

typedef struct mv_server mv_server;

/* Opens the engine and the port. Fills *out (free with mv_server_free); the options must outlive
 * it. */
mv_status mv_server_new(mv_server **out, mv_model *model, const mv_serve_options *options,
                        mv_error *err);
int mv_server_port(const mv_server *server);
/* Takes nothing new. */
void mv_server_quiesce(mv_server *server);
/* Waits up to timeout_ms for the requests at work. Returns how many there still are. */
int mv_server_drain(mv_server *server, int timeout_ms);
/* Ends the requests at work with what they have. */
void mv_server_cancel(mv_server *server);
/* Ends the port, the requests and the threads, and keeps what was learned. */
mv_status mv_server_stop(mv_server *server, mv_error *err);
void mv_server_free(mv_server *server); /* accepts NULL; stops it */

#ifdef __cplusplus
}
#endif
#endif
