/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/job/job.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job_parts.h"
#include "outerloop/base/file.h"   /* ol_read_file */
#include "outerloop/data/suite.h"  /* ol_suite_setting */
#include "outerloop/job/start.h"   /* ol_start_shape */
#include "outerloop/text/prompt.h" /* OL_DIRECT */

/* Where the value of `path` stood, for messages. */
static const char *place(const ol_job *job, const char *path)
{
    return ol_conf_origin(job->conf, ol_conf_find(ol_job_keys, path));
}

/* Replace an owned string by three in a row. */
static ol_status join(char **string, const char *a, const char *b, const char *c)
{
    const size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
    char *made = malloc(size);

    OL_CHECK(made, OL_ENOMEM, "no memory for a job");
    snprintf(made, size, "%s%s%s", a, b, c);
    free(*string);
    *string = made;
    return OL_OK;
}

static bool is_lora(const ol_job *job)
{
    const ol_conf_strings *trained = &job->model.trained;

    return trained->n == 1 && strcmp(trained->items[0], "lora") == 0;
}

/* The targets that peft takes for the family. */
static ol_status usual_targets(ol_job *job)
{
    static const char *const gpt2[] = {"c_attn"}, *const others[] = {"q_proj", "v_proj"};
    ol_model_spec spec;

    OL_TRY(ol_start_shape(job, &spec));
    return spec.family == OL_GPT2 ? ol_conf_strings_set(&job->model.lora.targets, 1, gpt2)
                                  : ol_conf_strings_set(&job->model.lora.targets, 2, others);
}

/* name, output, targets and eval.shots where the file leaves them to us. */
static ol_status resolve(ol_job *job, const char *path)
{
    if (job->name[0] == '\0') {
        const char *slash = strrchr(path, '/');
        const char *base = slash ? slash + 1 : path;
        const size_t n = strlen(base);

        OL_TRY(join(&job->name, base, "", ""));
        if (n > 4 && strcmp(base + n - 4, ".cfg") == 0)
            job->name[n - 4] = '\0';
        OL_TRY(ol_conf_derived(job->conf, "name"));
    }
    ol_path_trim(job->output);
    if (job->output[0] == '\0') {
        OL_TRY(join(&job->output, "runs/", job->name, ""));
        OL_TRY(ol_conf_derived(job->conf, "output"));
    }
    if (is_lora(job) && job->model.lora.path[0])
        OL_TRY(ol_job_take_adapter(job));
    if (job->model.lora.targets.n == 0 && is_lora(job)) {
        OL_TRY(usual_targets(job));
        OL_TRY(ol_conf_derived(job->conf, "model.lora.targets"));
    }
    if (job->eval.shots < 0) {
        job->eval.shots = job->data.shots;
        OL_TRY(ol_conf_derived(job->conf, "eval.shots"));
    }
    return OL_OK;
}

bool ol_job_is_preset(const ol_job *job, const char *path)
{
    const size_t key = ol_conf_find(ol_job_keys, path);
    const char *preset = ol_job_keys.keys[key].preset;
    OL_AUTO_TEXT value = {0};

    return ol_conf_value(ol_job_keys, key, job, &value) == OL_OK &&
           (strcmp(value.data, preset) == 0 || (ol_job_keys.keys[key].type == OL_CONF_REAL &&
                                                strtod(value.data, NULL) == strtod(preset, NULL)));
}

