/* Patterns, and what becomes of them for a new prompt. */
#include <string.h>

#include "runtime/draft_number.h"
#include "runtime/memory.h"

/* The id of a character that is a token; -1 none. */
static mv_status id_of(const mv_tokenizer *tok, char c, int32_t *id, mv_error *err) {
  mv_ids ids = {0};
  mv_status status = mv_tokenizer_encode(tok, (mv_str){&c, 1}, 0, &ids, err);
  *id = status == MV_OK && ids.len == 1 ? ids.ids[0] : -1;
  mv_ids_free(&ids);
  return status;
}

mv_status mv_drafter_init(mv_drafter *d, const mv_tokenizer *tok, int32_t image_token_id,
                          int n_state, int max_draft, mv_error *err) {
  size_t n = (size_t)n_state;
  memset(d, 0, sizeof *d);
  d->tok = tok;
  d->image_token_id = image_token_id;
  d->n_state = n_state;
  d->max_draft = max_draft;
  d->rate[0] = 0.95;
  d->rate[1] = 0.4;
  d->floor = 0.15;
  for (int i = 0; i < MV_DIGITS; i++) MV_TRY(id_of(tok, (char)('0' + i), &d->digits[i], err));
  MV_TRY(id_of(tok, '.', &d->point, err));
  d->states = mv_calloc(n, sizeof *d->states);
  d->in_use = mv_calloc(n, 1);
  d->steps = mv_calloc(n * MV_DRAFT_SCRIPTS * MV_DRAFT_ANSWER, sizeof *d->steps);
  d->table = mv_calloc((size_t)(MV_DRAFT_DIFF + 1) * (MV_DRAFT_DIFF + 1), sizeof *d->table);
  d->words = mv_calloc(2 * MV_DRAFT_PROMPT, sizeof *d->words);
  if (d->states && d->in_use && d->steps && d->table && d->words) return MV_OK;
  mv_drafter_free(d);
  return mv_fail(err, MV_ERR_MEMORY, "no memory for drafts");
}

void mv_drafter_free(mv_drafter *d) {
  for (int f = 0; f < d->n_family; f++)
    for (int i = 0; i < d->families[f].n_pattern; i++) {
      mv_free(d->families[f].patterns[i].prompt);
      mv_free(d->families[f].patterns[i].answer);
    }
  mv_free(d->states);
  mv_free(d->in_use);
  mv_free(d->steps);
  mv_free(d->table);
  mv_free(d->words);
  memset(d, 0, sizeof *d);
}

static int is_digit(const mv_drafter *d, int32_t id) { return mv_draft_digit(d, id) >= 0; }

/* ---- patterns ---- */

static int find_family(mv_drafter *d, mv_str name, int make) {
  if (!name.len || name.len >= sizeof d->families[0].name) return -1;
  for (int f = 0; f < d->n_family; f++)
    if (mv_str_is(name, d->families[f].name)) return f;
  if (!make || d->n_family == MV_DRAFT_FAMILIES) return -1;
  memcpy(d->families[d->n_family].name, name.ptr, name.len);
  return d->n_family++;
}

/* A place for one more: a new one, or that of the least worth among those not taught. */
static mv_pattern *make_place(mv_family *f, int taught) {
  mv_pattern *worst = NULL;
  int n_taught = 0;
  for (int i = 0; i < f->n_pattern; i++) {
    mv_pattern *p = &f->patterns[i];
    n_taught += p->taught;
    if (!p->taught && (!worst || p->worth < worst->worth)) worst = p;
  }
  if (taught && n_taught == MV_DRAFT_TAUGHT) return NULL;
  if (f->n_pattern < MV_DRAFT_PATTERNS) return &f->patterns[f->n_pattern++];
  return worst;
}

static int drop_images(const mv_drafter *d, const int32_t *ids, size_t n, int32_t *out) {
  int n_out = 0;
  for (size_t i = 0; i < n; i++)
    if (ids[i] != d->image_token_id && n_out < MV_DRAFT_PROMPT) out[n_out++] = ids[i];
  return n_out;
}

static void keep(mv_drafter *d, mv_str family, const int32_t *prompt, size_t n_prompt,
                 const int32_t *answer, size_t n_answer, int taught, double worth) {
  int f = n_answer <= MV_DRAFT_ANSWER && n_answer ? find_family(d, family, 1) : -1;
  mv_pattern *p = f >= 0 ? make_place(&d->families[f], taught) : NULL;
  if (!p) return;
  if (!p->prompt) p->prompt = mv_calloc(MV_DRAFT_PROMPT, sizeof *p->prompt);
  if (!p->answer) p->answer = mv_calloc(MV_DRAFT_ANSWER, sizeof *p->answer);
  p->n_prompt = p->n_answer = 0;
  if (!p->prompt || !p->answer) return; /* an empty pattern, filled next time */
  p->n_prompt = drop_images(d, prompt, n_prompt, p->prompt);
  memcpy(p->answer, answer, n_answer * sizeof *answer);
  p->n_answer = (int)n_answer;
  p->taught = taught;
  p->worth = worth;
}

