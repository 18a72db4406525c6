/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/job/job.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job_parts.h"
#include "outerloop/base/file.h" /* ol_read_file */
#include "outerloop/base/size.h" /* OL_ALLOCATE */
#include "outerloop/job/start.h" /* ol_start_shape */

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

bool ol_job_trains(const ol_job *job, const char *word)
{
    const ol_conf_strings *trained = &job->model.trained;

    return trained->n == 1 && strcmp(trained->items[0], word) == 0;
}

static bool is_lora(const ol_job *job)
{
    return ol_job_trains(job, "lora");
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

size_t ol_job_cells(const ol_job *job)
{
    return ol_conf_cells(job->tune.grid);
}

ol_status ol_job_cell(const ol_job *job, const char *grid, size_t i, ol_job **cell)
{
    const size_t key = ol_conf_find(ol_job_keys, "tune.grid");
    ol_conf *conf = NULL;
    ol_status status;

    OL_TRY(OL_ALLOCATE(*cell, 1, "a job"));
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

    OL_TRY(ol_conf_variant(job->conf, (size_t)i, arm, &arm->conf));
    OL_TRY(join(&arm->name, ol_conf_variant_name(job->conf, (size_t)i), "", ""));
    OL_TRY(join(&arm->output, job->output, "/", arm->name));
    arm->eval.shots = job->eval.shots;
    ol_job_check_learner(arm, ol_job_place(arm, "learner.algorithm"), mistakes);
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
    OL_TRY(OL_ALLOCATE(job->arms, n, "arms of a job"));
    for (int i = 0; i < n; i++) {
        OL_TRY(OL_ALLOCATE(job->arms[i], 1, "an arm of a job"));
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
    ol_job_check_learner(job, ol_job_place(job, "learner.algorithm"), &mistakes);
    if (mistakes.n == 0)
        OL_TRY(make_arms(job, &mistakes));
    OL_TRY(ol_job_check(job, path, &mistakes));
    return ol_conf_report(&mistakes, path);
}

ol_status ol_job_read(ol_job_source source, ol_job **job)
{
    OL_AUTO_JOB *made = NULL;

    *job = NULL;
    OL_TRY(OL_ALLOCATE(made, 1, "a job"));
    OL_TRY(ol_conf_read(ol_job_keys, source.path, source.sets, source.n, made, &made->conf));
    OL_TRY(complete(made, source.path));
    return OL_GIVE(job, made);
}

ol_status ol_job_read_text(const char *name, const char *text, size_t size, ol_job **job)
{
    OL_AUTO_JOB *made = NULL;

    *job = NULL;
    OL_TRY(OL_ALLOCATE(made, 1, "a job"));
    OL_TRY(ol_conf_read_text(ol_job_keys, name, text, size, NULL, 0, made, &made->conf));
    OL_TRY(complete(made, name));
    return OL_GIVE(job, made);
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
