/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/conf/conf.h
 * Settings from a libconfig file, driven by one table.
 *
 * A table of ol_conf_key says for each key its path, type, default, range, unit and meaning, and
 * where in a value struct it goes. The table drives reading, --set, the resolved file that every
 * run stores and the reference file, so that none of them can disagree.
 *
 *     path in the file        row of the table                       field of the struct
 *     learner.inner.lr   ->   type, default, least, most, help   ->  *(double *)(values + offset)
 *
 * Text. libconfig's syntax; a whole number serves where a real one is wanted, and one string where
 * a list of words or strings is ("train" for ["train"]). `@include "FILE"` alone on its line is
 * replaced by that file, named relative to the folder of the file that includes it, as in C, 10
 * deep at most. `--set path=value` takes libconfig's syntax as well; a word or a path ("maml",
 * "runs/a") needs no quotes there, neither alone nor in brackets ([train,eval]). A comment at its
 * end ("lr=0.1 # tuned") is told as the origin of the value.
 *
 * Mistakes. A key of another type, out of range or unknown, a list too long, a misspelt word: all
 * of one reading are reported together, one a line and at most OL_CONF_REPORTED of them, each with
 * file and line (of the included file, where it stands there) or the --set that said it. An
 * unknown key comes with the nearest known one.
 *
 * The values are a plain struct of the caller's; this room only knows offsets. Local.
 */
#ifndef OUTERLOOP_CONF_CONF_H
#define OUTERLOOP_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/status.h" /* ol_status */
#include "outerloop/base/text.h"   /* ol_text */

enum {
    OL_CONF_LIST = 32,     /**< most items of a list of whole numbers         */
    OL_CONF_TEXTS = 64,    /**< most items of a list of strings               */
    OL_CONF_REPORTED = 20, /**< mistakes named in one message                 */
    OL_CONF_KEYS = 128,    /**< most rows of a table                          */
    OL_CONF_CELLS = 1000,  /**< most cells of a grid                          */
};

/** A list of whole numbers, by value. */
typedef struct ol_conf_ints {
    int n;
    int items[OL_CONF_LIST];
} ol_conf_ints;

/** A list of strings. The pointers and the strings are one block, which ol_conf_finish frees. */
typedef struct ol_conf_strings {
    int n;
    char **items; /**< [n], none of them NULL; itself NULL where n is 0 */
} ol_conf_strings;

/** Settings, "path=value" each, as ol_conf_read takes them. Start from a zero struct. */
typedef struct ol_conf_sets {
    char **items; /**< [n] */
    size_t n;
} ol_conf_sets;

/** What a key holds, and the C type of its field. */
typedef enum ol_conf_type {
    OL_CONF_INT,     /**< int                                                            */
    OL_CONF_LONG,    /**< int64_t                                                        */
    OL_CONF_REAL,    /**< double                                                         */
    OL_CONF_BOOL,    /**< bool                                                           */
    OL_CONF_STRING,  /**< char *, never NULL; *owned by the values* (ol_conf_finish)     */
    OL_CONF_WORD,    /**< int: index into `words`                                        */
    OL_CONF_WORDS,   /**< unsigned: bit i set where the list names words[i]; no repeats  */
    OL_CONF_INTS,    /**< ol_conf_ints                                                   */
    OL_CONF_STRINGS, /**< ol_conf_strings; *owned by the values*, as a string is         */
    OL_CONF_GRID,    /**< char *, never NULL, owned: what ol_conf_cell reads. See ol_conf_table */
} ol_conf_type;

enum { OL_CONF_ABOVE = 1, OL_CONF_BELOW = 2 };

