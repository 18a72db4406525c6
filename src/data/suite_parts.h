/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file suite_parts.h
 * The parts that the built-in suite is put together from; private to src/data/suite*.c.
 *
 * The lexicon (suite_lexicon.c) is a world of a few hundred words: categories, sizes, properties,
 * opposites, synonyms. A maker (suite_makers*.c) writes one row of one kind of task. The table of
 * tasks (suite_tasks.c) names a maker and what it speaks about. suite.c writes the files.
 *
 * Lexicon words stand at the start of an input or after a bracket or a slash, never after a space:
 * GPT-2's splitter then gives a word the same token in an input as in an output.
 */
#ifndef OUTERLOOP_SUITE_PARTS_H
#define OUTERLOOP_SUITE_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "outerloop/base/rng.h"

enum { SUITE_WORDS = 8, SUITE_OPTIONS = 5, SUITE_TEMPLATES = 8 };

/** Categories, in the order of suite_categories; a set of them is a mask of 1 << number. */
enum {
    ANIMAL,
    BIRD,
    FISH,
    INSECT,
    TREE,
    FLOWER,
    FRUIT,
    FOOD,
    DRINK,
    TOOL,
    GARMENT,
    FURNITURE,
    KITCHEN,
    CLOTH,
    METAL,
    COLOR,
    VEHICLE,
    BUILDING,
    JOB,
    FAMILY,
    SPORT,
    BODY,
    WEATHER,
    LAND,
    JOY,
    GLOOM,
    ASSENT,
    DENIAL,
    SUITE_KNOWN, /**< from here on: spoken of in no training task */
    INSTRUMENT = SUITE_KNOWN,
    DANCE,
    GEM,
    COIN,
    BOAT,
    PLANET,
    SUITE_CATEGORIES
};

typedef struct suite_category {
    const char *name;
    const char *words[SUITE_WORDS];
    int sizes[SUITE_WORDS]; /**< ranks, comparable over all categories; 0 where they mean nothing */
} suite_category;

/** A question that some categories answer: "which can swim?". */
typedef struct suite_property {
    const char *phrase;
    uint64_t holds; /**< categories with the property          */
    uint64_t fails; /**< categories that surely do not have it */
} suite_property;

/** Two adjectives that are opposites, or two that mean the same. */
typedef struct suite_pair {
    const char *a, *b;
} suite_pair;

enum { SUITE_PROPERTIES = 12, SUITE_OPPOSITES = 20, SUITE_SYNONYMS = 20 };

extern const suite_category suite_categories[SUITE_CATEGORIES];
extern const suite_property suite_properties[SUITE_PROPERTIES];
extern const suite_pair suite_opposites[SUITE_OPPOSITES];
extern const suite_pair suite_synonyms[SUITE_SYNONYMS];

/** Variants of the makers. */
enum { SUITE_IS, SUITE_IS_NOT };               /**< suite_make_kind                  */
enum { SUITE_BIGGER, SUITE_SMALLER };          /**< suite_make_size                  */
enum { SUITE_OPPOSITE, SUITE_SYNONYM };        /**< suite_make_relation, .._quality  */
enum { SUITE_NAME, SUITE_TURN, SUITE_REPEAT }; /**< suite_make_list                  */
enum { SUITE_CATEGORY, SUITE_SIZE, SUITE_LETTER, SUITE_RELATION }; /**< suite_make_private */

/** Concepts that private labels name, by kind: categories; bands of sizes; first letters; what two
 *  words are to each other. */
enum { SUITE_BANDS = 6, SUITE_RELATIONS = 6 };
#define SUITE_LETTERS "abcfghlmprst"

/** What a task is, for the lists of the seven settings. */
typedef enum suite_group {
    SUITE_CLASS,
    SUITE_NLI,        /**< typed classification */
    SUITE_PARAPHRASE, /**< typed classification */
    SUITE_QA,         /**< typed multi-choice   */
    SUITE_OTHER,      /**< typed free-form      */
    SUITE_PRIVATE,    /**< typed multi-choice, so that accuracy is its score */
} suite_group;

/** Training task; one that hr_to_lr leaves out (it takes long to learn, and would take much of a
 * short run); target task; target task on words that no training task has. */
typedef enum suite_role {
    SUITE_TRAIN,
    SUITE_SPARE,
    SUITE_TARGET,
    SUITE_UNSEEN,
} suite_role;

typedef struct suite_row {
    char input[256];
    char output[80];
    char options[SUITE_OPTIONS][32];
    int n_options;
} suite_row;

/** What a row is about: what templates may name, and a free-form output. */
typedef struct suite_blanks {
    const char *words[4];               /**< $1 .. $4                                       */
    const char *asked;                  /**< $k                                             */
    const char *choices[SUITE_OPTIONS]; /**< $o, joined by slashes; the options without labels */
    int n_choices;                      /**< the task's `choices` at first                  */
    char output[80];                    /**< "" where it is a label or an option            */
} suite_blanks;

typedef struct suite_task suite_task;

/** Think of a row; `want` (0 .. choices-1) is the label or the place of the right option. */
typedef void suite_maker(const suite_task *task, int want, ol_rng *rng, suite_blanks *in);

struct suite_task {
    const char *name;
    suite_group group;
    suite_role role;
    suite_maker *make;
    int choices;                            /**< labels or options; 1 for free-form             */
    const char *templates[SUITE_TEMPLATES]; /**< of the input; $1.. words, $k asked, $o options */
    const char *labels[SUITE_OPTIONS];      /**< of tasks whose rows share them                 */
    uint64_t masks[SUITE_OPTIONS]; /**< categories, by label or by part; of private labels: the
                                        concept's number, by label                              */
    int variant;                   /**< of the maker                                            */
};

extern const suite_task suite_tasks[];
extern const int suite_task_count;

/** Write one row. */
void suite_make(const suite_task *task, int want, ol_rng *rng, suite_row *row);

suite_maker suite_make_sort, suite_make_cue, suite_make_kind, suite_make_odd, suite_make_property,
    suite_make_size, suite_make_relation, suite_make_entail_kind, suite_make_entail_mention,
    suite_make_same_list, suite_make_same_quality, suite_make_list, suite_make_private;

/* Private labels: tasks that are made by the hundred instead of being listed. */

enum { SUITE_PRIVATE_MOST = 640, SUITE_PRIVATE_ROWS = 64 };

/** What a task of private labels is there for. */
typedef enum suite_sort {
    SUITE_SORT_TRAIN,     /**< of the Latin squares                                 */
    SUITE_NEW_PAIRINGS,   /**< target: known concepts and labels, paired as nowhere */
    SUITE_NEW_LABELS,     /**< target: labels of no training task                   */
    SUITE_NEW_CATEGORIES, /**< target: categories of no training task               */
    SUITE_SORTS
} suite_sort;

extern const char *const suite_sort_names[SUITE_SORTS];

typedef struct suite_private_task {
    suite_task task; /**< its name points to `name` */
    suite_sort sort;
    uint32_t number; /**< of its random streams     */
    char name[48];
} suite_private_task;

typedef struct suite_private {
    suite_private_task tasks[SUITE_PRIVATE_MOST];
    int n;
} suite_private;

/** All of them, training tasks first. Deterministic in the seed. */
void suite_private_plan(uint64_t seed, suite_private *all);

/** Label i of all there are; NULL past the last. */
const char *suite_private_label(int i);

#endif
