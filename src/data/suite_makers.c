/* SPDX-License-Identifier: BSD-3-Clause */
#include "suite_parts.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void put(char *to, size_t room, const char *text)
{
    const size_t used = strlen(to);

    assert(used + strlen(text) < room);
    snprintf(to + used, room - used, "%s", text);
}

static void put_joined(char *to, size_t room, const char *const *words, int n)
{
    for (int i = 0; i < n; i++) {
        if (i > 0)
            put(to, room, "/");
        put(to, room, words[i]);
    }
}

/* Fill one of the task's templates, drawn at random, into the input. */
static void fill(const suite_task *task, ol_rng *rng, const suite_blanks *in, suite_row *row)
{
    const size_t room = sizeof row->input;
    uint32_t n = 0;
    const char *at;

    while (n < SUITE_TEMPLATES && task->templates[n])
        n++;
    at = task->templates[ol_rng_below(rng, n)];
    for (; *at; at++) {
        if (*at != '$') {
            put(row->input, room, (const char[]){*at, '\0'});
            continue;
        }
        at++;
        if (*at == 'o')
            put_joined(row->input, room, in->choices, in->n_choices);
        else
            put(row->input, room, *at == 'k' ? in->asked : in->words[*at - '1']);
    }
}

/* A category of the mask, other than those of `without`. */
static int draw_category(ol_rng *rng, uint64_t mask, uint64_t without)
{
    int found[SUITE_CATEGORIES], n = 0;

    for (int c = 0; c < SUITE_CATEGORIES; c++)
        if ((mask & ~without) >> c & 1)
            found[n++] = c;
    assert(n > 0);
    return found[ol_rng_below(rng, (uint32_t)n)];
}

/* k distinct words of one category. The first ones of the table come up more often, as in any
 * language: the lesser of two draws. */
static void draw_words(ol_rng *rng, int category, int k, const char **words)
{
    uint32_t drawn = 0;

    for (int i = 0; i < k;) {
        const uint32_t a = ol_rng_below(rng, SUITE_WORDS), b = ol_rng_below(rng, SUITE_WORDS);
        const uint32_t word = a < b ? a : b;

        if (drawn >> word & 1)
            continue;
        drawn |= 1u << word;
        words[i++] = suite_categories[category].words[word];
    }
}

static const char *draw_word(ol_rng *rng, int category)
{
    const char *word;

    draw_words(rng, category, 1, &word);
    return word;
}

/* Words of one class of categories; the label says which. */
void suite_make_sort(const suite_task *task, int want, ol_rng *rng, suite_blanks *in)
{
    draw_words(rng, draw_category(rng, task->masks[want], 0), 4, in->words);
}

/* What is said of $2, of masks[2], turns on $1: a word of masks[0] or of masks[1]. */
void suite_make_cue(const suite_task *task, int want, ol_rng *rng, suite_blanks *in)
{
    in->words[0] = draw_word(rng, draw_category(rng, task->masks[want], 0));
    draw_words(rng, draw_category(rng, task->masks[2], 0), 3, in->words + 1);
}

/* Which option is of the asked category? Variant 1: which one is not? masks[0]: asked about,
 * masks[1]: where the others come from. */
void suite_make_kind(const suite_task *task, int want, ol_rng *rng, suite_blanks *in)
{
    const int asked = draw_category(rng, task->masks[0], 0);
    uint64_t used = UINT64_C(1) << asked;

    in->asked = suite_categories[asked].name;
    draw_words(rng, asked, task->choices, in->choices);
    for (int i = 0; i < task->choices; i++)
        if ((i == want) == (task->variant == 1)) {
            const int other = draw_category(rng, task->masks[1], used);

            used |= UINT64_C(1) << other;
            in->choices[i] = draw_word(rng, other);
        }
}

/* All options but one share a category that is not named. */
void suite_make_odd(const suite_task *task, int want, ol_rng *rng, suite_blanks *in)
{
    const int common = draw_category(rng, task->masks[0], 0);

    draw_words(rng, common, task->choices, in->choices);
    in->choices[want] = draw_word(rng, draw_category(rng, task->masks[1], UINT64_C(1) << common));
}

/* Which option has the property? masks[0] is a set of properties. */
void suite_make_property(const suite_task *task, int want, ol_rng *rng, suite_blanks *in)
{
    int found[SUITE_PROPERTIES], n = 0;
    const suite_property *property;
    uint64_t used = 0;

    for (int p = 0; p < SUITE_PROPERTIES; p++)
        if (task->masks[0] >> p & 1)
            found[n++] = p;
    property = &suite_properties[found[ol_rng_below(rng, (uint32_t)n)]];
    in->asked = property->phrase;
    for (int i = 0; i < task->choices; i++) {
        const int c = draw_category(rng, i == want ? property->holds : property->fails, used);

        used |= UINT64_C(1) << c;
        in->choices[i] = draw_word(rng, c);
    }
}