void mv_drafter_learn(mv_drafter *d, mv_str family, const int32_t *prompt, size_t n_prompt,
                      const int32_t *answer, size_t n_answer, int taught) {
  keep(d, family, prompt, n_prompt, answer, n_answer, taught, 1e3); /* new ones get a chance */
}

void mv_drafter_keep(mv_drafter *d, mv_str family, const int32_t *prompt, size_t n_prompt,
                     const int32_t *answer, size_t n_answer, double worth) {
  keep(d, family, prompt, n_prompt, answer, n_answer, 0, worth);
}

/* ---- where two prompts differ ---- */

/* A part of the pattern's prompt and the new prompt's part in its place. */
typedef struct mv_field {
  int from, n_from, to, n_to;
} mv_field;

enum {
  MAX_FIELDS = 64,
  MAX_ALIKE = 8,
  MAX_WORTH = 100, /* * MV_DRAFT_DIFF fits 16 bits */
  APART = 4        /* common letters between two fields: fewer, and they are one */
};

static int run_length(const mv_drafter *d, const int32_t *ids, int n) {
  int k = 0;
  while (k < n && is_digit(d, ids[k])) k++;
  return k;
}

/* Digits stand for one another here. */
static int same_word(const mv_drafter *d, int32_t a, int32_t b) {
  return a == b || (is_digit(d, a) && is_digit(d, b));
}

/* What a match is worth: a phrase more than some letters that happen to be elsewhere too. */
static int worth_of(const mv_drafter *d, int32_t id) {
  size_t n = mv_tokenizer_token(d->tok, id).len;
  return n < MAX_WORTH ? (int)n + 1 : MAX_WORTH;
}

/* Names that are spelled have letters in common, which must not tear them apart. */
static int are_letters(const mv_drafter *d, const int32_t *ids, int n) {
  for (int i = 0; i < n; i++)
    if (mv_tokenizer_token(d->tok, ids[i]).len > 1 || is_digit(d, ids[i])) return 0;
  return n < APART;
}

static int add_field(const mv_drafter *d, const int32_t *a, mv_field *fields, int n, mv_field f) {
  mv_field *last = n ? &fields[n - 1] : NULL;
  int end = last ? last->from + last->n_from : 0;
  if (!f.n_from && !f.n_to) return n;
  if (last && are_letters(d, a + end, f.from - end)) {
    last->n_from = f.from + f.n_from - last->from;
    last->n_to = f.to + f.n_to - last->to;
  } else if (n < MAX_FIELDS) {
    fields[n++] = f;
  }
  return n;
}

/* Whether field f's words stand for its new ones wherever they are in prompt a. */
static int is_name(const int32_t *a, int n_a, const int32_t *b, const mv_field *fields, int n,
                   const mv_field *f) {
  size_t bytes = (size_t)f->n_from * sizeof *a;
  int k = 0;
  if (!f->n_from || !f->n_to) return 0;
  for (int i = 0; i + f->n_from <= n_a; i++) {
    if (a[i] != a[f->from] || memcmp(a + i, a + f->from, bytes) != 0) continue;
    while (k < n && fields[k].from < i) k++;
    if (k == n || fields[k].from != i || fields[k].n_from != f->n_from ||
        fields[k].n_to != f->n_to ||
        memcmp(b + fields[k].to, b + f->to, (size_t)f->n_to * sizeof *b) != 0)
      return 0;
  }
  return 1;
}

/* Longest common subsequence of the parts between a common beginning and a common end; what lies
 * between its tokens are fields. at[i] is where token i of a is in b, -1 nowhere. */
