/* Between calls and the engine: the queue's places, tickets, text and results as they come. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/clock.h"
#include "tasks/server.h"

int mv_call_reserve(mv_call *call, int n) {
  mv_server *server = call->server;
  pthread_mutex_lock(&server->lock);
  int limit = server->options->max_batch + server->options->max_queue;
  int fits = server->n_slot + n <= limit;
  if (fits) {
    server->n_slot += n;
    call->n_slot += n;
  }
  pthread_mutex_unlock(&server->lock);
  return fits;
}

/* ---- from the engine's thread ---- */

int mv_client_is_gone(const mv_link *link) {
  char byte;
  ssize_t n = recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void mv_fresh_free(mv_fresh *fresh) {
  mv_buf_free(&fresh->text);
  mv_buf_free(&fresh->logprobs);
  mv_buf_free(&fresh->top);
}

int mv_fresh_failed(const mv_fresh *fresh) {
  return fresh->text.failed || fresh->logprobs.failed || fresh->top.failed;
}

/* Tokens that came together share the time since those before. */
static void note_tokens(mv_choice *choice, size_t n) {
  double now = mv_now_ms(), last = choice->last_ms;
  choice->last_ms = now;
  if (last > 0 && n) mv_traffic_tokens(&choice->call->server->metrics, n, (now - last) / (double)n);
}

static int take_text(void *user, const mv_piece *piece) {
  mv_choice *choice = user;
  mv_call *call = choice->call;
  size_t n = piece->n_token, k = (size_t)call->request.n_logprob;
  note_tokens(choice, n);
  if (atomic_load(&call->gone) || mv_client_is_gone(call->link)) {
    atomic_store(&call->gone, 1);
    return 1;
  }
  if (!call->stream) return 0;
  pthread_mutex_lock(&call->lock);
  mv_buf_str(&choice->fresh.text, piece->text);
  if (piece->logprobs)
    mv_buf_add(&choice->fresh.logprobs, piece->logprobs, n * sizeof *piece->logprobs);
  if (piece->top) mv_buf_add(&choice->fresh.top, piece->top, n * k * sizeof *piece->top);
  int failed = mv_fresh_failed(&choice->fresh);
  pthread_cond_signal(&call->news);
  pthread_mutex_unlock(&call->lock);
  return failed;
}

/* Hands the choice's result over where the engine has it, 0 otherwise. Under the server's lock: the
 * call may be freed as soon as its own lock is let go. */
static int deliver(mv_server *server, mv_choice *choice) {
  mv_call *call = choice->call;
  mv_result result;
  mv_error err = {0};
  if (!mv_engine_poll(server->engine, &choice->ticket, &result, &err)) return 0;
  mv_traffic_result(&server->metrics, &result);
  pthread_mutex_lock(&call->lock);
  choice->result = result;
  choice->err = err;
  choice->is_done = 1;
  call->n_open--;
  pthread_cond_signal(&call->news);
  pthread_mutex_unlock(&call->lock);
  return 1;
}

static void hand_out(mv_server *server) {
  pthread_mutex_lock(&server->lock);
  for (mv_choice **at = &server->open; *at;) {
    mv_choice *choice = *at, *next = choice->next;
    if (deliver(server, choice))
      *at = next;
    else
      at = &choice->next;
  }
  pthread_mutex_unlock(&server->lock);
}

void *mv_server_engine_main(void *user) {
  mv_server *server = user;
  size_t n_left = 0;
  mv_error err;
  while (!atomic_load(&server->over)) {
    if (mv_engine_wait(server->engine, 100)) mv_engine_step(server->engine, &n_left, &err);
    hand_out(server);
  }
  return NULL;
}

/* ---- from the connection's thread ---- */

/* Among those the engine works on, unless it was faster than this thread. */
static void enter(mv_server *server, mv_choice *choice) {
  pthread_mutex_lock(&server->lock);
  if (!deliver(server, choice)) {
    choice->next = server->open;
    server->open = choice;
  }
  pthread_mutex_unlock(&server->lock);
}

mv_status mv_call_submit(mv_call *call, const mv_request *request, mv_error *err) {
  mv_choice *choice = &call->choices[call->n_choice];
  mv_request own = *request;
  if (atomic_load(&call->gone)) return mv_fail(err, MV_ERR_CANCELLED, "the request's time is over");
  choice->call = call;
  choice->index = call->n_choice;
  own.on_text = take_text;
  own.user = choice;
  pthread_mutex_lock(&call->lock);
  call->n_open++;
  pthread_mutex_unlock(&call->lock);
  mv_ticket ticket = 0;
  mv_status status = mv_engine_submit(call->server->engine, &own, &ticket, err);
  if (status != MV_OK) {
    pthread_mutex_lock(&call->lock);
    call->n_open--;
    pthread_mutex_unlock(&call->lock);
    return status;
  }
  choice->ticket = ticket;
  call->n_choice++;
  enter(call->server, choice);
  return MV_OK;
}

void mv_call_wait(mv_call *call) {
  pthread_mutex_lock(&call->lock);
  while (call->n_open) pthread_cond_wait(&call->news, &call->lock);
  pthread_mutex_unlock(&call->lock);
}

void mv_call_cancel(mv_call *call) {
  atomic_store(&call->gone, 1);
  for (mv_choice *c = call->server->open; c; c = c->next)
    if (c->call == call) mv_engine_cancel(call->server->engine, c->ticket);
}

void mv_call_release(mv_call *call) {
  mv_server *server = call->server;
  pthread_mutex_lock(&server->lock);
  if (call->n_choice) mv_call_cancel(call);
  pthread_mutex_unlock(&server->lock);
  mv_call_wait(call);
  for (int i = 0; i < call->n_choice; i++) {
    mv_result_free(&call->choices[i].result);
    mv_fresh_free(&call->choices[i].fresh);
  }
  call->n_choice = 0;
  pthread_mutex_lock(&server->lock);
  server->n_slot -= call->n_slot;
  call->n_slot = 0;
  pthread_mutex_unlock(&server->lock);
}
