/* SPDX-License-Identifier: BSD-3-Clause */
/* What no single key of a job can say: keys that do not go together, are unused, or name nothing. */
#include <ctype.h>
#include <string.h>

#include "job_parts.h"
#include "outerloop/data/suite.h"  /* ol_suite_setting */
#include "outerloop/text/prompt.h" /* OL_DIRECT */

/* Keys that say what they say in vain. @param paths  up to a NULL */
static void check_unused(const ol_job *job, const char *const *paths, const char *why,
                         ol_conf_mistakes *mistakes)
{
    for (; *paths; paths++)
        if (!ol_job_is_preset(job, *paths))
            ol_conf_mistake(mistakes, ol_job_place(job, *paths), "%s is unused: %s", *paths, why);
}

static void check_model(const ol_job *job, ol_conf_mistakes *mistakes)
{
    static const char *const of_lora[] = {"model.lora.rank",    "model.lora.alpha",
                                          "model.lora.targets", "model.lora.path",
                                          "model.lora.rslora",  NULL};
    static const char *const of_shape[] = {"model.arch",
                                           "model.layers",
                                           "model.width",
                                           "model.heads",
                                           "model.kv_heads",
                                           "model.head_dim",
                                           "model.hidden",
                                           "model.context",
                                           "model.vocab",
                                           "model.tied",
                                           "model.norm_eps",
                                           "model.rope_theta",
                                           "model.rope_scaling",
                                           "model.rope_factor",
                                           "model.init_std",
                                           "model.rope_low_freq_factor",
                                           "model.rope_high_freq_factor",
                                           "model.rope_original_context",
                                           NULL};
    static const char *const of_frozen[] = {"model.frozen", NULL};
    const ol_job_model *m = &job->model;
    const ol_model_spec *s = &m->shape;

    if (m->init == OL_INIT_IMPORT)
        check_unused(job, of_shape, "the model at model.path has a shape of its own; take it out",
                     mistakes);
    if (m->init == OL_INIT_RANDOM && m->path[0] != '\0')
        ol_conf_mistake(mistakes, ol_job_place(job, "model.path"),
                        "model.path is unused: model.init is \"random\"; say \"import\" or "
                        "\"checkpoint\", or leave the path out");
    if (m->init != OL_INIT_RANDOM && m->path[0] == '\0')
        ol_conf_mistake(mistakes, ol_job_place(job, "model.init"),
                        "model.init wants model.path: the folder or checkpoint to start from");
    if (m->init == OL_INIT_RANDOM && s->head_dim == 0 && s->width % s->heads != 0)
        ol_conf_mistake(mistakes, ol_job_place(job, "model.width"),
                        "model.width = %d is not a multiple of model.heads = %d", s->width,
                        s->heads);
    if (!ol_job_trains(job, "lora"))
        check_unused(job, of_lora, "model.trained is not \"lora\"", mistakes);
    if (ol_job_trains(job, "all"))
        check_unused(job, of_frozen, "model.trained is \"all\", so that nothing is frozen",
                     mistakes);
    if (m->init == OL_INIT_RANDOM && job->data.max_tokens > s->context)
        ol_conf_mistake(
            mistakes, ol_job_place(job, "data.max_tokens"),
            "data.max_tokens = %d is more than model.context = %d; lower data.max_tokens "
            "to %d, or raise model.context to %d",
            job->data.max_tokens, s->context, s->context, job->data.max_tokens);
    if (job->data.max_tokens_per_example > job->data.max_tokens)
        ol_conf_mistake(mistakes, ol_job_place(job, "data.max_tokens_per_example"),
                        "data.max_tokens_per_example = %d is more than data.max_tokens = %d",
                        job->data.max_tokens_per_example, job->data.max_tokens);
}

