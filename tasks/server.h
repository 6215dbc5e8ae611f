/* The inside of `medvision serve`, shared by server_*.c.
 *
 *   connection threads                       engine thread            watcher thread
 *   HTTP (libmicrohttpd), JSON, pictures     mv_engine_step           deadlines, clients gone
 *        │ mv_engine_submit ───────────────────►│                          │
 *        │◄── text as it comes, results ────────┘◄──── cancel ─────────────┘
 *
 * A call is one HTTP request; it has one choice for each answer that it asked the engine for. The
 * connection's thread owns the call: it alone reads the body, writes the reply and frees it, which
 * it does only after the engine has let go of every choice. What other threads touch of a call is
 * under its lock; lists of calls, connections and tickets are under the server's.
 * Lock order: server, then call; the engine's own lock is innermost.
 */
#ifndef MV_TASKS_SERVER_H
#define MV_TASKS_SERVER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "runtime/json.h"
#include "runtime/medvision.h"
#include "tasks/cli.h"
#include "tasks/serve.h"
#include "tasks/server_metrics.h"
#include "vision/image.h"

#ifdef __cplusplus
extern "C" {
#endif

struct MHD_Connection;
struct MHD_Daemon;

#define MV_SERVER_MAX_CHOICES 16
#define MV_SERVER_MAX_STOP 16
#define MV_SERVER_MAX_LOGPROBS 20

typedef struct mv_server mv_server;
typedef struct mv_call mv_call;

/* Text of an answer, and the log-probabilities of the tokens it came from where they are asked for:
 * arrays of mv_logprob, one and K a token. */
typedef struct mv_fresh {
  mv_buf text, logprobs, top;
} mv_fresh;

/* One answer that a call waits for. */
typedef struct mv_choice {
  mv_call *call;
  int index;
  mv_ticket ticket; /* 0: not submitted */
  int is_done;      /* `result` is there           */
  int is_told;      /* a stream has sent its end   */
  mv_fresh fresh;   /* what a stream has not sent yet */
  size_t n_logged;  /* tokens whose log-probabilities it has sent, */
  size_t offset;    /* and the characters of those                 */
  double last_ms;   /* when the last text came, 0 none */
  mv_result result;
  mv_error err;
  struct mv_choice *next; /* of those the engine works on */
} mv_choice;

/* Where a connection stands, and until when it may. */
typedef enum mv_phase { MV_PHASE_READ = 0, MV_PHASE_WORK, MV_PHASE_WRITE } mv_phase;

typedef struct mv_link { /* a connection */
  int fd;
  mv_phase phase;
  double deadline_ms;
  mv_call *call; /* borrows: the one at work, NULL between requests */
  struct mv_link *next;
} mv_link;

typedef struct mv_route {
  const char *method, *path;
  /* Answers the call: queues a reply. */
  int (*handle)(mv_call *call);
  int is_open; /* without a key */
  int has_body;
} mv_route;

struct mv_call {
  mv_server *server;
  struct MHD_Connection *connection;
  mv_link *link;
  const mv_route *route;
  char id[32];
  double start_ms, deadline_ms; /* deadline: of the work, set once the body is there */
  mv_buf body;
  mv_json_doc doc;
  int early; /* HTTP status of an error found before the body; the body is dropped */
  mv_error early_err;

  /* what is asked */
  mv_arena arena;
  mv_request request;
  mv_image *images; /* owns [request.n_image] */
  mv_str model;
  int is_chat, stream, include_usage, wants_logprobs;
  struct mv_measured *measured; /* /v1/measure */

  /* what is answered */
  pthread_mutex_t lock;
  pthread_cond_t news;
  mv_choice choices[MV_SERVER_MAX_CHOICES];
  int n_choice, n_open; /* open: submitted, not done */
  int n_slot;           /* places taken of the server's queue */
  atomic_int gone;      /* the client is, or its time is over: nothing more is to be computed */
  mv_buf out;           /* the reply, or the part of a stream that is not sent */
  size_t n_sent;        /* of out */
  int stage;            /* of a stream: 0 head, 1 text, 2 tail, 3 over */
  int status;           /* HTTP */
  size_t n_out_bytes;
};

struct mv_server {
  const mv_serve_options *options; /* borrows */
  mv_model *model;                 /* borrows */
  mv_engine *engine;               /* borrows */
  struct MHD_Daemon *daemon;
  pthread_t engine_thread, watch_thread;
  sem_t preparing;  /* places for decoding pictures and text */
  char *upload_dir; /* owns: of files on their way into a reader that wants a path */
  uint64_t secret;  /* in ids */
  atomic_uint_fast64_t last_id;
  atomic_size_t upload_bytes;
  atomic_int stopping; /* 1: takes nothing new, 2: and ends what there is */
  atomic_int over;     /* the threads are to end */
  int has_threads;     /* of the two, started */
  mv_traffic metrics;

  pthread_mutex_t lock;
  pthread_cond_t idle; /* n_call fell to 0 */
  mv_link *links;
  mv_choice *open; /* choices the engine works on */
  int n_call, n_slot;
};

/* ---- server_engine.c ---- */

void mv_fresh_free(mv_fresh *fresh);
int mv_fresh_failed(const mv_fresh *fresh); /* something of it found no memory */
int mv_client_is_gone(const mv_link *link);

/* Takes n places of the queue; 0 when it is full. mv_call_free gives them back. */
int mv_call_reserve(mv_call *call, int n);
/* Submits one more choice; the request's pictures and text are copied. */
mv_status mv_call_submit(mv_call *call, const mv_request *request, mv_error *err);
/* Waits until every choice is done. */
void mv_call_wait(mv_call *call);
/* Ends what is computed for this call, soon. Under the server's lock. */
void mv_call_cancel(mv_call *call);
/* Cancels, waits and forgets everything. */
void mv_call_release(mv_call *call);
void *mv_server_engine_main(void *server);

/* ---- server_reply.c ---- */

mv_json_writer mv_server_json(mv_buf *out);
/* Tells the watcher what the connection is at. */
void mv_call_phase(mv_call *call, mv_phase phase);
int mv_reply_json(mv_call *call, int status); /* sends call->out */
int mv_reply_bytes(mv_call *call, int status, const char *type, const void *bytes, size_t n);
/* Where there is no memory for a call. */
int mv_reply_without_call(struct MHD_Connection *connection);
/* OpenAI's form of an error. `code` may be NULL. */
int mv_reply_error(mv_call *call, int status, const char *code, const char *fmt, ...);
int mv_reply_failed(mv_call *call, const mv_error *err);
int mv_reply_busy(mv_call *call);
/* Server-sent events, until mv_stream_fill has no more. */
int mv_reply_stream(mv_call *call);
void mv_write_error(mv_buf *out, int status, const char *code, const char *message);
int mv_status_of_error(const mv_error *err);
void mv_access_log(mv_call *call, int completed);

/* ---- server_read.c: members of a body ---- */

mv_status mv_body_parse(mv_call *call, mv_error *err);
mv_status mv_body_text(const mv_json *body, const char *key, mv_str *out, mv_error *err);
mv_status mv_body_bool(const mv_json *body, const char *key, int *out, mv_error *err);
mv_status mv_body_int(const mv_json *body, const char *key, int64_t min, int64_t max, int64_t *out,
                      mv_error *err);
mv_status mv_body_real(const mv_json *body, const char *key, double min, double max, float *out,
                       mv_error *err);
/* Everything that decides how to decode: sampling, limits, stop texts, stream; fills call->request
 * but for the question. */
mv_status mv_body_decoding(mv_call *call, int *n, mv_error *err);

/* ---- server_image.c ---- */

/* The bytes of a data: URL, or of a file where --allow-files lets it. Fills `out`. */
mv_status mv_server_fetch(mv_server *server, mv_str url, mv_buf *out, mv_error *err);
/* The same, decoded as a picture within --max-pixels. */
mv_status mv_server_picture(mv_server *server, mv_str url, mv_image *out, mv_error *err);
/* Refuses pictures of more pixels than the server takes, by their header. */
mv_status mv_server_check_pixels(const mv_server *server, const mv_buf *bytes, mv_error *err);
/* Refuses volumes whose slices or whose whole are more than the server takes, by their header. */
mv_status mv_server_check_volume(const mv_server *server, const char *path, mv_error *err);
/* Writes bytes to a file of their own whose name ends as their format wants it. Fills `path`
 * (remove with mv_server_drop). */
mv_status mv_server_keep(mv_server *server, const mv_buf *bytes, mv_buf *path, mv_error *err);
void mv_server_drop(mv_buf *path);

/* ---- what is served ---- */

int mv_serve_chat(mv_call *call); /* server_chat.c */
int mv_serve_complete(mv_call *call);
int mv_serve_measure(mv_call *call); /* server_measure.c */
int mv_serve_preview(mv_call *call);
void mv_measure_forget(mv_call *call); /* frees call->measured */
int mv_serve_tokenize(mv_call *call);  /* server_text.c */
int mv_serve_detokenize(mv_call *call);
int mv_serve_models(mv_call *call);
int mv_serve_health(mv_call *call);
int mv_serve_version(mv_call *call);
int mv_serve_metrics(mv_call *call);
int mv_serve_page(mv_call *call); /* server_page.c */

/* server_answer.c: the whole reply of a call, or the next events of its stream. */
void mv_answer_chat(mv_call *call);
/* Appends to call->out what there is to send; waits for it. 0 when the stream is over. */
int mv_stream_fill(mv_call *call);
void mv_write_timings(const mv_result *result, mv_json_writer *w);
/* server_measure.c: the result's event. */
mv_status mv_measure_result(mv_call *call, mv_json_writer *w, mv_error *err);

#ifdef __cplusplus
}
#endif
#endif
