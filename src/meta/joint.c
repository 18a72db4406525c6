/* SPDX-License-Identifier: BSD-3-Clause */
/* Learners without an inner loop: the gradient of all prompts together [Min et al. 2022]. */
#include <math.h>

#include "inner.h"
#include "outerloop/base/clock.h" /* ol_clock_seconds */
#include "outerloop/meta/outer.h" /* ol_outer_adamw */

static double evaluations(const ol_learner_spec *spec, double support, double query)
{
    (void)spec;
    return support + query;
}

static void declare(const ol_model *model, const ol_learner_spec *spec, ol_contribution *out)
{
    ol_contribution_add(out, "delta", ol_learner_size(model, spec), OL_MEAN);
}

/* Δ = gradient at θ of the mean over all prompts of both sides: each side's by its share. */
static ol_status episode(const ol_task *task)
{
    const size_t P = task->model->P;
    const ol_batch *support = &task->episode->support, *query = &task->episode->query;
    const ol_real *theta = task->state.theta;
    const double share = (double)query->B / (support->B + query->B);
    const double begin = ol_clock_seconds();
    ol_real *delta = ol_contribution_part(task->out, "delta");
    ol_real *g = ol_arena_reals(task->ws, P);
    ol_episode_report *r = task->report;
    double support_loss = 0;

    r->query_after =
        ol_objective_grad(task->model, query, theta, OL_OF_TRAINED, NULL, task->ws, delta);
    ol_vector_scale(P, (ol_real)share, delta);
    if (support->B > 0) {
        support_loss =
            ol_objective_grad(task->model, support, theta, OL_OF_TRAINED, NULL, task->ws, g);
        ol_vector_axpy(P, (ol_real)(1 - share), g, delta);
    }
    OL_CHECK(isfinite(r->query_after + support_loss), OL_ENONFINITE, "loss of the prompts is %g",
             r->query_after + support_loss);
    r->outer_seconds = ol_clock_seconds() - begin;
    return OL_OK;
}

static size_t bytes(const ol_model *model, const ol_learner_spec *spec, ol_extent support,
                    ol_extent query)
{
    ol_arena dry = ol_arena_dry("episode");
    const size_t s = ol_objective_bytes(model, support, OL_GRADIENT, false);
    const size_t q = ol_objective_bytes(model, query, OL_GRADIENT, false);

    (void)spec;
    ol_arena_reals(&dry, model->P);
    return dry.peak + (s > q ? s : q);
}

#define JOINT                                                                                      \
    .evaluations = evaluations, .declare = declare, .bytes = bytes, .episode = episode,            \
    .outer = ol_outer_adamw

const ol_learner ol_learner_metaicl = {
    .name = "metaicl",
    .help = "plain gradients of prompts with demonstrations; no inner loop",
    .demonstrations = true,
    JOINT,
};

const ol_learner ol_learner_multitask = {
    .name = "multitask",
    .help = "plain gradients of prompts without demonstrations; no inner loop",
    JOINT,
};
