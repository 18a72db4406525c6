/* SPDX-License-Identifier: BSD-3-Clause */
/* gradcheck of a job: what its f64 build is given comes from a setup in f32. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outerloop/check/gradcheck.h"
#include "outerloop/kernel/weight.h" /* ol_bf16_to_reals */
#include "outerloop/run/setup.h"     /* ol_setup */

/* The f64 build of the same function; precision.h names it. */
ol_status ol_gradcheck_f64(const ol_gradcheck_spec *spec, const ol_gradcheck_plan *plan, FILE *out,
                           ol_gradcheck_tally *tally);

static void frozen_values(void *payload, int i, double *values)
{
    const ol_arm *arm = payload;
    const ol_param *p = &arm->model->frozen[i];
    const char *at = (const char *)arm->model->block + p->offset;

    for (size_t j = 0; j < p->size; j++) {
        ol_real value;

        if (p->bf16)
            ol_bf16_to_reals(1, (const uint16_t *)(const void *)at + j, &value);
        else
            memcpy(&value, at + j * sizeof value, sizeof value);
        values[j] = (double)value;
    }
}

static ol_status draw(void *payload, int64_t step, int n, ol_episode *episode)
{
    const ol_arm *arm = payload;

    return ol_sampler_draw(arm->sampler, (uint32_t)step, arm->job->learner.episodes, n, episode);
}

static const char *task_name(void *payload, int task)
{
    const ol_arm *arm = payload;

    return ol_sampler_task(arm->sampler, task);
}

static ol_outer_spec outer_of(void *payload, int64_t step)
{
    const ol_arm *arm = payload;

    return ol_job_outer_spec(arm->job, step);
}

static void say_arm(const ol_arm *arm, FILE *out)
{
    const ol_job_learner *l = &arm->job->learner;

    fprintf(out, "%s: %s%s, %zu parameters in float64, %d + %d prompts", arm->job->name,
            l->algorithm, ol_job_order_text(arm->job), arm->model->P, l->support, l->query);
    if (ol_learner_find(l->algorithm)->inner_loop)
        fprintf(out, ", %d step%s of %s at rate %g, moments %s", l->inner.steps,
                l->inner.steps == 1 ? "" : "s", ol_optimizer_names[l->inner.optimizer], l->inner.lr,
                ol_moments_names[l->inner.moments]);
    if (ol_learner_find(l->algorithm)->ordered && l->order == 1)
        fprintf(out, ".\nOrder 1 takes inner gradients as constants: its gradient is that of the "
                     "query loss at the end of the inner loop, and is held against just that");
    fprintf(out, "\n");
}

static ol_status check_arm(const ol_setup *s, ol_arm *arm, const ol_gradcheck_plan *plan, FILE *out,
                           ol_gradcheck_tally *tally)
{
    const ol_trained_spec trained = ol_job_trained(arm->job);
    const ol_learner_spec learner = ol_job_learner_spec(arm->job);
    const ol_gradcheck_spec spec = {.name = arm->job->name,
                                    .shape = &arm->model->spec,
                                    .trained = &trained,
                                    .learner = &learner,
                                    .N = arm->job->learner.episodes,
                                    .seed = (uint64_t)arm->job->seed,
                                    .theta = s->theta0,
                                    .frozen = frozen_values,
                                    .draw = draw,
                                    .task = task_name,
                                    .outer = outer_of,
                                    .payload = arm};

    if (learner.learner->interpolates) {
        fprintf(out,
                "%s: %s steps towards where its inner loops end: that difference is the "
                "gradient of nothing, and is not checked\n\n",
                arm->job->name, learner.learner->name);
        return OL_OK;
    }
    say_arm(arm, out);
    OL_TRY(ol_gradcheck_f64(&spec, plan, out, tally));
    fputc('\n', out);
    return OL_OK;
}

static ol_status conclude(const ol_gradcheck_tally *t, const ol_job *job, FILE *out)
{
    OL_CHECK(t->compared > 0, OL_EUSAGE,
             "no learner of this job follows a gradient: there is nothing to check (reptile's "
             "step is a difference of parameters)");
    fprintf(out, "%d comparisons, the worst error %.1e (%s): ", t->compared, t->worst, t->tensor);
    fprintf(out, t->past ? "%d do not hold\n" : "all hold\n", t->past);
    fflush(out);
    OL_CHECK(t->past == 0, OL_ECHECK,
             "%d of %d comparisons do not hold, or rounding leaves them undecided; the worst is "
             "%s. Where the inner loop is AdamW from small "
             "moments, raise learner.inner.eps_root (%g) or take meta-steps before (--after 5)",
             t->past, t->compared, t->tensor, job->learner.inner.eps_root);
    return OL_OK;
}

static ol_status check_all(ol_setup *s, const ol_gradcheck_plan *plan, FILE *out)
{
    ol_gradcheck_tally tally = {0};
    const char *names[64];
    int n = 0, checked = 0;

    for (int i = 0; i < s->n_arms; i++) {
        if (n < 64)
            names[n++] = s->arms[i].job->name;
        if (plan->arm && strcmp(plan->arm, s->arms[i].job->name) != 0)
            continue;
        checked++;
        OL_TRY(check_arm(s, &s->arms[i], plan, out, &tally));
    }
    if (checked == 0) {
        char meant[OL_TEXT_MEANT];
        OL_AUTO_TEXT known = {0};

        for (int i = 0; i < n; i++)
            OL_TRY(ol_text_format(&known, "%s%s", i > 0 ? ", " : "", names[i]));
        return ol_fail(OL_EUSAGE, "--arm: the job has no arm \"%s\"%s; there %s %s", plan->arm,
                       ol_text_meant(plan->arm, names, (size_t)n, meant), n == 1 ? "is" : "are",
                       known.data);
    }
    return conclude(&tally, s->job, out);
}

/* @param folder  for what the job writes */
static ol_status check_in(const char *folder, ol_comm *comm, ol_job_source source,
                          const ol_gradcheck_plan *plan, FILE *out)
{
    OL_AUTO_SETS sets = {0};
    OL_AUTO_JOB *job = NULL;
    OL_AUTO_SETUP *setup = NULL;

    OL_TRY(ol_conf_sets_add_all(&sets, source.n, source.sets));
    OL_TRY(ol_conf_sets_add(&sets, "output=%s/run", folder));
    OL_TRY(ol_conf_sets_add(&sets, "stages=[\"train\"]"));
    OL_TRY(ol_job_read(ol_job_source_of(source.path, &sets), &job));
    OL_TRY(ol_setup_create(comm, job, false, false, &setup));
    return check_all(setup, plan, out);
}

ol_status ol_gradcheck_job(ol_comm *comm, const char *path, const char *const *sets, size_t n_sets,
                           const ol_gradcheck_plan *plan, FILE *out)
{
    char folder[] = "/tmp/outerloop-gradcheck-XXXXXX";
    ol_status status;

    OL_CHECK(ol_comm_size(comm) == 1, OL_EUSAGE,
             "gradcheck is the work of one process: without mpirun");
    OL_CHECK(mkdtemp(folder), OL_EIO, "%s: no folder can be made", folder);
    status = check_in(folder, comm, (ol_job_source){path, sets, n_sets}, plan, out);
    ol_remove_all(folder);
    return status;
}