typedef struct sized_word {
    const char *text;
    int size;
} sized_word;

/* A word of the category, all as likely. */
static sized_word draw_sized(ol_rng *rng, int category)
{
    const uint32_t word = ol_rng_below(rng, SUITE_WORDS);

    return (sized_word){suite_categories[category].words[word],
                        suite_categories[category].sizes[word]};
}

/* Two words whose sizes are clearly apart, the larger first. */
static void draw_sizes(ol_rng *rng, uint64_t mask, const char *words[2])
{
    sized_word a, b;

    do {
        a = draw_sized(rng, draw_category(rng, mask, 0));
        b = draw_sized(rng, draw_category(rng, mask, 0));
    } while (a.size < b.size + 6);
    words[0] = a.text;
    words[1] = b.text;
}

/* Which is bigger (variant 0), which is smaller (variant 1)? */
void suite_make_size(const suite_task *task, int want, ol_rng *rng, suite_blanks *in)
{
    const char *words[2];

    draw_sizes(rng, task->masks[0], words);
    in->choices[want] = words[task->variant];
    in->choices[1 - want] = words[1 - task->variant];
}

static const suite_pair *const relations[] = {suite_opposites, suite_synonyms};
static const int relation_sizes[] = {SUITE_OPPOSITES, SUITE_SYNONYMS};

/* k pairs of a relation, each at random the right or the wrong way round. */
static void draw_pairs(ol_rng *rng, int relation, int k, suite_pair *pairs)
{
    int scratch[SUITE_OPPOSITES], drawn[SUITE_OPTIONS];

    ol_rng_choose(rng, relation_sizes[relation], k, scratch, drawn);
    for (int i = 0; i < k; i++) {
        const suite_pair pair = relations[relation][drawn[i]];

        pairs[i] = ol_rng_below(rng, 2) ? pair : (suite_pair){pair.b, pair.a};
    }
}

/* Which option is the opposite of (variant 0) or means the same as (1) the asked word? */
void suite_make_relation(const suite_task *task, int want, ol_rng *rng, suite_blanks *in)
{
    suite_pair pairs[SUITE_OPTIONS];

    draw_pairs(rng, task->variant, task->choices, pairs);
    for (int i = 0; i < task->choices; i++)
        in->choices[i] = pairs[i].b;
    in->asked = pairs[want].a;
}

/* A list of words, then a category: is one of the words of it? */
void suite_make_entail_kind(const suite_task *task, int want, ol_rng *rng, suite_blanks *in)
{
    const int here = draw_category(rng, task->masks[0], 0);
    const uint64_t used = UINT64_C(1) << here;
    const int named = want == 0 ? here : draw_category(rng, task->masks[1], used);

    in->asked = suite_categories[named].name;
    draw_words(rng, here, 2, in->words);
    in->words[2] = suite_opposites[ol_rng_below(rng, SUITE_OPPOSITES)].a;
}

/* Three things are listed; the claim names one of them, or another of the same category. */
void suite_make_entail_mention(const suite_task *task, int want, ol_rng *rng, suite_blanks *in)
{
    draw_words(rng, draw_category(rng, task->masks[0], 0), 4, in->words);
    in->asked = want == 0 ? in->words[ol_rng_below(rng, 3)] : in->words[3];
}

/* $1/$2 and $3/$4: the same two things in the other order, or one of them exchanged. */
void suite_make_same_list(const suite_task *task, int want, ol_rng *rng, suite_blanks *in)
{
    const char *other;

    draw_words(rng, draw_category(rng, task->masks[0], 0), 3, in->words);
    other = in->words[2];
    in->words[2] = in->words[1];
    in->words[3] = in->words[0];
    if (want != 0)
        in->words[2 + ol_rng_below(rng, 2)] = other;
}

/* $1 and $2 mean the same (by the relation `variant`), or are unrelated; both qualify $3. */
void suite_make_same_quality(const suite_task *task, int want, ol_rng *rng, suite_blanks *in)
{
    suite_pair pairs[2];

    draw_pairs(rng, task->variant, 2, pairs);
    in->words[0] = pairs[0].a;
    in->words[1] = pairs[want == 0 ? 0 : 1].b;
    in->words[2] = draw_word(rng, draw_category(rng, task->masks[0], 0));
}

