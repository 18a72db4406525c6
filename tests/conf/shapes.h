/* SPDX-License-Identifier: BSD-3-Clause */
/* A table of the tests' own, with a key of every type, and what they ask of the reader. */
#ifndef TESTS_CONF_SHAPES_H
#define TESTS_CONF_SHAPES_H

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "outerloop/conf/conf.h"

struct values {
    int size;
    int64_t seed;
    double rate, share;
    bool quick;
    char *title;
    int shape;
    unsigned parts;
    ol_conf_ints list;
    int depth;
    ol_conf_strings names, tags;
    char *grid;
    int many;
};

static const char *const shapes[] = {"round", "square", NULL};
static const char *const parts[] = {"head", "body", "tail", NULL};

#define AT(member) offsetof(struct values, member)
static const ol_conf_key keys[] = {
    {"size", OL_CONF_INT, AT(size), "3", 1, 10, 0, NULL, "m", "how large"},
    {"seed", OL_CONF_LONG, AT(seed), "1", 0, 9007199254740991.0, 0, NULL, "", "random"},
    {"rate", OL_CONF_REAL, AT(rate), "0.1", 0, INFINITY, OL_CONF_ABOVE, NULL, "", "speed"},
    {"share", OL_CONF_REAL, AT(share), "0.5", 0, 1, OL_CONF_BELOW, NULL, "", "part"},
    {"quick", OL_CONF_BOOL, AT(quick), "true", 0, 0, 0, NULL, "", "or slow"},
    {"title", OL_CONF_STRING, AT(title), "\"none\"", 0, 0, 0, NULL, "", "text"},
    {"form.shape", OL_CONF_WORD, AT(shape), "\"round\"", 0, 0, 0, shapes, "", "outline"},
    {"form.parts", OL_CONF_WORDS, AT(parts), "[\"head\"]", 0, 0, 0, parts, "", "what it has"},
    {"form.list", OL_CONF_INTS, AT(list), "[1, 2]", 0, 99, 0, NULL, "", "numbers"},
    {"form.names", OL_CONF_STRINGS, AT(names), "\"all\"", 0, 0, 0, NULL, "", "patterns"},
    {"form.deep.depth", OL_CONF_INT, AT(depth), "7", INT_MIN, INT_MAX, 0, NULL, "", "depth"},
    {"plan.grid", OL_CONF_GRID, AT(grid), "()", 0, 0, 0, NULL, "", "choices"},
    {"plan.many", OL_CONF_INT, AT(many), "1", 0, 9, 0, NULL, "", "how many"},
    {"tags", OL_CONF_STRINGS, AT(tags), "[]", 0, 0, 0, NULL, "", "labels"},
};
static const ol_conf_table table = {.keys = keys,
                                    .n = sizeof keys / sizeof keys[0],
                                    .size = sizeof(struct values),
                                    .list = "kinds",
                                    .below = "form",
                                    .also = "plan.grid",
                                    .help = "variants"};

static inline ol_status read_text(const char *text, struct values *values, ol_conf **conf)
{
    return ol_conf_read_text(table, "a.cfg", text, strlen(text), NULL, 0, values, conf);
}

static inline ol_status read_set(const char *set, struct values *values, ol_conf **conf)
{
    return ol_conf_read(table, NULL, &set, 1, values, conf);
}

static inline void finish(struct values *values, ol_conf *conf)
{
    ol_conf_finish(table, values);
    ol_conf_destroy(conf);
}

/* The message must contain each of the words. */
static inline void assert_said(const char *const *words)
{
    for (; *words; words++)
        if (!strstr(ol_status_message(), *words))
            fail_msg("no \"%s\" in: %s", *words, ol_status_message());
}

#define SAID(...) assert_said((const char *const[]){__VA_ARGS__, NULL})

static inline void refused(const char *text)
{
    struct values values;
    ol_conf *conf;

    assert_int_equal(read_text(text, &values, &conf), OL_EUSAGE);
    assert_null(conf);
    assert_null(values.title);
    assert_null(values.names.items);
}

static inline void set_refused(const char *set)
{
    struct values values;
    ol_conf *conf;

    assert_int_equal(read_set(set, &values, &conf), OL_EUSAGE);
    SAID("--set", set);
}

/* At most two strings: a, b, or fewer where they are NULL. */
static inline void assert_strings(const ol_conf_strings *strings, const char *a, const char *b)
{
    assert_int_equal(strings->n, !!a + !!b);
    assert_true(!strings->items == !a);
    if (a)
        assert_string_equal(strings->items[0], a);
    if (b)
        assert_string_equal(strings->items[1], b);
}

#endif
