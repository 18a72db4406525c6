/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* What separates a path that was written from a known one. A letter of the last part weighs as much
 * as another group: train.stpes is train.steps, and data.steps a key called steps elsewhere. */
enum {
    LETTER = 3,      /* a letter of the last part                              */
    OTHER_GROUP = 3, /* a group of another name; one letter off, only 1        */
    FORGOTTEN = 1,   /* a group of the known path that was left out            */
    EXCESS = 4,      /* a group that the known path does not have              */
};

enum { MOST_PARTS = 8 };

/* "learner.inner.lr" in three. */
struct parts {
    size_t n;
    char part[MOST_PARTS][LONGEST_PATH];
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The first n bytes of `path` in parts; false where they are too many. */
static bool split(const char *path, size_t n, struct parts *parts)
{
    const char *const end = path + n;

    parts->n = 0;
    while (parts->n < MOST_PARTS) {
        const size_t size = least(strcspn(path, "."), (size_t)(end - path));

        snprintf(parts->part[parts->n++], LONGEST_PATH, "%.*s", (int)size, path);
        path += size + 1;
        if (path > end)
            return true;
    }
    return false;
}

/* As ol_text_nearest has it: at most half of the letters differ. */
static bool is_near(const char *said, const char *known)
{
    return ol_text_distance(said, known) <= strlen(said) / 2;
}

/* Between all parts but the last: an edit distance whose letters are groups. */
static size_t group_distance(const struct parts *said, const struct parts *known)
{
    size_t d[MOST_PARTS][MOST_PARTS];

    for (size_t i = 0; i < said->n; i++)
        for (size_t j = 0; j < known->n; j++) {
            d[i][j] = i == 0 ? j * FORGOTTEN : i * EXCESS;
            if (i == 0 || j == 0)
                continue;
            const size_t letters = ol_text_distance(said->part[i - 1], known->part[j - 1]);

            d[i][j] = least(d[i - 1][j - 1] + least(letters, OTHER_GROUP),
                            least(d[i - 1][j] + EXCESS, d[i][j - 1] + FORGOTTEN));
        }
    return d[said->n - 1][known->n - 1];
}

/* Part by part; SIZE_MAX when the last parts are not near: then it is another key. */
static size_t distance(const struct parts *said, const struct parts *known)
{
    const char *const leaf = said->part[said->n - 1], *const other = known->part[known->n - 1];

    if (!is_near(leaf, other))
        return SIZE_MAX;
    return LETTER * ol_text_distance(leaf, other) + group_distance(said, known);
}

/* The search for the nearest of the known paths. */
struct search {
    const char *path; /* as written */
    struct parts said;
    size_t best;
    char *nearest; /* [NEAREST] */
};

/* The first n bytes of `known`: the nearest so far? A dot for another letter, as in
 * train.checkpoint.every, is seen on the whole path only. */
static void consider(struct search *search, const char *known, size_t n)
{
    char whole[LONGEST_PATH];
    struct parts parts;
    size_t found = SIZE_MAX;

    snprintf(whole, sizeof whole, "%.*s", (int)n, known);
    if (split(known, n, &parts))
        found = distance(&search->said, &parts);
    if (is_near(search->path, whole))
        found = least(found, LETTER * ol_text_distance(search->path, whole));
    if (found < search->best) {
        search->best = found;
        snprintf(search->nearest, NEAREST, "%s", whole);
    }
}

/* "list.NAME.below.key" with `list` misspelt: no known path has `below` so far inside. */
static bool means_variant(ol_conf_table table, const struct parts *said)
{
    for (size_t i = 2; table.list && i < said->n; i++)
        if (strcmp(said->part[i], table.below) == 0)
            return is_near(said->part[0], table.list);
    return false;
}

void ol_conf_nearest(ol_conf_table table, const char *path, char nearest[NEAREST])
{
    struct search search = {.path = path, .best = SIZE_MAX, .nearest = nearest};

    nearest[0] = '\0';
    if (!split(path, strlen(path), &search.said))
        return;
    if (means_variant(table, &search.said)) {
        snprintf(nearest, NEAREST, "%s%s", table.list, strchr(path, '.'));
        return;
    }
    for (size_t i = 0; i < table.n; i++) {
        const char *key = table.keys[i].path;

        for (const char *dot = strchr(key, '.'); dot; dot = strchr(dot + 1, '.'))
            consider(&search, key, (size_t)(dot - key)); /* a group */
        consider(&search, key, strlen(key));
    }
    if (table.list)
        consider(&search, table.list, strlen(table.list));
}