/* Words are given; the output is the name of their category (variant SUITE_NAME), the opposite of
 * the adjective $1 (SUITE_TURN), or the words again (SUITE_REPEAT). */
void suite_make_list(const suite_task *task, int want, ol_rng *rng, suite_blanks *in)
{
    const size_t room = sizeof in->output;
    suite_pair pair;
    int c;

    (void)want;
    if (task->variant == SUITE_TURN) {
        draw_pairs(rng, SUITE_OPPOSITE, 1, &pair);
        in->words[0] = pair.a;
        in->words[1] = draw_word(rng, draw_category(rng, task->masks[0], 0));
        put(in->output, room, pair.b);
        return;
    }
    c = draw_category(rng, task->masks[0], 0);
    in->n_choices = 2;
    draw_words(rng, c, 2, in->choices);
    if (task->variant == SUITE_NAME)
        put(in->output, room, suite_categories[c].name);
    else
        put_joined(in->output, room, in->choices, 2);
}

/* A word of the known categories at random; its category. */
static int draw_any(ol_rng *rng, sized_word *word)
{
    const int c = (int)ol_rng_below(rng, SUITE_KNOWN);

    *word = draw_sized(rng, c);
    return c;
}

/* Two words that are `relation` to each other. */
static void draw_related(ol_rng *rng, int relation, const char **words)
{
    enum { OPPOSITES, SYNONYMS, TWICE, AKIN, BIGGER, SMALLER };
    sized_word a, b;
    suite_pair pair;
    int differ;

    if (relation == OPPOSITES || relation == SYNONYMS) {
        draw_pairs(rng, relation, 1, &pair);
        words[0] = pair.a;
        words[1] = pair.b;
        return;
    }
    if (relation == AKIN) {
        draw_words(rng, draw_category(rng, (UINT64_C(1) << SUITE_KNOWN) - 1, 0), 2, words);
        return;
    }
    do {
        differ = draw_any(rng, &a) != draw_any(rng, &b);
    } while (relation != TWICE && (!differ || b.size == 0 || a.size < b.size + 10));
    words[relation == SMALLER] = a.text;
    words[relation != SMALLER] = relation == TWICE ? a.text : b.text;
}

/* True when the word is of that first letter, or of that band of sizes. */
static bool belongs(int kind, int concept, sized_word word)
{
    static const int bands[SUITE_BANDS][2] = {{1, 4},   {6, 8},   {10, 13},
                                              {15, 19}, {22, 28}, {35, 60}};

    if (kind == SUITE_LETTER)
        return word.text[0] == SUITE_LETTERS[concept];
    return bands[concept][0] <= word.size && word.size <= bands[concept][1];
}

/* The two words of a row, and in $3 one who speaks of them. */
static void draw_concept(ol_rng *rng, int kind, int concept, const char **words)
{
    sized_word word;

    words[2] = draw_word(rng, ol_rng_below(rng, 2) ? JOB : FAMILY);
    if (kind == SUITE_RELATION) {
        draw_related(rng, concept, words);
        return;
    }
    for (int i = 0; i < 2;) {
        if (kind == SUITE_CATEGORY)
            word = draw_sized(rng, concept);
        else
            draw_any(rng, &word);
        if ((kind == SUITE_CATEGORY || belongs(kind, concept, word)) &&
            (i == 0 || word.text != words[0]))
            words[i++] = word.text;
    }
}

/* An input is training's or the targets' by its text, so that they share no row. */
static suite_role owner_of(const char *input)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *input; input++)
        hash = (hash ^ (unsigned char)*input) * 16777619u;
    hash ^= hash >> 15;
    return hash % 4 == 0 ? SUITE_TARGET : SUITE_TRAIN;
}

/* A sentence about two words of concept masks[want]; the label is the task's own for it. */
void suite_make_private(const suite_task *task, int want, ol_rng *rng, suite_blanks *in)
{
    draw_concept(rng, task->variant, (int)task->masks[want], in->words);
}

void suite_make(const suite_task *task, int want, ol_rng *rng, suite_row *row)
{
    suite_blanks in;

    do {
        in = (suite_blanks){.n_choices = task->choices};
        *row = (suite_row){0};
        task->make(task, want, rng, &in);
        fill(task, rng, &in, row);
    } while (task->group == SUITE_PRIVATE && owner_of(row->input) != task->role);
    if (in.output[0]) {
        put(row->output, sizeof row->output, in.output);
        return;
    }
    row->n_options = task->choices;
    for (int i = 0; i < task->choices; i++)
        put(row->options[i], sizeof row->options[i],
            task->labels[0] ? task->labels[i] : in.choices[i]);
    put(row->output, sizeof row->output, row->options[want]);
}
