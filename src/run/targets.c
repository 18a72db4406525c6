/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_ALLOCATE */
#include "outerloop/data/task.h" /* ol_setting_read */

struct ol_targets {
    ol_targets_spec spec;
    ol_setting setting;
    ol_tokenizer *tokenizer; /* borrowed */
    bool *unseen;            /* [n_tasks] */
    const char **groups;     /* [n_tasks] names, of `setting`; "" for none */
    double *costs;           /* [n_tasks, n_seeds] tokens of all prompts */
    ol_task_cut *cuts;       /* [n_tasks] */
    ol_target_note *notes;   /* [n_tasks] */

    ol_target *target; /* the item at hand, and what eval borrows of it */
    ol_batch prompts, support, nulls;
    int *null_of;                 /* [prompts] */
    int *options_per_row;         /* [rows] */
    const char **options, **gold; /* [prompts], [rows] */
    char name[512];
};

static void put_away(ol_targets *t)
{
    ol_target_destroy(t->target);
    t->target = NULL;
    free(t->options_per_row);
    free(t->options);
    free(t->gold);
    t->options_per_row = NULL;
    t->options = t->gold = NULL;
    free(t->null_of);
    t->null_of = NULL;
    ol_batch_clear(&t->nulls);
    ol_batch_clear(&t->prompts);
    ol_batch_clear(&t->support);
}

static ol_status read_target(ol_targets *t, int task, int seed)
{
    ol_target_spec spec = t->spec.each;

    spec.named_in = t->setting.path;
    spec.task = t->setting.test.names[task];
    spec.seed = t->spec.seeds[seed];
    spec.held_out = t->setting.held_out;
    put_away(t);
    snprintf(t->name, sizeof t->name, "%s, seed %d", spec.task, spec.seed);
    OL_TRY(ol_target_create(&spec, t->tokenizer, &t->target));
    for (int row = 0; row < ol_target_rows(t->target); row++)
        OL_TRY(ol_target_row_prompts(t->target, row, &t->prompts));
    if (t->spec.pmi) {
        OL_TRY(OL_ALLOCATE(t->null_of, t->prompts.B, t->name));
        OL_TRY(ol_target_null_prompts(t->target, &t->nulls, t->null_of));
    }
    return spec.adapt_rows > 0 ? ol_target_adaptation(t->target, &t->support) : OL_OK;
}

/* Texts of options and right answers, as eval wants them. */
static ol_status list_options(ol_targets *t)
{
    const int rows = ol_target_rows(t->target);
    size_t at = 0;

    OL_TRY(OL_ALLOCATE(t->options_per_row, rows, t->name));
    OL_TRY(OL_ALLOCATE(t->gold, rows, t->name));
    OL_TRY(OL_ALLOCATE(t->options, t->prompts.B, t->name));
    for (int row = 0; row < rows; row++) {
        t->options_per_row[row] = ol_target_options(t->target, row);
        for (int i = 0; i < t->options_per_row[row]; i++)
            t->options[at++] = ol_target_option(t->target, row, i);
        t->gold[row] = ol_target_option(t->target, row, ol_target_gold(t->target, row));
    }
    return OL_OK;
}

static ol_status give_target(void *payload, int task, int seed, ol_eval_target *out)
{
    ol_targets *t = payload;

    OL_TRY(read_target(t, task, seed));
    OL_TRY(list_options(t));
    *out = (ol_eval_target){
        .name = t->name,
        .metric = ol_target_metric(t->target),
        .rows = ol_target_rows(t->target),
        .options_per_row = t->options_per_row,
        .options = t->options,
        .gold = t->gold,
        .prompts = &t->prompts,
        .support = t->spec.each.adapt_rows > 0 ? &t->support : NULL,
        .nulls = t->spec.pmi ? &t->nulls : NULL,
        .null_of = t->null_of,
    };
    return OL_OK;
}

