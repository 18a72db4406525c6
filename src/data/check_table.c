/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of `data check`: 80 columns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_parts.h"
#include "outerloop/base/size.h" /* OL_ALLOCATE */

enum { NAME = 25, NUMBER_TEXT = 24 };

/* A line of the table: a task, or several together. */
typedef struct check_line {
    int64_t rows, twice, seen;
    int least_seeds, most_seeds;
    int32_t *lengths; /* [n] */
    size_t n;
    ol_cut cut;
    bool targets;
} check_line;

ol_status check_heading(const checker *c, ol_text *out)
{
    if (!c->spec->tokenizer)
        return ol_text_format(out, "%-*s%7s%6s%7s%7s\n", NAME, "", "rows", "seeds", "twice",
                              "seen");
    OL_TRY(ol_text_format(out, "%*s%14s%18s%14s\n", NAME, "", "", "tokens, example", "cut, %"));
    return ol_text_format(out, "%-*s%7s%6s%7s%6s%7s%7s%8s%6s%6s\n", NAME - 5, "", "rows", "seeds",
                          "median", "95 %", "most", "exam.", "prompts", "twice", "seen");
}

/* "5", or "3-5" where targets differ; "" of training tasks. */
static void seeds_text(const check_line *l, char text[NUMBER_TEXT])
{
    if (!l->targets)
        text[0] = '\0';
    else if (l->least_seeds == l->most_seeds)
        snprintf(text, NUMBER_TEXT, "%d", l->least_seeds);
    else
        snprintf(text, NUMBER_TEXT, "%d-%d", l->least_seeds, l->most_seeds);
}

/* "0", "<0.1", "12.5" */
static void percent_text(int64_t part, int64_t n, char text[NUMBER_TEXT])
{
    const double percent = 100.0 * ol_cut_share(part, n);

    if (part == 0)
        snprintf(text, NUMBER_TEXT, "0");
    else if (percent < 0.1)
        snprintf(text, NUMBER_TEXT, "<0.1");
    else
        snprintf(text, NUMBER_TEXT, "%.1f", percent);
}

static int ascending(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

static void length_text(const check_line *l, double quantile, char text[NUMBER_TEXT])
{
    if (l->n == 0)
        snprintf(text, NUMBER_TEXT, "-");
    else
        snprintf(text, NUMBER_TEXT, "%d", l->lengths[(size_t)(quantile * (double)(l->n - 1))]);
}

static ol_status add_line(const checker *c, const char *name, const check_line *l, ol_text *out)
{
    const bool tokens = c->spec->tokenizer != NULL;
    const int width = tokens ? NAME - 5 : NAME, fit = width - 1;
    char seeds[NUMBER_TEXT], seen[NUMBER_TEXT] = "", t[5][NUMBER_TEXT], shown[NAME + 1];

    snprintf(shown, sizeof shown, (int)strlen(name) > fit ? "%.*s.." : "%.*s",
             (int)strlen(name) > fit ? fit - 2 : fit, name);
    seeds_text(l, seeds);
    if (l->targets)
        snprintf(seen, sizeof seen, "%lld", (long long)l->seen);
    OL_TRY(ol_text_format(out, "%-*s%7lld%6s", width, shown, (long long)l->rows, seeds));
    if (!tokens)
        return ol_text_format(out, "%7lld%7s\n", (long long)l->twice, seen);
    if (l->n > 0)
        qsort(l->lengths, l->n, sizeof *l->lengths, ascending);
    length_text(l, 0.5, t[0]);
    length_text(l, 0.95, t[1]);
    length_text(l, 1.0, t[2]);
    percent_text(l->cut.rows_cut, l->cut.rows, t[3]);
    percent_text(l->cut.prompts_cut, l->cut.prompts, t[4]);
    return ol_text_format(out, "%7s%6s%7s%7s%8s%6lld%6s\n", t[0], t[1], t[2], t[3], t[4],
                          (long long)l->twice, seen);
}

/* Test rows that training of the setting, or a k-shot file of the task, has too. */
static int64_t count_seen(const setting_check *s, const task_check *t)
{
    int64_t seen = 0;

    for (size_t i = 0; t->target && i < t->keys.n; i++) {
        const char *digest = t->keys.keys[i].digest;

        seen += row_keys_have(&s->keys, digest) || row_keys_have(&t->shots, digest);
    }
    return seen;
}

/* Tasks first .. first+n-1 of the setting together. */
static ol_status add_tasks(const checker *c, const setting_check *s, const char *name, int first,
                           int n, ol_text *out)
{
    OL_AUTO_FREE int32_t *lengths = NULL;
    size_t n_lengths = 0;

    for (int i = first; i < first + n; i++)
        n_lengths += c->tasks[s->tasks[i]].n_lengths;
    OL_TRY(OL_ALLOCATE(lengths, n_lengths, "lengths of examples"));
    check_line l = {.lengths = lengths};

    for (int i = first; i < first + n; i++) {
        const task_check *t = &c->tasks[s->tasks[i]];

        l.targets = t->target;
        l.rows += t->rows;
        l.twice += t->twice;
        l.seen += count_seen(s, t);
        l.least_seeds = i == first || t->seeds < l.least_seeds ? t->seeds : l.least_seeds;
        l.most_seeds = t->seeds > l.most_seeds ? t->seeds : l.most_seeds;
        if (t->n_lengths > 0)
            memcpy(l.lengths + l.n, t->lengths, t->n_lengths * sizeof *l.lengths);
        l.n += t->n_lengths;
        ol_cut_add(&l.cut, &t->cut);
    }
    return add_line(c, name, &l, out);
}

static ol_status add_role(const checker *c, const setting_check *s, const char *what, int first,
                          int n, bool details, ol_text *out)
{
    char name[128];

    if (n == 0)
        return ol_text_format(out, " no %s\n", what);
    snprintf(name, sizeof name, " %d %s%s", n, what, n == 1 ? "" : "s");
    OL_TRY(add_tasks(c, s, name, first, n, out));
    for (int i = first; i < first + n && details; i++) {
        snprintf(name, sizeof name, "  %s", c->tasks[s->tasks[i]].name);
        OL_TRY(add_tasks(c, s, name, i, 1, out));
    }
    return OL_OK;
}

ol_status check_describe(const checker *c, const setting_check *s, bool details, ol_text *out)
{
    OL_TRY(ol_text_format(out, "%s\n", s->name));
    OL_TRY(add_role(c, s, "training task", 0, s->n_train, details, out));
    OL_TRY(add_role(c, s, "target", s->n_train, s->n_test, details, out));
    return s->both.data ? ol_text_format(out, "%s", s->both.data) : OL_OK;
}