/** One row of the table. Texts are borrowed for as long as the table is used. */
typedef struct ol_conf_key {
    const char *path; /**< "learner.inner.lr"; rows of one group stand together        */
    ol_conf_type type;
    size_t offset;            /**< of the field in the value struct                    */
    const char *preset;       /**< default, in libconfig's syntax                      */
    double least, most;       /**< range of a number, of each item of a list           */
    unsigned open;            /**< OL_CONF_ABOVE: not `least` itself; OL_CONF_BELOW: not `most` */
    const char *const *words; /**< allowed words, NULL-ended; else NULL                */
    const char *unit;         /**< "prompts", "s", ...; "" where there is none         */
    const char *help;         /**< one line                                            */
} ol_conf_key;

/**
 * A table. `list`, where not NULL, names one more key: a list of variants, which are groups of a
 * `name` and a group `below` with any keys of the table under that path:
 *
 *     arms = ( { name = "first"; learner = { order = 1; }; }, { name = "plain"; ... } );
 *
 * A variant is the reading with its own keys over it. `--set arms=(...)` replaces the whole list,
 * `--set arms.first.learner.order=2` a key of one variant. One key more may be a variant's own,
 * `also`.
 *
 * A grid (OL_CONF_GRID) is a list of axes, an axis a list of groups, each with keys under `below`:
 *
 *     grid = ( ( { learner = { rate = 0.1; }; }, { learner = { rate = 0.3; }; } ), (...) );
 *
 * Its cells are one group of each axis, in all combinations; the last axis changes fastest. Groups
 * are checked like any keys when the grid is read.
 */
typedef struct ol_conf_table {
    const ol_conf_key *keys;
    size_t n;
    size_t size;       /**< bytes of the value struct      */
    const char *list;  /**< "arms", or NULL                */
    const char *below; /**< "learner", or NULL             */
    const char *also;  /**< path of a key, "tune.grid", or NULL */
    const char *help;  /**< of the list, one line, or NULL */
} ol_conf_table;

/** Where the values of one reading came from. */
typedef struct ol_conf ol_conf;

/**
 * Read `path` and then sets[0..n_sets-1] ("path=value") into *values.
 *
 * @param path    the file; NULL for defaults and sets only
 * @param values  overwritten: every field of the table is set, those not mentioned to their
 *                default. Strings in it are *owned* by it: ol_conf_finish frees them.
 * @param conf    *owned by the caller*: ol_conf_destroy
 * Errors: OL_EUSAGE with every mistake; OL_ENOMEM. On error nothing needs to be freed.
 */
ol_status ol_conf_read(ol_conf_table table, const char *path, const char *const *sets,
                       size_t n_sets, void *values, ol_conf **conf);

/** The same from text; `name` stands for the file in messages, and its folder for includes. */
ol_status ol_conf_read_text(ol_conf_table table, const char *name, const char *text, size_t size,
                            const char *const *sets, size_t n_sets, void *values, ol_conf **conf);

/** Free the strings in *values and forget them. Accepts values that are all zero. */
void ol_conf_finish(ol_conf_table table, void *values);

/** Copy values, strings included; `to` is then owned like any other. Errors: OL_ENOMEM. */
ol_status ol_conf_copy(ol_conf_table table, const void *from, void *to);

/** Accepts NULL. */
void ol_conf_destroy(ol_conf *conf);
OL_DROPS(ol_conf, ol_conf_destroy)

/** Make a list of strings of a value struct these n, copied; what it held is freed.
 *  Errors: OL_ENOMEM. */
ol_status ol_conf_strings_set(ol_conf_strings *held, int n, const char *const *strings);

/** Where the value of row `key` came from: "default", "jobs/a.cfg:12", "--set" or "derived". For
 *  messages; borrowed from `conf`. */
const char *ol_conf_origin(const ol_conf *conf, size_t key);

/** Say that the program itself worked the value of `path` out. Errors: OL_ENOMEM. */
ol_status ol_conf_derived(ol_conf *conf, const char *path);