/* Settings of one's own folders are known when those are read; the suite's are known here. */
static void check_setting(const ol_job *job, ol_conf_mistakes *mistakes)
{
    const char *names[32];
    char meant[OL_TEXT_MEANT];
    OL_AUTO_TEXT known = {0};
    size_t n = 0;

    for (; !job->data.root[0] && ol_suite_setting((int)n); n++) {
        names[n] = ol_suite_setting((int)n);
        if (strcmp(job->data.setting, names[n]) == 0)
            return;
        ol_text_format(&known, "%s%s", n > 0 ? ", " : "", names[n]);
    }
    if (n == 0)
        return;
    ol_conf_mistake(mistakes, ol_job_place(job, "data.setting"),
                    "data.setting = \"%s\" is no setting of the built-in suite%s, which has "
                    "%s; for tasks of your own name their folder, data.root",
                    job->data.setting, ol_text_meant(job->data.setting, names, n, meant),
                    known.data ? known.data : "others");
}

static void check_twice(const ol_job *job, const char *path, const ol_conf_ints *seeds,
                        ol_conf_mistakes *mistakes)
{
    for (int i = 0; i < seeds->n; i++)
        for (int j = 0; j < i; j++)
            if (seeds->items[i] == seeds->items[j])
                ol_conf_mistake(mistakes, ol_job_place(job, path), "%s has %d twice", path,
                                seeds->items[i]);
}

static void check_eval(const ol_job *job, ol_conf_mistakes *mistakes)
{
    const ol_conf_ints *seeds = &job->eval.seeds, *steps = &job->eval.adapt_steps;

    if (job->stages & (OL_STAGE_EVAL | OL_STAGE_ADAPT) && seeds->n == 0)
        ol_conf_mistake(mistakes, ol_job_place(job, "eval.seeds"),
                        "eval.seeds is empty; scoring needs at least one, as 100");
    if (job->stages & OL_STAGE_ADAPT && steps->n == 0)
        ol_conf_mistake(mistakes, ol_job_place(job, "eval.adapt_steps"),
                        "eval.adapt_steps is empty; give step counts or leave \"adapt\" out of "
                        "stages");
    check_twice(job, "eval.seeds", seeds, mistakes);
    if (job->eval.pmi && !(job->stages & OL_STAGE_EVAL))
        ol_conf_mistake(mistakes, ol_job_place(job, "eval.pmi"),
                        "eval.pmi is unused: \"eval\", which scores in context, is not among the "
                        "stages");
    if (job->eval.pmi && job->data.variant != OL_DIRECT)
        ol_conf_mistake(mistakes, ol_job_place(job, "eval.pmi"),
                        "eval.pmi is for data.variant = \"direct\": channel scores the input "
                        "itself, which PMI would take away");
    for (int i = 1; i < steps->n; i++)
        if (steps->items[i] <= steps->items[i - 1])
            ol_conf_mistake(mistakes, ol_job_place(job, "eval.adapt_steps"),
                            "eval.adapt_steps must ascend: %d stands after %d", steps->items[i],
                            steps->items[i - 1]);
}

static void check_job(const ol_job *job, ol_conf_mistakes *mistakes)
{
    if (job->stages == 0)
        ol_conf_mistake(mistakes, ol_job_place(job, "stages"),
                        "stages is empty: there is nothing to do; name \"train\", \"eval\" or "
                        "\"adapt\"");
    check_twice(job, "train_seeds", &job->train_seeds, mistakes);
    check_model(job, mistakes);
    check_setting(job, mistakes);
    check_eval(job, mistakes);
}

/* An arm's name is a folder beside the files of a run, and a row beside "untrained". */
static bool usable_name(const char *name)
{
    static const char *const taken[] = {"checkpoints", "job.cfg",       "log.txt",   "suite",
                                        "metrics.h5",  "metrics.jsonl", "untrained", "STOP",
                                        "tune",        "start",         "run.lock"};

    if (!isalnum((unsigned char)name[0]) || strlen(name) > 64)
        return false;
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
            return false;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(name, taken[i]) == 0)
            return false;
    return true;
}

