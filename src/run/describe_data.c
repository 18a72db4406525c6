/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run says of its data before it starts: tasks, overlap, rows left out, tokens cut. */
#include "outerloop/base/log.h" /* ol_log_info */
#include "run_parts.h"

enum { WORST = 3 /* tasks that a warning names */ };

static const double much = 0.01; /* a share of what is cut that deserves a warning */

static void describe_overlap(const ol_setup *s)
{
    OL_AUTO_TEXT text = {0};
    size_t n;

    if (ol_overlap_describe(&s->overlap, &text) != OL_OK)
        return;
    for (const char *at = text.data, *line; (line = ol_text_line(&at, &n));)
        if (n > 0 && s->overlap.n > 0 && line == text.data)
            ol_log_warn("%.*s", (int)n, line);
        else if (n > 0)
            ol_log_info("%.*s", (int)n, line);
}

static void describe_skipped(const ol_targets *targets)
{
    for (int i = 0; i < ol_targets_tasks(targets); i++) {
        const ol_target_note *note = ol_targets_note(targets, i);

        if (note->skipped > 0)
            ol_log_warn("%s: %d of %d test rows (over its seeds) are skipped; the first: %s "
                        "(data.strict = true refuses them)",
                        ol_targets_cuts(targets)[i].task, note->skipped,
                        note->skipped + note->scored, note->first_skipped);
    }
}

/* The tasks of one role, with what the caps take of each. */
typedef struct cut_list {
    const char *role; /* "training", "target" */
    int n;
    const ol_task_cut *cuts; /* [n] */
    const ol_job_data *data;
    int shots; /* of its prompts */
    int context;
} cut_list;

/* What one of the two caps takes of examples or of prompts. */
static double share_of(const ol_cut *cut, bool prompts)
{
    return prompts ? ol_cut_share(cut->prompts_cut, cut->prompts)
                   : ol_cut_share(cut->rows_cut, cut->rows);
}

/* ": imdb (98 %), race-high (97 %), ..." */
static ol_status add_worst(const cut_list *list, bool prompts, ol_text *text)
{
    double below = 2.0;

    for (int named = 0, last = -1; named < WORST; named++) {
        int worst = -1;

        for (int i = 0; i < list->n; i++) {
            const double share = share_of(&list->cuts[i].cut, prompts);
            const bool later = share < below || (share == below && i > last);

            if (share > 0.0 && later &&
                (worst < 0 || share > share_of(&list->cuts[worst].cut, prompts)))
                worst = i;
        }
        if (worst < 0)
            return OL_OK;
        below = share_of(&list->cuts[worst].cut, prompts);
        last = worst;
        OL_TRY(ol_text_format(text, "%s %s (%.3g %%)", named == 0 ? "; most of all" : ",",
                              list->cuts[worst].task, 100.0 * below));
    }
    return OL_OK;
}

/* The key that cuts, with its value, and one that would cut nothing. */
static ol_status add_remedy(const cut_list *list, bool prompts, const ol_cut *sum, ol_text *text)
{
    const ol_job_data *data = list->data;
    const int64_t by_shots = (int64_t)data->max_tokens_per_example * list->shots;

    if (!prompts)
        return ol_text_format(text, "data.max_tokens_per_example = %d; %lld would cut none",
                              data->max_tokens_per_example, (long long)sum->need_example);
    if (list->shots > 0 && by_shots < data->max_tokens)
        return ol_text_format(text,
                              "data.max_tokens_per_example × %d shots = %lld; %lld tokens "
                              "would cut none",
                              list->shots, (long long)by_shots, (long long)sum->need_prompt);
    OL_TRY(ol_text_format(text, "data.max_tokens = %d; %lld would cut none", data->max_tokens,
                          (long long)sum->need_prompt));
    return sum->need_prompt > list->context
               ? ol_text_format(text, ", but the model has %d positions", list->context)
               : OL_OK;
}

static void warn_of(const cut_list *list, bool prompts, const ol_cut *sum)
{
    OL_AUTO_TEXT text = {0};

    if (share_of(sum, prompts) > much &&
        ol_text_format(&text, "%.3g %% of %s %s to ", 100.0 * share_of(sum, prompts), list->role,
                       prompts ? "prompts lose their first tokens"
                               : "examples lose part of their input") == OL_OK &&
        add_remedy(list, prompts, sum, &text) == OL_OK && add_worst(list, prompts, &text) == OL_OK)
        ol_log_warn("%s", text.data);
}

/* @return something is cut, or was not looked at */
static bool describe_list(const cut_list *list)
{
    ol_cut sum = {0};

    for (int i = 0; i < list->n; i++)
        ol_cut_add(&sum, &list->cuts[i].cut);
    if (sum.rows_cut == 0 && sum.prompts_cut == 0 && sum.prompts > 0)
        return false;
    ol_log_info("cut, %s: %lld of %lld examples, %lld of %lld prompts%s", list->role,
                (long long)sum.rows_cut, (long long)sum.rows, (long long)sum.prompts_cut,
                (long long)sum.prompts, sum.prompts == 0 ? " (too many to look at each)" : "");
    warn_of(list, false, &sum);
    warn_of(list, true, &sum);
    return true;
}

/* Arms that share a sampler differ in how many prompts they draw, and hardly in what is cut. */
static void describe_cuts(const ol_setup *s)
{
    cut_list list = {.role = "training", .context = s->model->spec.context};
    bool any = false;

    for (const ol_arm *arm = s->arms; arm < s->arms + s->n_arms; arm++) {
        if (!arm->sampler || arm->shares_sampler)
            continue;
        list.n = ol_sampler_tasks(arm->sampler);
        list.cuts = arm->cuts;
        list.data = &arm->job->data;
        list.shots = ol_job_demonstrations(arm->job) ? list.data->shots : 0;
        any |= describe_list(&list);
    }
    for (int with = 1; with >= 0; with--) {
        if (!s->targets[with])
            continue;
        list.role = with ? "target" : "target (without demonstrations)";
        list.n = ol_targets_tasks(s->targets[with]);
        list.cuts = ol_targets_cuts(s->targets[with]);
        list.data = &s->job->data;
        list.shots = with ? s->job->eval.shots : 0;
        any |= describe_list(&list);
    }
    if (!any)
        ol_log_info("cut: no example and no prompt");
}

void ol_setup_describe_data(const ol_setup *s)
{
    if (s->arms[0].sampler)
        ol_log_info("tasks: %s of %s: %d to train on", s->job->data.setting, s->root,
                    ol_sampler_tasks(s->arms[0].sampler));
    if (s->scored)
        describe_overlap(s);
    if (s->scored)
        describe_skipped(s->arms[0].targets);
    describe_cuts(s);
}
