/* SPDX-License-Identifier: BSD-3-Clause */
#include "row_keys.h"

#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_GROW */
#include "outerloop/base/text.h" /* ol_text */

static int compare_rows(const void *a, const void *b)
{
    const row_key *x = a, *y = b;
    const int order = strcmp(x->digest, y->digest);

    return order != 0 ? order : (x->tag > y->tag) - (x->tag < y->tag);
}

static ol_status add_key(row_keys *keys, row_key key)
{
    OL_TRY(OL_GROW(keys->keys, keys->n, "rows to compare"));
    keys->keys[keys->n++] = key;
    return OL_OK;
}

/* @param numbered  tags are the numbers of the rows, from `tag` on */
static ol_status add(row_keys *keys, const ol_rows *rows, int tag, bool numbered)
{
    OL_AUTO_TEXT text = {0};

    for (int i = 0; i < rows->n; i++) {
        const ol_row *row = &rows->rows[i];
        row_key key = {.tag = numbered ? tag + i : tag};

        text.size = 0; /* both strings with their NUL, so that their border counts */
        OL_TRY(ol_text_append(&text, row->input, strlen(row->input) + 1));
        OL_TRY(ol_text_append(&text, row->output, strlen(row->output) + 1));
        ol_digest(text.data, text.size, key.digest);
        OL_TRY(add_key(keys, key));
    }
    return OL_OK;
}

ol_status row_keys_add(row_keys *keys, const ol_rows *rows, int tag)
{
    return add(keys, rows, tag, false);
}

ol_status row_keys_join(row_keys *keys, const row_keys *more)
{
    for (size_t i = 0; i < more->n; i++)
        OL_TRY(add_key(keys, more->keys[i]));
    return OL_OK;
}

/* By digest, then by tag. */
static void sort(row_keys *keys)
{
    if (keys->n > 0)
        qsort(keys->keys, keys->n, sizeof *keys->keys, compare_rows);
}

void row_keys_distinct(row_keys *keys)
{
    size_t kept = 0;

    sort(keys);
    for (size_t i = 0; i < keys->n; i++)
        if (kept == 0 || compare_rows(&keys->keys[kept - 1], &keys->keys[i]) != 0)
            keys->keys[kept++] = keys->keys[i];
    keys->n = kept;
}

ol_status ol_rows_drop_repeats(ol_rows *rows)
{
    OL_AUTO(row_keys_finish) row_keys keys = {0};
    OL_AUTO_FREE bool *keep = NULL;

    OL_TRY(OL_ALLOCATE(keep, rows->n, "rows"));
    OL_TRY(add(&keys, rows, 0, true));
    sort(&keys);
    for (size_t i = 0; i < keys.n; i++)
        keep[keys.keys[i].tag] =
            i == 0 || strcmp(keys.keys[i].digest, keys.keys[i - 1].digest) != 0;
    ol_rows_filter(rows, keep);
    return OL_OK;
}

size_t row_keys_first(const row_keys *keys, const char *digest)
{
    size_t low = 0, high = keys->n;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (strcmp(keys->keys[middle].digest, digest) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool row_keys_have(const row_keys *keys, const char *digest)
{
    const size_t at = row_keys_first(keys, digest);

    return at < keys->n && strcmp(keys->keys[at].digest, digest) == 0;
}

void row_keys_finish(row_keys *keys)
{
    free(keys->keys);
    *keys = (row_keys){0};
}