static ol_status read_setting(ol_targets *t)
{
    size_t n;

    OL_TRY(ol_setting_read(t->spec.each.root, t->spec.setting, &t->setting));
    OL_TRY(ol_setting_hold_out(t->spec.each.root, t->spec.holdout, &t->setting));
    OL_CHECK(t->setting.test.n > 0, OL_EDATA, "%s: its list `test` is empty: nothing to score",
             t->setting.path);
    n = (size_t)t->setting.test.n;
    OL_TRY(OL_ALLOCATE(t->unseen, n, "targets"));
    OL_TRY(OL_ALLOCATE(t->costs, n * (size_t)t->spec.n_seeds, "targets"));
    OL_TRY(OL_ALLOCATE(t->groups, n, "targets"));
    OL_TRY(OL_ALLOCATE(t->cuts, n, "targets"));
    OL_TRY(OL_ALLOCATE(t->notes, n, "targets"));
    for (size_t i = 0; i < n; i++) {
        t->cuts[i].task = t->setting.test.names[i];
        t->unseen[i] = ol_names_have(&t->setting.unseen_domain_test, t->cuts[i].task);
        t->groups[i] = ol_setting_group(&t->setting, t->cuts[i].task);
    }
    return OL_OK;
}

/* What reading the item at hand has shown of its task. */
static ol_status take_note(ol_targets *t, int task)
{
    ol_target_note *note = &t->notes[task];
    const char *first;

    note->skipped += ol_target_skipped(t->target, &first);
    note->scored += ol_target_rows(t->target);
    ol_cut_add(&t->cuts[task].cut, ol_target_cut(t->target));
    if (!first || note->first_skipped)
        return OL_OK;
    note->first_skipped = strdup(first);
    OL_CHECK(note->first_skipped, OL_ENOMEM, "%s: no memory for it", t->name);
    return OL_OK;
}

/* Build every prompt once: the first fault ends it here rather than after training. */
static ol_status check_all(ol_targets *t)
{
    for (int task = 0; task < t->setting.test.n; task++)
        for (int seed = 0; seed < t->spec.n_seeds; seed++) {
            int64_t tokens;

            OL_TRY(read_target(t, task, seed));
            if (ol_batch_longest(&t->prompts) > t->spec.context ||
                ol_batch_longest(&t->support) > t->spec.context)
                OL_TRY(ol_target_check_context(t->target, t->spec.context));
            tokens = ol_batch_tokens(&t->prompts) + ol_batch_tokens(&t->support) +
                     ol_batch_tokens(&t->nulls);
            t->costs[task * t->spec.n_seeds + seed] = (double)tokens;
            OL_TRY(take_note(t, task));
        }
    put_away(t);
    return OL_OK;
}

OL_DROPS(ol_targets, ol_targets_close)

ol_status ol_targets_open(const ol_targets_spec *spec, ol_tokenizer *tokenizer, ol_targets **out)
{
    OL_AUTO(ol_targets_drop) ol_targets *t = calloc(1, sizeof *t);

    *out = NULL;
    OL_CHECK(t, OL_ENOMEM, "no memory for targets");
    t->tokenizer = tokenizer;
    t->spec = *spec;
    OL_TRY(read_setting(t));
    OL_TRY(check_all(t));
    return OL_GIVE(out, t);
}

void ol_targets_close(ol_targets *t)
{
    if (!t)
        return;
    put_away(t);
    ol_batch_finish(&t->prompts);
    ol_batch_finish(&t->support);
    ol_batch_finish(&t->nulls);
    free(t->unseen);
    free(t->groups);
    free(t->costs);
    for (int i = 0; t->notes && i < t->setting.test.n; i++)
        free(t->notes[i].first_skipped);
    free(t->notes);
    free(t->cuts);
    ol_setting_finish(&t->setting);
    free(t);
}

int ol_targets_tasks(const ol_targets *t)
{
    return t->setting.test.n;
}

const ol_task_cut *ol_targets_cuts(const ol_targets *t)
{
    return t->cuts;
}

const ol_target_note *ol_targets_note(const ol_targets *t, int task)
{
    return &t->notes[task];
}

ol_evaluation_spec ol_targets_evaluation(ol_targets *t)
{
    return (ol_evaluation_spec){.tasks = (const char *const *)t->setting.test.names,
                                .n_tasks = t->setting.test.n,
                                .unseen = t->unseen,
                                .groups = t->groups,
                                .seeds = t->spec.seeds,
                                .n_seeds = t->spec.n_seeds,
                                .costs = t->costs,
                                .source = give_target,
                                .payload = t};
}