static int align(mv_drafter *d, const int32_t *a, int n_a, const int32_t *b, int n_b,
                 mv_field *fields, int *at) {
  int lo = 0, n = 0;
  for (int i = 0; i < n_a; i++) at[i] = -1;
  for (; lo < n_a && lo < n_b && a[lo] == b[lo]; lo++) at[lo] = lo;
  while (n_a > lo && n_b > lo && a[n_a - 1] == b[n_b - 1]) at[--n_a] = --n_b;
  int rows = n_a - lo, cols = n_b - lo, width = cols + 1;
  if (rows > MV_DRAFT_DIFF || cols > MV_DRAFT_DIFF) return 0;
  for (int i = rows; i >= 0; i--)
    for (int j = cols; j >= 0; j--) {
      uint16_t *cell = d->table + i * width + j;
      if (i == rows || j == cols)
        *cell = 0;
      else if (same_word(d, a[lo + i], b[lo + j]))
        *cell = (uint16_t)(cell[width + 1] + worth_of(d, a[lo + i]));
      else
        *cell = cell[width] > cell[1] ? cell[width] : cell[1];
    }
  mv_field gap = {lo, 0, lo, 0};
  for (int i = 0, j = 0; i < rows || j < cols;) {
    const uint16_t *cell = d->table + i * width + j;
    if (i < rows && j < cols && same_word(d, a[lo + i], b[lo + j]) &&
        *cell == cell[width + 1] + worth_of(d, a[lo + i])) {
      n = add_field(d, a, fields, n, gap);
      at[lo + i] = lo + j;
      i++, j++;
      gap = (mv_field){lo + i, 0, lo + j, 0};
    } else if (j == cols || (i < rows && cell[width] >= cell[1])) {
      i++, gap.n_from++;
    } else {
      j++, gap.n_to++;
    }
  }
  return add_field(d, a, fields, n, gap);
}

/* ---- scripts ---- */

typedef struct writer {
  mv_drafter *d;
  const mv_pattern *p;
  const int32_t *prompt; /* the new one, without images */
  int n_prompt;
  mv_field fields[MAX_FIELDS];
  int n_field;
  char is_name[MAX_FIELDS];
  int at[MV_DRAFT_PROMPT]; /* where the pattern's prompt is in the new one */
  mv_script *s;
  int run0[MV_DRAFT_RUNS], run_n[MV_DRAFT_RUNS]; /* of the pattern's answer */
} writer;

/* The field whose words stand at answer[at]; -1 none. */
static int field_at(const writer *w, int at) {
  for (int f = 0; f < w->n_field; f++) {
    const mv_field *field = &w->fields[f];
    if (!w->is_name[f] || field->n_from > w->p->n_answer - at) continue;
    if (memcmp(w->p->answer + at, w->p->prompt + field->from,
               (size_t)field->n_from * sizeof(int32_t)) == 0)
      return f;
  }
  return -1;
}

static int equal_run(const int32_t *a, int n_a, const int32_t *b, int n_b) {
  return n_a == n_b && memcmp(a, b, (size_t)n_a * sizeof *a) == 0;
}

static mv_script_step free_run(const int32_t *run, int n) {
  mv_script_step step = {-1, -1, n, n == 1 ? run[0] : -1, 0};
  return step;
}

/* A run of the pattern's prompt with these digits, and what is there in the new one. Where there
 * are several (width and height alike), answers name them in turn: the k-th is meant. */
static int link_to_prompt(const writer *w, const int32_t *run, int n, int k, mv_script_step *step) {
  const int32_t *ids = w->p->prompt;
  int to_of[MAX_ALIKE], n_alike = 0, len;
  for (int i = 0; i < w->p->n_prompt && n_alike < MAX_ALIKE; i += len ? len : 1) {
    len = run_length(w->d, ids + i, w->p->n_prompt - i);
    if (!len || !equal_run(run, n, ids + i, len)) continue;
    int to = -1;
    for (int c = 0; c < len && to < 0; c++) to = w->at[i + c];
    if (to < 0 || !is_digit(w->d, w->prompt[to])) continue;
    while (to > 0 && is_digit(w->d, w->prompt[to - 1])) to--;
    to_of[n_alike++] = to;
  }
  if (!n_alike) return 0;
  int to = to_of[k % n_alike];
  *step =
      (mv_script_step){-1, ~(to + 1), run_length(w->d, w->prompt + to, w->n_prompt - to), -1, 0};
  return 1;
}

static mv_script_step digits_step(const writer *w, const int32_t *run, int n, int n_run) {
  mv_script_step step;
  int before = 0, first = -1;          /* runs alike */
  if (n == 1) return free_run(run, n); /* too common to tell where it comes from */
  for (int k = n_run - 1; k >= 0; k--)
    if (equal_run(run, n, w->p->answer + w->run0[k], w->run_n[k])) before++, first = k;
  if (link_to_prompt(w, run, n, before, &step)) return step;
  return first >= 0 ? (mv_script_step){-1, first, n, -1, 0} : free_run(run, n);
}