/* @param path  of the job, which names it where it says no name */
static void check_names(const ol_job *job, const char *path, ol_conf_mistakes *mistakes)
{
    const char *place_of_name = ol_job_place(job, "name");

    if (!ol_text_is_name(job->name))
        ol_conf_mistake(mistakes, strcmp(place_of_name, "derived") == 0 ? path : place_of_name,
                        "name, which is the file's where the job has none, holds a line end or "
                        "another control character: it stands in lines of tables and logs; take it "
                        "out");
    for (int i = 0; i < job->n_arms; i++) {
        const char *name = job->arms[i]->name;
        const char *where = ol_conf_variant_origin(job->conf, (size_t)i);

        if (!usable_name(name))
            ol_conf_mistake(
                mistakes, where,
                "\"%s\" cannot name an arm: it becomes a folder in the output; letters, "
                "digits, \"_\", \"-\" and \".\" will do",
                name);
        for (int j = 0; j < i; j++)
            if (strcmp(name, job->arms[j]->name) == 0)
                ol_conf_mistake(mistakes, where, "two arms are called \"%s\"", name);
    }
}

/* Is the learner known, and are its settings such that it can run? */
void ol_job_check_learner(const ol_job *job, const char *where, ol_conf_mistakes *mistakes)
{
    const ol_learner_spec spec = ol_job_learner_spec(job);
    const char *names[32];
    char meant[OL_TEXT_MEANT];
    OL_AUTO_TEXT known = {0};
    size_t n = 0;

    if (spec.learner) {
        if (spec.learner->misfit && spec.learner->misfit(&spec))
            ol_conf_mistake(mistakes, where, "%s", spec.learner->misfit(&spec));
        return;
    }
    for (; ol_learner_at((int)n); n++) {
        names[n] = ol_learner_at((int)n)->name;
        ol_text_format(&known, "%s\"%s\"", n > 0 ? ", " : "", names[n]);
    }
    ol_conf_mistake(mistakes, where, "learner.algorithm = \"%s\" is no learner%s; there are %s",
                    job->learner.algorithm, ol_text_meant(job->learner.algorithm, names, n, meant),
                    known.data ? known.data : "others");
}

/* Can the learner of every cell run? */
static ol_status check_cells(const ol_job *job, ol_conf_mistakes *mistakes)
{
    for (size_t i = 0; i < ol_job_cells(job); i++) {
        OL_AUTO_JOB *cell = NULL;

        OL_TRY(ol_job_cell(job, job->tune.grid, i, &cell));
        ol_job_check_learner(cell, ol_job_place(job, "tune.grid"), mistakes);
    }
    return OL_OK;
}

static ol_status check_tuning(const ol_job *job, ol_conf_mistakes *mistakes)
{
    const unsigned with_eval = OL_STAGE_TRAIN | OL_STAGE_EVAL;
    size_t cells = ol_job_cells(job);

    OL_TRY(check_cells(job, mistakes));
    for (int i = 0; i < job->n_arms; i++) {
        const ol_job *arm = job->arms[i];

        if (strcmp(arm->tune.grid, job->tune.grid) != 0)
            OL_TRY(check_cells(arm, mistakes));
        cells += ol_job_cells(arm);
    }
    if (cells == 0)
        return OL_OK;
    if (!(job->stages & OL_STAGE_ADAPT) && (job->stages & with_eval) != with_eval)
        ol_conf_mistake(mistakes, ol_job_place(job, "tune.grid"),
                        "tune.grid wants scores that it makes a difference to: name \"adapt\" in "
                        "stages, or \"train\" and \"eval\"");
    if (job->data.holdout > 0)
        ol_conf_mistake(mistakes, ol_job_place(job, "data.holdout"),
                        "data.holdout and tune.grid do not go together: tuning holds tune.holdout "
                        "tasks out, and what is tuned is scored on the targets");
    return OL_OK;
}

ol_status ol_job_check(const ol_job *job, const char *path, ol_conf_mistakes *mistakes)
{
    check_job(job, mistakes);
    if (mistakes->n == 0)
        OL_TRY(check_tuning(job, mistakes));
    check_names(job, path, mistakes);
    return OL_OK;
}