/** Add one, as printf writes it. Errors: OL_ENOMEM. */
ol_status ol_conf_sets_add(ol_conf_sets *sets, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Add n of them, copied. Errors: OL_ENOMEM. */
ol_status ol_conf_sets_add_all(ol_conf_sets *sets, size_t n, const char *const *others);

/** Add one of a string, in quotes: a path may look like another value. Errors: OL_ENOMEM. */
ol_status ol_conf_sets_add_string(ol_conf_sets *sets, const char *path, const char *string);

void ol_conf_sets_finish(ol_conf_sets *sets);
#define OL_AUTO_SETS OL_AUTO(ol_conf_sets_finish) ol_conf_sets

/** Row of `path`, or table.n when there is none. */
size_t ol_conf_find(ol_conf_table table, const char *path);

/** Append the value of row `key` in libconfig's syntax; of strings, one alone stands without
 *  brackets. Errors: OL_ENOMEM. */
ol_status ol_conf_value(ol_conf_table table, size_t key, const void *values, ol_text *text);

/**
 * Append all values as a libconfig file that reads back to the same ones. With `conf`, each line
 * says in a comment where its value came from, and the variants follow; without, values alone.
 * Errors: OL_ENOMEM.
 */
ol_status ol_conf_write(ol_conf_table table, const void *values, const ol_conf *conf,
                        ol_text *text);

/** Append the reference file: each key with its default, below a comment with its type, range,
 *  unit and meaning. It is itself a valid file, equal to an empty one. Errors: OL_ENOMEM. */
ol_status ol_conf_reference(ol_conf_table table, ol_text *text);

/** Variants that the reading found, in the order of the file; 0 where the list is absent. */
size_t ol_conf_variants(const ol_conf *conf);

/** Name of variant i; borrowed. */
const char *ol_conf_variant_name(const ol_conf *conf, size_t i);

/** Where variant i stands; borrowed. */
const char *ol_conf_variant_origin(const ol_conf *conf, size_t i);

/**
 * Values of variant i: those of the reading with its own keys over them.
 * @param values   overwritten, then owned like those of ol_conf_read
 * @param variant  origins of these values; *owned by the caller*
 * Errors: OL_ENOMEM.
 */
ol_status ol_conf_variant(const ol_conf *conf, size_t i, void *values, ol_conf **variant);

/** True when the variant (of ol_conf_variant) itself says the value of row `key`, in its group or by
 *  a --set of its own; false where the value is the reading's, and for what is no variant. */
bool ol_conf_own(const ol_conf *variant, size_t key);

/** Append a variant as it stands in the list: its name, and the keys that are its own below `below`.
 *  Errors: OL_ENOMEM. */
ol_status ol_conf_write_variant(const char *name, const void *values, const ol_conf *variant,
                                ol_text *text);

/** Cells of a grid, as the value of its key has it; 0 where it has no axes. */
size_t ol_conf_cells(const char *grid);

/**
 * Values with those of one cell over them.
 * @param key     row of the grid, which values[key] need not be: where it stands is what its keys'
 *                origin says
 * @param grid    its text
 * @param cell    0 .. ol_conf_cells(grid) - 1
 * @param out     overwritten, then owned like those of ol_conf_read
 * @param made    origins of these; the keys of the cell are its own (ol_conf_own), beside those
 *                that are `conf`'s; *owned by the caller*
 * Errors: OL_ENOMEM.
 */
ol_status ol_conf_cell(const ol_conf *conf, const void *values, size_t key, const char *grid,
                       size_t cell, void *out, ol_conf **made);

/** Mistakes gathered for one message; start from a zero struct. */
typedef struct ol_conf_mistakes {
    int n;
    ol_text text;
} ol_conf_mistakes;

/** Add one: "PLACE: what is wrong and what to do". Those past OL_CONF_REPORTED are only counted.
 *  @return OL_OK: the reading goes on, to find the others */
ol_status ol_conf_mistake(ol_conf_mistakes *mistakes, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** OL_OK when there are none; else OL_EUSAGE with all of them in one message, headed by `name`
 *  when they are several. Frees and empties them. */
ol_status ol_conf_report(ol_conf_mistakes *mistakes, const char *name);

#endif