static void check_model(const ol_job *job, ol_conf_mistakes *mistakes)
{
    static const char *const of_lora[] = {"model.lora.rank", "model.lora.alpha",
                                          "model.lora.targets", "model.lora.path",
                                          "model.lora.rslora"};
    static const char *const of_shape[] = {
        "model.arch",         "model.layers",      "model.width",    "model.heads",
        "model.kv_heads",     "model.head_dim",    "model.hidden",   "model.context",
        "model.vocab",        "model.tied",        "model.norm_eps", "model.rope_theta",
        "model.rope_scaling", "model.rope_factor", "model.init_std"};
    const ol_job_model *m = &job->model;
    const ol_model_spec *s = &m->shape;

    for (size_t i = 0; i < sizeof of_shape / sizeof *of_shape && m->init == OL_INIT_IMPORT; i++)
        if (!ol_job_is_preset(job, of_shape[i]))
            ol_conf_mistake(mistakes, place(job, of_shape[i]),
                            "%s is unused: the model at model.path has a shape of its own; take it "
                            "out",
                            of_shape[i]);

    if (m->init == OL_INIT_RANDOM && m->path[0] != '\0')
        ol_conf_mistake(mistakes, place(job, "model.path"),
                        "model.path is unused: model.init is \"random\"; say \"import\" or "
                        "\"checkpoint\", or leave the path out");
    if (m->init != OL_INIT_RANDOM && m->path[0] == '\0')
        ol_conf_mistake(mistakes, place(job, "model.init"),
                        "model.init wants model.path: the folder or checkpoint to start from");
    if (m->init == OL_INIT_RANDOM && s->head_dim == 0 && s->width % s->heads != 0)
        ol_conf_mistake(mistakes, place(job, "model.width"),
                        "model.width = %d is not a multiple of model.heads = %d", s->width,
                        s->heads);
    for (size_t i = 0; i < sizeof of_lora / sizeof *of_lora && !is_lora(job); i++)
        if (!ol_job_is_preset(job, of_lora[i]))
            ol_conf_mistake(mistakes, place(job, of_lora[i]),
                            "%s is unused: model.trained is not \"lora\"", of_lora[i]);
    if (m->init == OL_INIT_RANDOM && job->data.max_tokens > s->context)
        ol_conf_mistake(
            mistakes, place(job, "data.max_tokens"),
            "data.max_tokens = %d is more than model.context = %d; lower data.max_tokens "
            "to %d, or raise model.context to %d",
            job->data.max_tokens, s->context, s->context, job->data.max_tokens);
    if (job->data.max_tokens_per_example > job->data.max_tokens)
        ol_conf_mistake(mistakes, place(job, "data.max_tokens_per_example"),
                        "data.max_tokens_per_example = %d is more than data.max_tokens = %d",
                        job->data.max_tokens_per_example, job->data.max_tokens);
}

/* Settings of one's own folders are known when those are read; the suite's are known here. */
static void check_setting(const ol_job *job, ol_conf_mistakes *mistakes)
{
    const char *names[32], *near;
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
    near = ol_text_nearest(job->data.setting, names, n);
    ol_conf_mistake(mistakes, place(job, "data.setting"),
                    "data.setting = \"%s\" is no setting of the built-in suite%s%s%s, which has "
                    "%s; for tasks of your own name their folder, data.root",
                    job->data.setting, near ? " (did you mean \"" : "", near ? near : "",
                    near ? "\"?)" : "", known.data ? known.data : "others");
}

static void check_twice(const ol_job *job, const char *path, const ol_conf_ints *seeds,
                        ol_conf_mistakes *mistakes)
{
    for (int i = 0; i < seeds->n; i++)
        for (int j = 0; j < i; j++)
            if (seeds->items[i] == seeds->items[j])
                ol_conf_mistake(mistakes, place(job, path), "%s has %d twice", path,
                                seeds->items[i]);
}

static void check_eval(const ol_job *job, ol_conf_mistakes *mistakes)
{
    const ol_conf_ints *seeds = &job->eval.seeds, *steps = &job->eval.adapt_steps;

    if (job->stages & (OL_STAGE_EVAL | OL_STAGE_ADAPT) && seeds->n == 0)
        ol_conf_mistake(mistakes, place(job, "eval.seeds"),
                        "eval.seeds is empty; scoring needs at least one, as 100");
    if (job->stages & OL_STAGE_ADAPT && steps->n == 0)
        ol_conf_mistake(mistakes, place(job, "eval.adapt_steps"),
                        "eval.adapt_steps is empty; give step counts or leave \"adapt\" out of "
                        "stages");
    check_twice(job, "eval.seeds", seeds, mistakes);
    if (job->eval.pmi && !(job->stages & OL_STAGE_EVAL))
        ol_conf_mistake(mistakes, place(job, "eval.pmi"),
                        "eval.pmi is unused: \"eval\", which scores in context, is not among the "
                        "stages");
    if (job->eval.pmi && job->data.variant != OL_DIRECT)
        ol_conf_mistake(mistakes, place(job, "eval.pmi"),
                        "eval.pmi is for data.variant = \"direct\": channel scores the input "
                        "itself, which PMI would take away");
    for (int i = 1; i < steps->n; i++)
        if (steps->items[i] <= steps->items[i - 1])
            ol_conf_mistake(mistakes, place(job, "eval.adapt_steps"),
                            "eval.adapt_steps must ascend: %d stands after %d", steps->items[i],
                            steps->items[i - 1]);
}

