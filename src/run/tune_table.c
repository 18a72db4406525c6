/* SPDX-License-Identifier: BSD-3-Clause */
/* The cells of each grid with their scores, and which was chosen. */
#include <stdio.h>
#include <string.h>

#include "tune_parts.h"

/* A value without the quotes of a word. */
static ol_status append_plainly(size_t key, const ol_job *values, ol_text *text)
{
    OL_AUTO_TEXT value = {0};

    OL_TRY(ol_conf_value(ol_job_keys, key, values, &value));
    return value.data[0] == '"' ? ol_text_append(text, value.data + 1, value.size - 2)
                                : ol_text_append(text, value.data, value.size);
}

/* "inner.lr 0.1  outer.lr 0.003" */
static ol_status name_cell(const tune_search *s, const ol_job *job, const tune_subject *of, int c,
                           ol_text *text)
{
    OL_AUTO_JOB *alone = NULL;

    OL_TRY(ol_job_cell(job, of->job->tune.grid, (size_t)c, &alone));
    for (size_t key = 0; key < ol_job_keys.n; key++) {
        const char *path = ol_job_keys.keys[key].path;

        if (!ol_conf_own(alone->conf, key) || !tune_counts_for(s, path))
            continue;
        OL_TRY(ol_text_format(text, "%s%s ", text->size > 0 ? "  " : "", path + TUNE_LEARNER));
        OL_TRY(append_plainly(key, alone, text));
    }
    return OL_OK;
}

/* Cells of the start that are one in what adaptation uses stand once. */
static bool stood_before(const tune_subject *of, int c)
{
    for (int i = 0; i < c; i++)
        if (of->arm[i] == of->arm[c])
            return true;
    return false;
}

static ol_status table_row(const tune_search *s, const ol_job *job, const tune_subject *of, int c,
                           int width, ol_text *out)
{
    OL_AUTO_TEXT name = {0};

    OL_TRY(name_cell(s, job, of, c, &name));
    OL_TRY(ol_text_format(out, "  %c %-*s", of->arm[c] == of->arm[of->best] ? '*' : ' ', width,
                          name.data ? name.data : ""));
    for (int i = 0; i <= s->counts; i++)
        OL_TRY(ol_text_format(out, "%10.1f", 100 * tune_means(s, of, c)[i]));
    return ol_text_format(out, "\n");
}

static ol_status table_of(const tune_search *s, const ol_job *job, const tune_subject *of,
                          ol_text *out)
{
    int width = (int)strlen(of->name) - 2;

    for (int c = 0; c < of->n; c++) {
        OL_AUTO_TEXT name = {0};

        OL_TRY(name_cell(s, job, of, c, &name));
        if ((int)name.size > width)
            width = (int)name.size;
    }
    OL_TRY(ol_text_format(out, "\n%-*s", width + 4, of->name));
    for (int i = 0; i < s->counts; i++) {
        char head[32] = "0 steps";

        if (s->job->stages & OL_STAGE_ADAPT)
            snprintf(head, sizeof head, "%d step%s", s->job->eval.adapt_steps.items[i],
                     s->job->eval.adapt_steps.items[i] == 1 ? "" : "s");
        OL_TRY(ol_text_format(out, "%10s", head));
    }
    OL_TRY(ol_text_format(out, "      mean\n"));
    for (int c = 0; c < of->n; c++)
        if (!stood_before(of, c))
            OL_TRY(table_row(s, job, of, c, width, out));
    return OL_OK;
}

ol_status tune_table(const tune_search *searches, const ol_job *job, ol_text *out)
{
    OL_TRY(ol_text_format(
        out,
        "tuning: mean scores in %% of %d training tasks that were held out, %d seed%s "
        "each; * is chosen\n",
        job->tune.holdout, job->eval.seeds.n, job->eval.seeds.n == 1 ? "" : "s"));
    for (const tune_search *s = searches; s < searches + 2; s++)
        for (int k = 0; k < s->n_subjects; k++)
            OL_TRY(table_of(s, job, &s->subjects[k], out));
    return OL_OK;
}
