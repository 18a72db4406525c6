/* SPDX-License-Identifier: BSD-3-Clause */
/* The family of private labels: which task has which concepts under which labels. */
#include "suite_parts.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    LABELS = 28,
    NEW_LABELS = 8,
    NUMBER = 1 << 16, /* of the first task's random streams, far above those of suite_tasks */
    KINDS = 4,
    PARTS = 7,
    LONGEST = 3 * 4, /* targets of one list */
};

static const char *const labels[LABELS + NEW_LABELS] = {
    "apex", "bell", "bolt", "card", "coal", "dawn", "dust",  "echo",  "flag", "gate",
    "hook", "icon", "jazz", "knot", "loop", "moss", "node",  "orb",   "path", "quiz",
    "rung", "salt", "tide", "unit", "veil", "wave", "yarn",  "zone", /* from here on the new ones */
    "disk", "lamp", "mask", "norm", "ring", "seal", "torch", "vault",
};

/* A kind of concept. Each of its concepts wears each label once a square, so in `squares` tasks. */
typedef struct kind {
    const char *name;
    int concepts;
    int parts[PARTS]; /* concepts of the tasks that a row of a square is cut into */
    int squares;
    const char *frames[SUITE_TEMPLATES];
} kind;

static const kind kinds[KINDS] = {
    [SUITE_CATEGORY] = {"category",
                        SUITE_KNOWN,
                        {5, 5, 4, 4, 4, 3, 3},
                        2,
                        {"$1/$2 came today", "$1/$2 are here", "we saw ($1/$2)", "we like ($1/$2)",
                         "$1/$2 and no more", "find ($1/$2)", "$1/$2 on a list", "it is ($1/$2)"}},
    [SUITE_SIZE] = {"size",
                    SUITE_BANDS,
                    {3, 3},
                    1,
                    {"$1/$2 on the scale", "weigh ($1/$2)", "$1/$2 to measure", "how big: ($1/$2)",
                     "$1/$2 side by side", "draw ($1/$2)", "$1/$2 in metres", "pack ($1/$2)"}},
    [SUITE_LETTER] = {"letter",
                      sizeof SUITE_LETTERS - 1,
                      {5, 4, 3},
                      1,
                      {"spell ($1/$2)", "$1/$2 in letters", "write ($1/$2)", "$1/$2 in ink",
                       "read ($1/$2)", "$1/$2 on a page", "$1/$2 in a rhyme", "print ($1/$2)"}},
    [SUITE_RELATION] = {"relation",
                        SUITE_RELATIONS,
                        {3, 3},
                        1,
                        {"$3 says ($1/$2)", "$3 asks for ($1/$2)", "$3 wrote ($1/$2)",
                         "$3 sang ($1/$2)"}},
};

/* Kinds of the targets of a list, in turn; half are categories, as in training. */
static const int turns[] = {SUITE_CATEGORY, SUITE_SIZE,     SUITE_CATEGORY,
                            SUITE_LETTER,   SUITE_CATEGORY, SUITE_RELATION};

const char *suite_private_label(int i)
{
    return i < LABELS + NEW_LABELS ? labels[i] : NULL;
}

/* A task that is still without concepts. */
static suite_task *add_task(suite_private *all, int k, suite_sort sort, suite_role role)
{
    suite_private_task *one = &all->tasks[all->n];
    suite_task *task = &one->task;

    assert(all->n < SUITE_PRIVATE_MOST);
    one->sort = sort;
    one->number = NUMBER + (uint32_t)all->n++;
    snprintf(one->name, sizeof one->name, "private-%s-%s-%03d", kinds[k].name,
             suite_sort_names[sort], all->n);
    *task = (suite_task){.name = one->name,
                         .group = SUITE_PRIVATE,
                         .role = role,
                         .make = suite_make_private,
                         .variant = k};
    memcpy(task->templates, kinds[k].frames, sizeof task->templates);
    return task;
}

static void add_concept(suite_task *task, int concept, int label)
{
    task->masks[task->choices] = (uint64_t) concept;
    task->labels[task->choices++] = labels[label];
}

