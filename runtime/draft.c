/* Following scripts, and drafting from them. */
#include "runtime/draft.h"

#include <string.h>

#include "runtime/draft_number.h"

#define TAKE_UP 3     /* last tokens that must agree where a script is taken up again */
#define MIN_CONTEXT 3 /* last tokens that must occur before, for a copy of what followed them */
#define PATIENCE 3    /* drafts in a row that may be all wrong before there is a pause */
#define MAX_PAUSE 64
#define FIRST_DRAFTS 4
#define PROBE 32 /* of so many chances, one is taken by a source that is always wrong */

/* ---- following ---- */

/* The answer's token i is the one the script says, or one of a run of digits. Returns 0 when it
 * leaves the script. */
static int follow(const mv_drafter *d, mv_script *s, int32_t id, size_t i) {
  if (s->at < s->n_step && s->steps[s->at].token < 0) {
    if (mv_draft_digit(d, id) >= 0) {
      if (s->n_digit++ == 0 && s->run < MV_DRAFT_RUNS) s->run0[s->run] = (int32_t)i;
      return 1;
    }
    if (!s->n_digit) return 0;
    if (s->run < MV_DRAFT_RUNS) s->run_n[s->run] = s->n_digit;
    s->run++;
    s->at++;
    s->n_digit = 0;
  }
  if (s->at == s->n_step || s->steps[s->at].token != id) return 0;
  s->at++;
  return 1;
}

static int runs_before(const mv_script *s, int at) {
  int n = 0;
  for (int i = 0; i < at; i++) n += s->steps[i].token < 0;
  return n;
}

/* Looks for the last tokens in the script, from where it was left on, then before. */
static void take_up(mv_script *s, const int32_t *answer, size_t n) {
  s->followed = 0;
  if (n < TAKE_UP) return;
  for (int k = 0; k < s->n_step; k++) {
    int end = (s->at + k) % s->n_step + 1, same = 0;
    while (same < TAKE_UP && same < end &&
           s->steps[end - 1 - same].token == answer[n - 1 - (size_t)same])
      same++;
    if (same < TAKE_UP) continue;
    s->at = end;
    s->n_digit = 0;
    s->run = runs_before(s, end);
    s->followed = TAKE_UP;
    return;
  }
}

static void catch_up(mv_drafter *d, mv_draft_state *state, const int32_t *answer, size_t n) {
  for (; state->n_seen < n; state->n_seen++)
    for (int k = 0; k < state->n_script; k++) {
      mv_script *s = &state->scripts[k];
      if (s->followed && follow(d, s, answer[state->n_seen], state->n_seen))
        s->followed++;
      else if (s->n_step)
        take_up(s, answer, state->n_seen + 1);
    }
}

/* ---- drafting ---- */

typedef struct guess {
  const mv_drafter *d;
  const int32_t *prompt, *answer; /* prompt without images */
  int n_answer;
  mv_draft *draft;
  int max; /* of the draft's */
} guess;

static int put(guess *out, int32_t id) {
  if (out->draft->n == out->max) return 0;
  out->draft->ids[out->draft->n++] = id;
  return 1;
}

/* The digits from n_have on of a run that is of a computed number. Returns 0 when they are not
 * known to the end. */
static int put_computed(const mv_script_step *step, int n_have, guess *out) {
  mv_draft_text text = {out->answer, out->draft->ids, out->n_answer, out->n_answer + out->draft->n};
  mv_number_guess g;
  int n = step->n, n_known = n_have, at = 0;
  if (mv_number_guess_at(out->d, step->formula, text, &g)) {
    at = g.n_come;
    if (at == n_have) n = g.n_whole; /* not the decimals */
    n_known += g.n_certain - at;
    if (n_known > n) n_known = n;
  }
  for (; n_have < n_known && g.text[at] != '.'; at++, n_have++)
    if (!put(out, out->d->digits[g.text[at] - '0'])) break;
  out->draft->digit_next = n_have >= n_known && n_have < n;
  return n_have >= n;
}

/* The same of any run. */
static int put_run(const mv_script *s, const mv_script_step *step, int n_have, guess *out) {
  const int32_t *digits = NULL;
  int n = step->n;
  if (step->formula) return put_computed(step, n_have, out);
  if (step->link >= 0 && step->link < MV_DRAFT_RUNS && s->run_n[step->link]) {
    digits = out->answer + s->run0[step->link];
    n = s->run_n[step->link];
  } else if (step->link < -1) {
    digits = out->prompt + ~step->link - 1;
  } else if (step->guess >= 0) {
    digits = &step->guess;
    n = 1;
  }
  while (digits && n_have < n && put(out, digits[n_have])) n_have++;
  out->draft->digit_next = !digits && n_have < n;
  return n_have >= n;
}

static void put_script(const mv_script *s, guess *out) {
  int n_digit = s->n_digit;
  for (int at = s->at; at < s->n_step; at++) {
    const mv_script_step *step = &s->steps[at];
    if (!(step->token >= 0 ? put(out, step->token) : put_run(s, step, n_digit, out))) return;
    n_digit = 0;
  }
}