static void check_job(const ol_job *job, ol_conf_mistakes *mistakes)
{
    if (job->stages == 0)
        ol_conf_mistake(mistakes, place(job, "stages"),
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

static void check_arm_names(const ol_job *job, ol_conf_mistakes *mistakes)
{
    for (int i = 0; i < job->n_arms; i++) {
        const char *name = job->arms[i]->name;
        const char *where = ol_conf_variant_origin(job->conf, (size_t)i);

        if (!usable_name(name))
            ol_conf_mistake(
                mistakes, "arms",
                "\"%s\" cannot name an arm: it becomes a folder in the output; letters, "
                "digits, \"_\", \"-\" and \".\" will do",
                name);
        for (int j = 0; j < i; j++)
            if (strcmp(name, job->arms[j]->name) == 0)
                ol_conf_mistake(mistakes, where, "two arms are called \"%s\"", name);
    }
}

/* Is the learner known, and are its settings such that it can run? */
static void check_learner(const ol_job *job, const char *where, ol_conf_mistakes *mistakes)
{
    const ol_learner_spec spec = ol_job_learner_spec(job);
    const char *names[32], *near;
    ol_text known = {0};
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
    near = ol_text_nearest(job->learner.algorithm, names, n);
    ol_conf_mistake(mistakes, where, "learner.algorithm = \"%s\" is no learner%s%s%s; there are %s",
                    job->learner.algorithm, near ? " (did you mean \"" : "", near ? near : "",
                    near ? "\"?)" : "", known.data ? known.data : "others");
    ol_text_finish(&known);
}

size_t ol_job_cells(const ol_job *job)
{
    return ol_conf_cells(job->tune.grid);
}

ol_status ol_job_cell(const ol_job *job, const char *grid, size_t i, ol_job **cell)
{
    const size_t key = ol_conf_find(ol_job_keys, "tune.grid");
    ol_conf *conf = NULL;
    ol_status status;

    *cell = calloc(1, sizeof **cell);
    OL_CHECK(*cell, OL_ENOMEM, "no memory for a job");
    status = ol_conf_cell(job->conf, job, key, grid, i, *cell, &conf);
    (*cell)->conf = conf;
    (*cell)->n_arms = 0; /* they are the job's */
    (*cell)->arms = NULL;
    if (status != OL_OK) {
        free(*cell);
        *cell = NULL;
    }
    return status;
}

/* Can the learner of every cell run? */
static ol_status check_cells(const ol_job *job, ol_conf_mistakes *mistakes)
{
    for (size_t i = 0; i < ol_job_cells(job); i++) {
        OL_AUTO_JOB *cell = NULL;

        OL_TRY(ol_job_cell(job, job->tune.grid, i, &cell));
        check_learner(cell, place(job, "tune.grid"), mistakes);
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
        ol_conf_mistake(mistakes, place(job, "tune.grid"),
                        "tune.grid wants scores that it makes a difference to: name \"adapt\" in "
                        "stages, or \"train\" and \"eval\"");
    if (job->data.holdout > 0)
        ol_conf_mistake(mistakes, place(job, "data.holdout"),
                        "data.holdout and tune.grid do not go together: tuning holds tune.holdout "
                        "tasks out, and what is tuned is scored on the targets");
    return OL_OK;
}

ol_learner_spec ol_job_learner_spec(const ol_job *job)
{
    const ol_job_inner *in = &job->learner.inner;
    ol_learner_spec spec = {
        .learner = ol_learner_find(job->learner.algorithm),
        .order = job->learner.order,
        .steps = in->steps,
        .inner = (ol_optimizer)in->optimizer,
        .adam = {.lr = in->lr,
                 .beta1 = in->beta1,
                 .beta2 = in->beta2,
                 .eps = in->eps,
                 .eps_root = in->eps_root,
                 .weight_decay = in->weight_decay},
        .moments = (ol_moments)in->moments,
        .storage = (ol_storage)in->storage,
        .storage_bytes = (size_t)in->storage_mib << 20,
        .rates = (ol_rates)job->learner.rates.per,
    };

    if (spec.learner) {
        spec.measure_share = job->train.second_order_share && ol_learner_exact(&spec);
    }
    return spec;
}

ol_outer_spec ol_job_outer_spec(const ol_job *job, int64_t s)
{
    const ol_job_outer *o = &job->learner.outer;
    const ol_schedule_shape shape = (ol_schedule_shape)o->schedule;
    const double lr =
        ol_learner_find(job->learner.algorithm)->interpolates ? o->interpolation : o->lr;
    const double own_lr = job->learner.rates.lr > 0 ? job->learner.rates.lr : o->lr;
    const int steps = job->train.steps;

    return (ol_outer_spec){.adam = {.lr = ol_schedule_rate(shape, lr, o->warmup, steps, s),
                                    .beta1 = o->beta1,
                                    .beta2 = o->beta2,
                                    .eps = o->eps,
                                    .eps_root = o->eps_root,
                                    .weight_decay = o->weight_decay},
                           .own_lr = ol_schedule_rate(shape, own_lr, o->warmup, steps, s),
                           .max_grad_norm = o->max_grad_norm};
}

const char *ol_job_order_text(const ol_job *job)
{
    if (!ol_learner_find(job->learner.algorithm)->ordered)
        return "";
    return job->learner.order == 2 ? ", order 2" : ", order 1";
}

bool ol_job_demonstrations(const ol_job *job)
{
    return job->learner.demonstrations && ol_learner_find(job->learner.algorithm)->demonstrations;
}

double ol_job_evaluations_per_step(const ol_job *job)
{
    const ol_job_learner *l = &job->learner;
    const ol_learner_spec spec = ol_job_learner_spec(job);

    return l->episodes * spec.learner->evaluations(&spec, l->support, l->query);
}

/* As many meta-steps of the arm as cost what `steps` of the base learner do; `least` or more. */
static int equal_work(const ol_job *job, const ol_job *arm, int steps, int least)
{
    const double equal =
        round(steps * ol_job_evaluations_per_step(job) / ol_job_evaluations_per_step(arm));

    return equal < least ? least : equal > INT_MAX ? INT_MAX : (int)equal;
}

/* Arm i: its learner, and as many meta-steps as cost what the base learner's do; of warmup as well,
 * unless the arm says its own. */
static ol_status make_arm(const ol_job *job, int i, ol_job *arm, ol_conf_mistakes *mistakes)
{
    const size_t warmup = ol_conf_find(ol_job_keys, "learner.outer.warmup");
    ol_conf *conf;

    OL_TRY(ol_conf_variant(job->conf, (size_t)i, arm, &conf));
    arm->conf = conf;
    OL_TRY(join(&arm->name, ol_conf_variant_name(job->conf, (size_t)i), "", ""));
    OL_TRY(join(&arm->output, job->output, "/", arm->name));
    arm->eval.shots = job->eval.shots;
    check_learner(arm, place(arm, "learner.algorithm"), mistakes);
    if (!ol_learner_find(arm->learner.algorithm))
        return OL_OK; /* what it costs is not known, and not asked */
    arm->train.steps = equal_work(job, arm, job->train.steps, 1);
    if (arm->learner.outer.warmup > 0 && !ol_conf_own(arm->conf, warmup)) {
        arm->learner.outer.warmup = equal_work(job, arm, arm->learner.outer.warmup, 0);
        OL_TRY(ol_conf_derived(arm->conf, "learner.outer.warmup"));
    }
    OL_TRY(ol_conf_derived(arm->conf, "name"));
    OL_TRY(ol_conf_derived(arm->conf, "output"));
    OL_TRY(ol_conf_derived(arm->conf, "eval.shots"));
    return ol_conf_derived(arm->conf, "train.steps");
}

static ol_status make_arms(ol_job *job, ol_conf_mistakes *mistakes)
{
    const int n = (int)ol_conf_variants(job->conf);

    if (n == 0)
        return OL_OK;
    job->arms = calloc((size_t)n, sizeof(ol_job *));
    OL_CHECK(job->arms, OL_ENOMEM, "no memory for %d arms", n);
    for (int i = 0; i < n; i++) {
        job->arms[i] = calloc(1, sizeof(ol_job));
        OL_CHECK(job->arms[i], OL_ENOMEM, "no memory for %d arms", n);
        job->n_arms = i + 1;
        OL_TRY(make_arm(job, i, job->arms[i], mistakes));
    }
    return OL_OK;
}

/* What reading leaves to be done: fill in, build the arms, check what no single key can say. */
static ol_status complete(ol_job *job, const char *path)
{
    ol_conf_mistakes mistakes = {0};

    OL_TRY(resolve(job, path));
    check_learner(job, place(job, "learner.algorithm"), &mistakes);
    if (mistakes.n == 0)
        OL_TRY(make_arms(job, &mistakes));
    check_job(job, &mistakes);
    if (mistakes.n == 0)
        OL_TRY(check_tuning(job, &mistakes));
    check_arm_names(job, &mistakes);
    return ol_conf_report(&mistakes, path);
}

ol_status ol_job_read(const char *path, const char *const *sets, size_t n_sets, ol_job **job)
{
    OL_AUTO_JOB *made = calloc(1, sizeof *made);
    ol_conf *conf = NULL;
    ol_status status;

    *job = NULL;
    OL_CHECK(made, OL_ENOMEM, "no memory for a job");
    status = ol_conf_read(ol_job_keys, path, sets, n_sets, made, &conf);
    made->conf = conf;
    OL_TRY(status);
    OL_TRY(complete(made, path));
    *job = made;
    made = NULL;
    return OL_OK;
}

ol_status ol_job_read_text(const char *name, const char *text, size_t size, ol_job **job)
{
    OL_AUTO_JOB *made = calloc(1, sizeof *made);
    ol_conf *conf = NULL;
    ol_status status;

    *job = NULL;
    OL_CHECK(made, OL_ENOMEM, "no memory for a job");
    status = ol_conf_read_text(ol_job_keys, name, text, size, NULL, 0, made, &conf);
    made->conf = conf;
    OL_TRY(status);
    OL_TRY(complete(made, name));
    *job = made;
    made = NULL;
    return OL_OK;
}

ol_status ol_job_read_stored(const char *path, ol_job **job)
{
    OL_AUTO_FREE char *text = NULL;
    size_t size;

    OL_TRY(ol_read_file(path, &text, &size));
    return ol_job_read_text(path, text, size, job);
}

void ol_job_destroy(ol_job *job)
{
    if (!job)
        return;
    for (int i = 0; i < job->n_arms; i++)
        ol_job_destroy(job->arms[i]);
    free(job->arms);
    ol_conf_finish(ol_job_keys, job);
    ol_conf_destroy(job->conf);
    free(job);
}

const ol_job *ol_job_arm(const ol_job *job, int i)
{
    return job->n_arms > 0 ? job->arms[i] : job;
}

static ol_patterns patterns(const ol_conf_strings *strings)
{
    return (ol_patterns){strings->n, (const char *const *)strings->items};
}

ol_trained_spec ol_job_trained(const ol_job *job)
{
    const ol_job_model *m = &job->model;

    return (ol_trained_spec){.trained = patterns(&m->trained),
                             .adapts = patterns(&job->learner.inner.adapts),
                             .targets = patterns(&m->lora.targets),
                             .rank = m->lora.rank,
                             .alpha = m->lora.alpha,
                             .rslora = m->lora.rslora,
                             .frozen_bf16 = m->frozen == 1};
}

double ol_job_adapt_lr(const ol_job *job)
{
    return job->eval.adapt_lr > 0 ? job->eval.adapt_lr : job->learner.inner.lr;
}

ol_status ol_job_text(const ol_job *job, ol_text *text)
{
    return ol_conf_write(ol_job_keys, job, job->conf, text);
}

ol_status ol_job_write(const ol_job *job, const char *path)
{
    OL_AUTO_TEXT text = {0};

    OL_TRY(ol_job_text(job, &text));
    return ol_write_file(path, text.data, text.size);
}

ol_status ol_job_digest(const ol_job *job, char digest[OL_DIGEST_TEXT])
{
    OL_AUTO_TEXT text = {0};

    OL_TRY(ol_conf_write(ol_job_keys, job, NULL, &text));
    for (int i = 0; i < job->n_arms; i++)
        OL_TRY(ol_conf_write(ol_job_keys, job->arms[i], NULL, &text));
    ol_digest(text.data, text.size, digest);
    return OL_OK;
}

ol_status ol_job_reference(ol_text *text)
{
    OL_TRY(ol_text_format(
        text, "%s",
        "# SPDX-License-Identifier: BSD-3-Clause\n"
        "# Every key of a job file, with its default. Written by `outerloop reference`; change\n"
        "# the table in src/job/job_keys.c, not this file. Any key can be given on the command\n"
        "# line as --set path=value, as in --set learner.inner.lr=0.01\n#\n"
        "# Learners (learner.algorithm):\n"));
    for (int i = 0; ol_learner_at(i); i++)
        OL_TRY(
            ol_text_format(text, "#   %-10s %s\n", ol_learner_at(i)->name, ol_learner_at(i)->help));
    OL_TRY(ol_text_format(text, "\n"));
    return ol_conf_reference(ol_job_keys, text);
}