/* A square has a row a label and a column a concept: row r gives concept c the label
 * names[(r + column of c) mod LABELS], so that a row never gives a label twice and a column has each
 * label once. Rows are cut into tasks along `parts`, the same way in each. */
static void add_square(suite_private *all, int k, ol_rng *rng)
{
    const kind *it = &kinds[k];
    int names[LABELS], columns[LABELS], concepts[LABELS];

    for (int i = 0; i < LABELS; i++)
        names[i] = columns[i] = concepts[i] = i;
    ol_rng_shuffle(rng, names, LABELS);
    ol_rng_shuffle(rng, columns, LABELS);
    ol_rng_shuffle(rng, concepts, it->concepts);
    for (int row = 0; row < LABELS; row++)
        for (int part = 0, at = 0; part < PARTS && it->parts[part] > 0; part++) {
            suite_task *task = add_task(all, k, SUITE_SORT_TRAIN, SUITE_TRAIN);

            for (int end = at + it->parts[part]; at < end; at++)
                add_concept(task, concepts[at], names[(row + columns[at]) % LABELS]);
        }
}

/* Concepts that wear the same label in both tasks. */
static int common(const suite_task *a, const suite_task *b)
{
    int n = 0;

    for (int i = 0; i < a->choices && a->variant == b->variant; i++)
        for (int j = 0; j < b->choices; j++)
            n += a->masks[i] == b->masks[j] && a->labels[i] == b->labels[j];
    return n;
}

/* True when no earlier task has two of this one's labels on the same concepts. */
static bool is_new(const suite_private *all, const suite_task *task)
{
    for (int i = 0; i < all->n - 1; i++)
        if (common(&all->tasks[i].task, task) >= 2)
            return false;
    return true;
}

/* n concepts and n labels at random, until the pairing is a new one. */
static void add_target(suite_private *all, int k, suite_sort sort, int n, ol_rng *rng)
{
    const bool new_labels = sort == SUITE_NEW_LABELS, new_concepts = sort == SUITE_NEW_CATEGORIES;
    const int concepts = new_concepts ? SUITE_CATEGORIES - SUITE_KNOWN : kinds[k].concepts;
    suite_task *task = add_task(all, k, sort, SUITE_TARGET);
    int scratch[LABELS], drawn[SUITE_OPTIONS], names[SUITE_OPTIONS];

    do {
        task->choices = 0;
        ol_rng_choose(rng, concepts, n, scratch, drawn);
        ol_rng_choose(rng, new_labels ? NEW_LABELS : LABELS, n, scratch, names);
        for (int i = 0; i < n; i++)
            add_concept(task, drawn[i] + (new_concepts ? SUITE_KNOWN : 0),
                        names[i] + (new_labels ? LABELS : 0));
    } while (!is_new(all, task));
}

void suite_private_plan(uint64_t seed, suite_private *all)
{
    static const int counts[SUITE_SORTS] = {0, LONGEST, LONGEST / 2, LONGEST / 2};
    ol_rng rng = ol_rng_stream(seed, OL_RNG_SUITE, NUMBER - 1, 0);

    all->n = 0;
    for (int k = 0; k < KINDS; k++)
        for (int s = 0; s < kinds[k].squares; s++)
            add_square(all, k, &rng);
    for (int sort = SUITE_NEW_PAIRINGS; sort < SUITE_SORTS; sort++)
        for (int i = 0; i < counts[sort]; i++) {
            const bool categories = sort == SUITE_NEW_CATEGORIES;

            add_target(all, categories ? SUITE_CATEGORY : turns[i % 6], (suite_sort)sort,
                       3 + (i + i / 6) % 3, &rng);
        }
}

const char *const suite_sort_names[SUITE_SORTS] = {
    [SUITE_SORT_TRAIN] = "train",
    [SUITE_NEW_PAIRINGS] = "pairing",
    [SUITE_NEW_LABELS] = "labels",
    [SUITE_NEW_CATEGORIES] = "unseen",
};