static int32_t text_at(const int32_t *prompt, size_t n_prompt, const int32_t *answer, size_t i) {
  return i < n_prompt ? prompt[i] : answer[i - n_prompt];
}

/* What followed the latest earlier occurrence of the last tokens. */
static void put_context(const int32_t *prompt, size_t n_prompt, const int32_t *answer,
                        size_t n_answer, guess *out) {
  size_t n = n_prompt + n_answer;
  for (size_t end = n - 1; end >= MIN_CONTEXT && n > MIN_CONTEXT; end--) {
    size_t same = 0;
    while (same < MIN_CONTEXT && text_at(prompt, n_prompt, answer, end - 1 - same) ==
                                     text_at(prompt, n_prompt, answer, n - 1 - same))
      same++;
    if (same < MIN_CONTEXT) continue;
    for (size_t i = end; i < n && put(out, text_at(prompt, n_prompt, answer, i)); i++) continue;
    return;
  }
}

static const mv_script *longest_followed(const mv_draft_state *state) {
  const mv_script *best = NULL;
  for (int k = 0; k < state->n_script; k++) {
    const mv_script *s = &state->scripts[k];
    if (s->followed && s->at < s->n_step && (!best || s->followed > best->followed)) best = s;
  }
  return best;
}

/* Draft k is right with a chance of about rate^k: as many are made as have one worth a row. Of a
 * source that never has, a single one now and then, to see whether that is still so; of one that
 * nothing is known of, a few, for all that start together would be wrong together. */
static int worthwhile(mv_drafter *d, int source, int max) {
  double chance = d->rate[source];
  if (!d->is_tried[source] && max > FIRST_DRAFTS) max = FIRST_DRAFTS;
  int n = 0;
  while (n < max && chance >= d->floor) n++, chance *= d->rate[source];
  if (n == 0 && max > 0) n = d->n_probe++ % PROBE == 0;
  return n;
}

static int drop_images(const mv_drafter *d, const int32_t *ids, size_t n, int32_t *out) {
  int n_out = 0;
  for (size_t i = 0; i < n; i++)
    if (ids[i] != d->image_token_id && n_out < MV_DRAFT_PROMPT) out[n_out++] = ids[i];
  return n_out;
}

/* What no answer has, and what comes after it, is no draft. */
static void cut_at_image(const mv_drafter *d, mv_draft *draft) {
  for (int i = 0; i < draft->n; i++) {
    if (draft->ids[i] >= 0 && draft->ids[i] != d->image_token_id) continue;
    draft->n = i;
    draft->digit_next = 0;
  }
}

void mv_drafter_next(mv_drafter *d, int number, const int32_t *prompt, size_t n_prompt,
                     const int32_t *answer, size_t n_answer, mv_draft *draft) {
  mv_draft_state *state = &d->states[number];
  int max = draft->max < state->length ? draft->max : state->length;
  guess out = {d, d->words, answer, (int)n_answer, draft, max};
  draft->n = draft->digit_next = 0;
  catch_up(d, state, answer, n_answer);
  if (state->pause > 0) {
    state->pause--;
    return;
  }
  if (out.max <= 0) return;
  const mv_script *script = longest_followed(state);
  state->source = script == NULL;
  out.max = worthwhile(d, state->source, out.max);
  if (script) {
    drop_images(d, prompt, n_prompt, d->words);
    put_script(script, &out);
  } else if (n_answer) {
    put_context(prompt, n_prompt, answer, n_answer, &out);
  }
  cut_at_image(d, draft);
}

/* Right drafts make the next longer, wrong ones shorter; after some with nothing right it waits,
 * longer each time. */
void mv_drafter_told(mv_drafter *d, int number, int n_draft, int n_right) {
  mv_draft_state *state = &d->states[number];
  if (!n_draft) return;
  d->is_tried[state->source] = 1;
  double weight = n_draft < 16 ? 0.1 + n_draft / 40.0 : 0.5, *rate = &d->rate[state->source];
  *rate += weight * ((double)n_right / n_draft - *rate);
  const mv_script *script = longest_followed(state);
  if (script && state->family >= 0) {
    mv_pattern *p = &d->families[state->family].patterns[script->pattern];
    p->worth = 0.98 * p->worth + n_right;
  }
  if (2 * n_right >= n_draft)
    state->length = 2 * state->length < d->max_draft ? 2 * state->length : d->max_draft;
  else if (state->length > 4)
    state->length = n_right + 4 < state->length ? (state->length + n_right + 4) / 2 : state->length;
  state->n_miss = n_right ? 0 : state->n_miss + 1;
  if (state->n_miss >= PATIENCE) {
    int n = state->n_miss - PATIENCE + 1;
    state->pause = n < 6 ? 1 << n : MAX_PAUSE;
  }
}