static int is_in(const int32_t *ids, int n_ids, const int32_t *part, int n) {
  for (int i = 0; i + n <= n_ids; i++)
    if (equal_run(ids + i, n, part, n)) return 1;
  return 0;
}

/* What the number that begins at answer[at] is computed by; 0 nothing: one that stands whole
 * elsewhere is copied. */
static int formula_at(const writer *w, int at) {
  const mv_pattern *p = w->p;
  const int32_t *number = p->answer + at;
  int n = mv_number_length(w->d, p->answer, at, p->n_answer);
  if (!n || is_in(p->prompt, p->n_prompt, number, n) || is_in(p->answer, at, number, n)) return 0;
  return mv_number_formula(w->d, p->answer, at, n);
}

/* Returns 0 when it does not fit. */
static int write_script(writer *w) {
  mv_script *s = w->s;
  const mv_pattern *p = w->p;
  int n_run = 0, formula = 0;
  s->n_step = s->at = s->n_digit = s->run = s->followed = 0;
  memset(s->run_n, 0, sizeof s->run_n);
  for (int i = 0; i < p->n_answer;) {
    int f = field_at(w, i), n = run_length(w->d, p->answer + i, p->n_answer - i);
    int n_new = f >= 0 ? w->fields[f].n_to : 1;
    if (s->n_step + n_new > MV_DRAFT_ANSWER || n_run == MV_DRAFT_RUNS) return 0;
    if (n) {
      if (!mv_draft_decimals(w->d, p->answer, i)) formula = formula_at(w, i);
      s->steps[s->n_step++] = formula ? (mv_script_step){-1, -1, n, -1, formula}
                                      : digits_step(w, p->answer + i, n, n_run);
      w->run0[n_run] = i, w->run_n[n_run++] = n;
      i += n;
    } else if (f >= 0) {
      for (int k = 0; k < n_new; k++)
        s->steps[s->n_step++] = (mv_script_step){w->prompt[w->fields[f].to + k], -1, 0, -1, 0};
      i += w->fields[f].n_from;
    } else {
      s->steps[s->n_step++] = (mv_script_step){p->answer[i++], -1, 0, -1, 0};
    }
  }
  s->followed = 1; /* from the first token on */
  return 1;
}

/* The not yet chosen pattern of most worth. */
static int best_pattern(const mv_family *f, const mv_draft_state *state) {
  int best = -1;
  for (int i = 0; i < f->n_pattern; i++) {
    int taken = f->patterns[i].n_answer == 0;
    for (int k = 0; k < state->n_script; k++) taken |= state->scripts[k].pattern == i;
    if (!taken && (best < 0 || f->patterns[i].worth > f->patterns[best].worth)) best = i;
  }
  return best;
}

static void write_scripts(mv_drafter *d, int number, const int32_t *prompt, int n_prompt) {
  mv_draft_state *state = &d->states[number];
  const mv_family *family = &d->families[state->family];
  writer w = {.d = d, .prompt = prompt, .n_prompt = n_prompt};
  for (int k = 0; k < MV_DRAFT_SCRIPTS; k++) {
    int i = best_pattern(family, state);
    if (i < 0) return;
    w.p = &family->patterns[i];
    w.s = &state->scripts[k];
    w.s->steps = d->steps + ((size_t)number * MV_DRAFT_SCRIPTS + (size_t)k) * MV_DRAFT_ANSWER;
    w.s->pattern = i;
    w.n_field = align(d, w.p->prompt, w.p->n_prompt, prompt, n_prompt, w.fields, w.at);
    for (int f = 0; f < w.n_field; f++)
      w.is_name[f] =
          (char)is_name(w.p->prompt, w.p->n_prompt, prompt, w.fields, w.n_field, &w.fields[f]);
    if (!write_script(&w)) w.s->n_step = w.s->at = 0;
    state->n_script++;
  }
}

int mv_drafter_start(mv_drafter *d, mv_str family, const int32_t *prompt, size_t n_prompt) {
  int number = 0;
  while (number < d->n_state && d->in_use[number]) number++;
  if (number == d->n_state) return -1;
  d->in_use[number] = 1;
  mv_draft_state *state = &d->states[number];
  state->n_script = 0;
  state->n_seen = 0;
  state->n_miss = state->pause = 0;
  state->length = d->max_draft;
  state->family = find_family(d, family, 0);
  if (state->family >= 0) {
    int n = drop_images(d, prompt, n_prompt, d->words);
    write_scripts(d, number, d->words, n);
  }
  return number;
}

void mv_drafter_stop(mv_drafter *d, int state) {
  if (state >= 0) d->in_use[state] = 0;
}
